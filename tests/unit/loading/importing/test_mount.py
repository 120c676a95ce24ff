"""An open case as a package: names, globals, and what is said of modules that are not there."""

from __future__ import annotations

import inspect
import linecache
import pickle
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Manifest, PackedDistribution
from wardian.errors import ModuleNotInCaseError
from wardian.loading.importing.mount import Mount

FERN = """
--- fern/__init__.py
class Frond:
    class Tip: pass
--- fern/soil.py
--- fern/broken.py
import notinstalled
--- notes.txt
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with wardian.open(write_case(tmp_path / "fern.case", FERN, absent=("moss",))) as case:
        yield case.mount


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveReader]:
    with ExitStack() as stack:
        yield stack.enter_context(ArchiveReader.open(write_case(tmp_path / "fern.case", FERN)))


def bare(archive: ArchiveReader, **options: Any) -> Mount:
    """A mount that no finder knows."""
    manifest = Manifest.from_json(archive.manifest, path=archive.label)
    return Mount("wardian.live.bare_0123abcd", archive, manifest, **options)


def test_full_names_and_own_names(mount: Mount) -> None:
    assert mount.full_name("fern.soil") == f"{mount.name}.fern.soil"
    assert mount.full_name("") == mount.name
    assert mount.own_name(f"{mount.name}.fern.soil") == "fern.soil"
    for other in ("fern.soil", mount.name, f"{mount.name}x.fern"):
        assert mount.own_name(other) is None


def test_a_global_is_of_the_case_or_of_the_environment(mount: Mount) -> None:
    fern = mount.import_module("fern")
    assert mount.find_global("fern", "Frond.Tip") is fern.Frond.Tip
    assert mount.find_global("fern", "") is fern
    assert mount.find_global("json", "dumps").__module__ == "json"
    with pytest.raises(AttributeError, match="Root"):
        mount.find_global("fern", "Root")
    with pytest.raises(ModuleNotFoundError, match="notinstalled"):
        mount.find_global("notinstalled", "x")


def test_what_was_absent_stays_absent(mount: Mount) -> None:
    for name in ("moss", "moss.spore"):
        with pytest.raises(
            ModuleNotInCaseError, match=f"No module named '{name}': it was not installed"
        ) as caught:
            mount.check_external(name)
        assert caught.value.name == name
    mount.check_external("json")
    with pytest.raises(ModuleNotInCaseError):
        mount.find_global("moss", "x")


def test_only_what_is_allowed_comes_from_the_environment(archive: ArchiveReader) -> None:
    mount = bare(archive, allows=lambda name: name == "json")
    mount.check_external("json")
    with pytest.raises(ModuleNotInCaseError, match=r'\.intern\("csv"\) or \.extern\("csv"\)'):
        mount.check_external("csv")


def test_a_module_of_the_users_that_nothing_led_to_is_told_with_its_fix(mount: Mount) -> None:
    with pytest.raises(ModuleNotInCaseError) as caught:
        mount.import_packed("fern.root")
    assert f"No module named 'fern.root' in {mount.archive.label}" in str(caught.value)
    assert "fix: pack with inputs" in str(caught.value)
    with pytest.raises(
        ModuleNotFoundError, match="notinstalled"
    ) as other:  # it is there, and its import fails
        mount.import_packed("fern.broken")
    assert type(other.value) is ModuleNotFoundError
    assert mount.import_packed("fern") is mount.import_module("fern")


def test_of_a_distribution_the_usual_error_is_told(tmp_path: Path) -> None:
    packed = PackedDistribution(name="fern", version="1.0", roots=("fern",))
    with wardian.open(write_case(tmp_path / "lib.case", FERN, distributions=(packed,))) as case:
        with pytest.raises(ModuleNotFoundError) as caught:
            case.mount.import_packed("fern.root")
        assert type(caught.value) is ModuleNotFoundError


def test_a_path_leads_to_the_module_whose_source_would_be_there(mount: Mount) -> None:
    folder = Path(str(mount.import_module("fern").__file__)).parent
    assert mount.module_at(folder / "soil.py") == "fern.soil"
    assert mount.module_at(folder / "__init__.py") == "fern"
    assert mount.module_at(folder / "root.py") is None
    assert mount.module_at(folder.parent / "notes.txt") is None
    assert mount.module_at(__file__) is None


def test_lines_are_shown_of_what_was_imported(mount: Mount) -> None:
    module = mount.import_module("fern")
    file = str(module.__file__)
    linecache.cache.pop(file, None)
    mount.show_sources()
    assert linecache.getline(file, 1) == "class Frond:\n"
    assert inspect.getsource(module.Frond).startswith("class Frond:")


def test_a_pickle_has_a_mount_by_its_name(mount: Mount) -> None:
    sys.modules.pop(mount.name, None)
    assert pickle.loads(pickle.dumps(mount)) is mount


def test_the_files_of_an_archive_of_torch_package_have_a_digest_of_their_own(
    archive: ArchiveReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = bare(archive)
    assert mount._digest_of_files() == archive.digest
    monkeypatch.setattr(archive, "digest", None)
    digest = mount._digest_of_files()
    assert len(digest) == 64
    assert digest == mount._digest_of_files() != archive.digest
