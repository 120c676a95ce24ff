"""Write the seeds of the corpus again: `python -m tests.fuzz.make_seeds`; needed when the format changes."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from tests import archives
from tests.archives import Forged, forge
from tests.support import MANIFEST, TENSOR
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import Extern, PackedDistribution

CORPUS = Path(__file__).parent / "corpus"


def manifest() -> bytes:
    """Return a manifest with something under every key that the fuzzer may change."""
    weights, nothing = bytes(range(24)), b"\x80\x04N."
    import blake3

    return replace(
        MANIFEST,
        distributions=(PackedDistribution(name="willow", version="1.0", roots=("willow",)),),
        externs=(
            *MANIFEST.externs,
            Extern(
                distribution="blake3", version="1.0", modules=("blake3",), names=("blake3.blake3",), soft=True
            ),
        ),
        absent=("jax",),
        mocks=("wandb",),
        deferred=("willow",),
        materialised=("willow",),
        tensors=(TENSOR, replace(TENSOR, name="bias", shape=(3,), stride=(1,), offset=3, kind="buffer")),
        metadata={"epochs": "3"},
        records={
            ".data/0.storage": RecordDigest(24, "blake3", blake3.blake3(weights).hexdigest()),
            "model/model.pkl": RecordDigest(4, "sha256", hashlib.sha256(nothing).hexdigest()),
        },
    ).to_json()


def seeds() -> dict[str, bytes]:
    """Return the seeds by file name."""
    package = [
        Forged(b"r/.data/extern_modules", b"torch\n"),
        Forged(b"r/.data/0.storage", b"abc"),
        Forged(b"r/a.py"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        case = archives.small(Path(folder, "model.case"))
    return {
        "valid-case": b"a" + case,
        "valid-package": b"a" + forge(package, sealed=False),
        "valid-forged": b"f\x04\x08\x01\x00a.pyxxxxxxxx\x05\x02\x00\x00b/c.dyy",
        "valid-manifest": b"m" + manifest(),
        "cut-short": b"a" + case[:-30],
        "every-field": b"f" + b"".join(bytes([1, 1, 62, number, 97 + number, 0]) for number in range(20)),
    }


if __name__ == "__main__":
    for name, content in seeds().items():
        (CORPUS / name).write_bytes(content)
