"""From what was decided to the file: its records, and what its manifest says of them."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import NOTHING
from wardian.archive import ArchiveReader
from wardian.archive.writer import ArchiveWriter
from wardian.domain.manifest import Manifest
from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import ModuleName, RecordName
from wardian.domain.policy import Action
from wardian.domain.record_names import SERIALIZATION_ID, bytecode_record, metadata_record
from wardian.errors import PackError
from wardian.package._closure import Closure, Member
from wardian.package._modules import FoundModule, stand_in_source
from wardian.package._writing import PickledEntry, record_of, write


def member(name: str, action: Action = Action.INTERN, owner: str | None = None, **facts: Any) -> Member:
    module = ModuleName(name)
    found = FoundModule(ModuleFacts(module, ModuleKind.SOURCE, None, False, owner), lambda: None)
    return Member(module, action, "a rule", found=found, **facts)


def written(
    folder: Path,
    *members: Member,
    entries: Sequence[str] = (),
    resources: dict[str, bytes] | None = None,
    absent: set[str] | None = None,
) -> tuple[Manifest, dict[str, bytes]]:
    closure = Closure(absent=absent or set())
    for one in members:
        closure.members[one.module] = one
        closure.graph.add_node(one.module, action=one.action)
    pickles = [PickledEntry(RecordName(name), "builtins.NoneType", NOTHING, ()) for name in entries]
    with ArchiveWriter(folder / "a.case") as archive:
        write(archive, closure, pickles, {RecordName(n): d for n, d in (resources or {}).items()}, {})
        archive.publish()
    with ArchiveReader.open(folder / "a.case") as reader:
        manifest = Manifest.from_json(reader.manifest, path=reader.label)
        return manifest, {name: reader.read(name) for name in reader.names}


def test_a_source_has_the_record_of_a_module_or_package() -> None:
    assert record_of(member("mylib.nn.ops")) == "mylib/nn/ops.py"
    assert record_of(member("mylib.nn", is_package=True)) == "mylib/nn/__init__.py"


def test_sources_and_stand_ins_pickles_and_resources_are_there(tmp_path: Path) -> None:
    manifest, records = written(
        tmp_path,
        member("mylib", source=b"x = 1", is_package=True),
        member("plots", Action.MOCK, source=stand_in_source()),
        member("json", Action.EXTERN),
        entries=["model/b.pkl", "model/a.pkl"],
        resources={"model/notes.txt": b"soil"},
    )
    assert records["mylib/__init__.py"] == b"x = 1"
    assert records["plots.py"] == stand_in_source()
    assert records["model/notes.txt"] == b"soil"
    assert records["model/a.pkl"] == NOTHING
    assert [entry.name for entry in manifest.entries] == ["model/a.pkl", "model/b.pkl"]
    assert manifest.mocks == ("plots",)
    assert {root for packed in manifest.distributions for root in packed.roots} == {"mylib", "plots", "model"}


def test_externs_are_told_by_distribution_and_torch_is_always_one(tmp_path: Path) -> None:
    manifest, _ = written(
        tmp_path,
        member("orchardnumbers.core", Action.EXTERN, "orchard-numbers"),
        member("orchardnumbers", Action.EXTERN, "orchard-numbers"),
        member("orchardloose.x", Action.EXTERN),
        member("orchardloose2", Action.EXTERN),
        member("torch.nn", Action.EXTERN, "torch"),
        member("json.decoder", Action.EXTERN),
    )
    externs = {(e.distribution, e.modules): e.soft for e in manifest.externs}
    assert externs == {
        ("orchard-numbers", ("orchardnumbers", "orchardnumbers.core")): True,  # imported by nobody here
        (None, ("orchardloose.x",)): True,
        (None, ("orchardloose2",)): True,
        ("torch", ("torch", "torch.nn")): False,
    }


def test_what_a_packaged_part_of_the_standard_library_needs_is_an_extern(tmp_path: Path) -> None:
    manifest, _ = written(
        tmp_path, member("json", source=b"", is_package=True), member("json.decoder", Action.EXTERN)
    )
    assert [e.modules for e in manifest.externs if e.distribution != "torch"] == [("json.decoder",)]


def test_what_was_absent_is_not_what_is_inside_or_outside(tmp_path: Path) -> None:
    manifest, _ = written(
        tmp_path,
        member("mylib", source=b""),
        member("orchardnumbers", Action.EXTERN),
        absent={"mylib", "orchardnumbers", "orchardgone"},
    )
    assert manifest.absent == ("orchardgone",)


def test_equal_packages_have_one_serialization_id_and_others_another(tmp_path: Path) -> None:
    def serial(source: bytes) -> bytes:
        _, records = written(tmp_path, member("mylib", source=source), entries=["model/a.pkl"])
        return records[SERIALIZATION_ID]

    assert serial(b"x = 1") == serial(b"x = 1") != serial(b"x = 2")
    assert len(serial(b"")) == 40
    assert serial(b"").isdigit()


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"mylib\.py"):
        written(tmp_path, member("mylib", source=b""), resources={"mylib.py": b""})
    assert list(tmp_path.iterdir()) == []


def test_what_runs_when_the_package_is_used_has_bytecode(tmp_path: Path) -> None:
    read: dict[str, Any] = {"scanned": True, "source": b"x = 1"}
    given = Member(ModuleName("given"), Action.INTERN, "saved as source", b"x = 1", scanned=True)
    _, records = written(
        tmp_path,
        given,
        member("wardian.nothing", **read),  # installed, and not imported here
        member("plots", Action.MOCK, **read),
        member("unread", source=b"def f(:"),
    )
    compiled = {name for name in records if name.endswith(".pyc")}
    assert compiled == {bytecode_record(sys.implementation.cache_tag, "given")}


def test_a_packaged_distribution_comes_with_its_metadata_and_version(tmp_path: Path) -> None:
    manifest, records = written(tmp_path, member("packaging", owner="packaging", source=b"", is_package=True))
    (packed,) = manifest.distributions
    assert (packed.name, packed.version) == ("packaging", importlib.metadata.version("packaging"))
    assert b"Name: packaging" in records[metadata_record("packaging", "METADATA")]


def test_torch_package_is_told_the_names_of_external_modules(tmp_path: Path) -> None:
    _, records = written(
        tmp_path, member("mylib", source=b""), member("csv", Action.EXTERN), member("numpy", Action.EXTERN)
    )
    (name,) = (name for name in records if name.endswith("extern_modules"))
    assert records[name].decode().split() == ["csv", "numpy"]
