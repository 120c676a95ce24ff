"""The exceptions of Wardian.

Every error is a `WardianError` and, where one fits, also the builtin a caller would catch:

    WardianError
    ├── PackError                       packing failed; the target is as it was
    │   ├── PlanError                   modules that are denied, missing or without source
    │   ├── UnpicklableError            (TypeError) an object inside the model cannot be pickled
    │   ├── ProofError                  the finished case does not do what the object does
    │   └── TimeLimitError              (TimeoutError) a clean process takes longer than it may
    ├── CaseError                       a file cannot be used
    │   ├── NotACaseError               (ValueError) it is another kind of file
    │   ├── UnsupportedFormatError      (ValueError) it was written by a newer Wardian
    │   ├── CorruptCaseError            (ValueError) it is damaged or was altered
    │   ├── CodeNeededError             (TypeError) a tensor cannot be read without code
    │   └── ClosedCaseError             (ValueError) it was closed
    ├── EnvironmentMismatchError        (ImportError) the environment lacks what the case needs
    ├── ModuleNotInCaseError            (ModuleNotFoundError) an import of a module neither packed nor extern
    ├── MissingExternError              (ModuleNotFoundError) something is used that was not needed, nor there
    ├── EntryNotFoundError              (KeyError) no entry point of that name
    ├── WeightsFileError                (ValueError) a safetensors file cannot be written or read
    └── CheckError                      a self-test of the case gives another result

There is one warning, `WardianWarning` (UserWarning): a case is made, and is not all that one would expect.

Facts are attributes, the words are in `__str__`; every error survives pickling, because errors cross
process boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CaseError",
    "CheckError",
    "ClosedCaseError",
    "CodeNeededError",
    "CorruptCaseError",
    "EntryNotFoundError",
    "EnvironmentMismatchError",
    "MissingExternError",
    "ModuleNotInCaseError",
    "NotACaseError",
    "PackError",
    "PlanError",
    "Problem",
    "ProofError",
    "TimeLimitError",
    "UnpicklableError",
    "UnsupportedFormatError",
    "WardianError",
    "WardianWarning",
    "WeightsFileError",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with its place and the way out."""

    what: str
    """What is wrong, as a sentence without a full stop."""
    fix: str
    """The line of code or the command that settles it; empty if there is none."""
    module: str | None = None
    """Dotted name of the module concerned."""
    chain: tuple[str, ...] = ()
    """How the object leads there: one line per step, with file and line number."""

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"    {'' if i == 0 else '-> '}{step}" for i, step in enumerate(self.chain)]
        if self.fix:
            lines.append(f"    fix: {self.fix}")
        return "\n".join(lines)


class WardianError(Exception):
    """Root of all errors that Wardian raises on purpose.

    Subclasses take their facts as keyword arguments and keep them as attributes.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self._facts = facts
        for name, value in facts.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default passes only `args` and would lose the facts.
        return _rebuild, (type(self), self.message, self._facts)


class WardianWarning(UserWarning):
    """A case is made, but not all is as one would expect; `PackReport.warnings` has the same sentences."""


def _rebuild(cls: type[WardianError], message: str, facts: dict[str, Any]) -> WardianError:
    return cls(message, **facts)


def _listing(problems: Sequence[Problem]) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    return f"{count}:\n" + "\n".join(f"{i}. {p}" for i, p in enumerate(problems, 1))


class PackError(WardianError):
    """Packing failed; an existing file at the target is untouched.

    Attributes:
        problems: Everything that is wrong at this stage.
    """

    problems: tuple[Problem, ...]

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), **facts: Any) -> None:
        super().__init__(message, problems=tuple(problems), **facts)

    def __str__(self) -> str:
        return f"{self.message}; {_listing(self.problems)}" if self.problems else self.message


class PlanError(PackError):
    """Modules are denied, missing, or cannot be packed."""


class UnpicklableError(PackError, TypeError):
    """An object inside the model cannot be pickled.

    Attributes:
        path: Where it is, as an expression on the packed object (`model.encoder.hooks[2]`).
        globals: (module, qualified name) of the classes and functions that the rest of the model names.
    """

    path: str
    globals: tuple[tuple[str, str], ...] = ()


class ProofError(PackError):
    """The finished case, opened in a clean process, does not do what the object does.

    Attributes:
        output: What the clean process printed, its traceback included.
        used: Top-level names of soft externs that were used there.
        missing: Top-level names of modules that were not found there.
        left_out: Modules that were asked for there and stayed outside because nothing seemed to reach them.
    """

    output: str
    used: frozenset[str]
    missing: frozenset[str]
    left_out: frozenset[str]


class TimeLimitError(PackError, TimeoutError):
    """A clean process, in which the object is loaded and called, takes longer than it may.

    Attributes:
        limit: How long that is, in seconds.
        output: What the process printed, the Python stack of each of its threads included.
    """

    limit: float
    output: str


class CaseError(WardianError):
    """A file cannot be used as a case.

    Attributes:
        path: The file, or None if it was read from memory.
    """

    path: str | None


class NotACaseError(CaseError, ValueError):
    """The file is of another kind; the message says which."""


class UnsupportedFormatError(CaseError, ValueError):
    """The file has a newer format than this Wardian knows.

    Attributes:
        format: The format number of the file.
    """

    format: int


class CorruptCaseError(CaseError, ValueError):
    """The file is truncated, damaged or was altered.

    Attributes:
        record: Name of the record concerned, or None if it is the archive itself.
        records: Names of all records concerned, where all were checked (`Case.verify`).
    """

    record: str | None
    records: tuple[str, ...] = ()


class CodeNeededError(CaseError, TypeError):
    """A tensor cannot be read without code: it is of a class of its own, or nothing but code tells its name.

    Attributes:
        tensor: Its name; empty if that is what only code can tell (an archive of torch.package).
    """

    tensor: str


class ClosedCaseError(CaseError, ValueError):
    """The case was closed; open it again to use it."""


class EnvironmentMismatchError(WardianError, ImportError):
    """The environment lacks distributions that the case needs, or has them too old.

    Raised before any packed code runs.

    Attributes:
        problems: One for each distribution, with the command that installs it.
    """

    problems: tuple[Problem, ...]

    @property
    def command(self) -> str:
        """One command that installs all that can be installed; empty if nothing can."""
        wanted = [p.fix.removeprefix(_PIP) for p in self.problems if p.fix.startswith(_PIP)]
        return _PIP + " ".join(wanted) if wanted else ""

    def __str__(self) -> str:
        text = f"{self.message}; {_listing(self.problems)}"
        return f"{text}\nall at once: {self.command}" if self.command.count(" ") > 2 else text


_PIP = "pip install "


class ModuleNotInCaseError(WardianError, ModuleNotFoundError):
    """Packed code imports a module that is neither in the case nor declared as an extern."""


class MissingExternError(WardianError, ModuleNotFoundError):
    """Packed code uses a soft extern: a distribution that the proof did without, and that is not installed.

    Attributes:
        name: The top-level name that is missing.
        distribution: The distribution that has it, or None if none does.
        version: Its version when the case was packed, or None.
    """

    distribution: str | None
    version: str | None


class EntryNotFoundError(WardianError, KeyError):
    """The case has no entry point of that name."""


class WeightsFileError(WardianError, ValueError):
    """A file of weights of another format cannot be written or read.

    Attributes:
        path: The file.
    """

    path: str


class CheckError(WardianError):
    """A self-test of the case gives another result than when it was packed.

    Attributes:
        entry: The entry point.
        difference: The largest absolute difference, or None if the structure differs.
    """

    entry: str
    difference: float | None
