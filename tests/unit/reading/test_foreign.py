"""The manifest of an archive of torch.package, and cases whose manifest contradicts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import archives
from tests.archives import Forged
from tests.support import write_case
from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Entry, Extern, Library, Manifest, TensorEntry
from wardian.errors import CorruptCaseError
from wardian.reading.foreign import allowed_externs, extern_modules, is_allowed, manifest_of, read_manifest

PICKLE = b"\x80\x02N."
PACKAGE = {
    ".data/extern_modules": b"torch\nnumpy.random\nnumpy\nos\n",
    ".data/python_version": b"3.9.1\n",
    ".data/0.storage": b"weights",
    "oak/net.py": b"x = 1",
    "elm.py": b"x = 1",
    "model/model.pkl": PICKLE,
    "model/other.pkl": b"\x80\x06N.",
    "model/notes.txt": b"\x80\x02",
    "top.pkl": PICKLE,
}


def package(**records: bytes) -> ArchiveReader:
    entries = [Forged(f"p/{name}".encode(), content) for name, content in {**PACKAGE, **records}.items()]
    return ArchiveReader.open(archives.forge(entries, sealed=False))


def test_what_torch_package_leaves_out_is_told_by_the_records() -> None:
    with package() as archive:
        manifest = read_manifest(archive)
        assert manifest == manifest_of(archive)
    # PROTO with a number that exists, below a folder; two bytes are no pickle.
    assert [entry.name for entry in manifest.entries] == ["model/model.pkl"]
    assert [packed.roots for packed in manifest.distributions] == [("elm", "model", "oak")]
    assert [extern.modules for extern in manifest.externs] == [("numpy.random", "numpy"), ("torch",)]
    assert (manifest.python.version, manifest.proof, manifest.records) == ("3.9.1", "skipped", {})


def test_a_folder_is_read_as_its_archive_was(tmp_path: Path) -> None:
    for name, content in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with package() as archive, FolderReader(tmp_path) as folder:
        assert read_manifest(folder) == read_manifest(archive)


def test_a_version_that_is_not_there_is_no_damage_but_a_list_of_externs_is(tmp_path: Path) -> None:
    with package(**{".data/python_version": b""}) as archive:
        assert read_manifest(archive).python.version == ""
    for record in (".data/extern_modules", ".data/python_version"):
        with (
            package(**{record: b"\xff"}) as archive,
            pytest.raises(CorruptCaseError, match="is not UTF-8") as e,
        ):
            read_manifest(archive)
        assert e.value.record == record
    case = ArchiveReader.open(write_case(tmp_path / "oak.case"))
    with case, pytest.raises(CorruptCaseError, match=r"record '\.data/extern_modules' is not there"):
        extern_modules(case)


# What packed code may import


@pytest.mark.parametrize(
    ("name", "above", "may"),
    [
        ("scipy", True, True),
        ("scipy.stats", True, True),
        ("sklearn.base", True, True),
        ("sklearn.base.deep", True, True),
        ("sklearn", True, True),
        ("sklearn", False, False),
        ("sklearn.other", True, False),
        ("scip", True, False),
        ("scipyx", True, False),
        ("torch.nn", False, True),
        ("numpy", False, True),
        ("os.path", False, True),
        ("requests", True, False),
    ],
)
def test_an_extern_lets_through_what_is_below_it(name: str, above: bool, may: bool) -> None:
    assert is_allowed(name, allowed_externs(["scipy", "sklearn.base"]), above=above) is may


NAME = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)


@given(NAME, st.sets(NAME))
def test_to_allow_more_refuses_nothing_that_was_allowed(name: str, modules: set[str]) -> None:
    below = allowed_externs(sorted(modules))
    for known in modules:
        assert is_allowed(known, below, above=False)
        assert is_allowed(f"{known}.x", below, above=False)
    assert is_allowed(name, below) <= is_allowed(name, allowed_externs([*modules, "a.b"]))


# Cases that contradict themselves


def manifest_with(folder: Path, **facts: Any) -> Manifest:
    with ArchiveReader.open(write_case(folder / "oak.case", {"oak.py": ""}, **facts)) as archive:
        return read_manifest(archive)


def entry(**facts: Any) -> Entry:
    plain = {"name": "model", "record": "model/model.pkl", "type": "x", "test": None, "outputs": False}
    return Entry(**{**plain, **facts})


def extern(**facts: Any) -> Extern:
    plain = {"distribution": "torch", "version": "2.0", "modules": ("torch",), "names": (), "soft": False}
    return Extern(**{**plain, **facts})


def tensor(record: str) -> TensorEntry:
    return TensorEntry(
        entry="model",
        name="weight",
        record=record,
        dtype="uint8",
        shape=(1,),
        stride=(1,),
        offset=0,
        requires_grad=False,
        kind="parameter",
        form=None,
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"entries": (entry(), entry())}, "two entry points 'model'"),
        ({"entries": (entry(record="gone.pkl"),)}, "is in 'gone.pkl', which is not in the archive"),
        (
            {"entries": (entry(test="oak.py"),)},
            "the self-test of 'model' is in 'oak.py', not in .wardian/tests/",
        ),
        ({"externs": (extern(distribution="-e"),)}, "'-e' is no name of a distribution"),
        ({"externs": (extern(distribution="a" * 129),)}, "is no name of a distribution"),
        ({"externs": (extern(version="1 --evil"),)}, "is no version"),
        ({"externs": (extern(names=("torch.nn; x",)),)}, "is no name of a module that torch has"),
        ({"externs": (extern(names=("numpy.x",)),)}, "'numpy.x' is no name of a module that torch has"),
        ({"tensors": (tensor("oak.py"),)}, "tensor 'weight' is in 'oak.py', which is no storage"),
        (
            {"libraries": (Library(record="gone.so", operators=(), torch="", system="", machine=""),)},
            "the library 'gone.so' is not in the archive",
        ),
    ],
)
def test_a_manifest_that_contradicts_its_archive_is_refused(
    facts: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(CorruptCaseError, match="the manifest contradicts the archive") as caught:
        manifest_with(tmp_path, **facts)
    assert words in str(caught.value)
    assert caught.value.record == ".wardian/manifest.json"


def test_names_that_compilers_and_people_give_are_good(tmp_path: Path) -> None:
    good = extern(
        distribution="a" * 128,
        version="1!2.0+cu118",
        modules=("81d243bd2c585b0f4821__mypyc", "torch"),
        names=("torch.nn.functional",),
    )
    assert manifest_with(tmp_path, externs=(good,)).externs == (good,)


def test_digests_of_a_manifest_are_those_that_its_records_must_have(tmp_path: Path) -> None:
    with ArchiveReader.open(write_case(tmp_path / "oak.case", {"oak.py": "x = 1"})) as archive:
        read_manifest(archive)
        assert archives.name("oak.py") in archive._expected
