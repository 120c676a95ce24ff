"""Installed distributions, and which of them owns a module or a file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from wardian.domain.names import ModuleName, normalised, record_name, top_level
from wardian.domain.record_names import LICENCE_FILES, LICENCES

if TYPE_CHECKING:
    import importlib.metadata

__all__ = ["Distribution", "Distributions", "METADATA_FILES"]


METADATA_FILES = ("METADATA", "entry_points.txt", "top_level.txt")
"""Files of a `.dist-info` folder that code reads through `importlib.metadata`."""


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
    def places(self) -> tuple[str, ...]:
        """The paths of `root` with and without symbolic links, and the folders in which `.dist-info` lies.

        Each ends as a folder does.

        Nix and Bazel make environments of links to folders, `uv` (`link-mode=symlink`) of links to files, and
        what they lead to is the folder that a package was unpacked in, metadata and all.
        """
        named = os.path.abspath(str(self._raw.locate_file("")))
        info = getattr(self._raw, "_path", None)
        links = () if info is None else (str(info), os.path.dirname(os.path.realpath(f"{info}/METADATA")))
        found = {self.root, named, *(os.path.dirname(os.path.realpath(link)) for link in links)}
        return tuple(os.path.join(place, "") for place in found)

    def place_of(self, path: str) -> str | None:
        """Return the path of a file relative to `root`, as POSIX path; None if it lies elsewhere."""
        for form in _forms(path):
            for place in self.places:
                if form.startswith(place):
                    return form[len(place) :].replace(os.sep, "/")
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
                roots.add(top_level(first))
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
        # The parser of requirements takes longer to import than most looks at a case take.
        from packaging.markers import UndefinedEnvironmentName
        from packaging.requirements import InvalidRequirement, Requirement

        found: dict[str, bool] = {}
        for text in self._raw.requires or ():
            try:
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    name = normalised(requirement.name)
                    found[name] = requirement.marker is not None and found.get(name, True)
            except (InvalidRequirement, UndefinedEnvironmentName):
                continue
        return found

    def metadata_files(self) -> Mapping[str, bytes]:
        """Return the `.dist-info` files that code reads at run time, and its licences, by name."""
        texts = {name: self._raw.read_text(name) for name in METADATA_FILES}
        texts["METADATA"] = texts["METADATA"] or self._raw.read_text("PKG-INFO")
        files = {name: text.encode() for name, text in texts.items() if text is not None}
        return files | _listed_licences(self._licence_files(texts["METADATA"] or ""))

    def _licence_files(self, metadata: str) -> dict[str, bytes]:
        """Return the licence files, by their path in `licenses` of the `.dist-info` folder."""
        named = {name.strip() for name in _LICENCE_FILE.findall(metadata.partition("\n\n")[0])}
        found: dict[str, bytes] = {}
        for path in self.files:
            folder, _, name = path.partition("/")
            in_licenses = name.startswith("licenses/")
            name = name.removeprefix("licenses/")
            if folder.endswith(".dist-info") and (
                in_licenses or name in named or _CALLED_LICENCE.match(name)
            ):
                with contextlib.suppress(OSError, ValueError):  # listed but removed; no name for a record
                    text = self._read_own(path)
                    if text is not None:
                        found[record_name(name)] = text
        return found

    def _read_own(self, path: str) -> bytes | None:
        """Return the content of a file of its metadata, None for one that it has not installed.

        A link that leads out of the folder is followed if the file is the one that was installed: installers
        make such links, and others make links to what is nobody's business.
        """
        place = os.path.join(self.root, path)
        if not os.path.isfile(place):  # a pipe would wait for somebody who writes
            return None
        text = Path(place).read_bytes()
        folder = os.path.realpath(os.path.join(self.root, path.partition("/")[0]))
        if os.path.realpath(place).startswith(os.path.join(folder, "")):
            return text
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
        hashes = (file.hash for file in self._raw.files or () if file.as_posix() == path)
        return text if any(known is not None and known.value == digest for known in hashes) else None


def _listed_licences(texts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files by which a case has licences (docs/reference/format.md, 5.10), none if there are none.

    Args:
        texts: Path → content.
    """
    if not texts:
        return {}
    lines = [f"{hashlib.sha256(text).hexdigest()} {path}\n" for path, text in sorted(texts.items())]
    files = {LICENCE_FILES: "".join(lines).encode()}
    left = _MOST_OF_LICENCES
    for path, text in sorted(texts.items()):
        if len(text) <= min(left, _LARGEST_LICENCE):
            files[f"{LICENCES}{path}"] = text
            left -= len(text)
    return files


class Distributions:
    """The installed distributions, looked up by import name and file.

    Use `Distributions.current`; making one reads the metadata of everything installed.
    """

    def __init__(self, path: list[str]) -> None:
        import importlib.metadata  # who only looks at a case need not ask what is installed

        self._by_name: dict[str, Distribution] = {}
        self._hidden: list[Distribution] = []
        """Those of which there is another of the same name nearer to the beginning of `sys.path`."""
        for raw in importlib.metadata.distributions(path=path):
            name, version = _name_and_version(raw)
            if not name:  # a leftover folder of an interrupted uninstall
                continue
            key = normalised(name)
            found = Distribution(key, version or "0", _is_editable(raw), raw)
            if self._by_name.setdefault(key, found) is not found and not found.editable:
                self._hidden.append(found)
        self._by_root: dict[str, list[Distribution]] = {}
        for distribution in self._by_name.values():
            if not distribution.editable:
                for root in distribution.roots:
                    self._by_root.setdefault(root, []).append(distribution)

    @classmethod
    def current(cls) -> Distributions:
        """Return what is importable now; cached until `sys.path` changes, or the metadata in its folders."""
        entries = map(os.path.abspath, sys.path)
        return _current(tuple((entry, _metadata_in(entry, _mtime(entry))) for entry in entries))

    def __getitem__(self, name: str) -> Distribution:
        return self._by_name[normalised(name)]

    def get(self, name: str) -> Distribution | None:
        """Return the distribution *name*, or None if it is not installed."""
        return self._by_name.get(normalised(name))

    def owner(self, module: ModuleName, file: str | None) -> str | None:
        """Return the name of the distribution that installed *module*, or None for first-party code.

        Args:
            module: Dotted name.
            file: Path of its file or, for a namespace package, folder.
        """
        candidates = self._by_root.get(top_level(module), ())
        if file is None:
            return candidates[0].name if len(candidates) == 1 else None
        inside = _those_with(file, candidates) or _those_with(file, self._hidden_of(top_level(module)))
        if len(inside) > 1:  # a namespace package shared by several distributions
            inside = [(d, place) for d, place in inside if place in d.file_set] or inside
        return inside[0][0].name if inside else self._owner_of_vendored(file, candidates)

    def _hidden_of(self, top: str) -> list[Distribution]:
        return [distribution for distribution in self._hidden if top in distribution.roots]

    def _owner_of_vendored(self, file: str, candidates: Sequence[Distribution]) -> str | None:
        """Return whose a module is that lies in a folder that another distribution has put on `sys.path`.

        Elsewhere its name is found in the distribution that is called so, if there is one: the folder is on
        the path of processes only in which the other one was imported.

        Args:
            file: Of the module.
            candidates: The distributions that provide its top-level name.
        """
        vendor = self._by_name.get(self.owner_of_file(file) or "")
        if vendor is None or vendor.editable:  # of sources in place everything is the user's own
            return None
        return candidates[0].name if candidates else vendor.name

    def owner_of_file(self, path: str) -> str | None:
        """Return the name of the distribution that installed the file *path*, or None."""
        for form in _forms(path):
            for place, distributions in self._by_place.items():
                if not form.startswith(place):
                    continue
                relative = form[len(place) :].replace(os.sep, "/")
                first, slash, _ = relative.partition("/")
                for distribution, start in distributions:
                    near = not slash or first in distribution.roots or first.startswith(start)
                    if near and relative in distribution.file_set:
                        return distribution.name
        return None

    def owners_of_libraries(
        self, libraries: Iterable[str], operators: Collection[str]
    ) -> dict[str, set[str]]:
        """Return the distributions that some shared libraries are of, each with the names of those files.

        Args:
            libraries: Paths of those that are loaded.
            operators: Paths of those of them that hold operators, which do not count: they can be packed.
        """
        owners = {self.owner_of_file(path) for path in operators}
        found: dict[str, set[str]] = {}
        for path in sorted(set(libraries).difference(operators)):
            owner = self.owner_of_file(path)
            # auditwheel puts what an operator library needs itself into `<distribution>.libs`.
            belongs_to_operators = owner in owners and os.path.dirname(path).endswith(".libs")
            if owner is not None and not belongs_to_operators:
                found.setdefault(owner, set()).add(os.path.basename(path))
        return found

    @cached_property
    def _by_place(self) -> dict[str, list[tuple[Distribution, str]]]:
        """The distributions of each folder, which few folders have, with how the names of their own begin."""
        found: dict[str, list[tuple[Distribution, str]]] = {}
        for distribution in (*self._by_name.values(), *self._hidden):
            for place in distribution.places:
                found.setdefault(place, []).append((distribution, distribution.name.replace("-", "_")))
        return found

    def closure(self, name: str, *, everywhere: bool = False) -> frozenset[str]:
        """Return *name* and everything it requires, directly or not, that is installed.

        Args:
            name: A distribution.
            everywhere: Follow only requirements without a marker.
        """
        found: set[str] = set()
        queue = [normalised(name)]
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


def _those_with(file: str, distributions: Iterable[Distribution]) -> list[tuple[Distribution, str]]:
    """Return the distributions in whose folder a file lies, with its path there."""
    return [(d, place) for d in distributions if (place := d.place_of(file)) is not None]


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


_LICENCE_FILE = re.compile(r"^License-File:(.+)$", re.MULTILINE)


_CALLED_LICENCE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*$", re.IGNORECASE)


_LARGEST_LICENCE = 1 << 18


_MOST_OF_LICENCES = 1 << 20


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


def _mtime(entry: str) -> int:
    try:
        return os.stat(entry).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _metadata_in(entry: str, mtime: int) -> tuple[tuple[str, int], ...]:
    """Return the metadata folders of an entry of `sys.path`, with their times; other files change often."""
    try:
        names = [name for name in os.listdir(entry) if name.endswith(_METADATA)]
    except OSError:  # an archive, or nothing
        return (("", mtime),)
    return tuple((name, _mtime(os.path.join(entry, name))) for name in sorted(names))


_METADATA = (".dist-info", ".egg-info", ".egg", ".egg-link")
"""Ends of the names of files and folders with the metadata of a distribution."""


@lru_cache(maxsize=1)
def _current(key: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]) -> Distributions:
    return Distributions([entry for entry, _ in key])
