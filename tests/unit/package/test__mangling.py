"""Names of modules of packages are told from others, and come back."""

from __future__ import annotations

import pytest

from wardian.package._mangling import PackageMangler, demangle, get_mangle_prefix, is_mangled

PACKAGE = "wardian.live.resnet18_3f9a2c1b"


@pytest.mark.parametrize(
    ("name", "mangled", "own", "prefix"),
    [
        (f"{PACKAGE}.torchvision.ops", True, "torchvision.ops", PACKAGE),
        (PACKAGE, True, "", PACKAGE),
        ("torchvision.ops", False, "torchvision.ops", "torchvision.ops"),
        ("wardian", False, "wardian", "wardian"),
    ],
)
def test_names_of_packages_are_told_from_others(name: str, mangled: bool, own: str, prefix: str) -> None:
    assert is_mangled(name) is mangled
    assert demangle(name) == own
    assert get_mangle_prefix(name) == prefix


def test_a_mangler_knows_its_own_names_only() -> None:
    one, other = PackageMangler(), PackageMangler()
    assert one.parent_name() != other.parent_name()
    assert one.mangle("shed.door") == f"{one.parent_name()}.shed.door"
    assert one.demangle(one.mangle("shed.door")) == "shed.door"
    assert one.demangle(other.mangle("shed")) == other.mangle("shed")
    assert one.demangle("shed") == "shed"
    assert demangle(one.mangle("shed")) == "shed"
    assert PackageMangler(PACKAGE).mangle("shed") == f"{PACKAGE}.shed"


def test_a_module_has_a_name() -> None:
    with pytest.raises(AssertionError):
        PackageMangler().mangle("")
