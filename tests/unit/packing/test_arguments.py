"""What is wrong with arguments is told all at once, before the object is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wardian.packing.arguments import NOTHING, Asked
from wardian.processes.clean import DEFAULT_LIMIT


class _Model:
    def __call__(self, x: object) -> object:
        return x


MODEL = _Model()


def _refused(**arguments: Any) -> str:
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        Asked(**{"obj": MODEL, **arguments}).require_sound()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"obj": NOTHING}, "TypeError: what is to be packed is missing"),
        ({"obj": MODEL, "entries": {"a": 1}}, "TypeError: pass an object or entries=, not both"),
        ({"obj": Path("a.pt"), "path": MODEL}, "wardian.pack(model, 'a.pt'), not a PosixPath and a _Model"),
        ({"obj": "a.pt"}, "'a.pt' is a str: load what is to be packed"),
        ({"path": NOTHING}, "TypeError: path is missing"),
        ({"path": 3}, "TypeError: path must be a str or an os.PathLike, not int"),
        ({"path": "S3://me:secret@models/a.case"}, "path is a URL"),
        ({"path": "/"}, "IsADirectoryError: [Errno 21] the target is a folder; name a file in it: '/'"),
        ({"inputs": {"x": 1}, "obj": [1]}, "TypeError: inputs were given, but a list cannot be called"),
        (
            {"inputs": {"head": (1,)}, "obj": {"head": MODEL}},
            "a dict cannot be called; to pack several objects, each with its inputs, pass them as entries=",
        ),
        ({"limit": -1}, "ValueError: limit must be more than 0 seconds, not -1"),
        ({"allow": "network"}, "TypeError: allow must be a collection such as"),
        ({"allow": ("network", "files")}, "ValueError: allow has 'files'; it may have 'network' and"),
        ({"allow": [["network"]]}, "ValueError: allow has ['network']"),
        ({"prove": 1}, 'TypeError: prove must be True, False or "isolated", not 1'),
        ({"provenance": None}, "TypeError: provenance must be True or False, not None"),
        ({"policy": "thin"}, 'TypeError: policy must be a wardian.Policy, such as Policy(base="thin")'),
        ({"metadata": {"provenance": "x"}, "provenance": True}, "which provenance=True writes"),
        ({"resources": {"a\udc80": b""}}, "ValueError"),
        ({"resources": {"a": "\udc80"}}, "ValueError: resource 'a' cannot be encoded as UTF-8"),
    ],
)
def test_one_wrong_argument_is_told_with_what_to_write(arguments: dict[str, Any], words: str) -> None:
    assert words in _refused(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"entries": {}}, "entries must map names to objects"),
        ({"entries": [MODEL]}, "entries must map names to objects"),
        ({"entries": {3: MODEL}}, "entries must map names, which are str; 3 is none"),
        ({"entries": {"a b": MODEL}}, "the name of an entry must be an identifier, not 'a b'"),
        ({"entries": {"a": "a.pt"}}, "entries['a'] is 'a.pt', a str"),
        ({"entries": {"a": MODEL}, "name": "b"}, "entries have the names of their keys"),
        ({"entries": {"a": MODEL}, "inputs": (1,)}, "inputs must map their names to tuples or dicts"),
        (
            {"entries": {"a": MODEL}, "inputs": {"b": (1,)}},
            "inputs has 'b', which is none of the entries: ['a']",
        ),
        ({"entries": {"a": MODEL}, "inputs": {"a": 1}}, "inputs['a'] must be a tuple"),
    ],
)
def test_entries_are_looked_at_by_name(arguments: dict[str, Any], words: str) -> None:
    assert words in _refused(obj=NOTHING, **arguments)


def test_all_that_is_wrong_is_told_as_the_first_kind_of_error() -> None:
    told = _refused(limit=0, name=3, metadata={"a": 1})
    assert told.splitlines() == [
        "TypeError: 3 arguments are wrong:",
        "  name must be a str, not int",
        "  limit must be more than 0 seconds, not 0",
        "  metadata must map str to str, not 'a' to int",
    ]
    assert _refused(resources={"a": "\udc80", "b": 3}).startswith("ValueError: 2 arguments are wrong:")
    gone = _refused(resources={"a": Path("/no/such/file"), "b": 3})
    assert gone.startswith("FileNotFoundError: 2 arguments are wrong:")


def test_what_holds_is_kept_as_it_was_passed(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("oak")
    asked = Asked(
        obj=MODEL,
        path=tmp_path / "a.case",
        inputs=(1,),
        resources={"a/b": b"\xff", "c": "é", "d": tmp_path / "labels.txt"},
        allow=["network"],
        prove="isolated",
        limit=None,
    )
    asked.require_sound()
    assert asked.contents == {"a/b": b"\xff", "c": "é".encode(), "d": b"oak"}
    assert (asked.objects, asked.calls) == ({"model": MODEL}, {"model": (1,)})
    processes = asked.processes()
    assert (processes.limit, processes.allow, processes.isolated) == (None, ("network",), True)
    assert Asked(obj=MODEL, prove=False).processes().limit == DEFAULT_LIMIT
    assert not Asked(obj=MODEL).processes().isolated


def test_entries_are_the_objects_and_have_inputs_each() -> None:
    entries = {"a": MODEL, "b": 2}
    asked = Asked(obj=NOTHING, entries=entries, inputs={"a": (1,)})
    asked.require_sound()
    assert (asked.objects, asked.calls) == (entries, {"a": (1,)})
    assert Asked(obj=NOTHING, entries=entries).calls == {}
