"""Checks the arrays that only models of MiniBatchKMeans and BisectingKMeans have."""

from __future__ import annotations

import numpy as np

from ..input.finite import check_finite
from ..types import AnyArray
from .requiring import part, require

MEANS = ("counts_", "_running_means")
TREE = ("_tree_centers", "_tree_children")
FAMILY_PARTS = (*MEANS, *TREE)


def check_family_parts(arrays: dict[str, AnyArray], centers: AnyArray) -> None:
    """Raise ValueError, naming the array, if one does not fit the centers or the others.

    arrays : those of FAMILY_PARTS that the file has: both of a pair, or none.
    """
    if arrays.keys() & set(MEANS):
        _check_means(part(arrays, "counts_"), part(arrays, "_running_means"), centers)
    if arrays.keys() & set(TREE):
        _check_tree(part(arrays, "_tree_centers"), part(arrays, "_tree_children"), centers)


def _check_means(counts: AnyArray, means: AnyArray, centers: AnyArray) -> None:
    for name, values, shape in (("counts_", counts, centers.shape[:1]), ("_running_means", means, centers.shape)):
        require(values.dtype == np.float64, name, "float64", values.dtype)
        require(values.shape == shape, name, f"of shape {shape}, because of the centers", values.shape)
        check_finite(values, name)
    require(bool((counts >= 0).all()), "counts_", "0 or more", *counts[counts < 0].tolist())
    with np.errstate(over="ignore"):
        off = means.astype(centers.dtype) != centers
    require(not off.any(), "_running_means", "cluster_centers_, before they were rounded", *means[off].tolist())


def _check_tree(centers_of_splits: AnyArray, children: AnyArray, centers: AnyArray) -> None:
    n_splits = len(centers) - 1
    name, shape = "_tree_centers", (2 * n_splits, centers.shape[1])
    require(
        centers_of_splits.dtype == centers.dtype, name, f"{centers.dtype}, like the centers", centers_of_splits.dtype
    )
    require(centers_of_splits.shape == shape, name, f"of shape {shape}", centers_of_splits.shape)
    check_finite(centers_of_splits, name)
    name = "_tree_children"
    require(children.dtype == np.int32, name, "int32", children.dtype)
    require(children.shape == (n_splits, 2), name, f"of shape {(n_splits, 2)}", children.shape)
    found = np.sort(children.ravel()).tolist()
    rule = "each split but the first, and each label, once"
    require(found == ([*range(-len(centers), 0), *range(1, n_splits)] if n_splits else []), name, rule, *found)
    parents = np.repeat(np.arange(n_splits), 2)
    late = (children.ravel() >= 0) & (children.ravel() <= parents)
    require(not late.any(), name, "splits that stand before those below them", *children.ravel()[late].tolist())
