"""Ten structural defects of torch.package, each absent here."""

from __future__ import annotations

import ast
import builtins
import gc
import inspect
import pickle
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian.package
from tests.packages import exported, imported, in_turn
from wardian.errors import CorruptCaseError, WardianError
from wardian.package import (
    EmptyMatchError,
    ObjMismatchError,
    ObjNotFoundError,
    PackageExporter,
    PackageImporter,
    PackagingError,
    analyze,
)
from wardian.pickling import pickler
from wardian.pickling.pickler import pickle_object

SOURCE = Path(str(wardian.package.__file__)).parent


def test_1_no_class_does_everything() -> None:
    # The writer, the scanner, the pickler and the import system are the engine's.
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("import zipfile", "import pickle\n", "PyTorchFileWriter(f", "exec("):
            assert word not in text, f"{path.name}: {word}"
    methods = [
        node
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    longest = max(methods, key=lambda node: (node.end_lineno or 0) - node.lineno)
    assert (longest.end_lineno or 0) - longest.lineno < 80, longest.name


def test_2_a_freed_object_is_not_taken_for_the_next() -> None:
    buffer = BytesIO()
    with PackageExporter(buffer) as e:
        for n in range(6):
            graph = torch.fx.Graph()
            graph.output(graph.call_function(torch.add, (graph.placeholder("x"), n)))
            e.save_pickle("m", f"{n}.pkl", torch.fx.GraphModule(torch.nn.Module(), graph))
            gc.collect()
    i = PackageImporter(buffer)
    assert [int(i.load_pickle("m", f"{n}.pkl")(torch.tensor(0))) for n in range(6)] == [*range(6)]


def test_3_rules_may_come_late_and_the_plan_can_be_seen_first() -> None:
    with PackageExporter(BytesIO()) as e:
        e.save_source_string("mine", "import blake3")
        assert "error" in e.dependency_graph.nodes["blake3"]
        e.extern("blake3")
        assert e.externed_modules() == ["blake3"]


def test_4_pickling_is_done_by_the_c_pickler() -> None:
    assert issubclass(pickler._Pickler, pickle.Pickler)
    data = [{"name": str(n), "value": n} for n in range(100_000)]
    with PackageExporter(BytesIO()) as e:
        start = time.process_time()
        e.save_pickle("data", "data.pkl", data)
        mine = time.process_time() - start
    start = time.process_time()
    pickle._Pickler(BytesIO(), 3).dump(data)  # what torch.package uses
    assert mine < (time.process_time() - start) * 2  # in canonical form, which takes most of it


def test_5_nothing_of_the_process_changes() -> None:
    code = (
        "import inspect, builtins, torch, sys\n"
        "getfile, builtin, hooks = inspect.getfile, dict(vars(builtins)), list(sys.path_hooks)\n"
        "import wardian.package\n"
        "assert inspect.getfile is getfile\n"
        "assert vars(builtins) == builtin\n"
        "assert sys.path_hooks == hooks\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env={"PYTHONPATH": "src"})
    before = inspect.getfile, builtins.__import__

    def profile(*_: Any) -> None:
        pass

    sys.setprofile(profile)
    try:
        analyze.trace_dependencies(lambda: None, [()])
        assert sys.getprofile() is profile
    finally:
        sys.setprofile(None)
    assert before == (inspect.getfile, builtins.__import__)


def test_5_modules_are_importable_so_that_dataclasses_work() -> None:
    source = (
        "from __future__ import annotations\nimport dataclasses, typing\n\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n    kind: typing.ClassVar[str] = 'p'\n"
    )
    i = imported(lambda e: e.save_source_string("shapes", source))
    assert i.import_module("shapes").Point(1) == i.import_module("shapes").Point(1)


def test_6_a_failed_export_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "good.pt"
    with PackageExporter(target) as e:
        e.save_text("a", "b.txt", "good")
    content = target.read_bytes()
    with pytest.raises(PackagingError), PackageExporter(target) as e:
        e.save_source_string("mine", "import blake3")
    assert target.read_bytes() == content


def test_7_errors_have_a_family_and_fire() -> None:
    for error in (EmptyMatchError, ObjMismatchError, ObjNotFoundError, PackagingError):
        assert issubclass(error, WardianError)

    def fill(e: PackageExporter) -> None:
        e.save_binary("t", "t.pkl", pickle_object(object, name="x", persistent_id=lambda o: ("odd",)).data)

    with pytest.raises(CorruptCaseError, match="odd"):
        imported(fill).load_pickle("t", "t.pkl")


def test_8_questions_about_the_graph_work_for_real_names() -> None:
    with PackageExporter(BytesIO()) as e:
        e.save_source_string("user_package_b", "import json")
        e.save_source_string("user_package_a", "import user_package_b")
        assert '"user_package_a" -> "user_package_b"' in e.all_paths("user_package_a", "user_package_b")
        assert "->" not in e.all_paths("user_package_b", "user_package_a")
        assert isinstance(e.all_paths("json", "user_package_a"), str)


def test_9_the_users_names_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_mock.py").write_text("USER_CODE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def fill(e: PackageExporter) -> None:
        e.mock("blake3")
        e.intern("_mock")
        e.save_source_string("mine", "import _mock, blake3\ncode = _mock.USER_CODE\n")

    assert imported(fill).import_module("mine").code == 1
    assert "_mock.py" in imported(fill).file_structure().children


def test_10_imports_are_found_wherever_they_stand_and_no_library_is_special(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import numpy as np

    before = set(vars(np))
    source = "import typing\nif typing.TYPE_CHECKING:\n    import no_such\nprint(__import__('json'))\n"
    with PackageExporter(BytesIO()) as e:
        e.save_source_string("mine", source)
        e.save_pickle("a", "a.pkl", np.float64(1.5))
        e.extern("numpy.**")
        assert "json" in e.externed_modules()
        assert "no_such" not in e.dependency_graph
    i = PackageImporter(
        exported(in_turn(lambda e: e.extern("numpy.**"), lambda e: e.save_pickle("a", "a.pkl", np.arange(3))))
    )
    assert i.load_pickle("a", "a.pkl").tolist() == [0, 1, 2]
    assert set(vars(np)) == before
