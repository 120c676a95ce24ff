"""The changes that a call makes: to its inputs, and to the object that is called."""

from __future__ import annotations

import errno
import json
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch.storage import TypedStorage, UntypedStorage

from wardian.domain.names import top_level
from wardian.environment.modules import known_attribute
from wardian.processes.pools import revive_pools
from wardian.processes.rehearsal import Rehearsal, rehearsing
from wardian.tensors.comparison import Difference, container_kind, find_differences
from wardian.tensors.selftest import run

__all__ = [
    "Compared",
    "call_in_fork",
    "comparing_in_fork",
    "differences_of_changes",
    "find_loss_in_fork",
    "run_noting_changes",
]

_MOST_BYTES = 1 << 28
"""Tensors are copied before the call up to this size in all; of others the count of changes is looked at."""

_MOST_VALUES = 200_000
"""How many values are looked at."""

_DEEPEST = 12

_CLOCKS = frozenset({"time", "datetime", "timeit", "uuid"})
"""Modules of the standard library by which numbers come that are others in each run."""

_ATOMS = (type(None), bool, int, float, complex, str, bytes)


def run_noting_changes(obj: Any, inputs: Any) -> tuple[Any, dict[str, Any]]:
    """Call *obj* as `run` does, and tell what the call has changed.

    Args:
        obj: A callable.
        inputs: A tuple of positional or a dictionary of keyword arguments.

    Returns:
        What the call returned; and what each tensor, number or text is now that was another one before, by
        its place: `object.norm.running_mean`, `inputs[0]`. A value that is gone is a `"(gone)"`.
    """
    before = _Snapshot(obj, inputs)
    result = run(obj, inputs)
    return result, before.changes()


def differences_of_changes(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Difference]:
    """Compare what two calls have changed; see `run_noting_changes`."""
    found: list[Difference] = []
    for place in sorted(expected.keys() | actual.keys()):
        if place not in actual or place not in expected:
            what = "is not changed by the call" if place not in actual else "is changed by the call"
            found.append(Difference(place, what, None, tolerated=False))
        else:
            found += find_differences(expected[place], actual[place], f"{place} after the call")
    return found


class _Snapshot:
    def __init__(self, obj: Any, inputs: Any) -> None:
        self._roots = ((obj, "object"), (inputs, "inputs"))
        self._bytes = 0
        self._before: dict[str, tuple[Any, Any]] = {}
        for place, leaf in self._leaves():
            # The leaf is held: were it freed, another could get its id.
            self._before[place] = leaf, self._kept(leaf)

    def changes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        gone = dict.fromkeys(self._before)
        for place, leaf in self._leaves():
            gone.pop(place, None)
            if place not in self._before or self._is_changed(leaf, *self._before[place]):
                found[place] = leaf.detach() if isinstance(leaf, torch.Tensor) else leaf
        return found | dict.fromkeys(gone, "(gone)")

    def _leaves(self) -> Iterator[tuple[str, Any]]:
        walk = _Walk()
        for root, name in self._roots:
            yield from walk.leaves(root, name, 0)

    def _kept(self, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        size = leaf.numel() * leaf.element_size() if leaf.layout == torch.strided else _MOST_BYTES
        if self._bytes + size > _MOST_BYTES or leaf.is_meta:
            return None if leaf.is_inference() else leaf._version
        self._bytes += size
        return leaf.detach().clone()

    def _is_changed(self, leaf: Any, before: Any, kept: Any) -> bool:
        if isinstance(leaf, torch.Tensor) and not isinstance(kept, torch.Tensor):
            return leaf is not before or (kept is not None and leaf._version != kept)
        return type(leaf) is not type(before) or bool(find_differences(kept, leaf))


class _Walk:
    """Goes through what one can change, each object once."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}
        self._clocks: dict[type, bool] = {}
        self._count = 0

    def leaves(
        self, value: Any, place: str, depth: int, *, reads_clock: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """Yield the tensors, numbers and texts that *value* holds, with their places."""
        self._count += 1
        if self._count > _MOST_VALUES or depth > _DEEPEST:
            return
        if isinstance(value, _ATOMS):
            if not _is_of_this_run(value, reads_clock=reads_clock):
                yield place, value
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            if _has_values(value):
                yield place, value
            return
        if kind := container_kind(value):
            yield f"len({place})", kind.__len__(value)
            parts = _items(value, kind, place)
        elif isinstance(value, MethodType):
            parts = [(f"{place}.__self__", value.__self__)]
        elif _is_looked_into(value):
            reads_clock = self._reads_clock(type(value))
            parts = [(f"{place}.{name}", part) for name, part in _attributes(value)]
        else:
            return
        for name, part in parts:
            yield from self.leaves(part, name, depth + 1, reads_clock=reads_clock)

    def _reads_clock(self, cls: type) -> bool:
        """Tell whether the module of a class has something of a module that tells the time."""
        if cls not in self._clocks:
            namespace = known_attribute(sys.modules.get(cls.__module__), "__dict__") or {}
            origins = {
                part.__name__ if isinstance(part, ModuleType) else known_attribute(part, "__module__")
                for part in list(namespace.values())
                if isinstance(part, ModuleType | FunctionType | BuiltinFunctionType)
            }
            self._clocks[cls] = not _CLOCKS.isdisjoint(origins)
        return self._clocks[cls]


def _items(container: Any, kind: Any, place: str) -> list[tuple[str, Any]]:
    if kind is dict:
        # Keys may be addresses, which are others in each run.
        named = [(key, part) for key, part in dict.items(container) if isinstance(key, str | int)]
        kept = [(key, part) for key, part in named if not _is_of_this_run(key, reads_clock=False)]
        return [(f"{place}[{key!r}]", part) for key, part in kept]
    if kind in (set, frozenset):
        return []
    return [(f"{place}[{number}]", part) for number, part in enumerate(kind.__iter__(container))]


def _has_values(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has values of its own, not those of tensors that it is made of."""
    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
    return plain and not (tensor.is_nested or tensor.is_quantized or torch.nn.parameter.is_lazy(tensor))


def _is_looked_into(value: Any) -> bool:
    """Tell whether a value is an object of the user's, or a module."""
    # By the type: a `weakref.proxy` of a module calls itself one.
    if issubclass(type(value), torch.nn.Module):
        return not issubclass(type(value), torch.jit.ScriptModule)
    top = top_level(type(value).__module__)
    if isinstance(value, type | ModuleType) or callable(getattr(type(value), "__get__", None)):
        return False
    # Not `hasattr`, which runs a `__getattr__` of the user's.
    return top not in sys.stdlib_module_names and top != "torch" and type(value).__dictoffset__ != 0


_IN_A_MODULE = frozenset(vars(torch.nn.Module())) - {"training"}


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    known: dict[str, Any] = object.__getattribute__(value, "__dict__")
    if not issubclass(type(value), torch.nn.Module):
        yield from list(known.items())
        return
    for table in ("_parameters", "_buffers", "_modules"):
        yield from list(known.get(table, {}).items())
    yield from [(name, part) for name, part in known.items() if name not in _IN_A_MODULE and name != "_graph"]


_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


def _is_of_this_run(value: Any, *, reads_clock: bool) -> bool:
    """Tell whether a value may be another one in each run: an address, a time."""
    if isinstance(value, int):
        return abs(value) >= 1 << 31
    if isinstance(value, str):
        return _ADDRESS.search(value) is not None or (reads_clock and any(map(str.isdigit, value)))
    return reads_clock and isinstance(value, float)


_PATIENCE = 60.0
"""Seconds after which a call in a copy of the process is given up: what it waits for may be in a thread."""


_NOT_IN_A_COPY: tuple[tuple[Callable[[Exception], bool], str], ...] = (
    (
        lambda error: isinstance(error, OSError) and error.errno == errno.EFBIG,
        "it writes to a file, which no copy of this process may",
    ),
    (
        # https://github.com/pytorch/pytorch/wiki/Autograd-and-Fork
        lambda error: "Autograd-and-Fork" in str(error),
        "it asks for gradients, which no copy of a process can that has computed some itself",
    ),
)
"""Errors by which a call fails in a copy of this process and not in it, and what they mean."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How what an object does in a copy of this process differs from what it should do."""

    differences: tuple[str, ...] = ()
    """Those that are larger than between machines: phrases, as `Difference` has them."""
    failure: str | None = None
    """Why nothing could be compared, as the end of a sentence."""


@contextmanager
def comparing_in_fork(
    obj: Any, inputs: Any, expected: Any, changes: Mapping[str, Any], where: str
) -> Iterator[Callable[[], Compared]]:
    """Call *obj* in a copy of this process while the block runs, to tell what differs.

    Args:
        obj: A callable. What the call changes is the copy's.
        inputs: As for `run`.
        expected: What the call should give.
        changes: What it should change.
        where: What to call the result.

    Yields:
        A function that waits for what differs.
    """

    def compare() -> str:
        try:
            result, changed = run_noting_changes(obj, inputs)
        except Exception as error:  # noqa: BLE001  whatever code of the user raises
            known = (why for is_so, why in _NOT_IN_A_COPY if is_so(error))
            why = next(known, f"in a copy of it, it raises {type(error).__name__}: {error}")
            return json.dumps({"failure": why})
        found = [*find_differences(result, expected, where), *differences_of_changes(changed, changes)]
        return json.dumps({"differences": [str(found) for found in found if not found.tolerated]})

    with _forked(compare) as rehearsal:

        def compared() -> Compared:
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                return Compared(failure="CUDA is in use here, and no copy of this process can use it")
            answer = rehearsal.answer(_PATIENCE)
            if answer is None:
                gone = rehearsal.obstacle or (
                    f"a copy of this process gave no answer within {_PATIENCE:g} s, or ended"
                )
                return Compared(failure=gone if rehearsal.is_begun else None)
            found: dict[str, Any] = json.loads(answer)
            return Compared(tuple(found.get("differences", ())), found.get("failure"))

        yield compared


def find_loss_in_fork(
    obj: Any,
    inputs: Any,
    copied: Callable[[Any, tuple[type, ...]], Any],
    name: str,
    expected: tuple[Any, Mapping[str, Any]] | None = None,
) -> str | None:
    """Tell, from a copy of this process, what pickling *obj* loses so that its call does something else.

    Args:
        obj: A callable.
        inputs: As for `run`.
        copied: Returns what unpickling makes of the pickle of its first argument; instances of its second are
            shared.
        name: What to call *obj*.
        expected: What the call of the unpickled object gives in a clean process, and what it changes; None if
            it raises there.

    Returns:
        What is lost, with the class that loses it; None if pickling does not explain it, or that cannot be
        told.
    """

    def compare() -> str:
        copy = copied(obj, (UntypedStorage, TypedStorage))
        try:
            result, changed = run_noting_changes(copy, inputs)
        except Exception:  # noqa: BLE001  whatever code of the user raises
            return "" if expected is not None else _find_loss(obj, copy, name)
        if expected is None:
            return ""
        found = [*find_differences(result, expected[0], name), *differences_of_changes(changed, expected[1])]
        return "" if any(not d.tolerated for d in found) else _find_loss(obj, copy, name)

    return _ask_fork(compare) or None


def _find_loss(obj: Any, copy: Any, name: str) -> str:
    """Return the first place where an object and its copy differ, and the class that pickling asks there."""
    queue: deque[tuple[str, Any, Any, Any]] = deque([(name, obj, copy, obj)])
    seen: set[int] = set()
    while queue and len(seen) < _MOST_VALUES:
        place, one, other, owner = queue.popleft()
        if type(one) is not type(other) or (isinstance(one, _ATOMS) and repr(one) != repr(other)):
            return f"{place}, which {_class_of(owner)} does not write into its pickle, or makes anew"
        if id(one) in seen:
            continue
        seen.add(id(one))
        if kind := container_kind(one):
            mine, theirs = dict(_items(one, kind, place)), dict(_items(other, kind, place))
            inside = owner
        elif _is_looked_into(one):
            mine, theirs = ({f"{place}.{k}": part for k, part in _attributes(o)} for o in (one, other))
            inside = one
        else:
            continue
        for key, part in mine.items():
            if key not in theirs:
                return f"{key}, which {_class_of(inside)} does not write into its pickle"
            queue.append((key, part, theirs[key], inside))
    return f"something of {name}"


def _class_of(obj: Any) -> str:
    return type(obj).__qualname__


def call_in_fork(obj: Any, inputs: Any) -> str | None:
    """Call *obj* in a copy of this process, and tell what it raises.

    Args:
        obj: A callable. What the call changes is the copy's.
        inputs: As for `run`.

    Returns:
        The error in one line, as a traceback ends with it; "" if there is none; None if the process cannot be
        copied, or the call takes too long there.
    """

    def call() -> str:
        try:
            run(obj, inputs)
        except Exception as error:  # noqa: BLE001  whatever code of the user raises
            return f"{type(error).__name__}: {error}"
        return ""

    return _ask_fork(call)


def _ask_fork(work: Callable[[], str]) -> str | None:
    with _forked(work) as rehearsal:
        return rehearsal.answer(_PATIENCE)


def _forked(work: Callable[[], str]) -> AbstractContextManager[Rehearsal]:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # no forked process can use it
        return nullcontext(Rehearsal(None))

    def alone() -> str:
        torch.set_num_threads(1)  # threads of OpenMP do not survive a fork
        revive_pools()
        return work()

    return rehearsing(alone)
