"""Child process: do with a loaded model what people do with models.

    python -P after_loading.py FOLDER NAME CHECK...

Prints one JSON object: check → null, or the traceback of what went wrong. Leaves the pickled model in
`FOLDER/NAME.pickle`.
"""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[2]))
from tests.models.loader import call, describe, differences, uninstall

sys.path.pop()  # the process is away from every source again

_PICKLE = Path(sys.argv[1]) / f"{sys.argv[2]}.pickle"


def _same(expected: Any, actual: Any) -> None:
    wrong = list(differences(describe(expected), describe(actual)))
    assert not wrong, "\n".join(wrong)


def _script(model: Any, inputs: Any) -> None:
    scripted = torch.jit.script(model)
    _same(call(model, inputs), call(scripted, inputs))


def _compile(model: Any, inputs: Any) -> None:
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    _same(call(model, inputs), call(compiled, inputs))


def _export(model: Any, inputs: Any) -> None:
    keyword = inputs if isinstance(inputs, dict) else {}
    positional = () if isinstance(inputs, dict) else inputs
    exported = torch.export.export(model, positional, keyword)
    for one, other in zip(
        _tensors(call(model, inputs)), _tensors(call(exported.module(), inputs)), strict=True
    ):
        torch.testing.assert_close(one, other)  # export may put an equivalent operator


def _tensors(output: Any) -> list[torch.Tensor]:
    leaves, _ = torch.utils._pytree.tree_flatten(output)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _deepcopy(model: Any, inputs: Any) -> None:
    again = copy.deepcopy(model)
    assert type(again) is type(model)
    _same(call(model, inputs), call(again, inputs))


def _pickle(model: Any, inputs: Any) -> None:
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model)
    _same(call(model, inputs), call(again, inputs))


def _child(model: Any, inputs: Any) -> None:
    """A process that this one starts unpickles the model without help."""
    _PICKLE.write_bytes(pickle.dumps(model))
    script = f"import pickle; print(type(pickle.load(open({str(_PICKLE)!r}, 'rb'))).__module__)"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == type(model).__module__


def _train(model: Any, inputs: Any) -> None:
    pupil = copy.deepcopy(model).train()
    if isinstance(inputs, tuple):  # batch normalisation wants two samples
        inputs = tuple(torch.cat([x, x + 0.1]) for x in inputs)
    before = {name: p.detach().clone() for name, p in pupil.named_parameters()}
    optimiser = torch.optim.SGD(pupil.parameters(), lr=0.1)
    loss = torch.stack([(t.float() ** 2).mean() for t in _tensors(call(pupil, inputs))]).sum()
    torch.autograd.backward(loss)
    optimiser.step()
    changed = [name for name, p in pupil.named_parameters() if not torch.equal(p, before[name])]
    assert len(changed) > len(before) // 2, f"only {len(changed)} of {len(before)} parameters changed"


CHECKS: dict[str, Callable[[Any, Any], None]] = {
    "torch.jit.script": _script,
    "torch.compile": _compile,
    "torch.export": _export,
    "copy.deepcopy": _deepcopy,
    "pickle": _pickle,
    "child process": _child,
    "training step": _train,
}


def main(folder: Path, name: str, checks: list[str]) -> dict[str, str | None]:
    """Load the case and run the checks, each whatever became of the others."""
    facts = json.loads((folder / f"{name}.json").read_text())
    uninstall(facts["blocked"], facts["folders"])

    import wardian

    inputs = torch.load(folder / f"{name}.pt", weights_only=False)["inputs"]
    model = wardian.load(folder / f"{name}.case")
    results: dict[str, str | None] = {}
    for check in checks:
        try:
            with torch.set_grad_enabled(check == "training step"):
                CHECKS[check](model, inputs)
            results[check] = None
        except Exception:  # noqa: BLE001 - reported by the test
            results[check] = traceback.format_exc()
    return results


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])))
