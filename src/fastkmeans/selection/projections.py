"""Means, variances and projections of some samples, dense or sparse."""

from __future__ import annotations

import numpy as np

from .._core.csr import CsrRows
from ..sparse import SparseSamples
from ..types import Floats, Values


def variance_of(values: Values) -> Floats:
    """Return the variance of each feature, (n_features,) float64."""
    if isinstance(values, CsrRows):
        return SparseSamples(values, None).description.variance.copy()
    variance: Floats = values.var(axis=0, dtype=np.float64)
    return variance


def mean_of(values: Values) -> Floats:
    """Return the mean of each feature, (n_features,) float64."""
    if isinstance(values, CsrRows):
        return np.bincount(values.features, values.values, values.shape[1]) / len(values)
    mean: Floats = values.mean(axis=0)
    return mean


def along(values: Values, mean: Floats, lines: Floats) -> Floats:
    """Return how far each sample lies from the mean along each line, (n_samples, n_lines).   lines : (n_lines, n_features)"""
    if not isinstance(values, CsrRows):
        projected: Floats = (values - mean) @ lines.T
        return projected
    row_of = np.repeat(np.arange(len(values)), np.diff(values.starts))
    found = np.empty((len(values), len(lines)))
    for i, line in enumerate(lines):  # one by one, because all products at once take far more memory than the samples
        found[:, i] = np.bincount(row_of, values.values * line[values.features], len(values)) - mean @ line
    return found
