"""From what was saved and the rules to the modules of a package, each with its action and reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.domain.globs import GlobGroup
from wardian.domain.names import ModuleName
from wardian.domain.policy import Action, Rule
from wardian.package._closure import (
    Closure,
    ModuleSaved,
    PackagingErrorReason,
    PickleSaved,
    Saved,
    Scans,
    SourceSaved,
    close_over,
)
from wardian.package._modules import stand_in_source
from wardian.package.importer import Importer, sys_importer

LIBRARY = """
--- orchard/__init__.py
--- orchard/app.py
from orchard import trees
from orchard.soil import peat, DEPTH
import json, torch
import orchardother.deep
try:
    import orchardabsent
except ImportError:
    pass
--- orchard/trees/__init__.py
from . import oak
--- orchard/trees/oak.py
--- orchard/soil.py
peat = DEPTH = 1
--- orchard/broken.py
x = 1
def f(:
--- orchard/climbs.py
from ... import far
--- orchard/folder/data.txt
--- orchardother/__init__.py
import orchardunreached
--- orchardother/deep.py
--- orchardunreached.py
"""
_ACTIONS = {action.value: action for action in Action}


@pytest.fixture(scope="module", autouse=True)
def _library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with importable(write_tree(tmp_path_factory.mktemp("orchard"), LIBRARY)):
        yield


def rule(text: str) -> Rule:
    """The rule of `intern orchard.**`."""
    action, pattern = text.split()
    return Rule(_ACTIONS[action], GlobGroup(pattern))


def source(module: str, text: str, *, dependencies: bool = True, is_package: bool = False) -> SourceSaved:
    return SourceSaved(ModuleName(module), text.encode(), is_package, dependencies)


def named(module: str, *, dependencies: bool = True, intern: bool = True) -> ModuleSaved:
    return ModuleSaved(ModuleName(module), dependencies, intern)


def pickle_of(
    *names: tuple[str, str], modules: tuple[str, ...] = (), dependencies: bool = True
) -> PickleSaved:
    return PickleSaved("model", "model.pkl", names, modules, dependencies)


def closed(*saved: Saved, rules: tuple[str, ...] = (), importer: Importer = sys_importer) -> Closure:
    return close_over(saved, [rule(text) for text in rules], Scans(importer))


def actions(closure: Closure) -> dict[str, str]:
    return {name: member.action.value for name, member in closure.members.items()}


def errors(closure: Closure) -> dict[str, tuple[PackagingErrorReason, Any]]:
    return {
        name: (node["error"], node["error_context"] or node["error_place"])
        for name, node in closure.graph.nodes.items()
        if node.get("error")
    }


def test_imports_are_followed_from_interned_modules_only() -> None:
    found = closed(named("orchard.app"), rules=("intern orchard.**", "extern orchardother.**"))
    assert errors(found) == {}
    assert actions(found) == {
        "orchard.app": "intern",
        "orchard.trees": "intern",
        "orchard.trees.oak": "intern",
        "orchard.soil": "intern",
        "json": "extern",
        "torch": "extern",
        "orchardother.deep": "extern",
    }
    assert found.absent == {"orchardabsent"}
    assert found.names(Action.EXTERN) == ["json", "orchardother.deep", "torch"]
    assert found.graph.first_path("orchard.trees.oak") == [
        "orchard.app",
        "orchard.trees",
        "orchard.trees.oak",
    ]


def test_members_have_their_source_and_their_reason() -> None:
    found = closed(
        source("mine", "import orchard.soil"), rules=("mock orchard.trees.**", "intern orchard.**")
    )
    soil, mine = found.members[ModuleName("orchard.soil")], found.members[ModuleName("mine")]
    assert (soil.source, soil.reason, soil.scanned) == (
        b"peat = DEPTH = 1\n",
        'intern: "orchard.**"',
        True,
    )
    assert (mine.source, mine.reason, mine.found) == (b"import orchard.soil", "saved as source", None)


def test_the_first_rule_that_matches_decides_and_is_known_to_have() -> None:
    found = closed(
        source("mine", "import orchard.trees"),
        rules=("intern nothing.**", "mock orchard.trees.**", "intern orchard.**"),
    )
    assert actions(found) == {"mine": "intern", "orchard.trees": "mock"}
    mocked = found.members[ModuleName("orchard.trees")]
    assert (mocked.source, mocked.is_package) == (stand_in_source(), True)
    assert found.matched == {1}


def test_what_no_rule_decides_about_and_what_is_denied_are_errors() -> None:
    found = closed(source("mine", "import orchard.soil, orchard.trees"), rules=("deny orchard.soil",))
    assert errors(found) == {
        "orchard.soil": (PackagingErrorReason.DENIED, 'deny: "orchard.soil"'),
        "orchard.trees": (PackagingErrorReason.NO_ACTION, None),
    }
    assert found.graph.first_path("orchard.trees") == ["mine", "orchard.trees"]


def test_what_loads_a_package_need_not_be_in_one_whatever_the_rules_say() -> None:
    found = closed(
        source("mine", "import json, torch.nn, wardian, torch_package_importer"), rules=("deny **",)
    )
    assert actions(found) == {"mine": "intern", "json": "extern", "torch.nn": "extern", "wardian": "extern"}
    assert "torch_package_importer" in found.graph


def test_without_dependencies_nothing_is_followed() -> None:
    for saved in (
        source("mine", "import orchard.soil", dependencies=False),
        named("orchard.app", dependencies=False),
        pickle_of(("orchard.soil", "peat"), dependencies=False),
    ):
        assert set(actions(closed(saved))) <= {"mine", "orchard.app"}


def test_the_last_source_of_a_name_counts_also_for_what_was_saved_before() -> None:
    found = closed(
        source("user", "import mine"), source("mine", "import orchard.soil"), source("mine", "import json")
    )
    assert errors(found) == {}
    assert actions(found) == {"user": "intern", "mine": "intern", "json": "extern"}


def test_a_dependency_that_is_named_is_decided_by_the_rules() -> None:
    found = closed(named("orchard.soil", intern=False), rules=("mock orchard.**",))
    assert actions(found) == {"orchard.soil": "mock"}
    assert actions(closed(named("orchard.soil"), rules=("mock orchard.**",))) == {"orchard.soil": "intern"}


def test_a_pickle_leads_to_the_modules_of_its_globals() -> None:
    found = closed(
        pickle_of(("orchard.soil", "peat"), ("json", "dumps"), modules=("orchard.trees",)),
        rules=("intern orchard.**",),
    )
    assert actions(found) == {
        "orchard.trees": "intern",
        "orchard.trees.oak": "intern",
        "orchard.soil": "intern",
        "json": "extern",
    }
    assert found.graph.first_path("orchard.soil") == ["<model.model.pkl>", "orchard.soil"]
    assert found.names(Action.INTERN) == ["orchard.soil", "orchard.trees", "orchard.trees.oak"]


def test_objects_of_a_mocked_module_cannot_be_in_a_pickle() -> None:
    found = closed(
        pickle_of(("orchard.soil", "peat"), ("orchard.soil", "DEPTH"), modules=("orchard.trees",)),
        rules=("mock orchard.**",),
    )
    reason, context = errors(found)["orchard.soil"]
    assert reason is PackagingErrorReason.MOCKED_BUT_STILL_USED
    assert context == "peat, DEPTH of `orchard.soil` in resource `model.pkl` of package `model`"
    assert actions(found) == {"orchard.trees": "mock"}  # which only a module was imported from


@pytest.mark.parametrize(
    ("module", "reason", "context"),
    [
        ("orchard.broken", PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED, "invalid syntax"),
        ("orchard.climbs", PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED, "beyond top-level package"),
        ("orchardnowhere", PackagingErrorReason.NO_DUNDER_FILE, "it cannot be found"),
        ("math", PackagingErrorReason.IS_EXTENSION_MODULE, None),
        ("sys", PackagingErrorReason.NO_DUNDER_FILE, None),
    ],
)
def test_a_module_that_cannot_be_packaged_says_why(
    module: str, reason: PackagingErrorReason, context: str | None
) -> None:
    found = closed(named(module))
    told, why = errors(found)[module]
    if module == "math" and told is PackagingErrorReason.NO_DUNDER_FILE:
        return  # some interpreters have it built in
    assert told is reason
    assert why == context if context is None else context in why


def test_of_a_library_with_a_compiled_module_a_rule_packages_nothing() -> None:
    found = closed(source("mine", "import markupsafe"), rules=("intern markupsafe.**",))
    assert errors(found) == {}
    assert actions(found) == {"mine": "intern", "markupsafe": "extern"}
    assert "compiled" in found.members[ModuleName("markupsafe")].reason
    saved = closed(named("markupsafe._speedups"))
    assert errors(saved)["markupsafe._speedups"][0] is PackagingErrorReason.IS_EXTENSION_MODULE


def test_a_folder_is_a_package_without_source() -> None:
    found = closed(named("orchard.folder"))
    member = found.members[ModuleName("orchard.folder")]
    assert (member.action, member.source, member.is_package) == (Action.INTERN, None, True)


# Scans.


def test_objects_of_a_module_are_of_the_importer_that_had_them_first() -> None:
    class Other(Importer):
        modules: dict[str, Any] = {}  # noqa: RUF012

        def import_module(self, module_name: str) -> Any:
            raise ModuleNotFoundError(module_name)

    scans, other = Scans(sys_importer), Other()
    assert scans.claim(ModuleName("orchard.soil"), other) is other
    assert scans.claim(ModuleName("orchard.soil"), sys_importer) is other
    found = scans.find(ModuleName("orchard.soil"))  # which that one has not, after all
    assert found is not None
    assert found.read() == b"peat = DEPTH = 1\n"


def test_a_source_that_is_not_valid_is_refused_each_time() -> None:
    scans = Scans(sys_importer)
    for text in (b"def f(:", b"from .. import x"):
        for _ in range(2):
            with pytest.raises(SyntaxError) as caught:
                scans.imports(ModuleName("mine"), text, is_package=False)
            assert caught.value.lineno == 1


def test_names_below_a_module_that_is_no_package_are_no_modules() -> None:
    scans = Scans(sys_importer)
    assert not scans.exists(ModuleName("orchard.soil.peat"))
    assert scans.exists(ModuleName("orchard.trees.oak"))
    assert not scans.exists(ModuleName("orchard.trees.ash"))


def test_reasons_have_the_words_that_programs_compare() -> None:
    assert repr(PackagingErrorReason.DENIED) == "<PackagingErrorReason.DENIED>"
    assert PackagingErrorReason.DENIED.value == "Module was denied by a pattern."
