"""Scripts as users start them, each in a process of its own, packed with proof and loaded elsewhere.

A module and a script start a new interpreter, as a user's do; the others are forks, see `tests.interpreters`.
"""

from __future__ import annotations

import json
import py_compile
import textwrap
from pathlib import Path

import pytest

from tests.capture.conftest import run

pytestmark = pytest.mark.slow

PACK = """
import json, warnings, wardian
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    report = wardian.pack(model, CASE, inputs=inputs)
told = [str(w.message) for w in caught if issubclass(w.category, wardian.WardianWarning)]
with open(CASE + ".json", "w") as file:
    json.dump({"expected": model(*inputs).tolist(), "warnings": told, "left_out": report.left_out}, file)
"""

LOAD = """
import json, sys, torch, wardian
facts = json.load(open(sys.argv[1] + ".json"))
with wardian.open(sys.argv[1]) as case:
    case.check()
    model = case.load()
    assert not any("garden" in name and "live" not in name for name in sys.modules)
    print(type(model).__module__.partition(".captured")[2])
"""


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))


def _pack(folder: Path, *command: str | Path, isolated: bool = False) -> dict[str, object]:
    done = run(*command, cwd=folder, isolated=isolated)
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, object] = json.loads((folder / "model.case.json").read_text())
    return facts


def _load(folder: Path, case: Path, code: str = LOAD) -> str:
    done = run("-P", "-c", code, case, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_module_run_with_m_keeps_its_relative_imports(tmp_path: Path) -> None:
    project = tmp_path / "project"
    _write(
        project,
        {
            "garden/__init__.py": "",
            "garden/layers/__init__.py": "from .acts import double\n",
            "garden/layers/acts.py": "def double(x):\n    return x * 2\n",
            "garden/train.py": f"""
                from __future__ import annotations
                import sys
                import torch
                from torch import nn
                from .layers import double
                from . import layers as own

                class Net(nn.Module):
                    def forward(self, x: torch.Tensor) -> torch.Tensor:
                        from .layers.acts import double as inner
                        return double(own.double(inner(x)))

                print("TRAINING")
                model, inputs, CASE = Net(), (torch.ones(2),), "model.case"
                {PACK.replace(chr(10), chr(10) + " " * 16)}
            """,
        },
    )
    facts = _pack(project, "-m", "garden.train", isolated=True)
    assert facts["expected"] == [8.0, 8.0]
    (project / "model.case").rename(tmp_path / "model.case")
    (project / "model.case.json").rename(tmp_path / "model.case.json")
    assert "TRAINING" not in _load(tmp_path / "elsewhere", tmp_path / "model.case")


def test_what_goes_in_and_comes_out_may_be_of_the_script_too(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "train.py": """
                from dataclasses import dataclass
                import torch, wardian
                from torch import nn

                @dataclass
                class Batch:
                    x: torch.Tensor
                    name: str = "batch"

                class Net(nn.Module):
                    def forward(self, batch):
                        return Batch(batch.x * 2)

                print("TRAINING")
                report = wardian.pack(Net(), "model.case", inputs=(Batch(torch.ones(2)),))
                assert report.manifest.entries[0].outputs and report.manifest.entries[0].type == "captured.main.Net"
            """
        },
    )
    done = run("train.py", cwd=tmp_path, isolated=True)
    assert done.returncode == 0, done.stdout + done.stderr
    code = "import sys, wardian\nwith wardian.open(sys.argv[1]) as case:\n    case.check()\n    case.load()"
    assert "TRAINING" not in _load(tmp_path / "elsewhere", tmp_path / "model.case", code)


CELLS = [
    "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nSCALE = 3",
    "def helper(x): return x * SCALE\nstate = {'seen': []}",
    "class Net(nn.Module):\n    def forward(self, x):\n        state['seen'].append(1)\n        return helper(F.relu(x)) + 1",
    "print('TRAINING')\ninner = Net()",
    "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.inner = inner\n"
    "        self.act = lambda v: v + SCALE\n    def forward(self, x):\n        return self.act(self.inner(x))",
    "model, inputs, CASE = Net(), (torch.ones(2),), 'model.case'",
    PACK,
]


@pytest.mark.parametrize("shell", ["IPython", "simulated"])
def test_cells_of_a_notebook(shell: str, tmp_path: Path) -> None:
    start = f"CELLS = {CELLS!r}\n"
    if shell == "IPython":
        start += """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in CELLS:
    shell.run_cell(cell, store_history=True).raise_error()
"""
    else:
        start += """
import linecache, sys, types
main = sys.modules["__main__"] = types.ModuleType("__main__")
for number, cell in enumerate(CELLS):
    name = f"<ipython-input-{number}-c0ffee>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    exec(compile(cell, name, "exec"), vars(main))
"""
    (tmp_path / "notebook.py").write_text(start)
    facts = _pack(tmp_path, "notebook.py")
    assert facts["expected"] == [7.0, 7.0]
    assert facts["warnings"] == []
    assert "TRAINING" not in _load(tmp_path / "elsewhere", tmp_path / "model.case")


def test_script_changed_while_it_runs_is_packed_as_it_runs(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "helpers.py": "def triple(x):\n    return x * 3\n",
            "train.py": f"""
                import linecache, time
                import torch, helpers
                from torch import nn

                class Net(nn.Module):
                    def forward(self, x):
                        return helpers.triple(x) * 2

                for name in ("helpers.py", "train.py"):
                    linecache.clearcache()
                    text = open(name).read()
                    changed = text.replace("* 2", "* 20").replace("* 3", "* 30")
                    open(name, "w").write("# a line more\\n" + changed)
                model, inputs, CASE = Net(), (torch.ones(1),), "model.case"
                {PACK.replace(chr(10), chr(10) + " " * 16)}
            """,
        },
    )
    facts = _pack(tmp_path, "train.py")
    assert facts["expected"] == [6.0]
    warnings = str(facts["warnings"])
    assert "helpers.py was changed after helpers was imported" in warnings


def test_module_that_exists_as_bytecode_only(tmp_path: Path) -> None:
    _write(
        tmp_path / "project",
        {
            "garden/__init__.py": "from .core import Net\n",
            "garden/core.py": """
                from torch import nn
                from . import tools
                import garden.tools as again

                class Net(nn.Module):
                    def forward(self, x):
                        from garden.tools import double
                        return double(again.double(tools.double(x)))
            """,
            "garden/tools.py": "def double(x):\n    return x * 2\n",
            "train.py": "import garden, torch\n"
            f"model, inputs, CASE = garden.Net(), (torch.ones(1),), 'model.case'\n{PACK}",
        },
    )
    for source in (tmp_path / "project" / "garden").glob("*.py"):
        py_compile.compile(str(source), cfile=f"{source}c")
        source.unlink()
    facts = _pack(tmp_path / "project", "train.py")
    assert str(facts["warnings"]).startswith("['garden, garden.core, garden.tools have no source ")
    for file in ("model.case", "model.case.json"):
        (tmp_path / "project" / file).rename(tmp_path / file)
    _load(tmp_path / "elsewhere", tmp_path / "model.case")
    code = "import sys, wardian\nsys.implementation.cache_tag = 'cpython-399'\nwardian.load(sys.argv[1])"
    done = run("-P", "-c", code, tmp_path / "model.case", cwd=tmp_path / "elsewhere")
    assert "EnvironmentMismatchError" in done.stderr
    assert "garden.core" in done.stderr


def test_what_was_loaded_can_be_packed_again(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "train.py": f"""
                import torch
                from torch import nn
                scale = torch.full((1,), 2.0)

                def hook(by):
                    return lambda module, args, output: output + by

                class Net(nn.Module):
                    def forward(self, x):
                        return x * scale

                model, inputs, CASE = Net(), (torch.ones(1),), "model.case"
                model.register_forward_hook(hook(5))
                {PACK.replace(chr(10), chr(10) + " " * 16)}
            """
        },
    )
    assert _pack(tmp_path, "train.py")["expected"] == [7.0]
    again = f"""
import sys, torch, wardian
model = torch.nn.Sequential(wardian.load(sys.argv[1]), wardian.load(sys.argv[1]))
inputs, CASE = (torch.ones(1),), "again.case"
{PACK}
"""
    elsewhere = tmp_path / "elsewhere"
    _load(elsewhere, tmp_path / "model.case", again)
    assert json.loads((elsewhere / "again.case.json").read_text())["expected"] == [19.0]
    (tmp_path / "model.case").unlink()
    _load(tmp_path / "third", elsewhere / "again.case")


def test_stock_torch_package_reads_it(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "train.py": f"""
                import torch
                from torch import nn
                offset = torch.full((1,), 2.0)

                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.act = lambda x: x + offset

                    def forward(self, x):
                        return self.act(x)

                model, inputs, CASE = Net(), (torch.ones(1),), "model.case"
                {PACK.replace(chr(10), chr(10) + " " * 16)}
            """
        },
    )
    _pack(tmp_path, "train.py")
    code = """
import sys, torch, warnings
warnings.simplefilter("ignore")
from torch.package import PackageImporter
print(PackageImporter(sys.argv[1]).load_pickle("model", "model.pkl")(torch.ones(1)).tolist())
"""
    assert "[3.0]" in _load(tmp_path / "elsewhere", tmp_path / "model.case", code)
