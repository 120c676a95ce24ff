"""Hostile files of signatures, and signed cases that were changed: nothing counts that nobody has signed."""

from __future__ import annotations

import base64
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import wardian
from tests.archives import exchange
from tests.signers import allow, line_of, make_key, signature_of, text_of
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.names import RecordName
from wardian.trust.allowed_signers import AllowedSigners
from wardian.trust.keys import is_signed_by
from wardian.trust.signatures import SignatureCheck, check_content, check_signatures, seal_of
from wardian.trust.sshsig import SshSignature, signed_data, to_text
from wardian.trust.wire import MalformedError, string, uint32

SEAL = b"ab" * 32 + b"\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of keys: alice's, rsa and ecdsa are allowed, mallory's is not."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = {
        "alice": "ssh-ed25519",
        "mallory": "ssh-ed25519",
        "rsa": "ssh-rsa",
        "ecdsa": "ecdsa-sha2-nistp256",
    }
    for name, kind in kinds.items():
        make_key(folder / name, kind)
    return folder


def check(content: bytes, keys: Path, seal: bytes = SEAL) -> SignatureCheck:
    lines = "".join(f"{name} {line_of(keys / name)}\n" for name in ("alice", "rsa", "ecdsa"))
    return check_content(seal, content, AllowedSigners.parse(lines.encode(), "allowed"))


def refused(content: bytes, keys: Path, words: str) -> None:
    """Expect that nothing in a file of signatures counts, and why."""
    checked = check(content, keys)
    assert checked.valid == ()
    assert words in " ".join(problem.what for problem in checked.problems)


def test_what_is_attacked_below_does_count(keys: Path) -> None:
    for name in ("alice", "rsa", "ecdsa"):
        assert check(text_of(signature_of(keys / name, SEAL)), keys).valid


# The file


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda text: b"", "it is empty", id="empty"),
        pytest.param(lambda text: text + b"rm -rf /", "no signature follows", id="trailing text"),
        pytest.param(lambda text: text + b"\0", "no signature follows", id="trailing zero"),
        pytest.param(lambda text: b"#!/bin/sh\n" + text, "no file of SSH signatures", id="leading text"),
        pytest.param(lambda text: text[:-20], "no file of SSH signatures", id="cut short"),
        pytest.param(lambda text: text.replace(b"U1NI", b"U1N!"), "no file of SSH", id="no base64"),
        pytest.param(lambda text: text.replace(b"\n-----END", b"A\n-----END"), "not base64", id="padding"),
        pytest.param(
            lambda text: text.replace(b"SSH SIG", b"PGP SIG"), "no file of SSH", id="of another tool"
        ),
    ],
)
def test_a_file_that_is_none(change: Callable[[bytes], bytes], words: str, keys: Path) -> None:
    refused(change(text_of(signature_of(keys / "alice", SEAL))), keys, words)


def test_a_file_of_any_size_is_not_read(keys: Path, tmp_path: Path) -> None:
    case = write_case(tmp_path / "oak.case")
    with Path(f"{case}.sig").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="no file of signatures"):
        wardian.verify_signatures(case, signers=allow(tmp_path / "allowed", {"alice": keys / "alice"}))


def test_many_blocks_are_checked_soon(keys: Path) -> None:
    # As many as a file may hold, all different, all by a key that is allowed, none valid.
    blocks = [
        text_of(signature_of(keys / "alice", SEAL, value=string(struct.pack("<Q", number) * 8)))
        for number in range(2_000)
    ]
    checked = check(b"".join(blocks), keys)
    assert (len(checked.signatures), checked.valid) == (2_000, ())


# The bytes of a signature


def blob(keys: Path, change: Callable[[bytes], bytes], name: str = "alice") -> bytes:
    return to_text(change(signature_of(keys / name, SEAL).to_blob()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda b: b + b"\0", "something follows", id="trailing byte"),
        pytest.param(lambda b: b[:-1], "more than there is", id="cut short"),
        pytest.param(lambda b: b"SSHSIX" + b[6:], "does not begin", id="magic"),
        pytest.param(lambda b: b[:3], "does not begin", id="three bytes"),
        pytest.param(lambda b: b[:6] + uint32(2) + b[10:], "another version", id="version"),
        pytest.param(lambda b: b[:10] + uint32(0xFFFFFFFF) + b[14:], "more than there is", id="huge length"),
        pytest.param(lambda b: b[:10] + uint32(0x7FFFFFFF) + b[14:], "more than there is", id="large length"),
        pytest.param(
            lambda b: b.replace(b"wardian-case", b"wardian\0case"), "printable", id="zero in a name"
        ),
        pytest.param(lambda b: b.replace(b"wardian-case", b"wardian\xffcase"), "printable", id="not ASCII"),
    ],
)
def test_bytes_that_are_no_signature(change: Callable[[bytes], bytes], words: str, keys: Path) -> None:
    refused(blob(keys, change), keys, words)


def test_every_flipped_bit_is_noticed(keys: Path) -> None:
    good = signature_of(keys / "alice", SEAL).to_blob()
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << place % 8
        assert check(to_text(bytes(changed)), keys).valid == ()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param(
            {"namespace": "git"}, "it is for 'git', and not for 'wardian-case'", id="another namespace"
        ),
        pytest.param({"namespace": ""}, "it is for ''", id="no namespace"),
        pytest.param({"hashed": "sha1", "data": b""}, "uses the hash 'sha1'", id="sha1"),
        pytest.param({"hashed": "md5", "data": b""}, "uses the hash 'md5'", id="md5"),
        pytest.param({"hashed": "", "data": b""}, "uses the hash ''", id="no hash"),
        pytest.param({"algorithm": "ssh-rsa"}, "does not sign as 'ssh-rsa'", id="another algorithm"),
        pytest.param({"value": string(b"")}, "it is not of this case", id="empty"),
        pytest.param({"value": string(b"\0" * 64) + b"\0"}, "something follows", id="trailing"),
        pytest.param({"value": uint32(0xFFFFFFFF)}, "more than there is", id="huge length"),
        pytest.param({"data": SEAL}, "it is not of this case", id="of the bare seal"),
    ],
)
def test_a_signature_that_is_not_what_it_must_be(facts: dict[str, object], words: str, keys: Path) -> None:
    refused(text_of(signature_of(keys / "alice", SEAL, **facts)), keys, words)  # type: ignore[arg-type]


def test_a_signature_of_another_seal(keys: Path) -> None:
    refused(text_of(signature_of(keys / "alice", b"cd" * 32 + b"\n")), keys, "it is not of this case")


def test_a_key_that_is_not_allowed(keys: Path) -> None:
    refused(text_of(signature_of(keys / "mallory", SEAL)), keys, "allowed does not have the key")


def test_the_key_of_another_beside_a_signature(keys: Path) -> None:
    mine, hers = signature_of(keys / "mallory", SEAL), signature_of(keys / "alice", SEAL)
    stolen = SshSignature(hers.key, hers.key_type, hers.namespace, b"", "sha512", hers.algorithm, mine.value)
    refused(text_of(stolen), keys, "it is not of this case")


def test_a_reserved_field_is_signed_too(keys: Path) -> None:
    good = signature_of(keys / "alice", SEAL)
    changed = SshSignature(
        good.key, good.key_type, good.namespace, b"later", good.hash, good.algorithm, good.value
    )
    refused(text_of(changed), keys, "it is not of this case")


def test_a_certificate_in_place_of_a_key(keys: Path) -> None:
    good = signature_of(keys / "alice", SEAL)
    name = b"ssh-ed25519-cert-v01@openssh.com"
    key = string(name) + good.key
    changed = SshSignature(key, name.decode(), good.namespace, b"", "sha512", "ssh-ed25519", good.value)
    refused(text_of(changed), keys, "does not have the key")


# RSA and ECDSA


@pytest.mark.parametrize("algorithm", ["ssh-rsa", "rsa-sha2-1", "ssh-ed25519", ""])
def test_rsa_signs_with_sha2_only(algorithm: str, keys: Path) -> None:
    refused(text_of(signature_of(keys / "rsa", SEAL, algorithm=algorithm)), keys, "does not sign as")


def test_rsa_with_sha1_is_refused_though_it_is_valid(keys: Path) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    private = load_ssh_private_key((keys / "rsa").read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    value = private.sign(signed_data(SEAL, hashed="sha512"), PKCS1v15(), hashes.SHA1())
    for algorithm, words in (("ssh-rsa", "does not sign as"), ("rsa-sha2-512", "not of this case")):
        refused(
            text_of(signature_of(keys / "rsa", SEAL, algorithm=algorithm, value=string(value))), keys, words
        )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param(
            string(b"\1\0\1") + string(b"\0" + b"\xff" * 128), "has 2048 to 16384 bits", id="1024 bits"
        ),
        pytest.param(string(b"\1\0\1") + string(b"\0" + b"\xff" * 4096), "has 2048 to", id="32768 bits"),
        pytest.param(string(b"\x7f" * 9) + string(b"\0" + b"\xff" * 256), "exponent", id="large exponent"),
        pytest.param(string(b"\1") + string(b"\0" + b"\xff" * 256), "fit no key", id="exponent 1"),
        pytest.param(string(b"\2") + string(b"\0" + b"\xff" * 256), "fit no key", id="even exponent"),
        pytest.param(string(b"\xff") + string(b"\0" + b"\xff" * 256), "not written", id="negative"),
        pytest.param(string(b"\0\1\0\1") + string(b"\0" + b"\xff" * 256), "not written", id="padded"),
        pytest.param(string(b"") + string(b""), "not written", id="zero"),
        pytest.param(string(b"\1\0\1") + string(b"\0" + b"\xff" * 256) + b"\0", "follows", id="trailing"),
    ],
)
def test_an_rsa_key_that_is_none(key: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        is_signed_by(string(b"ssh-rsa") + key, "rsa-sha2-512", string(b"\0" * 256), b"")


def test_an_rsa_signature_longer_than_the_key(keys: Path) -> None:
    refused(
        text_of(signature_of(keys / "rsa", SEAL, value=string(b"\0" * 10_000))), keys, "longer than the key"
    )


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(b"\4" + b"\xff" * 64, id="not on the curve"),
        pytest.param(b"\4" + b"\0" * 64, id="zero"),
        pytest.param(b"\0", id="infinity"),
        pytest.param(b"\2" + b"\1" * 32, id="compressed"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\4" + b"\1" * 63, id="short"),
    ],
)
def test_an_ecdsa_key_that_is_none(point: bytes) -> None:
    name = b"ecdsa-sha2-nistp256"
    key = string(name) + string(b"nistp256") + string(point)
    with pytest.raises(MalformedError, match="point of the key"):
        is_signed_by(key, name.decode(), string(string(b"\1") * 2), b"")


def test_an_ecdsa_key_of_another_curve() -> None:
    key = string(b"ecdsa-sha2-nistp256") + string(b"nistp521") + string(b"\4" + b"\1" * 132)
    with pytest.raises(MalformedError, match="another curve"):
        is_signed_by(key, "ecdsa-sha2-nistp256", string(string(b"\1") * 2), b"")


@pytest.mark.parametrize("number", [b"", b"\0", b"\xff", b"\0\1", b"\x7f" * 5_000])
def test_ecdsa_numbers_that_are_none(number: bytes, keys: Path) -> None:
    checked = check(text_of(signature_of(keys / "ecdsa", SEAL, value=string(string(number) * 2))), keys)
    assert checked.valid == ()


@pytest.mark.parametrize("size", [0, 31, 33, 10_000])
def test_an_ed25519_key_of_another_size(size: int) -> None:
    with pytest.raises(MalformedError, match="not one of Ed25519"):
        is_signed_by(string(b"ssh-ed25519") + string(b"\1" * size), "ssh-ed25519", string(b""), b"")


def test_a_fido_key_does_not_sign_for_the_plain_one(keys: Path) -> None:
    good = signature_of(keys / "alice", SEAL)
    for value in (good.value, good.value + b"\1\0\0\0\1"):
        changed = SshSignature(
            good.key, good.key_type, good.namespace, b"", "sha512", "sk-ssh-ed25519@openssh.com", value
        )
        refused(text_of(changed), keys, "does not sign as")


# A signed case that was changed


@pytest.fixture
def signed(keys: Path, tmp_path: Path) -> Path:
    """A case that alice has signed, and `allowed` beside it."""
    case = write_case(tmp_path / "oak.case", "--- oak.py\nLEAVES = 3\n", storages=(b"\1" * 4096,))
    wardian.sign(case, key=keys / "alice")
    allow(tmp_path / "allowed", {"alice@example.com": keys / "alice"})
    assert wardian.verify_signatures(case, signers=tmp_path / "allowed")
    return case


def whoever(case: Path) -> tuple[wardian.Signature, ...]:
    return wardian.verify_signatures(case, signers=case.with_name("allowed"))


def resealed(case: Path, sources: str, storage: bytes) -> None:
    write_case(case, sources, storages=(storage,))


@pytest.mark.parametrize(
    ("sources", "storage"),
    [
        pytest.param("--- oak.py\nLEAVES = 4\n", b"\1" * 4096, id="code"),
        pytest.param("--- oak.py\nLEAVES = 3\n", b"\2" * 4096, id="weights"),
    ],
)
def test_a_changed_case_that_was_sealed_anew(sources: str, storage: bytes, signed: Path) -> None:
    resealed(signed, sources, storage)
    with pytest.raises(wardian.SignatureError, match="it is not of this case"):
        whoever(signed)


def test_changed_code_below_the_old_seal(signed: Path) -> None:
    # The seal is as it was signed; what it covers is compared when it is read.
    exchange(signed, "oak.py", b"LEAVES = 4\n")
    assert whoever(signed)
    with wardian.open(signed) as case, pytest.raises(wardian.CorruptCaseError):
        case.verify()
    with wardian.open(signed) as case, pytest.raises(wardian.CorruptCaseError):
        case.import_module("oak")


def test_changed_weights_below_the_old_seal(signed: Path) -> None:
    exchange(signed, ".data/0.storage", b"\2" * 4096)
    assert whoever(signed)
    with wardian.open(signed) as case, pytest.raises(wardian.CorruptCaseError):
        case.verify()


def test_a_changed_manifest_below_the_old_seal(signed: Path) -> None:
    with ArchiveReader.open(signed) as archive:
        manifest = archive.manifest
    exchange(signed, ".wardian/manifest.json", manifest.replace(b'"skipped"', b'"passed" '))
    with pytest.raises(wardian.CorruptCaseError, match="seal"):
        whoever(signed)


def test_a_changed_seal(signed: Path) -> None:
    exchange(signed, ".wardian/seal", b"0" * 64 + b"\n")
    with pytest.raises(wardian.CorruptCaseError, match="seal"):
        whoever(signed)


def test_the_signature_of_another_case(signed: Path, keys: Path) -> None:
    other = write_case(signed.with_name("elm.case"), "--- elm.py\nLEAVES = 5\n")
    wardian.sign(other, key=keys / "alice")
    shutil.copy(f"{other}.sig", f"{signed}.sig")
    with pytest.raises(wardian.SignatureError, match="it is not of this case"):
        whoever(signed)


def test_a_signature_that_was_removed(signed: Path) -> None:
    Path(f"{signed}.sig").unlink()
    with pytest.raises(wardian.SignatureError, match="there are no signatures"):
        whoever(signed)


def test_allowed_signers_that_were_changed(signed: Path, keys: Path) -> None:
    allow(signed.with_name("allowed"), {"alice@example.com": keys / "mallory"})
    with pytest.raises(wardian.SignatureError, match="does not have the key"):
        whoever(signed)


# What is exchanged between a check and the use


def test_a_case_that_is_exchanged_after_its_check_is_not_the_one_that_is_read(signed: Path) -> None:
    signers = signed.with_name("allowed")
    with ArchiveReader.open(signed) as archive:
        other = write_case(signed.with_name("evil"), "--- oak.py\nLEAVES = 666\n")
        os.replace(other, signed)
        assert check_signatures(archive, signed, signers).valid
        assert b"LEAVES = 3" in archive.read(RecordName("oak.py"))
    with pytest.raises(wardian.SignatureError):
        whoever(signed)


def test_signatures_and_signers_are_read_once(
    signed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As soon as one is open, another has its name, with which the case would be signed.
    place, signers = Path(f"{signed}.sig"), signed.with_name("allowed")
    good = {place: place.read_bytes(), signers: signers.read_bytes() + line_of(keys / "mallory").encode()}
    with ArchiveReader.open(signed) as archive:
        place.write_bytes(text_of(signature_of(keys / "mallory", seal_of(archive))))
    read: list[Path] = []
    plain: Any = Path.open

    def exchanging(path: Path, *arguments: str) -> object:
        file = plain(path, *arguments)
        if path in good:
            read.append(path)
            path.unlink()
            with plain(path, "wb") as other:
                other.write(good[path])
        return file

    monkeypatch.setattr(Path, "open", exchanging)
    with pytest.raises(wardian.SignatureError, match="does not have the key"):
        wardian.verify_signatures(signed, signers=signers)
    assert sorted(read) == sorted(good)


def test_an_armour_with_another_base64_is_another_signature(keys: Path) -> None:
    # The last character of base64 has bits that mean nothing: the strict reader takes one spelling only once.
    text = text_of(signature_of(keys / "alice", SEAL))
    assert base64.b64encode(b"\0") == b"AA=="
    assert len(check(text + text, keys).signatures) == 1
