"""A loaded model is a normal nn.Module: what torch does with models, it does with this one."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

import pytest

from tests.models.conftest import Nursery

pytestmark = pytest.mark.models

_ANY_MODEL = ("torch.compile", "torch.export", "copy.deepcopy", "pickle", "child process", "training step")
_CHECKS = {
    "resnet18": ("torch.jit.script", *_ANY_MODEL),
    "bert": _ANY_MODEL,  # the installed BERT cannot be scripted either
}


Results = dict[str, str | None]


@pytest.fixture(scope="module")
def checked(nursery: Nursery) -> Callable[[str], Results]:
    """Run all checks of a model in one process, when the first of them is asked for."""

    @functools.cache
    def results(name: str) -> Results:
        nursery.packed(name)
        done = nursery.run("after_loading.py", str(nursery.folder), name, *_CHECKS[name])
        if done.returncode != 0:
            return dict.fromkeys(_CHECKS[name], f"{name} did not load:\n{done.stdout}\n{done.stderr}")
        found: Results = json.loads(done.stdout.splitlines()[-1])
        return found

    return results


@pytest.mark.parametrize(("name", "check"), [(n, check) for n, checks in _CHECKS.items() for check in checks])
def test_works_as_on_the_original(name: str, check: str, checked: Callable[[str], Results]) -> None:
    failure = checked(name)[check]
    if failure is not None:
        pytest.fail(f"{check} fails on the loaded {name}:\n{failure}", pytrace=False)


@pytest.mark.parametrize("name", _CHECKS)
def test_a_process_that_never_opened_the_case_is_told_which_it_needs(
    name: str, nursery: Nursery, checked: Callable[[str], Results]
) -> None:
    failure = checked(name)["child process"]
    path = nursery.folder / f"{name}.pickle"
    if not path.exists():
        pytest.fail(f"the loaded {name} could not be pickled:\n{failure}", pytrace=False)
    done = nursery.run("-c", f"import pickle; pickle.load(open({str(path)!r}, 'rb'))")
    assert done.returncode != 0
    assert f"wardian.open('{name}.case')" in done.stderr, done.stderr
