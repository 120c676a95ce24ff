"""The arguments of `pack` and `plan`: what they are, and what is wrong with them, all of it at once.

In goes what the user passed; out comes an `Asked` that holds, or an error. Each rule is a row of `REFUSALS`.
What is allowed and seldom meant is told when the case is made: `wardian.packing.remarks`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from wardian.archive.remote.urls import shown
from wardian.domain.names import RecordName, record_name
from wardian.domain.policy import Base, Policy
from wardian.domain.provenance import KEY as PROVENANCE
from wardian.processes.clean import DEFAULT_LIMIT, CleanProcesses
from wardian.processes.fence import ALLOWABLE
from wardian.wording import with_article

__all__ = ["Asked", "NOTHING", "REFUSALS", "Resource"]


class _Nothing(Enum):
    NOTHING = "nothing"

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Any = _Nothing.NOTHING
"""Stands for an argument that was not passed."""

Resource = bytes | str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments that the user passed, as they were passed."""

    obj: Any
    entries: Any = None
    path: Any = "a.case"
    inputs: Any = None
    policy: Any = None
    prove: Any = True
    name: Any = "model"
    resources: Any = None
    metadata: Any = None
    provenance: Any = False
    limit: Any = DEFAULT_LIMIT
    allow: Any = ()
    progress: Any = None
    contents: dict[RecordName, bytes] = field(default_factory=dict)
    """Contents of the resources, once `require_sound` has passed."""

    def require_sound(self) -> None:
        """Refuse what cannot be meant, before the object is looked at.

        Raises:
            TypeError, ValueError, OSError: with everything that is wrong; the class is that of the first.
        """
        found = [error for find in REFUSALS for error in find(self)]
        if len(found) == 1:
            raise found[0]
        if found:
            lines = "".join(f"\n  {error}" for error in found)
            raise type(found[0])(f"{len(found)} arguments are wrong:{lines}")

    @property
    def objects(self) -> dict[str, Any]:
        """The objects that are packed, by entry point."""
        return {self.name: self.obj} if self.entries is None else dict(self.entries)

    @property
    def calls(self) -> dict[str, Any]:
        """The inputs, by entry point."""
        if self.inputs is None:
            return {}
        return {self.name: self.inputs} if self.entries is None else dict(self.inputs)

    def processes(self) -> CleanProcesses:
        """Return how the clean processes are started."""
        return CleanProcesses(limit=self.limit, allow=tuple(self.allow), isolated=self.prove == "isolated")


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _object(asked: Asked) -> Iterator[Exception]:
    obj, path = asked.obj, asked.path
    if asked.entries is not None:
        if obj is not NOTHING:
            yield TypeError("pass an object or entries=, not both; the object can be one of the entries")
    elif obj is NOTHING:
        yield TypeError(
            'what is to be packed is missing: wardian.pack(model, "model.case"), or, for several objects,'
            ' wardian.pack(path="models.case", entries={"model": model, "tokenizer": tokenizer})'
        )
    elif _is_path(obj) and path is not NOTHING and not _is_path(path):
        kinds = f"{with_article(type(obj).__name__)} and {with_article(type(path).__name__)}"
        yield TypeError(
            f"the object comes first, then the path: wardian.pack(model, {os.fspath(obj)!r:.60}), not {kinds}"
        )
    elif _is_path(obj):
        yield TypeError(
            f"the object comes first, and {os.fspath(obj)!r:.60} is {with_article(type(obj).__name__)}:"
            ' load what is to be packed, and pass that: wardian.pack(model, "model.case")'
        )


def _entries(asked: Asked) -> Iterator[Exception]:
    entries = asked.entries
    if entries is None:
        return
    if not isinstance(entries, Mapping) or not entries:
        example = 'entries={"model": model, "tokenizer": tokenizer}'
        yield TypeError(f"entries must map names to objects, such as {example}, not be {entries!r:.60}")
        return
    for name, obj in entries.items():
        if not isinstance(name, str):
            yield TypeError(f"entries must map names, which are str; {name!r:.60} is none")
        elif not name.isidentifier():
            yield ValueError(f"the name of an entry must be an identifier, not {name!r}")
        if _is_path(obj):
            yield TypeError(
                f"entries[{name!r}] is {os.fspath(obj)!r:.60}, {with_article(type(obj).__name__)}:"
                " load what is to be packed, and pass that"
            )


_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def _target(asked: Asked) -> Iterator[Exception]:
    path = asked.path
    if path is NOTHING:
        yield TypeError('path is missing: wardian.pack(model, "model.case")')
    elif not _is_path(path):
        if asked.entries is not None or not _is_path(asked.obj):
            yield TypeError(f"path must be a str or an os.PathLike, not {type(path).__name__}")
    elif _URL.match(place := str(os.fspath(path))):
        yield ValueError(
            f"path is a URL, {shown(place)!r:.60}: pack writes a file; wardian.push(path, url) then puts it"
            " there"
        )
    elif os.path.isdir(path):
        yield IsADirectoryError(errno.EISDIR, "the target is a folder; name a file in it", place)


def _inputs(asked: Asked) -> Iterator[Exception]:
    if asked.inputs is None:
        return
    if asked.entries is None:
        yield from _inputs_of(asked.obj, asked.inputs, "inputs")
    elif not isinstance(asked.inputs, Mapping):
        yield TypeError(
            "with entries=, inputs must map their names to tuples or dicts of arguments, such as"
            f' inputs={{"model": (x,)}}, not be {with_article(type(asked.inputs).__name__)}'
        )
    elif isinstance(asked.entries, Mapping):
        for name, inputs in asked.inputs.items():
            if name in asked.entries:
                yield from _inputs_of(asked.entries[name], inputs, f"inputs[{name!r}]")
            else:
                yield ValueError(
                    f"inputs has {name!r:.60}, which is none of the entries: {list(asked.entries)}"
                )


def _inputs_of(obj: Any, inputs: Any, name: str) -> Iterator[Exception]:
    if not isinstance(inputs, tuple | dict):
        example = "inputs=(x,)" if name == "inputs" else "(x,)"
        yield TypeError(
            f"{name} must be a tuple of positional or a dict of keyword arguments, "
            f"not {type(inputs).__name__}; for a single argument write {example}"
        )
    elif isinstance(inputs, dict) and not all(isinstance(key, str) for key in inputs):
        yield TypeError(f"{name} has keys that are not str; a dict holds keyword arguments")
    if obj is not NOTHING and not callable(obj) and not _is_path(obj):
        kind = with_article(type(obj).__name__)
        yield TypeError(f"{name} were given, but {kind} cannot be called{_hint_at_entries(obj)}")


def _hint_at_entries(obj: Any) -> str:
    """Return how to pack the items of a dictionary of models, which is one object; "" for anything else."""
    if not isinstance(obj, dict) or not any(map(callable, obj.values())):
        return ""
    return "; to pack several objects, each with its inputs, pass them as entries={...} by name"


def _policy(asked: Asked) -> Iterator[Exception]:
    policy = asked.policy
    if policy is not None and not isinstance(policy, Policy):
        example = (
            f"Policy(base={policy!r})"
            if isinstance(policy, str) and policy in get_args(Base)
            else 'Policy(extern=["numpy.**"])'
        ).replace("'", '"')
        yield TypeError(f"policy must be a wardian.Policy, such as {example}, not {policy!r:.60}")


def _name(asked: Asked) -> Iterator[Exception]:
    if not isinstance(asked.name, str):
        yield TypeError(f"name must be a str, not {type(asked.name).__name__}")
    elif not asked.name.isidentifier():
        yield ValueError(f"name must be an identifier, not {asked.name!r}")
    elif asked.entries is not None and asked.name != "model":
        yield ValueError("name is of a single object; entries have the names of their keys")


def _switches(asked: Asked) -> Iterator[Exception]:
    if not isinstance(asked.prove, bool) and asked.prove != "isolated":
        yield TypeError(f'prove must be True, False or "isolated", not {asked.prove!r:.60}')
    if not isinstance(asked.provenance, bool):
        yield TypeError(f"provenance must be True or False, not {asked.provenance!r:.60}")
    progress = asked.progress
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        yield TypeError(f"progress must be True, False or a function, not {progress!r:.60}")


def _limit(asked: Asked) -> Iterator[Exception]:
    limit = asked.limit
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
        yield TypeError(f"limit must be a number of seconds or None, not {limit!r:.60}")
    elif limit is not None and not limit > 0:
        yield ValueError(f"limit must be more than 0 seconds, not {limit!r}")


def _allow(asked: Asked) -> Iterator[Exception]:
    allow = asked.allow
    if isinstance(allow, str) or not isinstance(allow, Collection):
        yield TypeError(f'allow must be a collection such as ("processes",), not {allow!r:.60}')
        return
    for what in allow:
        if what not in ALLOWABLE:
            yield ValueError(f"allow has {what!r:.60}; it may have {' and '.join(map(repr, ALLOWABLE))}")


def _resources(asked: Asked) -> Iterator[Exception]:
    resources = asked.resources
    if resources is not None and not isinstance(resources, Mapping):
        yield TypeError(
            f"resources must map record names to contents, not be {with_article(type(resources).__name__)}"
        )
        return
    for key, value in (resources or {}).items():
        if not isinstance(key, str):
            yield TypeError(f"resources must map record names, which are str; {key!r:.60} is none")
            continue
        try:
            name = record_name(key)
            if name.startswith("."):
                raise ValueError(f"resource {key!r}: names that begin with a dot are reserved")
            asked.contents[name] = _content(key, value)
        except (TypeError, ValueError, OSError) as error:
            yield error


def _content(key: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            # Its class cannot be raised anew with the words of several errors.
            raise ValueError(f"resource {key!r} cannot be encoded as UTF-8: {error}") from None
    if isinstance(value, os.PathLike):
        return Path(value).read_bytes()
    raise TypeError(f"resource {key!r} must be bytes, text or a path, not {type(value).__name__}")


def _metadata(asked: Asked) -> Iterator[Exception]:
    if asked.metadata is not None and not isinstance(asked.metadata, Mapping):
        yield TypeError(f"metadata must map str to str, not be {with_article(type(asked.metadata).__name__)}")
        return
    for key, value in (asked.metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            yield TypeError(f"metadata must map str to str, not {key!r} to {type(value).__name__}")
        elif key == PROVENANCE and asked.provenance is True:
            yield ValueError(f"metadata has {key!r}, which provenance=True writes; leave out one of them")


REFUSALS: tuple[Callable[[Asked], Iterator[Exception]], ...] = (
    _object,
    _entries,
    _target,
    _inputs,
    _policy,
    _name,
    _switches,
    _limit,
    _allow,
    _resources,
    _metadata,
)
"""Each yields what is wrong with some of the arguments, for users: what it is, and what to write."""
