"""Who asks a registry: as `storage_options` say, else as docker's configuration does."""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Credentials", "find_credentials"]

_DOCKER_HUB = "https://index.docker.io/v1/"
"""The key of docker's own registry in docker's configuration."""
_IDENTITY = "<token>"
"""The user that a helper gives if the secret is an identity token."""
_HELPER_SECONDS = 30


class Credentials(NamedTuple):
    """The credentials by which a registry knows who asks: a name with a password, or a token."""

    user: str | None = None
    password: str | None = None
    identity: str | None = None
    """A token for which the registry's service of tokens gives others."""
    token: str | None = None
    """A token that the registry itself takes."""


def find_credentials(host: str, options: Mapping[str, Any]) -> Credentials:
    """Return who asks a registry; nobody, if nothing is known.

    Args:
        host: The registry, with its port.
        options: `username` and `password`, or `token`.
    """
    if "token" in options:
        return Credentials(token=options["token"] or None)
    if "username" in options or "password" in options:
        return Credentials(options.get("username"), options.get("password"))
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        config = json.loads(Path(folder, "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return Credentials()
    keys = [_DOCKER_HUB] if host in ("docker.io", "index.docker.io") else [host, f"https://{host}"]
    if not isinstance(config, dict):
        return Credentials()
    for key in keys:
        helper = _table(config, "credHelpers").get(key) or config.get("credsStore")
        found = _ask_helper(helper, key) if isinstance(helper, str) else None
        found = found or _of_config(_table(config, "auths").get(key))
        if found is not None:
            return found
    return Credentials()


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def _of_config(entry: Any) -> Credentials | None:
    # https://github.com/docker/cli/blob/v28.0.0/cli/config/configfile/file.go: base64 of user:password
    if not isinstance(entry, dict) or not entry:
        return None
    try:
        user, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (binascii.Error, ValueError, TypeError):
        return None
    return Credentials(
        user or None, password.rstrip("\0") or None, entry.get("identitytoken"), entry.get("registrytoken")
    )


def _ask_helper(helper: str, key: str) -> Credentials | None:
    """Ask a program that docker's configuration names, as docker does."""
    program = shutil.which(f"docker-credential-{helper}")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "get"],
            input=key,
            capture_output=True,
            text=True,
            check=True,
            timeout=_HELPER_SECONDS,
        )
        told = json.loads(done.stdout)
        user, secret = told["Username"], told["Secret"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None  # it knows nobody for this registry
    return Credentials(identity=secret) if user == _IDENTITY else Credentials(user, secret)
