# serve.py
from contextlib import asynccontextmanager

import torch
import wardian
from fastapi import FastAPI
from pydantic import BaseModel

models = {}


@asynccontextmanager
async def lifespan(app):
    models["iris"] = wardian.load("iris.case")
    yield
    models.clear()


app = FastAPI(lifespan=lifespan)


class Flowers(BaseModel):
    flowers: list[list[float]]


@app.post("/name")
def name(asked: Flowers) -> list[str]:
    return models["iris"].name(torch.tensor(asked.flowers))
