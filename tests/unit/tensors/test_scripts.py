"""TorchScript goes into an archive by PyTorch's serializer, and shares storages with tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from wardian.archive import ArchiveReader
from wardian.archive.writer import ArchiveWriter
from wardian.domain.names import RecordName
from wardian.tensors.scripts import (
    ScriptingStorageWriter,
    _Sink,
    device_for_scripts,
    open_draft_for_scripts,
    open_for_scripts,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated", "ignore:.*is deprecated")


def scripted(weight: torch.Tensor | None = None) -> Any:
    model = nn.Linear(3, 2, bias=False)
    if weight is not None:
        model.weight = nn.Parameter(weight)
    return torch.jit.script(model)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ArchiveWriter]:
    with ArchiveWriter(tmp_path / "scripts.case") as archive:
        yield archive


def publish(archive: ArchiveWriter, records: dict[RecordName, bytes]) -> None:
    for name, content in {RecordName("version"): b"3\n", **records}.items():
        archive.add(name, content)
    archive.finish(lambda digests: b"{}")
    archive.publish()


def load(reader: Any, number: int = 0) -> Any:
    unit = torch._C.CompilationUnit()
    load_module: Any = torch._C._import_ir_module_from_package
    wrap: Any = torch.jit._recursive.wrap_cpp_module
    return wrap(load_module(unit, reader, None, None, str(number)))


def test_a_storage_that_tensors_and_scripts_have_is_written_once(
    writer: ArchiveWriter, tmp_path: Path
) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    model, other = scripted(weight), torch.ones(3)
    storages = ScriptingStorageWriter(writer)
    first = storages.add(weight.untyped_storage())
    storages.serializer.serialize(model._c, 0)
    records = storages.finish_scripts()
    assert first == storages.key_of(weight) == storages.key_of(model.weight) == "0"
    assert storages.add(other.untyped_storage()) == "1"
    publish(writer, records)
    with ArchiveReader.open(tmp_path / "scripts.case") as archive:
        assert [name for name in archive.names if name.endswith(".storage")] == [
            ".data/0.storage",
            ".data/1.storage",
        ]
        assert archive.read(RecordName(".data/0.storage")) == weight.numpy().tobytes()
        assert load(open_for_scripts(archive)).weight.tolist() == weight.tolist()
    loaded = load(open_draft_for_scripts(tmp_path / "scripts.case"))
    assert torch.equal(loaded(torch.ones(3)), model(torch.ones(3)))


def test_a_storage_that_a_script_brought_has_its_number_for_tensors(writer: ArchiveWriter) -> None:
    model = scripted(torch.arange(6.0).reshape(2, 3))
    storages = ScriptingStorageWriter(writer)
    assert storages.key_of(model.weight) is None
    storages.serializer.serialize(model._c, 0)
    assert storages.key_of(torch.ones(1)) is None
    assert storages.key_of(model.weight) == "0"
    assert storages.add(model.weight.untyped_storage()) == "0"
    assert storages.add(torch.ones(1).untyped_storage()) == "1"
    storages.finish_scripts()
    assert storages.offsets["0"][1] == 24
    assert list(storages.offsets) == ["0", "1"]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_a_storage_without_bytes_has_a_number_too(writer: ArchiveWriter) -> None:
    storages = ScriptingStorageWriter(writer)
    storages.serializer.serialize(torch.jit.script(nn.Linear(0, 2))._c, 0)
    other = torch.ones(3)
    assert storages.add(other.untyped_storage()) == "2"
    storages.finish_scripts()
    assert sorted(size for _, size in storages.offsets.values()) == [0, 8, 12]


def test_a_stream_that_pytorch_does_not_write_by_now_is_told(writer: ArchiveWriter) -> None:
    with pytest.raises(RuntimeError, match="writes TorchScript in a way that is not known"):
        _Sink(writer).write(memoryview(b"PK, but no header"))


def test_without_scripts_there_are_no_records_of_them(writer: ArchiveWriter) -> None:
    storages = ScriptingStorageWriter(writer)
    storages.add(torch.ones(1).untyped_storage())
    assert storages.finish_scripts() == {}


def test_records_are_asked_for_again_and_no_script_can_follow(writer: ArchiveWriter) -> None:
    storages = ScriptingStorageWriter(writer)
    storages.serializer.serialize(scripted()._c, 0)
    records = storages.finish_scripts()
    assert {name.partition("/")[2] for name in records} >= {"ts_code/0/data.pkl"}
    assert storages.finish_scripts() == records
    with pytest.raises(TypeError, match="must be part of what is packed first"):
        _ = storages.serializer


def test_equal_scripts_give_equal_records(tmp_path: Path) -> None:
    def records() -> dict[RecordName, bytes]:
        with ArchiveWriter(tmp_path / "scripts.case") as archive:
            storages = ScriptingStorageWriter(archive)
            storages.serializer.serialize(scripted(torch.ones(2, 3))._c, 0)
            return storages.finish_scripts()

    assert records() == records()


# Devices.


@pytest.fixture
def packed(writer: ArchiveWriter, tmp_path: Path) -> Iterator[ArchiveReader]:
    storages = ScriptingStorageWriter(writer)
    storages.serializer.serialize(scripted()._c, 0)
    publish(writer, storages.finish_scripts())
    with ArchiveReader.open(tmp_path / "scripts.case") as archive:
        yield archive


@pytest.mark.parametrize("location", [None, "cpu", torch.device("meta")])
def test_one_device_goes_to_pytorch_as_it_is(packed: ArchiveReader, location: Any) -> None:
    assert device_for_scripts(packed, location) == location


@pytest.mark.parametrize(
    "location",
    [
        {"cpu": "meta"},
        lambda storage, location: torch.empty(0, device={"cpu": "meta"}[location]).untyped_storage(),
    ],
)
def test_a_table_or_function_is_asked_for_the_devices_of_the_scripts(
    packed: ArchiveReader, location: Callable[..., Any]
) -> None:
    assert device_for_scripts(packed, location) == "meta"


def test_scripts_of_two_devices_cannot_go_to_two(
    packed: ArchiveReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickle = b"\x80\x02(X\x03\x00\x00\x00cpuX\x06\x00\x00\x00cuda:0X\x05\x00\x00\x00cudasl."
    monkeypatch.setattr(packed, "read", lambda name: pickle)
    with pytest.raises(ValueError, match="one device, and map_location sends them to cpu, meta"):
        device_for_scripts(packed, {"cpu": "cpu", "cuda:0": "meta"})
    assert device_for_scripts(packed, {"cpu": "meta", "cuda:0": "meta"}) == "meta"


# What PyTorch's reader gets.


def test_a_record_that_was_altered_is_refused_before_pytorch_reads_it(
    packed: ArchiveReader, tmp_path: Path
) -> None:
    content = bytearray((tmp_path / "scripts.case").read_bytes())
    content[content.index(b"data.pkl") + 20] ^= 1  # the first is in front of its record
    with ArchiveReader.open(bytes(content)) as archive, pytest.raises(ValueError, match=r"data\.pkl"):
        open_for_scripts(archive)
