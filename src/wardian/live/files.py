"""The folder where a case's files lie when code asks for files (docs/format.md, 6)."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import types
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import platformdirs

from wardian.archive import ArchiveReader
from wardian.names import RecordName

__all__ = ["CACHE_VARIABLE", "CaseFiles", "FolderFiles", "cache_folder"]

CACHE_VARIABLE = "WARDIAN_CACHE"
"""Environment variable that names another cache folder."""

_LOOKS_AT_FILES = frozenset(
    {"__file__", "__path__", "getfile", "getsourcefile", "getabsfile", "resources", "get_data"}
)


def cache_folder() -> Path | None:
    """Return the folder for files that can be made again, or None if none can be written.

    It is `$WARDIAN_CACHE`, else the user's cache folder by the rules of the platform.
    """
    chosen = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("wardian", appauthor=False)
    folder = Path(chosen).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _mentions_files(code: types.CodeType) -> bool:
    if not _LOOKS_AT_FILES.isdisjoint(code.co_names):
        return True
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if _mentions_files(constant):
                return True
        elif constant in ("__file__", "__path__"):
            return True
    return False


_NOWHERE = Path(os.devnull, "wardian")
"""Stands for the cache folder where nothing can be written."""

_placed: dict[RecordName, Path] = {}
"""Packed operator libraries that code of this process may load.

All cases with a build of one use the same file: to load a second one ends the process, and the dynamic loader
tells files by their inodes.
"""


class CaseFiles:
    """The tree of one case on disk: made when needed, a top-level name at a time.

    A tree is made in a folder beside its place and renamed, so that processes that start together see
    either nothing or all of it.

    Args:
        archive: Where the content comes from.
        digest: Names the folder.
        libraries: The operator libraries of the case.
        link: Returns what takes the place of one: a path, "" for no file, None for the record itself.
        beside: Top-level names of data that code has looked at: they are made with those of any module that
            could look.
    """

    def __init__(
        self,
        archive: ArchiveReader,
        digest: str,
        libraries: Iterable[RecordName],
        link: Callable[[RecordName], str | None],
        beside: Iterable[str] = (),
    ) -> None:
        self._archive = archive
        self._digest = digest
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
        self._by_top: dict[str, list[RecordName]] | None = None

    @cached_property
    def _links(self) -> dict[RecordName, Path | None]:
        """What the file of an operator library is a link to, None for no file."""
        return {name: self._link_of(name) for name in self._libraries}

    def _link_of(self, name: RecordName) -> Path | None:
        link = self._link(name)
        if link is not None:
            return Path(link) if link else None
        placed = _placed.get(name)
        if placed is not None and placed.exists():
            return placed
        if self._cache is _NOWHERE:
            return None
        content = self._archive.read(name)
        folder = self._cache / "libraries" / hashlib.sha256(content).hexdigest()
        if not (folder / name).exists():
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as work:
                (Path(work) / "all" / name).parent.mkdir(parents=True)
                (Path(work) / "all" / name).write_bytes(content)
                try:
                    os.rename(Path(work) / "all", folder)
                except OSError:
                    if not (folder / name).exists():  # otherwise another process was faster
                        raise
        _placed[name] = folder / name
        return folder / name

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

    def prepare(self, module: str, code: types.CodeType) -> None:
        """Make the files of a module's top-level name if its code could look at them."""
        top = module.partition(".")[0]
        if top not in self._made and _mentions_files(code):
            for name in (top, *self._beside):
                self.materialise(name)

    def materialise(self, top: str) -> None:
        """Make the files below the top-level name *top*, or all bytecode below `.wardian`.

        Raises:
            OSError: if the disk is full or the folder cannot be written.
        """
        if top in self._made:
            return
        if self._by_top is None:
            self._by_top = {}
            for name in self._archive.names:
                if not name.startswith(".") or name.startswith(".wardian/bytecode/"):
                    self._by_top.setdefault(name.partition("/")[0].removesuffix(".py"), []).append(name)
        records = self._by_top.get(top, [])
        for name in records:
            if name in (top, f"{top}.py") and not (self.folder / name).exists():
                self._place([name], self.folder / name)
        tree = [name for name in records if name.startswith(f"{top}/")]
        if tree and not (self.folder / top).exists():
            self._place(tree, self.folder / top)
        self._made.add(top)

    def _place(self, records: Iterable[RecordName], target: Path) -> None:
        if self._cache is _NOWHERE:
            raise OSError(
                f"packed code looks at the files beside it, {target.name} among them, and there is no folder"
                f" to put them into: let {CACHE_VARIABLE} name one that can be written"
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=self.folder))
        try:
            for name in records:
                path = work / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if name not in self._links:
                    path.write_bytes(self._archive.read(name))
                elif (link := self._links[name]) is not None:
                    path.symlink_to(link)
            try:
                os.rename(work / target.name, target)
            except OSError:
                if not target.exists():  # otherwise another process was faster, with the same content
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def close(self) -> None:
        """Remove what lives only as long as the case is open."""
        if self._temporary is not None:
            self._temporary.cleanup()


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

    def prepare(self, module: str, code: types.CodeType) -> None:
        """Do nothing: the files are there."""

    def materialise(self, top: str) -> None:
        """Do nothing: the files are there."""

    def close(self) -> None:
        """Do nothing: the files stay."""
