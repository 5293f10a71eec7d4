"""Checks each part of a model file, and makes the estimator only if all parts are valid."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from sys import float_info
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..algorithms.table import ALGORITHMS
from ..fitting.loop import STOP_REASONS
from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..scaling import Scaling
from ..types import AnyArray
from .family_parts import FAMILY_PARTS, check_family_parts
from .requiring import part, require

if TYPE_CHECKING:
    from ..estimators.contract import Estimator

_Model = TypeVar("_Model", bound="Estimator")


_SCALED = ("feature_offset_", "feature_scale_", "_standardized_centers")
"""Arrays of models whose features were standardised; all of them or none."""

_STEP_NUMBERS = {"iteration", "inertia", "center_shift", "n_changed", "n_empty", "seconds"}


def rebuild(cls: type[_Model], described: dict[str, Any], arrays: dict[str, AnyArray]) -> _Model:
    """Make the estimator of a model file.

    described : the JSON of the file: "params", "fitted" (the attributes that are not arrays), "feature_names", and "arrays",
        the names of the arrays. Older files lack "arrays". It is there because damage can hide a part of a .npz.
    arrays : "cluster_centers_", and if they exist "labels_" and the parameter "init". If the features were standardised,
        also "feature_offset_", "feature_scale_" and "_standardized_centers".
    Raises ValueError or TypeError, naming the part, if one is missing, unknown, or does not fit the others.
    """
    params, fitted, names = (part(described, name) for name in ("params", "fitted", "feature_names"))
    values, kept_arrays = cls._saved_values, cls._saved_arrays
    unknown = {*fitted} - {*values} or {*arrays} - {*kept_arrays, "init"}
    require(not unknown, "a part", f"one of {', '.join((*values, *kept_arrays, 'init'))}", *unknown)
    written = described.get("arrays", list(arrays))
    require(sorted(written) == sorted(arrays), "arrays", f"those that were written, {reprlib.repr(written)}", *arrays)
    model = _unfitted(cls, params, arrays.get("init"))
    centers = np.ascontiguousarray(part(arrays, "cluster_centers_"))
    scaled = {name: np.ascontiguousarray(arrays[name]) for name in _SCALED if name in arrays}
    _check_centers("cluster_centers_", centers)
    if scaled:
        _check_scaling(scaled, centers)
    if getattr(model, "metric", None) == "cosine":
        name = "_standardized_centers" if scaled else "cluster_centers_"
        _check_lengths(name, scaled.get(name, centers))
    n_clusters, n_features = centers.shape
    _check_values(fitted, n_clusters, n_features)
    family = {name: np.ascontiguousarray(arrays[name]) for name in FAMILY_PARTS if name in arrays}
    check_family_parts(family, centers)
    found = {**fitted, "cluster_centers_": centers, "n_clusters_": n_clusters, **scaled, **family}
    if "labels_" in arrays:
        _check_labels(arrays["labels_"], n_clusters)
        found["labels_"] = arrays["labels_"]
    if names is not None:
        _check_names(names, n_features)
        found["feature_names_in_"] = np.array(names, dtype=object)
    vars(model).update(found)
    return model


def _unfitted(cls: type[_Model], params: dict[str, Any], init: AnyArray | None) -> _Model:
    """Make an estimator of checked parameters."""
    for name, value in params.items():
        plain = value is None or isinstance(value, (bool, int, float, str))
        require(plain, name, "a number, a text or null", value)
    if init is not None:
        require(init.dtype.kind in "biuf", "init", "an array of numbers", init.dtype)
        check_finite(as_matrix(init, name="init").values, "init")
        params = {**params, "init": init}
    model = cls(**params)
    model._settings()  # which checks them
    return model


def _check_centers(name: str, centers: AnyArray) -> None:
    require(centers.dtype in (np.float32, np.float64), name, "float32 or float64", centers.dtype)
    require(centers.ndim == 2 and centers.size > 0, name, "one row per cluster", centers.shape)
    check_finite(centers, name)


def _check_lengths(name: str, centers: AnyArray) -> None:
    sq_lengths = (centers.astype(np.float64) ** 2).sum(axis=1)
    # Rounding changes a length by far less than half of the digits.
    off = np.abs(sq_lengths - 1.0) > np.sqrt(np.finfo(centers.dtype).eps)
    require(not off.any(), name, "rows of length 1, because metric='cosine'", *np.sqrt(sq_lengths[off][:1]).tolist())


def _check_scaling(scaled: dict[str, AnyArray], centers: AnyArray) -> None:
    """Check the parts of a model of standardised features, against each other and against its centers in units."""
    offset, scale, standardized = (part(scaled, name) for name in _SCALED)
    for name, values in (("feature_offset_", offset), ("feature_scale_", scale)):
        require(values.dtype == np.float64, name, "float64", values.dtype)
        rule = f"{centers.shape[1]} numbers, because the centers have so many features"
        require(values.shape == centers.shape[1:], name, rule, values.shape)
        check_finite(values, name)
    require(bool((scale > 0).all()), "feature_scale_", "above 0", *scale[~(scale > 0)].tolist())
    name = "_standardized_centers"
    _check_centers(name, standardized)
    require(standardized.dtype == centers.dtype, name, f"{centers.dtype}, like cluster_centers_", standardized.dtype)
    require(standardized.shape == centers.shape, name, f"of shape {centers.shape}", standardized.shape)
    size = np.abs(offset) + scale * np.abs(standardized.astype(np.float64))
    apart = np.abs(Scaling(offset, scale).in_units(standardized).astype(np.float64) - centers)
    off = ~(apart <= 8 * np.finfo(centers.dtype).eps * size)  # three roundings, and room for three others
    require(not off.any(), name, "cluster_centers_ in standardised units", *standardized[off].tolist())


def _check_labels(labels: AnyArray, n_clusters: int) -> None:
    require(labels.dtype == np.int32, "labels_", "int32", labels.dtype)
    require(labels.ndim == 1 and labels.size > 0, "labels_", "one label per sample", labels.shape)
    rule = f"from 0 to {n_clusters - 1}, because there are {n_clusters} centers"
    require(0 <= labels.min() and labels.max() < n_clusters, "labels_", rule, int(labels.min()), int(labels.max()))


def _check_names(names: Any, n_features: int) -> None:
    """Check feature_names_in_, which is a list in the file."""
    holds = isinstance(names, list) and all(isinstance(name, str) for name in names)
    require(holds, "feature_names", "null or a list of texts", names)
    rule = f"{n_features} different names, because the centers have {n_features} features"
    require(len(names) == len(set(names)) == n_features, "feature_names", rule, names)


def _check_values(fitted: dict[str, Any], n_clusters: int, n_features: int) -> None:
    """Check the attributes that are not arrays. Only n_features_in_ must exist, because from_centers sets few others."""
    part(fitted, "n_features_in_")
    rules = {
        "n_features_in_": (_is_exactly(n_features), f"{n_features}, the number of features of the centers"),
        "n_clusters_": (_is_exactly(n_clusters), f"{n_clusters}, the number of centers"),
        "inertia_": (_is_inertia, "a finite number >= 0"),
        "n_iter_": (_is_count, "an integer >= 0"),
        "n_steps_": (_is_count, "an integer >= 0"),
        "_n_seen": (_is_count, "an integer >= 0"),
        "history_": (_is_history, "a list of iterations with their numbers"),
        "converged_": (lambda value: isinstance(value, bool), "True or False"),
        "stop_reason_": (STOP_REASONS.__contains__, f"one of {', '.join(STOP_REASONS)}"),
        "algorithm_used_": (_is_algorithm, f"one of {', '.join(ALGORITHMS)}"),
    }
    for name, value in fitted.items():
        holds, rule = rules[name]
        require(holds(value), name, rule, value)
    if "history_" in fitted:
        n_iter = part(fitted, "n_iter_")
        n_steps = len(fitted["history_"])
        require(n_steps == n_iter, "the length of history_", f"{n_iter}, which is n_iter_", n_steps)


def _is_exactly(number: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value == number  # 3.0 and True equal integers, too


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_inertia(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= float_info.max


def _is_algorithm(value: Any) -> bool:
    return isinstance(value, str) and value in ALGORITHMS


def _is_history(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_step, value))


def _is_step(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_algorithm(entry) if name == "algorithm" else name in _STEP_NUMBERS and type(entry) in (int, float)
        for name, entry in value.items()
    )
