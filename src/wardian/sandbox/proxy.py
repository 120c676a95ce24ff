"""An object of a case that runs in a cage, as a caller sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Self

from wardian.forks import new_reentrant_lock
from wardian.reading.opening import ArchiveSource, open_archive
from wardian.sandbox.cage import Cage
from wardian.sandbox.launching import Limits, Way
from wardian.trust.gate import Gate
from wardian.trust.policies import Trust

__all__ = ["SandboxedObject", "load_sandboxed", "open_cage"]

_MEMORY = 4 << 30
_SECONDS = 3600


class SandboxedObject:
    """An object of a case that runs in a process of its own; `wardian.load_sandboxed` makes it.

    Calling it calls the object there. Tensors and plain data cross, as copies: None, truths, numbers, texts,
    bytes, lists, tuples, dictionaries. Of a subclass of a container comes the content. Nothing that comes
    back is unpickled. Gradients do not cross. It is a context manager; leaving it ends the process.

    Args:
        cage: The process, in which the object is loaded.
    """

    def __init__(self, cage: Cage) -> None:
        self._cage = cage
        self._one_at_a_time = new_reentrant_lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the object.

        Raises:
            SandboxError: if its code raises, takes too long, ends, or answers what is no answer.
            TypeError: if an argument is neither a tensor nor plain data.
        """
        with self._one_at_a_time:
            return self._cage.call(None, args, kwargs)

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the object; as calling the object itself.

        Args:
            method: Its name.
            *args: Positional arguments: tensors and plain data.
            **kwargs: The same by name.
        """
        with self._one_at_a_time:
            return self._cage.call(method, args, kwargs)

    @property
    def way(self) -> Way:
        """The way the process is kept: `bubblewrap`, or `landlock`, which keeps less away from it."""
        return self._cage.way

    @property
    def printed(self) -> str:
        """The last 64 KiB of what the code printed, with what a terminal would obey escaped."""
        return self._cage.printed

    def close(self) -> None:
        """End the process, and a call in another thread; calling it again does nothing."""
        self._cage.kill()
        with self._one_at_a_time:
            self._cage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is a process, and cannot be sent to another one; load it there")

    def __repr__(self) -> str:
        return f"<SandboxedObject of {self._cage.label} ({self.way})>"


def load_sandboxed(
    path: ArchiveSource,
    *,
    name: str | None = None,
    timeout: float | None = 60.0,
    memory: int = _MEMORY,
    seconds: int = _SECONDS,
    way: Way | None = None,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    trust: Trust | None = None,
) -> SandboxedObject:
    """Load an object of a case in a process that can do next to nothing else, and return a stand-in for it.

    That process has no network, no files beyond installed libraries and the case, an empty home, no
    environment variables, starts no processes, and has limits. It is for code of strangers on Linux;
    docs/how-to/sandbox.md says how to use it, docs/explanation/threat-model.md what it does not stop.

    Args:
        path: The file, its URL, its content as bytes or another buffer, or an open binary file.
        name: The entry point; may be left out if there is one.
        timeout: Seconds that loading, and each call, may take; None for no limit.
        memory: Bytes that the code may use beyond Python, PyTorch and the file.
        seconds: Processor time that the code may use, all calls together.
        way: `bubblewrap` or `landlock`; None takes the first that works here.
        digest: The digest that the case must have, as for `load`.
        storage_options: For a URL, as for `load`.
        trust: A policy, as for `load`; the user's is asked, too.

    Returns:
        A stand-in: call it as the object, close it when you are done.

    Raises:
        SandboxUnavailableError: if this machine has no way to keep the code; it says what is missing.
        SandboxError: if the object cannot be loaded there; the code cannot choose another error.
        UntrustedCaseError, CaseError, OSError: as for `load`.
    """
    cage = open_cage(
        path,
        limits=Limits(memory=memory, seconds=seconds),
        timeout=timeout,
        way=way,
        digest=digest,
        storage_options=storage_options,
        trust=trust,
    )
    try:
        cage.load(name)
    except BaseException:
        cage.close()
        raise
    return SandboxedObject(cage)


def open_cage(
    path: ArchiveSource,
    *,
    limits: Limits | None = None,
    timeout: float | None = None,
    way: Way | None = None,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    trust: Trust | None = None,
) -> Cage:
    """Open a case in a cage; none of its code has run when this returns. As `load_sandboxed`."""
    from wardian.reading.foreign import read_manifest

    limits = limits or Limits(memory=_MEMORY, seconds=_SECONDS)
    with open_archive(path, digest=digest, storage_options=storage_options) as archive:
        policies = () if trust is None else (trust,)
        Gate(archive, read_manifest(archive)).admit(*policies, source=path, options=storage_options)
        return Cage(archive, limits=limits, timeout=timeout, way=way)
