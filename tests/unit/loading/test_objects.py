"""One load: a pickle becomes an object with the modules and storages of its case, and of no other load."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch._utils import _rebuild_tensor_v2

import wardian
from tests.support import NOTHING, write_case
from wardian.errors import CaseError, CorruptCaseError
from wardian.loading.importing.mount import Mount
from wardian.loading.objects import Loading


class Pid(NamedTuple):
    """Stands for what a persistent id names."""

    pid: Any


class Call(NamedTuple):
    """Is written as a call."""

    function: Any
    arguments: tuple[Any, ...]


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if type(obj) is Pid else None

    def reducer_override(self, obj: Any) -> Any:
        return (obj.function, obj.arguments) if type(obj) is Call else NotImplemented


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, 4).dump(value)
    return buffer.getvalue()


def tensor(size: int, key: str = "0", elements: int = 3) -> Call:
    storage = Pid(("storage", torch.FloatStorage, key, "cpu", elements))
    return Call(_rebuild_tensor_v2, (storage, 0, (size,), (1,), False, OrderedDict()))


def make_wholly(importer: Any, value: Any) -> Any:
    return importer, value


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:

        def open_case(value: Any, **options: Any) -> Loading:
            data = value if isinstance(value, bytes) else pickled(value)
            path = write_case(
                tmp_path / "fern.case",
                {"fern.py": b"class Frond: pass\n", "notes/soil.txt": "Ä".encode()},
                pickle=data,
                storages=(torch.arange(3.0).numpy().tobytes(),),
            )
            mount: Mount = stack.enter_context(wardian.open(path)).mount
            return Loading(mount, **options)

        yield open_case


MODEL = "model/model.pkl"


def test_classes_are_those_of_the_case_and_of_the_environment(opened: Any) -> None:
    loading = opened(b"\x80\x04cfern\nFrond\ncjson\ndumps\n\x86.")
    frond, dumps = loading.load(MODEL)
    assert frond is loading.import_module("fern").Frond
    assert dumps.__module__ == "json"


def test_loads_share_no_storages_and_one_load_does(opened: Any) -> None:
    loading = opened([tensor(3), tensor(2)])
    whole, part = loading.load(MODEL)
    part[0] = 7
    assert whole.tolist() == [7, 1, 2]
    again, _ = Loading(loading._mount).load(MODEL)
    assert again.tolist() == [0, 1, 2]
    assert loading.storage_context is loading.storages.script_context


def test_a_record_that_is_not_there_is_a_key_error(opened: Any) -> None:
    with pytest.raises(KeyError):
        opened(NOTHING).load("other/other.pkl")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (Pid(("storage", torch.FloatStorage, "9", "cpu", 3)), r"9"),
        (Pid(("storage", torch.FloatStorage, "0", "cpu", 4)), "not 4 elements"),
        (Pid("module"), "unknown persistent id"),
        (tensor(4), "reaches beyond storage 0"),
    ],
)
def test_what_a_pickle_says_of_storages_is_checked(opened: Any, value: Any, what: str) -> None:
    with pytest.raises(CorruptCaseError, match=rf"fern\.case: model/model\.pkl: .*{what}") as caught:
        opened(value).load(MODEL)
    assert caught.value.record == MODEL


def test_map_location_holds_for_storages_and_their_bytes(opened: Any) -> None:
    loading = opened(tensor(3), map_location="meta")
    assert loading.load(MODEL).is_meta
    assert loading.last_map_location == "meta"
    buffer = io.BytesIO()
    torch.save(torch.ones(2), buffer)
    inside = Call(torch.storage._load_from_bytes, (buffer.getvalue(),))
    assert opened(inside, map_location="meta").load(MODEL).is_meta
    assert not opened(inside).load(MODEL).is_meta


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_what_has_no_values_cannot_be_of_every_kind(opened: Any) -> None:
    def quantised() -> Call:
        scheme = (torch.per_tensor_affine, 0.1, 0)
        storage = Pid(("storage", torch.QInt8Storage, "0", "cpu", 12))
        arguments: tuple[Any, ...] = (storage, 0, (12,), (1,), scheme, False, OrderedDict())
        return Call(torch._utils._rebuild_qtensor, arguments)

    with pytest.raises(CaseError, match=r"model/model\.pkl on the meta device, .*without map_location"):
        opened(quantised(), map_location="meta").load(MODEL)


def test_a_function_of_reduce_package_gets_this_or_the_importer_that_was_given(opened: Any) -> None:
    value = Pid(("reduce_package", 0, make_wholly, (5,)))
    loading = opened(value)
    importer, made = loading.load(MODEL)
    assert importer is loading
    assert made == 5
    other = object()
    assert opened(value, importer=other).load(MODEL) == (other, 5)


def test_as_an_importer_it_reads_files_of_the_object(opened: Any) -> None:
    loading = opened(NOTHING)
    assert loading.load_binary("notes", "soil.txt") == b"\xc3\x84"
    assert loading.load_text("notes", "soil.txt") == "Ä"
    assert loading.load_text("notes", "soil.txt", "ascii", "replace") == "��"
    with pytest.raises(UnicodeDecodeError):
        loading.load_text("notes", "soil.txt", "ascii")
    with pytest.raises(KeyError):
        loading.load_binary("notes", "leaf.txt")


def test_weights_are_checked_unless_that_was_done(opened: Any, tmp_path: Path) -> None:
    loading = opened(tensor(3))
    archive = loading._mount.archive
    offset, _ = archive.location(".data/0.storage")
    path = tmp_path / "broken.case"
    content = bytearray((tmp_path / "fern.case").read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    with wardian.open(path) as case:
        for mapped in (True, False):
            with pytest.raises(CorruptCaseError, match=r"\.data/0\.storage"):
                Loading(case.mount, mapped=mapped).load(MODEL)
        assert Loading(case.mount, verify=False).load(MODEL).tolist() != [0, 1, 2]
        assert Loading(case.mount, map_location="meta").load(MODEL).is_meta  # reads none
