from __future__ import annotations

import sys
import textwrap

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.private_root import ROOT, importable, run_both, tree
from wardian.domain.names import SHIMMED, ModuleName, ancestors
from wardian.source.rewriting import compile_module, dump_code
from wardian.source.scanning import scan

LIBRARY = tree(
    """
    --- alpha/__init__.py
    from alpha.delta import delta
    --- alpha/delta.py
    def delta(): pass
    def helper(): pass
    --- alpha/beta/__init__.py
    import alpha.beta.gamma as gamma
    LIMIT = 3
    --- alpha/beta/gamma.py
    import alpha, alpha.beta
    from alpha.delta import helper
    class Gamma: pass
    --- alpha/beta/epsilon/__init__.py
    from alpha.beta import gamma as g
    --- alpha/beta/epsilon/zeta.py
    import alpha.beta.epsilon as parent
    --- app/__init__.py
    --- app/sub.py
    def tail(): pass
    --- omega.py
    LAST = "omega"
    """
)
MODULES = [
    "alpha",
    "alpha.delta",
    "alpha.beta",
    "alpha.beta.gamma",
    "alpha.beta.epsilon",
    "alpha.beta.epsilon.zeta",
    "alpha.missing",
    "alpha.beta.missing",
    "app.sub",
    "omega",
    "omega.missing",
    "json",
    "os.path",
    "nowhere",
]
NAMES = ["delta", "helper", "sub", "tail", "gamma", "LIMIT", "Gamma", "zeta", "LAST", "beta", "g", "missing"]
BOUND = ["", " as first", " as sub", " as gamma", " as alpha", " as _private"]

modules = st.sampled_from(MODULES)
bound = st.sampled_from(BOUND)


@st.composite
def imports(draw: st.DrawFn) -> str:
    """One line of imports, which may fail."""
    kind = draw(st.sampled_from(["import", "from", "star", "both"]))
    aliases = draw(st.lists(st.tuples(modules, bound), min_size=1, max_size=3))
    plain = "import " + ", ".join(module + name for module, name in aliases)
    names = draw(st.lists(st.tuples(st.sampled_from(NAMES), bound), min_size=1, max_size=3))
    chosen = f"from {draw(modules)} import " + ", ".join(name + other for name, other in names)
    match kind:
        case "import":
            return plain
        case "from":
            return chosen
        case "star":
            return chosen.partition(" import ")[0] + " import *"
    return f"{plain}; {chosen}"


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Imports in some block, with what they raise recorded and what they bind kept."""
    line = draw(imports())
    number = draw(st.integers(0, 10**6))
    blocks = ["{0}", "if 1: {0}", "for _ in 'ab':\n    {0}", "while 1:\n    {0}\n    break"]
    if "*" not in line:
        blocks += [
            "class C{1}:\n    {0}",
            "def f{1}():\n    {0}\n    return locals()\nr{1} = f{1}()",
            "def f{1}():\n    global alpha, app, first, sub\n    {0}\nf{1}()",
            "def f{1}():\n    class Inner:\n        {0}\n    return Inner\nr{1} = f{1}()",
            "match 1:\n    case 1:\n        {0}",
        ]
    block = draw(st.sampled_from(blocks)).format(line, number)
    failed = f"e{number}"
    guard = (
        f"try:\n{textwrap.indent(block, '    ')}\nexcept ImportError as e:\n    {failed} = e, (e.name or '')"
    )
    return f"{guard}\nelse:\n    {failed} = None"


places = st.sampled_from(
    [
        "main.py",
        "app/__init__.py",
        "app/main.py",
        "alpha/main.py",
        "alpha/beta/main.py",
        "alpha/beta/epsilon/main/__init__.py",
    ]
)


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@settings(max_examples=150, deadline=None)
@given(st.lists(statements(), min_size=1, max_size=5), places)
def test_rewritten_code_binds_what_the_plain_code_binds(parts: list[str], file: str) -> None:
    plain, private = run_both({**LIBRARY, file: "\n".join(parts)}, module_of(file))
    assert private == plain


def closure(files: dict[str, str], start: str) -> set[str]:
    """Return the modules of *files* that the scan finds from *start* on."""
    places = {module_of(file): file for file in files}
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in found or name not in places:
            continue
        found.add(name)
        file = places[name]
        is_package = file.endswith("__init__.py")
        facts = scan(files[file].encode(), ModuleName(name), is_package=is_package, file=file)
        for module in (name, *(edge.imported for edge in (*facts.imports, *facts.candidates))):
            waiting += [module, *ancestors(ModuleName(module))]
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(statements(), min_size=1, max_size=5), places)
def test_the_scan_finds_every_module_that_runs(parts: list[str], file: str) -> None:
    files = {**LIBRARY, file: "\n".join(parts)}
    with importable(files, None) as load:
        load(module_of(file))
        loaded = set(sys.modules) & {module_of(path) for path in files}
    assert loaded <= closure(files, module_of(file))


@settings(max_examples=100, deadline=None)
@given(st.lists(statements(), min_size=1, max_size=4), places, st.booleans())
def test_code_knows_nothing_of_its_root(parts: list[str], file: str, is_package: bool) -> None:
    source = "\n".join(parts).encode()
    roots = frozenset({"alpha", "omega"}) | SHIMMED
    first, second = (
        compile_module(source, ModuleName("alpha.app"), is_package=is_package, filename=file, roots=roots)
        for _ in range(2)
    )
    assert dump_code(first) == dump_code(second)
    assert ROOT.encode() not in dump_code(first)
