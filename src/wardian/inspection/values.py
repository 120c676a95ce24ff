"""The numbers of a tensor, read without torch."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardian.archive import ArchiveReader
from wardian.domain.manifest import TensorEntry
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Distance", "distance"]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two tensors are from each other."""

    largest: float
    """The largest absolute difference of two elements."""
    mean: float
    """The mean of the absolute differences."""
    equal: bool
    """Whether all elements have the same bits."""


_NUMPY_TYPES = {
    "bool": "u1",
    "uint8": "u1",
    "int8": "i1",
    "int16": "<i2",
    "uint16": "<u2",
    "int32": "<i4",
    "uint32": "<u4",
    "int64": "<i8",
    "uint64": "<u8",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "complex64": "<c8",
    "complex128": "<c16",
    "bfloat16": "<u2",
}


def distance(
    one: tuple[ArchiveReader, TensorEntry], other: tuple[ArchiveReader, TensorEntry]
) -> Distance | None:
    """Return how far two plain tensors of one dtype and shape are from each other.

    Args:
        one: An archive, and the entry of a tensor in it.
        other: The same of the other.

    Returns:
        The distance; None if numpy is not installed, or has no such dtype.

    Raises:
        CorruptCaseError: if a value lies outside of its record.
    """
    if importlib.util.find_spec("numpy") is None or one[1].dtype not in _NUMPY_TYPES:
        return None
    import numpy as np

    first, second = (_array(*side) for side in (one, other))
    wide = np.complex128 if one[1].dtype.startswith("complex") else np.float64
    total, largest, equal, count = 0.0, 0.0, True, math.prod(one[1].shape)
    # By rows: the two tensors may be larger than the memory that is free.
    pairs = zip(first, second, strict=True) if one[1].shape else [(first, second)]
    for mine, theirs in pairs:
        equal = equal and mine.tobytes() == theirs.tobytes()
        gaps = np.abs(np.subtract(mine, theirs, dtype=wide))
        gaps = gaps[~np.isnan(gaps)]
        total += float(gaps.sum())
        largest = max(largest, float(gaps.max(initial=0.0)))
    return Distance(largest, total / count if count else 0.0, equal)


def _array(archive: ArchiveReader, tensor: TensorEntry) -> npt.NDArray[Any]:
    """Return the values of a tensor, checked against the digest of their record."""
    import numpy as np

    assert tensor.record is not None
    record = RecordName(tensor.record)
    archive.verify(record)
    kind = np.dtype(_NUMPY_TYPES[tensor.dtype])
    try:
        array: npt.NDArray[Any] = np.ndarray(
            tensor.shape,
            kind,
            buffer=archive.view(record),
            offset=tensor.offset * kind.itemsize,
            strides=tuple(step * kind.itemsize for step in tensor.stride),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptCaseError(
            f"{archive.label}: the tensor {tensor.name!r} reaches beyond its record: {error}",
            path=archive.label,
            record=record,
        ) from None
    # The upper half of a float32 is a bfloat16.
    return (array.astype("<u4") << 16).view("<f4") if tensor.dtype == "bfloat16" else array
