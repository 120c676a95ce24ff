"""Modules that stand in for code that is not there: mocks, and what no code could reach."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import types
from typing import NoReturn

from wardian.errors import ModuleNotInCaseError

__all__ = ["LeftOutLoader", "MockLoader", "MockedObject"]


class MockedObject:
    """A name of a mocked module. It can be read and passed around, and raises when it is used."""

    __slots__ = ("_mock_name",)

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_mock_name", name)

    def __getattr__(self, attribute: str) -> MockedObject:
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)
        return MockedObject(f"{self._mock_name}.{attribute}")

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        """Stand for `object` where packed code derives a class from a mocked name."""
        return (object,)

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Raise NotImplementedError: the code behind the name is not there."""
        raise NotImplementedError(
            f"{self._mock_name} was mocked when the case was packed and cannot be used; "
            f"pack again with Policy(intern=[...]) or Policy(extern=[...]) for its module"
        )

    def __repr__(self) -> str:
        return f"<mocked {self._mock_name}>"


class MockLoader(importlib.abc.Loader):
    """Make a module whose every attribute is a `MockedObject`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Return None: an ordinary module will do."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Give the module a `__getattr__` that knows every name."""

        def __getattr__(attribute: str) -> MockedObject:  # noqa: N807  PEP 562
            if attribute.startswith("__") and attribute.endswith("__"):
                raise AttributeError(attribute)
            return MockedObject(f"{self._name}.{attribute}")

        module.__dict__["__getattr__"] = __getattr__


class LeftOutLoader(importlib.abc.Loader):
    """Tell, when it is imported, that a module was left out of the case because nothing could reach it.

    The module is found, as it is where the library is installed; `importlib.util.find_spec` only asks.

    Args:
        name: Its own dotted name.
        owner: The distribution that it is part of, with the version.
        case: The case, in words.
    """

    def __init__(self, name: str, owner: str, case: str) -> None:
        self._name, self._owner, self._case = name, owner, case

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> NoReturn:
        """Refuse.

        Raises:
            ModuleNotInCaseError: which says what to do.
        """
        raise ModuleNotInCaseError(
            f"{self._name} is not in {self._case}: of {self._owner} it has the modules that the object could"
            " reach when it was packed, and nothing led to this one\n"
            f'    fix: pack with Policy(intern=["{self._name}.**"]), which takes it with what it reaches, or'
            ' with Policy(base="whole")',
            name=self._name,
        )

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: it is never made."""
