"""The command line: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from time import perf_counter

import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import fastkmeans
from fastkmeans import KMeans, elbow
from fastkmeans.cli import writing
from fastkmeans.cli.main import main
from fastkmeans.cli.reading import read_table
from fastkmeans.storage.whole import whole_file

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(params=["with pyarrow", "without pyarrow"])
def reader(request, monkeypatch):
    """Run a test with pyarrow and as if it were not installed."""
    if request.param == "without pyarrow":
        monkeypatch.setitem(sys.modules, "pyarrow", None)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def X(rng):
    corners = np.repeat([[0.0, 0.0], [0.0, 30.0], [30.0, 0.0]], [20, 30, 50], axis=0)
    return (corners + rng.normal(size=corners.shape)).round(6)


@pytest.fixture
def table(X):
    """A table of three clear clusters with a header and a column of text."""
    lines = [f"row {i},{x},{y}" for i, (x, y) in enumerate(X.tolist())]
    Path("table.csv").write_text("\n".join(["name,x,y", *lines]) + "\n")
    return "table.csv"


@pytest.fixture
def run(capsys):
    """Run a command that must succeed; returns what it printed."""

    def succeed(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (status, err) == (0, "")
        return out

    return succeed


@pytest.fixture
def refuse(capsys, folder):
    """Run a command that must fail with one line and leave no file behind; returns that line."""

    def fail(*arguments):
        before = sorted(folder.rglob("*"))
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert status == 2
        assert out == ""
        assert err.startswith("fastkmeans: error: ")
        assert err.count("\n") == 1
        assert sorted(folder.rglob("*")) == before
        return err

    return fail


def labels_in(path):
    return pyarrow.csv.read_csv(path)["labels"].to_numpy()


# ---------------------------------------------------------------- fit


def test_fit_appends_the_labels_to_the_text_of_every_row(table, X, run, reader):
    run("fit", table, "-k", 3, "--columns", "x,y", "--output", "out.csv")
    labels = KMeans(3, random_state=0).fit(X).labels_
    before = Path(table).read_text().splitlines()
    after = Path("out.csv").read_text().splitlines()
    assert after[0] == before[0] + ",labels"
    assert after[1:] == [f"{line},{label}" for line, label in zip(before[1:], labels, strict=True)]


def test_fit_prints_the_centers_and_quiet_prints_nothing(table, run):
    out = run("fit", table, "-k", 3, "--columns", "x,y")
    lines = out.splitlines()
    assert lines[0] == "table.csv: 100 samples x 2 features (x, y)"
    assert lines[1].startswith("3 clusters, inertia ")
    assert lines[3].split() == ["label", "size", "x", "y"]
    assert sorted(int(line.split()[1]) for line in lines[4:7]) == [20, 30, 50]
    assert sorted(int(line.split()[2]) for line in lines[7:-1]) == [20, 30, 50]
    assert run("fit", table, "-k", 3, "--columns", "x,y", "--quiet") == ""


def test_fit_writes_centers_picture_and_model(table, X, run):
    run("fit", table, "-k", 3, "--columns", "x,y", "--centers", "c.csv", "--plot", "p.png", "--save", "m.npz")
    model = KMeans(3, random_state=0).fit(X)
    centers = pyarrow.csv.read_csv("c.csv").to_pydict()
    assert list(centers) == ["labels", "size", "x", "y"]
    assert centers["size"] == np.bincount(model.labels_).tolist()
    assert np.array_equal(np.column_stack([centers["x"], centers["y"]]), model.cluster_centers_)
    height, width, _ = matplotlib.image.imread("p.png").shape
    assert min(height, width) > 600
    loaded = KMeans.load("m.npz")
    assert np.array_equal(loaded.cluster_centers_, model.cluster_centers_)
    assert loaded.feature_names_in_.tolist() == ["x", "y"]


def test_auto_takes_the_elbow(table, run):
    out = run("fit", table, "-k", "auto", "--columns", "x,y")
    assert "\n3 clusters, " in out
    assert "<- best_k" in out


def test_auto_without_an_elbow_shows_the_way_out(rng, refuse):
    np.save("noise.npy", rng.normal(size=(400, 2)))
    message = refuse("fit", "noise.npy", "-k", "auto", "--output", "out.csv")
    assert re.search(r"no clear clusters between k = 1 and \d+; give a number", message)
    assert re.search(r"fastkmeans elbow noise.npy --k 1:\d+ --plot", message)


def test_options_reach_the_fit(table, X, run):
    options = ["--seed", 77, "--init", "random", "--n-init", 2, "--max-iter", 3, "--tol", 0, "--threads", 1]
    run("fit", table, "-k", 5, "--columns", "x,y", "--save", "m.npz", *options)
    params = {"random_state": 77, "init": "random", "n_init": 2, "max_iter": 3, "tol": 0.0, "n_threads": 1}
    model = KMeans(5, **params).fit(X)
    loaded = KMeans.load("m.npz")
    assert {name: loaded.get_params()[name] for name in params} == params
    assert np.array_equal(loaded.cluster_centers_, model.cluster_centers_)


def test_the_same_command_writes_the_same_bytes(table, run):
    for name in ("1.csv", "2.csv"):
        run("fit", table, "-k", 4, "--columns", "x,y", "--output", name)
    assert Path("1.csv").read_bytes() == Path("2.csv").read_bytes()


def test_warnings_are_one_line_each(capsys):
    Path("t.csv").write_text("a\n1\n1\n1\n")
    assert main(["fit", "t.csv", "-k", "2", "--quiet"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("fastkmeans: warning: Number of distinct clusters (1)")
    assert err.count("\n") == 1


# ---------------------------------------------------------------- elbow


def test_elbow_prints_the_curve_and_marks_the_knee(table, X, run):
    out = run("elbow", table, "--k", "1:6", "--columns", "x,y", "--plot", "e.png", "--output", "e.csv")
    result = elbow(X, 6, random_state=0)
    lines = out.splitlines()
    assert lines[1:-1] == [*result.table_lines(), result.reason]
    assert [line for line in lines if line.endswith("<- best_k")] == [lines[4]]
    assert lines[-1] == f"best k = 3; the curve bends at k = {result.knees['kneedle']} (kneedle)"
    curve = pyarrow.csv.read_csv("e.csv").to_pydict()
    assert list(curve) == list(result.columns())
    assert curve["inertia"] == result.inertia.tolist()
    assert matplotlib.image.imread("e.png").ndim == 3


def test_the_gap_is_printed_and_written_when_asked_for(table, run):
    out = run("elbow", table, "--k", "1:4", "--columns", "x,y", "--gap", "--output", "e.csv")
    assert out.splitlines()[1].split()[-1] == "gap"
    assert {"gap", "gap_se"} <= set(pyarrow.csv.read_csv("e.csv").column_names)
    assert "gap" not in run("elbow", table, "--k", "1:4", "--columns", "x,y")


def test_a_bar_is_for_a_person_who_watches(table, run, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    run("elbow", table, "--k", "1:4", "--columns", "x,y")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["elbow", str(table), "--k", "1:4", "--columns", "x,y"]) == 0
    assert "4/4" in capsys.readouterr().err


def test_elbow_without_a_knee_says_so(rng, run):
    np.save("noise.npy", rng.normal(size=(400, 2)))
    assert run("elbow", "noise.npy").splitlines()[-1].startswith("no clear clusters; the curve ")


def test_a_range_of_k_that_does_not_fit_is_refused(table, refuse):
    assert "got 200" in refuse("elbow", table, "--k", "1:200", "--columns", "x,y", "--plot", "e.png")
    assert "'a:b'" in refuse("elbow", table, "--k", "a:b", "--columns", "x,y")


# ---------------------------------------------------------------- predict


def test_predict_repeats_the_labels_of_fit_in_any_order_of_columns(table, X, run, reader):
    run("fit", table, "-k", 3, "--columns", "x,y", "--output", "fit.csv", "--save", "m.npz")
    Path("turned.csv").write_text("y,note,x\n" + "".join(f"{y},n,{x}\n" for x, y in X.tolist()))
    run("predict", "turned.csv", "--model", "m.npz", "--output", "out.csv")
    assert [line.split(",")[-1] for line in Path("out.csv").read_text().splitlines()] == [
        line.split(",")[-1] for line in Path("fit.csv").read_text().splitlines()
    ]


def test_predict_says_which_column_is_missing(table, run, refuse):
    run("fit", table, "-k", 3, "--columns", "x,y", "--save", "m.npz")
    Path("other.csv").write_text("x,z\n1,2\n3,4\n")
    message = refuse("predict", "other.csv", "--model", "m.npz", "--output", "out.csv")
    assert "other.csv has no column 'y', which the model was fitted on; it has 'x', 'z'" in message


def test_predict_on_an_array_goes_by_position(table, X, run):
    run("fit", table, "-k", 3, "--columns", "x,y", "--save", "m.npz")
    np.save("x.npy", X)
    run("predict", "x.npy", "--model", "m.npz", "--output", "labels.npy")
    assert np.array_equal(np.load("labels.npy"), KMeans(3, random_state=0).fit(X).labels_)


def test_predict_refuses_the_wrong_number_of_features(table, X, run, refuse):
    run("fit", table, "-k", 3, "--columns", "x,y", "--save", "m.npz")
    np.save("x.npy", np.hstack([X, X]))
    assert "4 features" in refuse("predict", "x.npy", "--model", "m.npz", "--output", "out.csv")


@pytest.mark.parametrize("contents", [b"", b"no model", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_model_is_refused(contents, table, refuse):
    Path("m.npz").write_bytes(contents)
    assert "m.npz" in refuse("predict", table, "--model", "m.npz", "--output", "out.csv")
    assert "nothing.npz" in refuse("predict", table, "--model", "nothing.npz", "--output", "out.csv")


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("target", ["out.csv", "out.parquet"])
@pytest.mark.parametrize("source", ["csv", "parquet", "npy"])
def test_every_table_can_be_written_as_every_other(source, target, X, run):
    columns = pa.table({"feature0": X[:, 0], "feature1": X[:, 1]})
    if source == "npy":
        np.save("table.npy", X)
    else:
        write = pyarrow.csv.write_csv if source == "csv" else pyarrow.parquet.write_table
        write(columns, f"table.{source}")
    run("fit", f"table.{source}", "-k", 3, "--output", target, "--centers", "c.parquet")
    written = (pyarrow.csv.read_csv if target.endswith("csv") else pyarrow.parquet.read_table)(target)
    assert written.column_names == ["feature0", "feature1", "labels"]
    assert written.select(columns.column_names).to_pydict() == columns.to_pydict()
    assert written["labels"].to_pylist() == KMeans(3, random_state=0).fit(X).labels_.tolist()
    assert pyarrow.parquet.read_table("c.parquet").num_rows == 3


def test_labels_alone_are_a_npy_file(table, X, run):
    run("fit", table, "-k", 3, "--columns", "x,y", "--output", "labels.npy")
    assert np.array_equal(np.load("labels.npy"), KMeans(3, random_state=0).fit(X).labels_)


def test_a_float32_array_stays_short_in_text(run, X):
    np.save("x.npy", (X * 0.1).astype(np.float32))
    run("fit", "x.npy", "-k", 3, "--output", "out.csv")
    first = Path("out.csv").read_text().splitlines()[1].split(",")[0]
    assert np.float32(first) == np.float32(X[0, 0] * 0.1)
    assert len(first) < 15


LAYOUTS = {  # name -> (text, text of the labelled table with L for a label)
    "header": ("a,b\n1,2\n9,9\n", "a,b,labels\n1,2,L\n9,9,L\n"),
    "no header": ("1,2\n9,9\n", "1,2,L\n9,9,L\n"),
    "no newline at the end": ("a,b\n1,2\n9,9", "a,b,labels\n1,2,L\n9,9,L\n"),
    "blank lines": ("\na,b\n\n1,2\n\n9,9\n\n", "a,b,labels\n1,2,L\n9,9,L\n"),
    "line ends of Windows": ("a,b\r\n1,2\r\n9,9\r\n", "a,b,labels\r\n1,2,L\r\n9,9,L\r\n"),
    "semicolons": ("a;b\n1;2\n9;9\n", "a;b;labels\n1;2;L\n9;9;L\n"),
    "tabs": ("a\tb\n1\t2\n9\t9\n", "a\tb\tlabels\n1\t2\tL\n9\t9\tL\n"),
    "one column": ("a\n1\n9\n", "a,labels\n1,L\n9,L\n"),
    "quotes": ('"a, the\nfirst",b\n"1",2\n9,9\n', '"a, the\nfirst",b,labels\n"1",2,L\n9,9,L\n'),
    "spaces, signs and exponents": ("a,b\n 1 ,+2e0\n9,-9.\n", "a,b,labels\n 1 ,+2e0,L\n9,-9.,L\n"),
    "byte order mark": ("\ufeffa,b\n1,2\n9,9\n", "a,b,labels\n1,2,L\n9,9,L\n"),
    "names beyond ASCII": ("größe,高さ\n1,2\n9,9\n", "größe,高さ,labels\n1,2,L\n9,9,L\n"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_csv_layouts_are_recognised_and_kept(name, run, reader):
    text, labelled = LAYOUTS[name]
    Path("t.csv").write_bytes(text.encode())
    header = ["--no-header"] if name == "no header" else []
    out = run("fit", "t.csv", "-k", 2, "--output", "out.csv", *header)
    assert "2 samples" in out
    written = Path("out.csv").read_bytes().decode()
    assert written in {labelled.replace("L", first, 1).replace("L", second) for first, second in ("01", "10")}


def test_columns_that_are_not_used_come_through_letter_by_letter(reader, capsys):
    Path("t.csv").write_bytes(b'id,note,a\n007,"x, ""y""",1.10\n08,caf\xe9,9\n')
    assert main(["fit", "t.csv", "-k", "2", "--columns", "a", "--output", "out.csv"]) == 0
    assert "t.csv is not UTF-8 text, and was read as cp1252" in capsys.readouterr().err
    lines = Path("out.csv").read_bytes().splitlines()
    kept = [line.rpartition(b",")[0] for line in lines]
    assert kept == [b"id,note,a", b'007,"x, ""y""",1.10', b"08,caf\xe9,9"]


def test_header_can_be_said(run, reader, capsys):
    Path("t.csv").write_text("2019,2020\n1,2\n9,9\n")
    assert main(["fit", "t.csv", "-k", "2"]) == 0
    out, err = capsys.readouterr()
    assert "3 samples x 2 features (feature0, feature1)" in out
    assert (
        err
        == "fastkmeans: note: t.csv seems to have no header; --header reads the names of the columns from its first line\n"
    )
    assert "3 samples x 2 features (feature0, feature1)" in run("fit", "t.csv", "-k", 2, "--no-header")
    assert "2 samples x 2 features (2019, 2020)" in run("fit", "t.csv", "-k", 2, "--header")


BAD_TABLES = {  # what is wrong -> (text, what the message holds)
    "text": ("a,b\n1,2\n3,x\n5,6\n", "t.csv, line 3: column 'b' holds 'x', which is not a finite number"),
    "nothing": ("a,b\n1,2\n3,\n5,6\n", "t.csv, line 3: column 'b' is empty"),
    "nan": ("a,b\n1,2\nnan,4\n", "t.csv, line 3: column 'a' holds 'nan'"),
    "infinity": ("a,b\n1,2\n3,-inf\n", "t.csv, line 3: column 'b' holds '-inf'"),
    "too few fields": ("a,b\n1,2\n3\n", "t.csv, line 3: 1 field(s) where the header has 2"),
    "too many fields": ("a,b\n1,2\n3,4,5\n", "t.csv, line 3: 3 field(s) where the header has 2"),
    "line after a blank one": ("a,b\n\n1,2\n3,x\n", "t.csv, line 4: "),
    "line after a long field": ('a,b\n"1\n",2\n3,x\n', "t.csv, line 4: "),
    "columns of text alone": (
        "n,m\nx,y\nz,u\n",
        "t.csv has no column to cluster by; it has 'n' (text, for example 'x'), 'm' (text, for example 'y'). --columns chooses",
    ),
    "only a header": ("a,b\n", "no samples"),
    "no bytes": ("", "t.csv is empty"),
    "only blank lines": ("\n\n", "t.csv is empty"),
    "a name twice": ("a,b,a\n1,2,3\n", "line 1: column name 'a' appears twice"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_bad_table_is_refused_and_its_line_named(what, refuse, reader):
    text, message = BAD_TABLES[what]
    Path("t.csv").write_text(text)
    assert message in refuse("fit", "t.csv", "-k", 2, "--output", "out.csv")


@pytest.mark.parametrize("header", [[], ["--header"]])
def test_a_chosen_column_of_text_is_refused_and_others_are_not_suggested(header, refuse, reader):
    Path("t.csv").write_text("n,a,m,b\nx,1,y,2\nz,3,u,4\n")
    message = refuse("fit", "t.csv", "-k", 2, "--columns", "n,a,m", *header)
    assert "line 2: not a number in 'n' ('x'), 'm' ('y'); leave such columns out of --columns." in message


def test_bad_parquet_and_npy_files_are_refused(refuse):
    for name in ("t.parquet", "t.npy"):
        Path(name).write_bytes(b"neither of them")
        assert name in refuse("fit", name, "-k", 2)
    np.save("object.npy", np.array([[None]]), allow_pickle=True)
    assert "object.npy is not a plain .npy array" in refuse("fit", "object.npy", "-k", 1)
    np.save("flat.npy", np.arange(5.0))
    assert "Expected 2D array" in refuse("fit", "flat.npy", "-k", 1)
    np.save("nan.npy", np.array([[1.0], [np.nan]]))
    assert "column 'feature0' has no value in row 2, counted from 1" in refuse("fit", "nan.npy", "-k", 1)
    pyarrow.parquet.write_table(pa.table({"n": ["x", "y"], "a": [1, 2]}), "text.parquet")
    assert "text.parquet: column 'n' holds text, no numbers; leave it out of --columns" in refuse(
        "fit", "text.parquet", "-k", 1, "--columns", "n,a"
    )


def test_a_million_rows_are_read_quickly(rng):
    X = rng.normal(size=(1_000_000, 3))
    pyarrow.csv.write_csv(pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}), "big.csv")
    start = perf_counter()
    table = read_table("big.csv")
    assert perf_counter() - start < 5
    assert np.array_equal(table.values, X)
    assert table.values.flags.c_contiguous


def test_a_float_array_is_not_copied():
    np.save("x.npy", np.zeros((5, 2), dtype=np.float32))
    held = read_table("x.npy").values
    while not isinstance(held, np.memmap):  # views of it, and no array with memory of its own
        assert held.base is not None
        held = held.base


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["fit"], "required: TABLE, -k"),
        (["cluster"], "invalid choice: 'cluster'"),
        (
            ["fit", "table.csv", "-k", "three"],
            "-k/--n-clusters: expected auto or a whole number from 1 to 2147483647; got 'three'",
        ),
        (["fit", "table.csv", "-k", "0", "--columns", "x,y"], "expected auto or a whole number from 1"),
        (
            ["fit", "table.csv", "-k", "101", "--columns", "x,y"],
            "-k 101 asks for more clusters than table.csv has samples, 100",
        ),
        (["fit", "table.csv", "-k", "3", "--columns", "x,z"], "no column 'z' in table.csv; it has 'name'"),
        (["fit", "table.csv", "-k", "3", "--init", "best"], "invalid choice: 'best'"),
        (
            ["fit", "table.csv", "-k", "3", "--columns", "x", "--threads", "0"],
            "--threads: expected a whole number from 1",
        ),
        (["fit", "nothing.csv", "-k", "3"], "nothing.csv: No such file or directory"),
        (["fit", "table.xlsx", "-k", "3"], "TABLE: table.xlsx is a spreadsheet; save it as CSV there"),
        (["fit", ".", "-k", "3"], "the folder . holds no .parquet file"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, table, refuse):
    assert message in refuse(*arguments)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (["--output", "nowhere/out.csv"], "--output: there is no folder"),
        (["--output", "out.xlsx"], "--output: out.xlsx is a spreadsheet"),
        (["--plot", "p.txt"], "--plot must end in .png or .svg or .pdf"),
        (["--save", "m.pkl"], "--save must end in .npz"),
        (["--centers", "c.npy"], "--centers must end in .csv or .tsv or .parquet"),
        (["--output", "table.csv"], "--output is the same file as TABLE"),
        (["--output", "a.csv", "--centers", "./a.csv"], "--centers is the same file as --output"),
        (["--output", "folder.csv"], "folder.csv is not a plain file"),
        (["--output", "link.csv"], "is not a plain file"),
    ],
)
def test_a_wrong_output_is_refused_before_the_work(output, message, table, refuse, monkeypatch):
    Path("folder.csv").mkdir()
    Path("link.csv").symlink_to(os.devnull)
    monkeypatch.setattr(KMeans, "fit", lambda *_, **__: pytest.fail("fitted"))
    assert message in refuse("fit", table, "-k", "3", "--columns", "x,y", *output)


def test_a_folder_without_permission_is_refused_before_the_work(table, refuse, monkeypatch):
    def no_permission(path, *_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(writing, "open", no_permission, raising=False)
    monkeypatch.setattr(KMeans, "fit", lambda *_, **__: pytest.fail("fitted"))
    assert "--plot: cannot write in" in refuse("fit", table, "-k", "3", "--columns", "x,y", "--plot", "p.png")


def test_missing_extras_are_named_before_the_work(table, refuse, monkeypatch):
    monkeypatch.setattr(KMeans, "fit", lambda *_, **__: pytest.fail("fitted"))
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "matplotlib", None)
        message = refuse("fit", table, "-k", "3", "--columns", "x,y", "--plot", "p.png")
        assert 'pip install "fastkmeans-core[plot]"' in message
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = refuse("fit", table, "-k", "3", "--columns", "x,y", "--output", "out.parquet")
    assert 'pip install "fastkmeans-core[io]"' in message


def test_an_existing_label_column_is_not_written_over(table, run, refuse):
    run("fit", table, "-k", 3, "--columns", "x,y", "--output", "once.csv")
    command = ["fit", "once.csv", "-k", 2, "--columns", "x,y", "--output", "twice.csv"]
    assert "column 'labels' already; choose another --label-name" in refuse(*command)
    run(*command, "--label-name", "group")
    assert Path("twice.csv").read_text().startswith("name,x,y,labels,group\n")
    assert "plain word" in refuse(*command, "--label-name", "a,b")


def test_columns_of_the_centers_are_not_mixed_up_with_those_of_the_table(refuse):
    Path("t.csv").write_text("size\n1\n9\n")
    assert "'size' of its own" in refuse("fit", "t.csv", "-k", 2, "--centers", "c.csv")


class Stop(Exception):
    """Anything that goes wrong half-way through a write."""


@pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt, OSError])
def test_a_file_is_written_whole_or_not_at_all(kind, folder):
    Path("kept.csv").write_text("before")
    for name in ("kept.csv", "new.csv"):
        with pytest.raises(kind), whole_file(name) as temporary:
            Path(temporary).write_text("half")
            raise kind
    assert [path.name for path in folder.iterdir()] == ["kept.csv"]
    assert Path("kept.csv").read_text() == "before"


def test_a_full_disk_is_one_line_and_leaves_the_old_file(table, refuse, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    Path("labels.npy").write_text("before")
    monkeypatch.setattr(np, "save", full)
    message = refuse("fit", table, "-k", 3, "--columns", "x,y", "--output", "labels.npy")
    assert "No space left on device" in message
    assert Path("labels.npy").read_text() == "before"


def test_a_written_file_has_the_permissions_of_any_new_file(table, run):
    Path("plain").write_text("")
    run("fit", table, "-k", 3, "--columns", "x,y", "--output", "out.csv", "--save", "m.npz")
    assert {Path(name).stat().st_mode for name in ("out.csv", "m.npz")} == {Path("plain").stat().st_mode}


def test_a_link_is_written_through(table, run, folder):
    Path("real.csv").write_text("before")
    Path("link.csv").symlink_to("real.csv")
    run("fit", table, "-k", 3, "--columns", "x,y", "--output", "link.csv")
    assert Path("link.csv").is_symlink()
    assert Path("real.csv").read_text().startswith("name,x,y,labels\n")


def test_ctrl_c_is_one_line_and_130(table, folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal was lost")

    monkeypatch.setattr(KMeans, "fit", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert main(["fit", table, "-k", "3", "--columns", "x,y", "--output", "out.csv"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr() == ("", "fastkmeans: interrupted\n")
    assert [path.name for path in folder.iterdir()] == [table]


# ---------------------------------------------------------------- info and the commands themselves


def test_info_says_what_runs(run):
    lines = run("info").splitlines()
    assert lines[0] == f"fastkmeans        {fastkmeans.__version__} (distribution fastkmeans-core)"
    named = [line.split("  ")[0] for line in lines[1:]]
    assert named == ["instruction set", "threads", "OpenMP", "Python, NumPy"]


def test_info_warns_of_the_other_project_of_this_name(capsys, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"fastkmeans": "9.9"}[name])
    assert main(["info"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("fastkmeans: warning: the distribution fastkmeans 9.9, another project,")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["fit", "--help"], ["elbow", "--help"]])
def test_help_and_version_succeed(arguments, run):
    assert run(*arguments)


def test_warning_filters_are_as_before(table, run):
    before = list(warnings.filters)
    run("fit", table, "-k", 3, "--columns", "x,y")
    assert warnings.filters == before


def in_a_child(*arguments, **options):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "fastkmeans", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, **options)


def test_python_m_fastkmeans_is_the_command(table):
    child = in_a_child("fit", table, "-k", "3", "--columns", "x,y", "--output", "out.csv")
    assert (child.returncode, child.stderr) == (0, "")
    assert sorted(np.bincount(labels_in("out.csv")).tolist()) == [20, 30, 50]
    child = in_a_child("fit", "nothing.csv", "-k", "3")
    assert child.returncode == 2
    assert child.stderr == "fastkmeans: error: nothing.csv: No such file or directory\n"


@pytest.mark.skipif(os.name == "nt", reason="no pipes that break")
def test_a_reader_that_stops_early_is_no_error(table):
    code = "import sys; from fastkmeans.cli.main import main; sys.exit(main(sys.argv[1:]))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", code, "fit", table, "-k", "3", "--columns", "x,y"]
    child = subprocess.run(command, env=env, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert (child.returncode, child.stderr) == (0, "")


@pytest.mark.skipif(not (ROOT / "examples").is_dir(), reason="the repository is not around the tests")
def test_the_example_has_two_clusters_that_are_apart(run):
    example = ROOT / "examples" / "iris.csv"
    assert (
        run("elbow", example, "--k", "1:10", "--plot", "elbow.png")
        .splitlines()[-1]
        .startswith("best k = 2; the curve bends")
    )
    run("fit", example, "-k", 3, "--output", "labelled.csv", "--plot", "clusters.png")
    # The species come in blocks of fifty; the first is the one that stands apart.
    labels = labels_in("labelled.csv")
    assert len(set(labels[:50])) == 1
    assert labels[0] not in labels[50:]
