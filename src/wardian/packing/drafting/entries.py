"""The entry points of a case: the pickle of each, its self-test, and what several share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardian.domain.manifest import Entry, group_record
from wardian.domain.names import RecordName
from wardian.domain.record_names import TESTS
from wardian.packing.drafting.live_object import LiveObject
from wardian.packing.drafting.pickling import Pickling
from wardian.packing.tracing.observe import Observation
from wardian.pickling.pickler import PickledObject

__all__ = ["pickle_entries"]


def pickle_entries(
    live: LiveObject,
    whole: PickledObject,
    beforehand: tuple[Any, ...],
    observation: Observation | None,
    pickling: Pickling,
) -> tuple[tuple[Entry, ...], dict[RecordName, PickledObject]]:
    """Pickle each entry point by itself, with its self-test, and those together that share something.

    Args:
        live: The entry points.
        whole: The pickle of all of them, which is that of the only one if there is one.
        beforehand: What must be there before they are made.
        observation: What their calls gave; None if they were not called.
        pickling: How they are pickled.

    Returns:
        The entry points and the groups, in their order; and their pickles and self-tests.
    """
    outputs = {} if observation is None else observation.outputs
    seen: dict[str, dict[int | str, Any]] = {}
    entries: list[Entry] = []
    records: dict[RecordName, PickledObject] = {}
    for name, obj in live.objects.items():
        pickled = whole
        if len(live.objects) > 1:
            pickled = pickling.pickle_with_effects(obj, name, beforehand, seen.setdefault(name, {}))
        entry = Entry(
            name=name,
            record=f"{name}/{name}.pkl",
            type=str(pickling.type_of(obj)),
            test=f"{TESTS}{name}.pkl" if name in live.calls else None,
            outputs=name in outputs,
        )
        records[RecordName(entry.record)] = pickled
        if entry.test is not None:
            test = {"inputs": live.calls[name], "outputs": outputs.get(name), "seed": 0}
            if observation is not None and name in outputs:
                test["changes"] = dict(observation.changes[name])
            records[RecordName(entry.test)] = pickling.pickle(test, "inputs")
        entries.append(entry)
    for members in _groups(seen):
        parts = {name: live.objects[name] for name in members}
        record = group_record(members)
        records[RecordName(record)] = pickling.pickle_with_effects(parts, live.name, beforehand)
        entries.append(
            Entry(name="+".join(members), record=record, type="builtins.dict", test=None, outputs=False)
        )
    return tuple(entries), records


def _groups(seen: Mapping[str, dict[int | str, Any]]) -> list[list[str]]:
    """Return the entry points that share something, directly or through others, in their order."""
    groups: list[tuple[list[str], set[int | str]]] = []
    for name, mine in seen.items():
        joined = [group for group in groups if not group[1].isdisjoint(mine)]
        groups = [group for group in groups if group not in joined]
        members = [member for group in joined for member in group[0]]
        groups.append(([*members, name], set(mine).union(*(group[1] for group in joined))))
    order = list(seen)
    return [sorted(members, key=order.index) for members, _ in groups if len(members) > 1]
