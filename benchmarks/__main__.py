"""Run every measurement, print one Markdown page, and keep it.

    python -m benchmarks [RUNS] [--page FILE] [--only PART ...] [--folder FOLDER]

RUNS is how often each program is timed, 5 if left out. The page goes to docs/reference/benchmarks.md.
"""

from __future__ import annotations

import argparse
import compileall
import tempfile
import textwrap
from pathlib import Path

import wardian
from benchmarks import caging, containers, loading, looking, package, packing, remote, tensors, waiting
from benchmarks.timing import HEAD, Row, machine, measured_at

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks.md"
PARTS = ("caging", "containers", "loading", "looking", "package", "packing", "remote", "tensors", "waiting")


_TIMED = (
    ("waiting", waiting),
    ("looking", looking),
    ("caging", caging),
    ("loading", loading),
    ("packing", packing),
    ("containers", containers),
    ("package", package),
)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=5)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", help="where the files lie, such as /dev/shm")
    options = parser.parse_args()
    # As an installer does: where processes may write no bytecode, each would compile Wardian, for a second.
    compileall.compile_dir(Path(wardian.__file__).parent, quiet=2)
    rows: list[Row] = []
    side_by_side = elsewhere = ""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for part, module in _TIMED:
            if part in options.only:
                rows += module.measure(Path(name), options.runs)
        if "tensors" in options.only:
            found, side_by_side = tensors.measure(Path(name), options.runs)
            rows += found
        if "remote" in options.only:
            elsewhere = remote.measure(Path(name), options.runs)
    page = _page(rows, side_by_side, elsewhere, options.runs, options.folder)
    print(page)
    options.page.write_text(page)


def _page(rows: list[Row], side_by_side: str, elsewhere: str, runs: int, folder: str | None) -> str:
    where = "on the disk, and in the page cache" if folder is None else f"in {folder}"
    table = "\n".join(row.row() for row in rows)
    introduction = f"""
        `make bench` measures all of this in one run and writes this page. The figures are of {measured_at()}.
        The machine: {machine()}. Medians of {runs}
        runs, the programs that are compared in turn; files lie {where}, and none is waited for. A ratio is
        ours / theirs: below 1 is faster, or less. Targets without a word are for the ratio."""
    return f"""# Benchmarks

{textwrap.fill(textwrap.dedent(introduction).strip(), 110)}

{HEAD}
{table}

## Weights, side by side

Seconds; ours as a ratio of them; memory. Packed without proof, digests included; read when they were
checked before. Memory is what a process takes beside the model: at most while it writes, and what is
resident when it has read. Pages of a mapped file that were read to be checked are resident until the system
needs them for something else.

{side_by_side}

## Cases that lie elsewhere

resnet18 on an HTTP server on loopback, with an empty cache; seconds at so much added latency for each
request, imports not counted. A download is one request on one connection.

{elsewhere}
"""


if __name__ == "__main__":
    main()
