"""Decisions, each with its reason. Traces are built by hand: nothing is read, nothing is imported."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wardian.domain.global_refs import GlobalRef
from wardian.domain.globs import GlobGroup
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import ModuleName, record_name
from wardian.domain.policy import Action, Policy, Rule
from wardian.domain.source_facts import SourceFacts
from wardian.domain.trace import DistributionFacts, Evidence, ObservedImport, Trace
from wardian.errors import PlanError
from wardian.packing.planning.decide import make_plan
from wardian.packing.planning.externs import with_missing
from wardian.source.parsing import parse
from wardian.source.scanning import scan

SITE = "/site"


def _name(text: str) -> ModuleName:
    return ModuleName(text)


class Forest:
    """Builds a trace, a module at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[ModuleName, ModuleFacts] = {}
        self.facts: dict[ModuleName, SourceFacts] = {}
        self.edges: list[Import] = []
        self.distributions: dict[str, DistributionFacts] = {}
        self.observed: list[ObservedImport] = []
        self.distribution("torch", required_by_torch=True, with_every_torch=True)
        self.module("torch", distribution="torch")

    def distribution(self, name: str, files: tuple[str, ...] = (), **facts: Any) -> None:
        known = {
            "version": "1.0",
            "roots": (name,),
            "compiled": (),
            "required_by_torch": False,
            "with_every_torch": False,
            "left_out": (),
            "metadata": {"METADATA": b"Name: " + name.encode()},
        }
        listed = tuple((file, f"{SITE}/{file}", 10) for file in files)
        self.distributions[name] = DistributionFacts(name=name, files=listed, **{**known, **facts})

    def module(self, name: str, source: str = "", *, distribution: str | None = None, **facts: Any) -> None:
        is_package = facts.pop("is_package", False)
        kind = facts.pop("kind", ModuleKind.SOURCE)
        path = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        file = self.folder / path
        if distribution is None and kind is ModuleKind.SOURCE:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        self.modules[_name(name)] = ModuleFacts(_name(name), kind, str(file), is_package, distribution)
        if source:
            scanned = scan(
                source.encode(),
                _name(name),
                is_package=is_package,
                file=path,
                tree=parse(source.encode(), path),
            )
            self.facts[_name(name)] = scanned
            self.edges += scanned.imports

    def trace(self, *pickled: str, needed: tuple[str, ...] | None = None, **evidence: Any) -> Trace:
        refs = tuple(GlobalRef(_name(p.rpartition(".")[0]), p.rpartition(".")[2]) for p in pickled)
        edges = [
            *self.edges,
            *(Import(_name("model"), ref.module, 0, ImportContext.PICKLED, "model") for ref in refs),
        ]
        known: dict[str, Any] = {
            "modules": (),
            "imports": tuple(self.observed),
            "absent": (),
            "files": (),
            "libraries": (),
            "operators": (),
            "schemas": (),
            "ran": True,
            "used": (),
        }
        return Trace(
            entry="model",
            type=refs[0],
            globals=refs,
            modules=dict(sorted(self.modules.items())),
            needed=frozenset(map(_name, self.modules if needed is None else needed)),
            graph=ImportGraph(edges),
            facts=self.facts,
            distributions=dict(sorted(self.distributions.items())),
            first_party_files=(),
            evidence=Evidence(**{**known, **evidence}),
            torch="2.8.0",
            materialised=frozenset(),
            captured={},
        )


@pytest.fixture
def forest(tmp_path: Path) -> Forest:
    made = Forest(tmp_path)
    made.distribution("timberlib", ("timberlib/__init__.py", "timberlib/oak.py", "timberlib/rings.json"))
    made.module("timberlib", "from timberlib import oak", distribution="timberlib", is_package=True)
    made.module("timberlib.oak", "import numlib\nfrom numlib import array", distribution="timberlib")
    made.distribution("numlib", compiled=("numlib._core",))
    made.module("numlib", distribution="numlib", is_package=True)
    made.module("numlib._core", distribution="numlib", kind=ModuleKind.EXTENSION)
    made.module("mill", "import timberlib.oak\nimport torch")
    return made


def _decisions(plan: Any) -> dict[str, tuple[str, str]]:
    return {d.module: (str(d.action), d.reason) for d in plan.decisions}


def test_each_module_has_one_decision_with_its_reason(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    compiled = "numlib._core is compiled, and so tied to a platform"
    assert _decisions(plan) == {
        "mill": ("intern", "first-party code"),
        "numlib": ("extern", compiled),
        "numlib._core": ("extern", compiled),
        "timberlib": ("intern", "part of timberlib, which is packed whole"),
        "timberlib.oak": ("intern", "part of timberlib, which is packed whole"),
        "torch": ("extern", "it is PyTorch"),
    }
    assert [d.module for d in plan.decisions] == sorted(d.module for d in plan.decisions)


def _soft(plan: Any) -> dict[str | None, bool]:
    return {extern.distribution: extern.soft for extern in plan.externs}


def test_an_extern_is_hard_that_packed_code_could_not_do_without(forest: Forest) -> None:
    assert _soft(make_plan(forest.trace("mill.Saw"), Policy()))["numlib"] is True
    evidences: tuple[dict[str, Any], ...] = (
        {"demands": (ObservedImport("mill", "numlib", 3),)},
        {"checked": ("numlib",)},
    )
    for evidence in evidences:
        assert _soft(make_plan(forest.trace("mill.Saw", **evidence), Policy()))["numlib"] is False
    # What another extern needs, it needs where it is needed itself.
    demands = (ObservedImport("numlib._core", "numlib", 3),)
    assert _soft(make_plan(forest.trace("mill.Saw", demands=demands), Policy()))["numlib"] is True


def test_what_pytorch_imports_and_does_not_require_is_an_extern(forest: Forest) -> None:
    forest.distribution("chartlib", compiled=("chartlib._c",))
    forest.module("chartlib", distribution="chartlib")
    assert "chartlib" not in _soft(make_plan(forest.trace("mill.Saw"), Policy()))
    demands = (ObservedImport("torch", "chartlib", 3),)
    assert _soft(make_plan(forest.trace("mill.Saw", demands=demands), Policy()))["chartlib"] is False


def test_a_distribution_is_packed_whole_with_its_data_and_metadata(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert [(f.record, f.module) for f in plan.files] == [
        ("mill.py", "mill"),
        ("timberlib/__init__.py", "timberlib"),
        ("timberlib/oak.py", "timberlib.oak"),
        ("timberlib/rings.json", None),
    ]
    assert [(d.name, d.version, d.roots) for d in plan.distributions] == [
        ("first-party", None, ("mill",)),
        ("timberlib", "1.0", ("timberlib",)),
    ]
    assert plan.metadata == {"timberlib": {"METADATA": b"Name: timberlib"}}


def test_an_extern_has_its_version_its_modules_and_the_names_that_are_used(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    numlib, torch = plan.externs
    assert (numlib.distribution, numlib.version, numlib.modules) == ("numlib", "1.0", ("numlib",))
    assert numlib.names == ("numlib.array",)
    assert (torch.distribution, torch.version) == ("torch", "2.8.0")


def test_what_an_extern_imports_is_extern_too(forest: Forest) -> None:
    forest.distribution("helperlib", ("helperlib.py",))
    forest.module("helperlib", distribution="helperlib")
    forest.observed.append(ObservedImport("numlib", "helperlib", 3))
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert _decisions(plan)["helperlib"] == (
        "extern",
        "numlib, which is outside, imports it, and a distribution has one origin",
    )


def test_what_only_an_extern_imports_is_declared_once_it_is_missing(forest: Forest) -> None:
    forest.distribution("helperlib", ("helperlib.py",))
    forest.module("helperlib", distribution="helperlib")
    forest.observed.append(ObservedImport("numlib", "helperlib", 3))
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert [e.distribution for e in plan.externs] == ["numlib", "torch"]
    assert with_missing(plan, plan.externs, {"otherlib"}) == plan.externs
    helperlib, *others = with_missing(plan, plan.externs, {"helperlib"})
    assert (helperlib.distribution, helperlib.version, helperlib.modules) == (
        "helperlib",
        "1.0",
        ("helperlib",),
    )
    assert not helperlib.soft
    assert tuple(others) == plan.externs
    assert with_missing(plan, (helperlib, *others), {"helperlib"}) == (helperlib, *others)


def test_what_torch_requires_is_extern(forest: Forest) -> None:
    forest.distribution("sympy", required_by_torch=True, with_every_torch=True)
    forest.module("sympy", distribution="sympy", is_package=True)
    assert _decisions(make_plan(forest.trace("mill.Saw"), Policy()))["sympy"] == (
        "extern",
        "PyTorch requires it, so it is there wherever PyTorch is",
    )


def test_what_only_some_builds_of_torch_require_may_be_soft(forest: Forest) -> None:
    forest.distribution("symlib", required_by_torch=True, with_every_torch=True)
    forest.module("symlib", distribution="symlib")
    forest.distribution("kernellib", required_by_torch=True)
    forest.module("kernellib", distribution="kernellib")
    forest.module("mill", "import kernellib, symlib, torch")
    plan = make_plan(forest.trace("mill.Saw", used=("kernellib",)), Policy())
    assert {e.distribution: e.soft for e in plan.externs} == {
        "kernellib": True,
        "numlib": True,
        "symlib": False,
        "torch": False,
    }
    assert _decisions(plan)["kernellib"] == ("extern", "PyTorch requires it on some platforms")


@pytest.mark.parametrize(
    ("policy", "module", "decision"),
    [
        (Policy(extern="timberlib.**"), "timberlib.oak", ("extern", 'extern: "timberlib.**"')),
        (Policy(mock="timberlib.oak"), "timberlib.oak", ("mock", 'mock: "timberlib.oak"')),
        (Policy(intern="**"), "mill", ("intern", 'intern: "**"')),
        (
            Policy(base="thin"),
            "timberlib",
            ("extern", "thin policy: third-party distributions stay outside"),
        ),
        (Policy(base="thin"), "mill", ("intern", "first-party code")),
        (Policy(base="thin", intern="timberlib.**"), "timberlib", ("intern", 'intern: "timberlib.**"')),
    ],
)
def test_a_rule_of_the_user_wins(
    policy: Policy, module: str, decision: tuple[str, str], forest: Forest
) -> None:
    assert _decisions(make_plan(forest.trace("mill.Saw"), policy))[module] == decision


def test_a_rule_cannot_pack_what_is_compiled(forest: Forest) -> None:
    decisions = _decisions(make_plan(forest.trace("mill.Saw"), Policy(intern="numlib.**")))
    for module, words in (("numlib._core", "cannot pack it"), ("numlib", "cannot pack part of it")):
        action, reason = decisions[module]
        assert action == "extern"
        assert reason.endswith(f'; intern: "numlib.**" {words}')


def test_a_mock_is_in_the_list_and_not_in_the_files(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy(mock="timberlib.oak"))
    assert plan.mocks == ("timberlib.oak",)
    assert "timberlib/oak.py" not in {f.record for f in plan.files}


def test_all_that_is_denied_is_told_with_chains_and_fixes(forest: Forest) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(forest.trace("mill.Saw"), Policy(deny=["timberlib.oak", "numlib"]))
    assert [(p.module, p.fix) for p in caught.value.problems] == [
        ("numlib", 'in place of that rule: Policy(mock=["numlib"])'),
        ("timberlib.oak", 'in place of that rule: Policy(mock=["timberlib.oak"])'),
    ]
    assert caught.value.problems[0].chain[1:] == (
        "mill.py:1: mill imports timberlib.oak (unconditional)",
        "timberlib/oak.py:1: timberlib.oak imports numlib (unconditional)",
    )


def test_what_is_denied_and_not_needed_is_left_out(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw", needed=("mill",)), Policy(deny="timberlib.**"))
    assert plan.decision("timberlib.oak") is None


def test_why_tells_the_decision_and_the_chain(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.why("numlib").splitlines() == [
        "numlib: extern (numlib._core is compiled, and so tied to a platform)",
        "  model is a mill",
        "  -> mill.py:1: mill imports timberlib.oak (unconditional)",
        "  -> timberlib/oak.py:1: timberlib.oak imports numlib (unconditional)",
    ]
    assert "no import in the sources shows it" in plan.why("numlib._core")
    assert plan.why("scipy") == "scipy is not in the plan: nothing the object needs imports it"


def test_why_takes_a_distribution_and_tells_what_is_near(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.why("NumLib") == plan.why("numlib")
    assert plan.why("numlob") == (
        "numlob is not in the plan: nothing the object needs imports it; near to it: numlib"
    )


def test_a_plan_is_compared_with_an_older_one(forest: Forest) -> None:
    older = make_plan(forest.trace("mill.Saw"), Policy())
    plan = make_plan(forest.trace("mill.Saw"), Policy(extern="timberlib.**"))
    assert plan.diff(plan) == plan.diff(plan.to_json()) == ()
    told = plan.diff(older.to_json())
    assert told == plan.diff(older) == plan.diff(older.to_plain())
    assert "module timberlib.oak: intern became extern" in told
    assert any(sentence.startswith("file timberlib/oak.py is gone (") for sentence in told)
    assert any(sentence.startswith("file timberlib/oak.py is new (") for sentence in older.diff(plan))


def test_the_plan_prints_what_goes_where(forest: Forest) -> None:
    compiled = "numlib._core is compiled, and so tied to a platform"
    forest.module("timberlib.elm", distribution="timberlib")
    plan = make_plan(forest.trace("mill.Saw", absent=("jax",)), Policy(mock="timberlib.elm"))
    assert str(plan).splitlines() == [
        "plan for 'model'",
        "mock:",
        '  timberlib 1.0 (1 module): mock: "timberlib.elm"',
        "extern:",
        f"  numlib 1.0 (2 modules, optional): {compiled}",
        "  torch 2.8.0 (1 module, needed): it is PyTorch",
        "intern:",
        "  first-party (1 module, 33 bytes): first-party code",
        "  timberlib 1.0 (2 modules, 30 bytes): part of timberlib, which is packed whole",
        "not installed, and hidden when the case is loaded: jax",
    ]
    assert repr(plan) == (
        "<Plan for 'model': 3 modules inside, 2 externs; print it, or ask its modules() and why()>"
    )


def test_modules_are_told_on_request(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.modules() == plan.decisions
    assert [d.module for d in plan.modules("timberlib")] == ["timberlib", "timberlib.oak"]
    assert [str(d) for d in plan.modules("first-party")] == ["mill: intern (first-party code)"]


def test_a_plan_of_very_many_distributions_is_printed_on_a_page(forest: Forest) -> None:
    for number in range(60):
        forest.distribution(f"lib{number}", compiled=(f"lib{number}._c",) if number % 2 else ())
        forest.module(f"lib{number}", distribution=f"lib{number}")
    text = str(make_plan(forest.trace("mill.Saw"), Policy(extern=[f"none{number}" for number in range(9)])))
    assert len(text.splitlines()) <= 40
    assert text.count("  and 20 more") == 2
    assert "  and 6 more" in text


def test_equal_inputs_give_equal_plans(forest: Forest) -> None:
    one = make_plan(forest.trace("mill.Saw"), Policy())
    other = make_plan(forest.trace("mill.Saw"), Policy())
    assert one == other
    assert one.to_plain() == other.to_plain()
    assert one != make_plan(forest.trace("mill.Saw"), Policy(base="thin"))


def test_only_a_package_that_nothing_names_may_wait(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    assert make_plan(forest.trace("mill.Saw"), Policy()).deferrable == ("timberlib",)
    forest.module("mill", "from timberlib.oak import Plank\nimport timberlib")
    assert make_plan(forest.trace("mill.Saw"), Policy()).deferrable == ()


def test_a_first_party_package_does_not_wait(forest: Forest) -> None:
    forest.module("yard", "import yard.saws", is_package=True)
    forest.module("yard.saws", "import torch")
    assert "yard" not in make_plan(forest.trace("yard.saws.Saw"), Policy()).deferrable


@pytest.mark.parametrize("place", [SITE, "/cache/libraries/3f9a"], ids=["installed", "of an opened case"])
def test_an_operator_library_is_told_whichever_build_of_it_was_loaded(forest: Forest, place: str) -> None:
    forest.distribution("timberlib", ("timberlib/__init__.py", "timberlib/oak.py", "timberlib/_C.so"))
    forest.distribution("other", ("other/_C.so",))
    loaded, schemas = (f"{place}/timberlib/_C.so",), ("timberlib::saw() -> int",)
    plan = make_plan(forest.trace("mill.Saw", operators=loaded, schemas=schemas), Policy())
    assert plan.libraries == ("timberlib/_C.so",)
    assert plan.operators == schemas


def test_a_library_with_operators_does_not_wait(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    source = "import torch\ndef saw(x):\n    return torch.ops.timberlib.saw(x)"
    forest.module("timberlib.oak", source, distribution="timberlib")
    assert make_plan(forest.trace("mill.Saw"), Policy()).deferrable == ()


def test_folders_and_data_that_were_looked_at_must_be_files(forest: Forest) -> None:
    def plan(*files: str) -> tuple[str, ...]:
        return make_plan(forest.trace("mill.Saw", files=files), Policy()).materialised

    assert plan() == ()
    assert plan(f"{SITE}/timberlib/rings.json") == ("timberlib",)
    assert plan(f"{SITE}/timberlib") == ("timberlib",)
    assert plan(os.path.join(SITE, "elsewhere", "rings.json")) == ()


def test_a_global_that_no_module_has_is_told(forest: Forest) -> None:
    with pytest.raises(PlanError, match="lost, which defines Thing, cannot be found"):
        make_plan(forest.trace("mill.Saw", "lost.Thing"), Policy())


def test_rules_that_match_nothing_are_shown_with_what_is_near(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy(extern=["timberlb.**", "numlib.**"], deny="none_such"))
    near = 'extern: "timberlb.**" (near to it: timberlib, timberlib.oak)'
    assert plan.unmatched == ('deny: "none_such"', near)
    assert 'rules that match no module:\n  deny: "none_such"' in str(plan)
    assert "rules that match" not in str(make_plan(forest.trace("mill.Saw"), Policy()))


def test_a_rule_that_must_match_and_does_not_is_a_problem(forest: Forest) -> None:
    rule = Rule(Action.INTERN, GlobGroup("timberlb.**"), allow_empty=False)
    with pytest.raises(PlanError, match="must match a module that the object reaches, and does not"):
        make_plan(forest.trace("mill.Saw"), Policy.ordered([rule]))


def test_a_package_that_no_import_names_is_there_for_a_module_below_it(forest: Forest) -> None:
    forest.module("yard", "", is_package=True)
    forest.module("yard.stack", "")
    forest.module("mill", "import timberlib.oak\nfrom yard.stack import *")
    trace = forest.trace("mill.Saw")
    trace = replace(trace, graph=ImportGraph(edge for edge in trace.graph if edge.imported != "yard"))
    assert make_plan(trace, Policy()).why("yard").endswith("-> yard is the package of yard.stack")
    with pytest.raises(PlanError) as caught:
        make_plan(trace, Policy(deny="yard"))
    assert caught.value.problems[0].chain[-1] == "yard is the package of yard.stack"


def test_why_knows_the_standard_library(forest: Forest) -> None:
    assert "standard library" in make_plan(forest.trace("mill.Saw"), Policy()).why("os.path")


@pytest.mark.parametrize("older", ["{}", "[]", "no json", {"decisions": []}])
def test_a_plan_is_compared_with_plans_only(forest: Forest, older: Any) -> None:
    with pytest.raises(ValueError, match=r"older is no plan|Expecting value"):
        make_plan(forest.trace("mill.Saw"), Policy()).diff(older)


def test_what_only_a_logging_library_imports_is_not_needed(forest: Forest) -> None:
    forest.distribution("wandb", ("wandb/__init__.py",))
    forest.distribution("wirelib", ("wirelib/__init__.py",), compiled=("wirelib._core",))
    forest.distribution("shared", ("shared.py",))
    forest.module("wandb", "import wirelib\nimport shared", distribution="wandb", is_package=True)
    forest.module("wirelib", distribution="wirelib", is_package=True)
    forest.module("wirelib._core", distribution="wirelib", kind=ModuleKind.EXTENSION)
    forest.module("shared", distribution="shared")
    forest.module("mill", "import timberlib.oak\nimport wandb\nimport shared")
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.decision("wirelib") is None
    assert {e.distribution: e.soft for e in plan.externs} == {"numlib": True, "torch": False, "wandb": True}
    assert _decisions(plan)["shared"][0] == "intern"
    plan = make_plan(forest.trace("mill.Saw"), Policy(intern="wandb.**"))
    assert _decisions(plan)["wandb"][0] == "intern"
    assert "wirelib" in {e.distribution for e in plan.externs}


def test_an_extern_that_a_rule_names_is_hard(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy(extern=["numlib.**"]))
    assert _soft(plan)["numlib"] is False
    thin = make_plan(forest.trace("mill.Saw"), Policy(base="thin"))
    assert _soft(thin)["timberlib"] is True


def test_without_a_call_only_what_may_fail_or_comes_late_is_soft(forest: Forest) -> None:
    forest.module("timberlib.late", "def cut():\n    import pulplib", distribution="timberlib")
    forest.module(
        "timberlib.may", "try:\n    import barklib\nexcept ImportError: pass", distribution="timberlib"
    )
    for name in ("pulplib", "barklib"):
        forest.distribution(name, compiled=(f"{name}._c",))
        forest.module(name, distribution=name)
    plan = make_plan(forest.trace("mill.Saw", ran=False), Policy())
    assert _soft(plan) == {"barklib": True, "numlib": False, "pulplib": True, "torch": False}


def test_a_denied_module_that_a_function_imports_is_told(forest: Forest) -> None:
    needed = ("mill", "timberlib", "timberlib.oak", "torch", "numlib")
    forest.module("vault", "def keys(): pass")
    forest.module("timberlib.late", "def cut():\n    import vault", distribution="timberlib")
    trace = forest.trace("mill.Saw", needed=(*needed, "timberlib.late"))
    plan = make_plan(trace, Policy(deny="vault"))
    (told,) = plan.denied
    assert told.startswith('vault is denied by deny: "vault"; timberlib.late, which is packed, imports it')
    assert "in a function, line 2," in told
    assert plan.denied[0] in str(plan)
    forest.module("mill", "def cut():\n    import vault")
    (told,) = make_plan(forest.trace("mill.Saw", needed=needed), Policy(deny="vault")).denied
    assert told.startswith('vault is denied by deny: "vault"; mill, which is packed, imports it')


def test_objects_of_mocked_classes_are_refused_all_by_name(forest: Forest) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(
            forest.trace("timberlib.oak.Board", "mill.Saw", "timberlib.oak.Beam"),
            Policy(mock="timberlib.oak"),
        )
    assert [problem.what for problem in caught.value.problems] == [
        f'timberlib.oak.{name} is mocked (mock: "timberlib.oak"), and the object holds it or instances of it'
        for name in ("Board", "Beam")
    ]


def test_what_was_mocked_before_is_mocked_again(forest: Forest) -> None:
    trace = replace(forest.trace("mill.Saw"), mocks=(_name("barklib"), _name("timberlib.oak")))
    assert make_plan(trace, Policy()).mocks == ("barklib", "timberlib.oak")
    assert make_plan(trace, Policy(intern="timberlib.**")).mocks == ("barklib",)


def _grove(forest: Forest) -> Trace:
    files = ("__init__.py", "oak.py", "elm.py", "ash.py", "rings.json", "bark.json")
    forest.distribution("timberlib", tuple(f"timberlib/{file}" for file in files))
    forest.module("timberlib.elm", distribution="timberlib")
    needed = ("mill", "timberlib", "timberlib.oak", "torch")
    trace = forest.trace("mill.Saw", needed=needed)
    reached, data = frozenset({_name("timberlib.elm")}), frozenset({record_name("timberlib/rings.json")})
    known = trace.distributions["timberlib"]
    grown = tuple((r, path, 1 << 20 if r.endswith("ash.py") else size) for r, path, size in known.files)
    distributions = {**trace.distributions, "timberlib": replace(known, files=grown)}
    return replace(trace, reached=reached, data=data, distributions=distributions)


def test_of_a_distribution_come_along_the_modules_and_data_that_can_be_reached(forest: Forest) -> None:
    plan = make_plan(_grove(forest), Policy())
    kept = {"__init__.py", "oak.py", "elm.py", "rings.json"}
    assert {f.record for f in plan.files if f.distribution} == {f"timberlib/{file}" for file in kept}
    assert _decisions(plan)["timberlib.oak"] == ("intern", "it was imported in the run")
    assert _decisions(plan)["timberlib.elm"] == ("intern", "it can be reached by code that runs")
    assert plan.unneeded == {"timberlib": ("timberlib.ash",)}
    assert plan.metadata["timberlib"]["left_out"] == b"timberlib.ash\n"
    told = "what was imported in the run, and what that can reach"
    assert f"  part of timberlib 1.0 (3 modules of 4, 40 bytes): {told}" in str(plan).splitlines()
    assert plan.why("timberlib.ash").startswith("timberlib.ash: left out")
    assert _name("timberlib.elm") not in plan.loaded


def test_a_small_distribution_is_packed_whole(forest: Forest) -> None:
    trace = _grove(forest)
    known = trace.distributions["timberlib"]
    small = tuple((record, path, min(size, 400 << 10)) for record, path, size in known.files)
    plan = make_plan(
        replace(trace, distributions={**trace.distributions, "timberlib": replace(known, files=small)}),
        Policy(),
    )
    assert {"timberlib/ash.py", "timberlib/bark.json"} <= {f.record for f in plan.files}
    assert plan.unneeded == {}


@pytest.mark.parametrize(("base", "whole"), [("whole", False), ("hermetic", True)])
def test_a_distribution_can_be_packed_whole_all_the_same(forest: Forest, base: Any, *, whole: bool) -> None:
    plan = make_plan(_grove(forest), Policy(base=base), whole=whole)
    assert "timberlib/ash.py" in {f.record for f in plan.files}
    assert "timberlib/bark.json" in {f.record for f in plan.files}
    assert plan.unneeded == {}
    assert "left_out" not in plan.metadata["timberlib"]


def test_what_a_case_had_no_more_is_still_told_when_it_is_packed_again(forest: Forest) -> None:
    trace = _grove(forest)
    known = replace(trace.distributions["timberlib"], metadata={"left_out": b"timberlib.yew\n"})
    trace = replace(trace, distributions={**trace.distributions, "timberlib": known})
    assert make_plan(trace, Policy()).metadata["timberlib"]["left_out"] == b"timberlib.ash\ntimberlib.yew\n"
    assert make_plan(trace, Policy(), whole=True).metadata["timberlib"]["left_out"] == b"timberlib.yew\n"
