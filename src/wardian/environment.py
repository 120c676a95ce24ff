"""What the running interpreter knows: modules, where they come from, and the distributions that own them.

This is the only module that asks `importlib.metadata` and `importlib.util` about the environment.
"""

from __future__ import annotations

import atexit
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import types
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wardian.names import ModuleName, top_level

__all__ = [
    "Distribution",
    "Distributions",
    "LEFT_OUT",
    "METADATA_FILES",
    "ModuleFacts",
    "ModuleKind",
    "PackedOrigin",
    "find_module",
    "find_spec",
    "is_always_there",
    "is_importable",
    "is_stdlib",
    "known_attribute",
    "mapped_libraries",
    "on_disk",
    "unpacked",
    "variables_of",
]

METADATA_FILES = ("METADATA", "entry_points.txt", "top_level.txt")
"""Files of a `.dist-info` folder that code reads through `importlib.metadata`."""

LEFT_OUT = "left_out"
"""Record beside them in a case: the modules of the distribution that are not in it (docs/format.md, 2)."""


class ModuleKind(StrEnum):
    """What stands behind a module name."""

    STDLIB = "stdlib"
    SOURCE = "source"
    EXTENSION = "extension"
    BYTECODE = "bytecode"
    NAMESPACE = "namespace"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """Where a module comes from."""

    name: ModuleName
    kind: ModuleKind
    file: str | None = None
    """Absolute path of its source, bytecode or shared library."""
    is_package: bool = False
    distribution: str | None = None
    """Normalised name of the distribution that owns it; None for first-party code and the stdlib."""


@dataclass(frozen=True, slots=True)
class PackedOrigin:
    """An open case as a place that modules come from.

    Objects that were loaded from it are packed with its modules, not with those installed by now.
    """

    path: str
    """The case."""
    module_prefix: str
    """What the full names of its modules begin with: `wardian.live.resnet18_3f9a2c1b.`."""
    roots: frozenset[str]
    """Top-level names it serves."""
    modules: Mapping[ModuleName, ModuleFacts]
    """Its modules; their files lie on disk."""
    versions: Mapping[str, str]
    """Its distributions: normalised name → version."""
    files: Mapping[str, tuple[tuple[str, str, int], ...]]
    """Distribution → (record name, path, size in bytes) of its sources and data files."""
    metadata: Mapping[str, Mapping[str, bytes]]
    """Distribution → `.dist-info` files."""
    absent: tuple[str, ...]
    """Top-level names that were not there when it was made."""
    materialised: tuple[str, ...]
    """Top-level names whose files code looked at when it was made."""
    lacking: tuple[tuple[str | None, str | None, tuple[str, ...], tuple[str, ...]], ...] = ()
    """What is missing here and may be: distribution, version, modules and names of each."""
    mixed: frozenset[str] = frozenset()
    """Top-level names of which the object has parts from the environment, too."""
    sharing: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    """Top-level names that several distributions share, as `facts.Trace` has them."""
    asked: tuple[str, ...] = ()
    """Distributions of which it has no more than the version, because code asks for that: `name==version`."""
    beside: tuple[tuple[str, str], ...] = ()
    """Record name and path of data that code has looked at beside the packages."""
    mocks: tuple[str, ...] = ()
    """Modules that are mocked in it."""

    def original(self, name: str) -> ModuleName | None:
        """Return the own name of a module by its full name; None if it is not one of this case."""
        if not name.startswith(self.module_prefix):
            return None
        own = ModuleName(name[len(self.module_prefix) :])
        return own if top_level(own) in self.roots else None


def is_stdlib(name: ModuleName) -> bool:
    """Tell whether *name* belongs to the standard library, its private accelerators included.

    >>> is_stdlib(ModuleName("os.path")), is_stdlib(ModuleName("_socket")), is_stdlib(ModuleName("numpy"))
    (True, True, False)
    """
    top = top_level(name)
    # `_sysconfigdata_<abi>_<platform>` is made when CPython is built, and so is on no list.
    return top in sys.stdlib_module_names or top == "__main__" or top.startswith("_sysconfigdata")


def is_always_there(name: ModuleName) -> bool:
    """Tell whether *name* is there wherever a case is opened: of the standard library, or Wardian itself."""
    return is_stdlib(name) or top_level(name) == "wardian"


def _kind_of(origin: str | None, has_locations: bool) -> ModuleKind:
    if origin is None or origin == "namespace":
        return ModuleKind.NAMESPACE if has_locations else ModuleKind.MISSING
    if origin.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        return ModuleKind.EXTENSION
    if origin.endswith(tuple(importlib.machinery.BYTECODE_SUFFIXES)):
        return ModuleKind.BYTECODE
    if origin.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        return ModuleKind.SOURCE
    return ModuleKind.MISSING


def known_attribute(module: Any, name: str) -> Any:
    """Return an attribute of what is in `sys.modules`, None without one, and run no `__getattr__` for it.

    A lazy module would import what it stands for, which may not be there.
    """
    try:
        return object.__getattribute__(module, name)
    except AttributeError:
        return None


def variables_of(module: object) -> dict[str, Any]:
    """Return the variables of what is in `sys.modules`, empty if it has none, and run nothing of it.

    Anything may be there: a package that waits for its first use, an object of C code without a dictionary
    that says it is a module (cffi's libraries), a proxy whose class computes `__dict__`. So the descriptor
    of the interpreter is asked, never an attribute.
    """
    for cls in type.__getattribute__(type(module), "__mro__"):
        found = type.__getattribute__(cls, "__dict__").get("__dict__")
        if isinstance(found, types.MemberDescriptorType | types.GetSetDescriptorType):
            variables = found.__get__(module)
            return variables if isinstance(variables, dict) else {}
    return {}


def find_module(name: ModuleName, distributions: Distributions) -> ModuleFacts:
    """Look *name* up without importing it or a package above it that is not yet imported.

    Args:
        name: Dotted module name.
        distributions: What is installed.

    Returns:
        The facts; kind MISSING if there is no such module.
    """
    if is_stdlib(name):
        return ModuleFacts(name, ModuleKind.STDLIB)
    loaded = sys.modules.get(name)
    spec = known_attribute(loaded, "__spec__")
    if spec is None:
        try:
            spec = _find_spec_without_import(name)
        except (ImportError, AttributeError, ValueError):
            spec = None
    if spec is None:
        file = known_attribute(loaded, "__file__")
        lazy = hasattr(type(loaded), "__getattr__")
        if file is None and loaded is not None and not lazy and "." in name:
            # Made by a compiled module, as torch._C._nn is: it comes with what is above it.
            above = find_module(ModuleName(name.rpartition(".")[0]), distributions)
            return ModuleFacts(name, ModuleKind.EXTENSION, None, False, above.distribution)
        if file is None:
            return ModuleFacts(name, ModuleKind.MISSING)
        return ModuleFacts(
            name,
            _kind_of(file, False),
            on_disk(os.path.abspath(file)),
            known_attribute(loaded, "__path__") is not None,
            distributions.owner(name, file),
        )
    locations = spec.submodule_search_locations
    origin = spec.origin if spec.has_location else None
    kind = _kind_of(origin, locations is not None)
    known = origin is not None and kind is not ModuleKind.MISSING
    file = on_disk(os.path.abspath(origin)) if known and origin is not None else None
    place = file or (next(iter(locations), None) if locations is not None else None)
    return ModuleFacts(name, kind, file, locations is not None, distributions.owner(name, place))


def on_disk(path: str) -> str:
    """Return *path*, or, of what is inside a ZIP archive on `sys.path`, the path of a copy.

    The copies last as long as this process.
    """
    above = path
    while not os.path.exists(above):
        above, name = os.path.split(above)
        if not name:
            return path
    if above == path or not os.path.isfile(above):
        return path
    return os.path.join(unpacked(above), path[len(above) + 1 :])


def unpacked(entry: str) -> str:
    """Return *entry* of `sys.path`, or, if it is a ZIP archive, the folder of a copy."""
    if not os.path.isfile(entry) or not zipfile.is_zipfile(entry):
        return entry
    return _unpacked(entry, os.stat(entry).st_mtime_ns)


@lru_cache
def _unpacked(path: str, mtime: int) -> str:
    folder = tempfile.mkdtemp(prefix="wardian-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return the spec of a module that is there, and import nothing, not even a package above it.

    Args:
        name: Dotted name, also of a loaded module, whose own spec is returned.

    Returns:
        The spec; None if there is no such module, or a finder forbids it, or it was loaded without one.
    """
    if name in sys.modules:
        spec: importlib.machinery.ModuleSpec | None = variables_of(sys.modules[name]).get("__spec__")
        return spec
    try:
        return _find_spec_without_import(ModuleName(name))
    except (ImportError, AttributeError, ValueError):
        return None


def is_importable(name: ModuleName) -> bool:
    """Tell whether a new process with this one's `sys.path` could import *name*."""
    try:
        return is_stdlib(name) or _find_spec_without_import(name) is not None
    except (ImportError, AttributeError, ValueError):
        return False


def _find_spec_without_import(name: ModuleName) -> importlib.machinery.ModuleSpec | None:
    # importlib.util.find_spec imports the parents; asking the finders along the path does not.
    path: list[str] | None = None
    spec: importlib.machinery.ModuleSpec | None = None
    prefix = ""
    for part in name.split("."):
        prefix = f"{prefix}.{part}" if prefix else part
        spec = None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            try:
                # As the import system calls it: a finder may want all three.
                spec = find(prefix, path, None) if find is not None else None
            except KeyError:
                # A namespace package looks for its parent in sys.modules (_NamespacePath).
                spec = importlib.machinery.ModuleSpec(prefix, None, is_package=True)
                folders = (os.path.join(entry, part) for entry in path or ())
                spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
            if spec is not None:
                break
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


@dataclass(frozen=True)
class Distribution:
    """One installed distribution."""

    name: str
    """Normalised name (PEP 503)."""
    version: str
    editable: bool
    _raw: importlib.metadata.Distribution

    @cached_property
    def root(self) -> str:
        """Folder its files are relative to, without symbolic links."""
        return os.path.realpath(str(self._raw.locate_file("")))

    @cached_property
    def _places(self) -> tuple[str, ...]:
        """What `root` is called with and without symbolic links, and where the files of `.dist-info` lie.

        Nix and Bazel make environments of links to folders, `uv` (`link-mode=symlink`) of links to files, and
        what they lead to is the folder that a package was unpacked in, metadata and all.
        """
        named = os.path.abspath(str(self._raw.locate_file("")))
        info = getattr(self._raw, "_path", None)
        links = () if info is None else (str(info), os.path.dirname(os.path.realpath(f"{info}/METADATA")))
        return tuple({self.root, named, *(os.path.dirname(os.path.realpath(link)) for link in links)})

    def place_of(self, path: str) -> str | None:
        """Return the path of a file relative to `root`, as POSIX path; None if it lies elsewhere."""
        for form in _forms(path):
            for place in self._places:
                if form.startswith(os.path.join(place, "")):
                    return form[len(os.path.join(place, "")) :].replace(os.sep, "/")
        return None

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Files it installed: POSIX paths relative to `root`, sorted; no bytecode, none outside of `root`."""
        record = self._raw.read_text("RECORD")
        if record is not None:
            listed: Iterable[str] = (
                line.rsplit(",", 2)[0].strip('"') for line in record.splitlines() if line
            )
        else:
            listed = iter(self._walk())
        return tuple(
            sorted(
                p
                for p in listed
                if not p.startswith(("/", "../")) and "__pycache__/" not in p and "/../" not in p
            )
        )

    @cached_property
    def is_compiled(self) -> bool:
        """Whether it has modules of machine code."""
        return any(path.endswith((".so", ".pyd")) for path in self.files)

    def _walk(self) -> list[str]:
        found = []
        for top in sorted(self.roots):
            base = Path(self.root, top)
            if base.is_dir():
                found += [p.relative_to(self.root).as_posix() for p in base.rglob("*") if p.is_file()]
            elif base.with_suffix(".py").is_file():
                found.append(f"{top}.py")
        return found

    @cached_property
    def file_set(self) -> frozenset[str]:
        """The same as `files`, to look one up."""
        return frozenset(self.files)

    @cached_property
    def roots(self) -> frozenset[str]:
        """Top-level import names."""
        listed = self._raw.read_text("top_level.txt")
        if listed is not None and listed.strip():
            return frozenset(line.strip().replace("/", ".") for line in listed.splitlines() if line.strip())
        if self._raw.read_text("RECORD") is None:  # packagers of systems leave both out
            return frozenset({self.name.replace("-", "_")})
        roots = set()
        for path in self.files:
            first, slash, _ = path.partition("/")
            if slash and first.isidentifier():
                roots.add(first)
            elif not slash and path.endswith((".py", ".so", ".pyd")):
                roots.add(first.partition(".")[0])
        return frozenset(roots)

    @cached_property
    def requires(self) -> frozenset[str]:
        """Normalised names of what it needs here, without extras."""
        return frozenset(self._requirements)

    @cached_property
    def requires_everywhere(self) -> frozenset[str]:
        """Normalised names of what it needs whatever the platform, so that no marker stands there."""
        return frozenset(name for name, has_marker in self._requirements.items() if not has_marker)

    @cached_property
    def _requirements(self) -> Mapping[str, bool]:
        found: dict[str, bool] = {}
        for text in self._raw.requires or ():
            try:
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    name = str(canonicalize_name(requirement.name))
                    found[name] = requirement.marker is not None and found.get(name, True)
            except (InvalidRequirement, UndefinedEnvironmentName):
                continue
        return found

    def metadata_files(self) -> Mapping[str, bytes]:
        """Return the `.dist-info` files that code reads at run time, by name."""
        texts = {name: self._raw.read_text(name) for name in METADATA_FILES}
        texts["METADATA"] = texts["METADATA"] or self._raw.read_text("PKG-INFO")
        return {name: text.encode() for name, text in texts.items() if text is not None}


class Distributions:
    """The installed distributions, looked up by import name and file.

    Use `Distributions.current`; making one reads the metadata of everything installed.
    """

    def __init__(self, path: list[str]) -> None:
        self._by_name: dict[str, Distribution] = {}
        for raw in importlib.metadata.distributions(path=path):
            name, version = _name_and_version(raw)
            if not name:  # a leftover folder of an interrupted uninstall
                continue
            key = str(canonicalize_name(name))
            self._by_name.setdefault(key, Distribution(key, version or "0", _is_editable(raw), raw))
        self._by_root: dict[str, list[Distribution]] = {}
        for distribution in self._by_name.values():
            if not distribution.editable:
                for root in distribution.roots:
                    self._by_root.setdefault(root, []).append(distribution)

    @classmethod
    def current(cls) -> Distributions:
        """Return what is importable now; cached until `sys.path` or one of its folders changes."""
        return _current(tuple((entry, _mtime(entry)) for entry in sys.path))

    def __getitem__(self, name: str) -> Distribution:
        return self._by_name[str(canonicalize_name(name))]

    def get(self, name: str) -> Distribution | None:
        """Return the distribution *name*, or None if it is not installed."""
        return self._by_name.get(str(canonicalize_name(name)))

    def owner(self, module: ModuleName, file: str | None) -> str | None:
        """Return the name of the distribution that installed *module*, or None for first-party code.

        Args:
            module: Dotted name.
            file: Path of its file or, for a namespace package, folder.
        """
        candidates = self._by_root.get(top_level(module), ())
        if file is None:
            return candidates[0].name if len(candidates) == 1 else None
        inside = [(d, place) for d in candidates if (place := d.place_of(file)) is not None]
        if len(inside) > 1:  # a namespace package shared by several distributions
            inside = [(d, place) for d, place in inside if place in d.file_set] or inside
        return inside[0][0].name if inside else None

    def owner_of_file(self, path: str) -> str | None:
        """Return the name of the distribution that installed the file *path*, or None."""
        for distribution in self._by_name.values():
            relative = distribution.place_of(path)
            if relative is not None:
                first, slash, _ = relative.partition("/")
                near = first in distribution.roots or first.startswith(distribution.name.replace("-", "_"))
                if (near or not slash) and relative in distribution.file_set:
                    return distribution.name
        return None

    def closure(self, name: str, *, everywhere: bool = False) -> frozenset[str]:
        """Return *name* and everything it requires, directly or not, that is installed.

        Args:
            name: A distribution.
            everywhere: Follow only requirements without a marker.
        """
        found: set[str] = set()
        queue = [str(canonicalize_name(name))]
        while queue:
            here = queue.pop()
            if here not in found and here in self._by_name:
                found.add(here)
                known = self._by_name[here]
                queue.extend(known.requires_everywhere if everywhere else known.requires)
        return frozenset(found)

    def providing(self, root: str) -> list[Distribution]:
        """Return the distributions that provide the top-level import name *root*."""
        return list(self._by_root.get(root, ()))


@lru_cache(maxsize=4096)
def _forms(path: str) -> tuple[str, ...]:
    """Return what a file is called without links above it, as it stands, and without any link."""
    # Resolving a path asks the system once for each part; thousands of modules share few folders.
    folder, name = os.path.split(path)
    forms = [os.path.join(_real_folder(folder), name), os.path.abspath(path)]
    if os.path.islink(path):
        forms.append(os.path.realpath(path))
    return tuple(dict.fromkeys(forms))


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


_HEADER = re.compile(r"^(Name|Version):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)


def _name_and_version(raw: importlib.metadata.Distribution) -> tuple[str | None, str | None]:
    # `raw.metadata` parses all of it as an e-mail, which takes longer than all else here.
    text = raw.read_text("METADATA") or raw.read_text("PKG-INFO") or ""
    found: dict[str, str] = {}
    for header in _HEADER.finditer(text.partition("\n\n")[0]):
        found.setdefault(header[1], header[2])
    return found.get("Name"), found.get("Version")


def _is_editable(raw: importlib.metadata.Distribution) -> bool:
    text = raw.read_text("direct_url.json")
    if text is None:
        # The folder that setuptools leaves beside the sources, which are on `sys.path`: `src/shop.egg-info`.
        folder = os.path.basename(os.path.realpath(str(raw.locate_file(""))))
        installed = folder in ("site-packages", "dist-packages") or folder.endswith(".egg")
        return not installed and raw.read_text("SOURCES.txt") is not None and raw.read_text("RECORD") is None
    try:
        return bool(json.loads(text).get("dir_info", {}).get("editable", False))
    except ValueError:
        return False


def mapped_libraries() -> frozenset[str]:
    """Return the shared libraries that are mapped into this process; empty where the system does not tell."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return frozenset()
    fields = (line.split(maxsplit=5) for line in lines)
    return frozenset(f[5] for f in fields if len(f) == 6 and ".so" in f[5] and f[5].startswith("/"))


def _mtime(entry: str) -> int:
    try:
        return os.stat(entry or os.curdir).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _current(key: tuple[tuple[str, int], ...]) -> Distributions:
    return Distributions([entry for entry, _ in key])
