"""Samples in parts: the bits of samples in one array, however they are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans
from fastkmeans._core import runtime
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.engines.partitioned import PartitionedEngine, Parts
from fastkmeans.engines.table import ENGINES
from fastkmeans.fitting import coarse, search
from fastkmeans.fitting.fit import best_run
from fastkmeans.metrics.table import METRICS
from fastkmeans.samples import LEAF, Samples, describe
from fastkmeans.settings import settings_of

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


CONTAINERS = {Parts: lambda parts, weights: Parts(parts, weights, 2)}  # a new container of samples: a row here

HELD = [(held, metric) for held, engines in ENGINES.items() if held is not Samples for metric in engines]


def check_one(seed, metric, algorithm, n_parts, held=Parts):
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
    expected = best_run(chosen, Samples(X, weights, describe(X, 1)))
    parts = cut(rng, X, n_parts)
    assert_same_bits(best_run(chosen, CONTAINERS[held](parts, weights)), expected)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("held", "metric"), HELD)
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=100)
def test_parts_give_the_bits_of_the_whole(held, metric, algorithm, seed, n_parts):
    check_one(seed, metric, algorithm, n_parts, held)


def test_what_parts_are_tried_on_reaches_every_way_of_a_move(monkeypatch):
    """Clusters whose sums are had anew, refills and exchanges: else the cases above would prove little."""
    seen = {"sum_anew": 0, "careful": 0, "centers_without": 0, "exchange": 0, "merged": 0}

    def count(name, cls, method):
        original = getattr(cls, method)

        def counted(self, *arguments):
            result = original(self, *arguments)
            seen[name] += 1
            seen["merged"] += name == "exchange" and result > 0
            return result

        monkeypatch.setattr(cls, method, counted)

    count("sum_anew", PartitionedEngine, "_sum_anew")
    count("careful", PartitionedEngine, "_careful_inertia")
    count("centers_without", PartitionedEngine, "centers_without")
    count("exchange", PartitionedEngine, "exchange")
    for seed in range(300):
        check_one(seed, "euclidean", "lloyd", 1 + seed % 13)
    assert min(seen.values()) > 0, seen


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=60)
def test_a_search_on_few_of_the_samples_draws_the_same_ones(metric, seed, n_parts):
    """Large fits, made small: no part is put beside another for them."""
    rng = np.random.default_rng(seed)
    X = DATA[str(rng.choice(["blobs", "offset", "whole numbers", "one huge value"]))](rng, 4000, 3)
    X = X.astype(rng.choice(["float32", "float64"]))
    X[~X.any(axis=1)] = 1.0
    if METRICS[metric].prepare_rows is not None:
        X = METRICS[metric].prepare_rows(X, X.dtype, "X", 1)
    weights = WEIGHTS[str(rng.choice(["none", "uniform", "some zero"]))](rng, len(X))
    weights = None if weights is None else weights.astype(float)
    chosen = settings_of(KMeans(6, metric=metric, random_state=seed, n_threads=2, n_init=int(rng.integers(1, 3))))
    parts = Parts(cut(rng, X, n_parts), weights, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SEARCH_SAMPLES", 64)
        patch.setattr(coarse, "LEAST_WORK", 0)
        for module in (search, coarse):
            patch.setattr(module, "ROWS_A_CLUSTER", 2)
        assert coarse.is_large(*X.shape, 6, weights)
        assert_same_bits(best_run(chosen, parts), best_run(chosen, Samples(X, weights, describe(X, 1))))
    assert not parts.is_gathered


def test_an_instruction_set_changes_no_bit_of_parts(rng):
    before, found = runtime.isa(), set()
    X = DATA["blobs"](rng, 2500, 12)
    chosen = settings_of(KMeans(9, init=X[:9], tol=0))
    try:
        for isa in runtime.isas():
            runtime.use_isa(isa)
            run = best_run(chosen, Parts(cut(rng, X, 4), None, 1))[0]
            found.add((run.labels.tobytes(), run.centers.tobytes(), run.inertia))
    finally:
        runtime.use_isa(before)
    assert len(found) == 1


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_several_starts_over_the_same_parts_keep_the_best(rng, metric):
    X = rng.normal(size=(500, 3))
    if METRICS[metric].prepare_rows is not None:
        X = METRICS[metric].prepare_rows(X, X.dtype, "X", 1)
    chosen = settings_of(KMeans(4, n_init=3, metric=metric, random_state=0))
    expected = best_run(chosen, Samples(X, None, describe(X, 1)))
    assert_same_bits(best_run(chosen, Parts([X[:100], X[100:]], None, 1)), expected)


def test_manhattan_distances_are_refused_for_parts(rng):
    X = DATA["blobs"](rng, 50, 2)
    with pytest.raises(ValueError, match="metric must be 'euclidean' or 'cosine' for samples in several parts"):
        best_run(settings_of(KMeans(2, metric="manhattan")), Parts([X[:20], X[20:]], None, 1))
