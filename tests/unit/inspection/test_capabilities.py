"""What the name of a function says that it can do."""

from __future__ import annotations

import pytest

from wardian.inspection.capabilities import (
    _OF_PICKLES,
    _TABLE,
    Capability,
    capability_in_pickle,
    capability_of,
    capability_of_method,
    is_powerful,
)

ROWS = [(name, capability) for capability, names in _TABLE.items() for name in names.split()]


def test_each_name_stands_in_one_row_and_is_found_there() -> None:
    assert len({name for name, _ in ROWS}) == len(ROWS)
    for name, capability in ROWS:
        assert capability_of(name.removesuffix("*") + ("act" if name.endswith(".*") else "")) is capability, (
            name
        )


def test_every_capability_has_names() -> None:
    assert {capability for _, capability in ROWS} == set(Capability)
    names = [name for names in _OF_PICKLES.values() for name in names.split()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("subprocess.run", Capability.PROCESSES),
        ("subprocess.deep.run", Capability.PROCESSES),
        ("subprocess", None),  # the module alone does nothing
        ("subprocesses.run", None),
        ("os.system.extra", None),  # an exact row has nothing below it
        ("subprocess.PIPE", None),
        ("subprocess.CalledProcessError", None),
        ("requests.exceptions.ConnectTimeoutError", None),
        ("socket.AF_INET", None),
        ("signal.SIGTERM", None),
        ("signal.signal", Capability.PROCESSES),
        ("poplib.POP3_SSL", Capability.NETWORK),  # a class that is called like a constant
        ("pickle.dumps", None),
        ("pickle.loads", Capability.UNPICKLING),
        ("math.sqrt", None),
        ("", None),
    ],
)
def test_exact_names_win_and_constants_and_exceptions_do_nothing(name: str, found: Capability | None) -> None:
    assert capability_of(name) is found


@pytest.mark.parametrize(
    ("module", "qualname", "found"),
    [
        ("os", "getpid", Capability.PROCESSES),
        ("subprocess", "PIPE", Capability.PROCESSES),  # a pickle has no need of a constant
        ("__builtin__", "eval", Capability.CODE),
        ("builtins", "getattr", Capability.CODE),
        ("builtins", "list", None),
        ("collections", "OrderedDict", None),
        ("torch._utils", "_rebuild_tensor_v2", None),
        ("pickle", "loads", Capability.UNPICKLING),
    ],
)
def test_a_pickle_can_do_what_the_functions_do_that_it_names(
    module: str, qualname: str, found: Capability | None
) -> None:
    assert capability_in_pickle(module, qualname) is found


def test_modules_of_which_most_can_do_something_are_powerful() -> None:
    assert all(map(is_powerful, ["os", "builtins", "sys.modules", "subprocess"]))
    assert not any(map(is_powerful, ["torch", "os.path", "json"]))


def test_some_methods_say_what_they_do_on_whatever_they_are_called() -> None:
    assert capability_of_method("write_text") is Capability.WRITES
    assert capability_of_method("from_pretrained") is Capability.NETWORK
    assert capability_of_method("open") is None
