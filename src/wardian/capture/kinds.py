"""What is written for an instance that Python pickles wrongly or not at all, by its kind.

Each answer is for one kind of objects and knows nothing of the others; what is in the case, and under which
name, it asks of the capture.
"""

from __future__ import annotations

import contextlib
import contextvars
import copyreg
import ctypes
import dis
import enum
import functools
import logging
import os
import sys
import threading
import types
import typing
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wardian.capture.classes import Described
from wardian.capture.homes import CAPTURED, importable, is_at, is_importable, look_up, public_name
from wardian.capture.processes import answer_of_process
from wardian.environment import variables_of
from wardian.names import LOGGING_LIBRARIES, original_name

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["answer_for", "silences"]

_FUNCTION_LIKE = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)


class _LocalOperatorError(TypeError):
    """A custom operator is no global: an import of its module does not define it."""

    fix = "define the operator at the top level of a module or script"


def answer_for(capture: Capture, obj: Any) -> Any:
    """Return what the pickler is to write for *obj*, by its kind.

    Args:
        capture: Knows the names of what is in the case.
        obj: No class or function.

    Returns:
        A `Global`, a reduce tuple, or NotImplemented for what Python pickles rightly.
    """
    kind = type(obj)
    if kind is Described:
        proxy = capture.named("pydantic._internal._decorators", "PydanticDescriptorProxy")
        return proxy, (obj.wrapped, obj.decorator.info, obj.decorator.shim)
    if isinstance(obj, _FUNCTION_LIKE):
        return _builtin(capture, obj)
    if hasattr(kind, "_post_accumulate_grad_hooks") and (hooks := _hooks_of(obj)):
        return _with_hooks(capture, obj, hooks)
    if silences(obj):
        return _silent(capture, obj)
    if id(obj) in capture.streams:
        return capture.named("sys", capture.streams[id(obj)])
    answer = _ANSWERS.get(kind)
    if answer is not None:
        return answer(capture, obj)
    if isinstance(obj, _DESCRIPTORS):
        return _descriptor(capture, obj)
    if issubclass(kind, threading.local):  # what this thread has of it
        return copyreg.__newobj__, (kind,), dict(vars(obj)) or None  # type: ignore[attr-defined]
    of_process = answer_of_process(kind)
    if of_process is not None:
        return of_process(capture, obj)
    if isinstance(obj, logging.Logger):
        return _logger(capture, obj)
    if kind.__module__ == "torch.nn.utils.parametrize" and "__getstate__" in vars(kind):
        return _parametrized(capture, obj)
    if kind.__module__.startswith("torch.ao.nn.") and hasattr(kind, "get_qconv"):
        # Their state leaves out what `Module.__init__` sets; PyTorch's own copies begin with it, too:
        # https://github.com/pytorch/pytorch/blob/v2.8.0/torch/ao/nn/quantized/modules/conv.py#L236
        return kind, (1, 1, 1), obj.__getstate__()
    slots = _slots_of_module(obj)
    if slots:
        # `Module.__getstate__` and `__setstate__` know of `__dict__` alone.
        reduced = obj.__reduce_ex__(4)
        state = reduced[2][0] if isinstance(reduced[2], tuple) else reduced[2]
        return *reduced[:2], (state, slots), None, None, capture.helper("set_state_and_slots")
    if _is_forgotten_parameter(kind):
        return _of_class(capture, obj)
    if kind.__module__ == "torch._ops":
        return _operator(capture, obj)
    if kind.__module__ == "torch._library.custom_ops" and isinstance(
        function := getattr(obj, "_init_fn", None), types.FunctionType
    ):
        known = capture.global_in(function.__globals__, obj)
        if known is NotImplemented:
            raise _LocalOperatorError(f"{obj._qualname} is a custom operator that is defined in a function")  # noqa: SLF001
        return known
    if kind.__module__ == "torch.jit" and kind.__name__ == "ScriptFunction":
        original = getattr(obj, "_torchdynamo_inline", None)  # None if it was traced
        if original is None:
            return NotImplemented
        known = capture.global_in(original.__globals__, obj)
        return (capture.named("torch.jit", "script"), (original,)) if known is NotImplemented else known
    if kind.__module__ == "torch" and kind.__name__ in ("finfo", "iinfo"):
        return capture.named("torch", kind.__name__), (look_up("torch", obj.dtype),)
    if isinstance(getattr(kind, "__getattr__", None), types.FunctionType) and _is_plain(kind):
        return _with_getattr(capture, obj)
    if isinstance(obj, enum.Enum):
        return _member(capture, obj)
    if (sentinel := _sentinel(capture, obj)) is not None:
        return sentinel
    ordered = _sets_attributes(kind)
    if _has_state_of_its_own(kind):
        reduced = _with_own_state(capture, obj)
    elif ordered:
        reduced = obj.__reduce_ex__(4)
    else:
        # All that was asked is the same for the next instance, but for those that look at the object: at its
        # slots, at which stream it is, at the hooks of a tensor.
        looks = any("__slots__" in vars(cls) for cls in kind.__mro__) or hasattr(kind, "register_hook")
        if not looks and kind not in capture.stream_kinds:
            capture.left_to_python.add(kind)
        return NotImplemented
    return _in_order(capture, obj, reduced) if ordered else reduced


def silences(obj: Any) -> bool:
    """Tell whether an object is of a logging library, or is one: what notes nothing takes its place."""
    if isinstance(obj, types.ModuleType):
        return _is_of_logging_library(original_name(obj.__name__))
    return _logs(type(obj)) or _is_silent(type(obj))


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


def _with_hooks(capture: Capture, tensor: Any, hooks: dict[str, Any]) -> Any:
    """Write a tensor and set its hooks afterwards; note it if they cannot be packed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, that they are lost
        forgotten = _is_forgotten_parameter(type(tensor))
        reduced = _of_class(capture, tensor) if forgotten else tensor.__reduce_ex__(4)
    why = capture.why_not(hooks)
    if why is None and len(reduced) == 2:
        state = hooks, capture.named("torch.utils.hooks", "RemovableHandle")
        return *reduced, state, None, None, capture.helper("set_hooks")
    capture.note_unhooked(tensor, why or "its class has a state of its own")
    return reduced


def _with_getattr(capture: Capture, obj: Any) -> Any:
    """Set the state of an object without asking it for `__setstate__`.

    A `__getattr__` that looks into an attribute, which is not there before the state is set, would ask
    itself for ever.
    """
    reduced = obj.__reduce_ex__(4)
    if len(reduced) < 3 or reduced[2] is None:
        return NotImplemented
    parts = (*reduced, None, None)[:5]
    return *parts, capture.helper("set_state")


def _member(capture: Capture, member: enum.Enum) -> Any:
    """Return the name of a member of an enumeration whose value does not find it again.

    Python looks members up by value; `functools.partial(gelu)` is equal to no other.
    """
    by_value = isinstance(member._value_, str | bytes | int | float | complex | None)
    usual = type(member).__reduce_ex__ is enum.Enum.__reduce_ex__
    if by_value or not usual or member._name_ not in type(member).__members__:
        return NotImplemented
    return capture.named("operator", "getitem"), (type(member), member._name_)


def _sentinel(capture: Capture, obj: Any) -> Any:
    """Return the name of an object without state that its module keeps: it is looked for by `is`."""
    kind = type(obj)
    if not _is_plain(kind) or kind.__module__ == "builtins" or getattr(obj, "__dict__", None):
        return None
    if not is_importable(kind.__module__) or _slots_of(kind):
        return None
    names = (n for n, v in list(vars(sys.modules[kind.__module__]).items()) if v is obj and n.isidentifier())
    name = next(names, None)
    return None if name is None else capture.named(capture.rename(kind.__module__), name)


def _slots_of(kind: type) -> bool:
    return any(vars(cls).get("__slots__") for cls in kind.__mro__)


def _with_own_state(capture: Capture, obj: Any) -> Any:
    """Return how an object is pickled; if its `__getstate__` pickles parts itself, then with its attributes.

    What is pickled within a pickle names code where nobody can look for it: skorch so keeps its modules,
    and wrappers what they have pickled with cloudpickle.
    """
    try:
        reduced = obj.__reduce_ex__(4)
    except Exception as error:
        if "pickle" not in str(error):
            raise
    else:
        state = reduced[2] if len(reduced) > 2 else None
        own = {id(value) for value in vars(obj).values()}
        if not any(
            isinstance(part, bytes) and _is_pickle(part) and id(part) not in own
            for part in (state.values() if type(state) is dict else (state,))
        ):
            return reduced
    new = copyreg.__newobj__  # type: ignore[attr-defined]
    return new, (type(obj),), dict(vars(obj)), None, None, capture.helper("set_state")


def _is_pickle(data: bytes) -> bool:
    """Tell whether bytes look like a pickle, or like what `torch.save` writes."""
    return (data[:1] == b"\x80" and data[-1:] == b".") or data[:4] == b"PK\x03\x04"


def _in_order(capture: Capture, obj: Any, reduced: Any) -> Any:
    """Have attributes keep their order, though some of them are set before the others."""
    if not isinstance(reduced, tuple):
        return NotImplemented
    state, own = reduced[2] if len(reduced) > 2 else None, getattr(obj, "__dict__", None)
    if type(state) is not dict or type(own) is not dict or list(state) != [n for n in own if n in state]:
        return reduced
    parts = (*reduced, None, None, None)[:6]
    return reduced if parts[5] is not None else (*parts[:5], capture.helper("set_state_in_order"))


def _silent(capture: Capture, obj: Any) -> Any:
    """Return what takes the place of a run or a writer of a logging library: it notes nothing.

    Runs are those of the process that trains, and belong to servers, files and threads. What a model
    may read of one travels: its settings.
    """
    if _is_silent(type(obj)):
        return capture.helper("silent"), (obj.__dict__["_name"], obj.__dict__["_values"])
    name = obj.__name__ if isinstance(obj, types.ModuleType) else type(obj).__qualname__
    values: dict[str, Any] = {}
    if not isinstance(obj, types.ModuleType):
        with contextlib.suppress(Exception):  # whatever a library raises when it is asked
            settings = obj if hasattr(type(obj), "keys") else obj.config
            values = {str(key): settings[key] for key in settings.keys()}  # noqa: SIM118  not a dictionary
        if not all(capture.why_not(value) is None for value in values.values()):
            values = {}
        if not hasattr(type(obj), "keys"):
            values = {"config": values} if values else {}
    return capture.helper("silent"), (name, values)


def _logger(capture: Capture, logger: logging.Logger) -> Any:
    """Return the state of a logger that `logging.getLogger` does not know; others pickle by name."""
    if logger is logging.root or logging.Logger.manager.loggerDict.get(logger.name) is logger:
        return NotImplemented
    return copyreg.__newobj__, (type(logger),), dict(vars(logger))  # type: ignore[attr-defined]


def _context_variable(capture: Capture, variable: contextvars.ContextVar[Any]) -> Any:
    """Return the name of a context variable, which a module or script keeps."""
    found = capture.in_script(variable)
    if found is not None:
        return found
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType):
            variables = variables_of(module)
            path = next((key for key, value in list(variables.items()) if value is variable), None)
            if path is not None and is_importable(name):
                return capture.named(capture.rename(name), path)
            found = None if path is None else capture.in_globals(variables, variable)
            if found is not None:
                return found
    # Nothing tells the default, but what a new context has.
    default = contextvars.Context().run(_value_of, variable)
    value = _value_of(variable)
    same = len(default) == len(value) and all(d is v for d, v in zip(default, value, strict=True))
    return capture.helper("context_variable"), (variable.name, default, () if same else value)


def _library(capture: Capture, library: ctypes.CDLL) -> Any:
    """Return what loads a library of the system again.

    Raises:
        TypeError: if it is at a path of this machine.
    """
    name: str | None = library._name  # noqa: SLF001  it has no other
    if name is not None and os.path.dirname(name):
        raise TypeError(f"a library that ctypes loaded from {name}")
    return capture.named("ctypes", "CDLL"), (name,)


def _parametrized(capture: Capture, module: Any) -> Any:
    injectors = (
        capture.named(type(module).__module__, f"_inject_{what}") for what in ("new_class", "property")
    )
    base: Any = type(module).__bases__[0]
    arguments = (*injectors, base, tuple(module.parametrizations))
    return capture.helper("parametrized"), arguments, base.__getstate__(module)


def _builtin(capture: Capture, obj: Any) -> Any:
    owner = getattr(obj, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        if not isinstance(owner, type) or type(owner).__module__.startswith("torch"):
            return NotImplemented
        if importable(owner) is not None and not owner.__module__.startswith("torch._C"):
            return NotImplemented
    found = public_name(obj)
    return NotImplemented if found is None else capture.named(*found)


def _cell(capture: Capture, cell: types.CellType) -> Any:
    make = capture.named("types", "CellType")
    try:
        content = cell.cell_contents
    except ValueError:  # empty
        return make, ()
    return make, (), (content,), None, None, capture.helper("fill")


def _method(capture: Capture, method: types.MethodType) -> Any:
    name = getattr(method.__func__, "__name__", "")
    if getattr(type(method.__self__), name, None) is method.__func__ and name not in getattr(
        method.__self__, "__dict__", ()
    ):
        return NotImplemented
    if isinstance(method.__self__, type) and getattr(method.__self__, name, None) == method:
        return NotImplemented
    return capture.named("types", "MethodType"), (method.__func__, method.__self__)


def _forward_reference(capture: Capture, found: typing.ForwardRef) -> Any:
    arguments = (found.__forward_arg__, found.__forward_is_argument__, found.__forward_module__)
    return capture.named("typing", "ForwardRef"), arguments


def _reference(capture: Capture, reference: weakref.ref[Any]) -> Any:
    obj, callback = reference(), reference.__callback__
    if obj is None:
        return capture.helper("dead_reference"), ()
    return capture.named("weakref", "ref"), (obj,) if callback is None else (obj, callback)


def _proxy(capture: Capture, proxy: Any) -> Any:
    # A proxy hands the look-up of a method on: the method is bound to what it stands for.
    return capture.named("weakref", "proxy"), (proxy.__init__.__self__,)


def _weak_dictionary(capture: Capture, found: Any) -> Any:
    # Items are set after it was made, which may be one of them.
    return capture.named("weakref", type(found).__name__), (), None, None, iter(list(found.items()))


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


_DESCRIPTORS = (property, staticmethod, classmethod, functools.cached_property)


def _descriptor(capture: Capture, found: Any) -> Any:
    """Return what makes a property or the like, also of a class of the user's, which may have attributes."""
    kind: Any = type(found)
    if kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__:
        return NotImplemented
    base = next(base for base in _DESCRIPTORS if isinstance(found, base))
    state = dict(getattr(found, "__dict__", {}))
    arguments: tuple[Any, ...]
    if base is property:
        arguments = (found.fget, found.fset, found.fdel, found.__doc__)
    elif base is functools.cached_property:
        arguments = (state.pop("func", None),)
        state.pop("lock", None)  # before Python 3.12
    else:
        arguments = (found.__func__,)
        state = {
            name: value for name, value in state.items() if value is not getattr(found.__func__, name, state)
        }
    if kind is base:
        return (kind, arguments, state) if state and base is functools.cached_property else (kind, arguments)
    return capture.helper("descriptor"), (kind, base, *arguments), state or None


def _variable(capture: Capture, obj: Any) -> Any:
    """Return the name of a type variable or the like, which pickles by name."""
    found = importable(obj) or (obj.__module__, obj.__name__)
    if is_at(found[0], found[1], obj) and is_importable(found[0]):
        return NotImplemented if found[1] == obj.__name__ else capture.named(*found)
    known = capture.in_module(obj.__module__, obj)
    if known is not None:
        return known
    if type(obj).__name__ == "TypeAliasType":
        return capture.helper("alias"), (obj.__name__, obj.__value__, obj.__type_params__)
    if isinstance(obj, typing.NewType):
        return capture.named("typing", "NewType"), (obj.__name__, obj.__supertype__)
    return type(obj), (obj.__name__, *getattr(obj, "__constraints__", ()))


def _lru_cache(capture: Capture, obj: Any) -> Any:
    if importable(obj) is not None:
        return NotImplemented
    known = capture.in_globals(getattr(obj.__wrapped__, "__globals__", {}), obj)
    if known is not None:
        return known
    parameters = obj.cache_parameters()
    return capture.helper("cached"), (obj.__wrapped__, parameters["maxsize"], parameters["typed"])


def _is_of_logging_library(module: str) -> bool:
    return module.partition(".")[0] in LOGGING_LIBRARIES or module.startswith("torch.utils.tensorboard")


def _is_silent(kind: type) -> bool:
    """Tell whether a class is that of `capture.runtime` in a case that was loaded."""
    module = getattr(kind, "__module__", None)
    return (
        kind.__qualname__ == "Silent"
        and isinstance(module, str)
        and original_name(module) != module
        and original_name(module).partition("_")[0] == CAPTURED
    )


def _logs(kind: type) -> bool:
    module = getattr(kind, "__module__", None)
    return (
        isinstance(module, str)
        and _is_of_logging_library(module)
        and kind.__name__ in dir(sys.modules.get(module))  # installed, and no class of the user's
        and not issubclass(kind, BaseException)
    )


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


def _is_plain(kind: type) -> bool:
    """Tell whether Python's own way of pickling is that of a class."""
    own = ("__reduce__", "__reduce_ex__", "__getstate__")
    return not hasattr(kind, "__setstate__") and all(
        getattr(kind, name) is getattr(object, name) for name in own
    )


def _has_state_of_its_own(kind: type) -> bool:
    """Tell whether a class says what its state is, and nothing else of how it is pickled."""
    names = ("__reduce_ex__", "__reduce__", "__getnewargs_ex__", "__getnewargs__")
    usual = all(getattr(kind, name, None) is getattr(object, name, None) for name in names)
    return (
        usual
        and not issubclass(kind, dict | list)
        and kind not in copyreg.dispatch_table
        and not kind.__module__.startswith("torch.")
        and isinstance(getattr(kind, "__getstate__", None), types.FunctionType)
        and isinstance(getattr(kind, "__setstate__", None), types.FunctionType)
        and kind.__dictoffset__ != 0
    )


def _sets_attributes(kind: type) -> bool:
    """Tell whether what makes an instance again sets attributes one by one: `__init__`, `__setstate__`.

    Those of PyTorch keep the order.
    """
    known = _setting.get(kind)
    if known is None:
        known = _setting[kind] = _finds_setting(kind)
    return known


_setting: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()
"""What `_sets_attributes` has found out, which takes a look at bytecode."""


def _finds_setting(kind: type) -> bool:
    if kind in copyreg.dispatch_table or _is_own(kind, "__reduce_ex__"):
        return False
    if _is_own(kind, "__reduce__"):
        of_torch = (getattr(kind.__reduce__, "__module__", None) or "").startswith("torch.")
        return isinstance(getattr(kind, "__init__", None), types.FunctionType) and not of_torch
    if not isinstance(getattr(kind, "__setstate__", None), types.FunctionType):
        return False
    for cls in kind.__mro__:
        function = vars(cls).get("__setstate__")
        if isinstance(function, types.FunctionType) and not cls.__module__.startswith("torch."):
            names = function.__code__.co_names
            stored = (i.argval for i in dis.get_instructions(function) if i.opname == "STORE_ATTR")
            if any(name != "__dict__" for name in stored) or not {"setattr", "__setattr__"}.isdisjoint(names):
                return True
    return False


def _is_own(kind: type, name: str) -> bool:
    """Tell whether a class has a method that is not that of every object."""
    return getattr(kind, name) is not getattr(object, name)


def _value_of(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    """Return the value of a context variable here, or nothing."""
    try:
        return (variable.get(),)
    except LookupError:
        return ()


_ANSWERS: dict[type, Callable[[Capture, Any], Any]] = {
    types.CellType: _cell,
    types.MethodType: _method,
    types.MappingProxyType: lambda capture, proxy: (
        capture.named("types", "MappingProxyType"),
        (dict(proxy),),
    ),
    typing.TypeVar: _variable,
    typing.ParamSpec: _variable,
    typing.TypeVarTuple: _variable,
    typing.NewType: _variable,
    type(functools.lru_cache(len)): _lru_cache,
    # A lock that somebody holds says nothing about the object.
    type(threading.Lock()): lambda capture, lock: (capture.named("threading", "Lock"), ()),
    type(threading.RLock()): lambda capture, lock: (capture.named("threading", "RLock"), ()),
    typing.ForwardRef: _forward_reference,
    contextvars.ContextVar: _context_variable,
    ctypes.CDLL: _library,
    weakref.ref: _reference,
    weakref.WeakMethod: lambda capture, found: (capture.named("weakref", "WeakMethod"), (found(),)),
    weakref.ProxyType: _proxy,
    weakref.CallableProxyType: _proxy,
    weakref.WeakValueDictionary: _weak_dictionary,
    weakref.WeakKeyDictionary: _weak_dictionary,
    weakref.WeakSet: lambda capture, found: (capture.named("weakref", "WeakSet"), (list(found),)),
}
"""Class → what is written for its instances."""
if sys.version_info >= (3, 12):
    _ANSWERS[typing.TypeAliasType] = _variable
