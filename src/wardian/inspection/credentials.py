"""Credentials that would travel with a case: whoever gets it could read them.

Found are texts in the forms that services give their keys, and long random texts under names such as
`api_key`. The forms are those that the services document, so that they can be found in code and logs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator

__all__ = ["find_credential", "find_credentials", "may_hold_credentials"]

_BEFORE = rb"(?<![0-9A-Za-z_-])"
_FORMS: tuple[tuple[str, tuple[bytes, ...], bytes], ...] = (
    ("an AWS access key", (b"AKIA", b"ASIA"), rb"(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"gh[pousr]_[0-9A-Za-z]{36,}"),
    ("a GitHub token", (b"github_pat_",), rb"github_pat_[0-9A-Za-z_]{50,}"),
    ("a GitLab token", (b"glpat-",), rb"glpat-[0-9A-Za-z_-]{20,}"),
    ("a Hugging Face token", (b"hf_", b"api_org_"), rb"(?:hf_|api_org_)[0-9A-Za-z]{30,}\b"),
    ("a Slack token", (b"xox", b"xapp-"), rb"(?:xox[abeoprs]|xapp)-[0-9A-Za-z-]{10,}"),
    ("a Slack address", (b"hooks.slack.com/",), rb"hooks\.slack\.com/services/T\w+/B\w+/[0-9A-Za-z]{20,}"),
    ("an OpenAI or Anthropic key", (b"sk-",), rb"sk-[0-9A-Za-z_-]{32,}"),
    ("a Google API key", (b"AIza",), rb"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    ("a Google token", (b"ya29.",), rb"ya29\.[0-9A-Za-z_-]{40,}"),
    ("a Google client secret", (b"GOCSPX-",), rb"GOCSPX-[0-9A-Za-z_-]{28}"),
    ("a Stripe key", (b"k_live_", b"k_test_"), rb"[rs]k_(?:live|test)_[0-9A-Za-z]{20,}"),
    ("a Stripe secret", (b"whsec_",), rb"whsec_[0-9A-Za-z+/]{32,}"),
    ("an npm token", (b"npm_",), rb"npm_[0-9A-Za-z]{36}\b"),
    ("a PyPI token", (b"pypi-AgE",), rb"pypi-AgE[0-9A-Za-z_-]{50,}"),
    ("an Azure key", (b"AccountKey=", b"AccessKey="), rb"(?:Account|SharedAccess)Key=[0-9A-Za-z+/]{40,}"),
    ("an Azure signature", (b"sig=",), rb"(?<=[?&])sig=(?:[0-9A-Za-z]|%2[BbFf]){40,}"),
    ("an Azure client secret", (b"8Q~", b"7Q~"), rb"[0-9A-Za-z_~.-]{3}[78]Q~[0-9A-Za-z_~.-]{31,34}"),
    ("a SendGrid key", (b"SG.",), rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    (
        "a Discord address",
        (b"/api/webhooks/",),
        rb"discord(?:app)?\.com/api/webhooks/[0-9]+/[0-9A-Za-z_-]{40,}",
    ),
    ("a Telegram token", (b":AA",), rb"[0-9]{8,10}:AA[0-9A-Za-z_-]{33}"),
    ("a Databricks token", (b"dapi",), rb"dapi[0-9a-f]{32}"),
    ("a DigitalOcean token", (b"dop_v1_",), rb"dop_v1_[0-9a-f]{64}"),
    ("a Replicate token", (b"r8_",), rb"r8_[0-9A-Za-z]{37}\b"),
    ("a Groq key", (b"gsk_",), rb"gsk_[0-9A-Za-z]{50,}"),
    ("an NVIDIA key", (b"nvapi-",), rb"nvapi-[0-9A-Za-z_-]{60,}"),
    ("an xAI key", (b"xai-",), rb"xai-[0-9A-Za-z]{70,}"),
    ("a Vault token", (b"hvs.",), rb"hvs\.[0-9A-Za-z_-]{80,}"),
    ("a key of Weights & Biases", (b"login(",), rb"login\(\s*(?:key\s*=\s*)?[\"'][0-9a-f]{40}[\"']"),
    ("a Kaggle key", (b'"key"',), rb"\"username\":\s*\"[^\"]+\",\s*\"key\":\s*\"[0-9a-f]{32}\""),
    ("a JSON web token", (b"eyJ",), rb"eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"),
    ("a private key", (b"PRIVATE KEY",), rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("a private key", (b"AGE-SECRET-KEY-",), rb"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    (
        "a URL with a password",
        (b"://",),
        rb"\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@\"'{}$<>%]{0,64}:[^/\s:@\"'{}$<>%]{3,64}@[\w.-]",
    ),
)
"""For each form of credential: a name with its article, texts of which it has one, and a pattern."""

_KNOWN = tuple(
    (
        kind,
        signs,
        re.compile(form if form.startswith((rb"\b", rb"-----", rb"(?<", b"login", b'"')) else _BEFORE + form),
    )
    for kind, signs, form in _FORMS
)


def _any_of(signs: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return what finds the first of many texts in one pass, looking only where a rare character stands.

    A form for each character, and before it what else the text needs there: `re` goes through most content by
    a table of the characters that a match can begin with, at a nanosecond for a byte.
    """
    by_character: dict[bytes, list[bytes]] = {}
    for sign in signs:
        at = min(range(len(sign)), key=lambda n: _is_common(sign[n]))
        character, before, after = sign[at : at + 1], sign[: at + 1], sign[at + 1 :]
        form = b"(?<=%b)%b" % (re.escape(before), re.escape(after))
        by_character.setdefault(character, []).append(form)
    groups = [re.escape(c) + b"(?:%b)" % b"|".join(forms) for c, forms in sorted(by_character.items())]
    return re.compile(b"|".join(groups))


def _is_common(byte: int) -> int:
    character = chr(byte)
    return 0 if not character.isalnum() and character != " " else 1 if character in "AJKxY" else 2


_SIGN = _any_of(sign for _, signs, _ in _FORMS for sign in signs)
_NAME = (
    rb"(?i:api_?keys?|(?:secret|access|auth|account|private)_?(?:access_?)?keys?|secrets?|token|passwords?|passwd"
    rb"|passphrase|bearer)"
)
_NAME_SIGNS = (b"key", b"secret", b"token", b"passw", b"passphrase", b"bearer")
_NAME_SIGN = re.compile(rb"a(?:pi|ccess|uth|ccount)_?key|private_?key|secret|token|passw|passphrase|bearer")
"""Every such name has one of these, in small letters."""
_BY_NAME = "a credential, as its name says"
_ASSIGNED = tuple(
    re.compile(form)
    for form in (
        # api_key: str = "..."; environ["API_KEY"] = "..."; getenv("API_KEY", "...")
        (
            rb"[\"']?\]?\s*(?::\s*[A-Za-z][\w.\[\] |]{0,40}?)?\s*[:=,]{1,2}\s*[a-zA-Z]?"
            rb"[\"']([^\"'\s]{16,200})[\"']"
        ),
        # api_key: ...; export API_KEY=...; password ...
        rb"[ \t]*[:= \t][ \t]*([^\s\"'#;,]{16,200})[ \t]*(?=[\r\n]|\Z)",
        # "Authorization": "Bearer ..."
        rb" +([0-9A-Za-z._~+/=-]{16,200})",
    )
)
_NAMED = re.compile(_NAME)
_LAST_NAME = re.compile(_NAME + rb"(?:'\])?(?:\[\d+\])?$")


def find_credential(content: bytes, name: str = "") -> str | None:
    """Return what *content* looks like, `a GitHub token`; None for what looks like no credential.

    Args:
        content: A text, or a file.
        name: What leads to a text: `model.config.api_key`.

    >>> find_credential(b"AKIA" + b"Q3EGRIWNVH4ZLX5T"), find_credential(b"a layer", "model.api_key")
    ('an AWS access key', None)
    """
    if len(content) < _SHORTEST:
        return None
    found = next((kind for kind, _ in _find(content)), None)
    if found is None and len(content) <= _LONGEST_RANDOM and _LAST_NAME.search(name.encode()):
        return _BY_NAME if _is_random(content) else None
    return found


def _find(content: bytes) -> Iterator[tuple[str, int]]:
    """Yield what is found in a text or file, and where it begins; a place may come twice."""
    # Looking for the signs first is what makes it fast: for all of them at once, as most content has none.
    for kind, signs, form in _KNOWN if _SIGN.search(content) else ():
        for at in _places_of(signs, content):
            found = form.search(content, max(0, at - _BEHIND), at + _AHEAD)
            if found is None or _is_example(found.group()):
                continue
            if not found.group().startswith(b"sk-") or _is_mixed(found.group()):  # sk-learn-is-a-library
                yield kind, found.start()
    lower = content.lower()
    for at in _places_of(_NAME_SIGNS, lower) if _NAME_SIGN.search(lower) else ():
        for name in _NAMED.finditer(content, max(0, at - _LONGEST_NAME), at + _LONGEST_NAME):
            for assigned in _ASSIGNED:
                found = assigned.match(content, name.end(), at + _AHEAD)
                if found is not None and _is_random(found.group(1)):
                    yield _BY_NAME, name.start()


_BEHIND, _AHEAD = 100, 400
"""How far before and after a sign a form reaches, in bytes."""
_LONGEST_NAME = len("secret_access_")
"""Before the sign `key`."""
_SHORTEST = 11
"""Bytes of the shortest text that has one of the forms: `ab://:abc@x`."""
_LONGEST_RANDOM = 200
"""Bytes of the longest text that is taken for a drawn one."""


def _places_of(signs: Iterable[bytes], content: bytes) -> Iterator[int]:
    for sign in signs:
        at = content.find(sign)
        while at >= 0:
            yield at
            at = content.find(sign, at + 1)


def may_hold_credentials(content: bytes) -> bool:
    """Tell whether a pickle is worth a closer look: it holds signs of a credential, or the name of one."""
    return _SIGN.search(content) is not None or _NAME_SIGN.search(content.lower()) is not None


def find_credentials(
    texts: Callable[[], Iterable[tuple[str, bytes]]],
    pickled: bytes,
    files: Iterable[tuple[str, bytes]],
    origin: Callable[[str, int], str | None] = lambda record, line: None,
) -> Iterator[str]:
    """Yield a sentence for each place that holds a credential; none repeats it.

    Args:
        texts: Returns the texts of the object: (path, content). Asked only if its pickle is suspicious.
        pickled: The pickle of the object.
        files: (record, content) of the files that are packed for it.
        origin: Returns where a line of a record comes from, if it is not what the user has written.
    """
    for place, content in texts() if may_hold_credentials(pickled) else ():
        kind = find_credential(content, place)
        if kind is not None:
            shown = place.encode()
            for _, _, form in _KNOWN:
                shown = form.sub(b"...", shown)
            yield f"{shown.decode('utf-8', 'replace')} looks like {kind}, {_ADVICE}"
    for record, content in files:
        places: dict[int, str] = {}
        for kind, at in itertools.islice(_find(content), _MOST):
            places.setdefault(content.count(b"\n", 0, at) + 1, kind)
        for line, kind in sorted(places.items()):
            place = origin(record, line) or (f"{record}, line {line}," if _has_lines(content) else record)
            yield f"{place} holds what looks like {kind}, {_ADVICE}"


def _has_lines(content: bytes) -> bool:
    return b"\0" not in content and b"\n" in content


_MOST = 10
"""Places that are told of one file."""
_ADVICE = (
    "and everybody who gets the case can read it;"
    " take it out, and read it from the environment where it is used"
)


def _is_random(content: bytes) -> bool:
    """Tell whether a text is long and mixed enough to have been drawn: no words, path or number.

    In what was drawn, letters of both kinds and digits stand side by side; in names they come in runs.
    """
    if not 16 <= len(content) <= _LONGEST_RANDOM or _is_example(content):
        return False
    if re.search(rb"[\s\\<>{}()\[\]$%]|://", content) or not re.search(rb"[A-Za-z]", content):
        return False
    return re.search(rb"[0-9]", content) is not None and _is_mixed(content)


def _is_mixed(content: bytes) -> bool:
    kinds = [_kind_of(byte) for byte in content]
    return (
        sum(1 for one, other in itertools.pairwise(kinds) if one and other and one != other) >= len(kinds) / 4
    )


def _kind_of(byte: int) -> int:
    """Return 1 for a digit, 2 for a capital, 3 for a small letter, 0 for what is none."""
    return 1 if 48 <= byte <= 57 else 2 if 65 <= byte <= 90 else 3 if 97 <= byte <= 122 else 0


def _is_example(content: bytes) -> bool:
    """Tell whether it stands in a documentation for a real one."""
    lower = content.lower()
    return len(set(content)) < 8 or any(word in lower for word in _EXAMPLES)


_EXAMPLES = (
    *(b"example", b"xxxx", b"your", b"1234567890", b"user:pass", b"username:", b"changeme", b"placeholder"),
    *(b"redacted", b"dummy", b"<password>"),
)
