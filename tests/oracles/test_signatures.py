"""ssh-keygen accepts what Wardian signs, Wardian what ssh-keygen signs, and both refuse the same."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import wardian
from tests.signers import KINDS, device_signature, line_of, make_key, signature_of, text_of
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.trust.allowed_signers import AllowedSigners
from wardian.trust.signatures import check_content, seal_of
from wardian.trust.sshsig import NAMESPACE

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed: .ci/run installs it"
)

SEAL = b"ab" * 32 + b"\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    return {kind: make_key(folder / kind, kind) for kind in KINDS}


def accepts(folder: Path, signature: bytes, allowed: str, identity: str, message: bytes = SEAL) -> bool:
    """Tell what `ssh-keygen -Y verify` says."""
    (folder / "allowed").write_text(allowed)
    (folder / "sig").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "allowed"), "-I", identity]
    command += ["-n", NAMESPACE, "-s", str(folder / "sig")]
    done = subprocess.run(command, input=message, capture_output=True, check=False)
    return done.returncode == 0


def we_accept(signature: bytes, allowed: str, identity: str | None, message: bytes = SEAL) -> bool:
    signers = AllowedSigners.parse(allowed.encode(), "allowed")
    return bool(check_content(message, signature, signers, identity=identity).valid)


@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_accepts_what_we_sign(kind: str, keys: dict[str, Path], tmp_path: Path) -> None:
    case = write_case(tmp_path / "oak.case", "--- oak.py\n")
    place = wardian.sign(case, key=keys[kind])
    with ArchiveReader.open(case) as archive:
        seal = seal_of(archive)
    allowed = f"alice@example.com {line_of(keys[kind])}\n"
    assert accepts(tmp_path, place.read_bytes(), allowed, "alice@example.com", seal)
    assert not accepts(tmp_path, place.read_bytes(), allowed, "alice@example.com", seal + b" ")


@pytest.mark.parametrize("hashed", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", KINDS)
def test_we_accept_what_ssh_keygen_signs(
    kind: str, hashed: str, keys: dict[str, Path], tmp_path: Path
) -> None:
    message = tmp_path / "seal"
    message.write_bytes(SEAL)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-O", f"hashalg={hashed}", "-f", str(keys[kind])]
    subprocess.run([*command, "-n", NAMESPACE, str(message)], check=True)
    signature = (tmp_path / "seal.sig").read_bytes()
    assert we_accept(signature, f"alice {line_of(keys[kind])}", "alice")
    assert not we_accept(signature, f"alice {line_of(keys[kind])}", "alice", SEAL + b" ")


def test_the_signature_is_byte_for_byte_that_of_ssh_keygen(keys: dict[str, Path], tmp_path: Path) -> None:
    message = tmp_path / "seal"
    message.write_bytes(SEAL)
    key = keys["ssh-ed25519"]
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, message], check=True)
    assert (tmp_path / "seal.sig").read_bytes() == text_of(signature_of(key, SEAL))


@pytest.mark.parametrize("flags", [0, 1, 5])
@pytest.mark.parametrize(
    "private",
    [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())],
    ids=["ed25519", "ecdsa"],
)
def test_both_accept_keys_on_devices(
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, flags: int, tmp_path: Path
) -> None:
    from base64 import b64encode

    made = device_signature(private, SEAL, flags=flags)
    allowed = f"alice {made.key_type} {b64encode(made.key).decode()}"
    assert accepts(tmp_path, text_of(made), allowed, "alice")
    assert we_accept(text_of(made), allowed, "alice")
    stranger = device_signature(private, SEAL, application=b"ssh:another", flags=flags)
    other = text_of(
        type(made)(made.key, made.key_type, NAMESPACE, b"", "sha512", made.algorithm, stranger.value)
    )
    assert not accepts(tmp_path, other, allowed, "alice")
    assert not we_accept(other, allowed, "alice")


@pytest.mark.parametrize(
    "line",
    [
        "alice@example.com KEY",
        "alice@example.com KEY a comment, with more",
        "alice@example.com\tKEY",
        "  alice@example.com   KEY  ",
        "*@example.com KEY",
        "*@example.org KEY",
        "alice@example.??? KEY",
        "bob@example.com,alice@example.com KEY",
        "*@example.com,!alice@example.com KEY",
        "!alice@example.com,*@example.com KEY",
        "!bob@example.com,*@example.com KEY",
        "!bob@example.com KEY",
        "* KEY",
        "Alice@example.com KEY",
        '"alice@example.com" KEY',
        '"alice@example.com,bob" namespaces="*" KEY',
        "# alice@example.com KEY",
        "KEY",
        "alice@example.com",
        f"alice@example.com namespaces={NAMESPACE} KEY",
        f'alice@example.com namespaces="{NAMESPACE}" KEY',
        f'alice@example.com NAMESPACES="git,{NAMESPACE}" KEY',
        'alice@example.com namespaces="git" KEY',
        'alice@example.com namespaces="wardian-*" KEY',
        'alice@example.com namespaces="wardian-*,!wardian-case" KEY',
        'alice@example.com namespaces="" KEY',
        "alice@example.com namespaces KEY",
        'alice@example.com namespaces="git",namespaces="*" KEY',
        'alice@example.com valid-after="20200101" KEY',
        'alice@example.com valid-after="20990101" KEY',
        "alice@example.com valid-before=20200101Z KEY",
        "alice@example.com valid-before=209901011200Z KEY",
        "alice@example.com valid-before=20990101120000 KEY",
        'alice@example.com valid-after="20200101",valid-before="20990101" KEY',
        'alice@example.com valid-after="20200101",valid-before="20200201" KEY',
        'alice@example.com valid-after="20990101",valid-before="20200101" KEY',
        'alice@example.com valid-before="tomorrow" KEY',
        'alice@example.com valid-before="20991399" KEY',
        'alice@example.com valid-before="2099" KEY',
        "alice@example.com cert-authority KEY",
        "alice@example.com no-touch-required KEY",
        'alice@example.com namespaces="git KEY',
        "alice@example.com namespaces=*,valid-before=20990101 KEY",
        '"!alice@example.com" KEY',
        '"" KEY',
        ", KEY",
        "alice@example.com, KEY",
        "!,alice@example.com KEY",
        "!* KEY",
        '"alice@example.com"KEY',
        'alice@example.com,"bob" KEY',
        'alice@"example.com" KEY',
        '"alice@example.com KEY',
        'alice@example.com nothing="x" KEY',
        'alice@example.com namespaces="*", KEY',
        'alice@example.com namespaces="a\\"b,*" KEY',
        'alice@example.com namespaces="!git" KEY',
        'alice@example.com namespaces="git, *" KEY',
        'alice@example.com valid-before="20990230" KEY',
        'alice@example.com valid-before="20990231Z" KEY',
        'alice@example.com valid-before="20990132" KEY',
        'alice@example.com valid-before="209901012460" KEY',
        'alice@example.com valid-after="19600101" KEY',
        'alice@example.com valid-after="00000101Z" KEY',
        'alice@example.com valid-after="99991231" KEY',
    ],
)
def test_both_read_a_line_of_allowed_signers_alike(line: str, keys: dict[str, Path], tmp_path: Path) -> None:
    key = keys["ssh-ed25519"]
    signature = text_of(signature_of(key, SEAL))
    allowed = line.replace("KEY", line_of(key)) + "\n"
    theirs = accepts(tmp_path, signature, allowed, "alice@example.com")
    assert we_accept(signature, allowed, "alice@example.com") is theirs


@pytest.mark.parametrize("names", ["!bob", '"!bob"', '""', ",", "!*,bob"])
def test_a_line_that_can_match_nobody_counts_for_nobody(
    names: str, keys: dict[str, Path], tmp_path: Path
) -> None:
    """OpenSSH always asks for somebody; whoever asks us for anybody must not get nobody."""
    key = keys["ssh-ed25519"]
    signature = text_of(signature_of(key, SEAL))
    allowed = f"{names} {line_of(key)}\n"
    assert not we_accept(signature, allowed, None)
    assert not any(accepts(tmp_path, signature, allowed, name) for name in ("bob", "!bob", "alice", "*"))


def test_a_bad_line_does_not_spoil_the_others_for_either(keys: dict[str, Path], tmp_path: Path) -> None:
    key = keys["ssh-ed25519"]
    signature = text_of(signature_of(key, SEAL))
    allowed = f"bob valid-before=tomorrow {line_of(key)}\n\r\n\nalice {line_of(key)}\n"
    assert accepts(tmp_path, signature, allowed, "alice")
    assert we_accept(signature, allowed, "alice")


def test_ssh_keygen_reads_the_first_of_several(keys: dict[str, Path], tmp_path: Path) -> None:
    first, second = keys["ssh-ed25519"], keys["ecdsa-sha2-nistp256"]
    content = text_of(signature_of(first, SEAL), signature_of(second, SEAL))
    assert accepts(tmp_path, content, f"alice {line_of(first)}", "alice")
    assert not accepts(tmp_path, content, f"alice {line_of(second)}", "alice")
    assert we_accept(content, f"alice {line_of(second)}", "alice")
