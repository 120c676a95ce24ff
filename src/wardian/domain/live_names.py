"""Names of open cases and of their modules: `wardian.live.<mount>.<module>`."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeGuard

from wardian.domain.names import ModuleName

__all__ = [
    "LIVE_PREFIX",
    "MountName",
    "SHARED_SUFFIX",
    "full_name",
    "is_live",
    "mount_of",
    "original_name",
    "split_live",
]

LIVE_PREFIX = "wardian.live."
"""Prefix of the full names of modules of open cases."""

SHARED_SUFFIX = "_shared"
"""Suffix of the stem of a shared case; unshared, the same case has other modules."""
_DIGEST = re.compile(r"[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64}")


class MountName(NamedTuple):
    """The name of an open case below `wardian.live`."""

    stem: str
    """Stem of the file's name."""
    digest: str
    """The first digits of the case's digest."""

    @classmethod
    def parse(cls, text: str) -> MountName:
        """Return the parts of a name.

        >>> MountName.parse("resnet18_3f9a2c1b")
        MountName(stem='resnet18', digest='3f9a2c1b')
        """
        stem, _, digest = text.rpartition("_")
        return cls(stem, digest)

    @classmethod
    def of_file(cls, stem: str, digest: str) -> MountName:
        """Return the name of the mount of a file with any stem.

        >>> str(MountName.of_file("ResNet-18 v2", "3f9a2c1b"))
        'ResNet_18_v2_3f9a2c1b'
        """
        clean = re.sub(r"\W", "_", stem, flags=re.ASCII).strip("_") or "case"
        return cls(f"{'_' if clean[0].isdigit() else ''}{clean}", digest)

    def __str__(self) -> str:
        return f"{self.stem}_{self.digest}"

    @property
    def has_digest(self) -> bool:
        """Whether it ends with as many digits as the name of a mount may have."""
        return _DIGEST.fullmatch(self.digest) is not None

    @property
    def is_shared(self) -> bool:
        """Whether it is of a mount that serves installed modules."""
        return self.stem.endswith(SHARED_SUFFIX)

    @property
    def case(self) -> str:
        """Its stem, without what tells that it is shared."""
        return self.stem.removesuffix(SHARED_SUFFIX)


def is_live(name: object) -> TypeGuard[str]:
    """Tell whether *name* is that of an open case, or of a module of one.

    >>> is_live("wardian.live.resnet18_3f9a2c1b.torchvision"), is_live("torchvision"), is_live(None)
    (True, False, False)
    """
    return isinstance(name, str) and name.startswith(LIVE_PREFIX)


def full_name(mount: str, module: str = "") -> str:
    """Return the full name of an open case, or of a module of it.

    >>> full_name("resnet18_3f9a2c1b", "torchvision")
    'wardian.live.resnet18_3f9a2c1b.torchvision'
    """
    return f"{LIVE_PREFIX}{mount}.{module}" if module else LIVE_PREFIX + mount


def split_live(name: str) -> tuple[str, ModuleName]:
    """Return the mount and the module of a full name; the module is empty for the package of the case.

    >>> split_live("wardian.live.resnet18_3f9a2c1b.torchvision.models")
    ('resnet18_3f9a2c1b', 'torchvision.models')
    """
    mount, _, module = name.removeprefix(LIVE_PREFIX).partition(".")
    return mount, ModuleName(module)


def mount_of(name: str) -> str:
    """Return the mount of a full name.

    >>> mount_of("wardian.live.resnet18_3f9a2c1b.torchvision.models")
    'resnet18_3f9a2c1b'
    """
    return split_live(name)[0]


def original_name(name: str) -> ModuleName:
    """Return the name a module had when it was packed; ordinary names are returned as they are.

    >>> original_name("wardian.live.resnet18_3f9a2c1b.torchvision.models.resnet")
    'torchvision.models.resnet'
    """
    return (split_live(name)[1] if is_live(name) else ModuleName("")) or ModuleName(name)
