"""Laws of input/marks.py: columns of percents and currencies are numbers, on the command line and in DataFrames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkmeans import cluster, plot_clusters
from fastkmeans.cli.main import main
from fastkmeans.errors import ColumnsLeftOutWarning
from fastkmeans.input.marks import split_mark

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}

COLUMNS = {  # text -> what it is read as, how the note names it
    "percent": (["21.9%", "3.5 %", "-4%", "80.25%"], [21.9, 3.5, -4.0, 80.25], "percent"),
    "euro": (["€ 12,50", "€ 3,20", "-€ 7,00", "€ 1.250,75"], [12.5, 3.2, -7.0, 1250.75], "€"),
    "dollar": (["1,234.50 $", "7.00 $", "0.5 $", "12.25 $"], [1234.5, 7.0, 0.5, 12.25], "$"),
    "code": (["CHF 12.50", "CHF 3.25", "CHF -1.50", "CHF 1'234.00"], [12.5, 3.25, -1.5, 1234.0], "CHF"),
}

DIFFERENT = {
    "two marks": ["12.5%", "13.5 €", "1%", "2%"],
    "one without": ["12.5%", "13.5", "1%", "2%"],
    "units": ["12 km", "13 km", "1 km", "2 km"],
}


@pytest.fixture(params=COLUMNS)
def column(request):
    return COLUMNS[request.param]


@pytest.mark.parametrize("library", MAKERS)
def test_a_table_reads_them_and_says_so(library, column):
    texts, numbers, words = column
    df = MAKERS[library]({"rate": texts, "x": [0.0, 9.0, 1.0, 8.0]})
    with pytest.warns(UserWarning, match=r"cluster\(\) read 'rate' as " + words.replace("$", r"\$")):
        labelled, centers, model = cluster(df, 4, random_state=81, standardize=True)
    np.testing.assert_allclose(np.sort(np.asarray(centers["rate"])), np.sort(numbers))
    np.testing.assert_array_equal(model.predict(labelled), np.asarray(labelled["labels"]))
    assert plot_clusters(labelled, model).get_xlabel() == "rate"


def test_the_command_line_reads_them_and_says_so(tmp_path, capsys, column):
    texts, numbers, words = column
    (tmp_path / "t.csv").write_text("rate;x\n" + "".join(f"{text};{i}\n" for i, text in enumerate(texts)))
    path, centers = str(tmp_path / "t.csv"), str(tmp_path / "centers.csv")
    assert main(["fit", path, "-k", "4", "--columns", "rate", "--centers", centers]) == 0
    assert f"read 'rate' as {words}" in capsys.readouterr().err
    np.testing.assert_allclose(np.sort(pd.read_csv(centers)["rate"]), np.sort(numbers))


@pytest.mark.parametrize("texts", DIFFERENT.values(), ids=DIFFERENT)
def test_other_columns_are_left_out_with_the_same_advice(tmp_path, capsys, texts):
    with pytest.warns(ColumnsLeftOutWarning, match="write the numbers alone"):
        names = cluster(pd.DataFrame({"rate": texts, "x": [0.5, 9.0, 1.0, 8.0]}), 2).model.feature_names_in_
    assert names.tolist() == ["x"]
    (tmp_path / "t.csv").write_text("rate,x\n" + "".join(f"{text},{i}.5\n" for i, text in enumerate(texts)))
    assert main(["fit", str(tmp_path / "t.csv"), "-k", "2", "--quiet"]) == 0
    assert "write the numbers alone" in capsys.readouterr().err


def test_a_mark_that_changes_far_down_leaves_the_column_out(tmp_path, capsys):
    rows = [f"{i}.5%,{i % 7}.5\n" for i in range(3000)] + ["free,1.5\n"]
    (tmp_path / "t.csv").write_text("rate,x\n" + "".join(rows))
    assert main(["fit", str(tmp_path / "t.csv"), "-k", "2"]) == 0
    captured = capsys.readouterr()
    assert "'rate' (numbers with different marks" in captured.err and "(x)" in captured.out
    assert main(["fit", str(tmp_path / "t.csv"), "-k", "2", "--columns", "rate"]) == 2
    assert "line 3002: column 'rate' holds 'free', which is not a number with %" in capsys.readouterr().err


def test_missing_values_stay_missing():
    df = pd.DataFrame({"rate": ["1.5%", None, "9%", "NA", "2.5%"]})
    with pytest.warns(UserWarning) as caught:
        assert sorted(cluster(df, 2, missing="drop", random_state=82).centers["rate"]) == [2.0, 9.0]
    assert ["left out 2 of 5 rows" in str(warning.message) for warning in caught] == [False, True]


@pytest.mark.parametrize("text", ["", "%", "5", "$5%", "+-5%", "5%%", "abc%", "5 km", "12-13 %"])
def test_what_is_no_number_with_one_mark_has_none(text):
    assert split_mark(text) is None
