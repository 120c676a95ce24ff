"""Objects of PyTorch that forget, when they are pickled, what they are or hold."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wardian.capture.homes import look_up
from wardian.pickling.reducers.row import Row

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["ROWS"]


class _TracedFunctionError(TypeError):
    """A traced function has neither the source that it does, nor a record of its own."""

    fix = "trace it as the forward of a torch.nn.Module, or leave it to the receiver to trace it"


class _LocalOperatorError(TypeError):
    """A custom operator is no global: an import of its module does not define it."""

    fix = "define the operator at the top level of a module or script"


def _of_class(capture: Capture, obj: Any) -> Any:
    make, arguments = obj.__reduce_ex__(4)[:2]
    return capture.helper("of_class"), (type(obj), make, *arguments)


_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def _hooks_of(tensor: Any) -> dict[str, Any]:
    """Return the hooks of a tensor, but for those that say that they need not be kept.

    PyTorch warns of the first kind, but not of those of parameters, and knows no way to keep any:
    https://github.com/pytorch/pytorch/blob/v2.8.0/torch/utils/hooks.py#L94
    """
    found = {}
    for name in _HOOKS:
        hooks = getattr(tensor, name, None) or {}
        kept = {number: h for number, h in hooks.items() if not hasattr(h, "__torch_unserializable__")}
        if kept:  # the dictionary itself, to which handles refer
            found[name] = hooks if len(kept) == len(hooks) else type(hooks)(kept)
    return found


def _with_hooks(capture: Capture, tensor: Any) -> Any:
    """Write a tensor and set its hooks afterwards; note it if they cannot be packed."""
    hooks = _hooks_of(tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, that they are lost
        forgotten = _is_forgotten_parameter(type(tensor))
        reduced = _of_class(capture, tensor) if forgotten else tensor.__reduce_ex__(4)
    why = capture.why_not(hooks)
    if why is None and len(reduced) == 2:
        state = hooks, capture.named("torch.utils.hooks", "RemovableHandle")
        return *reduced, state, None, None, capture.helper("set_hooks")
    why = why or "its class has a state of its own"
    capture.note_loss(tensor, f"loses its hooks in the case, because they cannot be packed: {why}")
    return reduced


def _parametrized(capture: Capture, module: Any) -> Any:
    injectors = (
        capture.named(type(module).__module__, f"_inject_{what}") for what in ("new_class", "property")
    )
    base: Any = type(module).__bases__[0]
    arguments = (*injectors, base, tuple(module.parametrizations))
    return capture.helper("parametrized"), arguments, base.__getstate__(module)


def _operator(capture: Capture, operator: Any) -> Any:
    """Return the name of an operator: `torch.ops.aten.relu`, or `torch.ops.aten.relu.default`."""
    name = str(operator)
    if name.partition(".")[0] not in ("aten", "prim", "prims"):
        capture.require_operators(name.partition(".")[0])
    try:
        found = look_up("torch", f"ops.{name}")
    except AttributeError:
        return NotImplemented
    return capture.named("torch", f"ops.{name}") if found is operator else NotImplemented


def _is_forgotten_parameter(kind: type) -> bool:
    """Tell whether PyTorch pickles an instance as a plain `Parameter` with the same attributes.

    See `Parameter.__reduce_ex__`: https://github.com/pytorch/pytorch/blob/v2.8.0/torch/nn/parameter.py#L75
    """
    reduce: Any = kind.__reduce_ex__
    if getattr(reduce, "__module__", None) != "torch.nn.parameter" or kind.__module__.startswith("torch."):
        return False
    base = next((c for c in kind.__mro__ if vars(c).get("__reduce_ex__") is reduce), kind)
    # Objects of a class with slots cannot be given it afterwards.
    return base.__name__ == "Parameter" and base is not kind and base.__basicsize__ == kind.__basicsize__


def _slots_of_module(obj: Any) -> dict[str, Any]:
    """Return what a `torch.nn.Module` has in `__slots__`."""
    mro = type(obj).__mro__
    if not any(cls.__module__ == "torch.nn.modules.module" for cls in mro):
        return {}
    return {
        name: getattr(obj, name)
        for cls in mro
        if "__slots__" in vars(cls)
        for name, value in vars(cls).items()
        if isinstance(value, types.MemberDescriptorType) and hasattr(obj, name)
    }


def _quantized(capture: Capture, module: Any) -> Any:
    # Their state leaves out what `Module.__init__` sets; PyTorch's own copies begin with it, too:
    # https://github.com/pytorch/pytorch/blob/v2.8.0/torch/ao/nn/quantized/modules/conv.py#L236
    return type(module), (1, 1, 1), module.__getstate__()


def _with_slots(capture: Capture, module: Any) -> Any:
    """Write the slots of a module: `Module.__getstate__` and `__setstate__` know of `__dict__` alone."""
    reduced = module.__reduce_ex__(4)
    state = reduced[2][0] if isinstance(reduced[2], tuple) else reduced[2]
    slots = _slots_of_module(module)
    return *reduced[:2], (state, slots), None, None, capture.helper("set_state_and_slots")


def _custom_operator(capture: Capture, operator: Any) -> Any:
    function = getattr(operator, "_init_fn", None)
    if not isinstance(function, types.FunctionType):
        return None
    known = capture.global_in(function.__globals__, operator)
    if known is NotImplemented:
        raise _LocalOperatorError(f"{operator._qualname} is a custom operator that is defined in a function")  # noqa: SLF001
    return known


def _script_function(capture: Capture, function: Any) -> Any:
    original = getattr(function, "_torchdynamo_inline", None)
    if original is None:
        return NotImplemented
    known = capture.global_in(getattr(original, "__globals__", {}), function)
    if known is not NotImplemented:
        return known
    if not _is_scripted(function, original):
        # Scripting what it was traced from would give another function, which has all branches.
        raise _TracedFunctionError("PyTorch has no way to pickle a function that was traced")
    return capture.named("torch.jit", "script"), (original,)


def _is_scripted(function: Any, original: Any) -> bool:
    """Tell whether `torch.jit.script` made a function; `torch.jit.trace` notes where one is from as well."""
    if "__name__" in vars(function):
        return True
    known = look_up("torch.jit._state", "_try_get_jit_cached_function")(original)  # scripted again
    return known is not None and known.qualified_name == function.qualified_name


def _limits(capture: Capture, limits: Any) -> Any:
    return capture.named("torch", type(limits).__name__), (look_up("torch", limits.dtype),)


def _is_parametrized(obj: Any) -> bool:
    return type(obj).__module__ == "torch.nn.utils.parametrize" and "__getstate__" in vars(type(obj))


def _is_quantized(obj: Any) -> bool:
    return type(obj).__module__.startswith("torch.ao.nn.") and hasattr(type(obj), "get_qconv")


def _is_named(module: str, *names: str) -> Callable[[Any], bool]:
    """Return what tells whether an object is of one of these classes, or of any class of the module."""
    return lambda obj: type(obj).__module__ == module and (not names or type(obj).__name__ in names)


ROWS = (
    Row(lambda obj: hasattr(type(obj), "_post_accumulate_grad_hooks") and _hooks_of(obj), _with_hooks),
    Row(_is_parametrized, _parametrized),
    Row(_is_quantized, _quantized),
    Row(_slots_of_module, _with_slots),
    Row(lambda obj: _is_forgotten_parameter(type(obj)), _of_class),
    Row(_is_named("torch._ops"), _operator),
    Row(_is_named("torch._library.custom_ops"), _custom_operator),
    Row(_is_named("torch.jit", "ScriptFunction"), _script_function),
    Row(_is_named("torch", "finfo", "iinfo"), _limits),
)
