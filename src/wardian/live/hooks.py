"""Imports that only running the code can tell: `__import__`, `exec`, `importlib.import_module`.

Static absolute imports of packed modules were made relative when the code was compiled
(`wardian.rewrite`). What is left gets here: a `__builtins__` with a hooked `__import__` for modules that
use it by name, and modules `importlib` and `pkgutil` of the root's own for names given as strings.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import itertools
import pkgutil
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from wardian.live.root import Root

__all__ = ["make_builtins", "make_shim", "needs_hooked_builtins"]

_DYNAMIC = frozenset({"__import__", "exec", "eval", "builtins", "__builtins__"})


def needs_hooked_builtins(code: types.CodeType, hidden: frozenset[str]) -> bool:
    """Tell whether *code* mentions a name through which it could import at run time, or a hidden module.

    Args:
        code: Of a module.
        hidden: Top-level names that it does not get from the environment.
    """
    return (
        not _DYNAMIC.isdisjoint(code.co_names)
        or any(name.partition(".")[0] in hidden for name in code.co_names)
        or any(
            needs_hooked_builtins(constant, hidden)
            for constant in code.co_consts
            if isinstance(constant, types.CodeType)
        )
    )


def make_builtins(root: Root) -> dict[str, Any]:
    """Return builtins whose `__import__` looks for absolute names in *root* first."""
    original = builtins.__import__

    def __import__(  # noqa: A001, N807  it takes the place of a builtin
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level == 0 and root.serves(name):
            module = root.import_packed(name)
            if fromlist:
                # Imports the submodules that fromlist names, as for any package.
                return original(module.__name__, globals, locals, fromlist, 0)
            return sys.modules[f"{root.name}.{name.partition('.')[0]}"]
        if level == 0:
            root.check_external(name)
            if name.partition(".")[0] in root.lacking:
                # Without a list of names the statement binds the first part.
                wanted = name if fromlist else name.partition(".")[0]
                return cast("types.ModuleType", root.import_lacking(wanted, sys._getframe(1)))  # noqa: SLF001
        return original(name, globals, locals, fromlist, level)

    return {**builtins.__dict__, "__import__": __import__}


def _delegate(name: str, original: types.ModuleType, **own: Any) -> types.ModuleType:
    """Return a module that has *own* and else the attributes of *original*."""
    module = types.ModuleType(name, original.__doc__)
    module.__dict__["__getattr__"] = lambda attribute: getattr(original, attribute)
    module.__dict__["__dir__"] = lambda: dir(original)
    module.__dict__["__path__"] = []
    module.__dict__.update(own)
    return module


def _own_name(root: Root, name: str, depth: int) -> str:
    """Return the name that packed code means where it derives a name from its `__name__`.

    Args:
        root: The root of the code.
        name: What it passed: `__name__`, or its first part, which below a root is `wardian`.
        depth: How many frames up the packed code is.
    """
    if name == "wardian":
        caller = sys._getframe(depth + 1).f_globals.get("__name__", "")  # noqa: SLF001
        return root.top_level_of(caller) or name
    return name.removeprefix(f"{root.name}.")


def make_shim(root: Root, name: str) -> types.ModuleType | None:
    """Return the root's own version of a module that takes module or distribution names as strings.

    Args:
        root: The root it serves.
        name: Its ordinary dotted name, such as `importlib.util`.

    Returns:
        The module; None if there is no such module.
    """
    if name in ("importlib.metadata", "importlib_metadata"):
        return _metadata(root, name)
    if name in ("importlib.resources", "importlib_resources"):
        return _resources(root, name)
    if name == "importlib":
        return _importlib(root)
    if name == "importlib.util":
        return _util(root)
    if name == "pkgutil":
        return _pkgutil(root)
    if name == "sys":
        return _Sys(root)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _importlib(root: Root) -> types.ModuleType:
    def import_module(name: str, package: str | None = None) -> types.ModuleType:
        """Import a module; an absolute name of a packed module means the packed one."""
        if not name.startswith("."):
            name = _own_name(root, name, 1)
            if root.serves(name):
                return root.import_packed(name)
            root.check_external(name)
            root.check_lacking(name)
        elif package is not None and root.serves(package):
            package = f"{root.name}.{package}"
        return importlib.import_module(name, package)

    def __getattr__(attribute: str) -> Any:  # noqa: N807  PEP 562
        if attribute in ("util", "metadata", "resources"):
            return importlib.import_module(f"{root.name}.importlib.{attribute}")
        return getattr(importlib, attribute)

    return _delegate("importlib", importlib, import_module=import_module, __getattr__=__getattr__)


def _util(root: Root) -> types.ModuleType:
    def find_spec(name: str, package: str | None = None) -> Any:
        """Find the spec of a module; an absolute name of a packed module means the packed one."""
        if not name.startswith("."):
            if root.serves(name):
                name = f"{root.name}.{name}"
            elif root.is_absent(name):
                return None
        return importlib.util.find_spec(name, package)

    def spec_from_file_location(name: str, location: Any = None, **kwargs: Any) -> Any:
        """Make the spec of a module in a file; a file of the case is loaded as the packed module it is."""
        module = None if location is None else root.module_at(location)
        if module is not None and module == name:
            return root.find_spec(module)
        return importlib.util.spec_from_file_location(name, location, **kwargs)

    return _delegate(
        "importlib.util", importlib.util, find_spec=find_spec, spec_from_file_location=spec_from_file_location
    )


class _Modules(dict[str, types.ModuleType]):
    """`sys.modules` as packed code sees it: a packed module is found under its own name, too.

    It is a view: every item is read from and written to the real `sys.modules`.
    """

    def __init__(self, root: Root) -> None:
        super().__init__()
        self._root = root

    def _name(self, name: str) -> str:
        return f"{self._root.name}.{name}" if self._root.packs(name) else name

    def __getitem__(self, name: str) -> types.ModuleType:
        return sys.modules[self._name(name)]

    def __setitem__(self, name: str, module: types.ModuleType) -> None:
        sys.modules[self._name(name)] = module

    def __delitem__(self, name: str) -> None:
        del sys.modules[self._name(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._name(name) in sys.modules

    def __iter__(self) -> Iterator[str]:
        return iter(sys.modules)

    def __len__(self) -> int:
        return len(sys.modules)

    def get(self, name: str, default: Any = None) -> Any:
        return sys.modules.get(self._name(name), default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        return sys.modules.setdefault(self._name(name), default)

    def pop(self, name: str, *default: Any) -> Any:
        return sys.modules.pop(self._name(name), *default)

    def keys(self) -> Any:
        return sys.modules.keys()

    def values(self) -> Any:
        return sys.modules.values()

    def items(self) -> Any:
        return sys.modules.items()

    def copy(self) -> dict[str, types.ModuleType]:
        return sys.modules.copy()

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, module in dict(*args, **kwargs).items():
            self[name] = module


class _Sys(types.ModuleType):
    """`sys` with the root's view of `modules`; all else is read from and written to `sys` itself."""

    def __init__(self, root: Root) -> None:
        super().__init__("sys", sys.__doc__)
        self.__dict__["modules"] = _Modules(root)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system sets what belongs to this module object; everything else is meant for sys.
        if name in ("__spec__", "__loader__", "__package__", "__path__", "__file__"):
            super().__setattr__(name, value)
        else:
            setattr(sys, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(sys, name)

    def __dir__(self) -> list[str]:
        return dir(sys)


def _resources(root: Root, name: str) -> types.ModuleType:
    def anchor_in_root(anchor: Any) -> Any:
        if not isinstance(anchor, str):
            return anchor
        anchor = _own_name(root, anchor, 2)
        return f"{root.name}.{anchor}" if root.serves(anchor) else anchor

    def wrap(function_name: str) -> Any:
        function = getattr(importlib.resources, function_name)

        def wrapped(anchor: Any = None, *args: Any, **kwargs: Any) -> Any:
            if anchor is None:  # "the caller's module", which the original would look for one frame up
                anchor = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001
            return function(anchor_in_root(anchor), *args, **kwargs)

        return wrapped

    names: Iterable[str] = (
        "files",
        "open_text",
        "open_binary",
        "read_text",
        "read_binary",
        "path",
        "is_resource",
        "contents",
    )
    own = {n: wrap(n) for n in names if hasattr(importlib.resources, n)}
    return _delegate(name, importlib.resources, **own)


def _pkgutil(root: Root) -> types.ModuleType:
    def get_data(package: str, resource: str) -> bytes | None:
        """Read a data file of a package; a packed package is named as in the environment."""
        package = _own_name(root, package, 1)
        return pkgutil.get_data(f"{root.name}.{package}" if root.serves(package) else package, resource)

    def walk_packages(path: Any = None, prefix: str = "", onerror: Any = None) -> Any:
        if prefix and root.serves(prefix.rstrip(".")):
            prefix = f"{root.name}.{prefix}"
        return pkgutil.walk_packages(path, prefix, onerror)

    def resolve_name(name: str) -> Any:
        """Return what a dotted name stands for; a packed module is named as in the environment."""
        top = re.split("[.:]", name, maxsplit=1)[0]
        return pkgutil.resolve_name(f"{root.name}.{name}" if root.serves(top) else name)

    functions = {"get_data": get_data, "walk_packages": walk_packages, "resolve_name": resolve_name}
    return _delegate("pkgutil", pkgutil, **functions)


class _PackedMetadata(importlib.metadata.Distribution):
    """The metadata of a packed distribution, from its records."""

    def __init__(self, root: Root, distribution: str) -> None:
        self._root = root
        self._distribution = distribution

    def read_text(self, filename: Any) -> str | None:
        data = self._root.metadata_of(self._distribution, str(filename))
        return None if data is None else data.decode("utf-8")

    def locate_file(self, path: Any) -> Any:
        return self._root.files.path_of(str(path))

    @property
    def entry_points(self) -> importlib.metadata.EntryPoints:
        """The entry points, which load from the case."""
        return importlib.metadata.EntryPoints(
            _PackedEntryPoint(self._root, point) for point in super().entry_points
        )


class _PackedEntryPoint(importlib.metadata.EntryPoint):
    """An entry point of a packed distribution."""

    def __init__(self, root: Root, point: importlib.metadata.EntryPoint) -> None:
        super().__init__(point.name, point.value, point.group)
        vars(self).update(vars(point), _root=root)  # entry points are immutable

    def load(self) -> Any:
        """Return the object that the entry point names."""
        root: Root = vars(self)["_root"]
        return root.find_global(self.module, self.attr or "")


def _metadata(root: Root, name: str) -> types.ModuleType:
    original = importlib.metadata

    def distribution(distribution_name: str, depth: int = 1) -> importlib.metadata.Distribution:
        asked = distribution_name
        distribution_name = _own_name(root, distribution_name, depth)
        if root.packs_distribution(distribution_name):
            return _PackedMetadata(root, distribution_name)
        if root.hides_distribution(distribution_name):
            raise original.PackageNotFoundError(distribution_name)
        try:
            return original.distribution(distribution_name)
        except original.PackageNotFoundError:
            if root.metadata_of(distribution_name, "METADATA") is None:
                if asked == distribution_name:
                    raise
                return original.distribution(asked)  # code that goes through all that is installed
            return _PackedMetadata(root, distribution_name)  # code asked for its version and no more

    def distributions(**context: Any) -> Iterator[importlib.metadata.Distribution]:
        for packed in root.manifest.distributions:
            if packed.version is not None and not context:
                yield _PackedMetadata(root, packed.name)
        for found in original.distributions(**context):
            found_name = found.metadata["Name"] or ""
            if context or not (root.packs_distribution(found_name) or root.hides_distribution(found_name)):
                yield found

    def version(distribution_name: str) -> str:
        return distribution(distribution_name, 2).version

    def metadata(distribution_name: str) -> Any:
        return distribution(distribution_name, 2).metadata

    def requires(distribution_name: str) -> list[str] | None:
        return distribution(distribution_name, 2).requires

    def files(distribution_name: str) -> Any:
        return distribution(distribution_name, 2).files

    def packages_distributions() -> dict[str, list[str]]:
        found = {
            top: names
            for top, names in original.packages_distributions().items()
            if not root.serves(top) and not root.is_absent(top)
        }
        for packed in root.manifest.distributions:
            if packed.version is not None:
                for top in packed.roots:
                    found.setdefault(top, []).append(packed.name)
        return found

    def entry_points(**params: Any) -> Any:
        # Without a selection Python 3.11 returns a dictionary of groups that warns when it is used as one.
        groups = getattr(original, "SelectableGroups", None)
        installed: Any = original.entry_points()
        if groups is not None and isinstance(installed, groups):
            installed = itertools.chain.from_iterable(dict.values(installed))
        points = [point for point in installed if not root.serves(point.module)]
        for packed in root.manifest.distributions:
            if packed.version is not None:
                points.extend(cast("Iterable[Any]", _PackedMetadata(root, packed.name).entry_points))
        found = importlib.metadata.EntryPoints(points)
        return found.select(**params) if params or groups is None else groups.load(found)

    return _delegate(
        name,
        original,
        distribution=distribution,
        distributions=distributions,
        version=version,
        metadata=metadata,
        requires=requires,
        files=files,
        packages_distributions=packages_distributions,
        entry_points=entry_points,
    )
