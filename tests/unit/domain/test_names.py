"""Names that pass, and names that would leave their folder."""

from __future__ import annotations

import pytest
from packaging.utils import canonicalize_name

from wardian.domain.names import module_name, normalised, record_name


@pytest.mark.parametrize(
    "text", ["a", "a/b.py", "мир/ä.txt", "a b/c", "a" * 1024, "...", "a.b/.hidden", "con"]
)
def test_a_record_name_passes(text: str) -> None:
    assert record_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a\\b",
        "a\nb",
        "a\0",
        "a\x7f",
        "C:",
        "c:/a",
        "a" * 1025,
        "ä" * 513,
        "\ud800",
    ],
)
def test_a_record_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="record name"):
        record_name(text)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a-b", "1-", "a b", "a/b", "<a>"])
def test_a_module_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a module name"):
        module_name(text)


@pytest.mark.parametrize(
    "name", ["Torch_Geometric", "torch.geometric", "torch-geometric", "TORCH._-GEOMETRIC"]
)
def test_all_spellings_of_a_distribution_have_one_normalised(name: str) -> None:
    assert normalised(name) == "torch-geometric" == canonicalize_name(name)
