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
    │   ├── RemoteError                 (OSError) what is behind a URL cannot be read
    │   ├── DigestMismatchError         (ValueError) it is not the case that was asked for
    │   ├── UntrustedCaseError          a policy refuses its code
    │   ├── CodeNeededError             (TypeError) a tensor cannot be read without code
    │   ├── WeightsMismatchError        (RuntimeError) a module has other tensors than the case
    │   └── ClosedCaseError             (ValueError) it was closed
    ├── EnvironmentMismatchError        (ImportError) the environment lacks what the case needs
    ├── ModuleNotInCaseError            (ModuleNotFoundError) an import of a module neither packed nor extern
    ├── MissingExternError              (ModuleNotFoundError) something is used that was not needed, nor there
    ├── PolicyFileError                 (ValueError) a policy about trust cannot be used
    ├── EntryNotFoundError              (KeyError) no entry point of that name
    ├── WeightsFileError                (ValueError) a safetensors file cannot be written or read
    ├── SignatureError                  (ValueError) a case is not signed by anybody who may
    ├── SigningError                    (RuntimeError) a signature cannot be made, or not be checked here
    ├── SandboxError                    (RuntimeError) code in a cage raised, took too long, or ended
    │   └── SandboxUnavailableError     there is no cage on this machine
    └── CheckError                      a self-test of the case gives another result

There is one warning, `WardianWarning` (UserWarning): a case is made, and is not all that one would expect.

Facts are attributes, the words are in `__str__`; every error survives pickling, because errors cross
process boundaries. A traceback ends with the place on the page of errors that says when this one comes, and
what to do.
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
    "DigestMismatchError",
    "EntryNotFoundError",
    "EnvironmentMismatchError",
    "MissingExternError",
    "ModuleNotInCaseError",
    "NotACaseError",
    "PackError",
    "PlanError",
    "PolicyFileError",
    "Problem",
    "ProofError",
    "RemoteError",
    "SandboxError",
    "SandboxUnavailableError",
    "SignatureError",
    "SigningError",
    "TimeLimitError",
    "UnpicklableError",
    "UnsupportedFormatError",
    "UntrustedCaseError",
    "WardianError",
    "WardianWarning",
    "WeightsFileError",
    "WeightsMismatchError",
]


_PAGE = "docs/reference/errors.md"
"""In the repository and in the source archive; it becomes a URL when the site has an address."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with its place and the way out."""

    what: str
    """The problem, as a sentence without a full stop."""
    fix: str
    """The line of code or the command that settles it; empty if there is none."""
    module: str | None = None
    """Dotted name of the module concerned."""
    chain: tuple[str, ...] = ()
    """How the object leads there: one line per step, with file and line number."""
    rule: str = ""
    """The rule of a policy that it breaks, with which *what* begins; empty where there is none."""

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
        # Where a log shows its last line only, this names the error.
        self.add_note(f"{type(self).__name__}: see {self.page}")
        self.message = message
        self._facts = facts
        for name, value in facts.items():
            setattr(self, name, value)

    @property
    def page(self) -> str:
        """Where the documentation says when this error comes, and what to do: a page with an anchor.

        >>> ProofError("it differs").page
        'docs/reference/errors.md#prooferror'
        """
        listed = next(cls for cls in type(self).__mro__ if cls.__module__ == __name__)
        return f"{_PAGE}#{listed.__name__.lower()}"

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
        unimported: Full name of the submodule that code takes from its package and that nothing has imported;
            None if it is not that.
    """

    problems: tuple[Problem, ...]
    unimported: str | None = None

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
        hidden: Those of modules that code asked for there, and that the environment has but the case does not
            declare.
        left_out: Modules that were asked for there and stayed outside because nothing seemed to reach them.
    """

    output: str
    used: frozenset[str]
    missing: frozenset[str]
    hidden: frozenset[str]
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


class RemoteError(CaseError, OSError):
    """A URL cannot be read, or written: no answer, a wrong one, or another file meanwhile.

    A file that is not there is a `FileNotFoundError`, one that is not for this user a `PermissionError`.
    `path` is the URL, without what may be secret in it.
    """


class DigestMismatchError(CaseError, ValueError):
    """The file is a case, and not the one whose digest was given. Nothing of it was unpickled.

    Attributes:
        expected: The digest that was given.
        found: The digest of the file.
    """

    expected: str
    found: str


class UntrustedCaseError(CaseError):
    """A policy refuses the code of a case. None of it ran.

    Attributes:
        policies: The policies that refuse it: paths, or `trust=` for one that is in no file.
        problems: Everything in the case that breaks a rule: the rule, the finding with its place, and what
            would have to change. The message has the first findings of each rule.
    """

    policies: tuple[str, ...]
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return self.text()

    def text(self, *, shows_all: bool = False) -> str:
        """Return the message: each rule that is broken, with what breaks it.

        Args:
            shows_all: Whether to list every finding, and not only the first ones of each rule.
        """
        rules: dict[str, list[Problem]] = {}
        for problem in self.problems:
            rules.setdefault(problem.rule or problem.what, []).append(problem)
        lines = [f"{self.message}; {len(rules)} rule{'s' if len(rules) != 1 else ''}:"]
        for number, (rule, found) in enumerate(rules.items(), 1):
            shown = found if shows_all else found[:_SHOWN]
            if len(found) == 1:
                lines.append(f"{number}. {found[0].what}")
            else:
                lines.append(f"{number}. {rule}: {len(found)} findings")
                lines += [f"    {problem.what.removeprefix(f'{rule}: ')}" for problem in shown]
            if len(found) > len(shown):
                import shlex  # `import wardian` stays light

                file = shlex.quote(self.path or "FILE")
                lines.append(f"    and {len(found) - len(shown)} more: wardian trust show {file} --all")
            fixes = dict.fromkeys(problem.fix for problem in shown if problem.fix)
            lines += [f"    fix: {fix}" for fix in fixes]
        return "\n".join(lines)


_SHOWN = 3
"""Findings of one rule that a message lists: a large library may have thousands."""


class PolicyFileError(WardianError, ValueError):
    """A policy about trust cannot be used.

    Attributes:
        path: The file; the name of the environment variable if that says nothing that is known.
    """

    path: str


class CodeNeededError(CaseError, TypeError):
    """A tensor cannot be read without code: it is of a class of its own, or nothing but code tells its name.

    Attributes:
        tensor: Its name; empty if that is what only code can tell (an archive of torch.package).
    """

    tensor: str


class WeightsMismatchError(CaseError, RuntimeError):
    """A module has other tensors than the case that is to fill it. Nothing of it was changed.

    Attributes:
        missing: Names that only the module has.
        unexpected: Names that only the case has.
        mismatched: What else does not match, such as shapes, as sentences.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]


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


class SignatureError(WardianError, ValueError):
    """Nobody whose signature counts has signed the case.

    Attributes:
        path: The case, or its URL.
        problems: What is wrong with each signature, and with lines of the file of allowed signers.
    """

    path: str | None
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return f"{self.message}; {_listing(self.problems)}" if self.problems else self.message


class SigningError(WardianError, RuntimeError):
    """A signature cannot be made, or not be checked here: no usable key, or something is not installed."""


class SandboxError(WardianError, RuntimeError):
    """Code that runs in a cage raised, took too long, ended, or answered what is no answer.

    Attributes:
        path: The case.
        reason: `raised`, `time`, `ended`, or `answer`. After all but the first its process is gone.
        output: The last of what the code printed.
    """

    path: str
    reason: str
    output: str


class SandboxUnavailableError(SandboxError):
    """This machine has no way to keep the code of a case in a cage. None of it ran.

    Attributes:
        missing: What is missing, as sentences.
    """

    missing: tuple[str, ...]


class CheckError(WardianError):
    """A self-test of the case gives another result than when it was packed.

    Attributes:
        entry: The entry point.
        difference: The largest absolute difference, or None if the structure differs.
        report: The `CheckReport` of all entry points that were asked for.
    """

    entry: str
    difference: float | None
    report: Any
