"""The law of all containers of samples: the bits of samples in one array, however they lie.

A container is a subclass of Samples that engines/table.py names.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans, stored
from fastkmeans._core import runtime
from fastkmeans._core.stored import StoredRows
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.engines.partitioned import Parts
from fastkmeans.engines.table import ENGINES, engines_of
from fastkmeans.fitting import breathing, coarse, search
from fastkmeans.fitting.fit import best_run
from fastkmeans.metrics.table import METRICS
from fastkmeans.samples import LEAF, Samples, describe
from fastkmeans.settings import settings_of
from fastkmeans.sources import rows as reading
from fastkmeans.sources.arrays import ArrayRows
from fastkmeans.sources.batches import Batches
from fastkmeans.sources.joined import joined
from fastkmeans.sources.rows import StreamedRows
from fastkmeans.sparse import SparseSamples
from fastkmeans.stored import StoredSamples, stored_samples
from fastkmeans.streamed import StreamedSamples
from fastkmeans.workers.part_tasks import Part
from fastkmeans.workers.samples import RemoteSamples
from fastkmeans.workers.transport import InProcess

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

DATA = {  # name -> maker of (n_samples, n_features)
    "blobs": lambda rng, n, d: rng.normal(scale=9.0, size=(7, d))[rng.integers(7, size=n)] + rng.normal(size=(n, d)),
    "offset": lambda rng, n, d: rng.normal(size=(n, d)) + 1e8,
    "copies": lambda rng, n, d: rng.normal(size=(12, d))[rng.integers(12, size=n)],
    "whole numbers": lambda rng, n, d: rng.integers(-3, 4, size=(n, d)) + 0.0,
    "of any size": lambda rng, n, d: rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-18, 18, size=(n, 1)),
    "one huge value": lambda rng, n, d: np.where(np.arange(n)[:, None] == n // 2, 1e30, rng.normal(size=(n, d))),
}

WEIGHTS = {
    "none": lambda rng, n: None,
    "uniform": lambda rng, n: rng.uniform(size=n),
    "some zero": lambda rng, n: rng.integers(0, 3, size=n) + (np.arange(n) == 0),
    "of any size": lambda rng, n: 10.0 ** rng.uniform(-200, 20, size=n),
}

N_SAMPLES = [1, 5, 300, LEAF - 1, LEAF, LEAF + 1, 3 * LEAF, 3500]


def cut(rng, X, n_parts):
    """Parts of X, in order: uneven, and some of them empty."""
    ends = np.sort(rng.integers(len(X) + 1, size=n_parts - 1))
    if rng.random() < 0.3:  # some where leaves end
        ends = np.sort(np.minimum(ends // LEAF * LEAF, len(X)))
    return [np.ascontiguousarray(part) for part in np.split(X, ends)]


def assert_same_bits(found, expected):
    found, expected = found[0], expected[0]
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.centers.tobytes() == expected.centers.tobytes()
    assert found.inertia == expected.inertia
    assert found.n_iter == expected.n_iter and found.stop_reason == expected.stop_reason
    for name in ["inertia", "center_shift", "n_changed", "n_empty"]:
        assert [entry[name] for entry in found.history] == [entry[name] for entry in expected.history], name


def stored_in_columns(parts, weights, patch):
    """The samples column by column, a leaf of them laid out at a time."""
    patch.setattr(stored, "VALUES_AT_ONCE", 1)
    X = np.asfortranarray(np.concatenate(parts))
    return stored_samples(StoredRows(X, X.dtype), weights, 2)


def streamed(parts, weights, patch):
    """Blocks of one leaf, from a source that has single rows, or from one that is read in passes only."""
    patch.setattr(reading, "BLOCK_BYTES", 1)
    filled = [part for part in parts if len(part)]
    if len(parts) % 2:
        source = joined([ArrayRows(part, f"part {i}") for i, part in enumerate(filled)])
    else:
        source = Batches(lambda: iter(parts), "batches", None)
    return StreamedSamples(StreamedRows(source, 1 << 40), weights, 2)


def on_workers(parts, weights):
    """Samples that a transport without workers holds."""
    ends = np.cumsum([0, *map(len, parts)])
    held = [
        Part(part, None if weights is None else weights[first:end]) for part, first, end in zip(parts, ends, ends[1:])
    ]
    return RemoteSamples(InProcess(2), held, parts[0].shape[1], parts[0].dtype, weights is not None)


# A new container of samples takes a row here: it makes the samples from some parts of them, in order. If the container works
# through blocks of many samples, its maker makes them small with `patch`, a MonkeyPatch that is undone when the test ends:
# patch.setattr(module, "ROWS_OF_A_BLOCK", LEAF). Else the 3500 samples of a test lie in one block.
MAKERS = {
    Parts: lambda parts, weights, patch: Parts(parts, weights, 2),
    StoredSamples: stored_in_columns,
    StreamedSamples: streamed,
    RemoteSamples: lambda parts, weights, patch: on_workers(parts, weights),
}

assert all(map(engines_of, MAKERS))  # some rows of ENGINES are imported when they are asked for

# Sparse samples add up distances by their stored values, which rounds otherwise; tests/test_sparse.py states their laws.
CONTAINERS = [held for held in ENGINES if held not in (Samples, SparseSamples)]
HELD = [(held, metric) for held in CONTAINERS for metric in ENGINES[held]]


@contextmanager
def held_in(held, parts, weights=None):
    """Samples in a container."""
    assert held in MAKERS, f"{held.__name__} needs a row in MAKERS"
    with pytest.MonkeyPatch.context() as patch:
        yield MAKERS[held](parts, weights, patch)


def check_one(seed, metric, algorithm, n_parts, held):
    rng = np.random.default_rng(seed)
    n_samples, n_features = int(rng.choice(N_SAMPLES)), int(rng.choice([1, 2, 3, 9, 30, 70]))
    real = rng.choice(["float32", "float64"])
    X = DATA[str(rng.choice(list(DATA)))](rng, n_samples, n_features).astype(real)
    X[~X.any(axis=1)] = 1.0
    if METRICS[metric].prepare_rows is not None:
        X = METRICS[metric].prepare_rows(X, X.dtype, "X", 1)
    weights = WEIGHTS[str(rng.choice(list(WEIGHTS)))](rng, n_samples)
    weights = None if weights is None else weights.astype(float)
    n_clusters = int(rng.integers(1, min(n_samples, 14) + 1))
    init = [X[rng.integers(n_samples, size=n_clusters)], X[:n_clusters], "auto", "k-means++"][int(rng.integers(4))]
    model = KMeans(
        n_clusters, init=init, tol=float(rng.choice([0.0, 1e-4, 0.1])), max_iter=int(rng.choice([1, 7, 40])), metric=metric,
        algorithm=algorithm, n_threads=int(rng.integers(1, 4)), random_state=seed,
        n_init="auto" if not isinstance(init, str) else int(rng.integers(1, 3)),
    )  # fmt: skip
    chosen = settings_of(model)
    parts = cut(rng, X, n_parts)
    with pytest.MonkeyPatch.context() as patch, held_in(held, parts, weights) as samples:
        if rng.random() < 0.5:  # exchanges, in place of breathing
            patch.setattr(breathing, "MOST_WORK", 0.0)
        expected = best_run(chosen, Samples(X, weights, describe(X, 1)))
        assert_same_bits(best_run(chosen, samples), expected)


# ---------------------------------------------------------------- what a container yields


def assert_yields(arrays, X):
    """The arrays are X, cut into slices that join up; return where they begin."""
    end, begins = 0, []
    for rows, values in arrays:
        assert rows.start == end < rows.stop and rows.step is None
        assert values.dtype == X.dtype and values.flags.c_contiguous
        np.testing.assert_array_equal(values, X[rows])
        begins.append(rows.start)
        end = rows.stop
    assert end == len(X)
    return begins


@pytest.mark.parametrize("held", CONTAINERS)
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=60)
def test_arrays_and_pieces_are_the_samples_in_order_each_time(held, seed, n_parts):
    rng = np.random.default_rng(seed)
    n_samples, n_features = int(rng.choice(N_SAMPLES)), int(rng.integers(1, 5))
    X = rng.normal(size=(n_samples, n_features)).astype(rng.choice(["float32", "float64"]))
    with held_in(held, cut(rng, X, n_parts)) as samples:
        for _ in range(2):
            assert_yields(samples.arrays(), X)
            assert all(begin % LEAF == 0 for begin in assert_yields(samples.pieces(), X))
        assert len(samples.values) == len(X)
        assert samples.values.shape == X.shape and samples.values.dtype == X.dtype
        np.testing.assert_array_equal(samples.whole().values, X)


@pytest.mark.parametrize("held", CONTAINERS)
def test_each_container_is_tried_in_several_arrays_and_pieces(held, rng):
    """Else the law above would prove little."""
    X = rng.normal(size=(3500, 2))
    with held_in(held, cut(rng, X, 5)) as samples:
        assert len(list(samples.arrays())) > 1
        assert len(list(samples.pieces())) > 1


@pytest.mark.parametrize("held", CONTAINERS)
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=60)
def test_methods_of_a_container_give_the_bits_of_the_whole(held, seed, n_parts):
    rng = np.random.default_rng(seed)
    n_samples, n_features = int(rng.choice(N_SAMPLES)), int(rng.integers(1, 5))
    X = DATA[str(rng.choice(list(DATA)))](rng, n_samples, n_features).astype(rng.choice(["float32", "float64"]))
    weights = rng.uniform(size=n_samples)
    rows = rng.integers(n_samples, size=int(rng.integers(1, 40)))
    centers = X[rng.integers(n_samples, size=3)].astype(np.float64)
    whole = Samples(X, weights, describe(X, 1))
    labels = whole.nearest(centers, 1)
    origin = whole.description.mean
    with held_in(held, cut(rng, X, n_parts), weights) as samples:
        for name in ["max_abs", "mean", "variance", "largest", "total_variance", "is_finite"]:
            found, expected = getattr(samples.description, name), getattr(whole.description, name)
            np.testing.assert_array_equal(found, expected, err_msg=name)
        smallest = whole.description.smallest.of(whole, 1)
        np.testing.assert_array_equal(samples.description.smallest.of(samples, 2), smallest)
        np.testing.assert_array_equal(samples.take(rows), X[rows])
        np.testing.assert_array_equal(samples.take(rows, origin), whole.take(rows, origin))
        np.testing.assert_array_equal(samples.subset(rows, weights[rows]).whole().values, X[rows])
        np.testing.assert_array_equal(samples.nearest(centers, 2), labels)
        expected = whole.own_sq_distances(centers, labels, 1)
        np.testing.assert_array_equal(samples.own_sq_distances(centers, labels, 2), expected)
        for own in [None, weights]:
            assert samples.inertia(centers, labels, own, 2) == whole.inertia(centers, labels, own, 1)


# ---------------------------------------------------------------- fits


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("held", "metric"), HELD + 4 * [pair for pair in HELD if pair[0] is Parts])
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=20)  # and over 1000 cases of Parts, which the others stand on
def test_a_container_gives_the_bits_of_the_whole(held, metric, algorithm, seed, n_parts):
    check_one(seed, metric, algorithm, n_parts, held)


@pytest.mark.parametrize("held", CONTAINERS)
def test_what_a_container_is_tried_on_reaches_every_way_of_a_move(held, monkeypatch):
    """Clusters whose sums are had anew, refills and exchanges: else the cases above would prove little."""
    seen = {"sum_anew": 0, "careful": 0, "centers_without": 0, "exchange": 0, "merged": 0}

    def count(name, method):
        cls = ENGINES[held]["euclidean"]
        original = getattr(cls, method)

        def counted(self, *arguments):
            result = original(self, *arguments)
            seen[name] += 1
            seen["merged"] += name == "exchange" and result[0] > 0
            return result

        monkeypatch.setattr(cls, method, counted)

    count("sum_anew", "_sum_anew")
    count("careful", "_careful_inertia")
    count("centers_without", "centers_without")
    count("exchange", "exchange")
    for seed in range(300):
        check_one(seed, "euclidean", "lloyd", 1 + seed % 13, held)
    assert min(seen.values()) > 0, seen


def refuse(samples):
    raise AssertionError("a large fit put all samples into one array")


@pytest.mark.parametrize(("held", "metric"), HELD)
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=60)
def test_a_search_on_few_of_the_samples_draws_the_same_ones(held, metric, seed, n_parts):
    """Large fits, made small: they never ask for all samples in one array."""
    rng = np.random.default_rng(seed)
    X = DATA[str(rng.choice(["blobs", "offset", "whole numbers", "one huge value"]))](rng, 4000, 3)
    X = X.astype(rng.choice(["float32", "float64"]))
    X[~X.any(axis=1)] = 1.0
    if METRICS[metric].prepare_rows is not None:
        X = METRICS[metric].prepare_rows(X, X.dtype, "X", 1)
    weights = WEIGHTS[str(rng.choice(["none", "uniform", "some zero"]))](rng, len(X))
    weights = None if weights is None else weights.astype(float)
    chosen = settings_of(KMeans(6, metric=metric, random_state=seed, n_threads=2, n_init=int(rng.integers(1, 3))))
    expected = Samples(X, weights, describe(X, 1))
    with held_in(held, cut(rng, X, n_parts), weights) as samples, pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SEARCH_SAMPLES", 64)
        patch.setattr(coarse, "LEAST_WORK", 0)
        for module in (search, coarse):
            patch.setattr(module, "ROWS_A_CLUSTER", 2)
        assert coarse.is_large(*X.shape, 6, weights)
        patch.setattr(held, "whole", refuse)
        assert_same_bits(best_run(chosen, samples), best_run(chosen, expected))


@pytest.mark.parametrize("held", CONTAINERS)
def test_an_instruction_set_changes_no_bit(held, rng):
    before, found = runtime.isa(), set()
    X = DATA["blobs"](rng, 2500, 12)
    chosen = settings_of(KMeans(9, init=X[:9], tol=0))
    try:
        for isa in runtime.isas():
            runtime.use_isa(isa)
            with held_in(held, cut(rng, X, 4)) as samples:
                run = best_run(chosen, samples)[0]
            found.add((np.asarray(run.labels).tobytes(), run.centers.tobytes(), run.inertia))
    finally:
        runtime.use_isa(before)
    assert len(found) == 1


@pytest.mark.parametrize(("held", "metric"), HELD)
def test_several_starts_over_the_same_samples_keep_the_best(held, metric, rng):
    X = rng.normal(size=(500, 3))
    if METRICS[metric].prepare_rows is not None:
        X = METRICS[metric].prepare_rows(X, X.dtype, "X", 1)
    chosen = settings_of(KMeans(4, n_init=3, metric=metric, random_state=0))
    expected = best_run(chosen, Samples(X, None, describe(X, 1)))
    with held_in(held, [X[:100], X[100:]]) as samples:
        assert_same_bits(best_run(chosen, samples), expected)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("held", "metric"), [(held, metric) for held in CONTAINERS for metric in METRICS if metric not in ENGINES[held]]
)
def test_a_metric_without_an_engine_is_refused(held, metric, rng):
    X = DATA["blobs"](rng, 50, 2)
    known = " or ".join(map(repr, ENGINES[held]))
    with held_in(held, [X[:20], X[20:]]) as samples:
        with pytest.raises(ValueError, match=f"metric must be {known} for {held.about}; got {metric!r}"):
            best_run(settings_of(KMeans(2, metric=metric)), samples)


@pytest.mark.parametrize("held", CONTAINERS)
def test_errors_call_each_container_by_a_name_of_its_own(held):
    assert held.about.startswith("samples ")
    assert [other for other in CONTAINERS if other.about == held.about] == [held]
