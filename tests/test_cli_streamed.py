"""The command line over files that are read in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans.cli.main import main
from fastkmeans.sources import rows as reading

pd = pytest.importorskip("pandas")


@pytest.fixture
def X(rng):
    return rng.normal(scale=6.0, size=(4, 3))[rng.integers(4, size=3000)] + rng.normal(size=(3000, 3))


@pytest.fixture
def folder(X, tmp_path, monkeypatch):
    """Files of uneven length, beside the features an identifier and text."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(X, columns=list("abc"))
    frame["id"], frame["city"] = np.arange(len(X)), "x"
    (tmp_path / "parts").mkdir()
    for i, rows in enumerate([slice(0, 700), slice(700, 3000)]):
        frame[rows].reset_index(drop=True).to_parquet(f"parts/{i}.parquet")
        frame[rows].to_csv(f"part-{i}.csv", index=False)
        np.save(f"part-{i}.npy", X[rows])
    return tmp_path


@pytest.fixture(params=[True, False], ids=["in blocks", "loaded"])
def blocks(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(reading, "LOADED_SHARE", 1 << 40)
        monkeypatch.setattr(reading, "BLOCK_BYTES", 1)


def labels_in(path):
    if path.endswith(".npy"):
        return np.load(path)
    return (pd.read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path))["labels"].to_numpy()


@pytest.mark.parametrize("source", ["parts", "parts/*.parquet", "part-*.csv", "part-*.npy"])
@pytest.mark.parametrize("output", ["out.parquet", "out.csv", "out.csv.gz", "out.npy"])
def test_labels_are_written_batch_by_batch(source, output, X, folder, blocks):
    expected = KMeans(4, random_state=0).fit(X)
    assert main(["fit", source, "-k", "4", "--output", output, "--save", "model.npz", "--quiet"]) == 0
    np.testing.assert_array_equal(labels_in(output), expected.labels_)
    assert main(["predict", source, "--model", "model.npz", "--output", f"again-{output}", "--quiet"]) == 0
    np.testing.assert_array_equal(labels_in(f"again-{output}"), expected.labels_)


def test_all_columns_are_kept_and_those_left_out_are_named(X, folder, blocks, capsys):
    assert main(["fit", "parts", "-k", "4", "--output", "out.parquet"]) == 0
    said = capsys.readouterr()
    assert "judged by the first 700 rows, left out 'id' (an identifier), 'city'" in said.err
    assert "3,000 samples x 3 features (a, b, c)" in said.out
    found = pd.read_parquet("out.parquet")
    assert list(found.columns) == ["a", "b", "c", "id", "city", "labels"]
    np.testing.assert_array_equal(found[["a", "b", "c"]].to_numpy(), X)


def test_an_elbow_reads_blocks(folder, blocks, capsys):
    assert main(["elbow", "part-*.npy", "-k", "1:4"]) == 0
    assert "part-*.npy: 3,000 samples x 3 features" in capsys.readouterr().out


def test_a_limit_lets_one_file_be_read_in_blocks(X, folder, blocks):
    assert main(["fit", "part-1.csv", "-k", "4", "--memory-limit", "64M", "--output", "out.csv", "--quiet"]) == 0
    np.testing.assert_array_equal(labels_in("out.csv"), KMeans(4, random_state=0).fit(X[700:]).labels_)


def test_a_file_that_changes_before_it_is_labelled_leaves_no_output(X, folder, blocks, monkeypatch, capsys):
    fit = KMeans.fit

    def then_change(self, *arguments):
        fit(self, *arguments)
        np.save("part-1.npy", X[:10])
        return self

    monkeypatch.setattr(KMeans, "fit", then_change)
    before = {path.name for path in folder.iterdir()}
    assert main(["fit", "part-*.npy", "-k", "4", "--output", "out.csv", "--quiet"]) == 2
    assert "part-*.npy has 710 rows now, and had 3000" in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["part-*.csv", "--missing", "drop"], "--missing drop is for tables in memory"),
        (["part-*.csv", "--delimiter", ";"], "--delimiter is for tables in memory"),
        (["part-*.csv", "--plot", "a.png"], "--plot is for tables in memory"),
        (["part-*", "--quiet"], "TABLE: files must all end in one of .npy, .parquet, .csv, .tsv; got .csv, .npy"),
        (["-", "--memory-limit", "1G"], "the standard input can be read only once"),
        (["part-*.npy", "--memory-limit", "1K"], "memory_limit must be at least 67108864 bytes"),
        (["part-*.npy", "--memory-limit", "much"], "expected bytes, for example 500M or 4G; got 'much'"),
        (["part-*.npy", "--columns", "1"], "--columns is for tables with names"),
        (["none-*.npy"], "no file matches 'none-*.npy'"),
        (["part-*.csv", "--columns", "a,d"], "there is no column 'd' in part-0.csv"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, message, folder, capsys):
    assert main(["fit", *arguments, "-k", "2"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
