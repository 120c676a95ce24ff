"""Files that try to get past a policy: hidden code, and bytes that change after they were judged."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
import torch  # noqa: F401  a load imports it, and that is not what is bounded here

import wardian
from tests.support import write_case
from wardian.domain.manifest import PackedDistribution

YEW = """
import os, pathlib
pathlib.Path(os.environ["RAN"]).write_text("good")
def grow():
    return 1
"""
PICKLE = b"\x80\x04\x8c\x03yew\x8c\x04grow\x93."
MAPPED = (8 << 20,)
"""Bytes of a storage with which a file is mapped, and not read when it is opened."""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which packed code writes what it is as soon as it runs."""
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    return tmp_path / "ran"


def _policy(folder: Path, text: str) -> wardian.Trust:
    (folder / "trust.toml").write_text(f"[trust]\n{text}\n")
    return wardian.Trust.from_file(folder / "trust.toml")


def _digest(path: Path) -> str:
    with wardian.open(path) as case:
        return case.digest


@pytest.mark.parametrize(
    ("record", "content"),
    [
        ("yew_data/weights.bin", b"\x7fELF\x02\x01\x01"),
        ("yew_data/notes.txt", bytes.fromhex("cffaedfe") + b"\0" * 12),
        ("yew_data/picture.png", b"\x7fELF" + bytes(2000)),
        ("yew_data/_C.so", b"nothing"),
        ("yew_data/_C.pyd", b"MZ"),
    ],
)
def test_a_library_under_any_name_is_native_code(
    record: str, content: bytes, ran: Path, tmp_path: Path
) -> None:
    path = write_case(tmp_path / "yew.case", {"yew.py": YEW.encode(), record: content}, pickle=PICKLE)
    with pytest.raises(wardian.UntrustedCaseError, match=f"native = false: {record}: a compiled library"):
        wardian.load(path, trust=_policy(tmp_path, "native = false"))
    assert not ran.exists()


@pytest.mark.parametrize(
    ("record", "owner"),
    [
        ("elm/_C.so", "first-party"),  # of the packed project
        ("libs/_C.so", "first-party"),  # of nobody
        ("oak/_C.so", ""),
        ("shared/_C.so", "first-party"),  # of one of two that share a name
    ],
)
def test_compiled_code_of_nobody_can_be_refused_and_that_of_a_distribution_let_through(
    record: str, owner: str, ran: Path, tmp_path: Path
) -> None:
    oak = PackedDistribution(name="oak", version="1", roots=("oak", "shared"))
    own = PackedDistribution(name="first-party", version=None, roots=("yew", "elm", "shared"))
    files = {"yew.py": f"{YEW}# {tmp_path}".encode(), record: b"\x7fELF\x02\x01\x01"}
    path = write_case(tmp_path / "yew.case", files, pickle=PICKLE, distributions=(oak, own))
    trust = _policy(tmp_path, 'native.deny = ["first-party"]')
    if not owner:
        wardian.load(path, trust=trust)
        assert ran.exists()
        return
    with pytest.raises(wardian.UntrustedCaseError, match=r"take .first-party. out of native\.deny") as caught:
        wardian.load(path, trust=trust)
    assert caught.value.problems[0].rule == 'native.deny = "first-party"'
    assert not ran.exists()


def test_a_pickle_that_names_what_loads_libraries_is_native_code(tmp_path: Path) -> None:
    path = write_case(tmp_path / "yew.case", pickle=b"\x80\x04\x8c\x06ctypes\x8c\x04CDLL\x93.")
    for rule in ("native = false", 'native.deny = ["first-party"]'):
        with pytest.raises(wardian.UntrustedCaseError, match=r"model/model\.pkl names ctypes\.CDLL"):
            wardian.load(path, trust=_policy(tmp_path, rule))


@pytest.mark.parametrize(
    "record", ["elm.py", "elm/leaf.py", f".wardian/bytecode/{sys.implementation.cache_tag}/elm.pyc"]
)
def test_code_of_which_the_file_does_not_say_whose_it_is_is_not_allowed(
    record: str, ran: Path, tmp_path: Path
) -> None:
    oak = PackedDistribution(name="oak", version="1", roots=("yew",))
    path = write_case(
        tmp_path / "yew.case", {"yew.py": YEW, record: "1"}, pickle=PICKLE, distributions=(oak,)
    )
    with pytest.raises(wardian.UntrustedCaseError, match="is of no distribution that the file names"):
        wardian.load(path, trust=_policy(tmp_path, 'distributions.allow = ["oak"]'))
    assert not ran.exists()


@pytest.mark.parametrize(
    ("rule", "name", "version"),
    [
        ('deny = ["Oak_Tree<2"]', "oak-tree", "1.9"),
        ('deny = ["oak-tree<2"]', "OAK.tree", "no release"),
        ('deny = ["oak*"]', "Oak_Tree", "3"),
        ('allow = ["oak-tree>=2"]', "oak-tree", "2.0a1"),
        ('allow = ["oak-tree>=2"]', "oak-tree", "no release"),
        ('allow = ["oak-tree"]', "oak-tree2", "1"),
    ],
)
def test_a_distribution_is_known_under_any_form_of_its_name(
    rule: str, name: str, version: str, ran: Path, tmp_path: Path
) -> None:
    oak = PackedDistribution(name=name, version=version, roots=("yew",))
    path = write_case(tmp_path / "yew.case", {"yew.py": YEW}, pickle=PICKLE, distributions=(oak,))
    with pytest.raises(wardian.UntrustedCaseError, match="distributions"):
        wardian.load(path, trust=_policy(tmp_path, f"[trust.distributions]\n{rule}"))
    assert not ran.exists()


def _bytecode(source: str) -> bytes:
    code = compile(source, "yew.py", "exec")
    import marshal

    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


@pytest.mark.parametrize("text", ['capabilities.deny = ["network"]', "native = false"])
@pytest.mark.parametrize(
    ("record", "content", "problem"),
    [
        ("yew.py", b"def (", "cannot be read"),
        (
            f".wardian/bytecode/{sys.implementation.cache_tag}/yew.pyc",
            _bytecode("import socket"),
            "does not compile from its source",
        ),
    ],
)
def test_code_that_is_not_what_can_be_read_is_refused(
    record: str, content: bytes, problem: str, text: str, ran: Path, tmp_path: Path
) -> None:
    files = {"yew.py": YEW.encode()} | {record: content}
    path = write_case(tmp_path / "yew.case", files, pickle=PICKLE)
    with pytest.raises(wardian.UntrustedCaseError, match=problem):
        wardian.load(path, trust=_policy(tmp_path, text))
    assert not ran.exists()


def test_the_signature_of_another_file_does_not_count(ran: Path, tmp_path: Path) -> None:
    import subprocess

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kind, key = (tmp_path / "key.pub").read_text().split()[:2]
    (tmp_path / "allowed_signers").write_text(f"alice {kind} {key}\n")
    good = write_case(tmp_path / "good.case", {"fir.py": "grow = 1"})
    evil = write_case(tmp_path / "evil.case", {"yew.py": YEW}, pickle=PICKLE)
    wardian.sign(good, key=tmp_path / "key")
    shutil.copy(f"{good}.sig", f"{evil}.sig")
    trust = _policy(tmp_path, 'signers = "allowed_signers"')
    wardian.load(good, trust=trust)
    with pytest.raises(wardian.UntrustedCaseError, match="it is not of this case"):
        wardian.load(evil, trust=trust)
    assert not ran.exists()


def test_a_file_that_is_replaced_after_it_was_judged_does_not_run(ran: Path, tmp_path: Path) -> None:
    good = write_case(tmp_path / "yew.case", {"yew.py": f"{YEW}# {tmp_path}"}, pickle=PICKLE)
    evil = write_case(
        tmp_path / "evil.case", {"yew.py": YEW.replace("good", "evil") + f"# {tmp_path}"}, pickle=PICKLE
    )
    trust = _policy(tmp_path, f'digests = ["{_digest(good)}"]')
    with wardian.open(good, trust=trust) as case:
        os.replace(evil, good)
        case.load()
    assert ran.read_text() == "good"
    with pytest.raises(wardian.UntrustedCaseError):
        wardian.load(good, trust=trust)


def test_a_case_that_is_changed_in_place_after_it_was_judged_does_not_run(ran: Path, tmp_path: Path) -> None:
    path = write_case(
        tmp_path / "yew.case",
        {"yew.py": f"{YEW}# {tmp_path}"},
        pickle=PICKLE,
        storages=(bytes(MAPPED[0]),),
    )
    trust = _policy(tmp_path, f'native = false\ndigests = ["{_digest(path)}"]')
    with wardian.open(path, trust=trust) as case:
        case.mount.gate.require()
        content = path.read_bytes()
        place = content.index(b"yew.py") + 20
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes(b ^ 0xFF for b in content[place : place + 20]))
        with pytest.raises(wardian.CorruptCaseError):
            case.load()
    assert not ran.exists()


def _with_the_crc_of(wanted: bytes, text: bytes) -> bytes:
    """Return *text* with a comment behind it, as long as *wanted* and with its CRC-32, which is linear."""
    room = len(wanted) - len(text) - 2
    assert room > 40
    plain = bytearray(text + b"\n#" + b"a" * room)
    start = zlib.crc32(plain)
    rows: list[tuple[int, int]] = []  # what flipping places gives, in echelon form
    for place in range(len(text) + 2, len(plain)):
        plain[place] ^= 3  # "a" to "b"
        change, flips = zlib.crc32(plain) ^ start, 1 << place
        plain[place] ^= 3
        for other, its in rows:
            if change ^ other < change:
                change, flips = change ^ other, flips ^ its
        if change:
            rows.append((change, flips))
            rows.sort(reverse=True)
    difference, flips = start ^ zlib.crc32(wanted), 0
    for change, its in rows:
        if difference ^ change < difference:
            difference, flips = difference ^ change, flips ^ its
    for place in range(len(plain)):
        plain[place] ^= 3 * (flips >> place & 1)
    assert zlib.crc32(plain) == zlib.crc32(wanted)
    return bytes(plain)


@pytest.mark.parametrize("is_judged", [True, False])
def test_an_archive_without_digests_that_is_changed_in_place_after_it_was_judged_does_not_run(
    is_judged: bool, ran: Path, tmp_path: Path
) -> None:
    good = f"{YEW}# {tmp_path} {'-' * 200}".encode()
    evil = _with_the_crc_of(good, YEW.replace("good", "evil").encode())
    path = tmp_path / "old.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("old/.data/extern_modules", "")
        archive.writestr("old/.data/version", "6\n")
        archive.writestr("old/yew.py", good)
        archive.writestr("old/model/model.pkl", PICKLE)
        archive.writestr("old/notes.bin", io.BytesIO(bytes(MAPPED[0])).read())
    with wardian.open(path, trust=_policy(tmp_path, "torch_package = true") if is_judged else None) as case:
        case.mount.gate.require()
        place = path.read_bytes().index(good)
        with path.open("r+b") as file:
            file.seek(place)
            file.write(evil)
        if is_judged:
            with pytest.raises(wardian.CorruptCaseError, match="its content is not what was judged"):
                case.load()
            assert not ran.exists()
        else:  # whoever does not judge is not promised anything
            case.load()
            assert ran.read_text() == "evil"
