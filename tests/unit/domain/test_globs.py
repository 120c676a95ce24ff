from __future__ import annotations

import pickle

import pytest

from wardian.domain.globs import GlobGroup


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("torch", ["torch"], ["torch.nn", "torchvision", "a.torch", ""]),
        (
            "torch.**",
            ["torch", "torch.nn", "torch.nn.functional"],
            ["torchvision", "torchvision.ops", "my.torch"],
        ),
        ("torch.*", ["torch.nn", "torch.functional"], ["torch", "torch.nn.functional"]),
        ("torch*", ["torch", "torchvision"], ["torch.nn", "pytorch"]),
        ("torch*.**", ["torch", "torchvision", "torchvision.ops.nms"], ["pytorch", "my.torch"]),
        ("**", ["torch", "torch.nn", "a.b.c.d"], [""]),
        ("*", ["torch"], ["torch.nn"]),
        ("**.nn", ["nn", "torch.nn", "a.b.nn"], ["nn.torch", "torch.nnx"]),
        ("torch.**.ops", ["torch.ops", "torch.a.ops", "torch.a.b.ops"], ["torch", "torch.ops.nms", "ops"]),
        ("a.**.**.b", ["a.b", "a.x.b", "a.x.y.b"], ["a", "b"]),
        ("a.*.b", ["a.x.b"], ["a.b", "a.x.y.b"]),
        ("*vision*.m*s", ["torchvision.models", "vision.ms"], ["torch.models", "torchvision.model"]),
        ("**.*_test", ["a_test", "mylib.ops_test"], ["mylib.test"]),
        ("a+b.[c]", ["a+b.[c]"], ["aab.c"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    group = GlobGroup(pattern)
    assert [name for name in matching if not group.matches(name)] == []
    assert [name for name in other if group.matches(name)] == []


def test_several_patterns_and_exceptions() -> None:
    group = GlobGroup(["torch.**", "numpy"], exclude=["torch.nn.**", "**._*"])
    names = ["torch", "torch.nn", "torch.nn.functional", "torch._C", "numpy", "numpy.linalg", "torch.jit"]
    assert [name for name in names if group.matches(name)] == ["torch", "numpy", "torch.jit"]


def test_without_patterns_nothing_matches() -> None:
    assert not GlobGroup([]).matches("torch")
    assert not GlobGroup([]).matches("")


def test_another_separator() -> None:
    group = GlobGroup("data/**/*.json", exclude="**/private.json", separator="/")
    paths = ["data/a.json", "data/x/y/a.json", "data/x/private.json", "data/x.yaml", "a.json"]
    assert [path for path in paths if group.matches(path)] == ["data/a.json", "data/x/y/a.json"]


def test_a_long_name_takes_no_time() -> None:
    assert not GlobGroup("**.**.**.**.**.**.x").matches(".".join(["a"] * 2000))


def test_iterators_are_read_once() -> None:
    group = GlobGroup(iter(["torch.**"]), exclude=iter(["torch.nn"]))
    assert (group.include, group.exclude) == (("torch.**",), ("torch.nn",))


@pytest.mark.parametrize("pattern", ["torch**", "a.b**.c", "***"])
def test_two_stars_stand_alone(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"'\*\*' must stand alone"):
        GlobGroup(pattern)


def test_patterns_are_strings() -> None:
    with pytest.raises(TypeError, match="a pattern is a string such as"):
        GlobGroup([3])  # type: ignore[list-item]


@pytest.mark.parametrize("separator", ["", "::", "*"])
def test_a_separator_is_one_character(separator: str) -> None:
    with pytest.raises(ValueError, match="separator"):
        GlobGroup("a", separator=separator)


def test_words() -> None:
    group = GlobGroup(["a.**", "b"], exclude="a.c")
    assert str(group) == '"a.**", "b" except "a.c"'
    assert repr(group) == "GlobGroup(['a.**', 'b'], exclude=['a.c'])"
    assert eval(repr(GlobGroup("a/b", separator="/"))) == GlobGroup("a/b", separator="/")


def test_equal_groups() -> None:
    assert GlobGroup("a") == GlobGroup(["a"])
    assert hash(GlobGroup("a")) == hash(GlobGroup(["a"]))
    assert GlobGroup("a") != GlobGroup("a", exclude="b")
    assert GlobGroup("a") != "a"
    again = pickle.loads(pickle.dumps(GlobGroup("a.**", exclude="a.b")))
    assert again == GlobGroup("a.**", exclude="a.b")
    assert again.matches("a.c")
