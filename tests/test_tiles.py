"""The tile filter: boxes that exclude no center wrongly, tiles that are not looked at, and Lloyd's bits throughout."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans._core import lloyd, tiles
from fastkmeans.fitting.seeding import initial_centers
from fastkmeans.samples import Samples, describe


@pytest.fixture(autouse=True)
def always_tiled(monkeypatch):
    """Tiles are kept even where they do not pay, or small data would test the keeper instead."""
    monkeypatch.setattr(tiles, "WORTH", np.inf)


def new_state(State, X, n_clusters, n_threads=2, sample_weight=None):
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    max_weight = 1.0 if sample_weight is None else sample_weight.max()
    return State(X, sample_weight, max_abs, max_weight, n_clusters, n_threads)


def moved_centers(state, centers):
    moved, terms = np.empty_like(centers), np.empty((len(centers), 4))
    state.clusters.move(centers, centers.mean(axis=0), moved, terms)
    return moved


def check_walk(X, centers, n_steps, n_threads=2, sample_weight=None):
    """Step by step: labels, counts of changes, sums and centers are those of Lloyd's state, bit for bit."""
    dense = new_state(lloyd.LloydState, X, len(centers), 1, sample_weight)
    tiled = new_state(tiles.TilesState, X, len(centers), n_threads, sample_weight)
    centers = centers.astype(np.float64)
    for step in range(n_steps):
        assert dense.step(centers) == tiled.step(centers), f"{step=}"
        if step % 3 == 0:
            np.testing.assert_array_equal(tiled.clusters.labels, dense.clusters.labels, err_msg=f"{step=}")
        assert tiled.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
        moved = moved_centers(dense, centers)
        assert moved_centers(tiled, centers).tobytes() == moved.tobytes()
        centers = moved
    np.testing.assert_array_equal(tiled.clusters.labels, dense.clusters.labels)
    return tiled


def pixels(rng):
    """Colours of 64 levels: many equal rows, many ties."""
    walk = rng.normal(size=(20000, 3)).cumsum(axis=0)
    return np.floor((walk - walk.min(axis=0)) / np.ptp(walk, axis=0) * 63) / 63


def towns(rng):
    """Places of very different density, like those where people live."""
    return np.repeat(rng.normal(size=(40, 2)) * 50, 400, axis=0) + rng.standard_cauchy(size=(16000, 2)).clip(-1e3, 1e3)


DATA = {  # name -> maker of X in float64
    "blobs": lambda rng: rng.uniform(-9, 9, size=(8, 2))[rng.integers(8, size=12345)] + rng.normal(size=(12345, 2)),
    "pixels": pixels,
    "towns": towns,
    "one feature": lambda rng: rng.normal(size=(9000, 1)),
    "uniform": lambda rng: rng.uniform(size=(9001, 4)),
    "one huge row": lambda rng: rng.normal(size=(5000, 3)) * np.where(np.arange(5000) == 77, 1e12, 1.0)[:, None],
    "constant columns": lambda rng: np.c_[np.full(4000, 1e3), rng.normal(size=(4000, 2)), np.full(4000, -0.1)],
    "all rows equal": lambda rng: np.full((3000, 2), 0.1),
    "far away": lambda rng: 1e6 + rng.normal(size=(6000, 2)),
    "mixed scales": lambda rng: rng.normal(size=(4000, 7)) * 10.0 ** np.linspace(-6, 6, 7),
    "sixteen features": lambda rng: (
        rng.normal(scale=5, size=(30, 16))[rng.integers(30, size=5000)] + rng.normal(size=(5000, 16))
    ),
}


# ---------------------------------------------------------------- Lloyd's bits


@pytest.mark.parametrize("init", ["random", "k-means++"])
@pytest.mark.parametrize("n_clusters", [2, 9, 70])  # cells alone, and cells that are split
@pytest.mark.parametrize("data", DATA)
def test_whole_fits_walk_with_lloyd(data, n_clusters, init, real, rng, seed):
    X = np.ascontiguousarray(DATA[data](rng).astype(real))
    centers = initial_centers(init, Samples(X, None, describe(X, 1)), n_clusters, np.random.RandomState(seed), 2)
    assert check_walk(X, centers, 12).is_tiled


@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5, 8, 9, 12, 16])
@pytest.mark.parametrize("n_clusters", [3, 33])
def test_every_instruction_set_walks_with_lloyd(n_features, n_clusters, isa, real, rng):
    for n_samples in [256, 257, 2047, 2049, 5003]:
        X = rng.normal(size=(n_samples, n_features)).astype(real)
        check_walk(X, X[:n_clusters], 4, n_threads=3)


@pytest.mark.parametrize("n_clusters", [5, 60])
def test_weights_walk_with_lloyd(n_clusters, real, rng):
    X = towns(rng).astype(real)
    weights = rng.uniform(size=len(X)) * (rng.uniform(size=len(X)) < 0.8)
    check_walk(X, X[rng.integers(len(X), size=n_clusters)], 12, sample_weight=weights)


def test_centers_that_jump_walk_with_lloyd(real, rng):
    """Owners change, tiles become mixed and whole again, centers leave and come back."""
    X = rng.normal(size=(20000, 2)).astype(real)
    dense, tiled = (new_state(State, X, 30) for State in (lloyd.LloydState, tiles.TilesState))
    for scale in [1.0, 0.01, 1e6, 3.0, 0.0, 1.0, 30.0]:
        centers = (rng.normal(size=(30, 2)) * scale).astype(real).astype(np.float64)
        assert tiled.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(tiled.clusters.labels, dense.clusters.labels)
        assert tiled.clusters.sums.tobytes() == dense.clusters.sums.tobytes()


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_clusters", [6, 50])
def test_any_number_of_threads_does_the_same_work(n_threads, n_clusters, rng):
    X = towns(rng)
    one, many = (new_state(tiles.TilesState, X, n_clusters, threads) for threads in (1, n_threads))
    for _ in range(4):
        centers = X[rng.integers(len(X), size=n_clusters)]
        assert one.step(centers) == many.step(centers)
        for name in ["n_decided", "n_tested", "n_mixed", "n_scored"]:
            assert getattr(one, name) == getattr(many, name)
        np.testing.assert_array_equal(one.clusters.labels, many.clusters.labels)
        assert one.clusters.sums.tobytes() == many.clusters.sums.tobytes()


# ---------------------------------------------------------------- no center is excluded wrongly


def labels_of(X, centers):
    state = new_state(tiles.TilesState, X, len(centers))
    state.step(np.ascontiguousarray(centers, np.float64))
    assert state.is_tiled
    return state.clusters.labels


@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 6, 12])
def test_rows_halfway_between_two_centers_stay_undecided_until_float64(n_features, real, rng):
    """Whole tiles sit on bisectors, tilted by as little as the last bits."""
    C = rng.normal(size=(20, n_features)).astype(real)
    wide = C.astype(np.float64)
    a, b = rng.integers(20, size=(2, 60)).repeat(64, axis=1)
    lean = rng.choice([-1, 0, 1], size=a.size) * 10.0 ** rng.uniform(-17, -3, size=a.size)
    X = ((wide[a] + wide[b]) / 2 + lean[:, None] * (wide[a] - wide[b])).astype(real)
    np.testing.assert_array_equal(labels_of(X, C), reference.nearest(X, C))


def test_equal_centers_lose_to_their_first_copy(real, rng):
    distinct = rng.normal(size=(12, 2)).astype(real)
    C = distinct[rng.integers(12, size=40)]
    X = rng.normal(size=(5000, 2)).astype(real)
    labels = labels_of(X, C)
    np.testing.assert_array_equal(labels, reference.nearest(X, C))
    assert set(labels) <= {int(np.flatnonzero((C == c).all(axis=1))[0]) for c in C}


def test_tied_centers_around_whole_tiles_go_to_the_lowest_index(real):
    X = np.repeat(np.array([[0, 0], [4, 0], [0, 4]], real), 300, axis=0)
    C = np.array([[3, 0], [0, 1], [1, 0], [0, -1], [-1, 0], [4, 1], [4, -1], [1, 4], [-1, 4]], real)
    np.testing.assert_array_equal(labels_of(X, C), reference.nearest(X, C))


EXPONENTS = {"float32": (-38, 34), "float64": (-150, 145)}  # decimal, of rows and centers


@pytest.mark.parametrize("real", ["float32", "float64"])
@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_any_mixture_of_magnitudes_is_labelled_exactly(real, data):
    n_features, n_clusters = data.draw(st.integers(1, 16)), data.draw(st.integers(2, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    lowest, highest = EXPONENTS[real]
    X, C = rng.normal(size=(700, n_features)), rng.normal(size=(n_clusters, n_features))
    spreads = ["one magnitude", "by row", "by feature", "centers far", "rows far"]
    spread = data.draw(st.sampled_from(spreads), label="spread")
    if spread == "by row":
        X *= 10.0 ** rng.uniform(lowest, highest, size=(700, 1))
        C *= 10.0 ** rng.uniform(lowest, highest, size=(n_clusters, 1))
    else:
        magnitude = 10.0 ** rng.uniform(lowest, highest - 6, size=n_features if spread == "by feature" else 1)
        X, C = X * magnitude, C * magnitude
        C = C * 1e6 if spread == "centers far" else C
        X = X + 1e5 * magnitude if spread == "rows far" else X
    X, C = X.astype(real), C.astype(real)
    np.testing.assert_array_equal(labels_of(X, C), reference.nearest(X, C))


# ---------------------------------------------------------------- work is skipped, or given up


def test_most_samples_are_never_looked_at(rng):
    X = rng.uniform(-9, 9, size=(8, 2))[rng.integers(8, size=200000)] + rng.normal(size=(200000, 2))
    X = X.astype(np.float32)
    for n_clusters, mixed, scored in [(8, 0.25, 0.1), (100, 0.75, 0.05)]:
        state = new_state(tiles.TilesState, X, n_clusters)
        state.step(X[:n_clusters].astype(np.float64))
        assert state.n_mixed < mixed * len(X)
        assert state.n_scored < scored * len(X) * n_clusters
        assert state.n_tested < 0.02 * len(X) * n_clusters
        assert state.step(X[:n_clusters].astype(np.float64)) == 0


def test_tiles_that_do_not_pay_are_left_for_good(monkeypatch, real, rng):
    for n_clusters in [6, 40]:
        X = rng.normal(size=(5000, 3)).astype(real)
        dense, tiled = (new_state(State, X, n_clusters) for State in (lloyd.LloydState, tiles.TilesState))
        for step in range(5):
            monkeypatch.setattr(tiles, "WORTH", 0.0 if step == 2 else np.inf)
            centers = X[rng.integers(5000, size=n_clusters)].astype(np.float64)
            assert tiled.step(centers) == dense.step(centers)
            np.testing.assert_array_equal(tiled.clusters.labels, dense.clusters.labels)
            assert tiled.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
            assert tiled.is_tiled == (step < 2)


def test_overlapping_clusters_of_many_features_are_given_up_by_count(monkeypatch, rng):
    monkeypatch.undo()
    X = rng.normal(size=(4000, 12))
    state = new_state(tiles.TilesState, X, 40)
    state.step(X[:40])
    assert not state.is_tiled


@pytest.mark.parametrize("n_samples, n_features, n_clusters", [(5000, 17, 5), (255, 2, 5), (5000, 2, 1)])
def test_other_shapes_are_left_to_lloyd(n_samples, n_features, n_clusters, real, rng):
    X = rng.normal(size=(n_samples, n_features)).astype(real)
    assert not check_walk(X, X[:n_clusters], 3).is_tiled


def test_samples_are_not_moved_in_the_callers_array(real, rng):
    X = rng.normal(size=(3000, 2)).astype(real)
    before = X.copy()
    X.flags.writeable = False
    labels_of(X, X[:40])
    np.testing.assert_array_equal(X, before)
