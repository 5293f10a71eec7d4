"""init="auto": fits that are searched on a few of the samples keep the laws of all fits, and end where they should."""

from __future__ import annotations

import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans._core import coreset as core_coreset
from fastkmeans.engines.partitioned import Parts
from fastkmeans.fitting import coarse, coreset, exchange, fit, search
from fastkmeans.fitting import quick as quick_start
from fastkmeans.metrics.table import METRICS
from fastkmeans.samples import Samples, describe


@pytest.fixture
def few(monkeypatch):
    """Searches on 64 rows, so that a thousand samples are many."""
    monkeypatch.setattr(search, "SEARCH_SAMPLES", 64)
    for module in (search, coarse):
        monkeypatch.setattr(module, "ROWS_A_CLUSTER", 2)
    monkeypatch.setattr(coarse, "LEAST_WORK", 0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_coarse_fit_keeps_the_laws(metric, weighted, real, blobs, rng, seed, few):
    X, _ = blobs(3000, 5, 7, real, std=2.0)
    weights = rng.integers(0, 4, size=3000).astype(float) if weighted else None
    model = KMeans(7, metric=metric, random_state=seed).fit(X, sample_weight=weights)
    assert coarse.is_large(*X.shape, 7)
    assert np.array_equal(model.labels_, model.predict(X))
    assert model.inertia_ == -model.score(X, sample_weight=weights)
    assert np.array_equal(model.labels_, model.transform(X).argmin(axis=1))
    assert model.cluster_centers_.dtype == X.dtype
    assert len(model.history_) == model.n_iter_
    # Going on from where it ended changes nothing but what tol left.
    again = KMeans(7, metric=metric, init=model.cluster_centers_).fit(X, sample_weight=weights)
    assert again.inertia_ == pytest.approx(model.inertia_, rel=1e-2)
    assert again.inertia_ <= model.inertia_ * (1 + 1e-12)


def test_all_algorithms_end_with_the_same_bits(blobs, algorithm, real, seed, few, fingerprint):
    X, _ = blobs(4000, 9, 12, real, std=4.0)
    expected = fingerprint(KMeans(12, algorithm="lloyd", random_state=seed).fit(X))
    assert fingerprint(KMeans(12, algorithm=algorithm, random_state=seed).fit(X)) == expected


def test_threads_change_no_bit(blobs, real, seed, fingerprint):
    X, _ = blobs(70_000, 15, 20, real, std=4.0)
    assert coarse.is_large(*X.shape, 20)
    digests = [fingerprint(KMeans(20, random_state=seed, n_threads=n).fit(X)) for n in (1, 2, 5)]
    assert digests[1] == digests[0] and digests[2] == digests[0]


def test_an_int_seeds_each_fit_alike_and_each_start_of_it_anew(blobs, seed, few, monkeypatch):
    X, _ = blobs(2000, 3, 9, np.float64, std=3.0)
    model = KMeans(9, random_state=seed, n_init=4)
    found = []
    fit_coarsely = coarse.fit_coarsely

    def spy(*args):
        found.append(fit_coarsely(*args))
        return found[-1]

    monkeypatch.setattr("fastkmeans.fitting.fit.fit_coarsely", spy)
    model.fit(X)
    inertias = [fit.run.inertia for fit in found]
    assert len(inertias) == 4 and len(set(inertias)) > 1
    assert model.inertia_ == min(inertias)
    before = model.labels_
    assert np.array_equal(model.fit(X).labels_, before)


def test_separated_blobs_are_found_whole(blobs, real, seed, few):
    X, labels = blobs(2000, 4, 6, real, std=0.01)
    found = KMeans(6, random_state=seed).fit(X).labels_
    assert len(set(zip(labels.tolist(), found.tolist(), strict=True))) == 6


def test_a_few_far_samples_are_not_overlooked(rng, seed, few):
    X = rng.normal(size=(5000, 3))
    X[2222:2225] += 1e4
    assert sorted(np.bincount(KMeans(2, random_state=seed).fit(X).labels_)) == [3, 4997]


def test_samples_without_weight_are_not_searched(rng, seed, few):
    X = rng.normal(size=(3000, 2))
    X[1000:] += 50.0 * rng.normal(size=(2000, 2))
    weights = np.zeros(3000)
    weights[:1000] = 2.0
    model = KMeans(4, random_state=seed).fit(X, sample_weight=weights)
    assert np.abs(model.cluster_centers_).max() < 5.0


def test_copies_of_few_rows_fill_as_many_clusters(rng, few):
    X = np.repeat(rng.normal(size=(3, 2)), 1000, axis=0)
    with pytest.warns(UserWarning, match="distinct clusters"):
        model = KMeans(5, random_state=3).fit(X)
    assert model.inertia_ == pytest.approx(0.0, abs=1e-20)


def test_callbacks_see_all_samples_only(blobs, seed, few):
    X, _ = blobs(2000, 3, 5, np.float32, std=3.0)
    seen = []
    model = KMeans(5, random_state=seed, callback=lambda step: seen.append(step["inertia"])).fit(X)
    assert seen == [step["inertia"] for step in model.history_]


def test_other_inits_read_all_samples(blobs, seed, few, monkeypatch):
    monkeypatch.setattr("fastkmeans.fitting.fit.fit_coarsely", lambda *_: pytest.fail("searched"))
    X, _ = blobs(2000, 3, 5, np.float64)
    for init in ["k-means++", "random", "random-partition", X[:5], lambda X, k, random_state: X[:k]]:
        KMeans(5, init=init, n_init=1, random_state=seed).fit(X)


def test_few_samples_breathe_before_they_iterate(blobs, seed, monkeypatch):
    X, _ = blobs(3000, 4, 8, np.float32, std=3.0)
    plain, auto = (KMeans(8, init=init, random_state=seed, tol=0).fit(X) for init in ["k-means++", "auto"])
    assert auto.n_iter_ <= plain.n_iter_
    monkeypatch.setattr("fastkmeans.fitting.fit.breathes", lambda *_: False)
    unsearched = KMeans(8, random_state=seed, tol=0).fit(X)
    n_shared = min(exchange.AFTER, plain.n_iter_)
    for a, b in zip(plain.history_[:n_shared], unsearched.history_[:n_shared], strict=True):
        assert a["inertia"] == b["inertia"]


# ---------------------------------------------------------------- drawing and taking rows


def drawn_at(mass, places, n_threads):
    sums = np.add.reduceat(mass, np.arange(0, len(mass), core_coreset.ROWS_TOGETHER))
    rows = np.full(len(places), -1, dtype=np.intp)
    core_coreset.rows_at(mass, sums, places, rows, n_threads)
    return rows


@pytest.mark.parametrize("n_samples", [1, 5000, 3 * core_coreset.ROWS_TOGETHER, 40_000])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_rows_are_where_the_running_mass_passes(count, n_samples, rng):
    mass = rng.integers(0, 4, size=n_samples) + (np.arange(n_samples) == n_samples // 2)
    mass[n_samples // 3 : n_samples // 2] = 0
    places = np.sort(rng.integers(mass.sum(), size=count))
    for n_threads in (1, 3):
        expected = mass.cumsum().searchsorted(places, side="right")
        np.testing.assert_array_equal(drawn_at(mass, places, n_threads), expected)


@pytest.mark.parametrize("places", [[0, 3], [-1, 0]])
def test_places_beyond_the_masses_are_refused(places):
    with pytest.raises(ValueError, match="from 0 to below the sum of the masses, 3; got"):
        drawn_at(np.array([0, 1, 2, 0]), np.array(places), 1)


def test_rows_are_drawn_by_their_mass(rng):
    shares = rng.uniform(size=40)
    shares[::5] = 0.0
    by = coreset.masses_of(shares)
    drawn = [coreset.draw(40, by, 10, np.random.RandomState(i)) for i in range(4000)]
    assert all((np.diff(rows) >= 0).all() for rows in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=40)
    assert not counts[::5].any()
    np.testing.assert_allclose(counts / 40_000, shares / shares.sum(), atol=0.006)
    even = [coreset.draw(40, None, 10, np.random.RandomState(i)) for i in range(4000)]
    np.testing.assert_allclose(np.bincount(np.concatenate(even), minlength=40) / 40_000, 1 / 40, atol=0.006)


@pytest.mark.parametrize("shares", [[1.0] * 9, [1e-300, 3e-300], [1e200, 1e-100, 0.0], [5e-324]], ids=repr)
def test_masses_are_in_proportion_and_none_vanishes(shares):
    by = coreset.masses_of(np.array(shares))
    mass, total = by.mass, by.total
    assert total == sum(mass.tolist()) < 2**63
    assert ((mass > 0) == (np.array(shares) > 0)).all()
    np.testing.assert_allclose(mass / total, np.array(shares) / np.sum(shares), atol=1e-15)


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_masses_of_importance_are_those_of_the_paper(weighted, scale, rng):
    X = rng.standard_t(2, size=(3000, 3)) * scale
    weights = rng.uniform(size=3000) if weighted else None
    centers = X[:5]
    by = coreset.importance(Samples(X, weights, describe(X, 1)), weights, centers, 2)
    own = np.ones(3000) if weights is None else weights
    apart = ((X[:, None] / scale - centers / scale) ** 2).sum(axis=2)
    labels = apart.argmin(axis=1)
    sizes = np.bincount(labels, weights=own)
    cost = own * apart.min(axis=1)
    expected = own / own.sum() + cost / cost.sum() + own / (5 * sizes[labels])
    assert by.total == sum(by.mass.tolist())
    np.testing.assert_allclose(by.mass / 2.0**coreset.MASS_BITS, expected, rtol=1e-9)


def test_copies_of_the_centers_are_drawn_by_weight_and_cluster():
    X = np.repeat([[0.0], [4.0]], [30, 10], axis=0)
    mass = coreset.importance(Samples(X, None, describe(X, 1)), None, np.array([[0.0], [4.0]]), 1).mass
    np.testing.assert_allclose(mass[[0, 39]] / 2.0**coreset.MASS_BITS, [1 / 40 + 1 / 60, 1 / 40 + 1 / 20])


@pytest.mark.parametrize("n_features", [1, 3, 8, 17, 130])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_taken_rows_are_rounded_once(n_features, n_threads, real, rng):
    X, rows = rng.normal(size=(999, n_features)).astype(real), np.sort(rng.integers(999, size=700))
    origin = rng.normal(size=n_features)
    shuffled = rng.permutation(rows)
    expected = (X[rows].astype(np.float64) - origin).astype(np.float32)
    for samples in [Samples(X, None, describe(X, 1)), Parts([X[:0], X[:1], X[1:600], X[600:]], None, 1)]:
        assert np.array_equal(samples.take(rows, origin, n_threads), expected)
        taken = samples.take(shuffled, None, n_threads)
        assert taken.dtype == real and np.array_equal(taken, X[shuffled])


# ---------------------------------------------------------------- what misled a search once


def test_more_clusters_than_distinct_rows_end_at_once(real, rng, seed, few):
    """The mean of equal rows may be an ulp off: that is no distance that a refill should look for."""
    X = rng.normal(size=(16, 20)).astype(real)[rng.integers(16, size=5000)]
    for init in ["auto", "random"]:
        with pytest.warns(UserWarning, match="distinct clusters"):
            model = KMeans(20, init=init, n_init=1, random_state=seed).fit(X)
        assert model.n_iter_ < 20
        assert model.inertia_ == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("weight", [5e-324, 1e-320, 1e-300, 1e140])
def test_equal_weights_of_any_size_search_as_none(weight, blobs, seed, few):
    X, _ = blobs(2000, 4, 6, np.float64, std=2.0)
    plain = KMeans(6, random_state=seed).fit(X)
    weighted = KMeans(6, random_state=seed).fit(X, sample_weight=np.full(2000, weight))
    assert np.array_equal(weighted.labels_, plain.labels_)


def test_one_sample_may_outweigh_all_others(blobs, seed, few):
    X, _ = blobs(2000, 4, 6, np.float64, std=0.1)
    weights = np.r_[1e30, np.ones(1999)]
    assert not coarse.is_large(*X.shape, 6, weights)
    weights[:1000] = 0.0
    assert coarse.is_large(*X.shape, 6, weights)


@pytest.mark.parametrize("algorithm", ["tiles", "prefix", "quantized", "yinyang"])
@pytest.mark.parametrize("n_features", [1, 5, 9])
def test_squares_of_few_digits_are_left_to_float64(n_features, algorithm, rng):
    X = 1e-160 * rng.random((900, n_features))
    plain, bounded = (
        KMeans(49, init=X[:49], n_init=1, max_iter=3, tol=0, algorithm=name).fit(X) for name in ("lloyd", algorithm)
    )
    np.testing.assert_array_equal(bounded.labels_, plain.labels_)
    assert bounded.inertia_ == plain.inertia_


@pytest.mark.parametrize("scale", [1e-158, 1e-161, 1e-162, 1e-163])
@pytest.mark.parametrize("algorithm", ["auto", "quantized", "yinyang"])
def test_squares_of_few_digits_are_compared_in_float64(scale, algorithm, blobs, seed):
    X, _ = blobs(3000, 20, 16, np.float64)
    X *= scale
    model = KMeans(16, algorithm=algorithm, random_state=seed).fit(X)
    assert np.array_equal(model.labels_, model.predict(X))
    assert model.inertia_ == -model.score(X)


# ---------------------------------------------------------------- quick starts


@pytest.fixture
def quick(monkeypatch):
    """Starts on 64 rows; nothing breathes, and no fit is coarse."""
    monkeypatch.setattr(search, "SEARCH_SAMPLES", 64)
    monkeypatch.setattr(quick_start, "ROWS_A_CLUSTER", 8)
    monkeypatch.setattr(coarse, "LEAST_WORK", 0)
    monkeypatch.setattr(coarse, "LEAST_SHARE", 1 << 40)
    monkeypatch.setattr(fit, "breathes", lambda *arguments: False)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_with_a_quick_start_keeps_the_laws(metric, weighted, real, blobs, rng, seed, quick, monkeypatch):
    started = []
    monkeypatch.setattr(
        fit, "quick_centers", lambda *given: started.append(quick_start.quick_centers(*given)) or started[-1]
    )
    X, _ = blobs(3000, 5, 7, real, std=2.0)
    weights = rng.integers(0, 4, size=3000).astype(float) if weighted else None
    model = KMeans(7, metric=metric, random_state=seed).fit(X, sample_weight=weights)
    assert len(started) == 1 and started[0].shape == (7, 5) and started[0].dtype == X.dtype
    assert np.array_equal(model.labels_, model.predict(X))
    assert model.inertia_ == -model.score(X, sample_weight=weights)
    again = KMeans(7, metric=metric, init=model.cluster_centers_).fit(X, sample_weight=weights)
    assert again.inertia_ == pytest.approx(model.inertia_, rel=1e-2)
    assert again.inertia_ <= model.inertia_ * (1 + 1e-12)


def test_a_quick_start_gives_the_same_bits_with_any_threads(blobs, real, seed, quick, fingerprint):
    X, _ = blobs(4000, 6, 20, real, std=2.0)
    digests = [fingerprint(KMeans(20, random_state=seed, n_threads=n).fit(X)) for n in (1, 2, 5)]
    assert digests[1] == digests[0] and digests[2] == digests[0]


def test_a_quick_start_finds_groups_that_are_apart(blobs, seed, quick):
    X, labels = blobs(4000, 4, 30, np.float64, std=0.05)
    means = np.array([X[labels == j].mean(axis=0) for j in range(30)])
    least = ((X - means[labels]) ** 2).sum()
    assert min(KMeans(30, random_state=seed + i).fit(X).inertia_ for i in range(3)) <= 1.3 * least


def test_groups_within_groups_are_started_in_float64(rng, seed, quick):
    X = rng.integers(4, size=(3000, 1)) * 1e-6 + np.r_[1.0, 2.0] + rng.normal(scale=1e-9, size=(3000, 2))
    X[0] += 1e-3
    model = KMeans(5, random_state=seed, n_init=3).fit(X)
    assert model.inertia_ < 3000 * 2 * 1e-17


@pytest.mark.parametrize(
    "params",
    [{"init": "k-means++"}, {"init": "random"}, {"max_iter": quick_start.LEAST_ITERATIONS - 1}, {"n_clusters": 400}],
)
def test_other_fits_have_no_quick_start(params, blobs, seed, quick, monkeypatch):
    monkeypatch.setattr(fit, "quick_centers", None)
    X, _ = blobs(3000, 5, 7, np.float64, std=2.0)
    assert KMeans(**{"n_clusters": 7, "random_state": seed, "n_init": 1, **params}).fit(X).inertia_ > 0


def test_a_breath_in_vain_is_followed_by_another(monkeypatch):
    """A fit whose breath ran out of work ended with 5 % more inertia than the others."""
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(10, 20)) * 1.2
    X = centers[rng.integers(10, size=300_000)] + rng.normal(size=(300_000, 20))
    inertias = [KMeans(10, random_state=seed).fit(X).inertia_ for seed in range(5, 12)]
    assert max(inertias) < 1.001 * min(inertias)
    monkeypatch.setattr(search, "AGAIN_CLUSTERS", 0)
    monkeypatch.setattr("fastkmeans.fitting.breathing.MOST_STARTS", 1)
    inertias = [KMeans(10, random_state=seed).fit(X).inertia_ for seed in range(5, 12)]
    assert max(inertias) > 1.01 * min(inertias)
