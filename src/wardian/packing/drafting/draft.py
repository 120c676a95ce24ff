"""Stage 1: pickle an object, run it in a clean process, and trace what it needs."""

from __future__ import annotations

import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from wardian.archive.writer import ArchiveWriter
from wardian.capture.session import Capture
from wardian.domain.global_refs import GlobalRef
from wardian.domain.live_names import original_name
from wardian.domain.manifest import Entry, TensorEntry
from wardian.domain.names import ModuleName, RecordName, top_level
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.policy import Action, Policy
from wardian.domain.trace import Trace
from wardian.environment.modules import variables_of
from wardian.errors import PlanError, UnpicklableError
from wardian.packing.drafting.attempts import Attempts, Watcher
from wardian.packing.drafting.entries import pickle_entries
from wardian.packing.drafting.live_object import LiveObject
from wardian.packing.drafting.origins import Origins
from wardian.packing.drafting.pickling import Pickling
from wardian.packing.drafting.reductions import Reductions
from wardian.packing.planning.decide import make_plan
from wardian.packing.tracing.observe import Observation
from wardian.packing.tracing.registered import users_modules
from wardian.packing.tracing.submodules import is_imported_above
from wardian.packing.tracing.tracer import make_trace
from wardian.pickling.paths import find_places, find_type_paths
from wardian.pickling.pickler import PickledObject
from wardian.processes.clean import CleanProcesses

if TYPE_CHECKING:
    from wardian.tensors.changes import Compared

__all__ = ["Drafting"]

_HOW_TENSORS_ARE_PICKLED = frozenset({"torch", "torch._utils", "collections"})
"""Modules of functions that every pickle with tensors names, and of which the object holds none."""


_TEXT = re.compile(rb"\x8c(.)([A-Za-z_][\w.:]*\.\w[\w.:]*)", re.ASCII | re.DOTALL)
"""A short text in a pickle, its length before it, that may name a module: `shop.heads.Linear`."""


class Drafting:
    """Entry points on their way into a case: pickled at once, traced when asked.

    Several are pickled, traced and called as one dictionary, so that all is found out once, and what they
    share is seen. Then each has a pickle of its own, too, by which it loads without the others.

    Args:
        objects: What is packed, by entry point.
        calls: Arguments of a call, by entry point; of those that are called.
        archive: Where its storages go.
        policy: The rules of the plan, by which its problems are found, too, if the object cannot be pickled.
        processes: How the clean process is started in which it is traced.
        again: Told why it is traced again.

    Attributes:
        name: What to call all of it: the entry point, if there is one.
        entries: The entry points, and groups of those that share something; when it is traced.
        tensors: The index of its tensors.
        capture: Code that no import leads to.

    Raises:
        UnpicklableError: if something inside cannot be pickled.
        OSError: if the archive cannot be written.
    """

    def __init__(
        self,
        objects: Mapping[str, Any],
        calls: Mapping[str, Any],
        archive: ArchiveWriter,
        policy: Policy,
        processes: CleanProcesses,
        again: Callable[[str], None] = lambda reason: None,
    ) -> None:
        from wardian.tensors.index import tensor_index
        from wardian.tensors.scripts import ScriptingStorageWriter

        self._objects, self._calls, self._archive, self._policy = objects, calls, archive, policy
        self._one = len(objects) == 1
        self.name = name = next(iter(objects)) if self._one else "entries"
        self._origins = Origins()
        self.capture = Capture(self._origins)
        self._live = LiveObject(name, objects, calls, self.capture)
        self._obj = obj = self._live.whole
        self._storages = ScriptingStorageWriter(archive)
        self._reductions = Reductions(self.capture, self._storages)
        self._pickling = Pickling(self.capture, self._origins, self._reductions, self._storages)
        self._pickle = partial(self._pickling.pickle_with_effects, obj, name)
        try:
            self._pickled = self._pickle()
            if self.capture.side_effects.find_table_entries(self._pickling.classes_of(self._pickled)):
                self._pickled = self._pickle()
        except UnpicklableError as error:
            whole = self._with_problems_of_plan(error)
            if whole is error:
                raise  # from itself it would hide what it came from
            raise whole from error
        self._observation: Observation | None = None
        self._uncompared: list[str] = []
        """Entry points that were not compared with what they do here, and why, as sentences."""
        self._compared: dict[str, Callable[[], Compared]] = {}
        """Functions that tell how each entry point differs, while that is compared."""
        self._attempts = Attempts(
            self._live,
            self._pickle,
            self.capture,
            self._origins,
            self._reductions,
            archive,
            self._storages,
            processes,
            again,
        )
        self._records: dict[RecordName, PickledObject] = {}
        self.entries: tuple[Entry, ...] = ()
        self.tensors: tuple[TensorEntry, ...] = tuple(
            tensor
            for entry, part in ({} if self._pickled.is_plain else objects).items()
            for tensor in tensor_index(part, entry, self._storages.key_of, self._storages.described)
        )

    def named_top_levels(self) -> set[str]:
        """Return the top-level names of the modules that the object names, and of those that these hold."""
        named = {module for module, _ in self._pickled.globals}
        held = {
            value.__name__
            for module in named | ({"__main__"} if self.capture.modules() else set())
            for value in variables_of(sys.modules.get(module)).values()
            if type(value) is types.ModuleType
        }
        return {top_level(name) for name in named | held}

    @property
    def named_modules(self) -> frozenset[str]:
        """The modules that the pickle of the object names, by their original names."""
        return frozenset(original_name(module) for module, _ in self._pickled.globals)

    def trace(self, *, clean: bool, watcher: Watcher | None = None) -> Trace:
        """Return what the object needs.

        Args:
            clean: Whether to load and call it in a clean process, which also gives the outputs of the
                self-test. Otherwise what is loaded in this process is taken for what it needs.
            watcher: Told of each run in a clean process.

        Raises:
            PackError: if it cannot be loaded or called in a clean process.
        """
        arguments = self._pickling.pickle(self._inputs, "inputs") if clean and self._calls else None
        beforehand: tuple[Any, ...] = ()
        if clean:
            attempted = self._attempts.run(self._pickled, arguments, watcher)
            self._pickled, beforehand = attempted.pickled, attempted.beforehand
            self._observation = attempted.observation
        else:
            changes = list(self._origins.changes())
            owners = {o.__module__ if isinstance(o, type) else o.__name__ for o, _ in changes}
            found = self.capture.side_effects.find_settings(users_modules(owners), changes)
            submodules = self._attempts.find_submodules(self._pickled)
            beforehand = tuple(module for module in submodules if not is_imported_above(module))
            if found or beforehand:
                self._pickled = self._pickle(beforehand)
        self.entries, self._records = pickle_entries(
            self._live, self._pickled, beforehand, self._observation, self._pickling
        )
        pickles = [self._pickled, *self._records.values()]
        named = {
            GlobalRef(original_name(module), qualname)
            for pickled in pickles
            for module, qualname in pickled.globals
        }
        imported = {GlobalRef(ModuleName(m), "") for pickled in pickles for m in pickled.modules}
        trace = make_trace(
            entry=self.name,
            type=self._pickling.type_of(self._obj),
            globals=named | imported | self._reductions.globals,
            paths=self._places_of(named),
            evidence=None if self._observation is None else self._observation.evidence,
            captured={**self.capture.modules(), **self._reductions.modules},
            origins=self._origins.resolve(),
            texts=_dotted_names(self._pickled.data),
            wanted=self._is_wanted if self._policy.base == "hermetic" else None,
        )
        return replace(trace, set_at_load=tuple(self.capture.effects.described()))

    def _places_of(self, named: Iterable[GlobalRef]) -> dict[GlobalRef, tuple[str, ...]]:
        """Return where in the object the first of each class and function is.

        All of them, where a rule says that the case cannot have them: the plan is refused for each.
        """
        wanted = {(str(r.module), r.qualname) for r in named if r.module not in _HOW_TENSORS_ARE_PICKLED}
        first = find_type_paths(self._obj, self.name, wanted, original_name)
        refused = {pair for pair in first if self._action_for(pair[0]) in (Action.MOCK, Action.DENY)}
        every = find_places(self._obj, self.name, refused, original_name)
        places = {pair: every.get(pair, (path,)) for pair, path in first.items()}
        return {GlobalRef(ModuleName(module), name): found for (module, name), found in places.items()}

    def _action_for(self, module: str) -> Action | None:
        rule = self._policy.rule_for(module)
        return None if rule is None else rule.action

    @property
    def _inputs(self) -> Any:
        return self._calls.get(self.name) if self._one else dict(self._calls)

    @property
    def _outputs(self) -> Mapping[str, Any]:
        return {} if self._observation is None else self._observation.outputs

    def _is_wanted(self, module: str) -> bool:
        return self._action_for(module) is Action.INTERN

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """Compare, while the block runs, what the object does here with what it did in a clean process.

        That is done in copies of this process, one for each entry point; `doubts` waits for them.
        """
        from wardian.tensors.changes import comparing_in_fork

        with ExitStack() as copies:
            for name, outputs in self._outputs.items():
                assert self._observation is not None
                changes = self._observation.changes[name]
                copy = comparing_in_fork(
                    self._objects[name], self._calls[name], outputs, changes, f"{name}(...)"
                )
                self._compared[name] = copies.enter_context(copy)
            yield
        self._compared.clear()

    def doubts(self, packed: Iterable[ModuleName]) -> list[str]:
        """Tell what the object does here otherwise than in a clean process (docs/design/proof.md).

        Args:
            packed: Modules that are in the case.

        Returns:
            What makes one doubt that the case does the same, as sentences; nothing outside of `comparing`.
        """
        told: list[str] = []
        # What is known to differ needs no guess.
        stale = "; ".join(self.capture.stale(packed)) if self._compared else ""
        for name, differences in self._compared.items():
            compared = differences()
            if compared.failure is not None:
                self._uncompared.append(
                    f"{name} was not compared with what it does in this process: {compared.failure}"
                )
            found = compared.differences
            if not found:
                continue
            assert self._observation is not None
            why = stale or self._live.find_loss(name, (self._outputs[name], self._observation.changes[name]))
            why = why or (
                f"something that {name} uses was changed in this process and is not in the case, such as a"
                f" default of PyTorch or a function of a library; let {name} hold it, or change it in a"
                " module that it imports"
            )
            told += [f"in a clean process, and so from the case, {what}: {why}" for what in found[:1]]
        return told

    def notes(self) -> list[str]:
        """Return what is good to know about the object and its run, as sentences; after `doubts`."""
        reasons = {} if self._observation is None else self._observation.reasons
        unkept = [f"{name}: its outputs were not compared: {why}" for name, why in reasons.items()]
        return [*unkept, *self._uncompared, *self.capture.replaced]

    def pickles(self) -> dict[RecordName, bytes]:
        """Return the pickles of the entry points and of their self-tests, by record."""
        return {record: pickled.data for record, pickled in self._records.items()}

    def held(self) -> Iterator[tuple[Any, str]]:
        """Yield what is in the pickles, and what leads to it in the user's words."""
        yield self._obj, self.name
        yield from self.capture.effects.global_values()
        if self._calls:
            yield self._inputs, "inputs"
            yield self._outputs.get(self.name) if self._one else self._outputs, "outputs"

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

    def origins(self) -> Sequence[PackedOrigin]:
        """Return the open cases that the object uses modules of."""
        return self._origins.resolve()

    def records(self) -> dict[RecordName, bytes]:
        """Return the other records that parts of the object wrote."""
        return {**self._reductions.resources, **self._reductions.scripts()}

    def _with_problems_of_plan(self, error: UnpicklableError) -> UnpicklableError:
        """Return the error, and what the plan of the rest would be refused for."""
        if not error.globals:
            return error
        named = {GlobalRef(original_name(module), qualname) for module, qualname in error.globals}
        try:
            trace = make_trace(
                entry=self.name,
                type=self._pickling.type_of(self._obj),
                globals=named,
                paths=self._places_of(named),
                evidence=None,
                captured=self.capture.modules(),
                origins=self._origins.resolve(),
            )
            make_plan(trace, self._policy)
        except PlanError as other:
            problems = (*error.problems, *other.problems)
            return type(error)(f"{self.name} cannot be packed", problems=problems, path=error.path)
        return error


def _dotted_names(data: bytes) -> set[str]:
    """Return the texts in a pickle that look like the names of modules, or of what is in them."""
    texts = {text[: length[0]] for length, text in _TEXT.findall(data) if length[0] <= len(text)}
    return {text.decode("ascii").replace(":", ".") for text in texts}
