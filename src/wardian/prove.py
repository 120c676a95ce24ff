"""The proof: the finished case does in a clean process what the object did (design decision D5)."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from wardian.environment import Distributions, is_stdlib
from wardian.errors import CheckError, ModuleNotInCaseError, ProofError
from wardian.manifest import Extern, Manifest
from wardian.names import LIVE_PREFIX, ModuleName
from wardian.processes.clean import ChildError, CleanProcesses

if TYPE_CHECKING:
    from wardian.live.case import Case

__all__ = ["PROOF_FAILED", "find_installed", "prove", "prove_in_child"]

_OWN = ("wardian", "torch", "blake3", "packaging", "platformdirs")


PROOF_FAILED = "the finished case does not work in a clean process: "
"""How a failed proof begins."""

_NEEDS = {"Numpy is not available": "numpy"}
"""Errors of other kinds that say what is missing, and its top-level name."""

_MISSING_FILE = re.compile(r"FileNotFoundError: .*: '([^']+)'$")


def prove(path: Path, manifest: Manifest, processes: CleanProcesses) -> None:
    """Load every object of a case, and run the self-tests, where only the hard externs can be imported.

    Args:
        path: The finished file, not yet at its place.
        manifest: What it declares.
        processes: How the clean process is started.

    Raises:
        TimeLimitError: if it takes longer than it may.
        ProofError: if something is missing there, or an output differs. Its `used` names soft externs
            that are needed after all.
    """
    try:
        allowed = _allowed(manifest)
        processes.run("wardian.prove.prove_in_child", {"path": str(path), "allowed": allowed})
    except ChildError as error:
        used = frozenset(error.facts.get("used", ()))
        if error.facts.get("versions"):
            used = _required_with(used, manifest)
        raise ProofError(
            f"{PROOF_FAILED}{error.summary.replace(f'{path}: ', '')}\n\n{error.output.rstrip()}\n"
            f"{_advice(error, manifest)}",
            output=error.output,
            used=used,
            missing=frozenset(error.facts.get("missing", ())),
            left_out=frozenset(error.facts.get("left_out", ())),
        ) from None


def _advice(error: ChildError, manifest: Manifest) -> str:
    """Return what follows from how a proof failed, and last the line that mends it."""
    missing = _MISSING_FILE.match(error.summary)
    if missing is not None and not os.path.isabs(missing[1]) and os.path.exists(missing[1]):
        return (
            f"\n  {missing[1]} is in the current folder here, and will not be where the case is loaded."
            "\n  fix: keep what it holds in the object, or put it beside the code and read"
            f" Path(__file__).with_name({os.path.basename(missing[1])!r})"
        )
    above = error.facts.get("above")
    if above is not None:
        return (
            f"\n  The code looks for {above} above the folder on sys.path that it was imported from; what"
            " lies there is in no case."
            f"\n  fix: put it beside the code and read Path(__file__).with_name({os.path.basename(above)!r})"
        )
    if not error.summary.startswith("CheckError"):
        return _advice_on_code(error, manifest)
    if LIVE_PREFIX in error.summary:
        return (
            "\n  A text in the result has the name of a module, which in a case is another one."
            "\n  fix: take type(x).__qualname__, not repr() or __module__, into what is returned"
        )
    if _CHANGES.search(error.summary):
        return (
            "\n  The call does not change its inputs, or the object, as it did before the object was packed."
            "\n  fix: see that pickle.loads(pickle.dumps(model)) changes the same when it is called; or pack"
            " without inputs, and nothing is compared"
        )
    if error.facts.get("alike"):
        return (
            "\n  Within one process the result is always this one, in another process it is another one: the"
            " order of a set, or hash() or id() of something decides; Python gives text another hash in each"
            " process where PYTHONHASHSEED is not set."
            "\n  fix: go through sorted(names) in place of a set, and use hashlib in place of hash()"
        )
    return (
        "\n  Two runs with the same inputs and seeds gave different results, so that no self-test can pass."
        "\n  fix: draw from torch.rand and its like, numpy.random or random, which are seeded before each"
        " run, or from a torch.Generator that the object holds; take the time and other outside things as"
        " inputs; or pack without inputs"
    )


_CHANGES = re.compile(r" is (not )?changed by the call| after the call ")

_PACKED_FILE = re.compile(r'File "[^"]*/[0-9a-f]{64}/([^"/]+?)(?:\.py)?["/]')
"""The place of a packed module in a traceback, by its top-level name."""


def _advice_on_code(error: ChildError, manifest: Manifest) -> str:
    """Return what one can do about code that runs outside of a case and not inside."""
    missing = sorted(set(error.facts.get("missing", ())) - manifest.roots)
    if missing:
        rule = f'Policy(extern=["{missing[0]}.**"])'
        return f"\n  fix: pip install {missing[0]} here and pack again; or if a rule denies it, {rule}"
    tops = _PACKED_FILE.findall(error.output)
    owners = {root: d for d in manifest.distributions if d.version is not None for root in d.roots}
    library = next((top for top in reversed(tops) if top in owners), None)
    if library is not None:
        return (
            f"\n  Code of {owners[library].name} does not do in a case what it does where it is installed."
            f'\n  fix: leave it outside: Policy(extern=["{library}.**"])'
        )
    return (
        "\n  No line is known that mends it: the error is of the object's own code, which runs where it is"
        " imported as usual and not from a case; the traceback says what it misses."
    )


def _allowed(manifest: Manifest) -> dict[str, list[str]]:
    """Return what may be imported: the externs that are not soft, what they require, Wardian itself.

    Soft externs that only some builds of torch require may not, though this one does.
    """
    installed = Distributions.current()
    hard = [extern for extern in manifest.externs if not extern.soft]
    names = {*_OWN, *(e.distribution for e in hard if e.distribution is not None)}
    distributions = {required for name in names for required in installed.closure(name)}
    in_some_builds = installed.closure("torch") - installed.closure("torch", everywhere=True)
    distributions -= in_some_builds & {extern.distribution for extern in manifest.externs if extern.soft}
    roots = {root for name in distributions for root in installed[name].roots}
    roots |= {module.partition(".")[0] for extern in hard for module in extern.modules}
    return {"distributions": sorted(distributions), "roots": sorted(roots | set(_OWN))}


def find_installed(missing: Iterable[str], manifest: Manifest) -> tuple[Extern, ...]:
    """Return externs for what was missing in a proof, is installed here, and is of no packed distribution.

    PyTorch and other externs import some libraries when they need them, and do not require them.
    """
    known = {extern.distribution for extern in manifest.externs} | {d.name for d in manifest.distributions}
    hidden = {*manifest.roots, *manifest.absent}
    found: dict[str, Extern] = {}
    for top in sorted(set(missing) - hidden):
        for distribution in Distributions.current().providing(top)[:1]:
            if distribution.name not in known:
                found[distribution.name] = Extern(
                    distribution=distribution.name,
                    version=distribution.version,
                    modules=(top,),
                    names=(),
                    soft=False,
                )
    return tuple(found.values())


_PATHS: Any = importlib.machinery.PathFinder


class _Filter(importlib.abc.MetaPathFinder):
    """A finder that finds only what is allowed."""

    def __init__(self, finder: Any, roots: frozenset[str], distributions: frozenset[str]) -> None:
        self._finder = finder
        self._roots = roots
        self._distributions = distributions

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top = ModuleName(fullname.partition(".")[0])
        spec: importlib.machinery.ModuleSpec | None = self._finder.find_spec(fullname, path, target)
        if spec is None or top in self._roots or is_stdlib(top) or self._is_vendored(spec):
            return spec
        # Where it is not installed, a copy farther on is found.
        for entry in (sys.path if path is None else path) if self._finder is _PATHS else ():
            spec = self._finder.find_spec(fullname, [entry], target)
            if spec is not None and self._is_vendored(spec):
                return spec
        return None

    def _is_vendored(self, spec: importlib.machinery.ModuleSpec) -> bool:
        """Tell whether a module lies inside of an allowed package.

        Some put a folder of theirs on `sys.path`. setuptools does so with `_vendor`, and
        `torch.utils.cpp_extension` imports setuptools:
        https://github.com/pypa/setuptools/blob/v80.0.0/setuptools/__init__.py#L14
        """
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location else [])]
        return any(
            place.startswith(inside := os.path.join(entry, ""))
            and place[len(inside) :].partition(os.sep)[0] in self._roots
            for place in map(str, places)
            for entry in sys.path
        )

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        """Yield the metadata of allowed distributions, as `importlib.metadata` asks its finders."""
        find = getattr(self._finder, "find_distributions", None)
        for found in find(context) if find is not None else ():
            if canonicalize_name(found.metadata["Name"] or "") in self._distributions:
                yield found


def prove_in_child(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `prove` in the child."""
    # Where the case does not need numpy, it is hidden, and torch says so; under `-W error` it would raise.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    roots, distributions = (frozenset(request["allowed"][key]) for key in ("roots", "distributions"))
    sys.meta_path[:] = [_Filter(f, roots, distributions) for f in sys.meta_path if hasattr(f, "find_spec")]
    os.chdir(os.sep)  # a data file beside the caller must not be found by a relative path

    from wardian.live.case import Case
    from wardian.live.stand_ins import used_externs

    case = Case.open(request["path"])
    try:
        for entry in case.manifest.entries:
            if entry.test is None:
                case.load(entry.name)
        case.check(exact=True)
    except Exception as error:
        used = used_externs(error) | _externs_named(error, case.manifest)
        versions = any(isinstance(e, importlib.metadata.PackageNotFoundError) for e in _chain(error))
        missing = {e.name.partition(".")[0] for e in _chain(error) if isinstance(e, ImportError) and e.name}
        missing |= {name for e in _chain(error) for text, name in _NEEDS.items() if text in str(e)}
        alike = isinstance(error, CheckError) and _fails_alike(case, error)
        facts = {
            "used": sorted(used),
            "versions": versions,
            "missing": sorted(missing),
            "left_out": sorted(
                e.name
                for e in _chain(error)
                if isinstance(e, ModuleNotInCaseError) and e.name and e.name in case.root.left_out
            ),
            "alike": alike,
            "above": _place_above(error, case),
        }
        error.child_facts = facts  # type: ignore[attr-defined]
        raise
    return {}


def _place_above(error: BaseException, case: Case) -> str | None:
    """Return the file that was looked for above the folder of the case, without the steps up; or None."""
    folder = vars(case.root.files).get("folder")
    for found in _chain(error):
        if folder is not None and isinstance(found, FileNotFoundError) and isinstance(found.filename, str):
            parts = os.path.relpath(found.filename, folder).split(os.sep)
            steps = parts.count(os.pardir)
            if os.path.isabs(found.filename) and 0 < steps <= _STEPS_UP:
                return "/".join(parts[steps:])
    return None


_STEPS_UP = 2
"""How far above the folder of a case a file may have been meant to be in the user's project."""


def _fails_alike(case: Case, error: CheckError) -> bool:
    """Tell whether the self-test gives the same once more: then the process decides what it gives."""
    try:
        case.check(exact=True)
    except Exception as again:  # noqa: BLE001  whatever packed code raises
        return str(again) == str(error)
    return False


def _externs_named(error: BaseException, manifest: Manifest) -> set[str]:
    """Return the top-level names of soft externs of which an ImportError in the chain of *error* speaks.

    Libraries check versions and say "safetensors>=0.8.0 is required"; torch says "Numpy is not available".
    """
    text = " ".join(
        str(e).lower()
        for e in _chain(error)
        if isinstance(e, ImportError) or any(need in str(e) for need in _NEEDS)
    )
    found: set[str] = set()
    for extern in manifest.externs:
        tops = {module.partition(".")[0] for module in extern.modules}
        names = {*tops, extern.distribution or ""} - {""}
        if extern.soft and any(re.search(rf"\b{re.escape(name.lower())}\b", text) for name in names):
            found |= tops
    return found


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _required_with(used: frozenset[str], manifest: Manifest) -> frozenset[str]:
    """Return the soft externs that a packed distribution requires which requires one of *used*, too.

    Who checks the version of one requirement checks the others next, each at the price of a proof.
    """
    soft = {e.distribution: e for e in manifest.externs if e.soft and e.distribution is not None}
    named = {name for name, e in soft.items() if any(m.partition(".")[0] in used for m in e.modules)}
    installed = Distributions.current()
    for packed in manifest.distributions:
        found = installed.get(packed.name)
        if found is not None and not found.requires.isdisjoint(named):
            named |= found.requires & soft.keys()
    return used | {module.partition(".")[0] for name in named for module in soft[name].modules}
