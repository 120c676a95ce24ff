"""Decorated functions and methods: wraps, lru_cache, contextmanager, no_grad, own decorators, properties."""

import contextlib
import functools

import torch
from torch import nn

from specimen import pack

CALLS = []


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        CALLS.append(function.__name__)
        return function(*args, **kwargs)

    return wrapper


def scaled_by(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args) * factor

        return wrapper

    return decorate


@traced
@scaled_by(3)
def helper(x):
    return x + 1


@functools.lru_cache(maxsize=4)
def cached(n):
    return n * 2


@contextlib.contextmanager
def noted(name):
    CALLS.append(name)
    yield name


@torch.no_grad()
def frozen(x):
    return x * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.function = helper
        self.cached = cached
        self.noted = noted
        self.local = scaled_by(2)(lambda x: x)
        self.local_cached = functools.lru_cache(lambda n: n + 1)

    @property
    def two(self):
        return 2

    @functools.cached_property
    def three(self):
        return 3

    @traced
    def forward(self, x):
        with self.noted("name") as name:
            y = self.function(x) + self.cached(2) + frozen(x) + len(name)
        return self.local(y) * self.two * self.three + self.local_cached(3)


pack(
    Net(),
    (torch.randn(2),),
    check='assert "forward" in module.CALLS and model.cached.cache_info().maxsize == 4',
)
