"""What is said about a proof that failed, and what its child finds out about the error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import MANIFEST, write_case
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.packing.proving.advice import (
    _externs_named,
    _place_above,
    _required_with,
    advice_on,
    chain_of,
)
from wardian.processes.clean import ChildError


@pytest.mark.parametrize(
    ("summary", "facts", "output", "last"),
    [
        (
            "ImportError: x",
            {"missing": ["barklib"]},
            "",
            'if a rule denies it, Policy(extern=["barklib.**"])',
        ),
        (
            "KeyError: 'x'",
            {},
            f'File "/c/{"a" * 64}/barklib/rings.py"',
            'Policy(extern=["barklib.**"])',
        ),
        ("KeyError: 'x'", {}, f'File "/c/{"a" * 64}/mill.py", line 2', "the traceback says what it misses."),
        ("CheckError: output is '<wardian.live.a_1.mill'", {"alike": True}, "", "into what is returned"),
        ("CheckError: inputs[0] is not changed by the call", {"alike": True}, "", "and nothing is compared"),
        ("CheckError: output differs by 1", {"alike": True}, "", "use hashlib in place of hash()"),
        ("CheckError: output differs by 1", {}, "", "or pack without inputs"),
    ],
)
def test_the_last_line_mends_it_or_says_that_none_does(
    summary: str, facts: dict[str, Any], output: str, last: str
) -> None:
    packed = (
        PackedDistribution(name="barklib", version="1.0", roots=("barklib",)),
        PackedDistribution(name="first-party", version=None, roots=("mill",)),
    )
    manifest = replace(MANIFEST, distributions=packed)
    manifest = MANIFEST if facts.get("missing") else manifest
    assert advice_on(ChildError(summary, output, facts), manifest).splitlines()[-1].endswith(last)


def test_a_file_of_the_current_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").touch()

    def advice(path: str) -> str:
        summary = f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'"
        return advice_on(ChildError(summary, "", {}), MANIFEST)

    assert "labels.txt is in the current folder here" in advice("labels.txt")
    assert "current folder" not in advice("gone.txt")
    assert "current folder" not in advice(str(tmp_path / "labels.txt"))


def test_a_file_above_the_case_is_told() -> None:
    error = ChildError("FileNotFoundError: ...", "", {"above": "data/labels.txt"})
    told = advice_on(error, MANIFEST)
    assert "looks for data/labels.txt above the folder" in told
    assert told.endswith("read Path(__file__).with_name('labels.txt')")


@pytest.mark.parametrize(
    ("steps", "found"),
    [("..", "labels.txt"), ("../..", "labels.txt"), ("../../..", None), (".", None), ("oak", None)],
)
def test_a_file_may_have_been_meant_to_lie_up_to_two_folders_above(
    tmp_path: Path, steps: str, found: str | None
) -> None:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    case = wardian.open(write_case(tmp_path / "oak.case"))
    with case:
        case.mount.files.folder = folder
        error = ImportError("oak")
        error.__cause__ = FileNotFoundError(2, "gone", f"{folder}/{steps}/labels.txt")
        assert _place_above(error, case) == found
        assert _place_above(FileNotFoundError(2, "gone", "labels.txt"), case) is None
        assert _place_above(FileNotFoundError(2, "gone", f"{folder}/..".encode()), case) is None


def _raised(error: BaseException, *causes: BaseException) -> BaseException:
    for cause in causes:
        error.__cause__ = cause
    return error


def test_soft_externs_of_which_an_error_speaks_are_used() -> None:
    def extern(name: str | None, module: str, *, soft: bool = True) -> Extern:
        return Extern(distribution=name, version=None, modules=(module,), names=(), soft=soft)

    externs = (
        extern("safe-tensors", "safetensors.torch"),
        extern("numpy", "numpy"),
        extern("hard", "hard", soft=False),
    )
    manifest = replace(MANIFEST, externs=externs)
    for error, found in (
        (ImportError("Safe-Tensors>=0.8.0 is required"), {"safetensors"}),
        (ImportError("mysafetensorsx"), set()),
        (RuntimeError("Numpy is not available"), {"numpy"}),
        (RuntimeError("safetensors"), set()),
        (_raised(RuntimeError("x"), ImportError("numpy, safetensors, hard")), {"numpy", "safetensors"}),
    ):
        assert _externs_named(error, manifest, {"numpy"}) == found


def test_errors_that_lead_to_each_other_are_told_once() -> None:
    one, two, three = ValueError("1"), ValueError("2"), ValueError("3")
    one.__cause__, two.__context__, three.__cause__ = two, three, one
    assert list(chain_of(one)) == [one, two, three]
    assert list(chain_of(None)) == []


def test_what_a_packed_distribution_requires_is_needed_together() -> None:
    def extern(name: str, *, soft: bool = True) -> Extern:
        return Extern(distribution=name, version=None, modules=(name,), names=(), soft=soft)

    # torch requires both.
    externs = (extern("sympy"), extern("networkx"), extern("numpy"), extern("jinja2", soft=False))
    packed = PackedDistribution(name="torch", version="1.0", roots=("torch",))
    manifest = replace(MANIFEST, externs=externs, distributions=(packed,))
    assert _required_with(frozenset({"sympy"}), manifest) == {"sympy", "networkx"}
    assert _required_with(frozenset({"numpy"}), manifest) == {"numpy"}
