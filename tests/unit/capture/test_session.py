"""What is taken of a script, and what comes back."""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
import threading
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import write_tree
from tests.unit.capture.transplant import execute, find_global, installed, take, transplant
from wardian.capture import runtime
from wardian.capture.session import Capture
from wardian.domain.names import ModuleName
from wardian.errors import UnpicklableError
from wardian.pickling.unpickler import find_unmade


def _source(obj: Any) -> str:
    return take(obj)[1].modules()["captured.notebook"].source  # type: ignore[index]


def test_takes_what_is_needed_and_nothing_else() -> None:
    made = execute(
        "import math\nimport json\nRATE = 0.5\nUNUSED = 1\n\ndef helper(x):\n    return math.floor(x) * RATE\n\n"
        "def other():\n    return json\n\nclass Net:\n    def run(self, x):\n        return helper(x)\n\n"
        "raise_if_run = print\nnet = Net()\n"
    )
    source = _source(made["net"])
    assert "RATE = 0.5" in source
    assert "import math" in source
    for name in ("UNUSED", "json", "other", "raise_if_run", "net ="):
        assert name not in source
    assert transplant(made["net"]).run(3.5) == 1.5


def test_a_constant_is_taken_as_it_is_not_as_it_was_written() -> None:
    made = execute("n = 1\nn += 1\nsize: int = 0x10\ndef f():\n    return n, size")
    assert transplant(made["f"])() == (2, 16)


def test_a_value_stays_one_object_with_what_refers_to_it() -> None:
    made = execute("registry = {'a': []}\nclass Net:\n    def read(self):\n        return registry")
    net = made["Net"]()
    net.own = made["registry"]["a"]
    copy = transplant(net)
    assert copy.read()["a"] is copy.own


def test_the_last_of_two_definitions_is_taken() -> None:
    made = execute("def f():\n    return 1\ndef g():\n    return f()\ndef f():\n    return 2\n")
    assert transplant(made["g"])() == 2


def test_an_instance_of_a_class_that_was_defined_again_keeps_its_class() -> None:
    made = execute("class Net:\n    def run(self):\n        return 1\nold = Net()")
    exec(compile("class Net:\n    def run(self):\n        return 2\n", "<string>", "exec"), made)
    assert transplant(made["old"]).run() == 1


def test_lambdas_on_one_line() -> None:
    made = execute("pair = [(lambda x: x + 1), (lambda x: x + 2), (lambda x: lambda y: x - y)]")
    first, second, third = transplant(made["pair"])
    assert (first(0), second(0), third(5)(3)) == (1, 2, 2)


def test_functions_that_share_a_variable_share_it_after() -> None:
    made = execute(
        "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n"
        "    def read():\n        return n\n    return up, read\npair = counter()"
    )
    up, read = transplant(made["pair"])
    up()
    assert (up(), read()) == (2, 2)


def test_recursive_functions_and_defaults() -> None:
    made = execute(
        "def make(base):\n    def fact(n, acc=base, *, step=1):\n        return acc if n < 2 else fact(n - step, acc * n)\n"
        "    return fact\nfact = make([1][0])\ndel_me = make(2)"
    )
    made["holder"] = [made.pop("fact")]
    assert transplant(made["holder"])[0](5) == 120
    assert transplant(made["holder"])[0].__qualname__ == "make.<locals>.fact"


def test_private_names_mean_what_they_meant() -> None:
    made = execute(
        "class Net:\n    def __init__(self):\n        self.__x = 3\n        self.get = lambda: self.__x\nnet = Net()"
    )
    assert transplant(made["net"]).get() == 3


def test_local_class_with_super_and_enclosing_names() -> None:
    made = execute(
        "class Base:\n    def run(self):\n        return 1\n"
        "def make(base, n):\n    class Net(base):\n        size = n\n        def run(self):\n"
        "            return super().run() + n + isinstance(self, Net)\n    return Net()\nnet = make(Base, 10)"
    )
    copy = transplant(made["net"])
    assert copy.run() == 12
    assert type(copy).size == 10


@pytest.mark.parametrize(
    "lookup", ["__getattr__ = dict.__getitem__", "def __getattr__(self, n): return self[n]"]
)
def test_a_dictionary_with_attributes_that_raises_key_errors_is_a_value_like_any(lookup: str) -> None:
    made = execute(
        f"class Settings(dict):\n    {lookup}\nsettings = Settings(size=3)\n"
        "class Net:\n    part = Settings(depth=2)\n    def run(self):\n        return settings.size, self.part.depth\n"
    )
    assert transplant(made["Net"]()).run() == (3, 2)


def test_default_argument_is_not_computed_again() -> None:
    made = execute("calls = []\ndef load():\n    calls.append(1)\n    return {'a': 1}\n")
    made = execute(
        "TABLE = load()\nclass Net:\n    table = TABLE\n    def run(self, t=TABLE):\n        return t", **made
    )
    copy = transplant(made["Net"]())
    assert copy.run() == {"a": 1}
    assert copy.run() is type(copy).table
    assert made["calls"] == [1]


def test_what_cannot_be_pickled_is_left_out_and_told() -> None:
    made = execute("stream = open(__file__)\ndef f():\n    return stream", __file__=__file__)
    _, capture = take(made["f"])
    made["stream"].close()
    assert [line.partition(" ")[0] for line in capture.left_out] == ["notebook.stream"]


def test_code_without_source_is_bytecode_and_told() -> None:
    namespace: dict[str, Any] = {"__name__": "notebook"}
    exec("K = 2\ndef f(x):\n    return x * K", namespace)
    _, capture = take(namespace["f"])
    assert capture.bytecode == {"notebook.f"}
    assert transplant(namespace["f"])(4) == 8


def test_code_of_a_page_of_documentation_has_source(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# A page: see\n\nLike this\n\ndef act(x):\n    return x + 1\n\nAnd so on.\n")
    namespace: dict[str, Any] = {"__name__": "notebook"}
    exec(compile("\n" * 4 + "def act(x):\n    return x + 1\n", str(page), "exec"), namespace)
    _, capture = take(namespace["act"])
    assert not capture.bytecode
    assert transplant(namespace["act"])(1) == 2


def test_functions_of_an_importable_module_keep_its_globals() -> None:
    made = execute("def noted(name):\n    yield name")
    manager = contextlib.contextmanager(made["noted"])  # a function made in a function of contextlib
    del made["noted"]
    copy = transplant([manager])[0]
    assert copy.__globals__ is vars(contextlib)
    with copy("name") as name:
        assert name == "name"


@pytest.mark.parametrize(
    ("body", "use"),
    [
        ("return collections.namedtuple('P', 'x y', defaults=(2,))", lambda cls: tuple(cls(1))),
        ("return enum.Enum('C', 'A B')", lambda cls: [m.value for m in cls]),
        (
            "class C(enum.IntEnum):\n        A = 1\n        def double(self):\n            return self * 2\n    return C",
            lambda cls: cls.A.double(),
        ),
        (
            "@dataclasses.dataclass(order=True)\n    class D:\n        x: int = 1\n"
            "        y: list = dataclasses.field(default_factory=list)\n    return D",
            lambda cls: (repr(cls(3)), cls(1) < cls(2), cls().y),
        ),
        ("return type('T', (), {'run': lambda self: 1, '__slots__': ('a',)})", lambda cls: cls().run()),
        (
            "class A(abc.ABC):\n        @abc.abstractmethod\n        def f(self): ...\n"
            "    class B(A):\n        def f(self):\n            return 1\n    return B",
            lambda cls: (cls().f(), cls.__mro__[1].__abstractmethods__),
        ),
        (
            "class P:\n        @functools.cached_property\n        def f(self):\n            return 3\n    return P",
            lambda cls: cls().f,
        ),
        (
            "class G(typing.Generic[T]):\n        def f(self):\n            return 3\n    return G",
            lambda cls: (cls[int]().f(), len(cls.__parameters__)),
        ),
    ],
)
def test_classes_made_in_functions(body: str, use: Any) -> None:
    head = "import abc, collections, dataclasses, enum, functools, typing\nT = typing.TypeVar('T')\n"
    cls = execute(f"{head}def make():\n    {body}\n")["make"]()
    copy = transplant([cls])[0]
    assert copy is not cls
    assert copy.__qualname__ == cls.__qualname__
    assert use(copy) == use(cls)


def test_locks_and_read_only_mappings() -> None:
    copy = transplant({"lock": threading.Lock(), "view": types.MappingProxyType({"a": 1})})
    assert copy["lock"].acquire(blocking=False)
    assert isinstance(copy["view"], types.MappingProxyType)


def test_what_comes_back_otherwise_is_told_once_by_its_shortest_place() -> None:
    capture, lost, replaced = Capture(), [1], [2]
    for places in ({1: "entries['oak'].a", 2: "entries['oak'].b"}, {1: "oak.a"}, {2: "oak.inside.it.all.b"}):
        for part, note in ((lost, capture.note_loss), (replaced, capture.note_replaced)):
            if part[0] in places:
                note(part, "is another")
        capture.name_places(lambda part, places=places: places[part[0]])  # type: ignore[misc]
    assert capture.losses == capture.warnings([]) == ["oak.a is another"]
    assert capture.replaced == ["entries['oak'].b is another"]


def test_same_object_same_bytes() -> None:
    source = "K = {'a'}\ndef f():\n    return K\nclass A:\n    def run(self):\n        return f()"
    (one, first), (two, second) = take(execute(source)["A"]()), take(execute(source)["A"]())
    assert one == two
    assert {n: m.source for n, m in first.modules().items()} == {
        n: m.source for n, m in second.modules().items()
    }


def test_what_cannot_be_pickled_inside_the_object_is_an_error() -> None:
    made = execute("class Net:\n    pass\nnet = Net()")
    with open(__file__) as made["net"].stream, pytest.raises(UnpicklableError, match=r"obj\.stream"):
        take(made["net"])


def test_installed_modules_are_gone_after() -> None:
    with installed({"captured": ("x = 1", True, None)}):
        pass
    with pytest.raises(ModuleNotFoundError):
        __import__("captured")


def test_what_a_star_import_brought_is_imported() -> None:
    made = execute(
        "from typing import *\nclass Net:\n    size: ClassVar[int] = 5\n    def run(self):\n        return self.size\n"
        "net = Net()"
    )
    assert "from typing import ClassVar\n" in _source(made["net"])
    assert transplant(made["net"]).run() == 5


def test_a_class_of_a_module_that_is_named_like_one_of_the_runtime() -> None:
    # ABCMeta makes it, so it is said to be of `abc`.
    made = execute("import abc\nclass Net(abc.ABC):\n    pass\nnet = type('Other', (Net,), {'size': 2})()")
    assert type(made["net"]).__module__ == "abc"
    assert transplant(made["net"]).size == 2


def test_a_decorated_function_finds_itself_by_its_global_name() -> None:
    made = execute(
        "class Command:\n    def __init__(self, run):\n        self.run = run\n    def __call__(self, n):\n"
        "        return self.run(n) + 100\ndef command(run):\n    return Command(run)\n"
        "@command\ndef count(n):\n    return count(n - 1) if n else __self.x\n"
        "class __self:\n    x = 1\n"
    )
    assert transplant(made["count"].run)(2) == 201


@pytest.mark.parametrize("first", [True, False])
def test_all_cases_of_a_function_by_type_are_taken(first: bool) -> None:
    made = execute(
        "import functools\nclass Cases:\n    def __init__(self, run):\n        self.cases = {}\n"
        "        functools.update_wrapper(self, run) if FIRST else None\n    def __call__(self, x):\n"
        "        return self.cases[type(x)](x)\nALL = {}\nSIZE = 3\n"
        "def dispatch(kind):\n    def decorate(run):\n"
        "        found = ALL.setdefault(run.__name__, Cases(run))\n        found.cases[kind] = run\n"
        "        return found\n    return decorate\n"
        "@dispatch(int)\ndef size(x):\n    return x\n@dispatch(str)\ndef size(x):\n    return len(x)\n"
        "@dispatch(list)\ndef size(x):\n    return SIZE\n"
        "class Net:\n    def run(self):\n        return size(5), size('ab'), size([])\n",
        FIRST=first,
    )
    assert transplant(made["Net"]()).run() == (5, 2, 3)


def test_what_only_names_an_object_of_a_module_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = (n for n in range(3))  # which nothing can pickle
    monkeypatch.setattr(math, "flags", flags, raising=False)
    made = execute("import math\nFLAGS = math.flags\ndef f():\n    return FLAGS")
    assert transplant(made["f"])() is flags


def test_equal_aliases_of_typing_are_one() -> None:
    one: Any = typing.List[int]  # noqa: UP006
    two = one.copy_with(one.__args__)
    assert one is not two
    aliases = [one, two, {two, 3}, frozenset({two}), {two: one}]
    assert take(aliases)[0] == take([one, one, {one, 3}, frozenset({one}), {one: one}])[0]
    back = transplant(aliases)
    assert back == aliases
    assert back[0] is back[1] is next(iter(back[3]))


def test_aliases_of_typing_that_read_otherwise_are_two() -> None:
    one, two = typing.Union[int, str], typing.Union[str, int]  # noqa: UP007
    assert one == two
    assert list(map(repr, transplant([one, two]))) == [repr(one), repr(two)]


_LIBRARY = """
--- shelf/__init__.py
KINDS = {}
class Told:
    def __init_subclass__(cls, *, kind, size=1):
        KINDS.setdefault(kind, []).append(size)
        cls.kind = kind
class Meta(type):
    def __new__(mcs, name, bases, body, *, kind):
        KINDS.setdefault(kind, []).append(name)
        return super().__new__(mcs, name, bases, body)
    def __init__(cls, name, bases, body, **keywords):
        super().__init__(name, bases, body)
SIZE = 4
"""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(write_tree(tmp_path, _LIBRARY)))
    yield importlib.import_module("shelf")
    del sys.modules["shelf"]


@pytest.mark.parametrize(
    ("statement", "noted"),
    [
        ("class Own(shelf.Told, kind='own'):", [1]),
        ("class Own(shelf.Told, kind='own', size=shelf.SIZE):", [4]),
        ("class Own(metaclass=shelf.Meta, kind='own'):", ["Own"]),
    ],
)
def test_what_a_class_statement_told_a_library_is_told_again(shelf: Any, statement: str, noted: Any) -> None:
    made = execute(
        f"import shelf\ndef make():\n    {statement}\n        def run(self):\n            return 1\n"
        "    return Own()\n"
    )
    own = made["make"]()
    assert shelf.KINDS.pop("own") == noted
    copy = transplant([own])[0]
    assert shelf.KINDS.pop("own") == noted
    assert not shelf.KINDS
    assert copy.run() == 1
    assert vars(type(copy)).get("kind") == vars(type(own)).get("kind")


def test_a_keyword_that_cannot_be_told_again_is_not_needed(shelf: Any) -> None:
    made = execute(
        "import shelf\ndef make(kind):\n    class Own(shelf.Told, kind=kind):\n        pass\n    return Own()\n"
    )
    assert transplant([made["make"]("b")])[0].kind == "b"


def test_a_table_that_a_class_and_others_hold_stays_one() -> None:
    made = execute(
        "class Base:\n    table = {}\n    own = []\nclass Net(Base):\n    table = Base.table\n"
        "    def __init__(self):\n        self.own = Base.own\n"
        "    def add(self, item):\n        self.own.append(item)\n        Base.table[item] = Net.table\nnet = Net()\n"
    )
    net = transplant(made["net"])
    net.add("a")
    base: Any = type(net).__mro__[1]
    assert type(net).table == base.table == {"a": type(net).table}
    assert base.own == ["a"]


def test_a_default_argument_that_others_hold_stays_one() -> None:
    made = execute(
        "def run(x, seen=[], *, more={}):\n    seen.append(x)\n    return seen, more\n"
        "class Net:\n    def __init__(self):\n        self.seen, self.more = run(0)\n"
        "    def run(self):\n        return run(1)\nnet = Net()\n"
    )
    net = transplant(made["net"])
    assert net.run()[0] is net.seen
    assert net.run()[1] is net.more
    assert net.seen == [0, 1, 1]


def test_tables_that_nobody_else_holds_are_made_by_their_source() -> None:
    made = execute(
        "class Net:\n    table = {}\n    def run(self, seen=[], *, more={}):\n        return seen, more\nnet = Net()\n"
    )
    data, capture = take(made["net"])
    assert b"restore" not in data
    assert list(capture.effects.global_values()) == []


_MEMO = """
import functools
CACHE = {}
CALLS = []
def memo(f):
    own = {}
    def inner(x):
        if (f, x) not in CACHE:
            CACHE[f, x] = own[x] = f(x)
        return CACHE[f, x]
    inner.own = own
    return inner
"""


@pytest.mark.parametrize(
    "decorators", ["@memo", "@memo\n@functools.lru_cache", "@functools.wraps(len)\n@memo"]
)
def test_a_function_under_decorators_is_the_one_that_a_memo_knows(decorators: str) -> None:
    made = execute(
        f"{_MEMO}{decorators}\ndef slow(x):\n    CALLS.append(x)\n    return x + 1\nslow(3)\n"
        "class Net:\n    def run(self):\n        return slow(3), CALLS, len(CACHE)\nnet = Net()\n"
    )
    assert transplant(made["net"]).run() == (4, [3], 1)


def test_a_memo_that_a_function_and_its_attribute_share_stays_one() -> None:
    made = execute(
        f"{_MEMO}@memo\ndef slow(x):\n    return x + 1\nslow(3)\n"
        "class Net:\n    def run(self, x):\n        return slow(x), slow.own\nnet = Net()\n"
    )
    net = transplant(made["net"])
    assert net.run(3) == (4, {3: 4})
    assert net.run(5) == (6, {3: 4, 5: 6})


def test_a_class_that_cannot_be_made_is_named_by_the_user_s_name(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = execute(
        "import shelf\ndef make():\n    class Own(shelf.Told, kind='own'):\n        def run(self):\n"
        "            return 1\n    return Own()\n"
    )
    own = made["make"]()
    data, capture = take([own])
    monkeypatch.setattr(shelf, "KINDS", None)
    with installed({name: (m.source, m.is_package, m.file) for name, m in capture.modules().items()}):
        found = find_unmade(data, find_global=find_global, persistent_load=lambda pid: None)
    assert found is not None
    assert found[0] == "captured"
    assert capture.made_by(found[1]) is type(own)
    assert capture.made_by("make.<locals>.Own") is None


def test_an_object_that_a_helper_cannot_finish_is_named() -> None:
    made = execute(
        "class Own:\n    def __getattr__(self, name):\n        raise AttributeError(name)\n"
        "    def __setattr__(self, name, value):\n        super().__setattr__(name, value)\nown = Own()\nown.a = 1\n"
    )
    data, capture = take([made["own"]])
    sources = {name: (m.source, m.is_package, m.file) for name, m in capture.modules().items()}
    source, is_package, file = sources[ModuleName("captured")]
    broken = source.replace("object.__setattr__(made, name, value)", "raise ValueError(name)")
    with installed({**sources, "captured": (broken, is_package, file)}):
        found = find_unmade(data, find_global=find_global, persistent_load=lambda pid: None)
    assert found == ("captured.notebook", "Own")


def test_what_a_function_uses_is_said_to_be_used() -> None:
    made = execute("def make(lines):\n    return lambda: lines\n")
    with pytest.raises(UnpicklableError, match="something that obj uses is a generator") as caught:
        take([made["make"](n for n in "ab")])
    assert "remove" not in str(caught.value)
    made = execute("TABLE = {}\ndef f():\n    return TABLE\nclass Net:\n    pass\nnet = Net()\nnet.f = f")
    made["TABLE"]["lines"] = (n for n in "ab")
    _, capture = take(made["net"])
    assert capture.left_out[0].startswith("notebook.TABLE cannot be packed and is not defined in the case")


def test_what_rebuilds_classes_keeps_no_functions_that_look_registered() -> None:
    containers = [
        value
        for name, value in vars(runtime).items()
        if isinstance(value, dict | list | set) and not name.startswith("__")
    ]
    held = [part for c in containers for part in (c.values() if isinstance(c, dict) else c)]
    assert not any(isinstance(part, type | types.FunctionType) for part in held)
