"""Who asks a web server, as `~/.netrc` says."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from wardian.archive.remote.netrc import login_of

_NETRC = "machine models.example login me password pass-word\ndefault login anybody password other\n"


def test_only_the_host_that_is_named_gets_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "netrc"
    path.write_text(_NETRC)
    monkeypatch.setenv("NETRC", str(path))
    (value,) = login_of("https://models.example:8443/m.case").values()
    assert base64.b64decode(value.removeprefix("Basic ")) == b"me:pass-word"
    assert login_of("https://you:word@models.example/m.case") == {}
    assert login_of("https://other.example/m.case") == {}
    path.write_text("machine models.example login me secret pass-word")
    assert login_of("https://models.example/m.case") == {}
    path.unlink()
    assert login_of("https://models.example/m.case") == {}
