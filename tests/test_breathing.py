"""Breathing: laws of the search that adds and removes clusters, and of the fits that begin with it."""

import numpy as np
import pytest
import reference

from fastkmeans import KMeans
from fastkmeans._core.breathing import Breathing
from fastkmeans.fitting import breathing
from fastkmeans.samples import Samples, describe

MUCH = 1e9


def searched(X, init, weights=None, n_threads=1, added=2, most_work=MUCH):
    """Return the centers that a search finds, and the inertia that it tells."""
    centers = init.astype(np.float64)
    search = Breathing(X, weights, centers, max(added, 1), n_threads)
    return centers, search.search(centers, added, 3, most_work)


def poor_start(X, n_clusters):
    """Centers that iterations alone leave in one group of samples."""
    return X[np.argsort(((X - X[0]) ** 2).sum(axis=1), kind="stable")[:n_clusters]].astype(np.float64)


@pytest.mark.parametrize("n_features, n_clusters", [(1, 2), (2, 3), (2, 25), (7, 10), (40, 12)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_search_never_raises_the_inertia(n_features, n_clusters, weighted, blobs, real, rng):
    X, _ = blobs(1003, n_features, n_clusters, real, std=1.0)
    weights = rng.uniform(size=len(X)) if weighted else None
    for init in [X[:n_clusters], poor_start(X, n_clusters)]:
        last = reference.inertia(X.astype(np.float64), init.astype(np.float64), sample_weight=weights)
        for most_work in [0.0, 1e6, MUCH]:  # more work never ends higher
            centers, _ = searched(X, init, weights, most_work=most_work)
            inertia = reference.inertia(X.astype(np.float64), centers, sample_weight=weights)
            assert inertia <= last * (1 + 1e-9)
            last = inertia


def test_a_search_tells_the_inertia_of_the_means_of_its_clusters(blobs, real):
    X, _ = blobs(1500, 3, 9, real, std=2.0)
    centers, inertia = searched(X, poor_start(X, 9))
    at_centers = reference.inertia(X.astype(np.float64), centers)
    assert at_centers <= inertia * (1 + 1e-9)
    assert at_centers == pytest.approx(inertia, rel=1e-3)  # samples may change to another mean


@pytest.mark.parametrize("n_features", [1, 2, 3, 8, 70])
def test_separate_groups_are_all_found(n_features, real, rng):
    n_clusters = 30 if n_features > 1 else 12
    middles = 100.0 * np.stack([rng.permutation(n_clusters) for _ in range(n_features)], axis=1)
    X = (np.repeat(middles, 20, axis=0) + rng.normal(size=(20 * n_clusters, n_features))).astype(real)
    centers, _ = searched(X, poor_start(X, n_clusters))
    assert len(np.unique(reference.nearest(middles, centers))) == n_clusters


@pytest.mark.parametrize("n_samples", [1100, 9000])
def test_a_search_has_the_same_bits_with_any_threads(n_samples, blobs, real, rng):
    X, _ = blobs(n_samples, 4, 24, real, std=3.0)
    for weights in [None, rng.uniform(size=n_samples)]:
        one, few, many = (searched(X, poor_start(X, 24), weights, n)[0] for n in [1, 2, 7])
        assert one.tobytes() == few.tobytes() == many.tobytes()


def test_ones_are_no_weights(blobs, real):
    X, _ = blobs(900, 3, 8, real, std=2.0)
    plain, weighted = (searched(X, poor_start(X, 8), weights)[0] for weights in [None, np.ones(900)])
    assert plain.tobytes() == weighted.tobytes()


def test_a_weight_of_two_is_two_samples(real, rng):
    """Where groups are apart, there is one best result, whatever the order of attempts."""
    middles = 50.0 * np.stack([rng.permutation(12) for _ in range(2)], axis=1)
    X = (np.repeat(middles, 15, axis=0) + rng.normal(size=(180, 2))).astype(real)
    weights = rng.integers(1, 4, size=180)
    weighted, _ = searched(X, poor_start(X, 12), weights.astype(np.float64))
    repeated, _ = searched(np.repeat(X, weights, axis=0), poor_start(X, 12))
    order = [np.lexsort(centers.T) for centers in (weighted, repeated)]
    np.testing.assert_allclose(weighted[order[0]], repeated[order[1]], rtol=1e-9)


def test_samples_without_weight_move_nothing(blobs, real, rng):
    X, _ = blobs(800, 2, 6, real, std=2.0)
    weights = rng.integers(0, 2, size=800).astype(np.float64)
    far = X.copy()
    far[weights == 0] = X[0]
    some, others = (searched(values, X[:6], weights)[1] for values in (X, far))
    assert some == pytest.approx(others, rel=1e-9)


@pytest.mark.parametrize("n_distinct", [1, 2, 5, 9, 10])
def test_few_distinct_samples(n_distinct, real, rng):
    X = rng.normal(size=(n_distinct, 3)).astype(real)[np.arange(300) % n_distinct]
    centers, inertia = searched(X, X[:9])
    assert np.isfinite(centers).all()
    assert inertia <= reference.inertia(X.astype(np.float64), X[:9].astype(np.float64)) * (1 + 1e-9) + 1e-12
    if n_distinct < 10:
        assert inertia == pytest.approx(0.0, abs=1e-9)


def test_as_many_clusters_as_samples(real, rng):
    X = rng.normal(size=(23, 4)).astype(real)
    centers, inertia = searched(X, X, added=5)
    assert inertia == 0.0 and np.array_equal(centers, X)
    model = KMeans(23, random_state=0).fit(X)
    assert model.inertia_ == 0.0 and len(np.unique(model.labels_)) == 23


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-100, 1.0, 1e100, 1e140])
def test_values_of_any_size_fit(scale, blobs, seed):
    X, _ = blobs(600, 3, 6, np.float64, std=2.0)
    plain = KMeans(6, random_state=seed).fit(X)
    scaled = KMeans(6, random_state=seed).fit(X * scale)
    assert np.isfinite(scaled.cluster_centers_).all()
    if 1e-100 <= scale <= 1e100:
        own = reference.inertia(X, scaled.cluster_centers_ / scale)
        assert own == pytest.approx(plain.inertia_, rel=0.05)


def test_squares_that_overflow_leave_the_centers(real):
    X = np.full((50, 2), np.finfo(real).max / 4, dtype=real)
    X[::2] *= -1
    samples = Samples(X, None, describe(X, 1))
    found = breathing.breathe(samples, X[:4], 1)
    assert np.isfinite(found.centers).all()
    if real == np.float64:
        assert np.array_equal(found.centers, X[:4])


@pytest.mark.parametrize("n_clusters", [3, 8, 30])
def test_fits_that_breathe_end_no_higher_than_fits_from_the_same_start(n_clusters, blobs, real):
    X, _ = blobs(2000, 3, n_clusters, real, std=2.0)
    ratios = []
    for seed in range(8):
        plain, auto = (KMeans(n_clusters, init=init, random_state=seed).fit(X) for init in ["k-means++", "auto"])
        ratios.append(auto.inertia_ / plain.inertia_)
    assert max(ratios) < 1.001  # both converge within the tolerance
    assert np.mean(ratios) <= 1.0


def test_many_samples_breathe_by_some_of_them(blobs, real, seed, monkeypatch):
    """The memory of breathing is that of some rows, and these find the groups of all."""
    X, truth = blobs(6000, 2, 12, real, std=0.02)
    middles = np.stack([X[truth == j].mean(axis=0) for j in range(12)])
    seen = []
    breathe = breathing.breathe
    monkeypatch.setattr(breathing, "MOST_ROWS", 500)
    monkeypatch.setattr(breathing, "ROWS_A_CLUSTER", 20)
    monkeypatch.setattr(breathing, "LEAST_ROWS_A_CLUSTER", 20)
    monkeypatch.setattr(breathing, "breathe", lambda rows, *rest: seen.append(len(rows.values)) or breathe(rows, *rest))
    full = KMeans(12, random_state=seed).fit(X)
    assert set(seen) == {500}
    weights = np.r_[np.ones(5000), np.zeros(1000)]
    assert KMeans(12, random_state=seed).fit(X, sample_weight=weights).inertia_ < full.inertia_
    assert full.inertia_ <= 1.01 * reference.lloyd(X, middles)[2]


def test_breathing_begins_anew_only_after_attempts_in_vain(blobs, monkeypatch):
    starts = []
    breathe = breathing.breathe
    monkeypatch.setattr(breathing, "breathe", lambda *args: starts.append(breathe(*args)) or starts[-1])
    apart, _ = blobs(800, 2, 5, np.float64, std=0.01)
    KMeans(5, random_state=0).fit(apart)
    assert [each.is_sure for each in starts] == [True]
    starts.clear()
    monkeypatch.setattr(breathing, "LEAST_WORK", MUCH)
    monkeypatch.setattr(breathing, "COMPARISONS_A_PAIR", MUCH)
    even = np.random.default_rng(0).normal(size=(500, 2))
    KMeans(4, random_state=0).fit(even)
    assert len(starts) == breathing.MOST_STARTS and not any(each.is_sure for each in starts)
