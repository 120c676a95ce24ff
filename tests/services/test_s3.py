"""Cases on S3: s3fs against moto."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import wardian

if TYPE_CHECKING:
    from tests.services.conftest import Bucket

pytestmark = pytest.mark.services
ONES = torch.ones(1, 1024)


@pytest.fixture
def url(bucket: Bucket, case: Path) -> str:
    import s3fs

    s3fs.S3FileSystem(**bucket.options).put_file(str(case), "models/a/layers.case")
    bucket.asked.clear()
    return "s3://models/a/layers.case"


def test_a_case_on_s3_is_opened_by_ranges(
    bucket: Bucket, url: str, model: torch.nn.Module, case: Path
) -> None:
    with wardian.open(url, storage_options=bucket.options) as remote:
        assert [method for method, _, _ in bucket.asked] == ["HEAD", "GET"]
        bucket.asked.clear()
        assert torch.equal(remote.tensors["3.weight"], model.get_parameter("3.weight"))
        assert len(bucket.asked) == 1
    with wardian.open(url, storage_options=bucket.options) as remote:  # closed, unlike by wardian.load
        assert torch.equal(remote.load()(ONES), model(ONES))
    bucket.asked.clear()
    with wardian.open(url, storage_options=bucket.options) as remote:
        remote.verify()
        path = remote.mount.archive.path
    assert [method for method, _, _ in bucket.asked] == ["HEAD"]
    assert path is not None
    assert path.read_bytes() == case.read_bytes()


def test_a_case_is_pushed_to_s3(bucket: Bucket, model: torch.nn.Module, case: Path) -> None:
    url = wardian.push(case, "s3://models/pushed/", storage_options=bucket.options)
    assert url == "s3://models/pushed/layers.case"
    with wardian.open(case) as local, wardian.open(url, storage_options=bucket.options) as remote:
        assert remote.digest == local.digest
        wardian.push(remote, "s3://models/again.case", storage_options=bucket.options)
    url = wardian.push(
        model, "s3://models/new.case", storage_options=bucket.options, inputs=(ONES,), prove=False
    )
    assert wardian.requirements(url, storage_options=bucket.options)
    with pytest.raises(TypeError, match="weights, private: only for hf://"):
        wardian.push(case, url, weights=True, private=True)
    with pytest.raises(TypeError, match="inputs: only for an object"):
        wardian.push(case, url, inputs=(ONES,), storage_options=bucket.options)
    with pytest.raises(wardian.RemoteError, match="cannot be written"):
        wardian.push(case, "https://models.example/m.case")
    with pytest.raises(wardian.RemoteError, match=r"s3://nobody/m\.case cannot be written"):
        wardian.push(case, "s3://nobody/m.case", storage_options=bucket.options)


def test_what_is_not_there_or_not_allowed_is_said(bucket: Bucket, url: str) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        wardian.open("s3://models/nothing.case", storage_options=bucket.options)
    nowhere = {
        **bucket.options,
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"},
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with pytest.raises(wardian.RemoteError, match=r"s3://models/a/layers.case cannot be read: ") as caught:
        wardian.open(url, storage_options=nowhere)
    assert "EXAMPLE" not in str(caught.value)


def test_another_object_meanwhile_is_refused(bucket: Bucket, url: str, case: Path) -> None:
    import s3fs

    with wardian.open(url, storage_options=bucket.options) as remote:
        altered = bytearray(case.read_bytes())
        altered[2 << 20] ^= 1
        s3fs.S3FileSystem(**bucket.options).pipe_file("models/a/layers.case", bytes(altered))
        with pytest.raises(wardian.RemoteError, match="another file by now"):
            remote.prefetch()
    with wardian.open(url, storage_options=bucket.options) as remote, pytest.raises(wardian.CorruptCaseError):
        remote.verify()
