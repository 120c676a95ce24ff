"""What a failed proof is followed by: a manifest that asks for more, until the proof passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import NOTHING, PLAN
from wardian.archive.writer import ArchiveWriter
from wardian.domain.decisions import PackedFile
from wardian.domain.manifest import Entry, Extern, Manifest
from wardian.domain.names import ModuleName, RecordName
from wardian.domain.plan import Plan
from wardian.domain.policy import Policy
from wardian.errors import ProofError
from wardian.packing import finishing
from wardian.packing.finishing import Finished, finish
from wardian.packing.proving.prove import PROOF_FAILED
from wardian.packing.writing.assembly import Contents
from wardian.processes.clean import CleanProcesses
from wardian.reporters import Stages, reporting


def _extern(name: str, *, soft: bool) -> Extern:
    return Extern(distribution=name, version="1.0", modules=(name,), names=(), soft=soft)


CONTENTS = Contents(
    entries=(Entry(name="model", record="model/model.pkl", type="builtins.list", test=None, outputs=True),),
    pickles={RecordName("model/model.pkl"): NOTHING},
    tensors=(),
    resources={},
    metadata={},
    torch="2.8.0",
    proof="passed",
)
PLAN_OF_GROVE = replace(
    PLAN,
    externs=(_extern("alder", soft=True), _extern("birch", soft=True)),
    indirect=(_extern("cedar", soft=False),),
    deferrable=(ModuleName("oak"),),
)


def _fails(**facts: Any) -> ProofError:
    known = {
        "output": "",
        "used": frozenset(),
        "missing": frozenset(),
        "left_out": frozenset(),
        "hidden": frozenset(),
    }
    return ProofError(f"{PROOF_FAILED}it differs\nat length", **{**known, **facts})


class Finishing:
    """Finishes a case whose proofs end as they are told to, and keeps what each was given."""

    def __init__(self, archive: ArchiveWriter) -> None:
        self.archive = archive
        self.proven: list[Manifest] = []
        self.ends: list[ProofError] = []

    def prove(self, path: Path, manifest: Manifest, processes: CleanProcesses) -> None:
        self.proven.append(manifest)
        if self.ends:
            raise self.ends.pop(0)

    def of(
        self,
        *ends: ProofError,
        plan: Plan = PLAN_OF_GROVE,
        contents: Contents = CONTENTS,
        whole: Callable[[], Plan] = lambda: PLAN_OF_GROVE,
    ) -> Finished:
        self.ends = [*ends]
        with reporting(progress=False) as tell:
            return finish(self.archive, plan, contents, Stages(tell), Policy(), CleanProcesses(), whole=whole)


@pytest.fixture
def finishing_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finishing]:
    with ArchiveWriter(tmp_path / "grove.case") as archive:
        made = Finishing(archive)
        monkeypatch.setattr(finishing, "prove", made.prove)
        yield made


def _soft(manifest: Manifest) -> list[str | None]:
    return [extern.distribution for extern in manifest.externs if extern.soft]


def test_a_proof_that_passes_leaves_all_freedom(finishing_case: Finishing) -> None:
    case = finishing_case.of()
    assert _soft(case.manifest) == ["alder", "birch"]
    assert case.manifest.deferred == ("oak",)
    assert [attempt.failure for attempt in case.attempts] == [None]


def test_without_a_proof_nothing_is_proven_or_deferred(finishing_case: Finishing) -> None:
    case = finishing_case.of(contents=replace(CONTENTS, proof="skipped"))
    assert finishing_case.proven == []
    assert (case.attempts, case.manifest.deferred) == ((), ())


def test_each_failure_asks_for_more(finishing_case: Finishing) -> None:
    case = finishing_case.of(_fails(missing={"cedar"}), _fails(used={"birch"}), _fails(), _fails())
    assert [_soft(manifest) for manifest in finishing_case.proven] == [
        ["alder", "birch"],
        ["alder", "birch"],
        ["alder"],
        [],
        [],
    ]
    assert [manifest.deferred for manifest in finishing_case.proven] == [("oak",)] * 4 + [()]
    assert [attempt.change for attempt in case.attempts] == [
        "cedar needed",
        "birch needed",
        "alder needed",
        "no package deferred",
        None,
    ]
    assert case.attempts[0].failure == "it differs"
    assert case.manifest == finishing_case.proven[-1]


def test_what_was_hidden_is_asked_for_when_nothing_else_is_left(finishing_case: Finishing) -> None:
    hidden = _fails(hidden={"cedar"})
    case = finishing_case.of(hidden, hidden, hidden)
    assert [attempt.change for attempt in case.attempts] == [
        "alder, birch needed",
        "no package deferred",
        "cedar needed",
        None,
    ]


def test_no_extern_is_soft_after_three_failures(finishing_case: Finishing) -> None:
    names = ("alder", "birch", "hazel", "larch")
    plan = replace(PLAN_OF_GROVE, externs=tuple(_extern(name, soft=True) for name in names))
    finishing_case.of(*(_fails(used={name}) for name in names[:3]), plan=plan)
    assert [_soft(manifest) for manifest in finishing_case.proven[1:]] == [
        ["birch", "hazel", "larch"],
        ["hazel", "larch"],
        [],
    ]


def test_distributions_are_packed_whole_where_a_module_was_left_out(finishing_case: Finishing) -> None:
    file = PackedFile(RecordName("oak/rings.py"), "", 0, ModuleName("oak.rings"), "oak", b"")
    fuller = replace(PLAN_OF_GROVE, files=(file,))
    case = finishing_case.of(_fails(left_out={"oak.rings"}), whole=lambda: fuller)
    assert case.plan is fuller
    assert "oak/rings.py" in case.manifest.records
    assert case.attempts[0].change == "distributions packed whole"
    assert _soft(case.manifest) == ["alder", "birch"]


def test_the_last_failure_is_the_users(finishing_case: Finishing) -> None:
    last = _fails()
    with pytest.raises(ProofError) as raised:
        finishing_case.of(_fails(), _fails(), last)
    assert raised.value is last
