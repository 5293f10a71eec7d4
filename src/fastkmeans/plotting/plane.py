"""Samples of any number of features, in the two dimensions of a picture, and the part of them that it frames."""

from __future__ import annotations

import numpy as np

from ..types import Floats, Mask

PLANE_SAMPLES = 2_000
"""So many samples decide the principal plane; its directions need no more to be stable to the eye."""

CORE = (0.05, 0.95)
"""Quantiles of a feature between which its core is."""

LEAST_SAMPLES = 10
"""Fewer samples do not tell what is usual."""

FENCE = 3.0
"""A value farther from the core than so many of its lengths is an extreme outlier. Of a normal feature, none of 1e30
samples is; of an exponential one, 1 of 137 000; of a lognormal one (sigma 1), 1 of 748."""


def flatten(samples: Floats, stars: Floats, names: list[str], words: str) -> tuple[Floats, Floats, list[str]]:
    """Return the samples and the centers in the two dimensions of the picture, and a name for each.

    words : what the name of a principal axis ends with.
    """
    n_features = samples.shape[1]
    if n_features == 1:
        heights = np.random.default_rng(0).uniform(-1, 1, size=(len(samples), 1))
        level = np.zeros_like(stars)
        return np.hstack([samples, heights]), np.hstack([stars, level]), [names[0], "random height"]
    if n_features == 2:
        return samples, stars, names
    # A single extreme outlier would turn the plane towards itself.
    inner = samples[ordinary(samples)]
    without = " without outliers" if len(inner) < len(samples) else ""
    mean = inner.mean(axis=0)
    # Evenly spaced, because the first samples of a sorted table are all alike.
    axes, shares = _principal_plane(inner[:: -(-len(inner) // PLANE_SAMPLES)] - mean)
    percent = 100 * shares
    axis_names = [f"principal axis {a + 1} ({percent[a]:.0f} % of variance{without}){words}" for a in range(2)]
    return (samples - mean) @ axes, (stars - mean) @ axes, axis_names


def ordinary(values: Floats) -> Mask:
    """Return which rows have no extreme outlier in any column; all, if they are few or less than half would be left."""
    inside: Mask = np.ones(len(values), dtype=bool)
    if len(values) < LEAST_SAMPLES:
        return inside
    for low, high, column in zip(*fences(values), values.T, strict=True):
        inside &= (low <= column) & (column <= high)
    return inside if 2 * np.count_nonzero(inside) >= len(values) else np.ones(len(values), dtype=bool)


def fences(values: Floats) -> tuple[Floats, Floats]:
    """Return the smallest and the largest value of each column that is no extreme outlier."""
    low = np.quantile(values, CORE[0], axis=0, method="higher")
    high = np.quantile(values, CORE[1], axis=0, method="lower")
    # A feature that is constant but for a few samples has no scale to call them outliers by.
    reach = np.where(high > low, FENCE * (high - low), np.inf)
    return low - reach, high + reach


def padded(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the ends of axes that show values from low to high, with a margin."""
    margin = 0.06 * np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return low - margin, high + margin


def _principal_plane(centered: Floats) -> tuple[Floats, Floats]:
    """Return the two leading principal axes, (n_features, 2), and their shares of the variance."""
    n_samples, n_features = centered.shape
    wide = n_features > n_samples
    # Both products have the same leading eigenvalues; the smaller one is much quicker than an SVD.
    values, vectors = np.linalg.eigh(centered @ centered.T if wide else centered.T @ centered)
    leading = np.maximum(values[::-1][:2], 0)
    vectors = vectors[:, ::-1][:, :2]
    if wide:
        vectors = centered.T @ vectors / np.sqrt(np.where(leading > 0, leading, 1))
    axes, shares = np.zeros((n_features, 2)), np.zeros(2)
    axes[:, : vectors.shape[1]] = vectors  # a single sample has one axis only
    shares[: len(leading)] = leading / max(values.sum(), np.finfo(float).tiny)
    # An axis may point either way; its largest component is made positive so that a picture does not flip.
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.where(axes[largest, [0, 1]] < 0, -1, 1), shares
