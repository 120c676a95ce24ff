from __future__ import annotations

import collections
import math
import operator
import sys
import types
from typing import Any

import pytest

from wardian.capture.homes import (
    find_path_in,
    importable,
    is_bound_by_import,
    is_globals,
    is_importable,
    public_name,
)

nameless = (lambda: 1,)


def test_class_of_an_importable_module_is_found_by_its_name() -> None:
    assert importable(collections.OrderedDict) == ("collections", "OrderedDict")


def test_lambda_is_found_where_its_module_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    act = eval("lambda x: x", vars(collections))
    assert importable(act) is None
    monkeypatch.setattr(collections, "act", act, raising=False)
    assert importable(act) == ("collections", "act")


def test_modules_that_another_process_cannot_import(monkeypatch: pytest.MonkeyPatch) -> None:
    made = types.ModuleType("made_a_moment_ago")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    assert not is_importable(made.__name__)
    assert not is_importable("__main__")
    assert not is_importable(None)
    assert not is_importable("wardian.live.net_01234567.captured.main")
    assert is_importable("collections")


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (math.sin, ("math", "sin")),
        (operator.add, ("operator", "add")),
        (len, ("builtins", "len")),
        (str.lower, ("builtins", "str.lower")),
        (3, None),
    ],
)
def test_public_names_of_builtin_functions(obj: Any, name: tuple[str, str] | None) -> None:
    assert public_name(obj) == name


def test_torch_functions_have_public_names() -> None:
    import torch

    assert public_name(torch.relu) == ("torch", "relu")
    assert public_name(torch.linalg.vector_norm) == ("torch.linalg", "vector_norm")
    assert public_name(torch.Tensor.add) == ("torch", "Tensor.add")
    assert public_name(torch.nn.functional.gelu) == ("torch.nn.functional", "gelu")
    assert public_name(torch.special.expit) == ("torch.special", "expit")


def test_path_into_a_class() -> None:
    class Acts:
        cube = lambda x: x**3  # noqa: E731

    Acts.__module__ = "mylib.acts"
    namespace = {"__name__": "mylib.acts", "Acts": Acts}
    assert find_path_in(namespace, Acts.cube) == "Acts.cube"
    assert find_path_in(namespace, nameless[0]) is None


def test_path_to_what_a_call_made_in_the_body_of_a_class() -> None:
    class Oak:
        Step = type("Step", (), {"__module__": __name__})
        Other = type("Twig", (), {"__module__": __name__})  # its own name leads nowhere

    namespace = {"__name__": __name__, "Oak": Oak}
    assert find_path_in(namespace, Oak.Step) == "Oak.Step"
    assert find_path_in(namespace, Oak.Other) is None
    Oak.Step.__module__ = "mylib.acts"
    assert find_path_in(namespace, Oak.Step) is None


def test_the_globals_of_a_module_are_told_from_a_table() -> None:
    assert is_globals(globals())
    assert is_globals({"__name__": "notebook", "__builtins__": {}, "Net": object})
    assert not is_globals({"__name__": object, "net": object})
    assert not is_globals([object])


def test_import_statement_binds_what_the_package_has_in_the_place_of_its_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package, module = types.ModuleType("mylib"), types.ModuleType("mylib.Net")
    monkeypatch.setitem(sys.modules, "mylib", package)
    monkeypatch.setitem(sys.modules, "mylib.Net", module)
    package.Net = module  # type: ignore[attr-defined]
    assert is_bound_by_import(module, 1)
    package.Net = object()  # type: ignore[attr-defined]
    assert not is_bound_by_import(module, 1)
    assert is_bound_by_import(package, 0)
