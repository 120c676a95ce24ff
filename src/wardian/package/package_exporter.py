"""Write packages."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import torch
from torch.utils.hooks import RemovableHandle

from wardian.archive.writer import ArchiveWriter
from wardian.domain.globs import GlobGroup
from wardian.domain.live_names import original_name
from wardian.domain.names import RecordName, top_level
from wardian.domain.policy import Action, Rule
from wardian.errors import PackError, Problem, UnpicklableError, WardianError
from wardian.package._closure import (
    Closure,
    ModuleSaved,
    PickleSaved,
    Saved,
    Scans,
    SourceSaved,
    close_over,
)
from wardian.package._closure import PackagingErrorReason as _Reason
from wardian.package._digraph import DiGraph
from wardian.package._globals import ImportedGlobals
from wardian.package._mangling import PackageMangler
from wardian.package._naming import module_to_save, record_to_save
from wardian.package._writing import PickledEntry, record_of, write
from wardian.package.glob_group import GlobPattern
from wardian.package.importer import (
    Importer,
    OrderedImporter,
    leaves,
    sys_importer,
)
from wardian.pickling.pickler import pickle_object
from wardian.tensors.scripts import ScriptingStorageWriter
from wardian.wording import with_article

__all__ = [
    "EmptyMatchError",
    "PackageExporter",
    "PackageTypeError",
    "PackageUseError",
    "PackagingError",
    "PackagingErrorReason",
]

PackagingErrorReason = _Reason

_OF_PICKLING = (AttributeError, RecursionError, WardianError)
"""Errors that pickling alone raises; it has the others in common with `UnpicklableError`."""

_ActionHook = Callable[["PackageExporter", str], None]


_HOW_TO_SEE_PATHS = (
    "Set debug=True when invoking PackageExporter for a visualization of where broken modules are coming "
    "from!"
)


class EmptyMatchError(PackError):
    """A rule that was declared with `allow_empty=False` matched no module."""


class PackageUseError(WardianError, ValueError, AssertionError):
    """An exporter was asked for something it cannot do."""


class PackageTypeError(WardianError, TypeError, AssertionError):
    """An argument has the wrong type."""


class PackagingError(PackError):
    """Modules that the package needs cannot be packaged; all of them are named at once.

    The message has the words of torch.package. The line that settles each of them is in `problems`, and in
    the notes that a traceback shows.

    Args:
        dependency_graph: All modules and pickles, with the imports between them. A broken module has the
            attributes `error`, a `PackagingErrorReason`, and `error_context`, a text or None.
        debug: Whether the message shows the path to each broken module.

    Attributes:
        dependency_graph: As given.
    """

    def __init__(self, dependency_graph: DiGraph, debug: bool = False) -> None:
        self.dependency_graph = dependency_graph
        self.debug = debug
        broken: dict[PackagingErrorReason, list[str]] = {}
        problems: list[Problem] = []
        for name, node in dependency_graph.nodes.items():
            reason = node.get("error")
            if reason is not None:
                broken.setdefault(reason, []).append(name)
                chain = tuple(dependency_graph.first_path(name))
                places = ": ".join(filter(None, (node.get("error_place"), node.get("error_context"))))
                what = f"{name}: {reason.value}{f' ({places})' if places else ''}"
                problems.append(Problem(what, _fix_for(name, reason), name, chain))
        lines = [""]
        for reason, names in broken.items():
            lines.append(f"* {reason.value}")
            for name in names:
                lines.append(f"    {name}")
                context = dependency_graph.nodes[name].get("error_context")
                if context is not None:
                    lines.append(f"      Context: {context}")
                if debug:
                    lines.append(f"      A path to {name}: {' -> '.join(dependency_graph.first_path(name))}")
        if not debug:
            lines += ["", _HOW_TO_SEE_PATHS]
        super().__init__("\n".join([*lines, ""]), problems=problems)
        # Not in the message, which programs compare; a traceback shows it all the same.
        for problem in problems:
            place = dependency_graph.nodes[problem.module].get("error_place")
            if problem.fix or place:
                where = f"{problem.module}{f' ({place})' if place else ''}"
                self.add_note(f"{where}{f': fix: {problem.fix}' if problem.fix else ''}")

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.dependency_graph, self.debug)


def _fix_for(name: str, reason: PackagingErrorReason) -> str:
    match reason:
        case PackagingErrorReason.NO_ACTION:
            top = top_level(name)
            return f'exporter.intern("{top}.**"), or extern, or mock'
        case PackagingErrorReason.MOCKED_BUT_STILL_USED:
            return f'exporter.intern("{name}") before the mock, or extern'
        case PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED:
            return ""
        case PackagingErrorReason.DENIED:
            return f'exporter.mock("{name}") before the deny, if it is not used'
    return f'exporter.extern("{name}")'


class _Declared(NamedTuple):
    rule: Rule
    text: str


# Above 300 lines, most of them docstrings: it has the methods of torch.package's class, which programs call.
class PackageExporter:
    """Write code, pickled objects and files into one package.

    What is saved is kept at once: later changes of an object do not reach the package. Which modules it
    needs is decided when the exporter is closed, by the rules in the order in which they were declared; the
    standard library and PyTorch are always there. The target gets its content only when everything went well.

    Args:
        f: Where the package goes: a path, or a binary file that can be written.
        importer: Where modules and the classes of pickled objects are looked up: an importer, or several in
            order of precedence.
        debug: Whether a `PackagingError` shows how each broken module is reached.

    Raises:
        TypeError: if an argument has the wrong type.
        OSError: if no file can be made beside the target.

    >>> with PackageExporter("model.pt") as e:
    ...     e.intern("mylib.**")
    ...     e.save_pickle("model", "model.pkl", [1, 2])
    """

    importer: Importer

    def __init__(
        self,
        f: str | os.PathLike[str] | IO[bytes],
        importer: Importer | Sequence[Importer] = sys_importer,
        debug: bool = False,
    ) -> None:
        self.debug = debug
        self.importer = _as_importer(importer)
        self.buffer: IO[bytes] | None = None
        if isinstance(f, str | os.PathLike):
            target = Path(os.fspath(f))
            folder = None
        elif callable(getattr(f, "write", None)) and not isinstance(f, io.TextIOBase):
            self.buffer = f
            folder = tempfile.mkdtemp(prefix="wardian-")
            target = Path(folder, "package.case")
        else:
            raise TypeError(f"a path or a binary file is needed to export to, not {type(f).__name__}")
        try:
            self._archive = ArchiveWriter(target, "archive")
        except BaseException:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        # An exporter that is never closed must not leave its temporary file behind.
        self._dispose = weakref.finalize(self, _dispose, self._archive, folder)
        self._storages = ScriptingStorageWriter(self._archive)
        self._saved: list[Saved] = []
        self._rules: list[_Declared] = []
        self._resources: dict[RecordName, bytes] = {}
        self._entries: list[PickledEntry] = []
        self._scans = Scans(self.importer)
        self._closure: Closure | None = None
        self._unique_id = 0
        # By identity; each object is held, for a freed one would give its identity to the next.
        self._reduced: dict[int, tuple[tuple[Any, ...], Any]] = {}
        self._numbers = 0
        self._open = True
        self._hooks: dict[Action, OrderedDict[int, _ActionHook]] = {
            action: OrderedDict() for action in (Action.INTERN, Action.EXTERN, Action.MOCK)
        }

    # What to save

    def save_source_file(self, module_name: str, file_or_directory: str, dependencies: bool = True) -> None:
        """Save a file, or all Python files of a folder, as the source of a module or package.

        Args:
            module_name: The dotted name it gets in the package.
            file_or_directory: Path of a file or folder. A file `__init__.py` is that of a package.
            dependencies: Whether the modules it imports are needed, too.

        Raises:
            OSError: if it cannot be read.
        """
        path = Path(file_or_directory)
        if not path.is_dir():
            self._save_source(module_name, path.read_bytes(), path.name == "__init__.py", dependencies)
            return
        for file in sorted(path.rglob("*.py")):
            parts = file.relative_to(path).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join((module_name, *(parts[:-1] if is_package else parts)))
            self._save_source(name, file.read_bytes(), is_package, dependencies)

    def save_source_string(
        self, module_name: str, src: str, is_package: bool = False, dependencies: bool = True
    ) -> None:
        """Save a text as the source of a module.

        Args:
            module_name: The dotted name it gets in the package.
            src: The source.
            is_package: Whether modules may be below it.
            dependencies: Whether the modules it imports are needed, too.

        Raises:
            TypeError: if *module_name* or *src* is not a str.
        """
        if not isinstance(src, str):
            raise TypeError(f"the source of {module_name} must be a str, not {type(src).__name__}")
        self._save_source(module_name, src.encode(), is_package, dependencies)

    def _save_source(self, module_name: str, source: bytes, is_package: bool, dependencies: bool) -> None:
        name = module_to_save(module_name)
        self._record(SourceSaved(name, source, bool(is_package), dependencies))

    def save_module(self, module_name: str, dependencies: bool = True) -> None:
        """Save the source of a module, whatever the rules say about it.

        Args:
            module_name: Its dotted name, also that of a module from a package of `importer`.
            dependencies: Whether the modules it imports are needed, too.

        Raises:
            TypeError: if *module_name* is not a str.
            ModuleNotFoundError: if no importer has it.
        """
        if not isinstance(module_name, str):
            raise TypeError(
                f"save_module() expects a string input, such as torch.__name__, not {module_name!r}"
            )
        name = module_to_save(module_name)
        if module_name != name:
            for leaf in leaves(self.importer):
                mangler = getattr(leaf, "_mangler", None)
                if isinstance(mangler, PackageMangler) and mangler.demangle(module_name) == name:
                    self._scans.claim(name, leaf)
                    break
            else:
                raise ModuleNotFoundError(
                    f"Module not found: {module_name!r} is from a package that is none of this exporter's "
                    "importers; name the PackageImporter it came from first: "
                    "PackageExporter(f, importer=(its_importer, sys_importer))",
                    name=module_name,
                )
        if self._scans.find(name) is None:
            raise ModuleNotFoundError(f"No module named {module_name!r}", name=module_name)
        self._record(ModuleSaved(name, dependencies, intern=True))

    def save_pickle(
        self, package: str, resource: str, obj: Any, dependencies: bool = True, pickle_protocol: int = 3
    ) -> None:
        """Save an object; storages that several objects share are saved once.

        Args:
            package: Dotted name of the package that it lies in.
            resource: Name of the file.
            obj: What to save.
            dependencies: Whether the modules of its classes are needed.
            pickle_protocol: 3 or 4, as in torch.package; what is written is protocol 4 in canonical form,
                which both read.

        Raises:
            UnpicklableError: if something inside cannot be pickled, or is not what the importers find under
                its name; it is a `pickle.PicklingError`.
            Exception: what the code of an object raises that it is pickled with, with a note of its place.
            PackageUseError: if there is such a file already, or the protocol is another.
        """
        if pickle_protocol not in (3, 4):
            raise PackageUseError(
                f"wardian.package only supports pickle protocols 3 and 4, got {pickle_protocol!r}"
            )
        record = self._new_record(package, resource)
        fresh: dict[int, tuple[tuple[Any, ...], Any]] = {}

        def reduce_package(obj: Any) -> tuple[Any, ...]:
            # A GraphModule may have other code by the next save; what else reduces itself is saved once.
            known = fresh if isinstance(obj, torch.fx.GraphModule) else self._reduced
            if id(obj) not in known:
                reduced = obj.__reduce_package__(self)
                known[id(obj)] = ("reduce_package", self._numbers, *reduced), obj
                self._numbers += 1
            return known[id(obj)][0]

        try:
            pickled = pickle_object(
                obj,
                name=f"{package}.{resource}",
                persistent_id=self._storages.persistent_id,
                rename=original_name,
                reduce_package=reduce_package,
                reduce_global=ImportedGlobals(self.importer, self._scans).reduce,
            )
        except UnpicklableError as error:
            raised = error.__cause__
            known = isinstance(error, type(raised)) or isinstance(raised, _OF_PICKLING)
            if raised is None or known:
                raise
            # What an object's own code raises is what programs catch.
            raised.add_note(str(error))
            raise raised from None
        self._entries.append(PickledEntry(record, _type_name(obj), pickled.data, self._tensors(record, obj)))
        self._record(PickleSaved(package, resource, pickled.globals, pickled.modules, dependencies))

    def save_text(self, package: str, resource: str, text: str) -> None:
        """Save a text file in UTF-8.

        Args:
            package: Dotted name of the package that it lies in.
            resource: Name of the file.
            text: The content.
        """
        if not isinstance(text, str):
            raise TypeError(f"the content of {resource} must be a str, not {type(text).__name__}")
        self.save_binary(package, resource, text)

    def save_binary(self, package: str, resource: str, binary: bytes | str) -> None:
        """Save a file.

        Args:
            package: Dotted name of the package that it lies in.
            resource: Name of the file.
            binary: The content; a text is saved in UTF-8.

        Raises:
            TypeError: if *binary* is neither.
            PackageUseError: if there is such a file already.
        """
        if isinstance(binary, str):
            binary = binary.encode()
        if not isinstance(binary, bytes | bytearray | memoryview):
            raise TypeError(f"the content of {resource} must be bytes, not {type(binary).__name__}")
        self._resources[self._new_record(package, resource)] = bytes(binary)

    def add_dependency(self, module_name: str, dependencies: bool = True) -> None:
        """Let the rules decide about a module, as if something imported it.

        Args:
            module_name: Dotted name.
            dependencies: Whether the modules it imports are needed, too.
        """
        self._record(ModuleSaved(module_to_save(module_name), dependencies, intern=False))

    # Rules

    def intern(self, include: GlobPattern, *, exclude: GlobPattern = (), allow_empty: bool = True) -> None:
        """Package the modules that match, and follow what they import.

        A module that is compiled cannot be packaged: it, and the rest of its distribution, becomes an extern.

        Args:
            include: A pattern or several: `mylib.**` is `mylib` and all below it, `*` stands within a part.
            exclude: Patterns of modules that this rule leaves to the rules after it.
            allow_empty: Whether it may match no module; if not, `close` raises `EmptyMatchError` then.
        """
        self._declare(Action.INTERN, include, exclude, allow_empty)

    def extern(self, include: GlobPattern, *, exclude: GlobPattern = (), allow_empty: bool = True) -> None:
        """Leave the modules that match to the environment in which the package is loaded.

        Args:
            include: As for `intern`.
            exclude: As for `intern`.
            allow_empty: As for `intern`.
        """
        self._declare(Action.EXTERN, include, exclude, allow_empty)

    def mock(self, include: GlobPattern, *, exclude: GlobPattern = (), allow_empty: bool = True) -> None:
        """Replace the modules that match by stand-ins, whose names can be imported and raise when used.

        Args:
            include: As for `intern`.
            exclude: As for `intern`.
            allow_empty: As for `intern`.
        """
        self._declare(Action.MOCK, include, exclude, allow_empty)

    def deny(self, include: GlobPattern, *, exclude: GlobPattern = ()) -> None:
        """Refuse to write a package that needs a module that matches.

        Args:
            include: As for `intern`.
            exclude: As for `intern`.
        """
        self._declare(Action.DENY, include, exclude, True)

    def _declare(self, action: Action, include: GlobPattern, exclude: GlobPattern, allow_empty: bool) -> None:
        self._require_open()
        group = GlobGroup(include, exclude=exclude)
        self._rules.append(_Declared(Rule(action, group, allow_empty), f"{action}({group})"))
        self._closure = None

    # Hooks

    def register_extern_hook(self, hook: _ActionHook) -> RemovableHandle:
        """Have *hook* called with the exporter and the name of each extern module, when it is closed.

        Returns:
            A handle whose `remove()` takes it back.
        """
        return self._register(Action.EXTERN, hook)

    def register_mock_hook(self, hook: _ActionHook) -> RemovableHandle:
        """Have *hook* called for each mocked module; see `register_extern_hook`."""
        return self._register(Action.MOCK, hook)

    def register_intern_hook(self, hook: _ActionHook) -> RemovableHandle:
        """Have *hook* called for each interned module; see `register_extern_hook`."""
        return self._register(Action.INTERN, hook)

    def _register(self, action: Action, hook: _ActionHook) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(f"a hook is called, and {with_article(type(hook).__name__)} cannot be")
        hooks = self._hooks[action]
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        return handle

    # Questions

    @property
    def dependency_graph(self) -> DiGraph:
        """Modules and pickles (`<package.resource>`) with the imports between them, as of now."""
        return self._closed_over().graph

    def dependency_graph_string(self) -> str:
        """Return the dependency graph in the DOT language."""
        return self.dependency_graph.to_dot()

    def interned_modules(self) -> list[str]:
        """Return the modules that are packaged as of now, sorted."""
        return self._closed_over().names(Action.INTERN)

    def externed_modules(self) -> list[str]:
        """Return the modules that the environment must provide as of now, sorted."""
        return self._closed_over().names(Action.EXTERN)

    def mocked_modules(self) -> list[str]:
        """Return the modules that are mocked as of now, sorted."""
        return self._closed_over().names(Action.MOCK)

    def denied_modules(self) -> list[str]:
        """Return the modules that are needed and denied as of now, sorted."""
        return self._closed_over().names(Action.DENY)

    def get_rdeps(self, module_name: str) -> list[str]:
        """Return the modules and pickles that need *module_name*; empty if nothing does."""
        graph = self.dependency_graph
        return list(graph.predecessors(module_name)) if module_name in graph else []

    def all_paths(self, src: str, dst: str) -> str:
        """Return, in the DOT language, the part of the graph by which *src* leads to *dst*.

        Raises:
            ValueError: if one of them is not in the graph.
        """
        return self.dependency_graph.all_paths(src, dst)

    def get_unique_id(self) -> str:
        """Return a text that this exporter returns only once."""
        self._unique_id += 1
        return str(self._unique_id - 1)

    @property
    def script_module_serializer(self) -> Any:
        """PyTorch's serializer of TorchScript, whose records go into this package."""
        self._require_open()
        return self._storages.serializer

    # The end

    def close(self) -> None:
        """Decide, write the package, and give the target its content. Nothing can be saved after it.

        Raises:
            PackagingError: if modules cannot be packaged.
            EmptyMatchError: if a rule had to match a module and did not.
            OSError: if the file cannot be written.
        """
        if not self._open:
            return
        try:
            closure = self._validated()
            for name, member in list(closure.members.items()):
                for hook in list(self._hooks.get(member.action, {}).values()):
                    hook(self, str(name))
            closure = self._validated()  # a hook may have saved something
            scripts = self._storages.finish_scripts()
            self._refuse_twice(
                record_of(member) for member in closure.members.values() if member.source is not None
            )
            write(self._archive, closure, self._entries, self._resources, scripts)
            self._archive.publish()
            if self.buffer is not None:
                with self._archive.target.open("rb") as file:
                    shutil.copyfileobj(file, self.buffer, 8 << 20)
                if hasattr(self.buffer, "flush"):
                    self.buffer.flush()
        finally:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self._end()

    def _end(self) -> None:
        self._open = False
        self._dispose()

    def _validated(self) -> Closure:
        closure = self._closed_over()
        if any(node.get("error") for node in closure.graph.nodes.values()):
            raise PackagingError(closure.graph, debug=self.debug)
        for index, (rule, text) in enumerate(self._rules):
            if not rule.allow_empty and index not in closure.matched:
                raise EmptyMatchError(
                    f"Exporter did not match any modules to {text}, and had to (allow_empty=False)"
                )
        return closure

    def _closed_over(self) -> Closure:
        if self._closure is None:
            rules = [declared.rule for declared in self._rules]
            self._closure = close_over(self._saved, rules, self._scans)
        return self._closure

    def _record(self, item: Saved) -> None:
        self._require_open()
        self._saved.append(item)
        self._closure = None

    def _require_open(self) -> None:
        if not self._open:
            raise PackageUseError("the exporter is closed")

    def _new_record(self, package: str, resource: str) -> RecordName:
        self._require_open()
        record = record_to_save(package, resource)
        if record in self._resources or any(entry.record == record for entry in self._entries):
            raise PackageUseError(f"{str(record)!r} already exists in this archive")
        return record

    def _refuse_twice(self, sources: Iterable[RecordName]) -> None:
        taken = {*self._resources, *(entry.record for entry in self._entries)}
        for record in sources:
            if record in taken:
                raise PackageUseError(
                    f"{str(record)!r} already exists in this archive: it is the source of a module, too"
                )

    def _tensors(self, record: RecordName, obj: Any) -> tuple[Any, ...]:
        from wardian.tensors.index import tensor_index

        # An index for other readers: an object that refuses to be looked through just has none.
        with suppress(Exception):
            return tensor_index(obj, record, self._storages.key_of)
        return ()


def _type_name(obj: Any) -> str:
    """Return the dotted name of the class of *obj*."""
    return f"{original_name(type(obj).__module__)}.{type(obj).__qualname__}"


def _as_importer(importer: Importer | Iterable[Importer]) -> Importer:
    if isinstance(importer, Importer):
        return importer
    if isinstance(importer, str | bytes) or not isinstance(importer, Sequence):
        raise TypeError(
            f"importer must be an Importer or a sequence of Importers, not {type(importer).__name__}"
        )
    for item in importer:
        if not isinstance(item, Importer):
            raise TypeError(f"{item!r} is not an Importer, as all of a sequence of Importers must be")
    return OrderedImporter(*importer)


def _dispose(archive: ArchiveWriter, folder: str | None) -> None:
    archive.discard()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
