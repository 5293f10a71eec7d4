"""Tables as people have them: each gives the labels of the right matrix and says what it left out, or is refused in one line.

Every text file is read with pyarrow and without it. Its labelled copy must keep each line as it was.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastkmeans import KMeans, cluster
from fastkmeans.cli.main import main
from fastkmeans.cli.reading import read_table
from fastkmeans.errors import ColumnsLeftOutWarning

N = 30
RNG = np.random.default_rng(20260)
PLACES = np.repeat([[0.0, 0.0], [0.0, 7.0], [9.0, 0.0]], N // 3, axis=0)[RNG.permutation(N)]
X = (PLACES + RNG.normal(scale=0.4, size=(N, 2))).round(2)
LARGE = (np.abs(X) * 1000 + 1000.25).round(2)
WORDS = [f"Herr Müller {chr(97 + i % 26)}" for i in range(N)]
PEOPLE = 1000 + RNG.permutation(N)
DAYS = [f"2024-03-{1 + i:02}" for i in range(N)]


def fitted(matrix, k=3):
    return KMeans(k, random_state=0).fit(np.asarray(matrix, dtype=np.float64))


def labels_of(matrix):
    return fitted(matrix).labels_.tolist()


def rows_of(path, delimiter=","):
    """The fields of a CSV file, which may be a file of columns without a header."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def centers_in(path):
    """The names of the features and the centers that --centers wrote."""
    header, *rows = rows_of(path)
    assert header[:2] == ["labels", "size"]
    return header[2:], np.array([[float(field) for field in row[2:]] for row in rows])


def with_comma(value):
    return str(value).replace(".", ",")


def german(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def text(names, *columns, sep=",", end="\n", write=str):
    """A text file; numbers are written by `write`, texts as they are."""
    rows = [sep.join(value if isinstance(value, str) else write(value) for value in row) for row in zip(*columns)]
    return "".join(line + end for line in ([] if names is None else [sep.join(names)]) + rows)


def pandas_csv(frame, **options):
    out = io.StringIO()
    frame.to_csv(out, **options)
    return out.getvalue()


A, B = X.T
FRAME = pd.DataFrame({"a": A, "b": B})
SHUFFLED = FRAME.sample(frac=1.0, random_state=3)


class Right(NamedTuple):
    """A text file that is to be clustered.

    content : text, or bytes. names, matrix : of the features. says : what the lines on stderr match, with " & " between them. rows : of those with a label.
    """

    content: str | bytes
    names: list[str] = ["a", "b"]
    matrix: np.ndarray = X
    says: str = ""
    options: tuple[str, ...] = ()
    file: str = "t.csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    rows: np.ndarray | None = None


PLAIN = text("ab", A, B)
HOLES = PLAIN.splitlines()
HOLES[3] = f"NA,{B[2]}"
HOLES[8] = f"{A[7]},"
HOLES[20] = f"{A[19]},-"
HOLES = "\n".join(HOLES) + "\n"
COMPLETE = np.delete(np.arange(N), [2, 7, 19])
HOLED = X.copy()
HOLED[[2, 7, 19], [0, 1, 1]] = np.nan
FILLED = np.where(np.isnan(HOLED), np.nanmean(HOLED, axis=0), HOLED)
QUOTED = '"a, in ""cm""",b\n' + PLAIN.split("\n", 1)[1]
ID = r"left out 'ID' \(an identifier\); --columns chooses"

RIGHT = {
    "commas": Right(PLAIN),
    "semicolons": Right(PLAIN.replace(",", ";"), delimiter=";"),
    "tabs": Right(PLAIN.replace(",", "\t"), delimiter="\t"),
    "pipes": Right(PLAIN.replace(",", "|"), delimiter="|"),
    "spaces": Right(PLAIN.replace(",", " "), file="t.txt", delimiter=" "),
    "columns of spaces": Right(PLAIN.replace(",", "   "), file="t.txt", delimiter=" "),
    "a delimiter that is told": Right(PLAIN.replace(",", "!"), options=("--delimiter", "!"), delimiter="!"),
    "tsv": Right(PLAIN.replace(",", "\t"), file="t.tsv", delimiter="\t"),
    "gz": Right(gzip.compress(PLAIN.encode()), file="t.csv.gz"),
    "bz2": Right(bz2.compress(PLAIN.encode()), file="t.csv.bz2"),
    "xz": Right(lzma.compress(PLAIN.replace(",", "\t").encode()), file="t.tsv.xz", delimiter="\t"),
    "standard input": Right(PLAIN, file="-"),
    "standard input packed": Right(gzip.compress(PLAIN.encode()), file="-"),
    "Excel, UTF-8": Right(("\ufeff" + text("ab", A, B, end="\r\n")).encode()),
    "Excel, Unicode text": Right(text("ab", A, B, sep="\t", end="\r\n").encode("utf-16"), delimiter="\t"),
    "Excel, sep=": Right("sep=;\r\n" + text("ab", A, B, sep=";", end="\r\n"), delimiter=";"),
    "German Excel, ANSI": Right(
        text(["Größe", "b"], A, B, sep=";", end="\r\n", write=with_comma).encode("cp1252"),
        ["Größe", "b"],
        says="not UTF-8 text, and was read as cp1252",
        delimiter=";",
        encoding="cp1252",
    ),
    "German Excel, UTF-8": Right(
        ("\ufeff" + text(["Größe", "b"], A, B, sep=";", end="\r\n", write=with_comma)).encode(), ["Größe", "b"], delimiter=";"
    ),
    "German thousands": Right(text("ab", *LARGE.T, sep=";", write=german), matrix=LARGE, delimiter=";"),
    "English thousands": Right(text("ab", *LARGE.T, sep=";", write="{:,}".format), matrix=LARGE, delimiter=";"),
    "English thousands in quotes": Right(text("ab", *LARGE.T, write='"{:,}"'.format), matrix=LARGE, delimiter=","),
    "Swiss thousands": Right(
        text("ab", *LARGE.T, sep=";", write=lambda x: f"{x:,}".replace(",", "'")), matrix=LARGE, delimiter=";"
    ),
    "French thousands": Right(
        text("ab", *LARGE.T, sep=";", write=lambda x: f"{x:,}".replace(",", "\u202f").replace(".", ",")), matrix=LARGE, delimiter=";"
    ),
    "thousands that are told": Right(
        text("ab", *LARGE.round().T, sep=";", write="{:,.0f}".format),
        matrix=LARGE.round(),
        options=("--thousands", ","),
        delimiter=";",
    ),
    "a decimal comma that is told": Right(
        text("ab", *(LARGE.round().T), sep=";", write="{:,.0f}".format),
        matrix=LARGE.round() / 1000,
        options=("--decimal", ","),
        delimiter=";",
    ),
    "points that may separate thousands": Right(
        text("ab", *(LARGE.round().T), sep=";", write=lambda x: f"{x:,.0f}".replace(",", ".")),
        matrix=LARGE.round() / 1000,
        says="was read as a number with a decimal point; --thousands . reads it as",
        delimiter=";",
    ),
    "one column of decimal commas": Right(
        text("a", A, write=with_comma), ["a"], X[:, :1], delimiter=";"
    ),
    "pandas with its index": Right(pandas_csv(FRAME), says=r"left out a column without a name \(row numbers or row names\)"),
    "pandas, shuffled": Right(pandas_csv(SHUFFLED), matrix=SHUFFLED, says="left out a column without a name"),
    "pandas, written twice": Right(
        pandas_csv(pd.read_csv(io.StringIO(pandas_csv(FRAME)))), says="left out a column without a name .*, 'Unnamed: 0'"
    ),
    "pandas, a column it named": Right(
        pandas_csv(pd.read_csv(io.StringIO(pandas_csv(FRAME))), index=False), says=r"left out 'Unnamed: 0' \(a column without a name\)"
    ),
    "pandas, semicolons and decimal commas": Right(pandas_csv(FRAME, sep=";", decimal=",", index=False), delimiter=";"),
    "polars": Right(pl.DataFrame({"a": A, "b": B}).write_csv()),
    "numpy.savetxt": Right(
        text(None, A, B, sep=" ", write="{:.18e}".format),
        ["feature0", "feature1"],
        says="seems to have no header",
        file="t.txt",
        delimiter=" ",
    ),
    "R, write.csv": Right(
        text(['""', '"a"', '"b"'], [f'"{i + 1}"' for i in range(N)], A, B), says="left out a column without a name"
    ),
    "R, write.table": Right(
        text(['"a"', '"b"'], [f'"{i + 1}"' for i in range(N)], A, B, sep=" "), says="without a name", file="t.txt", delimiter=" "
    ),
    "R, names of rows": Right(text(["", "a", "b"], WORDS, A, B), says="without a name"),
    "an id": Right(text(["ID", "a", "b"], range(7, 7 + N), A, B), says=ID),
    "ids in any order": Right(text(["customer_id", "a", "b"], RNG.permutation(N), A, B), says=r"'customer_id' \(an identifier\)"),
    "ids that repeat": Right(text(["PassengerId", "a", "b"], [5, 6] * (N // 2), A, B), says=r"'PassengerId' \(an identifier\)"),
    "keys": Right(text(["Key", "a", "b"], RNG.permutation(1000)[:N], A, B), says=r"'Key' \(an identifier: no value occurs twice\)"),
    "keys that count in any order": Right(
        text(["Kunden_Nr", "a", "b"], 1 + RNG.permutation(N), A, B), says=r"'Kunden_Nr' \(an identifier: no value"
    ),
    "numbers of something": Right(
        text(["number_of_people", "a"], PEOPLE, A),
        ["number_of_people", "a"],
        np.column_stack([PEOPLE, A]),
    ),
    "numbers that repeat": Right(
        text(["no_of_rooms", "a"], [1, 2, 9] * (N // 3), A), ["no_of_rooms", "a"], np.column_stack([[1, 2, 9] * (N // 3), A])
    ),
    "a counter": Right(text(["Zeile", "a", "b"], range(1, N + 1), A, B), says=r"'Zeile' \(row numbers: they rise by 1"),
    "huge numbers": Right(text(["IBAN", "a", "b"], RNG.integers(10**17, 10**18, N), A, B), says=r"'IBAN' \(.*beyond 2\*\*53"),
    "an id that is chosen": Right(
        text(["id", "a"], range(N), A), ["id", "a"], np.column_stack([range(N), A]), options=("--columns", "id,a")
    ),
    "earlier labels": Right(
        text(["a", "b", "labels"], A, B, np.arange(N) % 4),
        says=r"'labels' \(labels of an earlier clustering\)",
        options=("--label-name", "group"),
    ),
    "earlier labels, some missing": Right(
        text(["a", "b", "Cluster"], A, B, ["", "0", "1"] * (N // 3)), says=r"'Cluster' \(labels of an earlier clustering\)"
    ),
    "years": Right(text(["year", "a"], range(1990, 1990 + N), A), ["year", "a"], np.column_stack([range(1990, 1990 + N), A])),
    "ages": Right(text(["age", "a"], [20, 21, 60] * (N // 3), A), ["age", "a"], np.column_stack([[20, 21, 60] * (N // 3), A])),
    "codes with leading zeros": Right(
        text(["zip", "a", "b"], [f"0{1067 + 5 * i}" for i in range(N)], A, B), says=r"'zip' \(codes with leading zeros, for example '01067'\)"
    ),
    "months": Right(
        text(["month", "a"], ["01", "07", "12"] * (N // 3), A), ["month", "a"], np.column_stack([[1, 7, 12] * (N // 3), A])
    ),
    "words that end in id": Right(text(["humid", "paid"], A, B), ["humid", "paid"]),
    "text": Right(text(["name", "a", "b"], WORDS, A, B), says=r"left out 'name' \(text, for example 'Herr Müller a'\)"),
    "text with line breaks": Right(
        text(["name", "a", "b"], ['"two\nlines, and ""more"""'] * N, A, B), says="left out 'name'"
    ),
    "dates": Right(text(["day", "a", "b"], DAYS, A, B), says=r"'day' \(dates, for example '2024-03-01'\)"),
    "German dates": Right(
        text(["Tag", "a", "b"], [f"{1 + i}.03.2024" for i in range(N)], A, B, sep=";", write=lambda x: with_comma(x)),
        says=r"'Tag' \(dates",
        delimiter=";",
    ),
    "booleans": Right(
        text(["a", "smokes"], A, ["True", "False", "FALSE"] * (N // 3)),
        ["a", "smokes"],
        np.column_stack([A, [1.0, 0.0, 0.0] * (N // 3)]),
    ),
    "a column of commas beside one of points": Right(
        text(["a", "b", "c"], A, B, [with_comma(x) for x in A], sep=";"), says="'c' .numbers written otherwise, for example .*--decimal ,", delimiter=";"
    ),
    "percent": Right(
        text(["a", "b", "share"], A, B, [f"{i}%" for i in range(N)]),
        ["a", "b", "share"],
        np.column_stack([A, B, np.arange(N)]),
        says="read 'share' as percent$",
    ),
    "currency": Right(
        text(["a", "b", "price"], A, B, [f"${i}.99" for i in range(N)]),
        ["a", "b", "price"],
        np.column_stack([A, B, np.arange(N) + 0.99]),
        says=r"read 'price' as \$$",
    ),
    "units": Right(
        text(["a", "b", "way"], A, B, [f"{i} km" for i in range(N)]), says=r"'way' \(numbers with a sign .*'0 km'; write"
    ),
    "a delimiter at the end of each line": Right(PLAIN.replace("\n", ",\n"), says=r"without a name \(no values\)"),
    "a delimiter at the end of each row alone": Right(PLAIN.replace("\n", ",\n").replace("a,b,", "a,b"), says=r"without a name \(no values\)"),
    "spaces at the ends of lines": Right(PLAIN.replace(",", " ").replace("\n", " \n"), file="t.txt", delimiter=" "),
    "spaces at the starts of lines": Right("  " + PLAIN.replace(",", " ").replace("\n", "\n  ").rstrip(" "), file="t.txt", delimiter=" "),
    "German numbers with exponents": Right(text("ab", A, B, sep=";", write=lambda x: with_comma(f"{x:.3E}")), delimiter=";"),
    "quoted decimal commas": Right(text("ab", A, B, write=lambda x: f'"{with_comma(x)}"')),
    "R, write.csv2": Right(
        text(['""', '"a"', '"b"'], [f'"{i + 1}"' for i in range(N)], A, B, sep=";", write=with_comma), says="without a name", delimiter=";"
    ),
    "question marks": Right(PLAIN.replace(f"\n{A[4]},", "\n?,"), matrix=np.delete(X, 4, axis=0), says="left out 1 of 30 rows", options=("--missing", "drop"), rows=np.delete(np.arange(N), 4)),
    "a constant": Right(text(["a", "one"], A, [1] * N), ["a", "one"], np.column_stack([A, np.ones(N)])),
    "no values": Right(text(["a", "b", "nothing"], A, B, [""] * N), says=r"'nothing' \(no values\)"),
    "mixed units": Right(text(["age", "income"], A, LARGE[:, 0] * 100), ["age", "income"], np.column_stack([A, LARGE[:, 0] * 100])),
    "exponents": Right(text("ab", A, B, write="{:.8E}".format)),
    "numbers in quotes": Right(text("ab", A, B, write='"{}"'.format)),
    "blank lines": Right(PLAIN.replace("\n", "\n\n")),
    "no line end at the end": Right(PLAIN.rstrip("\n")),
    "old Mac": Right(PLAIN.replace("\n", "\r")),
    "no header": Right(text(None, A, B), ["feature0", "feature1"], says="t.csv seems to have no header; --header reads the names"),
    "no header, text": Right(
        text(None, WORDS, A, B), ["feature1", "feature2"], says="seems to have no header & left out 'feature0'"
    ),
    "a header of numbers": Right(text(["2019", "2020"], A, B), ["2019", "2020"], options=("--header",)),
    "UTF-16 that is told": Right(PLAIN.encode("utf-16-le"), options=("--encoding", "utf-16-le")),
    "no header is told": Right(
        text(None, A, B), ["feature0"], X[:, :1], options=("--no-header", "--columns", "1")
    ),
    "names with commas": Right(QUOTED, ['a, in "cm"', "b"], options=("--columns", '"a, in ""cm""",b')),
    "columns by number": Right(text(["name", "a", "b"], WORDS, A, B), ["b", "a"], X[:, ::-1], options=("--columns", "3,2")),
    "columns by number where several have no name": Right(
        text(["", "", "a", "b"], WORDS, WORDS, A, B), options=("--columns", "3:4")
    ),
    "columns of codes": Right(text(["a", "code", "b"], A, [f"Q{i % 4}" for i in range(N)], B), says="'code' .text, for example 'Q0'"),
    "a decimal point that is told": Right(
        text("ab", *(LARGE.round().T), sep=";", write=lambda x: f"{x:,.0f}".replace(",", ".")),
        matrix=LARGE.round() / 1000,
        options=("--decimal", "."),
        delimiter=";",
    ),
    "columns by range": Right(text(["name", "a", "b"], WORDS, A, B), options=("--columns", "2:3")),
    "columns in another order": Right(PLAIN, ["b", "a"], X[:, ::-1], options=("--columns", "b,a")),
    "many columns": Right(
        text([f"f{i}" for i in range(400)], *np.outer(np.arange(400), A).round(1)),
        [f"f{i}" for i in range(400)],
        np.outer(np.arange(400), A).round(1).T,
    ),
    "long names": Right(text(["a" * 3000, "b"], A, B), ["a" * 3000, "b"]),
    "another encoding": Right(
        text(["вес", "b"], A, B).encode("koi8-r"), ["вес", "b"], options=("--encoding", "koi8-r"),
    ),
    "missing, dropped": Right(
        HOLES, matrix=X[COMPLETE], says="left out 3 of 30 rows, which have missing values", options=("--missing", "drop"), rows=COMPLETE
    ),
    "missing, filled": Right(HOLES, matrix=FILLED, says="filled 3 missing values with the means", options=("--missing", "mean")),
    "missing where it does not matter": Right(text(["a", "gaps", "b"], A, ["", "1", "NA"] * (N // 3), B), options=("--columns", "a,b")),
}  # fmt: skip


class Refused(NamedTuple):
    """A text file, or what goes by its name, that is refused. says : what the one line on stderr matches."""

    content: str | bytes
    says: str
    options: tuple[str, ...] = ("-k", "2")
    file: str = "t.csv"


REFUSED = {
    "missing": Refused(HOLES, r"t\.csv, line 4: column 'a' holds 'NA'\. Rows with missing values: 3 of 30\. --missing drop .* --missing mean"),
    "an empty field": Refused("a,b\n1,2\n3,\n4,5\n", "line 3: column 'b' is empty"),
    "every row has a gap": Refused("a,b\n1,\n,2\n", "--missing drop leaves no row.*Most are in column", ("-k", "1", "--missing", "drop")),
    "either 1.234 or 1234": Refused('a;b\n1,234;5,678\n3,456;4,567\n', "'1,234' is 1.234 with a decimal comma and 1234 .*--decimal , or --thousands ,"),
    "the same in quotes": Refused('a,b\n"1,234",5\n"3,456",4\n', "--decimal , or --thousands ,"),
    "a comma after a thousand lines": Refused("a;b\n" + "1;2\n" * 1100 + "1,5;2\n", "line 1102: column 'a' holds '1,5', .*; --decimal , reads it"),
    "text after numbers": Refused("a,b\n1,2\n3,4\n5,x\n", "line 4: column 'b' holds 'x', which is not a finite number"),
    "a decimal point where a comma was told": Refused(PLAIN.replace(",", ";"), r"'a' \(numbers written otherwise, for example '.*; --decimal \. reads it", ("-k", "1", "--decimal", ",")),
    "no columns": Refused(PLAIN, "--columns: expected names between commas; got ''", ("-k", "1", "--columns", "")),
    "a range that is turned around": Refused(PLAIN, "there is no column '2:1' in t.csv; its columns have the numbers 1 to 2", ("-k", "1", "--columns", "2:1")),
    "infinity": Refused("a,b\n1,2\n3,inf\n", "line 3: column 'b' holds 'inf'"),
    "too large": Refused("a,b\n1,2\n3,1e999\n", "line 3: column 'b' holds '1e999'"),
    "too many fields": Refused("a,b\n1,2\n3,4,5\n", r"line 3: 3 field\(s\) where the header has 2"),
    "a name twice": Refused("a,b,a\n1,2,3\n", "column name 'a' appears twice; rename one"),
    "an open quote": Refused('a,b\n1,2\n"3,4\n', "line 3: unexpected end of data"),
    "nothing": Refused("", r"t\.csv is empty"),
    "a header alone": Refused("a,b\n", "no samples, only a header"),
    "text alone": Refused(text(["name", "day"], WORDS, DAYS), r"no column to cluster by; it has 'name' \(text.*'day' \(dates"),
    "ids alone": Refused(text(["id"], range(N)), r"no column to cluster by; it has 'id' \(an identifier\)"),
    "text that is chosen": Refused("a,n\n1,x\n2,y\n", r"not a number in 'n' \('x'\); leave such columns out", ("-k", "1", "--columns", "a,n")),
    "no such column": Refused(PLAIN, "no column 'c' in t.csv; it has 'a', 'b'", ("-k", "2", "--columns", "c")),
    "no such number": Refused(PLAIN, "no column '3' in t.csv; its columns have the numbers 1 to 2", ("-k", "2", "--columns", "3")),
    "one row": Refused("a,b\n1.5,2.5\n", "-k 2 asks for more clusters than t.csv has samples, 1"),
    "a spreadsheet": Refused(b"PK\x03\x04", "is a spreadsheet; save it as CSV", file="t.xlsx"),
    "no gz": Refused(PLAIN, r"t\.csv\.gz does not unpack as \.gz", file="t.csv.gz"),
    "half a gz": Refused(gzip.compress(PLAIN.encode())[:40], "does not unpack", file="t.csv.gz"),
    "Parquet by another name": Refused(b"PAR1" + bytes(50), "is a Parquet file"),
    "the wrong encoding": Refused(b"a,b\n\xff\xfe,1\n", "is not utf-8 text.*--encoding", ("-k", "1", "--encoding", "utf-8")),
    "UTF-16 without a mark": Refused(PLAIN.encode("utf-16-le"), "--encoding utf-16-le reads it"),
    "UTF-16 without a mark, the other order": Refused(PLAIN.encode("utf-16-be"), "--encoding utf-16-be reads it"),
    "no such encoding": Refused(PLAIN, "there is no encoding 'klingon'", ("-k", "1", "--encoding", "klingon")),
    "a point that is both": Refused(PLAIN, "--decimal and --thousands must differ", ("-k", "1", "--decimal", ",", "--thousands", ",")),
    "a name for the labels that is no word": Refused(PLAIN.replace(",", "|"), "--label-name must be a plain word", ("-k", "1", "--label-name", "a|b")),
    "no whole number": Refused(PLAIN, "-k/--n-clusters: expected auto or a whole number", ("-k", "2.5")),
    "a seed below 0": Refused(PLAIN, "--seed: expected a whole number from 0", ("-k", "2", "--seed", "-1")),
    "threads": Refused(PLAIN, "--threads: expected a whole number from 1", ("-k", "2", "--threads", "0")),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["with pyarrow", "without pyarrow"])
def reader(request, monkeypatch):
    if request.param == "without pyarrow":
        monkeypatch.setitem(sys.modules, "pyarrow", None)


def put(monkeypatch, file, content):
    """Write a file, or make it the standard input if its name is "-"."""
    content = content.encode() if isinstance(content, str) else content
    if file == "-":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    else:
        Path(file).write_bytes(content)


def unpacked(content, file):
    content = content.encode() if isinstance(content, str) else content
    for suffix, unpack in {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}.items():
        content = unpack(content) if file.endswith(suffix) or content[:2] == b"\x1f\x8b" else content
    return content


def test_there_are_at_least_sixty():
    assert len(RIGHT) + len(REFUSED) + len(FRAMES) >= 60


@pytest.mark.parametrize("what", RIGHT)
def test_an_everyday_file_is_clustered_by_its_measures(what, reader, monkeypatch, capsys):
    case = RIGHT[what]
    put(monkeypatch, case.file, case.content)
    status = main(["fit", case.file, "-k", "3", "--output", "out.csv", "--centers", "c.csv", *case.options])
    err = capsys.readouterr().err
    assert status == 0, err
    notes = case.says.split(" & ") if case.says else []
    said = [line for line in err.splitlines() if "add --standardize" not in line]  # of which test_cli_units.py has laws
    assert len(said) == len(notes)
    for line, note in zip(said, notes, strict=True):
        assert line.startswith("fastkmeans: note: ") and re.search(note, line)
    names, centers = centers_in("c.csv")
    assert names == case.names
    assert np.array_equal(centers, fitted(case.matrix).cluster_centers_)

    before = unpacked(case.content, case.file)
    encoding = case.encoding
    if before[:2] == b"\xff\xfe":
        before = before.decode("utf-16").encode()
    elif "--encoding" in case.options:
        before = before.decode(case.options[-1]).encode()
    before = before.removeprefix(b"\xef\xbb\xbf").removeprefix(b"sep=;\r\n").decode(encoding)
    after = Path("out.csv").read_bytes().decode(encoding)
    n_rows = N if case.rows is None else len(case.rows)
    found = [
        line.rpartition(case.delimiter)
        for line in re.split("\r\n|\r|\n", after)
        if line.endswith(tuple("0123456789,;\t "))
    ]
    labels = [label for _, _, label in found][-N:]
    expected = [""] * N
    for row, label in zip(range(N) if case.rows is None else case.rows, labels_of(case.matrix), strict=True):
        expected[row] = str(label)
    assert labels == expected
    assert n_rows == sum(map(bool, labels))
    kept = re.sub(r"[,;\t| !](labels|group|[012]?)(?=\r|\n)", "", after)
    assert kept.split() == before.split()


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_clustered_is_refused_in_one_line(what, reader, monkeypatch, capsys, folder):
    case = REFUSED[what]
    put(monkeypatch, case.file, case.content)
    there = sorted(folder.iterdir())
    assert main(["fit", case.file, *case.options, "--output", "out.csv"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastkmeans: error: ") and err.count("\n") == 1
    assert re.search(case.says, err), err
    assert not re.search(r"n_clusters|random_state|n_threads|max_iter|Traceback", err)
    assert sorted(folder.iterdir()) == there


class Frame(NamedTuple):
    """A DataFrame. names, matrix : of its features. warns : what the warning matches, "" for none. options : of cluster()."""

    frame: object
    names: list = ["a", "b"]
    matrix: np.ndarray = X
    warns: str = ""
    options: dict = {}


def with_column(name, values, make=pd.DataFrame):
    return make({name: values, "a": A, "b": B})


def written_and_read(frame, read=pq.read_table, **options):
    """The frame after it went through a Parquet file."""
    out = io.BytesIO()
    frame.to_parquet(out, **options)
    out.seek(0)
    return read(out)


FRAMES = {
    "pandas": Frame(FRAME),
    "polars": Frame(pl.DataFrame({"a": A, "b": B})),
    "pyarrow": Frame(pa.table({"a": A, "b": B})),
    "pandas, shuffled": Frame(SHUFFLED, matrix=SHUFFLED),
    "pandas from its own csv": Frame(pd.read_csv(io.StringIO(pandas_csv(FRAME))), warns="'Unnamed: 0'"),
    "polars from pandas' csv": Frame(pl.read_csv(io.StringIO(pandas_csv(FRAME))), warns="a column without a name"),
    "pandas, index reset": Frame(FRAME.reset_index(), warns=r"'index' \(an identifier: no value occurs twice\)"),
    "pyarrow from pandas, shuffled": Frame(
        written_and_read(SHUFFLED), matrix=SHUFFLED, warns=r"'__index_level_0__' \(the index of a pandas table\)"
    ),
    "polars from pandas, shuffled": Frame(written_and_read(SHUFFLED, pl.read_parquet), matrix=SHUFFLED, warns="__index_level_0__"),
    "pyarrow from pandas, an index with a name": Frame(
        written_and_read(SHUFFLED.rename_axis("weight")), matrix=SHUFFLED, warns=r"'weight' \(the index of a pandas table\)"
    ),
    "pandas from Parquet": Frame(written_and_read(SHUFFLED, pd.read_parquet), matrix=SHUFFLED),
    "an id in polars": Frame(with_column("id", RNG.permutation(N), pl.DataFrame), warns=r"'id' \(an identifier\)"),
    "an id in pyarrow": Frame(with_column("userID", range(N), lambda c: pa.table({n: list(v) for n, v in c.items()})), warns="'userID'"),
    "an id with gaps": Frame(with_column("id", pd.array([None, *range(N - 1)], dtype="Int64")), warns=r"'id' \(an identifier\)"),
    "an id that is chosen": Frame(with_column("id", range(N)), ["id"], np.arange(N)[:, None], options={"columns": ["id"]}),
    "a counter": Frame(with_column("n", range(100, 100 + N)), warns=r"'n' \(row numbers: they rise by 1"),
    "a counter of floats is a measure": Frame(
        with_column("grid", np.arange(N) * 1.0), ["grid", "a", "b"], np.column_stack([np.arange(N), X])
    ),
    "huge numbers": Frame(with_column("iban", RNG.integers(10**17, 10**18, N)), warns=r"beyond 2\*\*53"),
    "labels of cluster()": Frame(
        cluster(FRAME, 2, random_state=5).table, warns=r"'labels' \(labels of", options={"column_name": "group"}
    ),
    "labels under their own name": Frame(
        with_column("group", np.arange(N) % 3), ["group", "a", "b"], np.column_stack([np.arange(N) % 3, X])
    ),
    "text": Frame(with_column("name", WORDS), warns=r"'name' \(text, for example 'Herr Müller a'\)"),
    "categories": Frame(with_column("name", pd.Categorical(WORDS)), warns=r"'name' \(categories\)"),
    "dates": Frame(with_column("day", pd.to_datetime(DAYS)), warns=r"'day' \(dates\)"),
    "dates in polars": Frame(with_column("day", pl.Series(DAYS).str.to_date(), pl.DataFrame), warns=r"'day' \(dates\)"),
    "durations": Frame(with_column("t", pd.to_timedelta(range(N), unit="D")), warns=r"'t' \(durations\)"),
    "lists": Frame(with_column("l", [[1, 2]] * N, pl.DataFrame), warns=r"'l' \(no numbers: List"),
    "booleans": Frame(with_column("c", np.arange(N) % 2 == 0), ["c", "a", "b"], np.column_stack([np.arange(N) % 2 == 0, X])),
    "Python objects": Frame(with_column("o", [{1}, 2.0] * (N // 2)), warns=r"'o' \(no numbers: Object"),
    "numbers as objects": Frame(FRAME.astype(object)),
    "nothing but nulls": Frame(with_column("z", [None] * N), warns=r"'z' \(no values\)"),
    "a constant": Frame(with_column("one", 1.0), ["one", "a", "b"], np.column_stack([np.ones(N), X])),
    "numbers for names": Frame(pd.DataFrame(X), [0, 1]),
    "chosen by place": Frame(with_column("name", WORDS), ["b", "a"], X[:, ::-1], options={"columns": [2, 1]}),
    "float32": Frame(FRAME.astype(np.float32), matrix=X.astype(np.float32)),
    "missing, dropped": Frame(
        pd.DataFrame(HOLED, columns=["a", "b"]), matrix=X[COMPLETE], warns="left out 3 of 30 rows", options={"missing": "drop"}
    ),
    "missing, filled": Frame(
        pl.DataFrame({"a": HOLED[:, 0], "b": HOLED[:, 1]}), matrix=FILLED, warns="filled 3 missing", options={"missing": "mean"}
    ),
}  # fmt: skip

BAD_FRAMES = {
    "missing": (pd.DataFrame(HOLED, columns=["a", "b"]), {}, r"row 2, column 'a'.*3 of 30\. missing=\"drop\""),
    "no rows": (FRAME[:0], {}, r"0 sample\(s\)"),
    "no columns": (pd.DataFrame(index=range(4)), {}, r"0 feature\(s\)"),
    "text alone": (pd.DataFrame({"name": WORDS}), {}, r"no column to cluster by; it has 'name'"),
    "a name twice": (pd.DataFrame(X, columns=["a", "a"]), {}, "unique column names"),
    "text that is chosen": (with_column("name", WORDS), {"columns": ["name", "a"]}, r"do not hold numbers: 'name'"),
    "infinity": (pd.DataFrame({"a": [1.0, np.inf, 2.0]}), {}, "contains infinity.*row 1, column 'a'"),
}


@pytest.mark.parametrize("what", FRAMES)
def test_an_everyday_frame_is_clustered_by_its_measures(what):
    case = FRAMES[what]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        labelled, centers, model = cluster(case.frame, 3, random_state=0, **case.options)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == bool(case.warns)
    assert not case.warns or re.search(case.warns, messages[0])
    right = KMeans(3, random_state=0).fit(np.asarray(case.matrix, dtype=model.cluster_centers_.dtype))
    assert np.array_equal(model.cluster_centers_, right.cluster_centers_)
    assert np.array_equal(model.labels_, right.labels_)
    assert list(getattr(centers, "column_names", centers.columns))[2:] == case.names
    assert type(labelled) is type(case.frame)
    assert labelled.shape == (N, case.frame.shape[1] + 1)
    if case.names[0] != 0 and "missing" not in case.options:
        assert model.predict(labelled).tolist() == model.labels_.tolist()


@pytest.mark.parametrize("what", BAD_FRAMES)
def test_a_frame_that_cannot_be_clustered_is_refused(what):
    frame, options, message = BAD_FRAMES[what]
    with pytest.raises(ValueError, match=message):
        cluster(frame, 2, **options)


@pytest.mark.parametrize("kind", ["pandas, shuffled", "polars", "pyarrow"])
@pytest.mark.parametrize("target", ["out.parquet", "out.csv"])
def test_an_everyday_parquet_file_keeps_all_its_columns(kind, target, capsys):
    if kind == "pandas, shuffled":
        frame = SHUFFLED.assign(
            name=WORDS, day=pd.to_datetime(DAYS), kind=pd.Categorical(WORDS), member=[True, False] * (N // 2)
        )
        frame.to_parquet("t.parquet")
    else:
        columns = {"a": A, "b": B, "name": WORDS, "day": DAYS, "kind": WORDS, "member": [True, False] * (N // 2)}
        if kind == "polars":
            pl.DataFrame(columns).with_columns(
                pl.col("day").str.to_date(), pl.col("kind").cast(pl.Categorical)
            ).write_parquet("t.parquet")
        else:
            pq.write_table(pa.table({**columns, "kind": pa.array(WORDS).dictionary_encode()}), "t.parquet")
    assert main(["fit", "t.parquet", "-k", "3", "--output", target]) == 0
    err = capsys.readouterr().err
    assert re.search(r"left out 'name' \(text\), 'day' \((dates|text)\), 'kind' \((categories|text)\)", err)
    assert ("'__index_level_0__' (the index of a pandas table)" in err) == (kind == "pandas, shuffled")
    before = pq.read_table("t.parquet")
    matrix = np.column_stack([before[name].to_numpy().astype(float) for name in ("a", "b", "member")])
    if target == "out.parquet":
        after = pq.read_table(target)
        assert after.drop_columns("labels").equals(before)
        assert after["labels"].to_pylist() == labels_of(matrix)
        if kind == "pandas, shuffled":
            assert pd.read_parquet(target).drop(columns="labels").equals(pd.read_parquet("t.parquet"))
    else:
        after = pd.read_csv(target)
        assert after.columns.tolist() == [*before.column_names, "labels"]
        assert after["labels"].tolist() == labels_of(matrix)
        assert after["name"].tolist() == WORDS


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table([[1.0], [2.0]], names=["a", "a"]), "t.parquet: column name 'a' appears twice"),
        (pa.table({"a": pa.array([], pa.float64())}), "t.parquet has no samples"),
        (pa.table({"name": WORDS}), r"no column to cluster by; it has 'name' \(text\)"),
        (
            pa.table({"a": [1.0, None, 3.0]}),
            "column 'a' has no value in row 2, counted from 1. Rows with missing values: 1 of 3",
        ),
    ],
)
def test_a_parquet_file_that_cannot_be_clustered_is_refused(table, says, capsys):
    pq.write_table(table, "t.parquet")
    assert main(["fit", "t.parquet", "-k", "1", "--output", "out.csv"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastkmeans: error: t.parquet") and err.count("\n") == 1 and re.search(says, err)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_parquet_file_of_many_parts_is_read_in_its_own_type(dtype):
    """Integers and booleans that are left out or chosen, with nulls in some parts only, change no bit of the others."""
    numbers = [None if i in (3, 29) else i % 4 for i in range(N)]
    columns = {"id": np.arange(N), "a": A.astype(dtype), "b": B.astype(dtype), "n": pa.array(numbers, pa.int8())}
    pq.write_table(pa.table(columns), "t.parquet", row_group_size=7)
    table = read_table("t.parquet", ["a", "b"])
    assert table.values.dtype == dtype
    assert np.array_equal(table.values, X.astype(dtype))
    pq.write_table(pa.table(columns).drop_columns("n"), "u.parquet", row_group_size=7)
    assert read_table("u.parquet").values.dtype == dtype
    assert np.array_equal(read_table("u.parquet").values, X.astype(dtype))
    table = read_table("t.parquet", missing="drop")
    assert table.names == ["a", "b", "n"]
    rows = np.array([number is not None for number in numbers])
    expected = np.column_stack([X.astype(dtype)[rows], [number for number in numbers if number is not None]])
    assert np.array_equal(table.values, expected)
    assert np.array_equal(table.kept, rows)


PREDICTED = {  # table for predict -> (text, options, what stderr matches)
    "in another order": (text(["b", "note", "a"], B, WORDS, A), (), ""),
    "with labels": (text(["labels", "a", "b"], np.arange(N) % 3, A, B), ("--label-name", "group"), ""),
    "with an id": (text(["id", "a", "b"], range(N), A, B), (), ""),
    "named in another order": (PLAIN, ("--columns", "b,a"), ""),
    "German": (text("ab", A, B, sep=";", write=with_comma), (), ""),
    "without names": (text(None, A, B), (), "t.csv seems to have no header & t.csv has no header; its columns were taken for 'a', 'b'"),
}  # fmt: skip


@pytest.mark.parametrize("what", PREDICTED)
def test_predict_takes_columns_by_name(what, reader, capsys):
    content, options, says = PREDICTED[what]
    Path("fit.csv").write_text(PLAIN)
    Path("t.csv").write_text(content)
    assert main(["fit", "fit.csv", "-k", "3", "--save", "m.npz", "--quiet"]) == 0
    assert main(["predict", "t.csv", "--model", "m.npz", "--output", "out.npy", *options]) == 0
    err = capsys.readouterr().err
    notes = says.split(" & ") if says else []
    assert [note in line for note, line in zip(notes, err.splitlines(), strict=True)] == [True] * len(notes)
    assert np.load("out.npy").tolist() == labels_of(X)


NOT_PREDICTED = {
    "a column less": (text(["a", "c"], A, B), (), "t.csv has no column 'b', which the model was fitted on; it has 'a', 'c'"),
    "other names": (text(["x", "y"], A, B), (), "t.csv has no column 'a', 'b', which the model"),
    "a column more that is named": (text("abc", A, B, A), ("--columns", "a,b,c"), "--columns must name the columns that the model was fitted on, 'a', 'b'"),
    "without names, a column more": (text(None, A, B, A), (), r"m.npz was fitted on 2 features ('a', 'b'), and t.csv has 3 features"),
    "missing": (HOLES, (), "line 4: column 'a' holds 'NA'"),
    "the mean of other rows": (HOLES, ("--missing", "mean"), "--missing mean is for fit and elbow"),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_PREDICTED)
def test_predict_refuses_other_columns(what, capsys):
    content, options, says = NOT_PREDICTED[what]
    Path("fit.csv").write_text(PLAIN)
    Path("t.csv").write_text(content)
    assert main(["fit", "fit.csv", "-k", "3", "--save", "m.npz", "--quiet"]) == 0
    assert main(["predict", "t.csv", "--model", "m.npz", "--output", "out.npy", *options]) == 2
    err = capsys.readouterr().err
    assert says in err.splitlines()[-1]
    assert not Path("out.npy").exists()


def test_a_model_without_names_takes_as_many_features(capsys):
    np.save("x.npy", X)
    assert main(["fit", "x.npy", "-k", "3", "--save", "m.npz", "--quiet"]) == 0
    for content, status in ((text(["id", "a", "b"], range(N), A, B), 0), (text("abc", A, B, A), 2)):
        Path("t.csv").write_text(content)
        assert main(["predict", "t.csv", "--model", "m.npz", "--output", "out.npy"]) == status
    assert (
        "m.npz was fitted on 2 features, and t.csv has 3 features ('a', 'b', 'c'); choose 2" in capsys.readouterr().err
    )
    assert np.load("out.npy").tolist() == labels_of(X)


def test_predict_leaves_rows_with_gaps_without_a_label(reader, capsys):
    Path("fit.csv").write_text(PLAIN)
    Path("t.csv").write_text(HOLES)
    assert main(["fit", "fit.csv", "-k", "3", "--save", "m.npz", "--quiet"]) == 0
    labels = np.array(labels_of(X))
    labels[[2, 7, 19]] = -1
    for target in ("out.npy", "out.tsv"):
        assert main(["predict", "t.csv", "--model", "m.npz", "--output", target, "--missing", "drop"]) == 0
    assert np.load("out.npy").tolist() == labels.tolist()
    assert [row[-1] or "-1" for row in rows_of("out.tsv", "\t")] == ["labels", *map(str, labels)]


@pytest.mark.parametrize("delimiter", [";", " ", "  "])
def test_a_text_file_becomes_a_parquet_file(delimiter, capsys):
    """Numbers, with separators of thousands too, are numbers there; codes with leading zeros, dates and text are kept."""
    zips = [f"0{i:04}" for i in range(N)]
    names = ["zip", "a", "day", "word", "big"]
    big = LARGE[:, 0] if delimiter == ";" else A
    content = text(
        names,
        zips,
        A,
        DAYS,
        [word.replace(" ", "_") for word in WORDS],
        big,
        sep=delimiter,
        write=german if delimiter == ";" else str,
    )
    Path("t.csv").write_text(content)
    assert main(["fit", "t.csv", "-k", "3", "--output", "out.parquet", "--columns", "a,big"]) == 0
    after = pq.read_table("out.parquet")
    assert after.column_names == [*names, "labels"]
    assert after["zip"].to_pylist() == zips
    assert after["a"].to_pylist() == A.tolist()
    assert after["big"].to_pylist() == big.tolist()
    assert [str(day) for day in after["day"].to_pylist()] == DAYS
    assert after["labels"].to_pylist() == labels_of(np.column_stack([A, big]))


@pytest.mark.parametrize("source", ["t.parquet", "t.npy", "t.csv"])
@pytest.mark.parametrize("target", ["out.parquet", "out.csv", "out.npy", "out.tsv.gz"])
def test_rows_that_were_left_out_have_no_label_in_any_file(source, target, capsys):
    frame = pd.DataFrame(HOLED, columns=["a", "b"])
    frame.to_parquet("t.parquet")
    np.save("t.npy", HOLED)
    Path("t.csv").write_text(HOLES)
    assert main(["fit", source, "-k", "3", "--output", target, "--missing", "drop"]) == 0
    assert "left out 3 of 30 rows" in capsys.readouterr().err
    if target == "out.npy":
        labels = np.load(target).tolist()
    elif target == "out.parquet":
        labels = [-1 if label is None else label for label in pq.read_table(target)["labels"].to_pylist()]
    else:
        separator = "\t" if "tsv" in target else ","
        labels = pd.read_csv(target, sep=separator)["labels"].fillna(-1).astype(int).tolist()
    expected = np.full(N, -1)
    expected[COMPLETE] = labels_of(X[COMPLETE])
    assert labels == expected.tolist()


@pytest.mark.parametrize("target", ["out.csv.gz", "out.csv.bz2", "out.tsv.xz"])
def test_packed_files_have_the_same_bytes_each_time(target, folder):
    Path("t.csv").write_text(PLAIN)
    written = []
    for name in ("one", "two"):
        Path(name).mkdir()
        assert main(["fit", "t.csv", "-k", "3", "--output", f"{name}/{target}", "--quiet"]) == 0
        written.append(Path(name, target).read_bytes())
    assert written[0] == written[1]


def test_a_large_file_keeps_every_line(monkeypatch, reader):
    """Labels are appended to many lines at once, whatever ends them; a blank line is no row."""
    monkeypatch.setattr("fastkmeans.cli.csv_labels._LINES_AT_ONCE", 7)
    for end, extra in (("\n", ""), ("\r\n", ""), ("\n", "\n"), ("\r\n", "\r\n\r\n")):
        lines = text("ab", A, B).splitlines()
        Path("t.csv").write_bytes((end.join(lines) + extra).encode())
        assert main(["fit", "t.csv", "-k", "3", "--output", "out.csv", "--quiet"]) == 0
        expected = [f"{line},{label}" for line, label in zip(lines, ["labels", *labels_of(X)], strict=True)]
        assert Path("out.csv").read_bytes().decode().removesuffix(end).removesuffix("\n") == end.join(expected)


@pytest.mark.parametrize("target", ["-", "out.csv.gz", "out.tsv", "out.csv.xz"])
@pytest.mark.parametrize("source", ["t.csv", "t.npy"])
def test_labelled_tables_are_written_to_anything(source, target, reader, monkeypatch, capfdbinary):
    Path("t.csv").write_text(PLAIN)
    np.save("t.npy", X)
    assert main(["fit", source, "-k", "3", "--output", target]) == 0
    out, err = capfdbinary.readouterr()
    content = out if target == "-" else unpacked(Path(target).read_bytes(), target)
    after = pd.read_csv(io.BytesIO(content), sep="\t" if target == "out.tsv" else ",")
    assert np.array_equal(after.iloc[:, :2], X)
    assert after["labels"].tolist() == labels_of(X)
    report = err if target == "-" else out
    assert f"{source}: 30 samples x 2 features" in report.decode()
    assert (err if target != "-" else b"") == b""


def test_elbow_reads_the_same_tables(capsys):
    Path("t.csv").write_text(text(["id", "a", "b"], range(N), A, B, sep=";", write=with_comma))
    assert main(["elbow", "t.csv", "-k", "1:4", "--output", "-", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert pd.read_csv(io.StringIO(out))["k"].tolist() == [1, 2, 3, 4]
    assert err == "fastkmeans: note: left out 'id' (an identifier); --columns chooses other columns\n"


@pytest.mark.parametrize("seed", range(3))
def test_numbers_with_separators_are_read_to_the_last_bit(seed, reader):
    rng = np.random.default_rng([20261, seed])
    values = rng.normal(size=(400, 5)) * 10.0 ** rng.integers(-3, 9, size=(400, 5))
    lines = [";".join(f"{value:,.6f}".translate(str.maketrans(",.", ".,")) for value in row) for row in values]
    Path("t.csv").write_text("\n".join(["a;b;c;d;e", *lines]))
    assert main(["fit", "t.csv", "-k", "1", "--centers", "c.csv", "--quiet"]) == 0
    expected = np.array([[float(f"{value:.6f}") for value in row] for row in values])
    assert np.array_equal(centers_in("c.csv")[1], fitted(expected, 1).cluster_centers_)


def test_columns_left_out_are_a_warning_that_can_be_turned_off():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnsLeftOutWarning)
        assert cluster(with_column("name", WORDS), 2).model.n_features_in_ == 2
