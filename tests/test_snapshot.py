"""A fit goes by the parameters of the moment it began: whatever a callback or another thread changes meanwhile."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from fastkmeans import KMeans, cluster, elbow
from fastkmeans._core import distances, samples, silhouette
from fastkmeans._core.codes import CodedRows
from fastkmeans._core.exchange import Exchange
from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.medians import MediansState
from fastkmeans._core.quantized import QuantizedRows
from fastkmeans._core.seeding import PlusPlus
from fastkmeans._core.sums import ClusterSums
from fastkmeans._core.tiles import TilesState

# What would be refused at the start of a fit, and what would lead elsewhere.
CHANGES = [
    ("n_threads", 0),
    ("n_threads", -5),
    ("n_threads", "many"),
    ("n_clusters", 0),
    ("n_clusters", 60),
    ("n_clusters", "auto"),
    ("max_iter", 0),
    ("max_iter", 1),
    ("tol", float("nan")),
    ("n_init", 0),
    ("init", "random"),
    ("init", [[0.0]]),
    ("metric", "manhattan"),
    ("metric", None),
    ("algorithm", "nonsense"),
    ("random_state", -1),
    ("verbose", 5),
    ("callback", 7),
]


def digest_of(model, fingerprint):
    return {**fingerprint(model), "n_clusters": model.n_clusters_, "algorithm": model.algorithm_used_}


def fit_and_change(name, value, X, **params):
    """Fit, and change a parameter whenever the callback comes."""
    model = KMeans(callback=lambda entry: setattr(model, name, value), **params)
    return model.fit(X)


@pytest.mark.parametrize(("name", "value"), CHANGES, ids=lambda part: str(part))
def test_a_callback_that_changes_a_parameter_changes_nothing_of_the_fit(name, value, blobs, real, fingerprint, capsys):
    X, _ = blobs(12_000, 8, 9, real)  # enough work for a second thread
    params = {"n_clusters": 7, "init": "k-means++", "n_init": 3, "random_state": 8, "n_threads": 2}
    changed = fit_and_change(name, value, X, **params)
    assert digest_of(changed, fingerprint) == digest_of(KMeans(**params).fit(X), fingerprint)
    assert getattr(changed, name) == value or value != value
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "value"), CHANGES, ids=lambda part: str(part))
def test_a_callback_changes_nothing_of_a_fit_that_is_searched_on_few_samples(name, value, rng, fingerprint):
    X = rng.integers(12, size=(66_000, 4)) * 3.0 + rng.normal(scale=0.1, size=(66_000, 4))
    params = {"n_clusters": 80, "n_init": 2, "max_iter": 2, "random_state": 8, "n_threads": 2}
    changed = fit_and_change(name, value, X, **params)
    assert digest_of(changed, fingerprint) == digest_of(KMeans(**params).fit(X), fingerprint)


@pytest.mark.parametrize(("name", "value"), CHANGES, ids=lambda part: str(part))
def test_a_callback_changes_nothing_of_a_sweep(name, value, blobs, real, fingerprint):
    X, _ = blobs(90, 2, 3, real, std=0.3)
    params = {"n_clusters": "auto", "random_state": 8}
    changed = fit_and_change(name, value, X, **params)
    unchanged = KMeans(**params).fit(X)
    assert digest_of(changed, fingerprint) == digest_of(unchanged, fingerprint)
    of_sweep = changed.sweep_.model(2).get_params()
    assert of_sweep.pop("callback") is not None
    assert of_sweep == {
        name: value for name, value in unchanged.sweep_.model(2).get_params().items() if name != "callback"
    }


def test_an_init_callable_may_change_the_estimator(blobs, real, fingerprint):
    X, _ = blobs(300, 3, 4, real)

    def init(rows, n_clusters, random_state):
        model.set_params(n_threads=-3, n_clusters=50, max_iter=0, init="random", n_init=90, metric="cosine")
        return rows[:n_clusters]

    model = KMeans(4, init=init, n_init=3)
    model.fit(X)
    assert fingerprint(model) == fingerprint(KMeans(4, init=X[:4]).fit(X))


def test_a_callback_passed_to_elbow_may_change_whatever_it_reaches(blobs, real):
    X, _ = blobs(90, 2, 3, real, std=0.3)
    k = [1, 2, 3, 4]
    params = {"random_state": 3, "n_init": 2}

    def change(entry):
        k.append(10_000)
        params.update(n_threads=0, n_init=0)

    changed = elbow(X, k=k, callback=change, **params)
    unchanged = elbow(X, k=4, random_state=3, n_init=2)
    np.testing.assert_array_equal(changed.inertia, unchanged.inertia)


def test_parameters_set_from_another_thread_are_those_of_the_next_fit(blobs, real, fingerprint):
    X, _ = blobs(2000, 4, 6, real)
    model = KMeans(6, init="random", n_init=3, random_state=8)
    expected = fingerprint(KMeans(6, init="random", n_init=3, random_state=8).fit(X))
    entered, changed = threading.Event(), threading.Event()

    def wait(entry):
        entered.set()
        changed.wait(60)

    def change():
        entered.wait(60)
        model.set_params(n_threads=0, n_clusters=2, init=X[:2], max_iter=0)
        changed.set()

    model.callback = wait
    thread = threading.Thread(target=change)
    thread.start()
    model.fit(X)
    thread.join()
    assert fingerprint(model) == expected
    with pytest.raises(ValueError, match="max_iter"):
        model.fit(X)


def test_a_bar_leaves_the_callback_of_the_estimator_alone(blobs, monkeypatch):
    pytest.importorskip("tqdm")
    X, _ = blobs(200, 2, 3, "float64")
    seen = []

    def callback(entry):
        seen.extend(vars(each).get("callback") for each in fitting)

    fitting = []
    fit = KMeans._fit
    monkeypatch.setattr(KMeans, "_fit", lambda model, *args: (fitting.append(model), fit(model, *args))[1])
    result = cluster(pd.DataFrame(X), 3, callback=callback, progress=True, random_state=3)
    assert seen and all(each is callback for each in seen)
    assert result.model.callback is callback


# ---------------------------------------------------------------- arrays that change

SPOIL = """
import sys
import numpy as np
from fastkmeans import KMeans

algorithm, metric, real = sys.argv[1:]
rng = np.random.default_rng(9)
for value in [np.nan, np.inf, -3e38, 0.0]:
    for share in [1.0, 0.3]:
        for init, is_weighted in [("k-means++", True), ("random", False)]:
            X = (rng.normal(size=(1500, 12)) + 4.0).astype(real)
            weights = rng.random(1500) if is_weighted else None

            def spoil(entry):
                X[rng.random(len(X)) < share] = value
                if is_weighted:
                    weights[rng.random(len(X)) < share] = value
                if value == 0.0:
                    X.shape = X.shape[::-1]
                return entry["iteration"] == 6

            try:
                KMeans(40, init=init, n_init=3, algorithm=algorithm, metric=metric, n_threads=1, tol=0.0, random_state=1,
                       callback=spoil).fit(X, sample_weight=weights)
            except Exception as error:
                print(type(error).__name__)
print("still here")
"""


def spoils(algorithm, metric, real):
    command = [sys.executable, "-W", "ignore", "-c", SPOIL, algorithm, metric, real]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_arrays_that_a_callback_spoils_end_in_a_result_or_an_exception(algorithm, real):
    child = spoils(algorithm, "euclidean", real.name)
    assert (child.returncode, child.stdout.split("\n")[-2]) == (0, "still here"), child.stderr


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
def test_the_same_by_other_metrics(metric, real):
    child = spoils("auto", metric, real.name)
    assert (child.returncode, child.stdout.split("\n")[-2]) == (0, "still here"), child.stderr


# ---------------------------------------------------------------- what the compiled layer refuses

ROWS, CENTERS = np.ones((40, 3)), np.ones((2, 3))
LABELS, ONES = np.zeros(40, dtype=np.int32), np.ones(40)
NONE_OF_THREADS = {
    "lloyd": lambda n: LloydState(ROWS, None, np.ones(3), 1.0, 2, n),
    "tiles": lambda n: TilesState(ROWS, None, np.ones(3), 1.0, 2, n),
    "medians": lambda n: MediansState(ROWS, None, np.ones(3), 1.0, 2, n),
    "seeding": lambda n: PlusPlus(ROWS, None, 1.0, 2, n, 0, 1),
    "exchange": lambda n: Exchange(ROWS, None, LABELS, np.ones(2), CENTERS.copy(), 1, 1, 10, n),
    "quantized rows": lambda n: QuantizedRows(ROWS, np.zeros(3), 1.0, 16, n),
    "coded rows": lambda n: CodedRows(ROWS, None, 0.0, np.zeros(3), 1.0, n),
    "nearest": lambda n: distances.nearest(ROWS, CENTERS, LABELS.copy(), n),
    "own_sq_distances": lambda n: distances.own_sq_distances(ROWS, CENTERS, LABELS, ONES.copy(), n),
    "inertia_of_blocks": lambda n: distances.inertia_of_blocks(ROWS, CENTERS, LABELS, None, np.ones(1), n),
    "pairwise": lambda n: distances.pairwise(ROWS, CENTERS, np.ones((40, 2)), n),
    "has_unusable": lambda n: samples.has_unusable(ROWS, 1e9, n),
    "describe_blocks": lambda n: samples.describe_blocks(ROWS, 1024, np.ones((1, 3, 3)), n),
    "normalize": lambda n: samples.normalize(ROWS, ROWS.copy(), n),
    "take": lambda n: samples.take(ROWS, np.arange(3), np.zeros(3), np.ones((3, 3)), n),
    "lay_eights": lambda n: silhouette.lay_eights(ROWS, np.arange(40), np.ones(120), n),
}


@pytest.mark.parametrize("n_threads", [0, -1, -(2**31)])
@pytest.mark.parametrize("name", NONE_OF_THREADS)
def test_the_compiled_layer_refuses_numbers_of_threads(name, n_threads):
    with pytest.raises(ValueError, match=f"n_threads must be an integer >= 1; got {n_threads}"):
        NONE_OF_THREADS[name](n_threads)
    NONE_OF_THREADS[name](1)


MISFITS = {
    "labels": lambda: distances.nearest(ROWS, CENTERS, LABELS[:9].copy(), 1),
    "own distances": lambda: distances.own_sq_distances(ROWS, CENTERS, LABELS, np.ones(9), 1),
    "weights": lambda: distances.inertia_of_blocks(ROWS, CENTERS, LABELS, np.ones(9), np.ones(1), 1),
    "distances": lambda: distances.pairwise(ROWS, CENTERS, np.ones((40, 1)), 1),
    "largest values": lambda: LloydState(ROWS, None, np.ones(2), 1.0, 2, 1),
    "clusters": lambda: LloydState(ROWS, None, np.ones(3), 1.0, 0, 1),
    "weights of a state": lambda: LloydState(ROWS, np.ones(9), np.ones(3), 1.0, 2, 1),
    "samples of a grid": lambda: ClusterSums(ROWS, None, np.ones(3), 1.0, 2, 1, 39),
    "no samples": lambda: LloydState(ROWS[:0], None, np.ones(3), 1.0, 2, 1),
    "weights in tiles": lambda: TilesState(np.ones((400, 3)), np.ones(9), np.ones(3), 1.0, 2, 1),
    "medians": lambda: MediansState(ROWS, None, np.ones(2), 1.0, 2, 1),
    "first seed": lambda: PlusPlus(ROWS, None, 1.0, 2, 1, 40, 1),
    "weights of a seeding": lambda: PlusPlus(ROWS, np.ones(9), 1.0, 2, 1, 0, 1),
    "rows of length 1": lambda: samples.normalize(ROWS, np.ones((9, 3)), 1),
    "rows taken": lambda: samples.take(ROWS, np.arange(3), np.zeros(3), np.ones((2, 3)), 1),
    "bits": lambda: QuantizedRows(ROWS, np.zeros(3), 1.0, 0, 1),
    "offset": lambda: CodedRows(ROWS, None, 0.0, np.zeros(2), 1.0, 1),
}


@pytest.mark.parametrize("name", MISFITS)
def test_the_compiled_layer_refuses_arrays_that_do_not_fit(name):
    with pytest.raises(ValueError, match=r"must|do not fit"):
        MISFITS[name]()


def test_a_state_has_the_samples_of_the_sums_that_it_shares():
    clusters = ClusterSums(ROWS, None, np.ones(3), 1.0, 2, 1)
    state = LloydState(clusters=clusters)
    assert state.clusters is clusters
    assert state.step(CENTERS) == len(ROWS) == clusters.sums[:, 0, -1].sum()
    with pytest.raises(TypeError, match="got both"):
        LloydState(ROWS, None, np.ones(3), 1.0, 2, 1, clusters=clusters)


def test_centers_are_moved_into_arrays_that_fit():
    state = LloydState(ROWS, None, np.ones(3), 1.0, 2, 1)
    state.step(CENTERS)
    for moved, terms, origin in [(CENTERS[:1], (2, 4), 3), (CENTERS, (2, 3), 3), (CENTERS, (2, 4), 2)]:
        with pytest.raises(ValueError, match="must have shape"):
            state.clusters.move(CENTERS, np.zeros(origin), moved.copy(), np.ones(terms))


def test_what_is_pickled_or_saved_amid_a_fit_is_of_one_moment(rng, tmp_path):
    """pickle and copy walk over the attributes while another thread may set them."""
    model = KMeans(2, random_state=1).fit(rng.normal(size=(50, 2)))

    class Slow:
        """A parameter; while it is pickled, a fit of another number of clusters ends."""

        def __init__(self):
            self.fitted = False

        def __reduce__(self):
            if not self.fitted:
                self.fitted = True
                model.set_params(n_clusters=5).fit(rng.normal(size=(70, 2)))
            return dict, ()

    model.a_first_attribute = Slow()
    model.__dict__ = {"a_first_attribute": model.a_first_attribute, **vars(model)}
    copy = pickle.loads(pickle.dumps(model))
    assert len(copy.cluster_centers_) == copy.n_clusters_ == 2
    assert len(copy.labels_) == 50
    assert model.n_clusters_ == 5


def test_an_estimator_is_saved_as_it_is_at_one_moment(rng, tmp_path, monkeypatch):
    model = KMeans(2, random_state=1).fit(rng.normal(size=(50, 2)))
    params = type(model).get_params

    def refitted(self, deep=True):
        model.set_params(n_clusters=5).fit(rng.normal(size=(70, 2)))
        return params(self, deep)

    monkeypatch.setattr(type(model), "get_params", refitted)
    model.save(tmp_path / "model.npz")
    loaded = KMeans.load(tmp_path / "model.npz")
    assert len(loaded.cluster_centers_) == loaded.n_clusters_ == loaded.n_clusters == 2
