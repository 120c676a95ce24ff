"""Side effects of scripts and constructors: registrations, changes of other modules, notes in tables."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import Any

from wardian.capture.constructor_notes import find_entries
from wardian.capture.effects import Effects
from wardian.capture.homes import CAPTURED
from wardian.capture.naming import Global, Names
from wardian.capture.patches import find_changes, find_held, find_patches
from wardian.capture.placing import Places, is_of_script
from wardian.domain.live_names import full_name, is_live, mount_of, original_name
from wardian.environment.modules import is_instance, variables_of

__all__ = ["SideEffects"]


class SideEffects:
    """Finds what the object needs that nothing in it refers to.

    Each method tells whether it found anything that was not known, for then the object is pickled again.

    Args:
        names: Names of modules and globals.
        places: The scripts.
        effects: Where what is set at load goes.
    """

    def __init__(self, names: Names, places: Places, effects: Effects) -> None:
        self._names, self._places, self._effects = names, places, effects

    def note_patches(self, cls: type) -> None:
        """Note the methods that scripts gave to an importable class."""
        for owner, change in find_patches(cls, self._places.is_synthesised):
            self._effects.change(owner, change)

    def find_table_entries(self, classes: Iterable[type]) -> bool:
        """Note what tables of their libraries say of classes."""
        return self._effects.set_entries(find_entries(classes))

    def find_registrations(self, held: Iterable[Any], *, surely: bool) -> list[Global]:
        """Take the statements by which scripts register classes and functions with other modules.

        Args:
            held: Classes and functions that containers of other modules hold.
            surely: Whether nothing but a script has registered them; otherwise only what is called as if it
                did nothing else counts.

        Returns:
            What the statements give to those modules, by its names in the case: finding one executes them.
        """
        held = list(held)
        scripts = [self._places.script()]
        for found in held:
            module = found.__module__ if is_instance(found, type | types.FunctionType) else None
            if is_live(module):
                # Those of what was loaded.
                package = full_name(mount_of(module), CAPTURED)
                scripts += [
                    self._places.namespace_of(variables_of(sys.modules[name]))
                    for name in list(sys.modules)
                    if name == module or name.startswith(package)
                ]
        return [
            self._names.named(script.module, name)
            for script in dict.fromkeys(scripts)
            if script is not None
            for name in script.require_calls(held, of_any_name=surely)
        ]

    def find_named_by_text(self, data: bytes) -> bool:
        """Take functions and classes that scripts look up by a text that the object holds.

        Args:
            data: The pickle of the object.
        """
        found = False
        for namespace in list(self._places):
            for name in list(namespace.variables) if namespace.looks_up else ():
                value = namespace.variables[name]
                if name in namespace.definitions or not is_instance(value, type | types.FunctionType):
                    continue
                if name.encode() in data and not name.startswith("_"):
                    namespace.require(name)
                    found = True
        return found

    def find_settings(
        self, modules: Iterable[types.ModuleType], before: Iterable[tuple[types.ModuleType | type, str]] = ()
    ) -> bool:
        """Note what scripts set in other modules, functions and classes of their own above all.

        Args:
            modules: Those that a case of the object has.
            before: What is changed because the script that the object was first packed by had set it: the
                module or class, and the name.
        """
        scripts = list(self._places.scripts())
        # What a script has in its own globals it did not change.
        modules = [module for module in modules if not is_of_script(module.__name__)]
        settings = (*before, *(found for script in scripts for found in script.script.statements.settings()))
        found = False
        for owner, change in find_changes(
            modules, settings, [script.script for script in scripts], self._places.is_synthesised
        ):
            found |= self._effects.change(owner, change)
        modules.sort(key=lambda module: original_name(module.__name__))  # whichever was imported first
        for script in scripts:
            for module in modules:
                for path, held in find_held(module, script.script):
                    found |= self._effects.set_inside(script, path, *held)
        return found
