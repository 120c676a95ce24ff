"""Objects that belong to the training of a model: they stay here, and the model is written as before it."""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wardian.pickling.reducers.row import Row
from wardian.wording import with_article

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["ROWS", "as_before", "is_nothing"]

_NOTHING = frozenset(
    # Lightning is in two distributions.
    {
        "lightning.fabric.fabric.Fabric",
        "lightning.pytorch.strategies.strategy.Strategy",
        "lightning.pytorch.trainer.trainer.Trainer",
        "lightning_fabric.fabric.Fabric",
        "pytorch_lightning.strategies.strategy.Strategy",
        "pytorch_lightning.trainer.trainer.Trainer",
    }
)
"""Classes that run a training. Instances hold data, optimizers and what the whole process has."""

_LIGHTNING_MODULE: dict[str, Callable[[], Any]] = {
    "_current_fx_name": types.NoneType,
    "_fabric": types.NoneType,
    "_fabric_optimizers": list,
    "_trainer": types.NoneType,
}
_BEFORE: dict[str, dict[str, Callable[[], Any]]] = {
    "lightning.pytorch.core.module.LightningModule": _LIGHTNING_MODULE,
    "pytorch_lightning.core.module.LightningModule": _LIGHTNING_MODULE,
}
"""Class → attributes that a training sets, and what makes the value that a new instance has."""


def _names_of(kind: type) -> list[str]:
    return [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]


_known: weakref.WeakKeyDictionary[type, tuple[bool, dict[str, Callable[[], Any]]]] = (
    weakref.WeakKeyDictionary()
)
"""Class → whether None takes the place of its instances, and its row of `_BEFORE`."""


def _look_up(kind: type) -> tuple[bool, dict[str, Callable[[], Any]]]:
    found = _known.get(kind)
    if found is None:
        names = _names_of(kind)
        before = next((_BEFORE[name] for name in names if name in _BEFORE), {})
        found = _known[kind] = not _NOTHING.isdisjoint(names), before
    return found


def is_nothing(obj: Any) -> bool:
    """Tell whether None takes the place of *obj* in a case."""
    return _look_up(type(obj))[0]


def as_before(obj: Any, answer: Any) -> Any:
    """Return *answer*, what is written for *obj*, with attributes as they are before a training."""
    before = _look_up(type(obj))[1]
    if not before:
        return answer
    reduced = obj.__reduce_ex__(4) if answer in (None, NotImplemented) else answer
    if not isinstance(reduced, tuple) or len(reduced) < 3:
        return answer
    state, *slots = reduced[2] if isinstance(reduced[2], tuple) else (reduced[2],)
    if type(state) is not dict:
        return answer
    state = {name: before[name]() if name in before else value for name, value in state.items()}
    return *reduced[:2], (state, *slots) if slots else state, *reduced[3:]


def _nothing(capture: Capture, obj: Any) -> Any:
    capture.note_ended(
        f"{with_article(type(obj).__qualname__)} is None in the case: it belongs to the training here"
    )
    return _none(capture, obj)


def _none(capture: Capture, obj: Any) -> Any:
    return capture.named("types", "NoneType"), ()


_PROXIES = (weakref.ProxyType, weakref.CallableProxyType)

ROWS = (
    Row(is_nothing, _nothing),
    Row(lambda obj: type(obj) is types.MethodType and is_nothing(obj.__self__), _none),
    # A proxy hands the look-up of a method on: the method is bound to what it stands for.
    Row(lambda obj: type(obj) in _PROXIES and is_nothing(obj.__init__.__self__), _none),
    Row(
        lambda obj: type(obj) is weakref.ref and is_nothing(obj()),
        lambda capture, reference: (capture.helper("dead_reference"), ()),
    ),
)
