"""Commands about trust: the user's policy, made, added to and shown."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.signers import make_key
from tests.support import write_case
from wardian.cli.app import run
from wardian.cli.trusting import _NEW
from wardian.trust.policies import Trust
from wardian.trust.rules import Rules

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return tmp_path / "config/trust.toml"


@pytest.fixture
def trust(policy: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(command: str, *words: object) -> tuple[int, str, str]:
        code = run(["trust", command, *map(str, words), "--policy", str(policy)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "a \N{DECIDUOUS TREE}.case", {"oak.py": ""})


def test_a_new_policy_trusts_nobody_and_is_the_users_alone(trust: Command, policy: Path) -> None:
    before = os.umask(0)
    try:
        assert trust("init")[0] == 0
    finally:
        os.umask(before)
    rules = Trust.from_file(policy).rules
    assert (rules.digests, rules.torch_package) == ((), False)
    assert rules.signers == str(policy.parent / "allowed_signers")
    assert stat.S_IMODE(policy.stat().st_mode) == 0o644
    assert stat.S_IMODE(policy.parent.stat().st_mode) == 0o700


def test_a_policy_that_is_there_stays(trust: Command, policy: Path) -> None:
    policy.parent.mkdir(0o700)
    policy.write_text("[trust]\nmax_size = 3\n")
    code, _, err = trust("init")
    assert code == 2
    assert "is there already" in err
    assert policy.read_text() == "[trust]\nmax_size = 3\n"


def test_every_key_of_the_new_policy_is_one(tmp_path: Path) -> None:
    # The lines that are comments are there to be made none.
    text = "\n".join(
        line.removeprefix("# ") if line.startswith(("# max", "# [", "# deny", "# allow")) else line
        for line in _NEW.splitlines()
    )
    assert Rules.read(text, "trust").max_size == 20_000_000_000


def test_a_file_is_trusted_once_and_comments_stay(trust: Command, policy: Path, case: Path) -> None:
    trust("init")
    for _ in range(2):
        code, out, _ = trust("add", case)
        assert code == 0
        assert out.startswith(f"{policy} trusts {case}\n  digest ")
    text = policy.read_text("utf-8")
    assert "# wardian trust add alice@example.com" in text
    assert text.count(r"# a \U0001f333.case") == 1
    (digest,) = tomllib.loads(text)["trust"]["digests"]
    assert digest in out
    assert trust("show", case)[0] == 0
    other = write_case(case.parent / "elm.case", {"elm.py": "x = 1"})
    assert trust("show", other)[0] == 1


def test_a_policy_without_digests_gets_some(trust: Command, policy: Path, case: Path) -> None:
    policy.parent.mkdir(0o700)
    policy.write_text("[trust]\ntorch_package = false  # none\n")
    assert trust("add", case)[0] == 0
    assert len(Trust.from_file(policy).rules.digests or ()) == 1
    assert "# none" in policy.read_text()


def test_what_other_rules_refuse_is_not_added(trust: Command, policy: Path, case: Path) -> None:
    policy.parent.mkdir(0o700)
    policy.write_text("[trust]\nmax_size = 1\n")
    code, out, _ = trust("add", case)
    assert code == 1
    assert "its digest was not added, and would not help" in " ".join(out.split())
    assert policy.read_text() == "[trust]\nmax_size = 1\n"


def test_a_signer_is_trusted_once_with_what_the_key_may_sign(
    trust: Command, policy: Path, tmp_path: Path
) -> None:
    trust("init")
    make_key(tmp_path / "alice")
    for name in ("alice@example.com", "alice@example.com", "bob"):
        assert trust("add", name, tmp_path / "alice.pub")[0] == 0
    lines = (policy.parent / "allowed_signers").read_text().splitlines()
    assert [line.partition(" ssh-")[0] for line in lines] == [
        'alice@example.com namespaces="wardian-case"',
        'bob namespaces="wardian-case"',
    ]


@pytest.mark.parametrize("name", ["alice smith", "*", "alice,bob", '"alice"', "#alice"])
def test_a_name_that_could_mean_more_is_refused(
    name: str, trust: Command, policy: Path, tmp_path: Path
) -> None:
    trust("init")
    make_key(tmp_path / "alice")
    code, _, err = trust("add", name, tmp_path / "alice.pub")
    assert code == 2
    assert "is no name of a signer" in err
    assert (policy.parent / "allowed_signers").read_text() == ""


def test_what_is_no_public_key_is_refused(trust: Command, policy: Path, tmp_path: Path) -> None:
    trust("init")
    make_key(tmp_path / "alice")
    code, _, err = trust("add", "alice", tmp_path / "alice")  # the private half
    assert code == 2
    assert "is no public SSH key" in err
    policy.write_text("[trust]\nmax_size = 3\n")
    assert "asks for no signatures" in trust("add", "alice", tmp_path / "alice.pub")[2]


def test_a_policy_is_shown_without_its_comments(
    trust: Command, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "warn")
    assert trust("show")[1].splitlines() == [
        "WARDIAN_TRUST=warn",
        f"{policy} is not there; make it: wardian trust init",
    ]
    trust("init")
    (policy.parent / "allowed_signers").write_text("nobody\n")
    shown = trust("show")[1].splitlines()
    assert shown[:3] == ["WARDIAN_TRUST=warn", str(policy), "  [trust]"]
    assert not [line for line in shown if line.lstrip().startswith("#")]
    assert "allows nobody" in shown[-1]


def test_what_a_policy_says_of_a_file_is_data_too(trust: Command, policy: Path, case: Path) -> None:
    code, out, err = trust("show", case, "--json")
    assert code == 2
    assert json.loads(out)["problems"] == [
        {"rule": "", "what": f"{policy} is not there", "fix": "wardian trust init"}
    ]
    assert "wardian trust init" in err
    trust("init")
    code, out, _ = trust("show", case, "--json")
    found = json.loads(out)
    assert (code, found["trusted"], found["path"], found["policy"]) == (1, False, str(case), str(policy))
    assert found["problems"][0]["rule"]


@pytest.mark.parametrize(
    ("option", "words"), [("--json", "--json goes with FILE"), ("--all", "--all lists what of")]
)
def test_options_that_go_with_a_file_are_wrong_usage_without(option: str, words: str, trust: Command) -> None:
    code, _, err = trust("show", option)
    assert code == 2
    assert words in err
