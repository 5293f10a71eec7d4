"""Samples that are read in place, of 8 or 16 bits a value or with any strides, give the bits of their copy in C order."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkmeans.input.arrays
from fastkmeans import BisectingKMeans, KMeans, MiniBatchKMeans, kmeans_plusplus, stored
from fastkmeans._core.stored import KINDS, StoredRows
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.fitting import coarse, search
from fastkmeans.input.arrays import counted_as
from fastkmeans.input.matrix import as_matrix

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

NARROW = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "float16": np.float16, "bool": np.bool_}
if bfloat16 is not None:
    NARROW["bfloat16"] = bfloat16

# Ways to lay an array out that is not C-ordered float32 or float64: each gives an array with the same values.
LAYOUTS = {
    "as it is": lambda X: X,
    "by columns": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "upside down": lambda X: X[::-1].copy()[::-1],
    "last column first": lambda X: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
    "every second row by columns": lambda X: np.asfortranarray(np.repeat(X, 2, axis=0))[::2],
}


@pytest.fixture
def in_place(monkeypatch):
    """Let arrays of any size be read in place, a leaf at a time."""
    monkeypatch.setattr(fastkmeans.input.arrays, "COPIED_VALUES", 0)
    monkeypatch.setattr(stored, "VALUES_AT_ONCE", 1)


ESTIMATORS = {"KMeans": KMeans, "MiniBatchKMeans": MiniBatchKMeans, "BisectingKMeans": BisectingKMeans}


def narrow_samples(rng, n_samples, n_features, name):
    """Samples of a narrow type, in a few clusters, with ties and copies."""
    centers = rng.integers(-60, 60, size=(5, n_features))
    X = centers[rng.integers(5, size=n_samples)] + rng.integers(-9, 10, size=(n_samples, n_features))
    if name == "bool":
        return X > 0
    if name in ("float16", "bfloat16"):
        return (X / 8.0).astype(NARROW[name])
    return (X + (70 if name == "uint8" else 0)).astype(NARROW[name])


def copy_of(X):
    """The copy that an array counts as."""
    return np.ascontiguousarray(X.astype(counted_as(X.dtype)))


def assert_same_fit(found, expected):
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert found.cluster_centers_.dtype == expected.cluster_centers_.dtype
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert (found.inertia_, found.n_iter_, found.stop_reason_) == (
        expected.inertia_, expected.n_iter_, expected.stop_reason_,
    )  # fmt: skip
    for name in ("inertia", "center_shift", "n_changed", "n_empty"):
        assert [entry[name] for entry in found.history_] == [entry[name] for entry in expected.history_], name


# ---------------------------------------------------------------- rows laid out


def test_every_float16_is_read_as_numpy_reads_it(isa):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 8)
    for values in (every, np.asfortranarray(every)):
        found = StoredRows(values, np.float32).dense()
        np.testing.assert_array_equal(found, every.astype(np.float32))


@pytest.mark.skipif(bfloat16 is None, reason="needs ml_dtypes")
def test_every_bfloat16_is_read_as_ml_dtypes_reads_it(isa):
    every = np.arange(1 << 16, dtype=np.uint16).view(bfloat16).reshape(-1, 8)
    np.testing.assert_array_equal(StoredRows(every, np.float32).dense(), every.astype(np.float32))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_numpy(kind, layout, isa, rng):
    if kind == "bfloat16" and bfloat16 is None:
        pytest.skip("needs ml_dtypes")
    for n_samples, n_features in [(1, 1), (1, 40), (67, 1), (130, 3), (65, 16), (200, 33), (3, 300)]:
        values = rng.integers(0, 120, size=(n_samples, n_features)).astype(NARROW.get(kind, kind))
        wide = values.astype(np.float64)
        rows = StoredRows(LAYOUTS[layout](values), counted_as(values.dtype))
        assert rows.shape == values.shape and len(rows) == n_samples and rows.size == values.size
        np.testing.assert_array_equal(rows.dense(2), wide)
        first, end = sorted(rng.integers(n_samples + 1, size=2).tolist())
        for real in (np.float32, np.float64):
            some = np.empty((end - first, n_features), dtype=real)
            if end > first:
                rows.write(first, some, 2)
            np.testing.assert_array_equal(some, wide[first:end])
        numbers = rng.integers(n_samples, size=9)
        np.testing.assert_array_equal(rows[numbers], wide[numbers])
        np.testing.assert_array_equal(rows[:: max(1, n_samples // 3)], wide[:: max(1, n_samples // 3)])
        again = rng.integers(9, size=4)
        np.testing.assert_array_equal(rows.some(numbers).some(again).dense(), wide[numbers][again])
        origin = rng.normal(size=n_features)
        about = rows.some(numbers, origin)
        assert about.dtype == np.float32
        np.testing.assert_array_equal(about.dense(), (wide[numbers] - origin).astype(np.float32))
        np.testing.assert_array_equal(about.some(again).dense(), about.dense()[again])
        with pytest.raises(ValueError, match=r"origin must be None"):
            about.some(again, origin)


def test_rows_that_cannot_be_read_are_refused():
    X = np.zeros((4, 2), dtype=np.uint8)
    for values in (X[0], X.astype(np.uint16), X.astype(">i2"), X[:0]):
        with pytest.raises(ValueError, match=r"must"):
            StoredRows(values, np.float64)
    for numbers in ([4], [-1]):
        with pytest.raises(ValueError, match=r"numbers must be from 0 to 3"):
            StoredRows(X, np.float64, np.array(numbers))
    with pytest.raises(ValueError, match=r"origin must have 2 features"):
        StoredRows(X, np.float64, None, np.zeros(3))
    with pytest.raises(ValueError, match=r"rows must have 2 features and lie within 4 rows"):
        StoredRows(X, np.float64).write(3, np.empty((2, 2)), 1)


# ---------------------------------------------------------------- what is read in place


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*NARROW, "float32", "float64"])
def test_large_arrays_are_read_in_place_and_small_ones_are_not(name, layout, monkeypatch):
    X = LAYOUTS[layout](np.ones((8, 3)).astype(NARROW.get(name, name)))
    needs_none = name in ("float32", "float64") and X.flags.c_contiguous
    assert isinstance(as_matrix(X, in_place=True).values, np.ndarray)
    monkeypatch.setattr(fastkmeans.input.arrays, "COPIED_VALUES", X.size - 1)
    values = as_matrix(X, in_place=True).values
    assert isinstance(values, np.ndarray if needs_none else StoredRows)
    assert values.dtype == counted_as(X.dtype)
    if isinstance(values, StoredRows):
        assert np.shares_memory(values.values, X)
    assert isinstance(as_matrix(X).values, np.ndarray)


def test_other_types_are_copied(in_place):
    X = np.arange(12).reshape(4, 3)
    for dtype in ("int32", "int64", "uint16", "uint32", "longdouble", ">i2", ">f2", "object"):
        values = as_matrix(X.astype(dtype), in_place=True).values
        assert isinstance(values, np.ndarray)
        assert values.dtype == (np.float32 if dtype == ">f2" else np.float64)
        np.testing.assert_array_equal(values, X)


# ---------------------------------------------------------------- fits


@pytest.mark.parametrize("algorithm", ["auto", *ALGORITHMS])
@pytest.mark.parametrize("name", NARROW)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_fit_has_the_bits_of_a_fit_of_the_copy(name, algorithm, seed):
    rng = np.random.default_rng(seed)
    n_samples, n_features = int(rng.choice([1, 7, 300, 1500, 2100])), int(rng.choice([1, 2, 3, 4, 17, 70]))
    X = narrow_samples(rng, n_samples, n_features, name)
    n_clusters = int(rng.integers(1, min(n_samples, 30) + 1))
    weights = [None, rng.uniform(size=n_samples), rng.integers(0, 3, size=n_samples) + (np.arange(n_samples) == 0)][
        int(rng.integers(3))
    ]
    init = [copy_of(X)[:n_clusters], "auto", "k-means++", "random", "random-partition"][int(rng.integers(5))]
    model = KMeans(
        n_clusters, init=init, algorithm=algorithm, max_iter=int(rng.choice([1, 5, 30])), random_state=seed, n_init=1,
        n_threads=int(rng.integers(1, 4)), tol=float(rng.choice([0.0, 1e-4])),
    )  # fmt: skip
    expected = KMeans(**model.get_params()).fit(copy_of(X), sample_weight=weights)
    stored_X = LAYOUTS[str(rng.choice(list(LAYOUTS)))](X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastkmeans.input.arrays, "COPIED_VALUES", 0)
        patch.setattr(stored, "VALUES_AT_ONCE", 1)
        assert_same_fit(model.fit(stored_X, sample_weight=weights), expected)
        np.testing.assert_array_equal(model.predict(stored_X), model.labels_)
        np.testing.assert_array_equal(model.transform(stored_X), expected.transform(copy_of(X)))
        if weights is None:
            assert model.score(stored_X) == -model.inertia_


@pytest.mark.parametrize("name", [*NARROW, "float32", "float64"])
@pytest.mark.parametrize("most_bytes", [0, 1 << 30])
def test_a_fit_that_searches_few_samples_first_has_the_same_bits(name, most_bytes, in_place, monkeypatch, rng):
    """Whether the few samples are laid out once or in place, too."""
    monkeypatch.setattr(stored, "SMALL_COPY", most_bytes)
    monkeypatch.setattr(stored, "DENSE_SHARE", 0)
    monkeypatch.setattr(search, "SEARCH_SAMPLES", 300)
    monkeypatch.setattr(coarse, "LEAST_WORK", 0)
    for n_features, n_clusters, weighted in [(3, 30, False), (20, 5, True), (70, 100, False)]:
        X = narrow_samples(rng, 30_000, n_features, name if name in NARROW else "int16").astype(NARROW.get(name, name))
        weights = rng.integers(1, 4, size=len(X)).astype(float) if weighted else None
        model = KMeans(n_clusters, random_state=3, max_iter=20)
        expected = KMeans(n_clusters, random_state=3, max_iter=20).fit(copy_of(X), sample_weight=weights)
        for layout in ("as it is", "by columns"):
            model.set_params(n_threads=1 if layout == "as it is" else 3)
            assert_same_fit(model.fit(LAYOUTS[layout](X), sample_weight=weights), expected)


@pytest.mark.parametrize("algorithm", ["tiles", "prefix", "quantized"])
def test_filters_run_in_place(algorithm, in_place, rng):
    n_features = {"tiles": 3, "prefix": 400, "quantized": 24}[algorithm]
    X = rng.normal(size=(6000, 3)) @ rng.normal(size=(3, n_features)) * 20 + 128  # few directions tell labels
    X = X.clip(0, 255).astype(np.uint8)
    init = X[rng.permutation(len(X))[:120]].astype(float)
    model = KMeans(120, init=init, algorithm=algorithm, max_iter=4).fit(X)
    assert {entry["algorithm"] for entry in model.history_} == {algorithm}


@pytest.mark.parametrize("n_features", [1, 3, 16, 33])
@pytest.mark.parametrize("n_samples", [1, 31, 65, 130])
def test_rows_laid_out_touch_nothing_behind_them(n_samples, n_features, isa, rng):
    X = np.asfortranarray(rng.integers(0, 100, size=(n_samples, n_features)).astype(np.uint8))
    room = np.full((n_samples + 32, n_features), -7.0, dtype=np.float32)
    StoredRows(X, np.float32).write(0, room[:n_samples], 1)
    np.testing.assert_array_equal(room[:n_samples], X)
    assert (room[n_samples:] == -7.0).all()


@pytest.mark.parametrize("layout", ["as it is", "by columns"])
def test_a_fit_in_place_takes_no_copy(layout, monkeypatch, rng):
    monkeypatch.setattr(stored, "VALUES_AT_ONCE", 1 << 16)
    X = LAYOUTS[layout](rng.normal(size=(100_000, 60)).astype(np.float16))
    model = KMeans(30, random_state=0, max_iter=3, n_threads=1)
    tracemalloc.start()
    try:
        model.fit(X)
        model.predict(X)
        model.score(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 3 MiB are for the few rows that tell how narrow whole numbers may be. A float32 copy takes 24 MB, and all this 7.7 MB.
    assert peak < 0.25 * X.nbytes + 16 * len(X) + (3 << 20)


def test_labels_are_those_of_the_slow_twin(in_place, rng):
    X = narrow_samples(rng, 3000, 12, "int8")
    model = KMeans(9, random_state=5).fit(X)
    np.testing.assert_array_equal(model.predict(X), reference.nearest(X.astype(float), model.cluster_centers_))


@pytest.mark.parametrize("name", NARROW)
def test_seeds_are_those_of_the_copy(name, in_place, rng):
    X = narrow_samples(rng, 4000, 20, name)
    for k in (2, 70):
        model = KMeans(k, init="k-means++", max_iter=1, random_state=11)
        assert_same_fit(model.fit(X), KMeans(k, init="k-means++", max_iter=1, random_state=11).fit(copy_of(X)))
    assert len(kmeans_plusplus(X, 5, random_state=2)[1]) == 5


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
@pytest.mark.parametrize("name", ["uint8", "float16"])
def test_other_metrics_have_the_bits_of_the_copy(name, metric, in_place, rng):
    X = narrow_samples(rng, 2000, 5, name)
    X[~X.any(axis=1)] = 1
    model, expected = (KMeans(6, metric=metric, random_state=4).fit(rows) for rows in (X, copy_of(X)))
    assert_same_fit(model, expected)
    np.testing.assert_array_equal(model.predict(np.asfortranarray(X)), expected.predict(copy_of(X)))
    np.testing.assert_array_equal(model.transform(X), expected.transform(copy_of(X)))
    assert model.score(X) == expected.score(copy_of(X))


@pytest.mark.parametrize("estimator", ["MiniBatchKMeans", "BisectingKMeans"])
@pytest.mark.parametrize("name", NARROW)
def test_other_estimators_have_the_bits_of_the_copy(name, estimator, in_place, rng):
    X = narrow_samples(rng, 3000, 6, name)
    model, expected = (ESTIMATORS[estimator](7, random_state=8).fit(rows) for rows in (X, copy_of(X)))
    assert model.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    assert model.inertia_ == expected.inertia_
    for layout in LAYOUTS.values():
        np.testing.assert_array_equal(model.predict(layout(X)), expected.predict(copy_of(X)))


def test_batches_in_place_have_the_bits_of_copies(in_place, rng):
    batches = [narrow_samples(rng, 1500, 6, "uint8") for _ in range(3)]
    model, expected = (MiniBatchKMeans(5, random_state=8) for _ in range(2))
    for batch in batches:
        model.partial_fit(np.asfortranarray(batch))
        expected.partial_fit(copy_of(batch))
    assert model.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named_by_its_place(value, in_place):
    X = np.ones((5000, 3), dtype=np.float16)
    X[4321, 2] = value
    model = KMeans(2, random_state=0).fit(X[:4000])
    for call in (KMeans(2).fit, model.predict, model.transform, model.score):
        with pytest.raises(ValueError, match=r"row 4321, column 2"):
            call(X)


@pytest.mark.skipif(bfloat16 is None, reason="needs ml_dtypes")
def test_bfloat16_counts_as_float32():
    X = np.array([[1.5, 2.0], [3.25, -1.0], [9.0, 9.0]]).astype(bfloat16)
    model = KMeans(2, random_state=0).fit(X)
    assert model.cluster_centers_.dtype == np.float32
    np.testing.assert_array_equal(model.predict(X), model.labels_)
