"""Which modules are always there."""

from __future__ import annotations

import sys

import pytest

from wardian.domain.modules import is_always_there, is_stdlib
from wardian.domain.names import ModuleName


@pytest.mark.parametrize(
    ("name", "stdlib", "always"),
    [
        ("json", True, True),
        ("os.path", True, True),
        ("_socket", True, True),
        ("__main__", True, True),
        ("_sysconfigdata__linux_x86_64-linux-gnu", True, True),
        ("wardian", False, True),
        ("wardian.live.oak", False, True),
        ("wardians", False, False),
        ("torch", False, False),
        ("json_tools", False, False),
        ("mylib.json", False, False),
    ],
)
def test_the_standard_library_and_wardian_are_always_there(name: str, stdlib: bool, always: bool) -> None:
    assert (is_stdlib(ModuleName(name)), is_always_there(ModuleName(name))) == (stdlib, always)


def test_every_name_of_the_standard_library_is_of_it() -> None:
    assert all(is_stdlib(ModuleName(name)) for name in sys.stdlib_module_names)
