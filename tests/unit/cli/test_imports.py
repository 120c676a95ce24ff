"""What a looking command imports: it decides how long a look takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support import run_python, write_case

SHOWS_IMPORTS = """
    import json, sys
    print(json.dumps(sorted(sys.modules)))  # what the interpreter brings, hooks of editable installs included
    from wardian.cli.app import run
    run(sys.argv[1:])
    print()
    print(json.dumps(sorted(sys.modules)))
"""
SLOW = {"asyncio", "concurrent", "email", "http", "logging", "multiprocessing", "socket", "ssl", "subprocess"}
"""Parts of the standard library that take milliseconds to import."""
ENGINE = ("capture", "live", "packing", "planning", "prove", "tensors", "trace", "package", "processes")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = "--- cherry/__init__.py\n--- cherry/net.py\nimport json\nSTONE = 1\n"
    pickle = b"\x80\x04\x8c\x0acherry.net\x8c\x05STONE\x93."
    return write_case(tmp_path_factory.mktemp("imports") / "cherry.case", sources, pickle=pickle)


@pytest.mark.parametrize(
    ("words", "others", "parts"),
    [
        # They compare versions, and ask importlib.metadata, which reads e-mail.
        pytest.param("info CASE", {"packaging"}, {"email", "socket"}, id="info"),
        pytest.param("requirements CASE", {"packaging"}, {"email", "socket"}, id="requirements"),
        pytest.param("sbom CASE", {"packaging"}, {"email", "socket"}, id="sbom"),
        pytest.param("ls CASE", set(), set(), id="ls"),
        pytest.param("ls CASE --tensors", set(), set(), id="ls --tensors"),
        pytest.param("cat CASE cherry/net.py", set(), set(), id="cat"),
        pytest.param("why CASE json", set(), set(), id="why"),
        pytest.param("audit CASE", set(), set(), id="audit"),
        pytest.param("diff CASE CASE", set(), set(), id="diff"),
        # It checks weights with all cores, and may find in the cache folder that it need not.
        pytest.param("verify CASE", {"platformdirs"}, {"concurrent", "logging"}, id="verify"),
    ],
)
def test_a_look_imports_no_more_than_it_needs(
    words: str, others: set[str], parts: set[str], case: Path
) -> None:
    given = [str(case) if word == "CASE" else word for word in words.split()]
    out = run_python(SHOWS_IMPORTS, *given, folder=case.parent, isolated=True).splitlines()
    before, imported = (set(json.loads(line)) for line in (out[0], out[-1]))
    tops = {name.partition(".")[0] for name in imported}
    assert not {f"wardian.{name}" for name in ENGINE} & imported
    known = {"click", "wardian", "blake3", "isal", *before} | others
    assert tops - sys.stdlib_module_names <= known
    assert tops & SLOW <= parts
