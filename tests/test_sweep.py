"""The elbow sweep: what the curve promises, and what the rule for the knee finds and refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import reference

import fastkmeans
from fastkmeans import (
    ConvergenceWarning,
    KMeans,
    calinski_harabasz_score,
    davies_bouldin_score,
    elbow,
    silhouette_score,
    simplified_silhouette_score,
)
from fastkmeans.estimators import elbow as sweep_module
from fastkmeans.fitting import coreset, search
from fastkmeans.samples import Samples, describe
from fastkmeans.selection import knees, separation


def separated_blobs(rng, n_clusters, n_features, separation, n_samples=500):
    """Normal clusters of deviation 1 whose centers are at least `separation` apart."""
    centers = []
    side = separation * max(1.8 * n_clusters ** (1 / n_features), 2)
    while len(centers) < n_clusters:
        candidate = rng.uniform(0, side, size=n_features)
        if all(np.linalg.norm(candidate - center) > separation for center in centers):
            centers.append(candidate)
    noise = rng.normal(size=(n_samples, n_features))
    return np.array(centers)[rng.integers(n_clusters, size=n_samples)] + noise


def chord_by_hand(k, inertia):
    """The k farthest below the chord of the log-log curve, one at a time."""
    best_k, longest = None, 0.07
    for k_i, inertia_i in zip(k, inertia, strict=True):
        x = np.log(k_i / k[0]) / np.log(k[-1] / k[0])
        y = np.log(inertia_i / inertia[-1]) / np.log(inertia[0] / inertia[-1])
        if 1 - x - y >= longest:
            best_k, longest = k_i, 1 - x - y
    return best_k


# ---------------------------------------------------------------- k


ONE_TO_FIVE = {
    "int": 5,
    "NumPy int": np.int64(5),
    "array of no dimension": np.array(5),
    "last as text": "5",
    "range as text": " 1 : 5",
    "range": range(1, 6),
    "list in any order, with repeats": [5, 3, 1, 2, 4, 3],
    "array": np.arange(1, 6),
    "generator": (k for k in (4, 5, 1, 2, 3)),
}


@pytest.mark.parametrize("spelling", ONE_TO_FIVE)
def test_every_spelling_of_one_to_five_is_one_to_five(spelling, rng):
    assert elbow(rng.normal(size=(20, 2)), ONE_TO_FIVE[spelling]).k.tolist() == [1, 2, 3, 4, 5]


def test_k_may_skip_numbers(rng):
    result = elbow(rng.normal(size=(40, 2)), [2, 4, 8, 16])
    assert result.k.tolist() == [2, 4, 8, 16]
    assert (np.diff(result.inertia) < 0).all()


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "at least one number of clusters; got 0"),
        ("5:2", ValueError, "at least one number of clusters; got '5:2'"),
        ([], ValueError, "at least one"),
        ([0, 1], ValueError, ">= 1; got 0"),
        ("-1:3", ValueError, ">= 1; got -1"),
        (21, ValueError, "n_samples=20; got 21. Pass k=20 or less"),
        ("one:ten", ValueError, "'1:10'.*got 'one:ten'"),
        (True, TypeError, "whole number.*got True"),
        (2.5, TypeError, "whole number.*got 2.5"),
        ([1, 2.5], TypeError, "whole number.*got 2.5"),
        (None, TypeError, "whole number.*got None"),
    ],
)
def test_a_wrong_k_is_refused_before_any_fit(k, error, message, rng, monkeypatch):
    monkeypatch.setattr(search, "run", lambda *_, **__: pytest.fail("fitted"))
    with pytest.raises(error, match=message):
        elbow(rng.normal(size=(20, 2)), k)


def test_parameters_that_cannot_stay_the_same_are_refused(rng):
    X = rng.normal(size=(20, 2))
    with pytest.raises(TypeError, match="as k, not as n_clusters"):
        elbow(X, n_clusters=3)
    with pytest.raises(ValueError, match="init cannot be an array"):
        elbow(X, init=X[:3])
    with pytest.raises(TypeError, match="n_cluster"):
        elbow(X, n_cluster=3)


# ---------------------------------------------------------------- the curve


@pytest.mark.parametrize(
    "params", [{}, {"init": "random", "n_init": 1}, {"init": "random-partition", "max_iter": 1}], ids=repr
)
@pytest.mark.filterwarnings("ignore::fastkmeans.ConvergenceWarning")
def test_inertia_never_rises_with_k(params, real, rng, seed):
    X = rng.integers(6, size=(60, 2)).astype(real)
    result = elbow(X, 60, random_state=seed, **params)
    assert (np.diff(result.inertia) <= 0).all()
    assert result.inertia[-1] == 0


def test_no_inertia_is_above_that_of_a_plain_fit(blobs, real, seed):
    X, _ = blobs(400, 3, 8, real)
    for k, inertia in elbow(X, 12, random_state=seed):
        assert inertia <= KMeans(k, random_state=seed).fit(X).inertia_ * (1 + 1e-12)


def test_the_first_inertia_is_the_scatter_about_the_mean(rng):
    X = rng.normal(size=(50, 4))
    assert elbow(X, 3).inertia[0] == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())


@pytest.fixture
def small_coresets(monkeypatch):
    """Coresets of 64 rows, so that a thousand samples are searched as a million are."""
    monkeypatch.setattr(search, "SEARCH_SAMPLES", 64)
    monkeypatch.setattr(search, "ROWS_A_CLUSTER", 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [10, [1, 2, 5, 9, 30]], ids=repr)
def test_a_coreset_keeps_the_laws(k, weighted, real, rng, seed, small_coresets):
    X = rng.normal(size=(3000, 2)).astype(real)
    result = elbow(X, k, sample_weight=rng.integers(3, size=3000) if weighted else None, random_state=seed)
    assert (np.diff(result.inertia) < 0).all()
    for n_clusters in result.k.tolist():
        model = result.model(n_clusters)
        assert np.array_equal(model.labels_, model.predict(X))


def test_a_coreset_finds_a_few_far_samples(rng, seed, small_coresets):
    X = rng.normal(size=(2000, 3))
    X[77:80] += 1e4
    model = elbow(X, 3, random_state=seed).model(2)
    assert sorted(np.bincount(model.labels_)) == [3, 1997]


def test_a_coreset_stands_for_all_samples(rng):
    X, weights = rng.normal(size=(50_000, 3)), rng.uniform(0, 2, size=50_000)
    weights[:25_000] = 0
    centers = X[30_000:30_004]
    by = coreset.importance(Samples(X, weights, describe(X, 1)), weights / weights.max(), centers, None)
    drawn = coreset.draw(len(X), by, 20_000, np.random.RandomState(8))
    assert drawn.min() >= 25_000
    stand_in = coreset.weights_of(by, drawn, weights)
    assert stand_in.sum() == pytest.approx(weights.sum(), rel=0.02)
    some = rng.normal(size=(3, 3))
    inertia = ((X[:, None] - some) ** 2).sum(axis=2).min(axis=1)
    assert stand_in @ inertia[drawn] == pytest.approx(weights @ inertia, rel=0.02)


def test_a_callable_init_sees_the_samples_of_the_caller(rng, seed, small_coresets):
    X, seen = rng.normal(size=(500, 2)), []

    def init(samples, n_clusters, random_state):
        seen.append(len(samples))
        return samples[random_state.randint(len(samples), size=n_clusters)]

    elbow(X, 3, init=init, n_init=1, random_state=seed)
    assert set(seen) == {500}


@pytest.mark.parametrize("n_threads", [2, 3])
def test_any_number_of_threads_gives_the_same_table(n_threads, rng, seed):
    X = rng.normal(size=(20_001, 4))
    one, several = (elbow(X, 3, random_state=seed, n_threads=n) for n in (1, n_threads))
    for name, column in one.columns().items():
        if name != "seconds":
            assert column.tobytes() == several.columns()[name].tobytes(), name


def test_a_callback_sees_the_iterations_that_the_table_counts(rng, seed):
    seen = []
    result = elbow(rng.normal(size=(300, 2)), 5, random_state=seed, callback=seen.append)
    assert len(seen) == result.n_iter.sum()


def test_the_same_seed_gives_the_same_bits(rng, seed):
    X = rng.normal(size=(200, 3))
    first, second = (elbow(X, random_state=seed) for _ in range(2))
    assert first.inertia.tobytes() == second.inertia.tobytes()
    assert first.n_iter.tolist() == second.n_iter.tolist()


def test_a_generator_may_seed_the_sweep(rng):
    assert len(elbow(rng.normal(size=(30, 2)), 4, random_state=np.random.default_rng(77))) == 4


def test_samples_of_weight_zero_do_not_count(rng, seed):
    X = separated_blobs(rng, 3, 2, 8.0)
    strays = np.vstack([X, rng.uniform(-1e3, 1e3, size=(40, 2))])
    weights = np.r_[np.ones(len(X)), np.zeros(40)]
    result = elbow(strays, 8, sample_weight=weights, random_state=seed)
    assert result.best_k == 3
    plain = elbow(X, 8, random_state=seed)
    assert result.inertia[2] == pytest.approx(plain.inertia[2])
    for name in ("calinski_harabasz", "davies_bouldin", "simplified_silhouette", "separation", "bic"):
        assert getattr(result, name)[:3] == pytest.approx(getattr(plain, name)[:3], nan_ok=True), name


def test_a_weight_of_three_is_three_copies(rng, seed):
    X = separated_blobs(rng, 3, 2, 8.0, n_samples=60)
    weighted = elbow(X, 3, sample_weight=np.full(60, 3.0), random_state=seed)
    copied = elbow(np.repeat(X, 3, axis=0), 3, random_state=seed)
    for name in (
        "inertia",
        "explained_variance",
        "calinski_harabasz",
        "davies_bouldin",
        "simplified_silhouette",
        "bic",
    ):
        assert getattr(weighted, name) == pytest.approx(getattr(copied, name), nan_ok=True), name


def test_the_samples_are_not_changed(rng):
    X = rng.normal(size=(50, 2))
    before = X.copy()
    X.flags.writeable = False
    elbow(X, 5)
    assert np.array_equal(X, before)


# ---------------------------------------------------------------- the criteria


def test_the_criteria_are_those_of_the_same_labels(real, rng, seed):
    X = separated_blobs(rng, 4, 3, 5.0).astype(real) + 100
    result = elbow(X, 6, random_state=seed)
    scatter = ((X - X.mean(axis=0, dtype=np.float64)) ** 2).sum()
    for i, k in enumerate(result.k.tolist()):
        model = result.model(k)
        labels = model.labels_
        within = reference.within_cluster_variation(X, labels, "squares").sum()
        assert result.explained_variance[i] == pytest.approx(1 - within / scatter, abs=1e-9)
        if k == 1:
            continue
        assert result.calinski_harabasz[i] == pytest.approx(calinski_harabasz_score(X, labels), rel=1e-9)
        assert result.davies_bouldin[i] == pytest.approx(davies_bouldin_score(X, labels), rel=1e-9)
        assert result.silhouette[i] == pytest.approx(silhouette_score(X, labels), rel=1e-9)
        assert result.silhouette_se[i] == 0
        simplified = simplified_silhouette_score(X, labels, model.cluster_centers_)
        assert result.simplified_silhouette[i] == pytest.approx(simplified, rel=1e-9)


def test_calinski_harabasz_and_davies_bouldin_are_those_of_scikit_learn(rng, seed):
    metrics = pytest.importorskip("sklearn.metrics")
    X = rng.normal(size=(700, 5))
    result = elbow(X, 5, random_state=seed, tol=0.1)
    for i, k in enumerate([2, 3, 4, 5], start=1):
        labels = result.model(k).labels_
        assert result.calinski_harabasz[i] == pytest.approx(metrics.calinski_harabasz_score(X, labels), rel=1e-9)
        assert result.davies_bouldin[i] == pytest.approx(metrics.davies_bouldin_score(X, labels), rel=1e-9)


def test_the_silhouette_of_some_rows_is_within_its_error(rng, seed):
    X = separated_blobs(rng, 3, 2, 5.0, n_samples=6000)
    result = elbow(X, [3], random_state=seed)
    exact = silhouette_score(X, result.model(3).labels_)
    assert 0 < result.silhouette_se[0] < 0.02
    assert abs(result.silhouette[0] - exact) < 5 * result.silhouette_se[0]


def test_bic_is_that_of_the_normal_density(rng):
    X = rng.normal(size=(200, 3)) * 2 + np.repeat([[0.0], [40.0]], [50, 150], axis=0)
    result = elbow(X, 2)
    labels, centers = result.model(2).labels_, result.model(2).cluster_centers_
    variance = result.inertia[1] / (3 * (200 - 2))
    share = np.bincount(labels) / 200
    density = np.log(share[labels]) - 1.5 * np.log(2 * np.pi * variance)
    # The paper's exponent has n - k where the sum of squares over the variance has d (n - k): the same.
    likelihood = density.sum() - ((X - centers[labels]) ** 2).sum() / (2 * variance)
    assert result.bic[1] == pytest.approx(likelihood - (1 + 2 * 3 + 1) / 2 * np.log(200))


def test_one_cluster_has_no_criteria_but_bic_and_no_explained_variance(rng):
    row = {name: column[0] for name, column in elbow(rng.normal(size=(30, 2)), 3).columns().items()}
    assert row["explained_variance"] == pytest.approx(0, abs=1e-12)
    undefined = {name for name, value in row.items() if np.isnan(value)}
    assert undefined == {
        "calinski_harabasz", "davies_bouldin", "simplified_silhouette", "silhouette", "silhouette_se", "separation",
        "typical_separation", "bend",
    }  # fmt: skip


@pytest.mark.parametrize("n_features", [1, 3])
def test_separation_is_the_distance_in_deviations_along_the_line(n_features, rng):
    X = rng.normal(size=(400, n_features)) * np.linspace(1, 3, n_features)
    X[:150, 0] *= 0.5
    X[150:, 0] += 12
    labels = np.repeat([0, 1], [150, 250])
    line = X[:150].mean(axis=0) - X[150:].mean(axis=0)
    distance = np.linalg.norm(line)
    deviations = [(part @ (line / distance)).std(ddof=1) for part in (X[:150], X[150:])]
    expected = distance / (2 * max(deviations)) / np.sqrt(1 + separation.FEW_ROWS * (n_features + 1) / 398)
    assert separation.separations(X, labels, 2, n_features) == pytest.approx([expected, expected])
    near = np.vstack([X, X[:150] + 1e-3])
    found = separation.separations(near, np.r_[labels, np.full(150, 2)], 3, n_features)
    assert found[[0, 2]].max() < 0.1 and found[1] > 1


@pytest.mark.parametrize(
    ("rows", "labels", "expected"),
    [
        ([[0.0], [5.0]], [0, 1], 0.0),
        ([[0.0], [0.0], [5.0], [5.0]], [0, 0, 1, 1], np.inf),
        ([[0.0], [2.0], [9.0]], [0, 0, 1], 8 / (2 * np.sqrt(2)) / np.sqrt(1 + 2 * separation.FEW_ROWS)),
        ([[0.0], [2.0], [9.0]], [0, 0, 2], 0.0),
    ],
)
def test_separation_of_clusters_of_few_rows(rows, labels, expected):
    found = separation.separations(np.array(rows), np.array(labels), max(labels) + 1, 1.0)
    assert found.min() == pytest.approx(expected)


@pytest.mark.parametrize("law", ["random", "standard_normal"])
@pytest.mark.parametrize("shape", [(20, 2), (30, 20), (100, 100)], ids=str)
def test_few_rows_in_many_dimensions_make_no_clusters(shape, law, rng):
    found = [elbow(getattr(rng, law)(shape), random_state=i).best_k for i in range(10)]
    assert sum(best is not None for best in found) <= 1


@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_sample_that_is_hardly_ever_drawn_is_a_cluster_all_the_same(is_weighted, rng):
    X = np.array([[0, 0], [12, 0], [0, 12], [12, 12]])[rng.integers(4, size=60_000)] + rng.normal(size=(60_000, 2))
    X[7] = 3000, 2000
    weights = np.ones(len(X)) if is_weighted else None
    assert [elbow(X, 8, sample_weight=weights, random_state=i).best_k for i in range(4)] == [5, 5, 5, 5]


@pytest.mark.parametrize("scale", [1e-60, 1e-9, 1e40])
def test_the_unit_of_the_samples_does_not_matter(scale, rng):
    """Beyond the range of float32 too, in which the search runs otherwise."""
    X = (20 * rng.normal(size=(5, 3)))[rng.integers(5, size=20_000)] + rng.normal(size=(20_000, 3))
    plain, scaled = elbow(X, 7, random_state=3), elbow(X * scale, 7, random_state=3)
    # Past the five clusters there are many optima, close to each other, and equal inertias have other splits.
    np.testing.assert_allclose(scaled.inertia[:5] / scale**2, plain.inertia[:5], rtol=1e-3)
    np.testing.assert_allclose(scaled.inertia[5:] / scale**2, plain.inertia[5:], rtol=1e-2)
    assert (scaled.best_k, scaled.agreement) == (plain.best_k, plain.agreement)
    np.testing.assert_allclose(scaled.davies_bouldin[:5], plain.davies_bouldin[:5], rtol=1e-3)


def test_groups_within_groups_are_searched_in_float64(rng):
    label = rng.integers(10, size=40_000)
    X = (30 * rng.normal(size=(10, 2)))[label] + rng.normal(size=(40_000, 2))
    X[:, 0] += np.where(label % 2, 1e9, -1e9)
    found = elbow(X, 12, random_state=5).inertia[9]
    assert found <= 1.01 * min(KMeans(10, random_state=i).fit(X).inertia_ for i in range(5))


def test_weights_that_were_normalised_lose_no_criterion(rng):
    X = separated_blobs(rng, 4, 2, 8.0, n_samples=600)
    weights = rng.uniform(0.5, 2.0, size=len(X))
    whole, parts = (
        elbow(X, 6, sample_weight=w, random_state=2) for w in (weights / weights.mean(), weights / weights.sum())
    )
    for name in ("calinski_harabasz", "davies_bouldin", "bic", "silhouette", "separation"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9)


def test_references_of_the_gap_are_not_the_users_samples(rng, capsys):
    X, seen = separated_blobs(rng, 3, 2, 8.0, n_samples=120), []
    elbow(X, 3, callback=lambda entry: seen.append(entry) and False, random_state=1)
    n_alone = len(seen)
    elbow(X, 3, gap=True, callback=lambda entry: seen.append(entry) and False, random_state=1)
    assert len(seen) == 2 * n_alone


def test_many_small_clusters_do_not_bias_the_silhouette(rng):
    X = rng.normal(size=(30_000, 5))
    result = elbow(X, [500], random_state=2)
    exact = silhouette_score(X, result.model(500).labels_)
    assert abs(result.silhouette[0] - exact) < 4 * result.silhouette_se[0]


def test_the_gap_is_that_of_its_definition(rng, seed):
    X = separated_blobs(rng, 3, 2, 8.0, n_samples=120)
    result = elbow(X, 5, gap=True, random_state=seed)
    low, high = X.min(axis=0), X.max(axis=0)
    logs = np.array(
        [np.log(elbow(rng.uniform(low, high, size=X.shape), 5, random_state=seed).inertia) for _ in range(10)]
    )
    expected = logs.mean(axis=0) - np.log(result.inertia)
    # Two draws of ten references each.
    assert (np.abs(result.gap - expected) < 5 * result.gap_se).all()
    assert result.gap_se == pytest.approx(logs.std(axis=0) * np.sqrt(1.1), rel=1.5)
    assert result.agreement["gap"] == 3
    plain = elbow(X, 5, random_state=seed)
    assert plain.gap is None and "gap" not in plain.agreement


# ---------------------------------------------------------------- the knee


@pytest.mark.parametrize(
    ("gap", "error", "expected"),
    [
        ([0.1, 0.5, 1.0, 0.8], [0.1] * 4, 3),
        ([0.5, 0.55, 1.0, 0.8], [0.1] * 4, 1),
        ([0.1, 0.5, 1.0, 1.5], [0.1] * 4, None),
    ],
)
def test_the_one_error_rule_takes_the_first_gap_that_the_next_does_not_beat(gap, error, expected):
    assert knees.one_error_rule(np.arange(1, 5), np.array(gap), np.array(error)) == expected


@pytest.mark.parametrize(
    ("inertia", "expected"),
    [
        ([100, 10, 8, 6, 4, 2], 2),
        ([100, 60, 20, 15, 10, 5], 3),
        ([100, 80, 60, 40, 20, 0], None),
        ([5, 5, 5, 5, 5, 5], None),
        ([9, 1], None),
    ],
)
def test_kneedle_finds_the_bend_of_a_curve_by_hand(inertia, expected):
    assert knees.kneedle(np.arange(1, len(inertia) + 1), np.array(inertia, dtype=float)) == expected


@pytest.mark.parametrize("n_features", [2, 5, 20])
@pytest.mark.parametrize("n_clusters", [2, 3, 4, 5, 7])
def test_the_knee_is_the_number_of_separated_clusters(n_clusters, n_features, rng, seed):
    X = separated_blobs(rng, n_clusters, n_features, 6.0)
    assert elbow(X, 12, random_state=seed).best_k == n_clusters


@pytest.mark.parametrize("n_features", [1, 2, 5, 20])
@pytest.mark.parametrize("law", ["normal", "uniform", "laplace", "exponential"])
def test_samples_without_clusters_have_no_knee(law, n_features, rng, seed):
    X = getattr(rng, law)(size=(500, n_features))
    assert elbow(X, random_state=seed).best_k is None


def test_the_chord_is_the_one_of_its_definition(blobs, seed):
    for std in (0.5, 2.0, 4.0):
        X, _ = blobs(200, 2, 5, np.float64, std=std)
        result = elbow(X, 9, random_state=seed)
        assert result.knees["chord"] == result.agreement["chord"] == chord_by_hand(result.k, result.inertia)


@pytest.mark.parametrize(("n_clusters", "n_features"), [(3, 2), (6, 5), (8, 10)])
def test_blobs_of_the_tutorials_are_counted(n_clusters, n_features, seed):
    make_blobs = pytest.importorskip("sklearn.datasets").make_blobs
    rng = np.random.default_rng(seed)
    while True:
        X, _, centers = make_blobs(
            500, n_features, centers=n_clusters, random_state=int(rng.integers(2**31)), return_centers=True
        )
        apart = reference.sq_distances(centers, centers)
        if apart[apart > 0].min() > 36:
            break
    assert elbow(X, random_state=seed).best_k == n_clusters


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_knee_does_not_depend_on_the_unit(scale, rng, seed):
    X = separated_blobs(rng, 4, 3, 6.0)
    assert elbow(X * scale, random_state=seed).best_k == elbow(X, random_state=seed).best_k == 4


@pytest.mark.filterwarnings("ignore::fastkmeans.ConvergenceWarning")
def test_repeated_samples_have_their_knee_at_the_number_of_distinct_ones(rng, seed):
    X = rng.normal(size=(3, 2))[rng.integers(3, size=90)]
    assert elbow(X, random_state=seed).best_k == 3


def test_one_cluster_a_sample_is_no_knee_and_hides_none(seed):
    X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    assert elbow(X, 6, random_state=seed).best_k == 2


@pytest.mark.filterwarnings("ignore::fastkmeans.ConvergenceWarning")
def test_equal_samples_have_no_knee():
    result = elbow(np.ones((9, 2)), 4)
    assert result.best_k is None
    assert result.inertia.tolist() == [0, 0, 0, 0]


def test_warnings_of_the_fits_are_not_swallowed():
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        elbow(np.ones((9, 2)), 2)


@pytest.mark.parametrize("k", [[1], [3], [2, 3]])
def test_the_last_of_the_sweep_is_never_the_best(k, rng, seed):
    result = elbow(separated_blobs(rng, 3, 2, 8.0), k, random_state=seed)
    assert result.best_k is None
    assert "sweep over more numbers" in result.reason


def test_the_first_of_the_sweep_may_be_the_best(rng, seed):
    assert elbow(separated_blobs(rng, 3, 2, 8.0), [3, 4, 5], random_state=seed).best_k == 3


# ---------------------------------------------------------------- the result


def test_the_result_iterates_counts_and_prints_itself(rng):
    result = elbow(rng.normal(size=(30, 2)), "2:4")
    assert list(result) == list(zip([2, 3, 4], result.inertia.tolist(), strict=True))
    assert len(result) == 3
    lines = repr(result).splitlines()
    assert lines[0] == f"ElbowResult(best_k={result.best_k})"
    assert [line.split()[0] for line in lines[1:5]] == ["k", "2", "3", "4"]
    assert lines[5] == result.reason
    assert result.seconds.min() > 0
    assert result.n_iter.min() >= 1


def test_the_result_cannot_be_changed_by_accident(rng):
    result = elbow(rng.normal(size=(30, 2)), 3)
    with pytest.raises(ValueError, match="read-only"):
        result.inertia[0] = 0
    with pytest.raises(AttributeError):
        result.best_k = 3


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_dataframe_gives_a_dataframe_of_its_library(library, rng):
    result = elbow(library.DataFrame({"a": rng.normal(size=20), "b": rng.normal(size=20)}), 3)
    frame = result.to_frame()
    assert isinstance(frame, library.DataFrame)
    assert list(frame.columns) == list(result.columns())
    assert list(frame["k"]) == [1, 2, 3]
    assert list(frame["inertia"]) == result.inertia.tolist()


def test_an_arrow_table_gives_an_arrow_table(rng):
    result = elbow(pa.table({"a": rng.normal(size=20)}), 3)
    frame = result.to_frame()
    assert isinstance(frame, pa.Table)
    assert frame.column_names == list(result.columns())
    assert result.model(2).feature_names_in_.tolist() == ["a"]


def test_an_array_gives_a_structured_array(rng):
    frame = elbow(rng.normal(size=(20, 2)), 3).to_frame()
    assert frame.dtype.names[:3] == ("k", "inertia", "explained_variance")
    assert frame["k"].tolist() == [1, 2, 3]


def test_plot_marks_the_knee(rng, seed):
    ax = elbow(separated_blobs(rng, 3, 2, 8.0), random_state=seed).plot()
    assert ax.get_title().startswith("chosen: k = 3")


def test_the_module_and_the_package_offer_the_same_function():
    assert fastkmeans.elbow is sweep_module.elbow


def test_a_progress_bar_counts_the_numbers_of_clusters(capsys):
    pytest.importorskip("tqdm")
    X = np.random.default_rng(61).normal(size=(60, 2))
    with_bar = elbow(X, k=range(1, 5), random_state=2, progress=True)
    assert "4/4" in capsys.readouterr().err
    np.testing.assert_array_equal(with_bar.inertia, elbow(X, k=range(1, 5), random_state=2).inertia)
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- the models


@pytest.mark.parametrize("n_samples", [90, 300])
def test_the_model_of_a_k_is_its_row(n_samples, real, rng, seed):
    X = rng.normal(size=(n_samples, 3)).astype(real)
    result = elbow(X, 5, random_state=seed, max_iter=50)
    for k, inertia in result:
        model = result.model(k)
        assert model.inertia_ == inertia == -model.score(X)
        assert model.n_iter_ == len(model.history_) == result.n_iter[k - 1]
        assert model.get_params() == KMeans(k, random_state=seed, max_iter=50).get_params()
        assert model.labels_.dtype == np.int32
        assert np.array_equal(model.labels_, model.predict(X))


def test_a_model_can_be_changed_without_changing_the_sweep(rng):
    result = elbow(rng.normal(size=(40, 2)), 3)
    result.model(3).labels_[:] = 7
    result.model(3).cluster_centers_[:] = 7
    assert result.model(3).labels_.max() == 2
    assert result.model(3).cluster_centers_.max() < 7


@pytest.mark.parametrize("k", [0, 4, 2.0, None, "2"])
def test_a_model_that_was_not_swept_is_refused_by_name(k, rng):
    with pytest.raises(ValueError, match=r"k must be one of \[1, 2, 3\]"):
        elbow(rng.normal(size=(20, 2)), 3).model(k)


def test_the_result_pickles(rng):
    result = elbow(rng.normal(size=(20, 2)), 3)
    again = pickle.loads(pickle.dumps(result))
    assert repr(again) == repr(result)
    assert np.array_equal(again.model(2).labels_, result.model(2).labels_)


def test_labels_are_kept_in_the_smallest_type(rng):
    result = elbow(rng.normal(size=(300, 2)), [2, 256])
    assert {run.labels.dtype for run, _ in result._runs.values()} == {np.dtype(np.uint8)}


# ---------------------------------------------------------------- n_clusters="auto"


def test_auto_is_the_model_of_the_sweep(real, rng, seed):
    X = separated_blobs(rng, 4, 3, 7.0).astype(real)
    auto, result = KMeans("auto", random_state=seed).fit(X), elbow(X, random_state=seed)
    assert auto.n_clusters == "auto"
    assert auto.n_clusters_ == auto.sweep_.best_k == result.best_k == 4
    assert auto.cluster_centers_.tobytes() == result.model(4).cluster_centers_.tobytes()
    assert np.array_equal(auto.labels_, auto.predict(X))
    assert auto.transform(X).shape == (500, 4)


def test_auto_on_few_samples_sweeps_no_farther_than_they_go():
    auto = KMeans("auto", random_state=5).fit([[0.0], [1.0], [30.0], [31.0]])
    assert auto.n_clusters_ == 2
    assert auto.sweep_.k.tolist() == [1, 2, 3, 4]


def test_auto_without_an_answer_raises_and_changes_nothing(rng, seed):
    model = KMeans(3, random_state=seed).fit(separated_blobs(rng, 3, 2, 8.0))
    before = vars(model.set_params(n_clusters="auto")).copy()
    with pytest.raises(ValueError, match=r"no clear clusters between k = 1 and \d+; pass a number.*like one cloud"):
        model.fit(rng.uniform(size=(400, 2)))
    assert vars(model) == before


def test_auto_refuses_given_centers(rng):
    X = rng.normal(size=(20, 2))
    with pytest.raises(ValueError, match="init cannot be an array with n_clusters='auto'"):
        KMeans("auto", init=X[:3]).fit(X)


def test_a_fit_with_a_number_forgets_the_sweep(rng, seed):
    X = pd.DataFrame(separated_blobs(rng, 3, 2, 8.0), columns=["a", "b"])
    model = KMeans("auto", random_state=seed).fit(X)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    model.set_params(n_clusters=2).fit(X)
    assert model.n_clusters_ == 2
    assert not hasattr(model, "sweep_")


def test_an_auto_model_is_saved_and_loaded(rng, seed, tmp_path):
    model = KMeans("auto", random_state=seed).fit(separated_blobs(rng, 3, 2, 8.0))
    model.save(tmp_path / "m.npz")
    loaded = KMeans.load(tmp_path / "m.npz")
    assert loaded.get_params() == model.get_params()
    assert loaded.n_clusters_ == 3


def test_weights_reach_the_sweep_of_auto(rng, seed):
    X = np.vstack([separated_blobs(rng, 3, 2, 8.0), rng.uniform(-1e3, 1e3, size=(40, 2))])
    weights = np.r_[np.ones(500), np.zeros(40)]
    assert KMeans("auto", random_state=seed).fit(X, sample_weight=weights).n_clusters_ == 3
