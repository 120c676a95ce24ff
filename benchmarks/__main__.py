"""Run every measurement and print one Markdown page.

    python -m benchmarks [RUNS]

RUNS is how often each program is timed, 5 if left out.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import loading, packing, tensors
from benchmarks.timing import machine

HEAD = "| work | ours | theirs | ratio | target | |\n|---|---|---|---|---|---|"


WEIGHTS = """
## Weights

Packed without proof, digests included; read when they were checked before. Memory is what comes beside the
weights when writing, and what is resident after reading. A ratio below 1 is faster."""


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [comparison.row() for comparison in loading.measure(folder, runs)]
        rows += packing.measure(folder, runs)
        weights = tensors.measure(folder, runs)
    print(f"# Benchmarks\n\n{machine()}; medians of {runs} runs.\n\n{HEAD}")
    print("\n".join(rows))
    print(WEIGHTS)
    print("\n".join(weights))


if __name__ == "__main__":
    main()
