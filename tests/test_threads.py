"""Promise 3: the same bits for any number of threads, in every run, and for fits that run side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastkmeans import KMeans, kmeans_plusplus
from fastkmeans._core import runtime
from fastkmeans.runtime import threads

N_THREADS = [1, 2, 3, 7]

CASES = {  # name -> (n_samples, n_features, n_clusters, weighted, starts with empty clusters)
    "one block and a bit": (20001, 5, 16, False, False),
    "many blocks": (150000, 3, 9, False, False),
    "weighted": (20001, 5, 16, True, False),
    "empty clusters": (20001, 5, 16, False, True),
    "weighted, empty clusters": (150000, 2, 12, True, True),
    "wide": (20001, 40, 30, False, False),
}


@pytest.fixture(params=CASES)
def case(request, blobs, real, rng):
    """Rows, initial centers and weights of a case."""
    n_samples, n_features, n_clusters, weighted, empty = CASES[request.param]
    X, _ = blobs(n_samples, n_features, n_clusters, real, std=5.0)
    init = X[:n_clusters].copy()
    if empty:
        init[::3] += 1000
    return X, init, rng.uniform(size=n_samples) if weighted else None


def test_threads_change_no_bit_of_a_fit(case, algorithm, fingerprint):
    X, init, weights = case
    fits = {}
    for n_threads in N_THREADS:
        model = KMeans(len(init), init=init, max_iter=8, tol=0, n_threads=n_threads, algorithm=algorithm)
        fits[n_threads] = model.fit(X, sample_weight=weights)
    digests = {n_threads: fingerprint(model) for n_threads, model in fits.items()}
    assert all(digest == digests[1] for digest in digests.values()), digests
    for name in ["inertia", "center_shift", "n_changed", "n_empty"]:
        trails = [[step[name] for step in model.history_] for model in fits.values()]
        assert all(trail == trails[0] for trail in trails), name


def test_threads_change_no_bit_of_an_answer(case):
    X, init, weights = case
    answers = []
    for n_threads in N_THREADS:
        model = KMeans.from_centers(init).set_params(n_threads=n_threads)
        labels, distances = model.predict(X), model.transform(X[:30000])  # n x k: a part is enough
        answers.append((labels.tobytes(), distances.tobytes(), model.score(X, sample_weight=weights)))
    assert all(answer == answers[0] for answer in answers)


def test_threads_change_no_bit_of_the_seeding(blobs, real, seed, fingerprint):
    X, _ = blobs(60001, 6, 20, real, std=3.0)
    for init in ["k-means++", "random", "random-partition"]:
        digests = []
        for n_threads in N_THREADS:
            model = KMeans(20, init=init, n_init=2, max_iter=3, random_state=seed, n_threads=n_threads)
            digests.append(fingerprint(model.fit(X)))
        assert all(digest == digests[0] for digest in digests), init


def test_repeated_runs_give_the_same_bits(blobs, real, seed, algorithm, fingerprint):
    X, _ = blobs(50000, 4, 10, real, std=4.0)
    model = KMeans(10, random_state=seed, max_iter=6, algorithm=algorithm)
    digests = [fingerprint(model.fit(X)) for _ in range(5)]
    assert all(digest == digests[0] for digest in digests)
    picks = [kmeans_plusplus(X, 10, random_state=seed)[1].tolist() for _ in range(3)]
    assert picks[0] == picks[1] == picks[2]


def test_fits_side_by_side_equal_fits_in_turn(blobs, real, seed, algorithm, fingerprint):
    X, _ = blobs(30000, 5, 12, real, std=4.0)

    def fit(i):
        model = KMeans(12, random_state=seed // 2 + i, max_iter=6, algorithm=algorithm)
        return fingerprint(model.fit(X[i * 500 :]))

    in_turn = [fit(i) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(2):
            assert list(pool.map(fit, range(6))) == in_turn


def test_one_model_answers_many_threads(blobs, real, seed):
    X, _ = blobs(30000, 5, 12, real)
    model = KMeans(12, random_state=seed, max_iter=5).fit(X)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: model.predict(X), range(12)))
    for labels in answers:
        np.testing.assert_array_equal(labels, model.labels_)


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, None),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "/proc/self/cgroup": "0::/user.slice/job.scope\n",
                "/sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000\n",
                "/sys/fs/cgroup/user.slice/cpu.max": "300000 100000\n",
                "/sys/fs/cgroup/cpu.max": "800000 100000\n",
            },
            3.0,
        ),
        (
            {
                "/proc/self/cgroup": "5:memory:/a\n4:cpu,cpuacct:/docker/x\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        (
            {
                "/proc/self/cgroup": "4:cpu,cpuacct:/\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_the_tightest_quota_of_the_control_groups_counts(files, expected):
    assert threads.cgroup_quota(lambda path: files.get(path, "")) == expected


@pytest.mark.parametrize("text", ["3", " 3 ", "3,2", "0", "-1", "x", "", "\u00b2", "9" * 30])
def test_omp_num_threads_is_a_wish_that_cannot_break_anything(text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    n_threads = threads.effective_n_threads(None)
    assert 1 <= n_threads <= threads.MAX_THREADS
    if text.strip().startswith("3") and threads.runtime.has_openmp():
        assert n_threads == 3


def test_more_threads_than_anybody_has_give_the_same_bits(blobs, fingerprint):
    X, _ = blobs(30_000, 4, 5, "float32")
    expected = fingerprint(KMeans(5, init=X[:5], n_threads=1).fit(X))
    assert fingerprint(KMeans(5, init=X[:5], n_threads=1_000_000).fit(X)) == expected


def test_a_number_of_threads_that_is_none_is_refused_after_fit_too(blobs):
    X, _ = blobs(50, 2, 2, "float64")
    model = KMeans(2, random_state=1).fit(X).set_params(n_threads=0)
    for method in [model.predict, model.transform, model.score]:
        with pytest.raises(ValueError, match="n_threads must be None or an integer >= 1; got 0"):
            method(X)


@pytest.mark.parametrize("n_threads", N_THREADS)
def test_two_functions_run_beside_each_other_and_return_in_order(n_threads):
    assert runtime.both(n_threads, lambda: "first", lambda: "second") == ("first", "second")


def run_python(code, **environment):
    """What a new interpreter prints for some code."""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=os.environ | environment
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.mark.skipif(not runtime.has_openmp(), reason="no OpenMP")
def test_of_two_functions_each_has_a_thread_of_its_own_where_threads_are_not_held_back():
    code = """
import threading
from fastkmeans._core import runtime
meeting = threading.Barrier(2)
print(sorted(runtime.both(2, lambda: meeting.wait(60), lambda: meeting.wait(60))))
"""
    assert run_python(code, OMP_DYNAMIC="false") == "[0, 1]"


# A fit whose regions want four threads, beside threads that keep every CPU busy. Prints the bits.
BUSY = """
import hashlib, os, subprocess, sys
import numpy as np
from fastkmeans import KMeans
X = np.random.default_rng(5519).normal(size=(6000, 20)).astype(np.float32)
fit = lambda n_threads: KMeans(40, init=X[:40], max_iter=30, tol=0, n_threads=n_threads).fit(X)
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
try:
    models = [fit(1), *(fit(4) for _ in range(20))]
finally:
    for process in busy:
        process.kill()
print(len({hashlib.sha256(m.labels_.tobytes() + m.cluster_centers_.tobytes()).hexdigest() for m in models}))
"""


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OMP_DYNAMIC": "false"},
        {"OMP_WAIT_POLICY": "passive"},
        {"OMP_WAIT_POLICY": "active"},
        {"GOMP_SPINCOUNT": "100"},
        {"GOMP_SPINCOUNT": "infinity"},
    ],
)
def test_a_busy_machine_changes_no_bit_whatever_the_environment_says(environment):
    assert run_python(BUSY, **environment) == "1"


@pytest.mark.skipif(not runtime.has_pool(), reason="a build with OpenMP's own threads")
def test_a_region_does_not_wait_for_threads_that_have_no_cpu():
    """Four numbers on one CPU: threads that wait for each other need a time slice per region, some 100 of them per fit."""
    code = """
import os, resource, time
import numpy as np
from fastkmeans import KMeans
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
X = np.random.default_rng(1204).normal(size=(20000, 16)).astype(np.float32)
fit = lambda: KMeans(16, init=X[:16], max_iter=200, tol=0, n_threads=4).fit(X)
fit()
before = resource.getrusage(resource.RUSAGE_SELF)
n_iter = fit().n_iter_
after = resource.getrusage(resource.RUSAGE_SELF)
print(n_iter, after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw)
"""
    n_iter, n_switches = map(int, run_python(code).split())
    assert n_iter > 50 and n_switches < n_iter


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
@pytest.mark.skipif(not runtime.has_openmp(), reason="no OpenMP")
@pytest.mark.parametrize(
    "environment", [{"OMP_PROC_BIND": "true"}, {"OMP_PLACES": "threads"}, {"OMP_PROC_BIND": "spread"}]
)
@pytest.mark.parametrize("before", ["", "import sklearn.cluster; "])  # brings another copy of OpenMP's library
def test_threads_that_openmp_binds_do_not_hide_the_other_cpus(environment, before):
    if before:
        pytest.importorskip("sklearn")
    code = before + "from fastkmeans.runtime.threads import effective_n_threads; print(effective_n_threads(None))"
    n_cpus = len(os.sched_getaffinity(0))
    environment = environment | {"OMP_NUM_THREADS": ""}
    assert int(run_python(code, **environment)) == int(run_python(code, OMP_NUM_THREADS="")) <= n_cpus


@pytest.mark.skipif(not runtime.has_openmp(), reason="no OpenMP")
def test_openmp_places_bound_the_number_of_threads():
    code = "from fastkmeans.runtime.threads import effective_n_threads; print(effective_n_threads(None))"
    first = min(os.sched_getaffinity(0))
    assert run_python(code, OMP_PLACES=f"{{{first}}}", OMP_NUM_THREADS="") == "1"


def test_a_quota_is_read_once_in_a_while(monkeypatch):
    readings = []
    monkeypatch.setattr(threads, "cgroup_quota", lambda: readings.append(1))
    monkeypatch.setattr(threads, "_read_quota", (-threads.QUOTA_SECONDS, None))
    for _ in range(5):
        threads.available_cpus()
    assert len(readings) == 1
    monkeypatch.setattr(threads, "QUOTA_SECONDS", 0.0)
    threads.available_cpus()
    assert len(readings) == 2


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("which", [0, 1])
def test_what_one_of_two_functions_raises_is_raised(n_threads, which):
    def fail():
        raise ValueError("no")

    functions = [lambda: 1, lambda: 1]
    functions[which] = fail
    with pytest.raises(ValueError, match="^no$"):
        runtime.both(n_threads, *functions)


@pytest.mark.skipif(not runtime.has_openmp(), reason="no OpenMP")
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs the peak of memory that Linux counts")
def test_more_threads_than_sums_have_room_for_share_them():
    """Sums of 2000 clusters with 500 features take 16 MB per set: a set for each of 16 threads would take 256 MB."""
    code = """
import numpy as np
from fastkmeans import KMeans
X = np.random.default_rng(3391).normal(size=(6000, 500)).astype(np.float32)
def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
def fit(n_threads):
    open("/proc/self/clear_refs", "w").write("5")
    before = memory("VmRSS")
    model = KMeans(2000, init=X[:2000], max_iter=2, tol=0, algorithm="lloyd", n_threads=n_threads).fit(X)
    return memory("VmHWM") - before, model.cluster_centers_.tobytes(), model.labels_.tobytes()
fit(1)
few, many = fit(1), fit(16)
print((many[0] - few[0]) // 1024, few[1:] == many[1:])
"""
    grown, same = run_python(code, OMP_DYNAMIC="false").split()
    assert int(grown) < 64 + 32 and same == "True"
