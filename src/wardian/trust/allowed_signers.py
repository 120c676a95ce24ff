"""Files of allowed signers: whose keys count, for what and when, as `ssh-keygen` and git read them.

Their form is in ssh-keygen(1), ALLOWED SIGNERS. A line that cannot be used allows nobody, and is told.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from wardian.errors import Problem
from wardian.trust.keys import KEY_TYPES
from wardian.trust.sshsig import fingerprint_of
from wardian.trust.wire import Fields, MalformedError

__all__ = ["AllowedSigner", "AllowedSigners"]

_LARGEST = 16 << 20
"""Bytes of a file that is read at all."""
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:\\"|[^"])*)")?(,|\s|\Z)')
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z|UTC)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedSigner:
    """A line of the file: a key, and what it is allowed."""

    line: int
    principals: str
    """Patterns of names as the line has them, such as `alice@example.com` or `*@example.com,!bob@*`."""
    key: bytes
    key_type: str
    namespaces: str | None = None
    """Patterns of what it may sign; None for anything."""
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """The name of the key, as `ssh-keygen -l` shows it."""
        return fingerprint_of(self.key)

    def refusal(self, *, namespace: str, identity: str | None, now: datetime) -> str | None:
        """Return why a signature by this key does not count, as a phrase; None if it does.

        Args:
            namespace: What the signature is for.
            identity: Who has to have signed; None for anybody.
            now: The time that must be within the dates of the line.
        """
        if self.namespaces is not None and not _matches(namespace, self.namespaces):
            return f'the key may sign namespaces="{self.namespaces}", and not {namespace}'
        if identity is not None and not _matches(identity, self.principals):
            return f"the key is that of {self.principals}, and not of {identity}"
        if self.valid_after is not None and now < self.valid_after:
            return f"the key is not valid before {_shown(self.valid_after)}"
        if self.valid_before is not None and now > self.valid_before:
            return f"the key is not valid after {_shown(self.valid_before)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedSigners:
    """A file of allowed signers, read once: what it says later counts for nothing that was read before."""

    path: str
    signers: tuple[AllowedSigner, ...]
    problems: tuple[Problem, ...] = ()
    """Lines that allow nobody because they cannot be used."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it is larger than any such file.
        """
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"{path} has more than {_LARGEST >> 20} MiB: it is no file of allowed signers")
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, path: str) -> Self:
        """Read the content of a file that messages call *path*.

        >>> key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
        >>> allowed = AllowedSigners.parse(f"alice@example.com {key} a comment".encode(), "allowed_signers")
        >>> allowed.signers[0].principals, allowed.signers[0].key_type
        ('alice@example.com', 'ssh-ed25519')
        """
        found: list[AllowedSigner] = []
        problems: list[Problem] = []
        for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
            text = line.strip(" \t\r")
            if text and not text.startswith("#"):
                try:
                    found.append(_signer(text, number))
                except MalformedError as error:
                    what = f"{path}:{number} allows nobody: {error}"
                    problems.append(Problem(what, "write: NAME ssh-ed25519 AAAA..."))
        return cls(path=path, signers=tuple(found), problems=tuple(problems))

    def of_key(self, key: bytes) -> tuple[AllowedSigner, ...]:
        """Return the lines of a public key."""
        return tuple(signer for signer in self.signers if signer.key == key)


def _signer(text: str, number: int) -> AllowedSigner:
    principals, rest = _first_word(text)
    if not _can_match(principals):
        raise MalformedError(f"{principals!r:.60} is the name of nobody")
    options: Mapping[str, str] = {}
    word = rest.partition(" ")[0].partition("\t")[0]
    if word not in KEY_TYPES:
        options, rest = _options(rest)
    name, _, rest = rest.partition(" ") if " " in rest else rest.partition("\t")
    if "cert-authority" in options:
        raise MalformedError("certificates are not supported; list the key of each signer")
    if name not in KEY_TYPES:
        raise MalformedError(f"{name!r:.60} is no type of keys that is supported")
    encoded = rest.split(maxsplit=1)[0] if rest.split() else ""
    try:
        key = base64.b64decode(encoded, validate=True)
        fits = Fields(key).text() == name
    except (binascii.Error, ValueError, MalformedError):
        fits = False
    if not fits:
        raise MalformedError(f"what follows {name} is no such key")
    after, before = (_time(options.get(option)) for option in ("valid-after", "valid-before"))
    if after is not None and before is not None and before <= after:
        raise MalformedError("its valid-before is not after its valid-after")
    return AllowedSigner(
        line=number,
        principals=principals,
        key=key,
        key_type=name,
        namespaces=options.get("namespaces"),
        valid_after=after,
        valid_before=before,
    )


def _first_word(text: str) -> tuple[str, str]:
    """Divide a line after its principals, which may be in quotes."""
    # As `strdelim` of OpenSSH reads a word: quotes end it.
    found = re.fullmatch(r'(?:([^\s"]*)"([^"]*)"[ \t]*|([^\s"]+)[ \t]+)(.*)', text)
    if found is None:
        raise MalformedError("a line has names, a type of keys and a key")
    return (found[1] + found[2] if found[3] is None else found[3]), found[4]


_KNOWN = {"cert-authority": False, "namespaces": True, "valid-after": True, "valid-before": True}
"""Options → whether they have a value."""


def _options(text: str) -> tuple[dict[str, str], str]:
    """Return the options that a text begins with, and what follows them."""
    options: dict[str, str] = {}
    place = 0
    while True:
        found = _OPTION.match(text, place)
        name = "" if found is None else found[1].lower()
        if found is None or name not in _KNOWN:
            word = re.split(r"[\s,=]", text[place:], maxsplit=1)[0]
            if _KNOWN.get(word.lower()):
                raise MalformedError(f'the option {word} needs a value in quotes: {word}="..."')
            raise MalformedError(f"{word!r:.60} is neither an option nor a type of keys that is supported")
        value = found[2]
        if (value is not None) is not _KNOWN[name]:
            raise MalformedError(f"the option {name} {'needs a' if _KNOWN[name] else 'has no'} value")
        if name in options:
            raise MalformedError(f"the option {name} is there twice")
        options[name] = (value or "").replace('\\"', '"')
        place = found.end()
        if found[3] != ",":
            return options, text[place:].lstrip(" \t")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    wrong = MalformedError(f'{text!r:.40} is no time; write "20271231" or "202712312359Z"')
    if found is None:
        raise wrong
    year, month, day, *hours = (int(digits or 0) for digits in found.groups()[:6])
    hour, minute, second = hours
    if not (1 <= day <= 31 and hour < 24 and minute < 60 and second <= 61):
        raise wrong
    try:  # the 30th of February is the 2nd of March, or the 1st: so it is for OpenSSH
        time = datetime(year, month, 1) + timedelta(  # noqa: DTZ001  the zone follows
            days=day - 1, hours=hour, minutes=minute, seconds=second
        )
        time = time.replace(tzinfo=UTC) if found[7] else time.astimezone()
    except (ValueError, OverflowError):
        raise wrong from None
    if time.timestamp() < 0:
        raise wrong
    return time


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M %Z").strip()


def _matches(text: str, patterns: str) -> bool:
    """Tell whether a text matches a list of patterns (ssh_config(5), PATTERNS), of which ! denies."""
    found = False
    for pattern in patterns.split(","):
        denies = pattern.startswith("!")
        if re.fullmatch(_regular(pattern[1:] if denies else pattern), text, re.DOTALL):
            if denies:
                return False
            found = True
    return found


def _can_match(patterns: str) -> bool:
    """Tell whether a list of patterns matches any name at all."""
    allowed = [pattern for pattern in patterns.split(",") if pattern and not pattern.startswith("!")]
    denied = [
        re.compile(_regular(pattern[1:]), re.DOTALL) for pattern in patterns.split(",") if pattern[:1] == "!"
    ]
    # What denies the shortest and a long name of a pattern denies all between.
    names = [(pattern.replace("*", ""), pattern.replace("*", "\0" * len(patterns))) for pattern in allowed]
    return any(not any(all(map(no.fullmatch, both)) for no in denied) for both in names)


def _regular(pattern: str) -> str:
    return "".join(_WILD.get(character) or re.escape(character) for character in re.sub(r"\*+", "*", pattern))


_WILD = {"*": ".*", "?": "."}
