"""PyTorch's process-wide registries, when a second copy of a library registers the same things.

Operators, pytree nodes and the like have one table per process. A packed library registers there when its
modules run, as the installed one does; where both are loaded, or two cases pack the same library, the
second registration would fail. While packed modules run of a case whose code mentions such a function, a
registration that *they* make and that another copy has made before counts as done: the first one stays. The
functions are put back when the modules have run. Reason and scope: docs/reference/behaviour.md.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

__all__ = ["registers", "tolerate_second_copies"]

_lock = threading.RLock()
_depth = 0
_wrapped: list[tuple[Any, str, Any]] = []
"""What is wrapped at the moment: owner, name, wrapper."""
_before: set[str] = set()
"""The modules that were there when it was wrapped."""

_LIBRARY = ("define", "impl", "fallback", "_register_fake", "_register_torch_dispatch_rule")
_PYTREE = ("register_pytree_node", "_register_pytree_node", "register_constant", "register_dataclass")
_REGISTERING = frozenset(
    {"Library", "library", "_pytree", "custom_op", "triton_op", "register_fake", "register_autograd"}
).union(_LIBRARY, _PYTREE)
"""Names without which no code gets at a function that is wrapped."""

_PACKED_MODULE = re.compile(r"wardian\.live\.\w+_[0-9a-f]{8}\.")
_MAX_FRAMES = 12
_ALREADY = ("already", "same name", "multiple times", "duplicate")


def _from_packed_code() -> bool:
    """Tell whether the call comes from a packed module, through a few frames of torch."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001  the only way to ask who calls
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return False
        if _PACKED_MODULE.match(frame.f_globals.get("__name__", "")):
            return True
        frame = frame.f_back
    return False


def _tolerant(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except (RuntimeError, ValueError) as error:
            if _from_packed_code() and any(word in str(error) for word in _ALREADY):
                return None
            raise

    return wrapper


def _fragment_if_taken(original: Callable[..., None]) -> Callable[..., None]:
    """Let a second copy open a namespace that may be opened once: as a fragment of the first."""

    @functools.wraps(original)
    def wrapper(library: Any, ns: str, kind: str, dispatch_key: str = "") -> None:
        try:
            original(library, ns, kind, dispatch_key)
        except RuntimeError as error:
            if kind != "DEF" or "single TORCH_LIBRARY" not in str(error) or not _from_packed_code():
                raise
            original(library, ns, "FRAGMENT", dispatch_key)

    return wrapper


def registers(code: CodeType) -> bool:
    """Tell whether *code*, of a module, mentions what could register something in PyTorch's tables."""
    return not _REGISTERING.isdisjoint(code.co_names) or any(
        registers(constant) for constant in code.co_consts if isinstance(constant, CodeType)
    )


def _targets() -> Iterator[tuple[Any, str]]:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    library = torch.library.Library
    for name in ("__init__", *_LIBRARY):
        if hasattr(library, name):
            yield library, name
    pytree = sys.modules.get("torch.utils._pytree")
    if pytree is not None:
        for name in _PYTREE:
            if hasattr(pytree, name):
                yield pytree, name
    yield torch.library, "register_autograd"


def _wrap() -> None:
    _before.update(sys.modules)
    for owner, name in _targets():
        original = getattr(owner, name)
        wrapper = (_fragment_if_taken if name == "__init__" else _tolerant)(original)
        _wrapped.append((owner, name, wrapper))
        setattr(owner, name, wrapper)


def _unwrap() -> None:
    originals: dict[Any, Any] = {}
    while _wrapped:
        owner, name, wrapper = _wrapped.pop()
        originals[wrapper] = wrapper.__wrapped__
        if getattr(owner, name) is wrapper:
            setattr(owner, name, wrapper.__wrapped__)
    # `from torch.library import register_autograd` has bound the wrapper.
    for name, module in list(sys.modules.items()):
        # A module that runs was there when it began to.
        if (name in _before and not _PACKED_MODULE.match(name)) or not isinstance(module, ModuleType):
            continue
        names = object.__getattribute__(module, "__dict__")
        for key, value in list(names.items()):
            if type(value) is FunctionType and value in originals:
                names[key] = originals[value]
    _before.clear()


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
        if wanted and not _wrapped:
            _wrap()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _wrapped:
                _unwrap()
