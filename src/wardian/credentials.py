"""Credentials that would travel with a case: whoever gets it could read them.

Found are texts in the forms that services give their keys, and long random texts under names such as
`api_key`. The forms are those that the services document, so that they can be found in code and logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

__all__ = ["find_credential", "find_credentials", "may_hold_credentials"]

_FORMS = {
    "an AWS access key": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": rb"\bgh[pousr]_[0-9A-Za-z]{36,}|\bgithub_pat_[0-9A-Za-z_]{50,}",
    "a GitLab token": rb"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Hugging Face token": rb"\bhf_[0-9A-Za-z]{30,}\b",
    "a Slack token": rb"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "an OpenAI or Anthropic key": rb"\bsk-(?:proj-|svcacct-|admin-|ant-)?[0-9A-Za-z_-]{32,}",
    "a Google API key": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "a Stripe key": rb"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "an npm token": rb"\bnpm_[0-9A-Za-z]{36}\b",
    "a PyPI token": rb"\bpypi-AgE[0-9A-Za-z_-]{50,}",
    "an Azure key": rb"\bAccountKey=[0-9A-Za-z+/]{80,}",
    "a JSON web token": rb"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a URL with a password": rb"\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@\"'{}$<>%]{1,64}:[^/\s:@\"'{}$<>%]{3,64}@[\w.-]",
}
_NUMBERED = list(_FORMS)
_ANY = re.compile(b"|".join(b"(%b)" % form for form in _FORMS.values()))
_NAME = (
    rb"(?i:(?:[\w.-]*[_.-])?(?:api_?key|secret|secret_?(?:access_?)?key|access_?key|(?:access_?|auth_?|bearer_?)token"
    rb"|token|password|passwd|private_?key))"
)
# What a credential of some form holds, in small letters: looking for these is fast.
_SIGNS = (
    *(
        b"akia",
        b"asia",
        b"ghp_",
        b"gho_",
        b"ghu_",
        b"ghs_",
        b"ghr_",
        b"github_pat_",
        b"glpat-",
        b"hf_",
        b"xox",
    ),
    *(b"sk-", b"aiza", b"k_live_", b"npm_", b"pypi-age", b"accountkey=", b"eyj", b"private key", b"://"),
)
_NAME_SIGNS = (
    b"api_key",
    b"apikey",
    b"secret",
    b"access_key",
    b"accesskey",
    b"token",
    b"passw",
    b"private_key",
)
_BY_NAME = "a credential, as its name says"
_ASSIGNED = re.compile(rb"\b(" + _NAME + rb")[\"']?\s*[:=]\s*[\"']([^\"'\s]{16,200})[\"']")
_LAST_NAME = re.compile(rb"(?:^|\.|\[')(" + _NAME + rb")(?:'\])?$")


def find_credential(content: bytes, name: str = "") -> str | None:
    """Return what *content* looks like, `a GitHub token`; None for what looks like no credential.

    Args:
        content: A text, or a file.
        name: What leads to a text: `model.config.api_key`.

    >>> find_credential(b"AKIA" + b"Q3EGRIWNVH4ZLX5T"), find_credential(b"a layer", "model.api_key")
    ('an AWS access key', None)
    """
    lower = content.lower()
    found = _ANY.search(content) if any(sign in lower for sign in _SIGNS) else None
    if found is not None and not _is_example(found.group()):
        return _NUMBERED[(found.lastindex or 1) - 1]
    if name:
        named = _LAST_NAME.search(name.encode())
        return _BY_NAME if named is not None and _is_random(content) else None
    for assigned in _ASSIGNED.finditer(content) if any(sign in lower for sign in _NAME_SIGNS) else ():
        if _is_random(assigned.group(2)):
            return _BY_NAME
    return None


def may_hold_credentials(content: bytes) -> bool:
    """Tell whether a pickle is worth a closer look: it holds signs of a credential, or the name of one."""
    lower = content.lower()
    return any(sign in lower for sign in (*_SIGNS, *_NAME_SIGNS))


def find_credentials(
    texts: Callable[[], Iterable[tuple[str, bytes]]],
    pickled: bytes,
    files: Iterable[tuple[str, bytes]],
) -> Iterator[str]:
    """Yield a sentence for each place that holds a credential; none repeats it.

    Args:
        texts: Returns the texts of the object: (path, content). Asked only if its pickle is suspicious.
        pickled: The pickle of the object.
        files: (record, content) of the files that are packed for it.
    """
    for place, content in texts() if may_hold_credentials(pickled) else ():
        kind = find_credential(content, place)
        if kind is not None:
            shown = _ANY.sub(b"...", place.encode()).decode("utf-8", "replace")
            yield f"{shown} looks like {kind}, {_ADVICE}"
    for record, content in files:
        kind = find_credential(content)
        if kind is not None:
            yield f"{record} holds what looks like {kind}, {_ADVICE}"


_ADVICE = (
    "and everybody who gets the case can read it;"
    " take it out, and read it from the environment where it is used"
)


def _is_random(content: bytes) -> bool:
    """Tell whether a text is long and mixed enough to have been drawn: no words, path or number."""
    if not 16 <= len(content) <= 200 or _is_example(content):
        return False
    if re.search(rb"[\s/\\<>{}()\[\]$%]", content) or re.fullmatch(rb"[\d.+-]+", content):
        return False
    return (
        len(set(content)) >= 8
        and re.search(rb"\d", content) is not None
        and re.search(rb"[A-Za-z]", content) is not None
    )


def _is_example(content: bytes) -> bool:
    """Tell whether it stands in a documentation for a real one."""
    lower = content.lower()
    return any(
        word in lower for word in (b"example", b"xxxx", b"your", b"1234567890", b"user:pass", b"username:")
    )
