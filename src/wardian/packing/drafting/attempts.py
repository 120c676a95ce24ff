"""Runs of the object in clean processes, each with more of what this process has than the one before."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from wardian.archive.writer import ArchiveWriter
from wardian.capture.homes import is_captured
from wardian.capture.session import Capture
from wardian.domain.live_names import original_name
from wardian.domain.names import LOGGING_LIBRARIES, top_level
from wardian.domain.record_names import VERSION
from wardian.domain.trace import Evidence
from wardian.environment.modules import is_importable, is_module, variables_of
from wardian.errors import PackError, PlanError, Problem, TimeLimitError
from wardian.packing.drafting.live_object import LiveObject
from wardian.packing.drafting.origins import Origins
from wardian.packing.drafting.reductions import Reductions
from wardian.packing.tracing.ahead import reading_ahead
from wardian.packing.tracing.finders import loaded_elsewhere
from wardian.packing.tracing.observe import Draft, Observation, observe
from wardian.packing.tracing.registered import find_registered, modules_beside, only_of, users_modules
from wardian.packing.tracing.submodules import code_of, find_submodules, is_imported_above
from wardian.pickling.paths import find_type_paths
from wardian.pickling.pickler import PickledObject
from wardian.processes.clean import CleanProcesses
from wardian.tensors.storages import StorageWriter

__all__ = ["Attempted", "Attempts", "Watcher"]


class Watcher(Protocol):
    """Who is told how far the runs in clean processes are."""

    def when_idle(self) -> None:
        """Take note, in another thread, that this process only waits for a run by now."""

    def when_run(self, evidence: Evidence, top_levels: Collection[str]) -> None:
        """Take note of a run.

        Args:
            evidence: What it has shown.
            top_levels: Top-level names of the modules that the pickle names.
        """


@dataclass(frozen=True, slots=True)
class Attempted:
    """The attempt that worked."""

    pickled: PickledObject
    beforehand: tuple[Any, ...]
    """Classes, functions and modules that had to be there before what the pickle holds is made."""
    observation: Observation


class Attempts:
    """Loads and calls the object in clean processes until that works as it does here.

    Args:
        live: The object here.
        pickle: Pickles it anew, with what must be there beforehand.
        capture: Code that no import leads to.
        origins: The open cases that parts of it come from.
        reductions: What parts of it write themselves.
        archive: Where its storages are.
        storages: Where each of them is.
        processes: How the clean processes are started.
        again: Told why there is another attempt.
    """

    def __init__(
        self,
        live: LiveObject,
        pickle: Callable[[tuple[Any, ...]], PickledObject],
        capture: Capture,
        origins: Origins,
        reductions: Reductions,
        archive: ArchiveWriter,
        storages: StorageWriter,
        processes: CleanProcesses,
        again: Callable[[str], None],
    ) -> None:
        self._live, self._pickle, self._capture, self._origins = live, pickle, capture, origins
        self._reductions, self._archive, self._storages = reductions, archive, storages
        self._processes, self._again = processes, again
        self._watcher: Watcher | None = None
        self._submodules: list[types.ModuleType] = []
        """Those that code takes from their package and does not import: `import scipy`, then `scipy.fft`.
        Whatever else had imported them in this process is not in a clean one."""
        self._found: tuple[PickledObject, dict[types.ModuleType, set[str]]] | None = None

    def run(
        self,
        pickled: PickledObject,
        arguments: PickledObject | None,
        watcher: Watcher | None = None,
    ) -> Attempted:
        """Run the object where what was registered in this process is registered first.

        Args:
            pickled: The object, pickled with nothing beforehand.
            arguments: The pickled arguments of the calls; None if there are none.
            watcher: Told of each run.

        Raises:
            TimeLimitError: if an attempt takes longer than it may.
            PackError: if no attempt works.
        """
        self._watcher = watcher
        if self._capture.side_effects.find_named_by_text(pickled.data):
            pickled = self._pickle(())
        first = self._attempt(pickled, (), arguments)
        loggers = tuple(sorted(LOGGING_LIBRARIES & sys.modules.keys()))
        if isinstance(first, PackError) and loggers:
            self._again(f"{_first_line(first)}; now with {', '.join(loggers)} silent")
            again = self._attempt(pickled, (), arguments, silenced=loggers)
            first = again if isinstance(again, Attempted) else first
        first = self._with_unimported(pickled, arguments, first)
        if isinstance(first, Attempted):
            pickled = first.pickled
        for beforehand in self._find_registered(pickled, first):
            try:
                with_registered = self._pickle_with(beforehand)
            except PackError:
                continue
            if isinstance(first, PackError):
                self._again(f"{_first_line(first)}; now with what other modules register at their import")
            again = self._attempt(with_registered, beforehand, arguments)
            if isinstance(again, Attempted):
                return again
        if isinstance(first, Attempted):
            return first
        raise self._explain(pickled, first) from None

    def find_submodules(self, pickled: PickledObject) -> dict[types.ModuleType, set[str]]:
        """Return the submodules that the user's code mentions beside their packages, each with whose code.

        Those of libraries that stay outside are no part of it: to import one would make the library needed,
        which the case may do without.
        """
        if self._found is not None and self._found[0] is pickled:
            return self._found[1]
        named = {module for module, _ in pickled.globals} | self._capture.modules_used()
        found: dict[types.ModuleType, set[str]] = {}
        for name, module in modules_beside(named, ()).items():
            code = code_of(module)
            for submodule in find_submodules(code, variables_of(module)) if code else ():
                found.setdefault(submodule, set()).add(original_name(name))
        for name, captured in self._capture.modules().items():
            code = compile(captured.source, name, "exec", dont_inherit=True)
            for submodule in find_submodules(code, {}):
                found.setdefault(submodule, set()).add(name)
        ordered = {m: found[m] for m in sorted(found, key=_name_of) if not is_captured(m.__name__)}
        self._found = pickled, ordered
        return ordered

    def _with_unimported(
        self, pickled: PickledObject, arguments: PickledObject | None, first: Attempted | PackError
    ) -> Attempted | PackError:
        """Attempt it with submodules that code may ask for where no call leads: `hasattr(shop, "heads")`."""
        found = self.find_submodules(pickled)
        if isinstance(first, Attempted):
            seen = frozenset(map(original_name, first.observation.evidence.modules))
            there = {*self._capture.modules(), *seen}
            unimported = first.observation.unimported
            wanted = [m for m, users in found.items() if m.__name__ in unimported and users & there]
        else:
            wanted = [m for m in found if not is_imported_above(m) and m not in self._submodules]
        if not wanted:
            return first
        before = self._submodules[:]
        self._submodules += wanted
        names = ", ".join(module.__name__ for module in wanted)
        self._again(f"code takes {names} from a package and does not import it; now with it imported first")
        try:
            again = self._attempt(self._pickle_with(()), (), arguments)
        except PackError as error:
            again = error
        if isinstance(again, PackError):
            self._submodules = before
            return first
        return again

    def _find_registered(
        self, pickled: PickledObject, first: Attempted | PackError
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what may have to be there beforehand, for each attempt that is worth making."""
        side_effects = self._capture.side_effects
        named = {module for module, _ in pickled.globals}
        named |= {
            live
            for live in sys.modules
            if self._origins.is_of_open_case(live) and original_name(live) in named
        }
        attempts: list[list[Any]]
        if isinstance(first, Attempted):
            seen = first.observation.evidence.modules
            told = find_registered(seen, modules_beside(named, ()))
            attempts = [only_of(told, modules_beside(named, seen))]
        else:
            # It may be for want of what a module does when it is imported.
            used = named | self._capture.modules_used()
            beside = modules_beside(used, ())
            tops = {top_level(original_name(name)) for name in used}
            seen = (
                *beside,
                *(name for name in map(original_name, list(sys.modules)) if top_level(name) in tops),
            )
            from_script = find_registered(beside, ())
            attempts = [from_script, [*beside.values(), *from_script]]
            told = find_registered(map(original_name, list(sys.modules)), beside)
        statements = side_effects.find_registrations(told, surely=False)
        changed = side_effects.find_settings(users_modules(seen), self._origins.changes())
        for attempt in attempts:
            registered = [found for found in attempt if not self._names(pickled, found)]
            if registered or statements or changed:
                side_effects.find_registrations(registered, surely=True)
                yield (*registered, *statements)

    def _names(self, pickled: PickledObject, obj: Any) -> bool:
        """Tell whether a pickle names a class or function, or something of a module."""
        if is_module(obj):
            return original_name(obj.__name__) in {module for module, _ in pickled.globals}
        return self._capture.name_of(obj) in pickled.globals

    def _attempt(
        self,
        pickled: PickledObject,
        beforehand: tuple[Any, ...],
        arguments: PickledObject | None,
        *,
        silenced: tuple[str, ...] = (),
    ) -> Attempted | PackError:
        """Run a pickle, and again with each submodule that is loaded here and that nothing imported there.

        Returns:
            What came of it; or the error, after which another attempt may work.
        """
        while True:
            try:
                observation = self._observe(pickled, arguments, silenced)
                if self._watcher is not None:
                    tops = {top_level(original_name(module)) for module, _ in pickled.globals}
                    self._watcher.when_run(observation.evidence, tops)
                return Attempted(pickled, (*self._in_order(), *beforehand), observation)
            except TimeLimitError:  # the next attempt would take as long
                raise
            except PackError as error:
                submodule = sys.modules.get(error.unimported or "")
                if submodule is None or submodule in self._submodules:
                    return error
                self._again(f"{_first_line(error)}; now with {error.unimported} imported first")
                self._submodules.append(submodule)
                try:
                    pickled = self._pickle_with(beforehand)
                except PackError:
                    self._submodules.remove(submodule)
                    return error

    def _pickle_with(self, beforehand: tuple[Any, ...]) -> PickledObject:
        return self._pickle((*self._in_order(), *beforehand))

    def _in_order(self) -> list[types.ModuleType]:
        """Return the submodules in an order that does not hang on how each was found out."""
        return sorted(self._submodules, key=_name_of)

    def _observe(
        self, pickled: PickledObject, arguments: PickledObject | None, silenced: tuple[str, ...]
    ) -> Observation:
        live = self._live
        with self._readable():
            return observe(
                Draft(
                    live.name,
                    len(live.objects) == 1,
                    pickled.data,
                    pickled.globals,
                    tuple(live.calls),
                    None if arguments is None else arguments.data,
                    self._archive.path,
                    self._storages.offsets,
                    {**self._capture.modules(), **self._reductions.modules},
                    self._capture.find_live,
                    self._origins.roots(),
                    self._origins.find_global,
                    self._reductions.resources,
                    live.find_place,
                    live.raised_by_call,
                    live.find_loss,
                    silenced,
                    live.classes,
                    tuple(module.__name__ for module in self._in_order()),
                    tuple(module.__name__ for module in self.find_submodules(pickled)),
                ),
                self._processes,
                partial(
                    reading_ahead,
                    {module for module, _ in pickled.globals},
                    None if self._watcher is None else self._watcher.when_idle,
                ),
            )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        scripts = self._reductions.scripts()
        if not scripts:
            self._archive.flush()
            yield
            return
        with self._archive.readable({**scripts, VERSION: b"6\n"}):
            yield

    def _explain(self, pickled: PickledObject, error: PackError) -> PackError:
        """Return what tells best why the object does not load."""
        own = self._capture.modules()
        modules = {m for m, _ in pickled.globals if m not in own and not self._origins.packs(m)}
        missing = {module for module in modules if not is_importable(original_name(module))}
        missing -= loaded_elsewhere().keys()  # which are imported there by their file
        unknown = {ref for ref in pickled.globals if ref[0] in missing}
        paths = find_type_paths(self._live.whole, self._live.name, unknown)
        problems = [
            Problem(
                f"{module}, which defines {qualname}, cannot be imported in a new process",
                f"define {qualname} in a module that can be imported: a file in a folder of sys.path",
                module,
                (f"{paths.get((module, qualname), self._live.name)} is a {module}.{qualname}",),
            )
            for module, qualname in sorted(unknown)
        ]
        better = PlanError(f"{self._live.name} cannot be packed", problems=problems) if problems else error
        if likely := [*self._capture.losses, *self._capture.left_out]:
            better.add_note("\n".join(likely))
        if better is not error:
            better.__cause__ = error
        return better


def _name_of(module: types.ModuleType) -> str:
    return original_name(module.__name__)


def _first_line(error: PackError) -> str:
    return str(error).partition("\n")[0]
