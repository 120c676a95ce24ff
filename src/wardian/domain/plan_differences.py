"""How two plans differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wardian.wording import size_text

__all__ = ["differences_of"]


def differences_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one sentence for each module, distribution and file that is not the same in two plans.

    Args:
        before: What `Plan.to_plain` returned for the older plan.
        after: The same for the newer one.
    """
    return tuple(
        sentence
        for what, table_of in _TABLES.items()
        for sentence in sorted(_differences(what, table_of(before), table_of(after)))
    )


def _actions(plan: Mapping[str, Any]) -> dict[str, str]:
    return {d["module"]: d["action"] for d in plan["decisions"]}


def _versions(plan: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(version) for name, version in (*plan["distributions"].items(), *plan["externs"].items())
    }


def _sizes(plan: Mapping[str, Any]) -> dict[str, str]:
    return {f["record"]: size_text(f["size"]) for f in plan["files"]}


_TABLES: dict[str, Callable[[Mapping[str, Any]], dict[str, str]]] = {
    "module": _actions,
    "distribution": _versions,
    "file": _sizes,
}


def _differences(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in old.keys() - new.keys():
        yield f"{what} {name} is gone ({old[name]})"
    for name in new.keys() - old.keys():
        yield f"{what} {name} is new ({new[name]})"
    for name in old.keys() & new.keys():
        if old[name] != new[name]:
            yield f"{what} {name}: {old[name]} became {new[name]}"
