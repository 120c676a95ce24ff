"""The folder where a case's files lie when code asks for files (docs/reference/format.md, 6)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from wardian.archive import ArchiveReader
from wardian.archive.digests import digest_of
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName, top_level
from wardian.domain.record_names import BYTECODE
from wardian.environment.cache import (
    CACHE_VARIABLE,
    MAKING,
    Lock,
    cache_folder,
    keep_within_bounds,
    make_private,
)
from wardian.environment.native import mapped_libraries
from wardian.source.mentions import Mentioned

__all__ = ["CaseFiles", "FolderFiles"]

_LOOKS_AT_FILES = frozenset(
    {"__file__", "__path__", "getfile", "getsourcefile", "getabsfile", "resources", "get_data"}
)


_FILE_ATTRIBUTES = frozenset({"__file__", "__path__"})
"""As texts, too: `getattr(module, "__file__")`."""


_NOWHERE = Path(os.devnull, "wardian")
"""Stands for the cache folder where nothing can be written."""

_placed: dict[RecordName, Path] = {}
"""Packed operator libraries that code of this process may have loaded.

All cases with a build of one use the same file: to load a second one ends the process, and the dynamic loader
tells files by their inodes.
"""

_libraries: dict[Path, Lock] = {}
"""Locks on what was placed: code may load it as long as the process runs."""


class CaseFiles:
    """The tree of one case on disk: made when needed, a top-level name at a time.

    A tree is made in a folder beside its place and renamed, so that processes that start together see
    either nothing or all of it. What is there already is compared with the case at the first use in a
    process; a file that is not what it should be is replaced.

    Args:
        archive: Where the content comes from.
        digest: Returns the name of the folder; another content must have another one.
        records: The digests of the records, as far as they are known.
        libraries: The operator libraries of the case.
        link: Returns what takes the place of one: a path, "" for no file, None for the record itself.
        beside: Top-level names of data that code has looked at: they are made with those of any module that
            could look.
    """

    def __init__(
        self,
        archive: ArchiveReader,
        digest: Callable[[], str],
        records: Mapping[str, RecordDigest],
        libraries: Iterable[RecordName],
        link: Callable[[RecordName], str | None],
        beside: Iterable[str] = (),
    ) -> None:
        self._archive = archive
        self._digest_of = digest
        self._records = records
        self._libraries = sorted(libraries)
        self._link = link
        self._beside = tuple(beside)
        self._made: set[str] = set()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        cache = cache_folder()
        if cache is None:
            try:
                # A read-only home: the files live as long as the case is open.
                self._temporary = tempfile.TemporaryDirectory(prefix="wardian-")
                cache = Path(self._temporary.name)
            except OSError:  # most code does not look at the files beside it
                cache = _NOWHERE
        self._cache = cache
        self._lock: Lock | None = None

    @cached_property
    def _digest(self) -> str:
        return self._digest_of()

    @cached_property
    def _links(self) -> dict[RecordName, Path | None]:
        """For each operator library, the file that it is a link to; None for no file."""
        return {name: self._link_of(name) for name in self._libraries}

    def _link_of(self, name: RecordName) -> Path | None:
        link = self._link(name)
        if link is not None:
            return Path(link) if link else None
        if self._cache is _NOWHERE:
            return None
        packed = self._records[name]
        folder = self._cache / "libraries" / packed.hex
        placed = _placed.get(name)
        # Of another case that was only looked at nothing is taken.
        if placed is not None and placed != folder / name and str(placed) in mapped_libraries():
            return placed
        if folder not in _libraries:
            make_private(folder.parent)
            _libraries[folder] = Lock(folder)
        path = folder / name
        if not self._is_right(path, name):
            _make_folders(folder, name)
            # A build that several cases have under several names is one file, for the dynamic loader, too.
            same = (p for p in sorted(folder.rglob("*")) if p != path and self._is_right(p, name))
            _replace(path, next(same, None) or self._archive.read(name))
        _placed[name] = path
        return path

    @cached_property
    def folder(self) -> Path:
        """The folder of the case; where operator libraries are links, one for each set of targets.

        Another process may find another build installed.
        """
        folder = self._cache / "cases" / self._digest
        if not self._links:
            return folder
        return folder / hashlib.sha256(repr(sorted(self._links.items())).encode()).hexdigest()[:16]

    def path_of(self, record: str) -> str:
        """Return the path of *record* on disk; it need not be there."""
        return str(self.folder / record)

    def record_at(self, path: str) -> RecordName | None:
        """Return the record whose path is *path*, or None if it is not below the folder."""
        relative = os.path.relpath(path, self.folder)
        return None if relative.startswith(os.pardir) else RecordName(Path(relative).as_posix())

    def prepare(self, module: str, mentioned: Mentioned) -> None:
        """Make the files of a module's top-level name if what its code mentions could look at them."""
        top = top_level(module)
        if top not in self._made and (
            mentioned.any_of(_LOOKS_AT_FILES) or not _FILE_ATTRIBUTES.isdisjoint(mentioned.texts)
        ):
            for name in (top, *self._beside):
                self.materialise(name)

    def materialise(self, top: str) -> None:
        """Make the files below the top-level name *top*, or all bytecode below `.wardian`.

        Raises:
            OSError: if the disk is full or the folder cannot be written.
        """
        if top in self._made:
            return
        records = self._by_top.get(top, [])
        if records:
            self._make(top, records)
        self._made.add(top)

    @cached_property
    def _by_top(self) -> dict[str, list[RecordName]]:
        """The records that may become files, by their top-level names."""
        found: dict[str, list[RecordName]] = {}
        for name in self._archive.names:
            if not name.startswith(".") or name.startswith(BYTECODE):
                found.setdefault(name.partition("/")[0].removesuffix(".py"), []).append(name)
        return found

    def adopt(self, digest: str) -> None:
        """Take over the files of an earlier case of the same code, which nobody has open any more.

        What is no record of this case, or another one, goes: code may have written it, for the earlier case.

        Args:
            digest: The name of its folder.

        Raises:
            OSError: if something in it cannot be removed.
        """
        mine = self._cache / "cases" / self._digest
        with contextlib.suppress(OSError):
            os.rename(mine.with_name(digest), mine)
        if not os.path.isdir(mine):
            return
        folder = str(self.folder)
        wanted = {f"{folder}/{name}": name for names in self._by_top.values() for name in names}
        found: set[RecordName] = set()

        def is_right(path: str) -> bool:
            name = wanted.get(path)
            if name is None:
                return False
            if name not in self._links:
                return self._is_right(Path(path), name)
            return os.path.islink(path) and os.readlink(path) == str(self._links[name])

        for path in _keep_only(str(mine), is_right, _folders_above([folder, *wanted])):
            found.add(wanted[path])
        self._made |= {top for top, names in self._by_top.items() if found.issuperset(names)}

    def _make(self, top: str, records: list[RecordName]) -> None:
        if self._cache is _NOWHERE:
            raise OSError(
                f"packed code looks at the files beside it, {records[0]} among them, and there is no folder"
                f" to put them into: let {CACHE_VARIABLE} name one that can be written"
            )
        folder = self.folder
        if self._lock is None:
            make_private(self._cache / "cases")
            self._lock = Lock(self._cache / "cases" / self._digest)
            make_private(folder)
        tree = [name for name in records if name.startswith(f"{top}/")]
        placed = bool(tree) and not os.path.lexists(folder / top) and self._place(tree, top)
        made = placed
        sound: set[str] = set()
        for name in records if not placed else set(records).difference(tree):
            _make_folders(folder, name, sound)
            path = folder / name
            if name in self._links:
                link = self._links[name]
                if link is None:
                    path.unlink(missing_ok=True)
                elif not path.is_symlink() or os.readlink(path) != str(link):
                    _replace_by_link(path, link)
            elif not self._is_right(path, name):
                _replace(path, self._archive.read(name))
                made = True
        if made and self._temporary is None:
            keep_within_bounds(self._cache)

    def _place(self, records: Iterable[RecordName], top: str) -> bool:
        """Make a whole tree at once; return False if another process was faster."""
        work = Path(tempfile.mkdtemp(prefix=MAKING, dir=self.folder))
        sound: set[str] = set()
        try:
            for name in records:
                _make_folders(work, name, sound)
                if name not in self._links:
                    _write(work / name, self._archive.read(name))
                elif (link := self._links[name]) is not None:
                    (work / name).symlink_to(link)
            try:
                os.rename(work / top, self.folder / top)
            except OSError:
                if not os.path.lexists(self.folder / top):
                    raise
                return False
            return True
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _is_right(self, path: Path, name: RecordName) -> bool:
        """Tell whether a file is there and has the content of a record."""
        try:
            descriptor = os.open(path, os.O_RDONLY | _NOT_THROUGH_LINKS)
        except OSError:
            return False
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != self._archive.size(name):
            os.close(descriptor)
            return False
        with open(descriptor, "rb") as file:
            content = file.read()
        known = self._records.get(name)
        if known is None:  # of torch.package
            return content == self._archive.read(name)
        return digest_of(content, known.algorithm) == known

    def close(self) -> None:
        """Remove what lives only as long as the case is open."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._temporary is not None:
            self._temporary.cleanup()


_NOT_THROUGH_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Nor does it wait for the other end of a pipe."""


def _make_folders(folder: Path, name: str, sound: set[str] | None = None) -> None:
    """Make the folders between *folder* and a file below it; what is no folder gives way.

    Args:
        folder: Where they are.
        name: Relative path of the file.
        sound: Folders that were looked at already.
    """
    sound = set() if sound is None else sound
    above = name.rpartition("/")[0]
    if not above or above in sound:
        return
    path = str(folder)
    for part in above.split("/"):
        path = f"{path}/{part}"
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                continue
            os.unlink(path)
        except FileNotFoundError:
            pass
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
    sound.add(above)


def _folders_above(paths: Iterable[str]) -> set[str]:
    """Return the paths of all folders that paths are in, and of those that are named."""
    found: set[str] = set()
    for path in paths:
        above = path
        while above not in found and above != (above := os.path.dirname(above)):
            found.add(above)
    return found


def _keep_only(folder: str, is_right: Callable[[str], bool], folders: Container[str]) -> Iterator[str]:
    """Remove what is below a folder but files that are right, and the folders that they are to be in.

    Yields:
        The paths of these files.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in list(entries):
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and entry.path in folders:
                yield from _keep_only(entry.path, is_right, folders)
            elif is_folder:
                shutil.rmtree(entry.path)
            elif is_right(entry.path):
                yield entry.path
            else:
                os.unlink(entry.path)


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)


def _replace(path: Path, content: bytes | Path) -> None:
    """Put a file in its place in one step: one with this content, or another name of an existing one."""
    work = path.parent / f"{MAKING}{uuid.uuid4().hex}"
    try:
        if isinstance(content, Path):
            os.link(content, work)
        else:
            _write(work, content)
        _move(work, path)
    finally:
        work.unlink(missing_ok=True)


def _replace_by_link(path: Path, target: Path) -> None:
    work = path.parent / f"{MAKING}{uuid.uuid4().hex}"
    try:
        work.symlink_to(target)
        _move(work, path)
    finally:
        work.unlink(missing_ok=True)


def _move(work: Path, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    os.replace(work, path)


class FolderFiles:
    """The files of an archive that is extracted already.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, record: str) -> str:
        """Return the path of *record*."""
        return str(self.folder / record)

    def record_at(self, path: str) -> RecordName | None:
        """Return the record whose path is *path*, or None if it is not below the folder."""
        relative = os.path.relpath(path, self.folder)
        return None if relative.startswith(os.pardir) else RecordName(Path(relative).as_posix())

    def prepare(self, module: str, mentioned: Mentioned) -> None:
        """Do nothing: the files are there."""

    def materialise(self, top: str) -> None:
        """Do nothing: the files are there."""

    def close(self) -> None:
        """Do nothing: the files stay."""
