"""Whatever a description of a tensor says, it is refused or gives a tensor that can be used."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
from torch.storage import UntypedStorage

from tests.user.test_tensors import KINDS, _made
from wardian.domain.manifest import TensorEntry, TensorForm
from wardian.tensors.index import tensor_index
from wardian.tensors.rebuilding import rebuild

NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 100, 2**31, 2**32, 2**62, 2**63 - 1)
DTYPES = ("int64", "int32", "float32", "uint8", "bool", "complex64", "qint8", "quint8", "qint32", "quint4x2")
LAYOUTS = (
    "strided",
    "sparse_coo",
    "sparse_csr",
    "sparse_csc",
    "sparse_bsr",
    "sparse_bsc",
    "nested",
    "jagged",
)
SCHEMES = (None, "per_tensor_affine", "per_channel_affine", "per_channel_affine_float_qparams")


def _bytes_of(storage: UntypedStorage) -> bytes:
    return torch.empty(0, dtype=torch.uint8).set_(storage).numpy().tobytes()


class Mutations:
    """Changes honest descriptions, and the numbers in their storages, at random."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.storages: dict[str, UntypedStorage] = {}
        self._numbers: dict[int, str] = {}
        kinds = [
            kind for kind in KINDS if kind.startswith(("CO", "CS", "BS", "nested", "jagged", "q", "per"))
        ]
        self.honest = tensor_index(_made([*kinds, "conjugate", "negative", "strided"]), "model", self._key)
        self.contents = {record: _bytes_of(storage) for record, storage in self.storages.items()}

    def _key(self, tensor: torch.Tensor) -> str:
        storage = tensor.untyped_storage()
        key = self._numbers.setdefault(storage._cdata, str(len(self._numbers)))
        self.storages[f".data/{key}.storage"] = storage
        return key

    def numbers(self, old: tuple[int, ...]) -> tuple[int, ...]:
        new = list(old)
        if new and self.random.random() < 0.8:
            new[self.random.randrange(len(new))] = self.random.choice(NUMBERS)
        elif self.random.random() < 0.5:
            new.append(self.random.choice(NUMBERS))
        return tuple(new)

    def place(self, old: Any) -> Any:
        """Change where the values of an entry, or of a part, are said to be."""
        changes: list[Callable[[], Any]] = [
            lambda: replace(old, shape=self.numbers(old.shape)),
            lambda: replace(old, stride=self.numbers(old.stride)),
            lambda: replace(old, offset=self.random.choice(NUMBERS)),
            lambda: replace(old, dtype=self.random.choice(DTYPES)),
            lambda: replace(old, record=self.random.choice(list(self.storages))),
        ]
        return self.random.choice(changes)()

    def form(self, old: TensorForm) -> TensorForm:
        changes: dict[str, tuple[Any, ...]] = {
            "axis": (None, 0, 1, 2, 3, 2**62),
            "scale": (None, "nan", "inf", "0x0p0", "-0x1p3", "0x1p9999", "x"),
            "zero_point": (None, "-1", "300", str(2**40), str(2**65), "9" * 5000, "x"),
            "conj": (True, False),
            "neg": (True, False),
            "layout": LAYOUTS,
            "qscheme": SCHEMES,
        }
        key = self.random.choice(list(changes))
        return replace(old, **{key: self.random.choice(changes[key])})

    def entry(self) -> TensorEntry:
        entry = self.random.choice(self.honest)
        for _ in range(self.random.choice((1, 1, 2))):
            form = entry.form
            if form is not None and form.parts and self.random.random() < 0.4:
                role = self.random.choice(list(form.parts))
                parts = {**form.parts, role: self.place(form.parts[role])}
                if self.random.random() < 0.1:
                    del parts[role]
                entry = replace(entry, form=replace(form, parts=parts))
            elif form is not None and self.random.random() < 0.5:
                entry = replace(entry, form=self.form(form))
            else:
                entry = self.place(entry)
        return entry

    def bytes_for(self, entry: TensorEntry) -> Source:
        """Copy the storages, and change a number in one that *entry* is made of."""
        contents = {record: bytearray(content) for record, content in self.contents.items()}
        parts = {} if entry.form is None else entry.form.parts
        record = self.random.choice([part.record for part in parts.values()] or list(contents))
        content = contents[record]
        if len(content) >= 8:
            number = self.random.choice((*NUMBERS, -1, -(2**63)))
            struct.pack_into("<q", content, self.random.randrange(len(content) // 8) * 8, number)
        return Source(contents)


class Source:
    """The storages of a case."""

    def __init__(self, contents: dict[str, bytearray]) -> None:
        self._contents = contents

    def placed(self, record: str) -> UntypedStorage:
        """Return one of them."""
        content = self._contents[record]
        whole = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
        return whole.untyped_storage()

    on_host = placed


def _use(tensor: torch.Tensor) -> None:
    """Read each element; what cannot be computed is a clean error of PyTorch."""
    if tensor.is_nested:
        for row in tensor.unbind():
            row.clone()
    elif tensor.numel() > 1_000_000:
        return
    elif tensor.layout is not torch.strided:
        tensor.to_dense()
    elif tensor.is_quantized:
        tensor.dequantize()
    else:
        tensor.clone()


@pytest.mark.filterwarnings("ignore:.*(experimental|prototype|beta|invariant|deprecated|Casting complex)")
@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_description_says_is_refused_or_can_be_used(seed: int) -> None:
    mutations = Mutations(seed)
    made = 0
    for _ in range(500):
        entry = mutations.entry()
        try:
            tensor = rebuild(entry, mutations.bytes_for(entry))
        except ValueError:
            continue
        made += 1
        try:
            _use(tensor)
        except RuntimeError:
            continue
    assert 100 < made < 450
