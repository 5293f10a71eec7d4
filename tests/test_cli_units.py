"""Laws of --standardize and of the sentences on the command line: the same results as in Python, and hints in its own words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fastkmeans import KMeans, elbow
from fastkmeans.cli.main import main


@pytest.fixture
def people(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = rng.integers(3, size=120)
    centers = np.array([[30, 82_300], [45, 31_000], [67, 52_000]])[truth]
    frame = pd.DataFrame(centers + rng.normal(size=(120, 2)) * [3, 4_000], columns=["age", "income"])
    frame.to_csv("people.csv", index=False)
    return pd.read_csv("people.csv")


@pytest.mark.parametrize("option", [["--standardize"], ["--standardize", "robust"], ["--standardize=robust"]])
@pytest.mark.parametrize("table_last", [False, True])
def test_fit_and_predict_standardise_as_python_does(people, option, table_last, capsys):
    how = "robust" if "robust" in option[-1] else True
    arguments = [*option, "people.csv"] if table_last else ["people.csv", *option]
    outputs = ["--output", "labelled.csv", "--centers", "centers.csv", "--save", "model.npz"]
    assert main(["fit", "-k", "3", "--seed", "4", *outputs, *arguments]) == 0
    model = KMeans(3, random_state=4, standardize=how).fit(people)
    assert pd.read_csv("labelled.csv")["labels"].tolist() == model.labels_.tolist()
    np.testing.assert_allclose(pd.read_csv("centers.csv")[["age", "income"]], model.cluster_centers_, rtol=1e-14)
    said = capsys.readouterr()
    assert "(of standardised features)" in said.out and "--standardize" not in said.err
    assert main(["predict", "people.csv", "--model", "model.npz", "--output", "again.csv"]) == 0
    assert pd.read_csv("again.csv")["labels"].tolist() == model.labels_.tolist()


def test_elbow_standardises_as_python_does(people, capsys):
    assert main(["elbow", "people.csv", "--standardize", "--output", "table.csv", "-k", "1:5"]) == 0
    expected = elbow(people, 5, standardize=True, random_state=0).inertia
    np.testing.assert_allclose(pd.read_csv("table.csv")["inertia"], expected, rtol=1e-14)
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [["fit", "people.csv", "-k", "2"], ["elbow", "people.csv", "-k", "1:3"]])
def test_a_feature_that_outweighs_the_others_gets_one_hint(people, command, capsys):
    assert main(command) == 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("fastkmeans: warning: 'income' holds ") and line.endswith("add --standardize.")


def test_no_hint_where_units_do_not_decide(people, capsys):
    people.assign(income=people["income"] / 1000).to_csv("alike.csv", index=False)
    np.save("array.npy", people.to_numpy())
    cosine = ["fit", "people.csv", "-k", "2", "--metric", "cosine"]
    for command in (["fit", "alike.csv", "-k", "2"], ["fit", "array.npy", "-k", "2"], cosine):
        assert main(command) == 0
        assert capsys.readouterr().err == ""


def test_fit_says_what_distinguishes_each_cluster(people, capsys):
    assert main(["fit", "people.csv", "-k", "3", "--standardize"]) == 0
    model = KMeans(3, random_state=0, standardize=True).fit(people)
    summary = model.summary(people)
    assert capsys.readouterr().out.splitlines()[-4:] == [*summary.sentences(), summary.legend()]


def test_one_of_each_is_singular(tmp_path, capsys):
    path = tmp_path / "one.csv"
    path.write_text("x\n1.5\n")
    assert main(["fit", str(path), "-k", "1", "--max-iter", "1"]) == 0
    said = capsys.readouterr().out
    assert "1 sample x 1 feature (x)" in said and "1 cluster, inertia" in said and "after 1 iteration, " in said
    assert "1 of 1 row (100 %)" in said
