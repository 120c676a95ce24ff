"""What bandit, picklescan and fickling find in an example, `wardian audit` finds, too.

The examples are ours, several for each capability. What only imports a module (B4xx of bandit) is left out:
an import of `subprocess` runs no process, and the use of it is found. fickling distrusts some modules as
a whole (`logging`, `difflib`), of which ordinary objects come; of those we follow single functions.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest
from fickling.analysis import Severity, check_safety
from fickling.fickle import Pickled
from picklescan.scanner import SafetyLevel, scan_pickle_bytes

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.inspection.audit import Audit, audit
from wardian.inspection.capabilities import Capability
from wardian.reading.foreign import read_manifest

SOURCES: Mapping[Capability, str] = {
    Capability.NETWORK: """
        import ftplib, imaplib, socket, ssl, telnetlib, urllib.request as web, xmlrpc.client
        import httpx, paramiko, requests
        from transformers import AutoModel
        web.urlopen("http://example.org")
        ftplib.FTP("example.org").login()
        telnetlib.Telnet("example.org")
        requests.get("http://example.org", verify=False)
        httpx.post("http://example.org", verify=False)
        requests.get("http://example.org")
        ssl.wrap_socket(ssl_version=ssl.PROTOCOL_SSLv3)
        ssl._create_unverified_context()
        AutoModel.from_pretrained("someone/model")
        web.urlretrieve("http://example.org", "copy")
        """,
    Capability.WRITES: """
        import os, tarfile, tempfile, shutil
        tempfile.mktemp()
        os.chmod("file", 0o777)
        tarfile.open("archive.tar").extractall("/tmp")
        """,
    Capability.PROCESSES: """
        import os, subprocess
        from subprocess import Popen as start, check_output
        import popen2, commands
        os.system("ls")
        os.popen("ls *")
        os.execvp("ls", ["ls"])
        os.spawnl(os.P_WAIT, "/bin/ls")
        os.startfile("file")
        subprocess.call("ls", shell=True)
        start("ls", shell=True)
        check_output(["ls"])
        commands.getoutput("ls")
        popen2.popen2("ls")
        """,
    Capability.CODE: """
        exec("x = 1")
        eval("1 + 1")
        """,
    Capability.UNPICKLING: """
        import dill, jsonpickle, marshal, pandas, pickle, shelve, torch, yaml
        from pickle import Unpickler
        pickle.loads(data)
        pickle.load(file)
        Unpickler(file).load()
        marshal.loads(data)
        dill.loads(data)
        shelve.open("table")
        jsonpickle.decode(data)
        pandas.read_pickle("table")
        yaml.load(data)
        torch.load("weights.pt")
        """,
}
"""What bandit knows of; the other capabilities are tested in tests/unit/inspection."""

PICKLES = [
    *("os.system", "posix.system", "nt.system", "os.popen", "subprocess.Popen", "subprocess.check_output"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.getattr"),
    *("builtins.breakpoint", "__builtin__.eval", "__builtin__.apply", "builtins.__import__"),
    *("socket.socket", "socket.create_connection", "urllib.request.urlopen", "requests.api.get"),
    *("aiohttp.ClientSession", "webbrowser.open", "ssl.create_default_context", "smtplib.SMTP"),
    *("shutil.rmtree", "shutil.copyfile", "tempfile.NamedTemporaryFile", "logging.FileHandler", "_io.FileIO"),
    *("ctypes.CDLL", "ctypes.WinDLL", "_ctypes.dlopen", "importlib.import_module", "pkgutil.resolve_name"),
    *("runpy.run_path", "code.InteractiveInterpreter", "pdb.run", "bdb.Bdb", "cProfile.run", "profile.run"),
    *("timeit.timeit", "trace.Trace.run", "doctest.debug_script", "pydoc.pipepager", "types.CodeType"),
    *("operator.attrgetter", "operator.methodcaller", "_operator.itemgetter", "functools.partial"),
    *("pickle.loads", "_pickle.Unpickler", "torch.serialization.load", "cloudpickle.cloudpickle.subimport"),
    *("asyncio.run", "multiprocessing.Process", "threading.Thread", "pty.spawn", "pip.main", "venv.create"),
    *(
        "sys.exit",
        "sys.setrecursionlimit",
        "uuid._get_command_stdout",
        "ensurepip._run_pip",
        "platform.popen",
    ),
    *("numpy.f2py.compile", "torch.utils.collect_env.run", "torch.jit.unsupported_tensor_ops.execWrapper"),
]
ORDINARY = [
    *("collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "builtins.set"),
    *("datetime.datetime", "decimal.Decimal", "pathlib.PosixPath", "fractions.Fraction"),
]
"""fickling distrusts those of PyTorch too, as it does all that is in no standard library."""


def _audit(folder: Path, sources: Mapping[str, str], pickle: bytes = b"\x80\x04N.") -> Audit:
    with ArchiveReader.open(write_case(folder / "oak.case", dict(sources), pickle=pickle)) as archive:
        return audit(archive, read_manifest(archive))


def _plain(source: str) -> str:
    return "\n".join(line.strip() for line in source.splitlines()[1:])


def test_what_bandit_finds_is_found(tmp_path: Path) -> None:
    sources = {f"oak_{capability.name.lower()}.py": _plain(text) for capability, text in SOURCES.items()}
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "bandit",
        "-q",
        "-f",
        "json",
        *(str(tmp_path / name) for name in sources),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    theirs = {
        (Path(found["filename"]).name, line)
        for found in json.loads(done.stdout)["results"]
        if not found["test_id"].startswith("B4")
        for line in found["line_range"]
    }
    assert len(theirs) >= 30
    ours = {(f.record, f.line): f.capability for f in _audit(tmp_path, sources).findings}
    assert theirs - ours.keys() == set()
    for capability in SOURCES:
        name = f"oak_{capability.name.lower()}.py"
        assert {ours[place] for place in theirs if place[0] == name} == {capability}


def _pickle_of(name: str) -> bytes:
    module, _, qualname = name.rpartition(".")
    if module == "trace.Trace":
        module, qualname = "trace", "Trace.run"
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, qualname))
    return pickle.PROTO + b"\x04" + texts + pickle.STACK_GLOBAL + b")R."


def test_what_picklescan_and_fickling_find_is_found(tmp_path: Path) -> None:
    found: dict[str, set[str]] = {}
    for name in PICKLES:
        content = _pickle_of(name)
        scanned = scan_pickle_bytes(BytesIO(content), name)
        if any(g.safety is SafetyLevel.Dangerous for g in scanned.globals):
            found.setdefault(name, set()).add("picklescan")
        if check_safety(Pickled.load(content)).severity >= Severity.LIKELY_UNSAFE:
            found.setdefault(name, set()).add("fickling")
    assert {"picklescan", "fickling"} == set().union(*found.values())
    assert len(found) >= 40
    for name, finders in found.items():
        (ours,) = _audit(tmp_path, {}, _pickle_of(name)).globals
        assert ours.capability is not None or ours.where == "not declared", (name, finders)


@pytest.mark.parametrize("name", ORDINARY)
def test_what_ordinary_pickles_name_is_no_finding(name: str, tmp_path: Path) -> None:
    (ours,) = _audit(tmp_path, {}, _pickle_of(name)).globals
    assert ours.capability is None
