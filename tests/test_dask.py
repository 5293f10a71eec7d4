"""Collections of Dask, without workers: the bits of one array, lazy results, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans, elbow

pytest.importorskip("dask", reason="fits of collections of Dask need dask[array,dataframe]")
import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402
from collections_of_dask import assert_same_bits, check_one, samples_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=60)
def test_a_collection_without_a_client_gives_the_bits_of_one_array(seed, n_parts):
    found, lazy, weights = check_one(seed, n_parts)
    assert found.score(lazy, sample_weight=weights) == -found.inertia_
    np.testing.assert_array_equal(found.predict(lazy).compute(), found.labels_.compute())


# ---------------------------------------------------------------- what else a collection may be


def test_a_dataframe_is_fitted_by_its_columns(rng):
    table = pd.DataFrame(samples_of(rng, 900), columns=list("abcd")).astype({"b": "int32", "c": "float32"})
    lazy = dd.from_pandas(table, npartitions=3)
    found, expected = KMeans(4, random_state=1).fit(lazy), KMeans(4, random_state=1).fit(table)
    assert_same_bits(found, expected)
    assert found.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    labelled = lazy.assign(cluster=found.labels_).compute()
    np.testing.assert_array_equal(labelled["cluster"], expected.labels_)
    np.testing.assert_array_equal(found.predict(labelled), expected.labels_)
    np.testing.assert_array_equal(found.predict(lazy.assign(name="x")).compute(), expected.labels_)


def test_results_are_lazy_and_have_the_partitions_of_x(rng):
    X = samples_of(rng, 1000, real="float32")
    lazy = da.from_array(X, chunks=((400, 0, 600), 4))
    model = KMeans(3, random_state=0).fit(X)
    assert model.predict(lazy).chunks == ((400, 0, 600),) and model.predict(lazy).dtype == np.int32
    assert model.transform(lazy).chunks == ((400, 0, 600), (3,)) and model.transform(lazy).dtype == np.float32
    np.testing.assert_array_equal(model.predict(lazy).compute(), model.labels_)
    np.testing.assert_array_equal(model.transform(lazy).compute(), model.transform(X))
    assert model.score(lazy) == model.score(X) == -model.inertia_
    np.testing.assert_array_equal(KMeans(3, random_state=0).fit_predict(lazy).compute(), model.labels_)


@pytest.mark.parametrize("params", [{"metric": "manhattan"}, {"metric": "cosine"}, {"standardize": True}])
def test_every_fitted_model_labels_a_collection(params, rng):
    X = samples_of(rng, 500)
    lazy = da.from_array(X, chunks=(130, 4))
    model = KMeans(3, random_state=0, **params).fit(X)
    np.testing.assert_array_equal(model.predict(lazy).compute(), model.labels_)
    np.testing.assert_array_equal(model.transform(lazy).compute(), model.transform(X))
    assert model.score(lazy) == model.score(X)


def test_a_model_is_saved_and_pickled_without_its_lazy_labels(rng, tmp_path):
    X = samples_of(rng, 20_000)
    model = KMeans(3, random_state=0).fit(da.from_array(X, chunks=(5000, 4)))
    assert len(pickle.dumps(model)) < 20_000
    model.save(tmp_path / "model.npz")
    for other in [KMeans.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model))]:
        assert not hasattr(other, "labels_") and other.inertia_ == model.inertia_
        np.testing.assert_array_equal(other.predict(X), model.labels_.compute())
    assert "3 clusters" in model._repr_html_()


REFUSED = {
    "manhattan": ({"metric": "manhattan"}, "metric must be 'euclidean' or 'cosine' for a collection of Dask"),
    "callable": (
        {"init": lambda X, k, random_state: X[:k]},
        "init must be a name or an array for a collection of Dask",
    ),
    "standardize": ({"standardize": True}, "standardize must be False for a collection of Dask"),
    "auto": ({"n_clusters": "auto"}, "n_clusters must be a number for a collection of Dask"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_apply_is_refused_by_name(name, rng):
    params, message = REFUSED[name]
    model = KMeans(**params)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=message):
        model.fit(da.from_array(samples_of(rng, 50)))
    assert vars(model) == before


BAD = {
    "three dimensions": (lambda X: da.zeros((2, 3, 4)), {}, "X must have 2 dimensions; got 3"),
    "cut columns": (lambda X: da.from_array(X, chunks=(10, 2)), {}, r"Use X.rechunk\({1: -1}\)"),
    "no rows": (lambda X: da.from_array(X[:0], chunks=(0, 4)), {}, "at least one sample"),
    "text": (lambda X: dd.from_pandas(pd.DataFrame({"a": ["x", "y"]}), 1), {}, "text|numbers"),
    "few rows": (lambda X: da.from_array(X[:2]), {}, "n_clusters"),
    "short weights": (lambda X: da.from_array(X), {"sample_weight": np.ones(3)}, "one weight per sample"),
    "negative weights": (lambda X: da.from_array(X), {"sample_weight": -np.ones(50)}, "sample_weight must not be negative"),
    "no weight": (lambda X: da.from_array(X), {"sample_weight": np.zeros(50)}, "at least one non-zero"),
    "weights of other partitions": (
        lambda X: dd.from_pandas(pd.DataFrame(X), 2), {"sample_weight": da.ones(50, chunks=10)}, "the partitions of X"
    ),
    "weights in memory": (lambda X: dd.from_pandas(pd.DataFrame(X), 2), {"sample_weight": np.ones(50)}, "compute_chunk_sizes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error(name, rng):
    make, params, message = BAD[name]
    model = KMeans(3)
    before = vars(model).copy()
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(make(samples_of(rng, 50)), **params)
    assert vars(model) == before


def test_samples_that_one_process_cannot_hold_are_refused_where_they_are_needed(rng, monkeypatch):
    from fastkmeans.workers import samples

    monkeypatch.setattr(samples, "GATHERED_BYTES", 1000)
    lazy = da.from_array(samples_of(rng, 300), chunks=(100, 4))
    with pytest.raises(ValueError, match="X must fit into one process for this fit.*pass init='random'"):
        KMeans(3).fit(lazy)
    KMeans(3, init="random", random_state=0).fit(lazy)


def test_elbow_gathers_a_collection(rng):
    table = pd.DataFrame(samples_of(rng, 600), columns=list("abcd"))
    weights = rng.uniform(size=600)
    expected = elbow(table, k=5, random_state=1, sample_weight=weights)
    found = elbow(dd.from_pandas(table, 3), k=5, random_state=1, sample_weight=da.from_array(weights, chunks=200))
    assert found.best_k == expected.best_k
    np.testing.assert_array_equal(found.inertia, expected.inertia)
    np.testing.assert_array_equal(found.model(3).labels_, expected.model(3).labels_)


def test_many_drawn_rows_stay_on_their_workers(rng, monkeypatch, seed):
    from fastkmeans.workers import samples

    monkeypatch.setattr(samples, "KEPT_HERE_BYTES", 0)
    for i in range(5):
        check_one(seed + i, 5)
