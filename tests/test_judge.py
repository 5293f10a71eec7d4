"""The pass of a sweep's criteria over the samples: its sums are those of the slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastkmeans._core import silhouette


def judged(X, labels, weights, centers, means, block, n_threads=1):
    sums = np.empty((-(-len(X) // block), 1 + len(centers)))
    eights = np.empty((len(X) + 7) // 8 * 8 * X.shape[1])
    silhouette.lay_eights(X, np.arange(len(X)), eights, n_threads)
    silhouette.judge_blocks(X, eights, labels, weights, centers, means, block, sums, n_threads)
    return sums


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(
    "n_samples, n_features, n_clusters", [(1, 1, 2), (7, 3, 3), (64, 5, 4), (515, 20, 9), (90, 64, 17)]
)
def test_sums_are_those_of_the_slow_twin(n_samples, n_features, n_clusters, is_weighted, isa, real, rng):
    X = rng.normal(size=(n_samples, n_features)).astype(real)
    centers = rng.normal(size=(n_clusters, n_features))
    means = centers + 0.1 * rng.normal(size=centers.shape)
    labels = rng.integers(n_clusters, size=n_samples).astype(np.int32)  # nearest or not
    weights = rng.uniform(size=n_samples) if is_weighted else None
    each = np.ones(n_samples) if weights is None else weights
    sums = judged(X, labels, weights, centers, means, 96).sum(axis=0)
    silhouettes = reference.simplified_silhouette_samples(X, labels, centers, "euclidean")
    assert sums[0] == pytest.approx((each * silhouettes).sum(), rel=1e-12, abs=1e-12)
    about = np.sqrt(((X.astype(np.float64) - means[labels]) ** 2).sum(axis=1))
    np.testing.assert_allclose(sums[1:], np.bincount(labels, each * about, n_clusters), rtol=1e-12)


def test_a_sample_on_both_centers_counts_nothing(real):
    X = np.ones((9, 2), dtype=real)
    sums = judged(X, np.zeros(9, dtype=np.int32), None, np.ones((2, 2)), np.ones((2, 2)), 8)
    np.testing.assert_array_equal(sums, 0.0)


def test_threads_change_no_bit(rng, real):
    X = rng.normal(size=(3000, 6)).astype(real)
    labels = rng.integers(5, size=3000).astype(np.int32)
    centers = rng.normal(size=(5, 6))
    trails = [judged(X, labels, None, centers, centers, 128, n_threads).tobytes() for n_threads in (1, 2, 7)]
    assert trails[0] == trails[1] == trails[2]


def test_shapes_that_do_not_fit_are_refused(rng):
    X, labels = rng.normal(size=(10, 3)), np.zeros(10, dtype=np.int32)
    for centers, means in ((np.zeros((1, 3)), np.zeros((1, 3))), (np.zeros((2, 3)), np.zeros((2, 4)))):
        with pytest.raises(ValueError, match="do not fit together"):
            judged(X, labels, None, centers, means, 8)
