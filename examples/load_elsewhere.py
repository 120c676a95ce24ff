"""The other half of demo.py: a process in which some packages are as good as not installed.

    python -P load_elsewhere.py CASE RUN SHOW BLOCKED...

RUN holds inputs and expected outputs; SHOW is `image` or `search`; BLOCKED are top-level import names.
"""

from __future__ import annotations

import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import torch


class NotInstalled(PathFinder):
    """The interpreter's path finder, which no longer finds the blocked packages."""

    blocked: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Say that a blocked package is not there; for all others look as usual."""
        return (
            None if fullname.partition(".")[0] in cls.blocked else super().find_spec(fullname, path, target)
        )


def main(case: Path, run_file: Path, show: str, blocked: list[str]) -> int:
    """Load the case, compare, show; return 0 if the outputs are the same."""
    NotInstalled.blocked = frozenset(blocked)
    sys.meta_path[sys.meta_path.index(PathFinder)] = NotInstalled
    for package in blocked:
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            print(f"in another process, import {package}: {error}")

    import wardian

    started = time.perf_counter()
    model: Any = wardian.load(case)
    loaded = time.perf_counter()
    run = torch.load(run_file)
    with torch.no_grad():
        actual = model(*run["inputs"])
    ran = time.perf_counter()

    print(f"loaded in {loaded - started:.2f} s, ran in {ran - loaded:.2f} s: {type(model).__module__}")
    same = torch.equal(actual, run["expected"])
    apart = (actual - run["expected"]).abs().max().item()
    verdict = "the same, bit for bit" if same else f"differs by up to {apart:.3g}"
    print(f"output {tuple(actual.shape)}: {verdict}")
    leaked = sorted(name for name in sys.modules if name.partition(".")[0] in blocked)
    print(
        "blocked packages in sys.modules:", f"{len(leaked)} modules, {leaked[0]} first" if leaked else "none"
    )
    if show == "search":
        search(model, *run["inputs"])
    return 0 if same and not leaked else 1


def search(model: Any, sentences: list[str], queries: int = 3, best: int = 3) -> None:
    """Rank the sentences for each query (the last ones of *sentences*), best first."""
    corpus = model.encode(sentences[:-queries])
    for query in sentences[-queries:]:
        scores = (corpus @ model.encode([query]).T).squeeze(-1)
        print(f"\n    {query}")
        for index in scores.argsort(descending=True)[:best].tolist():
            print(f"        {scores[index]:.2f}  {sentences[index]}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
