"""What an importer gives, and what it refuses."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import linecache
import os
import pickle
import platform
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.archives import Forged, forge
from tests.packages import exported, imported
from tests.support import write_case
from wardian.errors import CorruptCaseError, NotACaseError
from wardian.package import (
    Importer,
    ObjMismatchError,
    ObjNotFoundError,
    OrderedImporter,
    PackageExporter,
    PackageImporter,
    is_from_package,
    sys_importer,
)
from wardian.pickling.pickler import pickle_object


def module(name: str) -> Any:
    return importlib.import_module(name)


def fill_bed(e: PackageExporter) -> None:
    beds = module("greenhouse.beds")
    e.intern("**")
    e.save_pickle("obj", "obj.pkl", module("greenhouse").Greenhouse(beds.Bed("ab")))
    e.save_text("obj", "note.txt", "grüne Blätter")
    e.save_binary("obj", "raw.bin", b"\0\1")
    e.save_text("obj.more", "deep.txt", "deep")


@pytest.fixture
def importer() -> Iterator[PackageImporter]:
    i = imported(fill_bed)
    yield i
    i.close()


# Modules


def test_modules_are_ordinary_modules_of_this_importer_alone(importer: PackageImporter) -> None:
    beds = importer.import_module("greenhouse.beds")
    assert sys.modules[beds.__name__] is beds
    assert beds.__name__ == f"{importer.id()}.greenhouse.beds"
    assert importer.import_module(beds.__name__) is beds
    assert importer.modules["greenhouse.beds"] is beds
    other = imported(fill_bed)
    assert other.id() != importer.id()
    assert other.import_module("greenhouse.beds") is not beds
    with pytest.raises(ModuleNotFoundError):
        other.import_module(beds.__name__)


def test_two_importers_of_one_file_share_nothing() -> None:
    buffer = exported(fill_bed)
    first, second = PackageImporter(buffer), PackageImporter(buffer)
    assert type(first.load_pickle("obj", "obj.pkl")) is not type(second.load_pickle("obj", "obj.pkl"))


def test_packed_code_imports_only_what_the_package_allows() -> None:
    def fill(e: PackageExporter) -> None:
        e.save_source_string(
            "mine",
            "import torch, json, numpy\n"
            "try:\n    import tools\nexcept ImportError:\n    tools = None\n"
            "def late():\n    import tools\n    return tools\n",
            dependencies=False,
        )

    mine = imported(fill).import_module("mine")
    assert mine.tools is None
    with pytest.raises(ModuleNotFoundError, match="tools"):
        mine.late()


def test_a_module_knows_that_it_is_packaged() -> None:
    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_module("whereabouts")

    packed = imported(fill).import_module("whereabouts")
    assert packed.is_from_package()
    assert not module("whereabouts").is_from_package()
    assert packed.__torch_package__


def test_is_from_package(importer: PackageImporter) -> None:
    obj = importer.load_pickle("obj", "obj.pkl")
    assert is_from_package(importer.import_module("greenhouse.beds"))
    assert is_from_package(obj)
    assert not is_from_package(module("greenhouse.beds"))
    assert not is_from_package(module("greenhouse.beds").Bed())
    assert not is_from_package(torch.nn.Linear(1, 1))


def test_packed_code_reaches_its_importer() -> None:
    def fill(e: PackageExporter) -> None:
        e.save_text("main", "main", "my string")
        e.save_source_string(
            "main",
            "import torch_package_importer as resources\n"
            "t = resources.load_text('main', 'main')\n"
            "def again():\n    import torch_package_importer\n    return torch_package_importer\n",
            is_package=True,
        )

    i = imported(fill)
    assert i.import_module("main").t == "my string"
    assert i.import_module("main").again() is i
    assert i.import_module("torch_package_importer") is i
    again = imported(lambda e: e.save_module("main"), importer=(i, sys_importer))
    with pytest.raises(RuntimeError, match="main"):  # the text was not saved again
        again.import_module("main")


def test_a_module_that_asks_for_its_importer_is_packaged_again() -> None:
    def fill(e: PackageExporter) -> None:
        e.intern("**")
        e.save_module("asks_importer")

    first = imported(fill)
    second = imported(fill, importer=(first, sys_importer))
    assert second.import_module("asks_importer").torch_package_importer is second
    assert module("asks_importer").torch_package_importer is None


def test_sources_are_found_by_inspect_and_tracebacks(importer: PackageImporter) -> None:
    packed = importer.import_module("greenhouse.beds")
    assert inspect.getsource(packed.Bed) == inspect.getsource(module("greenhouse.beds").Bed)
    assert importer.get_source("greenhouse.beds") == inspect.getsource(packed)
    with pytest.raises(TypeError) as caught:
        packed.leaf_function(None, 1)
    assert "return a * 2 + b" in "".join(traceback.format_exception(caught.value))
    linecache.checkcache()


def test_sources_are_found_when_another_importer_of_the_file_was_closed(tmp_path: Path) -> None:
    with PackageExporter(tmp_path / "beds.pt") as e:
        fill_bed(e)
    first, second = PackageImporter(tmp_path / "beds.pt"), PackageImporter(tmp_path / "beds.pt")
    first.import_module("greenhouse.beds")
    packed = second.import_module("greenhouse.beds")
    first.close()
    assert "return a * 2 + b" in inspect.getsource(packed)
    second.close()


def test_objects_pickle_copy_and_reach_other_processes(tmp_path: Path) -> None:
    with PackageExporter(tmp_path / "obj.pt") as e:
        fill_bed(e)
    i = PackageImporter(tmp_path / "obj.pt")
    obj = i.load_pickle("obj", "obj.pkl")
    assert type(pickle.loads(pickle.dumps(obj))) is type(obj)
    assert copy.deepcopy(obj).bed.plants == ["a", "b"]
    (tmp_path / "obj.pkl").write_bytes(pickle.dumps(obj))
    source = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).bed.plants)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, str(tmp_path / "obj.pkl")],
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    # A process finds the file by what its parent has announced.
    assert run.stdout == "['a', 'b']\n", run.stderr


def test_close_removes_every_trace() -> None:
    i = imported(fill_bed)
    obj = i.load_pickle("obj", "obj.pkl")
    i.close()
    assert not [name for name in sys.modules if name.startswith(i.id())]
    assert obj.bed.plants == ["a", "b"]
    i.close()


# Files


def test_text_and_bytes(importer: PackageImporter) -> None:
    assert importer.load_text("obj", "note.txt") == "grüne Blätter"
    assert importer.load_text("obj", "note.txt", encoding="ascii", errors="ignore") == "grne Bltter"
    assert importer.load_binary("obj", "raw.bin") == b"\0\1"
    assert importer.load_binary(importer.import_module("obj"), "raw.bin") == b"\0\1"


def test_what_is_not_there(importer: PackageImporter) -> None:
    with pytest.raises(ModuleNotFoundError):
        importer.load_text("nowhere", "note.txt")
    with pytest.raises(RuntimeError, match="missing"):
        importer.load_text("obj", "missing.txt")
    with pytest.raises(FileNotFoundError):
        importer.load_pickle("obj", "missing.pkl")
    with pytest.raises(TypeError):
        importer.load_text("greenhouse.beds", "note.txt")
    with pytest.raises(ValueError, match="file name"):
        importer.load_text("obj", "more/deep.txt")
    with pytest.raises(TypeError):
        importer.load_text(3, "note.txt")  # type: ignore[arg-type]
    with pytest.raises(ImportError):
        importer.get_source("nowhere")


def test_the_resource_reader(importer: PackageImporter) -> None:
    reader = importer.get_resource_reader("obj")
    assert reader is not None
    assert reader.is_resource("note.txt")
    assert not reader.is_resource("more")
    assert reader.open_resource("raw.bin").read() == b"\0\1"
    assert list(reader.contents()) == ["more", "note.txt", "obj.pkl", "raw.bin"]
    with pytest.raises(FileNotFoundError):
        reader.resource_path("note.txt")
    assert importer.get_resource_reader("nowhere") is None


def test_importlib_resources_in_packed_code() -> None:
    source = (
        "import importlib.resources, cool_resources\n"
        "def secret():\n    return importlib.resources.files(cool_resources).joinpath('s.txt').read_text()\n"
        "def secret_by_name():\n"
        "    return importlib.resources.files('cool_resources').joinpath('s.txt').read_text()\n"
        "with importlib.resources.as_file(importlib.resources.files(cool_resources) / 's.txt') as path:\n"
        "    with open(path) as f:\n        s = f.read()\n"
    )

    def fill(e: PackageExporter) -> None:
        e.save_source_string("foo.bar", source)
        e.save_text("cool_resources", "s.txt", "it plays")

    i = imported(fill)
    bar = i.import_module("foo.bar")
    assert bar.s == bar.secret() == bar.secret_by_name() == "it plays"
    assert files(i.import_module("cool_resources")).joinpath("s.txt").read_text() == "it plays"


def test_the_structure_as_a_tree(importer: PackageImporter) -> None:
    tree = importer.file_structure(include=["**/beds.py", "obj/*"])
    assert str(tree).splitlines()[1:] == [
        "    ├── greenhouse",
        "    │   └── beds.py",
        "    └── obj",
        "        ├── note.txt",
        "        ├── obj.pkl",
        "        └── raw.bin",
    ]
    whole = importer.file_structure()
    assert whole.has_file("greenhouse/beds.py")
    assert whole.has_file("greenhouse")
    assert not whole.has_file("greenhouse/beds")
    assert not whole.has_file("greenhouse/beds.py/x")
    assert sorted(whole.children[".data"].children) == [
        "extern_modules",
        "python_version",
        "serialization_id",
        "version",
    ]
    assert not importer.file_structure(exclude="**/*.py").has_file("greenhouse")


def test_python_version(importer: PackageImporter) -> None:
    assert importer.python_version() == platform.python_version()


def test_a_source_is_read_in_its_own_encoding(tmp_path: Path) -> None:
    latin = "# coding: latin-1\nNAME = 'Käfer'\n"
    entries = {
        b".data/extern_modules": b"",
        b"beetle.py": latin.encode("latin-1"),
        b"wrong.py": b"NAME = '\xe4'\n",
        b"nowhere.py": b"# coding: nowhere\n",
    }
    forged = [Forged(b"beetles/" + name, content) for name, content in entries.items()]
    (tmp_path / "beetles.pt").write_bytes(forge(forged, sealed=False))
    importer = PackageImporter(tmp_path / "beetles.pt")
    try:
        assert importer.get_source("beetle") == latin
        for module in ("wrong", "nowhere"):
            with pytest.raises(CorruptCaseError, match="is no text") as caught:
                importer.get_source(module)
            assert caught.value.record == f"{module}.py"
    finally:
        importer.close()
    importer = PackageImporter(
        write_case(tmp_path / "beetles.case", {".data/extern_modules": b"", ".data/python_version": b"\xff"})
    )
    with pytest.raises(CorruptCaseError, match="is no text"):
        importer.python_version()
    importer.close()


# Opening


def test_paths_buffers_folders_and_torchs_reader(tmp_path: Path) -> None:
    content = exported(fill_bed).getvalue()
    path = tmp_path / "p.pt"
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    with path.open("rb") as file:
        for source in (
            path,
            str(path),
            file,
            BytesIO(content),
            io.BufferedReader(BytesIO(content)),
            tmp_path / "archive",
            torch._C.PyTorchFileReader(str(path)),
        ):
            i = PackageImporter(source)
            assert i.load_pickle("obj", "obj.pkl").bed.plants == ["a", "b"]
            assert i.load_text("obj", "note.txt") == "grüne Blätter"


def test_an_edited_folder_shows_what_was_edited(tmp_path: Path) -> None:
    with zipfile.ZipFile(exported(fill_bed)) as archive:
        archive.extractall(tmp_path)
    beds = tmp_path / "archive/greenhouse/beds.py"
    beds.write_text(beds.read_text() + "\nedited = True\n")
    i = PackageImporter(str(tmp_path / "archive"))
    assert i.import_module("greenhouse.beds").edited
    assert i.zip_reader.has_record("obj/note.txt")
    assert not i.zip_reader.has_record("obj/missing.txt")
    reader = i.get_resource_reader("obj")
    assert reader is not None
    assert Path(reader.resource_path("note.txt")).read_text(encoding="utf-8") == "grüne Blätter"


def test_external_modules_can_be_refused() -> None:
    def fill(e: PackageExporter) -> None:
        e.extern("tools")
        e.save_source_string("mine", "import tools")

    buffer = exported(fill)
    with pytest.raises(ImportError, match="tools"):
        PackageImporter(buffer, module_allowed=lambda name: name != "tools")
    assert PackageImporter(buffer, lambda name: True).extern_modules == ["tools"]


def test_what_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PackageImporter(tmp_path / "missing.pt")
    with pytest.raises(NotACaseError):
        PackageImporter(BytesIO(b"hello"))
    with pytest.raises(NotACaseError):
        PackageImporter(tmp_path)
    for wrong in (None, 3, torch.zeros(2)):
        with pytest.raises(TypeError):
            PackageImporter(wrong)  # type: ignore[arg-type]
    content = bytearray(exported(fill_bed).getvalue())
    content[len(content) // 2] ^= 1
    with pytest.raises(CorruptCaseError):
        PackageImporter(BytesIO(bytes(content))).load_pickle("obj", "obj.pkl")


# Objects


def test_tensors_go_where_they_are_sent() -> None:
    i = imported(lambda e: e.save_pickle("t", "t.pkl", [torch.ones(2)]))
    assert i.load_pickle("t", "t.pkl", map_location="meta")[0].device.type == "meta"
    assert i.load_pickle("t", "t.pkl", map_location={"cpu": "cpu"})[0].tolist() == [1, 1]
    assert i.load_pickle("t", "t.pkl", map_location=lambda storage, place: storage)[0].sum() == 2


def test_what_was_opened_is_loaded_even_if_the_file_is_another_by_now(tmp_path: Path) -> None:
    path = tmp_path / "t.pt"
    with PackageExporter(path) as e:
        e.save_pickle("t", "t.pkl", torch.full((1000,), 1.0))
    first = PackageImporter(path)
    with PackageExporter(path) as e:
        e.save_pickle("t", "t.pkl", torch.full((1000,), 2.0))
    assert first.load_pickle("t", "t.pkl").unique().tolist() == [1.0]
    assert PackageImporter(path).load_pickle("t", "t.pkl").unique().tolist() == [2.0]


def test_an_unknown_persistent_id_is_an_error() -> None:
    def fill(e: PackageExporter) -> None:
        data = pickle_object(object, name="x", persistent_id=lambda obj: ("riddle", 1)).data
        e.save_binary("t", "t.pkl", data)

    with pytest.raises(CorruptCaseError, match="riddle"):
        imported(fill).load_pickle("t", "t.pkl")


def test_threads_get_their_own_tensors(tmp_path: Path) -> None:
    path = tmp_path / "t.pt"
    with PackageExporter(path) as e:
        e.intern("**")
        for n in range(8):
            e.save_pickle(
                "t", f"{n}.pkl", {"t": torch.full((500,), float(n)), "b": module("greenhouse.beds").Bed}
            )
    i = PackageImporter(path)
    wrong: list[int] = []
    barrier = threading.Barrier(8)

    def work(n: int) -> None:
        barrier.wait()
        for _ in range(10):
            loaded = i.load_pickle("t", f"{n}.pkl")["t"]
            if loaded.unique().tolist() != [float(n)]:
                wrong.append(n)
            loaded.fill_(-1)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Importers


def test_names_lead_back_to_the_object(importer: PackageImporter) -> None:
    bed = module("greenhouse.beds").Bed
    assert sys_importer.get_name(bed) == ("greenhouse.beds", "Bed")
    assert sys_importer.import_module("greenhouse.beds").Bed is bed
    packed = importer.import_module("greenhouse.beds").Bed
    assert importer.get_name(packed) == ("greenhouse.beds", "Bed")
    assert importer.get_name(packed.Label) == ("greenhouse.beds", "Bed.Label")
    with pytest.raises(ObjMismatchError):
        sys_importer.get_name(packed)
    with pytest.raises(ObjMismatchError):
        importer.get_name(bed)
    with pytest.raises(ObjNotFoundError):
        sys_importer.get_name(lambda: 0)


def test_importers_in_order(importer: PackageImporter) -> None:
    alone = OrderedImporter(importer)
    assert alone.import_module("greenhouse.beds") is importer.import_module("greenhouse.beds")
    with pytest.raises(ModuleNotFoundError):
        alone.import_module("tools")
    both = OrderedImporter(importer, sys_importer)
    assert both.import_module("tools") is module("tools")
    assert both.import_module("greenhouse.beds") is not module("greenhouse.beds")
    assert OrderedImporter(sys_importer, importer).import_module("greenhouse") is module("greenhouse")
    bed = importer.import_module("greenhouse.beds").Bed
    assert both.get_name(bed) == ("greenhouse.beds", "Bed")
    with pytest.raises(ObjNotFoundError):
        alone.get_name(module("greenhouse.beds").Bed)
    with pytest.raises(TypeError):
        OrderedImporter("x").import_module("tools")  # type: ignore[arg-type]


def test_a_folder_without_code_does_not_hide_a_package() -> None:
    def fill(e: PackageExporter) -> None:
        e.intern("greenhouse.beds")
        e.save_module("greenhouse.beds")

    i = imported(fill)
    both = OrderedImporter(i, sys_importer)
    assert both.import_module("greenhouse") is module("greenhouse")
    assert both.import_module("greenhouse.beds") is i.import_module("greenhouse.beds")


def test_whichmodule_asks_each_importer_in_order() -> None:
    class Fixed(Importer):
        def __init__(self, answer: str) -> None:
            self.answer = answer

        def import_module(self, module_name: str) -> Any:
            raise NotImplementedError

        def whichmodule(self, obj: Any, name: str) -> str:
            return self.answer

    foo, bar, unknown = Fixed("foo"), Fixed("bar"), Fixed("__main__")
    assert OrderedImporter(foo, bar).whichmodule(object(), "") == "foo"
    assert OrderedImporter(bar, foo).whichmodule(object(), "") == "bar"
    assert OrderedImporter(unknown, foo).whichmodule(object(), "") == "foo"
    assert OrderedImporter(unknown).whichmodule(object(), "") == "__main__"
