"""The run in the clean process, its parts one by one; `test_observe` runs it as a whole."""

from __future__ import annotations

import json
import pickle
import types
from pathlib import Path
from traceback import walk_tb
from typing import Any

import pytest

from tests.support import write_case
from wardian.errors import CaseError
from wardian.packing.tracing.in_child import (
    _Cases,
    _keep_users_frames,
    _Pickles,
    _unimported,
    _write_results,
    find_global,
)


def test_a_global_is_found_by_its_dotted_name() -> None:
    assert find_global("json", "JSONDecoder.decode") is json.JSONDecoder.decode
    with pytest.raises(ImportError):
        find_global("nobody", "x")
    with pytest.raises(AttributeError):
        find_global("json", "nobody")


def _raised(call: Any) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def test_a_submodule_that_was_missing_is_found_in_the_causes_of_an_error() -> None:
    package = types.ModuleType("shop")
    missing = _raised(lambda: package.heads)
    later = ValueError("later")
    later.__context__ = missing
    assert _unimported(missing) == _unimported(later) == "shop.heads"
    assert _unimported(_raised(lambda: (1).heads)) is None  # type: ignore[attr-defined]
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    assert _unimported(one) is None


def test_a_traceback_keeps_the_frames_of_the_user() -> None:
    def decode(text: str) -> Any:
        return json.loads(text)

    error = _raised(lambda: decode("{"))
    _keep_users_frames(error)
    names = _modules_of(error)
    assert len(names) > 1
    assert set(names) & {"json", "json.decoder"} == set()


def _modules_of(error: BaseException) -> list[str]:
    return [frame.f_globals["__name__"] for frame, _ in walk_tb(error.__traceback__)]


def test_a_traceback_of_nobody_else_has_no_frames_of_wardian() -> None:
    def raised_in(module: str, text: str) -> BaseException:
        error = _raised(lambda: exec(text, {"__name__": module}))
        error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]
        _keep_users_frames(error)
        return error

    library = raised_in("wardian.tensors.selftest", "import json\njson.loads('{')")
    assert set(_modules_of(library)) == {"json", "json.decoder"}
    assert _modules_of(raised_in("wardian.tensors.selftest", "int(1, 2, 3)")) == []


def test_each_load_makes_the_object_and_its_inputs_anew(tmp_path: Path) -> None:
    (tmp_path / "object.pkl").write_bytes(pickle.dumps({"oak": [1], "elm": [2]}))
    (tmp_path / "inputs.pkl").write_bytes(pickle.dumps({"oak": ("x",)}))
    request: dict[str, Any] = {
        "folder": str(tmp_path),
        "archive": str(tmp_path / "oak.case"),
        "offsets": {},
        "one": None,
    }
    pickles = _Pickles(request, _Cases([], frozenset()))
    obj, inputs = pickles.load("oak")
    assert (obj, inputs) == ([1], ("x",))
    assert pickles.load("oak")[0] is not obj
    assert pickles.load(None) == ({"oak": [1], "elm": [2]}, None)
    one = _Pickles({**request, "one": "oak"}, _Cases([], frozenset()))
    assert one.load("oak")[1] == {"oak": ("x",)}


def test_what_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "object.pkl").write_bytes(b"\x80\x04cdatetime\ndate\n(tR.")
    request: dict[str, Any] = {"folder": str(tmp_path), "archive": "", "offsets": {}, "one": "oak"}
    with pytest.raises(TypeError) as caught:
        _Pickles(request, _Cases([], frozenset())).load(None)
    assert caught.value.child_facts["unmade"] == ("datetime", "date")  # type: ignore[attr-defined]


def test_results_that_cannot_be_pickled_are_left_out_alone(tmp_path: Path) -> None:
    letters = (letter for letter in "oak")
    reasons: dict[str, str] = {}
    assert _write_results({"oak": ([1, letters], {})}, tmp_path, reasons) is None
    assert reasons["oak"].startswith("outputs[1] is a generator and cannot be pickled: ")
    results: dict[str, tuple[Any, dict[str, Any]]] = {"oak": (1, {"a": letters}), "elm": (1, {})}
    assert _write_results(results, tmp_path, reasons := {}) == {}
    assert reasons.keys() == {"oak"}
    assert reasons["oak"].startswith("changes['a'] is a generator and cannot be pickled: ")
    assert pickle.loads((tmp_path / "outputs.pkl").read_bytes()) == {"elm": (1, {})}


class Oak:
    Step = type("Step", (tuple,), {"__module__": __name__})


def test_results_may_be_of_a_class_that_only_a_class_leads_to(tmp_path: Path) -> None:
    results: dict[str, tuple[Any, dict[str, Any]]] = {"oak": (Oak.Step((1, 2)), {"a": Oak})}
    reasons: dict[str, str] = {}
    assert _write_results(results, tmp_path, reasons) == {}
    assert reasons == {}
    (step, changes) = pickle.loads((tmp_path / "outputs.pkl").read_bytes())["oak"]
    assert (type(step), changes) == (Oak.Step, {"a": Oak})


def test_a_case_that_was_overwritten_since_is_refused(tmp_path: Path) -> None:
    path = write_case(tmp_path / "oak.case")
    told = {"name": "oak_01234567", "path": str(path), "fingerprint": "other", "share": False}
    with pytest.raises(CaseError, match="was overwritten"):
        _Cases([told], frozenset())


def test_modules_are_of_the_environment_unless_a_case_has_them() -> None:
    cases = _Cases([], frozenset())
    assert cases.find_global("importlib", "import_module") == cases.import_module
    assert cases.import_module("json") is json
    assert cases.import_for("json", fromlist=("loads",)) is json
