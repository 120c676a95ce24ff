"""Advice on a proof that failed."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

from wardian.domain.live_names import LIVE_PREFIX
from wardian.domain.manifest import Manifest
from wardian.domain.names import top_level
from wardian.environment.distributions import Distributions
from wardian.errors import CheckError
from wardian.packing.proving.fence import speaks_of
from wardian.processes.clean import ChildError

if TYPE_CHECKING:
    from wardian.loading.case import Case

__all__ = ["advice_on", "chain_of"]


_MISSING_FILE = re.compile(r"FileNotFoundError: .*: '([^']+)'$")


def advice_on(error: ChildError, manifest: Manifest) -> str:
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


def _place_above(error: BaseException, case: Case) -> str | None:
    """Return the file that was looked for above the folder of the case, without the steps up; or None."""
    folder = vars(case.mount.files).get("folder")
    for found in chain_of(error):
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


def _externs_named(error: BaseException, manifest: Manifest, hidden: Container[str]) -> set[str]:
    """Return the top-level names of soft externs of which the chain of *error* speaks.

    Libraries check versions and say "safetensors>=0.8.0 is required". An error that is no ImportError counts
    if code has asked for the extern in vain: torch says "Numpy is not available".
    """
    messages = [(isinstance(e, ImportError), str(e)) for e in chain_of(error)]
    found: set[str] = set()
    for extern in manifest.externs:
        tops = {top_level(module) for module in extern.modules}
        names = {*tops, extern.distribution or ""} - {""}
        asked = any(top in hidden for top in tops)
        if extern.soft and any(speaks_of(text, names) for told, text in messages if told or asked):
            found |= tops
    return found


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it, each once: two may be causes of each other."""
    seen: set[int] = set()  # every error in it is held by the first
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _required_with(used: frozenset[str], manifest: Manifest) -> frozenset[str]:
    """Return the soft externs that a packed distribution requires which requires one of *used*, too.

    Who checks the version of one requirement checks the others next, each at the price of a proof.
    """
    soft = {e.distribution: e for e in manifest.externs if e.soft and e.distribution is not None}
    named = {name for name, e in soft.items() if any(top_level(m) in used for m in e.modules)}
    installed = Distributions.current()
    for packed in manifest.distributions:
        found = installed.get(packed.name)
        if found is not None and not found.requires.isdisjoint(named):
            named |= found.requires & soft.keys()
    return used | {top_level(module) for name in named for module in soft[name].modules}
