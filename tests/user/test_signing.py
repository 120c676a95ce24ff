"""Signing a case and saying who signed it, as a user does: keys in files, in an agent, with a passphrase."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.servers import serving
from tests.signers import KINDS, allow, make_key
from tests.support import run_python, write_case
from wardian.cli.app import run

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", "--- oak.py\nLEAVES = 3\n", storages=(b"\1" * 4096,))


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "alice")


@pytest.fixture(scope="module")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "bob")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_signs_and_counts(kind: str, case: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", kind)
    assert wardian.sign(case, key=key) == Path(f"{case}.sig")
    (signature,) = wardian.verify_signatures(case, signers=allow(tmp_path / "allowed", {"alice": key}))
    assert (signature.signer, signature.key, signature.namespace) == ("alice", kind, "wardian-case")


def test_sign_and_verify_on_the_command_line(
    case: Path, alice: Path, bob: Path, command: Any, tmp_path: Path
) -> None:
    signers = allow(tmp_path / "allowed", {"alice@example.com": alice})
    code, out, _ = command("verify", case, "--signers", signers)
    assert (code, "is not signed by anybody whom" in out) == (1, True)
    assert f"fix: wardian sign {case} --key KEY" in out

    code, out, _ = command("sign", case, "--key", alice)
    assert (code, f"{case}.sig" in out, "ssh-ed25519 SHA256:" in out) == (0, True, True)
    code, out, _ = command("verify", case, "--signers", signers)
    assert (code, "signed by alice@example.com" in out) == (0, True)

    assert command("verify", case, "--signers", signers, "--identity", "alice@example.com")[0] == 0
    code, out, _ = command("verify", case, "--signers", signers, "--identity", "bob@example.com")
    assert (code, "is not signed by bob@example.com" in out) == (1, True)

    command("sign", case, "--key", bob)
    code, out, _ = command("verify", case, "--signers", signers)
    assert (code, "does not have the key" in out) == (0, True)


def test_verify_as_json_says_whether_it_is_signed(
    case: Path, alice: Path, command: Any, tmp_path: Path
) -> None:
    signers = allow(tmp_path / "allowed", {"alice@example.com": alice})
    assert json.loads(command("verify", case, "--json")[1])["signed"] is None
    assert json.loads(command("verify", case, "--json", "--signers", signers)[1])["signed"] is False
    wardian.sign(case, key=alice)
    found = json.loads(command("verify", case, "--json", "--signers", signers)[1])
    assert found["signed"] is True
    assert found["signatures"][0]["signer"] == "alice@example.com"
    assert found["signature_problems"] == []


def test_info_shows_who_signed_and_that_nobody_has_checked(
    case: Path, alice: Path, command: Any, tmp_path: Path
) -> None:
    assert "signed by" not in command("info", case)[1]
    wardian.sign(case, key=alice)
    _, out, _ = command("info", case)
    assert "signed by   ssh-ed25519 SHA256:" in out
    assert "not checked" in out
    signers = allow(tmp_path / "allowed", {"alice@example.com": alice})
    code, out, _ = command("info", case, "--signers", signers)
    assert (code, "signed by   alice@example.com, ssh-ed25519" in out, "not checked" in out) == (
        0,
        True,
        False,
    )
    assert json.loads(command("info", case, "--json")[1])["signatures"][0]["signer"] is None
    (tmp_path / "allowed").write_text("")
    out = command("info", case, "--signers", signers)[1]
    assert "signed by   nobody you trust: the key is ssh-ed25519 SHA256:" in out
    (tmp_path / "trust.toml").write_text('[trust]\nsigners = "allowed"\n')
    code, out, _ = command("trust", "show", case, "--policy", tmp_path / "trust.toml")
    assert (code, "nobody you trust signed it: the signature by ssh-ed25519 SHA256:" in out) == (1, True)
    Path(f"{case}.sig").write_bytes(b"nonsense")
    code, out, _ = command("info", case)
    assert (code, "cannot be read" in out) == (0, True)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("sign", "CASE"), id="no key"),
        pytest.param(("sign", "CASE", "--key", "nowhere"), id="no such key"),
        pytest.param(("sign", "CASE", "--key", "CASE"), id="a key that is none"),
        pytest.param(("verify", "CASE", "--signers", "nowhere"), id="no such signers"),
        pytest.param(("verify", "CASE", "--identity", "alice"), id="identity without signers"),
    ],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], case: Path, command: Any) -> None:
    code, out, err = command(*(case if word == "CASE" else word for word in words))
    assert (code, out) == (2, "")
    assert "error: " in err


def test_several_sign_one_after_the_other_and_again(
    case: Path, alice: Path, bob: Path, tmp_path: Path
) -> None:
    signers = allow(tmp_path / "allowed", {"alice": alice, "bob": bob})
    for key in (alice, bob, alice):
        wardian.sign(case, key=key)
    assert [s.signer for s in wardian.verify_signatures(case, signers=signers)] == ["bob", "alice"]


def test_signing_what_was_packed_again_drops_the_old_signatures(
    case: Path, alice: Path, bob: Path, tmp_path: Path
) -> None:
    signers = allow(tmp_path / "allowed", {"alice": alice, "bob": bob})
    wardian.sign(case, key=alice)
    write_case(case, "--- oak.py\nLEAVES = 4\n")
    with pytest.raises(wardian.SignatureError, match="it is not of this case"):
        wardian.verify_signatures(case, signers=signers)
    wardian.sign(case, key=bob)
    assert [s.signer for s in wardian.verify_signatures(case, signers=signers)] == ["bob"]


def test_a_file_that_holds_something_else_is_not_overwritten(case: Path, alice: Path) -> None:
    place = Path(f"{case}.sig")
    place.write_text("my notes")
    with pytest.raises(wardian.SigningError, match="cannot be added to"):
        wardian.sign(case, key=alice)
    assert place.read_text() == "my notes"


def test_a_file_that_may_only_be_read_is_signed_elsewhere(case: Path, alice: Path, tmp_path: Path) -> None:
    before = case.read_bytes()
    case.chmod(0o400)
    place = wardian.sign(case, key=alice, output=tmp_path / "elsewhere.sig")
    signers = allow(tmp_path / "allowed", {"alice": alice})
    assert wardian.verify_signatures(case, signers=signers, signature=place)
    assert case.read_bytes() == before


@pytest.mark.parametrize("ranges", [True, False])
def test_a_case_behind_a_url_is_signed_and_verified(
    ranges: bool,
    case: Path,
    alice: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Any,
) -> None:
    signers = allow(tmp_path / "allowed", {"alice": alice})
    monkeypatch.setenv("WARDIAN_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    with serving(files={"oak.case": case}, ranges=ranges) as server:
        url = server.url("oak.case")
        with pytest.raises(wardian.SignatureError, match="there are no signatures"):
            wardian.verify_signatures(url, signers=signers)
        assert wardian.sign(f"{url}?token=secret", key=alice) == Path("oak.case.sig")
        server.files["oak.case.sig"] = work / "oak.case.sig"
        assert wardian.verify_signatures(url, signers=signers)
        code, out, _ = command("verify", url, "--signers", signers)
        assert (code, "signed by alice" in out) == (0, True)
        server.forget()
        assert json.loads(command("info", url, "--json")[1])["signatures"] is None
        assert not [asked for asked in server.asked if asked.path.endswith(".sig")]


def test_an_archive_of_torch_package_has_no_seal_to_sign(alice: Path, command: Any) -> None:
    old = Path(__file__).parents[1] / "compat" / "archives" / "torch-2.5.1.pt"
    with pytest.raises(wardian.SignatureError, match="has no seal"):
        wardian.sign(old, key=alice)
    assert command("sign", old, "--key", alice)[0] == 1


def test_without_the_library_the_line_that_installs_it_is_told(case: Path, alice: Path) -> None:
    script = """
        import sys
        sys.modules["cryptography"] = None
        import wardian
        try:
            wardian.sign(sys.argv[1], key=sys.argv[2])
        except wardian.SigningError as error:
            print(error)
    """
    assert "pip install 'wardian[sign]'" in run_python(script, str(case), str(alice), folder=case.parent)


@needs_ssh
class TestKeysThatOnlySshKeygenCanUse:
    @pytest.fixture
    def locked(self, tmp_path: Path) -> Path:
        key = tmp_path / "locked"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", key], check=True)
        return key

    def test_a_passphrase_is_asked_for_by_ssh_keygen(
        self, case: Path, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asking = tmp_path / "ask"
        asking.write_text("#!/bin/sh\necho a secret\n")
        asking.chmod(0o700)
        monkeypatch.setenv("SSH_ASKPASS", str(asking))
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        wardian.sign(case, key=locked)
        assert wardian.verify_signatures(case, signers=allow(tmp_path / "allowed", {"alice": locked}))

    def test_where_nobody_can_answer_it_is_refused(
        self, case: Path, locked: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSH_ASKPASS", "false")
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        with pytest.raises(wardian.SigningError, match="incorrect passphrase") as caught:
            wardian.sign(case, key=locked)
        assert "ssh-add" in str(caught.value)
        assert not Path(f"{case}.sig").exists()

    def test_where_ssh_keygen_is_missing_it_is_refused(
        self, case: Path, locked: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")
        for key in (locked, Path(f"{locked}.pub")):
            with pytest.raises(wardian.SigningError, match="only ssh-keygen can sign"):
                wardian.sign(case, key=key)

    @pytest.fixture
    def agent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        socket = tmp_path / "agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()  # it says where it listens once it does
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        try:
            yield
        finally:
            process.terminate()
            process.communicate()

    @pytest.mark.usefixtures("agent")
    @pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa"])
    def test_an_agent_signs_for_a_public_key(self, kind: str, case: Path, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", kind)
        subprocess.run(["ssh-add", "-q", key], check=True, env={**os.environ})
        signers = allow(tmp_path / "allowed", {"alice": key})
        key.unlink()
        wardian.sign(case, key=f"{key}.pub")
        assert wardian.verify_signatures(case, signers=signers)
