"""The stand-ins for soft externs that the environment does not have (docs/reference/format.md, 5.7).

The proof showed that the object loads, and passes its self-test, without them. So packed code may import
them, derive classes from them and name them in annotations; what uses one gets an error that says what to
install.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Mapping
from functools import cached_property
from types import FunctionType
from typing import Any

from wardian.domain.manifest import Extern, Manifest
from wardian.domain.names import LOGGING_LIBRARIES, top_level
from wardian.environment.modules import find_spec
from wardian.errors import MissingExternError
from wardian.reading.fit import find_problem
from wardian.reading.installed import Installed

__all__ = ["LackingExterns", "StandIn", "make_stand_in", "missing", "used_externs"]

_used: set[str] = set()


def used_externs(error: BaseException | None = None) -> frozenset[str]:
    """Return the top-level names of soft externs that were needed in this process.

    They are those whose stand-ins were used, even if nobody saw that error, and those that *error* and what
    led to it name.
    """
    names = set(_used)
    while error is not None:
        if isinstance(error, MissingExternError) and error.name is not None:
            names.add(error.name)
        error = error.__cause__ or error.__context__
    return frozenset(names)


def missing(extern: Extern, what: str, case: str) -> MissingExternError:
    """Return the error for *what* of an extern that is not installed."""
    top = top_level(extern.modules[0])
    name, version = extern.distribution or top, (extern.version or "").partition("+")[0]
    command = f"pip install {name}=={version}" if version else f"pip install {name}"
    return MissingExternError(
        f"{what} is needed here and {name} is not installed, or too old; {case} could be loaded without it "
        f"because nothing used it when the case was made\n    fix: {command}",
        name=top,
        distribution=extern.distribution,
        version=extern.version,
    )


class StandIn(ABCMeta):
    """The class of stand-ins, which are classes themselves.

    A class can do all that code does with a name that it does not use: be a base, an annotation, an item of
    a union, the second argument of isinstance (nothing is an instance), the key of a dictionary. The
    metaclass derives from ABCMeta so that packed classes may have abstract bases, too.
    """

    _refuse: Callable[[str], MissingExternError] | None
    """Returns the error for the dotted name that is used; None if it may be, and does nothing."""
    _path: str
    _version: str | None

    def __getattr__(cls, name: str) -> Any:
        if name == "__version__" and cls._version is not None:
            return cls._version
        if name.startswith("_"):  # private names are nobody's to use, and protocols ask for dunder names
            raise AttributeError(name)
        member = make_stand_in(f"{cls._path}.{name}", cls._refuse, None)
        setattr(cls, name, member)  # the next access gives the same object
        return member

    def __repr__(cls) -> str:
        return f"<{cls._path}, which is not installed>"

    def __getitem__(cls, item: object) -> StandIn:
        """Stand for a parametrised type (`numpy.ndarray[...]`)."""
        return cls


def _called(cls: StandIn, *args: object, **kwargs: object) -> object:
    """Return what was decorated, or a stand-in for what would have been made."""
    decorates = len(args) == 1 and not kwargs and isinstance(args[0], type | FunctionType)
    return args[0] if decorates and not isinstance(args[0], StandIn) else cls


_NOTHING: dict[str, Callable[..., object]] = {
    "__call__": _called,
    "__bool__": lambda cls: False,
    "__len__": lambda cls: 0,
    "__iter__": lambda cls: iter(()),
    "__contains__": lambda cls, item: False,
    "__setitem__": lambda cls, key, value: None,
    "__enter__": lambda cls: cls,
    "__exit__": lambda cls, *error: None,
}
"""Methods of the stand-ins for logging libraries: a model that logs computes without them."""


def _refusing(method: str) -> Callable[..., object]:
    def refuse(cls: StandIn, *args: object, **kwargs: object) -> object:
        if cls._refuse is None and method in _NOTHING:
            return _NOTHING[method](cls, *args, **kwargs)
        _used.add(top_level(cls._path))
        raise NotImplementedError(cls._path) if cls._refuse is None else cls._refuse(cls._path)

    refuse.__name__ = method
    return refuse


for _method in (
    *("__call__", "__bool__", "__len__", "__iter__", "__contains__", "__setitem__", "__enter__", "__exit__"),
    *("__int__", "__float__", "__index__", "__lt__", "__le__", "__gt__", "__ge__", "__neg__", "__invert__"),
    *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__"),
    *("__floordiv__", "__mod__", "__pow__", "__rpow__", "__matmul__", "__and__", "__lshift__", "__rshift__"),
):
    setattr(StandIn, _method, _refusing(_method))


def make_stand_in(
    path: str, refuse: Callable[[str], MissingExternError] | None, version: str | None
) -> StandIn:
    """Return a stand-in.

    Args:
        path: Dotted name of what it stands for.
        refuse: Returns the error for the dotted name that is used; None if using it does nothing.
        version: What its `__version__` is, None if it has none.
    """
    name = path.rpartition(".")[2]
    members = {
        "_path": path,
        "_refuse": refuse and staticmethod(refuse),
        "_version": version,
        "__module__": path,
    }
    return StandIn(name, (), members)


class LackingExterns:
    """The soft externs of a case that are not installed, with what takes their place.

    Args:
        manifest: Of the case.
        case: How messages name it.
        absent: Top-level names that were not there when the case was made.
    """

    def __init__(self, manifest: Manifest, case: str, absent: frozenset[str]) -> None:
        self._manifest = manifest
        self._case = case
        self._absent = absent

    @cached_property
    def stand_ins(self) -> Mapping[str, tuple[Extern, StandIn]]:
        """A stand-in for every soft extern that this environment lacks, by top-level name."""
        found: dict[str, tuple[Extern, StandIn]] = {}
        for extern in self._manifest.externs:
            for top in {top_level(module) for module in extern.modules} if extern.soft else ():
                if not _is_installed(top) or find_problem(extern, Installed(), may_import=True) is not None:

                    def refuse(what: str, extern: Extern = extern) -> MissingExternError:
                        return missing(extern, what, self._case)

                    logs = top in LOGGING_LIBRARIES
                    found[top] = extern, make_stand_in(top, None if logs else refuse, extern.version)
        return found

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Top-level names that packed code does not get from the environment."""
        return self._absent | self.stand_ins.keys()

    def has(self, name: str) -> bool:
        """Tell whether a module is of a soft extern that is not installed."""
        return top_level(name) in self.stand_ins

    def refuse(self, name: str) -> None:
        """Refuse a module of a soft extern that is not installed.

        Raises:
            MissingExternError: which says what to install.
        """
        found = self.stand_ins.get(top_level(name))
        if found is not None:
            raise missing(found[0], f"the module {name}", self._case)

    def import_for(self, name: str, *, at_module_level: bool, is_unguarded: Callable[[], bool]) -> StandIn:
        """Return the stand-in that an import gets.

        Args:
            name: An absolute dotted name, of a soft extern that is not installed.
            at_module_level: Whether the statement stands outside of functions.
            is_unguarded: Tells whether nothing around the statement catches its error.

        Raises:
            MissingExternError: if the importer can do without, or imports it because it is going to use it:
                in a `try` that handles ImportError, or in a function.
        """
        top, *below = name.split(".")
        can_do_without = not is_unguarded() if at_module_level else top not in LOGGING_LIBRARIES
        if can_do_without:
            self.refuse(name)
        _, stand_in = self.stand_ins[top]
        for part in below:
            stand_in = getattr(stand_in, part)
        return stand_in


def _is_installed(top: str) -> bool:
    return find_spec(top) is not None  # None, too, where a finder forbids it
