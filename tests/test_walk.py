"""Laws of what the command line says to a user who is at a loss: suggested commands, titles above tables, arrays from a pipe."""

from __future__ import annotations

import io
import shlex
import sys

import numpy as np
import pandas as pd
import pytest

from fastkmeans import ConvergenceWarning, KMeans
from fastkmeans.cli.arguments import make_parser, spelt_out
from fastkmeans.cli.main import main


@pytest.fixture
def cloud(tmp_path, rng, monkeypatch):
    """A table without clusters, and a column with a missing value."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["x", "y", "z, wide"])
    frame.loc[7, "x"] = np.nan
    frame.to_csv("a table.csv", index=False, sep="|")
    return frame


def suggested(said):
    command = next(line for line in said.splitlines() if "fastkmeans elbow" in line).split("fastkmeans elbow ")[1]
    return make_parser().parse_args(spelt_out(["elbow", *shlex.split(command)]))


@pytest.mark.parametrize("command", ["fit", "elbow"])
def test_a_suggested_command_keeps_the_options_and_sweeps_further(cloud, capsys, command):
    options = shlex.split(
        "--standardize robust --missing drop --columns 'x,\"z, wide\"' --delimiter '|' --thousands none --seed 9 --n-init 3 --header"
    )
    number = ["-k", "auto"] if command == "fit" else ["--k", "1:10"]
    status = main([command, "a table.csv", *number, *options])
    captured = capsys.readouterr()
    assert status == (2 if command == "fit" else 0)
    args = suggested(captured.err if command == "fit" else captured.out)
    given = make_parser().parse_args(["elbow", "a table.csv", *options])
    # n_clusters="auto" may have looked further than 10.
    assert args.k in (("1:20", "1:40", "1:80") if command == "fit" else ("1:20",)) and args.plot == "elbow.png"
    assert {**vars(given), "k": args.k, "plot": "elbow.png"} == vars(args)


def test_no_command_is_suggested_where_all_samples_are_equal(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("x,y\n" + "1.5,2.5\n" * 30)
    assert main(["fit", str(tmp_path / "t.csv"), "-k", "auto"]) == 2
    said = capsys.readouterr().err
    assert "All samples are equal" in said and "fastkmeans elbow" not in said


@pytest.mark.parametrize("command", [["fit", "-k", "3"], ["fit", "-k", "3", "--quiet"], ["elbow", "--k", "3:3"]])
def test_a_constant_table_is_warned_of_as_in_python(tmp_path, capsys, command):
    (tmp_path / "t.csv").write_text("x,y\n" + "1.5,2.5\n" * 30)
    with pytest.warns(ConvergenceWarning) as caught:
        KMeans(3).fit(np.full((30, 2), 1.5))
    assert main([command[0], str(tmp_path / "t.csv"), *command[1:]]) == 0
    option = "--k" if command[0] == "elbow" else "-k"
    assert str(caught[0].message).replace("n_clusters", option) in capsys.readouterr().err


@pytest.mark.parametrize(
    "k, words", [("0:3", "--k must hold"), ("1:999", "--k must not go beyond n_samples=30; got 999.")]
)
def test_messages_of_elbow_call_its_option_as_the_documentation_does(tmp_path, capsys, k, words):
    (tmp_path / "t.csv").write_text("x\n" + "".join(f"{i}.5\n" for i in range(30)))
    assert main(["elbow", str(tmp_path / "t.csv"), "--k", k]) == 2
    said = capsys.readouterr().err
    assert words in said and " -k " not in said


@pytest.mark.parametrize("output", ["out.npy", "out.csv"])
def test_an_array_is_read_from_the_standard_input(tmp_path, monkeypatch, blobs, output, seed):
    X, _ = blobs(90, 4, 3, np.float64)
    packed = io.BytesIO()
    np.save(packed, X)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed.getvalue())))
    path = tmp_path / output
    assert main(["fit", "-", "-k", "3", "--columns", "1:3", "--output", str(path), "--seed", str(seed), "--quiet"]) == 0
    labels = np.load(path) if output == "out.npy" else pd.read_csv(path)["labels"]
    np.testing.assert_array_equal(labels, KMeans(3, random_state=seed).fit(X[:, :3]).labels_)
    assert output == "out.npy" or pd.read_csv(path).shape == (90, 5)


def test_a_damaged_array_on_the_standard_input_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x93NUMPY\x01\x00rubbish")))
    assert main(["fit", "-", "-k", "3"]) == 2
    assert "standard input is not a plain .npy array" in capsys.readouterr().err


BODY = "name,x,y\n" + "".join(f"n{i},{i}.5,{i % 3}.25\n" for i in range(20))
TITLES = {"Report of 2024\n": 2, "Report of 2024\n\n": 3, "Report, of 2024\nby: a; b\n\n": 4, '"Sales"\n': 2}


@pytest.mark.parametrize("title", TITLES)
def test_a_title_above_the_header_is_pointed_out(tmp_path, capsys, title):
    (tmp_path / "t.csv").write_text(title + BODY)
    assert main(["fit", str(tmp_path / "t.csv"), "-k", "2"]) == 2
    said = capsys.readouterr().err
    number = TITLES[title]
    assert f"the header seems to be on line {number};" in said and f"tail -n +{number}" in said
    (tmp_path / "t.csv").write_text("".join((title + BODY).splitlines(keepends=True)[number - 1 :]))
    assert main(["fit", str(tmp_path / "t.csv"), "-k", "2"]) == 0


@pytest.mark.parametrize("text", ["a,b,c\n1,2\n3,4\n5,6\n", "a,b\n1,2\n1,2,3\n4,5\n", "x\n1\n2\n3\n"])
def test_other_ragged_files_are_not_said_to_have_a_title(tmp_path, capsys, text):
    (tmp_path / "t.csv").write_text(text)
    main(["fit", str(tmp_path / "t.csv"), "-k", "2"])
    assert "the header seems" not in capsys.readouterr().err


def test_predict_says_why_it_does_not_fill_missing_values(cloud, capsys):
    assert main(["fit", "a table.csv", "-k", "2", "--missing", "drop", "--save", "m.npz", "--quiet"]) == 0
    command = ["predict", "a table.csv", "--model", "m.npz", "--output", "o.csv", "--missing"]
    assert main([*command, "mean"]) == 2
    said = capsys.readouterr().err
    assert "--missing mean is for fit and elbow" in said and "--missing drop" in said
    assert main([*command, "drop"]) == 0
