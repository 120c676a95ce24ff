"""Every kind of thing that code can do is found, with its line and with when it happens."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path

import pytest

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.inspection.audit import Audit, audit
from wardian.inspection.capabilities import Capability
from wardian.live.foreign import read_manifest
from wardian.manifest import PackedDistribution
from wardian.rewrite import dump_code


def _audit(folder: Path, source: str, *, pickle: bytes = b"\x80\x04N.", **records: bytes) -> Audit:
    files: dict[str, str | bytes] = {"yew.py": source, **{k.replace("|", "/"): v for k, v in records.items()}}
    yew = PackedDistribution(name="yew", version="1", roots=("yew",))
    path = write_case(folder / "yew.case", files, pickle=pickle, distributions=(yew,))
    with ArchiveReader.open(path) as archive:
        return audit(archive, read_manifest(archive))


@pytest.mark.parametrize(
    ("source", "capability", "name"),
    [
        ("import os\nos.system('x')", "processes", "os.system"),
        ("import os as o\no.popen('x')", "processes", "os.popen"),
        ("from os import system as s\ns('x')", "processes", "os.system"),
        (
            "from subprocess import *\nimport subprocess\nsubprocess.Popen('x')",
            "processes",
            "subprocess.Popen",
        ),
        ("import os\nf = os.execv", "processes", "os.execv"),
        ("import os\ngetattr(os, 'system')('x')", "processes", "os.system"),
        ("__import__('os').system('x')", "processes", "os.system"),
        ("import importlib\nimportlib.import_module('os').system('x')", "processes", "os.system"),
        ("import socket\nsocket.socket()", "network", "socket.socket"),
        ("import urllib.request\nurllib.request.urlopen('u')", "network", "urllib.request.urlopen"),
        ("import requests\nrequests.get('u')", "network", "requests.get"),
        ("import torch\ntorch.hub.load('a', 'b')", "network", "torch.hub.load"),
        ("open('f')", "files read", "open"),
        ("open('f', 'rb')", "files read", "open"),
        ("open('f', 'w')", "files written", "open"),
        ("open('f', mode=m)", "files written", "open"),
        ("from pathlib import Path\nPath('f').write_text('x')", "files written", "?.write_text"),
        ("import shutil\nshutil.rmtree('d')", "files written", "shutil.rmtree"),
        ("import ctypes\nctypes.CDLL('x')", "native code", "ctypes.CDLL"),
        ("from torch.utils.cpp_extension import load", "native code", None),
        ("import torch\ntorch.ops.load_library('x')", "native code", "torch.ops.load_library"),
        ("exec('x')", "dynamic code", "builtins.exec"),
        ("eval('x')", "dynamic code", "builtins.eval"),
        ("import importlib\nimportlib.import_module(x)", "dynamic import", "importlib.import_module"),
        ("__import__(x)", "dynamic import", "builtins.__import__"),
        ("import os\nos.environ['X']", "environment", "os.environ"),
        ("import threading\nthreading.Thread()", "threads", "threading.Thread"),
        ("import pickle\npickle.loads(b'')", "unpickling", "pickle.loads"),
        ("import torch\ntorch.load('f')", "unpickling", "torch.load"),
        ("import marshal\nmarshal.loads(b'')", "unpickling", "marshal.loads"),
    ],
)
def test_each_kind_is_found_with_its_line(
    source: str, capability: str, name: str | None, tmp_path: Path
) -> None:
    found = _audit(tmp_path, source).findings
    if name is None:  # what is only imported does nothing yet
        assert found == ()
        return
    mine = [finding for finding in found if finding.name == name]
    assert [finding.capability for finding in mine] == [capability]
    assert (mine[0].record, mine[0].line, mine[0].when) == ("yew.py", source.count("\n") + 1, "import")


@pytest.mark.parametrize(
    "source",
    [
        "import math\nmath.sqrt(4)",
        "import os\nos.path.join('a', 'b')",
        "import pickle\npickle.dumps(1)",
        "import socket\nx: socket.socket = 1\ndef f(x: socket.socket) -> socket.socket: pass",
        "import ctypes\nctypes.c_long",
    ],
)
def test_what_only_computes_is_no_finding(source: str, tmp_path: Path) -> None:
    assert _audit(tmp_path, source).findings == ()


def test_it_is_told_when_code_runs(tmp_path: Path) -> None:
    source = """
import os

@os.getenv
class Yew:
    def forward(self, x):
        return self.grow(x)

    def grow(self, x):
        os.system("reachable")

    def unused(self):
        pass

def elsewhere():
    os.fork()

def default(x=os.kill):
    pass
"""
    held = b"\x80\x04\x8c\x03yew\x8c\x03Yew\x93."
    found = {f.name: f.when for f in _audit(tmp_path, source, pickle=held).findings}
    assert found == {
        "os.getenv": "import",
        "os.kill": "import",
        "os.system": "reachable",
        "os.fork": "elsewhere",
    }


def test_globals_of_pickles_are_listed_with_what_they_could_do(tmp_path: Path) -> None:
    held = pickle.dumps([print, len], 4).replace(b"\x8c\x05print", b"\x8c\x04eval")
    found = _audit(tmp_path, "", pickle=held).globals
    assert [(g.module, g.qualname, g.where, g.capability) for g in found] == [
        ("builtins", "eval", "standard library", Capability.CODE),
        ("builtins", "len", "standard library", None),
    ]
    unknown = _audit(tmp_path, "", pickle=b"\x80\x04\x8c\x05oakum\x8c\x01x\x93.").globals
    assert [found.where for found in unknown] == ["not declared"]


def test_bytecode_must_compile_from_its_source(tmp_path: Path) -> None:
    tag = sys.implementation.cache_tag
    source = b"x = 1\n"
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    right = header + dump_code(compile(source, "yew.py", "exec", dont_inherit=True))
    wrong = header + dump_code(compile("import os; os.system('x')", "yew.py", "exec"))
    name = f".wardian|bytecode|{tag}|yew.pyc"
    assert _audit(tmp_path, source.decode(), **{name: right}).unlike == ()
    assert _audit(tmp_path, source.decode(), **{name: wrong}).unlike == (name.replace("|", "/"),)
    other = ".wardian|bytecode|cpython-399|yew.pyc"
    assert _audit(tmp_path, source.decode(), **{other: right}).unchecked == (other.replace("|", "/"),)


def test_bytecode_without_source_is_read_too(tmp_path: Path) -> None:
    tag = sys.implementation.cache_tag
    code = compile("import os\ndef f():\n    os.system('x')\n", "oak.py", "exec")
    bytecode = importlib.util.MAGIC_NUMBER + bytes(12) + dump_code(code)
    found = _audit(tmp_path, "", **{f".wardian|bytecode|{tag}|oak.pyc": bytecode}).findings
    assert ("processes", "os.system") in {(f.capability, f.name) for f in found}


def test_a_source_that_is_none_is_told(tmp_path: Path) -> None:
    assert _audit(tmp_path, "def (").unreadable == ("yew.py",)
