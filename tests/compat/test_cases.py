"""Cases that released versions wrote are read, and hold what make_cases.py put there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wardian

FOLDER = Path(__file__).parent / "cases"
RELEASES = sorted({path.name.split("-")[1] for path in FOLDER.glob("wardian-*.case")})

each_release = pytest.mark.parametrize("release", RELEASES)


def case_of(release: str, name: str) -> Path:
    return FOLDER / f"wardian-{release}-{name}.case"


def check_answer(answer: object) -> None:
    # (1, 1) through [[1, 2], [3, 4]]: (3, 7); again, and one more each: (18, 38); times three
    assert answer.value.tolist() == [[54.0, 114.0]]  # type: ignore[attr-defined]
    assert answer.label == "shop"  # type: ignore[attr-defined]


def test_there_are_cases_since_the_first_release() -> None:
    assert RELEASES[0] == "0.2.0"
    assert all(
        case_of(release, name).exists() for release in RELEASES for name in ("net", "entries", "tensors")
    )


@each_release
def test_an_object_with_code_and_data(release: str) -> None:
    net = wardian.load(case_of(release, "net"))
    check_answer(net(torch.ones(1, 2)))
    assert net.head.weight is net.inner.weight
    assert net.steps.tolist() == [7]
    assert net.rate.dtype == torch.bfloat16


@each_release
def test_what_is_told_without_running_it(release: str) -> None:
    with wardian.open(case_of(release, "net")) as case:
        case.verify()
        assert case.manifest.metadata == {"note": "golden"}
        assert case.manifest.proof == "passed"
        assert case.state_dict()["head.weight"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert [finding.record for finding in case.audit().findings] == ["shop/net.py"]
        print(case.check(exact=True))
    assert [line.partition("=")[0] for line in wardian.requirements(case_of(release, "net"))] == ["torch"]


@each_release
def test_several_entry_points(release: str) -> None:
    with wardian.open(case_of(release, "entries")) as case:
        check_answer(case.load("net")(torch.ones(1, 2)))
        assert case.load("tokens")("b a").tolist() == [2, 1]


@each_release
def test_kinds_of_tensors(release: str) -> None:
    tensors = wardian.load(case_of(release, "tensors"))
    assert tensors["sparse"].to_dense().tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert tensors["view"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert not tensors["view"].is_contiguous()
    assert tensors["complex"].tolist() == [1 + 2j]
    assert tensors["bool"].tolist() == [True, False]
    assert isinstance(tensors["parameter"], torch.nn.Parameter)
    assert tensors["float8"].float().tolist() == [1.5]
