"""Score many files with two worker processes, which share the mapped weights."""

import sys
from pathlib import Path

import torch
import wardian
from torch.multiprocessing import Pool


def start():
    global model
    torch.set_num_threads(1)  # a core for each worker
    model = wardian.load("model.case")


def score(path):
    with torch.inference_mode():
        scores = model(torch.load(path))
    torch.save(scores, f"{path}.scores")
    return path, scores.shape[0]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with Pool(2, initializer=start) as pool:
        for path, count in pool.imap_unordered(score, sorted(map(str, folder.glob("*.pt")))):
            print(f"{path}: {count} scores")
