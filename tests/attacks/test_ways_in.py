"""No way to the code of a case leads past the policy of the user."""

from __future__ import annotations

import functools
import importlib.util
import multiprocessing
import os
import pickle
import pkgutil
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch  # noqa: F401  a load imports it, and that is not what is bounded here

import wardian
from tests.support import run_python, write_case
from wardian.cli.app import run
from wardian.package import PackageImporter

YEW = """
import os, pathlib
pathlib.Path(os.environ["RAN"]).touch()
def grow():
    return 1
"""
PICKLE = b"\x80\x04\x8c\x03yew\x8c\x04grow\x93."


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is there as soon as packed code has run; the user's policy trusts nobody."""
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    _policy(tmp_path).parent.mkdir(parents=True)
    _policy(tmp_path).write_text("[trust]\ndigests = []\n")
    return tmp_path / "ran"


@pytest.fixture
def case(tmp_path: Path, ran: Path) -> Path:
    files = {"yew.py": f"{YEW}# {tmp_path}", ".data/extern_modules": "torch\n"}
    return write_case(tmp_path / "yew.case", files, pickle=PICKLE)


def _policy(folder: Path) -> Path:
    return folder / "config" / "wardian" / "trust.toml"


def _name(case: wardian.Case) -> str:
    return f"{case.mount.name}.yew"


def _by_its_spec(case: wardian.Case) -> None:
    spec = importlib.util.find_spec(_name(case))
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def _in_a_fork(case: wardian.Case) -> None:
    process = multiprocessing.get_context("fork").Process(target=_load_or_end, args=(case,))
    process.start()
    process.join()
    if process.exitcode == 9:
        raise wardian.UntrustedCaseError("", path="", policies=(), problems=())


def _load_or_end(case: wardian.Case) -> None:
    try:
        case.load()
    except wardian.UntrustedCaseError:
        os._exit(9)


OF_AN_OPEN_CASE: dict[str, Callable[[wardian.Case], object]] = {
    "load": lambda case: case.load(),
    "import_module": lambda case: case.import_module("yew"),
    "import": lambda case: __import__(_name(case)),
    "spec": _by_its_spec,
    "runpy": lambda case: runpy.run_module(_name(case)),
    "pkgutil": lambda case: pkgutil.resolve_name(f"{_name(case)}:grow"),
    "unpickle": lambda case: pickle.loads(b"\x80\x04c" + f"{_name(case)}\ngrow\n.".encode()),
    "fork": _in_a_fork,
}
OF_A_FILE: dict[str, Callable[[Path], object]] = {
    "load": wardian.load,
    "load of a URL": lambda path: wardian.load(path.as_uri()),
    "load of bytes": lambda path: wardian.load(path.read_bytes()),
    "drop-in, object": lambda path: PackageImporter(path).load_pickle("model", "model.pkl"),
    "drop-in, module": lambda path: PackageImporter(path).import_module("yew"),
    "cage": wardian.load_sandboxed,
}


def _open_and(way: Callable[[wardian.Case], object], path: Path) -> None:
    with wardian.open(path) as case:
        way(case)


WAYS = OF_A_FILE | {
    f"open, then {name}": functools.partial(_open_and, way) for name, way in OF_AN_OPEN_CASE.items()
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_past_the_policy(way: str, case: Path, ran: Path) -> None:
    with pytest.raises(wardian.UntrustedCaseError):
        WAYS[way](case)
    assert not ran.exists()


def test_to_unpickle_in_a_process_that_finds_cases_by_the_environment_asks_the_policy(
    case: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "off")
    (tmp_path / "grow.pkl").write_bytes(pickle.dumps(wardian.load(case)))
    ran.unlink()
    script = """
        import pickle, sys, wardian
        try:
            pickle.load(open(sys.argv[1], "rb"))
        except wardian.UntrustedCaseError:
            print("refused")
    """
    monkeypatch.setenv("WARDIAN_CASES", str(case))
    words = (script, str(tmp_path / "grow.pkl"))
    assert run_python(*words, folder=tmp_path, WARDIAN_TRUST="require") == "refused\n"
    assert not ran.exists()
    assert run_python(*words, folder=tmp_path, WARDIAN_TRUST="off") == ""
    assert ran.exists()


@pytest.mark.parametrize("words", ["run FILE --inputs ()", "run FILE --inputs () --sandbox"])
def test_no_command_that_runs_code_leads_past_the_policy(words: str, case: Path, ran: Path) -> None:
    assert run([word.replace("FILE", str(case)) for word in words.split()]) == 1
    assert not ran.exists()


@pytest.mark.parametrize(
    "words", ["info FILE", "ls FILE", "audit FILE", "sbom FILE", "report FILE -o FILE.html"]
)
def test_commands_that_look_run_nothing(words: str, case: Path, ran: Path) -> None:
    assert run([word.replace("FILE", str(case)) for word in words.split()]) == 0
    assert not ran.exists()


def test_a_program_cannot_put_a_policy_in_the_place_of_the_users(case: Path, ran: Path) -> None:
    with pytest.raises(wardian.UntrustedCaseError):
        wardian.load(case, trust=wardian.Trust())
    assert not ran.exists()


@pytest.mark.parametrize("said", ["requir", "REQUIRE", "1", "yes"])
def test_a_slip_of_the_pen_in_the_variable_lets_nothing_through(
    said: str, case: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", said)
    with pytest.raises(ValueError, match="WARDIAN_TRUST must be"):
        wardian.load(case)
    assert not ran.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[trust",
        "[trusted]",
        "[trust]\ndigest = []",
        '[trust]\nnative = "no"',
        '[trust]\n[capabilities]\ndeny = ["*"]',
        "digests = []\n[trust]",
        "[trust]\n[Trust]\ndigests = []",
        '[trust]\n[trsut.capabilities]\ndeny = ["*"]',
        '[trust]\n[trust.Capabilities]\ndeny = ["*"]',
        '[trust]\n[rules]\ncapabilities = ["threads"]',
        '[trust]\nwhen = []\ncapabilities.deny = ["*"]',
        '[trust]\n[trust.capabilities]\nwhen = []\ndeny = ["*"]',
        f'[trust]\nmax_size = "{"9" * 400}"',
        f"[trust]\nmax_size = {'9' * 400}",
        f"[trust]\nmax_size = {'9' * 5000}",
        f"[trust]\nmax_size = 0x{'f' * 5000}",
        f"[trust]\nwhen = {'[' * 5000}{']' * 5000}",
        f"[trust]\nwhen = {'[' * 200}{']' * 200}",
        "[trust]",
        "trust = {}",
        '[trust]\nwhen = ["import"]',
        "[trust]\n[audit]\ndigests = []",
        "[trust]\n[trust.capabilities]",
        "[trust]\nnative = {}",
        "[trust]\ndistributions = {}",
        "[trust]\n[trust.licences]",
    ],
    ids=range(27),
)
def test_a_slip_of_the_pen_in_the_policy_lets_nothing_through(
    text: str, case: Path, ran: Path, tmp_path: Path
) -> None:
    _policy(tmp_path).write_text(text)
    with pytest.raises(wardian.PolicyFileError):
        wardian.load(case)
    assert not ran.exists()


@pytest.mark.parametrize(
    "text",
    [
        "[audit]\nbogus = 1",
        "[audit]\nmax_size = -1",
        "[audit.trust]\nmax_size = 1",
        "[audit.capabilities]",
        "[audit]",
        "[[audit]]\nmax_size = 1",
        "[trust.capabilities]",
        "[trust.native]",
    ],
    ids=range(8),
)
def test_a_slip_of_the_pen_beside_a_rule_that_is_kept_lets_nothing_through(
    text: str, case: Path, ran: Path, tmp_path: Path
) -> None:
    with wardian.open(case) as closed:
        rule = f'[trust]\ndigests = ["{closed.digest}"]\n'
    for policy in (f"{rule}{text}\n", f"audit = 3\n{rule}"):
        _policy(tmp_path).write_text(policy)
        with pytest.raises(wardian.PolicyFileError):
            wardian.load(case)
        with pytest.raises(wardian.PolicyFileError):
            wardian.load(case, trust=wardian.Trust.from_file(_policy(tmp_path)))
    assert not ran.exists()


def test_a_policy_that_others_can_write_is_none(case: Path, ran: Path, tmp_path: Path) -> None:
    _policy(tmp_path).write_text("[trust]\ntorch_package = true\n")
    for place in (_policy(tmp_path), _policy(tmp_path).parent):
        mode = place.stat().st_mode
        place.chmod(mode | 0o002)
        with pytest.raises(wardian.PolicyFileError, match="anybody can write"):
            wardian.load(case)
        place.chmod(mode)
    assert not ran.exists()
    wardian.load(case)
    assert ran.exists()
