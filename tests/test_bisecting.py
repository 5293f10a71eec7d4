"""Laws of BisectingKMeans: its splits and its tree."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import reference

from fastkmeans import BisectingKMeans, ConvergenceWarning, KMeans

STRATEGIES = ["biggest_inertia", "largest_cluster"]


def first_two(X, n_clusters=2, random_state=None):
    assert n_clusters == 2
    return np.array(X[:2])


@pytest.fixture(params=STRATEGIES)
def strategy(request):
    return request.param


@pytest.fixture(params=["no weights", "weights"])
def weights(request, rng):
    return {"no weights": None, "weights": rng.integers(1, 4, size=500).astype(float)}[request.param]


def test_each_split_is_a_fit_of_two_clusters(strategy, weights, blobs, real):
    X, _ = blobs(500, 4, 5, real, std=3.0)
    model = BisectingKMeans(9, init=first_two, bisecting_strategy=strategy, tol=0).fit(X, sample_weight=weights)
    centers, labels = reference.bisect(X, 9, first_two, strategy, weights)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-6 if real == np.float32 else 1e-12)


def test_the_algorithm_does_not_change_a_bit(strategy, algorithm, blobs, real, seed):
    X, _ = blobs(3000, 12, 8, real, std=4.0)
    params = {"n_clusters": 6, "bisecting_strategy": strategy, "random_state": seed}
    plain = BisectingKMeans(algorithm="lloyd", **params).fit(X)
    other = BisectingKMeans(algorithm=algorithm, **params).fit(X)
    assert other.cluster_centers_.tobytes() == plain.cluster_centers_.tobytes()
    assert other.labels_.tobytes() == plain.labels_.tobytes()


def test_centers_are_the_means_of_their_rows(strategy, blobs, seed):
    X, _ = blobs(500, 3, 6, "float64")
    model = BisectingKMeans(6, bisecting_strategy=strategy, random_state=seed, tol=0).fit(X)
    means = [X[model.labels_ == j].mean(axis=0) for j in range(6)]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-12)


def test_each_row_goes_to_the_nearer_center_at_each_split(strategy, blobs, seed, real):
    """Also new rows, which may be nearest to a center of another branch."""
    X, _ = blobs(600, 3, 6, real, std=3.0)
    model = BisectingKMeans(8, bisecting_strategy=strategy, random_state=seed).fit(X)
    new = np.vstack([X[::-1], 3 * X])
    labels = np.empty(len(new), dtype=np.int32)
    for i, row in enumerate(new):
        split = 0
        while split >= 0:
            pair = model._tree_centers[2 * split : 2 * split + 2]
            split = model._tree_children[split, reference.nearest(row[None, :], pair)[0]]
        labels[i] = -1 - split
    np.testing.assert_array_equal(model.predict(new), labels)


def test_with_scikit_learns_centers_it_makes_scikit_learns_tree(strategy, blobs):
    cluster = pytest.importorskip("sklearn.cluster")
    X, _ = blobs(500, 4, 10, "float64", std=0.5)
    params = {"n_clusters": 10, "init": first_two, "bisecting_strategy": strategy}
    ours, theirs = BisectingKMeans(**params).fit(X), cluster.BisectingKMeans(**params).fit(X)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(2 * X), theirs.predict(2 * X))
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)


def test_weights_equal_repetition(strategy, blobs, rng):
    """With given starts. scikit-learn counts rows, whatever they weigh, to find its largest cluster."""
    X, _ = blobs(120, 3, 5, "float32")
    weights = rng.integers(1, 9, size=120)
    params = {
        "n_clusters": 6,
        "bisecting_strategy": strategy,
        "init": lambda X, k, random_state: [X.min(axis=0), X.max(axis=0)],
    }
    weighted = BisectingKMeans(**params).fit(X, sample_weight=weights)
    repeated = BisectingKMeans(**params).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_array_equal(np.repeat(weighted.labels_, weights), repeated.labels_)
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-6)


def test_more_starts_are_no_worse_for_two_clusters(blobs):
    X, _ = blobs(300, 2, 7, "float64")
    one, many = (BisectingKMeans(2, n_init=n, random_state=3).fit(X).inertia_ for n in (1, 12))
    assert many <= one * (1 + 1e-6)


def test_one_cluster_is_the_mean(blobs, real):
    X, _ = blobs(200, 3, 2, real, offset=50.0)
    model = BisectingKMeans(1).fit(X)
    np.testing.assert_allclose(model.cluster_centers_[0], X.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert not model.labels_.any()
    assert not model.predict(X * 9).any()
    assert model.n_iter_ == 1


def test_copies_are_split_no_further(strategy):
    """A cluster of copies is left alone while others can be split, also if it is the largest."""
    X = np.r_[np.zeros(50), 10.0, 11.0, 20.0, 21.0][:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BisectingKMeans(5, bisecting_strategy=strategy, random_state=2).fit(X)
    assert sorted(model.cluster_centers_.ravel()) == [0.0, 10.0, 11.0, 20.0, 21.0]


def test_too_few_different_rows_leave_empty_clusters(strategy):
    X = np.repeat([[1.0], [5.0]], 6, axis=0)
    with pytest.warns(
        ConvergenceWarning, match=r"Number of distinct clusters \(2\) found smaller than n_clusters \(5\)"
    ):
        model = BisectingKMeans(5, bisecting_strategy=strategy, random_state=3).fit(X)
    assert len(set(model.labels_)) == 2
    assert set(model.cluster_centers_.ravel()) == {1.0, 5.0}
    np.testing.assert_array_equal(model.labels_, model.predict(X))


def test_a_tree_may_be_deep():
    """Powers of two: each split takes off the largest row, so that the tree is as deep as it has clusters."""
    X = (2.0 ** np.arange(900))[::-1, None] / 2.0**450
    model = BisectingKMeans(800, random_state=1).fit(X[:, :] ** 0.5)
    assert len(set(model.labels_)) == 800


def test_a_split_that_was_tried_on_few_rows_ends_on_all(blobs, weights, seed):
    """From some thousand rows on, init="auto" tries each split on few: each center is still the mean of all its rows."""
    X, _ = blobs(20_000, 3, 4, "float64", std=0.3)
    weights = None if weights is None else np.resize(weights, len(X))
    model = BisectingKMeans(4, random_state=seed, tol=0).fit(X, sample_weight=weights)
    means = [
        np.average(X[model.labels_ == j], axis=0, weights=None if weights is None else weights[model.labels_ == j])
        for j in range(4)
    ]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-9)
    lonely = np.zeros(20_000)
    lonely[[5, 7]] = 1.0
    pair = BisectingKMeans(2, random_state=seed).fit(X, sample_weight=lonely)
    assert {tuple(center) for center in pair.cluster_centers_} == {tuple(X[5]), tuple(X[7])}


def test_samples_are_not_changed(strategy, blobs, seed):
    """scikit-learn centers X in place with copy_x=False."""
    X, _ = blobs(100, 3, 3, "float64")
    kept = X.copy()
    X.flags.writeable = False
    BisectingKMeans(4, copy_x=False, bisecting_strategy=strategy, random_state=seed).fit(X)
    np.testing.assert_array_equal(X, kept)


def test_two_clusters_are_those_of_kmeans(blobs, seed):
    X, _ = blobs(400, 5, 4, "float64")
    model = BisectingKMeans(2, init=first_two, tol=0).fit(X)
    flat = KMeans(2, init=X[:2], tol=0).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, flat.cluster_centers_)
    assert model.n_iter_ == flat.n_iter_


def test_verbose_says_what_scikit_learn_says(blobs, capsys):
    X, _ = blobs(60, 2, 3, "float64")
    BisectingKMeans(3, verbose=1, random_state=1).fit(X)
    said = capsys.readouterr().out
    assert said.count("New centroids from bisection: ") == 2
    assert "Iteration 0, inertia " in said
