"""Digits that rounding may not cost: of the inertia of each iteration, and of means beside values or weights of any size."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans, calinski_harabasz_score, elbow, within_cluster_variation
from fastkmeans._core import lloyd, runtime
from fastkmeans._core.sums import explained_of
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.engines import local
from fastkmeans.input.finite import check_inertia
from fastkmeans.metrics.table import METRICS
from fastkmeans.samples import Samples, Smallest, describe

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

HISTORY_RTOL = 1e-11
RTOL = {"float32": 1e-6, "float64": 1e-11}  # of a mean, of the largest value of its cluster

METRICS_AND_ALGORITHMS = [(metric, name) for metric in METRICS for name in METRICS[metric].algorithms]


# ---------------------------------------------------------------- the inertia of each iteration


def groups(rng, n_samples, n_features, n_clusters, apart, std):
    centers = rng.normal(size=(n_clusters, n_features)) * apart
    return centers[rng.integers(n_clusters, size=n_samples)] + rng.normal(scale=std, size=(n_samples, n_features))


DATA = {  # name -> maker of (n_samples, n_features)
    "noise": lambda rng, n, d: rng.normal(scale=0.1, size=(n, d)),
    "groups": lambda rng, n, d: groups(rng, n, d, 9, 10.0, 1.0),
    "groups far apart": lambda rng, n, d: groups(rng, n, d, 9, 1e5, 0.01),
    "groups very far apart": lambda rng, n, d: groups(rng, n, d, 9, 1e11, 0.1),
    "whole numbers": lambda rng, n, d: np.round(groups(rng, n, d, 5, 10.0, 3.0)),
    "groups of any size": lambda rng, n, d: groups(rng, n, d, 9, 1.0, 0.1) * 10.0 ** rng.integers(-6, 7, size=(n, 1)),
}

WEIGHTS = {
    "none": lambda rng, n: None,
    "uniform": lambda rng, n: rng.uniform(size=n),
    "counts": lambda rng, n: rng.integers(0, 5, size=n) + 1.0,
    "any size": lambda rng, n: 10.0 ** rng.uniform(-30, 5, size=n),
}


def assert_history_is_right(X, init, weights, max_iter=6, **params):
    """Each entry is the inertia of the centers that the iteration began with, which a fit of so many iterations tells too."""
    fits = [
        KMeans(len(init), init=init, max_iter=n_iter, tol=0, **params).fit(X, sample_weight=weights)
        for n_iter in range(1, max_iter + 1)
    ]
    found = np.array([entry["inertia"] for entry in fits[-1].history_])
    expected = np.array([fit.inertia_ for fit in fits])[: len(found) - 1]
    np.testing.assert_allclose(found[1:], expected, rtol=HISTORY_RTOL, atol=0)
    assert (np.diff(found) <= HISTORY_RTOL * found[:-1]).all(), found
    assert fits[-1].inertia_ <= found[-1] * (1 + HISTORY_RTOL)
    metric = params.get("metric", "euclidean")
    prepare = reference.METRICS[metric][2]
    first = reference.inertia(prepare(X), prepare(init), sample_weight=weights, metric=metric)
    assert found[0] == pytest.approx(first, rel=HISTORY_RTOL)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e11])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("metric", "algorithm"), METRICS_AND_ALGORITHMS)
def test_history_tells_the_inertia_that_each_iteration_began_with(metric, algorithm, data, offset, real, rng):
    for weighting in WEIGHTS:
        n_features, n_clusters = int(rng.integers(1, 12)), int(rng.integers(2, 14))
        X = (DATA[data](rng, 400, n_features) + offset).astype(real)
        X = X[np.abs(X).max(axis=1) > 0]  # what has a direction
        init = X[rng.permutation(len(X))[:n_clusters]]
        assert_history_is_right(X, init, WEIGHTS[weighting](rng, len(X)), metric=metric, algorithm=algorithm)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("metric", "algorithm"), METRICS_AND_ALGORITHMS)
def test_history_is_right_beside_refilled_clusters(metric, algorithm, data, real, rng):
    X = (DATA[data](rng, 500, 3) + 1e4).astype(real)
    init = X[rng.permutation(len(X))[:9]]
    init[4:] = init[0]
    assert_history_is_right(X, init, None, metric=metric, algorithm=algorithm)


@pytest.mark.parametrize(("metric", "algorithm"), METRICS_AND_ALGORITHMS)
def test_a_center_that_gives_rows_away_stays_on_its_heavy_row(metric, algorithm, real, rng):
    """Off by a rounding it would cost more than light rows ever do."""
    for _ in range(40):
        n_samples, n_features = int(rng.integers(4, 41)), int(rng.integers(1, 9))
        X = rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.uniform(-6, 3) + 10.0 ** rng.uniform(0, 8)
        X = X[rng.integers(n_samples, size=n_samples)].astype(real)
        weights = 10.0 ** rng.uniform(-285, 0, size=n_samples)
        init = X[rng.integers(2, size=int(rng.integers(3, 7))).clip(max=n_samples - 1)]
        model = KMeans(min(len(init), n_samples), init=init[:n_samples], tol=0, metric=metric, algorithm=algorithm)
        inertia = np.array(
            [entry["inertia"] for entry in model.fit(X, sample_weight=weights).history_] + [model.inertia_]
        )
        assert (np.diff(inertia) <= HISTORY_RTOL * inertia[:-1]).all(), inertia


@pytest.mark.parametrize("weighting", ["none", "uniform"])
@pytest.mark.parametrize(("metric", "algorithm"), METRICS_AND_ALGORITHMS)
def test_history_is_right_where_centers_lie_farther_off_than_samples_differ(metric, algorithm, weighting, real, rng):
    for n_samples, away in [(3, 1), (10, 2), (200, 30), (40, 1000)] * 3:
        X = np.full((n_samples, 3), 10.0 ** rng.uniform(0, 12)) * rng.uniform(0.5, 1.5, size=3)
        X += np.spacing(X.astype(real)) * (rng.random((n_samples, 3)) < 1.0 / n_samples)
        init = X[:2] + np.spacing(X[:2].astype(real)) * rng.integers(-away, away + 1, size=(2, 3))
        weights = WEIGHTS[weighting](rng, n_samples)
        assert_history_is_right(X.astype(real), init.astype(real), weights, metric=metric, algorithm=algorithm)


def test_the_inertia_falls_to_the_end_of_long_fits(algorithm, rng):
    for offset, apart, std in [(1e11, 1.0, 0.1), (0.0, 1e6, 1e-3), (1e8, 1e3, 1.0)]:
        X = groups(rng, 3000, 2, 30, apart, std) + offset
        history = KMeans(25, init=X[:25], tol=0, algorithm=algorithm).fit(X).history_
        inertia = np.array([entry["inertia"] for entry in history])
        assert (np.diff(inertia) <= 1e-12 * inertia[:-1]).all()


def test_verbose_and_callback_tell_the_same_inertia(rng, capsys):
    X = groups(rng, 300, 2, 8, 1e6, 0.01)
    seen = []
    model = KMeans(8, init=X[:8], tol=0, verbose=1, callback=seen.append).fit(X)
    assert [entry["inertia"] for entry in seen] == [entry["inertia"] for entry in model.history_]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Iteration")]
    assert [float(line.rpartition(" ")[2].rstrip(".")) for line in lines] == [entry["inertia"] for entry in seen]


def test_ordinary_samples_are_not_read_once_more(algorithm, real, rng, monkeypatch):
    """What is careful is for data that ask for it."""
    X = groups(rng, 2000, 6, 7, 10.0, 1.0).astype(real)
    begun = local.LocalEngine(Samples(X, None, describe(X, 1)), 7, algorithm, 1)
    begun.step(X[:7].astype(np.float64))

    def refuse(*arguments):
        raise AssertionError("the samples were read")

    for name in ["arrays", "pieces", "inertia", "sums_anew"]:
        monkeypatch.setattr(Samples, name, refuse)
    assert begun.move(X[:7].astype(np.float64))[2] > 0


# ---------------------------------------------------------------- what these rest on


def exact_sums(X, weights, labels, n_clusters):
    sums = [[Fraction(0)] * (X.shape[1] + 1) for _ in range(n_clusters)]
    for row, weight, j in zip(X.tolist(), weights.tolist(), labels.tolist()):
        for f, value in enumerate([*row, 1.0]):
            sums[j][f] += Fraction(weight) * Fraction(value)
    return sums


@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(1, 20), offset=st.sampled_from([0.0, 1e5, -1e11]))
@settings(deadline=None, max_examples=40)
def test_means_are_rounded_once(seed, n_features, offset):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, n_features)) + offset
    centers = X[:4].copy()
    engine = local.LocalEngine(Samples(X, None, describe(X, 1)), 4, "lloyd", 1)
    engine.step(centers)
    moved = engine.move(centers)[0]
    sums = exact_sums(X, np.ones(60), engine.labels, 4)
    np.testing.assert_array_equal(moved, [[float(value / total[-1]) for value in total[:-1]] for total in sums])


@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(1, 20), offset=st.sampled_from([0.0, 1e5, -1e11]))
@settings(deadline=None, max_examples=40)
def test_what_clusters_take_off_the_scatter_has_twice_the_digits(seed, n_features, offset):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, n_features)) * 10.0 ** rng.integers(-8, 8, size=n_features) + offset
    centers, origin = X[:4].copy(), X.mean(axis=0)
    state = lloyd.LloydState(X, None, np.abs(X).max(axis=0), 1.0, 4, 1)
    state.step(centers)
    scale = expected = Fraction(0)
    for row, j in zip(X.tolist(), state.clusters.labels.tolist()):
        for value, center, middle in zip(row, centers[j].tolist(), origin.tolist()):
            about_origin = (Fraction(value) - Fraction(middle)) ** 2
            expected += about_origin - (Fraction(value) - Fraction(center)) ** 2
            scale += about_origin
    found = sum(map(Fraction, explained_of(state.clusters.sums, centers, origin, 2)))
    size = Fraction(float(np.abs(X).max())) ** 2
    assert abs(found - expected) <= Fraction(2) ** -95 * n_features * (scale + size)


def test_the_smallest_values_are_described(real, rng):
    for n_samples, n_features in [(1, 1), (17, 3), (300, 64), (70, 300), (2500, 20), (1030, 5)]:
        X = (rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.integers(-5, 5, size=n_features)).astype(real)
        X[rng.random(X.shape) < 0.2] = 0
        described, sizes = describe(X, 2), np.abs(X.astype(np.float64))
        above_zero = np.where(sizes > 0, sizes, np.inf).min(axis=0)
        for n_threads in (1, 2, 5):
            np.testing.assert_array_equal(Smallest().of(Samples(X, None, described), n_threads), above_zero)
        np.testing.assert_array_equal(described.max_abs, sizes.max(axis=0))
        assert described.largest == sizes.max()


# ---------------------------------------------------------------- values of very different size


def check_against_the_reference(X, init, weights=None, max_iter=20, **params):
    """Labels, means and inertia of the slow twin; the same bits for any order of the rows and any number of threads."""
    model = KMeans(len(init), init=init, tol=0, max_iter=max_iter, **params).fit(X, sample_weight=weights)
    centers, labels, inertia, _ = reference.lloyd(X, init, max_iter, sample_weight=weights)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_array_equal(model.predict(X), labels)
    for j in np.unique(labels) if model.converged_ else []:  # else they are means of the labels before
        size = np.abs(X[labels == j].astype(np.float64)).max(axis=0)
        assert (np.abs(model.cluster_centers_[j] - centers[j].astype(np.float64)) <= RTOL[X.dtype.name] * size).all()
    assert model.inertia_ == -model.score(X, sample_weight=weights)
    assert model.inertia_ == pytest.approx(
        reference.inertia(X, model.cluster_centers_, sample_weight=weights), rel=1e-12
    )
    order = np.random.default_rng(len(X)).permutation(len(X))
    shuffled = KMeans(len(init), init=init, tol=0, max_iter=max_iter, **params, n_threads=3).fit(
        X[order], sample_weight=None if weights is None else weights[order]
    )
    if not any(entry["n_empty"] for entry in model.history_):  # a refill chooses by index
        np.testing.assert_array_equal(shuffled.labels_, labels[order])
        assert shuffled.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()
    return model


HUGE = {"float32": -3.4028e38, "float64": -1e150}


def test_a_value_that_stands_for_no_data_leaves_the_other_means_alone(algorithm, isa, real, rng):
    """As rasters have it."""
    X = np.concatenate([rng.normal(at, 1.0, size=(700, 2)) for at in [(0, 0), (30, 0), (0, 30)]]).astype(real)
    X[rng.permutation(len(X))[:40]] = HUGE[real.name]
    normal = X[X[:, 0] > -1e30]
    init = np.concatenate([normal[:1], normal[-1:], normal[1000:1001], X[X[:, 0] < -1e30][:1]])
    check_against_the_reference(X, init, algorithm=algorithm)
    weights = rng.uniform(0.5, 1.5, size=len(X))
    check_against_the_reference(X, init, weights, algorithm=algorithm)
    assert_history_is_right(X, init, weights, algorithm=algorithm)


@pytest.mark.parametrize("place", ["a row", "a value", "a row of each cluster"])
def test_one_huge_value_costs_no_digit_of_another_cluster(place, algorithm, real, rng):
    for n_features in [1, 3, 9, 33]:
        truth = np.repeat(np.arange(4), 90)
        X = (100.0 * np.arange(4)[truth, None] + rng.normal(size=(360, n_features)) * 1e-3).astype(real)
        init = np.concatenate([X[::90], X[:1]])
        X[5, slice(None) if place == "a row" else 0] = init[4] = HUGE[real.name]
        if place == "a row of each cluster":
            X[[100, 200, 300], 0] = HUGE[real.name]
        check_against_the_reference(X, init, algorithm=algorithm)
        assert_history_is_right(X, init, None, algorithm=algorithm)


LOWEST, HIGHEST = {"float32": -15, "float64": -70}, {"float32": 36, "float64": 145}


@pytest.mark.parametrize("spread", ["by cluster", "by row", "by value", "by feature", "two sizes"])
def test_means_of_any_mixture_of_sizes_have_their_digits(spread, algorithm, real, rng):
    lowest, highest = LOWEST[real.name], HIGHEST[real.name]
    for n_features, n_clusters in [(1, 3), (2, 6), (9, 4), (20, 5)]:
        truth = rng.integers(n_clusters, size=300)
        X = 10.0 * rng.normal(size=(n_clusters, n_features))[truth] + rng.normal(size=(300, n_features))
        X *= (
            10.0
            ** {
                "by cluster": lambda: rng.uniform(lowest, highest, size=(n_clusters, 1))[truth],
                "by row": lambda: rng.uniform(lowest, highest, size=(300, 1)),
                "by value": lambda: rng.uniform(lowest, highest, size=X.shape),
                "by feature": lambda: rng.uniform(lowest, highest, size=n_features),
                "two sizes": lambda: rng.choice([lowest, highest], size=(300, 1)),
            }[spread]()
        )
        X = X.astype(real)
        check_against_the_reference(X, X[rng.permutation(300)[:n_clusters]], algorithm=algorithm)


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_few_distinct_values_of_any_size_leave_no_inertia(data):
    """Copies of a value have it as their mean, whatever else there is."""
    exponents = data.draw(st.lists(st.integers(-140, 149), min_size=2, max_size=6, unique=True))
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=len(exponents), max_size=len(exponents)))
    values = 10.0 ** np.array(exponents, dtype=float)[:, None]
    X = np.repeat(values, sizes, axis=0)
    model = KMeans(len(values), init=values, tol=0).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, values)
    assert model.inertia_ == 0


def test_a_refill_leaves_behind_the_mean_of_small_values(algorithm, real, rng):
    """The farthest row, a huge one, becomes a center of its own: what it leaves are small rows."""
    X = rng.normal(size=(200, 3)).astype(real)
    X[77] = HUGE[real.name]
    init = np.concatenate([X[:1], X[:1]])
    model = KMeans(2, init=init, tol=0, max_iter=1, algorithm=algorithm).fit(X)
    others = np.delete(X.astype(np.float64), 77, axis=0)
    np.testing.assert_allclose(model.cluster_centers_[0], others.mean(axis=0), rtol=RTOL[real.name], atol=1e-7)
    np.testing.assert_array_equal(model.cluster_centers_[1], X[77])


def test_a_huge_value_does_not_stop_the_refill_of_others(algorithm, rng):
    X = np.concatenate([rng.normal(at, 1.0, size=(50, 2)) for at in [0.0, 40.0]])
    X[:3] = -1e150
    init = np.concatenate([X[:1], X[60:61], X[60:61]])
    check_against_the_reference(X, init, algorithm=algorithm)


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
def test_other_metrics_keep_their_digits_too(metric, real, rng):
    for _ in range(4):
        truth = rng.integers(4, size=300)
        X = rng.normal(size=(4, 3))[truth] * 10.0 + rng.normal(size=(300, 3))
        X *= (10.0 ** rng.uniform(LOWEST[real.name], HIGHEST[real.name], size=(4, 1)))[truth]
        X = X.astype(real)
        weights = 10.0 ** rng.uniform(-60, 20, size=300)
        for each in [None, weights]:
            assert_history_is_right(X, X[:4], each, metric=metric)


def test_criteria_of_given_labels_keep_their_digits(rng):
    labels = np.repeat(np.arange(3), 100)
    X = rng.normal(size=(300, 2)) + np.array([0.0, 1e20, 50.0])[labels, None]
    found = within_cluster_variation(X, labels, form="centers")
    expected = reference.within_cluster_variation(X, labels, "centers")
    np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], rtol=1e-9)
    assert np.isfinite(calinski_harabasz_score(X, labels))


@pytest.mark.parametrize("light", [1e-3, 1e-12, 1e-24, 1e-60, 1e-200, 1e-289])
def test_weights_of_any_size_give_every_cluster_its_mean(light, algorithm, real, rng):
    X = np.concatenate([rng.normal(at, 0.5, size=(60, 2)) for at in [(0, 0), (50, 0), (0, 50), (50, 50)]]).astype(real)
    weights = np.repeat([1.0, 1.0, light, light**0.5], 60) * rng.uniform(0.5, 1.5, size=240)
    check_against_the_reference(X, X[::60], weights, algorithm=algorithm)
    check_against_the_reference(X, X[[0, 60, 60, 60]], weights, algorithm=algorithm)


# ---------------------------------------------------------------- weights and values at the ends of float64


@pytest.mark.parametrize("weight", [1e139, 1e149])
def test_an_inertia_that_overflows_is_an_error(weight, algorithm, rng):
    X = rng.normal(size=(200, 3)) * 1e90
    model = KMeans(3, init=X[:3], algorithm=algorithm).fit(X)
    before = vars(model).copy()
    with pytest.raises(
        ValueError,
        match=rf"sample_weight must be .*largest weight is {weight:g}. Divide all weights".replace("+", r"\+"),
    ):
        model.fit(X, sample_weight=np.full(200, weight))
    assert vars(model) == before
    with pytest.raises(ValueError, match="sample_weight must be small enough"):
        model.score(X, sample_weight=np.full(200, weight))
    assert np.isfinite(model.fit(X, sample_weight=np.full(200, weight) / weight).inertia_)


@pytest.mark.parametrize("metric", METRICS)
def test_the_largest_weights_are_as_good_as_any(metric, rng):
    X = rng.normal(size=(500, 3)) + 2.0
    weights = rng.uniform(0.1, 1.0, size=500)
    plain = KMeans(4, init=X[:4], metric=metric, tol=0).fit(X, sample_weight=weights)
    unit = 2.0**497
    heavy = KMeans(4, init=X[:4], metric=metric, tol=0).fit(X, sample_weight=weights * unit)
    np.testing.assert_array_equal(heavy.labels_, plain.labels_)
    assert heavy.cluster_centers_.tobytes() == plain.cluster_centers_.tobytes()
    assert heavy.inertia_ == plain.inertia_ * unit
    assert [e["inertia"] for e in heavy.history_] == [e["inertia"] * unit for e in plain.history_]


def test_samples_whose_inertia_overflows_are_refused():
    """It takes 1e8 values of 1e150."""
    assert check_inertia(1e308, 1.0) == 1e308
    for inertia in [np.inf, np.nan]:
        with pytest.raises(ValueError, match="X must be small enough that the inertia, .* Rescale X"):
            check_inertia(inertia, 1.0)


@given(seed=st.integers(0, 2**32 - 1), metric=st.sampled_from(list(METRICS)), max_iter=st.sampled_from([1, 3, 100]))
@settings(deadline=None, max_examples=200)
def test_inertia_is_minus_the_score_also_where_terms_are_subnormal(seed, metric, max_iter):
    rng = np.random.default_rng(seed)
    n_samples, n_features = int(rng.choice([2, 7, 40, 300, 2000])), int(rng.integers(1, 5))
    lowest, highest = (-70, -60) if metric == "cosine" else (-160, -150)
    X = rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.uniform(lowest, highest)
    X[~X.any(axis=1)] = 10.0**lowest
    weights = rng.uniform(size=n_samples) * 10.0 ** rng.uniform(-300, -139)
    weights *= 10.0 ** rng.uniform(-20, 0, size=n_samples) if rng.random() < 0.5 else 1.0
    weights[0] = max(weights[0], 1e-300)
    n_clusters = int(rng.integers(1, min(n_samples, 5) + 1))
    model = KMeans(n_clusters, random_state=seed, metric=metric, max_iter=max_iter).fit(X, sample_weight=weights)
    assert model.inertia_ == -model.score(X, sample_weight=weights)


def test_a_sweep_of_heavy_weights_is_that_of_light_ones(rng):
    X = groups(rng, 400, 2, 3, 10.0, 1.0)
    weights = rng.uniform(0.5, 1.0, size=400)
    found = [elbow(X, k=range(1, 5), sample_weight=weights * unit, random_state=7) for unit in (1.0, 2.0**460)]
    assert found[1].inertia.tolist() == [2.0**460 * inertia for inertia in found[0].inertia]


def test_instruction_sets_agree_on_digits(rng):
    before, found = runtime.isa(), set()
    X = groups(rng, 500, 9, 5, 1e4, 0.1)
    X[3] = 1e140
    weights = 10.0 ** rng.uniform(-40, 0, size=500)
    try:
        for isa in runtime.isas():
            runtime.use_isa(isa)
            for name in ALGORITHMS:
                for each in [None, weights]:
                    model = KMeans(6, init=X[:6], tol=0, algorithm=name).fit(X, sample_weight=each)
                    entries = tuple(entry["inertia"] for entry in model.history_)
                    found.add((each is None, model.cluster_centers_.tobytes(), model.inertia_, entries))
    finally:
        runtime.use_isa(before)
    assert len(found) == 2
