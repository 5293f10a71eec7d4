"""Promise 6: Ctrl-C returns promptly and leaves the estimator as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans._core import distances, silhouette, sparse
from fastkmeans._core.csr import CsrRows
from fastkmeans._core.gaps import GapFinder
from fastkmeans._core.medians import MediansState
from fastkmeans._core.minibatch import BatchStep
from fastkmeans._core.prefix import PrefixState
from fastkmeans._core.screened import ScreenedRows
from fastkmeans._core.seeding import PlusPlus
from fastkmeans._core.sparse import SparseState
from fastkmeans._core.yinyang import YinyangState
from fastkmeans.algorithms.coding import Codes
from fastkmeans.algorithms.copies import copies_of
from fastkmeans.algorithms.quantizing import QuantizedCopies
from fastkmeans.algorithms.table import ALGORITHMS, Algorithm

CORE = Path(__file__).resolve().parent.parent / "kmeans_core"

SCRIPT = """
import signal
import sys
import numpy as np
from fastkmeans import KMeans

def say(word):
    print(word, flush=True)

# A child of nohup, of a shell's background job or of some CI runners is born ignoring SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
phase = sys.argv[1]
X = np.random.default_rng(5).normal(size=(200000, 16)).astype(np.float32)
model = KMeans(4, max_iter=2, random_state=3).fit(X)
if phase == "iterations":
    model.set_params(n_clusters=300, init=X[:300], tol=0, callback=lambda step: say("running"))
    model.set_params(max_iter=10**6)
else:
    model.set_params(n_clusters=20000)
before = dict(vars(model))
if phase == "seeding":
    say("running")
try:
    model.fit(X)
except KeyboardInterrupt:
    same = vars(model).keys() == before.keys() and all(vars(model)[name] is before[name] for name in before)
    say("interrupted" if same else "changed")
"""


def stop(step):
    raise KeyboardInterrupt


def test_an_interrupted_fit_leaves_the_estimator_as_it_was(algorithm, blobs, real, fingerprint):
    X, _ = blobs(400, 3, 4, real)
    model = KMeans(4, random_state=6, algorithm=algorithm).fit(X)
    digest = fingerprint(model)
    model.set_params(callback=stop, n_clusters=3)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :2])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert fingerprint(model) == digest
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_an_interrupted_first_fit_leaves_no_fitted_attribute(blobs, real):
    X, _ = blobs(400, 3, 4, real)
    model = KMeans(4, random_state=6, callback=stop)
    before = set(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert set(vars(model)) == before


def test_errors_of_a_callback_reach_the_caller(blobs, real):
    X, _ = blobs(400, 3, 4, real)
    with pytest.raises(ZeroDivisionError):
        KMeans(4, random_state=6, callback=lambda step: 1 / 0).fit(X)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("phase", ["seeding", "iterations"])
def test_ctrl_c_stops_a_long_fit_promptly(phase):
    with subprocess.Popen([sys.executable, "-c", SCRIPT, phase], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "running\n"
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=60)  # the fit would run for minutes
        finally:
            child.kill()
    assert out.split()[-1:] == ["interrupted"]
    assert child.returncode == 0


# ---------------------------------------------------------------- amid a call of the compiled layer


class Alarm(Exception):
    """What the handler of the tests' signal raises."""


@pytest.fixture
def alarm_soon():
    """Let a signal come 0.15 seconds from now. Every call below would take seconds."""

    def ring(number, frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.15)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


N_ROWS, N_FEATURES, N_CLUSTERS = 60_000, 24, 8000
EQUAL = {real: np.ones((N_ROWS, N_FEATURES), dtype=real) for real in ("float32", "float64")}


def near_centers(n_clusters):
    """Centers so near each other that float64 decides every pair. Of equal ones all but the first would be left out."""
    return np.ones((n_clusters, N_FEATURES)) + 1e-12 * np.arange(n_clusters)[:, None]


CENTERS = near_centers(N_CLUSTERS)


def step_of(algorithm, X, centers=CENTERS):
    """Make a call, and what tells whether it was left undone."""
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    shared = {"copies": getattr(copies_of(X, max_abs, 1), algorithm.copies)} if algorithm.copies else {}
    made = algorithm.state(X, None, max_abs, 1.0, len(centers), 1, **shared)
    keeper = made if algorithm.state is MediansState else made.clusters
    return lambda: made.step(centers), lambda: (keeper.labels < 0).any()


def varied(n_samples, n_features, real):
    """Samples in all places, for algorithms that leave out what is far from many equal samples."""
    return np.random.default_rng(88).normal(size=(n_samples, n_features)).astype(real)


def step_of_prefix(X):
    """A step of the filter finds labels in memory of its own; the sums follow all of them, or none."""
    X = varied(N_ROWS, N_FEATURES, X.dtype)
    max_abs, centers = np.abs(X).max(axis=0).astype(np.float64), X[:N_CLUSTERS].astype(np.float64)
    made = PrefixState(X, None, max_abs, 1.0, N_CLUSTERS, 1, Codes(X, max_abs, 1), 8)
    return lambda: made.step(centers), lambda: (made.clusters.labels < 0).all()


def step_with_bounds(X):
    made = YinyangState(X, None, np.ones(X.shape[1]), 1.0, len(CENTERS), 1, QuantizedCopies(X, 1))
    made.insist()
    return lambda: made.step(CENTERS), lambda: (made.clusters.labels < 0).all()


def labels_of(X, kind=distances.EUCLIDEAN):
    labels = np.full(len(X), -1, dtype=np.int32)
    return lambda: distances.nearest(X, CENTERS, labels, 1, kind), lambda: (labels < 0).any()


def all_distances(X):
    X, centers = np.ones((4000, 500), dtype=X.dtype), np.ones((4000, 500))
    found = np.full((len(X), len(centers)), -1, dtype=np.float32)
    return lambda: distances.pairwise(X, centers, found, 1), lambda: (found[-1] < 0).all()


def seeds(X, manhattan=False):
    varied = np.random.default_rng(8).normal(size=(400_000, 16)).astype(X.dtype)
    rows = np.full(1, -1, dtype=np.intp)
    seeding = PlusPlus(varied, None, 1.0, 4000, 1, 0, 1, manhattan=manhattan)
    return lambda: seeding.choose(rows), lambda: rows[0] < 0


def mean_distances(X):
    n_others, padded = 40_000, N_ROWS
    own, nearest = np.full((2, padded), -1.0)
    runs = np.append(np.arange(n_others, dtype=np.int32) // (n_others // 2), np.int32(-1))
    rows, labels, per_sum = np.arange(N_ROWS), np.zeros(padded, dtype=np.int64), np.ones(2)

    def call():
        silhouette.mean_distances(
            X, rows, labels, X, np.arange(n_others), runs, per_sum, np.zeros(2), "euclidean", own, nearest, 1
        )

    return call, lambda: nearest[-1] < 0


def mean_distances_by_pairs(X):
    own, nearest = np.full((2, N_ROWS), -1.0)
    runs = np.arange(N_ROWS, dtype=np.int32) // (N_ROWS // 2)

    def call():
        silhouette.pair_mean_distances(X, np.arange(N_ROWS), runs, np.ones(2), "euclidean", own, nearest, 1)

    return call, lambda: own[-1] < 0


def sums_by_labels(X):
    n_others = 40_000
    labels = np.stack([np.arange(n_others) // (n_others // 2), np.full(n_others, 2)]).astype(np.int32)
    sums = np.full((N_ROWS // 8, 3, 8), -1.0)

    def call():
        silhouette.labelled_sums(X, np.arange(N_ROWS), np.arange(n_others), labels, "euclidean", sums, 1)

    return call, lambda: (sums[-1] < 0).all()


def sparse_rows(X):
    """Full rows, whose centers below are near each other, so that stored values decide every pair in float64."""
    full = np.arange(N_FEATURES, dtype=np.int32)
    starts = np.arange(N_ROWS + 1, dtype=np.int64) * N_FEATURES
    rows = CsrRows(X.ravel(), np.tile(full, N_ROWS), starts, N_FEATURES)
    rows.measure(1.0, 1)
    return rows, np.ones((N_CLUSTERS, N_FEATURES)) + 1e-9 * np.arange(N_CLUSTERS)[:, None]


def step_of_sparse(X):
    rows, centers = sparse_rows(X)
    made = SparseState(rows, None, np.ones(N_FEATURES), 1.0, N_CLUSTERS, 1)
    return lambda: made.step(centers), lambda: (made.clusters.labels < 0).any()


def sparse_labels(X):
    rows, centers = sparse_rows(X)
    labels = np.full(N_ROWS, -1, dtype=np.int32)
    return lambda: sparse.nearest(rows, centers, labels, 1), lambda: (labels < 0).any()


def labels_of_batch(X):
    step = BatchStep(X, None, np.ones(N_FEATURES), 1.0, N_CLUSTERS, 1)
    return lambda: step.label(CENTERS), lambda: (step.clusters.labels < 0).any()


def labels_by_codes(X):
    codes = ScreenedRows(N_ROWS, N_FEATURES, X.dtype == np.float32, np.zeros(N_FEATURES), 1.0, 16, 1)
    codes.put(X, 0)
    codes.begin(near_centers(8 * N_CLUSTERS))
    before, until = np.zeros(N_ROWS, dtype=np.int32), np.full(N_ROWS, -np.inf, dtype=np.float32)
    places, labels = np.arange(N_ROWS), np.full(N_ROWS, N_CLUSTERS * 9, dtype=np.int32)
    ways = np.zeros(8 * N_CLUSTERS)
    return lambda: codes.screen(0, before, until, ways, places, labels), lambda: (labels == N_CLUSTERS * 9).any()


def labels_and_gaps(X):
    labels, gaps = np.full(N_ROWS, -1, dtype=np.int32), np.empty(N_ROWS)
    finder, rows = GapFinder(CENTERS, X.dtype == np.float32, 1), np.arange(N_ROWS)
    return lambda: finder.label(X, rows, labels, gaps), lambda: (labels < 0).any()


LONG_CALLS = {  # the function that watches for signals, and how it is called
    "quantized.QuantizedState._assign": partial(step_of, ALGORITHMS["quantized"]),
    "yinyang.YinyangState.step with bounds": step_with_bounds,
    "tiles.TilesState.step": lambda X: step_of(
        ALGORITHMS["tiles"], varied(1_000_000, 4, X.dtype), varied(64_000, 4, np.float64)
    ),
    "medians.MediansState.step": partial(step_of, Algorithm(MediansState, source="")),
    "prefix.PrefixState.step": step_of_prefix,
    "distances.nearest": labels_of,
    "distances.nearest by Manhattan distances": partial(labels_of, kind=distances.MANHATTAN),
    "distances.pairwise": all_distances,
    "screened.ScreenedRows.screen": labels_by_codes,
    "gaps.GapFinder.label": labels_and_gaps,
    "seeding.PlusPlus.choose": seeds,
    "seeding.PlusPlus.choose by Manhattan distances": partial(seeds, manhattan=True),
    "silhouette.mean_distances": mean_distances,
    "silhouette.pair_mean_distances": mean_distances_by_pairs,
    "silhouette.labelled_sums": sums_by_labels,
    "sparse.SparseState.step": step_of_sparse,
    "minibatch.BatchStep._label_all": labels_of_batch,
    "sparse.nearest": sparse_labels,
}


def call_of_step(algorithm):
    """Return "module.State.step"."""
    return f"{algorithm.state.__module__.rpartition('.')[2]}.{algorithm.state.__name__}.step"


# Steps of the other algorithms. An algorithm whose `step` does not call start_watch itself is named here, and has an entry above for the
# function that does.
NAMED_ABOVE = {"quantized", "tiles", "prefix"}
LONG_CALLS |= {
    call_of_step(algorithm): partial(step_of, algorithm)
    for name, algorithm in ALGORITHMS.items()
    if name not in NAMED_ABOVE
}

# What watches for signals too, but is over in less than a second for any samples that a test has the memory for: it reads each
# sample a few times, whatever the number of clusters.
BRIEF_CALLS = set(
    """codes.CodedRows.__cinit__ distances.own_sq_distances distances.inertia_of_blocks doubtful.SumsAnew.add
    doubtful.SumsAnew.measure coreset.largest_weighed coreset.rows_at coreset.set_masses coreset.weigh
    breathing.Breathing.__cinit__ breathing.Breathing.search exchange.Exchange.__cinit__ medians.MediansState.__cinit__
    medians.MediansState.move quantized.QuantizedRows.fill spread.spread
    samples.describe_blocks samples.find_smallest samples.has_unusable samples.normalize samples.take
    seeding.PlusPlus.__cinit__ seeding.PlusPlus.min_sq_distances silhouette.judge_blocks silhouette.lay_eights
    csr.CsrRows.measure stored.StoredRows.write sparse.own_sq_distances sparse.eight_sq_distances
    sparse_seeding.SparseSeeding.__cinit__ sparse_seeding.SparseSeeding._try_group sparse_seeding.SparseSeeding.take
    screened.ScreenedRows.put files.read_rows files.read_cached sums.ClusterSums.follow tile_order.TileOrder._order_samples tile_order.TileOrder.write_labels
    tiles.TilesState._describe_tiles""".split()
)


def functions_that_watch(path):
    """Return the functions of a .pyx file that call start_watch, as "module.function" or "module.class.function"."""
    found, holder, name = set(), "", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(?:cdef )?class (\w+)", line):
            holder = header[1]
        elif re.match(r"\w", line):
            holder = ""
        if header := re.match(rf"{'    ' if holder else ''}(?:cp?def|def) [^=(]*?(\w+)\(", line):
            name = f"{holder}.{header[1]}" if holder else header[1]
        if "start_watch(" in line:
            found.add(f"{path.stem}.{name}")
    return found


@pytest.mark.skipif(not CORE.is_dir(), reason="the repository is not around the tests")
def test_every_function_that_watches_for_signals_is_known_as_long_or_brief():
    long = {name.split()[0] for name in LONG_CALLS}
    assert long.isdisjoint(BRIEF_CALLS)
    watching = set().union(*map(functions_that_watch, CORE.glob("*.pyx")))
    add = "{} watches for signals; add it to LONG_CALLS, or to BRIEF_CALLS if it is over within a second."
    assert [add.format(name) for name in sorted(watching - long - BRIEF_CALLS)] == []
    remove = "{} does not watch for signals; remove it from LONG_CALLS or BRIEF_CALLS (a step: name its algorithm in NAMED_ABOVE), or let it call start_watch."
    assert [remove.format(name) for name in sorted((long | BRIEF_CALLS) - watching)] == []


@pytest.mark.skipif(not CORE.is_dir(), reason="the repository is not around the tests")
def test_every_file_with_parallel_regions_watches_for_signals():
    files = {path for path in CORE.glob("*.pyx") if "in prange(" in path.read_text(encoding="utf-8")}
    assert files
    assert {path.name for path in files if not functions_that_watch(path)} == set()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("name", LONG_CALLS)
def test_a_signal_ends_a_call_of_the_compiled_layer_halfway(name, real, alarm_soon):
    call, is_undone = LONG_CALLS[name](EQUAL[real.name])
    alarm_soon()
    with pytest.raises(Alarm):
        call()
    assert is_undone()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signal_whose_handler_returns_changes_nothing(real, rng):
    X = rng.normal(size=(60_000, 24)).astype(real)
    heard = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    labels = np.empty((2, len(X)), dtype=np.int32)
    centers = np.repeat(X[:3000].astype(np.float64), 2, axis=0)
    try:
        distances.nearest(X, centers, labels[0], 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    distances.nearest(X, centers, labels[1], 1)
    assert heard
    np.testing.assert_array_equal(labels[0], labels[1])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signal_in_another_thread_s_fit_reaches_the_main_thread(blobs, real, alarm_soon):
    """Python's handlers run in the main thread alone: a fit in another one goes on to its end."""
    X, _ = blobs(3000, 8, 5, real)
    fitted = []
    thread = threading.Thread(target=lambda: fitted.extend(KMeans(5, random_state=i).fit(X) for i in range(60)))
    alarm_soon()
    with pytest.raises(Alarm):
        thread.start()
        while True:
            time.sleep(0.01)
    thread.join()
    assert len(fitted) == 60
