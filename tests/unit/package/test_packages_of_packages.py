"""Packages made from packages, and objects that reduce themselves: GraphModules and TorchScript."""

from __future__ import annotations

import gc
import importlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.fx import Graph, GraphModule, symbolic_trace

from tests.packages import exported, imported, in_turn
from tests.support import importable
from wardian.package import ObjMismatchError, PackageExporter, PackageImporter, PackagingError, sys_importer
from wardian.package.package_exporter import PackagingErrorReason


def module(name: str) -> Any:
    return importlib.import_module(name)


def saves(obj: Any) -> Callable[[PackageExporter], None]:
    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_pickle("model", "model.pkl", obj)

    return fill


def script(model: torch.nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated
        return torch.jit.script(model)


# From packages


def test_an_object_of_a_package_is_packaged_again_any_number_of_times() -> None:
    obj = module("greenhouse").Greenhouse(module("greenhouse.beds").Bed.Label("fern"))
    first = i = imported(saves(obj))
    for _ in range(3):
        i = imported(saves(i.load_pickle("model", "model.pkl")), importer=(i, sys_importer))
    assert i.load_pickle("model", "model.pkl").bed.text == "fern"
    assert i.get_source("greenhouse") == first.get_source("greenhouse")


def test_a_module_of_a_package_is_saved_by_its_loaded_name() -> None:
    first = imported(saves(module("greenhouse.beds").Bed()))
    loaded = first.load_pickle("model", "model.pkl")
    with PackageExporter(BytesIO(), importer=(first, sys_importer)) as e:
        e.save_module(type(loaded).__module__)
        assert e.interned_modules() == ["greenhouse.beds"]
    with PackageExporter(BytesIO()) as e, pytest.raises(ModuleNotFoundError, match="importers"):
        e.save_module(type(loaded).__module__)


def test_objects_of_several_packages_go_into_one() -> None:
    bed = imported(saves(module("greenhouse.beds").Bed("a")))
    shed = imported(saves(module("shed").Shed("b")))
    objects = [bed.load_pickle("model", "model.pkl"), shed.load_pickle("model", "model.pkl")]
    both = imported(saves(objects), importer=(bed, shed, sys_importer))
    loaded = both.load_pickle("model", "model.pkl")
    assert (loaded[0].plants, loaded[1].content) == (["a"], "b")


def test_objects_whose_importer_is_not_named_are_refused() -> None:
    buffer = exported(saves(module("greenhouse.beds").Bed()))
    first, second = PackageImporter(buffer), PackageImporter(buffer)
    with PackageExporter(BytesIO(), importer=[first, sys_importer]) as e:
        e.intern("**")
        with pytest.raises(pickle.PicklingError):
            e.save_pickle("obj", "obj.pkl", second.load_pickle("model", "model.pkl"))


def test_an_object_must_be_what_the_first_importer_has_under_its_name() -> None:
    Bed = module("greenhouse.beds").Bed  # noqa: N806
    first = imported(saves(Bed()))
    loaded = first.load_pickle("model", "model.pkl")
    for order, right, wrong in (
        ((first, sys_importer), loaded, Bed()),
        ((sys_importer, first), Bed(), loaded),
    ):
        with PackageExporter(BytesIO(), importer=order) as e:
            e.intern("**")
            with pytest.raises(pickle.PicklingError, match="name the importer that the object comes from"):
                e.save_pickle("wrong", "obj.pkl", wrong)
            e.save_pickle("right", "obj.pkl", right)


def test_one_package_never_mixes_two_copies_of_a_module() -> None:
    Bed = module("greenhouse.beds").Bed  # noqa: N806
    first = imported(lambda e: e.save_source_string("greenhouse.beds", "class Pot:\n    pass\n"))
    with PackageExporter(BytesIO(), importer=[first, sys_importer]) as e:
        e.intern("**")
        e.save_pickle("one", "obj.pkl", first.import_module("greenhouse.beds").Pot())
        with pytest.raises(pickle.PicklingError, match="one copy"):
            e.save_pickle("two", "obj.pkl", Bed())


def test_an_object_is_packaged_with_the_source_it_came_with() -> None:
    Bed = module("greenhouse.beds").Bed  # noqa: N806
    first = imported(lambda e: e.save_source_string("greenhouse.beds", "class Pot:\n    pass\n"))
    second = imported(saves(Bed()), importer=[first, sys_importer])
    assert not hasattr(second.import_module("greenhouse.beds"), "Pot")


def test_mocks_stay_mocks() -> None:
    i = imported(in_turn(lambda e: e.mock("tools"), lambda e: e.save_source_string("mine", "import tools")))
    for rule in ("intern", "intern", "mock"):
        with pytest.raises(NotImplementedError, match="mocked"):
            i.import_module("mine").tools.result()

        def fill(e: PackageExporter, rule: str = rule) -> None:
            getattr(e, rule)("tools")
            e.mock("**")
            e.save_module("mine")

        i = imported(fill, importer=i)
    with pytest.raises(NotImplementedError, match=r"tools\.result was mocked out"):
        i.import_module("mine").tools.result()


def test_externs_of_a_package_are_found_through_it() -> None:
    first = imported(
        in_turn(lambda e: e.extern("tools"), lambda e: e.save_source_string("mine", "import tools"))
    )
    second = imported(in_turn(lambda e: e.extern("tools"), lambda e: e.save_module("mine")), importer=first)
    assert second.import_module("mine").tools is module("tools")


_OLD = {
    "orchard": "",
    "orchard.tools": "def prune(): return 'old'",
    "orchard.trees": "from orchard.tools import prune\nclass Tree: cut = staticmethod(prune)",
}
_NEW = {
    "orchard/__init__.py": "",
    "orchard/tools.py": "def prune(): return 'new'\ndef graft(): return 'new'\n",
    "orchard/vines.py": "from orchard.tools import graft\nclass Vine: cut = staticmethod(graft)\n",
    "orchard/trees.py": "from orchard.tools import graft\nclass Tree: cut = staticmethod(graft)\n",
}


@pytest.fixture
def orchard(tmp_path: Path) -> Iterator[PackageImporter]:
    """Return a package of an older release of a library than the one that can be imported."""
    for name, source in _NEW.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)

    def fill(e: PackageExporter) -> None:
        for name, source in _OLD.items():
            e.save_source_string(name, source, is_package=name == "orchard")

    with importable(tmp_path):
        yield imported(fill)


def test_old_objects_and_new_code_of_one_library_are_not_mixed(orchard: PackageImporter) -> None:
    old, new = orchard.import_module("orchard.trees").Tree(), module("orchard.vines").Vine()
    with PackageExporter(BytesIO(), importer=(orchard, sys_importer)) as e:
        e.intern("**")
        e.save_pickle("old", "obj.pkl", old)
        e.save_pickle("new", "obj.pkl", new)
        with pytest.raises(PackagingError) as caught:
            e.close()
    (problem,) = caught.value.problems
    for told in ("`orchard.vines` from this interpreter", "from the package wardian.live.", "do not fit"):
        assert told in problem.what


def test_a_library_comes_from_where_its_objects_come_from(orchard: PackageImporter) -> None:
    old, new = orchard.import_module("orchard.trees").Tree(), module("orchard.vines").Vine()
    for obj, cut in ((old, "old"), (new, "new")):
        again = imported(saves(obj), importer=(orchard, sys_importer))
        assert again.load_pickle("model", "model.pkl").cut() == cut


def test_copies_of_one_source_may_be_mixed(orchard: PackageImporter) -> None:
    again = imported(saves(module("orchard.vines").Vine()))
    both = imported(
        saves([again.load_pickle("model", "model.pkl"), module("orchard.trees").Tree()]),
        importer=(again, sys_importer),
    )
    assert [obj.cut() for obj in both.load_pickle("model", "model.pkl")] == ["new", "new"]


def test_a_package_has_the_same_bytes_whatever_its_file_is_called(tmp_path: Path) -> None:
    bed = module("greenhouse.beds").Bed("a")
    for name in ("one.pt", "another.name.zip"):
        with PackageExporter(tmp_path / name) as e:
            saves(bed)(e)
    one, another = sorted(path.read_bytes() for path in tmp_path.iterdir())
    assert one == another == exported(saves(bed)).getvalue()


def test_a_package_above_a_module_may_come_from_the_next_importer() -> None:
    first = imported(lambda e: e.save_module("greenhouse.beds"))
    with PackageExporter(BytesIO(), importer=(first, sys_importer)) as e:
        e.intern("**")
        e.save_source_string("mine", "import greenhouse")
        assert "greenhouse" in e.interned_modules()
        assert not any(
            node.get("error") is PackagingErrorReason.NO_DUNDER_FILE
            for node in (e.dependency_graph.nodes.values())
        )


# torch.fx


def test_a_graph_module_comes_back() -> None:
    class Simple(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x + 3.0)

    traced = symbolic_trace(Simple())
    i = imported(lambda e: e.save_pickle("model", "model.pkl", traced))
    x = torch.rand(2, 3)
    assert torch.equal(i.load_pickle("model", "model.pkl")(x), traced(x))


def test_a_packaged_model_is_traced_and_packaged_again() -> None:
    first = imported(saves(module("greenhouse.models").Growth()))
    loaded = first.load_pickle("model", "model.pkl")
    x = torch.rand(2, 3)
    tracer = first.import_module("greenhouse.models").KeepLinear()
    graph = tracer.trace(loaded)
    for traced in (symbolic_trace(loaded), GraphModule(loaded, graph)):
        second = imported(saves(traced), importer=(first, sys_importer))
        assert torch.equal(second.load_pickle("model", "model.pkl")(x), loaded(x))


def test_a_graph_of_functions_of_a_package_needs_its_importer() -> None:
    beds = imported(saves(module("greenhouse.beds").Bed()))
    function = beds.import_module("greenhouse.beds").leaf_function
    graph = Graph()
    a, b = graph.placeholder("a"), graph.placeholder("b")
    graph.output(graph.call_function(torch.sin, (graph.call_function(function, (a, b)),)))
    made = GraphModule(torch.nn.Module(), graph)
    with pytest.raises(ObjMismatchError), PackageExporter(BytesIO()) as e:
        saves(made)(e)
    i = imported(saves(made), importer=(beds, sys_importer))
    x, y = torch.rand(2, 3), torch.rand(2, 3)
    assert torch.equal(i.load_pickle("model", "model.pkl")(x, y), made(x, y))
    assert "greenhouse.beds" in i.modules


def test_a_custom_tracer_comes_along() -> None:
    models = module("greenhouse.models")
    model = models.Growth()
    tracer = models.KeepLinear()
    traced = GraphModule(model, tracer.trace(model))
    i = imported(saves(traced))
    loaded = i.load_pickle("model", "model.pkl")
    x = torch.rand(2, 3)
    assert torch.equal(loaded(x), traced(x))
    assert [n.op for n in loaded.graph.nodes] == [n.op for n in traced.graph.nodes]
    assert any(node.op == "call_module" for node in loaded.graph.nodes)


def test_graph_modules_that_are_freed_between_saves_stay_different() -> None:
    buffer = BytesIO()
    with PackageExporter(buffer) as e:
        for n in range(8):
            graph = Graph()
            graph.output(graph.call_function(torch.add, (graph.placeholder("x"), n)))
            made = GraphModule(torch.nn.Module(), graph)
            e.save_pickle("model", f"{n}.pkl", made)
            del made, graph
            gc.collect()
    i = PackageImporter(buffer)
    zero = torch.zeros(1)
    assert [i.load_pickle("model", f"{n}.pkl")(zero).item() for n in range(8)] == list(range(8))


def test_a_graph_module_that_changes_between_saves_is_saved_as_it_is() -> None:
    graph = Graph()
    added = graph.call_function(torch.add, (graph.placeholder("x"), 1))
    graph.output(added)
    made = GraphModule(torch.nn.Module(), graph)
    with PackageExporter(buffer := BytesIO()) as e:
        e.save_pickle("model", "a.pkl", made)
        added.args = (added.args[0], 2)
        made.recompile()
        e.save_pickle("model", "b.pkl", [made, made])
    i = PackageImporter(buffer)
    assert i.load_pickle("model", "a.pkl")(torch.zeros(1)).item() == 1
    first, second = i.load_pickle("model", "b.pkl")
    assert first is second
    assert first(torch.zeros(1)).item() == 2


# Objects with __reduce_package__ of their own

NOTE = """
def unpack(importer, package, text):
    return Note(importer.load_text(package, text))


class Note:
    def __init__(self, text):
        self.text = text

    def __reduce_package__(self, exporter):
        package = f"notes_{exporter.get_unique_id()}"
        exporter.save_text(package, "note.txt", self.text)
        return unpack, (package, "note.txt")
"""


def test_objects_reduce_themselves_in_both_directions(library: Path) -> None:
    (library / "notes.py").write_text(NOTE)
    notes = module("notes")
    one = notes.Note("one")
    i = imported(saves([one, one, notes.Note("two")]))
    first, second, third = i.load_pickle("model", "model.pkl")
    assert first is second
    assert (first.text, third.text) == ("one", "two")
    again = imported(saves(first), importer=(i, sys_importer))
    assert again.load_pickle("model", "model.pkl").text == "one"


# TorchScript


def test_scripted_modules_come_back_and_share_with_eager_ones() -> None:
    tensor = torch.arange(3.0)
    shared = module("greenhouse.models").Shared(tensor)
    scripted = script(shared)
    other = script(module("greenhouse.models").Growth())

    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_pickle("res", "before.pkl", torch.ones(4))
        e.save_pickle("res", "mod.pkl", [shared, scripted, {"other": other}])
        e.save_pickle("res", "again.pkl", scripted)
        e.save_pickle("res", "after.pkl", [shared.tensor, torch.zeros(5)])

    i = imported(fill)
    eager, loaded, rest = i.load_pickle("res", "mod.pkl")
    x = torch.rand(3)
    assert torch.equal(loaded(x), scripted(x))
    assert torch.equal(rest["other"](x), other(x))
    assert eager.tensor.data_ptr() == loaded.tensor.data_ptr()
    assert torch.equal(i.load_pickle("res", "again.pkl")(x), scripted(x))
    assert torch.equal(i.load_pickle("res", "after.pkl")[0], tensor)
    assert i.load_pickle("res", "after.pkl")[1].numel() == 5
    assert i.load_pickle("res", "before.pkl").tolist() == [1] * 4
    tree = i.file_structure()
    assert tree.has_file(".data/ts_code/0")
    assert tree.has_file(".data/ts_code/1")
    assert not tree.has_file(".data/ts_code/2"), "one script module, saved twice"
    storages = [name for name in tree.children[".data"].children if name.endswith(".storage")]
    assert len(storages) == 5


def test_a_scripted_module_first_or_alone() -> None:
    scripted = script(module("greenhouse.models").Growth())
    x = torch.rand(3)
    for obj in (scripted, [scripted, torch.ones(2)], {"a": torch.ones(2), "b": scripted}):
        loaded = imported(saves(obj)).load_pickle("model", "model.pkl")
        found = loaded if obj is scripted else loaded[0] if isinstance(loaded, list) else loaded["b"]
        assert torch.equal(found(x), scripted(x))


def test_a_scripted_module_goes_where_it_is_sent(tmp_path: Path) -> None:
    scripted = script(module("greenhouse.models").Growth())
    with PackageExporter(tmp_path / "s.pt") as e:
        e.save_pickle("res", "mod.pkl", scripted)
    i = PackageImporter(tmp_path / "s.pt")
    loaded = i.load_pickle("res", "mod.pkl", map_location="cpu")
    assert torch.equal(loaded(torch.ones(3)), scripted(torch.ones(3)))
    again = imported(lambda e: e.save_pickle("res", "mod.pkl", loaded), importer=(i, sys_importer))
    assert torch.equal(again.load_pickle("res", "mod.pkl")(torch.ones(3)), scripted(torch.ones(3)))


def test_a_loaded_model_is_scripted_and_saved() -> None:
    loaded = imported(saves(module("greenhouse.models").Growth())).load_pickle("model", "model.pkl")
    i = imported(lambda e: e.save_pickle("res", "mod.pkl", script(loaded)))
    x = torch.rand(3)
    assert torch.equal(i.load_pickle("res", "mod.pkl")(x), loaded(x))


def test_scripted_modules_load_from_a_folder(tmp_path: Path) -> None:
    model = module("greenhouse.models").Growth()
    scripted = script(model)
    with zipfile.ZipFile(exported(saves([scripted, model]))) as archive:
        archive.extractall(tmp_path)
    loaded, eager = PackageImporter(tmp_path / "archive").load_pickle("model", "model.pkl")
    x = torch.rand(3)
    assert torch.equal(loaded(x), model(x))
    with torch.no_grad():
        eager.linear.weight.zero_()
    assert not loaded.linear.weight.any()  # they share, as they did


def test_objects_of_one_importer_share_storages_as_they_did() -> None:
    table = torch.arange(100.0)
    names = ("whole", "part", "alone")

    def fill(e: PackageExporter) -> None:
        for name, value in zip(names, (table, table[10:], table.clone()), strict=True):
            e.save_pickle("model", f"{name}.pkl", value)

    i = imported(fill)
    whole, part, alone = (i.load_pickle("model", f"{name}.pkl") for name in names)
    part[0] = -1
    assert (whole[10], alone[10]) == (-1, 10)
    # Loaded again it is another copy, and so is what is loaded again with it.
    again, second = (i.load_pickle("model", f"{name}.pkl") for name in ("part", "whole"))
    assert (again[0], second[10]) == (10, 10)
    again[0] = -2
    assert (whole[10], second[10]) == (-1, -2)
    elsewhere = i.load_pickle("model", "whole.pkl", map_location="meta")
    assert elsewhere.device.type == "meta"


def test_scripted_modules_share_with_what_was_loaded_before() -> None:
    model = module("greenhouse.models").Growth(30)
    i = imported(in_turn(saves(model), lambda e: e.save_pickle("model", "both.pkl", [script(model), model])))
    first = i.load_pickle("model", "model.pkl")
    scripted, eager = i.load_pickle("model", "both.pkl")
    places = {m.linear.weight.data_ptr() for m in (first, scripted, eager)}
    assert len(places) == 1


def test_what_nobody_has_any_more_is_read_anew() -> None:
    table = torch.arange(100.0)
    i = imported(in_turn(saves(table), lambda e: e.save_pickle("model", "other.pkl", table)))
    i.load_pickle("model", "model.pkl").zero_()
    gc.collect()
    assert i.load_pickle("model", "other.pkl")[1] == 1


class _Pickled:
    """Reduces itself to bytes that PyTorch loads."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> Any:
        return torch.storage._load_from_bytes, (self.content,)


def test_storages_that_are_pickled_as_bytes_go_where_they_are_sent() -> None:
    buffer = BytesIO()
    torch.save(torch.arange(3.0), buffer)
    i = imported(lambda e: e.save_pickle("model", "model.pkl", _Pickled(buffer.getvalue())))
    assert i.load_pickle("model", "model.pkl").device.type == "cpu"
    assert i.load_pickle("model", "model.pkl", map_location="meta").device.type == "meta"
