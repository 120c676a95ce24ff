"""Names in a package, of what has another here."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from wardian.package._naming import module_to_save, record_to_save


def test_a_module_of_another_package_has_the_name_that_it_had_there() -> None:
    assert module_to_save("nets.oak") == "nets.oak"
    assert module_to_save("wardian.live.tree_3f9a2c1b.nets.oak") == "nets.oak"


@pytest.mark.parametrize(("name", "error"), [("", ValueError), ("nets/oak", ValueError), (7, TypeError)])
def test_what_no_module_is_called_is_refused(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        module_to_save(name)


def test_a_file_lies_in_the_folder_of_its_package() -> None:
    assert record_to_save("nets.oak", "oak.pkl") == "nets/oak/oak.pkl"
    resource: Any = PurePosixPath("oak.pkl")
    assert record_to_save("nets", resource) == "nets/oak.pkl"


@pytest.mark.parametrize(
    ("package", "resource", "error", "message"),
    [
        (7, "oak.pkl", TypeError, "names, not int and str"),
        ("nets", b"oak.pkl", TypeError, "names, not str and bytes"),
        ("nets", "trees/oak.pkl", ValueError, "must be only a file name"),
        ("nets", "", ValueError, "must be only a file name"),
        ("", "oak.pkl", ValueError, "not a relative path"),
    ],
)
def test_what_no_file_is_called_is_refused(
    package: Any, resource: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        record_to_save(package, resource)
