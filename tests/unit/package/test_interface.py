"""What programs that were written for torch.package compare, match and catch."""

from __future__ import annotations

import importlib
import linecache
import os
import pickle
import sys
import threading
import traceback
from io import BytesIO, StringIO
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
import torch

import wardian.package
from tests.packages import exported, imported, in_turn
from wardian.package import (
    EmptyMatchError,
    Importer,
    OrderedImporter,
    PackageExporter,
    PackageImporter,
    PackagingError,
    is_from_package,
)
from wardian.package.find_file_dependencies import find_files_source_depends_on

HINT = (
    "Set debug=True when invoking PackageExporter for a visualization of where broken modules are coming "
    "from!"
)


def failed(fill: Any, **options: Any) -> PackagingError:
    with pytest.raises(PackagingError) as caught:
        exported(fill, **options)
    return caught.value


def notes(error: BaseException) -> list[str]:
    """Return the notes of an error, but for the last line that each of ours has."""
    return [note for note in getattr(error, "__notes__", []) if ": see docs/reference/errors.md#" not in note]


# The text of a PackagingError


def test_the_message_names_each_reason_and_its_modules_and_the_notes_say_what_settles_them() -> None:
    error = failed(lambda e: e.save_source_string("mine", "import tools, shed.door"))
    assert str(error) == (
        "\n* Module did not match against any action pattern. Extern, mock, or intern it.\n"
        f"    tools\n    shed.door\n\n{HINT}\n"
    )
    assert 'tools: fix: exporter.intern("tools.**"), or extern, or mock' in notes(error)


def test_with_debug_the_message_has_paths_and_no_hint() -> None:
    error = failed(
        in_turn(lambda e: e.deny("tools"), lambda e: e.save_source_string("m", "import tools")), debug=True
    )
    assert str(error) == (
        "\n* Module was denied by a pattern.\n    tools\n      A path to tools: m -> tools\n"
    )
    assert notes(error)[0].startswith('tools (deny: "tools"): fix: ')


def test_an_import_above_everything_has_the_words_of_python_and_a_note_with_the_line() -> None:
    error = failed(lambda e: e.save_source_string("foo", "x = 1\nfrom ........ import lol"))
    assert str(error) == (
        "\n* Dependency resolution failed.\n    foo\n"
        f"      Context: attempted relative import beyond top-level package\n\n{HINT}\n"
    )
    assert notes(error) == ["foo (line 2)"]
    assert "line 2" in error.problems[0].what


def test_the_message_says_which_objects_of_a_mocked_module_a_pickle_holds() -> None:
    beds = importlib.import_module("greenhouse.beds")
    error = failed(
        in_turn(lambda e: e.mock("greenhouse.**"), lambda e: e.save_pickle("plants", "fern.pkl", beds.Bed()))
    )
    assert "Module was mocked out, but is still being used in the package." in str(error)
    assert "Context: Bed of `greenhouse.beds` in resource `fern.pkl` of package `plants`\n" in str(error)


def test_modules_without_file_or_source(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, made = ModuleType("lost_seeds"), ModuleType("made_seeds")
    lost.__file__ = os.path.join(os.sep, "nowhere", "lost_seeds.pyc")
    monkeypatch.setitem(sys.modules, "lost_seeds", lost)
    monkeypatch.setitem(sys.modules, "made_seeds", made)
    error = failed(
        in_turn(
            lambda e: e.intern("**"), lambda e: e.save_source_string("m", "import lost_seeds, made_seeds")
        )
    )
    assert "Module had no __file__ defined.\n    made_seeds\n" in str(error)
    assert "Module had a __file__, but we could not find it in your filesystem.\n    lost_seeds\n" in str(
        error
    )
    assert f"      Context: filename: {lost.__file__}\n" in str(error)


def test_a_compiled_module_that_only_an_importer_has_cannot_become_an_extern() -> None:
    class Gardener(Importer):
        def __init__(self) -> None:
            self.modules = {}
            for name in ("seeds", "bulbs"):
                self.modules[name] = ModuleType(name)
                self.modules[name].__file__ = f"{name}.so"

        def import_module(self, module_name: str) -> ModuleType:
            return self.modules[module_name]

    error = failed(
        in_turn(
            lambda e: e.intern(["seeds", "bulbs"]),
            lambda e: e.save_source_string("mine", "import seeds; import bulbs"),
        ),
        importer=Gardener(),
    )
    assert str(error) == (
        "\n* Module is a C extension module. wardian.package supports Python modules only.\n"
        f"    seeds\n    bulbs\n\n{HINT}\n"
    )


# Other errors


def test_wrong_uses_are_what_torch_package_raises_too() -> None:
    with PackageExporter(BytesIO()) as e:
        with pytest.raises(AssertionError, match="only supports pickle protocols 3 and 4, got 5"):
            e.save_pickle("a", "b.pkl", 1, pickle_protocol=5)
        with pytest.raises(TypeError, match="expects a string input"):
            e.save_module(torch)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'a/b' must be only a file name"):
            e.save_text("p", "a/b", "")
        e.save_text("p", "a", "")
        with pytest.raises(AssertionError, match="'p/a' already exists in this archive"):
            e.save_text("p", "a", "")
        with pytest.raises(TypeError):
            e.save_text("p", "b", b"")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            e.register_mock_hook(3)  # type: ignore[arg-type]
        for name in ("", "shed/door"):
            with pytest.raises(ValueError, match="name of a module"):
                e.save_source_string(name, "")
    with pytest.raises(TypeError, match="StringIO"):
        PackageExporter(StringIO())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an Importer or a sequence of Importers"):
        PackageExporter(BytesIO(), importer=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="3 is not an Importer"):
        OrderedImporter(3).import_module("json")  # type: ignore[arg-type]
    with pytest.raises(EmptyMatchError, match="did not match any modules to"):
        exported(lambda e: e.extern("foo", allow_empty=False))


def test_what_the_code_of_an_object_raises_is_raised_with_its_place() -> None:
    class Wilted:
        def __getstate__(self) -> Any:
            raise LookupError("no water")

    for obj, kind in ((Wilted(), LookupError), (threading.Lock(), pickle.PicklingError), (print, None)):
        with PackageExporter(BytesIO()) as e:
            if kind is None:
                e.save_pickle("p", "a.pkl", [obj])
                continue
            with pytest.raises(kind) as caught:
                e.save_pickle("p", "a.pkl", {"fern": obj})
            words = "".join(traceback.format_exception(caught.value))
            assert "p.a.pkl['fern']" in words


def test_a_resource_may_not_take_the_place_of_a_source() -> None:
    with pytest.raises(AssertionError, match=r"'p/__init__.py' already exists in this archive"):
        exported(
            in_turn(
                lambda e: e.save_source_string("p", "", is_package=True),
                lambda e: e.save_text("p", "__init__.py", "x"),
            )
        )


def test_files_that_cannot_be_opened_are_runtime_errors_too(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("no archive")
    content = exported(lambda e: e.save_text("p", "t", "x")).getvalue()
    for wrong in (tmp_path / "missing.pt", tmp_path / "notes.pt", tmp_path, BytesIO(content[:-9])):
        with pytest.raises(RuntimeError):
            PackageImporter(wrong)
    with pytest.raises(FileNotFoundError, match=r"missing\.pt"):
        PackageImporter(tmp_path / "missing.pt")


def test_what_a_package_does_not_have() -> None:
    i = imported(lambda e: e.save_source_string("m", "x = 1"))
    with pytest.raises(ModuleNotFoundError, match="No module named 'q'"):
        i.load_text("q", "t")
    with pytest.raises(TypeError, match="'m' is not a package"):
        i.load_text("m", "t")
    with pytest.raises(ModuleNotFoundError):
        i.get_source("q")
    with pytest.raises(ValueError, match="Empty module name"):
        i.import_module("")
    for ask in (i.import_module, i.get_source, i.get_resource_reader):
        with pytest.raises(TypeError):
            ask(3)  # type: ignore[arg-type]


# Arguments


def test_names_of_resources_may_be_paths_and_bytes_a_text() -> None:
    def fill(e: PackageExporter) -> None:
        e.save_text("p", Path("a.txt"), "a")  # type: ignore[arg-type]
        e.save_binary("p", "b.bin", "grün")

    i = imported(fill)
    assert i.load_text("p", Path("a.txt")) == "a"  # type: ignore[arg-type]
    assert i.load_binary("p", "b.bin") == "grün".encode()


def test_torchs_reader_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(exported(lambda e: e.save_text("p", "t", "x")).getvalue())
    reader = torch._C.PyTorchFileReader(str(tmp_path / "a.pt"))
    assert PackageImporter(reader).filename == "<pytorch_file_reader>"


# Sources


def test_of_source_and_module_of_one_name_the_last_counts() -> None:
    i = imported(
        in_turn(lambda e: e.save_source_string("tools", "result = 1"), lambda e: e.save_module("tools"))
    )
    assert i.import_module("tools").result == "tools"
    i = imported(
        in_turn(lambda e: e.save_module("tools"), lambda e: e.save_source_string("tools", "result = 1"))
    )
    assert i.import_module("tools").result == 1


@pytest.mark.parametrize("known_to", ["linecache", "its loader", "nobody"])
def test_the_source_of_a_module_without_a_file_is_found_by_who_knows_it(
    known_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loader:
        def get_source(self, name: str) -> str:
            return "result = 'made'\n"

    made = ModuleType("made_tools")
    made.__file__ = f"made_tools_known_to_{known_to}.py"  # linecache keeps what it has found
    if known_to == "linecache":
        source = "result = 'made'\n"
        entry = (len(source), None, [source], made.__file__)
        monkeypatch.setitem(linecache.cache, made.__file__, entry)
    elif known_to == "its loader":
        made.__loader__ = Loader()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "made_tools", made)

    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_source_string("mine", "import made_tools")

    if known_to == "nobody":
        with pytest.raises(PackagingError, match="could not find it in your filesystem"):
            exported(fill)
    else:
        assert imported(fill).import_module("mine").made_tools.result == "made"


def test_a_module_of_the_standard_library_is_packaged_if_it_is_named() -> None:
    i = imported(
        in_turn(
            lambda e: e.save_module("colorsys"),
            lambda e: e.save_module("json"),
            lambda e: e.save_source_string("m", "import colorsys\nimport abc"),
        )
    )
    assert i.file_structure().has_file("colorsys.py")
    assert not i.file_structure().has_file("abc.py")
    assert i.import_module("json").loads("[1]") == [1]
    assert is_from_package(i.import_module("json"))
    assert not is_from_package(i.import_module("json.decoder"))
    assert is_from_package(i.import_module("m").colorsys)
    assert i.import_module("colorsys").rgb_to_hsv(1, 0, 0) == (0.0, 1.0, 1.0)
    with pytest.raises(PackagingError, match="no __file__"):
        exported(lambda e: e.save_module("sys"))


def test_wardian_is_always_there_and_is_not_packaged() -> None:
    source = """
        import importlib
        from wardian.package import is_from_package

        found = importlib.import_module("wardian.package")
        """
    with PackageExporter(target := BytesIO()) as e:
        e.intern("**")
        e.save_source_string("m", dedent(source))
        assert e.interned_modules() == ["m"]
    assert PackageImporter(target).import_module("m").found is wardian.package


def test_a_call_of_import_needs_the_package_that_it_returns() -> None:
    with PackageExporter(target := BytesIO()) as e:
        e.intern("**")
        e.save_source_string("mine", "result = __import__('shed.door').result")
        assert "shed" in e.interned_modules()
    assert PackageImporter(target).import_module("mine").result == "shed"
    assert find_files_source_depends_on("__import__('a.b.c')", "x") == [("a.b.c", None), ("a.b", None)]
    assert find_files_source_depends_on("__import__('a.b', fromlist=['c'])", "x") == [("a.b", "c")]


def test_an_import_above_everything_is_not_found_below_the_name_of_a_loaded_package() -> None:
    def fill(e: PackageExporter) -> None:
        for level, name in ((2, "k.up"), (3, "k.out"), (1, "alone")):
            dots = "." * level
            e.save_source_string(name, f"from {dots} import k", dependencies=False)
        e.save_source_string("k.inside", "from . import sibling")
        e.save_source_string("k.sibling", "")

    i = imported(fill)
    for name in ("k.up", "k.out", "alone"):
        with pytest.raises(ImportError, match="attempted relative import"):
            i.import_module(name)
    assert i.import_module("k.inside").sibling is i.import_module("k.sibling")
    with pytest.raises(ValueError, match="beyond top-level package"):
        find_files_source_depends_on("from ... import y", "p")
