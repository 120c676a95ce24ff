"""Rules about what a file may hold, written in TOML, and what of a file breaks them."""

from __future__ import annotations

import difflib
import fnmatch
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol, get_args

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from wardian.domain.decisions import FIRST_PARTY
from wardian.domain.manifest import Manifest, PackedDistribution
from wardian.domain.names import normalised
from wardian.errors import Problem
from wardian.inspection.audit import Audit, When
from wardian.inspection.capabilities import Capability
from wardian.wording import size_text

__all__ = ["Breach", "Choice", "Evidence", "Rules", "find_breaches"]

_UNKNOWN = "unknown"
"""The licence of a distribution that states none."""


class Evidence(Protocol):
    """The facts by which a file is judged; those that cost time are found out when a rule asks for them."""

    @property
    def label(self) -> str:
        """The name of the file in messages."""

    @property
    def kind(self) -> Literal["case", "torch.package"]:
        """The kind of the file."""

    @property
    def digest(self) -> str:
        """The digest that identifies it."""

    @property
    def size(self) -> int:
        """Its size, in bytes."""

    @property
    def manifest(self) -> Manifest:
        """The manifest of the file, which is what it says about itself."""

    @property
    def audit(self) -> Audit:
        """The capabilities of its code."""

    @property
    def licences(self) -> Mapping[str, str | None]:
        """The licence of each packed distribution, as far as it states one."""

    def owners(self, record: str) -> Sequence[PackedDistribution]:
        """Return the distributions that a record can belong to."""

    @property
    def outside_distributions(self) -> tuple[str, ...]:
        """Records of code that belong to no distribution that the manifest names."""

    def unsigned(self, signers: str) -> tuple[Problem, ...]:
        """Return why no signature by *signers*, a file of allowed signers, counts; nothing if one does."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Names that are allowed, and names that are not; `*` stands for any text, and case does not matter."""

    allow: tuple[str, ...] | None = None
    """None allows all that is not denied."""
    deny: tuple[str, ...] = ()

    def refuses(self, name: str) -> str | None:
        """Return the rule that a name breaks, None if it breaks none.

        >>> Choice(allow=("MIT", "BSD*")).refuses("BSD-3-Clause"), Choice(deny=("GPL*",)).refuses("gpl-3.0")
        (None, 'deny = "GPL*"')
        """
        for pattern in self.deny:
            if _matches(name, pattern):
                return f'deny = "{pattern}"'
        if self.allow is not None and not any(_matches(name, pattern) for pattern in self.allow):
            return f"allow = {list(self.allow)}"
        return None


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.casefold(), pattern.casefold())


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing in a file that breaks one rule."""

    rule: str
    """As it stands in the policy: `capabilities.deny = "network"`."""
    what: str
    """The finding, with its place."""
    fix: str = ""
    """The change that would satisfy the rule."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One table of a policy: what a file may hold. What is left out is allowed."""

    signers: str | None = None
    """Path of a file of allowed signers: one of them has to have signed a file that is not in `digests`."""
    digests: tuple[str, ...] | None = None
    """The digests of files that need no signature; without `signers` of all that may be used."""
    capabilities: Choice = Choice()
    """Capabilities that code may have, by their names in `Capability`."""
    distributions: Choice = Choice()
    """Distributions, and their releases, whose code may be in the file; code of none is "first-party"."""
    licences: Choice = Choice()
    """Which licences the distributions in the file may have; "unknown" where none is stated."""
    max_size: int | None = None
    """Size that the file may have, in bytes."""
    native: Choice = Choice()
    """Distributions whose compiled libraries, or code that loads some, may be in the file."""
    torch_package: bool = True
    """Whether the file may be an archive of torch.package, which has no digests."""
    when: tuple[When, ...] = ("import", "reachable")
    """Which findings count for `capabilities` and `native`."""

    @classmethod
    def read(cls, text: str, table: str) -> Rules:
        r"""Read one table of a policy.

        Args:
            text: The policy, in TOML.
            table: Name of the table.

        Raises:
            ValueError: naming everything that is wrong with the policy, with its path in the document: in
                other tables, too, where a rule may have come that was meant for this one.

        >>> policy = '[audit]\nmax_size = "2 GB"\n[audit.capabilities]\ndeny = ["network"]'
        >>> rules = Rules.read(policy, "audit")
        >>> rules.max_size, rules.capabilities.deny
        (2000000000, ('network',))
        """
        try:
            document = tomllib.loads(text)
        except ValueError as error:  # also for a number of more digits than Python reads
            raise ValueError(f"it is no TOML: {error}") from None
        except RecursionError:
            raise ValueError("it is no policy: it has too many brackets in brackets") from None
        problems = [_misplaced(name, found, table) for name, found in document.items() if name not in _TABLES]
        if not isinstance(document.get(table), dict):
            problems.insert(0, f"it has no table [{table}]")
        there = {name: document[name] for name in _TABLES if name in document}
        values = {name: dict(_values(found, name, problems)) for name, found in there.items()}
        if problems:
            raise ValueError("; ".join(problems))
        problems += [_empty(name, there) for name, found in there.items() if not found.keys() - {"when"}]
        if problems:
            raise ValueError("; ".join(problems))
        return cls(**values[table])


def _empty(name: str, tables: Iterable[str]) -> str:
    """Return what is wrong with a table that asks for nothing."""
    others = "".join(f"; the rules below [{other}] are not asked for it" for other in tables if other != name)
    return (
        f"[{name}] has no rule, so that it would let everything through{others}. If you mean that, write"
        " torch_package = true below it"
    )


def _values(table: Any, path: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    if not isinstance(table, dict):
        problems.append(f"{path} must be a table: [{path}]")
        return
    for key, value in table.items():
        place = f"{path}.{key}"
        if key not in _KEYS:
            problems.append(f"{place} is no rule{_near(key, _KEYS)}")
            continue
        try:
            yield key, _KEYS[key](value)
        except ValueError as error:
            problems.append(f"{place} {error}")


def _misplaced(name: str, found: Any, table: str) -> str:
    """Return what is wrong with a name that stands where a policy has its tables, and where it belongs."""
    text = f"[{name:.80}]" if isinstance(found, dict) else f"{name:.80}"
    if rule := _nearest(name, _KEYS):
        place = f"[{table}.{rule}]" if isinstance(found, dict) else f"{rule}, below the line [{table}]"
        return f"{text} stands outside of the table [{table}], where nothing asks for it: write {place}"
    near = _nearest(name, _TABLES)
    if near is None or not isinstance(found, dict):
        return f"{text} is nothing that a policy has{_near(name, [f'[{known}]' for known in _TABLES])}"
    inner = [
        f"[{near}.{_nearest(key, _KEYS) or key:.80}]"
        for key, value in found.items()
        if isinstance(value, dict)
    ]
    return f"{text} is no table of a policy; near to it: {', '.join(inner or [f'[{near}]'])}"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return what of some names, in lower case, is meant by one with a slip of the pen; None if none is."""
    return next(iter(difflib.get_close_matches(name.casefold(), list(known), 1)), None)


def _near(name: str, known: Iterable[str]) -> str:
    found = _nearest(name, known)
    return f"; near to it: {found}" if found else f"; there are {', '.join(known)}"


def _choice(value: Any) -> Choice:
    if isinstance(value, list):  # a list alone says what is allowed
        return Choice(allow=_patterns(value))
    if not isinstance(value, dict) or not value or not value.keys() <= {"allow", "deny"}:
        raise ValueError("must have lists allow or deny")
    allow = value.get("allow")
    return Choice(None if allow is None else _patterns(allow), _patterns(value.get("deny", [])))


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be lists of texts")
    return tuple(value)


def _releases(value: Any) -> Choice:
    found = _choice(value)
    for pattern in (*(found.allow or ()), *found.deny):
        _release(pattern)
    return found


def _release(pattern: str) -> tuple[str, SpecifierSet | None]:
    """Return the pattern of names and the releases of a rule such as `torchvision>=0.20,<1`."""
    match = re.fullmatch(r"\s*([\w.*?\[\]-]+)\s*(.*)", pattern)
    try:
        if match is not None:
            return match[1], SpecifierSet(match[2]) if match[2] else None
    except InvalidSpecifier:
        pass
    raise ValueError(f"has {pattern!r}, which is no name of a distribution with releases, as 'numpy>=2,<3'")


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be the path of a file of allowed signers")
    return value


def _digests(value: Any) -> tuple[str, ...]:
    found = _patterns(value)
    for digest in found:
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"has {digest!r:.80}, which is no digest of 64 hexadecimal digits in lower case")
    return found


def _capabilities(value: Any) -> Choice:
    found = _choice(value)
    for pattern in (*(found.allow or ()), *found.deny):
        if not any(_matches(capability, pattern) for capability in Capability):
            raise ValueError(f"has {pattern!r}, which is no capability{_near(pattern, Capability)}")
    return found


_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


_NO_FILE = 1 << 63
"""Bytes that no file can have: as a limit they would let every file through."""


def _size(value: Any) -> int:
    size = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,40}(?:\.[0-9]{1,40})?) ?([kMGT]?B?)", value)
        if match is not None and match[2] in _UNITS:
            size = int(Decimal(match[1]) * _UNITS[match[2]])
    if not 0 <= size < _NO_FILE:
        raise ValueError('must be a number of bytes that a file can have, or a text such as "2 GB"')
    return size


def _native(value: Any) -> Choice:
    if isinstance(value, bool):
        return Choice() if value else _NO_NATIVE
    try:
        return _releases(value)
    except ValueError as error:
        raise ValueError(f"must be true or false, or name distributions: it {error}") from None


_NO_NATIVE = Choice(allow=())


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  of the document
    return value


def _when(value: Any) -> tuple[When, ...]:
    known = get_args(When)
    # With an empty list no finding would count, and what is denied would be allowed.
    if not isinstance(value, list) or not value or not all(item in known for item in value):
        raise ValueError(f"must be a list of {', '.join(known)}, with one of them at least")
    return tuple(value)


_TABLES = ("audit", "trust")
"""Tables of a policy: rules for `wardian audit --policy`, and rules that are asked before code runs."""
_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "signers": _path,
    "digests": _digests,
    "capabilities": _capabilities,
    "distributions": _releases,
    "licences": _choice,
    "max_size": _size,
    "native": _native,
    "torch_package": _flag,
    "when": _when,
}


def find_breaches(rules: Rules, evidence: Evidence) -> tuple[Breach, ...]:
    """Return what of a file breaks rules.

    Args:
        rules: The rules.
        evidence: The facts about the file.

    Returns:
        One breach for each rule and finding, in the order of the rules.
    """
    return tuple(dict.fromkeys(breach for check in _CHECKS for breach in check(rules, evidence)))


def _who(rules: Rules, evidence: Evidence) -> Iterator[Breach]:
    """Yield why nobody answers for the file: a signer, or whoever put its digest into the policy."""
    if evidence.digest in (rules.digests or ()):
        return
    unsigned = () if rules.signers is None else evidence.unsigned(rules.signers)
    if rules.signers is not None and not unsigned:
        return
    signers = f'signers = "{rules.signers}"'
    # Where no file of the kind may be used, nobody's word for this one changes that.
    may_help = rules.torch_package or evidence.kind != "torch.package"
    # Two keys and one rule: what breaks it is told together.
    both = rules.signers is not None and rules.digests is not None
    rule = f"{signers} or digests, one of these is enough" if both else ""
    if rules.digests is not None:
        what = f"{evidence.digest}, the digest of the file, is not {'in digests' if both else 'there'}"
        yield Breach(rule or "digests", what, f"wardian trust add {_file(evidence)}" if may_help else "")
    for problem in unsigned:
        yield Breach(rule or signers, problem.what, problem.fix if may_help else "")


def _file(evidence: Evidence) -> str:
    """Return the file as a shell takes it."""
    return shlex.quote(evidence.label)


def _may(rules: Rules, evidence: Evidence) -> Iterator[Breach]:
    if rules.capabilities == Choice() and rules.native == Choice():
        return
    audit = evidence.audit
    places: list[tuple[Capability, str, str, str]] = [
        (
            finding.capability,
            f"{finding}",
            finding.record,
            "" if finding.is_library else f"wardian cat {_file(evidence)} {shlex.quote(finding.record)}",
        )
        for finding in audit.findings
        # A library needs nobody who calls it: it is enough that something loads it.
        if finding.when in rules.when or finding.is_library
    ]
    places += [
        (
            named.capability,
            f"{named.record} names {named.module}.{named.qualname}",
            named.record,
            f"wardian audit {_file(evidence)} --json lists what pickles name",
        )
        for named in audit.globals
        if named.capability is not None
    ]
    for capability, what, record, place in places:
        look = f"read it: {place}; then " if place else "if you know whose it is, "
        if (rule := rules.capabilities.refuses(capability)) is not None:
            yield Breach(
                f"capabilities.{rule}",
                f"{what} ({capability})",
                f'{look}let the policy have "{capability}", or leave this file alone',
            )
        if capability is Capability.NATIVE:
            yield from _native_of(rules.native, evidence.owners(record), what, look)
    # What cannot be read, or is not what the source says, may do anything.
    rule = "capabilities" if rules.capabilities != Choice() else "native"
    for records, why in (
        (audit.unreadable, "cannot be read"),
        (audit.unlike, "does not compile from its source"),
    ):
        for record in records:
            yield Breach(rule, f"{record} {why}", "ask for a file that was packed anew")


def _native_of(
    choice: Choice, owners: Sequence[PackedDistribution], what: str, look: str
) -> Iterator[Breach]:
    """Yield what native code breaks that belongs to all of *owners*; to no distribution if there are none."""
    if choice == _NO_NATIVE:
        yield Breach("native = false", what, f"{look}let the policy have native = true")
        return
    known = [(owner.name, owner.version) for owner in owners] or [(FIRST_PARTY, None)]
    for name, version in known:
        rule = _refuses_release(choice, name, version)
        if rule is not None:
            change = f'take "{name}" out of' if rule.startswith("deny") else f'put "{name}" into'
            yield Breach(f"native.{rule}", f"{what} ({name})", f"{look}{change} native.{rule.split()[0]}")


def _inside(rules: Rules, evidence: Evidence) -> Iterator[Breach]:
    for packed in evidence.manifest.distributions:
        rule = _refuses_release(rules.distributions, packed.name, packed.version)
        if rule is not None:
            what = f"{packed.name} {packed.version or ''}".strip()
            change = "take it out of deny" if rule.startswith("deny") else "put it into allow"
            yield Breach(f"distributions.{rule}", what, f"if you want it: {change}")
    if rules.distributions.allow is not None:
        for record in evidence.outside_distributions:
            yield Breach(
                f"distributions.allow = {list(rules.distributions.allow)}",
                f"{record} is of no distribution that the file names",
                "ask for a file that was packed anew",
            )
    # Only these need metadata of the file.
    licences = evidence.licences if rules.licences != Choice() else {}
    for distribution, licence in licences.items():
        if (rule := rules.licences.refuses(licence or _UNKNOWN)) is not None:
            yield Breach(
                f"licences.{rule}",
                f"{distribution} has the licence {licence or _UNKNOWN}",
                f'let the policy have "{licence or _UNKNOWN}" in licences.allow',
            )


def _refuses_release(choice: Choice, name: str, version: str | None) -> str | None:
    """Return the rule that a packed distribution breaks, None if it breaks none."""
    for pattern in choice.deny:
        if _is_release(pattern, name, version, unknown=True):
            return f'deny = "{pattern}"'
    if choice.allow is not None and not any(
        _is_release(pattern, name, version, unknown=False) for pattern in choice.allow
    ):
        return f"allow = {list(choice.allow)}"
    return None


def _is_release(pattern: str, name: str, version: str | None, *, unknown: bool) -> bool:
    """Tell whether a pattern is about a distribution.

    Args:
        pattern: A pattern of names, and releases.
        name: What the file calls the distribution.
        version: Its release.
        unknown: The answer where the pattern asks for releases and *version* is none.
    """
    wanted, releases = _release(pattern)
    # `*` is not changed by it, and My_Lib is my-lib.
    if not _matches(normalised(name), normalised(wanted)):
        return False
    if releases is None:
        return True
    try:
        return releases.contains(Version(version or ""), prereleases=True)
    except InvalidVersion:
        return unknown


def _as_a_whole(rules: Rules, evidence: Evidence) -> Iterator[Breach]:
    if rules.max_size is not None and evidence.size > rules.max_size:
        yield Breach(
            f"max_size = {size_text(rules.max_size)}",
            f"the file has {size_text(evidence.size)}",
            f"let the policy have max_size = {evidence.size}",
        )
    if not rules.torch_package and evidence.kind == "torch.package":
        yield Breach(
            "torch_package = false",
            "the file is an archive of torch.package",
            "load it where you trust it, and pack the object with wardian.pack",
        )


# A digest is added only where nothing else is broken, so what is mended last is told last.
_CHECKS: tuple[Callable[[Rules, Evidence], Iterator[Breach]], ...] = (_may, _inside, _as_a_whole, _who)
