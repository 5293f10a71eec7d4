"""Checks the samples and labels that users pass, and numbers the labels from 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.csr import CsrRows
from ..input.finite import check_finite
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_n_threads, check_name
from ..input.sparse import check_stored
from ..metrics.table import METRICS
from ..types import AnyArray, Indices, Labels, Values


def checked_clustering(
    X: Any, labels: Any, metric: str, n_threads: int | None, *, at_least: int = 2
) -> tuple[Values, Labels]:
    """Return X as a matrix, and the labels as int32 from 0 to n_clusters - 1.

    at_least : least number of clusters. If it is 2 or more, there must also be fewer clusters than samples.
    Raises TypeError or ValueError for a wrong argument.
    """
    check_name("metric", metric, tuple(METRICS))
    check_n_threads("n_threads", n_threads)
    matrix = samples_of(X, metric)
    codes = encode_labels(_as_label_array(labels, len(matrix.values)))
    check_n_labels(codes, at_least)
    return matrix.values, codes


def samples_of(X: Any, metric: str) -> Matrix:
    """Return X, checked; sparse rows if it is sparse.   Raises ValueError for a metric that reads no sparse rows."""
    matrix = as_matrix(X, sparse=True)
    if not isinstance(matrix.values, CsrRows):
        check_finite(matrix.values, "X", matrix.feature_names)
        return matrix
    if metric == "manhattan":
        raise ValueError(
            "metric must be 'euclidean' or 'cosine' for sparse X, because Manhattan distances read all features; got "
            "'manhattan'. Pass X.toarray() if it fits into memory."
        )
    check_stored(matrix.values, "X")
    return matrix


def encode_labels(labels: AnyArray) -> Labels:
    """Return the labels as int32 from 0 to n_clusters - 1, in their sorted order."""
    if labels.dtype.kind in "iu":
        least, largest = int(labels.min()), int(labels.max())
        if largest - least < 4 * len(labels) and -(1 << 62) < least and largest < 1 << 62:
            above = labels.astype(np.int64) - least
            return (np.cumsum(np.bincount(above) > 0) - 1)[above].astype(np.int32)
    try:
        return np.unique(labels, return_inverse=True)[1].astype(np.int32)
    except TypeError as error:
        raise TypeError(
            f"labels must be values of one type that can be sorted, none of them missing ({error}). Encode them as integers."
        ) from error


def check_n_labels(codes: Labels, at_least: int) -> None:
    n_labels = int(codes.max()) + 1
    if at_least > 1 and not at_least <= n_labels < len(codes):
        raise ValueError(
            f"Number of labels is {n_labels}. Valid values are 2 to n_samples - 1 (inclusive), and n_samples is "
            f"{len(codes)}. Pass labels with at least two clusters, of which at least one has two samples."
        )


def rows_of_centers(labels: Any, n_samples: int, n_centers: int) -> Indices:
    """Return labels as int64 indices of rows of the centers."""
    array = _as_label_array(labels, n_samples)
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers, indices of rows of centers; got dtype {array.dtype}. Pass a model's labels_."
        )
    for label in (array.min(), array.max()):
        if not 0 <= label < n_centers:
            raise ValueError(
                f"labels must be indices of rows of centers, from 0 to {n_centers - 1}; got {label}. "
                "Pass labels_ and cluster_centers_ of one model."
            )
    return array.astype(np.int64)


def _as_label_array(labels: Any, n_samples: int) -> AnyArray:
    """Return labels as an array of shape (n_samples,)."""
    array = np.asarray(labels)
    if array.shape != (n_samples,):
        raise ValueError(
            f"labels must hold one label per sample, shape ({n_samples},); got shape {array.shape}. "
            "Pass the labels_ of a model fitted on this X, or model.predict(X)."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        i = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"labels must not be missing or infinite; got {array[i]} for row {i}. Leave that row out.")
    return array
