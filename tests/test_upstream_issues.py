"""Where scikit-learn's k-means is known to be wrong: each law with the number of the issue. All are scikit-learn's unless named."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fastkmeans import ConvergenceWarning, KMeans, k_means, kmeans_plusplus


def agrees_with_itself(model, X):
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    np.testing.assert_array_equal(model.labels_, model.transform(X).argmin(axis=1))
    assert model.inertia_ == -model.score(X)


RELOCATED = {  # samples and centers to start from; scikit-learn 1.9 ends each with labels that predict does not give
    "of the issue": ([1, 2, 3], [4, 0, 1]),
    "two clusters": ([1, 2, 0, 3, 0, 1, 2], [5, 1]),
    "two far centers": ([3, 2, 0, 1, 0, 0, 0], [8, 7]),
    "no center at the start": ([0, 2, 2, 0, 3], [3, 1]),
}


@pytest.mark.parametrize("case", RELOCATED)
@pytest.mark.parametrize("name", ["lloyd", "elkan"])
def test_labels_are_not_stale_after_a_cluster_was_refilled_34074(case, name):
    X, init = (np.array(values, dtype=float)[:, None] for values in RELOCATED[case])
    model = KMeans(len(init), init=init, tol=0, algorithm=name).fit(X)
    agrees_with_itself(model, X)
    for j, center in enumerate(model.cluster_centers_):
        np.testing.assert_allclose(center, X[model.labels_ == j].mean(axis=0))


OFFSETS = {  # two clusters far from 0: offset, distance of the clusters, deviation, dtype
    "float32 at 1e4": (1e4, 0.1, 0.01, np.float32),
    "seconds since 1970": (1.7e9, 0.05, 0.002, np.float64),
    "metres of a map": (5e6, 8.0, 1.0, np.float32),
}


@pytest.mark.parametrize("case", OFFSETS)
def test_predict_separates_what_fit_separates_far_from_zero_9354(case, rng):
    """scikit-learn centers the samples in fit only: its predict gets half of these labels wrong."""
    offset, distance, deviation, dtype = OFFSETS[case]
    truth = np.arange(400) % 2
    X = (offset + distance * truth[:, None] + rng.normal(scale=deviation, size=(400, 2))).astype(dtype)
    model = KMeans(2, random_state=3).fit(X)
    agrees_with_itself(model, X)
    assert (model.labels_[truth == 0] == model.labels_[0]).all()
    assert (model.labels_[truth == 1] == model.labels_[1]).all()
    assert model.labels_[0] != model.labels_[1]


def test_float32_samples_are_summed_in_float64():
    """scikit-learn adds weights in the type of X: 2**24 + 1 is 2**24 in float32, and the mean is off in its fifth digit."""
    X = np.array([[0.0]] + [[1.0]] * 1000, dtype=np.float32)
    weights = np.array([2.0**24] + [1.0] * 1000, dtype=np.float32)
    model = KMeans(1).fit(X, sample_weight=weights)
    assert model.cluster_centers_[0, 0] == np.float32(1000 / (2**24 + 1000))


def test_seeds_are_drawn_by_sums_in_float64():
    """A cumulated sum in float32 stops at 2**24, and scikit-learn never draws what comes after it."""
    weights = np.array([2.0**24] + [1.0] * 4_000_000 + [2.0**24], dtype=np.float32)
    X = np.zeros((len(weights), 1), dtype=np.float32)
    X[-1] = 1.0
    _, rows = kmeans_plusplus(X, 2, sample_weight=weights, random_state=1, n_local_trials=1)
    assert len(X) - 1 in rows


def test_a_model_asks_for_the_threads_of_its_own_machine_17209():
    X = np.random.default_rng(3).normal(size=(50, 2))
    model = KMeans(3, random_state=1).fit(X)
    assert b"_n_threads" not in pickle.dumps(model)
    bare = KMeans.__new__(KMeans)
    bare.__setstate__({"cluster_centers_": model.cluster_centers_, "n_features_in_": 2})
    np.testing.assert_array_equal(bare.predict(X), model.labels_)


@pytest.mark.parametrize("fitted, asked", [(np.float32, np.float64), (np.float64, np.float32)])
def test_a_model_predicts_either_float_type_pycaret_3774(fitted, asked, rng):
    X = rng.normal(size=(100, 3)).astype(np.float32)
    model = KMeans(4, random_state=1).fit(X.astype(fitted))
    np.testing.assert_array_equal(model.predict(X.astype(asked)), model.labels_)
    assert model.score(X.astype(asked)) == pytest.approx(-model.inertia_)


def test_negative_weights_are_refused_15531():
    with pytest.raises(ValueError, match="sample_weight must not be negative; got -1 for row 2"):
        KMeans(2).fit([[0.0], [1.0], [2.0]], sample_weight=[1.0, 1.0, -1.0])


@pytest.mark.parametrize("max_iter", [1, 3, 300])
def test_a_weight_equals_so_many_copies_30750(max_iter, algorithm, real, rng):
    """From given centers; random starts draw other rows where rows are repeated."""
    X = rng.normal(size=(300, 4)).astype(real)
    copies = rng.integers(0, 4, size=300)
    init, settings = X[:6], {"max_iter": max_iter, "tol": 0, "algorithm": algorithm}
    weighted = KMeans(6, init=init, **settings).fit(X, sample_weight=copies)
    repeated = KMeans(6, init=init, **settings).fit(np.repeat(X, copies, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(np.repeat(weighted.labels_, copies), repeated.labels_)
    assert weighted.n_iter_ == repeated.n_iter_


@pytest.mark.parametrize("n_threads", [2, 3, 5])
def test_threads_change_no_bit_27518(n_threads, rng):
    """scikit-learn's own test of this has 50 rows, of which it makes one piece of work."""
    X = rng.normal(size=(20_000, 5)).astype(np.float32)
    one, several = (KMeans(20, random_state=2, max_iter=10, n_threads=n).fit(X) for n in (1, n_threads))
    assert one.cluster_centers_.tobytes() == several.cluster_centers_.tobytes()
    np.testing.assert_array_equal(one.labels_, several.labels_)


def test_more_clusters_than_distinct_rows_end_at_once_28055():
    X = np.array([[100, 100], [100, 102], [106, 100], [107, 101], [107, 101], [108, 100]])
    init = np.array([[98, 104], [103, 100], [109, 102], [110, 100], [111, 100], [112, 100]])
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(5\)"):
        model = KMeans(6, init=init, max_iter=10_000).fit(X)
    assert model.n_iter_ < 10 and model.inertia_ == 0.0


def test_a_read_only_array_is_fitted_in_place():
    """copy_x=False lets scikit-learn write into X, and a read-only array raises."""
    X = np.random.default_rng(8).normal(size=(60, 2))
    before = X.copy()
    X.flags.writeable = False
    k_means(X, 3, copy_x=False, random_state=1)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_sparse_rows_may_have_wide_indices_31073(form, index, rng):
    sparse = pytest.importorskip("scipy.sparse")
    pytest.importorskip("sklearn")
    if not KMeans().__sklearn_tags__().input_tags.sparse:
        pytest.skip("this KMeans takes no sparse rows")
    dense = rng.normal(size=(80, 6)) * (rng.random(size=(80, 6)) < 0.4)
    X = getattr(sparse, form)(dense)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    model = KMeans(4, init=dense[:4], algorithm="lloyd").fit(X)
    np.testing.assert_array_equal(model.labels_, KMeans(4, init=dense[:4]).fit(dense).labels_)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
