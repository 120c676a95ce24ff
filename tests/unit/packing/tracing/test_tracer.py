"""What a pickle, a run and the sources show is joined into one trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.capture.synthesis import CapturedModule
from wardian.domain.global_refs import GlobalRef
from wardian.domain.graph import ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.trace import Evidence, ObservedImport, Trace
from wardian.packing.tracing.tracer import make_trace

PROJECT = """
--- elm/__init__.py
--- elm/model.py
import elm.bark
def late():
    import elm.late
--- elm/bark.py
--- elm/late.py
--- elm/named.py
class Thing:
    pass
--- elm/aside.py
"""
EVIDENCE = Evidence(
    modules=("elm", "elm.model", "elm.bark", "wardian.errors", "json"),
    imports=(),
    absent=("jax",),
    files=(),
    libraries=(),
    operators=(),
    schemas=(),
    ran=True,
    used=(),
)
ELM = GlobalRef(ModuleName("elm.model"), "Elm")


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    with importable(write_tree(tmp_path, PROJECT)) as load:
        yield load


@pytest.fixture
def project(load: Callable[[str], Any]) -> None:
    load("elm.model")


def _trace(evidence: Evidence | None = EVIDENCE, **facts: Any) -> Trace:
    told: dict[str, Any] = {
        "entry": "model",
        "type": ELM,
        "globals": [ELM],
        "paths": {},
        "evidence": evidence,
    }
    return make_trace(**{**told, **facts})


def _edges(trace: Trace) -> set[tuple[str, str, ImportContext]]:
    return {(edge.importer, edge.imported, edge.context) for edge in trace.graph}


@pytest.mark.usefixtures("project")
def test_what_came_in_the_run_is_needed_and_what_sources_name_is_reached() -> None:
    trace = _trace()
    assert trace.needed == {"elm", "elm.model", "elm.bark"}
    assert set(trace.modules) == {"elm", "elm.model", "elm.bark", "elm.late"}
    assert list(trace.modules) == sorted(trace.modules)
    assert trace.globals == (ELM,)
    assert trace.evidence.absent == ("jax",)
    assert ("elm.model", "elm.late", ImportContext.FUNCTION) in _edges(trace)
    assert trace.reached is None


@pytest.mark.usefixtures("project")
def test_the_pickle_leads_from_the_entry_point_with_the_place_in_the_object() -> None:
    trace = _trace(paths={ELM: ("model.encoder",)})
    assert trace.graph.explain(ModuleName("model"), ModuleName("elm.bark"))[0] == (
        "model.encoder is a elm.model.Elm"
    )
    assert ("model", "elm.model", ImportContext.PICKLED) in _edges(trace)


@pytest.mark.usefixtures("project")
def test_an_import_that_only_the_run_shows_is_observed() -> None:
    seen = (ObservedImport("elm.bark", "elm.aside", 3), ObservedImport("elm.model", "elm.bark", 1))
    wardian = (ObservedImport("wardian.errors", "elm.bark", 1),)
    trace = _trace(replace(EVIDENCE, modules=(*EVIDENCE.modules, "elm.aside"), imports=seen + wardian))
    assert {edge for edge in _edges(trace) if edge[2] is ImportContext.OBSERVED} == {
        ("elm.bark", "elm.aside", ImportContext.OBSERVED)
    }
    assert trace.evidence.imports == tuple(sorted(seen))


@pytest.mark.usefixtures("project")
def test_texts_of_the_object_may_name_modules() -> None:
    trace = _trace(texts={"elm.named.Thing", "elm.nobody", "nowhere.x"})
    assert "elm.named" in trace.modules
    assert "elm.named" not in trace.needed


@pytest.mark.usefixtures("project")
def test_captured_modules_go_before_files() -> None:
    module = CapturedModule(ModuleName("elm.bark"), "import elm.aside\n", False)
    made = CapturedModule(ModuleName("captured"), "import elm.named\n", True)
    trace = _trace(
        captured={module.name: module, made.name: made},
        globals=[ELM, GlobalRef(ModuleName("captured"), "make")],
    )
    assert {"elm.aside", "elm.named", "captured"} <= trace.modules.keys()
    assert trace.captured == {"elm.bark": module.source, "captured": made.source}


def test_without_a_run_what_this_process_has_loaded_is_needed(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "packaging.licenses", raising=False)  # another test may have loaded it
    load("elm.model")
    source = "import pluggy\ndef late():\n    import packaging.licenses\n"
    made = CapturedModule(ModuleName("captured"), source, True)
    trace = _trace(None, captured={made.name: made}, globals=[ELM, GlobalRef(made.name, "make")])
    # Of first-party code, what is not loaded as well.
    assert {"elm.model", "elm.bark", "elm.late", "pluggy", "pluggy._hooks"} <= trace.needed
    assert "packaging.licenses" not in {*sys.modules, *trace.needed}
    assert (trace.evidence.ran, trace.evidence.used) == (False, None)


@pytest.mark.usefixtures("project")
def test_what_open_cases_say_is_kept_unless_one_of_them_has_it() -> None:
    def origin(prefix: str, *roots: str, **facts: Any) -> PackedOrigin:
        known: dict[str, Any] = {name: {} for name in ("modules", "versions", "files", "metadata")}
        return PackedOrigin(
            path=f"{prefix}.case",
            module_prefix=f"wardian.live.{prefix}.",
            roots=frozenset(roots),
            **known,
            **facts,
        )

    one = origin(
        "oak_01234567",
        "oak",
        absent=("jax", "fig"),
        materialised=("oak",),
        mocks=("vault",),
        asked=("barklib==2.0",),
        lacking=(("nowhere", None, ("nowhere",), ()),),
    )
    two = origin("fig_01234567", "fig", absent=("flax",), materialised=())
    trace = _trace(replace(EVIDENCE, asked=("mill==1.0",)), origins=(one, two))
    assert trace.evidence.absent == ("flax", "jax")
    assert trace.evidence.asked == ("barklib==2.0", "mill==1.0")
    assert trace.materialised == {"oak"}
    assert trace.mocks == ("vault",)
    assert trace.lacking == (("nowhere", None, ("nowhere",), ()),)


@pytest.mark.usefixtures("project")
def test_of_a_distribution_what_can_be_reached_is_told_if_that_is_wanted() -> None:
    used = replace(EVIDENCE, modules=(*EVIDENCE.modules, "sortedcontainers", "sortedcontainers.sortedlist"))
    assert _trace(used).reached is None
    trace = _trace(used, wanted=lambda module: module == "sortedcontainers.sorteddict")
    assert trace.reached is not None
    assert "sortedcontainers.sorteddict" in trace.reached
    assert trace.reached.isdisjoint(trace.needed)
    assert trace.reached <= trace.modules.keys()
    assert trace.distributions["sortedcontainers"].files
    assert _trace(replace(used, ran=False), wanted=lambda module: True).reached is None
