from __future__ import annotations

import pytest

from wardian.capture.usage import find_usage


@pytest.mark.parametrize(
    ("source", "at_once", "later"),
    [
        pytest.param("def f(x, y=K):\n    return g(x)", {"K"}, {"g"}, id="default and body"),
        pytest.param("@dec(1)\ndef f(): pass", {"dec"}, set(), id="decorator"),
        pytest.param("class A(Base, metaclass=M):\n    x = K\n", {"Base", "M", "K"}, set(), id="class"),
        pytest.param(
            "class A:\n    def f(self):\n        return super().f() + self.K", set(), {"super"}, id="method"
        ),
        pytest.param("f = lambda x: x + K", set(), {"K"}, id="lambda"),
        pytest.param("xs = [g(i) for i in R]", {"g", "R"}, set(), id="comprehension runs at once"),
        pytest.param(
            "xs = [h(i) for j in [k for k in R] for i in j if k]", {"h", "R", "k"}, set(), id="nested ones"
        ),
        pytest.param("def f(model):\n    return model", set(), set(), id="a parameter is not a global"),
        pytest.param("def f():\n    global n\n    n = 1", set(), {"n"}, id="global that is set"),
        pytest.param("def f():\n    def g():\n        return K\n    return g", set(), {"K"}, id="nested"),
        pytest.param("class A:\n    size = size\n", {"size"}, set(), id="class body looks among the globals"),
    ],
)
def test_tells_names_and_when_they_are_used(source: str, at_once: set[str], later: set[str]) -> None:
    found = find_usage(source)
    assert set(found.at_once) == at_once
    assert set(found.later) == later
