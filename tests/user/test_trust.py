"""A policy says whose code may run; every way to the code of a case asks it first."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import wardian
from tests.signers import make_key
from tests.support import importable, run_python, write_case, write_tree
from wardian.cli.app import run
from wardian.package import PackageExporter, PackageImporter

YEW = """
import pathlib, os
pathlib.Path(os.environ["RAN"]).touch()
class Yew:
    def __call__(self):
        return 1
def grow():
    return os.getenv("x")
"""
PICKLE = b"\x80\x04\x8c\x03yew\x8c\x04grow\x93."


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is there as soon as packed code has run."""
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "ran"


@pytest.fixture
def case(tmp_path: Path, ran: Path) -> Path:
    # Each is another case: what was loaded in this process once stays open.
    files = {"yew.py": f"{YEW}# {tmp_path}", ".data/extern_modules": "torch\n"}
    return write_case(tmp_path / "yew.case", files, pickle=PICKLE)


def policy(folder: Path, text: str) -> wardian.Trust:
    (folder / "trust.toml").write_text(f"[trust]\n{text}\n")
    return wardian.Trust.from_file(folder / "trust.toml")


def user_policy(folder: Path, text: str) -> None:
    (folder / "config" / "wardian").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "wardian" / "trust.toml").write_text(f"[trust]\n{text}\n")


def _unpickle_a_name(path: Path, trust: wardian.Trust | None) -> None:
    with wardian.open(path, trust=trust) as case:
        pickle.loads(b"\x80\x04c" + f"{case.mount.name}.yew\ngrow\n.".encode())


def _load_from_a_check(path: Path, trust: wardian.Trust | None) -> None:
    with wardian.open(path, trust=trust) as case:
        case.import_module("yew")


def _load_opened(path: Path, trust: wardian.Trust | None) -> None:
    with wardian.open(path, trust=trust) as case:
        case.load()


WAYS: dict[str, Callable[[Path, wardian.Trust | None], object]] = {
    "load": lambda path, trust: wardian.load(path, trust=trust),
    "load of bytes": lambda path, trust: wardian.load(path.read_bytes(), trust=trust),
    "open, then load": _load_opened,
    "open, then import": _load_from_a_check,
    "open, then unpickle what names it": _unpickle_a_name,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_in_asks_the_policy_that_is_given(
    way: Callable[[Path, wardian.Trust | None], object], case: Path, ran: Path, tmp_path: Path
) -> None:
    refusing = policy(tmp_path, 'capabilities.deny = ["environment"]')
    with pytest.raises(wardian.UntrustedCaseError) as caught:
        way(case, refusing)
    assert not ran.exists()
    assert [problem.what for problem in caught.value.problems] == [
        'capabilities.deny = "environment": yew.py:3: os.environ (environment)',
        'capabilities.deny = "environment": yew.py:8: os.getenv (environment)',
    ]
    assert caught.value.policies == (str(tmp_path / "trust.toml"),)
    way(case, policy(tmp_path, "torch_package = true"))
    assert ran.exists()


def _load_as_a_package(path: Path, _: wardian.Trust | None) -> None:
    PackageImporter(path).load_pickle("model", "model.pkl")


def _import_as_a_package(path: Path, _: wardian.Trust | None) -> None:
    PackageImporter(path).import_module("yew")


@pytest.mark.parametrize("way", [*WAYS.values(), _load_as_a_package, _import_as_a_package])
def test_every_way_in_asks_the_policy_of_the_user(
    way: Callable[[Path, wardian.Trust | None], object],
    case: Path,
    ran: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    user_policy(tmp_path, "digests = []")
    with pytest.raises(wardian.UntrustedCaseError, match="the digest of the file, is not there") as caught:
        way(case, None)
    assert not ran.exists()
    assert "none of its code ran" in str(caught.value)
    user_policy(tmp_path, f'digests = ["{caught.value.problems[0].what.split()[1].strip(",")}"]')
    way(case, None)
    assert ran.exists()


def test_a_self_test_is_code_too(tmp_path: Path) -> None:
    path = tmp_path / "linear.case"
    wardian.pack(torch.nn.Linear(1, 1), path, inputs=(torch.ones(1),))
    with (
        wardian.open(path, trust=policy(tmp_path, "max_size = 1")) as opened,
        pytest.raises(wardian.UntrustedCaseError, match="max_size = 1 byte"),
    ):
        opened.check()
    with wardian.open(path, trust=policy(tmp_path, "torch_package = true")) as opened:
        assert opened.check().exact


def test_a_policy_that_is_required_and_not_there_refuses_with_the_line_that_makes_one(
    case: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    with pytest.raises(wardian.UntrustedCaseError, match="fix: wardian trust init"):
        wardian.load(case)
    assert not ran.exists()


def test_a_warning_says_what_would_be_refused(
    case: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "warn")
    with pytest.warns(wardian.WardianWarning, match="loaded all the same(.|\n)*wardian trust init") as told:
        wardian.load(case)
    assert told[0].filename == __file__
    assert ran.exists()
    user_policy(tmp_path, "torch_package = true")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wardian.load(case)


@pytest.mark.parametrize("said", ["requir", "REQUIRE", "1", "yes"])
def test_a_slip_of_the_pen_lets_nothing_through(
    said: str, case: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", said)
    with pytest.raises(ValueError, match="WARDIAN_TRUST must be require, warn or off"):
        wardian.load(case)
    assert not ran.exists()


def test_a_policy_that_is_given_does_not_take_the_place_of_the_users(
    case: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    user_policy(tmp_path, "digests = []")
    with pytest.raises(wardian.UntrustedCaseError) as caught:
        wardian.load(case, trust=policy(tmp_path, "max_size = 1"))
    # Both say everything at once.
    assert len(caught.value.policies) == 2
    assert [problem.what.split()[0] for problem in caught.value.problems] == ["max_size", "digests:"]
    assert not ran.exists()


def test_to_look_needs_no_policy(case: Path, ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    with wardian.open(case) as opened:
        opened.verify()
        assert opened.audit().findings
        assert opened.state_dict() == {}
        assert opened.environment() is not None
    assert not ran.exists()


WORKER = """
    import os, pickle, subprocess, sys
    import wardian
    case, policy, code = sys.argv[1:]
    opened = wardian.open(case, trust=wardian.Trust.from_file(policy))
    if code == "load":
        opened.load()
        os.unlink(os.environ["RAN"])
    name = f"{opened.mount.name}.yew"
    child = "import sys, pickle, wardian; print(pickle.loads(sys.stdin.buffer.read()).__module__)"
    done = subprocess.run(
        [sys.executable, "-c", child],
        input=b"\\x80\\x04c" + f"{name}\\ngrow\\n.".encode(),
        capture_output=True,
    )
    print(done.stdout.decode() or done.stderr.decode())
"""


def test_a_child_process_finds_only_what_its_parent_was_allowed_to_run(
    case: Path, ran: Path, tmp_path: Path
) -> None:
    policy(tmp_path, "max_size = 1")
    words = (str(case), str(tmp_path / "trust.toml"))
    out = run_python(WORKER, *words, "look", folder=tmp_path, RAN=str(ran))
    assert "which is not open in this process" in out
    assert not ran.exists()
    policy(tmp_path, "torch_package = true")
    out = run_python(WORKER, *words, "load", folder=tmp_path, RAN=str(ran))
    assert out.startswith("wardian.live.yew_")
    assert ran.exists()


def test_a_child_process_asks_the_policy_of_the_user(case: Path, ran: Path, tmp_path: Path) -> None:
    policy(tmp_path, "torch_package = true")
    user_policy(tmp_path, "torch_package = true")
    script = WORKER.replace(
        "capture_output",
        "env=os.environ | {'WARDIAN_TRUST': 'require', 'XDG_CONFIG_HOME': '/nowhere'}, capture_output",
    )
    words = (str(case), str(tmp_path / "trust.toml"), "load")
    run_python(script, *words, folder=tmp_path, RAN=str(ran), XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert not ran.exists()


def test_what_the_user_packs_needs_no_policy_to_be_proven(
    tmp_path: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path / "src", "--- elm.py\nimport torch\nclass Elm(torch.nn.Linear):\n    pass\n")
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    user_policy(tmp_path, "digests = []")
    with importable(tmp_path / "src") as load:
        wardian.pack(load("elm").Elm(1, 1), tmp_path / "elm.case", inputs=(torch.ones(1),))
    with pytest.raises(wardian.UntrustedCaseError):
        wardian.load(tmp_path / "elm.case")


@pytest.fixture
def old(tmp_path: Path, ran: Path) -> Path:
    write_tree(tmp_path / "src", f"--- yew.py\n{YEW}")
    with importable(tmp_path / "src") as load, PackageExporter(tmp_path / "made.pt") as exporter:
        exporter.intern("yew")
        exporter.save_pickle("model", "model.pkl", load("yew").Yew())
    with (
        importable(tmp_path / "src") as load,
        torch.package.package_exporter.PackageExporter(str(tmp_path / "old.pt")) as old_exporter,
    ):
        old_exporter.intern("yew")
        old_exporter.save_pickle("model", "model.pkl", load("yew").Yew())
    ran.unlink()
    return tmp_path / "old.pt"


def test_archives_of_torch_package_can_be_refused(old: Path, ran: Path, tmp_path: Path) -> None:
    with pytest.raises(wardian.UntrustedCaseError, match="torch_package = false"):
        wardian.load(old, trust=policy(tmp_path, "torch_package = false"))
    assert not ran.exists()
    wardian.load(old, trust=policy(tmp_path, "torch_package = true"))
    assert ran.exists()


def test_a_folder_can_change_after_it_was_judged(
    old: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.unpack_archive(old, tmp_path / "folder", "zip")
    user_policy(tmp_path, "torch_package = true")
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    with pytest.raises(wardian.UntrustedCaseError, match="it is a folder"):
        PackageImporter(tmp_path / "folder" / "old").load_pickle("model", "model.pkl")
    assert not ran.exists()


def test_a_case_that_is_signed_is_let_through(case: Path, ran: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="signatures are an extra")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key", "-C", "alice"], check=True
    )
    kind, key, _ = (tmp_path / "key.pub").read_text().split()
    (tmp_path / "allowed").write_text(f"alice@example.com {kind} {key}\n")
    trust = policy(tmp_path, 'signers = "allowed"')
    with pytest.raises(wardian.UntrustedCaseError, match="there are no signatures"):
        wardian.load(case, trust=trust)
    wardian.sign(case, key=tmp_path / "key")
    assert not ran.exists()
    wardian.load(case, trust=trust)
    assert ran.exists()
    (tmp_path / "allowed").write_text("")
    with pytest.raises(wardian.UntrustedCaseError, match="does not have the key"):
        wardian.load(case, trust=trust)
    os.unlink(tmp_path / "allowed")
    with pytest.raises(wardian.UntrustedCaseError, match="the signatures cannot be checked"):
        wardian.load(case, trust=trust)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[trust", "it is no TOML"),
        ("", r"it has no table \[trust\]"),
        ("[trust]\nsigner = 1\nmax_size = -1", "trust.signer is no rule; near to it: signers"),
        ('[trust]\ndigests = ["abc"]', "no digest of 64 hexadecimal digits"),
        ('[trust]\ndistributions = ["numpy>>2"]', "no name of a distribution"),
        (
            'digets = []\n[trust]\n[Capabilities]\ndeny = ["*"]\n[trsut.licences]\nallow = []\n[other]',
            r"""(?x)digets\ stands\ outside.*\ \[trust\],.*:\ write\ digests,\ below\ the\ line\ \[trust\];
            \ \[Capabilities\]\ stands.*:\ write\ \[trust\.capabilities\];
            \ \[trsut\]\ is\ no\ table\ of\ a\ policy;\ near\ to\ it:\ \[trust\.licences\];\ \[other\]\ is""",
        ),
        ("[Trust]\ndigests = []", r"it has no table \[trust\]; \[Trust\] .* near to it: \[trust\]"),
        ("[trust]\nwhen = []", "trust.when must be a list of .* one of them at least"),
        ('[trust]\nmax_size = "1e9 GB"', "trust.max_size must be a number of bytes"),
        ("[trust]", r"\[trust\] has no rule, so that it would let everything through\. If you mean that"),
        (
            "[trust]\n[audit]\ndigests = []",
            r"\[trust\] has no rule, .* through; the rules below \[audit\] are not asked for it",
        ),
        ("[trust]\nmax_size = 1\n[audit]", r"\[audit\] has no rule"),
        ("audit = 3\n[trust]\nmax_size = 1", r"audit must be a table: \[audit\]"),
        ("[trust]\nmax_size = 1\n[audit.trust]\nmax_size = 1", "audit.trust is no rule"),
        ("[trust]\nnative = {}", "trust.native must be true or false, .* it must have lists allow or deny"),
    ],
)
def test_a_policy_that_says_nothing_clear_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "trust.toml").write_text(text)
    with pytest.raises(wardian.PolicyFileError, match=problem) as caught:
        wardian.Trust.from_file(tmp_path / "trust.toml")
    assert caught.value.path == str(tmp_path / "trust.toml")


def test_a_policy_may_have_the_rules_of_an_audit_beside_it(tmp_path: Path) -> None:
    (tmp_path / "trust.toml").write_text("[audit]\nnative = false\n[trust]\nmax_size = 9\n")
    rules = wardian.Trust.from_file(tmp_path / "trust.toml").rules
    assert (rules.max_size, rules.native.refuses("oak")) == (9, None)


@pytest.mark.skipif(os.name == "nt", reason="there are no modes")
@pytest.mark.parametrize("mode", [0o020, 0o002])
@pytest.mark.parametrize("place", ["policies", "policies/trust.toml", "keys", "keys/allowed_signers"])
def test_a_policy_that_others_can_write_is_none_wherever_it_is(
    place: str, mode: int, case: Path, ran: Path, tmp_path: Path
) -> None:
    for name in ("policies", "keys"):
        (tmp_path / name).mkdir(0o700)
    trust = policy(tmp_path / "policies", 'signers = "../keys/allowed_signers"')
    (tmp_path / "keys" / "allowed_signers").touch(0o644)
    with pytest.raises(wardian.UntrustedCaseError):
        wardian.load(case, trust=trust)
    (tmp_path / place).chmod((tmp_path / place).stat().st_mode | mode)
    with pytest.raises(wardian.PolicyFileError, match=f"can write .*{Path(place).name}, of the policy"):
        wardian.Trust.from_file(tmp_path / "policies" / "trust.toml")
    if place.startswith("keys"):  # a policy in memory reads this file now
        with pytest.raises(wardian.PolicyFileError, match="can write"):
            wardian.load(case, trust=trust)
    assert not ran.exists()


@pytest.mark.skipif(os.name == "nt", reason="there are no modes")
def test_what_the_command_writes_is_the_users_alone_whatever_the_umask(
    command: Callable[..., tuple[int, str]], case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    key = make_key(tmp_path / "id")
    before = os.umask(0o002)
    try:
        assert command("trust", "init")[0] == 0
        signers = tmp_path / "config" / "wardian" / "allowed_signers"
        signers.unlink()
        assert command("trust", "add", "alice@example.com", f"{key}.pub")[0] == 0
        assert command("trust", "add", case)[0] == 0
        assert command("run", case, "--inputs", "()")[0] == 0
        (tmp_path / "shared").mkdir()
        code, said = command("trust", "init", "--policy", tmp_path / "shared" / "trust.toml")
        assert (code, f"fix: chmod g-w {tmp_path / 'shared'}" in said) == (2, True)
        assert not list((tmp_path / "shared").iterdir())
    finally:
        os.umask(before)


def test_a_policy_of_the_user_that_anybody_can_write_is_none(
    case: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    user_policy(tmp_path, 'signers = "allowed_signers"')
    folder = tmp_path / "config" / "wardian"
    (folder / "allowed_signers").touch()
    for place in (folder, folder / "trust.toml", folder / "allowed_signers"):
        mode = place.stat().st_mode
        place.chmod(mode | 0o002)
        with pytest.raises(wardian.PolicyFileError, match="chmod o-w"):
            wardian.load(case)
        place.chmod(mode)
    assert not ran.exists()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `wardian` in this process; return its exit code, and what it said."""

    def call(*words: object) -> tuple[int, str]:
        code = run([str(word) for word in words])
        return code, "".join(capsys.readouterr())

    return call


def test_a_policy_is_made_added_to_and_shown(
    command: Callable[..., tuple[int, str]],
    case: Path,
    ran: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    assert command("trust", "show")[1].endswith("is not there; make it: wardian trust init\n")
    code, said = command("run", case, "--inputs", "()")
    assert (code, "fix: wardian trust init" in said) == (1, True)
    assert command("trust", "init")[0] == 0
    code, said = command("trust", "init")
    assert (code, "is there already" in said) == (2, True)
    unknown = command("trust", "show", case, "--policy", tmp_path / "none.toml", "--json")
    reason = {"rule": "", "what": f"{tmp_path / 'none.toml'} is not there", "fix": "wardian trust init"}
    assert (unknown[0], json.loads(unknown[1].partition("error:")[0])["problems"]) == (2, [reason])
    code, said = command("trust", "show", case)
    assert (code, "there are no signatures" in said, f"wardian trust add {case}" in said) == (1, True, True)
    assert command("run", case, "--inputs", "()")[0] == 1
    assert not ran.exists()
    assert command("trust", "add", case)[0] == 0
    file = tmp_path / "config" / "wardian" / "trust.toml"
    assert "# yew.case" in file.read_text()
    assert "# no archives of torch.package, which have no digests" in file.read_text()
    before = file.read_text()
    assert command("trust", "add", case)[0] == 0
    assert file.read_text() == before
    assert command("trust", "show", case)[0] == 0
    assert command("run", case, "--inputs", "()")[0] == 0
    assert ran.exists()
    assert "WARDIAN_TRUST=require" in command("trust", "show")[1]


def test_findings_of_one_rule_are_told_together_and_all_on_request(
    command: Callable[..., tuple[int, str]], ran: Path, tmp_path: Path
) -> None:
    libraries: dict[str, str | bytes] = {f"yew_data/lib{n}.so": b"\x7fELF" for n in range(9)}
    path = write_case(tmp_path / "yew.case", {"yew.py": YEW, **libraries}, pickle=PICKLE)
    trust = policy(tmp_path, "native = false\nmax_size = 1")
    with pytest.raises(wardian.UntrustedCaseError) as caught:
        wardian.load(path, trust=trust)
    assert len(caught.value.problems) == 10
    assert str(caught.value).splitlines()[1:7] == [
        "1. native = false: 9 findings",
        "    yew_data/lib0.so: a compiled library",
        "    yew_data/lib1.so: a compiled library",
        "    yew_data/lib2.so: a compiled library",
        f"    and 6 more: wardian trust show {path} --all",
        "    fix: if you know whose it is, let the policy have native = true",
    ]
    assert str(caught.value).splitlines()[7].startswith("2. max_size = 1 byte: the file has ")
    code, said = command("trust", "show", path, "--policy", tmp_path / "trust.toml", "--all")
    assert (code, "lib8.so" in said, "more" in said) == (1, True, False)
    code, said = command("trust", "show", "--policy", tmp_path / "trust.toml", "--all")
    assert (code, "--all lists what of a FILE breaks the policy" in said) == (2, True)


def test_of_two_ways_to_answer_for_a_file_it_is_told_that_one_is_enough(
    command: Callable[..., tuple[int, str]], case: Path, ran: Path, tmp_path: Path
) -> None:
    file = case.rename(tmp_path / "a yew.case")
    command("trust", "init", "--policy", tmp_path / "trust.toml")
    code, said = command("trust", "show", file, "--policy", tmp_path / "trust.toml")
    lines = said.splitlines()
    assert (code, lines[0].endswith("; 1 rule:")) == (1, True)
    rule = f'signers = "{tmp_path / "allowed_signers"}" or digests, one of these is enough'
    assert lines[1] == f"1. {rule}: 2 findings"
    assert "is not in digests" in lines[2]
    assert "there are no signatures" in lines[3]
    assert f"    fix: wardian trust add '{file}'" in lines
    code, said = command("trust", "show", file, "--policy", tmp_path / "trust.toml", "--json")
    assert [problem["rule"] for problem in json.loads(said)["problems"]] == [rule, rule]


def test_what_other_rules_refuse_is_not_added(
    command: Callable[..., tuple[int, str]], old: Path, case: Path, tmp_path: Path
) -> None:
    file = tmp_path / "trust.toml"
    command("trust", "init", "--policy", file)
    before = file.read_text()
    code, said = command("trust", "add", old, "--policy", file)
    assert (code, "its digest was not added, and would not help; 1 rule:" in said) == (1, True)
    assert "torch_package = false" in said
    said = command("trust", "show", old, "--policy", file)[1]
    assert "is not in digests" in said
    assert "fix: wardian trust add" not in said  # which would answer the same again
    assert file.read_text() == before
    file.write_text("[trust]\ndigests = []\nmax_size = 1\n")
    assert command("trust", "add", case, "--policy", file)[0] == 1
    file.write_text("[trust]\ndigests = []\n")  # archives of torch.package are not refused
    assert command("trust", "add", old, "--policy", file)[0] == 0
    assert command("trust", "show", old, "--policy", file)[0] == 0


def test_a_signer_is_added_with_what_the_key_may_sign(
    command: Callable[..., tuple[int, str]], case: Path, ran: Path, tmp_path: Path
) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key", "-C", "alice"], check=True
    )
    policy_file = tmp_path / "policies" / "trust.toml"
    command("trust", "init", "--policy", policy_file)
    wardian.sign(case, key=tmp_path / "key")
    code, said = command("trust", "show", case, "--policy", policy_file)
    assert (code, "does not have the key" in said) == (1, True)
    for _ in range(2):
        assert command("trust", "add", "alice@x.org", tmp_path / "key.pub", "--policy", policy_file)[0] == 0
    lines = (policy_file.parent / "allowed_signers").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith('alice@x.org namespaces="wardian-case" ssh-ed25519 AAAA')
    assert command("trust", "show", case, "--policy", policy_file)[0] == 0
    with (policy_file.parent / "allowed_signers").open("a") as file:
        file.write(f"!bob@x.org {lines[0].split(' ', 2)[2]}\n")
    code, said = command("trust", "show", "--policy", policy_file)
    assert (code, "allowed_signers:2 allows nobody: '!bob@x.org' is the name of nobody" in said) == (0, True)
    code, said = command("trust", "add", "alice@x.org", tmp_path / "key", "--policy", policy_file)
    assert (code, "is no public SSH key" in said) == (2, True)
    code, said = command("trust", "add", 'a" b', tmp_path / "key.pub", "--policy", policy_file)
    assert (code, "is no name of a signer" in said) == (2, True)
