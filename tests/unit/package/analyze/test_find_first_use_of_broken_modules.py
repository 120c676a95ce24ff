"""How each module that broke an export came into it."""

from __future__ import annotations

import pytest

from tests.packages import exported
from wardian.package import PackageExporter, PackagingError
from wardian.package.analyze.find_first_use_of_broken_modules import find_first_use_of_broken_modules


def test_each_broken_module_has_the_path_by_which_it_was_first_reached() -> None:
    def fill(exporter: PackageExporter) -> None:
        exporter.deny("tools")
        exporter.save_source_string("first", "import second\nimport tools")
        exporter.save_source_string("second", "import shed.door")

    with pytest.raises(PackagingError) as caught:
        exported(fill)
    assert find_first_use_of_broken_modules(caught.value) == {
        "shed.door": ["first", "second", "shed.door"],
        "tools": ["first", "tools"],
    }


def test_any_other_error_is_none_of_an_export() -> None:
    for kind in (TypeError, AssertionError):  # the second is what torch.package raises
        with pytest.raises(kind, match="must be a PackagingError, not ValueError"):
            find_first_use_of_broken_modules(ValueError())  # type: ignore[arg-type]
