"""Laws of estimators/summary.py: what is said of clusters is what NumPy finds in the labelled rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import reference

from fastkmeans import ClusterSummary, KMeans, NotFittedError
from fastkmeans.display.words import short_number
from fastkmeans.estimators.summary import LARGE_DIFFERENCE, LEAST_DIFFERENCE, NAMED_FEATURES, SHOWN_CLUSTERS
from fastkmeans.metrics.table import METRICS


@pytest.fixture(params=list(METRICS))
def metric(request):
    return request.param


@pytest.fixture(params=[False, True, "robust"])
def how(request):
    return request.param


@pytest.fixture
def fitted(blobs, real, metric, how, seed):
    X, _ = blobs(300, 4, 5, real)
    X = X * np.array([1, 100, 0.1, 5], dtype=real)
    return KMeans(5, metric=metric, standardize=how, random_state=seed).fit(X), X


def test_sizes_means_and_differences_are_those_of_the_labelled_rows(fitted):
    model, X = fitted
    summary, wide = model.summary(X), X.astype(np.float64)
    clusters = [wide[model.labels_ == label] for label in range(5)]
    np.testing.assert_array_equal(summary.sizes, [len(own) for own in clusters])
    np.testing.assert_array_equal(summary.centers, model.cluster_centers_)
    means = np.array([own.mean(axis=0) for own in clusters])
    np.testing.assert_allclose(summary.means, means, rtol=1e-10, atol=1e-10)
    differences = (means - wide.mean(axis=0)) / wide.std(axis=0)
    np.testing.assert_allclose(summary.differences, differences, rtol=1e-9, atol=1e-10)


def test_typical_rows_are_nearest_and_odd_rows_farthest(fitted, metric):
    model, X = fitted
    summary = model.summary(X)
    rows = reference.METRICS[metric][2](np.asarray(model._standardized(X)))
    centers = model.cluster_centers_ if model._standardized_centers is None else model._standardized_centers
    apart = reference.own_terms(rows, centers, model.labels_, metric)
    for label, (typical, odd) in enumerate(zip(summary.typical_rows, summary.odd_rows, strict=True)):
        own = np.flatnonzero(model.labels_ == label)
        assert set(typical) | set(odd) <= set(own) and set(typical).isdisjoint(odd)
        assert len(typical) == min(3, len(own)) and len(odd) == min(3, len(own) - len(typical))
        tolerance = 1e-9 * apart.max()
        assert apart[typical].max() <= np.sort(apart[own])[len(typical) - 1] + tolerance
        assert (np.diff(apart[typical]) >= -tolerance).all() and (np.diff(apart[odd]) <= tolerance).all()
        if len(odd) == 3:
            assert apart[odd].min() >= np.sort(apart[own])[-3] - tolerance


def test_of_equally_far_rows_the_first_are_named():
    X = [[0.0], [2.0], [0.0], [2.0], [0.0], [2.0], [2.0], [0.0]]
    summary = KMeans(1).fit(X).summary(X)
    assert summary.typical_rows[0].tolist() == [0, 1, 2]
    assert summary.odd_rows[0].tolist() == [3, 4, 5]


def test_a_sentence_names_the_largest_differences_first(fitted):
    model, X = fitted
    summary = model.summary(X)
    for label, sentence in enumerate(summary.sentences()):
        assert sentence.startswith(f"cluster {label}: {summary.sizes[label]} of 300 rows (")
        order = np.argsort(-np.abs(summary.differences[label]), kind="stable")[:NAMED_FEATURES]
        named = [f for f in order if abs(summary.differences[label, f]) >= LEAST_DIFFERENCE]
        places = [sentence.find(f"feature {f} ") for f in named]
        assert -1 not in places and places == sorted(places) and sentence.count(" sd, ") == len(named)
        for f in named:
            difference = summary.differences[label, f]
            words = ("much " if abs(difference) > LARGE_DIFFERENCE else "") + ("above" if difference > 0 else "below")
            assert f"feature {f} {words} average (" in sentence


def test_sentences_in_words():
    df = pd.DataFrame({"age": [31, 31, 31, 71], "income": [82_300, 79_300, 85_300, 20_100], "of no spread": [5] * 4})
    model = KMeans(2, init=df.iloc[[0, 3]].to_numpy(), standardize=True).fit(df)
    assert model.summary(df).sentences() == [
        "cluster 0: 3 of 4 rows (75 %); age below average (-0.6 sd, 31), income above average (+0.6 sd, 82,300)",
        "cluster 1: 1 of 4 rows (25 %); age much above average (+1.7 sd, 71), income much below average (-1.7 sd, 20,100)",
    ]
    assert (
        model.summary().sentences()[1] == "cluster 1: 1 of 4 rows (25 %); center: age 71, income 20,100, of no spread 5"
    )
    assert str(KMeans(1).fit([[1.0]]).summary([[1.0]])).startswith(
        "1 cluster, 1 row, 1 feature; rows by their numbers from 0\ncluster 0: 1 of 1 row ("
    )


def test_a_cluster_like_all_rows_is_said_to_be_so():
    X = [[0.0, -1.0], [0.1, 1.0], [-9.0, 0.0], [9.0, 0.0]]
    model = KMeans.from_centers([[0.0, 0.0], [-9.0, 0.0], [9.0, 0.0]])
    summary = model.summary(pd.DataFrame(X, columns=["height", "weight"]).to_numpy())
    assert summary.sentences()[0] == "cluster 0: 2 of 4 rows (50 %); medium feature 0 (0), medium feature 1 (0)"


def test_other_rows_are_labelled_by_the_nearest_center(fitted, rng):
    model, X = fitted
    other = X[rng.permutation(300)[:50]]
    np.testing.assert_array_equal(model.summary(other).sizes, np.bincount(model.predict(other), minlength=5))


def test_a_cluster_without_rows_has_nothing_to_say():
    summary = KMeans.from_centers([[0.0], [5.0], [9.0]]).summary([[1.0], [9.0], [8.0]])
    assert summary.sizes.tolist() == [1, 0, 2] and np.isnan(summary.means[1]).all()
    assert summary.sentences()[1] == "cluster 1: 0 of 3 rows (0 %)"
    assert summary.to_frame()["typical_row"].tolist() == [0, -1, 1]


def test_without_rows_there_are_sizes_and_centers(fitted):
    model, X = fitted
    summary = model.summary()
    assert isinstance(summary, ClusterSummary) and summary.differences is None and summary.typical_rows is None
    np.testing.assert_array_equal(summary.sizes, model.summary(X).sizes)
    assert summary.to_frame().dtype.names == ("labels", "size", "share", *(f"feature {f}" for f in range(4)))


def test_what_cannot_be_summarised_is_refused():
    with pytest.raises(NotFittedError, match="call fit before summary"):
        KMeans().summary()
    model = KMeans.from_centers([[0.0], [1.0]])
    with pytest.raises(ValueError, match=r"summary\(\) needs X"):
        model.summary()
    with pytest.raises(ValueError, match="2 features, but KMeans is expecting 1"):
        model.summary([[0.0, 1.0]])
    df = pd.DataFrame({"size": [1.0, 2.0]})
    with pytest.raises(ValueError, match="has a column 'size' of its own"):
        KMeans(1).fit(df).summary(df).to_frame()


MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("library", MAKERS)
def test_its_table_is_of_the_library_of_x(library):
    df = MAKERS[library]({"a": [0.0, 1.0, 8.0, 9.0], "b": [0.0, 3.0, 0.0, 3.0]})
    summary = KMeans(2, random_state=3).fit(df).summary(df)
    frame = summary.to_frame()
    assert type(frame) is type(df)
    names = frame.column_names if library == "pyarrow" else list(frame.columns)
    assert names == ["labels", "size", "share", "typical_row", "odd_row", "a", "b", "a (sd)", "b (sd)"]
    np.testing.assert_allclose(np.asarray(frame["a (sd)"]), summary.differences[:, 0])
    np.testing.assert_array_equal(np.asarray(frame["size"]), [2, 2])


def test_many_clusters_are_counted_and_not_all_described(rng):
    X = rng.normal(size=(200, 2))
    summary = KMeans(SHOWN_CLUSTERS + 1, random_state=6).fit(X).summary(X)
    assert str(summary).splitlines()[-2:] == ["and 1 other cluster; to_frame() has all", summary.legend()]
    assert len(summary.sentences()) == SHOWN_CLUSTERS + 1


def test_the_number_beside_the_deviations_is_the_stored_center(fitted, metric):
    """As the table of centers shows it, though iterations ended a little before the mean of the rows."""
    model, X = fitted
    other = X[::2]  # whose means are not the centers
    summary = model.summary(other)
    shown = summary.means if metric == "cosine" else summary.centers
    words = "the mean of its rows" if metric == "cosine" else "its center"
    assert words in summary.legend() and str(summary).endswith(summary.legend())
    for label, sentence in enumerate(summary.sentences()):
        for f in np.flatnonzero(np.abs(summary.differences[label]) >= LEAST_DIFFERENCE):
            if f"feature {f} " in sentence:
                assert f"feature {f} " in sentence and f" sd, {short_number(float(shown[label, f]))})" in sentence


@pytest.mark.parametrize("library", MAKERS)
def test_rows_are_named_by_the_index_of_pandas_else_by_their_numbers(library):
    df = pd.DataFrame({"x": [0.0, 1.0, 2.0, 30.0]}, index=["ann", "bob", "cid", "dan"])
    X = df if library == "pandas" else MAKERS[library](df.to_dict("list"))
    text = str(KMeans(2, init=[[1.0], [30.0]]).fit(X).summary(X))
    if library == "pandas":
        assert "; rows by their index labels\n" in text and "typical rows bob, ann, cid\n" in text
    else:
        assert "; rows by their numbers from 0\n" in text and "typical rows 1, 0, 2\n" in text
    assert KMeans(2, init=[[1.0], [30.0]]).fit(X).summary(X).typical_rows[0].tolist() == [1, 0, 2]
