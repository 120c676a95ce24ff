"""Objects of one importer share storages once each, as long as the storages are there."""

from __future__ import annotations

import gc

import torch

from wardian.package._storages import Copy, SharedStorages


def test_a_copy_knows_the_storages_that_are_still_there_and_keeps_none() -> None:
    copy = Copy(None)
    one, other = torch.ones(2), torch.ones(3)
    copy.note({"0": one.untyped_storage(), "1": other.untyped_storage()})
    assert {key: storage.nbytes() for key, storage in copy.storages().items()} == {"0": 8, "1": 12}
    assert copy.storages()["0"]._cdata == one.untyped_storage()._cdata
    del other
    gc.collect()
    assert copy.storages().keys() == {"0"}


def noted(shared: SharedStorages, record: str, location: object = None) -> tuple[Copy, torch.Tensor]:
    tensor = torch.ones(1)
    copy = shared.copy_for(record, location)
    copy.note({"0": tensor.untyped_storage()})
    return copy, tensor


def test_another_record_shares_and_the_same_one_again_does_not() -> None:
    shared = SharedStorages()
    first, kept = noted(shared, "a.pkl")
    assert shared.copy_for("b.pkl", None) is first
    second, kept_too = noted(shared, "a.pkl")
    assert second is not first
    assert shared.copy_for("b.pkl", None) is second
    assert shared.copy_for("c.pkl", None) is first
    assert first.records == {"a.pkl", "b.pkl", "c.pkl"}
    del kept, kept_too


def test_tensors_on_other_devices_are_shared_among_themselves() -> None:
    shared = SharedStorages()
    first, kept = noted(shared, "a.pkl", "cpu")
    assert shared.copy_for("b.pkl", str(torch.device("cpu"))) is first
    assert shared.copy_for("c.pkl", "meta") is not first
    table = {"cpu": "meta"}
    by_table, kept_too = noted(shared, "d.pkl", table)
    assert shared.copy_for("e.pkl", table) is by_table
    assert shared.copy_for("f.pkl", dict(table)) is not by_table  # may be changed, or a function
    del kept, kept_too


def test_what_is_gone_is_loaded_anew() -> None:
    shared = SharedStorages()
    first, kept = noted(shared, "a.pkl")
    del kept
    gc.collect()
    assert shared.copy_for("b.pkl", None) is not first
