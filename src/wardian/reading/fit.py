"""Check the environment against what a case needs, before any packed code runs.

The rule, which docs/reference/environments.md explains: an extern distribution must be installed. A release
of an older major version is refused. Any other release is accepted if it is the recorded one or newer within
the same major version; otherwise it is accepted if it has every name that packed code imports from it.
Another distribution that provides the same modules takes its place. A soft extern that breaks the rule counts
as not installed, and is no reason to refuse the case.

The names come from the file, and whoever looks at a file has not asked for anything to run. So modules are
found as the import system finds them, but none is imported: what a source binds is read from the source. If
that does not tell, as of compiled modules, the question waits until packed code is to run; then a module is
imported if the distribution in question has installed it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.metadata
import platform
import re
import symtable
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.util import decode_source
from pathlib import Path

from packaging.version import InvalidVersion, Version

from wardian.archive import ArchiveReader, FolderReader, ParsingBudget
from wardian.domain.graph import Import, ImportContext
from wardian.domain.live_names import LIVE_PREFIX
from wardian.domain.manifest import Extern, Manifest
from wardian.domain.names import ModuleName, top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module, find_spec, variables_of
from wardian.errors import EnvironmentMismatchError, NotACaseError, Problem
from wardian.reading.installed import Installed
from wardian.source.scanning import scan

__all__ = [
    "check_environment",
    "find_problem",
    "find_problems",
    "packed_elsewhere",
    "requirements",
    "requirements_of",
    "with_importers",
]


_BINDS_OTHERWISE = re.compile(
    rb"__getattr__|import\s*\*|\b(?:globals|vars|locals|setattr|exec|eval)\s*\(|\bmodules\b|__dict__"
)
"""Ways by which a module may have a name that its source does not bind."""


def check_environment(
    manifest: Manifest, archive: ArchiveReader | FolderReader, *, may_import: bool = False
) -> None:
    """Compare the environment with the manifest.

    Args:
        manifest: Of the case.
        archive: Its file, for messages: which module wants what is missing.
        may_import: Whether modules of installed distributions may be imported to see what names they have.

    Raises:
        EnvironmentMismatchError: naming every distribution that is missing or does not fit, with the
            command that installs them.
    """
    problems = find_problems(manifest, may_import=may_import)
    if problems:
        path = archive.label
        raise EnvironmentMismatchError(
            f"{path} needs what this environment does not have",
            problems=with_importers(problems, archive),
            path=path,
        )


def with_importers(problems: Iterable[Problem], archive: ArchiveReader | FolderReader) -> tuple[Problem, ...]:
    """Return problems, each with the import of a packed module that asks for it, if a source shows one."""
    found = list(problems)
    wanted = _find_imports(archive, {top_level(p.module) for p in found if p.module})
    return tuple(replace(problem, chain=_chain(problem, wanted)) for problem in found)


def _chain(problem: Problem, wanted: Mapping[str, Import]) -> tuple[str, ...]:
    found = wanted.get(top_level(ModuleName(problem.module or "")))
    return problem.chain if found is None else (f"{found}",)


def _find_imports(archive: ArchiveReader | FolderReader, names: Iterable[str]) -> dict[str, Import]:
    """Return an import of each top-level name in packed sources, if possible one that must succeed."""
    tops = frozenset(names)
    found: dict[str, Import] = {}
    budget = ParsingBudget(archive)
    for record in archive.names if tops else ():
        if not record.endswith(".py") or record.startswith("."):
            continue
        source = budget.read(record)
        if source is None or not any(top.encode() in source for top in tops):
            continue
        is_package = record.endswith("/__init__.py")
        name = record.removesuffix("/__init__.py" if is_package else ".py").replace("/", ".")
        try:
            facts = scan(source, ModuleName(name), is_package=is_package, file=record)
        except SyntaxError:
            continue
        for edge in facts.imports:
            top = top_level(edge.imported)
            if top in tops and (top not in found or _rank(edge) < _rank(found[top])):
                found[top] = edge
    return found


def _rank(edge: Import) -> int:
    return list(ImportContext).index(edge.context)


def find_problems(
    manifest: Manifest, *, may_import: bool = False, known: Mapping[Extern, Problem | None] | None = None
) -> list[Problem]:
    """Return what this interpreter and the environment lack that a case needs; nothing if it fits.

    Args:
        manifest: Of the case.
        may_import: As for `check_environment`.
        known: What `find_problem` has told of its externs already.
    """
    # torch.package lists what it met, needed or not; there is nothing to tell of that.
    needed = [extern for extern in manifest.externs if not extern.soft and manifest.torch]
    if known is None:
        here = Installed()
        known = {extern: find_problem(extern, here, may_import=may_import) for extern in needed}
    found = [known[extern] for extern in needed]
    return [problem for problem in (_problem_of_interpreter(manifest), *found) if problem is not None]


def _problem_of_interpreter(manifest: Manifest) -> Problem | None:
    if not manifest.bytecode_only or manifest.python.tag == sys.implementation.cache_tag:
        return None
    names = manifest.bytecode_only
    listing = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return Problem(
        f"this is {sys.implementation.cache_tag}, and the case has code for {manifest.python.tag},"
        f" because its source was not there when it was packed: {listing}",
        f"load it with {manifest.python.implementation} {manifest.python.version}",
        names[0],
    )


def packed_elsewhere(manifest: Manifest) -> str:
    """Return what is not here as it was when the case was packed, as the end of a sentence."""
    here = {
        "Python": (manifest.python.version, platform.python_version()),
        "the platform": (
            f"{manifest.platform.system} {manifest.platform.machine}",
            f"{platform.system()} {platform.machine()}",
        ),
    }
    for extern in manifest.externs:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if extern.distribution is not None and extern.version is not None:
                installed = importlib.metadata.version(extern.distribution)
                here[extern.distribution] = (extern.version, installed)
    others = [f"{what} {now} (was {then})" for what, (then, now) in here.items() if then != now]
    return f"; not as it was packed: {', '.join(others)}" if others else ""


def requirements(manifest: Manifest, *, soft: bool = False, exact: bool = True) -> tuple[str, ...]:
    """Return what the environment must have, as `wardian.requirements` says.

    Args:
        manifest: Of the case.
        soft: Also return what the case loads without.
        exact: Pin the releases that the case was packed with; otherwise return ranges of those that fit.
    """
    write = _pinned if exact else _compatible
    return tuple(
        write(extern.distribution, extern.version)
        for extern in manifest.externs
        if extern.distribution is not None and extern.version is not None and (soft or not extern.soft)
    )


def requirements_of(
    archive: ArchiveReader | FolderReader, manifest: Manifest, *, soft: bool = False, exact: bool = True
) -> tuple[str, ...]:
    """Return what the environment must have for an open case, as `requirements`.

    Raises:
        NotACaseError: for an archive of torch.package. A line for each name in it could install what
            somebody else has published under the name of a module.
    """
    if archive.kind == "torch.package":
        modules = sorted(module for extern in manifest.externs for module in extern.modules)
        raise NotACaseError(
            f"{archive.label} is an archive of torch.package, which names modules, and neither distributions"
            f" nor releases: {', '.join(modules) or 'none'}; load it where they are, and pack the object with"
            " wardian.pack",
            path=archive.label,
        )
    return requirements(manifest, soft=soft, exact=exact)


def find_problem(extern: Extern, here: Installed, *, may_import: bool = False) -> Problem | None:
    """Tell what is wrong with an extern in this environment.

    Args:
        extern: What the case needs.
        here: What is installed.
        may_import: As for `check_environment`.

    Returns:
        The problem, or None if it fits as far as one can tell.
    """
    name, version = extern.distribution, extern.version
    module = extern.modules[0] if extern.modules else None
    if name is None or version is None:
        lost = [name for name in _roots(extern) if not _is_there(name)]
        return _nowhere(lost) if lost else None
    label = name
    try:
        installed = here.version(name)
    except importlib.metadata.PackageNotFoundError:
        if not extern.modules or not all(map(_is_there, _roots(extern))):
            return Problem(f"{name} is not installed", _install(_pinned(name, version)), module)
        # Of one library there may be builds under several names: opencv-python and opencv-python-headless.
        label, installed = _provider_of(_roots(extern)[0])
    fix = _install(_compatible(name, version))
    have, packed = _parsed(installed), _parsed(version)
    if have is not None and packed is not None:
        if have.release[:1] < packed.release[:1] or have.epoch < packed.epoch:
            what = (
                f"{label} {installed} is too old, the case was packed with {_release(name, label, version)}"
            )
            return Problem(what, fix, module)
        if have.release[:1] == packed.release[:1] and have >= packed:
            return None
    elif installed is not None and packed is not None:
        return None  # by PEP 440 it is none; there is nothing to compare
    broken: dict[str, str] = {}
    sources: dict[str, _Source | None] = {}
    told = {dotted: _has(dotted, sources) for dotted in extern.names}
    if may_import:
        from packaging.utils import canonicalize_name  # it imports logging and subprocess

        owner = canonicalize_name(label)
        told |= {d: _exists(d, broken) for d, has in told.items() if has is None and _owner(d) == owner}
    missing = [dotted for dotted, has in told.items() if has is False]
    if not missing:
        return None
    listing = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    what = f"{label} {installed or ''}".rstrip() + f" lacks {listing}"
    if broken:
        what += f" ({'; '.join(f'{name} cannot be imported: {why}' for name, why in broken.items())})"
    return Problem(f"{what}; the case was packed with {_release(name, label, version)}", fix, module)


def _nowhere(names: list[str]) -> Problem:
    listing, it, is_ = (
        (", ".join(names), "it", "is") if len(names) == 1 else (", ".join(names), "them", "are")
    )
    return Problem(
        f"{listing} {is_} not here, and no distribution that could be installed had {it} when the case was"
        " packed",
        f"put {it} into a folder of sys.path, or pack without the rule that leaves {it} outside",
        names[0],
    )


def _release(name: str, label: str, version: str) -> str:
    return version if label == name else f"{name} {version}"


def _roots(extern: Extern) -> list[str]:
    return sorted({top_level(module) for module in extern.modules})


def _is_there(root: str) -> bool:
    return root in sys.modules or find_spec(root) is not None


def _provider_of(root: str) -> tuple[str, str | None]:
    """Return the name and version of the distribution that provides a top-level name, if one does."""
    found = Distributions.current().providing(root)
    return (found[0].name, found[0].version) if found else (root, None)


def _parsed(version: str | None) -> Version | None:
    """Return a version without its local part, which says nothing about what is in it; None if it is none."""
    try:
        return Version(Version(version or "").public)
    except InvalidVersion:
        return None


def _pinned(name: str, version: str) -> str:
    # A local version (2.13.0+cpu) is not on any index; what PEP 440 does not know has an operator of its own.
    parsed = _parsed(version)
    return f"{name}==={version}" if parsed is None else f"{name}=={version.partition('+')[0]}"


def _compatible(name: str, version: str) -> str:
    """Return the requirement of a release that fits whatever names it has."""
    parsed = _parsed(version)
    if parsed is None:
        return _pinned(name, version)
    epoch = f"{parsed.epoch}!" if parsed.epoch else ""
    return f"{name}>={version.partition('+')[0]},<{epoch}{parsed.release[0] + 1}"


def _install(*requirements: str) -> str:
    # Without quotes a shell takes < and > for files.
    return "pip install " + " ".join(f'"{r}"' if any(c in r for c in "<>! ") else r for r in requirements)


def _owner(dotted: str) -> str | None:
    """Return the distribution that has installed the module of a dotted name of something in it."""
    module = ModuleName(dotted.rpartition(".")[0])
    return find_module(module, Distributions.current()).distribution


_Source = tuple[frozenset[str], bool]
"""The names that a module binds, and whether it may bind others in ways that no reading shows."""


def _has(dotted: str, sources: dict[str, _Source | None]) -> bool | None:
    """Tell whether a module has a name, None if only importing it would tell; nothing is imported.

    Args:
        dotted: The module, a dot, and the name.
        sources: What was read before, by the path of a module; filled.
    """
    module, _, attribute = dotted.rpartition(".")
    if f"{dotted}.".startswith(LIVE_PREFIX):  # of cases, which the names of another one have no say in
        return False
    if attribute in variables_of(sys.modules.get(module)) or find_spec(dotted) is not None:
        return True
    spec = find_spec(module)
    if spec is None:
        return None if module in sys.modules else False
    if spec.loader is None:
        return False  # a folder
    origin = spec.origin if spec.has_location else None
    if origin is None or not origin.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        return None
    if origin not in sources:
        sources[origin] = _read_source(origin)
    known = sources[origin]
    return None if known is None else True if attribute in known[0] else None if known[1] else False


def _read_source(path: str) -> _Source | None:
    try:
        source = Path(path).read_bytes()
        return _names_of(source, path), _BINDS_OTHERWISE.search(source) is not None
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=8)
def _names_of(source: bytes, path: str) -> frozenset[str]:
    """Return the names that a module binds somewhere.

    Raises:
        SyntaxError, ValueError: if it is none.
    """
    queue = [symtable.symtable(decode_source(source), path, "exec")]
    found: set[str] = set()
    while queue:
        table = queue.pop()
        top = table.get_type() == "module"
        found.update(
            symbol.get_name()
            for symbol in table.get_symbols()
            if (symbol.is_assigned() or symbol.is_imported()) and (top or symbol.is_declared_global())
        )
        queue += table.get_children()
    return frozenset(found)


def _exists(dotted: str, broken: dict[str, str]) -> bool:
    """Tell whether a module has a name; note in *broken* what goes wrong when the module is imported."""
    module, _, attribute = dotted.rpartition(".")
    if module in broken:
        return False
    try:
        found = importlib.import_module(module)
        if not hasattr(found, attribute):
            importlib.import_module(dotted)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever an installed library raises when it is imported
        if not isinstance(error, ModuleNotFoundError) or not f"{dotted}.".startswith(f"{error.name}."):
            broken[module] = f"{type(error).__name__}: {error}"
        return False
    return True
