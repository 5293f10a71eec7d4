"""Mini-batch and bisecting k-means over sparse samples, and tables of sparse columns: the results of the same samples made dense."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fastkmeans import BisectingKMeans, MiniBatchKMeans, cluster
from fastkmeans.errors import ColumnsLeftOutWarning

sparse = pytest.importorskip("scipy.sparse")


def words(rng, n, d):
    return rng.poisson(rng.uniform(0.0, 0.4, size=d), size=(n, d)) * rng.uniform(0.5, 2.0, size=(n, d))


@pytest.mark.parametrize("weighted", [False, True])
def test_steps_over_sparse_batches_move_centers_as_dense_ones_do(weighted, real, rng):
    X = words(rng, 600, 25).astype(real)
    weights = rng.uniform(size=600) if weighted else None
    models = [MiniBatchKMeans(5, init=X[:5], random_state=1, reassignment_ratio=0) for _ in range(2)]
    for first in range(0, 600, 100):
        rows = slice(first, first + 100)
        own = None if weights is None else weights[rows]
        models[0].partial_fit(X[rows], sample_weight=own)
        models[1].partial_fit(sparse.csr_array(X[rows]), sample_weight=own)
    np.testing.assert_allclose(models[1].cluster_centers_, models[0].cluster_centers_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(models[1].counts_, models[0].counts_)


@pytest.mark.parametrize("make", [MiniBatchKMeans, BisectingKMeans])
def test_labels_of_a_sparse_fit_are_those_of_predict(make, real, rng, seed):
    X = words(rng, 500, 30).astype(real)
    S = sparse.csr_array(X)
    model = make(6, random_state=seed % 2**32).fit(S)
    np.testing.assert_array_equal(model.labels_, model.predict(S))
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert model.score(S) == -model.inertia_
    assert model.inertia_ == pytest.approx(-model.score(X), rel=1e-6)


@pytest.mark.parametrize("make", [MiniBatchKMeans, BisectingKMeans])
def test_threads_change_no_bit_of_a_sparse_fit(make, real, rng, seed, fingerprint):
    S = sparse.csr_array(words(rng, 3000, 40).astype(real))
    digests = [fingerprint(make(7, random_state=seed % 2**32, n_threads=n).fit(S)) for n in (1, 3)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_cluster_reads_sparse_columns_of_pandas_as_dense_ones(dtype, rng):
    """They are filled for the fit, and stay sparse in the table of the result. Columns are left out as dense ones are."""
    dense = pd.DataFrame(rng.poisson(0.5, size=(300, 5)).astype(dtype), columns=list("abcde"))
    dense["customer_id"] = rng.permutation(300)
    frame = dense.astype({name: pd.SparseDtype(kind, kind.type(0)) for name, kind in dense.dtypes.items()})
    with pytest.warns(ColumnsLeftOutWarning, match="customer_id"):
        expected = cluster(dense, 3, random_state=1)
    with pytest.warns(ColumnsLeftOutWarning, match="customer_id"):
        found = cluster(frame, 3, random_state=1)
    np.testing.assert_array_equal(found.table["labels"], expected.table["labels"])
    np.testing.assert_array_equal(found.model.cluster_centers_, expected.model.cluster_centers_)
    pd.testing.assert_frame_equal(found.table.drop(columns="labels"), frame)
    np.testing.assert_array_equal(found.model.predict(frame[list("abcde")]), found.model.labels_)


def test_cluster_names_a_sparse_column_with_missing_values():
    frame = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, np.nan, 1.0, 5.0]), "b": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(ValueError, match="'a'"):
        cluster(frame, 2)
