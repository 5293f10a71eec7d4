"""Laws of columns that may be codes, of dates written as whole numbers, and of tables that elbow() takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fastkmeans import cluster, elbow
from fastkmeans.cli.main import main
from fastkmeans.errors import ColumnsLeftOutWarning

pytestmark = pytest.mark.filterwarnings("ignore:.*of the total variance")

ROWS = 60
CODES = ["cust_no", "plz", "zip", "Phone", "gender", "postCode", "order date"]


@pytest.fixture
def people(rng):
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "y": rng.normal(size=ROWS)})
    frame["x"] += np.arange(ROWS) % 2 * 20.0
    return frame


@pytest.fixture(params=["cluster", "csv", "parquet"])
def said_of(request, tmp_path, capsys):
    """A function: what is said of a table, and the features that were taken."""

    def by_cluster(frame):
        with pytest.warns(UserWarning) as caught:
            model = cluster(frame, 2, standardize=True, random_state=91).model
        return " ".join(str(warning.message) for warning in caught), model.feature_names_in_.tolist()

    def by_command(frame):
        path = tmp_path / f"t.{request.param}"
        frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path, index=False)
        assert main(["fit", str(path), "-k", "2", "--standardize", "--centers", str(tmp_path / "c.csv")]) == 0
        return capsys.readouterr().err, list(pd.read_csv(tmp_path / "c.csv").columns[2:])

    return by_cluster if request.param == "cluster" else by_command


@pytest.mark.parametrize("name", CODES)
def test_what_may_be_codes_is_clustered_and_named(people, said_of, rng, name):
    said, names = said_of(people.assign(**{name: rng.integers(1, 9, ROWS)}))
    assert f"took {name!r} for measures" in said and "olumns" in said
    assert names == ["x", "y", name]


def test_other_columns_are_not_said_to_be_codes(people, said_of, rng):
    measures = {
        "visits": rng.integers(1, 9, ROWS),
        "plz share": rng.normal(size=ROWS),
        "gender": rng.integers(0, 2, ROWS),
    }
    said, names = said_of(people.assign(**measures, text="a"))
    assert "for measures" not in said and names == ["x", "y", *measures]


def test_dates_of_whole_numbers_are_left_out(people, said_of, rng):
    days = pd.date_range("2019-12-01", periods=ROWS).strftime("%Y%m%d").astype(int)
    said, names = said_of(people.assign(day=rng.permutation(days)))
    assert "'day' (dates written as whole numbers)" in said and names == ["x", "y"]


@pytest.mark.parametrize("wrong", [20201301, 20200230, 20200100, 18991231, 21000101])
def test_one_value_that_is_no_date_makes_them_numbers(people, rng, wrong):
    days = np.repeat([20200105, 20200228, wrong], ROWS // 3)
    with pytest.warns(UserWarning):
        model = cluster(people.assign(sum=days, text="a"), 2, random_state=92, standardize=True).model
    assert model.feature_names_in_.tolist() == ["x", "y", "sum"]


def test_elbow_takes_the_columns_that_cluster_takes(people):
    table = people.assign(city="a", id=np.arange(ROWS) * 3)
    with pytest.warns(ColumnsLeftOutWarning, match=r"elbow\(\) left out 'city' .*'id'"):
        result = elbow(table, k=4, random_state=93)
    expected = elbow(people, k=4, random_state=93)
    np.testing.assert_array_equal(result.inertia, expected.inertia)
    assert result.model(2).feature_names_in_.tolist() == ["x", "y"]
    np.testing.assert_array_equal(result.model(2).predict(table), expected.model(2).labels_)


@pytest.mark.parametrize("of", [pd.DataFrame, np.asarray])
@pytest.mark.parametrize("weighted", [False, True])
def test_elbow_drops_and_fills_missing_values(people, rng, of, weighted):
    weights = rng.uniform(1, 2, ROWS) if weighted else None
    holey = people.copy()
    holey.loc[[3, 30], "y"] = np.nan
    kept = holey.notna().all(axis=1).to_numpy()
    with pytest.warns(UserWarning, match=r"elbow\(\) left out 2 of 60 rows"):
        dropped = elbow(of(holey), k=3, missing="drop", sample_weight=weights, random_state=94)
    expected = elbow(of(holey[kept]), k=3, sample_weight=None if weights is None else weights[kept], random_state=94)
    np.testing.assert_array_equal(dropped.inertia, expected.inertia)
    with pytest.warns(UserWarning, match=r"elbow\(\) filled 2 missing values"):
        filled = elbow(of(holey), k=3, missing="mean", sample_weight=weights, random_state=94)
    expected = elbow(of(holey.fillna(holey.mean())), k=3, sample_weight=weights, random_state=94)
    np.testing.assert_allclose(filled.inertia, expected.inertia, rtol=1e-9)


def test_elbow_refuses_missing_values_by_default_and_other_choices(people):
    holey = people.assign(y=np.nan)
    holey.loc[0, "y"] = 1.0
    with pytest.raises(ValueError, match="contains NaN"):
        elbow(holey, k=2)
    with pytest.raises(ValueError, match="missing must be one of"):
        elbow(people, k=2, missing="median")
