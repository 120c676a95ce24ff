"""The service of the example answers over HTTP, and the pages show the files of the examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "examples" / "train_and_serve"


@pytest.mark.slow
def test_the_service_answers(tmp_path: Path) -> None:
    shutil.copytree(_EXAMPLE, tmp_path, dirs_exist_ok=True)
    variables = os.environ | {"PYTHONPATH": str(_ROOT / "src")}
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=variables, check=True, capture_output=True)
    (tmp_path / "train.py").unlink()  # the service knows the file, and not the code
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        # The service takes over a socket that listens already: a request waits until it is up.
        service = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "serve:app", "--fd", str(listening.fileno())],
            cwd=tmp_path,
            env=variables,
            pass_fds=[listening.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    try:
        asked = json.dumps({"flowers": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 5.6, 2.1]]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/name", asked, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert json.load(answer) == ["setosa", "virginica"]
    finally:
        service.terminate()
        told = service.communicate(timeout=60)[0]
    assert b"Traceback" not in told


@pytest.mark.parametrize("name", ["train.py", "serve.py"])
def test_the_tutorial_shows_the_files_of_the_example(name: str) -> None:
    page = (_ROOT / "docs" / "tutorial" / "share-a-model.md").read_text()
    (shown,) = re.findall(rf"```python\n(# {re.escape(name)}\n.*?)```", page, re.DOTALL)
    assert shown == (_EXAMPLE / name).read_text()
