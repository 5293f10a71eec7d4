"""When a fit ends: laws of inertia_tol and max_time."""

from __future__ import annotations

import numpy as np
import pytest

from fastkmeans import KMeans, elbow
from fastkmeans.fitting import coarse, loop

FLAT = "fall of inertia within inertia_tol"


def overlapping(rng, n_samples=4000, n_features=6):
    """Samples that keep k-means busy for many iterations."""
    return rng.normal(size=(n_samples, n_features)) + 2.0 * rng.integers(0, 2, size=(n_samples, n_features))


@pytest.mark.parametrize("share", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_a_fit_ends_after_the_first_iteration_that_hardly_lowers_the_inertia(metric, share, seed):
    X = overlapping(np.random.default_rng([seed, 511]))
    params = {"init": X[:30], "tol": 0.0, "metric": metric}
    whole = [entry["inertia"] for entry in KMeans(30, **params).fit(X).history_]
    model = KMeans(30, inertia_tol=share, **params).fit(X)
    n_iter = next(i + 1 for i in range(1, len(whole)) if whole[i - 1] - whole[i] <= share * whole[i - 1])
    assert (model.n_iter_, model.stop_reason_, model.converged_) == (n_iter, FLAT, True)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert [entry["inertia"] for entry in model.history_] == whole[:n_iter]


def test_no_fall_at_all_ends_a_fit_only_when_labels_do(rng):
    X = overlapping(rng)
    expected = KMeans(8, init=X[:8], tol=0.0).fit(X)
    found = KMeans(8, init=X[:8], tol=0.0, inertia_tol=0.0).fit(X)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert found.inertia_ == expected.inertia_


class Clock:
    """A clock by which every look at it takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("init", ["auto", "k-means++"])
@pytest.mark.parametrize("is_coarse", [False, True])
def test_no_iteration_begins_after_max_time(init, is_coarse, rng, monkeypatch):
    X = overlapping(rng)
    if is_coarse:
        monkeypatch.setattr(coarse, "is_large", lambda *arguments: True)
        monkeypatch.setattr("fastkmeans.fitting.fit.is_large", lambda *arguments: True)
    clock = Clock()
    monkeypatch.setattr(loop, "perf_counter", clock)
    monkeypatch.setattr("fastkmeans.fitting.fit.perf_counter", clock)
    model = KMeans(8, init=init, n_init=3, tol=0.0, max_time=1.0, random_state=5).fit(X)
    assert (model.n_iter_, model.stop_reason_, model.converged_) == (1, "max_time", False)
    np.testing.assert_array_equal(model.labels_, model.predict(X))


def test_a_fit_that_ends_in_time_is_that_without_a_limit(seed):
    X = overlapping(np.random.default_rng([seed, 512]))
    expected = KMeans(5, random_state=seed).fit(X)
    found = KMeans(5, random_state=seed, max_time=600).fit(X)
    np.testing.assert_array_equal(found.cluster_centers_, expected.cluster_centers_)
    assert found.stop_reason_ == expected.stop_reason_


def test_max_time_is_refused_where_many_numbers_of_clusters_are_fitted(rng):
    X = overlapping(rng, 100)
    with pytest.raises(ValueError, match="max_time must be None with n_clusters='auto'"):
        KMeans("auto", max_time=1).fit(X)
    with pytest.raises(ValueError, match=r"max_time must be None for elbow\(\)"):
        elbow(X, k=range(1, 4), max_time=1)
