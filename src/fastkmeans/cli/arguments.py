"""The arguments of the command line."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from math import inf
from typing import NoReturn

from .. import __version__
from ..input.missing import MISSING
from ..metrics.table import METRICS

FAILED = 2
"""Exit status for a wrong argument, file or table."""

LABELLED = ".csv, .tsv, .csv.gz, .parquet; .npy: labels alone; -: standard output"
INITS = ("auto", "k-means++", "random", "random-partition")
PREDICT_MISSING = ("error", "drop")
"""What predict does with missing values: the means of new rows are not those of the fit, which a model file does not hold."""
STANDARDIZE = {"mean": True, "robust": "robust"}
"""Values of --standardize -> of the parameter; without a value it is the first."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"fastkmeans: error: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `command` of what it parses is the name of the command."""
    parser = _Parser(prog="fastkmeans", description="Exact k-means clustering of a table, fast.")
    parser.add_argument("--version", action="version", version=f"fastkmeans {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="cluster the rows of a table")
    _add_table(fit)
    k_help = "number of clusters, or auto: the best of 1..10"
    fit.add_argument("-k", "--n-clusters", required=True, type=_number_or_auto, metavar="K", help=k_help)
    _add_output(fit, "--output", f"the table with a column of labels ({LABELLED})")
    _add_label_name(fit)
    _add_output(fit, "--centers", "label, size and center of each cluster (.csv, .parquet)")
    _add_output(fit, "--plot", "a picture of the clusters (.png, .svg, .pdf)")
    _add_output(fit, "--save", "the model, for fastkmeans predict (.npz)")
    _add_kmeans(fit)

    elbow = commands.add_parser("elbow", help="try several numbers of clusters")
    _add_table(elbow)
    k_help = "numbers to try (default: 1:10)"
    elbow.add_argument("-k", "--k", default="1:10", metavar="FIRST:LAST", help=k_help)
    elbow.add_argument("--gap", action="store_true", help="compute the gap statistic too")
    _add_output(elbow, "--output", "the table with all its columns (.csv, .parquet)")
    _add_output(elbow, "--plot", "a picture of the curve (.png, .svg, .pdf)")
    _add_kmeans(elbow)

    predict = commands.add_parser("predict", help="label the rows of a table with a saved model")
    _add_table(predict, PREDICT_MISSING)
    predict.add_argument("--model", required=True, metavar="FILE", help="what fit --save wrote (.npz)")
    _add_output(predict, "--output", f"the table with a column of labels ({LABELLED})", required=True)
    _add_label_name(predict)
    _add_quiet(predict)

    commands.add_parser("info", help="version, instruction set and threads of this installation")
    return parser


def spelt_out(arguments: Sequence[str]) -> list[str]:
    """Return arguments in which --standardize says its value, so that a table may follow it."""
    return [
        f"{argument}=mean" if argument == "--standardize" and after not in STANDARDIZE else argument
        for argument, after in zip(arguments, [*arguments[1:], ""], strict=False)
    ]


def _add_table(parser: argparse.ArgumentParser, missing: Sequence[str] = MISSING) -> None:
    table_help = (
        "a .csv, .tsv, .txt (also .gz), .parquet or .npy file, one sample per row; -: standard input; a pattern such as "
        "'part-*.npy', or a folder of .parquet: read in blocks"
    )
    parser.add_argument("table", metavar="TABLE", help=table_help)
    columns_help = "the columns to use: names, numbers from 1, ranges such as 2:5 (default: all that are features)"
    parser.add_argument("--columns", type=_names, metavar="A,B,...", help=columns_help)
    what = "rows with missing values: an error, left out" + (
        ", or the mean of the column instead" if "mean" in missing else ""
    )
    parser.add_argument(
        "--missing",
        default=missing[0],
        choices=MISSING,
        metavar="|".join(missing),
        help=f"{what} (default: {missing[0]})",
    )
    header_help = "whether a text file starts with column names (default: look)"
    parser.add_argument("--header", action=argparse.BooleanOptionalAction, help=header_help)

    def add(option: str, convert: Callable[[str], str], what: str) -> None:
        parser.add_argument(option, type=convert, metavar="X", help=f"{what} (default: look)")

    add("--delimiter", _delimiter, "what separates the fields of a text file: one character, or tab, space")
    add("--decimal", _decimal, "the decimal separator: . or ,")
    add("--thousands", _thousands, "the separator of thousands, for example , or space; none")
    add("--encoding", str, "the encoding of a text file, for example cp1252")
    limit_help = "memory to use, for example 4G; more rows are read in blocks (default: a half of what is free)"
    parser.add_argument("--memory-limit", type=bytes_of, metavar="BYTES", help=limit_help)
    cache_help = "folder for what does not fit memory (default: that of temporary files)"
    parser.add_argument("--cache-dir", metavar="FOLDER", help=cache_help)


def _add_output(parser: argparse.ArgumentParser, option: str, what: str, required: bool = False) -> None:
    parser.add_argument(option, metavar="FILE", required=required, help=f"write {what}")


def _add_label_name(parser: argparse.ArgumentParser) -> None:
    what = "name of the column of labels (default: labels)"
    parser.add_argument("--label-name", default="labels", metavar="NAME", help=what)


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def _add_kmeans(parser: argparse.ArgumentParser) -> None:
    def add(option: str, convert: Callable[[str], float | str], default: float | str | None, what: str) -> None:
        parser.add_argument(option, type=convert, default=default, metavar="N", help=what)

    add("--seed", _whole_number(0, 2**32 - 1), 0, "seed of the random starts (default: 0)")
    add("--threads", _whole_number(1), None, "threads to use (default: all that this process may use)")
    add("--n-init", _number_or_auto, "auto", "random starts, the best is kept (default: auto)")
    add("--max-iter", _whole_number(1), 300, "stop after so many iterations (default: 300)")
    add("--tol", _tolerance, 1e-4, "stop when the centers move less, relative to the variance (default: 1e-4)")
    parser.add_argument("--init", default=INITS[0], choices=INITS, help=f"how to start (default: {INITS[0]})")
    parser.add_argument("--metric", default="euclidean", choices=METRICS, help="the distance (default: euclidean)")
    what = "give all features the same weight, for features of different units; robust: by quartiles, not by mean and deviation"
    parser.add_argument("--standardize", nargs="?", const="mean", choices=STANDARDIZE, metavar="robust", help=what)
    _add_quiet(parser)


_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def bytes_of(text: str) -> int:
    """Return a number of bytes, which may end in K, M, G or T (of 1024)."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in _UNITS else (text, "")
    try:
        return int(float(number) * (1 << _UNITS.get(unit, 0)))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected bytes, for example 500M or 4G; got {text!r}") from None


def _whole_number(smallest: int, largest: int = 2**31 - 1) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = smallest - 1
        if not smallest <= number <= largest:
            raise argparse.ArgumentTypeError(f"expected a whole number from {smallest} to {largest}; got {text!r}")
        return number

    return convert


def _number_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return _whole_number(1)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}".replace("expected a", "expected auto or a")) from None


def _tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < inf:
        raise argparse.ArgumentTypeError(f"expected a number that is at least 0; got {text!r}")
    return number


def _names(text: str) -> list[str]:
    """Return the parts between commas; a part in double quotes may hold commas."""
    try:
        names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True, strict=True))]
    except (csv.Error, StopIteration):
        names = []
    if not names:
        raise argparse.ArgumentTypeError(f"expected names between commas; got {text!r}")
    return names


def _delimiter(text: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}.get(text, text)
    if len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
        raise argparse.ArgumentTypeError(f"expected one character, tab or space; got {text!r}")
    return delimiter


def _decimal(text: str) -> str:
    if text not in (".", ","):
        raise argparse.ArgumentTypeError(f"expected . or ,; got {text!r}")
    return text


def _thousands(text: str) -> str:
    separators = {"none": "", "space": " \u00a0\u202f", " ": " \u00a0\u202f"}.get(text, text)
    if text not in (".", ",", "'", " ", "space", "none"):
        raise argparse.ArgumentTypeError(f"expected one of . , ' space none; got {text!r}")
    return separators
