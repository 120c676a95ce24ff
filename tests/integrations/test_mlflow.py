"""MLflow with a database of its own: logged, registered, loaded and served where the project is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

import wardian
import wardian.mlflow
from tests.integrations.servers import ask, serving
from tests.support import importable, run_python, write_tree

PROJECT = """
--- shop/__init__.py
--- shop/scale.py
FACTOR = 3.0
--- shop/models.py
import torch
from shop.scale import FACTOR

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x, shift=0.0):
        return self.layer(x) * FACTOR + shift

class Pair(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(10, 4)

    def forward(self, ids, mask):
        return {"summed": (self.words(ids) * mask[..., None]).sum(1), "count": mask.sum(1)}

class Batch(torch.nn.Module):
    def forward(self, batch):
        return batch["a"] + batch["b"], batch["a"]

class Half(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2).bfloat16()

    def forward(self, x):
        return self.layer(x)

class Reader:
    def __init__(self):
        self.net = Net()

    def __call__(self, texts):
        return [self.net(torch.full((4,), float(len(text)))) for text in texts]
"""
X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let MLflow keep runs and models in a database, and artifacts in the folder of the process."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        yield folder
        mlflow.set_tracking_uri(None)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Any]:
    torch.manual_seed(0)
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        yield load("shop.models")


def test_a_logged_model_loads_where_its_project_is_not(store: Path, shop: Any, tmp_path: Path) -> None:
    model = shop.Net()
    with mlflow.start_run():
        info = wardian.mlflow.log_model(model, name="net", input_example=X)
    again = wardian.mlflow.load_model(info.model_uri)
    assert type(again) is not type(model)
    assert torch.equal(again(torch.from_numpy(X)), model(torch.from_numpy(X)))
    script = """
        import sys, mlflow, numpy, torch
        mlflow.set_tracking_uri(sys.argv[1])
        x = numpy.arange(12, dtype="float32").reshape(3, 4)
        print(mlflow.pyfunc.load_model(sys.argv[2]).predict(x).tolist())
        print("shop" in sys.modules)
    """
    told = run_python(
        script, mlflow.get_tracking_uri(), info.model_uri, folder=tmp_path, isolated=True
    ).splitlines()
    assert json.loads(told[0]) == model(torch.from_numpy(X)).tolist()
    assert told[1] == "False"


def test_the_registry_knows_versions_and_aliases(store: Path, shop: Any) -> None:
    first, second = shop.Net(), shop.Net()
    for model in (first, second):
        wardian.mlflow.log_model(model, name="net", registered_model_name="shop-net", prove=False)
    mlflow.MlflowClient().set_registered_model_alias("shop-net", "champion", 1)
    x = torch.from_numpy(X)
    assert torch.equal(wardian.mlflow.load_model("models:/shop-net@champion")(x), first(x))
    assert torch.equal(wardian.mlflow.load_model("models:/shop-net/2")(x), second(x))
    predicted = mlflow.pyfunc.load_model("models:/shop-net@champion").predict(X)
    assert np.array_equal(predicted, first(x).detach().numpy())


def test_two_versions_of_one_project_serve_in_one_process(store: Path, tmp_path: Path) -> None:
    uris = {}
    for factor in (3.0, 5.0):
        text = PROJECT.replace("FACTOR = 3.0", f"FACTOR = {factor}")
        torch.manual_seed(0)
        with importable(write_tree(tmp_path / f"version-{factor:.0f}", text)) as load:
            model = load("shop.models").Net()
            uris[factor] = wardian.mlflow.log_model(model, name="net", prove=False).model_uri
    three, five = (mlflow.pyfunc.load_model(uri) for uri in uris.values())
    assert np.allclose(three.predict(X) / 3, five.predict(X) / 5)
    assert not np.allclose(three.predict(X), five.predict(X))


def test_the_server_of_mlflow_answers(store: Path, shop: Any, tmp_path: Path) -> None:
    model = shop.Net()
    info = wardian.mlflow.log_model(model, name="net", input_example=X, prove=False)
    wanted = model(torch.from_numpy(X)).tolist()
    command = ["mlflow", "models", "serve", "-m", info.model_uri, "-p", "0", "-h", "127.0.0.1"]
    with serving([*command, "--env-manager", "local"], folder=tmp_path) as url:
        assert ask(f"{url}/invocations", {"inputs": X.tolist()})["predictions"] == wanted
        frame = {"columns": list("abcd"), "data": X.tolist()}
        found = ask(f"{url}/invocations", {"dataframe_split": frame})["predictions"]
        assert found == wanted


def saved(model: Any, folder: Path, **options: Any) -> Any:
    wardian.mlflow.save_model(model, folder / "saved", **options)
    return mlflow.pyfunc.load_model(str(folder / "saved"))


@pytest.mark.parametrize("kind", ["array", "tensor", "list", "none"])
def test_one_input(shop: Any, tmp_path: Path, kind: str) -> None:
    model, x = shop.Net(), torch.from_numpy(X)
    examples = {"array": X, "tensor": x, "list": X.tolist(), "none": None}
    model_of = saved(model, tmp_path, input_example=examples[kind], prove=False)
    assert np.array_equal(model_of.predict(X), model(x).detach().numpy())
    signature = model_of.metadata.signature
    assert (signature is None) == (kind == "none")
    assert kind == "none" or str(signature.inputs) == "[Tensor('float32', (-1, 4))]"


def test_tensors_go_where_no_signature_says_arrays(shop: Any, tmp_path: Path) -> None:
    model, x = shop.Net(), torch.from_numpy(X)
    model_of = saved(model, tmp_path, input_example=x, signature=False, prove=False)
    assert np.array_equal(model_of.predict(x), model(x).detach().numpy())
    # JSON knows no single precision, nor a request without a signature.
    assert np.array_equal(model_of.predict(X.astype(np.float64)), model(x).detach().numpy())


def test_a_frame_gives_a_frame(shop: Any, tmp_path: Path) -> None:
    model = shop.Net()
    frame = pd.DataFrame(X, columns=list("abcd"), index=[7, 8, 9]).astype(np.float64)
    model_of = saved(model, tmp_path, input_example=frame, prove=False)
    found = model_of.predict(frame)
    assert list(found.index) == [7, 8, 9]
    assert np.array_equal(found.to_numpy(), model(torch.from_numpy(X)).detach().numpy())
    assert model_of.metadata.signature.inputs.input_names() == list("abcd")


@pytest.mark.parametrize("kind", ["names", "order"])
def test_several_inputs_go_by_their_names(shop: Any, tmp_path: Path, kind: str) -> None:
    model = shop.Pair()
    ids, mask = torch.tensor([[1, 2, 3]]), torch.tensor([[1.0, 1.0, 0.0]])
    example = {"mask": mask, "ids": ids} if kind == "names" else (ids, mask)
    model_of = saved(model, tmp_path, input_example=example, prove=kind == "names")
    assert sorted(model_of.metadata.signature.inputs.input_names()) == ["ids", "mask"]
    found = model_of.predict({"ids": ids.numpy(), "mask": mask.numpy()})
    wanted = model(ids, mask)
    assert sorted(found) == ["count", "summed"]
    assert all(np.array_equal(found[name], wanted[name].detach().numpy()) for name in wanted)


def test_a_dictionary_goes_to_a_model_that_takes_one(shop: Any, tmp_path: Path) -> None:
    batch = {"a": np.ones((2, 1), np.float32), "b": np.zeros((2, 1), np.float32)}
    found = saved(shop.Batch(), tmp_path, input_example=batch, prove=False).predict(batch)
    assert [part.tolist() for part in found] == [[[1.0], [1.0]], [[1.0], [1.0]]]


def test_parameters_are_further_arguments(shop: Any, tmp_path: Path) -> None:
    model = shop.Net()
    model_of = saved(model, tmp_path, input_example=(X, {"shift": 1.0}), prove=False)
    wanted = model(torch.from_numpy(X), shift=2.0).detach().numpy()
    assert np.array_equal(model_of.predict(X, params={"shift": 2.0}), wanted)
    assert model_of.metadata.signature.params.params[0].name == "shift"


def test_inputs_have_the_precision_that_they_were_logged_with(shop: Any, tmp_path: Path) -> None:
    model, x = shop.Half(), torch.from_numpy(X).bfloat16()
    found = saved(model, tmp_path, input_example=x, prove=False).predict(X)
    assert np.array_equal(found, model(x).detach().float().numpy())


@pytest.mark.parametrize("kind", ["frame", "list"])
def test_what_says_no_precision_gets_that_of_the_weights(shop: Any, tmp_path: Path, kind: str) -> None:
    model = shop.Net().double()
    x = X.astype(np.float64) / 3  # which no single precision holds
    given = pd.DataFrame(x, columns=list("abcd")) if kind == "frame" else x.tolist()
    wanted = model(torch.from_numpy(x)).detach().numpy()
    example = {"input_example": given} if kind == "frame" else {}
    found = saved(model, tmp_path, **example, prove=False).predict(given)
    assert np.array_equal(np.asarray(found), wanted)


def test_a_list_that_is_logged_as_example_keeps_the_precision_of_the_weights(
    shop: Any, tmp_path: Path
) -> None:
    model = shop.Net().double()
    model_of = saved(model, tmp_path, input_example=X.tolist(), prove=False)
    assert str(model_of.metadata.signature.inputs) == "[Tensor('float64', (-1, 4))]"
    x = X.astype(np.float64)
    assert np.array_equal(model_of.predict(x), model(torch.from_numpy(x)).detach().numpy())


def test_a_frame_of_integers_is_what_the_example_was(tmp_path: Path) -> None:
    model, ids = torch.nn.Embedding(10, 4), np.array([[1, 2, 3]])
    model_of = saved(model, tmp_path, input_example=ids, signature=False, prove=False)
    found = model_of.predict(pd.DataFrame(ids))
    assert np.array_equal(found, model(torch.from_numpy(ids)).detach().numpy())


def test_a_tuple_is_refused_with_the_forms_that_are_taken(shop: Any, tmp_path: Path) -> None:
    ids, mask = torch.tensor([[1, 2, 3]]), torch.tensor([[1.0, 1.0, 0.0]])
    model_of = saved(shop.Pair(), tmp_path, prove=False)
    with pytest.raises(TypeError, match="an array, a tensor, a list or a DataFrame for one input") as caught:
        model_of.predict((ids, mask))
    assert "fix: predict({'ids': ..., 'mask': ...})" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("code_paths", "has no argument code_paths; it is not needed: the code of the model is in the case"),
        ("inptus", "has no argument inptus; near to it: inputs"),
        ("input_exmaple", "has no argument input_exmaple; near to it: input_example"),
    ],
)
def test_an_unknown_argument_is_told_in_words_of_the_flavor(
    shop: Any, tmp_path: Path, name: str, told: str
) -> None:
    for call, function in (
        (lambda **options: wardian.mlflow.save_model(shop.Net(), tmp_path / "new", **options), "save_model"),
        (lambda **options: wardian.mlflow.log_model(shop.Net(), **options), "log_model"),
    ):
        with pytest.raises(TypeError, match=f"wardian.mlflow.{function} {told}"):
            call(**{name: ["src"]})
    assert not (tmp_path / "new").exists()


def test_an_object_that_is_no_module_takes_what_mlflow_gives(shop: Any, tmp_path: Path) -> None:
    reader = shop.Reader()
    found = saved(reader, tmp_path, inputs=(["one", "three"],), signature=False, prove=False).predict(
        ["one", "three"]
    )
    assert [part.tolist() for part in found] == [part.tolist() for part in reader(["one", "three"])]


def test_a_case_is_logged_as_it_is(shop: Any, tmp_path: Path) -> None:
    model = shop.Net()
    report = wardian.pack(model, tmp_path / "net.case", inputs=(torch.from_numpy(X),), prove=False)
    saved(tmp_path / "net.case", tmp_path, input_example=(torch.from_numpy(X),))
    content = (tmp_path / "saved" / "model.case").read_bytes()
    assert content == (tmp_path / "net.case").read_bytes()
    flavor = mlflow.models.Model.load(str(tmp_path / "saved")).flavors["wardian"]
    assert flavor["digest"] == report.digest
    with pytest.raises(TypeError, match="policy: only for an object that is packed now"):
        wardian.mlflow.save_model(tmp_path / "net.case", tmp_path / "other", policy=wardian.Policy())


def test_the_environment_is_what_the_case_needs(shop: Any, tmp_path: Path) -> None:
    saved(shop.Net(), tmp_path, extra_pip_requirements=["colorama"], metadata={"team": "vision"}, prove=False)
    lines = (tmp_path / "saved" / "requirements.txt").read_text().splitlines()
    needed = wardian.requirements(tmp_path / "saved" / "model.case")
    assert set(lines) == {
        *needed,
        f"mlflow=={mlflow.__version__}",
        f"wardian=={wardian.__version__}",
        "colorama",
    }
    assert mlflow.models.Model.load(str(tmp_path / "saved")).metadata == {"team": "vision"}


def test_a_model_comes_back_in_its_mode_and_predicts_in_that_of_inference(shop: Any, tmp_path: Path) -> None:
    model = torch.nn.Sequential(shop.Net(), torch.nn.Dropout(0.9))
    model_of = saved(model, tmp_path, prove=False)
    assert np.array_equal(model_of.predict(X), model.eval()(torch.from_numpy(X)).detach().numpy())
    assert wardian.mlflow.load_model(str(tmp_path / "saved")).training


def test_another_case_in_the_folder_is_refused(shop: Any, tmp_path: Path) -> None:
    saved(shop.Net(), tmp_path, prove=False)
    wardian.pack(shop.Net(), tmp_path / "saved" / "model.case", prove=False)
    with pytest.raises(wardian.DigestMismatchError):
        mlflow.pyfunc.load_model(str(tmp_path / "saved"))


def test_what_mlflow_refuses_is_refused(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(MlflowException, match="already exists and is not empty"):
        wardian.mlflow.save_model(shop.Net(), tmp_path / "full")
    (tmp_path / "other").mkdir()
    mlflow.models.Model().save(str(tmp_path / "other" / "MLmodel"))
    with pytest.raises(MlflowException, match='does not have the "wardian" flavor'):
        wardian.mlflow.load_model(str(tmp_path / "other"))
    with pytest.raises(TypeError, match="3 inputs, and the model has names for 2"):
        wardian.mlflow.save_model(shop.Pair(), tmp_path / "new", input_example=(X, X, X))


def test_where_mlflow_may_run_nothing_a_case_is_not_loaded(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(shop.Net(), tmp_path, prove=False)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    for load in (mlflow.pyfunc.load_model, wardian.mlflow.load_model):
        with pytest.raises(MlflowException, match="if you trust who made the model"):
            load(str(tmp_path / "saved"))
