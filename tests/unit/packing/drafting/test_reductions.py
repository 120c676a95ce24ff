"""What objects with `__reduce_package__` write, and the names in code that PyTorch generates of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.capture.transplant import execute
from wardian.archive.writer import ArchiveWriter
from wardian.capture.session import Capture
from wardian.errors import UnpicklableError
from wardian.packing.drafting.origins import Origins
from wardian.packing.drafting.reductions import Reductions
from wardian.tensors.scripts import ScriptingStorageWriter


@pytest.fixture
def reductions(tmp_path: Path) -> Iterator[Reductions]:
    with ArchiveWriter(tmp_path / "oak.case") as archive:
        yield Reductions(Capture(Origins()), ScriptingStorageWriter(archive))


def _make(*arguments: object) -> object:
    return arguments


class _Reduced:
    """An object that is made of *arguments*."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments

    def __reduce_package__(self, exporter: Reductions) -> tuple[object, tuple[object, ...]]:
        return _make, (*self.arguments, exporter.get_unique_id())


def test_each_object_is_asked_once_and_gets_a_number_of_its_own(reductions: Reductions) -> None:
    one, two = _Reduced("a"), _Reduced("b")
    first = reductions.persistent_id(one)
    assert first == ("reduce_package", 0, _make, ("a", "0"))
    assert reductions.persistent_id(two) == ("reduce_package", 1, _make, ("b", "1"))
    assert reductions.persistent_id(one) is first


def test_an_attribute_that_leads_back_is_set_afterwards(reductions: Reductions) -> None:
    body: dict[str, Any] = {"size": 3}
    obj = _Reduced(body)
    body["hook"] = obj.hook = [obj]  # type: ignore[attr-defined]
    assert reductions.persistent_id(obj)[3][0] == {"size": 3}
    assert _set_last(reductions) == {"hook": [obj]}


def test_modules_come_with_the_packages_above_them(reductions: Reductions) -> None:
    reductions.save_source_string("shop.nets", "", is_package=True)
    reductions.save_source_string("shop.nets.deep.head", "SIZE = 3\n")
    assert {name: (m.source, m.is_package) for name, m in reductions.modules.items()} == {
        "shop": ("", True),
        "shop.nets": ("", True),
        "shop.nets.deep": ("", True),
        "shop.nets.deep.head": ("SIZE = 3\n", False),
    }
    assert {str(ref.module) for ref in reductions.globals} == set(reductions.modules)
    assert {ref.qualname for ref in reductions.globals} == {""}


def test_files_are_beside_the_modules(reductions: Reductions) -> None:
    reductions.save_text("shop.nets", "labels.txt", "é")
    reductions.save_binary("shop", "rings.bin", b"\0")
    assert reductions.resources == {"shop/nets/labels.txt": "é".encode(), "shop/rings.bin": b"\0"}
    with pytest.raises(ValueError, match="relative path"):
        reductions.save_text("shop", "../labels.txt", "")


def test_names_are_those_of_the_case_and_what_no_import_finds_has_none(reductions: Reductions) -> None:
    assert reductions.importer.get_name(torch.relu) == ("torch", "relu")
    made = execute("def leaf(x):\n    return x\n")
    assert reductions.importer.get_name(made["leaf"]) == ("captured.notebook", "leaf")
    with pytest.raises(UnpicklableError, match="define it at the top level"):
        reductions.importer.get_name(made, "<lambda>")


def test_generated_code_has_the_names_of_the_case(reductions: Reductions) -> None:
    made = execute("def leaf(x):\n    return x\n", __name__="wardian_script")
    reductions.importer.get_name(made["leaf"])
    source = (
        "from captured.wardian_script import leaf as wardian_script_leaf\n"
        "def forward(x):\n    return wardian_script_leaf(x) + other_leaf\n"
    )
    renamed = reductions.importer.source_in_case(source)
    assert renamed.splitlines() == [
        "from captured.wardian_script import leaf as captured_wardian_script_leaf",
        "def forward(x):",
        "    return captured_wardian_script_leaf(x) + other_leaf",
    ]
    body = {"_code": "wardian_script_leaf(x)", "_graphmodule_cls_name": "Net"}
    assert reductions.importer.in_case((body, 1)) == (
        {**body, "_code": "captured_wardian_script_leaf(x)"},
        1,
    )
    assert reductions.importer.in_case({"_code": "wardian_script_leaf"}) == {"_code": "wardian_script_leaf"}


def test_a_name_that_is_taken_stays(reductions: Reductions) -> None:
    made = execute("def leaf(x):\n    return x\n", __name__="wardian_script")
    reductions.importer.get_name(made["leaf"])
    source = (
        "from captured.wardian_script import leaf as wardian_script_leaf\n"
        "captured_wardian_script_leaf = wardian_script_leaf\n"
    )
    assert reductions.importer.source_in_case(source) == source


def _set_last(reductions: Reductions) -> dict[str, Any]:
    """Return what is set once an object is made, by name."""
    written = reductions._capture.effects.written_around(None)
    return (
        {} if written is None else {call.arguments[1]: call.arguments[2] for call in written.arguments[0][1:]}
    )


def test_notes_of_a_graph_module_are_set_afterwards(reductions: Reductions) -> None:
    graph = torch.fx.symbolic_trace(torch.nn.Linear(2, 1))
    graph.meta["note"] = 1
    bodies = [part for part in reductions.persistent_id(graph)[3] if type(part) is dict]
    assert bodies
    assert not any("meta" in body for body in bodies)
    assert _set_last(reductions) == {"meta": {"note": 1}}
