"""What tests of Dask share: data, and fits in memory and of collections that must have the same bits."""

from __future__ import annotations

from contextlib import contextmanager

import dask.array as da
import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans.fitting import coarse, search


@contextmanager
def small_search():
    """Large fits, made small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SEARCH_SAMPLES", 64)
        patch.setattr(coarse, "LEAST_WORK", 0)
        for module in (search, coarse):
            patch.setattr(module, "ROWS_A_CLUSTER", 2)
        yield


def samples_of(rng, n_samples=5000, n_features=4, real="float64"):
    X = rng.normal(scale=5.0, size=(7, n_features))[rng.integers(7, size=n_samples)]
    return (X + rng.normal(size=X.shape)).astype(real)


def chunks_of(rng, n_samples, n_parts):
    """Uneven lengths of partitions, some 0."""
    ends = np.sort(rng.integers(n_samples + 1, size=n_parts - 1))
    return tuple(np.diff([0, *ends.tolist(), n_samples]).tolist())


def assert_same_bits(found, expected, labels=True):
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert found.cluster_centers_.dtype == expected.cluster_centers_.dtype
    assert found.inertia_ == expected.inertia_
    assert found.n_iter_ == expected.n_iter_ and found.stop_reason_ == expected.stop_reason_
    for name in ["inertia", "center_shift", "n_changed", "n_empty"]:
        assert [entry[name] for entry in found.history_] == [entry[name] for entry in expected.history_], name
    if labels:
        np.testing.assert_array_equal(found.labels_.compute(), expected.labels_)


def check_one(seed, n_parts, labels=True):
    rng = np.random.default_rng(seed)
    n_samples = int(rng.choice([1, 300, 1024, 3500, 5000]))
    X = samples_of(rng, n_samples, int(rng.choice([1, 3, 20])), str(rng.choice(["float32", "float64"])))
    weights = [
        None,
        rng.uniform(size=n_samples),
        rng.integers(0, 3, size=n_samples) + 1.0 * (np.arange(n_samples) == 0),
    ]
    weights = weights[int(rng.integers(3))]
    k = int(rng.integers(1, min(n_samples, 9) + 1))
    params = {
        "init": ["auto", "k-means++", "random", X[rng.integers(n_samples, size=k)]][int(rng.integers(4))],
        "metric": str(rng.choice(["euclidean", "cosine"])), "tol": float(rng.choice([0.0, 1e-4])),
        "max_iter": int(rng.choice([1, 20])), "n_init": 1, "random_state": seed,
    }  # fmt: skip
    lazy = da.from_array(X, chunks=(chunks_of(rng, n_samples, n_parts), X.shape[1]))
    with small_search():
        expected = KMeans(k, **params).fit(X, sample_weight=weights)
        found = KMeans(k, **params).fit(lazy, sample_weight=weights)
    assert_same_bits(found, expected, labels)
    return found, lazy, weights
