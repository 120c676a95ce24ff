"""From a plan to a finished file, which is proven until it asks for enough and for no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from wardian.archive.writer import ArchiveWriter
from wardian.domain.manifest import Entry, Extern, Manifest
from wardian.domain.names import ModuleName
from wardian.domain.plan import Plan
from wardian.domain.policy import Action, Policy
from wardian.errors import PlanError, ProofError
from wardian.packing.planning.externs import find_unowned, with_hard, with_missing
from wardian.packing.proving.fence import find_installed
from wardian.packing.proving.prove import PROOF_FAILED, prove
from wardian.packing.report import Attempt
from wardian.packing.writing.assembly import Contents, amend, assemble
from wardian.processes.clean import CleanProcesses
from wardian.reporters import Stages

__all__ = ["Finished", "finish"]

_GUESSES = 3
"""Failed proofs after which no extern counts as soft: each costs as long as loading the object."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The case that was written in the end."""

    manifest: Manifest
    digest: str
    plan: Plan
    attempts: tuple[Attempt, ...]
    """The proofs, in order; the last one passed. Empty if there was none."""
    is_deep: bool
    """Whether it works only with a recursion limit above that of a new interpreter."""


def finish(
    archive: ArchiveWriter,
    plan: Plan,
    contents: Contents,
    stages: Stages,
    policy: Policy,
    processes: CleanProcesses,
    *,
    whole: Callable[[], Plan],
) -> Finished:
    """Finish the file and prove it: as free of the environment, and as fast, as the proof shows possible.

    A failed proof is followed by one that asks more of the environment or has less freedom: with what only
    externs import, without the soft externs that were used, without soft externs, without deferred packages,
    with whole distributions in place of what code can reach, at once if such a module was asked for.

    Args:
        archive: The file.
        plan: What goes into it.
        contents: What else does; it says whether there is a proof.
        stages: Told of each stage.
        policy: The rules: nothing is declared that is denied.
        processes: How the clean process of a proof is started.
        whole: Makes the plan with whole distributions.
    """
    attempts: list[Attempt] = []
    is_proven, is_deep = contents.proof == "passed", False
    if plan.deferrable and _are_called(contents.entries) and is_proven:
        contents = replace(contents, deferred=plan.deferrable)
    with stages("write"):
        manifest, digest = assemble(archive, plan, contents)
    while is_proven:
        try:
            with stages("prove"):
                is_deep = prove(archive.path, manifest, processes)
        except ProofError as error:
            relaxed = _relaxed(plan, manifest, error, policy, final=len(attempts) + 1 >= _GUESSES)
            changed = None if relaxed is None else _difference(manifest, relaxed)
            if (relaxed is None or error.left_out) and (fuller := whole()).files != plan.files:
                plan = fuller
                archive.reopen()
                with stages("write"):
                    full, _ = assemble(archive, plan, contents)
                relaxed = replace(full, externs=manifest.externs, deferred=manifest.deferred)
                changed = "distributions packed whole"
            if relaxed is None or changed is None:
                raise
            failure = _failure(error)
            attempts.append(Attempt(stages.seconds["prove"], failure, changed))
            stages.tell.again(f"{failure}; now with {changed}")
            manifest = relaxed
        else:
            attempts.append(Attempt(stages.seconds["prove"], None, None))
            break
        with stages("write"):
            digest = amend(archive, manifest)
    problems = find_unowned(plan, manifest.externs)
    if problems:
        raise PlanError(f"{plan.entry} cannot be packed", problems=problems)
    return Finished(manifest, digest, plan, tuple(attempts), is_deep)


def _failure(error: ProofError) -> str:
    if error.used:  # they were hidden, and are not missing here
        return f"it does not work without {', '.join(sorted(error.used))}"
    return str(error).partition("\n")[0].removeprefix(PROOF_FAILED)


def _are_called(entries: Iterable[Entry]) -> bool:
    """Tell whether a proof shows what each entry point does."""
    return all(entry.outputs for entry in entries if "+" not in entry.name)


def _is_denied(extern: Extern, policy: Policy) -> bool:
    rules = (policy.rule_for(ModuleName(module)) for module in extern.modules)
    return any(rule is not None and rule.action is Action.DENY for rule in rules)


def _relaxed(
    plan: Plan, manifest: Manifest, error: ProofError, policy: Policy, *, final: bool
) -> Manifest | None:
    """Return what is proven next, None if nothing is left to try."""
    before = manifest.externs
    externs = _with(error.missing, plan, manifest, policy)
    if externs == before:
        externs = with_hard(externs, None if final else error.used or None)
    if externs == before:
        externs = with_hard(externs, None)
    if externs != before:
        return replace(manifest, externs=externs)
    if manifest.deferred:
        return replace(manifest, deferred=())
    # No error says so: a library has noted that another one is not there, and gives something else.
    externs = _with(error.hidden, plan, manifest, policy)
    return replace(manifest, externs=externs) if externs != before else None


def _with(missing: frozenset[str], plan: Plan, manifest: Manifest, policy: Policy) -> tuple[Extern, ...]:
    """Return the externs of a case, with those that have what was missing."""
    externs = with_missing(plan, manifest.externs, missing)
    if externs == manifest.externs:
        found = find_installed(missing, manifest)
        externs = (*externs, *(extern for extern in found if not _is_denied(extern, policy)))
    return externs


def _difference(before: Manifest, after: Manifest) -> str:
    """Tell what is asked of the environment in the second of two manifests and not in the first."""
    hard = {extern.distribution or extern.modules[0] for extern in after.externs if not extern.soft}
    hard -= {extern.distribution or extern.modules[0] for extern in before.externs if not extern.soft}
    return f"{', '.join(sorted(hard))} needed" if hard else "no package deferred"
