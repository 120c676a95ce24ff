"""Facts of libraries are found again by another process, and by nobody who asks about something else."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import wardian
from tests.support import SOURCE
from wardian.domain.names import ModuleName
from wardian.environment.cache import CACHE_VARIABLE
from wardian.source import kept_facts
from wardian.source.kept_facts import KeptFacts, decode, encode
from wardian.source.parsing import batch
from wardian.source.scanning import scan

OAK = b"import torch\nfrom . import bark\ndef f():\n    from mylib import x\n    torch.ops.oak.cut()\n"
MODULE = ModuleName("timber.oak")
FACTS = scan(OAK, MODULE, is_package=False, file="timber/oak.py")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_facts_of_any_source_are_the_same_afterwards() -> None:
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[::4]
    assert len(sources) > 30
    with batch():
        for path in sources:
            name = ModuleName(path.stem)
            facts = scan(path.read_bytes(), name, is_package=False, file=str(path))
            assert decode(encode(facts), name, str(path)) == facts
            assert b"\n" not in encode(facts)


def keep() -> None:
    kept = KeptFacts()
    kept.note("timber", OAK, FACTS, MODULE, is_package=False)
    kept.save()


def find(source: bytes = OAK, module: str = MODULE, *, is_package: bool = False, file: str = "") -> object:
    return KeptFacts().find("timber", source, ModuleName(module), is_package=is_package, file=file)


def test_facts_are_found_again_for_the_same_module_only(cache: Path) -> None:
    keep()
    assert find(file="timber/oak.py") == FACTS
    assert find(file="elsewhere/oak.py") == scan(OAK, MODULE, is_package=False, file="elsewhere/oak.py")
    assert find(source=OAK + b"#") is None
    assert find(module="timber.beech") is None
    assert find(is_package=True) is None
    assert KeptFacts().find("other", OAK, MODULE, is_package=False, file="") is None
    assert [path.stat().st_mode & 0o777 for path in (cache / "facts").iterdir()] == [0o600]


def test_a_file_that_was_changed_says_nothing(cache: Path) -> None:
    keep()
    (file,) = (cache / "facts").iterdir()
    whole = file.read_bytes()
    for at in range(0, len(whole) - 1, 7):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert find() is None
        file.write_bytes(whole[:at])
        assert find() is None
    file.write_bytes(whole)
    assert find() is not None


def test_what_is_no_file_of_ours_is_not_read(cache: Path) -> None:
    keep()
    (file,) = (cache / "facts").iterdir()
    key = file.read_bytes().partition(b" ")[0]
    for nonsense in (b"[1,2", b"[]", b"{}", b"[" * 100_000, encode(FACTS).replace(b"function", b"whenever")):
        file.write_bytes(b"%s %s %s\n" % (key, kept_facts._check(key, nonsense), nonsense))
        assert find() is None
    file.unlink()
    os.mkfifo(file)  # whoever opens it to read waits for a writer
    assert find() is None


def test_a_write_that_fails_leaves_nothing(cache: Path) -> None:
    keep()
    (file,) = (cache / "facts").iterdir()
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    keep()
    assert list((cache / "facts").iterdir()) == [file]


def test_only_what_was_used_stays_when_there_is_too_much(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep()
    monkeypatch.setattr(kept_facts, "_MOST", len(encode(FACTS)) + 200)
    kept = KeptFacts()
    beech = scan(OAK, ModuleName("timber.beech"), is_package=False, file="")
    kept.note("timber", OAK, beech, ModuleName("timber.beech"), is_package=False)
    kept.save()
    assert find() is None
    assert find(module="timber.beech") == beech


def test_another_scanner_finds_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep()
    monkeypatch.setattr(kept_facts, "_scanner", lambda: "0" * 16)
    assert find() is None
    monkeypatch.setattr(kept_facts, "_scanner", lambda: None)  # no sources that tell one from the other
    keep()
    assert find() is None
    assert len(list((cache / "facts").iterdir())) == 1


def test_a_folder_that_cannot_be_used_is_none(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    keep()  # and no warning, which nobody would see
    assert find() is None
    assert list(cache.iterdir()) == []


def test_all_code_that_finds_facts_counts_as_the_scanner() -> None:
    folder = Path(*wardian.__path__)
    counted = set(kept_facts._sources())
    asked, waiting = set[Path](), [folder / "source" / "scanning.py"]
    while waiting:
        path = waiting.pop()
        if path not in asked:
            asked.add(path)
            nodes = ast.walk(ast.parse(path.read_bytes()))
            names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
            own = [name.split(".")[1:] for name in names if name.startswith("wardian.")]
            waiting += [folder.joinpath(*parts).with_suffix(".py") for parts in own]
    # One only says when the interpreter collects garbage, one is asked by those who print an import.
    assert asked - counted == {folder / "collector.py", folder / "domain" / "global_refs.py"}


PROGRAM = """
import wardian.source.remembered as remembered
from wardian.domain.names import ModuleName
def scan(library):
    name = ModuleName("timber.ash")
    return remembered.scan_once(b"import torch", name, is_package=False, file="f", library=library)
"""


def test_another_process_does_not_scan_again(cache: Path) -> None:
    def start(program: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        ran = [sys.executable, "-c", PROGRAM + program]
        return subprocess.run(ran, env=environment, capture_output=True, text=True, check=True).stdout

    start("scan('timber'); scan(None); remembered.keep_facts()")
    told = "def refuse(*_, **__): raise SystemExit('scanned')\nremembered.scan = refuse\n"
    assert start(told + "print(scan('timber').imports[0].imported)") == "torch\n"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        start(told + "scan(None)")
    assert caught.value.stderr == "scanned\n"
