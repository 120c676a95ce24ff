"""What a user names on the command line as Python objects."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
import torch

from tests.support import importable, write_tree
from wardian.cli.targets import find_arguments, find_target, split_named


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(
        tmp_path,
        """
        --- grove.py
        import torch
        class Tree:
            made = torch.nn.Linear(1, 1)
        def build():
            return Tree.made
        """.replace("        ", ""),
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize("target", ["grove:build", "grove.py:build", "grove:Tree.made"])
def test_a_function_is_called_and_a_model_is_not(target: str, tmp_path: Path) -> None:
    with importable(tmp_path):
        assert isinstance(find_target(target), torch.nn.Linear)


@pytest.mark.parametrize("target", ["grove", "grove:", "nogrove:build", "nogrove.py:build", "grove:plant"])
def test_what_names_nothing_is_wrong_usage(target: str, tmp_path: Path) -> None:
    with importable(tmp_path), pytest.raises(click.UsageError):
        find_target(target)


@pytest.mark.parametrize(
    ("target", "told", "fix"),
    [
        (
            "hedge.py:Row",
            "line 1) is a class that needs length, gap",
            "def make(): return Row(length=..., gap=...)",
        ),
        ("hedge.py:Kept.cut", "line 5) is a function that needs self", "def make(): return Kept.cut(...)"),
        ("hedge:row", "line 7) is a function that needs length", "from hedge import row"),
    ],
)
def test_what_needs_arguments_is_told_with_what_to_write(
    target: str, told: str, fix: str, tmp_path: Path
) -> None:
    write_tree(
        tmp_path,
        "--- hedge.py\nclass Row:\n    def __init__(self, length, *more, gap, wide=2):\n        pass\n"
        "class Kept:\n    def cut(self, /):\n        pass\n"
        "def row(length):\n    return length\n",
    )
    with importable(tmp_path), pytest.raises(click.UsageError) as caught:
        find_target(target)
    assert told in caught.value.message
    assert fix in caught.value.message


@pytest.mark.parametrize("target", ["builtins:dict", "builtins:tuple"])
def test_what_does_not_say_what_it_takes_is_called(target: str) -> None:
    assert not find_target(target)


def test_a_file_in_a_package_has_the_name_that_it_has_there(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        "--- hazel/__init__.py\n--- hazel/wood/__init__.py\n--- hazel/nut.py\nsize = 3\n"
        "--- hazel/wood/tree.py\nfrom ..nut import size\ndef build():\n    return __name__, size\n",
    )
    with importable(tmp_path):
        assert find_target("hazel/wood/tree.py:build") == ("hazel.wood.tree", 3)
        assert find_target("hazel/wood/__init__.py:__name__") == "hazel.wood"


def test_several_have_names() -> None:
    assert split_named("--inputs", ["a=(1,)", "b={'x': 2 == 2}"]) == {"a": "(1,)", "b": "{'x': 2 == 2}"}
    for wrong in (["(1,)"], ["a=1", "a=2"], ["a==1"], ["1a=1"]):
        with pytest.raises(click.UsageError, match="--inputs"):
            split_named("--inputs", wrong)


def test_arguments_come_from_an_expression_or_a_file(tmp_path: Path) -> None:
    assert find_arguments(None, None) is None
    assert find_arguments("(1, 2)", None) == (1, 2)
    torch.save({"x": torch.ones(1)}, tmp_path / "in.pt")
    assert find_arguments(None, str(tmp_path / "in.pt")).keys() == {"x"}


@pytest.mark.parametrize(
    ("expression", "file"),
    [("1", None), ("(", None), ("nothing()", None), (None, "none.pt"), ("(1,)", "none.pt")],
)
def test_arguments_that_are_none_are_wrong_usage(expression: str | None, file: str | None) -> None:
    with pytest.raises(click.UsageError):
        find_arguments(expression, file)
