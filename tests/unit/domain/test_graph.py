"""Chains of imports: the shortest, and always the same one."""

from __future__ import annotations

from itertools import permutations

from wardian.domain.graph import Import, ImportContext, ImportGraph, ImportsByNeed
from wardian.domain.names import ModuleName


def _edge(
    importer: str, imported: str, line: int = 1, context: ImportContext = ImportContext.UNCONDITIONAL
) -> Import:
    return Import(ModuleName(importer), ModuleName(imported), line, context, f"{importer}.py")


def _chain(graph: ImportGraph, source: str, target: str) -> list[str]:
    return [e.imported for e in graph.find_shortest_chain([ModuleName(source)], ModuleName(target))]


DIAMOND = [
    _edge("mylib", "mylib.b"),
    _edge("mylib", "mylib.a"),
    _edge("mylib.a", "mylib.end"),
    _edge("mylib.b", "mylib.end"),
]


def test_of_equal_chains_the_first_by_name_wins_whatever_the_order() -> None:
    for edges in permutations(DIAMOND):
        assert _chain(ImportGraph(edges), "mylib", "mylib.end") == ["mylib.a", "mylib.end"]


def test_equal_sets_make_equal_graphs() -> None:
    assert ImportGraph(DIAMOND) == ImportGraph([*DIAMOND[::-1], DIAMOND[0]])
    assert ImportGraph(DIAMOND) != ImportGraph(DIAMOND[1:])
    assert len(ImportGraph([*DIAMOND, *DIAMOND])) == 4


def test_a_shortcut_is_taken_and_a_circle_ends() -> None:
    circle = [_edge("mylib.end", "mylib"), _edge("mylib", "mylib.end", 9)]
    assert _chain(ImportGraph([*DIAMOND, *circle]), "mylib", "mylib.end") == ["mylib.end"]
    assert _chain(ImportGraph([*DIAMOND, *circle]), "mylib", "numpy") == []


def test_modules_are_read_only_until_the_chain_is_found() -> None:
    edges = [*DIAMOND, _edge("mylib.end", "mylib.more"), _edge("mylib.more", "mylib.last.part")]
    asked: list[str] = []

    def read(name: ModuleName) -> list[Import]:
        asked.append(name)
        return [edge for edge in edges[::-1] if edge.importer == name]

    graph = ImportsByNeed(read)
    assert _chain(graph, "mylib", "mylib.end") == ["mylib.a", "mylib.end"]
    assert asked == ["mylib", "mylib.a"]
    for target in ("mylib.end", "mylib.more", "mylib.last", "nowhere"):
        name = ModuleName(target)
        assert graph.explain(ModuleName("mylib"), name) == ImportGraph(edges).explain(
            ModuleName("mylib"), name
        )
    assert sorted(asked) == sorted(set(asked))


def test_imports_for_type_checkers_lead_nowhere() -> None:
    graph = ImportGraph([_edge("mylib", "numpy", context=ImportContext.TYPE_CHECKING)])
    assert _chain(graph, "mylib", "numpy") == []
    assert [e.imported for e in graph.find_imports_by(ModuleName("mylib"))] == ["numpy"]


def test_a_step_reads_as_a_sentence_with_its_place() -> None:
    assert str(_edge("mylib", "numpy", 7)) == "mylib.py:7: mylib imports numpy (unconditional)"
    unknown = Import(ModuleName("mylib"), ModuleName("numpy"), 0, ImportContext.OBSERVED)
    assert str(unknown) == "mylib: mylib imports numpy (observed)"


def test_an_import_by_a_pickle_says_where_and_what() -> None:
    def pickled(place: str, qualname: str) -> str:
        module = ModuleName("mylib.layers")
        return str(Import(ModuleName("model"), module, 0, ImportContext.PICKLED, place, qualname))

    assert pickled("model.encoder", "Encoder") == "model.encoder is a mylib.layers.Encoder"
    assert pickled("", "rebuild") == "the pickle of model names mylib.layers.rebuild"
    assert pickled("", "") == "the pickle of model names mylib.layers"
