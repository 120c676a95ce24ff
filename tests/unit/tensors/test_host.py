"""The bytes of a storage on the host: all of them, in order, through one buffer."""

from __future__ import annotations

import pytest
import torch

from wardian.tensors.host import bytes_on_host, staged


@pytest.mark.parametrize("buffer", [1, 7, 100, 101, 1000])
@pytest.mark.parametrize("size", [1, 100, 199, 200])
def test_a_storage_comes_in_parts_through_one_buffer(size: int, buffer: int) -> None:
    content = torch.randint(0, 256, (size,), dtype=torch.uint8)
    addresses, parts = set[int](), list[bytes]()
    for part in staged(content.untyped_storage(), buffer):
        assert len(part) <= buffer
        addresses.add(torch.frombuffer(part, dtype=torch.uint8).data_ptr())
        parts.append(bytes(part))
    assert len(addresses) == 1
    assert b"".join(parts) == bytes(content.tolist())
    assert len(parts) == -(-size // buffer)


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1])
def test_on_the_host_there_is_one_buffer(size: int) -> None:
    content = torch.arange(size).to(torch.uint8)
    found = bytes_on_host(content.untyped_storage())
    assert isinstance(found, bytes | memoryview)
    assert bytes(found) == bytes(content.tolist())
