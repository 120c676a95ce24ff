# ruff: noqa: E501
"""The law of classes: however a function made a class, what comes back answers as what went in.

Each way is the body of a function that returns the class, and what the class is asked. It is asked the same
before and after, and so are its instances, which travel with it.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.unit.capture.transplant import execute, find_global, installed, take
from wardian.pickling.unpickler import unpickle

_HEAD = """
import abc, attr, attrs, collections, copy, dataclasses, enum, functools, inspect, pydantic, pydantic.dataclasses, types, typing
from typing import *
from dataclasses import KW_ONLY, InitVar, dataclass, field
T = TypeVar("T")
U = TypeVar("U", bound=int)
SEEN = []

class Described:
    def __set_name__(self, owner, name):
        self.names = (*getattr(self, "names", ()), name)
    def __get__(self, obj, owner=None):
        return self.names if obj is None else len(self.names)

class Told:
    kinds = {}
    count = 0
    def __init_subclass__(cls, key, *, size=1):
        cls.key = key
        Told.kinds[key] = cls
        Told.count += size
        SEEN.append(key)

class Meta(type):
    def __new__(mcs, name, bases, body, *, key=None):
        made = super().__new__(mcs, name, bases, body)
        made.made_by = key
        SEEN.append(name)
        return made
    def __init__(cls, name, bases, body, *, key=None):
        super().__init__(name, bases, body)
    def __len__(cls):
        return 7
"""

# name → (body, what makes instances, what is asked of `cls`, and of `x` for an instance)
WAYS: dict[str, tuple[str, list[str], list[str]]] = {
    # dataclasses
    "plain": ("@dataclass\nclass P:\n    'Doc.'\n    a: int\n    b: str = 'b'", ["cls(1)", "cls(1, 'c')"], ["cls()", "x == cls(1)"]),
    "slots": ("@dataclass(slots=True)\nclass P:\n    a: int = 1\n    b: list = field(default_factory=list)", ["cls(2)"], ["setattr(x, 'c', 1)", "cls().b", "copy.copy(x)"]),
    "slots_without_defaults": ("@dataclass(slots=True)\nclass P:\n    a: int", ["cls(2)"], ["cls()", "hasattr(x, '__dict__')"]),
    "frozen_slots": ("@dataclass(slots=True, frozen=True)\nclass P:\n    a: int\n    b: int = 3", ["cls(2)"], ["setattr(x, 'a', 1)", "hash(x) == hash(cls(2))", "copy.deepcopy(x)"]),
    "weakref_slot": ("@dataclass(slots=True, weakref_slot=True)\nclass P:\n    a: int", ["cls(2)"], ["__import__('weakref').ref(x)() is x"]),
    "own_slots": ("@dataclass\nclass P:\n    __slots__ = ('a', 'more')\n    a: int", ["cls(2)"], ["hasattr(x, 'more')"]),
    "kw_only_marker": ("@dataclass\nclass P:\n    a: int\n    _: KW_ONLY\n    b: int = 2", ["cls(1, b=3)"], ["cls(1, 2)"]),
    "kw_only": ("@dataclass(kw_only=True)\nclass P:\n    a: int\n    b: int = field(default=2, kw_only=False)", ["cls(a=1)"], ["cls(1)", "cls(4, a=1)"]),
    "match_args": ("@dataclass(match_args=False, eq=False)\nclass P:\n    a: int", ["cls(1)"], ["x == cls(1)", "hash(x) == id(x) >> 4 or True"]),
    "own_match_args": ("@dataclass\nclass P:\n    __match_args__ = ('b',)\n    a: int\n    b: int", ["cls(1, 2)"], []),
    "frozen": ("@dataclass(frozen=True)\nclass P:\n    a: int", ["cls(1)"], ["setattr(x, 'a', 2)", "{cls(1): 3}[x]", "dataclasses.replace(x, a=4)"]),
    "order": ("@dataclass(order=True)\nclass P:\n    a: int\n    b: int = field(default=2, compare=False, repr=False, metadata={'unit': 'm'})", ["cls(1)"], ["x < cls(2)", "cls.__dataclass_fields__['b'].metadata", "x < 1"]),
    "unsafe_hash": ("@dataclass(unsafe_hash=True)\nclass P:\n    a: int = field(hash=False)\n    b: int = 1", ["cls(1)"], ["hash(x) == hash(cls(2))"]),
    "own_hash": ("@dataclass\nclass P:\n    a: int\n    def __hash__(self):\n        return 5\n    def __repr__(self):\n        return 'own'", ["cls(1)"], ["hash(x)", "repr(x)"]),
    "init_var": ("@dataclass\nclass P:\n    a: int\n    scale: InitVar[int] = 3\n    c: ClassVar[int] = 9\n    def __post_init__(self, scale):\n        self.a *= scale", ["cls(1, scale=4)"], ["cls(1)", "x.c", "len(dataclasses.fields(x))"]),
    "names_in_strings": ("@dataclass\nclass P:\n    a: 'int'\n    scale: 'InitVar[int]' = 3\n    c: 'ClassVar[int]' = 9\n    kind: 'P' = None\n    def __post_init__(self, scale):\n        self.a *= scale", ["cls(1, scale=4)"], ["cls(1)", "len(dataclasses.fields(x))"]),
    "annotated_by_itself": ("@dataclass\nclass P:\n    a: 'Optional[P]' = None", ["cls(cls())"], []),
    "no_init": ("@dataclass(init=False, repr=False)\nclass P:\n    a: int = field(init=False, default=4)\n    def __init__(self):\n        self.b = 2", ["cls()"], ["x.a, x.b"]),
    "descriptor_field": ("@dataclass\nclass P:\n    a: int = Described()", ["cls()"], ["cls.a"]),
    "derived": ("@dataclass\nclass Base:\n    a: int\n    b: int = 2\n@dataclass(slots=True)\nclass P(Base):\n    b: int = 3\n    c: int = 4", ["cls(1)"], ["isinstance(x, cls.__mro__[1])", "cls(1) == cls.__mro__[1](1, 3)"]),
    "derived_without_decorator": ("@dataclass\nclass Base:\n    a: int\nclass P(Base):\n    b: int = 3", ["cls(1)"], ["len(dataclasses.fields(x))"]),
    "with_property": ("@dataclass\nclass P:\n    a: int\n    @property\n    def double(self):\n        return 2 * self.a\n    @functools.cached_property\n    def triple(self):\n        return 3 * self.a", ["cls(1)"], ["x.double", "x.triple", "x.triple"]),
    "make_dataclass": ("P = dataclasses.make_dataclass('P', ['a', ('b', int, 3)], namespace={'sum': lambda self: self.a + self.b}, frozen=True)", ["cls(1)"], ["x.sum()", "setattr(x, 'a', 1)"]),
    "generic_dataclass": ("@dataclass\nclass P(Generic[T]):\n    a: T", ["cls(1)"], ["cls[int](2)", "cls[int].__args__"]),
    "dataclass_exception": ("@dataclass\nclass P(ValueError):\n    a: int", ["cls(1)"], ["raise_(x)"]),
    # enumerations
    "enum": ("class P(enum.Enum):\n    'Doc.'\n    A = 1\n    B = 'b'\n    ALSO_A = 1", ["cls.A", "cls.ALSO_A"], ["cls(1)", "cls('z')", "cls['B']", "x in cls", "setattr(cls, 'A', 2)"]),
    "enum_new": ("class P(enum.Enum):\n    A = 1, 'one'\n    B = 2, 'two'\n    def __new__(cls, value, label):\n        made = object.__new__(cls)\n        made._value_ = value\n        made.label = label\n        return made", ["cls.A", "cls.B"], ["x.label", "cls(2).label", "cls((1, 'one'))"]),
    "enum_init": ("class P(enum.Enum):\n    A = 1, 2\n    B = 3, 4\n    def __init__(self, one, two):\n        SEEN.append(one)\n        self.total = one + two", ["cls.A", "cls.B"], ["x.total", "cls((3, 4))", "len(SEEN)"]),
    "enum_number": ("class P(int, enum.Enum):\n    A = 1, 'one'\n    B = 2, 'two'\n    def __new__(cls, value, label):\n        made = int.__new__(cls, value * 10)\n        made._value_ = value\n        made.label = label\n        return made\n    def __int__(self):\n        return -1", ["cls.A"], ["x + 1", "x.label", "x == 10", "cls(1)"]),
    "enum_text": ("class P(str, enum.Enum):\n    A = 'a'\n    def __str__(self):\n        return 'shown'", ["cls.A"], ["x == 'a'", "str(x)", "f'{x}'", "x.upper()"]),
    "enum_float": ("class P(float, enum.Enum):\n    A = 1.5", ["cls.A"], ["x * 2"]),
    "enum_tuple": ("class P(tuple, enum.Enum):\n    A = (1, 2)\n    B = (3,)", ["cls.A"], ["x[1]", "cls((3,))"]),
    "str_enum": ("class P(enum.StrEnum):\n    A = enum.auto()\n    B = 'x'", ["cls.A"], ["f'{x}'", "x == 'a'", "cls('x')"]),
    "int_enum": ("class P(enum.IntEnum):\n    A = enum.auto()\n    B = enum.auto()\n    def double(self):\n        return 2 * self", ["cls.B"], ["x.double()", "x > 1", "f'{x}'"]),
    "enum_auto": ("class P(enum.Enum):\n    @staticmethod\n    def _generate_next_value_(name, start, count, last):\n        return name.lower()\n    A = enum.auto()\n    B = enum.auto()", ["cls.B"], ["cls('a')"]),
    "enum_nonmember": ("class P(enum.Enum):\n    A = 1\n    size = enum.nonmember(5)\n    table = enum.nonmember({'a': 1})\n    twice = enum.member(functools.partial(max, 2))", ["cls.A"], ["cls.size", "cls.table", "list(cls)", "cls.twice.value(1)", "isinstance(cls.twice, cls)"]),
    "enum_methods": ("class P(enum.Enum):\n    A = 1\n    @property\n    def shown(self):\n        return self.name\n    @classmethod\n    def _missing_(cls, value):\n        return cls.A\n    @staticmethod\n    def seven():\n        return 7\n    def __repr__(self):\n        return 'own'", ["cls.A"], ["x.shown", "cls(99)", "cls.seven()", "repr(x)"]),
    "enum_base": ("class Base(enum.Enum):\n    def __new__(cls, value):\n        made = object.__new__(cls)\n        made._value_ = value * 2\n        return made\n    def shown(self):\n        return self.name\nclass P(Base):\n    A = 1\n    B = 2", ["cls.A"], ["x.value", "cls(4)", "x.shown()"]),
    "enum_mixin": ("@dataclass\nclass Data:\n    a: int\n    b: int = 2\nclass P(Data, enum.Enum):\n    A = 1\n    B = 3, 4", ["cls.B"], ["x.a, x.b", "cls.A.value"]),
    "enum_by_call": ("P = enum.Enum('P', 'A B', start=3)", ["cls.B"], ["cls(3)"]),
    "flag": ("class P(enum.Flag):\n    R = enum.auto()\n    W = enum.auto()\n    RW = R | W", ["cls.R", "cls.R | cls.W", "cls(0)"], ["cls(3)", "cls(8)", "~cls.R", "list(cls.RW)", "cls.R in cls.RW"]),
    "int_flag": ("class P(enum.IntFlag):\n    A = 1\n    B = 4", ["cls.A", "cls(5)"], ["cls(8)", "x | 2", "~x"]),
    "boundary_keep": ("class P(enum.Flag, boundary=enum.KEEP):\n    A = 1\n    B = 4", ["cls.A"], ["cls(8)", "cls(9)"]),
    "boundary_conform": ("class P(enum.IntFlag, boundary=enum.CONFORM):\n    A = 1\n    B = 4", ["cls.A"], ["cls(9)"]),
    "boundary_eject": ("class P(enum.Flag, boundary=enum.EJECT):\n    A = 1\n    B = 4", ["cls.A"], ["cls(9)"]),
    # the collections of typing
    "namedtuple": ("P = collections.namedtuple('P', 'x y', defaults=(2,))", ["cls(1)"], ["x._replace(x=5)", "x._asdict()", "cls()", "x == (1, 2)"]),
    "namedtuple_renamed": ("P = collections.namedtuple('P', 'x def x', rename=True)", ["cls(1, 2, 3)"], []),
    "NamedTuple": ("class P(NamedTuple):\n    'Doc.'\n    x: int\n    y: 'int' = 2\n    def total(self):\n        return self.x + self.y", ["cls(1)"], ["x.total()", "x._field_defaults", "cls._make([1, 2])"]),
    "NamedTuple_generic": ("class P(NamedTuple, Generic[T]):\n    x: T\n    y: int = 2", ["cls(1)"], ["cls[int](1)"]),
    "namedtuple_derived": ("class P(collections.namedtuple('P', 'x y')):\n    __slots__ = ()\n    def __new__(cls, x, y=5):\n        return super().__new__(cls, x, y)", ["cls(1)"], []),
    "TypedDict": ("class P(TypedDict, total=False):\n    'Doc.'\n    a: int\n    b: Required[str]", ["cls(a=1, b='c')"], ["sorted(cls.__required_keys__), sorted(cls.__optional_keys__), cls.__total__", "isinstance(x, cls)"]),
    "TypedDict_derived": ("class Base(TypedDict):\n    a: int\nclass P(Base, total=False):\n    b: int", ["cls(a=1)"], ["sorted(cls.__required_keys__), sorted(cls.__optional_keys__)"]),
    "TypedDict_by_call": ("P = TypedDict('P', {'a b': int})", ["cls({'a b': 1})"], []),
    "TypedDict_generic": ("class P(TypedDict, Generic[T]):\n    a: T", ["cls(a=1)"], ["cls[int]"]),
    "protocol": ("class P(Protocol):\n    def run(self): ...", [], ["cls()", "isinstance(1, cls)", "cls._is_protocol"]),
    "runtime_protocol": ("@runtime_checkable\nclass P(Protocol):\n    size: int\n    def run(self): ...", [], ["isinstance(1, cls)", "isinstance(types.SimpleNamespace(size=1, run=len), cls)", "issubclass(int, cls)"]),
    "protocol_implemented": ("class Base(Protocol[T]):\n    def run(self) -> T:\n        return 1\nclass P(Base[int]):\n    def __init__(self):\n        self.a = 1", ["cls()"], ["x.run(), x.a"]),
    "generic": ("class P(Generic[T, U]):\n    def f(self):\n        return 3", ["cls()"], ["cls[int, bool]().f()", "cls[int]"]),
    "generic_derived": ("class Base(Generic[T]):\n    pass\nclass P(Base[int], Generic[U]):\n    pass", ["cls()"], ["get_type_hints(cls)"]),
    # how classes are made by hand
    "type": ("P = type('P', (), {'run': lambda self: 1, 'size': 3})", ["cls()"], ["x.run()"]),
    "new_class": ("P = types.new_class('P', (Told,), {'key': 'new', 'size': 2}, lambda body: body.update(run=lambda self: 2))", ["cls()"], ["x.run(), cls.key", "Told.count", "sorted(Told.kinds)", "len(SEEN)", "Told.kinds['new'] is cls"]),
    "keywords": ("class P(Told, key='k', size=4):\n    def run(self):\n        return Told.count, Told.kinds, len(SEEN)", ["cls()"], ["cls.key", "x.run()[0], sorted(x.run()[1]), x.run()[2]", "Told.kinds['k'] is cls"]),
    "metaclass": ("class P(metaclass=Meta, key='k'):\n    def run(self):\n        return len(SEEN)", ["cls()"], ["cls.made_by", "len(cls)", "x.run()"]),
    "metaclass_of_its_own": ("class M(type):\n    def __call__(cls, *a):\n        made = super().__call__(*a)\n        made.called = True\n        return made\n    @property\n    def shown(cls):\n        return cls.__name__\nclass P(metaclass=M):\n    pass", ["cls()"], ["x.called", "cls.shown"]),
    "abstract": ("class P(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n    @property\n    @abc.abstractmethod\n    def g(self): ...", [], ["cls()", "sorted(cls.__abstractmethods__)"]),
    "slots_by_hand": ("class P:\n    __slots__ = ('a', '__b', '__weakref__')\n    def __init__(self):\n        self.a, self.__b = 1, 2\n    def read(self):\n        return self.a, self.__b", ["cls()"], ["x.read()", "setattr(x, 'c', 1)"]),
    "slots_by_text": ("class P:\n    __slots__ = 'a'", ["cls()"], ["hasattr(x, 'a')"]),
    "slots_by_dictionary": ("class P:\n    __slots__ = {'a': 'Doc of a.'}", ["cls()"], ["cls.a.__doc__"]),
    "set_name": ("class P:\n    part = Described()", ["cls()"], ["cls.part", "x.part"]),
    "cached_property": ("class P:\n    @functools.cached_property\n    def a(self):\n        'Doc.'\n        return [3]", ["cls()"], ["x.a is x.a", "cls.a.__doc__"]),
    "own_property": ("class P:\n    class own(property):\n        pass\n    def get(self):\n        return 3\n    a = own(get)\n    a.note = 1", ["cls()"], ["x.a", "vars(cls)['a'].note"]),
    "methods_of_all_kinds": ("class P:\n    @classmethod\n    def make(cls):\n        return cls()\n    @staticmethod\n    def seven():\n        return 7\n    @functools.partialmethod\n    def none(self): ...\n    def __class_getitem__(cls, item):\n        return item\n    once = functools.lru_cache(lambda self: 3)\n    @functools.singledispatchmethod\n    def kind(self, a):\n        return 'any'\n    @kind.register\n    def _(self, a: int):\n        return 'int'", ["cls()"], ["type(x.make()) is cls", "x.seven()", "cls[3]", "x.once()", "x.kind(1), x.kind('a')"]),
    "total_ordering": ("@functools.total_ordering\nclass P:\n    def __init__(self, a):\n        self.a = a\n    def __eq__(self, other):\n        return self.a == other.a\n    def __lt__(self, other):\n        return self.a < other.a", ["cls(1)"], ["x >= cls(0)", "hash(x)"]),
    "of_a_builtin": ("class P(dict):\n    def __missing__(self, key):\n        return key", ["cls(a=1)"], ["x['z']"]),
    "of_a_number": ("class P(int):\n    def __new__(cls, a, unit='m'):\n        made = super().__new__(cls, a)\n        made.unit = unit\n        return made\n    def __getnewargs__(self):\n        return int(self), self.unit", ["cls(3, 'k')"], ["x + 1, x.unit"]),
    "exception": ("class P(ValueError):\n    def __init__(self, code):\n        super().__init__(f'code {code}')\n        self.code = code\n    def __reduce__(self):\n        return type(self), (self.code,)", ["cls(3)"], ["x.code, str(x)", "raise_(x)"]),
    "nested": ("class P:\n    class Inner:\n        class Deep:\n            a = 1\n    def __init__(self):\n        self.inner = self.Inner.Deep()", ["cls()"], ["x.inner.a", "type(x.inner) is cls.Inner.Deep"]),
    "super": ("class A:\n    def f(self):\n        return 1\nclass B(A):\n    def f(self):\n        return super().f() + 1\nclass P(B):\n    def f(self):\n        return super(P, self).f() + __class__.n\n    n = 10", ["cls()"], ["x.f()"]),
    # attrs
    "attrs_define": ("@attrs.define\nclass P:\n    'Doc.'\n    a: int\n    b: list = attrs.field(factory=list, repr=False)", ["cls(1)"], ["cls()", "setattr(x, 'c', 1)", "x == cls(1)", "hash(x)", "attrs.asdict(x)"]),
    "attrs_frozen": ("@attrs.frozen\nclass P:\n    a: int = 1", ["cls(2)"], ["setattr(x, 'a', 3)", "hash(x) == hash(cls(2))", "attrs.evolve(x, a=5)"]),
    "attrs_validators": ("@attrs.define\nclass P:\n    a: int = attrs.field(validator=[attrs.validators.instance_of(int), attrs.validators.gt(0)], converter=int)\n    b: str = attrs.field(default='b', kw_only=True, alias='c', metadata={'unit': 'm'}, eq=str.lower)\n    @b.validator\n    def short(self, attribute, value):\n        if len(value) > 3:\n            raise ValueError('long')", ["cls('3')", "cls(1, c='x')"], ["cls(-1)", "cls('z')", "cls(1, 'x')", "cls(1, c='long text')", "setattr(x, 'a', -1)", "attrs.fields(cls).b.metadata", "cls(1, c='X') == cls(1, c='x')"]),
    "attrs_by_method": ("@attrs.define(slots=False)\nclass P:\n    a: int\n    b: int = attrs.field()\n    @b.default\n    def double(self):\n        return 2 * self.a\n    def __attrs_post_init__(self):\n        self.c = 3", ["cls(1)"], ["x.b, x.c", "x.double()"]),
    "attrs_order": ("@attrs.define(order=True, unsafe_hash=True, str=True)\nclass P:\n    a: int = attrs.field(order=False)\n    b: int = 1", ["cls(1)"], ["x < cls(0, 3)", "hash(x) == hash(cls(1))", "str(x)"]),
    "attrs_init": ("@attrs.define(init=False, eq=False)\nclass P:\n    a: int\n    def __init__(self):\n        self.__attrs_init__(4)", ["cls()"], ["x.a", "x == cls()"]),
    "attrs_old": ("@attr.s(cmp=False, hash=True)\nclass P:\n    a = attr.ib(default=1)\n    b = attr.ib(factory=list, hash=False)", ["cls(2)"], ["cls().b", "hash(x) == hash(cls(2))"]),
    "attrs_old_slots": ("@attr.s(slots=True, frozen=True, cache_hash=True)\nclass P:\n    a = attr.ib(default=1)", ["cls(2)"], ["hash(x) == hash(cls(2))", "setattr(x, 'a', 2)"]),
    "attrs_derived": ("@attrs.define\nclass Base:\n    a: int\n@attrs.define\nclass P(Base):\n    b: int = 2", ["cls(1)"], ["x == cls(1)", "[(f.name, f.inherited) for f in attrs.fields(cls)]"]),
    "attrs_make_class": ("P = attrs.make_class('P', {'a': attrs.field(default=3)})", ["cls()"], ["cls(4)"]),
    "attrs_exception": ("@attrs.define\nclass P(ValueError):\n    a: int", ["cls(1)"], ["raise_(x)"]),
    "attrs_cached": ("@attrs.define\nclass P:\n    a: int\n    @functools.cached_property\n    def b(self) -> int:\n        return [self.a]", ["cls(1)"], ["x.b", "x.b is x.b", "x.c", "cls(3).b"]),
    "attrs_cached_getattr": ("@attrs.define\nclass P:\n    a: int\n    @functools.cached_property\n    def b(self):\n        return __class__.__name__\n    def __getattr__(self, name):\n        return name * 2", ["cls(1)"], ["x.b", "x.c"]),
    "attrs_transformed": ("def up(cls, fields):\n    return [f.evolve(default=5) if f.name == 'a' else f for f in fields]\n@attrs.define(field_transformer=up)\nclass P:\n    a: int\n    b: int = 2", ["cls()"], ["cls(1)", "[f.default for f in attrs.fields(cls)]"]),
    "attrs_match_args": ("@attrs.define(match_args=False)\nclass P:\n    a: int", ["cls(1)"], []),
    # pydantic
    "pydantic": ("class P(pydantic.BaseModel):\n    'Doc.'\n    a: int = pydantic.Field(gt=0)\n    b: Annotated[str, pydantic.Field(max_length=3)] = 'b'\n    _c: int = pydantic.PrivateAttr(3)\n    @pydantic.field_validator('a')\n    @classmethod\n    def even(cls, value):\n        if value % 2:\n            raise ValueError('odd')\n        return value", ["cls(a=2)"], ["cls(a=-2)", "cls(a=3)", "cls(a=2, b='long')", "cls.model_json_schema()", "x.model_dump_json(), x._c", "setattr(x, 'z', 1)"]),
    "pydantic_frozen": ("class P(pydantic.BaseModel, frozen=True, extra='forbid'):\n    a: int", ["cls(a=2)"], ["setattr(x, 'a', 1)", "cls(a=1, z=1)", "hash(x) == hash(cls(a=2))"]),
    "pydantic_generic": ("class Base(pydantic.BaseModel, Generic[T]):\n    a: T\nP = Base[int]", ["cls(a=2)"], ["cls(a='x')", "cls is cls.__mro__[1][int]"]),
    "pydantic_generic_two": ("class Base(pydantic.BaseModel, Generic[T, U]):\n    a: T\n    b: U\nP = Base[list[int], bool]", ["cls(a=[2], b=True)"], ["cls(a='x', b=True)"]),
    "pydantic_generic_derived": ("class Base(pydantic.BaseModel, Generic[T]):\n    a: T\nclass P(Base[int]):\n    b: int = 1", ["cls(a=2)"], ["cls(a='x')"]),
    "pydantic_create": ("P = pydantic.create_model('P', a=(pydantic.confloat(ge=0), 1.0), b=(Optional[int], None))", ["cls()"], ["cls(a=-1)", "cls(b='x')"]),
    "pydantic_root": ("class P(pydantic.RootModel[list[int]]):\n    def total(self):\n        return sum(self.root)", ["cls([1, 2])"], ["x.total()", "cls(['x'])"]),
    "pydantic_root_generic": ("P = pydantic.RootModel[Dict[str, int]]", ["cls({'a': 1})"], ["cls({'a': 'x'})"]),
    "pydantic_hook": ("class Base(pydantic.BaseModel):\n    def __init_subclass__(cls, key=None, **kwargs):\n        super().__init_subclass__(**kwargs)\n        cls.key = key\n        SEEN.append(key)\nclass P(Base, key='k'):\n    a: int\n    def run(self):\n        return len(SEEN)", ["cls(a=1)"], ["cls.key", "x.run()"]),
    "pydantic_dataclass": ("@pydantic.dataclasses.dataclass(config={'validate_assignment': True})\nclass P:\n    a: int = pydantic.Field(gt=0)\n    b: list[int] = dataclasses.field(default_factory=list)\n    @pydantic.field_validator('a')\n    @classmethod\n    def even(cls, value):\n        if value % 2:\n            raise ValueError('odd')\n        return value", ["cls(2)"], ["cls(-2)", "cls(3)", "setattr(x, 'a', 'z')", "cls(2, ['x'])"]),
    "pydantic_dataclass_slots": ("@pydantic.dataclasses.dataclass(slots=True, frozen=True)\nclass P:\n    a: int = 2", ["cls(4)"], ["cls('z')", "setattr(x, 'a', 1)"]),
}  # fmt: skip


def _raise(error: BaseException) -> None:
    raise error


def _ask(question: str, made: dict[str, Any], cls: Any, x: Any) -> str:
    """Return what is answered, or how it fails, without what tells where it was asked."""
    scope = {**made, "cls": cls, "x": x, "raise_": _raise, "copy": copy, "dataclasses": dataclasses}
    try:
        answer = repr(eval(question, scope))
    except Exception as error:  # noqa: BLE001  of the class
        answer = f"{type(error).__name__}: {error}"
    return _plain(answer)


def _plain(text: str) -> str:
    text = re.sub(r"\bcaptured\.(\w+)|\bnotebook\b", "HERE", text).replace("HERE.make", "HERE.make")
    return re.sub(r" at 0x\w+", "", text)


_UNLIKE = frozenset(
    {
        "__slotnames__",
        "__module__",
        "__dict__",
        "__weakref__",
        "_abc_impl",
        "__firstlineno__",
        "__static_attributes__",
    }
    | {"__annotations_cache__", "__annotate__", "__annotate_func__", "__abstractmethods__", "__signature__"}
    | {"__attrs_base_of_slotted__", "__pydantic_parent_namespace__", "__pydantic_setattr_handlers__"}
)


def _facts(cls: Any) -> dict[str, Any]:
    """Return what is to be seen of a class, whatever kind of class it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            signature = str(inspect.signature(cls))
        except (ValueError, TypeError) as error:
            signature = type(error).__name__
    facts: dict[str, Any] = {
        "names": sorted(vars(cls).keys() - _UNLIKE),
        "mro": [c.__qualname__ for c in cls.__mro__],
        "bases": [c.__qualname__ for c in cls.__bases__],
        "metaclass": type(cls).__qualname__,
        "signature": signature,
        "annotations": vars(cls).get("__annotations__"),
        "sizes": (cls.__basicsize__, cls.__dictoffset__, cls.__weakrefoffset__, cls.__flags__ & 1 << 9),
        "kinds": sorted((n, type(v).__name__) for n, v in vars(cls).items() if n not in _UNLIKE),
        "asked": {
            name: getattr(cls, name, "none")
            for name in (
                *("__doc__", "__slots__", "__match_args__", "__parameters__", "__orig_bases__"),
                *("__total__", "__final__", "_fields", "_field_defaults", "__qualname__", "__name__"),
            )
        },
        "hash": cls.__hash__ is None,
        "abstract": inspect.isabstract(cls),
    }
    if dataclasses.is_dataclass(cls):
        facts["fields"] = list(vars(cls).get("__dataclass_fields__", {}).values())
        facts["params"] = vars(cls).get("__dataclass_params__")
    if hasattr(cls, "__members__"):
        facts["members"] = [(n, m.name, m.value, sorted(vars(m).items())) for n, m in cls.__members__.items()]
        facts["boundary"] = getattr(cls, "_boundary_", None)
    if hasattr(cls, "__pydantic_fields__"):
        facts["model"] = (cls.__pydantic_fields__, getattr(cls, "model_config", None))
    return {name: _plain(re.sub(r"<function \S+>", "<function>", repr(fact))) for name, fact in facts.items()}


def _made(way: str) -> tuple[dict[str, Any], Any]:
    body, instances, _ = WAYS[way]
    indented = "\n".join(f"    {line}" for line in body.split("\n"))
    made = execute(f"{_HEAD}\ndef make():\n{indented}\n    return P\n")
    with pytest.MonkeyPatch.context() as patch:  # names in annotations are looked for there
        patch.setitem(sys.modules, "notebook", types.ModuleType("notebook"))
        vars(sys.modules["notebook"]).update(made)
        cls = made["make"]()
    return made, {"cls": cls, "all": [eval(text, {**made, "cls": cls}) for text in instances]}


def _answers(made: dict[str, Any], found: Any, questions: list[str]) -> list[str]:
    cls, instances = found["cls"], found["all"]
    told = [_ask(question, made, cls, x) for x in instances or [None] for question in questions]
    told += [_plain(f"{x!r}") for x in instances]
    told += [str(isinstance(x, cls)) for x in instances if "TypedDict" not in type(cls).__name__]
    told += [_ask("copy.copy(x) == x, copy.deepcopy(x) == x", made, cls, x) for x in instances]
    return told


@contextmanager
def _elsewhere(obj: Any) -> Iterator[tuple[Callable[[], Any], dict[str, Any]]]:
    """Yield what loads *obj* where only its code is, and the globals that this has there."""
    data, capture = take(obj)
    globals_: dict[str, Any] = {}
    with installed({name: (m.source, m.is_package, m.file) for name, m in capture.modules().items()}):

        def load() -> Any:
            loaded = unpickle(data, find_global=find_global, persistent_load=lambda pid: None)
            globals_.update(vars(sys.modules.get("captured.notebook", re)))
            return loaded

        yield load, globals_


@pytest.mark.parametrize("way", WAYS)
def test_a_class_answers_as_the_one_that_went_in(way: str) -> None:
    made, found = _made(way)
    questions = WAYS[way][2]
    with _elsewhere(found) as (load, globals_):
        first, second = load(), load()
        assert (
            first["cls"] is not found["cls"] or way == "pydantic_root_generic"
        )  # of a library, which keeps it
        assert second["cls"] is first["cls"], "two loads, two classes"
        assert _facts(first["cls"]) == _facts(found["cls"])
        here = {**made, **globals_}
        assert _answers(here, first, questions) == _answers(made, found, questions)
