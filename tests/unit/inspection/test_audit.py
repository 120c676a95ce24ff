"""Every kind of thing that code can do is found, with its line and with when it happens."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path

import pytest

import wardian
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import PackedDistribution
from wardian.inspection.audit import Audit, audit
from wardian.inspection.capabilities import Capability
from wardian.reading.foreign import read_manifest
from wardian.source.locations import without_columns
from wardian.source.rewriting import dump_code


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
        ("import os as o\nnames = o\nnames.system('x')", "processes", "os.system"),
        ("import os\ngetattr(os, 'sys' + 'tem')('x')", "processes", "os.system"),
        ("import os\nvars(os)['system']('x')", "processes", "os.system"),
        ("import os\nos.__dict__['system']('x')", "processes", "os.system"),
        ("import sys\nsys.modules['os'].system('x')", "processes", "os.system"),
        ("import os\ngetattr(os, name)('x')", "dynamic code", "getattr(os, ...)"),
        ("from os import *\nsystem('x')", "processes", "os.system"),
        ("from subprocess import *", "processes", "subprocess.*"),
        ("__builtins__['eval']('x')", "dynamic code", "builtins.eval"),
        ("from elsewhere import path\npath.open('w')", "files written", "?.open"),
        ("from pathlib import Path\nPath('f').open()", "files read", "?.open"),
        ("import tarfile\ntarfile.TarFile('x').extractall('/')", "files written", "?.extractall"),
        ("from cffi import FFI\nFFI()", "native code", "cffi.FFI"),
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
        "import socket\nsocket.SO_REUSEADDR\nsocket.AddressFamily.AF_INET",
        "import subprocess\ntry:\n    pass\nexcept subprocess.SubprocessError:\n    pass",
        "class A:\n    def f(self):\n        return self.eval()",
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


def test_code_that_an_import_does_not_run_is_no_import(tmp_path: Path) -> None:
    source = """
import os
import threading
from typing import TYPE_CHECKING

run = lambda x: os.system(x)
fork = lambda x=os.kill: 1

class Worker(threading.Thread):
    pass

if TYPE_CHECKING:
    os.popen
if __name__ == "__main__":
    os.fork()
else:
    os.getenv
"""
    found = {f.name: f.when for f in _audit(tmp_path, source).findings}
    assert found == {
        "os.system": "reachable",  # the lambda is mentioned where it is made
        "os.kill": "import",
        "threading.Thread": "elsewhere",
        "os.popen": "elsewhere",
        "os.fork": "elsewhere",
        "os.getenv": "import",
    }


def test_what_one_module_imports_another_takes_from_it(tmp_path: Path) -> None:
    files = {
        "ash|__init__.py": b"",
        "ash|compat.py": b"import os as system_tools\nfrom subprocess import run as start\n",
        "ash|more.py": b"from .compat import start\n",
    }
    source = (
        "from ash.compat import system_tools\nfrom ash import more\nsystem_tools.system('x')\nmore.start('x')"
    )
    found = {(f.record, f.line, f.name) for f in _audit(tmp_path, source, **files).findings}
    assert found == {("yew.py", 3, "os.system"), ("yew.py", 4, "subprocess.run")}


def test_libraries_are_native_code(tmp_path: Path) -> None:
    found = _audit(tmp_path, "", **{"yew_ops|ops.so": b"\x7fELF"}).findings
    assert [(f.capability, f.when, f.record) for f in found] == [
        ("native code", "elsewhere", "yew_ops/ops.so")
    ]


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
    code = compile(source, "yew.py", "exec", dont_inherit=True)
    right, bare = header + dump_code(code), header + dump_code(without_columns(code))
    wrong = header + dump_code(compile("import os; os.system('x')", "yew.py", "exec"))
    moved = compile("\nx = 1\n", "yew.py", "exec", dont_inherit=True)
    name = f".wardian|bytecode|{tag}|yew.pyc"
    assert right != bare
    for data in (right, bare):
        assert _audit(tmp_path, source.decode(), **{name: data}).unlike == ()
    for data in (wrong, header + dump_code(moved), header + dump_code(without_columns(moved))):
        assert _audit(tmp_path, source.decode(), **{name: data}).unlike == (name.replace("|", "/"),)
    other = ".wardian|bytecode|cpython-399|yew.pyc"
    assert _audit(tmp_path, source.decode(), **{other: right}).unchecked == (other.replace("|", "/"),)


def test_bytecode_without_source_is_read_too(tmp_path: Path) -> None:
    source = """
import os, subprocess as sp
from importlib import import_module
os.getenv("x")
__import__("socket").socket()

class Oak:
    def forward(self):
        return self.grow()

    def grow(self):
        sp.run("x")

def f():
    getattr(os, "system")("x")
    open("f", "w")

g = lambda: [eval("x") for _ in ()]
"""
    tag = sys.implementation.cache_tag
    bytecode = importlib.util.MAGIC_NUMBER + bytes(12) + dump_code(compile(source, "oak.py", "exec"))
    held = b"\x80\x04\x8c\x03oak\x8c\x03Oak\x93."
    found = _audit(tmp_path, "", pickle=held, **{f".wardian|bytecode|{tag}|oak.pyc": bytecode}).findings
    assert {(f.capability.value, f.line, f.name, f.when) for f in found} == {
        ("environment", 4, "os.getenv", "import"),
        ("dynamic import", 5, "builtins.__import__", "import"),
        ("network", 5, "socket.socket", "import"),
        ("processes", 12, "subprocess.run", "reachable"),
        ("processes", 15, "os.system", "elsewhere"),
        ("files written", 16, "open", "elsewhere"),
        ("dynamic code", 18, "builtins.eval", "reachable"),
    }


@pytest.mark.parametrize("content", [b"", bytes(40), importlib.util.MAGIC_NUMBER + bytes(12) + b"N"])
def test_bytecode_that_is_none_is_told(content: bytes, tmp_path: Path) -> None:
    name = f".wardian|bytecode|{sys.implementation.cache_tag}|oak.pyc"
    assert _audit(tmp_path, "", **{name: content}).unreadable == (name.replace("|", "/"),)


def test_pickles_that_are_data_count_and_damaged_ones_are_told(tmp_path: Path) -> None:
    data = {
        "yew_data|table.bin": pickle.dumps(print, 4),
        "yew_data|half.bin": pickle.dumps([print] * 9, 4)[:-8],
    }
    found = _audit(tmp_path, "", **data)
    assert ("yew_data/table.bin", "print") in {(g.record, g.qualname) for g in found.globals}
    assert found.unreadable == ("yew_data/half.bin",)


@pytest.mark.parametrize("source", ["def (", "x = " + "-" * 4000 + "1", "\0"])
def test_a_source_that_is_none_is_told(source: str, tmp_path: Path) -> None:
    assert _audit(tmp_path, source).unreadable == ("yew.py",)


def test_an_open_case_tells_the_same(tmp_path: Path) -> None:
    path = write_case(tmp_path / "yew.case", {"yew.py": "import os\nos.system('x')"})
    with wardian.open(path) as case, ArchiveReader.open(path) as archive:
        assert case.audit() == audit(archive, read_manifest(archive))
        assert [str(finding) for finding in case.audit().findings] == ["yew.py:2: os.system"]


def test_an_expression_of_a_thousand_levels_is_told(tmp_path: Path) -> None:
    assert _audit(tmp_path, "x = a" + " + a" * 3000).unreadable == ("yew.py",)


def test_what_inflates_far_beyond_the_file_is_not_parsed(tmp_path: Path) -> None:
    found = _audit(
        tmp_path,
        "x;" * (1 << 20),
        pickle=b"\x80\x04" + b"\x94" * (1 << 20) + b".",
        **{f".wardian|bytecode|{sys.implementation.cache_tag}|ash.pyc": bytes(1 << 20)},
    )
    assert len(found.unreadable) == 3


def test_bytecode_that_claims_far_more_than_it_has_is_told(tmp_path: Path) -> None:
    record = f".wardian|bytecode|{sys.implementation.cache_tag}|ash.pyc"
    found = _audit(tmp_path, "", **{record: bytes(16) + b"(\xff\xff\xff\x7f"})
    assert found.unreadable == (record.replace("|", "/"),)


def test_an_audit_shows_itself_in_one_line(tmp_path: Path) -> None:
    path = write_case(tmp_path / "oak.case", "--- oak.py\nimport os\nos.system('x')\nos.system('y')\n")
    with ArchiveReader.open(path) as archive:
        found = audit(archive, read_manifest(archive))
    assert repr(found) == str(found) == "<Audit: 2 processes; 0 globals in pickles; 0 unlike, 0 unreadable>"
