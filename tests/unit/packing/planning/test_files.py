"""Which files are packed, under whose name. Traces are built by hand: nothing is imported."""

from __future__ import annotations

from dataclasses import replace

from wardian.domain.decisions import Decision
from wardian.domain.global_refs import GlobalRef
from wardian.domain.graph import ImportGraph
from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import ModuleName, RecordName
from wardian.domain.policy import Action
from wardian.domain.trace import DistributionFacts, Evidence, Trace
from wardian.packing.planning.files import _operator_libraries, _Packed

TIMBERLIB = DistributionFacts(
    name="timberlib",
    version="1.0",
    roots=("timberlib",),
    compiled=(),
    required_by_torch=False,
    with_every_torch=False,
    files=tuple(
        (f"timberlib/{name}", f"/site/timberlib/{name}", 10)
        for name in ("__init__.py", "oak.py", "rings.json", "unused.py")
    ),
    left_out=(),
    metadata={},
)
EVIDENCE = Evidence(
    modules=(), imports=(), absent=(), files=(), libraries=(), operators=(), schemas=(), ran=True, used=()
)


def _facts(name: str, owner: str | None, **facts: bool) -> ModuleFacts:
    return ModuleFacts(
        ModuleName(name), ModuleKind.SOURCE, __file__, facts.get("is_package", False), distribution=owner
    )


MODULES = (_facts("timberlib.oak", "timberlib"), _facts("elm", None, is_package=True), _facts("ash", None))
TRACE = Trace(
    entry="model",
    type=GlobalRef(ModuleName("elm"), "Elm"),
    globals=(),
    modules={facts.name: facts for facts in MODULES},
    needed=frozenset(facts.name for facts in MODULES),
    graph=ImportGraph([]),
    facts={},
    distributions={"timberlib": TIMBERLIB},
    first_party_files=(("elm/leaves.csv", "/home/elm/leaves.csv", 3), ("ash/nuts.csv", "/home/nuts.csv", 3)),
    evidence=EVIDENCE,
    torch="2.8.0",
    materialised=frozenset(),
    captured={},
)


def _packed(trace: Trace = TRACE, *in_part: str, **actions: Action) -> _Packed:
    decisions = [
        Decision(name, actions.get(name, Action.INTERN), "", facts.distribution)
        for name, facts in trace.modules.items()
    ]
    return _Packed(trace, decisions, in_part)


def test_a_distribution_is_packed_whole_and_own_modules_with_their_data() -> None:
    packed = _packed()
    assert set(packed.files) == {
        "ash.py",
        "ash/nuts.csv",
        "elm/__init__.py",
        "elm/leaves.csv",
        *(record for record, _, _ in TIMBERLIB.files),
    }
    assert [(d.name, d.version, d.roots) for d in packed.distributions()] == [
        ("first-party", None, ("ash", "elm")),
        ("timberlib", "1.0", ("timberlib",)),
    ]


def test_of_a_distribution_in_part_come_modules_that_are_decided_about_and_data_that_is_reached() -> None:
    packed = _packed(replace(TRACE, data=frozenset({RecordName("timberlib/rings.json")})), "timberlib")
    assert {record for record in packed.files if record.startswith("timberlib")} == {
        "timberlib/oak.py",
        "timberlib/rings.json",
    }
    assert packed.unneeded == {"timberlib": {"timberlib", "timberlib.unused"}}


def test_data_of_an_own_package_that_stays_outside_stays_there_too() -> None:
    packed = _packed(ash=Action.MOCK)
    assert {record for record in packed.files if record.endswith(".csv")} == {"elm/leaves.csv"}


def test_a_captured_module_is_packed_as_it_was_made() -> None:
    packed = _packed(replace(TRACE, captured={ModuleName("elm"): "LEAVES = 3\n"}))
    (file,) = (file for record, file in packed.files.items() if record == "elm/__init__.py")
    assert (file.content, file.path, file.size) == (b"LEAVES = 3\n", "", 11)


def test_operator_libraries_are_packed_files_that_were_loaded() -> None:
    files = _packed().files.values()
    trace = replace(TRACE, evidence=replace(EVIDENCE, operators=("/other/timberlib/oak.py", "/x/unused.py")))
    assert _operator_libraries(trace, files) == ("timberlib/oak.py",)
