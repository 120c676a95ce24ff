"""The tables of the process in which packed code registers things that keep its modules.

One list, `TABLES`, with the reason for each. A table is known to Python's collector and can be looked into,
so that `wardian.loading.closing.leftovers` can take an entry out and put it back. What is registered where
that is not so is in `wardian.loading.registering.lifetimes`.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
import types
import warnings
from collections.abc import Collection, Iterator
from typing import Any, Protocol

from wardian.domain.live_names import full_name, is_live, mount_of
from wardian.domain.names import top_level
from wardian.environment.modules import is_module, variables_of
from wardian.loading.registering.lifetimes import libraries, modules_of

__all__ = ["HOOKING", "HOOKS", "Hook", "OPERATORS", "TABLES", "Table", "forget_hooks", "note_hooks"]


class Table(Protocol):
    """A table, or several of one kind. Looking at it changes nothing."""

    def entries(self) -> Iterator[tuple[Any, Any]]:
        """Yield (handle, value) of each entry: what the two functions below want, what the entry is for."""

    def take_out(self, handle: Any, value: Any) -> None:
        """Take an entry out; nothing happens if it is not there any more."""

    def put_back(self, handle: Any, value: Any) -> None:
        """Put back what `take_out` took out, unless there is something in its place by now."""


def _look_up(module: str, path: str) -> Any:
    """Return what *path* names in a module, or None if it is not there, or the module not imported."""
    found: Any = sys.modules.get(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


class _Named:
    """A table by where it is found."""

    def __init__(self, module: str, path: str) -> None:
        self._place = module, path

    def _table(self) -> Any:
        return _look_up(*self._place)


class _Dictionary(_Named):
    def entries(self) -> Iterator[tuple[Any, Any]]:
        table = self._table()
        if isinstance(table, dict):
            for key, value in list(table.items()):
                yield (table, key), (key, value)

    def take_out(self, handle: Any, value: Any) -> None:
        table, key = handle
        table.pop(key, None)

    def put_back(self, handle: Any, value: Any) -> None:
        table, key = handle
        table.setdefault(key, value[1])


class _List(_Named):
    def lists(self) -> Iterator[list[Any]]:
        found = self._table()
        if isinstance(found, list):
            yield found

    def entries(self) -> Iterator[tuple[Any, Any]]:
        for found in self.lists():
            for index, value in enumerate(found):
                yield (found, index), value

    def take_out(self, handle: Any, value: Any) -> None:
        found, _ = handle
        for index, other in enumerate(found):
            if other is value:
                del found[index]
                return

    def put_back(self, handle: Any, value: Any) -> None:
        found, index = handle
        found.insert(index, value)


class _Set(_Named):
    def entries(self) -> Iterator[tuple[Any, Any]]:
        table = self._table()
        if isinstance(table, set):
            for value in list(table):
                yield table, value

    def take_out(self, handle: Any, value: Any) -> None:
        handle.discard(value)

    def put_back(self, handle: Any, value: Any) -> None:
        handle.add(value)


class _Generic:
    """Functions of `functools.singledispatch`; that of a foreign module keeps what packed code registers.

    Modules are looked through once: such a function is made when its module is imported.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._functions: list[Any] = []

    def entries(self) -> Iterator[tuple[Any, Any]]:
        for name, module in sys.modules.copy().items():
            is_packed = is_live(name)
            if name not in self._seen and not is_packed and is_module(module):
                self._seen.add(name)
                self._functions += _generic_functions(variables_of(module), name)
        for function in self._functions:
            (registry,) = gc.get_referents(function.registry)
            for key, value in list(registry.items()):
                yield (function, registry, key), (key, value)

    def take_out(self, handle: Any, value: Any) -> None:
        function, registry, key = handle
        registry.pop(key, None)
        function._clear_cache()  # noqa: SLF001  as its `register` does

    def put_back(self, handle: Any, value: Any) -> None:
        function, registry, key = handle
        registry.setdefault(key, value[1])
        function._clear_cache()  # noqa: SLF001


def _generic_functions(scope: dict[str, Any], module: str) -> list[Any]:
    return [
        value
        for value in list(scope.values())
        if type(value) is types.FunctionType
        and value.__module__ == module
        and isinstance(vars(value).get("registry"), types.MappingProxyType)
        and "_clear_cache" in vars(value)
    ]


class _Loggers:
    """The loggers of packed modules, named like them; `logging` keeps every logger, and it its handlers."""

    def entries(self) -> Iterator[tuple[Any, Any]]:
        for name, logger in list(logging.root.manager.loggerDict.items()):
            if is_live(name) and isinstance(logger, logging.Logger):
                yield name, logger

    def take_out(self, handle: Any, value: Any) -> None:
        table = logging.root.manager.loggerDict
        if table.get(handle) is value:
            del table[handle]
        for other in list(table.values()):
            if isinstance(other, logging.PlaceHolder) and value in other.loggerMap:
                del other.loggerMap[value]

    def put_back(self, handle: Any, value: Any) -> None:
        manager = logging.root.manager
        if handle not in manager.loggerDict:
            manager.loggerDict[handle] = value
            manager._fixupParents(value)  # type: ignore[attr-defined]  # noqa: SLF001  as `getLogger` does


class _Handlers(_List):
    """Handlers and filters that packed code has given to loggers of others."""

    def __init__(self) -> None:
        pass

    def lists(self) -> Iterator[list[Any]]:
        for logger in (logging.root, *logging.root.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                yield logger.handlers
                yield logger.filters


class _Symbolics:
    """`torch.onnx.register_custom_op_symbolic`, which torchvision calls at import."""

    def entries(self) -> Iterator[tuple[Any, Any]]:
        registry = _look_up("torch.onnx._internal.torchscript_exporter.registration", "registry._registry")
        for group in registry.values() if isinstance(registry, dict) else ():
            functions = getattr(group, "_functions", None)
            for version, function in list(getattr(functions, "_overrides", {}).items()):
                yield (functions, version), function

    def take_out(self, handle: Any, value: Any) -> None:
        functions, version = handle
        functions.remove_override(version)

    def put_back(self, handle: Any, value: Any) -> None:
        functions, version = handle
        if not functions.overridden(version):
            functions.override(version, value)


class _Compiled:
    """Types that `torch.jit.script` has compiled, by class of module; it compiles again a type that it lacks.

    Nobody may keep a type in order to put it back: it holds the class out of the collector's sight.
    """

    def entries(self) -> Iterator[tuple[Any, Any]]:
        store = _look_up("torch.jit._recursive", "concrete_type_store")
        for packed in list(getattr(store, "type_store", ())):
            yield store, packed

    def take_out(self, handle: Any, value: Any) -> None:
        handle.methods_compiled.difference_update(handle.type_store.pop(value, ()))

    def put_back(self, handle: Any, value: Any) -> None:
        pass


class _Operators:
    """Names that `torch.ops` remembers of operators that packed code defines.

    A name is found again when somebody asks. Who holds an operator holds its library (`hold_libraries`); the
    names must not.
    """

    def entries(self) -> Iterator[tuple[Any, Any]]:
        ops = _look_up("torch", "ops")
        for library in list(libraries):
            for qualified in list(library._op_defs):  # noqa: SLF001  nothing public tells
                namespace, _, name = qualified.partition("::")
                noted = vars(ops).get(namespace)
                packet = None if noted is None else vars(noted).get(top_level(name))
                if packet is not None:
                    yield (vars(noted), top_level(name), packet), library

    def take_out(self, handle: Any, value: Any) -> None:
        noted, name, _ = handle
        noted.pop(name, None)
        # Whoever goes through a namespace, as torch.export does, would ask for what is not there.
        if name in noted["_dir"]:
            noted["_dir"].remove(name)

    def put_back(self, handle: Any, value: Any) -> None:
        noted, name, packet = handle
        noted.setdefault(name, packet)
        if name not in noted["_dir"]:
            noted["_dir"].append(name)

    def hold_libraries(self, prefixes: tuple[str, ...]) -> None:
        """Let operators hold the libraries of packed code that define them; without, a call is a crash."""
        for (_, _, packet), library in self.entries():
            if any(scope["__name__"].startswith(prefixes) for scope in modules_of(library)):
                held = vars(packet).setdefault("__wardian_libraries__", [])
                if not any(other is library for other in held):
                    held.append(library)


class Hook:
    """A place for one function, which a library replaces by its own: what was there before comes back.

    Args:
        module: The module that has it.
        name: Its name there.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        self.former: dict[str, Any] = {}
        """By the full name of a mount: what was there before its code ran."""

    def current(self) -> Any:
        """Return the function that is there now, or None."""
        return _look_up(self.module, self.name)

    def set(self, function: Any) -> None:
        """Put a function there."""
        *path, name = self.name.split(".")
        setattr(_look_up(self.module, ".".join(path)) if path else sys.modules[self.module], name, function)

    def entries(self) -> Iterator[tuple[Any, Any]]:
        """See `Table`."""
        current = self.current()
        for function in _packed_parts(current):
            mount = full_name(mount_of(str(function.__module__)))
            if self.former.get(mount) is not None:  # None: C code handles that signal
                yield mount, current

    def take_out(self, handle: Any, value: Any) -> None:
        """See `Table`."""
        if self.current() is value:
            self.set(self.former[handle])

    def put_back(self, handle: Any, value: Any) -> None:
        """See `Table`."""
        if self.current() is self.former[handle]:
            self.set(value)


class _Signal(Hook):
    def __init__(self, number: signal.Signals) -> None:
        super().__init__("signal", "signal")
        self._number = number

    def current(self) -> Any:
        return signal.getsignal(self._number)

    def set(self, function: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(self._number, function)


def _packed_parts(value: Any) -> tuple[Any, ...]:
    """Return the packed function or class that *value* is, or is of, if it is any."""
    for found in (value, getattr(value, "__func__", None), type(value)):
        if is_live(getattr(found, "__module__", "")):
            return (found,)
    return ()


HOOKS: tuple[Hook, ...] = (
    *(Hook("sys", name) for name in ("excepthook", "unraisablehook", "displayhook", "breakpointhook")),
    Hook("threading", "excepthook"),
    Hook("warnings", "showwarning"),
    Hook("warnings", "formatwarning"),
    Hook("logging", "_loggerClass"),
    Hook("logging", "Logger.manager.loggerClass"),
    Hook("logging", "_logRecordFactory"),
    *(_Signal(number) for number in sorted(signal.valid_signals()) if isinstance(number, signal.Signals)),
)
"""Places for one function."""
HOOKING = frozenset(
    {"excepthook", "unraisablehook", "displayhook", "breakpointhook", "showwarning", "formatwarning"}
    | {"setLoggerClass", "setLogRecordFactory", "signal"}
)
"""Names without which no code gets at one."""


def note_hooks(mount: str) -> None:
    """Note what is in the places for one function before code of *mount* runs, given by its full name."""
    for hook in HOOKS:
        current = hook.current()
        if not any(str(function.__module__).startswith(f"{mount}.") for function in _packed_parts(current)):
            hook.former[mount] = current


def forget_hooks(mounts: Collection[str]) -> None:
    """Forget what was noted for all mounts but these."""
    for hook in HOOKS:
        for mount in hook.former.keys() - mounts:
            del hook.former[mount]


class _WarningFilters(_List):
    """Filters of warnings for classes of packed code."""

    def take_out(self, handle: Any, value: Any) -> None:
        super().take_out(handle, value)
        _filters_changed()

    def put_back(self, handle: Any, value: Any) -> None:
        super().put_back(handle, value)
        _filters_changed()


def _filters_changed() -> None:
    changed = getattr(warnings, "_filters_mutated", None)  # the C code has a copy otherwise
    if changed is not None:
        changed()


OPERATORS = _Operators()
TABLES: tuple[Table, ...] = (
    # How objects are copied and pickled.
    _Dictionary("copyreg", "dispatch_table"),
    _Dictionary("multiprocessing.reduction", "ForkingPickler._extra_reducers"),
    _Set("torch._weights_only_unpickler", "_marked_safe_globals_set"),
    _List("torch.serialization", "_package_registry"),
    # How containers are taken apart: pytrees, batches.
    _Dictionary("torch.utils._pytree", "SERIALIZED_TYPE_TO_PYTHON_TYPE"),
    _Dictionary("torch.utils._pytree", "SUPPORTED_NODES"),
    _Dictionary("torch.utils._pytree", "SUPPORTED_SERIALIZED_TYPES"),
    _Dictionary("torch.utils.data._utils.collate", "default_collate_fn_map"),
    _Dictionary("torch.utils.data.datapipes.datapipe", "IterDataPipe.functions"),
    _Dictionary("torch.utils.data.datapipes.datapipe", "MapDataPipe.functions"),
    # What is dispatched by type.
    _Generic(),
    _Dictionary("torch.distributions.kl", "_KL_MEMOIZE"),
    _Dictionary("torch.distributions.kl", "_KL_REGISTRY"),
    _Dictionary("torch.distributions.constraint_registry", "biject_to._registry"),
    _Dictionary("torch.distributions.constraint_registry", "transform_to._registry"),
    # Tracing and compiling. `torch.jit` finds classes by what they were compiled to.
    _Dictionary("torch.fx._symbolic_trace", "_wrapped_fns_to_patch"),
    _Set("torch.fx.node", "_side_effectful_functions"),
    _Dictionary("torch._jit_internal", "_overloaded_fns"),
    _Dictionary("torch._jit_internal", "_overloaded_methods"),
    _Dictionary("torch.jit._state", "_name_to_pyclass"),
    _Dictionary("torch.jit._state", "_script_classes"),
    _Dictionary("torch._decomp", "decomposition_table"),
    _Dictionary("torch._decomp", "meta_table"),
    _Dictionary("torch._decomp", "pre_autograd_decomposition_table"),
    _Compiled(),
    _Symbolics(),
    # Operators: libraries that PyTorch keeps, which hold the functions
    # (`wardian.loading.registering.lifetimes`).
    _List("torch.library", "_keep_alive"),
    _Dictionary("torch._library.custom_ops", "OPDEF_TO_LIB"),
    OPERATORS,
    # Hooks of all modules and optimizers.
    *(
        _Dictionary("torch.nn.modules.module", f"_global_{name}_hooks")
        for name in (
            *("backward", "backward_pre", "forward", "forward_pre"),
            *("buffer_registration", "module_registration", "parameter_registration"),
        )
    ),
    _Dictionary("torch.optim.optimizer", "_global_optimizer_pre_hooks"),
    _Dictionary("torch.optim.optimizer", "_global_optimizer_post_hooks"),
    # The interpreter.
    _List("sys", "meta_path"),
    _List("sys", "path_hooks"),
    _Dictionary("sys", "path_importer_cache"),
    _List("gc", "callbacks"),
    _WarningFilters("warnings", "filters"),
    _Loggers(),
    _Handlers(),
    *HOOKS,
)
