"""Objects whose class says what their state is keep it, with the order of their attributes."""

from __future__ import annotations

import copyreg
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_tree
from tests.unit.capture.transplant import execute, transplant


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(write_tree(tmp_path, "--- shelf.py\n")))
    yield importlib.import_module("shelf")
    del sys.modules["shelf"]


def test_attributes_keep_the_order_that_a_setstate_changes() -> None:
    made = execute(
        "class Conv:\n    def __init__(self):\n        self.size, self.lock, self.fuse, self.name = 1, object, 3, 'a'\n"
        "    def __getstate__(self):\n        return {k: v for k, v in vars(self).items() if k != 'lock'}\n"
        "    def __setstate__(self, state):\n        self.lock = object\n        self.fuse = state['fuse']\n"
        "        self.__dict__.update(state)\nconv = Conv()\n"
    )
    assert list(vars(transplant(made["conv"]))) == ["size", "fuse", "name", "lock"]


def test_attributes_keep_the_order_that_a_constructor_changes() -> None:
    made = execute(
        "import collections\nclass Frozen(collections.OrderedDict):\n    def __init__(self, *a):\n"
        "        super().__init__(*a)\n        for k in self:\n            vars(self)[k] = self[k]\n        self.frozen = True\n"
        "class Full(ValueError):\n    def __init__(self, size):\n        super().__init__(size)\n        self.size = size\n"
        "class Net:\n    def __init__(self, size):\n        self.size = size\n"
        "    def __reduce__(self):\n        return Net, (self.size,), vars(self)\n"
        "net, full = Net(1), Full(2)\nvars(net).clear()\nnet.name, net.size = 'a', 3\n"
        "vars(full).clear()\nfull.why, full.size = 'b', 4\nall = [Frozen({'a': 1}), net, full]\n"
    )
    back = transplant(made["all"])
    assert list(map(vars, back)) == list(map(vars, made["all"]))
    assert [list(vars(b)) for b in back] == [["a", "frozen"], ["name", "size"], ["why", "size"]]
    assert (dict(back[0]), back[2].args) == ({"a": 1}, (2,))


def test_a_setstate_with_a_state_of_its_own_is_called_as_ever() -> None:
    made = execute(
        "class Table:\n    def __init__(self, rows):\n        self.rows, self.count = rows, len(rows)\n"
        "    def __getstate__(self):\n        return {'packed': self.rows}\n"
        "    def __setstate__(self, state):\n        self.__init__(state['packed'])\n        self.seen = True\n"
        "table = Table([1, 2])\n"
    )
    assert vars(transplant(made["table"])) == {"rows": [1, 2], "count": 2, "seen": True}


def test_what_a_getstate_pickles_itself_is_taken_apart() -> None:
    made = execute(
        "import pickle\nclass Inner:\n    size = 3\nclass Outer:\n    def __init__(self):\n        self.inner = Inner()\n"
        "    def __getstate__(self):\n        return {'inner': pickle.dumps(self.inner)}\n"
        "    def __setstate__(self, state):\n        self.inner = pickle.loads(state['inner'])\n"
    )
    assert transplant(made["Outer"]()).inner.size == 3


def test_a_getstate_that_leaves_something_out_is_heard() -> None:
    made = execute(
        "class Net:\n    def __getstate__(self):\n        return {'kept': self.kept}\n"
        "    def __setstate__(self, state):\n        self.again = state['kept']\nnet = Net()\n"
        "net.kept, net.lost = b'\\x80.', (n for n in 'ab')"
    )
    assert vars(transplant(made["net"])) == {"again": b"\x80."}


def test_an_object_without_state_that_a_module_keeps_is_that_object(shelf: Any) -> None:
    exec("class Missing:\n    pass\nMISSING = Missing()", vars(shelf))
    one, two, keyword_only = transplant([shelf.MISSING, shelf.Missing(), dataclasses.KW_ONLY])
    assert one is shelf.MISSING
    assert two is not shelf.MISSING
    assert keyword_only is dataclasses.KW_ONLY


def test_a_getattr_that_looks_into_the_state_is_not_asked_before_it_is_there() -> None:
    made = execute(
        "class Wrapper:\n    def __init__(self):\n        self.inner = {'size': 3}\n"
        "    def __getattr__(self, name):\n        return self.inner[name]\nwrapper = Wrapper()\n"
    )
    back = transplant(made["wrapper"])
    assert (back.size, vars(back)) == (3, {"inner": {"size": 3}})


def test_what_its_own_getstate_cannot_pickle_is_pickled_by_its_attributes() -> None:
    made = execute(
        "import pickle\nclass Net:\n    def __init__(self):\n        self.f = lambda x: 2 * x\n"
        "    def __getstate__(self):\n        return {'f': pickle.dumps(self.f)}\n"
        "    def __setstate__(self, state):\n        raise AssertionError(state)\n"
        "class Loud(Net):\n    def __getstate__(self):\n        raise RuntimeError('not now')\n"
        "net, loud = Net(), Loud()\n"
    )
    assert transplant(made["net"]).f(2) == 4
    with pytest.raises(wardian.UnpicklableError, match="not now"):  # which is not about pickling
        transplant(made["loud"])


def test_bytes_that_the_object_holds_are_no_pickles_that_it_makes() -> None:
    made = execute(
        "import pickle\nclass Net:\n    def __init__(self):\n        self.data = pickle.dumps([1])\n"
        "    def __getstate__(self):\n        return {'data': self.data, 'seen': True}\n"
        "    def __setstate__(self, state):\n        self.__dict__.update(state)\nnet = Net()\n"
    )
    assert vars(transplant(made["net"])) == {"data": made["net"].data, "seen": True}


def test_a_class_that_python_is_told_how_to_pickle_is_pickled_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made = execute(
        "class Net:\n    def __getstate__(self):\n        raise AssertionError\n"
        "    def __setstate__(self, state):\n        raise AssertionError\ndef make(): return Net()\n"
    )
    kind = made["Net"]
    monkeypatch.setitem(copyreg.dispatch_table, kind, lambda net: (made["make"], ()))
    assert type(transplant([kind()])[0]).__qualname__ == "Net"
