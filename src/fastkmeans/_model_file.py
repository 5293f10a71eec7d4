"""Models as plain files: arrays in a .npz, the rest as one JSON text in it. Never pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from typing import Any

import numpy as np

from ._input import check_finite
from ._metrics import check_metric
from ._params import check_n_threads

_FORMAT = "fastkmeans-model"
_FORMAT_VERSION = 1
_ARRAYS = ("cluster_centers_", "labels_")
_VALUES = ("n_clusters_", "inertia_", "n_iter_", "n_features_in_", "history_", "converged_", "stop_reason_", "algorithm_used_")


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
    """Read an estimator that write_model wrote; see KMeans.load. What it did not write is refused."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            described = json.loads(str(file["model"]))
            arrays = {name: file[name] for name in file.files if name != "model"}
        version = described["format_version"]
        if described["format"] != _FORMAT or type(version) is not int:
            raise ValueError("another format")
        if version <= _FORMAT_VERSION:
            return _rebuild(cls, described, arrays)
    except (
        AttributeError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error
    ) as error:
        raise ValueError(f"{path} is not a model that KMeans.save wrote, or is damaged; save the model again.") from error
    raise ValueError(
        f"{path} was written by a newer fastkmeans (model format {version}; this one reads up to "
        f"{_FORMAT_VERSION}); upgrade fastkmeans-core."
    )


def _rebuild(cls: type, described: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """Make the estimator; raise what read_model catches if a part is missing, unknown or does not fit the others."""
    params, fitted, names = described["params"], described["fitted"], described["feature_names"]
    centers = arrays["cluster_centers_"]
    if (
        centers.ndim != 2
        or centers.dtype not in (np.float32, np.float64)
        or 0 in centers.shape
        or fitted["n_features_in_"] != centers.shape[1]
        or not set(fitted) <= set(_VALUES)
        or not set(arrays) <= {*_ARRAYS, "init"}
        or not (names is None or len(names) == centers.shape[1] and all(isinstance(name, str) for name in names))
    ):
        raise ValueError("parts that do not fit together")
    check_finite(centers, "cluster_centers_")
    if "init" in arrays:
        params["init"] = arrays.pop("init")
    model = cls(**params)
    check_n_threads("n_threads", model.n_threads)
    check_metric(model.metric)
    vars(model).update(fitted, **arrays)
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    return model
