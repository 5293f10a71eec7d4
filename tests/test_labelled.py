"""Laws of input/labelled.py: pictures and summaries take the table that cluster() returns, rows without a label and all."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkmeans import KMeans, cluster, plot_centers, plot_clusters, plot_pairs, plot_silhouette

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}

pytestmark = pytest.mark.filterwarnings("ignore:cluster")


@pytest.fixture(params=MAKERS)
def holey(request, rng):
    """A table of three clusters in which 3 of 60 rows lack a value, and which rows these are."""
    centers = np.repeat([[0, 0], [9, 0], [0, 9]], 20, axis=0)
    columns = dict(zip("xy", (centers + rng.normal(size=(60, 2))).T.tolist(), strict=True))
    for row, name in ((3, "x"), (25, "y"), (59, "x")):
        columns[name][row] = None
    return MAKERS[request.param](columns), [3, 25, 59]


PICTURES = {
    "clusters": lambda table, model: plot_clusters(table, model),
    "clusters by labels": lambda table, model: plot_clusters(table, "group", model.cluster_centers_),
    "pairs": lambda table, model: plot_pairs(table, model),
    "silhouettes": lambda table, model: plot_silhouette(table, model),
    "silhouettes by labels": lambda table, model: plot_silhouette(table, "group"),
    "centers": lambda table, model: plot_centers(model, X=table),
}


def title_of(drawn):
    return drawn.get_suptitle() if hasattr(drawn, "get_suptitle") else drawn.get_title()


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_leave_out_rows_without_a_label(holey, picture):
    table, _ = holey
    labelled, _, model = cluster(table, 3, missing="drop", column_name="group", random_state=71)
    title = title_of(PICTURES[picture](labelled, model)).replace("\n", " ")
    assert "3 of 60 rows left out, which have no label" in title


@pytest.mark.parametrize("picture", [name for name in PICTURES if "by labels" not in name])
def test_pictures_fill_missing_values_with_the_means_of_the_fit(holey, picture):
    table, _ = holey
    labelled, _, model = cluster(table, 3, missing="mean", random_state=72)
    title = title_of(PICTURES[picture](labelled, model)).replace("\n", " ")
    assert "3 missing values filled with the means of the fit" in title


def test_a_summary_leaves_out_rows_without_a_label_and_names_rows_of_the_whole_table(holey):
    table, without = holey
    labelled, centers, model = cluster(table, 3, missing="drop", random_state=73)
    summary = model.summary(labelled)
    np.testing.assert_array_equal(summary.sizes, np.asarray(centers["size"]))
    assert "3 of 60 rows left out, which have no label" in str(summary)
    values = np.column_stack([np.array(table[name], dtype=float) for name in "xy"])
    for label, rows in enumerate(summary.typical_rows):
        assert (
            set(rows).isdisjoint(without)
            and (model.predict(pd.DataFrame(values[rows], columns=list("xy"))) == label).all()
        )


def test_a_summary_counts_filled_rows_as_the_fit_did(holey):
    labelled, centers, model = cluster(holey[0], 3, missing="mean", random_state=74)
    summary = model.summary(labelled)
    np.testing.assert_array_equal(summary.sizes, np.asarray(centers["size"]))
    assert "3 missing values" in str(summary)


def test_a_loaded_model_does_not_know_the_means_and_the_error_says_what_to_do(holey, tmp_path):
    labelled, _, model = cluster(holey[0], 3, missing="mean", random_state=75)
    model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="Fill it in, or drop its row"):
        plot_clusters(labelled, KMeans.load(tmp_path / "model.npz"))


def test_the_next_fit_forgets_the_means(holey):
    table, _ = holey
    model = cluster(table, 3, missing="mean", random_state=76).model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.arange(12.0).reshape(6, 2))
    with pytest.raises(ValueError, match="contains NaN"):
        model.summary([[1.0, np.nan]])
    assert model._treatment is None


def test_a_table_of_which_no_row_has_a_label_is_refused(holey):
    labelled = pd.DataFrame({"x": [1.0, 2.0], "y": [0.0, 1.0], "labels": [None, None]})
    model = cluster(holey[0], 3, missing="drop", random_state=77).model
    with pytest.raises(ValueError, match="has no label in any row"):
        plot_clusters(labelled, model)
