"""The MLflow flavor: a model folder with one case in it, and a pyfunc over the object of the case."""

from __future__ import annotations

import difflib
import inspect
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import mlflow
import numpy as np
import pandas as pd
import torch
import yaml
from mlflow import pyfunc
from mlflow.environment_variables import (
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION,
    MLFLOW_DEFAULT_PREDICTION_DEVICE,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.models.utils import _save_example
from mlflow.utils.environment import (
    _process_conda_env,
    _process_pip_requirements,
    _PythonEnv,
    _validate_env_arguments,
)
from mlflow.utils.file_utils import get_total_file_size
from mlflow.utils.model_utils import (
    _copy_extra_files,
    _get_flavor_configuration,
    _validate_and_prepare_target_save_path,
)

import wardian

if TYPE_CHECKING:
    from mlflow.models import ModelInputExample, ModelSignature
    from mlflow.models.model import ModelInfo

__all__ = ["FLAVOR_NAME", "load_model", "log_model", "save_model"]

FLAVOR_NAME = "wardian"
_MODULE = "wardian.mlflow"
_CASE = "model.case"
_CONDA_ENV = "conda.yaml"
_PYTHON_ENV = "python_env.yaml"
_WHOLE = ""
"""The name of an input that has none: all that the model is called with is one tensor."""


# Above 60 lines: half is the signature that MLflow's flavors have, and the steps share what they fill in.
def save_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: ModelInputExample | torch.Tensor | tuple[Any, ...] | None = None,
    extra_files: list[str] | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Save a live model, with its code, as an MLflow model folder.

    Args:
        model: Any object that `wardian.pack` takes, usually a `torch.nn.Module`; or the path of a case, which
            is taken as it is.
        path: The folder; it must be empty, or not be there.
        conda_env: As for MLflow's flavors, in place of the requirements.
        mlflow_model: The `mlflow.models.Model` to which the flavor is added.
        signature: As for MLflow's flavors: inferred from *input_example* without it, and False for none.
        input_example: What the model is called with. One input is an array, a tensor or a DataFrame; several
            are a tuple in the order of the arguments or a dictionary by their names; and a pair of one of
            these and a dictionary of parameters is what MLflow takes it for. It becomes the self-test.
        extra_files: URIs of files to put beside the case, as for MLflow's flavors.
        pip_requirements: In place of what `wardian.requirements` tells of the case.
        extra_pip_requirements: In addition to that.
        metadata: Notes in the file MLmodel.
        **options: As for `wardian.pack`, such as `policy`; `inputs` where the self-test shall be another one.

    Raises:
        TypeError: for an argument that is neither of MLflow's flavors nor of `wardian.pack`, or that has no
            meaning here; the message says why.
        MlflowException: if the folder is not empty, or an argument is not what MLflow takes.
        PackError: if the model cannot be packed.
    """
    _require_known("save_model", options, _saving())
    _validate_env_arguments(conda_env, pip_requirements, extra_pip_requirements)
    path = os.path.abspath(path)
    _validate_and_prepare_target_save_path(path)
    mlflow_model = Model() if mlflow_model is None else mlflow_model
    case = os.path.join(path, _CASE)
    if isinstance(model, str | os.PathLike):
        if options:
            raise TypeError(f"{', '.join(sorted(options))}: only for an object that is packed now")
        shutil.copyfile(model, case)
    else:
        if input_example is not None:
            options.setdefault("inputs", _Example.of(input_example, model).inputs(model))
        wardian.pack(model, case, **options)
    types: dict[str, str] = {}
    with wardian.open(case) as opened:
        digest = opened.digest
        if input_example is not None:
            # What is in the folder answers, and the user's model is not called.
            loaded = opened.load()
            example = _Example.of(input_example, loaded)
            types = example.types
            _save_example(mlflow_model, example.shown, path)
            if signature is None:
                signature = _infer_signature(example, loaded)
    if signature:
        mlflow_model.signature = signature
    if metadata is not None:
        mlflow_model.metadata = metadata
    mlflow_model.add_flavor(
        FLAVOR_NAME,
        data=_CASE,
        digest=digest,
        tensors=types,
        wardian_version=wardian.__version__,
        **_copy_extra_files(extra_files, path),
    )
    pyfunc.add_to_model(
        mlflow_model,
        loader_module=_MODULE,
        data=_CASE,
        conda_env=_CONDA_ENV,
        python_env=_PYTHON_ENV,
        model_config={"device": None},
    )
    mlflow_model.model_size_bytes = get_total_file_size(path)
    mlflow_model.save(os.path.join(path, MLMODEL_FILE_NAME))
    if conda_env is None:
        needed = [*wardian.requirements(case), f"wardian=={wardian.__version__}"]
        environment = _process_pip_requirements(needed, pip_requirements, extra_pip_requirements)
    else:
        environment = _process_conda_env(conda_env)
    _write_environment(path, *environment)


def log_model(model: Any, name: str | None = None, **options: Any) -> ModelInfo:
    """Log a live model, with its code, to the current run of MLflow.

    Args:
        model: As for `save_model`.
        name: Of the logged model.
        **options: As for `save_model`, and what MLflow's flavors take: `registered_model_name`, `params`,
            `tags`, `model_type`, `step`, `await_registration_for`.

    Returns:
        What MLflow says of the model; `load_model` takes its `model_uri`.

    Raises:
        TypeError, MlflowException, PackError: as for `save_model`.
    """
    _require_known("log_model", options, _logging())
    options = {"artifact_path": None, **options}  # its older word for the name
    return Model.log(name=name, flavor=sys.modules[__name__], model=model, **options)


_CODE = "the code of the model is in the case"
_CALLED = "a pyfunc calls the model itself: pack an object whose call does what it shall"
_LIVE = "the model is packed live, in one form"
_NOT_HERE = {
    "code_paths": _CODE,
    "infer_code_paths": _CODE,
    "artifacts": "data files that the model reads are packed with it, and others go in by resources=",
    "data_path": _CALLED,
    "loader_module": _CALLED,
    "model_config": "its one setting, device, is given to mlflow.pyfunc.load_model",
    "pyfunc_predict_fn": _CALLED,
    "python_model": _CALLED,
    "streamable": _CALLED,
    "export_model": _LIVE,
    "pickle_module": _LIVE,
    "serialization_format": _LIVE,
    "skops_trusted_types": "whose code may run is said where the model is loaded: wardian.Trust",
}
"""Arguments of MLflow's flavors that have no meaning here, each with the reason."""


def _names(function: Any, *but: str) -> frozenset[str]:
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is not p.VAR_KEYWORD) - {*but}


def _saving() -> frozenset[str]:
    return _names(save_model, "model", "path") | _names(wardian.pack, "obj", "path")


def _logging() -> frozenset[str]:
    return _saving() | _names(Model.log, "flavor", "run_id")


def _require_known(function: str, options: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse arguments that nothing here takes, in words of the function that was called."""
    for name in sorted(options.keys() - known):
        near = difflib.get_close_matches(name, known, 3)
        reason = f"near to it: {', '.join(near)}" if near else f"it has {', '.join(sorted(known))}"
        if name in _NOT_HERE:
            reason = f"it is not needed: {_NOT_HERE[name]}"
        raise TypeError(f"wardian.mlflow.{function} has no argument {name}; {reason}")


def load_model(model_uri: str, dst_path: str | None = None, **options: Any) -> Any:
    """Load the object that was logged, without the code that it came from.

    Args:
        model_uri: As for MLflow's flavors: `runs:/…`, `models:/name/1`, `models:/name@alias`, a folder.
        dst_path: Where to download it to, a folder that is there; a temporary one without it.
        **options: As for `wardian.load`, such as `map_location`.

    Returns:
        The object as it was packed, an ordinary one; in training mode if it was in that.

    Raises:
        MlflowException: if there is no such model, it has not this flavor, or MLflow is told not to run
            what models bring along (`$MLFLOW_ALLOW_PICKLE_DESERIALIZATION`).
        DigestMismatchError: if the case is another one than was logged.
        CaseError, EnvironmentMismatchError: as for `wardian.load`.
    """
    folder = mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=dst_path)
    return _load(folder, _get_flavor_configuration(folder, FLAVOR_NAME), **options)


def _load(folder: str, flavor: Mapping[str, Any], **options: Any) -> Any:
    if not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get():
        raise MlflowException(
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false here, and loading a case runs its code and its"
            " pickles. Set it to true if you trust who made the model; without it, weights can be read:"
            f" wardian.open({os.path.join(folder, flavor['data'])!r}).state_dict()"
        )
    return wardian.load(os.path.join(folder, flavor["data"]), **{"digest": flavor["digest"], **options})


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> _Predictor:
    """Return what predicts for `mlflow.pyfunc`, which calls this by its name.

    Args:
        path: The case, in its model folder.
        model_config: Its `device` says where the model goes. Without it, it is where MLflow's own flavor for
            PyTorch puts one: `$MLFLOW_DEFAULT_PREDICTION_DEVICE`, else a GPU if there is one.
    """
    device = (model_config or {}).get("device") or MLFLOW_DEFAULT_PREDICTION_DEVICE.get()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = os.path.dirname(path)
    flavor = _get_flavor_configuration(folder, FLAVOR_NAME)
    return _Predictor(_load(folder, flavor, map_location=device), flavor["tensors"], device)


def _write_environment(
    folder: str, conda_env: dict[str, Any], requirements: list[str], constraints: list[str] | None
) -> None:
    files = {
        _CONDA_ENV: yaml.safe_dump(conda_env, default_flow_style=False),
        "requirements.txt": "\n".join(requirements),
        "constraints.txt": "\n".join(constraints or ()),
    }
    for name, text in files.items():
        if text:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
    _PythonEnv.current().to_yaml(os.path.join(folder, _PYTHON_ENV))


@dataclass(frozen=True)
class _Example:
    """An input example: as the model is called with it, and as MLflow keeps it."""

    data: Any
    """The input of the model; a dictionary by name if it has several inputs."""
    params: dict[str, Any] = field(default_factory=dict)
    shown: Any = None
    """Arrays in place of tensors, with the parameters if there are any."""

    @classmethod
    def of(cls, given: Any, model: Any) -> Self:
        """Take what a user gives as the example of a model."""
        params: dict[str, Any] = {}
        if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):
            given, params = given
        if isinstance(given, tuple):
            names = [name for name in _arguments(model) if name not in params]
            if len(given) > len(names):
                raise TypeError(
                    f"the example has {len(given)} inputs, and the model has names for {len(names)}: give a"
                    " dictionary, by which MLflow can keep them"
                )
            given = dict(zip(names, given, strict=False))
        data = _as_called(given, {}, model)
        is_frame = isinstance(given, pd.DataFrame)
        shown = given if is_frame else _without_tensors(data)
        return cls(data, params, (shown, params) if params else shown)

    @property
    def types(self) -> dict[str, str]:
        """The inputs that are tensors, each with the name of its type."""
        named = self.data if isinstance(self.data, dict) else {_WHOLE: self.data}
        tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
        return {name: str(value.dtype).removeprefix("torch.") for name, value in tensors.items()}

    def inputs(self, model: Any) -> tuple[Any, ...] | dict[str, Any]:
        """Return the call of the model as the self-test takes it."""
        positional, named = _call(model, self.data, self.params)
        if not named:
            return positional
        return {**dict(zip(_arguments(model), positional, strict=False)), **named}


class _Predictor:
    """The model as `mlflow.pyfunc` makes predictions with it.

    Args:
        model: The object of the case.
        types: The inputs that are tensors, of which type each was when the model was logged.
        device: Where inputs go.
    """

    def __init__(self, model: Any, types: Mapping[str, str], device: str = "cpu") -> None:
        self._model = model.eval() if isinstance(model, torch.nn.Module) else model
        self._types = types
        self._device = device

    def get_raw_model(self) -> Any:
        """Return the object of the case."""
        return self._model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Call the object.

        Args:
            data: An array, a tensor or a DataFrame for one input, a dictionary for several.
            params: Further arguments.

        Returns:
            Arrays in place of tensors; of a DataFrame a DataFrame with its index.

        Raises:
            TypeError: if a module is given a tuple.
        """
        if isinstance(data, tuple) and isinstance(self._model, torch.nn.Module):
            names = _arguments(self._model)[: max(2, len(data))]
            several = ", ".join(f"{name!r}: ..." for name in names)
            raise TypeError(
                "predict takes an array, a tensor, a list or a DataFrame for one input, and a dictionary by"
                f" the names of the arguments for several, not a tuple\n  fix: predict({{{several}}})"
            )
        given = _as_called(data, self._types, self._model, device=self._device)
        positional, named = _call(self._model, given, params or {})
        with torch.no_grad():
            found = _without_tensors(self._model(*positional, **named))
        if isinstance(data, pd.DataFrame) and isinstance(found, np.ndarray) and found.ndim in (1, 2):
            return pd.DataFrame(found, index=data.index)
        return found


def _infer_signature(example: _Example, model: Any) -> ModelSignature:
    data = example.shown[0] if example.params else example.shown
    found = _Predictor(model, example.types).predict(data, example.params)
    return infer_signature(data, found, example.params or None)


def _arguments(model: Any) -> list[str]:
    """Return the names of what a model can be called with by position."""
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = _signature_of(model).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind in by_position]


def _signature_of(model: Any) -> inspect.Signature:
    return inspect.signature(model.forward if isinstance(model, torch.nn.Module) else model)


def _call(model: Any, data: Any, params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call: what has names that the model knows goes by them."""
    if isinstance(data, dict):
        try:
            _signature_of(model).bind(**data, **params)
        except TypeError:  # it takes a dictionary
            pass
        else:
            return (), {**data, **params}
    return (data,), dict(params)


def _as_called(data: Any, types: Mapping[str, str], model: Any, *, device: str = "cpu") -> Any:
    """Return inputs as a model takes them.

    Args:
        data: One, or several by name.
        types: The names of those that are tensors, and their types: numbers become such, integers stay.
        model: Of a module all that can be a tensor is one. Numbers that say no precision of their own get
            that of its weights.
        device: Where tensors go.
    """
    every, precision = isinstance(model, torch.nn.Module), _precision(model)
    if isinstance(data, dict):
        return {
            name: _as_input(value, types.get(name), every, precision, device) for name, value in data.items()
        }
    return _as_input(data, types.get(_WHOLE), every, precision, device)


def _precision(model: Any) -> torch.dtype:
    """Return the type of the first weights of a module that are floating-point numbers; else the default."""
    weights = model.parameters() if isinstance(model, torch.nn.Module) else ()
    return next((w.dtype for w in weights if w.is_floating_point()), torch.get_default_dtype())


def _as_input(value: Any, kind: str | None, every: bool, precision: torch.dtype, device: str) -> Any:
    if kind is None and not every:
        return value
    wanted = None if kind is None else getattr(torch, kind)
    if isinstance(value, pd.DataFrame):
        # One tensor, of floating-point numbers if nothing says otherwise: as MLflow's own flavor for PyTorch.
        cells = value.to_numpy()
        cells = cells.astype(np.float64) if cells.dtype.kind == "O" else cells
        # In the order of an array of its cells: a sum over the other order may be rounded otherwise.
        return torch.as_tensor(np.array(cells, order="C"), device=device).to(wanted or precision)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            return value
        value = np.require(value, requirements=["C", "W"])
    elif not isinstance(value, torch.Tensor):
        found = np.asarray(value)
        if found.dtype.kind not in "biufc":
            return value
        if found.dtype.kind == "f" and not hasattr(value, "dtype"):  # Python's own numbers
            value, wanted = found, wanted or precision
    tensor = torch.as_tensor(value, device=device)
    return tensor.to(wanted) if wanted is not None and wanted.is_floating_point else tensor


def _without_tensors(value: Any) -> Any:
    """Return *value* with arrays in place of tensors, in plain containers."""
    if isinstance(value, torch.Tensor):
        try:
            return value.numpy(force=True)
        except TypeError:  # NumPy has not all types of PyTorch: bfloat16
            return value.float().numpy(force=True)
    if isinstance(value, Mapping):
        return {name: _without_tensors(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_without_tensors(item) for item in value]
    return value
