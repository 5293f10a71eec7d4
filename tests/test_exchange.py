"""Clusters are exchanged within a fit: the inertia never rises, and mistakes of a start are mended."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from fastkmeans import KMeans
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.engines.local import LocalEngine
from fastkmeans.fitting import exchange
from fastkmeans.fitting.exchange import AFTER, exchange_clusters
from fastkmeans.fitting.loop import run
from fastkmeans.samples import Samples, describe


def stepped(X, centers, weights=None, n_steps=2):
    """An engine after some iterations from the given centers, and the means of its labels."""
    engine = LocalEngine(Samples(X, weights, describe(X, 1)), len(centers), "lloyd", 1)
    moved = centers.astype(np.float64)
    for _ in range(n_steps):
        engine.step(moved)
        moved = engine.move(moved)[0]
    return engine, moved


def inertia(X, centers, weights=None):
    sq = reference.sq_distances(X, centers).min(axis=1)
    return float(sq.sum() if weights is None else sq @ weights)


def misplaced(rng, n_groups=4, n_features=3, n_samples=400, dtype=np.float64):
    """Groups far apart, and one center too many in the first, one too few in the last two."""
    groups = 100.0 * np.eye(n_groups, n_features) + 50.0 * np.arange(n_groups)[:, None]
    X = groups[np.arange(n_samples) % n_groups] + rng.normal(size=(n_samples, n_features))
    centers = np.concatenate([groups[:1] + 0.5, groups[:-2] - 0.5, groups[-2:].mean(axis=0)[None]])
    return X.astype(dtype), centers.astype(dtype)


def test_a_center_too_many_goes_where_one_is_missing(real, rng):
    X, centers = misplaced(rng, dtype=real)
    ends = []
    for exchange_after in (None, 3):
        engine = LocalEngine(Samples(X, None, describe(X, 1)), len(centers), "lloyd", 1)
        ends.append(run(engine, centers, max_iter=50, tol=0.0, exchange_after=exchange_after))
    within = 4 * ((X[::4] - X[::4].mean(axis=0)) ** 2).sum()
    assert ends[0].inertia > 5 * within
    assert ends[1].inertia < 1.5 * within
    fall = np.diff([entry["inertia"] for entry in ends[1].history])
    assert (fall <= 1e-9 * ends[1].inertia).all()


def test_exchanges_go_on_while_they_lower_the_inertia(monkeypatch, rng):
    """One moves at most as many centers as are split on trial."""
    X = rng.normal(scale=50.0, size=(60, 3))[np.arange(6000) % 60] + rng.normal(size=(6000, 3))
    centers = X[rng.permutation(np.flatnonzero(np.arange(6000) % 60 < 12))[:60]]  # of 60 groups 48 have none
    ends = {}
    for least_fall in (2.0, exchange.LEAST_FALL):
        monkeypatch.setattr(exchange, "LEAST_FALL", least_fall)
        engine, printed = LocalEngine(Samples(X, None, describe(X, 1)), len(centers), "lloyd", 1), io.StringIO()
        with contextlib.redirect_stdout(printed):
            found = run(engine, centers, max_iter=100, tol=0.0, exchange_after=3, verbose=True)
        ends[least_fall] = found.inertia, printed.getvalue().count("Merged")
        np.testing.assert_array_equal(found.labels, reference.nearest(X, found.centers))
    (_, once), (_, often) = ends.values()
    assert once == 1 < often <= 1 + exchange.LAST_EXCHANGE // exchange.AGAIN_AFTER
    assert ends[exchange.LEAST_FALL][0] < 0.5 * ends[2.0][0]


@pytest.mark.parametrize("n_steps", [1, 2, 6])
@pytest.mark.parametrize("n_clusters", [3, 10, 60])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_inertia_does_not_rise(n_steps, n_clusters, weighted, real, rng):
    X = (rng.normal(size=(700, 5)) * rng.choice([0.1, 1.0, 4.0], size=(700, 1))).astype(real)
    weights = rng.choice([0.0, 0.5, 3.0], size=700) if weighted else None
    engine, moved = stepped(X, X[rng.permutation(700)[:n_clusters]], weights, n_steps)
    before = inertia(X, moved, weights)
    of_labels = float((((X - moved[engine.labels]) ** 2).sum(axis=1) * (1.0 if weights is None else weights)).sum())
    n_merged, fall = exchange_clusters(engine, moved)
    after = inertia(X, moved, weights)
    assert after <= of_labels * (1 + 1e-5 if real.itemsize == 4 else 1 + 1e-12)
    assert n_merged > 0 or after == before
    assert (fall > 0.0) == (n_merged > 0)
    assert after <= of_labels * (1.0 - fall) * (1 + 1e-5 if real.itemsize == 4 else 1 + 1e-12)


@given(
    values=st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=6, max_size=60), n_clusters=st.integers(3, 6),
    weight=st.integers(1, 4),
)  # fmt: skip
def test_lattices_and_copies(values, n_clusters, weight):
    X = np.array(values, dtype=np.float64)
    weights = np.full(len(X), float(weight))
    engine, moved = stepped(X, X[:n_clusters], weights)
    of_labels = float(((X - moved[engine.labels]) ** 2).sum())
    exchange_clusters(engine, moved)
    assert np.isfinite(moved).all()
    assert inertia(X, moved) <= of_labels * (1 + 1e-9) + 1e-9


def test_whole_weights_are_repetitions(rng):
    X = rng.normal(size=(300, 4))
    counts = rng.integers(1, 4, size=300)
    start = X[rng.permutation(300)[:20]]
    weighted = stepped(X, start, counts.astype(float))
    repeated = stepped(np.repeat(X, counts, axis=0), start)
    (n_merged, fall), (n_repeated, fall_repeated) = exchange_clusters(*weighted), exchange_clusters(*repeated)
    assert n_merged == n_repeated > 0
    assert fall == pytest.approx(fall_repeated, rel=1e-9)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=0, atol=1e-12)


def test_samples_all_alike_stay_where_they_are():
    X = np.full((200, 3), 0.1)
    engine, moved = stepped(X, X[:5])
    assert exchange_clusters(engine, moved) == (0, 0.0)
    np.testing.assert_array_equal(moved[0], X[0])


@pytest.mark.parametrize("exponent", [-60, 60, -400, 400])
def test_the_scale_does_not_matter(exponent, rng):
    X = rng.normal(size=(900, 4))
    plain = KMeans(30, random_state=3).fit(X)
    scaled = KMeans(30, random_state=3).fit(X * 2.0**exponent)
    np.testing.assert_array_equal(plain.labels_, scaled.labels_)


def test_values_whose_squares_overflow_float32_warn_nobody(rng):
    X = (rng.normal(size=(900, 4)) * 1e30).astype(np.float32)
    model = KMeans(30, random_state=3).fit(X)
    assert len(set(model.labels_)) == 30


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_fits_are_the_same_by_any_algorithm_and_threads(algorithm, real, rng, seed, fingerprint):
    X = (rng.normal(size=(4000, 9)) * rng.choice([0.1, 1.0, 4.0], size=(4000, 1))).astype(real)
    fits = [
        KMeans(40, random_state=seed, algorithm=name, n_threads=n_threads).fit(X)
        for name, n_threads in [("lloyd", 1), (algorithm, 1), (algorithm, 3)]
    ]
    assert fingerprint(fits[0]) == fingerprint(fits[1]) == fingerprint(fits[2])


def test_labels_belong_to_the_centers_afterwards(real, rng, seed):
    X = (rng.normal(size=(3000, 6)) * rng.choice([0.1, 1.0, 4.0], size=(3000, 1))).astype(real)
    for max_iter in (AFTER, AFTER + 1, 300):
        model = KMeans(40, random_state=seed, max_iter=max_iter).fit(X)
        assert model.n_iter_ <= max_iter
        np.testing.assert_array_equal(model.labels_, reference.nearest(X, model.cluster_centers_))
        assert model.inertia_ == pytest.approx(inertia(X, model.cluster_centers_), rel=1e-6)


@pytest.mark.parametrize(
    "offset, spread, n_clusters",
    [(850607, 0.42, 20), (2.3e6, 8.8, 100), (5.0e6, 167.0, 60), (0.0, 1e-43, 60)],
)
def test_rounded_centers_raise_no_inertia(offset, spread, n_clusters, rng, seed):
    X = (offset + spread * rng.normal(size=(2500, 1))).astype(np.float32)
    history = KMeans(n_clusters, random_state=seed).fit(X).history_
    inertias = np.array([entry["inertia"] for entry in history])
    assert (np.diff(inertias) <= 1e-5 * inertias[:-1]).all()


def test_a_callback_that_stops_where_the_iterations_converge_is_heard(rng):
    X, start = misplaced(rng)
    ends = {}
    for name, callback in {"none": None, "stops": lambda entry: entry["n_changed"] == 0}.items():
        engine = LocalEngine(Samples(X, None, describe(X, 1)), len(start), "lloyd", 1)
        ends[name] = run(engine, start, max_iter=50, tol=0.0, exchange_after=50, callback=callback)
    assert len(ends["stops"].history) < len(ends["none"].history)  # it would have gone on
    assert ends["stops"].inertia > ends["none"].inertia


def test_only_auto_merges(real, rng, seed, fingerprint):
    X = (rng.normal(size=(3000, 6)) * rng.choice([0.1, 1.0, 4.0], size=(3000, 1))).astype(real)
    for init in ("k-means++", "random", X[:40]):
        one = KMeans(40, init=init, n_init=1, random_state=seed, tol=0).fit(X)
        start = KMeans(40, init=init, n_init=1, random_state=seed, tol=0, max_iter=AFTER).fit(X)
        rest = KMeans(40, init=start.cluster_centers_, n_init=1, tol=0).fit(X)
        assert fingerprint(one)["centers"] == fingerprint(rest)["centers"]


def test_fits_with_the_default_start_end_lower(rng):
    X = np.concatenate([rng.normal(size=(60, 2)) + 9 * rng.normal(size=2) for _ in range(40)])
    ends = {
        init: np.mean([KMeans(40, init=init, random_state=s).fit(X).inertia_ for s in range(20)])
        for init in ("k-means++", "auto")
    }
    assert ends["auto"] < 0.98 * ends["k-means++"]


def test_whoever_watches_is_told(capsys, rng):
    X, centers = misplaced(rng)
    engine = LocalEngine(Samples(X, None, describe(X, 1)), len(centers), "lloyd", 1)
    run(engine, centers, max_iter=50, tol=0.0, exchange_after=3, verbose=True)
    assert "Merged 1 pair of clusters, split as many others." in capsys.readouterr().out
