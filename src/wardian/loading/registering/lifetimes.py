"""Registrations that end with the modules that made them, where the table cannot be looked into afterwards.

The dispatcher of PyTorch, `atexit`, `codecs` and `os.register_at_fork` hold what they are given where neither
Python's collector nor anybody else sees it: a packed module that registers a function there would live for
ever, and nobody could tell whether it is needed. So they are given a stand-in that knows the function weakly,
and the function is held by what it belongs to: the `torch.library.Library` that registers it, or the globals
of its module.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from typing import Any

from wardian.errors import ClosedCaseError

__all__ = ["Callback", "ExitFunction", "callback_of", "hold_definers", "kernel_of", "libraries", "modules_of"]

_KEPT = "__wardian_kept__"
_HELD = "__wardian_callbacks__"

libraries: weakref.WeakSet[Any] = weakref.WeakSet()
"""Each `torch.library.Library` that is there and through which packed code has registered something."""
_definers: dict[str, weakref.ref[Any]] = {}
"""The library that defines an operator, by its qualified name, while it is one of packed code."""
_users: dict[str, weakref.WeakSet[Any]] = {}
"""The libraries of all copies that have defined it, or would have."""


def modules_of(library: Any) -> list[dict[str, Any]]:
    """Return the globals of the packed modules whose functions *library* keeps."""
    return [kept for kept in vars(library).get(_KEPT, {}).values() if isinstance(kept, dict)]


def _keep(library: Any, key: tuple[str, ...], value: Any) -> None:
    vars(library).setdefault(_KEPT, {})[key] = value


def kernel_of(library: Any, key: tuple[str, ...], function: Any, scope: dict[str, Any]) -> Any:
    """Let *library* keep a function; return what PyTorch gets in its place, which lives no longer than both.

    Args:
        library: A `torch.library.Library`, which takes back what it registered when it is collected.
        key: What the function is for; of one key the last is kept.
        function: An implementation of an operator.
        scope: Globals of the packed module that registers it.
    """
    libraries.add(library)
    _keep(library, ("module", scope["__name__"]), scope)
    try:
        reference = weakref.ref(function)
    except TypeError:
        return function
    _keep(library, key, function)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        implementation = reference()
        if implementation is None:
            raise ClosedCaseError(f"the operator of {key} is of a case that was closed", path=None)
        return implementation(*args, **kwargs)

    kernel.__name__ = kernel.__qualname__ = getattr(function, "__name__", "kernel")
    return kernel


def hold_definers(library: Any, operator: str, *, defined: bool) -> None:
    """Let all copies of packed code that use an operator hold the library that defines it.

    Args:
        library: Of the copy that has defined the operator, or would have.
        operator: Its qualified name.
        defined: Whether it has. If another copy was first, it uses that one's; if it has taken the
            operator over, as `torch.library.custom_op` does, the others use its own.
    """
    libraries.add(library)
    users = _users.setdefault(operator, weakref.WeakSet())
    users.add(library)
    if defined:
        _definers[operator] = weakref.ref(library)
    definer = _definers[operator]() if operator in _definers else None
    for user in users if defined else (library,):
        if definer is not None and user is not definer:
            _keep(user, ("define", operator), definer)


class Callback:
    """Stands for a function of a packed module; equal to it, so that unregistering the function finds it."""

    def __init__(self, function: Any) -> None:
        self._function = weakref.ref(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function if it is still there."""
        function = self._function()
        return None if function is None else function(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Search):
            return other == self
        return self is other or (other is not None and self._function() == other)

    __hash__ = None  # type: ignore[assignment]  # the tables compare


class _Search:
    """Equal to one callback; notes that it was compared with it."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self.found = False

    def __eq__(self, other: object) -> bool:
        if other is self._callback:
            self.found = True
        return other is self._callback

    __hash__ = None  # type: ignore[assignment]


class ExitFunction:
    """A call that is due at the end of the process, or of its module, as `atexit` does for subinterpreters.

    Args:
        function: The function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = (function, args, kwargs)
        self._registered: Callback | None = None

    def register(self, scope: dict[str, Any]) -> Callback:
        """Let the globals of its module hold it; return what `atexit` gets."""
        self._registered = callback_of(self, scope)
        return self._registered

    def __eq__(self, other: object) -> bool:
        return self is other or (self._call is not None and self._call[0] == other)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> None:
        """Make the call, once."""
        call, self._call = self._call, None
        if call is not None:
            function, args, kwargs = call
            function(*args, **kwargs)

    def __del__(self) -> None:
        # Python calls this before it takes anything of the module apart (PEP 442).
        registered, self._registered = self._registered, None
        if registered is not None and not sys.is_finalizing():
            search = _Search(registered)
            atexit.unregister(search)  # type: ignore[arg-type]  # it compares
            if search.found:  # nobody has unregistered it
                self()


def callback_of(function: Any, scope: dict[str, Any]) -> Callback:
    """Let the globals of a module hold a function; return what a table gets in its place.

    Args:
        function: The function.
        scope: Globals of the packed module that registers it.
    """
    scope.setdefault(_HELD, []).append(function)
    return Callback(function)
