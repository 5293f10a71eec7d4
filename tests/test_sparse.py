"""Sparse samples: the labels and the centers of the same samples made dense, without making them dense."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import BisectingKMeans, KMeans, kmeans_plusplus
from fastkmeans._core import runtime
from fastkmeans._core.csr import CsrRows
from fastkmeans.engines.rounding import LEAST_BITS
from fastkmeans.fitting.seeding import plusplus_rows
from fastkmeans.sparse import SparseSamples

sparse = pytest.importorskip("scipy.sparse")

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


def words(rng, n, d):
    """Counts of words, most of them 0."""
    return rng.poisson(rng.uniform(0.0, 0.3, size=d), size=(n, d)) + 0.0


DATA = {  # name -> maker of (n_samples, n_features)
    "words": words,
    "reals": lambda rng, n, d: words(rng, n, d) * rng.normal(size=(n, d)),
    "ties": lambda rng, n, d: rng.integers(-1, 2, size=(n, d)) + 0.0,
    "dense": lambda rng, n, d: rng.normal(size=(n, d)) + 3.0,
    "offset": lambda rng, n, d: (words(rng, n, d) > 0) * 1e6 + (words(rng, n, d) > 0) * rng.normal(size=(n, d)),
    "copies": lambda rng, n, d: words(rng, 6, d)[rng.integers(6, size=n)],
    "nothing": lambda rng, n, d: np.zeros((n, d)),
}

LAYOUTS = ["csr_matrix", "csr_array", "csc_array", "coo_array", "lil_matrix"]


def sparse_of(X, rng, layout="csr_array"):
    return getattr(sparse, layout)(X)


def samples(seed, real=None):
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(1, 700)), int(rng.choice([1, 2, 7, 40, 200])), int(rng.integers(1, 140))
    X = DATA[str(rng.choice(list(DATA)))](rng, n, d).astype(real or rng.choice(["float32", "float64"]))
    weights = rng.integers(0, 4, size=n) + (np.arange(n) == 0.0) if rng.random() < 0.5 else None
    return X, weights, X[rng.choice(n, size=min(n, k), replace=False)], rng


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_sparse_fits_have_the_labels_and_centers_of_dense_ones(seed):
    X, weights, init, rng = samples(seed)
    model = KMeans(len(init), init=init, tol=0, max_iter=20, algorithm="lloyd", n_threads=int(rng.integers(1, 4)))
    expected = KMeans(**model.get_params()).fit(X, sample_weight=weights)
    model.fit(sparse_of(X, rng, rng.choice(LAYOUTS)), sample_weight=weights)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    # Means of values that are 2^40 times smaller than the largest of their feature may differ in the last bits.
    np.testing.assert_allclose(model.cluster_centers_, expected.cluster_centers_, rtol=2.0**-LEAST_BITS, atol=0)
    assert model.n_iter_ == expected.n_iter_
    assert model.inertia_ == pytest.approx(expected.inertia_, rel=1e-9)


def test_clusters_of_values_beside_far_larger_ones_have_their_means(rng):
    """Sums on a grid for the largest value would lose the digits of the smallest."""
    X = words(rng, 300, 12) + 1.0
    X[:150] *= 1e-22
    X[150:] *= 1e8
    model = KMeans(2, init=X[[0, 299]], max_iter=1).fit(sparse.csr_array(X))
    np.testing.assert_array_equal(model.labels_, np.repeat([0, 1], 150))
    np.testing.assert_allclose(model.cluster_centers_, [X[:150].mean(axis=0), X[150:].mean(axis=0)], rtol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_a_fit_agrees_with_predict_transform_and_score(metric, seed):
    X, weights, _, rng = samples(seed)
    X[~X.any(axis=1), 0] = 1.0
    n_clusters = int(rng.integers(1, min(len(X), 12) + 1))
    S = sparse_of(X, rng)
    model = KMeans(n_clusters, metric=metric, random_state=seed).fit(S, sample_weight=weights)
    np.testing.assert_array_equal(model.predict(S), model.labels_)
    assert model.score(S, sample_weight=weights) == -model.inertia_
    distances = model.transform(S)
    np.testing.assert_array_equal(distances.argmin(axis=1), model.labels_)
    if metric == "euclidean":
        np.testing.assert_array_equal(model.predict(X), model.labels_)
        np.testing.assert_allclose(distances, model.transform(X), rtol=1e-5 if X.dtype == np.float32 else 1e-9, atol=0)
    assert (np.diff([entry["inertia"] for entry in model.history_]) <= 0).all()


@pytest.mark.parametrize("init", ["auto", "k-means++", "random"])
def test_threads_and_instruction_sets_change_no_bit(init, real, rng, seed, fingerprint):
    X = DATA["reals"](rng, 3000, 60).astype(real)
    before, found = runtime.isa(), []
    try:
        for isa in runtime.isas():
            runtime.use_isa(isa)
            for n_threads in (1, 2, 5):
                model = KMeans(9, init=init, random_state=seed, n_threads=n_threads).fit(sparse.csr_array(X))
                found.append(fingerprint(model))
    finally:
        runtime.use_isa(before)
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("n_features", [3, 8, 40, 300])
def test_ties_fall_to_the_center_that_dense_rows_choose(n_features, real, rng):
    """Centers that are permutations of one vector are equally far from the origin but for rounding."""
    centers = np.stack([rng.permutation(rng.normal(size=n_features)) for _ in range(20)])
    centers = np.concatenate([centers, rng.permuted(np.tile(centers[0], (20, 1)), axis=1)]).astype(real)
    X = np.zeros((50, n_features), dtype=real)
    X[25:, rng.integers(n_features)] = 1e-9
    model = KMeans.from_centers(centers)
    np.testing.assert_array_equal(model.predict(sparse.csr_array(X)), model.predict(X))


@pytest.mark.parametrize("n_features", [130, 1000, 5003])
def test_short_rows_that_share_little_with_any_center_are_decided_as_dense_ones(n_features, real, rng):
    """First centers among texts have length 1, and most texts share no word with most of them."""
    X = np.zeros((120, n_features))
    for row in X:
        row[rng.choice(n_features, rng.integers(0, 9), replace=False)] = rng.random()
    X = (X / np.maximum(np.sqrt((X**2).sum(axis=1, keepdims=True)), 1e-30)).astype(real)
    for n_clusters in (3, 40):
        model = KMeans.from_centers(X[rng.choice(len(X), n_clusters, replace=False)])
        np.testing.assert_array_equal(model.predict(sparse.csr_array(X)), model.predict(X))


def test_equal_centers_give_the_lowest_label(real, rng):
    X = words(rng, 300, 30).astype(real)
    centers = np.repeat(X[:4], 40, axis=0)
    labels = KMeans.from_centers(centers).predict(sparse.csr_array(X))
    np.testing.assert_array_equal(labels, KMeans.from_centers(centers).predict(X))
    assert set(labels.tolist()) <= {0, 40, 80, 120}


def test_rows_as_they_come_are_read_and_left_alone(rng):
    """Indices of 64 bits, in any order, some twice; zeros that are stored; values of other types."""
    X = words(rng, 200, 15)
    expected = KMeans(4, init=X[:4]).fit(X)
    rows = sparse.csr_array(X)
    order = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in zip(rows.indptr, rows.indptr[1:])])
    twice = sparse.csr_array(
        (
            np.repeat(rows.data[order] / 2, 2),
            np.repeat(rows.indices[order].astype(np.int64), 2),
            (2 * rows.indptr).astype(np.int64),
        ),
        shape=X.shape,
    )
    kept = [twice.data.copy(), twice.indices.copy(), twice.indptr.copy()]
    starts = rows.indptr.copy()
    starts[-1] += 1
    free = np.setdiff1d(np.arange(15), rows.indices[rows.indptr[-2] :])[:1]
    with_zeros = sparse.csr_array((np.append(rows.data, 0.0), np.append(rows.indices, free), starts), shape=X.shape)
    for given_as in [twice, with_zeros, rows.astype(np.int32), rows.astype(np.uint8), rows.astype(np.float32)]:
        model = KMeans(4, init=X[:4]).fit(given_as)
        np.testing.assert_array_equal(model.labels_, expected.labels_)
    for array, before in zip([twice.data, twice.indices, twice.indptr], kept):
        np.testing.assert_array_equal(array, before)


def test_empty_rows_and_features_are_samples_like_others(rng):
    X = words(rng, 100, 20)
    X[:30], X[:, 5:9] = 0.0, 0.0
    model = KMeans(3, init=X[[0, 40, 50]]).fit(sparse.csr_array(X))
    assert (model.labels_[:30] == model.labels_[0]).all()
    assert not model.cluster_centers_[:, 5:9].any()


def test_seeds_are_rows_drawn_by_squared_distance(rng):
    X = rng.normal(scale=0.01, size=(400, 6)) + 30 * np.eye(6)[rng.integers(6, size=400)]
    for state in range(20):
        centers, rows = kmeans_plusplus(sparse.csr_array(X), 6, random_state=state)
        assert len(set(X[rows].argmax(axis=1))) == 6
        np.testing.assert_array_equal(centers, X[rows])


def test_potentials_of_seeds_are_as_low_as_those_of_dense_rows(rng):
    X = words(rng, 1500, 50)

    def potential(form, state):
        centers = kmeans_plusplus(form, 30, random_state=state)[0]
        return ((X[:, None] - centers) ** 2).sum(axis=2).min(axis=1).sum()

    ours = np.mean([potential(sparse.csr_array(X), state) for state in range(25)])
    dense = np.mean([potential(X, state) for state in range(25)])
    assert ours == pytest.approx(dense, rel=0.02)


def test_seeds_of_fewer_rows_than_clusters_are_each_taken_once(rng):
    X = np.repeat(words(rng, 5, 9) + np.arange(5)[:, None], 7, axis=0)
    rows = kmeans_plusplus(sparse.csr_array(X), 12, random_state=3)[1]
    assert len(np.unique(rows)) == 12
    assert len(np.unique(X[rows], axis=0)) == 5


def test_a_callable_init_gets_the_matrix_that_was_passed(rng):
    S = sparse.csr_array(words(rng, 60, 8))
    seen = []

    def first_rows(X, n_clusters, random_state):
        seen.append(X)
        return X[:n_clusters].toarray()

    KMeans(3, init=first_rows, n_init=1).fit(S)
    assert seen[0] is S


@pytest.mark.parametrize(
    "model",
    [
        KMeans(4, init="random", n_init=1, max_iter=5, random_state=1),
        BisectingKMeans(4, init="random", n_init=1, max_iter=5, random_state=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_fit_makes_no_dense_copy(model):
    S = sparse.random(3000, 30_000, density=0.001, format="csr", random_state=9)
    stored = S.data.nbytes + S.indices.nbytes + S.indptr.nbytes
    tracemalloc.start()
    try:
        model.fit(S)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * stored + 40 * 8 * 30_000  # of 720 MB


def test_a_fit_holds_four_arrays_of_centers(rng):
    """Two of sums, the centers of an iteration and the next; nothing of the rows but a few numbers each."""
    S = sparse.random(20_000, 4000, density=0.005, format="csr", random_state=rng.integers(2**31))
    n_clusters, most_of_a_row = 30, 40
    tracemalloc.start()
    try:
        KMeans(n_clusters, max_iter=5, random_state=1, n_threads=2).fit(S)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (4.5 * n_clusters + 12) * 8 * 4000 + most_of_a_row * 20_000


def test_seeding_does_not_describe_the_samples(rng):
    """Its time is a few passes over the rows, of which a description takes two."""
    features = np.tile(np.arange(3, dtype=np.int32), 30_000)
    rows = SparseSamples(CsrRows(np.ones(90_000), features, np.arange(0, 90_001, 3), 9), None)
    plusplus_rows(rows, 4, np.random.RandomState(0), 1)
    assert rows._described is None
    assert rows.description.largest == 1.0


REFUSED = {
    "NaN": ({(3, 2): np.nan}, {}, r"Input X contains NaN\. The first is in row 3, column 2"),
    "infinity": ({(7, 0): np.inf}, {}, r"contains infinity .* row 7, column 0"),
    "too large": ({(5, 1): -1e155}, {}, r"X contains -1e\+155 in row 5, column 1, which overflows"),
    "standardize": ({}, {"standardize": True}, "standardize must be False for sparse X"),
    "manhattan": ({}, {"metric": "manhattan"}, "metric must be 'euclidean' or 'cosine' for sparse samples"),
    "too many clusters": ({}, {"n_clusters": 11}, "n_samples=10 should be >= n_clusters=11"),
    "zeros": ({}, {"metric": "cosine"}, "row 9 is all zeros"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_sparse_samples_must_not_be(name):
    values, params, message = REFUSED[name]
    X = np.ones((10, 4))
    X[9] = 0.0
    for place, value in values.items():
        X[place] = value
    model = KMeans(**{"n_clusters": 2, **params})
    with pytest.raises(ValueError, match=message):
        model.fit(sparse.csr_array(X))
    assert not hasattr(model, "labels_")


@pytest.mark.parametrize(
    ("shape", "message"), [((0, 3), r"0 sample\(s\)"), ((3, 0), r"0 feature\(s\)"), ((3,), "Expected 2D array")]
)
def test_shapes_without_samples_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        KMeans(1).fit(sparse.coo_array(np.zeros(shape)))


@pytest.mark.parametrize(
    ("features", "starts"), [([1, 0], [0, 2]), ([0, 0], [0, 2]), ([0, 3], [0, 2]), ([-1, 0], [0, 2]), ([0, 1], [0, 1])]
)
def test_the_core_refuses_rows_that_kernels_could_not_trust(features, starts):
    with pytest.raises(ValueError, match="fit together|features must be below 3"):
        CsrRows(np.ones(2), np.array(features, dtype=np.int32), np.array(starts, dtype=np.int64), 3)
