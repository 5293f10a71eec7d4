"""Models as plain files: arrays in a .npz, the rest as one JSON text in it. Never pickle."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import numpy as np

_FORMAT = "fastkmeans-model"
_FORMAT_VERSION = 1
_ARRAYS = ("cluster_centers_", "labels_")
_VALUES = ("inertia_", "n_iter_", "n_features_in_", "history_", "converged_", "stop_reason_", "algorithm_used_")


def write_model(model: Any, path: Any) -> None:
    """Write a fitted estimator; see KMeans.save."""
    from ._files import whole_file

    fitted, arrays = vars(model), {name: vars(model)[name] for name in _ARRAYS if name in vars(model)}
    params = {}
    for name, value in model.get_params().items():
        if name == "init" and not isinstance(value, str) and not callable(value):
            arrays["init"] = np.asarray(value)
        elif value is None or isinstance(value, (bool, int, float, str, np.number)):
            params[name] = value.item() if isinstance(value, np.generic) else value
    names = fitted.get("feature_names_in_")
    text = json.dumps({
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "params": params,
        "fitted": {name: fitted[name] for name in _VALUES if name in fitted},
        "feature_names": None if names is None else list(names),
    })
    with whole_file(str(path)) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, model=np.array(text), **arrays)


def read_model(cls: type, path: Any) -> Any:
    """Read an estimator that write_model wrote; see KMeans.load."""
    try:
        with np.load(path, allow_pickle=False) as file:
            described = json.loads(str(file["model"]))
            arrays = {name: file[name] for name in file.files if name != "model"}
        if described["format"] != _FORMAT or arrays["cluster_centers_"].ndim != 2:
            raise ValueError("another format")
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a model that KMeans.save wrote, or is damaged; save the model again.") from error
    if described["format_version"] > _FORMAT_VERSION:
        raise ValueError(
            f"{path} was written by a newer fastkmeans (model format {described['format_version']}; this one reads up to "
            f"{_FORMAT_VERSION}); upgrade fastkmeans-core."
        )
    params = described["params"]
    if "init" in arrays:
        params["init"] = arrays.pop("init")
    model = cls(**params)
    vars(model).update(described["fitted"], **arrays)
    if described["feature_names"] is not None:
        model.feature_names_in_ = np.array(described["feature_names"], dtype=object)
    return model
