"""Child process: load a case where the model's library is not installed, and compare what it returns.

    python -P loader.py FOLDER NAME

FOLDER holds `NAME.case` and what packer.py put beside it. This file needs torch, wardian and the standard
library only, since nothing else may be there.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import torch

_PLAIN = (str, bytes, int, float, complex, bool, type(None))


def describe(value: Any, _above: tuple[int, ...] = ()) -> Any:
    """Turn *value* into tensors, lists, dictionaries and plain values, which need no library to load.

    Classes become their qualified names: the module they come from differs on purpose.
    """
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, enum.Enum):
        return {"class": type(value).__qualname__, "value": describe(value.value)}
    if isinstance(value, _PLAIN):
        return value
    if id(value) in _above:  # a cycle; the objects above are alive, so their ids are theirs
        return {"class": type(value).__qualname__, "cycle": len(_above) - _above.index(id(value))}
    above = (*_above, id(value))
    kind = type(value).__qualname__
    if isinstance(value, Mapping):
        return {"class": kind, "items": [[describe(k, above), describe(v, above)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"class": kind, "items": [describe(item, above) for item in value]}
    if isinstance(value, (set, frozenset)):
        return {"class": kind, "items": sorted(repr(describe(item, above)) for item in value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {"class": kind, "fields": {name: describe(getattr(value, name), above) for name in names}}
    if isinstance(value, (torch.dtype, torch.device, torch.layout, torch.Size)):
        return str(value)
    if hasattr(value, "__qualname__"):
        return {"named": value.__qualname__}
    return {"class": kind, "attributes": {name: describe(v, above) for name, v in vars(value).items()}}


def differences(expected: Any, actual: Any, where: str = "output") -> Iterator[str]:
    """Name each place where two results of `describe` are not the same, bit for bit."""
    if type(expected) is not type(actual):
        yield f"{where}: {type(expected).__name__} became {type(actual).__name__}"
    elif isinstance(expected, torch.Tensor):
        if expected.dtype != actual.dtype or expected.shape != actual.shape:
            yield f"{where}: {expected.dtype} {expected.shape} became {actual.dtype} {actual.shape}"
        elif not torch.equal(_bits(expected), _bits(actual)):
            apart = (expected.double() - actual.double()).abs().max().item()
            yield f"{where}: values differ, by up to {apart}"
    elif isinstance(expected, dict):
        if expected.keys() != actual.keys():
            yield f"{where}: {list(expected)} became {list(actual)}"
        for key in expected.keys() & actual.keys():
            yield from differences(expected[key], actual[key], f"{where}.{key}")
    elif isinstance(expected, list):
        if len(expected) != len(actual):
            yield f"{where}: {len(expected)} items became {len(actual)}"
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, f"{where}[{index}]")
    elif expected != actual:
        yield f"{where}: {expected!r} became {actual!r}"


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    # As bytes, so that a NaN equals itself and 0.0 differs from -0.0.
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def call(model: Any, inputs: Any) -> Any:
    """Call *model* with a tuple of positional or a dictionary of keyword arguments."""
    return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


class _NotInstalled(PathFinder):
    """The interpreter's path finder, in an environment that lacks some distributions.

    Where a distribution is not installed, `import` fails, `find_spec` gives None and its metadata is not
    found; a finder that raised would tell code that asks first something else than a user's machine does.
    """

    blocked: frozenset[str] = frozenset()
    distributions: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] in cls.blocked:
            return None
        return super().find_spec(fullname, path, target)

    @classmethod
    def find_distributions(cls, context: Any = None) -> Any:
        context = context or importlib.metadata.DistributionFinder.Context()
        for distribution in PathFinder.find_distributions(context):
            if distribution.metadata["Name"] not in cls.distributions:
                yield distribution


def uninstall(packages: list[str], folders: list[str]) -> list[str]:
    """Make *packages* as good as not installed, for the rest of this process.

    Args:
        packages: Their top-level import names.
        folders: Where their files lie.

    Returns:
        A list that grows by each file opened below *folders* from now on.
    """
    installed = importlib.metadata.packages_distributions()
    _NotInstalled.blocked = frozenset(packages)
    _NotInstalled.distributions = frozenset(d for p in packages for d in installed.get(p, ()))
    sys.meta_path[sys.meta_path.index(PathFinder)] = _NotInstalled
    importlib.invalidate_caches()

    opened: list[str] = []
    prefixes = tuple(f"{folder}{os.sep}" for folder in folders)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "ctypes.dlopen") and prefixes and str(arguments[0]).startswith(prefixes):
            opened.append(f"{event} {arguments[0]}")

    sys.addaudithook(watch)
    for package in packages:
        assert package not in sys.modules, f"{package} was imported before the test began"
        assert importlib.util.find_spec(package) is None, f"{package} can still be found"
    return opened


def main(folder: Path, name: str) -> list[str]:
    """Load the case and return what is wrong; nothing, if all is well."""
    facts = json.loads((folder / f"{name}.json").read_text())
    opened = uninstall(facts["blocked"], facts["folders"])

    import wardian

    run = torch.load(folder / f"{name}.pt", weights_only=False)
    model: Any = wardian.load(folder / f"{name}.case")
    with torch.no_grad():
        wrong = list(differences(run["expected"], describe(call(model, run["inputs"]))))
        if run["generate"]:
            generated = model.generate(**run["generate"])
            wrong += differences(run["generated"], describe(generated), "generated")
    wrong += [
        f"{module} was imported under its own name"
        for module in sorted(sys.modules)
        if module.partition(".")[0] in facts["blocked"]
    ]
    wrong += [f"outside the case: {event}" for event in sorted(set(opened))]
    return wrong


if __name__ == "__main__":
    wrong = main(Path(sys.argv[1]), sys.argv[2])
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)
