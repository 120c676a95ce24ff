"""Policies about whose code may run: files in TOML with a table `[trust]`, and the one of the user."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import platformdirs

from wardian.errors import PolicyFileError
from wardian.trust.ownership import require_own
from wardian.trust.rules import Rules

__all__ = ["SIGNERS", "TABLE", "Trust", "user_policy", "user_policy_path"]

TABLE = "trust"
"""Name of the table."""
SIGNERS = "allowed_signers"
"""Name of the file of allowed signers beside the user's policy."""
_LARGEST = 4 << 20
"""Bytes of a policy; with 50,000 digests it has 3.4 MB."""


@dataclass(frozen=True, slots=True)
class Trust:
    r"""A policy: whose code may run, and what it may hold. `Trust.from_file` reads one.

    It is asked after a file was opened and before any of its code runs. What it leaves out is allowed.

    Args:
        rules: What a file has to keep.
        path: Where they are from; None if from no file.

    >>> from pathlib import Path
    >>> _ = Path("trust.toml").write_text('[trust]\ntorch_package = false\n')
    >>> wardian.Trust.from_file("trust.toml").rules.torch_package
    False
    """

    rules: Rules = field(default_factory=Rules)
    path: str | None = None

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a policy from a TOML file with a table `[trust]`; docs/how-to/trust-policy.md has the keys.

        Args:
            path: The file. A relative path in its key `signers` is relative to its folder.

        Raises:
            PolicyFileError: naming everything that is wrong with it; or others than the user can write it,
                its file of signers, or the folder of one of these.
            OSError: if it cannot be read.
        """
        place = Path(path).absolute()
        require_own(place)
        with place.open("rb") as file:
            content = file.read(_LARGEST + 1)
        try:
            if len(content) > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
            rules = Rules.read(content.decode("utf-8"), TABLE)
            if rules.signers is not None:
                signers = place.parent / Path(rules.signers).expanduser()
                require_own(signers)
                rules = replace(rules, signers=str(signers))
        except PolicyFileError:
            raise
        except (ValueError, RuntimeError) as error:  # also a path with a null byte, or of an unknown user
            raise PolicyFileError(f"the policy {place} cannot be used: {error}", path=str(place)) from None
        return cls(rules, str(place))


def user_policy_path() -> Path:
    """Return where the user's policy is, in the configuration folder by the rules of the platform."""
    return Path(platformdirs.user_config_dir("wardian", appauthor=False)).absolute() / "trust.toml"


def user_policy() -> Trust:
    """Return the user's policy.

    Raises:
        FileNotFoundError: if there is none.
        PolicyFileError: if it cannot be used, or is not the user's alone to write.
    """
    return Trust.from_file(user_policy_path())
