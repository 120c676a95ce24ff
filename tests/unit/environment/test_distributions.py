"""The installed distributions, written here: what each has, and whose a module or a file is."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sites import SITE
from tests.support import importable, write_tree
from wardian.domain.names import ModuleName
from wardian.environment import distributions as module
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "site", SITE)


def test_a_distribution_knows_its_files_roots_and_requirements(site: Path) -> None:
    with importable(site):
        found = Distributions.current()["seed_bank"]
        assert (found.name, found.version, found.editable) == ("seed-bank", "1.4", False)
        assert found.roots == {"seedbank", "shared"}
        assert [str(path) for path in found.files if ".dist-info" not in str(path)] == [
            "seedbank/__init__.py",
            "seedbank/labels.txt",
            "seedbank/vault.py",
            "shared/north.py",
        ]
        assert found.requires == {"seed-tools"}
        assert Distributions.current()["seed-tools"].requires == {"seed-trays", "seed-lamps"}
        assert Distributions.current()["seed-tools"].requires_everywhere == {"seed-trays"}
        installed = {"seed-bank", "seed-tools", "seed-lamps"}
        assert Distributions.current().closure("Seed.Bank") == installed
        assert Distributions.current().closure("Seed.Bank", everywhere=True) == {"seed-bank", "seed-tools"}
        assert Distributions.current().get("leftover") is None
    assert Distributions.current().get("seed-bank") is None


def test_a_distribution_without_a_list_of_its_files_has_those_of_the_package_of_its_name(site: Path) -> None:
    with importable(site):
        found = Distributions.current()["seed-lamps"]
        assert found.roots == {"seed_lamps"}
        assert found.files == ("seed_lamps/__init__.py",)


def _link_folders(real: Path, linked: Path) -> None:
    for entry in real.iterdir():
        (linked / entry.name).symlink_to(entry)


def _link_files(real: Path, linked: Path) -> None:
    for file in (path for path in real.rglob("*") if path.is_file()):
        place = linked / file.relative_to(real)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)


def _link_packages(real: Path, linked: Path) -> None:
    for entry in real.iterdir():
        if entry.suffix == ".dist-info":
            shutil.copytree(entry, linked / entry.name)
        else:
            (linked / entry.name).symlink_to(entry)


@pytest.mark.parametrize("link", [_link_folders, _link_files, _link_packages])
def test_what_is_linked_into_an_environment_is_installed_there(
    link: Callable[[Path, Path], None], site: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    link(site, linked)
    with importable(linked):
        distributions = Distributions.current()
        assert find_module(ModuleName("seedbank.vault"), distributions).distribution == "seed-bank"
        assert find_module(ModuleName("seed_tool"), distributions).distribution == "seed-tools"
        assert find_module(ModuleName("shared.south"), distributions).distribution == "seed-tools"
        assert distributions.owner_of_file(str(linked / "seedbank/labels.txt")) == "seed-bank"
        if link is not _link_packages:  # by the name that the system has for a library that is mapped
            assert distributions.owner_of_file(str(site / "seedbank/labels.txt")) == "seed-bank"


VENDORED = """
--- greenhouse/__init__.py
--- greenhouse/thirdparty/pump/__init__.py
--- greenhouse/thirdparty/pump/_valve.abi3.so
--- greenhouse/thirdparty/hose.py
--- greenhouse-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: greenhouse
Version: 2.0
--- greenhouse-2.0.dist-info/RECORD
greenhouse/__init__.py,,
greenhouse/thirdparty/pump/__init__.py,,
greenhouse/thirdparty/pump/_valve.abi3.so,,
greenhouse/thirdparty/hose.py,,
"""
PUMP = """
--- pump/__init__.py
--- pump-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: pump
Version: 1.0
--- pump-1.0.dist-info/RECORD
pump/__init__.py,,
"""


@pytest.mark.parametrize("is_installed", [False, True])
def test_what_a_distribution_has_put_on_the_path_belongs_to_a_distribution(
    tmp_path: Path, is_installed: bool
) -> None:
    site = write_tree(tmp_path / "site", VENDORED + (PUMP if is_installed else ""))
    (site / "greenhouse/thirdparty/own.py").touch()
    owner = "pump" if is_installed else "greenhouse"
    with importable(site / "greenhouse/thirdparty", site):
        distributions = Distributions.current()
        for name in ("pump", "pump._valve"):
            facts = find_module(ModuleName(name), distributions)
            assert facts.distribution == owner, name
            assert "thirdparty" in (facts.file or "")
        assert find_module(ModuleName("hose"), distributions).distribution == "greenhouse"
        assert find_module(ModuleName("own"), distributions).distribution is None


def test_of_a_distribution_that_is_there_twice_both_files_are_its_own(tmp_path: Path) -> None:
    # A clean process, which has not imported the one that brings the other copy, finds the installed one.
    site = write_tree(
        tmp_path / "site",
        f"""{VENDORED}{PUMP}
--- pump/_valve.abi3.so
--- greenhouse/thirdparty/pump-1.1.dist-info/METADATA
Metadata-Version: 2.1
Name: pump
Version: 1.1
--- greenhouse/thirdparty/pump-1.1.dist-info/RECORD
pump/__init__.py,,
pump/_valve.abi3.so,,
""",
    )
    with importable(site / "greenhouse/thirdparty", site):
        distributions = Distributions.current()
        assert distributions["pump"].version == "1.1"
        for folder in (site, site / "greenhouse/thirdparty"):
            file = str(folder / "pump/__init__.py")
            assert distributions.owner(ModuleName("pump"), file) == "pump"
            assert distributions.owner_of_file(file) == "pump"
            valve = str(folder / "pump/_valve.abi3.so")
            assert distributions.owner(ModuleName("pump._valve"), valve) == "pump"
        assert [d.name for d in distributions.providing("pump")] == ["pump"]


def test_what_setuptools_leaves_beside_sources_makes_no_distribution_of_them(tmp_path: Path) -> None:
    tree = """
    --- src/garden/__init__.py
    --- src/garden.egg-info/PKG-INFO
    Metadata-Version: 2.1
    Name: garden
    Version: 3.1
    --- src/garden.egg-info/SOURCES.txt
    --- src/garden.egg-info/top_level.txt
    garden
    """
    with importable(write_tree(tmp_path, tree) / "src"):
        assert find_module(ModuleName("garden"), Distributions.current()).distribution is None
        found = Distributions.current()["garden"]
        assert (found.version, found.editable) == ("3.1", True)
        assert b"Version: 3.1" in found.metadata_files()["METADATA"]


def test_what_is_installed_is_read_again_when_it_changes_and_not_for_other_files(tmp_path: Path) -> None:
    with importable(tmp_path):
        before = Distributions.current()
        (tmp_path / "results.txt").write_text("new")
        assert Distributions.current() is before
        write_tree(tmp_path, "--- seedling-1.0.dist-info/METADATA\nName: seedling\nVersion: 1.0\n")
        assert Distributions.current()["seedling"].version == "1.0"
        shutil.rmtree(tmp_path / "seedling-1.0.dist-info")
        assert Distributions.current().get("seedling") is None


LICENSED = """
--- fir/__init__.py
--- fir-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: fir
Version: 1.0
License-File: TERMS.txt

License-File: not-a-header.txt
--- fir-1.0.dist-info/LICENCE
one
--- fir-1.0.dist-info/TERMS.txt
two
--- fir-1.0.dist-info/licenses/deep/NOTICE
three
--- fir-1.0.dist-info/not-a-header.txt
--- fir-1.0.dist-info/top_level.txt
fir
--- fir-1.0.dist-info/RECORD
fir/__init__.py,,
fir-1.0.dist-info/METADATA,,
fir-1.0.dist-info/LICENCE,,
fir-1.0.dist-info/TERMS.txt,,
fir-1.0.dist-info/COPYING,,
fir-1.0.dist-info/not-a-header.txt,,
fir-1.0.dist-info/licenses/deep/NOTICE,,
"""


def licences(site: Path) -> tuple[list[str], list[str]]:
    """The licences that are listed, and those whose text is there."""
    files = Distributions([str(site)])["fir"].metadata_files()
    listed = files.get("licence_files", b"").decode().splitlines()
    return [line.partition(" ")[2] for line in listed], [
        name for name in files if name.startswith("licenses/")
    ]


def test_licences_are_those_that_are_named_or_called_so(tmp_path: Path) -> None:
    site = write_tree(tmp_path, LICENSED)
    files = Distributions([str(site)])["fir"].metadata_files()
    assert set(files) == {
        "METADATA",
        "top_level.txt",
        "licence_files",
        "licenses/LICENCE",
        "licenses/TERMS.txt",
        "licenses/deep/NOTICE",
    }
    assert files["licenses/TERMS.txt"] == b"two\n"
    assert (
        f"{hashlib.sha256(b'two' + bytes([10])).hexdigest()} TERMS.txt\n" in files["licence_files"].decode()
    )


def test_a_text_that_is_too_large_is_listed_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write_tree(tmp_path, LICENSED)
    (site / "fir-1.0.dist-info/TERMS.txt").write_text("x" * 10)
    everything = ["LICENCE", "TERMS.txt", "deep/NOTICE"]
    monkeypatch.setattr(module, "_LARGEST_LICENCE", 10)
    assert licences(site) == (everything, [f"licenses/{name}" for name in everything])
    monkeypatch.setattr(module, "_LARGEST_LICENCE", 9)
    assert licences(site) == (everything, ["licenses/LICENCE", "licenses/deep/NOTICE"])
    monkeypatch.setattr(module, "_LARGEST_LICENCE", 10)
    monkeypatch.setattr(module, "_MOST_OF_LICENCES", 14)  # of 4, 10 and 6 bytes
    assert licences(site) == (everything, ["licenses/LICENCE", "licenses/TERMS.txt"])


def test_a_licence_is_no_way_to_files_of_others(tmp_path: Path) -> None:
    site = write_tree(tmp_path / "site", LICENSED)
    (tmp_path / "secret").write_text("topsecret")
    info = site / "fir-1.0.dist-info"
    (info / "COPYING").symlink_to(tmp_path / "secret")
    assert "COPYING" not in licences(site)[0]
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"topsecret").digest()).rstrip(b"=").decode()
    record = info / "RECORD"
    record.write_text(record.read_text().replace("COPYING,,", f"COPYING,sha256={digest},9"))
    assert "COPYING" in licences(site)[0]  # an installer has made the link: it is the file that was installed
    os.remove(info / "LICENCE")
    os.mkfifo(info / "LICENCE")
    assert "LICENCE" not in licences(site)[0]


def test_a_distribution_without_a_version_or_a_name_is_told_or_left_out(tmp_path: Path) -> None:
    tree = """
    --- a-1.0.dist-info/METADATA
    Name: a
    --- b-1.0.dist-info/METADATA
    Version: 1.0

    Name: b
    """
    found = Distributions([str(write_tree(tmp_path, tree))])
    assert found["a"].version == "0"
    assert found.get("b") is None


def test_where_several_share_a_package_without_a_file_nobody_owns_it(site: Path) -> None:
    found = Distributions([str(site)])
    assert found.owner(ModuleName("shared"), None) is None
    assert found.owner(ModuleName("seedbank.vault"), None) == "seed-bank"
    assert sorted(one.name for one in found.providing("shared")) == ["seed-bank", "seed-tools"]
    assert found.providing("nothing") == []


def test_the_one_nearer_to_the_beginning_of_the_path_counts(tmp_path: Path) -> None:
    tree = "--- oak-{0}.dist-info/METADATA\nName: oak\nVersion: {0}\n"
    near, far = (write_tree(tmp_path / v, tree.format(v)) for v in ("1.0", "2.0"))
    assert Distributions([str(near), str(far)])["oak"].version == "1.0"
    assert Distributions([str(far), str(near)])["oak"].version == "2.0"
