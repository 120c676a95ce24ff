"""PyTorch's process-wide registries, when a second copy of a library registers the same things.

Operators, pytree nodes and the like have one table per process. A packed library registers there when its
modules run, as the installed one does; where both are loaded, or two cases pack the same library, the
second registration would fail. While packed modules run of a case whose code mentions such a function, a
registration that *they* make and that another copy has made before counts as done: the first one stays. The
functions are put back when the modules have run. Reason and scope: docs/reference/behaviour.md.
"""

from __future__ import annotations

import atexit
import codecs
import functools
import hashlib
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from wardian.environment.modules import is_module, known_attribute, variables_of
from wardian.errors import WardianWarning
from wardian.forks import after_fork, new_reentrant_lock
from wardian.loading.registering.lifetimes import ExitFunction, callback_of, hold_definers, kernel_of
from wardian.source.mentions import Mentioned

__all__ = ["calls_back", "registers", "sharing", "tolerate_second_copies"]

_lock = new_reentrant_lock()
_thread = threading.local()
_depth = 0
_wrapped: list[tuple[Any, str, Any, Any]] = []
"""The functions that are wrapped at the moment: owner, name, the owner's own attribute, wrapper."""
_before: set[str] = set()
"""The modules that were there when it was wrapped."""

_LIBRARY = ("define", "impl", "fallback", "_register_fake", "_register_torch_dispatch_rule")
_PYTREE = ("register_pytree_node", "_register_pytree_node", "register_constant", "register_dataclass")
_PIPES = "register_datapipe_as_function"
_REGISTERING = frozenset(
    {"Library", "library", "_pytree", "custom_op", "triton_op", "register_fake", "register_autograd"}
    | {"functional_datapipe", _PIPES, "register_decomposition"}
).union(_LIBRARY, _PYTREE)
"""Names without which no code gets at a function of PyTorch that is wrapped."""
_CALLING_BACK = frozenset({"atexit", "codecs", "register_at_fork", "addaudithook"})
"""The same for functions of Python."""

_PACKED_MODULE = re.compile(r"wardian\.live\.\w+_[0-9a-f]{8,64}\.")
_MAX_FRAMES = 12
_ALREADY = ("already", "same name", "multiple times", "duplicate")


@dataclass(frozen=True, slots=True)
class _Copy:
    """Who implements an operator."""

    place: str
    """Its case, or the file of the installed module."""
    mount: str
    """Name of the mount of the case; empty for an installed module."""
    source: bytes
    """SHA-256 of the source of the module that does."""


_implemented: dict[tuple[str, str], _Copy] = {}
"""Operators that packed modules implement, by dispatch key, and which copy's implementation is used."""
_warned: set[tuple[str, frozenset[_Copy]]] = set()


def _may_be_second() -> bool:
    """Tell whether the caller is a packed module, or an installed one of which there is a packed copy."""
    return getattr(_thread, "shares", 0) > 0 or _packed_caller(3) is not None


def _packed_caller(depth: int = 2) -> dict[str, Any] | None:
    """Return the globals of the packed module that calls, through a few frames of torch, or None."""
    frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001  the only way to ask who calls
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return None
        if _PACKED_MODULE.match(frame.f_globals.get("__name__", "")):
            return frame.f_globals
        frame = frame.f_back
    return None


def _tolerant(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception as error:
            if any(word in str(error) for word in _ALREADY) and _may_be_second():
                return None
            raise

    return wrapper


def _watched(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let a second copy implement an operator again, and warn if it is another version."""

    @functools.wraps(original)
    def wrapper(library: Any, operator: Any, fn: Any, dispatch_key: str = "", **options: Any) -> Any:
        caller = _packed_caller()
        if caller is None and not _may_be_second():
            return original(library, operator, fn, dispatch_key, **options)
        key = _qualified(library, operator), dispatch_key or library.dispatch_key
        if caller is not None:
            fn = _kernel(library, ("impl", *key), fn, caller)
        try:
            result = original(library, operator, fn, dispatch_key, **options)
        except RuntimeError as error:
            if not any(word in str(error) for word in _ALREADY):
                raise
            if caller is not None:
                _note(key, caller, replaces=False)
            return None
        if caller is not None:
            _note(key, caller, replaces=True)
        return result

    return wrapper


def _defining(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let a second copy define an operator again: it uses that of the first one, and keeps it."""

    @functools.wraps(original)
    def wrapper(library: Any, schema: str, *args: Any, **kwargs: Any) -> Any:
        operator = _qualified(library, schema.partition("(")[0])
        is_packed = _packed_caller() is not None
        try:
            result = original(library, schema, *args, **kwargs)
        except Exception as error:
            if not any(word in str(error) for word in _ALREADY) or not (is_packed or _may_be_second()):
                raise
            if is_packed:
                hold_definers(library, operator, defined=False)
            return None
        if is_packed:
            hold_definers(library, operator, defined=True)
        return result

    return wrapper


def _faking(original: Callable[..., Any]) -> Callable[..., Any]:
    tolerant = _tolerant(original)

    @functools.wraps(original)
    def wrapper(library: Any, operator: Any, fn: Any, _stacklevel: int = 1, **options: Any) -> Any:
        caller = _packed_caller()
        if caller is not None:
            fn = _kernel(library, ("fake", _qualified(library, operator)), fn, caller)
        return tolerant(library, operator, fn, _stacklevel + 2, **options)  # it looks at who calls

    return wrapper


def _qualified(library: Any, operator: Any) -> str:
    name = operator if isinstance(operator, str) else operator.name()
    return f"{library.ns}::{name.rpartition('::')[2]}"


def _kernel(library: Any, key: tuple[str, ...], fn: Any, caller: dict[str, Any]) -> Any:
    # PyTorch knows this one by identity; what is no function it may look into.
    is_plain = isinstance(fn, FunctionType) and fn is not sys.modules["torch.library"].fallthrough_kernel
    return kernel_of(library, key, fn, caller) if is_plain else fn


def _calling_back(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let what a packed module registers be held by the module."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        scope = sys._getframe(1).f_globals  # noqa: SLF001  the only way to ask who calls
        if _PACKED_MODULE.match(scope.get("__name__", "")) is None or not all(
            callable(function) for function in (*args[:1], *kwargs.values())
        ):
            return original(*args, **kwargs)
        original(
            *(callback_of(function, scope) for function in args),
            **{name: callback_of(function, scope) for name, function in kwargs.items()},
        )
        return None

    return wrapper


def _calling_at_exit(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let a call that a packed module wants at exit be held by the module."""

    @functools.wraps(original)
    def wrapper(function: Any, *args: Any, **kwargs: Any) -> Any:
        scope = sys._getframe(1).f_globals  # noqa: SLF001
        if _PACKED_MODULE.match(scope.get("__name__", "")) is None or not callable(function):
            return original(function, *args, **kwargs)
        original(ExitFunction(function, args, kwargs).register(scope))
        return function

    return wrapper


def _note(key: tuple[str, str], caller: dict[str, Any], *, replaces: bool) -> None:
    loader = caller.get("__loader__")
    module = getattr(loader, "module", None)
    if loader is None or module is None or module.record not in loader.mount.archive:
        return
    source = hashlib.sha256(loader.mount.archive.read(module.record)).digest()
    own = _Copy(loader.mount.archive.label, loader.mount.name, source)
    other = _implemented.get(key) or _installed(module.name)
    if replaces or other is None:
        _implemented[key] = own
    if other is None or other.mount == own.mount or other.source == own.source:
        return
    pair = module.name, frozenset((own, other))
    if pair in _warned:
        return
    _warned.add(pair)
    used = own if replaces else other
    warnings.warn(
        f"{module.name} of {own.place} implements the operator {key[0]}, and so does another version, of"
        f" {other.place}. A process has one implementation of an operator: both use that of {used.place} from"
        " now on. Use the two in processes of their own",
        WardianWarning,
        stacklevel=3,
    )


def _installed(module: str) -> _Copy | None:
    """Return the copy of a module that was imported from the environment, if it was."""
    file = known_attribute(sys.modules.get(module), "__file__")
    try:
        return None if file is None else _Copy(file, "", hashlib.sha256(Path(file).read_bytes()).digest())
    except OSError:
        return None


def _fragment_if_taken(original: Callable[..., None]) -> Callable[..., None]:
    """Let a second copy open a namespace that may be opened once: as a fragment of the first."""

    @functools.wraps(original)
    def wrapper(library: Any, ns: str, kind: str, dispatch_key: str = "") -> None:
        try:
            original(library, ns, kind, dispatch_key)
        except RuntimeError as error:
            if kind != "DEF" or "single TORCH_LIBRARY" not in str(error) or not _may_be_second():
                raise
            original(library, ns, "FRAGMENT", dispatch_key)

    return wrapper


def _fragment_of_custom_operator(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let a second copy of a custom operator leave the first one, which the first copy goes on using.

    `torch.library.custom_op` destroys it otherwise: whoever calls what is left of it ends the process.
    """

    @functools.wraps(original)
    def wrapper(namespace: str, name: str) -> Any:
        torch = sys.modules["torch"]
        first = sys.modules["torch._library.custom_ops"].OPDEF_TO_LIB.get(f"{namespace}::{name}")
        if first is None or first.m is None or not _may_be_second():
            return original(namespace, name)
        return torch.library.Library(namespace, "FRAGMENT")

    return wrapper


def registers(mentioned: Mentioned) -> bool:
    """Tell whether a module mentions what could register something in PyTorch's tables."""
    return mentioned.any_of(_REGISTERING)


def calls_back(mentioned: Mentioned) -> bool:
    """Tell whether a module mentions what could register something in those of Python."""
    return mentioned.any_of(_CALLING_BACK)


def _targets() -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    yield atexit, "register", _calling_at_exit
    yield codecs, "register", _calling_back
    if hasattr(os, "register_at_fork"):
        yield os, "register_at_fork", _calling_back
    yield sys, "addaudithook", _calling_back
    torch = sys.modules.get("torch")
    if torch is None:
        return
    library = torch.library.Library
    yield library, "__init__", _fragment_if_taken
    special = {"impl": _watched, "define": _defining, "_register_fake": _faking}
    for name in _LIBRARY:
        if hasattr(library, name):
            yield library, name, special.get(name, _tolerant)
    pytree = sys.modules.get("torch.utils._pytree")
    if pytree is not None:
        for name in _PYTREE:
            if hasattr(pytree, name):
                yield pytree, name, _tolerant
    yield torch.library, "register_autograd", _tolerant
    # What `register_decomposition` calls for each overload:
    # https://github.com/pytorch/pytorch/blob/v2.8.0/torch/_decomp/__init__.py#L51
    decompositions = sys.modules.get("torch._decomp")
    if hasattr(decompositions, "_add_op_to_registry"):
        yield decompositions, "_add_op_to_registry", _tolerant
    custom_ops = sys.modules.get("torch._library.custom_ops")
    if hasattr(custom_ops, "get_library_allowing_overwrite"):
        yield custom_ops, "get_library_allowing_overwrite", _fragment_of_custom_operator
    pipes = sys.modules.get("torch.utils.data.datapipes.datapipe")
    for kind in ("IterDataPipe", "MapDataPipe"):
        if hasattr(pipes, kind):
            yield getattr(pipes, kind), _PIPES, _tolerant


def _wrap() -> None:
    _before.update(sys.modules)
    for owner, name, wrap in _targets():
        original = vars(owner)[name]
        wrapper = wrap(getattr(owner, name))
        _wrapped.append((owner, name, original, wrapper))
        setattr(owner, name, staticmethod(wrapper) if isinstance(original, classmethod) else wrapper)


def _unwrap() -> None:
    originals: dict[Any, Any] = {}
    while _wrapped:
        owner, name, original, wrapper = _wrapped.pop()
        originals[wrapper] = original
        if getattr(owner, name) is wrapper:
            setattr(owner, name, original)
    # `from torch.library import register_autograd` has bound the wrapper.
    for name, module in sys.modules.copy().items():
        # A module that runs was there when it began to.
        if (name in _before and not _PACKED_MODULE.match(name)) or not is_module(module):
            continue
        names = variables_of(module)
        for key, value in list(names.items()):
            if type(value) is FunctionType and value in originals:
                names[key] = originals[value]
    _before.clear()


@contextmanager
def sharing() -> Iterator[None]:
    """Let installed modules that this thread executes register what packed copies have registered."""
    _thread.shares = getattr(_thread, "shares", 0) + 1
    try:
        with tolerate_second_copies(wanted=True):
            yield
    finally:
        _thread.shares -= 1


@contextmanager
def tolerate_second_copies(*, wanted: bool) -> Iterator[None]:
    """Let packed modules register, while one runs, what another copy of their library has registered.

    Args:
        wanted: Whether the module that is going to run, or one of its case before, `registers`. If not,
            nothing is wrapped unless it is already.
    """
    global _depth  # noqa: PLW0603  the functions that are replaced are global, too
    with _lock:
        _depth += 1
        _thread.depth = getattr(_thread, "depth", 0) + 1
        if wanted and not _wrapped:
            _wrap()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            _thread.depth -= 1
            if _depth == 0 and _wrapped:
                _unwrap()


@after_fork
def _forget_other_threads() -> None:
    global _depth  # noqa: PLW0603
    _depth = getattr(_thread, "depth", 0)
    if _depth == 0 and _wrapped:
        _unwrap()
