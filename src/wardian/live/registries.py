"""PyTorch's process-wide registries, when a second copy of a library registers the same things.

Operators, pytree nodes and the like have one table per process. A packed library registers there when its
modules run, as the installed one does; where both are loaded, or two cases pack the same library, the
second registration would fail. While a packed module runs, a registration *it* makes that another copy
has made before counts as done: the first one stays. The functions are put back when the module has run.
Reason and scope: docs/reference/behaviour.md.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["tolerate_second_copies"]

_lock = threading.RLock()
_depth = 0
_originals: list[tuple[Any, str, Any]] = []

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


def _targets() -> Iterator[tuple[Any, str]]:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    library = torch.library.Library
    yield library, "__init__"
    for name in ("define", "impl", "fallback", "_register_fake", "_register_torch_dispatch_rule"):
        if hasattr(library, name):
            yield library, name
    pytree = sys.modules.get("torch.utils._pytree")
    if pytree is not None:
        for name in (
            "register_pytree_node",
            "_register_pytree_node",
            "register_constant",
            "register_dataclass",
        ):
            if hasattr(pytree, name):
                yield pytree, name
    yield torch.library, "register_autograd"


@contextmanager
def tolerate_second_copies(module: str) -> Iterator[None]:
    """Let packed *module* register, while it runs, what another copy of its library has registered."""
    global _depth  # noqa: PLW0603  the functions that are replaced are global, too
    with _lock:
        _depth += 1
        if _depth == 1:
            for owner, name in _targets():
                original = getattr(owner, name)
                _originals.append((owner, name, original))
                wrap = _fragment_if_taken if name == "__init__" else _tolerant
                setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                while _originals:
                    owner, name, original = _originals.pop()
                    setattr(owner, name, original)
