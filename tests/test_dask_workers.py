"""Collections of Dask on workers: the bits of one array, whatever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd
import pytest

from fastkmeans import KMeans
from fastkmeans._core import runtime

dask = pytest.importorskip("dask", reason="fits of collections of Dask need dask[array,dataframe]")
distributed = pytest.importorskip("distributed", reason="the cluster of these tests needs distributed")
import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402
from collections_of_dask import assert_same_bits, check_one, samples_of, small_search  # noqa: E402

from fastkmeans.workers import dask as transport  # noqa: E402
from fastkmeans.workers import waiting  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:Number of distinct clusters"),
    pytest.mark.filterwarnings("ignore:Sending large graph"),
    # Of processes that are killed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module")
def client():
    """Three workers, each a process with two threads; a nanny starts them again when they are killed."""
    # On a busy machine a worker may need longer than 15 s to start anew. LocalCluster would then close its nanny.
    config = {"distributed.worker.memory.terminate": False, "distributed.deploy.lost-worker-timeout": "300s"}
    with dask.config.set(config), distributed.LocalCluster(
        n_workers=3, threads_per_worker=2, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
        yield client


def ready(client):
    """Wait for two of the three workers. The third one may be starting anew."""
    client.wait_for_workers(2)


def pids(client):
    """Processes of the workers that are there, by address."""
    return client.run(os.getpid)


def kill(pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_workers_give_the_bits_of_one_array(client, seed):
    ready(client)
    for i in range(4):
        check_one(seed + i, 1 + (seed + 4 * i) % 13, labels=i == 0)


@pytest.mark.parametrize("n_workers", [1, 4])
def test_any_number_of_workers_gives_the_same_bits(n_workers, seed):
    with distributed.LocalCluster(
        n_workers=n_workers, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster, distributed.Client(cluster):  # fmt: skip
        for i in range(3):
            check_one(seed + i, 2 + 3 * i + seed % 3)


# ---------------------------------------------------------------- faults


def some(client):
    """The worker that has been there longest."""
    return list(pids(client).values())[:1]


@contextmanager
def fault_at(phase, act, after=True):
    """Let `act` happen when the first task of a phase has been submitted (or before that)."""
    original, done = waiting.Scheduler.submit, []

    def submit(self, graph, keys):
        is_due = not done and any(f"fastkmeans-{phase}-" in key for key in graph)
        if is_due and not after:
            done.append(act())
        futures = original(self, graph, keys)
        if is_due and after:
            done.append(act())
        return futures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting.Scheduler, "submit", submit)
        yield
    assert done, f"no task of {phase}"


def fit_twice(client, rng, fault, callback=None, lazy=None, weighted=False, **params):
    """Fit in memory and, under a fault, on the workers: the bits must be the same."""
    X = samples_of(rng, 4000)
    weights = rng.uniform(size=len(X)) if weighted else None
    params = {"random_state": 3, "max_iter": 6, "tol": 0.0, **params}
    with small_search():
        expected = KMeans(6, **params).fit(X, sample_weight=weights)
        lazy = da.from_array(X, chunks=((700, 1500, 0, 1300, 500), 4)) if lazy is None else lazy(X)
        with fault:
            found = KMeans(6, callback=callback, **params).fit(lazy, sample_weight=weights)
    assert_same_bits(found, expected)


PHASES = ["measure_part", "edges_of", "join_edges", "describe_part", "take_rows", "measure_distances", "set_masses", "rows_at",
          "step", "inertia_of_part"]  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_is_killed(phase, client, rng):
    ready(client)
    victims = some(client)
    fit_twice(client, rng, fault_at(phase, lambda: kill(victims)), weighted=phase in ("step", "measure_distances"))


def test_a_worker_is_killed_between_placing_and_submitting(client, rng):
    ready(client)
    victims = some(client)
    fit_twice(client, rng, fault_at("step", lambda: kill(victims), after=False))


def test_all_workers_are_killed_at_once(client, rng):
    ready(client)
    victims = list(pids(client).values())
    fit_twice(client, rng, fault_at("step", lambda: kill(victims)))


def test_a_worker_is_killed_while_labels_are_computed(client, rng):
    ready(client)
    X = samples_of(rng, 4000)
    lazy = da.from_array(X, chunks=(900, 4)).persist()
    found = KMeans(6, random_state=0, max_iter=3).fit(lazy)
    labels = client.compute(found.labels_)
    kill(some(client))
    np.testing.assert_array_equal(labels.result(), KMeans(6, random_state=0, max_iter=3).fit(X).labels_)


@pytest.mark.parametrize("which", [some, lambda client: list(pids(client).values())], ids=["one", "all"])
@pytest.mark.parametrize("phase", ["join_edges", "measure_distances", "set_masses", "step"])
def test_a_scheduler_gives_tasks_up_when_one_worker_has_died(phase, which, client, rng):
    """What was made of a task that was given up may be neither there nor on its way."""
    ready(client)
    set_allowed_failures(client, 0)
    try:
        victims = which(client)
        fit_twice(client, rng, fault_at(phase, lambda: kill(victims)))
    finally:
        set_allowed_failures(client, 3)


def set_allowed_failures(client, number):
    def to_number(dask_scheduler):
        dask_scheduler.allowed_failures = number

    client.run_on_scheduler(to_number)


def test_persisted_partitions_that_the_scheduler_gave_up_are_made_again(client, rng):
    ready(client)
    set_allowed_failures(client, 0)
    try:
        victims = list(pids(client).values())
        lazy = []

        def persisted(X):
            lazy.append(da.from_array(X, chunks=(900, 4)).persist())
            return lazy[0]

        fit_twice(client, rng, fault_at("step", lambda: kill(victims)), lazy=persisted)
    finally:
        set_allowed_failures(client, 3)


def test_a_task_that_the_scheduler_does_not_run_is_asked_for_again(client, rng, monkeypatch):
    """As after a fault of the scheduler, which then does nothing, and says nothing."""
    ready(client)
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.05)
    original, dropped = waiting.Scheduler.submit, []

    def submit(self, graph, keys):
        futures = original(self, graph, keys)
        if not dropped and any("-step-" in key for key in graph):
            dropped.append(client.futures[keys[0]])
            client.futures.pop(keys[0]).retry()  # the client never hears of it
        return futures

    monkeypatch.setattr(waiting.Scheduler, "submit", submit)
    fit_twice(client, rng, fault_at("inertia_of_part", lambda: None))
    assert dropped


def test_a_task_that_is_given_up_is_submitted_again(client, rng, monkeypatch):
    ready(client)
    original, given_up = waiting.Scheduler.results_of, []

    def results_of(self, futures):
        if len(given_up) < 2 and "-step-" in futures[0].key:
            given_up.append(futures)
            raise distributed.KilledWorker("a step", None, 3)
        return original(self, futures)

    monkeypatch.setattr(waiting.Scheduler, "results_of", results_of)
    fit_twice(client, rng, fault_at("inertia_of_part", lambda: None))
    assert len(given_up) == 2


@pytest.mark.parametrize("phase", ["describe_part", "step"])
def test_a_scheduler_that_goes_away_is_one_error(phase, rng):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as cluster, distributed.Client(cluster.scheduler_address, timeout="1s"):  # fmt: skip
        model = KMeans(4, random_state=0, max_iter=500, tol=0.0)
        before = vars(model).copy()
        with fault_at(phase, cluster.close), pytest.raises(waiting.SchedulerLostError, match="must live as long"):
            model.fit(da.from_array(samples_of(rng, 2000), chunks=(500, 4)))
        assert vars(model) == before


def test_a_cluster_that_is_restarted_is_one_error(rng):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
        with fault_at("step", client.restart), pytest.raises(waiting.SchedulerLostError, match="restarted"):
            KMeans(4, random_state=0).fit(da.from_array(samples_of(rng, 2000), chunks=(500, 4)))


def test_a_worker_retires_between_iterations(client, rng):
    ready(client)

    def retire(entry):
        if entry["iteration"] == 1:
            client.retire_workers([next(iter(pids(client)))])

    fit_twice(client, rng, fault_at("step", lambda: None), callback=retire)


def test_a_worker_joins_between_iterations(client, rng):
    ready(client)
    before, cluster = set(pids(client)), client.cluster

    def join(entry):
        if entry["iteration"] == 1:
            cluster.scale(len(cluster.worker_spec) + 1)
            while set(pids(client)) <= before:
                time.sleep(0.1)

    fit_twice(client, rng, fault_at("step", lambda: None), callback=join)


def test_partitions_are_spilled_between_iterations(client, rng):
    ready(client)

    def evict(dask_worker):
        n = 0
        with suppress(KeyError):  # nothing is left
            while dask_worker.data.evict() != -1:
                n += 1
        return n

    seen = []
    fit_twice(
        client, rng, fault_at("step", lambda: None), callback=lambda entry: seen.append(client.run(evict)) and False
    )
    assert sum(sum(found.values()) for found in seen) > 0


def test_what_workers_keep_is_lost_between_iterations(client, rng):
    ready(client)

    def forget(dask_worker):
        from fastkmeans.workers import kept

        kept._kept.clear()

    fit_twice(client, rng, fault_at("step", lambda: None), callback=lambda entry: client.run(forget) and False)


def test_workers_have_other_instruction_sets(client, rng):
    ready(client)
    addresses = list(pids(client))

    def use(name):
        from fastkmeans._core import runtime

        before = runtime.isa()
        runtime.use_isa(name)
        return before

    before = client.run(use, runtime.isas()[0], workers=addresses[:1])
    try:
        fit_twice(client, rng, fault_at("step", lambda: None))
    finally:
        client.run(use, before[addresses[0]], workers=addresses[:1])


def test_scattered_data_are_lost(client, rng):
    ready(client)
    addresses = list(pids(client))
    halves = np.split(samples_of(rng, 2000), 2)
    futures = [client.scatter(half, workers=[address], hash=False) for half, address in zip(halves, addresses)]
    lazy = da.concatenate([da.from_delayed(future, shape=(1000, 4), dtype=float) for future in futures])
    # All of them, because the scheduler may have copied a half from one to another.
    with fault_at("step", lambda: kill(pids(client).values())):
        with pytest.raises(transport.LostPartitionError, match="partitions 0, 1 of X went with a worker"):
            KMeans(4, init=halves[0][:4], max_iter=5, tol=0.0).fit(lazy)
    assert client.submit(sum, [1, 2]).result() == 3


def test_ctrl_c_gives_a_step_up_and_leaves_the_cluster_usable(client, rng):
    ready(client)
    X = samples_of(rng, 4000)
    lazy = da.from_array(X, chunks=(900, 4))
    model = KMeans(6, random_state=0, max_iter=400, tol=0.0, callback=lambda entry: time.sleep(0.05))
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in range(20):  # each of at least 20 s, unless the inertia has not fallen
                model.fit(lazy)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert not hasattr(model, "labels_") or model.cluster_centers_.shape == (6, 4)
    assert client.submit(sum, [1, 2]).result() == 3


def test_another_version_on_the_client_is_refused(client, rng, monkeypatch):
    monkeypatch.setattr(transport, "client_version", lambda: "0.0.1")
    with pytest.raises(RuntimeError, match="fastkmeans-core must have one version .* the client has 0.0.1"):
        KMeans(2).fit(da.from_array(samples_of(rng, 50)))


def test_a_partition_with_nan_is_named(client, rng):
    X = samples_of(rng, 100)
    X[57, 2] = np.nan
    with pytest.raises(ValueError, match="Partition 2 of X.*NaN.*row 7, column 2"):
        KMeans(2).fit(da.from_array(X, chunks=(25, 4)))


def test_partitions_of_unknown_length(client, rng):
    fit_twice(
        client, rng, fault_at("step", lambda: None), lazy=lambda X: dd.from_pandas(pd.DataFrame(X), 3).to_dask_array()
    )
