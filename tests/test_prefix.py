"""The prefix filter: it walks with Lloyd's algorithm bit for bit whatever the data, and it really skips work."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastkmeans import KMeans, kmeans_plusplus
from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.prefix import PrefixState
from fastkmeans.algorithms.coding import Codes
from fastkmeans.algorithms.directions import Trial, principal_directions, spanning


def states(X, n_clusters, weights=None, n_threads=1, **params):
    """Lloyd's state and the filter's, over the same samples."""
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    max_weight = 1.0 if weights is None else float(weights.max())
    arguments = (X, weights, max_abs, max_weight, n_clusters, n_threads)
    return LloydState(*arguments), PrefixState(*arguments, Codes(X, max_abs, n_threads), **params)


def walk(X, centers, n_steps=6, **params):
    """Step both states side by side, bit for bit alike; return the filter's, and its compared pairs of each step."""
    dense, filtered = states(X, len(centers), **params)
    centers = centers.astype(np.float64)
    compared = []
    for _ in range(n_steps):
        assert filtered.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(filtered.clusters.labels, dense.clusters.labels)
        assert filtered.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
        compared.append(filtered.n_compared)
        moved, terms = np.empty_like(centers), np.empty((len(centers), 4))
        filtered.clusters.move(centers, np.zeros(X.shape[1]), moved, terms)
        centers = moved.astype(X.dtype).astype(np.float64)
    return filtered, compared


def decaying(rng, n_samples, n_features, decay=0.93):
    """Samples whose directions matter less and less, turned so that no single feature shows it."""
    turn = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    return (rng.normal(size=(n_samples, n_features)) * decay ** np.arange(n_features)) @ turn


# ---------------------------------------------------------------- Lloyd's labels

SHAPES = [  # n_samples, n_features, n_clusters, n_directions
    (70, 1, 5, 1),
    (333, 7, 20, 3),
    (1000, 64, 70, 16),
    (500, 64, 33, 64),
    (400, 130, 15, 40),
    (600, 300, 100, 50),
    (257, 17, 14, 17),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_filter_walks_with_lloyd(shape, isa, real, rng):
    n_samples, n_features, n_clusters, n_directions = shape
    X = decaying(rng, n_samples, n_features).astype(real)
    walk(X, X[:n_clusters], n_directions=n_directions)
    weights = rng.uniform(size=n_samples)
    walk(X, X[-n_clusters:], n_directions=n_directions, weights=weights, n_steps=3)


def mixed_magnitudes(rng):
    return rng.normal(size=(900, 40)) * 10.0 ** rng.uniform(-12, 12, size=(900, 1))


def one_far_row(rng):
    X = rng.normal(size=(900, 40))
    X[13] *= 1e13
    return X


def tail_decides(rng):
    """The leading directions are the same for all clusters: only what they leave over tells them apart."""
    X = np.zeros((900, 40))
    X[:, :4] = 100 * rng.normal(size=(900, 4))
    X[np.arange(900), 4 + rng.integers(36, size=900)] = 1.0
    return X


def corners_of_a_cube(rng):
    """No coordinate is short: the codes of a row, and its products with its like, are as long as codes may be."""
    return rng.choice([-1.0, 1.0], size=(900, 40)) * np.geomspace(1.0, 0.9, 40)


ADVERSARIES = {
    "duplicates": lambda rng: np.tile(rng.normal(size=(45, 40)), (20, 1)),
    "all equal": lambda rng: np.full((900, 40), 0.1),
    "integers": lambda rng: rng.integers(-2, 3, size=(900, 40)).astype(float),
    "one-hot": lambda rng: np.eye(40)[rng.integers(40, size=900)],
    "far offset": lambda rng: rng.normal(size=(900, 40)) + 1e4,
    "offset of one feature": lambda rng: rng.normal(size=(900, 40)) + 1e6 * np.eye(40)[3],
    "tiny": lambda rng: rng.normal(size=(900, 40)) * 1e-18,
    "huge": lambda rng: rng.normal(size=(900, 40)) * 1e17,
    "mixed magnitudes": mixed_magnitudes,
    "one far row": one_far_row,
    "tail decides": tail_decides,
    "corners of a cube": corners_of_a_cube,
    "one direction": lambda rng: rng.normal(size=(900, 1)) * rng.normal(size=40),
}


@pytest.mark.parametrize("n_directions", [3, 40])
@pytest.mark.parametrize("data", ADVERSARIES)
def test_no_data_misleads_the_filter(data, n_directions, isa, real, rng):
    X = ADVERSARIES[data](rng).astype(real)
    walk(X, X[rng.permutation(900)[:30]], n_directions=n_directions, n_steps=3)


@pytest.mark.parametrize("far", [1e3, 1e12, 1e25, 1e60, 1e140])
def test_centers_far_from_the_samples_mislead_nobody(far, isa, real, rng):
    if far > 1e30 and real == np.float32:
        pytest.skip("no float32")
    X = decaying(rng, 800, 40).astype(real)
    centers = X[:30].astype(np.float64)
    centers[::3] *= far
    walk(X, centers, n_directions=16, n_steps=3)
    walk(X, X[:30] + real.type(far), n_directions=16, n_steps=3)


@pytest.mark.parametrize("place", [-1, 40, 0])
def test_a_center_beyond_float32_does_not_hide_the_rests_of_others(place, isa, rng):
    """Pairs of centers hardly apart ask for all the rounding that their rests allow for."""
    X = decaying(rng, 3000, 60, decay=0.8)
    centers = X[rng.permutation(3000)[:90]].copy()
    centers[1::2] = centers[::2] + 1e-4 * rng.normal(size=(45, 60))
    centers[place] = 1e60
    walk(X, centers, n_directions=12, n_steps=3)


def test_samples_whose_differences_overflow_float32_are_left_to_lloyd(rng):
    X = rng.uniform(2.9e38, 3.3e38, size=(3000, 20)).astype(np.float32)
    X[::4] *= -1
    filtered, _ = walk(X, X[:130], n_steps=2, n_directions=8)
    assert filtered.n_directions == 0


@pytest.mark.parametrize("n_directions", [3, 24])
def test_samples_halfway_between_two_centers_are_decided_in_float64(n_directions, isa, real, rng):
    centers = rng.normal(size=(37, 24)).astype(real).astype(np.float64)
    a, b = rng.integers(37, size=(2, 3000))
    lean = rng.choice([-1, 1], size=3000) * 10.0 ** rng.uniform(-11, -1, size=3000)
    X = ((centers[a] + centers[b]) / 2 + lean[:, None] * (centers[a] - centers[b])).astype(real)
    _, filtered = states(X, 37, n_directions=n_directions)
    for moved in (centers, centers[::-1].copy()):  # the labels of one step are bad guesses for the other
        filtered.step(moved)
        np.testing.assert_array_equal(filtered.clusters.labels, reference.nearest(X, moved))


def test_a_tie_goes_to_the_lowest_index(isa, real, rng):
    X = decaying(rng, 500, 20).astype(real)
    centers = X[rng.integers(12, size=60)].astype(np.float64)
    _, filtered = states(X, 60, n_directions=20)
    for order in (np.arange(60), rng.permutation(60)):
        filtered.step(centers[order])
        np.testing.assert_array_equal(filtered.clusters.labels, reference.nearest(X, centers[order]))


class Reluctant:
    """Codes that pay only from some trial on.   first : number of that trial, from 0.   pays : answers, one for each step over codes."""

    may_pay_later = True
    quantized = None

    def __init__(self, codes, first, pays=()):
        self._codes, self._first, self._answers, self.n_trials = codes, first, list(pays), 0

    def for_steps(self, centers, n_directions):
        self.n_trials += 1
        return self._codes.for_steps(centers, 12) if self.n_trials > self._first else None

    def pays(self, n_directions, kept, n_clusters):
        return self._answers.pop(0) if self._answers else True


@pytest.mark.parametrize("weighted", [False, True])
def test_a_filter_that_did_not_pay_is_tried_again_when_labels_settle(weighted, real):
    rng = np.random.default_rng(40_961)
    X = decaying(rng, 3000, 40).astype(real)
    weights = rng.integers(1, 4, size=3000).astype(np.float64) if weighted else None
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    arguments = (X, weights, max_abs, 3.0 if weighted else 1.0, 40, 2)
    codes = Reluctant(Codes(X, max_abs, 2), first=2, pays=[True, False, False, True])
    dense, filtered = LloydState(*arguments), PrefixState(*arguments, codes)
    centers, steps, changed = X[:40].astype(np.float64), [], []
    for _ in range(40):
        changed.append(dense.step(centers))
        assert filtered.step(centers) == changed[-1]
        assert filtered.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
        steps.append(filtered.stepped_by)
        moved, terms = np.empty_like(centers), np.empty((40, 4))
        filtered.clusters.move(centers, np.zeros(40), moved, terms)
        centers = moved.astype(real).astype(np.float64)
    assert steps[:2] == ["lloyd", "lloyd"]
    filter_began = steps.index("prefix")  # the third trial
    assert (
        steps[filter_began : filter_began + 2] == ["prefix"] * 2
    )  # the second one did not pay, nor did a part of the third
    given_up = filter_began + 2
    assert steps[given_up] == "lloyd"
    again = steps.index("prefix", given_up)
    limit = changed[filter_began - 1] // 2
    assert changed[again - 1] <= limit and min(changed[given_up : again - 1], default=3000) > limit
    assert set(steps[again:]) == {"prefix"} and codes.n_trials == 4


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_whole_fits_are_those_of_lloyd(init, real, rng, seed, fingerprint):
    X = decaying(rng, 3000, 80).astype(real)
    fits = [KMeans(60, init=init, random_state=seed, tol=0, algorithm=name).fit(X) for name in ["lloyd", "prefix"]]
    assert fingerprint(fits[0]) == fingerprint(fits[1])


def test_handwritten_digits_are_labelled_as_by_lloyd(real, seed):
    datasets = pytest.importorskip("sklearn.datasets")
    X = datasets.load_digits().data.astype(real)
    centers = kmeans_plusplus(X, 80, random_state=seed)[0]
    walk(X, centers, n_directions=24, n_steps=20)
    walk(X, centers, n_steps=20)


# ---------------------------------------------------------------- threads


def test_threads_change_neither_labels_nor_counts(rng, real):
    X = decaying(rng, 6000, 60).astype(real)
    trails = []
    for n_threads in (1, 2, 5):
        filtered, compared = walk(X, X[:64], n_threads=n_threads, n_directions=16)
        trails.append((compared, filtered.n_decided, filtered.clusters.labels.tobytes()))
    assert trails[0] == trails[1] == trails[2]


def test_centers_that_stand_still_keep_their_codes(rng, real):
    X = decaying(rng, 2000, 50).astype(real)
    dense, filtered = states(X, 40, n_directions=20)
    centers = X[:40].astype(np.float64)
    for moving in ([], [3], [0, 17, 39], []):
        centers[moving] = X[rng.integers(2000, size=len(moving))]
        assert filtered.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(filtered.clusters.labels, dense.clusters.labels)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8, 0.95])
def test_centers_that_stand_still_win_and_lose_ties_as_ever(share, isa, real, rng):
    """Small integers: many centers are equally far, and some of those move while others stand still."""
    X = rng.integers(-2, 3, size=(1500, 24)).astype(real)
    centers = rng.integers(-2, 3, size=(90, 24)).astype(np.float64)
    dense, filtered = states(X, 90, n_directions=10, n_threads=2)
    for _ in range(6):
        assert filtered.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(filtered.clusters.labels, reference.nearest(X, centers))
        moving = rng.random(90) < share
        centers[moving] = centers[rng.integers(90, size=moving.sum())]  # often onto one that stands still
        centers[moving, 0] += rng.integers(-1, 2, size=moving.sum())


@pytest.mark.parametrize("stride", [1e-12, 1e-6, 1e-3, 0.03, 0.3, 10.0])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_bounds_by_shifts_keep_the_labels_of_lloyd(stride, share, isa, real, rng):
    """Centers flee from samples of theirs for many steps: what is known of a label's score is carried on and on."""
    X = decaying(rng, 700, 80).astype(real)
    X[:40] = (X[40:80] + X[80:120]) / 2  # halfway between two centers, at first
    centers = X[40:120].astype(np.float64)
    dense, filtered = states(X, 80, n_directions=80)
    for _ in range(15):
        assert filtered.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(filtered.clusters.labels, dense.clusters.labels)
        for j in np.flatnonzero(rng.random(80) < share):
            own = np.flatnonzero(dense.clusters.labels == j)
            away = centers[j] - X[rng.choice(own)] if len(own) else rng.normal(size=80)
            centers[j] += stride * rng.choice([0.1, 1.0]) * away
        centers = centers.astype(real).astype(np.float64)


# ---------------------------------------------------------------- work


def test_few_pairs_survive_where_few_directions_tell_all(isa, rng, real):
    X = decaying(rng, 4000, 100, decay=0.8).astype(real)
    _, compared = walk(X, X[:100], n_directions=24)
    assert compared[-1] < 0.01 * X.shape[0] * 100


def test_more_directions_leave_fewer_pairs(isa, rng, real):
    X = decaying(rng, 2000, 60).astype(real)
    survivors = [walk(X, X[:50], n_directions=n)[1][-1] for n in (4, 12, 60)]
    assert survivors[0] > survivors[1] > survivors[2]


def test_the_first_step_chooses_the_directions(rng):
    X = decaying(rng, 6000, 200, decay=0.9).astype(np.float32)
    filtered, compared = walk(X, X[:200], n_steps=3)
    assert 8 <= filtered.n_directions <= 96
    assert compared[-1] < 0.05 * X.shape[0] * 200


@pytest.mark.parametrize("n_features, n_clusters", [(3, 200), (200, 3), (12, 12)])
def test_what_the_filter_cannot_speed_up_is_left_to_lloyd(n_features, n_clusters, rng):
    X = rng.normal(size=(3000, n_features)).astype(np.float32)
    filtered, _ = walk(X, X[:n_clusters], n_steps=2)
    assert filtered.n_directions == 0


def test_a_filter_that_does_not_pay_is_given_up(rng, real, monkeypatch):
    monkeypatch.setattr(Trial, "choose_n_directions", lambda *_: 8)
    X = rng.normal(size=(3000, 96)).astype(real)
    filtered, compared = walk(X, X[:96], n_steps=4)
    assert compared[0] > 0.3 * X.shape[0] * 96
    assert filtered.stepped_by == "lloyd"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("init", ["k-means++", "given"])
def test_values_too_large_for_differences_in_float32_are_left_to_lloyd_in_silence(init, rng):
    X = rng.normal(size=(4000, 70)).astype(np.float32)
    X[:, 0] = np.where(rng.random(4000) < 0.9, 2.5e38, -2.5e38)
    X[:, 1] = np.where(rng.random(4000) < 0.1, 2.5e38, -2.5e38)
    params = {"init": X[:100] if init == "given" else init, "max_iter": 3, "random_state": 0, "n_init": 1}
    filtered = KMeans(100, algorithm="prefix", **params).fit(X)
    np.testing.assert_array_equal(filtered.labels_, KMeans(100, algorithm="lloyd", **params).fit(X).labels_)
    assert {step["algorithm"] for step in filtered.history_} == {"lloyd"}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_features", [20, 128, 150, 600])
def test_directions_are_orthonormal_and_hold_what_matters(n_features, n_threads, rng):
    X = decaying(rng, 1000, n_features, decay=0.9).astype(np.float32)
    directions = principal_directions(X, spanning(X, 16, n_threads), 16).astype(np.float64)
    np.testing.assert_allclose(directions.T @ directions, np.eye(16), atol=1e-5)
    held = ((X @ directions) ** 2).sum(axis=0)
    best = np.linalg.eigvalsh(X.T.astype(np.float64) @ X)[::-1][:16]
    assert held.sum() > 0.99 * best.sum()
    assert (np.diff(held) < 0.05 * held[0]).all()
