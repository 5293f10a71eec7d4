"""Every kernel of every instruction set that this CPU runs, at the sizes where vectors, tiles, panels and blocks end."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import reference

import fastkmeans
from fastkmeans._core import distances, lloyd, runtime, samples, seeding, totals
from fastkmeans._core.sums import ClusterSums
from fastkmeans.samples import describe

N_FEATURES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 129, 300]


@pytest.fixture(params=runtime.isas(), autouse=True)
def isa(request):
    """Run the test under each instruction set, and give the one in use back."""
    before = runtime.isa()
    runtime.use_isa(request.param)
    yield request.param
    runtime.use_isa(before)


def tail_sizes():
    """Sizes around the tile and the panel of the instruction set in use."""
    _, tile_samples, tile_centers = runtime.tile()
    n_samples = [1, tile_samples - 1, tile_samples, tile_samples + 1, 3 * tile_samples + 2, 1025]
    n_clusters = [1, 2, tile_centers - 1, tile_centers, tile_centers + 1, 3 * tile_centers + 2]
    return sorted({*n_samples} - {0}), sorted({*n_clusters} - {0})


@pytest.mark.parametrize("n_features", N_FEATURES)
def test_labels_are_the_nearest_centers_at_every_tail(n_features, real, rng):
    all_n_samples, all_n_clusters = tail_sizes()
    for n_samples in all_n_samples:
        for n_clusters in all_n_clusters:
            # Few distinct values make ties and near-ties, an offset makes float32 lose digits.
            X = (rng.integers(-2, 3, size=(n_samples, n_features)) / 7 + rng.choice([0, 1000])).astype(real)
            centers = X[rng.integers(n_samples, size=n_clusters)].astype(np.float64)
            centers += rng.normal(scale=0.1, size=centers.shape) * rng.integers(2)
            labels = np.empty(n_samples, np.int32)
            distances.nearest(X, centers, labels, 2)
            np.testing.assert_array_equal(labels, reference.nearest(X, centers))


@pytest.mark.parametrize("n_features", N_FEATURES)
def test_distances_are_those_of_numpy_bit_for_bit(n_features, real, rng):
    X = rng.normal(size=(70, n_features)).astype(real)
    centers = rng.normal(size=(9, n_features))
    expected = np.stack([((X.astype(np.float64) - c) ** 2).sum(axis=1) for c in centers], axis=1)
    labels = expected.argmin(axis=1).astype(np.int32)
    own = np.empty(len(X))
    distances.own_sq_distances(X, centers, labels, own, 2)
    np.testing.assert_array_equal(own, expected[np.arange(len(X)), labels])
    found = np.empty((len(X), 9))
    distances.pairwise(X, centers, found, 2)
    np.testing.assert_allclose(found, np.sqrt(expected), rtol=1e-15)
    np.testing.assert_array_equal(found.argmin(axis=1), labels)


@pytest.mark.parametrize("n_features", N_FEATURES)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_follow_the_labels_without_a_trace(n_features, weighted, real, rng):
    """However the labels moved, the sums are those of the labels now, in the bits of a fresh start."""
    n_samples, n_clusters = 1500, 11
    X = (rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.integers(-6, 6, size=n_features)).astype(real)
    weights = rng.uniform(size=n_samples) if weighted else None
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    max_weight = weights.max() if weighted else 1.0
    moved = lloyd.LloydState(X, weights, max_abs, max_weight, n_clusters, 3)
    for _ in range(4):
        centers = X[rng.integers(n_samples, size=n_clusters)].astype(np.float64)
        moved.step(centers)
    fresh = lloyd.LloydState(X, weights, max_abs, max_weight, n_clusters, 1)
    assert fresh.step(centers) == n_samples
    np.testing.assert_array_equal(moved.clusters.labels, fresh.clusters.labels)
    assert moved.clusters.sums.tobytes() == fresh.clusters.sums.tobytes()
    expected = np.zeros((n_clusters, n_features + 1))
    ones = np.ones(n_samples) if weights is None else weights
    np.add.at(expected, fresh.clusters.labels, np.c_[X * ones[:, None].astype(np.float64), ones])
    np.testing.assert_allclose(
        fresh.clusters.sums.sum(axis=1), expected, rtol=1e-9, atol=1e-12 * max_abs.max() * n_samples
    )


@pytest.mark.parametrize("n_features", N_FEATURES)
def test_samples_are_described_as_numpy_describes_them(n_features, real, rng):
    for n_samples in [1, 2, 63, 64, 65, 700]:
        X = (rng.normal(size=(n_samples, n_features)) + 50).astype(real)
        described = np.empty((-(-n_samples // 256), 3, n_features))
        samples.describe_blocks(X, 256, described, 2)
        for b, (max_abs, mean, m2) in enumerate(described):
            block = X[256 * b : 256 * (b + 1)].astype(np.float64)
            np.testing.assert_array_equal(max_abs, np.abs(block).max(axis=0))
            np.testing.assert_allclose(mean, block.mean(axis=0), rtol=1e-13)
            np.testing.assert_allclose(m2, block.var(axis=0) * len(block), rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_unusable_value_is_found_wherever_it_is(value, real, rng):
    X = rng.normal(size=(53, 3)).astype(real)
    assert not samples.has_unusable(X, 1e30, 1)
    for i in range(X.size):
        spoiled = X.copy()
        spoiled.flat[i] = value
        assert samples.has_unusable(spoiled, 1e30, 1)


@pytest.mark.parametrize("n_features", N_FEATURES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_seeding_keeps_the_least_distance_at_every_tail(n_features, weighted, real, rng):
    _, tile_samples, tile_centers = runtime.tile()
    for n_samples in [2, tile_samples - 1, tile_samples + 1, 1024, 1025 + tile_samples]:
        for n_trials in [1, 2, tile_centers, tile_centers + 1, 55, 56, 57, 120]:
            X = rng.normal(size=(n_samples, n_features)).astype(real)
            weights = rng.uniform(size=n_samples) if weighted else None
            rows = np.zeros(min(n_samples, 6), np.intp)
            state = seeding.PlusPlus(X, weights, 0.5, n_trials, 2, rows[0], 5, 56 * rng.integers(2))
            assert state.choose(rows[1:]) == len(rows) - 1
            assert len(set(rows)) == len(rows)
            expected = 0.25 * reference.sq_distances(X, X[rows]).min(axis=1)
            np.testing.assert_allclose(state.min_sq_distances, expected, rtol=1e-5 if real.itemsize == 4 else 1e-13)
            assert (state.min_sq_distances[rows] == 0).all()


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match="isa must be one of .*'v9'"):
        runtime.use_isa("v9")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "n_samples, n_features, n_clusters",
    [(3000, 4, 6), (700, 33, 1000), (1500, 130, 300), (900, 785, 100)],  # the last three by cluster at first
)
def test_labels_of_another_algorithm_are_followed_as_its_own(n_samples, n_features, n_clusters, weighted, real, rng):
    X = (rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.integers(-6, 6, size=n_features)).astype(real)
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    weights = rng.uniform(size=n_samples) if weighted else None
    max_weight = weights.max() if weighted else 1.0
    own = lloyd.LloydState(X, weights, max_abs, max_weight, n_clusters, 1)
    others = [ClusterSums(X, weights, max_abs, max_weight, n_clusters, n_threads) for n_threads in (1, 3)]
    for _ in range(3):
        n_changed = own.step(X[rng.integers(n_samples, size=n_clusters)].astype(np.float64))
        for other in others:
            assert other.follow(own.clusters.labels.copy()) == n_changed
            np.testing.assert_array_equal(other.labels, own.clusters.labels)
            assert own.clusters.sums.tobytes() == other.sums.tobytes()


TERMS = {  # name -> maker of n numbers
    "alike": lambda rng, n: rng.normal(size=n),
    "of any size": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.uniform(-300, 300, size=n),
    "large": lambda rng, n: rng.normal(size=n) * 1e304,
    "tiny": lambda rng, n: rng.normal(size=n) * 1e-318,
    "that cancel": lambda rng, n: np.concatenate([rng.normal(size=n), [1e200, -1e200]]),
    "halves": lambda rng, n: rng.integers(-4, 5, size=n) * 2.0 ** rng.integers(-62, 62, size=n),
}


@pytest.mark.parametrize("name", TERMS)
def test_totals_do_not_depend_on_order_or_parts(name, rng):
    for _ in range(40):
        terms = TERMS[name](rng, int(rng.integers(1, 300)))
        exact, largest = sum(map(Fraction, terms.tolist())), Fraction(float(np.abs(terms).max()))
        found = set()
        for _ in range(4):
            rng.shuffle(terms)
            one, other = totals.Totals(1), totals.Totals(1)
            cut = int(rng.integers(len(terms) + 1))
            one.add(terms[:cut, None].copy())
            other.add(terms[cut:, None].copy())
            one.merge(other)
            found |= {totals.total_of(terms).hex(), float(one.values()[0, 0]).hex()}
        assert len(found) == 1
        error = abs(Fraction(float.fromhex(found.pop())) - exact)
        assert error <= abs(exact) * Fraction(2) ** -52 + largest * Fraction(2) ** -85 + Fraction(2) ** -1074


def test_totals_pass_on_what_is_no_number():
    for terms in ([1.0, np.nan], [np.inf, 1e300], [-np.inf, 3.0], [np.inf, -np.inf]):
        np.testing.assert_equal(totals.total_of(np.array(terms)), sum(terms))


def test_a_description_has_its_digits(rng):
    for offset, n_samples in [(0.0, 1025), (1e11, 5000), (-3e5, 2048)]:
        X = rng.normal(size=(n_samples, 3)) + offset
        X[0] = 1e12  # far from the others, though it is in the leaf that deviations are counted from
        description = describe(X, 2)
        exact = [[Fraction(value) for value in column] for column in X.T.tolist()]
        means = [sum(column) / n_samples for column in exact]
        variances = [sum((value - mean) ** 2 for value in column) / n_samples for column, mean in zip(exact, means)]
        np.testing.assert_allclose(description.mean, np.array(means, dtype=float), rtol=1e-14)
        np.testing.assert_allclose(description.variance, np.array(variances, dtype=float), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_over_parts_of_samples_add_up_to_those_over_all(weighted, real, rng):
    X = (rng.normal(size=(3000, 5)) * 10.0 ** rng.integers(-6, 6, size=5)).astype(real)
    weights = rng.uniform(size=3000) if weighted else None
    facts = np.abs(X).max(axis=0).astype(np.float64), weights.max() if weighted else 1.0, 7, 2
    labels = rng.integers(7, size=3000).astype(np.int32)
    whole = ClusterSums(X, weights, *facts)
    whole.follow(labels)
    added = np.zeros_like(whole.sums)
    for rows in np.split(np.arange(3000), [100, 2001, 2500]):
        part = ClusterSums(X[rows], None if weights is None else weights[rows], *facts, n_grid_samples=3000)
        np.testing.assert_array_equal(part.grid, whole.grid)
        part.follow(labels[rows])
        added += part.sums
    assert added.tobytes() == whole.sums.tobytes()


@pytest.mark.parametrize("n_features", [1, 3, 8, 40])
@pytest.mark.parametrize("kind", [distances.EUCLIDEAN, distances.MANHATTAN])
def test_copies_of_centers_win_nothing_and_cost_nothing(n_features, kind, real):
    rng = np.random.default_rng(977 + n_features)
    X = rng.normal(size=(700, n_features)).astype(real)
    centers = rng.normal(size=(19, n_features))
    centers[3] = 0.0
    copied = np.concatenate([centers, -0.0 - centers[3:4], centers[rng.integers(19, size=60)]])
    alone, among_copies = np.empty(700, np.int32), np.empty(700, np.int32)
    n_decided = distances.nearest(X, centers, alone, 2, kind)
    assert distances.nearest(X, copied, among_copies, 2, kind) == n_decided
    np.testing.assert_array_equal(among_copies, alone)


@pytest.mark.parametrize("kind", [distances.EUCLIDEAN, distances.MANHATTAN, distances.COSINE])
@pytest.mark.parametrize(("n_features", "n_clusters"), [(1, 5), (2, 300), (9, 127), (40, 129), (133, 256)])
def test_few_samples_get_the_labels_that_they_have_among_many(n_features, n_clusters, kind, real):
    """Few are compared with all centers in float64, many are filtered. Halfway between centers is where they could differ."""
    rng = np.random.default_rng([n_features, n_clusters, kind, 71_933])
    centers = rng.normal(size=(n_clusters, n_features)).astype(real).astype(np.float64)
    centers[n_clusters // 2] = centers[n_clusters - 1]
    a, b = rng.integers(n_clusters, size=(2, 90))
    X = np.concatenate([(centers[a] + centers[b]) / 2, centers[a], rng.normal(size=(30, n_features))]).astype(real)
    together, apart = np.empty(len(X), np.int32), np.empty(len(X), np.int32)
    distances.nearest(X, centers, together, 2, kind)
    for rows in np.split(np.arange(len(X)), np.arange(1, 9).cumsum()):
        part = np.empty(len(rows), np.int32)
        distances.nearest(X[rows], centers, part, 1, kind)
        apart[rows] = part
    np.testing.assert_array_equal(apart, together)


def test_a_step_leaves_copies_of_centers_without_samples(real):
    rng = np.random.default_rng(5311)
    X = rng.normal(size=(900, 6)).astype(real)
    centers = rng.normal(size=(8, 6))[np.repeat(np.arange(8), 3)]
    clusters = fastkmeans.KMeans.from_centers(centers).predict(X)
    assert set(clusters) <= set(range(0, 24, 3))
    np.testing.assert_array_equal(clusters, reference.nearest(X, centers))


@pytest.mark.parametrize("n_features", [1, 2, 9, 40])
@pytest.mark.parametrize("n_far", [1, 3])
def test_far_centers_do_not_spoil_the_proof_for_samples_near_others(n_features, n_far, isa, real):
    """Some samples lie halfway between two near centers, or between a near and a far one, or out there."""
    rng = np.random.default_rng([n_features, n_far, 60_013])
    near = rng.normal(size=(15, n_features))
    far = rng.choice([-1.0, 1.0], size=(n_far, n_features)) * 10.0 ** rng.uniform(3, 5, size=(n_far, 1))
    centers = rng.permutation(np.concatenate([near, far])).astype(real).astype(np.float64)
    a, b = rng.integers(len(centers), size=(2, 300))
    lean = rng.choice([-1, 1], size=(300, 1)) * 10.0 ** rng.uniform(-12, -1, size=(300, 1))
    halfway = (centers[a] + centers[b]) / 2 + lean * (centers[a] - centers[b])
    ordinary = rng.normal(size=(3000, n_features))
    X = np.concatenate([ordinary, halfway, centers, -centers]).astype(real)
    labels = np.empty(len(X), dtype=np.int32)
    distances.nearest(X, centers, labels, 2)
    np.testing.assert_array_equal(labels, reference.nearest(X, centers))
    n_decided = distances.nearest(X[:3000], centers, labels[:3000], 2)
    n_decided_alone = distances.nearest(X[:3000], near.astype(real).astype(np.float64), labels[:3000], 2)
    assert n_decided <= 4 * n_decided_alone + 10


def test_samples_far_from_all_centers_are_decided(isa, real, rng):
    centers = np.concatenate([rng.normal(size=(20, 5)), [[1e4] * 5]]).astype(real).astype(np.float64)
    X = (rng.normal(size=(900, 5)) * 10.0 ** rng.uniform(-3, 9, size=(900, 1))).astype(real)
    labels = np.empty(len(X), dtype=np.int32)
    distances.nearest(X, centers, labels, 2)
    np.testing.assert_array_equal(labels, reference.nearest(X, centers))
