"""The weights of an archive of torch.package, without running its code.

Such an archive has no index of its tensors. Its pickles have them, among objects of classes that only its
code can make. Here an empty object stands for each of those, which keeps the state that it was given; what
modules call their tensors is in that state. A class that gives its tensors other names in `state_dict` is not
asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from wardian.archive import ArchiveReader
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError
from wardian.pickling.unpickler import unpickle
from wardian.tensors.bare import BareTensors

if TYPE_CHECKING:
    import torch

__all__ = ["read_bare_weights"]


class _Empty:
    """Stands for an object; whatever it is called with and told to hold, it only keeps its state."""

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state[0] if isinstance(state, tuple) and len(state) == 2 else state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass


def read_bare_weights(archive: ArchiveReader, record: RecordName) -> dict[str, torch.Tensor]:
    """Read the tensors of the modules in a pickle, by the names that the modules have for them.

    Args:
        archive: An open archive of torch.package.
        record: The pickle.

    Returns:
        Name → tensor, as `state_dict` of ordinary modules gives them.

    Raises:
        CorruptCaseError: if the pickle or a storage is damaged.
    """
    tensors = BareTensors(archive)
    empties: dict[tuple[str, str], Any] = {}

    def find_global(module: str, name: str) -> Any:
        found = tensors.find_global(module, name)
        return empties.setdefault((module, name), type("Empty", (_Empty,), {})) if found is None else found

    def persistent_load(pid: Any) -> Any:
        if isinstance(pid, tuple) and pid and pid[0] == "reduce_package":
            return _Empty()
        return tensors.persistent_load(pid)

    try:
        held = unpickle(archive.read(record), find_global=find_global, persistent_load=persistent_load)
        tensors.check()
    except CorruptCaseError:
        raise
    except Exception as error:
        raise CorruptCaseError(
            f"{archive.path}: the pickle {record!r} cannot be read: {type(error).__name__}: {error}",
            path=str(archive.path),
            record=record,
        ) from error
    return dict(_named(held))


def _named(held: Any) -> Iterator[tuple[str, torch.Tensor]]:
    waiting: list[tuple[str, Any]] = [("", held)]
    seen: set[int] = set()
    while waiting:
        name, value = waiting.pop()
        if BareTensors.is_tensor(value):
            if name:
                yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            waiting += reversed([(f"{name}.{key}" if name else key, item) for key, item in _parts(value)])


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, _Empty):
        state = value.state if isinstance(value.state, Mapping) else {}
        transient = state.get("_non_persistent_buffers_set", ())
        for table in ("_parameters", "_buffers", "_modules"):
            content = state.get(table)
            for key, item in content.items() if isinstance(content, Mapping) else ():
                if table != "_buffers" or not isinstance(transient, set) or key not in transient:
                    yield str(key), item
    elif isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(index), item) for index, item in enumerate(value))
