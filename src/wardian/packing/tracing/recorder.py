"""Record, in a clean process, what loading and running an object imports and opens."""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from types import CodeType, FrameType, ModuleType
from typing import Any, cast

from wardian.domain.live_names import is_live
from wardian.domain.modules import is_stdlib
from wardian.domain.names import LOGGING_LIBRARIES, ModuleName, normalised, top_level
from wardian.domain.trace import Evidence, ObservedImport
from wardian.environment.distributions import Distributions
from wardian.environment.modules import known_attribute, variables_of
from wardian.packing.tracing.guards import IMPORTS, METADATA, Seen, find_handler

__all__ = ["Recorder", "forget_packable"]


def forget_packable() -> None:
    """Forget the modules that PyTorch or Wardian imported and that may be packed, such as those of tqdm.

    The object imports them anew, and what that imports, asks for and reads is seen. Compiled ones stay: they
    are not packed, and some cannot be imported twice; so do backends of PyTorch, which register themselves.
    """
    distributions = Distributions.current()
    stays = {*distributions.closure("torch"), "wardian"}
    backends = {ModuleName(entry.module) for entry in importlib.metadata.entry_points(group="torch.backends")}
    tops = {top_level(name) for name in sys.modules} - {top_level(name) for name in backends}
    owners = {
        top: distributions.owner(top, known_attribute(sys.modules.get(top), "__file__"))
        for top in tops
        if not is_stdlib(top)
    }
    for name, module in sys.modules.copy().items():
        if _is_compiled(module):
            stays.add(owners.get(top_level(name)) or "")
    for name in list(sys.modules):
        owner = owners.get(top_level(name))
        if owner is not None and owner not in stays:
            del sys.modules[name]


def _is_compiled(module: ModuleType) -> bool:
    origin = getattr(known_attribute(module, "__spec__"), "origin", None)
    return isinstance(origin, str) and origin.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


_READING_CODE = frozenset({"linecache", "tokenize"})

_CHECKING = frozenset({"wardian.environment.cache", "wardian.loading.importing.files"})
"""Modules that check and lay down files of open cases."""
_SHIMS = "wardian.loading.importing.shims."


def _name_of_nearest(frame: FrameType | None) -> str:
    """Return the name of the module whose code is nearest to *frame* and not of the standard library."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if top_level(name) not in sys.stdlib_module_names:
            return name
        frame = frame.f_back
    return ""


def _is_for_wardian(importer: str, imported: str) -> bool:
    """Tell whether an import is that of a library by Wardian's own code, which runs when a case is loaded."""
    if top_level(importer) != "wardian" or is_live(importer):
        return False
    return top_level(imported) not in ("wardian", "torch") and not is_stdlib(ModuleName(top_level(imported)))


def _past_shims(frame: FrameType) -> FrameType:
    """Return the frame of the code that calls: what is packed in an open case calls by way of its shims."""
    while str(frame.f_globals.get("__name__", "")).startswith(_SHIMS) and frame.f_back is not None:
        frame = frame.f_back
    return frame


class Recorder:
    """Watch imports, opened files and loaded libraries of this process.

    It replaces `builtins.__import__`, `importlib.import_module` and `importlib.util.find_spec` while it
    records, and adds an audit hook that stays; so it belongs in a process that ends after it.
    """

    def __init__(self) -> None:
        self._imports: set[ObservedImport] = set()
        self._rewritten: dict[tuple[str, int], str] = {}
        self._absent: set[str] = set()
        self._files: set[str] = set()
        self._asked: set[str] = set()
        self._demands: set[ObservedImport] = set()
        self._checked: set[str] = set()
        self._places: set[tuple[CodeType, int]] = set()
        self._ours: set[str] = set()
        """Modules that Wardian's own code imported first: to load a case it may need some."""
        self._pending: dict[str, dict[frozenset[str], list[Callable[[], None]]]] = {}
        """Notes to make if a module, by its name, is imported again where nobody handles these errors."""
        self._importing: list[tuple[str, FrameType]] = []
        """The imports that are under way, each with the frame of the code that asks for it."""
        self._until: FrameType | None = None
        self._seen = Seen()
        """The frames that the last search for a handler has looked at."""
        self._recording = False
        self._before: frozenset[str] | None = None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record while the block runs. Another block goes on with it."""
        originals = builtins.__import__, importlib.import_module, importlib.util.find_spec
        distribution = importlib.metadata.distribution
        if self._before is None:
            self._before = frozenset(sys.modules)
            sys.addaudithook(self._audit)
        self._until = sys._getframe(2)  # noqa: SLF001  whose handlers are those of this process
        builtins.__import__ = self._wrap_import(originals[0])
        importlib.import_module = self._wrap_import_module(originals[1])
        importlib.util.find_spec = self._wrap_find_spec(originals[2])
        importlib.metadata.distribution = self._wrap_distribution(distribution)
        sys.meta_path.insert(0, self)
        self._recording = True
        try:
            yield
        finally:
            self._recording = False
            self._until = None
            sys.meta_path.remove(self)
            builtins.__import__, importlib.import_module, importlib.util.find_spec = originals
            importlib.metadata.distribution = distribution

    def evidence(
        self, *, libraries: Iterable[str], operators: Iterable[str], schemas: Iterable[str], ran: bool
    ) -> Evidence:
        """Return what was recorded.

        Args:
            libraries: Shared libraries that were mapped while it was recorded.
            operators: Those that registered operators.
            schemas: The schemas of these operators.
            ran: Whether the object was called.
        """
        asked_for = {top_level(edge.imported) for edge in self._imports}
        ours = {name for name in self._ours if top_level(name) not in asked_for}
        new = sys.modules.keys() - (self._before or ()) - ours
        asked = {edge.imported for edge in self._imports if edge.imported in sys.modules}
        return Evidence(
            modules=tuple(sorted(new | asked)),
            imports=tuple(sorted(self._imports)),
            absent=tuple(sorted(self._absent)),
            files=tuple(sorted(_with_real_names(self._files))),
            libraries=tuple(sorted(libraries)),
            operators=tuple(sorted(operators)),
            schemas=tuple(sorted(schemas)),
            ran=ran,
            used=tuple(
                sorted(
                    _used_by(
                        sys.modules[name]
                        for name in new
                        if name in sys.modules and top_level(name) not in LOGGING_LIBRARIES
                    )
                )
            ),
            asked=tuple(sorted(self._asked)),
            demands=tuple(sorted(self._demands)),
            checked=tuple(sorted(self._checked)),
        )

    @property
    def files(self) -> set[str]:
        """The files and folders that code looked at."""
        return self._files

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Find nothing; note what is imported by none of the ways that are watched.

        A compiled module imports by the interpreter's own functions.
        """
        asked = self._importing[-1][0] if self._importing else ""
        if self._recording and not f"{asked}.".startswith(f"{name}.") and not name.startswith(f"{asked}."):
            frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
            while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
                frame = frame.f_back
            if frame is not None:
                self._note(str(frame.f_globals.get("__name__", "")), name, frame.f_lineno)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._recording:
            return
        if event in ("open", "os.listdir", "os.scandir"):
            # The import system lists folders and reads code; that is not the code looking at files. Nor is it
            # that when the files of an open case are checked before code may look at them.
            caller = sys._getframe(1)  # noqa: SLF001
            if caller.f_code.co_filename.startswith("<frozen importlib"):
                return
            if _name_of_nearest(caller) in _CHECKING:
                return
            path = arguments[0]
            # Reading code is import, not a look at files; writing is none of our business.
            writes = event == "open" and isinstance(arguments[1], str) and not arguments[1].startswith("r")
            if isinstance(path, str | os.PathLike) and not writes:
                text = os.path.abspath(os.fspath(path))
                # Whoever wants the lines of code, for a message or a compiler, gets them of a case otherwise.
                is_code = text.endswith(".py") and caller.f_globals.get("__name__") in _READING_CODE
                if not text.endswith(".pyc") and not is_code:
                    self._files.add(text)
        elif event == "ctypes.dlopen" and isinstance(arguments[0], str) and os.path.isfile(arguments[0]):
            self._files.add(os.path.abspath(arguments[0]))

    def note_need(self, top: str) -> None:
        """Note what PyTorch cannot do without in the run, though it imports it beforehand."""
        self._demands.add(ObservedImport("torch", top, 0))

    def _demand(self, importer: str, imported: str, frame: FrameType, *, by_statement: bool) -> None:
        """Note an import that fails, and nothing goes on, if what it names is not there."""
        top = top_level(imported)
        own = top_level(importer)
        # Without a soft extern an import fails, but for a statement at module level of a packed module, which
        # gets what stands in (docs/reference/format.md, 5.7).
        gets_stand_in = by_statement and not frame.f_code.co_flags & inspect.CO_OPTIMIZED and own != "torch"
        if gets_stand_in or top in (own, "torch") or is_stdlib(ModuleName(top)):
            return
        place = frame.f_code, frame.f_lineno
        if place not in self._places:
            self._places.add(place)
            seen = ObservedImport(importer, top, frame.f_lineno)
            self._require(frame, IMPORTS, functools.partial(self._demands.add, seen))

    def _require(self, frame: FrameType, errors: frozenset[str], note: Callable[[], None]) -> None:
        """Note what is needed where *frame* is; or later, if another import needs it that nobody handles.

        In the run a module that is there is imported once. Where it fails it is imported again by the next
        statement that names it.
        """
        handler = self._find_handler(frame, errors)
        if handler is None:
            note()
            return
        inner = {handler}
        at: FrameType | None = frame
        while at is not None and at is not handler:
            inner.add(at)
            at = at.f_back
        for name, asking in self._importing:
            if asking in inner:
                self._pending.setdefault(name, {}).setdefault(errors, []).append(note)

    def _import_again(self, names: Iterable[str], frame: FrameType) -> None:
        """Note what modules that are imported where *frame* is cannot be imported without."""
        needs = [found for name in names if (found := self._pending.get(name))]
        for errors in {errors for found in needs for errors in found}:
            if self._find_handler(frame, errors) is None:
                for found in needs:
                    for note in found.pop(errors, ()):
                        note()

    def _note(self, importer: str, imported: str, line: int) -> None:
        self._imports.add(ObservedImport(importer, imported, line))

    def _missing(self, name: str, error: ModuleNotFoundError) -> None:
        top = top_level(name)
        if error.name is not None and error.name == top and top not in sys.modules:
            self._absent.add(top)

    def _find_handler(self, frame: FrameType, errors: frozenset[str]) -> FrameType | None:
        handler = find_handler(frame, errors, self._until, self._seen)
        self._forget_frames()
        return handler

    def _end_import(self) -> None:
        self._importing.pop()
        self._forget_frames()

    def _forget_frames(self) -> None:
        """Let go of frames, and of what their variables hold, when the outermost import has ended."""
        if not self._importing:
            self._seen.forget()

    @contextmanager
    def _importing_for_wardian(self) -> Iterator[None]:
        """Record nothing while the block runs, and note what it imports as ours."""
        before, was_recording = frozenset(sys.modules), self._recording
        self._recording = False
        try:
            yield
        finally:
            self._recording = was_recording
            self._ours |= sys.modules.keys() - before

    def _wrap_import(self, original: Any) -> Any:
        def recording_import(
            name: str,
            globals: Mapping[str, object] | None = None,
            locals: Mapping[str, object] | None = None,
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> ModuleType:
            frame = _past_shims(sys._getframe(1))  # noqa: SLF001
            known = frame.f_globals if globals is None else globals  # as in `__import__(name)`
            importer = str(known.get("__name__", ""))
            absolute = name
            if level:
                package = str(known.get("__package__") or importer)
                base = package.rsplit(".", level - 1)[0] if level > 1 else package
                absolute = f"{base}.{name}" if name else base
            elif _is_for_wardian(importer, name):
                with self._importing_for_wardian():
                    return cast("ModuleType", original(name, globals, locals, fromlist, level))
            self._importing.append((absolute, frame))
            try:
                module: ModuleType = original(name, globals, locals, fromlist, level)
            except ModuleNotFoundError as error:
                if level == 0:
                    self._missing(name, error)
                raise
            finally:
                self._end_import()
            if self._recording:
                line = frame.f_lineno
                self._demand(importer, absolute, frame, by_statement=True)
                if self._pending:
                    named = (f"{absolute}.{item}" for item in fromlist or ())
                    self._import_again([*_with_parents(absolute), *named], frame)
                if level:
                    # `import a.b` in a case is two statements by now, and the second names no more modules
                    # (wardian.source.rewriting).
                    if tuple(fromlist or ()) == ("__class__",):
                        self._rewritten[importer, line] = f"{absolute}."
                    elif self._rewritten.get((importer, line), "").startswith(f"{absolute}."):
                        return module
                self._note(importer, absolute, line)
                for item in fromlist or ():
                    if f"{absolute}.{item}" in sys.modules:
                        self._note(importer, f"{absolute}.{item}", line)
            return module

        return recording_import

    def _wrap_import_module(self, original: Any) -> Any:
        def import_module(name: str, package: str | None = None) -> ModuleType:
            absolute = importlib.util.resolve_name(name, package) if name.startswith(".") else name
            frame = _past_shims(sys._getframe(1))  # noqa: SLF001
            self._importing.append((absolute, frame))
            try:
                module: ModuleType = original(name, package)
            except ModuleNotFoundError as error:
                self._missing(name, error)
                raise
            finally:
                self._end_import()
            importer = str(frame.f_globals.get("__name__", ""))
            self._note(importer, absolute, frame.f_lineno)
            self._demand(importer, absolute, frame, by_statement=False)
            if self._pending:
                self._import_again(_with_parents(absolute), frame)
            return module

        return import_module

    def _wrap_distribution(self, original: Any) -> Any:
        def distribution(distribution_name: str) -> Any:
            found = original(distribution_name)
            key = normalised(distribution_name)
            self._asked.add(f"{key}=={found.version}")
            frame = _past_shims(sys._getframe(1))  # noqa: SLF001
            self._require(frame, METADATA, functools.partial(self._checked.add, key))
            return found

        return distribution

    def _wrap_find_spec(self, original: Any) -> Any:
        def find_spec(name: str, package: str | None = None) -> Any:
            spec = original(name, package)
            if spec is None and not name.startswith(".") and "." not in name:
                self._absent.add(name)
            return spec

        return find_spec


@functools.cache  # in a process that ends
def _with_parents(name: str) -> tuple[str, ...]:
    """Return a module and the packages that are imported before it."""
    parts = name.split(".")
    return tuple(".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _with_real_names(paths: Iterable[str]) -> set[str]:
    """Return *paths*, and what they are without symbolic links in the folders above them.

    Whoever installed a file knows it by that name, and a virtual environment may be reached by a link.
    """
    real = functools.cache(os.path.realpath)
    both = {os.path.join(real(os.path.dirname(path)), os.path.basename(path)) for path in paths}
    return both.union(paths)


def _used_by(modules: Iterable[ModuleType]) -> set[str]:
    """Return the top-level names of the types of what *modules* hold.

    A constant `EPS = numpy.float32(1e-6)` shows that numpy was used when the module ran; an imported class,
    function or member of an enumeration does not. What only the body of a function uses, or what became a
    plain number, is not seen here.
    """
    used: set[str] = set()
    for module in modules:
        known = variables_of(module)
        own = top_level(str(known.get("__name__")))
        values = [value for value in list(known.values()) if not isinstance(value, Enum)]
        used |= {top for value in values if (top := _top_of_type(value)) != own}
    return used - sys.stdlib_module_names - {"torch"}


def _top_of_type(value: Any) -> str:
    name = getattr(type(value), "__module__", None)
    # Compiled modules may think that they are at the top: a pattern of `regex` is a `_regex.Pattern`.
    return top_level(name).lstrip("_") if isinstance(name, str) else ""
