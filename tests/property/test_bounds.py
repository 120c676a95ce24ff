"""Looking at a file costs no more than its size warrants, and ends in content or in one of our errors."""

from __future__ import annotations

import json
import marshal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.archives import Forged, forge
from tests.property import looker
from tests.support import MANIFEST, write_case
from wardian.domain.manifest import Extern, TensorEntry, TensorForm, TensorPart

MIB = 1 << 20
# docs/reference/format.md, 7: what looking takes beside so many bytes for each of the file.
FREE, EACH = 64 * MIB, 2_000
FREE_OF_CODE, EACH_OF_CODE = 512 * MIB, 8_000

Look = Callable[[Path], dict[str, tuple[str, int]]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """A process that looks at one file after the other."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.property.looker"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def ask(path: Path) -> dict[str, tuple[str, int]]:
            print(path, file=asked, flush=True)
            found: dict[str, tuple[str, int]] = json.loads(answered.readline())
            return found

        # What is imported at the first use is not the cost of the file.
        ask(write_case(tmp_path_factory.mktemp("first") / "first.case", {"a.py": "import os"}))
        yield ask
        asked.close()


UNITS_OF_SOURCE = (
    *(
        "x;",
        "a=b\n",
        "import os\n",
        "def f(): g()\n",
        "(",
        "[",
        "{",
        "-",
        "not ",
        "lambda:",
        "'a' ",
        "f'{a}'",
    ),
    *(
        "+a",
        ".b",
        "(a)",
        "a if b else ",
        "if a:\n ",
        "class A: x: int = 1\n",
        "@a\n",
        "\\\n",
        "#\n",
        "é",
        "\0",
    ),
    *(
        "from a import b as c\n",
        "__import__('a');",
        "a.b.c(d=e)\n",
        "match x:\n case y: z\n",
        "1,",
        "9",
        "async ",
    ),
)
UNITS_OF_PICKLES = (
    *(
        b"N",
        b"\x94",
        b"\x8c\0\x94",
        b"(",
        b"]",
        b"}",
        b"0",
        b"1",
        b"t",
        b"h\0",
        b"cos\nsystem\n",
        b"\x8c\x02os\x93",
    ),
    *(
        b"K\x01",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"L9",
        b"I1\n",
        b"p0\n",
        b"a",
        b"R",
    ),
)
UNITS_OF_BYTECODE = (
    b"(\xff\xff\xff\x7f",
    b")\xff",
    b"[\xff\xff\xff\x07",
    b"\xe3",
    b"r\0\0\0\0",
    b"N",
    b"{",
    b"l\0\0\0\x80",
)

repeated = st.integers(0, 20).map(lambda power: 1 << power)


def _source(unit: str, times: int) -> str:
    return f"x = {unit * min(times, MIB // len(unit))}"


def _chain_of_attributes(length: int) -> bytes:
    return marshal.dumps(compile("x = a" + ".b" * length, "a.py", "exec"))


def _nested_code(levels: int) -> bytes:
    """Bytecode that holds itself twice at each level."""
    code = compile("import os", "a.py", "exec")
    for _ in range(levels):
        code = code.replace(co_consts=(code, code))
    return marshal.dumps(code)


sizes = st.sampled_from((0, 1, 2, 3, 2**16, 2**31, 2**40, 2**62))


@st.composite
def tensors(draw: st.DrawFn) -> tuple[TensorEntry, ...]:
    """Tensors of a hundred bytes that claim to be anything."""
    shape = tuple(draw(st.lists(sizes, max_size=4))) * draw(st.sampled_from((1, 1, 1, 20, 400)))
    stride = tuple(draw(st.sampled_from((0, 1))) for _ in shape[:4]) * (len(shape) // 4 + 1)
    part = TensorPart(
        record=".data/0.storage",
        dtype=draw(st.sampled_from(("int64", "float32"))),
        shape=shape[: draw(st.integers(0, 2))] if draw(st.booleans()) else shape,
        stride=stride[: len(shape)],
        offset=0,
    )
    roles = ("values", "indices", "sizes", "strides", "offsets", "crow_indices", "col_indices", "scales")
    layout: Any = draw(
        st.sampled_from(("strided", "nested", "jagged", "sparse_coo", "sparse_csr", "uninitialized"))
    )
    form = TensorForm(layout=layout, axis=1, parts=dict.fromkeys(sorted(roles), part))
    tensor = TensorEntry(
        entry="model",
        name="weight",
        record=".data/0.storage" if layout == "strided" else None,
        dtype="float32",
        shape=shape,
        stride=stride[: len(shape)] if layout == "strided" else (),
        offset=0,
        requires_grad=False,
        kind="parameter",
        form=None if draw(st.booleans()) and layout == "strided" else form,
    )
    many = draw(st.sampled_from((1, 1, 3, 3_000)))
    return tuple(replace(tensor, name=f"weight{number}") for number in range(many))


def _extern(number: int) -> Extern:
    return Extern(distribution=f"d{number}", version="1.0", modules=(f"d{number}",), names=(), soft=False)


@st.composite
def cases(draw: st.DrawFn) -> Callable[[Path], Path]:
    """Sealed cases that claim, hold and repeat what no packer would."""
    times = draw(repeated)
    sources: dict[str, str | bytes] = {}
    facts: dict[str, Any] = {}
    kind = draw(
        st.sampled_from(
            ("source", "sources", "pickle", "bytecode", "tensors", "externs", "names", "metadata")
        )
    )
    if kind == "source":
        sources["a.py"] = _source(draw(st.sampled_from(UNITS_OF_SOURCE)), times)
    elif kind == "sources":
        content = _source(draw(st.sampled_from(UNITS_OF_SOURCE)), min(times, 1 << 14))
        sources.update((f"a/m{number}.py", content) for number in range(100))
    elif kind == "pickle":
        unit = draw(st.sampled_from(UNITS_OF_PICKLES))
        facts["pickle"] = b"\x80\x04" + unit * min(times, 2 * MIB // len(unit)) + b"."
    elif kind == "bytecode":
        data = draw(
            st.one_of(
                st.sampled_from(UNITS_OF_BYTECODE).map(lambda unit: unit * min(times, MIB)),
                st.integers(0, 40).map(_nested_code),
                st.integers(0, 5_000).map(_chain_of_attributes),
            )
        )
        sources[f".wardian/bytecode/{sys.implementation.cache_tag}/a.pyc"] = bytes(16) + data
        facts["bytecode_only"] = ("a",)
    elif kind == "tensors":
        facts["tensors"] = draw(tensors())
        facts["storages"] = (bytes(draw(st.sampled_from((0, 8, 100)))),)
    elif kind == "externs":
        facts["externs"] = (*MANIFEST.externs, *map(_extern, range(min(times, 2_000))))
    elif kind == "names":
        folders = "/".join("a" * draw(st.integers(1, 400)))
        sources.update((f"{number % 7}/{folders}/{number}.txt", b"") for number in range(min(times, 2_000)))
    else:
        facts["metadata"] = {f"{number}": "" for number in range(min(times, 1 << 17))}
    return lambda target: write_case(target, sources, **facts)


@st.composite
def packages(draw: st.DrawFn) -> Callable[[Path], Path]:
    """Archives of torch.package of the same kind."""
    times = draw(repeated)
    record = draw(
        st.sampled_from(
            (b".data/extern_modules", b".data/python_version", b"a.py", b"a/b.pkl", b"model/model.pkl")
        )
    )
    unit = draw(st.sampled_from((b"a\n", b"a" * 60 + b"\n", b"\x80\x04N", b"x;", b"(")))
    content = {
        b".data/extern_modules": b"torch\n",
        b".data/version": b"6\n",
        record: unit * min(times, 64 * MIB // len(unit)),
    }
    entries = [Forged(b"r/" + name, data, deflate=len(data) > 100) for name, data in content.items()]

    def write(target: Path) -> Path:
        target.write_bytes(forge(entries, sealed=False))
        return target

    return write


@given(write=st.one_of(cases(), packages()))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_looking_is_bounded_by_the_size_of_the_file(
    write: Callable[[Path], Path], look: Look, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("hostile") / "hostile.case")
    size = path.stat().st_size
    for name, (end, grown) in look(path).items():
        assert end == "done" or end.startswith("WardianError"), f"{name}: {end}"
        free, each = (FREE_OF_CODE, EACH_OF_CODE) if name in looker.CODE else (FREE, EACH)
        assert grown <= free + each * size, f"{name} of {size:,} bytes took {grown:,}"
    path.unlink()
