"""Laws of moving between fastkmeans and scikit-learn, between versions, and from one fit to the next."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fastkmeans import KMeans, NotFittedError

X = np.random.default_rng(631).normal(size=(400, 3))
TABLE = pd.DataFrame(X, columns=["x", "y", "z"])

OLD_PICKLES = sorted((Path(__file__).parent / "models").glob("*.pickle"))


# ---------------------------------------------------------------- scikit-learn


@pytest.fixture
def theirs():
    return pytest.importorskip("sklearn.cluster")


@pytest.mark.parametrize(
    "init", ["auto", "k-means++", "random", "random-partition", X[:4], lambda X, k, random_state: X[:k]]
)
@pytest.mark.parametrize("random_state", [None, 5, np.random.RandomState(6), np.random.default_rng(7)])
def test_a_model_of_scikit_learns_class_answers_like_ours_and_fits_again(theirs, init, random_state):
    ours = KMeans(4, init=init, max_iter=20, tol=1e-3, random_state=random_state).fit(TABLE)
    model = ours.to_sklearn()
    assert type(model) is theirs.KMeans
    np.testing.assert_array_equal(model.predict(TABLE), ours.labels_)
    np.testing.assert_allclose(model.transform(TABLE), ours.transform(TABLE))
    assert model.inertia_ == ours.inertia_ and model.n_iter_ == ours.n_iter_
    assert (model.max_iter, model.tol, model.n_clusters) == (20, 1e-3, 4)
    assert model.get_feature_names_out().tolist() == ours.get_feature_names_out().tolist()
    assert model.fit(TABLE).n_iter_ >= 1


def test_a_model_of_scikit_learns_class_shares_no_memory_with_ours(theirs):
    ours = KMeans(4, random_state=12).fit(X)
    model = ours.to_sklearn()
    model.cluster_centers_[:] = model.labels_[:] = 0
    assert ours.cluster_centers_.any() and ours.labels_.any()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metric": "cosine"}, "metric must be 'euclidean' for to_sklearn.*got 'cosine'"),
        ({"metric": "manhattan"}, "metric must be 'euclidean' for to_sklearn.*got 'manhattan'"),
        ({"standardize": True}, "standardize must be False for to_sklearn"),
    ],
)
def test_a_model_that_scikit_learn_cannot_hold_is_refused(theirs, params, message):
    with pytest.raises(ValueError, match=message):
        KMeans(2, random_state=1, **params).fit(X).to_sklearn()


@pytest.mark.parametrize("name", ["KMeans", "MiniBatchKMeans"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_of_theirs_becomes_ours(theirs, name, dtype, tmp_path):
    model = getattr(theirs, name)(4, random_state=3, n_init=2, max_iter=30).fit(TABLE.astype(dtype))
    ours = KMeans.from_sklearn(model, n_threads=1)
    assert (ours.n_clusters, ours.n_init, ours.max_iter, ours.random_state, ours.n_threads) == (4, 2, 30, 3, 1)
    assert ours.cluster_centers_.dtype == dtype and ours.n_features_in_ == 3
    np.testing.assert_array_equal(ours.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(ours.labels_, model.labels_)
    assert ours.feature_names_in_.tolist() == ["x", "y", "z"]
    assert type(ours.inertia_) is float and type(ours.n_iter_) is int
    ours.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(KMeans.load(tmp_path / "model.npz").predict(TABLE), ours.predict(TABLE))
    assert ours.fit(X).converged_


def test_there_and_back_is_the_same_model(theirs):
    ours = KMeans(5, random_state=21).fit(X)
    again = KMeans.from_sklearn(ours.to_sklearn())
    assert again.cluster_centers_.tobytes() == ours.cluster_centers_.tobytes()
    np.testing.assert_array_equal(again.predict(X), ours.labels_)


@pytest.mark.parametrize("model", [None, np.zeros((2, 3)), KMeans(2)])
def test_anything_else_than_their_estimators_is_refused(theirs, model):
    with pytest.raises(TypeError, match="kmeans must be a sklearn.cluster.KMeans or MiniBatchKMeans; got"):
        KMeans.from_sklearn(model)


def test_models_that_are_not_fitted_are_refused(theirs):
    with pytest.raises(NotFittedError, match="call fit before from_sklearn"):
        KMeans.from_sklearn(theirs.KMeans(3))
    with pytest.raises(NotFittedError, match="call fit before to_sklearn"):
        KMeans(3).to_sklearn()


# ---------------------------------------------------------------- versions and machines


@pytest.mark.parametrize("path", OLD_PICKLES, ids=lambda path: path.stem)
def test_a_pickle_of_an_older_version_predicts_and_fits(path):
    """Each was written by the version of its name, fitted to this table with standardize=True and random_state=3."""
    people = {"age": [20.0, 21.0, 22.0, 60.0, 61.0, 62.0], "income": [30e3, 50e3, 40e3, 31e3, 51e3, 41e3]}
    model = pickle.loads(path.read_bytes())
    np.testing.assert_array_equal(model.predict(pd.DataFrame(people)), model.labels_)
    assert model.get_params().keys() == KMeans().get_params().keys()
    assert model.fit(pd.DataFrame(people)).inertia_ == pytest.approx(float.fromhex("0x1.e71b49cd048f0p+2"))


def test_there_is_an_older_version():
    assert OLD_PICKLES


def test_a_pickle_holds_no_number_of_threads(monkeypatch):
    """scikit-learn keeps `_n_threads` of the machine that fitted, and its predict asks for as many."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    state = KMeans(3, random_state=2).fit(X).__getstate__()
    assert [name for name in state if "thread" in name] == ["n_threads"]
    assert state["n_threads"] is None


# ---------------------------------------------------------------- from one fit to the next


@pytest.mark.parametrize("params", [{}, {"standardize": True}, {"metric": "cosine"}, {"metric": "manhattan"}])
def test_a_warm_start_begins_with_the_centers_of_the_fit_before(params):
    kmeans = KMeans(4, warm_start=True, random_state=1, max_iter=2, tol=0, n_init=3, **params).fit(X)
    before = kmeans.cluster_centers_.copy()
    kmeans.fit(X)
    alone = KMeans(4, init=before, max_iter=2, tol=0, **params).fit(X)
    np.testing.assert_array_equal(kmeans.cluster_centers_, alone.cluster_centers_)
    np.testing.assert_array_equal(kmeans.labels_, alone.labels_)
    assert kmeans.n_init == 3


def test_a_warm_start_goes_on_where_iterations_were_cut_off(algorithm):
    in_steps = KMeans(6, init=X[:6], max_iter=1, tol=0, warm_start=True, algorithm=algorithm)
    inertias = [in_steps.fit(X).inertia_ for _ in range(60)]
    at_once = KMeans(6, init=X[:6], max_iter=60, tol=0, algorithm=algorithm).fit(X)
    np.testing.assert_allclose(in_steps.cluster_centers_, at_once.cluster_centers_, rtol=1e-12)
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in zip(inertias, inertias[1:]))


@pytest.mark.parametrize("change", [{"n_clusters": 5}, {"n_clusters": "auto"}])
def test_a_warm_start_with_other_clusters_is_refused(change):
    kmeans = KMeans(4, warm_start=True, random_state=1).fit(X)
    before = dict(vars(kmeans.set_params(**change)))
    with pytest.raises(ValueError, match="^warm_start must be False"):
        kmeans.fit(X)
    assert vars(kmeans) == before


def test_a_warm_start_with_other_features_is_refused():
    kmeans = KMeans(4, warm_start=True, random_state=1).fit(X)
    with pytest.raises(ValueError, match=r"centers of shape \(4, 2\), and cluster_centers_ .* shape \(4, 3\)"):
        kmeans.fit(X[:, :2])


def test_without_warm_start_a_second_fit_begins_anew():
    kmeans = KMeans(4, random_state=1, max_iter=1)
    np.testing.assert_array_equal(kmeans.fit(X).cluster_centers_, kmeans.fit(X).cluster_centers_)
