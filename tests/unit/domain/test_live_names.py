"""Names of open cases and of their modules."""

from __future__ import annotations

import pytest

from wardian.domain.live_names import SHARED_SUFFIX, MountName, full_name, original_name, split_live


@pytest.mark.parametrize(
    ("module", "original"),
    [
        ("wardian.live.model_3f9a2c1b.torchvision.models", "torchvision.models"),
        ("wardian.live.model_3f9a2c1b", "wardian.live.model_3f9a2c1b"),
        ("wardian.loading.case", "wardian.loading.case"),
        ("wardian.livestock.a.b", "wardian.livestock.a.b"),
        ("torchvision.models", "torchvision.models"),
    ],
)
def test_the_original_name(module: str, original: str) -> None:
    assert original_name(module) == original


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("resnet18", "resnet18_3f9a2c1b"),
        ("ResNet-18 v2", "ResNet_18_v2_3f9a2c1b"),
        ("3d", "_3d_3f9a2c1b"),
        ("...", "case_3f9a2c1b"),
        ("модель", "case_3f9a2c1b"),
        ("a.b", "a_b_3f9a2c1b"),
    ],
)
def test_the_name_of_a_mount_is_an_identifier(stem: str, name: str) -> None:
    assert str(MountName.of_file(stem, "3f9a2c1b")) == name
    assert name.isidentifier()


@pytest.mark.parametrize("module", ["torchvision", "torchvision.models", ""])
def test_a_full_name_is_split_into_what_it_was_made_of(module: str) -> None:
    assert split_live(full_name("resnet18_3f9a2c1b", module)) == ("resnet18_3f9a2c1b", module)


@pytest.mark.parametrize("digits", [8, 16, 32, 64])
def test_the_name_of_a_mount_is_parsed_into_what_it_was_made_of(digits: int) -> None:
    made = MountName.of_file("my_net" + SHARED_SUFFIX, digits * "a")
    assert MountName.parse(str(made)) == made
    assert (made.case, made.is_shared, made.has_digest) == ("my_net", True, True)


@pytest.mark.parametrize("name", ["closing", "net_3f9a2c1", "net_3f9a2c1g", "net_"])
def test_what_is_no_name_of_a_mount(name: str) -> None:
    assert not MountName.parse(name).has_digest
