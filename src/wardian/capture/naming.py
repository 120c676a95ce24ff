"""Names of globals in a case, and what stands for them in what a pickler is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wardian.capture.homes import CAPTURED
from wardian.domain.live_names import original_name
from wardian.domain.names import ModuleName

__all__ = ["Call", "Global", "Names"]


@dataclass(frozen=True, slots=True)
class Global:
    """Stands for a global of a case in what a pickler is given."""

    module: str
    qualname: str

    def __call__(self) -> None:
        """Do nothing: a pickler only wants to see that it could be called."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """Stands for the result of a call in what a pickler is given."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Names:
    """Names of modules and globals in one case.

    Args:
        rename: Returns the name that a module has in the case, and may note that it is needed there.

    Attributes:
        package: Name of the package of synthesised modules.
        uses_runtime: Whether the case needs the functions of `wardian.capture.runtime`.
    """

    def __init__(self, rename: Callable[[str], ModuleName] = original_name) -> None:
        self.rename = rename
        self.package = _free_name()
        self.uses_runtime = False
        self._globals: dict[tuple[str, str], Global] = {}

    def named(self, module: str, qualname: str) -> Global:
        """Return the one object that stands for a global."""
        return self._globals.setdefault((module, qualname), Global(module, qualname))

    def helper(self, name: str) -> Global:
        """Return the name of a function of `wardian.capture.runtime`, which the case then has."""
        self.uses_runtime = True
        return self.named(self.package, name)


def _free_name() -> str:
    """Return a name for the package of synthesised modules that no module of the user has."""
    from wardian.domain.modules import ModuleKind
    from wardian.environment.distributions import Distributions
    from wardian.environment.modules import find_module

    number = 1
    while True:
        name = CAPTURED if number == 1 else f"{CAPTURED}_{number}"
        if find_module(ModuleName(name), Distributions.current()).kind is ModuleKind.MISSING:
            return name
        number += 1
