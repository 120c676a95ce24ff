"""Files that fsspec reads: S3, Google Cloud Storage, Azure, and all else that it knows."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from typing import Any

from wardian.archive.remote.pace import SPEED_VARIABLE, time_for
from wardian.archive.remote.sources import ChangedError, Download, Tail
from wardian.archive.remote.urls import redact, scheme_of, shown
from wardian.errors import RemoteError

__all__ = ["FileSystemSource", "file_system", "missing"]

_EXTRAS = {
    "s3": ("s3fs", "wardian[s3]"),
    "s3a": ("s3fs", "wardian[s3]"),
    "gs": ("gcsfs", "wardian[gcs]"),
    "gcs": ("gcsfs", "wardian[gcs]"),
    "az": ("adlfs", "wardian[azure]"),
    "abfs": ("adlfs", "wardian[azure]"),
    "abfss": ("adlfs", "wardian[azure]"),
    "hf": ("huggingface_hub", "wardian[hub]"),
}
"""Scheme → the module that it needs, and the extra that brings it."""

_OURS = ("http", "https", "hf", "oci")
"""Schemes that do not come here."""

_VERSIONS = (
    *("ETag", "etag", "VersionId", "version_id", "generation", "md5Hash", "content_md5"),
    *("mtime", "LastModified", "last_modified", "updated", "created"),
)
"""Keys by which file systems tell one content of a file from a later one."""
_PART = 8 << 20
_ATTEMPTS = 3
"""The file systems repeat by themselves what fails; here only an answer that is too short is asked again."""


def missing(url: str, error: ImportError) -> RemoteError:
    """Return the error of a scheme whose library is not installed, or fails to import."""
    scheme = scheme_of(url)
    module, extra = _EXTRAS.get(scheme, (error.name or "another library", None))
    fix = f"pip install '{extra}'" if extra else str(error)
    return RemoteError(
        f"{shown(url)}: {scheme}:// needs {module}, which is not installed: {fix}", path=shown(url)
    )


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it.

    Raises:
        RemoteError: if what the scheme needs is not installed, or fsspec does not know it.
    """
    import fsspec.core

    scheme = scheme_of(url)
    known = [*fsspec.available_protocols(), *fsspec.registry, *_OURS]
    if scheme not in known:
        near = difflib.get_close_matches(scheme, known, 1, cutoff=0.5)
        hint = f"; did you mean {near[0]}://?" if near else ""
        raise RemoteError(f"{shown(url)}: nothing here reads {scheme}://{hint}", path=shown(url))
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        raise missing(url, error) from None
    except Exception as error:  # noqa: BLE001  whatever a file system raises; some connect as they are made
        words = redact(str(error) or type(error).__name__, url, options)
        raise RemoteError(f"{shown(url)} cannot be reached: {words}", path=shown(url)) from None
    return found


class FileSystemSource:
    """A file that fsspec reads.

    Args:
        url: Its URL.
        options: What the file system takes: `storage_options`.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url, self._options = url, dict(options)
        self._shown = shown(url)
        self._version: str | None = None
        self._size: int | None = None
        self._connected: tuple[int, Any, str] | None = None
        self._fs()

    def _fs(self) -> tuple[Any, str]:
        # The event loop of an asynchronous one does not survive a fork.
        if self._connected is None or self._connected[0] != os.getpid():
            self._connected = (os.getpid(), *file_system(self._url, self._options))
        return self._connected[1:]

    def tail(self, size: int, known: str | None = None) -> Tail | None:
        """Return the last bytes of the file, as `Source.tail`."""
        self._size, self._version = self._facts()
        if known is not None and known == self._version:
            return None
        start = max(0, self._size - size)
        return Tail(self._size, self._version, self.read(start, self._size))

    def _facts(self) -> tuple[int, str | None]:
        fs, path = self._fs()
        try:
            fs.invalidate_cache()
            info = _within(time_for(0), fs, "info", path)
        except Exception as error:  # noqa: BLE001  whatever a file system raises
            raise self._error(error) from None
        told = [f"{key}={info[key]}" for key in _VERSIONS if info.get(key)]
        version = hashlib.sha256("\n".join(told).encode()).hexdigest() if told else None
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{self._shown} is a folder")
        if not isinstance(info.get("size"), int):
            raise RemoteError(f"{self._shown} cannot be read: its size is not known", path=self._shown)
        return info["size"], version

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes, as `Source.read`."""
        if start == stop:
            return b""
        fs, path = self._fs()
        for _ in range(_ATTEMPTS):
            try:
                data: bytes = _within(time_for(stop - start), fs, "cat_file", path, start=start, end=stop)
            except Exception as error:  # noqa: BLE001  whatever a file system raises
                raise self._error(error) from None
            if len(data) == stop - start:
                return data
        if self.has_changed():
            raise ChangedError
        raise RemoteError(
            f"{self._shown} cannot be read: {len(data):,} bytes came, and {stop - start:,} were asked for",
            path=self._shown,
        )

    def download(self, take: Download) -> str | None:
        """Read the whole file, as `Source.download`."""
        size, self._version = self._facts()
        for start in range(0, size, _PART):
            take(start, self.read(start, min(size, start + _PART)), size)
        return self._version

    def has_changed(self) -> bool:
        """Tell whether the file is another one by now, as `Source.has_changed`."""
        return self._version is not None and self._facts()[1] != self._version

    def _error(self, error: Exception) -> Exception:
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(2, "there is no such file", self._shown)
        words = redact(str(error) or type(error).__name__, self._url, self._options)
        if type(error).__name__ == "FSTimeoutError":
            words = f"no answer, or fewer bytes in a second than {SPEED_VARIABLE} says"
        if isinstance(error, PermissionError):
            return PermissionError(13, f"the server refuses: {words}", self._shown)
        return RemoteError(f"{self._shown} cannot be read: {words}", path=self._shown)


def _within(seconds: float | None, fs: Any, name: str, *given: Any, **named: Any) -> Any:
    """Call a method of a file system, which may take so long if it is an asynchronous one.

    Those ask servers. The others are files, archives and memory, and nothing can end what they do.
    """
    if not fs.async_impl:
        return getattr(fs, name)(*given, **named)
    from fsspec.asyn import sync

    return sync(fs.loop, getattr(fs, f"_{name}"), *given, timeout=seconds, **named)
