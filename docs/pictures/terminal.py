"""Draw terminal.svg: what `wardian pack`, `info` and `check` print, in a real run (`make picture`)."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 78
COMMANDS = (
    "wardian pack torchvision.models:resnet18 -o resnet18.case --inputs '(torch.rand(1, 3, 64, 64),)'",
    "wardian info resnet18.case",
    "wardian check resnet18.case",
)
# What rich writes loads a font from the network; this asks for those that the reader has.
FRAME = """<svg class="wardian" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>A terminal: wardian pack, wardian info, wardian check</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def run_in_terminal(command: str, folder: str, variables: dict[str, str]) -> str:
    """Run a command whose standard output is a terminal, and return what it prints there."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=variables, stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    printed = bytearray()
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 1 << 16):
            printed += part
    os.close(ours)
    assert done.wait() == 0, f"{command} ended with {done.returncode}"
    return printed.decode().replace("\r\n", "\n")


def main() -> None:
    """Write the picture beside this file."""
    target = HERE / "terminal.svg"
    target.write_text(draw(), encoding="utf-8")
    print(target)


def draw() -> str:
    """Run the commands in an empty folder, and return the picture of what they print."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    variables = os.environ | {"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            printed = run_in_terminal(command, folder, variables)
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            told = printed.replace(f"{folder}/", "")
            for line in told.splitlines():
                name, rest = re.match(r"(\s*[a-z -]+:\s|\s{2}[a-z -]{1,10}\s{2,})?(.*)", line).groups("")
                console.print(Text.assemble((name, "cyan"), rest))
            console.print()
    return console.export_svg(title="wardian", code_format=FRAME, unique_id="wardian")


if __name__ == "__main__":
    main()
