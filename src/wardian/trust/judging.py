"""The judgement of one open archive: its facts, found out once, against every policy that is in force."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Manifest, PackedDistribution
from wardian.domain.names import RecordName
from wardian.domain.record_names import BYTECODE, is_storage
from wardian.errors import (
    PolicyFileError,
    Problem,
    SignatureError,
    SigningError,
    UntrustedCaseError,
    WardianWarning,
)
from wardian.inspection.audit import Audit, audit
from wardian.reading.licences import licences_of
from wardian.reading.opening import ArchiveSource
from wardian.trust.modes import TRUST_VARIABLE, mode_here
from wardian.trust.ownership import require_own
from wardian.trust.policies import Trust, user_policy
from wardian.trust.rules import find_breaches

__all__ = ["Facts", "judge", "refusal"]


class Facts:
    """The facts about an open archive: the evidence of `wardian.trust.rules`.

    Args:
        archive: The open archive. What of it can run has digests from now on, if it had none.
        manifest: What it says about itself.
        source: What it was opened by; signatures are beside it.
        options: For a URL, what fsspec's file system for it takes.
        found: What its code could do, if that is known.
    """

    def __init__(
        self,
        archive: ArchiveReader,
        manifest: Manifest,
        source: ArchiveSource | None = None,
        options: Mapping[str, Any] | None = None,
        found: Audit | None = None,
    ) -> None:
        if archive.kind == "torch.package":
            # No digest binds what is judged to what runs later.
            archive.pin(name for name in archive.names if not is_storage(name))
        self._archive = archive
        self.manifest = manifest
        self._source = source
        self._options = dict(options or {})
        self._found = found

    @classmethod
    def of(
        cls,
        archive: ArchiveReader | FolderReader,
        manifest: Manifest,
        source: ArchiveSource | None,
        options: Mapping[str, Any] | None,
        known: Self | None,
    ) -> Self | None:
        """Return the facts of an archive, with what is known of its content; None for a folder."""
        if isinstance(archive, FolderReader):
            return None
        if known is None:
            return cls(archive, manifest, source, options)
        known._source, known._options = source, dict(options or {})  # noqa: SLF001  its own
        return known

    @property
    def label(self) -> str:
        """The name of the file in messages."""
        return self._archive.label

    @property
    def kind(self) -> Literal["case", "torch.package"]:
        """The kind of the file."""
        return self._archive.kind

    @property
    def digest(self) -> str:
        """The digest that identifies it."""
        return self._archive.fingerprint

    @property
    def size(self) -> int:
        """Its size, in bytes."""
        return len(self._archive)

    @cached_property
    def audit(self) -> Audit:
        """The capabilities of its code."""
        return audit(self._archive, self.manifest) if self._found is None else self._found

    @cached_property
    def licences(self) -> Mapping[str, str | None]:
        """The licence of each packed distribution, as far as it states one."""
        return licences_of(self._archive, self.manifest)

    def owners(self, record: str) -> tuple[PackedDistribution, ...]:
        """Return the distributions that a record can belong to: several may share a top-level name."""
        top = _top_level(RecordName(record))
        return tuple(packed for packed in self.manifest.distributions if top in packed.roots)

    @property
    def outside_distributions(self) -> tuple[str, ...]:
        """Records of code that belong to no distribution that the manifest names."""
        return tuple(
            record
            for record in self._archive.names
            if record.endswith((".py", ".pyc")) and _top_level(record) not in self.manifest.roots
        )

    def unsigned(self, signers: str) -> tuple[Problem, ...]:
        """Return why no signature by *signers*, a file of allowed signers, counts; nothing if one does.

        Raises:
            PolicyFileError: if others than the user can write that file.
        """
        from wardian.trust.signatures import check_signatures

        source = self._archive.label if self._source is None else self._source
        try:
            require_own(Path(signers).absolute())  # again: it is read only now
            checked = check_signatures(self._archive, source, signers, storage_options=self._options)
        except SignatureError as error:
            return (Problem(error.message, ""),)
        except SigningError as error:
            return (Problem(str(error), "pip install 'wardian[sign]'"),)
        except PolicyFileError:
            raise
        except (OSError, ValueError) as error:
            return (Problem(f"the signatures cannot be checked: {error}", "wardian trust add NAME KEY.pub"),)
        if checked.valid:
            return ()
        if not checked.signatures:
            return checked.problems
        first, *others = checked.problems
        return (replace(first, what=f"nobody you trust signed it: {first.what}"), *others)


def _top_level(record: RecordName) -> str:
    parts = record.split("/")
    if record.startswith(BYTECODE):
        parts = parts[3:]
    return parts[0].removesuffix(".py").removesuffix(".pyc") if parts else ""


def judge(label: str, facts: Facts | None, policies: Iterable[Trust] = ()) -> None:
    """Compare an archive with all policies that are in force: those given, and the user's.

    Args:
        label: What messages call the archive.
        facts: What is known of it; None for a folder, of which nothing can be said for sure.
        policies: Policies that the caller gave.

    Raises:
        UntrustedCaseError: if it breaks a policy, naming everything that does; or the environment wants a
            policy and there is none.
        PolicyFileError: if the user's policy cannot be used, others can write a file of signers, or the
            environment variable says nothing that is known.

    Warns:
        WardianWarning: in its place, if the environment variable asks for no more.
    """
    mode = mode_here()
    answers = [_answer(facts, policy) for policy in policies]
    by_the_user = [] if mode == "off" else [_answer_of_the_user(facts, mode)]
    if mode == "require":
        answers += by_the_user
    if refused := _error(label, answers):
        raise refused
    if mode == "warn" and (warned := _error(label, by_the_user, "loaded all the same")):
        warnings.warn(f"{warned}", WardianWarning, _level_of_the_caller())


def _level_of_the_caller() -> int:
    """Return which frame above `judge` is that of the line that loads."""
    frame, level = sys._getframe(1), 1  # noqa: SLF001  its documented place
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    while frame.f_back is not None and frame.f_code.co_filename.startswith((own, "<frozen importlib")):
        frame, level = frame.f_back, level + 1
    return level


_NOTHING_RAN = "none of its code ran"


def refusal(
    label: str, facts: Facts, policy: Trust, outcome: str = _NOTHING_RAN
) -> UntrustedCaseError | None:
    """Return the error that a policy would refuse an archive with; None if it would not.

    Args:
        label: What the message calls the archive.
        facts: What is known of it.
        policy: The policy.
        outcome: What comes of it, for the message.
    """
    return _error(label, [_answer(facts, policy)], outcome)


class _Answer(NamedTuple):
    """The answer of one policy: several may have one name, or be from no file."""

    policy: str
    problems: tuple[Problem, ...]


def _answer_of_the_user(facts: Facts | None, mode: str) -> _Answer:
    try:
        policy = user_policy()
    except FileNotFoundError as error:
        what = f"{TRUST_VARIABLE}={mode}, and there is no policy to ask"
        return _Answer(str(error.filename), (Problem(what, "wardian trust init"),))
    return _answer(facts, policy)


def _answer(facts: Facts | None, policy: Trust) -> _Answer:
    name = policy.path or "trust="
    if facts is None:
        what = "it is a folder: its files can change after they were judged"
        return _Answer(name, (Problem(what, "pack the object with wardian.pack, or load the file itself"),))
    breaches = find_breaches(policy.rules, facts)
    return _Answer(name, tuple(Problem(str(breach), breach.fix, rule=breach.rule) for breach in breaches))


def _error(label: str, answers: Iterable[_Answer], outcome: str = _NOTHING_RAN) -> UntrustedCaseError | None:
    """Return the error that names all problems, each once; None if there are none."""
    refusing = [answer for answer in answers if answer.problems]
    if not refusing:
        return None
    broken = tuple(dict.fromkeys(answer.policy for answer in refusing))
    return UntrustedCaseError(
        f"{label} is not trusted: it breaks the policy {' and '.join(broken)}; {outcome}",
        path=label,
        policies=broken,
        problems=tuple(dict.fromkeys(problem for answer in refusing for problem in answer.problems)),
    )
