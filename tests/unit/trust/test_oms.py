"""Bundles of OpenSSF model signing: what counts, and whatever does not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.signers import allow, make_key
from tests.support import write_case
from wardian.cli.app import run


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "alice", "ecdsa-sha2-nistp256")


@pytest.fixture
def case(tmp_path: Path, alice: Path) -> Path:
    case = write_case(tmp_path / "oak.case", "--- oak.py\nLEAVES = 3\n")
    wardian.sign(case, key=alice, format="oms")
    allow(tmp_path / "allowed", {"alice": alice})
    return case


def verify(case: Path) -> tuple[wardian.Signature, ...]:
    return wardian.verify_signatures(case, signers=case.with_name("allowed"), format="oms")


def test_on_the_command_line(case: Path, alice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(f"{case}.oms.json").unlink()
    words = ["verify", str(case), "--signers", str(case.with_name("allowed")), "--format", "oms"]
    assert run(words) == 1
    assert "--format oms" in capsys.readouterr().out
    assert run(["sign", str(case), "--key", str(alice), "--format", "oms"]) == 0
    assert run(words) == 0
    assert "signed by alice" in capsys.readouterr().out


def test_a_seal_is_not_needed(tmp_path: Path, alice: Path) -> None:
    old = Path(__file__).parents[2] / "compat" / "archives" / "torch-2.5.1.pt"
    place = wardian.sign(old, key=alice, format="oms", output=tmp_path / "old.json")
    signers = allow(tmp_path / "allowed", {"alice": alice})
    assert wardian.verify_signatures(old, signers=signers, signature=place, format="oms")


def test_only_ecdsa_keys_sign_bundles(case: Path, tmp_path: Path) -> None:
    with pytest.raises(wardian.SigningError, match="signed by ECDSA keys"):
        wardian.sign(case, key=make_key(tmp_path / "other"), format="oms")
    with pytest.raises(ValueError, match='"ssh" or "oms"'):
        wardian.sign(case, key=tmp_path / "other", format="pgp")  # type: ignore[arg-type]


def test_a_line_for_other_purposes_does_not_count(case: Path, alice: Path) -> None:
    allow(case.with_name("allowed"), {'alice namespaces="git"': alice})
    with pytest.raises(wardian.SignatureError, match='may sign namespaces="git"'):
        verify(case)


def test_a_key_that_is_not_allowed(case: Path, tmp_path: Path) -> None:
    allow(case.with_name("allowed"), {"bob": make_key(tmp_path / "bob", "ecdsa-sha2-nistp256")})
    with pytest.raises(wardian.SignatureError, match="has no ECDSA key"):
        verify(case)


def _envelope(bundle: dict[str, Any], **facts: Any) -> None:
    bundle["dsseEnvelope"].update(facts)


def _signature(bundle: dict[str, Any], **facts: Any) -> None:
    bundle["dsseEnvelope"]["signatures"][0].update(facts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b.clear(), "no Sigstore bundle"),
        (lambda b: b.update(mediaType="application/json"), "no Sigstore bundle"),
        (lambda b: b.update(verificationMaterial={"certificate": {}}), "certificates are not supported"),
        (lambda b: b.update(verificationMaterial=[]), "certificates are not supported"),
        (lambda b: b["verificationMaterial"]["publicKey"].update(hint="00" * 32), "has no ECDSA key"),
        (lambda b: _envelope(b, payloadType="text/plain"), "no in-toto statement"),
        (lambda b: _envelope(b, signatures=[]), "has not one signature"),
        (lambda b: _envelope(b, signatures=b["dsseEnvelope"]["signatures"] * 2), "has not one signature"),
        (lambda b: _envelope(b, signatures=[None]), "has not one signature"),
        (lambda b: _envelope(b, payload="!"), "not base64"),
        (lambda b: _envelope(b, payload=7), "not base64"),
        (lambda b: _envelope(b, payload=base64.b64encode(b"{}").decode()), "was altered"),
        (lambda b: _signature(b, sig=base64.b64encode(b"x").decode()), "no DER"),
        (lambda b: _signature(b, sig=""), "no DER"),
    ],
)
def test_a_bundle_that_was_changed(change: Callable[[dict[str, Any]], None], words: str, case: Path) -> None:
    assert verify(case)
    place = Path(f"{case}.oms.json")
    bundle = json.loads(place.read_text())
    change(bundle)
    place.write_text(json.dumps(bundle))
    with pytest.raises(wardian.SignatureError, match=words):
        verify(case)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"mediaType":'])
def test_a_file_that_is_no_bundle(content: bytes, case: Path) -> None:
    Path(f"{case}.oms.json").write_bytes(content)
    with pytest.raises(wardian.SignatureError, match="no JSON object"):
        verify(case)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "none of OpenSSF"),
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "none of OpenSSF"),
        ({"subject": []}, "not about one file"),
        ({"subject": [{"digest": {"sha256": "00" * 32}}]}, "not about one file"),
        ({"predicate": {"resources": []}}, "not about one file"),
        ({"predicate": {}}, "not about one file"),
        ({"predicate": {"resources": [{"name": ".", "algorithm": "sha256", "digest": 7}]}}, "not about one"),
        (
            {"predicate": {"resources": [{"name": ".", "algorithm": "sha256", "digest": "x"}]}},
            "not about one",
        ),
        ({"predicate": {"resources": [None]}}, "not about one file"),
        ({"predicate": None}, "not about one file"),
    ],
)
def test_a_signed_statement_about_something_else(
    facts: dict[str, Any], words: str, case: Path, alice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wardian.trust import oms

    plain = oms._statement
    monkeypatch.setattr(oms, "_statement", lambda name, digest: plain(name, digest) | facts)
    wardian.sign(case, key=alice, format="oms")
    with pytest.raises(wardian.SignatureError, match=words):
        verify(case)


@pytest.mark.parametrize(("key", "value"), [("name", "oak.case"), ("algorithm", "blake2b")])
def test_a_signed_resource_of_another_kind(
    key: str, value: str, case: Path, alice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wardian.trust import oms

    plain = oms._statement

    def other(name: str, digest: str) -> dict[str, Any]:
        statement = plain(name, digest)
        statement["predicate"]["resources"][0][key] = value
        return statement

    monkeypatch.setattr(oms, "_statement", other)
    wardian.sign(case, key=alice, format="oms")
    with pytest.raises(wardian.SignatureError, match="not about one file by its SHA-256"):
        verify(case)
