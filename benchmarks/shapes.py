"""Random shapes and kinds of data, for benchmarks on arrays that nobody chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SAMPLES, FEATURES, CLUSTERS = (500, 3_000_000), (1, 2000), (2, 3000)
"""Ranges that shapes are drawn from, uniformly in their logarithms."""

MOST_VALUES = 60_000_000
"""Samples times features at most: half a gigabyte in float64."""

LEAST_WORK, MOST_WORK = 1e6, 2e10
"""Samples times features times clusters. Below, calls take longer than arithmetic; above, a scan takes hours."""


class Shape(NamedTuple):
    """One array of a scan, and the number of clusters looked for in it.

    kind : a key of KINDS.   dtype : "float32" or "float64".   seed : of its values.
    """

    kind: str
    n_samples: int
    n_features: int
    n_clusters: int
    dtype: str
    seed: int

    def make(self) -> np.ndarray:
        """Return the array, C order; the same at every call."""
        rng = np.random.default_rng(self.seed)
        values = KINDS[self.kind](rng, self.n_samples, self.n_features, self.n_clusters)
        return np.ascontiguousarray(values, dtype=self.dtype)


def _blobs(rng, n, d, k):
    centers = rng.normal(scale=8.0 / np.sqrt(d), size=(k, d)).astype(np.float32)
    return centers[rng.integers(k, size=n)] + rng.standard_normal((n, d), dtype=np.float32)


def _uniform(rng, n, d, k):
    return rng.random((n, d), dtype=np.float32)


def _heavy_tails(rng, n, d, k):
    values = rng.standard_normal((n, d), dtype=np.float32)
    return values / np.sqrt(rng.chisquare(3, size=(n, d)).astype(np.float32) / 3)


def _counts(rng, n, d, k):
    return rng.poisson(rng.gamma(0.7, 2.0, size=d), size=(n, d)).astype(np.float32)


def _categories(rng, n, d, k):
    """Columns of zeros and ones: each sample has one category of each of a few variables."""
    n_categories = min(d, 8)
    values = np.zeros((n, d), dtype=np.float32)
    rows = np.arange(n)
    for first in range(0, d, n_categories):
        width = min(n_categories, d - first)
        values[rows, first + np.minimum(rng.geometric(0.4, size=n) - 1, width - 1)] = 1.0
    return values


def _correlated(rng, n, d, k):
    """Few factors behind all features, and a little noise; features of different units."""
    rank = max(1, min(d, 5))
    values = rng.standard_normal((n, rank), dtype=np.float32) @ rng.normal(size=(rank, d)).astype(np.float32)
    values += 0.1 * rng.standard_normal((n, d), dtype=np.float32)
    return values * rng.lognormal(sigma=1.0, size=d).astype(np.float32)


def _directions(rng, n, d, k):
    """Rows of length 1 about common directions, as embeddings of texts are."""
    values = _blobs(rng, n, d, k) * (np.arange(1, d + 1, dtype=np.float32) ** -0.3)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _skewed(rng, n, d, k):
    return np.exp(rng.standard_normal((n, d), dtype=np.float32))


KINDS: dict[str, Callable[..., np.ndarray]] = {
    "blobs": _blobs,
    "uniform": _uniform,
    "heavy tails": _heavy_tails,
    "counts": _counts,
    "categories": _categories,
    "correlated": _correlated,
    "directions": _directions,
    "skewed": _skewed,
}
"""Kinds of data by name: function (rng, n_samples, n_features, n_clusters) -> array."""


def draw_shapes(count: int, seed: int) -> list[Shape]:
    """Draw shapes within the limits above; the kinds and dtypes take turns."""
    rng = np.random.default_rng(seed)
    shapes: list[Shape] = []
    while len(shapes) < count:
        n, d, k = (
            round(float(np.exp(rng.uniform(np.log(least), np.log(most + 1)))))
            for least, most in (SAMPLES, FEATURES, CLUSTERS)
        )
        if 4 * k > n or n * d > MOST_VALUES or not LEAST_WORK <= float(n) * d * k <= MOST_WORK:
            continue
        number = len(shapes)
        kind = list(KINDS)[number % len(KINDS)]
        dtype = ("float32", "float64")[number // len(KINDS) % 2]
        shapes.append(Shape(kind, n, d, k, dtype, seed=int(rng.integers(2**31))))
    return shapes
