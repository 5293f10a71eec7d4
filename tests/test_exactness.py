"""Promise 1: a label is the float64 nearest center, lowest index on a tie, on the data that breaks others."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastkmeans import KMeans
from fastkmeans._core import runtime
from fastkmeans.algorithms.copies import copies_of
from fastkmeans.algorithms.table import ALGORITHMS

# Few distinct rows, many clusters: the warning is right and not the subject here.
pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}  # of a distance, relative to the largest one


# ---------------------------------------------------------------- data


def integer_grid(rng):
    return np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(-1, 3)


def heavy_tail(rng):
    X = rng.normal(size=(500, 4))
    X[137] *= 1e12
    return X


def constant_columns(rng):
    X = rng.normal(size=(400, 6))
    X[:, [0, 3]] = 1e3, -0.1
    return X


DATA = {  # name -> (maker of X in float64, n_clusters)
    "random": (lambda rng: rng.normal(size=(600, 7)), 9),
    "duplicated rows": (lambda rng: np.tile(rng.normal(size=(40, 3)), (12, 1)), 8),
    "integer grid": (integer_grid, 13),
    "one-hot": (lambda rng: np.eye(12)[rng.integers(12, size=600)], 5),
    "constant columns": (constant_columns, 7),
    "all rows equal": (lambda rng: np.full((100, 4), 0.1), 3),
    "heavy tail": (heavy_tail, 4),
    "mixed feature scales": (lambda rng: rng.normal(size=(500, 13)) * 10.0 ** np.linspace(-6, 6, 13), 6),
    "more clusters than fit in a panel": (lambda rng: rng.normal(size=(1500, 20)), 130),
}

EXTREME_SCALES = {
    ("float32", "huge"): 1e30,
    ("float32", "tiny"): 1e-38,
    ("float64", "huge"): 1e140,
    ("float64", "tiny"): 1e-150,
}

# Two clusters a hair apart, far from the origin: name -> (dtype, place, gap in every feature, deviation).
FAR_OFFSETS = {
    "offset 1e4": ("float32", (1e4, 1e4), 0.1, 0.01),
    "Unix timestamps": ("float64", (1.7e9,), 0.05, 0.002),
    "UTM coordinates": ("float32", (5.0e5, 4.1e6), 8.0, 1.0),
    "one far feature": ("float64", (1e12, 0.0, 0.0), 1.0, 0.05),
}


def check_labels(model, X):
    """labels_, predict, inertia_ and transform against direct differences in float64."""
    centers = model.cluster_centers_
    np.testing.assert_array_equal(model.labels_, reference.nearest(X, centers))
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model.inertia_ == pytest.approx(reference.inertia(X, centers), rel=1e-12, abs=0)
    distances = np.sqrt(reference.sq_distances(X, centers))
    slack = TOLERANCE[X.dtype.name] * distances.max()
    np.testing.assert_allclose(model.transform(X), distances, rtol=TOLERANCE[X.dtype.name], atol=slack)


# ---------------------------------------------------------------- fits


@pytest.mark.parametrize("max_iter", [1, 2, 100])
@pytest.mark.parametrize("data", DATA)
def test_labels_are_the_float64_nearest_centers(data, max_iter, algorithm, real, rng, seed):
    make, n_clusters = DATA[data]
    X = make(rng).astype(real)
    model = KMeans(n_clusters, random_state=seed, max_iter=max_iter, tol=0, algorithm=algorithm).fit(X)
    check_labels(model, X)


@pytest.mark.parametrize("scale", ["huge", "tiny"])
def test_labels_are_right_at_extreme_scales(scale, algorithm, real, rng, seed):
    X = (rng.normal(size=(400, 5)) * EXTREME_SCALES[real.name, scale]).astype(real)
    model = KMeans(6, random_state=seed, algorithm=algorithm).fit(X)
    assert np.isfinite(model.cluster_centers_).all()
    assert len(np.unique(model.labels_)) == 6
    check_labels(model, X)


@pytest.mark.parametrize("name", FAR_OFFSETS)
def test_clusters_far_from_the_origin_are_found_and_predicted(name, algorithm, rng, seed):
    real, place, gap, std = FAR_OFFSETS[name]
    truth = rng.integers(2, size=1000)
    X = (np.array(place) + gap * truth[:, None] + rng.normal(scale=std, size=(1000, len(place)))).astype(real)
    model = KMeans(2, n_init=3, random_state=seed, algorithm=algorithm).fit(X)
    check_labels(model, X)
    same = model.labels_ == truth
    assert same.all() or not same.any()


def test_empty_clusters_leave_exact_labels(algorithm, real, rng):
    X = rng.normal(size=(700, 4)).astype(real)
    init = np.vstack([X[:5], 1e3 + X[5:10], X[:5]])  # ten of fifteen start empty: five far, five duplicated
    for max_iter in [1, 2, 3, 100]:
        check_labels(KMeans(15, init=init, max_iter=max_iter, tol=0, algorithm=algorithm).fit(X), X)


@pytest.mark.parametrize("real", ["float32", "float64"])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_fits_of_small_integer_matrices_are_exact(real, data):
    n_samples = data.draw(st.integers(1, 30), label="n_samples")
    n_features = data.draw(st.integers(1, 5), label="n_features")
    integers = st.integers(-4, 4).map(float)
    X = data.draw(hnp.arrays(real, (n_samples, n_features), elements=integers), label="X")
    n_clusters = data.draw(st.integers(1, n_samples), label="n_clusters")
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    check_labels(KMeans(n_clusters, random_state=seed, tol=0, max_iter=25).fit(X), X)


# ---------------------------------------------------------------- ties that only the rounding of sums decides


def permuted_centers(rng, n_features, real):
    """Centers that are permutations of one vector, and samples of equal values: all distances are equal but for rounding."""
    vector = rng.normal(size=n_features)
    C = np.stack([rng.permutation(vector) for _ in range(23)]).astype(real)
    X = np.repeat(np.append(np.zeros(3), rng.normal(size=197))[:, None], n_features, axis=1).astype(real)
    assert len(np.unique(reference.nearest(X, C))) > 1
    return X, C


TIED_FEATURES = [8, 9, 16, 40, 64, 128, 130, 200, 300]


@pytest.mark.parametrize("n_features", TIED_FEATURES)
def test_a_fit_decides_ties_by_the_order_of_numpys_sums(n_features, algorithm, real, rng):
    """Each center has one sample with weight, so it stays where it is; the tied samples weigh nothing."""
    tied, C = permuted_centers(rng, n_features, real)
    X, weights = np.vstack([C, tied]), np.repeat([1.0, 0.0], [len(C), len(tied)])
    model = KMeans(len(C), init=C, tol=0, algorithm=algorithm).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(model.cluster_centers_, C)
    np.testing.assert_array_equal(model.labels_, reference.nearest(X, C))
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("n_features", TIED_FEATURES)
def test_the_steps_of_a_state_decide_ties_by_the_order_of_numpys_sums(n_features, algorithm, real, rng):
    X, C = permuted_centers(rng, n_features, real)
    row, max_abs = ALGORITHMS[algorithm], np.abs(X).max(axis=0).astype(np.float64)
    shared = {"copies": getattr(copies_of(X, max_abs, 2), row.copies)} if row.copies else {}
    state = row.state(X, None, max_abs, 1.0, len(C), 2, **shared)
    # A filter knows from one step what to leave out in the next: all centers move, none, half of them.
    for centers in [C, rng.permutation(C), C, C, np.where(np.arange(len(C))[:, None] % 2, C, C[::-1])]:
        state.step(np.ascontiguousarray(centers, dtype=np.float64))
        np.testing.assert_array_equal(state.clusters.labels, reference.nearest(X, centers))


# ---------------------------------------------------------------- predictions of given centers


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 13, 14, 15, 29, 100])
@pytest.mark.parametrize("n_features", [*range(1, 10), 15, 16, 17, 31, 33, 65, 130])
def test_every_tail_size_finds_the_nearest_center(n_features, n_clusters, real, rng):
    C = rng.normal(size=(n_clusters, n_features)).astype(real)
    model = KMeans.from_centers(C)
    for n_samples in [1, 31, 32, 33, 4097]:
        X = rng.normal(size=(n_samples, n_features)).astype(real)
        np.testing.assert_array_equal(model.predict(X), reference.nearest(X, C), err_msg=f"{n_samples=}")


@pytest.mark.parametrize("n_clusters", [1, 2, 13, 14, 15, 29])
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5, 8, 9, 16, 17, 33, 65])
def test_every_tail_size_fits_exactly(n_features, n_clusters, algorithm, real, rng):
    for n_samples in [n_clusters, 31, 32, 33, 63, 65, 257]:
        if n_samples >= n_clusters:
            X = rng.normal(size=(n_samples, n_features)).astype(real)
            model = KMeans(n_clusters, init=X[:n_clusters], max_iter=2, tol=0, algorithm=algorithm).fit(X)
            np.testing.assert_array_equal(
                model.labels_, reference.nearest(X, model.cluster_centers_), err_msg=f"{n_samples=}"
            )


@pytest.mark.parametrize("n_features", [1, 3, 8, 40, 100])
def test_duplicated_centers_lose_to_their_first_copy(n_features, real, rng):
    distinct = rng.normal(size=(20, n_features)).astype(real)
    C = distinct[rng.integers(20, size=75)]
    X = np.vstack([rng.normal(size=(500, n_features)).astype(real), C])
    labels = KMeans.from_centers(C).predict(X)
    np.testing.assert_array_equal(labels, reference.nearest(X, C))
    first_copy = [int(np.flatnonzero((C == c).all(axis=1))[0]) for c in C]
    np.testing.assert_array_equal(labels[500:], first_copy)


@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 24, 64, 200])
def test_rows_halfway_between_two_centers_are_decided_in_float64(n_features, real, rng):
    C = rng.normal(size=(37, n_features)).astype(real)
    a, b = rng.integers(37, size=(2, 3000))
    lean = rng.choice([-1, 1], size=3000) * 10.0 ** rng.uniform(-11, -3, size=3000)
    wide = C.astype(np.float64)
    X = ((wide[a] + wide[b]) / 2 + lean[:, None] * (wide[a] - wide[b])).astype(real)
    np.testing.assert_array_equal(KMeans.from_centers(C).predict(X), reference.nearest(X, C))


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_an_offset_of_the_data_costs_no_label(offset, real, rng):
    C = (rng.normal(size=(50, 12)) + offset).astype(real)
    X = (rng.normal(size=(3000, 12)) + offset).astype(real)
    np.testing.assert_array_equal(KMeans.from_centers(C).predict(X), reference.nearest(X, C))


@pytest.mark.parametrize("fitted, asked", [("float32", "float64"), ("float64", "float32")])
def test_rows_of_another_dtype_are_not_rounded_first(fitted, asked, rng):
    C = rng.normal(size=(30, 6)).astype(fitted)
    halfway = (C[:-1].astype(np.float64) + C[1:]) / 2
    X = np.vstack([rng.normal(size=(2000, 6)), halfway + 1e-12]).astype(asked)
    np.testing.assert_array_equal(KMeans.from_centers(C).predict(X), reference.nearest(X, C))


@pytest.mark.parametrize("real", ["float32", "float64"])
@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_predictions_of_small_integer_matrices_are_exact(real, data):
    n_samples, n_clusters = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 33))
    n_features = data.draw(st.integers(1, 20))
    integers = st.integers(-3, 3).map(float)
    X = data.draw(hnp.arrays(real, (n_samples, n_features), elements=integers), label="X")
    C = data.draw(hnp.arrays(real, (n_clusters, n_features), elements=integers), label="C")
    np.testing.assert_array_equal(KMeans.from_centers(C).predict(X), reference.nearest(X, C))


EXPONENTS = {"float32": (-38, 34), "float64": (-150, 145)}  # decimal, of rows and centers


@pytest.mark.parametrize("real", ["float32", "float64"])
@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_any_mixture_of_magnitudes_is_predicted_exactly(real, data):
    """Rows, centers and features of any magnitudes, as long as squares neither vanish nor overflow."""
    n_samples, n_clusters = data.draw(st.integers(1, 200)), data.draw(st.integers(1, 60))
    n_features = data.draw(st.sampled_from([1, 2, 3, 4, 7, 8, 16, 33, 100]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    lowest, highest = EXPONENTS[real]
    X, C = rng.normal(size=(n_samples, n_features)), rng.normal(size=(n_clusters, n_features))
    spread = data.draw(st.sampled_from(["one magnitude", "by row", "by feature"]), label="spread")
    if spread == "by row":
        X *= 10.0 ** rng.uniform(lowest, highest, size=(n_samples, 1))
        C *= 10.0 ** rng.uniform(lowest, highest, size=(n_clusters, 1))
    else:
        size = n_features if spread == "by feature" else 1
        magnitude = 10.0 ** rng.uniform(lowest, highest, size=size)
        X, C = X * magnitude, C * magnitude
    X, C = X.astype(real), C.astype(real)
    np.testing.assert_array_equal(KMeans.from_centers(C).predict(X), reference.nearest(X, C))


# ---------------------------------------------------------------- instruction sets


def labels_digest():
    """Digest of the labels of many shapes; this file, run as a script, prints it."""
    rng = np.random.default_rng(1729)
    digest = hashlib.sha1()
    for real in ["float32", "float64"]:
        for n_features in [1, 2, 3, 5, 8, 17, 33, 100]:
            for n_clusters in [1, 2, 14, 15, 70]:
                X = rng.normal(size=(333, n_features)).astype(real)
                model = KMeans(n_clusters, init=X[:n_clusters], max_iter=4, tol=0).fit(X)
                digest.update(np.ascontiguousarray(model.labels_, dtype=np.int32).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("isa", runtime.isas())
def test_every_instruction_set_gives_the_same_labels(isa):
    child = subprocess.run(
        [sys.executable, Path(__file__).name],
        cwd=Path(__file__).parent,
        env={**os.environ, "FASTKMEANS_ISA": isa},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == [isa, labels_digest()]


if __name__ == "__main__":
    print(runtime.isa(), labels_digest())
