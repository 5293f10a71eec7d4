"""Greedy k-means++: its distribution, and that neither filter, threads nor instruction set change a choice."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest
import reference

from fastkmeans import KMeans, kmeans_plusplus
from fastkmeans._core import runtime
from fastkmeans._core.seeding import PlusPlus
from fastkmeans.algorithms.coding import Codes


def seeds(X, n_clusters, n_trials, seed, *, weights=None, n_threads=1, scale=1.0, n_pool=0):
    """The rows that a seeding takes, and what it keeps."""
    rows = np.zeros(n_clusters, np.intp)
    rows[0] = seed % len(X)
    state = PlusPlus(X, weights, scale, n_trials, n_threads, rows[0], seed, n_pool)
    found = state.choose(rows[1:])
    return rows[: found + 1], state.min_sq_distances


def coded(X, n_threads=1):
    """What passes read in place of many features."""
    return Codes(X, np.abs(X).max(axis=0).astype(np.float64), n_threads).for_seeding()


def splitmix(state):
    """The numbers in [0, 1) that a seeding draws by."""
    mask = 2**64 - 1
    while True:
        state = state + 0x9E3779B97F4A7C15 & mask
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        yield ((z ^ z >> 31) >> 11) / 2.0**53


def slow_seeds(X, n_clusters, n_trials, seed, *, weights=None):
    """The slow twin of `seeds` with a new pool for each seed, for data whose sums do not round."""
    weights = np.ones(len(X)) if weights is None else weights
    rows, uniform = [seed % len(X)], splitmix(seed)
    min_sq = reference.sq_distances(X, X[rows])[:, 0]
    for _ in range(n_clusters - 1):
        running = (weights * min_sq).cumsum()
        drawn = running.searchsorted([next(uniform) * running[-1] for _ in range(n_trials)], side="right")
        lowered = np.minimum(min_sq[:, None], reference.sq_distances(X, X[drawn]))
        best = int((weights @ lowered).argmin())
        rows.append(int(drawn[best]))
        min_sq = lowered[:, best]
    return np.array(rows), min_sq


def slow_dense_seeds(X, n_clusters, n_trials, seed, *, weights=None):
    """The slow twin of dense steps: candidates are drawn before the last seed lowers the distances."""
    weights = np.ones(len(X)) if weights is None else weights
    rows, uniform = [seed % len(X)], splitmix(seed)
    before = min_sq = reference.sq_distances(X, X[rows])[:, 0]
    for _ in range(n_clusters - 1):
        if weights @ before * n_trials * 4 * (256 if len(X) < 32_768 else 1024) > weights @ min_sq * X.size:
            before = min_sq
        running, drawn = (weights * before).cumsum(), []
        while len(drawn) < n_trials:
            row = running.searchsorted(next(uniform) * running[-1], side="right")
            if min_sq[row] == before[row] or next(uniform) * before[row] < min_sq[row]:
                drawn.append(int(row))
        lowered = np.minimum(min_sq[:, None], reference.sq_distances(X, X[drawn]))
        best = int((weights @ lowered).argmin())
        rows.append(drawn[best])
        before, min_sq = min_sq, lowered[:, best]
    return np.array(rows), min_sq


@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5, 8, 16, 20, 37, 70])
@pytest.mark.parametrize("n_trials", [1, 4, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_dense_seeds_are_those_of_their_slow_twin(n_features, n_trials, weighted, real, rng, seed):
    X = rng.integers(-20, 21, size=(9001, n_features)).astype(real)
    weights = rng.integers(0, 4, size=9001).astype(float) if weighted else None
    rows, min_sq = seeds(X, 12, n_trials, seed, weights=weights, n_pool=-1)
    expected_rows, expected_min_sq = slow_dense_seeds(X, 12, n_trials, seed, weights=weights)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(min_sq, expected_min_sq)


@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 8, 16, 20, 70])
@pytest.mark.parametrize("weighted", [False, True])
def test_seeds_are_those_of_the_slow_twin(n_features, weighted, real, rng, seed):
    X = rng.integers(-20, 21, size=(3000, n_features)).astype(real)
    weights = rng.integers(0, 4, size=3000).astype(float) if weighted else None
    rows, min_sq = seeds(X, 40, 7, seed, weights=weights, n_pool=7)
    expected_rows, expected_min_sq = slow_seeds(X, 40, 7, seed, weights=weights)
    np.testing.assert_array_equal(rows, expected_rows)
    weighs = slice(None) if weights is None else weights > 0
    np.testing.assert_array_equal(min_sq[weighs], expected_min_sq[weighs])


# ---------------------------------------------------------------- distribution

PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [5.0, 5.0], [5.5, 5.0], [-4.0, 1.0]])


def greedy_distribution(sq, weights, n_seeds, n_trials):
    """Probability of every sequence of seeds, by enumerating the draws of greedy k-means++."""
    found = {(first,): w / weights.sum() for first, w in enumerate(weights)}
    for _ in range(n_seeds - 1):
        longer = {}
        for taken, probability in found.items():
            min_sq = sq[:, taken].min(axis=1)
            masses = weights * min_sq
            for drawn in product(np.flatnonzero(masses), repeat=n_trials):
                potentials = [(weights * np.minimum(min_sq, sq[:, y])).sum() for y in drawn]
                key = (*taken, int(drawn[int(np.argmin(potentials))]))
                longer[key] = longer.get(key, 0.0) + probability * np.prod(masses[list(drawn)] / masses.sum())
        found = longer
    return found


@pytest.mark.parametrize("n_copies", [1, 500])
@pytest.mark.parametrize("n_pool", [-1, 0, 56])
@pytest.mark.parametrize("n_trials", [1, 2, 3])
def test_the_distribution_is_that_of_greedy_kmeans_plusplus(n_copies, n_pool, n_trials, real, rng, seed):
    """Chi-square against the enumeration, over the places of the seeds.

    500 copies of a place span three blocks; with a pool of 56 all seeds but the first come from early draws.
    """
    place_of = rng.permutation(np.repeat(np.arange(6), n_copies))
    X = PLACES[place_of].astype(real)
    weights = rng.uniform(0.2, 3.0, size=len(X))
    of_place = np.bincount(place_of, weights=weights)
    expected = greedy_distribution(reference.sq_distances(PLACES, PLACES), of_place, 3, n_trials)
    n_runs = 6000
    counts = dict.fromkeys(expected, 0)
    firsts = rng.choice(len(X), size=n_runs, p=weights / weights.sum())
    for first, random in zip(firsts, rng.integers(2**63, size=n_runs), strict=True):
        rows = np.full(3, first, np.intp)
        state = PlusPlus(X, weights, 0.125, n_trials, 1, first, random, n_pool)
        assert state.choose(rows[1:]) == 2
        counts[tuple(place_of[rows].tolist())] += 1
        assert n_pool == 0 or state.n_passes_done < 4
    # Rare sequences are taken together, so that every term has enough counts for the chi-square law.
    order = sorted(expected, key=expected.get)
    terms, pooled = [], np.zeros(2)
    for key in order:
        pooled += counts[key], n_runs * expected[key]
        if pooled[1] >= 10:
            terms.append(pooled.copy())
            pooled[:] = 0
    terms[-1] += pooled
    observed, wanted = np.array(terms).T
    chi_square, freedom = ((observed - wanted) ** 2 / wanted).sum(), len(terms) - 1
    assert freedom > 15
    # Wilson and Hilferty's normal approximation: 4.5 deviations is one failure in 300 000.
    deviations = ((chi_square / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    assert deviations < 4.5


# ---------------------------------------------------------------- the same choice however it is computed


def awkward(kind, n_features, rng):
    """Data on which a float32 score alone would go wrong."""
    X = rng.normal(size=(2500, n_features))
    if kind == "far offset":
        X = X * 1e-3 + 1e5
    elif kind == "one far row":
        X[77] *= 1e9
    elif kind == "copies":
        X = X[rng.integers(30, size=2500)]
    elif kind == "a hair apart":
        X = X[rng.integers(30, size=2500)] + rng.normal(scale=1e-6, size=X.shape)
    elif kind == "mixed feature scales":
        X = X * 10.0 ** np.linspace(-6, 6, n_features)
    return X


KINDS = ["plain", "far offset", "one far row", "copies", "a hair apart", "mixed feature scales"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_pool", [-1, 0, 5, 56])
@pytest.mark.parametrize("n_features", [2, 20, 100])
def test_no_sample_that_comes_closer_is_lost(kind, n_pool, n_features, real, rng, seed):
    X = awkward(kind, n_features, rng).astype(real)
    scale = 2.0 ** -np.ceil(np.log2(np.abs(X).max()))
    rows, min_sq = seeds(X, 60, 5, seed, scale=scale, n_pool=n_pool)
    sq = (((X[:, None, :] - X[rows]) * real.type(scale)) ** 2).astype(np.float64).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(min_sq, sq, rtol=1e-5 if real.itemsize == 4 else 1e-13)
    np.testing.assert_array_equal(min_sq == 0, sq == 0)
    assert len(np.unique(X[rows], axis=0)) == len(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_pool", [-1, 0])
@pytest.mark.parametrize("n_features", [3, 20])
def test_threads_and_instruction_sets_change_no_choice(kind, n_pool, n_features, real, rng, seed):
    X = awkward(kind, n_features, rng).astype(real)
    weights = rng.uniform(size=len(X))
    before, results = runtime.isa(), []
    try:
        for isa in runtime.isas():
            runtime.use_isa(isa)
            for n_threads in [1, 2, 5]:
                rows, min_sq = seeds(
                    X, 60, 9, seed, weights=weights, n_threads=n_threads, scale=2.0**-20, n_pool=n_pool
                )
                results.append((rows.tolist(), min_sq.tobytes()))
    finally:
        runtime.use_isa(before)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("kind", [*KINDS, "corners of a cube"])
@pytest.mark.parametrize("n_features", [5, 67, 150, 700])
def test_codes_change_no_choice(kind, n_features, isa, real, rng, seed):
    if kind == "corners of a cube":  # codes as long as codes may be
        X = rng.choice([-1.0, 1.0], size=(2500, n_features)).astype(real)
    else:
        X = awkward(kind, n_features, rng).astype(real)
    scale = 2.0 ** -np.ceil(np.log2(np.abs(X).max()))
    codes = coded(X)
    if codes is None:
        pytest.skip("no instruction multiplies bytes")
    found = []
    for rows in (None, codes):
        chosen = np.zeros(70, dtype=np.intp)
        state = PlusPlus(X, None, scale, 5, 2, seed % len(X), seed, rows=rows)
        found.append((state.choose(chosen), chosen.tolist(), state.min_sq_distances.tobytes()))
    assert found[0] == found[1]


def test_rows_too_wide_for_codes_are_seeded_without(rng):
    X = rng.normal(size=(40, 30_000)).astype(np.float32)
    assert coded(X) is None
    # 48 clusters and half a million values: what a seeding would read codes for
    X = np.concatenate([X, X + 1.0])
    _, rows = kmeans_plusplus(X, 48, random_state=3)
    assert len(set(rows.tolist())) == 48


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 3e37])
def test_extreme_scales_seed_as_any_other(scale, real, rng, seed):
    X = np.repeat(rng.normal(size=(50, 4)), 3, axis=0)
    plain = (X * 2.0 ** np.floor(np.log2(scale))).astype(real)
    _, rows = kmeans_plusplus(plain, 50, random_state=seed)
    assert len(np.unique(X[rows], axis=0)) == 50


def test_greedy_seeds_are_better_than_plain_ones(blobs, real, seed):
    X, _ = blobs(3000, 4, 60, real, std=0.3)

    def potential(n_local_trials):
        picks = [kmeans_plusplus(X, 60, random_state=seed // 2 + i, n_local_trials=n_local_trials)[0] for i in range(6)]
        return np.mean([reference.inertia(X, C) for C in picks])

    assert potential(None) < potential(1)
    assert 2 + int(log(60)) == 6


def test_no_weighing_row_left_takes_spare_ones(real):
    X = np.array([[0.0], [0.0], [1.0], [1.0], [7.0]], dtype=real)
    _, rows = kmeans_plusplus(X, 5, random_state=5)
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]
    _, rows = kmeans_plusplus(X, 3, sample_weight=[1, 1, 1, 1, 0], random_state=5)
    assert 4 not in rows and len(set(rows.tolist())) == 3


def test_a_pool_serves_several_seeds(rng, seed):
    """One pass for every eight seeds late in a seeding, and the marks of the pass rule most samples out."""
    X = rng.uniform(size=(20000, 12)).astype(np.float32)
    state = PlusPlus(X, None, 1.0, 7, 1, 0, seed)
    assert state.choose(np.zeros(64, np.intp)) == 64
    before = state.n_passes_done
    assert state.choose(np.zeros(200, np.intp)) == 200
    assert state.n_passes_done - before < 200 / 6


def test_a_fit_within_a_fit_draws_from_its_own_stream(blobs, real, seed):
    """The RandomState of an int seed is lent from fit to fit, never to two at a time."""
    X, _ = blobs(300, 2, 5, real, std=3.0)
    inner = []

    def fit_another(step):
        inner.append(KMeans(5, random_state=8).fit(X).labels_)

    plain = KMeans(5, n_init=4, max_iter=3, random_state=seed).fit(X)
    nested = KMeans(5, n_init=4, max_iter=3, random_state=seed, callback=fit_another).fit(X)
    np.testing.assert_array_equal(nested.cluster_centers_, plain.cluster_centers_)
    alone = KMeans(5, random_state=8).fit(X).labels_
    assert all((labels == alone).all() for labels in inner)
    expected = kmeans_plusplus(X, 9, random_state=np.random.RandomState(seed))[1]
    for _ in range(2):
        np.testing.assert_array_equal(kmeans_plusplus(X, 9, random_state=seed)[1], expected)
