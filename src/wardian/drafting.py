"""Stage 1: pickle an object, run it in a clean process, and trace what it needs."""

from __future__ import annotations

import os
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from wardian.archive import ArchiveWriter
from wardian.capture.homes import look_up
from wardian.capture.session import Capture
from wardian.environment import is_importable
from wardian.errors import PackError, PlanError, Problem, TimeLimitError, UnpicklableError
from wardian.facts import Trace
from wardian.manifest import Entry, TensorEntry
from wardian.names import (
    LOGGING_LIBRARIES,
    GlobalRef,
    ModuleName,
    RecordName,
    original_name,
    top_level,
)
from wardian.origins import Origins, refuse_closed
from wardian.pickling.paths import find_type_paths
from wardian.pickling.pickler import PickledObject, pickle_object
from wardian.planning import make_plan
from wardian.policy import Action, Policy
from wardian.processes.clean import CleanProcesses
from wardian.reductions import Reductions
from wardian.trace.ahead import reading_ahead
from wardian.trace.observe import Draft, Observation, observe
from wardian.trace.registered import find_registered, modules_beside, only_of, users_modules
from wardian.trace.sources import loaded_elsewhere
from wardian.trace.tracer import make_trace

__all__ = ["Drafting"]

_HOW_TENSORS_ARE_PICKLED = frozenset({"torch", "torch._utils", "collections"})
"""Modules of functions that every pickle with tensors names, and of which the object holds none."""


_TEXT = re.compile(rb"\x8c(.)([A-Za-z_][\w.:]*\.\w[\w.:]*)", re.ASCII | re.DOTALL)
"""A short text in a pickle, its length before it, that may name a module: `shop.heads.Linear`."""


class Drafting:
    """An object on its way into a case: pickled at once, traced when asked.

    Args:
        obj: What is packed.
        name: Of its entry point.
        inputs: Arguments of a call, or None.
        archive: Where its storages go.
        policy: The rules of the plan, by which its problems are found, too, if the object cannot be pickled.
        processes: How the clean process is started in which it is traced.

    Attributes:
        entry: The entry point.
        tensors: The index of its tensors.
        capture: Code that no import leads to.

    Raises:
        UnpicklableError: if something inside cannot be pickled.
        OSError: if the archive cannot be written.
    """

    def __init__(
        self,
        obj: Any,
        name: str,
        inputs: Any,
        archive: ArchiveWriter,
        policy: Policy,
        processes: CleanProcesses,
    ) -> None:
        from wardian.tensors.index import tensor_index
        from wardian.tensors.scripts import ScriptingStorageWriter

        self._obj, self._inputs, self._archive, self._policy = obj, inputs, archive, policy
        self._processes = processes
        self._origins = Origins()
        self.capture = Capture(self._origins)
        self._storages = ScriptingStorageWriter(archive)
        self._reductions = Reductions(self.capture, self._storages)
        try:
            self._pickled = self._pickle_object(obj, name)
            if self.capture.note_tables(self._classes()):
                self._pickled = self._pickle_object(obj, name)
        except UnpicklableError as error:
            raise self._with_problems_of_plan(error, name, policy) from error
        self._test: PickledObject | None = None
        self._outputs: Any = None
        self._changes: Mapping[str, Any] = {}
        self.tensors: tuple[TensorEntry, ...] = tensor_index(
            obj, name, self._storages.key_of, self._storages.described
        )
        self.entry = Entry(
            name=name,
            record=f"{name}/{name}.pkl",
            type=str(self._type),
            test=None if inputs is None else f".wardian/tests/{name}.pkl",
            outputs=False,
        )

    def trace(self, *, clean: bool) -> Trace:
        """Return what the object needs.

        Args:
            clean: Whether to load and call it in a clean process, which also gives the outputs of the
                self-test. Otherwise what is loaded in this process is taken for what it needs.

        Raises:
            PackError: if it cannot be loaded or called in a clean process.
        """
        arguments = self._pickle(self._inputs, "inputs") if clean and self._inputs is not None else None
        observation = self._observe(arguments) if clean else None
        if not clean:
            changes = list(self._origins.changes())
            owners = {o.__module__ if isinstance(o, type) else o.__name__ for o, _ in changes}
            if self.capture.note_settings(users_modules(owners), changes):
                self._pickled = self._pickle_object(self._obj, self.entry.name)
        if self._inputs is not None:
            outputs = observation.outputs if observation is not None else None
            test = {"inputs": self._inputs, "outputs": outputs, "seed": 0}
            if observation is not None and observation.has_outputs:
                self._changes = test["changes"] = dict(observation.changes)
            self._test = self._pickle(test, "inputs")
            self._outputs = outputs
        self.entry = replace(self.entry, outputs=observation is not None and observation.has_outputs)
        pickles = [self._pickled, *([] if self._test is None else [self._test])]
        named = {
            GlobalRef(original_name(module), qualname)
            for pickled in pickles
            for module, qualname in pickled.globals
        }
        wanted = {(str(r.module), r.qualname) for r in named if r.module not in _HOW_TENSORS_ARE_PICKLED}
        paths = find_type_paths(self._obj, self.entry.name, wanted, original_name)
        imported = {GlobalRef(ModuleName(m), "") for pickled in pickles for m in pickled.modules}
        return make_trace(
            entry=self.entry.name,
            type=self._type,
            globals=named | imported | self._reductions.globals,
            paths={GlobalRef(ModuleName(m), q): path for (m, q), path in paths.items()},
            evidence=None if observation is None else observation.evidence,
            captured={**self.capture.modules(), **self._reductions.modules},
            origins=self._origins.resolve(),
            texts=_dotted_names(self._pickled.data),
            wanted=self._is_wanted if self._policy.base == "hermetic" else None,
        )

    def _is_wanted(self, module: str) -> bool:
        rule = self._policy.rule_for(module)
        return rule is not None and rule.action is Action.INTERN

    def doubts(self, packed: Iterable[ModuleName]) -> list[str]:
        """Compare what the object does here with what it did in a clean process (docs/design/proof.md).

        Args:
            packed: Modules that are in the case.

        Returns:
            What makes one doubt that the case does the same, as sentences.
        """
        from wardian.tensors.changes import find_differences_in_fork

        if not self.entry.outputs:
            return []
        name = self.entry.name
        found = find_differences_in_fork(
            self._obj, self._inputs, self._outputs, self._changes, f"{name}(...)"
        )
        why = (
            f"something that {name} uses was changed in this process and is not in the case, such as a"
            f" default of PyTorch or a function of a library; let {name} hold it, or change it in a module"
            " that it imports"
        )
        # What is known to differ needs no guess.
        why = "; ".join(self.capture.stale(packed)) or why
        return [f"in a clean process, and so from the case, {difference}: {why}" for difference in found[:1]]

    def compiled(self) -> list[str]:
        """Tell what is compiled here and comes back as it was before, as sentences."""
        from wardian.tensors.graphs import find_compiled

        return [
            f"{place} is compiled by torch.compile and comes back uncompiled: compile it after loading"
            for place in find_compiled(self._obj, self.entry.name)
        ]

    def pickles(self) -> dict[RecordName, bytes]:
        """Return the pickles of the object and of its self-test, by record."""
        pickles = {RecordName(self.entry.record): self._pickled.data}
        if self._test is not None and self.entry.test is not None:
            pickles[RecordName(self.entry.test)] = self._test.data
        return pickles

    def held(self) -> Iterator[tuple[Any, str]]:
        """Yield what is in the pickles, and what leads to it in the user's words."""
        yield self._obj, self.entry.name
        yield from self.capture.values()
        if self._inputs is not None:
            yield self._inputs, "inputs"
            yield self._outputs, "outputs"

    def find_line(self, record: str, line: int) -> str | None:
        """Return the file and line of the user's that a line of a record was made from, as words."""
        for name, module in self.capture.modules().items():
            if record.removesuffix(".py").removesuffix("/__init__") == name.replace(".", "/"):
                file, number = module.origins[line - 1] if line <= len(module.origins) else ("", 0)
                return f"{file}, line {number}," if file else None
        return None

    def held_files(self, read: Iterable[str]) -> list[str]:
        """Return the files that were read, and will be read again by a path that the object holds.

        Args:
            read: Absolute paths of files that were read in a run.
        """
        data = self._pickled.data
        return [
            path
            for path in read
            if path.encode("utf-8", "surrogateescape") in data and os.path.isfile(path)
            if not path.startswith(("/dev/", "/proc/", "/sys/"))
        ]

    def records(self) -> dict[RecordName, bytes]:
        """Return the other records that parts of the object wrote."""
        return {**self._reductions.resources, **self._reductions.scripts()}

    def _with_problems_of_plan(self, error: UnpicklableError, name: str, policy: Policy) -> UnpicklableError:
        """Return the error, and what the plan of the rest would be refused for."""
        if not error.globals:
            return error
        try:
            trace = make_trace(
                entry=name,
                type=self._type,
                globals={GlobalRef(original_name(module), qualname) for module, qualname in error.globals},
                paths={},
                evidence=None,
                captured=self.capture.modules(),
                origins=self._origins.resolve(),
            )
            make_plan(trace, policy)
        except PlanError as other:
            problems = (*error.problems, *other.problems)
            return type(error)(f"{name} cannot be packed", problems=problems, path=error.path)
        return error

    @property
    def _type(self) -> GlobalRef:
        """The name of the class of the object in the case."""
        kind = type(self._obj)
        module, qualname = self.capture.name_of(kind) or (self.capture.home_of(kind), kind.__qualname__)
        return GlobalRef(original_name(module), qualname)

    def _classes(self) -> Iterator[type]:
        """Yield the classes that the pickle names."""
        captured = self.capture.modules()
        for module, qualname in self._pickled.globals:
            find = self._origins.find_global if self._origins.packs(module) else look_up
            try:
                found = (self.capture.find_live if module in captured else find)(module, qualname)
            except AttributeError:  # what makes a function or class, not one
                continue
            if isinstance(found, type):
                yield found

    def _pickle_object(self, obj: Any, name: str, beforehand: tuple[Any, ...] = ()) -> PickledObject:
        self.capture.begin(beforehand)
        pickled = self._pickle(obj, name)
        self.capture.commit()
        return pickled

    def _pickle(self, obj: Any, name: str) -> PickledObject:
        return pickle_object(
            obj,
            name=name,
            persistent_id=self._storages.persistent_id,
            rename=self._origins,
            reduce_package=self._reductions.persistent_id,
            capture=self.capture,
            refuse=refuse_closed,
            tensors=self._storages,
        )

    def _observe(self, arguments: PickledObject | None) -> Observation:
        """Run the object in a clean process, where what was registered in this one is registered first."""
        if self.capture.note_texts(self._pickled.data):
            self._pickled = self._pickle_object(self._obj, self.entry.name)
        first = self._attempt(arguments)
        loggers = tuple(sorted(LOGGING_LIBRARIES & sys.modules.keys()))
        if isinstance(first, PackError) and loggers:
            again = self._attempt(arguments, silenced=loggers)
            first = again if isinstance(again, Observation) else first
        named = {module for module, _ in self._pickled.globals}
        named |= {live for live in sys.modules if self._origins.met(live) and original_name(live) in named}
        attempts: list[list[Any]]
        if isinstance(first, Observation):
            seen = first.evidence.modules
            told = find_registered(seen, modules_beside(named, ()))
            attempts = [only_of(told, modules_beside(named, seen))]
        else:
            # It may be for want of what a module does when it is imported.
            used = named | self.capture.modules_used()
            beside = modules_beside(used, ())
            tops = {top_level(original_name(name)) for name in used}
            seen = (
                *beside,
                *(name for name in map(original_name, list(sys.modules)) if top_level(name) in tops),
            )
            from_script = find_registered(beside, ())
            attempts = [from_script, [*beside.values(), *from_script]]
            told = find_registered(map(original_name, list(sys.modules)), beside)
        statements = self.capture.note_told(told, surely=False)
        changed = self.capture.note_settings(users_modules(seen), self._origins.changes())
        before = self._pickled
        for attempt in attempts:
            registered = [found for found in attempt if not self._is_named(found)]
            if not registered and not statements and not changed:
                continue
            self.capture.note_told(registered, surely=True)
            beforehand = (*registered, *statements)
            try:
                self._pickled = self._pickle_object(self._obj, self.entry.name, beforehand)
            except PackError:
                self._pickled = before
                continue
            again = self._attempt(arguments)
            if isinstance(again, Observation):
                return again
            self._pickled = before
        if isinstance(first, Observation):
            return first
        raise self._explain(first) from None

    def _is_named(self, obj: Any) -> bool:
        """Tell whether the object itself names a class or function, or something of a module."""
        if isinstance(obj, types.ModuleType):
            return original_name(obj.__name__) in {module for module, _ in self._pickled.globals}
        return self.capture.name_of(obj) in self._pickled.globals

    def _attempt(
        self, arguments: PickledObject | None, *, silenced: tuple[str, ...] = ()
    ) -> Observation | PackError:
        """Observe once; return the error of an attempt that failed, after which another may not."""
        try:
            return self._observe_once(arguments, silenced=silenced)
        except TimeLimitError:  # the next attempt would take as long
            raise
        except PackError as error:
            return error

    def _observe_once(
        self, arguments: PickledObject | None, *, silenced: tuple[str, ...] = ()
    ) -> Observation:
        with self._readable():
            return observe(
                Draft(
                    self.entry.name,
                    self._pickled.data,
                    None if arguments is None else arguments.data,
                    self._archive.path,
                    self._storages.offsets,
                    {**self.capture.modules(), **self._reductions.modules},
                    self.capture.find_live,
                    self._origins.roots(),
                    self._origins.find_global,
                    self._reductions.resources,
                    self._find_place,
                    silenced,
                ),
                self._processes,
                partial(reading_ahead, {module for module, _ in self._pickled.globals}),
            )

    def _find_place(self, module: str, qualname: str) -> tuple[str | None, str]:
        wanted = (original_name(module), qualname)
        try:
            live = self.capture.made_by(qualname) or self.capture.find_live(*wanted)
            wanted = (original_name(live.__module__), live.__qualname__)
        except AttributeError:  # none of a script
            pass
        path = find_type_paths(self._obj, self.entry.name, {wanted}, original_name).get(wanted)
        return path, ".".join(wanted)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        scripts = self._reductions.scripts()
        if not scripts:
            self._archive.flush()
            yield
            return
        with self._archive.readable({**scripts, RecordName(".data/version"): b"6\n"}):
            yield

    def _explain(self, error: PackError) -> PackError:
        """Return what tells best why the object does not load."""
        own = self.capture.modules()
        globals_ = self._pickled.globals
        modules = {m for m, _ in globals_ if m not in own and not self._origins.packs(m)}
        missing = {module for module in modules if not is_importable(original_name(module))}
        missing -= loaded_elsewhere().keys()  # which are imported there by their file
        unknown = {ref for ref in globals_ if ref[0] in missing}
        paths = find_type_paths(self._obj, self.entry.name, unknown)
        problems = [
            Problem(
                f"{module}, which defines {qualname}, cannot be imported in a new process",
                f"define {qualname} in a module that can be imported: a file in a folder of sys.path",
                module,
                (f"{paths.get((module, qualname), self.entry.name)} is a {module}.{qualname}",),
            )
            for module, qualname in sorted(unknown)
        ]
        better = PlanError(f"{self.entry.name} cannot be packed", problems=problems) if problems else error
        if self.capture.left_out:  # the likely reason
            better.add_note("\n".join(self.capture.left_out))
        if better is not error:
            better.__cause__ = error
        return better


def _dotted_names(data: bytes) -> set[str]:
    """Return the texts in a pickle that look like the names of modules, or of what is in them."""
    texts = {text[: length[0]] for length, text in _TEXT.findall(data) if length[0] <= len(text)}
    return {text.decode("ascii").replace(":", ".") for text in texts}
