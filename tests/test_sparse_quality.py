"""Scores and sweeps over sparse samples: those of the same samples made dense, without making them dense."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkmeans
from fastkmeans import KMeans, elbow
from fastkmeans._core import runtime
from fastkmeans._core.csr import CsrRows
from fastkmeans._core.sparse_seeding import SparseSeeding
from fastkmeans.fitting.sparse_seeding import choose_rows
from fastkmeans.selection.result import COLUMNS

sparse = pytest.importorskip("scipy.sparse")

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


def words(rng, n, d):
    X = rng.poisson(rng.uniform(0.0, 0.4, size=d), size=(n, d)) * rng.uniform(0.5, 2.0, size=(n, d))
    X[rng.integers(n, size=3)] = 0.0
    X[rng.integers(n, size=3)] = X[0]
    return X


SCORES = {
    "silhouettes": lambda X, labels, _, metric: fastkmeans.silhouette_samples(X, labels, metric=metric),
    "simplified": lambda X, labels, centers, metric: fastkmeans.simplified_silhouette_samples(
        X, labels, centers, metric=metric
    ),
    "sampled": lambda X, labels, _, metric: fastkmeans.silhouette_score(
        X, labels, metric=metric, sample_size=len(labels) - 1, random_state=3
    ),
    "Calinski-Harabasz": lambda X, labels, *_: fastkmeans.calinski_harabasz_score(X, labels),
    "Davies-Bouldin": lambda X, labels, *_: fastkmeans.davies_bouldin_score(X, labels),
    "variation": lambda X, labels, *_: fastkmeans.within_cluster_variation(X, labels),
}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("name", SCORES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_scores_are_those_of_dense_samples(name, metric, seed):
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(8, 200)), int(rng.choice([1, 3, 8, 30])), int(rng.integers(2, 7))
    X = words(rng, n, d).astype(rng.choice(["float32", "float64"]))
    labels = np.append(np.arange(k), rng.integers(k, size=n - k))
    labels[-1] = labels[0]
    centers = rng.normal(size=(k, d)) + 0.5
    expected = SCORES[name](X, labels, centers, metric)
    found = SCORES[name](sparse.csr_array(X), labels, centers, metric)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_sweep_is_that_of_dense_samples(metric, weighted, rng, seed):
    X = words(rng, 300, 40) + 3.0 * np.eye(40)[rng.integers(4, size=300)]
    weights = rng.integers(0, 3, size=300) + 1.0 if weighted else None
    params = dict(k=6, metric=metric, init="k-means++", random_state=seed % 2**32, sample_weight=weights)
    expected, found = elbow(X, **params), elbow(sparse.csr_array(X), **params)
    for name in set(COLUMNS) - {"seconds", "gap", "gap_se"}:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-6, atol=1e-9, err_msg=name)
    assert found.best_k == expected.best_k


def test_the_number_of_clusters_of_sparse_samples_is_found(rng):
    X = words(rng, 600, 50) * 0.05 + 3.0 * np.eye(50)[rng.integers(4, size=600)]
    model = KMeans("auto", random_state=1).fit(sparse.csr_array(X))
    assert len(model.cluster_centers_) == 4
    np.testing.assert_array_equal(model.labels_, model.predict(X))


def test_a_callable_init_of_a_sweep_gets_the_matrix_that_was_passed(rng):
    S, seen = sparse.csr_array(words(rng, 60, 8)), []

    def first_rows(X, n_clusters, random_state):
        seen.append(X)
        return X[:n_clusters].toarray()

    elbow(S, k=3, init=first_rows, n_init=1)
    assert seen and all(X is S for X in seen)


def test_scores_and_sweeps_make_no_dense_copy(rng):
    S = sparse.random(2000, 30_000, density=0.001, format="csr", random_state=9)
    labels = rng.integers(5, size=2000)
    centers = S[:5].toarray()
    tracemalloc.start()
    try:
        for metric in ["euclidean", "cosine"]:
            fastkmeans.silhouette_samples(S, labels, metric=metric)
            fastkmeans.simplified_silhouette_samples(S, labels, centers, metric=metric)
        fastkmeans.davies_bouldin_score(S, labels)
        elbow(S, k=3, random_state=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6  # of 480 MB


REFUSED = {
    "silhouettes": lambda S, labels: fastkmeans.silhouette_samples(S, labels, metric="manhattan"),
    "simplified": lambda S, labels: fastkmeans.simplified_silhouette_samples(
        S, labels, S[:2].toarray(), metric="manhattan"
    ),
    "sweep": lambda S, labels: elbow(S, metric="manhattan"),
    "standardize": lambda S, labels: elbow(S, standardize=True),
    "gap": lambda S, labels: elbow(S, gap=True),
    "missing": lambda S, labels: elbow(S, missing="mean"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_sparse_samples_cannot_be_asked_is_said(name, rng):
    with pytest.raises(ValueError, match=r"(metric|standardize|gap|missing) must be .* for sparse"):
        REFUSED[name](sparse.csr_array(words(rng, 30, 6)), np.arange(30) % 2)


def test_values_that_are_not_finite_are_named(rng):
    X = words(rng, 30, 6)
    X[4, 2] = np.nan
    with pytest.raises(ValueError, match="row 4, column 2"):
        fastkmeans.silhouette_score(sparse.csr_array(X), np.arange(30) % 2)


def rows_of(X):
    S = sparse.csr_array(X)
    return CsrRows(S.data, S.indices.astype(np.int32), S.indptr.astype(np.int64), X.shape[1])


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_gains_of_candidates_are_those_of_all_distances(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(4, 700)), int(rng.choice([1, 5, 40, 200]))
    X = words(rng, n, d).astype(rng.choice(["float32", "float64"]))
    weights = rng.integers(0, 3, size=n) * 1.0 if rng.random() < 0.5 else None
    n_candidates = int(rng.integers(1, 20))
    seeding = SparseSeeding(rows_of(X), weights, n_candidates, int(rng.integers(1, 4)))
    wide, nearest = X.astype(np.float64), np.full(n, np.inf)
    for step in range(4):
        candidates = rng.integers(n, size=n_candidates if step else 1)
        sq = ((wide[:, None] - wide[candidates]) ** 2).sum(axis=2)
        gains = seeding.gains(candidates)
        if step:
            expected = (
                (nearest[:, None] - np.minimum(nearest[:, None], sq)) * (1.0 if weights is None else weights[:, None])
            ).sum(axis=0)
            np.testing.assert_allclose(gains, expected, rtol=1e-9, atol=1e-9 * (wide**2).sum())
        best = int(np.argmax(gains))
        seeding.take(best)
        nearest = np.minimum(nearest, sq[:, best])
        np.testing.assert_allclose(seeding.min_sq_distances, nearest, rtol=1e-9, atol=1e-12 * (wide**2).max() * d)
        assert seeding.min_sq_distances[candidates[best]] == 0.0


@pytest.mark.parametrize("n_trials", [1, 5, 8, 9, 20])
def test_seeds_are_the_same_on_all_cpus_for_any_number_of_threads(n_trials, rng, seed, real):
    rows = rows_of(words(rng, 900, 300).astype(real))
    before, found = runtime.isa(), []
    try:
        for isa in runtime.isas():
            runtime.use_isa(isa)
            for n_threads in (1, 3):
                source = np.random.RandomState(seed % 2**32)
                found.append(choose_rows(rows, None, 7, 20, n_trials, source, n_threads))
    finally:
        runtime.use_isa(before)
    assert all(each == found[0] for each in found)
    assert found[0][0] == 7 and len(set(found[0])) == 20
