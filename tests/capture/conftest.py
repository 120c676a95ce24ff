"""Run user scripts in processes of their own, and load what they pack elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.interpreters import run as python
from tests.interpreters import without_leaks

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
SPECIMENS = sorted((_HERE / "specimens").glob("*.py"))


def run(
    *command: str | Path, cwd: Path, path: tuple[Path, ...] = (), isolated: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run Python in *cwd* with Wardian, and what *path* names, on its path.

    Args:
        command: Perhaps `-P`, and the arguments of `python`.
        cwd: Where it works.
        path: What else it can import from.
        isolated: Start an interpreter; see `tests.interpreters`.
    """
    cwd.mkdir(parents=True, exist_ok=True)
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (_ROOT / "src", *path))),
        "WARDIAN_CACHE": str(cwd / ".cache"),
    }
    words = [str(word) for word in command]
    flags = words[:1] if words[0] == "-P" else []
    return python(
        words[len(flags) :],
        folder=cwd,
        environment=without_leaks(os.environ) | environment,
        flags=flags,
        isolated=isolated,
    )


@pytest.fixture(scope="session")
def herbarium(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the cases of this session's specimens, and what is wrong with them."""
    wanted = {
        item.callspec.params.get("specimen") for item in request.session.items if hasattr(item, "callspec")
    }
    stems = [path.stem for path in SPECIMENS if path.stem in wanted]
    folder = tmp_path_factory.mktemp("herbarium")
    scripts = folder / "scripts"
    scripts.mkdir()
    for stem in stems:  # copies, which are gone when the cases are loaded
        (scripts / f"{stem}.py").write_bytes((_HERE / "specimens" / f"{stem}.py").read_bytes())
    (scripts / "specimen.py").write_bytes((_HERE / "specimen.py").read_bytes())
    done = run(
        _HERE / "packer.py",
        folder,
        *(scripts / f"{stem}.py" for stem in stems),
        cwd=scripts,
        path=(_ROOT, scripts),
    )
    (folder / "packer.log").write_text(done.stdout + done.stderr)
    for script in scripts.glob("*.py"):
        script.unlink()
    packed = [stem for stem in stems if (folder / f"{stem}.pt").exists()]
    done = run("-P", _HERE / "unpacker.py", folder, *packed, cwd=folder / "elsewhere", path=(_ROOT,))
    (folder / "unpacker.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr
    return folder
