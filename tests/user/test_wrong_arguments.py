"""Whatever is passed where it does not belong: a clear error, the target as it was, nothing left behind."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import torch

import wardian
from tests.support import write_case

MODEL = torch.nn.Linear(2, 2)
X = torch.ones(1, 2)
pack: Callable[..., Any] = wardian.pack
"""Without its types: these tests break them on purpose."""
plan: Callable[..., Any] = wardian.plan
load: Callable[..., Any] = wardian.load
open_case: Callable[..., Any] = wardian.open


@contextmanager
def nothing_changes_in(folder: Path) -> Iterator[None]:
    """Check that the block adds no file to *folder*, removes none, and changes none."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Yesterday's file."""
    path = tmp_path / "model.case"
    path.write_bytes(b"yesterday's case")
    return path


UNKNOWN: dict[str, tuple[Callable[[], Any], str]] = {
    "pack": (
        lambda: pack(MODEL, "a.case", inptus=(X,)),
        "wardian.pack has no argument inptus; near to it: inputs",
    ),
    "plan": (lambda: plan(MODEL, polcy=None), "wardian.plan has no argument polcy; near to it: policy"),
    "load": (
        lambda: load("a.case", map_loc="cpu"),
        "wardian.load has no argument map_loc; near to it: map_location",
    ),
    "open": (
        lambda: open_case("a.case", weights=1),
        "wardian.open has no argument weights; it has digest, mmap",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_keyword_is_told_with_the_one_that_is_near(name: str) -> None:
    call, told = UNKNOWN[name]
    with pytest.raises(TypeError, match=told):
        call()


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "inputs is a list": ({"inputs": [X]}, TypeError, "inputs=(x,)"),
    "inputs is a tensor": ({"inputs": X}, TypeError, "inputs=(x,)"),
    "inputs is text": ({"inputs": "x"}, TypeError, "inputs must be a tuple"),
    "inputs has keys that are no names": ({"inputs": {0: X}}, TypeError, "keys that are not str"),
    "policy is a dict": ({"policy": {"intern": ["mylib.**"]}}, TypeError, "wardian.Policy"),
    "policy is text": ({"policy": "thin"}, TypeError, 'Policy(base="thin")'),
    "policy is the class": ({"policy": wardian.Policy}, TypeError, "wardian.Policy"),
    "prove is text": ({"prove": "no"}, TypeError, "prove must be True, False or"),
    "prove is None": ({"prove": None}, TypeError, "prove must be True, False or"),
    "limit is text": ({"limit": "1 hour"}, TypeError, "limit must be a number of seconds"),
    "limit is a truth": ({"limit": True}, TypeError, "limit must be a number of seconds"),
    "limit is nothing": ({"limit": 0}, ValueError, "limit must be more than 0 seconds"),
    "limit is no number": ({"limit": float("nan")}, ValueError, "limit must be more than 0 seconds"),
    "name is a number": ({"name": 3}, TypeError, "name must be a str"),
    "name has a blank": ({"name": "my model"}, ValueError, "identifier, not 'my model'"),
    "name is empty": ({"name": ""}, ValueError, "identifier"),
    "name is a path": ({"name": "../model"}, ValueError, "identifier"),
    "resources is a list": ({"resources": ["labels.txt"]}, TypeError, "resources must map"),
    "resources has a number": ({"resources": {"labels.txt": 3}}, TypeError, "bytes, text or a path"),
    "resources has a tensor": ({"resources": {"labels.txt": X}}, TypeError, "bytes, text or a path"),
    "resources is named by a number": ({"resources": {3: b""}}, TypeError, "resources must map"),
    "resources leaves the folder": ({"resources": {"../labels.txt": b""}}, ValueError, "relative path"),
    "resources is absolute": ({"resources": {"/labels.txt": b""}}, ValueError, "relative path"),
    "resources has a reserved name": ({"resources": {".wardian/seal": b""}}, ValueError, "reserved"),
    "resources names a file that is not there": (
        {"resources": {"labels.txt": Path("no", "such", "file")}},
        FileNotFoundError,
        "such",
    ),
    "resources names the pickle": ({"resources": {"model/model.pkl": b""}}, wardian.PackError, "model.pkl"),
    "resources names a folder": ({"resources": {"model": b""}}, wardian.PackError, "resource model has"),
    "resources is below a file": (
        {"resources": {"a/b": b"", "a": b""}},
        wardian.PackError,
        "resource a has the name",
    ),
    "resources names a record of the format": (
        {"resources": {"byteorder": b""}},
        wardian.PackError,
        "byteorder",
    ),
    "metadata is a list": ({"metadata": [("a", "b")]}, TypeError, "metadata must map"),
    "metadata has a number": ({"metadata": {"epochs": 3}}, TypeError, "metadata must map str to str"),
    "metadata is text": ({"metadata": "trained"}, TypeError, "metadata must map"),
    "progress is a number": ({"progress": 3}, TypeError, "progress must be"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_pack_refuses(wrong: str, target: Path) -> None:
    arguments, error, words = WRONG[wrong]
    with nothing_changes_in(target.parent), pytest.raises(error) as caught:
        pack(MODEL, target, **{"prove": False, **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize("wrong", [name for name in WRONG if name.startswith(("inputs", "policy"))])
def test_plan_refuses(wrong: str) -> None:
    arguments, error, words = WRONG[wrong]
    with pytest.raises(error) as caught:
        plan(MODEL, **arguments)
    assert words in str(caught.value)


BOTH: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "a text and an object": ("model.case", MODEL, TypeError, "wardian.pack(model, 'model.case')"),
    "a path and an object": (Path("model.case"), MODEL, TypeError, "the object comes first, then the path"),
    "two texts": ("model.pt", "model.case", TypeError, "the object comes first, and 'model.pt' is a str"),
    "a path for an object": (Path("model.pt"), "model.case", TypeError, "load what is to be packed"),
    "a URL": (MODEL, "https://models.example/model.case", ValueError, "path is a URL"),
    "a bucket": (MODEL, "s3://models/model.case", ValueError, "pack writes a file"),
}


@pytest.mark.parametrize("wrong", BOTH)
def test_pack_names_a_wrong_object_or_path(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj, path, error, words = BOTH[wrong]
    monkeypatch.chdir(tmp_path)
    with nothing_changes_in(tmp_path), pytest.raises(error) as caught:
        pack(obj, path, prove=False, inputs=(X,))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value), "one mistake is one message"


def test_plan_names_a_path() -> None:
    with pytest.raises(TypeError, match="the object comes first"):
        plan("model.case")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with nothing_changes_in(tmp_path), pytest.raises((TypeError, ValueError)) as caught:
        pack({"weights": X}, "s3://models/a.case", inputs=[X], name="my model", limit=0, metadata={"a": 1})
    told = str(caught.value)
    assert told.startswith("6 arguments are wrong:\n  path is a URL")
    assert all(
        word in told for word in ("(x,)", "cannot be called", "identifier", "0 seconds", "metadata must")
    )


@pytest.mark.parametrize("path", [torch.zeros(2), None, 3, b"model.case", ["model.case"], io.BytesIO()])
def test_pack_refuses_a_target_that_is_no_path(path: Any, tmp_path: Path) -> None:
    with nothing_changes_in(tmp_path), pytest.raises(TypeError) as caught:
        pack(MODEL, path, prove=False)
    assert "path" in str(caught.value)
    assert type(path).__name__ in str(caught.value)


@pytest.mark.parametrize("prove", [True, "no"])
def test_a_folder_is_told_with_what_else_is_wrong(prove: Any, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        pack(MODEL, tmp_path, prove=prove)


def test_pack_refuses_a_folder_and_a_file_in_a_missing_folder(tmp_path: Path) -> None:
    with nothing_changes_in(tmp_path):
        with pytest.raises(IsADirectoryError, match=tmp_path.name):
            wardian.pack(MODEL, tmp_path)
        with pytest.raises(FileNotFoundError, match="missing"):
            wardian.pack(MODEL, tmp_path / "missing" / "model.case")


def test_wrong_arguments_are_told_before_the_object_is_looked_at(tmp_path: Path) -> None:
    class Tripwire:
        def __reduce__(self) -> Any:
            raise AssertionError("it was pickled")

    with pytest.raises(TypeError, match=r"wardian\.Policy"):
        pack(Tripwire(), tmp_path / "model.case", policy=3)


def test_inputs_for_what_cannot_be_called(target: Path) -> None:
    with nothing_changes_in(target.parent), pytest.raises(TypeError, match="a dict cannot be called"):
        wardian.pack({"weights": X}, target, inputs=(X,))


@pytest.mark.parametrize("source", [torch.zeros(2), None, 3, ["model.case"], {}])
@pytest.mark.parametrize("verb", [load, open_case])
def test_open_and_load_refuse_what_is_no_file(verb: Callable[..., Any], source: Any) -> None:
    with pytest.raises(TypeError, match=type(source).__name__):
        verb(source)


def test_open_refuses_a_text_file_and_what_is_not_there(tmp_path: Path) -> None:
    case = write_case(tmp_path / "model.case")
    with case.open(encoding="latin-1") as file, pytest.raises((TypeError, ValueError)):
        wardian.open(cast("Any", file))
    with pytest.raises(TypeError, match="binary"):
        wardian.open(cast("Any", io.StringIO("text")))
    with pytest.raises(FileNotFoundError, match=r"nothing\.case"):
        wardian.open(tmp_path / "nothing.case")
    with pytest.raises(IsADirectoryError):
        wardian.open(tmp_path)


def test_load_names_the_entry_points_there_are(tmp_path: Path) -> None:
    case = write_case(tmp_path / "model.case")
    with pytest.raises(wardian.EntryNotFoundError, match="no entry point 'decoder'; it has 'model'"):
        wardian.load(case, name="decoder")
    with pytest.raises(KeyError):
        load(case, name=3)


def test_a_load_that_fails_leaves_no_case_open(tmp_path: Path) -> None:
    import wardian.loading.open_mounts

    case = write_case(tmp_path / "left_open.case")
    with pytest.raises(wardian.EntryNotFoundError):
        wardian.load(case, name="decoder")
    assert not [name for name in wardian.loading.open_mounts._mounts if name.startswith("left_open")]


@pytest.mark.parametrize("policy", [{"intern": 3}, {"extern": [None]}, {"mock": {"a": 1}}, {"deny": [b"x"]}])
def test_policy_refuses_what_is_no_pattern(policy: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="pattern"):
        wardian.Policy(**policy)
