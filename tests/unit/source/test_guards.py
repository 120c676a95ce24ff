"""Which imports must succeed when a module runs."""

from __future__ import annotations

import ast

import pytest

from wardian.source.guards import (
    CATCHES_IMPORT_ERROR,
    catches_import_error,
    find_unguarded_imports,
    suppresses_import_error,
)


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import a\nfrom b import c", [1, 2]),
        ("if x:\n    import a\nelse:\n    import b", [2, 4]),
        ("class A:\n    import a", [2]),
        ("for x in y:\n    import a\nwhile x:\n    import b", [2, 4]),
        ("with open('f'):\n    import a", [2]),
        ("match x:\n    case 1:\n        import a", [3]),
        ("def f():\n    import a\nasync def g():\n    import b", []),
        ("class A:\n    def f(self):\n        import a", []),
        ("try:\n    import a\nexcept ImportError:\n    import b\nelse:\n    import c", [4, 6]),
        ("try:\n    import a\nexcept ImportError:\n    pass\nfinally:\n    import b", [6]),
        ("try:\n    import a\nexcept ValueError:\n    import b", [2, 4]),
        ("try:\n    import a\nfinally:\n    pass", [2]),
        ("try:\n    import a\nexcept:\n    pass", []),
        ("try:\n    if x:\n        import a\nexcept (KeyError, mod.ModuleNotFoundError):\n    pass", []),
        ("try:\n    import a\nexcept* Exception:\n    pass", []),
        ("from contextlib import suppress\nwith suppress(ImportError):\n    import a", [1]),
        ("import contextlib\nwith contextlib.suppress(KeyError):\n    import a", [1, 3]),
        ("with contextlib.suppress(KeyError, Exception), x:\n    import a", []),
    ],
)
def test_an_import_is_guarded_where_its_error_is_handled(source: str, lines: list[int]) -> None:
    assert sorted(find_unguarded_imports(source.encode(), "yew.py")) == lines


def test_what_is_no_source_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        find_unguarded_imports(b"import", "yew.py")


@pytest.mark.parametrize("name", sorted(CATCHES_IMPORT_ERROR))
def test_a_handler_of_the_error_or_of_what_it_is_derived_from_catches_it(name: str) -> None:
    assert catches_import_error(_expression(name))
    assert catches_import_error(_expression(f"builtins.{name}"))
    assert catches_import_error(_expression(f"(KeyError, ({name},))"))


def test_other_handlers_do_not() -> None:
    assert catches_import_error(None)
    for source in ("OSError", "(KeyError, OSError)", "kinds()", "()"):
        assert not catches_import_error(_expression(source))


def test_suppress_is_known_by_its_names() -> None:
    assert suppresses_import_error(_expression("quiet(ImportError)"), {"quiet"})
    assert not suppresses_import_error(_expression("quiet(ImportError)"), {"suppress"})
    assert suppresses_import_error(_expression("c.suppress(ImportError)"), ())
    for source in ("suppress", "suppress()", "suppress(KeyError)", "c.open(ImportError)"):
        assert not suppresses_import_error(_expression(source), {"suppress"})
