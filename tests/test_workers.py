"""Laws of fits over workers, on a transport of this process that does what a cluster may do: tasks run twice, late and elsewhere."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans
from fastkmeans.fitting import coarse, search
from fastkmeans.fitting.fit import best_run
from fastkmeans.metrics.table import METRICS
from fastkmeans.samples import Samples, describe
from fastkmeans.settings import settings_of
from fastkmeans.workers import kept
from fastkmeans.workers.part_tasks import Part
from fastkmeans.workers.running import run_group
from fastkmeans.workers.samples import RemoteSamples
from fastkmeans.workers.transport import InProcess

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


class Unreliable(InProcess):
    """What workers keep gets lost, tasks run twice, results are merged in any order, and all that travels is pickled.

    travelled : task -> sizes in bytes of what went out to all of its tasks, and of what came back.
    """

    def __init__(self, rng):
        super().__init__(2)
        self._rng, self.travelled = rng, {}

    def reduce(self, task, sources, arguments, shared, merge):
        rng = self._rng
        sent = pickle.dumps((task, shared, merge))
        groups = rng.integers(int(rng.integers(1, 5)), size=len(sources))
        found = []
        for group in rng.permutation(np.unique(groups)):
            own = [(sources[i], arguments[i]) for i in rng.permutation(np.flatnonzero(groups == group))]
            for _ in range(int(rng.integers(1, 3))):  # the last result counts
                if rng.random() < 0.3:
                    kept._kept.clear()
                task, shared, merge = pickle.loads(sent)
                result = pickle.dumps(run_group(task, merge, shared, own))
            found.append(pickle.loads(result))
        self.travelled.setdefault(task.__name__, []).append((len(sent), len(result)))
        return merge(found)

    def map(self, task, sources, arguments):
        task, arguments = pickle.loads(pickle.dumps((task, arguments)))
        return super().map(task, sources, arguments)


def spread(X, weights, rng, n_parts, transport=None):
    ends = np.concatenate([[0], np.sort(rng.integers(len(X) + 1, size=n_parts - 1)), [len(X)]])
    parts = [Part(X[a:b], None if weights is None else weights[a:b]) for a, b in zip(ends, ends[1:])]
    return RemoteSamples(transport or Unreliable(rng), parts, X.shape[1], X.dtype, weights is not None)


def assert_same(found, expected):
    assert found.centers.tobytes() == expected.centers.tobytes() and found.inertia == expected.inertia
    assert found.n_iter == expected.n_iter and found.stop_reason == expected.stop_reason
    np.testing.assert_array_equal(np.asarray(found.labels), expected.labels)
    for name in ["inertia", "center_shift", "n_changed", "n_empty"]:
        assert [entry[name] for entry in found.history] == [entry[name] for entry in expected.history], name


@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=150)
def test_the_same_bits_whatever_happens_to_tasks(seed, n_parts):
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.choice([5, 900, 1025, 3500])), int(rng.choice([1, 3, 20])), int(rng.integers(1, 6))
    X = rng.normal(size=(5, d))[rng.integers(5, size=n)] + rng.choice([0.0, 0.3]) * rng.normal(size=(n, d))
    X = X.astype(rng.choice(["float32", "float64"]))
    metric = str(rng.choice(["euclidean", "cosine"]))
    if METRICS[metric].prepare_rows is not None:
        X = METRICS[metric].prepare_rows(X, X.dtype, "X", 1)
    weights = [None, rng.uniform(size=n), 10.0 ** rng.uniform(-200, 20, size=n)][int(rng.integers(3))]
    algorithm = str(rng.choice(["lloyd", "yinyang", "tiles"]))
    init = ["auto", "random", X[rng.integers(n, size=k)]][int(rng.integers(3))]
    chosen = settings_of(
        KMeans(k, init=init, n_init=1, metric=metric, algorithm=algorithm, random_state=seed, tol=0.0, max_iter=12)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SEARCH_SAMPLES", 64)
        patch.setattr(coarse, "LEAST_WORK", 0)
        for module in (search, coarse):
            patch.setattr(module, "ROWS_A_CLUSTER", 2)
        expected = best_run(chosen, Samples(X, weights, describe(X, 1)))[0]
        assert_same(best_run(chosen, spread(X, weights, rng, n_parts))[0], expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_travels_in_an_iteration_does_not_grow_with_the_samples(weighted, rng):
    k, d, sizes = 9, 20, []
    for n in (2000, 40_000):
        X = rng.normal(size=(n, d))
        transport = Unreliable(np.random.default_rng(1))
        samples = spread(X, rng.uniform(size=n) if weighted else None, np.random.default_rng(2), 6, transport)
        best_run(settings_of(KMeans(k, init=X[:k], max_iter=5, tol=0.0)), samples)
        out, back = np.array(transport.travelled["step"]).max(axis=0)
        assert out <= 2 * 8 * k * d + 3000  # the centers, and those before
        assert back <= 16 * k * (d + 1) + 1000
        sizes.append((out, back))
    assert np.ptp(sizes, axis=0).max() < 200


def test_a_large_fit_gathers_less_than_the_labels(rng, monkeypatch):
    monkeypatch.setattr(search, "SEARCH_SAMPLES", 64)
    monkeypatch.setattr(coarse, "LEAST_WORK", 0)
    for module in (search, coarse):
        monkeypatch.setattr(module, "ROWS_A_CLUSTER", 2)
    X, transport = rng.normal(size=(60_000, 2)), Unreliable(rng)
    monkeypatch.setattr("fastkmeans.workers.samples.KEPT_HERE_BYTES", 10_000)
    best_run(settings_of(KMeans(5, random_state=0, max_iter=5)), spread(X, None, rng, 7, transport))
    came = {name: max(back for _, back in sizes) for name, sizes in transport.travelled.items()}
    assert max(came.values()) < 4 * 60_000, came


def test_a_state_belongs_to_one_run_iteration_and_array():
    values, other = np.zeros((2, 1)), np.zeros((2, 1))
    kept.put_back("s", 0, kept.Kept("run", 3, "state", values))
    assert kept.take_out("s", 0, "run", 3, values) == "state"
    assert kept.take_out("s", 0, "run", 3, values) is None  # it is out
    for run, iteration, own in [("another", 3, values), ("run", 4, values), ("run", 3, other)]:
        kept.put_back("s", 0, kept.Kept("run", 3, "state", values))
        assert kept.take_out("s", 0, run, iteration, own) is None
        assert kept.take_out("s", 0, "run", 3, values) is None  # it was let go
    for i in range(kept.MOST_SAMPLES + 1):
        kept.put_back(f"s{i}", 0, kept.Kept("run", 0, "state", values))
    assert kept.take_out("s0", 0, "run", 0, values) is None
    assert kept.take_out("s1", 0, "run", 0, values) == "state"


def test_arrays_that_begin_anywhere_in_a_message_are_laid_out_anew():
    message = np.zeros(8 * 5 + 3, dtype=np.uint8)
    rows = np.frombuffer(message[3:].data, dtype=np.int64)
    assert not rows.flags.aligned
    seen = run_group(lambda *arrays: arrays, lambda found: found[0], (rows, 7), [((), (rows,))])
    assert all(array.flags.aligned and array.tobytes() == rows.tobytes() for array in seen[:2]) and seen[2] == 7
