"""Laws of checkpoints: a fit that goes on from one ends as if nothing had happened."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans
from fastkmeans.fitting import coarse, search
from fastkmeans.storage import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Checkpoints are written after each iteration, and fits of few samples search as large ones do."""
    monkeypatch.setattr(checkpoint, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(search, "SEARCH_SAMPLES", 64)
    monkeypatch.setattr(coarse, "LEAST_WORK", 0)
    for module in (search, coarse):
        monkeypatch.setattr(module, "ROWS_A_CLUSTER", 2)


class Interrupted(BaseException):
    pass


def interrupt_after(count):
    """A callback that interrupts the fit in the count-th iteration that it sees."""
    left = [count]

    def callback(entry):
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted

    return callback


def fit_in_pieces(make, X, path, rng, weights=None):
    """Fit, interrupted again and again; return the model and how often."""
    interrupts = 0
    while True:
        model = make(checkpoint=path, callback=interrupt_after(int(rng.integers(2, 6))))
        try:
            return model.fit(X, sample_weight=weights), interrupts
        except Interrupted:
            interrupts += 1
            assert not hasattr(model, "cluster_centers_")


def assert_same(found, expected):
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    np.testing.assert_array_equal(np.asarray(found.labels_), expected.labels_)
    assert found.inertia_ == expected.inertia_ and found.n_iter_ == expected.n_iter_
    assert found.stop_reason_ == expected.stop_reason_ and found.converged_ == expected.converged_
    for name in ["iteration", "center_shift", "n_changed", "n_empty"]:
        assert [entry[name] for entry in found.history_] == [entry[name] for entry in expected.history_], name
    inertias = [[entry["inertia"] for entry in model.history_] for model in (found, expected)]
    np.testing.assert_allclose(*inertias, rtol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_a_fit_goes_on_as_if_nothing_had_happened(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("kept") / "fit.npz"
    X = rng.normal(size=(int(rng.integers(30, 900)), 3)).astype(rng.choice(["float32", "float64"]))
    weights = [None, rng.uniform(0.1, 1.0, size=len(X))][int(rng.integers(2))]
    params = {
        "n_clusters": 5, "init": ["auto", "k-means++", "random", X[:5]][int(rng.integers(4))], "tol": 0.0,
        "n_init": int(rng.integers(1, 4)), "random_state": seed, "metric": str(rng.choice(["euclidean", "cosine"])),
        "max_iter": int(rng.choice([3, 300])),
    }  # fmt: skip
    params["n_init"] = params["n_init"] if isinstance(params["init"], str) else 1
    found, _ = fit_in_pieces(lambda **more: KMeans(**params, **more), X, path, rng, weights)
    assert_same(found, KMeans(**params).fit(X, sample_weight=weights))
    assert not path.exists()


def test_what_is_tried_is_interrupted(tmp_path, rng):
    """Else the law above would prove little."""
    X = rng.normal(size=(500, 3))
    for init in ["auto", "k-means++"]:
        params = {"n_clusters": 7, "init": init, "tol": 0.0, "random_state": 1, "n_init": 2}
        _, interrupts = fit_in_pieces(lambda **more: KMeans(**params, **more), X, tmp_path / "fit.npz", rng)
        assert interrupts >= 2


def test_a_collection_goes_on_too(tmp_path, rng):
    da = pytest.importorskip("dask.array", reason="fits of collections of Dask need dask[array,dataframe]")
    X = rng.normal(size=(900, 3))
    params = {"n_clusters": 7, "tol": 0.0, "random_state": 1}
    lazy = da.from_array(X, chunks=(250, 3))
    found, interrupts = fit_in_pieces(lambda **more: KMeans(**params, **more), lazy, tmp_path / "fit.npz", rng)
    assert interrupts
    assert_same(found, KMeans(**params).fit(X))


def test_a_fit_in_memory_goes_on_with_more_iterations_and_other_threads(tmp_path, rng):
    X, path = rng.normal(size=(500, 3)), tmp_path / "fit.npz"
    first = {"init": X[:6], "tol": 0.0, "checkpoint": path}
    with pytest.raises(Interrupted):
        KMeans(6, max_iter=10, callback=interrupt_after(5), **first).fit(X)
    assert_same(KMeans(6, max_iter=300, n_threads=1, **first).fit(X), KMeans(6, init=X[:6], tol=0.0).fit(X))


OTHER = {
    "samples": ({}, lambda X: X + 1.0, "X"),
    "number of clusters": ({"n_clusters": 5, "init": "k-means++"}, lambda X: X, "n_clusters and init"),
    "tol": ({"tol": 1e-3}, lambda X: X, "tol"),
    "seed": ({"random_state": 2}, lambda X: X, "random_state"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_checkpoint_of_another_fit_is_refused(name, tmp_path, rng):
    params, change, named = OTHER[name]
    X, path = rng.normal(size=(500, 3)), tmp_path / "fit.npz"
    own = {"n_clusters": 6, "init": X[:6], "tol": 0.0, "random_state": 1, "checkpoint": path}
    with pytest.raises(Interrupted):
        KMeans(callback=interrupt_after(4), **own).fit(X)
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=f"checkpoint must be of the same fit.*another {named}"):
        KMeans(**{**own, **params}).fit(change(X))
    assert path.read_bytes() == kept


def test_a_file_that_is_no_checkpoint_is_refused_and_stays(tmp_path, rng):
    path = tmp_path / "fit.npz"
    path.write_bytes(b"anything")
    with pytest.raises(ValueError, match="checkpoint must be a file that a fit wrote"):
        KMeans(2, checkpoint=path).fit(rng.normal(size=(50, 2)))
    assert path.read_bytes() == b"anything"


def test_a_sweep_has_no_checkpoint(rng):
    with pytest.raises(ValueError, match="checkpoint must be None with n_clusters='auto'"):
        KMeans("auto", checkpoint="fit.npz").fit(rng.normal(size=(50, 2)))
