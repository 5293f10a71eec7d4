"""Measures of a clustering are their definitions, exactly, and scikit-learn's where it has them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import reference
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastkmeans
from fastkmeans import (
    KMeans,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_samples,
    silhouette_score,
    simplified_silhouette_samples,
    simplified_silhouette_score,
    within_cluster_variation,
)
from fastkmeans.metrics.table import METRICS
from fastkmeans.quality import mean_distances, scatter, silhouettes, simplified

ATOL = 1e-12  # of silhouettes against the slow twin; the promise is 1e-9

N_THREADS = [1, 2, 3, 7]


@pytest.fixture(params=METRICS)
def metric(request):
    return request.param


@pytest.fixture
def clustered(blobs):
    """Maker of (X, labels): blobs that overlap, a cluster of one, one of two copies, and a copy across clusters."""

    def make(n_samples, n_features, n_clusters, real, *, offset=0.0):
        X, labels = blobs(n_samples, n_features, n_clusters, real, std=4.0, offset=offset)
        labels[labels < 2] = 2
        labels[0], labels[5:7] = 0, 1
        X[6] = X[5]
        X[8] = X[4]
        return X, labels

    return make


# ---------------------------------------------------------------- silhouettes


@pytest.mark.parametrize("n_features", [1, 7, 8, 33])
def test_every_isa_finds_the_silhouettes_of_the_slow_twin(n_features, metric, real, isa, clustered):
    for n_samples, n_clusters in [(9, 4), (64, 5), (149, 40)]:
        X, labels = clustered(n_samples, n_features, n_clusters, real)
        expected = reference.silhouette_samples(X, labels, metric)
        np.testing.assert_allclose(silhouette_samples(X, labels, metric=metric), expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("n_features", [2, 20])
def test_silhouettes_are_those_of_scikit_learn(n_features, metric, clustered):
    X, labels = clustered(700, n_features, 9, np.float64)
    expected = sklearn.metrics.silhouette_samples(X, labels, metric=metric)
    np.testing.assert_allclose(silhouette_samples(X, labels, metric=metric), expected, rtol=0, atol=1e-9)
    expected = sklearn.metrics.silhouette_score(X, labels, metric=metric)
    assert silhouette_score(X, labels, metric=metric) == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_far_from_the_origin_silhouettes_lose_no_digit(metric, real, clustered):
    X, labels = clustered(90, 3, 6, real, offset=1e7)
    expected = reference.silhouette_samples(X, labels, metric)
    np.testing.assert_allclose(silhouette_samples(X, labels, metric=metric), expected, rtol=0, atol=ATOL)
    # The same differences, at the origin.
    near = X.astype(np.float64) - 1e7
    np.testing.assert_allclose(silhouette_samples(near, labels, metric=metric), expected, rtol=0, atol=ATOL)


@st.composite
def clusterings(draw):
    """Rows of few distinct values, so that copies and ties abound, or of any size, and labels that fit them."""
    shape = draw(st.tuples(st.integers(3, 30), st.integers(1, 6)))
    values = draw(st.sampled_from([st.integers(-2, 2), st.floats(-1e100, 1e100), st.floats(-1, 1, width=32)]))
    X = draw(hnp.arrays(np.float64, shape, elements=values))
    labels = draw(hnp.arrays(np.int64, shape[0], elements=st.integers(-3, 3)))
    n_labels = len(np.unique(labels))
    if not 2 <= n_labels < shape[0]:
        labels = np.arange(shape[0]) % 2
    return X, labels


@settings(max_examples=80, deadline=None)
@given(clusterings(), st.sampled_from(["euclidean", "manhattan"]))
def test_any_silhouette_is_that_of_the_slow_twin(clustering, metric):
    X, labels = clustering
    found = silhouette_samples(X, labels, metric=metric)
    np.testing.assert_allclose(found, reference.silhouette_samples(X, labels, metric), rtol=0, atol=ATOL)
    assert (abs(found) <= 1).all()


@settings(max_examples=60, deadline=None)
@given(clusterings())
def test_any_cosine_silhouette_of_directions_that_differ_is_that_of_the_slow_twin(clustering):
    X, labels = clustering
    X = np.rint(np.clip(X, -9, 9))  # else directions closer than float64 resolves make any answer
    found = silhouette_samples(X, labels, metric="cosine")
    np.testing.assert_allclose(found, reference.silhouette_samples(X, labels, "cosine"), rtol=0, atol=ATOL)


def test_cosine_silhouettes_depend_on_directions_alone(clustered, rng):
    X, labels = clustered(80, 5, 6, np.float64)
    X[11] = 0
    scale = 10.0 ** rng.integers(-140, 140, size=(80, 1))
    np.testing.assert_allclose(
        silhouette_samples(X * scale, labels, metric="cosine"),
        silhouette_samples(X, labels, metric="cosine"),
        rtol=0,
        atol=ATOL,
    )
    assert silhouette_samples(X, labels, metric="cosine")[11] == 0


def test_a_sample_alone_has_silhouette_0_and_so_have_copies_of_one_sample(metric):
    X = np.array([[1.0, 2.0], [1.0, 2.5], [9.0, 1.0]])
    assert silhouette_samples(X, [4, 4, 1], metric=metric)[2] == 0
    np.testing.assert_array_equal(silhouette_samples(np.ones((6, 3)), [0, 0, 0, 1, 1, 1], metric=metric), np.zeros(6))


def test_two_clusters_far_apart_have_silhouettes_near_1(rng):
    X = rng.normal(size=(60, 4)) + 1e6 * (np.arange(60) % 2)[:, None]
    assert silhouette_samples(X, np.arange(60) % 2).min() > 1 - 1e-5


def test_chosen_rows_have_the_silhouettes_they_have_among_all(metric, real, clustered, rng):
    X, labels = clustered(500, 6, 7, real)  # too small clusters for pairs
    rows = rng.permutation(500)[:77]
    found = silhouettes.silhouettes_of_rows(X, labels.astype(np.int32), rows, metric, None)
    np.testing.assert_array_equal(found, silhouette_samples(X, labels, metric=metric)[rows])


def test_every_isa_measures_each_pair_once_as_it_does_twice(metric, real, isa, clustered, monkeypatch):
    rows = np.arange(1301)
    for n_samples, n_features, n_clusters in [(9, 3, 4), (264, 2, 5), (601, 300, 3), (1301, 1, 40)]:
        X, labels = clustered(n_samples, n_features, n_clusters, real)
        twice = silhouettes.silhouettes_of_rows(X, labels.astype(np.int32), rows[:n_samples], metric, None)
        monkeypatch.setattr(silhouettes, "_PAIRS_SAMPLES_OF_A_CLUSTER", 0)
        np.testing.assert_allclose(silhouette_samples(X, labels, metric=metric), twice, rtol=0, atol=ATOL)
        monkeypatch.setattr(silhouettes, "_PAIRS_BYTES", 0)
        np.testing.assert_array_equal(silhouette_samples(X, labels, metric=metric), twice)
        monkeypatch.undo()


@pytest.mark.parametrize("n_rows", [1, 8, 77])
@pytest.mark.parametrize("n_samples", [20, 513, 1030])
def test_every_isa_measures_distances_once_for_several_labelings(n_rows, n_samples, metric, real, isa, clustered, rng):
    X, labels = clustered(n_samples, 6, 5, real)
    rows = rng.permutation(n_samples)[:n_rows]
    finer = np.unique(labels * 9 + rng.integers(9, size=n_samples), return_inverse=True)[1]
    labelings = [labels.astype(np.int32), finer.astype(np.int32), (np.arange(n_samples) % 2).astype(np.int32)]
    found = silhouettes.silhouettes_of_labelings(X, labelings, rows, metric, None)
    assert len(found) == 3
    for codes, together in zip(labelings, found, strict=True):
        alone = silhouettes.silhouettes_of_rows(X, codes, rows, metric, None)
        np.testing.assert_allclose(together, alone, rtol=0, atol=ATOL)


def test_labelings_are_measured_alike_together_and_in_turn(metric, clustered, rng, monkeypatch):
    X, _ = clustered(2500, 4, 6, np.float64)
    labelings = [(np.arange(2500) % n).astype(np.int32) for n in (2, 9, 3, 40)]
    rows = rng.permutation(2500)[:1100]
    together = silhouettes.silhouettes_of_labelings(X, labelings, rows, metric, 1)
    monkeypatch.setattr(mean_distances, "_WORK_OF_A_CALL", 1)
    np.testing.assert_array_equal(silhouettes.silhouettes_of_labelings(X, labelings, rows, metric, 2), together)
    for clusters in (1, 11, 14):  # each alone, or two in one call, or three
        monkeypatch.setattr(silhouettes, "_CLUSTERS_OF_A_CALL", clusters)
        apart = silhouettes.silhouettes_of_labelings(X, labelings, rows, metric, 2)
        np.testing.assert_allclose(apart, together, rtol=0, atol=ATOL)
    monkeypatch.setattr(silhouettes, "_COPIED_VALUES", X.size - 1)
    np.testing.assert_allclose(
        silhouettes.silhouettes_of_labelings(X, labelings, rows, metric, 2), together, rtol=0, atol=ATOL
    )


def test_no_labelings_have_no_silhouettes(metric, clustered):
    X, _ = clustered(20, 2, 2, np.float64)
    assert silhouettes.silhouettes_of_labelings(X, [], np.arange(5), metric, None) == []


def test_work_in_several_calls_changes_no_bit(metric, clustered, monkeypatch):
    X, labels = clustered(3001, 3, 50, np.float32)
    at_once = silhouette_samples(X, labels, metric=metric)
    monkeypatch.setattr(mean_distances, "_WORK_OF_A_CALL", 1)
    np.testing.assert_array_equal(silhouette_samples(X, labels, metric=metric), at_once)


def test_silhouettes_take_memory_by_the_sample_not_by_the_pair(rng):
    X, labels = rng.normal(size=(8000, 2)), rng.integers(30, size=8000)
    tracemalloc.start()
    silhouette_samples(X, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 * len(X)


@pytest.mark.parametrize("sample_size", [40, 300, 1000])
def test_a_sampled_score_draws_the_samples_that_scikit_learn_draws(sample_size, seed, clustered):
    X, labels = clustered(300, 3, 4, np.float64)
    for make in (int, np.random.RandomState):
        given = {"sample_size": sample_size, "random_state": make(seed)}
        found = silhouette_score(X, labels, **given)
        given["random_state"] = make(seed)
        assert found == pytest.approx(sklearn.metrics.silhouette_score(X, labels, **given), rel=0, abs=1e-9)


# ---------------------------------------------------------------- simplified silhouettes


@pytest.mark.parametrize("n_clusters", [2, 7, 8, 9, 30])
def test_every_isa_finds_the_simplified_silhouettes_of_the_slow_twin(n_clusters, metric, real, isa, clustered):
    X, labels = clustered(150, 5, n_clusters + 1, real)
    labels = labels % n_clusters
    centers = np.stack([X[labels == k].mean(axis=0) if (labels == k).any() else X[k] for k in range(n_clusters)])
    expected = reference.simplified_silhouette_samples(X, labels, centers, metric)
    found = simplified_silhouette_samples(X, labels, centers, metric=metric)
    np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)
    assert simplified_silhouette_score(X, labels, centers, metric=metric) == found.mean()


def test_simplified_silhouettes_of_a_model_are_not_negative(blobs, real):
    X, _ = blobs(2000, 3, 6, real, std=4.0)
    model = KMeans(6, random_state=5).fit(X)
    centers = model.cluster_centers_
    assert simplified_silhouette_samples(X, model.predict(X), centers).min() >= -1e-15
    moved = simplified_silhouette_samples(X + 1e6, model.labels_, centers.astype(np.float64) + 1e6)
    assert moved.shape == (2000,)


# ---------------------------------------------------------------- sums of squares


@pytest.mark.parametrize("score", [calinski_harabasz_score, davies_bouldin_score])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_scores_are_those_of_scikit_learn(score, offset, real, blobs):
    X, labels = blobs(900, 4, 7, real, std=3.0, offset=offset)
    expected = getattr(sklearn.metrics, score.__name__)(X.astype(np.float64), labels)
    assert score(X, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("score", [calinski_harabasz_score, davies_bouldin_score])
def test_scores_of_clusters_without_spread_are_those_of_scikit_learn(score):
    for X in (np.ones((6, 2)), np.repeat([[1.0, 2.0], [5.0, 2.0]], 3, axis=0)):
        labels = [0, 0, 0, 1, 1, 1]
        assert score(X, labels) == getattr(sklearn.metrics, score.__name__)(X, labels)


@pytest.mark.parametrize("form", ["pairwise", "centers"])
def test_variation_is_its_definition(form, real, clustered):
    X, labels = clustered(200, 3, 6, real, offset=50.0)
    found = within_cluster_variation(X, labels, form=form)
    np.testing.assert_allclose(found, reference.within_cluster_variation(X, labels, form), rtol=1e-9, atol=1e-18)


def test_variation_of_a_converged_fit_adds_up_to_its_inertia_and_pairs_to_twice_that(blobs):
    X, _ = blobs(3000, 3, 5, np.float64, std=2.0)
    model = KMeans(5, random_state=6, tol=0).fit(X)
    about_centers = within_cluster_variation(X, model.labels_, form="centers")
    assert about_centers.sum() == pytest.approx(model.inertia_, rel=1e-12)
    np.testing.assert_array_equal(within_cluster_variation(X, model.labels_), 2 * about_centers)
    assert within_cluster_variation(X, np.zeros(3000), form="centers").shape == (1,)


# ---------------------------------------------------------------- what all of them share

MEASURES = {
    **{f"silhouette_samples, {m}": (lambda X, y, m=m, **k: silhouette_samples(X, y, metric=m, **k)) for m in METRICS},
    "silhouette_score": silhouette_score,
    "calinski_harabasz_score": calinski_harabasz_score,
    "davies_bouldin_score": davies_bouldin_score,
    "within_cluster_variation": within_cluster_variation,
    "simplified_silhouette_samples": lambda X, y, **k: simplified_silhouette_samples(X, y, np.asarray(X)[:50], **k),
}  # fmt: skip


@pytest.fixture(params=MEASURES)
def measure(request):
    return MEASURES[request.param]


def test_threads_change_no_bit(measure, real, clustered):
    for n_clusters in [4, 50]:  # silhouettes of pairs, and of rows
        X, labels = clustered(2500, 70, n_clusters, real)  # work enough for several threads
        answers = [np.asarray(measure(X, labels, n_threads=n_threads)).tobytes() for n_threads in N_THREADS]
        assert all(answer == answers[0] for answer in answers)


def test_a_table_is_measured_as_its_array_is(measure, clustered):
    X, labels = clustered(60, 2, 5, np.float64)
    expected = measure(X, labels)
    for table in (pd.DataFrame(X, columns=["a", "b"]), pl.DataFrame(X, schema=["a", "b"]), X.tolist()):
        np.testing.assert_array_equal(measure(table, labels), expected)
    np.testing.assert_array_equal(measure(X, pd.Series(labels, index=labels + 5)), expected)
    np.testing.assert_array_equal(measure(np.asfortranarray(X), labels.tolist()), expected)


NAMES = {  # how labels may be written, in the order of the numbers that they stand for
    "text": np.array(["a", "bb", "c", "dd", "e"]),
    "objects": np.array(["a", "bb", "c", "dd", "e"], dtype=object),
    "any integers": np.array([-(2**62), -3, 0, 7, 2**62]),
    "small integers": np.array([-128, -3, 0, 7, 127], dtype=np.int8),
    "large integers": np.array([0, 1, 2, 3, 2**64 - 1], dtype=np.uint64),
    "gaps": np.array([-9, -3, 0, 7, 11]),
    "floats": np.array([-1.5, 0.0, 0.5, 2.0, 1e300]),
}


@pytest.mark.parametrize("kind", NAMES)
def test_labels_may_be_anything_that_sorts(kind, clustered):
    X, labels = clustered(60, 2, 5, np.float64)
    for measure in (silhouette_samples, calinski_harabasz_score, within_cluster_variation):
        np.testing.assert_array_equal(measure(X, NAMES[kind][labels]), measure(X, labels))


X = np.arange(12.0).reshape(6, 2)
LABELS = [0, 0, 1, 1, 2, 2]

MISTAKES = {  # name -> (call, error, words of the message)
    "text": (lambda: silhouette_samples([["a"], ["b"], ["c"]], [0, 0, 1]), ValueError, "text"),
    "NaN": (lambda: silhouette_samples(np.where(X == 5, np.nan, X), LABELS), ValueError, "NaN.*row 2"),
    "null in a table": (
        lambda: davies_bouldin_score(pd.DataFrame({"a": [1.0, None, 3.0]}), [0, 0, 1]), ValueError, "'a'"),
    "one dimension": (lambda: calinski_harabasz_score(X[:, 0], LABELS), ValueError, "2D"),
    "too few labels": (lambda: silhouette_score(X, LABELS[:5]), ValueError, r"one label per sample.*\(5,\)"),
    "labels in a column": (lambda: silhouette_score(X, np.c_[LABELS]), ValueError, r"\(6, 1\)"),
    "a label missing": (lambda: silhouette_score(X, [0, 0, 1, 1, 2, np.nan]), ValueError, "row 5"),
    "labels of two kinds": (lambda: silhouette_score(X, [0, 0, "a", None, 1, 1]), TypeError, "one type"),
    "one cluster": (lambda: silhouette_samples(X, [3] * 6), ValueError, "Number of labels is 1. Valid values are 2"),
    "all clusters of one": (lambda: davies_bouldin_score(X, range(6)), ValueError, "Number of labels is 6"),
    "one cluster drawn": (
        lambda: silhouette_score(X, LABELS, sample_size=1, random_state=1), ValueError, "Number of labels is 1"),
    "metric": (lambda: silhouette_samples(X, LABELS, metric="euclidian"), ValueError, "Did you mean 'euclidean'"),
    "callable metric": (lambda: silhouette_samples(X, LABELS, metric=max), TypeError, "metric must be one of"),
    "sample_size": (lambda: silhouette_score(X, LABELS, sample_size=0), ValueError, "sample_size must be"),
    "random_state": (lambda: silhouette_score(X, LABELS, random_state="x"), TypeError, "random_state must be"),
    "n_threads": (lambda: silhouette_score(X, LABELS, n_threads=0), ValueError, "n_threads must be"),
    "form": (lambda: within_cluster_variation(X, LABELS, form="pairs"), ValueError, "'pairwise', 'centers'"),
    "label beyond the centers": (
        lambda: simplified_silhouette_score(X, LABELS, X[:2]), ValueError, "from 0 to 1; got 2"),
    "label below the centers": (
        lambda: simplified_silhouette_score(X, [-1, 0, 0, 1, 1, 1], X[:2]), ValueError, "got -1"),
    "labels of centers as text": (
        lambda: simplified_silhouette_score(X, list("aabbcc"), X[:3]), ValueError, "rows of centers"),
    "one center": (lambda: simplified_silhouette_score(X, [0] * 6, X[:1]), ValueError, "at least two centers"),
    "centers of other features": (
        lambda: simplified_silhouette_score(X, LABELS, np.ones((3, 5))), ValueError, "as many features"),
    "NaN in centers": (
        lambda: simplified_silhouette_score(X, LABELS, np.full((3, 2), np.nan)), ValueError, "centers contains NaN"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_raises_an_error_that_tells_the_way_out(name):
    call, error, words = MISTAKES[name]
    with pytest.raises(error, match=f"(?s){words}"):
        call()


def test_all_measures_are_exported():
    modules = (scatter, silhouettes, simplified)
    public = {
        name for module in modules for name in vars(module) if name.endswith(("_score", "_samples", "_variation"))
    }
    assert public <= set(fastkmeans.__all__)
