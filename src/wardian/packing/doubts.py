"""Reasons, in words, why a case that is made may not behave as expected: the last step before publishing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from wardian.capture.homes import is_captured
from wardian.domain.graph import ImportContext
from wardian.domain.names import RecordName
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.domain.provenance import Provenance
from wardian.domain.trace import Trace
from wardian.environment.native import is_compiled_in_run
from wardian.inspection.credentials import find_credentials
from wardian.inspection.variables import find_variables
from wardian.packing.drafting.draft import Drafting
from wardian.packing.remarks import Made
from wardian.pickling.paths import find_texts
from wardian.processes.fence import kind_of

__all__ = ["find_doubts", "find_notes"]


def find_doubts(
    made: Made,
    draft: Drafting,
    trace: Trace,
    resources: Mapping[RecordName, bytes],
    metadata: Mapping[str, str],
    origin: Provenance | None,
    refused: Iterable[str],
) -> list[str]:
    """Return the warnings about a case, as sentences.

    Args:
        made: The case.
        draft: The object on its way into it.
        trace: What the object needs.
        resources: Those that the user passed.
        metadata: All that the manifest notes.
        origin: Where the case comes from, if that was asked for.
        refused: What code wanted to do in clean processes, and might not.
    """
    plan = made.plan
    packed = [d.module for d in plan.decisions if d.action is Action.INTERN]
    # Tools that compile functions remember, and read, the files that these are of.
    sources = {file.path for file in plan.files if file.module is not None}
    read = [path for path in trace.evidence.files if path not in sources]
    return [
        *draft.capture.warnings(packed),
        *draft.doubts(packed),
        *made.warnings(),
        *map(_outside, draft.held_files(read)),
        *_compiling(plan, trace.evidence.libraries),
        *map(_refused, refused),
        *([_NO_REPOSITORY] if origin is not None and not origin.repositories else []),
        *find_credentials(
            lambda: chain.from_iterable(find_texts(*found) for found in draft.held()),
            b"".join(draft.pickles().values()),
            [
                *_own_files(plan),
                *((f"resource {key}", data) for key, data in resources.items()),
                *((f"metadata {key}", f"{key}: {value}".encode()) for key, value in metadata.items()),
            ],
            draft.find_line,
        ),
    ]


def find_notes(made: Made, draft: Drafting) -> list[str]:
    """Return what is good to know about a case, as sentences.

    Args:
        made: The case.
        draft: The object on its way into it.
    """
    return [*draft.notes(), *_variables(made.plan, draft.find_line), *made.notes()]


def _variables(plan: Plan, find_line: Callable[[str, int], str | None]) -> Iterator[str]:
    """Tell of environment variables that are set here, as the user's code asks: the proof has them, too."""
    modules = {file.record: file.module for file in plan.files if file.module is not None}
    told: set[str] = set()
    for record, source in _own_files(plan):
        module = modules.get(record)
        for name, line in ({} if module is None else find_variables(source, module, record)).items():
            if name in os.environ and name not in told:
                told.add(name)
                yield (
                    f"{find_line(record, line) or f'{module}, line {line},'} reads the environment variable"
                    f" {name}, which must be set where the case is loaded"
                )


def _own_files(plan: Plan) -> Iterator[tuple[RecordName, bytes]]:
    """Yield the files that are the user's: a distribution holds nobody's secrets."""
    for file in plan.files:
        if file.distribution is None:
            try:
                content = Path(file.path).read_bytes() if file.content is None else file.content
            except OSError:  # assembling has told
                continue
            yield file.record, content


_COMPILES = "torch.utils.cpp_extension"


def _compiling(plan: Plan, libraries: Iterable[str]) -> Iterator[str]:
    """Tell of packed code that compiles: what it compiled before answers here, in the proof, too."""
    packed = {d.module for d in plan.decisions if d.action is Action.INTERN}
    importing = sorted(
        {
            edge.file if is_captured(edge.importer) else str(edge.importer)
            for edge in plan.graph
            if edge.imported == _COMPILES and edge.importer in packed
            if edge.context is not ImportContext.TYPE_CHECKING
        }
    )
    names = sorted({os.path.basename(path) for path in libraries if is_compiled_in_run(path)})
    if importing and names:
        yield (
            f"{' and '.join(importing)} {'compiles' if len(importing) == 1 else 'compile'} C++"
            f" ({', '.join(names)}) when it is imported or called ({_COMPILES}): where the case is loaded, a"
            " compiler and ninja are needed. Build it by setuptools, into a distribution that is installed"
            " there; it then stays outside of the case"
        )


_NO_REPOSITORY = (
    "provenance=True: none of the files that were packed is in a git repository, or git is not installed;"
    " only the command was noted"
)


def _refused(what: str) -> str:
    return (
        f"while it was packed, code of the object wanted to {what}; it might not, and went on without. If it"
        f' is meant: allow=("{kind_of(what)}",)'
    )


def _outside(path: str) -> str:
    return (
        f"{path}, a path that the object holds, was read; it will not be there where the case is loaded. Keep"
        " its content in the object, or read it beside the code: Path(__file__).parent"
    )
