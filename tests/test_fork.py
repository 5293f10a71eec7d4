"""Promise 6: a process that has fitted with threads may fork, and its children may fit."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans._core import runtime

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 warns of every fork beside threads; that ours do no harm is what is tested here.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

PATIENCE = 60  # seconds for eight children on a busy machine; a deadlock lasts for ever


def data():
    return np.random.default_rng(8061).normal(size=(40000, 6)).astype(np.float32)


def fit(i):
    """A fit wide enough to use threads; its result as plain numbers."""
    model = KMeans(8, random_state=100 + i, max_iter=5, n_threads=2).fit(data())
    return model.inertia_, model.labels_.sum().item(), model.cluster_centers_.tobytes()


def fork_fit(i):
    """Fork a child that fits and writes its pickled result into a pipe; returns (pid, read end)."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write_end)
        return pid, read_end
    try:  # the child must never return into pytest
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(pickle.dumps(fit(i)))
    finally:
        os._exit(0)


def read_all(children):
    """What each child wrote; a child that is silent at the deadline is killed and gives None."""
    deadline = time.monotonic() + PATIENCE
    results = []
    for pid, read_end in children:
        pieces, done = [], False
        while not done and select.select([read_end], [], [], max(0, deadline - time.monotonic()))[0]:
            pieces.append(os.read(read_end, 1 << 16))
            done = not pieces[-1]
        os.close(read_end)
        if not done:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        results.append(pickle.loads(b"".join(pieces)) if done and any(pieces) else None)
    return results


def test_forked_children_fit_after_their_parent_did():
    expected = [fit(i) for i in range(8)]
    for _ in range(2):
        assert read_all([fork_fit(i) for i in range(8)]) == expected
        assert fit(0) == expected[0]  # and the parent still can


def test_a_fork_pool_fits_after_its_parent_did():
    expected = [fit(i) for i in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(fit, range(4)).get(timeout=PATIENCE) == expected


def test_a_model_crosses_to_a_spawned_process():
    model = KMeans(8, random_state=4, max_iter=5, n_threads=2).fit(data())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        labels = pool.apply_async(model.predict, (data(),)).get(timeout=PATIENCE)
    np.testing.assert_array_equal(labels, model.labels_)


IMPORTS = """
import sys
import numpy as np
from fastkmeans import KMeans
from fastkmeans.metrics.table import METRICS
rng = np.random.default_rng(7741)
before = set(sys.modules)
for shape, k in [((3000, 2), 8), ((3000, 12), 110), ((2000, 80), 100), ((70000, 3), 5)]:
    X = rng.normal(size=shape)
    for metric in METRICS:
        for algorithm in ("auto", *METRICS[metric].algorithms):
            model = KMeans(k, metric=metric, algorithm=algorithm, max_iter=10, random_state=1)
            model.fit(X, sample_weight=rng.uniform(size=len(X))).predict(X)
            KMeans(k, init=np.repeat(X[:1], k, axis=0), metric=metric, algorithm=algorithm, max_iter=3).fit(X).score(X)
print(sorted(set(sys.modules) - before))
"""


def test_a_fit_imports_nothing():
    """A process that is forked while another thread imports a module would wait for that import for ever."""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTS], capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"


FORKING_HANDLER = """
import os, signal, sys, time
import numpy as np
from fastkmeans import KMeans
X = np.random.default_rng(5).normal(size=(100000, 16))
parent, children = os.getpid(), []
def fork(number, frame):
    child = os.fork()
    if child:
        children.append(child)
signal.signal(signal.SIGALRM, fork)
begun = time.monotonic()
while not children and time.monotonic() - begun < 60:  # until the signal comes within a region
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        KMeans(800, init=X[:800], max_iter=20, tol=0, algorithm="lloyd", n_threads=2).fit(X)
    except RuntimeError as error:
        assert os.getpid() != parent, error
        os._exit(7 if "forked this process within a computation" in str(error) else 8)
    if os.getpid() != parent:  # the signal came between two regions
        os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 7
"""


def test_a_child_that_a_signal_handler_forks_within_a_region_does_not_wait_for_ever():
    if not runtime.has_pool():
        pytest.skip("a region of OpenMP's own waits for threads that a child does not have")
    done = subprocess.run([sys.executable, "-c", FORKING_HANDLER], capture_output=True, text=True, timeout=PATIENCE * 2)
    assert done.returncode == 0, done.stderr
