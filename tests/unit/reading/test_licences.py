"""Which licence a packed distribution states, and where the texts are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import PackedDistribution
from wardian.reading.foreign import read_manifest
from wardian.reading.licences import Licence, find_licences, licences_of

FIR = PackedDistribution(name="fir", version="1.0", roots=("fir",))
OAK = PackedDistribution(name="oak", version="2.0", roots=("oak",))
OWN = PackedDistribution(name="first-party", version=None, roots=("net",))
TEXT = b"the text\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


def found(folder: Path, files: dict[str, bytes]) -> tuple[Licence, ...]:
    records = {f".wardian/metadata/{name}": content for name, content in files.items()}
    path = write_case(folder / "fir.case", {"net.py": "", **records}, distributions=(OWN, FIR, OAK))
    with ArchiveReader.open(path) as archive:
        return find_licences(archive, read_manifest(archive))


@pytest.mark.parametrize(
    ("metadata", "expression"),
    [
        ("License-Expression: MIT\nLicense: BSD\nClassifier: License :: OSI Approved :: X\n", "MIT"),
        ("license: BSD\nClassifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        ("Classifier: License :: A\nClassifier: Topic :: B\nClassifier: License :: C :: D\n", "A AND D"),
        ("License: BSD\n", "BSD"),
        (f"License: {'x' * 100}\n", "x" * 100),
        (f"License: {'x' * 101}\n", None),
        ("License: Apache\n  and more: MIT\n", "Apache"),
        ("License:\nLicense: MIT\n", "MIT"),
        ("Name: fir\n\nLicense: of the description\n", None),
        ("", None),
    ],
)
def test_the_clearest_statement_counts(metadata: str, expression: str | None, tmp_path: Path) -> None:
    fir, oak = found(tmp_path, {"fir/METADATA": metadata.encode()})
    assert (fir.distribution, fir.version, fir.expression) == ("fir", "1.0", expression)
    assert (oak.expression, oak.files) == (None, {})


def test_a_text_is_found_wherever_it_is_stored(tmp_path: Path) -> None:
    other = "0" * 64
    fir, oak = found(
        tmp_path,
        {
            "fir/licence_files": f"{DIGEST} LICENCE\n{other} deep/NOTICE\n".encode(),
            "fir/licenses/LICENCE": TEXT,
            "oak/licence_files": f"{DIGEST} COPYING\n".encode(),
        },
    )
    assert fir.files == {"LICENCE": ".wardian/metadata/fir/licenses/LICENCE", "deep/NOTICE": None}
    assert oak.files == {"COPYING": ".wardian/metadata/fir/licenses/LICENCE"}


def test_another_file_with_the_same_content_is_no_licence(tmp_path: Path) -> None:
    fir, _ = found(tmp_path, {"fir/licence_files": f"{DIGEST} LICENCE\n".encode(), "fir/METADATA": TEXT})
    assert fir.files == {"LICENCE": None}


def test_of_first_party_code_nothing_is_said(tmp_path: Path) -> None:
    path = write_case(tmp_path / "fir.case", {"net.py": "", ".wardian/metadata/fir/METADATA": "License: MIT"})
    with ArchiveReader.open(path) as archive:
        assert licences_of(archive, read_manifest(archive)) == {}
