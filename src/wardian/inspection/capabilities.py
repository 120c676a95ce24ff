"""Which functions mean that code can do something to the machine, by what they do.

A row is a dotted name; one that ends in `.*` stands for everything below it. A finding is no accusation: a
library that reads its own data file reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

__all__ = ["Capability", "capability_in_pickle", "capability_of", "capability_of_method", "is_powerful"]


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
        aiohttp.* asyncio.open_connection asyncio.start_server ftplib.* ftplib.FTP_TLS http.client.*
        http.server.* httplib.* httpx.* huggingface_hub.hf_hub_download huggingface_hub.snapshot_download
        imaplib.* imaplib.IMAP4_SSL nntplib.* nntplib.NNTP_SSL paramiko.* poplib.* poplib.POP3_SSL
        requests.* smtplib.* smtplib.SMTP_SSL socket.* socketserver.* ssl.* telnetlib.*
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


class _Names:
    """The rows of a table, by what they stand for."""

    def __init__(self, table: Mapping[Capability, str]) -> None:
        rows = [(name, capability) for capability, names in table.items() for name in names.split()]
        self.exact = {name: capability for name, capability in rows if not name.endswith(".*")}
        self.below = {n.removesuffix(".*"): capability for n, capability in rows if n.endswith(".*")}

    def capability_of(self, name: str) -> Capability | None:
        found = self.exact.get(name)
        while found is None and "." in name:
            name = name.rpartition(".")[0]
            found = self.below.get(name)
        return found


_NOTHING = """
    importlib.machinery.ModuleSpec importlib.util.find_spec importlib.util.spec_from_loader
    multiprocessing.cpu_count os.cpu_count pickle.dump pickle.dumps requests.exceptions
    shutil.get_terminal_size shutil.which signal.Signals signal.default_int_handler signal.getsignal
    socket.AddressFamily socket.SocketKind socket.error socket.timeout subprocess.CalledProcessError
    subprocess.CompletedProcess subprocess.TimeoutExpired zipfile.BadZipFile
"""
_HARMLESS = frozenset(_NOTHING.split())
"""Names below a row that do nothing."""
_NAMES_NOTHING = re.compile(
    r".*\.([A-Z0-9]+_[A-Z0-9_]+|SIG[A-Z]+|PIPE|STDOUT|DEVNULL|\w+(Error|Exception|Warning))(\..*)?"
)
"""Constants and exceptions do nothing either."""

_METHODS: Mapping[str, Capability] = {
    method: capability
    for capability, methods in {
        Capability.READS: "iterdir read_bytes read_text rglob",
        Capability.WRITES: """
            extractall hardlink_to mkdir rmdir save_pretrained symlink_to tofile touch unlink write_bytes
            write_text
        """,
        Capability.NETWORK: "from_pretrained push_to_hub urlopen urlretrieve",
        Capability.NATIVE: "LoadLibrary dlopen load_library",
    }.items()
    for method in methods.split()
}
"""Methods that say what they do, whatever they are called on."""

_OF_PICKLES: Mapping[Capability, str] = {
    Capability.CODE: """
        _frozen_importlib.* _frozen_importlib_external.* _imp.* _operator.attrgetter
        _operator.itemgetter _operator.methodcaller atexit.* builtins.apply builtins.filter
        builtins.getattr builtins.map builtins.setattr builtins.vars functools.partial
        functools.reduce gc.* idlelib.* inspect.* operator.attrgetter operator.itemgetter
        operator.methodcaller pydoc.* sys.* test.* torch._dynamo.* torch._inductor.*
        torch.jit.unsupported_tensor_ops.* torch.utils._config_module.* torch.utils.bottleneck.*
        torch.utils.collect_env.* unittest.*
    """,
    Capability.READS: """
        _io.FileIO _io.open _sqlite3.* builtins.open filecmp.* io.open
    """,
    Capability.WRITES: """
        compileall.* logging.FileHandler logging.handlers.* py_compile.* site.* syslog.*
    """,
    Capability.PROCESSES: """
        _aix_support.* _osx_support.* _posixsubprocess.* asyncio.* ensurepip.* nt.* os.* pexpect.*
        platform.* posix.* uuid._get_command_stdout uuid._popen venv.*
    """,
    Capability.UNPICKLING: """
        cloudpickle.* lib2to3.*
    """,
}
"""Functions by which a pickle, which has no code of its own, can use other functions, files and processes."""


_POWERFUL = frozenset({"builtins", "importlib", "nt", "os", "posix", "sys.modules"})

_CODE = _Names(_TABLE)
_PICKLES = _Names(_OF_PICKLES)


def capability_of(name: str) -> Capability | None:
    """Return what a function can do.

    Args:
        name: Its dotted name, with the module that defines or re-exports it.

    >>> capability_of("os.system"), capability_of("subprocess.run"), capability_of("math.sqrt")
    (<Capability.PROCESSES: 'processes'>, <Capability.PROCESSES: 'processes'>, None)
    """
    found = None if name in _HARMLESS else _CODE.capability_of(name)
    # Few names come so far, and the pattern is slow.
    return None if found is None or (name not in _CODE.exact and _NAMES_NOTHING.fullmatch(name)) else found


def capability_in_pickle(module: str, qualname: str) -> Capability | None:
    """Return what a pickle can do that names a function or class outside of the file.

    >>> capability_in_pickle("os", "getpid"), capability_in_pickle("collections", "OrderedDict")
    (<Capability.PROCESSES: 'processes'>, None)
    """
    name = f"{'builtins' if module == '__builtin__' else module}.{qualname}"
    return _CODE.capability_of(name) or _PICKLES.capability_of(name)


def is_powerful(module: str) -> bool:
    """Tell whether most of what a module has can do something, so that a computed name of it says a lot.

    >>> is_powerful("os"), is_powerful("torch")
    (True, False)
    """
    return module in _POWERFUL or module in _CODE.below


def capability_of_method(name: str) -> Capability | None:
    """Return what a method of any object can do, by its name alone."""
    return _METHODS.get(name)
