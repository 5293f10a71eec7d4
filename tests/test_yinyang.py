"""Yinyang: its bounds hold whatever the data, its labels and sums are Lloyd's in every step, and it skips work."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastkmeans import kmeans_plusplus
from fastkmeans._core import runtime
from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.yinyang import YinyangState
from fastkmeans.algorithms.quantizing import QuantizedCopies


def make_state(state, X, n_clusters, weights=None, n_threads=1):
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    max_weight = 1.0 if weights is None else weights.max()
    copies = [QuantizedCopies(X, n_threads)] if state is YinyangState else []
    return state(X, weights, max_abs, max_weight, n_clusters, n_threads, *copies)


def moved(state, centers):
    """The centers that the sums of a state ask for."""
    out, terms = np.empty_like(centers), np.empty((len(centers), 4))
    state.clusters.move(centers, np.zeros(centers.shape[1]), out, terms)
    return out


def check_steps(X, centers, n_steps, *, weights=None, n_threads=1, insist=False, at_step=None):
    """Both states step by step; returns the Yinyang state and the pairs that it scored in each step."""
    dense = make_state(LloydState, X, len(centers), weights)
    state = make_state(YinyangState, X, len(centers), weights, n_threads)
    if insist:
        state.insist()
    centers = centers.astype(np.float64)
    n_scored = []
    for step in range(n_steps):
        assert state.step(centers) == dense.step(centers), step
        np.testing.assert_array_equal(state.clusters.labels, dense.clusters.labels)
        assert state.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
        n_scored.append(state.n_scored)
        if at_step:
            at_step(state, centers)
        centers = moved(state, centers)
    return state, n_scored


def check_bounds(state, X, centers):
    """Upper bounds against the own center, lower bounds against the other centers of each group."""
    if state.bounds() is None:
        return
    upper, lower, group_of = state.bounds()
    distances = np.sqrt(reference.sq_distances(X, centers))
    rows = np.arange(len(X))
    tiny = 1e-12 * distances.max(axis=1)
    assert (upper >= distances[rows, state.clusters.labels] - tiny).all()
    distances[rows, state.clusters.labels] = np.inf
    for g in range(lower.shape[1]):
        assert (lower[:, g] <= distances[:, group_of == g].min(axis=1) + tiny).all(), g


def heavy_tail(rng, n_samples):
    X = rng.normal(size=(n_samples, 9))
    X[::97] *= 1e9
    return X


ADVERSARIAL = {  # name -> maker of X in float64
    "blobs": lambda rng, n: rng.normal(size=(40, 6))[rng.integers(40, size=n)] * 5 + rng.normal(size=(n, 6)),
    "duplicated rows": lambda rng, n: np.tile(rng.normal(size=(60, 5)), (n // 60 + 1, 1))[:n],
    "integer grid": lambda rng, n: rng.integers(0, 4, size=(n, 4)).astype(float),
    "one feature": lambda rng, n: rng.normal(size=(n, 1)),
    "far from the origin": lambda rng, n: rng.normal(size=(n, 20)) + 1e5,
    "heavy tail": heavy_tail,
    "mixed feature scales": lambda rng, n: rng.normal(size=(n, 13)) * 10.0 ** np.linspace(-6, 6, 13),
    "huge": lambda rng, n: rng.normal(size=(n, 10)) * 1e30,
    "tiny": lambda rng, n: rng.normal(size=(n, 10)) * 1e-36,
    "all rows equal": lambda rng, n: np.full((n, 3), 0.1),
    "wide": lambda rng, n: rng.normal(size=(n, 150)),
}


@pytest.mark.parametrize("n_clusters", [1, 2, 30, 130])
@pytest.mark.parametrize("data", ADVERSARIAL)
def test_bounds_hold_and_labels_are_lloyds_on_adversarial_data(data, n_clusters, real, rng):
    X = ADVERSARIAL[data](rng, 1500).astype(real)
    centers = X[rng.choice(len(X), n_clusters, replace=False)]
    check_steps(X, centers, 8, insist=True, at_step=lambda state, c: check_bounds(state, X, c))


@pytest.mark.parametrize("n_features", [9, 20, 37])
@pytest.mark.parametrize("data", ["blobs", "ties", "offset", "tail"])
def test_bounds_that_begin_from_quantized_samples_hold(data, n_features, isa, blobs, real, rng):
    """The first step quantizes; then bounds are insisted on, and begin from whole numbers."""
    X, _ = blobs(3000, n_features, 40, real, std=2.0)
    if data == "ties":
        X[::7] = np.round(X[::7])  # and centers among them
    elif data == "offset":
        X += real.type(1e4)
    elif data == "tail":
        X[::50] *= 3
    centers = X[rng.choice(len(X), 130, replace=False)].astype(np.float64)
    dense, state = make_state(LloydState, X, 130), make_state(YinyangState, X, 130, n_threads=2)
    for step in range(5):
        assert state.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(state.clusters.labels, dense.clusters.labels)
        assert state.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
        check_bounds(state, X, centers)
        assert (state.bounds() is not None) == (step > 0)
        if step == 0:
            assert state.begins_from_quantized
            state.insist()
        centers = moved(state, centers)


@pytest.mark.parametrize("isa", runtime.isas())
def test_every_instruction_set_steps_as_lloyd(isa, blobs, real, rng):
    before = runtime.isa()
    runtime.use_isa(isa)
    try:
        for n_samples, n_features, n_clusters in [(1, 3, 1), (33, 17, 7), (1025, 4, 15), (5000, 20, 100)]:
            X, _ = blobs(n_samples, n_features, min(n_samples, 20), real, std=3.0)
            centers = X[rng.integers(n_samples, size=n_clusters)]
            check_steps(X, centers, 6, insist=True, at_step=lambda state, c, X=X: check_bounds(state, X, c))
    finally:
        runtime.use_isa(before)


@pytest.mark.parametrize("start", ["random", "k-means++"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_samples, n_features, n_clusters, std", [(30000, 12, 120, 2.0), (9000, 40, 300, 3.0)])
def test_a_whole_fit_has_the_bits_of_lloyds(
    n_samples, n_features, n_clusters, std, weighted, start, blobs, real, rng, seed
):
    X, _ = blobs(n_samples, n_features, n_clusters, real, std=std)
    centers = X[:n_clusters] if start == "random" else kmeans_plusplus(X, n_clusters, random_state=seed)[0]
    weights = rng.uniform(size=n_samples) if weighted else None
    _, n_scored = check_steps(X, centers, 25, weights=weights, n_threads=3)
    # It really skips work: most of it, once the centers have settled.
    assert n_scored[0] == n_samples * n_clusters
    assert n_scored[-1] < 0.3 * n_samples * n_clusters


def test_the_work_is_the_same_for_any_number_of_threads(blobs, real):
    X, _ = blobs(30000, 16, 200, real, std=2.0)
    counts = [check_steps(X, X[:200], 12, n_threads=n_threads)[1] for n_threads in (1, 2, 5)]
    assert counts[0] == counts[1] == counts[2]


def test_noise_is_left_to_lloyd(rng, real):
    """Where bounds never pay, only the probe is spent: every step scores everything, none keeps bounds."""
    X = rng.normal(size=(20000, 12)).astype(real)
    state, n_scored = check_steps(X, X[:60], 6)
    assert n_scored == [20000 * 60] * 6
    assert state.bounds() is None


def test_centers_may_jump_between_steps(blobs, real, rng):
    """Refilled clusters, other starts, other scales: bounds follow or begin anew."""
    X, _ = blobs(6000, 10, 60, real, std=2.0)
    dense, state = make_state(LloydState, X, 60), make_state(YinyangState, X, 60)
    state.insist()
    centers = X[:60].astype(np.float64)
    for step in range(24):
        assert state.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(state.clusters.labels, dense.clusters.labels)
        check_bounds(state, X, centers)
        centers = moved(state, centers)
        if step % 3 == 1:
            centers[rng.integers(60, size=4)] = X[rng.integers(6000, size=4)]
        if step in (8, 16):
            centers = centers * (1e9 if step == 8 else 1e-9)


def test_centers_of_another_shape_are_refused(rng):
    state = make_state(YinyangState, rng.normal(size=(50, 3)), 4)
    with pytest.raises(ValueError, match=r"centers must have shape \(4, 3\); got \(5, 3\)"):
        state.step(np.zeros((5, 3)))
