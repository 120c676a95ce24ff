"""A loaded model is a normal nn.Module: what torch does with models, it does with this one."""

from __future__ import annotations

import json

import pytest

from tests.models.conftest import Nursery

pytestmark = pytest.mark.models

_ANY_MODEL = ("torch.compile", "torch.export", "copy.deepcopy", "pickle", "training step")
_CHECKS = {
    "resnet18": ("torch.jit.script", *_ANY_MODEL),
    "bert": _ANY_MODEL,  # the installed BERT cannot be scripted either
}


@pytest.fixture(scope="module")
def results(nursery: Nursery) -> dict[str, dict[str, str | None]]:
    """Each model's checks, all in one process."""
    found = {}
    for name, checks in _CHECKS.items():
        nursery.packed(name)
        done = nursery.run("after_loading.py", str(nursery.folder), name, *checks)
        if done.returncode == 0:
            found[name] = json.loads(done.stdout.splitlines()[-1])
        else:
            found[name] = dict.fromkeys(checks, f"{name} did not load:\n{done.stdout}\n{done.stderr}")
    return found


@pytest.mark.parametrize(("name", "check"), [(n, check) for n, checks in _CHECKS.items() for check in checks])
def test_works_as_on_the_original(name: str, check: str, results: dict[str, dict[str, str | None]]) -> None:
    failure = results[name][check]
    assert failure is None, f"{check} fails on the loaded {name}:\n{failure}"


@pytest.mark.parametrize("name", _CHECKS)
def test_unpickles_in_another_process(
    name: str, nursery: Nursery, results: dict[str, dict[str, str | None]]
) -> None:
    path = nursery.folder / f"{name}.pickle"
    assert path.exists(), f"the loaded {name} could not be pickled: {results[name]['pickle']}"
    done = nursery.run("-c", f"import pickle; print(type(pickle.load(open({str(path)!r}, 'rb'))).__module__)")
    assert done.returncode == 0, f"a process that has not loaded {name} cannot unpickle it:\n{done.stderr}"
    assert done.stdout.startswith("wardian.live."), done.stdout
