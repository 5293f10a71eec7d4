"""cluster(): a DataFrame in, DataFrames of the same library out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkmeans import ClusteredTable, KMeans, cluster, elbow, plot_centers, plot_clusters
from fastkmeans.errors import ColumnsLeftOutWarning
from fastkmeans.input.tables import select_columns

LIBRARIES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "record batch": lambda columns: pa.RecordBatch.from_pydict({name: list(v) for name, v in columns.items()}),
}


@pytest.fixture(params=LIBRARIES)
def make(request):
    return LIBRARIES[request.param]


@pytest.fixture
def columns(rng):
    corners = np.repeat([[0.0, 0.0], [0.0, 30.0], [30.0, 0.0]], [20, 30, 50], axis=0)
    x, y = (corners + rng.normal(size=corners.shape)).T
    return {"name": [f"row {i}" for i in range(100)], "x": x, "y": y}


def names(table):
    return list(getattr(table, "column_names", table.columns))


def column(table, name):
    return np.asarray(table[name])


def frame_of(table):
    """The table in polars, whose columns have one kind of null."""
    return pl.from_pandas(table) if isinstance(table, pd.DataFrame) else pl.DataFrame(table)


def test_the_table_comes_back_with_labels(make, columns, seed):
    df = make(columns)
    result = cluster(df, 3, columns=["x", "y"], random_state=seed)
    assert isinstance(result, ClusteredTable)
    assert type(result.table) is type(result.centers) is type(df)
    assert names(result.table) == ["name", "x", "y", "labels"]
    assert names(df) == ["name", "x", "y"]
    assert np.array_equal(column(result.table, "labels"), result.model.labels_)
    assert column(result.table, "x").tolist() == columns["x"].tolist()


def test_centers_are_the_means_of_their_rows(make, columns, seed):
    result = cluster(make(columns), 3, columns=["x", "y"], random_state=seed)
    assert names(result.centers) == ["labels", "size", "x", "y"]
    assert column(result.centers, "labels").tolist() == [0, 1, 2]
    assert sorted(column(result.centers, "size").tolist()) == [20, 30, 50]
    labels = column(result.table, "labels")
    for name in ("x", "y"):
        means = [columns[name][labels == label].mean() for label in range(3)]
        assert column(result.centers, name) == pytest.approx(means, abs=1e-12)


def test_it_is_kmeans_on_the_same_columns(make, columns, seed):
    result = cluster(make(columns), 4, columns=["y", "x"], random_state=seed, max_iter=7)
    X = np.column_stack([columns["y"], columns["x"]])
    model = KMeans(4, random_state=seed, max_iter=7).fit(X)
    assert np.array_equal(result.model.labels_, model.labels_)
    assert result.model.feature_names_in_.tolist() == ["y", "x"]


def test_auto_takes_the_elbow(make, columns, seed):
    result = cluster(make(columns), "auto", columns=["x", "y"], random_state=seed)
    assert result.model.n_clusters_ == 3


def test_auto_works_on_few_rows(make, seed):
    df = make({"x": [0.0, 1.0, 20.0, 21.0]})
    assert cluster(df, "auto", random_state=seed).model.n_clusters_ == 2


def test_auto_says_so_when_there_is_no_elbow(make, rng, seed):
    with pytest.raises(ValueError, match=r"no clear clusters between k = 1 and \d+; pass a number"):
        cluster(make({"x": rng.normal(size=300), "y": rng.normal(size=300)}), "auto", random_state=seed)


def test_weights_reach_the_fit(make, seed):
    result = cluster(make({"x": [0.0, 4.0]}), 1, sample_weight=[3, 1], random_state=seed)
    assert column(result.centers, "x").tolist() == [1.0]
    assert column(result.centers, "size").tolist() == [2]


def test_the_column_of_labels_may_have_another_name(make, columns):
    result = cluster(make(columns), 2, columns=["x"], column_name="group")
    assert names(result.table)[-1] == "group"
    assert names(result.centers)[0] == "group"


def test_the_index_of_a_pandas_table_is_kept(columns):
    df = pd.DataFrame(columns, index=np.arange(100)[::-1] * 10)
    result = cluster(df, 3, columns=["x", "y"])
    assert result.table.index.equals(df.index)
    assert result.centers.index.tolist() == [0, 1, 2]


def test_pandas_columns_may_be_called_like_methods_or_numbers(columns):
    df = pd.DataFrame({"select": columns["x"], "column_names": columns["y"]})
    assert names(cluster(df, 2, columns=["select"]).centers) == ["labels", "size", "select"]
    numbered = pd.DataFrame(np.column_stack([columns["x"], columns["y"]]))
    assert list(cluster(numbered, 2).centers.columns) == ["labels", "size", 0, 1]


def test_float32_columns_give_float32_centers(make, columns):
    df = make({"x": columns["x"].astype(np.float32)})
    assert column(cluster(df, 2).centers, "x").dtype == np.float32


def test_a_model_of_a_table_knows_its_columns_and_takes_them_back(make, columns, seed):
    df = make({"x": columns["x"], "y": columns["y"]})
    model = KMeans(3, random_state=seed).fit(df)
    assert model.feature_names_in_.tolist() == ["x", "y"]
    assert np.array_equal(model.predict(df), model.labels_)
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- z"):
        model.predict(make({"x": columns["x"], "z": columns["y"]}))


def test_what_is_missing_is_named_by_row_and_column(make):
    df = make({"x": [0.0, 1.0, 2.0], "weight": [1.0, None, 5.0]})
    for call in (lambda: cluster(df, 2), lambda: KMeans(2).fit(df), lambda: plot_clusters(df, [0, 0, 1])):
        with pytest.raises(ValueError, match="contains NaN. The first is in row 1, column 'weight'"):
            call()


def test_text_is_left_out_and_named_and_an_estimator_refuses_it(make):
    df = make({"city": list("abc"), "x": [0.0, 1.0, 2.0], "street": list("def")})
    with pytest.warns(ColumnsLeftOutWarning, match="'city' .text, for example 'a'.*'street'.*Pass columns="):
        assert cluster(df, 2).model.feature_names_in_.tolist() == ["x"]
    with pytest.raises(ValueError, match="do not hold numbers: 'city' .*'street'"):
        KMeans(2).fit(df)


def test_a_table_without_features_is_refused_and_nothing_is_suggested(make):
    with pytest.raises(
        ValueError, match=r"no column to cluster by; it has 'id' \(an identifier\), 'city'.*columns=\[...\]"
    ):
        cluster(make({"id": [1, 2, 5], "city": list("abc")}), 2)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        cluster(make({"x": np.array([])}), 2)


def test_columns_may_be_given_by_place(make, columns):
    assert cluster(make(columns), 2, columns=[2, "x"]).model.feature_names_in_.tolist() == ["y", "x"]
    with pytest.raises(ValueError, match="columns names 3, which the table does not have"):
        cluster(make(columns), 2, columns=[3])
    with pytest.raises(ValueError, match="at least one column"):
        cluster(make(columns), 2, columns=[])


def test_the_labelled_table_goes_back_into_predict(make, columns, seed):
    """Whatever the order of its columns: those of fit are taken by name, text and labels are not read."""
    labelled, _, model = cluster(make(columns), 3, columns=["y", "x"], random_state=seed)
    for turned in (labelled, select_columns(labelled, ["labels", "x", "name", "y"])):
        assert np.array_equal(model.predict(turned), model.labels_)
        assert model.score(turned) == pytest.approx(-model.inertia_)
        assert np.array_equal(model.transform(turned).argmin(axis=1), model.labels_)


def test_names_in_another_order_are_refused_as_scikit_learn_does(make, columns, seed):
    model = cluster(make(columns), 3, columns=["x", "y"], random_state=seed).model
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(select_columns(make(columns), ["y", "x"]))


@pytest.mark.filterwarnings("ignore::fastkmeans.FeatureScaleWarning")
def test_an_estimator_warns_of_row_numbers_and_reads_them(seed):
    df = pd.DataFrame({"Unnamed: 0": [0, 1, 2], "x": [0.0, 5.0, 6.0]})
    with pytest.warns(ColumnsLeftOutWarning, match="X has 'Unnamed: 0', most likely row numbers"):
        assert KMeans(2, random_state=seed).fit(df).n_features_in_ == 2
    with pytest.warns(ColumnsLeftOutWarning, match=r"elbow\(\) left out 'Unnamed: 0'"):
        assert elbow(df, 2, random_state=seed).model(2).n_features_in_ == 1


@pytest.mark.filterwarnings("ignore::fastkmeans.FeatureScaleWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_with_missing_values_are_dropped_or_filled(make, rng, dtype, seed):
    X = np.repeat([[0.0, 0.0], [50.0, 9.0]], 30, axis=0) + rng.normal(size=(60, 2))
    X = X.astype(dtype)
    X[[3, 17, 40], [0, 1, 1]] = np.nan
    df = make({"x": X[:, 0], "y": X[:, 1]})
    with pytest.raises(ValueError, match=r"row 3, column 'x'.*3 of 60. missing=.drop.*missing=.mean"):
        cluster(df, 2)
    kept = ~np.isnan(X).any(axis=1)
    with pytest.warns(UserWarning, match="left out 3 of 60 rows"):
        dropped = cluster(df, 2, missing="drop", sample_weight=np.arange(60) + 1, random_state=seed)
    model = KMeans(2, random_state=seed).fit(X[kept], sample_weight=np.arange(1, 61)[kept])
    assert np.array_equal(dropped.model.labels_, model.labels_)
    assert dropped.model.feature_names_in_.tolist() == ["x", "y"]
    labels = frame_of(dropped.table)["labels"]
    assert labels.is_null().to_list() == (~kept).tolist()
    assert labels.drop_nulls().to_list() == model.labels_.tolist()
    assert labels.dtype == pl.Int32
    with pytest.warns(UserWarning, match="filled 3 missing values"):
        filled = cluster(df, 2, missing="mean", random_state=seed)
    X = np.where(np.isnan(X), np.nanmean(X, axis=0, dtype=np.float64).astype(dtype), X)
    assert np.array_equal(filled.model.labels_, KMeans(2, random_state=seed).fit(X).labels_)
    assert np.isnan(column(filled.table, "x").astype(float)[3])


def test_weights_of_rows_that_are_dropped_are_checked_too(make):
    df = make({"x": [0.0, np.nan, 2.0, 4.0]})
    with pytest.warns(UserWarning, match="left out 1 of 4"):
        assert column(cluster(df, 1, missing="drop", sample_weight=[1, 9, 1, 2]).centers, "x").tolist() == [2.5]
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="got 3 weights for 4 samples"):
        cluster(df, 1, missing="drop", sample_weight=[1, 9, 1])


def test_missing_values_that_leave_nothing_are_refused(make):
    df = make({"x": [0.0, np.nan, 2.0], "y": [np.nan, 1.0, np.nan]})
    with pytest.raises(ValueError, match="leaves no row.*Most are in column 'y' \\(2\\)"):
        cluster(df, 2, missing="drop")
    with pytest.raises(ValueError, match="column 'z' has no values"):
        cluster(make({"x": [0.0, 1.0], "z": [np.nan, np.nan]}), 1, columns=["x", "z"], missing="mean")
    with pytest.raises(ValueError, match="missing must be one of 'error', 'drop', 'mean'"):
        cluster(df, 2, missing="zero")


def test_names_reach_the_pictures(make, columns, seed):
    df = make({"width": columns["x"], "height": columns["y"]})
    model = KMeans(3, random_state=seed).fit(df)
    ax = plot_clusters(df, model)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")
    ticks = [tick.get_text() for tick in plot_centers(model, X=df).get_xticklabels()]
    assert ticks == ["width", "height"]
    assert [tick.get_text() for tick in plot_centers(model.cluster_centers_, X=df).get_xticklabels()] == ticks


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"columns": ["x", "z"]}, ValueError, "columns names 'z'.*it has .*'x'"),
        ({"columns": "x"}, TypeError, r"got the text 'x'. Pass \['x'\]"),
        ({"columns": ["name", "x"]}, ValueError, "'name'"),
        ({"columns": ["x"], "column_name": "y"}, ValueError, "column_name='y' is already a column"),
        ({"columns": ["x"], "column_name": "size"}, ValueError, "'size' of its own"),
        ({"columns": ["x"], "n_cluster": 2}, TypeError, "n_cluster"),
    ],
)
def test_wrong_arguments_are_named(make, columns, arguments, error, message):
    with pytest.raises(error, match=message):
        cluster(make(columns), 2, **arguments)


def test_other_containers_are_refused_with_the_way_out(columns):
    with pytest.raises(TypeError, match=r"needs a DataFrame; got ndarray.*KMeans\(...\).fit\(X\)"):
        cluster(np.zeros((4, 2)), 2)
    with pytest.raises(TypeError, match=r"got rows.npy. For an array use KMeans\(...\).fit\(X\)"):
        cluster(["rows.npy"], 2)


def test_a_lazy_table_is_read(columns):
    found = cluster(pl.LazyFrame(columns), 2, columns=["x"], random_state=0).table
    np.testing.assert_array_equal(
        found["labels"], cluster(pl.DataFrame(columns), 2, columns=["x"], random_state=0).table["labels"]
    )


def test_a_bar_moves_with_each_iteration(make, capsys):
    frame = make({"x": [0.0, 1.0, 8.0, 9.0], "y": [0.0, 0.0, 5.0, 5.0]})
    seen = []
    result = cluster(frame, 2, progress=True, callback=lambda entry: seen.append(entry) and False, random_state=4)
    assert len(seen) == result.model.n_iter_
    assert "fit" in capsys.readouterr().err
    assert result.model.callback is not None and "moves_bar" not in repr(result.model.callback)


@pytest.mark.parametrize(
    ("params", "message"), [({"init": "nearest"}, "init must"), ({"max_iter": 0}, "max_iter must")]
)
def test_a_bar_does_not_hide_what_fit_refuses(make, params, message, capsys):
    with pytest.raises(ValueError, match=message):
        cluster(make({"x": [0.0, 1.0, 8.0]}), 2, progress=True, **params)
