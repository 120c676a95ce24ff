"""Which functions mean that code can do something to the machine, by what they do.

A row is a dotted name; one that ends in `.*` stands for everything below it. A finding is no accusation: a
library that reads its own data file reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

__all__ = ["Capability", "capability_of", "capability_of_method"]


class Capability(StrEnum):
    """Something that code can do beside computing."""

    NETWORK = "network"
    READS = "files read"
    WRITES = "files written"
    PROCESSES = "processes"
    THREADS = "threads"
    NATIVE = "native code"
    CODE = "dynamic code"
    IMPORTS = "dynamic import"
    ENVIRONMENT = "environment"
    UNPICKLING = "unpickling"


_TABLE: Mapping[Capability, str] = {
    Capability.NETWORK: """
        aiohttp.* asyncio.open_connection asyncio.start_server ftplib.* http.client.* http.server.*
        httplib.* httpx.* huggingface_hub.hf_hub_download huggingface_hub.snapshot_download imaplib.*
        nntplib.* paramiko.* poplib.* requests.* smtplib.* socket.* socketserver.* ssl.* telnetlib.*
        torch.hub.* urllib.request.* urllib2.* urllib3.* webbrowser.* websocket.* xmlrpc.*
    """,
    Capability.READS: """
        codecs.open fileinput.* glob.* importlib.resources.* io.FileIO io.open io.open_code linecache.*
        mmap.mmap numpy.fromfile numpy.loadtxt numpy.memmap os.listdir os.open os.read os.scandir os.walk
        pkgutil.get_data sqlite3.connect tarfile.* torch.from_file zipfile.*
    """,
    Capability.WRITES: """
        numpy.save numpy.savetxt numpy.savez numpy.savez_compressed os.chmod os.chown os.link os.makedirs
        os.mkdir os.remove os.removedirs os.rename os.renames os.replace os.rmdir os.symlink os.truncate
        os.unlink os.write posix.remove posix.unlink shutil.* tempfile.* torch.save
    """,
    Capability.PROCESSES: """
        asyncio.create_subprocess_exec asyncio.create_subprocess_shell commands.*
        concurrent.futures.ProcessPoolExecutor multiprocessing.* nt.system os.abort os.execl os.execle
        os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe os.fork os.forkpty os.kill os.killpg
        os.popen os.popen2 os.popen3 os.popen4 os.posix_spawn os.posix_spawnp os.spawnl os.spawnle
        os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp os.spawnvpe os.startfile os.system pip.*
        popen2.* posix.popen posix.system pty.* signal.* subprocess.* torch.multiprocessing.*
    """,
    Capability.THREADS: """
        _thread.* asyncio.run asyncio.to_thread concurrent.futures.ThreadPoolExecutor threading.Thread
        threading.Timer
    """,
    Capability.NATIVE: """
        _ctypes.* cffi.* ctypes.CDLL ctypes.CFUNCTYPE ctypes.OleDLL ctypes.PYFUNCTYPE ctypes.PyDLL
        ctypes.WINFUNCTYPE ctypes.WinDLL ctypes.cast ctypes.cdll.* ctypes.memmove ctypes.memset
        ctypes.oledll.* ctypes.pydll.* ctypes.pythonapi.* ctypes.string_at ctypes.util.* ctypes.windll.*
        cupy.RawKernel cupy.RawModule distutils.* numpy.ctypeslib.* pybind11.* torch.classes.load_library
        torch.ops.load_library torch.utils.cpp_extension.*
    """,
    Capability.CODE: """
        bdb.* builtins.compile builtins.eval builtins.exec cProfile.* code.* codeop.* doctest.*
        lib2to3.pgen2.pgen.* numpy.f2py.* numpy.testing._private.utils.* pdb.* profile.* runpy.*
        sympy.lambdify sympy.parse_expr sympy.sympify timeit.* torch.fx.experimental.*
        torch.jit.CompilationUnit trace.* types.CodeType types.FunctionType
    """,
    Capability.IMPORTS: """
        builtins.__import__ imp.* importlib.__import__ importlib.import_module importlib.machinery.*
        importlib.reload importlib.util.* pkgutil.extend_path pkgutil.iter_modules pkgutil.resolve_name
        pkgutil.walk_packages zipimport.*
    """,
    Capability.ENVIRONMENT: """
        getpass.* os.environ os.environb os.getenv os.getlogin os.putenv os.unsetenv platform.node pwd.*
        socket.gethostname
    """,
    Capability.UNPICKLING: """
        _pickle.* builtins.breakpoint cPickle.* cloudpickle.* dill.* joblib.load jsonpickle.* marshal.*
        numpy.load pandas.read_pickle pickle.* shelve.* torch.load torch.package.* torch.serialization.*
        yaml.Loader yaml.UnsafeLoader yaml.load yaml.unsafe_load
    """,
}

_EXACT = {
    name: capability
    for capability, rows in _TABLE.items()
    for name in rows.split()
    if not name.endswith(".*")
}
_BELOW = {
    name.removesuffix(".*"): capability
    for capability, rows in _TABLE.items()
    for name in rows.split()
    if name.endswith(".*")
}
_NOTHING = """
    importlib.machinery.ModuleSpec importlib.util.find_spec importlib.util.spec_from_loader
    multiprocessing.cpu_count os.cpu_count pickle.HIGHEST_PROTOCOL pickle.PickleError
    pickle.PicklingError pickle.UnpicklingError pickle.dump pickle.dumps requests.exceptions
    shutil.get_terminal_size shutil.which signal.SIGINT signal.SIGTERM signal.Signals socket.AF_INET
    socket.AF_INET6 socket.error socket.timeout ssl.SSLError subprocess.CalledProcessError
    subprocess.DEVNULL subprocess.PIPE subprocess.STDOUT subprocess.TimeoutExpired tarfile.TarError
    zipfile.BadZipFile zipfile.ZIP_BZIP2 zipfile.ZIP_DEFLATED zipfile.ZIP_LZMA zipfile.ZIP_STORED
"""
_HARMLESS = frozenset(_NOTHING.split())
"""Names below a row that do nothing."""

_METHODS: Mapping[str, Capability] = {
    "read_bytes": Capability.READS,
    "read_text": Capability.READS,
    "write_bytes": Capability.WRITES,
    "write_text": Capability.WRITES,
    "urlopen": Capability.NETWORK,
    "urlretrieve": Capability.NETWORK,
}
"""Methods that say what they do, whatever they are called on."""


def capability_of(name: str) -> Capability | None:
    """Return what a function can do.

    Args:
        name: Its dotted name, with the module that defines or re-exports it.

    >>> capability_of("os.system"), capability_of("subprocess.run"), capability_of("math.sqrt")
    (<Capability.PROCESSES: 'processes'>, <Capability.PROCESSES: 'processes'>, None)
    """
    if name in _HARMLESS:
        return None
    found = _EXACT.get(name)
    for above in () if found is not None else _above(name):
        if above in _BELOW:
            return _BELOW[above]
    return found


def capability_of_method(name: str) -> Capability | None:
    """Return what a method of any object can do, by its name alone."""
    return _METHODS.get(name)


def _above(name: str) -> Iterable[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
