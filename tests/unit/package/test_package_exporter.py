"""What goes into a package, and what is refused."""

from __future__ import annotations

import importlib
import importlib.machinery
import io
import os
import pickle
import subprocess
import sys
from importlib.abc import MetaPathFinder
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.packages import exported, imported, in_turn
from wardian.package import (
    EmptyMatchError,
    Importer,
    PackageExporter,
    PackageImporter,
    PackagingError,
    sys_importer,
)
from wardian.package.package_exporter import PackagingErrorReason


def module(name: str) -> Any:
    return importlib.import_module(name)


# Sources


def test_files_and_folders_become_modules(library: Path) -> None:
    def fill(e: PackageExporter) -> None:
        e.save_source_file("spade", str(library / "tools.py"))
        e.intern("greenhouse.**")
        e.save_source_file("orangery", str(library / "greenhouse"))

    i = imported(fill)
    assert i.import_module("spade").result == "tools"
    assert i.import_module("orangery.beds").result == "greenhouse.beds"


def test_a_string_becomes_a_module() -> None:
    i = imported(lambda e: e.save_source_string("mine", "import math\nthe_math = math\n"))
    assert i.import_module("mine").the_math is i.import_module("math") is module("math")


def test_the_last_source_of_a_module_counts() -> None:
    def fill(e: PackageExporter) -> None:
        e.save_source_string("mine", "value = 1")
        e.save_source_string("mine", "value = 2")

    assert imported(fill).import_module("mine").value == 2


def test_a_module_is_saved_by_name_and_is_another_than_the_environments() -> None:
    def fill(e: PackageExporter) -> None:
        e.save_module("tools")
        e.save_module("greenhouse", dependencies=False)

    i = imported(fill)
    assert i.import_module("tools").result == "tools"
    assert i.import_module("tools") is not module("tools")


def test_save_module_wants_a_name_that_exists() -> None:
    with PackageExporter(BytesIO()) as e:
        with pytest.raises(TypeError, match="name"):
            e.save_module(torch)  # type: ignore[arg-type]
        with pytest.raises(ModuleNotFoundError):
            e.save_module("no_such_module_anywhere")


def test_imports_by_dunder_import_are_followed() -> None:
    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_pickle("res", "obj.pkl", module("shed").Shed)

    i = imported(fill)
    i.load_pickle("res", "obj.pkl")
    assert i.import_module("shed").result == "shed"
    assert i.import_module("shed.door").result == "door"
    assert i.import_module("shed.roof").result == "roof"
    assert i.import_module("shed.loft.boxes").result == "boxes"
    assert i.import_module("xml.sax.xmlreader").__name__ == "xml.sax.xmlreader"


def test_calls_of_import_that_say_nothing_do_no_harm() -> None:
    imported(lambda e: e.save_source_string("m", '__import__(these, unknown, "things", do, no, harm)'))


def test_an_import_inside_a_call_is_found() -> None:
    with PackageExporter(BytesIO()) as e:
        e.save_source_string("m", 'print(__import__("json"))')
        assert "json" in e.externed_modules()


def test_a_finder_that_knows_better_where_the_source_is_is_asked(library: Path) -> None:
    (library / "tools_moved.py").write_text('result = "moved"\n')

    class Moving(importlib.machinery.SourceFileLoader):
        def get_filename(self, name: str | None = None) -> str:
            return str(library / "tools_moved.py")

    class Finder(MetaPathFinder):
        def find_spec(self, fullname: str, path: Any, target: Any) -> Any:  # type: ignore[override]
            if fullname != "tools":
                return None
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            assert spec is not None
            spec.loader = Moving("tools", str(library / "tools.py"))
            return spec

    finder: Any = Finder()
    sys.meta_path.insert(0, finder)
    sys.modules.pop("tools", None)
    try:
        module("tools")
        assert "moved" in imported(lambda e: e.save_module("tools")).get_source("tools")
    finally:
        sys.meta_path.remove(finder)
        sys.modules.pop("tools", None)


# Rules


def test_lists_say_what_happens_to_which_module_before_the_end() -> None:
    with PackageExporter(BytesIO()) as e:
        e.extern("shed.door")
        e.mock("shed.roof")
        e.intern("**")
        e.save_pickle("obj", "obj.pkl", module("shed").Shed(["a"]))
        assert e.externed_modules() == ["math", "shed.door", "xml.sax", "xml.sax.xmlreader"]
        assert e.mocked_modules() == ["shed.roof"]
        assert e.interned_modules() == ["shed", "shed.loft.boxes"]
        assert e.denied_modules() == []
        assert e.get_rdeps("shed.roof") == ["shed"]
        assert e.get_rdeps("nowhere") == []
        assert '"shed" -> "shed.roof"' in e.dependency_graph_string()
        assert e.all_paths("<obj.obj.pkl>", "shed.door").count("->") == 2


def test_externs_are_the_environments() -> None:
    def fill(e: PackageExporter) -> None:
        e.extern(["greenhouse.beds", "tools"])
        e.save_source_string("mine", "import greenhouse.beds; import tools")

    i = imported(fill)
    assert i.import_module("tools") is module("tools")
    i.import_module("greenhouse.beds")
    assert i.import_module("greenhouse") is not module("greenhouse")
    assert i.import_module("greenhouse").beds is module("greenhouse.beds")


def test_patterns_and_exclusions() -> None:
    with PackageExporter(BytesIO()) as e:
        e.extern("greenhouse.**", exclude="greenhouse.beds")
        e.intern("greenhouse.beds")
        e.save_source_string("mine", "import greenhouse; import greenhouse.beds")
        assert e.externed_modules() == ["greenhouse"]
        assert e.interned_modules() == ["greenhouse.beds", "mine"]


def test_rules_count_that_come_after_the_save_that_needs_them() -> None:
    buffer = BytesIO()
    with PackageExporter(buffer) as e:
        e.save_source_string("mine", "import tools")
        e.extern("tools")
    assert PackageImporter(buffer).import_module("mine").tools is module("tools")


def test_the_first_rule_that_matches_decides() -> None:
    with PackageExporter(BytesIO()) as e:
        e.extern("tools")
        e.deny("tools")
        e.save_source_string("mine", "import tools")
        assert e.externed_modules() == ["tools"]


@pytest.mark.parametrize("verb", ["intern", "extern", "mock"])
def test_a_rule_that_must_match_and_does_not_is_an_error(verb: str) -> None:
    def fill(e: PackageExporter) -> None:
        getattr(e, verb)(["no_such.*"], allow_empty=False)
        e.save_module("tools")

    with pytest.raises(EmptyMatchError, match="did not match any modules"):
        exported(fill)


def test_an_error_before_the_end_is_not_hidden_by_a_rule_without_match() -> None:
    def fill(e: PackageExporter) -> None:
        e.extern("foo", allow_empty=False)
        e.save_module("no_such_module_anywhere")

    with pytest.raises(ModuleNotFoundError):
        exported(fill)


def test_denied_modules_are_refused() -> None:
    def fill(e: PackageExporter) -> None:
        e.deny(["greenhouse.*"])
        e.save_source_string("mine", "import greenhouse.beds")
        assert e.denied_modules() == ["greenhouse.beds"]

    with pytest.raises(PackagingError, match="denied"):
        exported(fill)


def test_all_modules_without_a_rule_are_named_at_once() -> None:
    obj = module("greenhouse").Greenhouse(module("greenhouse.beds").Bed())
    with pytest.raises(PackagingError, match="did not match against any action pattern") as caught:
        exported(lambda e: e.save_pickle("obj", "obj.pkl", obj))
    nodes = caught.value.dependency_graph.nodes
    broken = [name for name, node in nodes.items() if node.get("error") is PackagingErrorReason.NO_ACTION]
    assert broken == ["greenhouse", "greenhouse.beds"]
    assert "    greenhouse\n" in str(caught.value)
    assert [problem.module for problem in caught.value.problems] == broken
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_debug_shows_the_path_to_a_broken_module() -> None:
    with pytest.raises(PackagingError, match=r"<obj\.obj\.pkl> -> greenhouse -> greenhouse.beds"):
        exported(
            in_turn(
                lambda e: e.intern("greenhouse"),
                lambda e: e.save_pickle("obj", "obj.pkl", module("greenhouse").Greenhouse(1)),
            ),
            debug=True,
        )


def test_an_import_above_everything_is_a_packaging_error() -> None:
    with pytest.raises(PackagingError, match="beyond") as caught:
        exported(lambda e: e.save_source_string("foo", "from ........ import lol"))
    assert caught.value.dependency_graph.nodes["foo"]["error"] is (
        PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED
    )


def test_source_that_cannot_be_parsed_is_a_packaging_error() -> None:
    with pytest.raises(PackagingError, match="foo"):
        exported(lambda e: e.save_source_string("foo", "def (:"))
    exported(lambda e: e.save_source_string("foo", "def (:", dependencies=False))


def test_what_only_a_type_checker_imports_is_not_needed() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tools\n"
    with PackageExporter(BytesIO()) as e:
        e.save_source_string("mine", source)
        assert "tools" not in e.dependency_graph


def test_sys_and_io_need_no_rule() -> None:
    assert imported(lambda e: e.save_source_string("m", "import sys, io")).import_module("m").io is io


def test_a_compiled_module_under_an_intern_rule_is_an_extern_with_its_distribution() -> None:
    with PackageExporter(BytesIO()) as e:
        e.intern("**")
        e.save_source_string("mine", "import blake3")
        assert e.interned_modules() == ["mine"]
        assert "blake3" in e.externed_modules()


def test_a_module_of_another_importer_needs_no_file() -> None:
    class Gardener(Importer):
        def __init__(self) -> None:
            made = ModuleType("seeds")
            made.__file__ = "seeds.so"
            self.modules = {"seeds": made}

        def import_module(self, module_name: str) -> ModuleType:
            return self.modules[module_name]

    def fill(e: PackageExporter) -> None:
        e.save_module("seeds")

    with pytest.raises(PackagingError, match="seeds") as caught:
        exported(fill, importer=Gardener())
    assert caught.value.dependency_graph.nodes["seeds"]["error"] is PackagingErrorReason.IS_EXTENSION_MODULE


def test_hooks_are_called_with_each_module_and_can_be_removed() -> None:
    seen: list[tuple[str, str]] = []
    with PackageExporter(BytesIO()) as e:
        e.extern("tools")
        e.mock("greenhouse.beds")
        e.intern("**")
        e.register_extern_hook(lambda exporter, name: seen.append(("extern", name)))
        e.register_mock_hook(lambda exporter, name: seen.append(("mock", name)))
        e.register_intern_hook(lambda exporter, name: seen.append(("intern", name)))
        removed = e.register_intern_hook(lambda exporter, name: seen.append(("removed", name)))
        e.save_source_string("mine", "import tools; import greenhouse.beds")
        assert seen == []
        removed.remove()
    assert seen == [("intern", "mine"), ("extern", "tools"), ("mock", "greenhouse.beds")]


def test_dependencies_are_added_by_name() -> None:
    with PackageExporter(BytesIO()) as e:
        e.intern("greenhouse.**")
        e.add_dependency("greenhouse")
        assert e.interned_modules() == ["greenhouse", "greenhouse.beds"]


def test_unique_ids_are_unique() -> None:
    with PackageExporter(BytesIO()) as e:
        assert [e.get_unique_id() for _ in range(3)] == ["0", "1", "2"]


# Mocks


def test_a_mocked_module_raises_when_it_is_used() -> None:
    def fill(e: PackageExporter) -> None:
        e.mock(["greenhouse.*", "tools"])
        e.save_source_string("mine", "import tools\nfrom greenhouse.beds import Bed\nclass B(Bed): pass\n")

    i = imported(fill)
    assert "tools.result" in repr(i.import_module("mine").tools.result)
    with pytest.raises(NotImplementedError, match="was mocked out"):
        i.import_module("greenhouse.beds").result()
    with pytest.raises(NotImplementedError, match="was mocked out"):
        len(i.import_module("tools").result)


def test_a_mocked_class_in_a_pickle_is_refused() -> None:
    obj = module("greenhouse").Greenhouse(module("greenhouse.beds").Bed())

    def fill(e: PackageExporter) -> None:
        e.mock("greenhouse.beds")
        e.intern("**")
        e.save_pickle("obj", "obj.pkl", obj)

    with pytest.raises(PackagingError, match="mocked") as caught:
        exported(fill)
    assert "Bed" in str(caught.value)


def test_a_rule_before_the_mock_keeps_a_pickle_whole() -> None:
    obj = module("greenhouse").Greenhouse(module("greenhouse.beds").Bed())

    def fill(e: PackageExporter) -> None:
        e.intern("greenhouse.**")
        e.mock("**")
        e.save_pickle("obj", "obj.pkl", obj)

    assert imported(fill).load_pickle("obj", "obj.pkl").bed.plants == []


def test_a_users_module_called_mock_is_the_users() -> None:
    def fill(e: PackageExporter) -> None:
        e.mock("tools")
        e.intern("**")
        e.save_source_string("mine", "import tools, _mock\ncode = _mock.USER_CODE\n")

    assert imported(fill).import_module("mine").code == "mine"


# Pickles


def test_an_object_comes_back_with_classes_of_the_package() -> None:
    obj = module("greenhouse").Greenhouse(module("greenhouse.beds").Bed())

    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_pickle("obj", "obj.pkl", obj)

    i = imported(fill)
    beds = i.import_module("greenhouse.beds")
    loaded = i.load_pickle("obj", "obj.pkl")
    assert isinstance(loaded.bed, beds.Bed)
    assert beds.Bed is not module("greenhouse.beds").Bed
    with pytest.raises(ImportError):
        i.import_module("tools")


@pytest.mark.parametrize("protocol", [3, 4])
def test_nested_classes_long_names_and_containers(protocol: int) -> None:
    beds = module("greenhouse.beds")
    obj = {"labels": (beds.Bed.Label("fern"), [beds.leaf_function]), "word": "x" * 300, "set": {1, 2}}

    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_pickle("obj", "obj.pkl", obj, pickle_protocol=protocol)

    loaded = imported(fill).load_pickle("obj", "obj.pkl")
    assert loaded["labels"][0].text == "fern"
    assert loaded["labels"][1][0](1, 2) == 4
    assert (loaded["word"], loaded["set"]) == ("x" * 300, {1, 2})


def test_what_is_saved_is_what_was_there() -> None:
    obj = {"a": [1]}
    buffer = BytesIO()
    with PackageExporter(buffer) as e:
        e.save_pickle("obj", "obj.pkl", obj)
        obj["a"].append(2)
    assert PackageImporter(buffer).load_pickle("obj", "obj.pkl") == {"a": [1]}


def test_objects_share_storages_also_between_pickles_in_the_file() -> None:
    tensor = torch.arange(10.0)

    def fill(e: PackageExporter) -> None:
        e.save_pickle("one", "a.pkl", [tensor, tensor[2:5]])
        e.save_pickle("two", "b.pkl", tensor.view(2, 5))

    i = imported(fill)
    a, part = i.load_pickle("one", "a.pkl")
    part.zero_()
    assert a[2:5].sum() == 0
    assert torch.equal(i.load_pickle("two", "b.pkl").view(10), a)
    assert torch.equal(i.load_pickle("two", "b.pkl"), tensor.view(2, 5))  # another copy
    assert not i.file_structure().has_file(".data/1.storage")


def test_tensors_of_many_kinds_come_back() -> None:
    tensors: dict[str, Any] = {
        "half": torch.ones(3, dtype=torch.bfloat16),
        "bool": torch.tensor([True, False]),
        "empty": torch.empty(0, 4),
        "sparse": torch.eye(3).to_sparse(),
        "complex": torch.tensor([1 + 2j]),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
    }
    loaded = imported(lambda e: e.save_pickle("t", "t.pkl", tensors)).load_pickle("t", "t.pkl")
    for name in ("half", "bool", "empty", "complex", "parameter"):
        assert torch.equal(loaded[name], tensors[name]), name
        assert loaded[name].dtype is tensors[name].dtype
    assert torch.equal(loaded["sparse"].to_dense(), torch.eye(3))
    assert loaded["dtype"] is torch.float16
    assert isinstance(loaded["parameter"], torch.nn.Parameter)


def test_an_object_without_module_is_found_again() -> None:
    first = imported(lambda e: e.save_pickle("foo", "foo.pkl", torch.float16))
    dtype = first.load_pickle("foo", "foo.pkl")
    second = imported(lambda e: e.save_pickle("foo", "foo.pkl", dtype), importer=first)
    assert second.load_pickle("foo", "foo.pkl") is torch.float16


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((torch.zeros(2), "x"), TypeError),
        ((torch.zeros(2),), TypeError),
        ((None,), TypeError),
        ((3,), TypeError),
        ((BytesIO(), "x"), TypeError),
        ((BytesIO(), [1]), TypeError),
        ((BytesIO(), 7), TypeError),
        ((BytesIO(), [sys_importer, None]), TypeError),
    ],
)
def test_wrong_arguments_of_an_exporter(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        PackageExporter(*arguments)


def test_wrong_arguments_of_saves() -> None:
    with PackageExporter(BytesIO()) as e:
        with pytest.raises(ValueError, match="file name"):
            e.save_text("a", "b/c.txt", "")
        with pytest.raises(TypeError):
            e.save_text("a", 3, "")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            e.save_source_string("a", b"x = 1")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            e.save_source_string(torch, "x = 1")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="protocol"):
            e.save_pickle("a", "b", 1, pickle_protocol=2)
        with pytest.raises(ValueError, match="path"):
            e.save_text("..", "passwd", "")
        with pytest.raises(TypeError):
            e.intern(3)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"\*\*"):
            e.intern("a**")
        e.save_text("a", "twice.txt", "")
        with pytest.raises(ValueError, match="already"):
            e.save_text("a", "twice.txt", "")


def test_nothing_is_saved_after_the_end(tmp_path: Path) -> None:
    e = PackageExporter(tmp_path / "a.pt")
    e.save_text("a", "b.txt", "c")
    e.close()
    with pytest.raises(ValueError, match="closed"):
        e.save_text("a", "c.txt", "c")
    e.close()


# The target


def test_a_failed_export_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "good.pt"
    target.write_bytes(b"yesterday's file")
    with pytest.raises(PackagingError), PackageExporter(target) as e:
        e.save_source_string("mine", "import tools")
    with pytest.raises(RuntimeError, match="mine"), PackageExporter(target):
        raise RuntimeError("mine")
    assert target.read_bytes() == b"yesterday's file"
    assert os.listdir(tmp_path) == ["good.pt"]


def test_a_failed_export_writes_nothing_to_a_buffer() -> None:
    buffer = BytesIO()
    with pytest.raises(PackagingError), PackageExporter(buffer) as e:
        e.save_source_string("mine", "import tools")
    assert buffer.getvalue() == b""


def test_an_exporter_that_is_dropped_leaves_no_file(tmp_path: Path) -> None:
    e = PackageExporter(tmp_path / "a.pt")
    e.save_pickle("a", "b", torch.ones(3))
    del e
    assert os.listdir(tmp_path) == []


def test_paths_and_files_of_all_kinds_are_targets(tmp_path: Path) -> None:
    with (tmp_path / "b.pt").open("wb") as file:
        for target in (tmp_path / "a.pt", str(tmp_path / "c.pt"), file):
            with PackageExporter(target) as e:
                e.save_text("a", "a.txt", "hello")
    for name in "abc":
        assert PackageImporter(tmp_path / f"{name}.pt").load_text("a", "a.txt") == "hello"


def test_equal_exports_have_equal_bytes() -> None:
    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_pickle("obj", "obj.pkl", {"b": module("greenhouse.beds").Bed("xyz"), "a": torch.ones(3)})

    assert exported(fill).getvalue() == exported(fill).getvalue()


def test_a_script_is_packaged_like_any_module_and_does_not_run_its_main_part(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nfrom wardian.package import PackageExporter\n\n\n"
        "class Net:\n    def __call__(self, x):\n        return x + K\n\n\nK = 2\n"
        "if __name__ == '__main__':\n"
        "    with PackageExporter(sys.argv[1]) as e:\n"
        "        e.intern('__main__')\n        e.extern('wardian.**')\n"
        "        e.save_pickle('net', 'net.pkl', Net())\n"
    )
    target = tmp_path / "net.pt"
    subprocess.run([sys.executable, script, target], check=True, env={**os.environ, "PYTHONPATH": "src"})
    assert PackageImporter(target).load_pickle("net", "net.pkl")(1) == 3
    with PackageExporter(BytesIO()) as e:
        e.save_source_string("mine", "import __main__")
        assert "error" in e.dependency_graph.nodes["__main__"]
        e.mock("__main__")
