"""Samples of any number of features, in the two dimensions of a picture."""

from __future__ import annotations

import numpy as np

from ..types import Floats

PLANE_SAMPLES = 2_000
"""So many samples decide the principal plane; its directions need no more to be stable to the eye."""


def flatten(samples: Floats, stars: Floats, names: list[str]) -> tuple[Floats, Floats, list[str]]:
    """Return the samples and the centers in the two dimensions of the picture, and a name for each."""
    n_features = samples.shape[1]
    if n_features == 1:
        heights = np.random.default_rng(0).uniform(-1, 1, size=(len(samples), 1))
        level = np.zeros_like(stars)
        return np.hstack([samples, heights]), np.hstack([stars, level]), [names[0], "random height"]
    if n_features == 2:
        return samples, stars, names
    mean = samples.mean(axis=0)
    # Evenly spaced, because the first samples of a sorted table are all alike.
    axes, shares = _principal_plane(samples[:: -(-len(samples) // PLANE_SAMPLES)] - mean)
    percent = 100 * shares
    axis_names = [f"principal axis {a + 1} ({percent[a]:.0f} % of variance)" for a in range(2)]
    return (samples - mean) @ axes, (stars - mean) @ axes, axis_names


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
