"""Imports by a call."""

from __future__ import annotations

import ast

import pytest

from wardian.domain.graph import ImportContext
from wardian.domain.names import ModuleName
from wardian.source.calls import ImportCalls
from wardian.source.edges import Edges
from wardian.source.texts import KnownTexts


def found(source: str) -> tuple[list[str], list[str], list[str]]:
    edges = Edges(ModuleName("nets.oak"), "nets/oak.py")
    calls = ImportCalls("nets", KnownTexts("nets.oak", "nets"), edges)
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    note = calls.note_import if source.startswith("__import__") else calls.note_import_module
    note(call, ImportContext.FUNCTION)
    imports, candidates, walks = (
        [e.imported for e in each] for each in (edges.imports, edges.candidates, edges.walks)
    )
    return list(imports), list(candidates), list(walks)


@pytest.mark.parametrize(
    ("call", "imports", "candidates", "walks"),
    [
        ("__import__('torch')", ["torch"], [], []),
        ("__import__('torch.nn')", ["torch.nn", "torch"], [], []),
        ("__import__('torch.nn', fromlist=['Linear'])", ["torch.nn"], ["torch.nn.Linear"], []),
        ("__import__('elm', level=1, fromlist=('*', 'leaf'))", ["nets.elm"], ["nets.elm.leaf"], []),
        ("__import__('elm', level=2)", [], [], []),
        ("__import__('elm', level='1')", [], [], []),
        ("__import__('elm', level=n)", ["elm"], [], []),
        ("__import__(f'nets.{name}')", [], [], ["nets"]),
        ("__import__(*names)", [], [], []),
        ("import_module('torch.nn')", ["torch.nn"], [], []),
        ("import_module('.elm', 'nets')", ["nets.elm"], [], []),
        ("import_module('.elm', package=__package__)", ["nets.elm"], [], []),
        ("import_module('.elm', package=where)", [], [], []),
        ("import_module('..elm', 'nets')", [], [], []),
        ("import_module('.' + name, __package__)", [], [], ["nets"]),
        ("import_module(name)", [], [], []),
    ],
)
def test_a_call_imports_what_is_written(
    call: str, imports: list[str], candidates: list[str], walks: list[str]
) -> None:
    assert found(call) == (imports, candidates, walks)
