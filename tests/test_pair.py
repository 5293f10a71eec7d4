"""Laws of the algorithm for two clusters, in runs and step by step."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastkmeans import KMeans
from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.pair import PairState
from fastkmeans._core.runtime import isas, use_isa


def states(X, weights, n_threads):
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    arguments = (X, weights, max_abs, 1.0 if weights is None else float(weights.max()), 2)
    return PairState(*arguments, n_threads), LloydState(*arguments, 1)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_step_has_the_bits_of_lloyds(rng, real, offset, weighted):
    """Also after jumps, and with values on a grid, where many samples are as near to one center as to the other."""
    for n_threads in (1, 3):
        n_samples, n_features = int(rng.integers(2, 4000)), int(rng.integers(1, 70))
        X = (rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.integers(-3, 4) + offset).astype(real)
        X = np.round(X) if n_threads == 3 else X
        weights = rng.random(n_samples) if weighted else None
        pair, lloyd = states(X, weights, n_threads)
        centers, terms = X[rng.choice(n_samples, 2, replace=False)].astype(np.float64), np.empty((2, 4))
        for _ in range(25):
            assert pair.step(centers) == lloyd.step(centers)
            assert pair.clusters.labels.tobytes() == lloyd.clusters.labels.tobytes()
            assert pair.clusters.sums.tobytes() == lloyd.clusters.sums.tobytes()
            moved = np.empty_like(centers)
            lloyd.clusters.move(centers, np.zeros(n_features), moved, terms)
            if rng.random() < 0.1:
                moved += rng.normal(size=moved.shape) * X.std(axis=0)
            centers = moved.astype(real).astype(np.float64)


def test_late_steps_read_few_samples(blobs, real):
    X, _ = blobs(20_000, 8, 2, real, std=1.0)
    pair, lloyd = states(X, None, 1)
    centers, terms = X[:2].astype(np.float64), np.empty((2, 4))
    for _ in range(12):
        pair.step(centers)
        moved = np.empty_like(centers)
        pair.clusters.move(centers, np.zeros(8), moved, terms)
        centers = moved
    pair.step(centers)
    assert pair.n_read == 0
    assert pair.n_decided < len(X) / 20


def test_a_border_that_goes_on_turning_as_before_asks_for_no_reading(rng, real):
    """Two places of the border tell the plane that it turns in; only a turn out of it makes blocks be read."""
    X = rng.normal(size=(5000, 8)).astype(real)
    axes = np.linalg.qr(rng.normal(size=(8, 2)))[0].T
    pair, lloyd = states(X, None, 1)
    for step, angle in enumerate([0.0, 0.5, 0.7, 1.2, 2.5, 4.0]):
        half = np.cos(angle) * axes[0] + np.sin(angle) * axes[1]
        centers = np.array([-half, half])
        assert pair.step(centers) == lloyd.step(centers)
        assert pair.clusters.labels.tobytes() == lloyd.clusters.labels.tobytes()
        assert (pair.n_read > 0) == (step < 2)
    pair.step(np.array([X[0], X[1]], dtype=np.float64))
    assert pair.n_read > 0


def test_equal_centers_give_all_samples_to_the_first(real):
    X = np.ones((50, 6), dtype=real)
    pair, _ = states(X, None, 1)
    pair.step(np.zeros((2, 6)))
    assert not pair.clusters.labels.any()


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e140])
def test_float64_samples_beyond_float32(rng, scale):
    X = rng.normal(size=(300, 7)) * scale
    X[0] *= 1e6
    centers = X[1:3].copy()
    pair, _ = states(X, None, 2)
    for shift in (0.0, 1e-3, 0.5):
        moved = centers + shift * scale
        pair.step(moved)
        np.testing.assert_array_equal(pair.clusters.labels, reference.nearest(X, moved))


def test_it_is_what_auto_takes_for_two_clusters(blobs, real):
    X, _ = blobs(3000, 6, 2, real)
    model = KMeans(2, random_state=0).fit(X)
    assert model.algorithm_used_ == "pair"
    with_lloyd = KMeans(2, random_state=0, algorithm="lloyd").fit(X)
    assert model.cluster_centers_.tobytes() == with_lloyd.cluster_centers_.tobytes()


def test_all_instruction_sets_agree(rng, real):
    X = rng.normal(size=(2000, 9)).astype(real)
    found = []
    before = isas()[0]
    try:
        for isa in isas():
            use_isa(isa)
            pair, _ = states(X, None, 1)
            labels = []
            for step in range(5):
                pair.step(X[:2].astype(np.float64) + 0.01 * step)
                labels.append(pair.clusters.labels.copy())
            found.append(np.concatenate(labels))
    finally:
        use_isa(before)
    assert all((labels == found[0]).all() for labels in found)
