"""What recipes say of classes: what they were told, and nothing that their makers generate."""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import attr
import attrs
import pydantic
import pytest

from tests.support import importable, write_tree
from tests.unit.capture.transplant import execute
from wardian.capture.classes import Described, recipe_for, subscription_of

_T = typing.TypeVar("_T")
_U = typing.TypeVar("_U")

_LIBRARY = """
--- shelf.py
class Told:
    def __init_subclass__(cls, kind=None, size=0, **more):
        pass
class Strict:
    def __init_subclass__(cls, *, kind):
        pass
class Meta(type):
    def __new__(mcs, name, bases, body, **keywords):
        return super().__new__(mcs, name, bases, body)
    def __init__(cls, name, bases, body, **keywords):
        super().__init__(name, bases, body)
SIZE = 4
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[ModuleType]:
    with importable(write_tree(tmp_path, _LIBRARY)) as load:
        yield load("shelf")


def _early(cls: type) -> dict[str, Any]:
    """Return what a class without members is made with."""
    return dict(recipe_for(cls).arguments[5:])


def test_a_plain_class_is_made_as_its_statement_says_and_its_docstring_is_first() -> None:
    class Net(dict[str, int]):
        size = 3

        def run(self) -> int:
            return self.size

        __doc__ = "Net."

    recipe = recipe_for(Net)
    assert recipe.maker == "class_of"
    assert recipe.arguments[:5] == (type, "Net", Net.__qualname__, (dict,), {})
    assert list(recipe.members.items())[:3] == [("__doc__", "Net."), ("size", 3), ("run", Net.run)]
    assert set(recipe.members) == {"__doc__", "size", "run"}


def test_slots_and_parameters_are_there_when_the_class_is_made() -> None:
    class Box(typing.Generic[_T]):
        __slots__ = ("a",)

    assert _early(Box) == {"__slots__": ("a",), "__orig_bases__": (typing.Generic[_T],)}  # type: ignore[index]
    assert "a" not in recipe_for(Box).members  # its descriptor


def test_a_protocol_loses_what_typing_put_there() -> None:
    class Runs(typing.Protocol):
        def run(self) -> int: ...

    class Own(typing.Protocol):
        @classmethod
        def __subclasshook__(cls, other: type) -> bool:
            return True

    assert not {"__init__", "__subclasshook__"} & recipe_for(Runs).members.keys()
    assert "__subclasshook__" in recipe_for(Own).members


# How it is made


def test_a_hook_that_no_import_finds_has_done_what_it_does() -> None:
    class Told:
        def __init_subclass__(cls) -> None:
            pass

    class Net(Told):
        pass

    class Meta(abc.ABCMeta):
        def __new__(mcs, *told: Any) -> Any:
            return super().__new__(mcs, *told)

    assert recipe_for(Net).arguments[4] == {"quiet": Told}
    made = recipe_for(Meta("Made", (), {}))
    assert made.arguments[4] == {"plain": abc.ABCMeta}


@pytest.mark.parametrize(
    ("statement", "way"),
    [
        ("class Own(shelf.Told, kind='own', size=shelf.SIZE):", {"keywords": {"kind": "own", "size": 4}}),
        ("class Own(metaclass=shelf.Meta, kind=('own', 2)):", {"keywords": {"kind": ("own", 2)}}),
        ("class Own(shelf.Told):", {}),
        ("class Own(shelf.Told, kind=kind()):", {}),
        ("class Own(shelf.Told, kind=missing):", {}),
    ],
)
def test_keywords_of_the_statement_are_read(shelf: ModuleType, statement: str, way: dict[str, Any]) -> None:
    made = execute(
        "import shelf\ndef kind():\n    return 'own'\n"
        f"def make(missing):\n    {statement}\n        def run(self):\n            pass\n    return Own\n"
        "def other():\n    class Own(shelf.Told, kind='other'):\n        def run(self):\n            pass\n"
    )
    assert recipe_for(made["make"](1)).arguments[4] == way


def test_a_hook_that_needs_what_is_not_known_is_passed_over(shelf: ModuleType) -> None:
    made = execute(
        "import shelf\ndef make(kind):\n    class Own(shelf.Strict, kind=kind):\n        pass\n    return Own\n"
    )
    assert recipe_for(made["make"](1)).arguments[4] == {"quiet": shelf.Strict}


# What makes members


def test_a_dataclass_is_decorated_again() -> None:
    @dataclasses.dataclass(order=True)
    class Bed:
        rows: int
        kind: str = dataclasses.field(default="rose", repr=False, metadata={"unit": "m"})
        tools: list[str] = dataclasses.field(default_factory=list)
        scale: dataclasses.InitVar[int] = 3
        total: ClassVar[int] = 0

        def __repr__(self) -> str:
            return "own"

    members = recipe_for(Bed).members
    maker, fields, options, kept, _ = members.pop("@dataclass")
    assert maker is dataclasses.dataclass
    assert [(name, kind) for name, _, kind in fields] == [
        ("rows", ""),
        ("kind", ""),
        ("tools", ""),
        ("scale", "InitVar"),
        ("total", "ClassVar"),
    ]
    told = {name: more for name, more, _ in fields}
    assert "default" not in told["rows"]
    assert (told["kind"]["default"], told["kind"]["repr"], told["kind"]["metadata"]) == (
        "rose",
        False,
        {"unit": "m"},
    )
    assert told["tools"]["default_factory"] is list
    assert told["total"] is None
    assert (options["order"], options["frozen"], options["match_args"], kept) == (True, False, False, {})
    assert set(members) == {"__doc__", "__annotations__", "__match_args__", "__repr__", "total"}


def test_a_descriptor_in_the_place_of_a_default_is_kept() -> None:
    class Two:
        def __get__(self, obj: object, owner: object = None) -> int:
            return 2

        def __set__(self, obj: object, value: int) -> None:
            pass

    two = Two()

    @dataclasses.dataclass
    class Bed:
        rows: int = typing.cast(int, two)

    kept = recipe_for(Bed).members["@dataclass"][3]
    assert kept == {"rows": two}


def test_what_attrs_generates_is_generated_again() -> None:
    def positive(bed: object, attribute: object, value: int) -> None:
        assert value > 0

    @attrs.define(frozen=True, order=True)
    class Bed:
        rows: int = attrs.field(validator=positive)
        kind: str = "rose"

        def __str__(self) -> str:
            return "own"

    members = recipe_for(Bed).members
    maker, field, fields, options, generated, attributes = members.pop("@attrs")
    assert (maker, field, attributes) == (attr.s, attr.ib, tuple(attrs.fields(Bed)))
    assert [name for name, told in fields.items() if "default" in told] == ["kind"]
    assert fields["rows"]["validator"] is positive
    assert {name: options[name] for name in ("frozen", "order", "str", "slots", "auto_exc")} == {
        "frozen": True,
        "order": True,
        "str": False,
        "slots": True,
        "auto_exc": False,
    }
    assert {"__init__", "__lt__"} <= set(generated)
    assert "__str__" in members
    assert not set(generated) & members.keys()


def test_cached_properties_of_attrs_and_its_hooks_are_told() -> None:
    @attrs.define(unsafe_hash=True)
    class Bed:
        rows: int = attrs.field(converter=int)

        @functools.cached_property
        def double(self) -> int:
            return 2 * self.rows

    told = recipe_for(Bed).members["@attrs"]
    assert list(told[6]) == ["double"]
    assert told[3]["on_setattr"]
    assert told[3]["unsafe_hash"]


def test_a_model_of_pydantic_is_its_statement() -> None:
    class Bed(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(frozen=True)
        rows: int = pydantic.Field(2, gt=1)
        _seen: int = pydantic.PrivateAttr(3)

        @pydantic.field_validator("rows")
        @classmethod
        def even(cls, value: int) -> int:
            return value

        def total(self) -> int:
            return self.rows

    recipe = recipe_for(Bed)
    body = dict(recipe.arguments[5:])
    assert recipe.maker == "class_of"
    assert body["model_config"] == {"frozen": True}
    assert body["rows"].default == 2
    assert body["_seen"].default == 3
    assert type(body["even"]) is Described
    assert set(recipe.members) == {"__annotations__", "total"}
    assert Bed(rows=4).total() == 4


def test_a_subscription_of_pydantic_is_its_class_and_brackets() -> None:
    class Box(pydantic.BaseModel, typing.Generic[_T]):
        a: _T

    class Pair(pydantic.BaseModel, typing.Generic[_T, _U]):
        a: _T
        b: _U

    assert subscription_of(Box[int]) == (Box, int)
    assert subscription_of(Pair[int, str]) == (Pair, (int, str))
    assert subscription_of(Box) is None

    class Own:
        __pydantic_generic_metadata__: ClassVar[dict[str, object]] = {"origin": None, "args": (int,)}

    assert subscription_of(Own) is None
    assert subscription_of(int) is None


def test_a_named_tuple_is_fields_defaults_and_what_was_added() -> None:
    class Bed(typing.NamedTuple):
        rows: int
        kind: str = "rose"

        def total(self) -> int:
            return self.rows

    recipe = recipe_for(Bed)
    assert recipe.maker == "named_tuple_of"
    assert recipe.arguments == ("Bed", Bed.__qualname__, ("rows", "kind"), ("rose",), ())
    assert {"total", "__annotations__"} <= recipe.members.keys()
    assert not {"rows", "kind", "_fields", "_make"} & recipe.members.keys()

    class Derived(collections.namedtuple("Base", "rows")):  # noqa: PYI024  it is what is tested
        __slots__ = ()

    assert recipe_for(Derived).maker == "class_of"


def test_a_typed_dictionary_says_whether_it_is_total() -> None:
    class Bed(typing.TypedDict, total=False):
        """Bed."""

        rows: int

    recipe = recipe_for(Bed)
    assert recipe.maker == "typed_dict_of"
    assert recipe.arguments == (typing.TypedDict, "Bed", Bed.__qualname__, (), False)
    assert next(iter(recipe.members)) == "__doc__"


def test_an_enumeration_is_its_members_by_value_and_not_what_enum_adds() -> None:
    class Level(int, enum.Enum):
        LOW = 1, "l"
        HIGH = 2, "h"
        TOP = 2, "t"
        label: str

        def __new__(cls, value: int, label: str) -> typing.Self:
            made = int.__new__(cls, value * 10)
            made._value_, made.label = value, label
            return made

        def __int__(self) -> int:
            return -1

        def shown(self) -> str:
            return self.name

    recipe = recipe_for(Level)
    boundary, data, body = recipe.arguments[5:]
    assert (recipe.maker, boundary, data) == ("enum_of", None, int)
    assert body == (("LOW", 1, 10), ("HIGH", 2, 20), ("TOP", 2, 20))
    attributes, own_new, takes_parts = recipe.members.pop("@enum")
    assert (attributes, takes_parts) == ({"LOW": {"label": "l"}, "HIGH": {"label": "h"}}, True)
    assert own_new(Level, 5, "x") == 50
    assert set(recipe.members) == {"__int__", "shown", "__annotations__"}


@pytest.mark.parametrize(
    ("boundary", "told"), [(enum.FlagBoundary.STRICT, None), (enum.FlagBoundary.KEEP, enum.FlagBoundary.KEEP)]
)
def test_only_a_boundary_that_is_not_the_usual_one_is_told(boundary: enum.FlagBoundary, told: object) -> None:
    make: Any = enum.Flag
    assert recipe_for(make("Access", "READ WRITE", boundary=boundary)).arguments[5] is told


def test_members_of_another_kind_are_made_of_their_values() -> None:
    class Kinds(frozenset[int], enum.Enum):
        ONE = frozenset({1})

    assert recipe_for(Kinds).arguments[6] is False
