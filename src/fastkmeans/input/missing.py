"""Samples with missing values: refused, left out, or filled with the mean of the feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..types import Floats, Mask, Names, Values
from .parameters import check_name

MISSING = ("error", "drop", "mean")


class Complete(NamedTuple):
    """Samples without missing values.

    values : (n_kept, n_features).
    kept : (n_samples,) bool, which samples these are; None if all.
    summary : what was left out or filled, in words; "" if nothing was.
    means : (n_features,), what stands for missing values; None if none was filled.
    """

    values: Values
    kept: Mask | None
    summary: str
    means: Floats | None = None


def complete(
    values: Values,
    names: Names,
    missing: str,
    option: str = 'missing="{}"',
    say_where: Callable[[int, int], str] | None = None,
) -> Complete:
    """Leave out or fill the samples with missing values (NaN).

    values : (n_samples, n_features), not changed.
    missing : one of MISSING. "error" refuses missing values; "drop" leaves out samples that have one; "mean" puts the mean of
        the known values of the feature in its place.
    option : how the user sets `missing`, for messages, with {} for the choice.
    say_where : says in a sentence which value is missing, from its row and column; by default by their numbers and names.
    Raises ValueError if values are missing and that is an error, or if no sample or no value of a feature is left.
    """
    check_missing("missing", missing)
    # A sum is NaN if a value is, and is had without an array of bool.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.add.reduce(values, axis=None)):
            return Complete(values, None, "")
    absent = np.isnan(values)
    rows: Mask = np.logical_or.reduce(absent, axis=1)
    if not rows.any():
        return Complete(values, None, "")
    if missing == "error":
        row = int(rows.argmax())
        column = int(absent[row].argmax())
        where = f"The table contains NaN. The first is in row {row}, column {names[column]!r}; a null counts as one."
        raise ValueError(_refusal(rows, where if say_where is None else say_where(row, column), option))
    if missing == "drop":
        if rows.all():
            raise ValueError(
                f"{option.format('drop')} leaves no row: each of the {len(rows):,} has a missing value. {_most(absent, names)}"
            )
        summary = f"left out {rows.sum():,} of {len(rows):,} rows, which have missing values"
        kept: Mask = np.logical_not(rows)
        return Complete(values.compress(kept, axis=0), kept, summary)
    means = _means(values, absent, names)
    summary = f"filled {absent.sum():,} missing values with the means of their columns"
    return Complete(np.where(absent, means.astype(values.dtype), values), None, summary, means)


def check_missing(name: str, value: object) -> None:
    """Raise ValueError or TypeError if a parameter is none of MISSING."""
    check_name(name, value, MISSING)


def _means(values: Values, absent: Mask, names: Names) -> Floats:
    """Return the mean of the known values of each feature."""
    known = len(values) - absent.sum(axis=0)
    if not known.all():
        raise ValueError(f"column {names[int(known.argmin())]!r} has no values, so no mean; leave the column out.")
    means: Floats = np.where(absent, 0.0, values).sum(axis=0, dtype=np.float64) / known
    return means


def _refusal(rows: Mask, where: str, option: str) -> str:
    return (
        f"{where} Rows with missing values: {rows.sum():,} of {len(rows):,}. {option.format('drop')} leaves these rows out, "
        f"{option.format('mean')} takes the mean of the column instead."
    )


def _most(absent: Mask, names: Names) -> str:
    counts = absent.sum(axis=0)
    return f"Most are in column {names[int(counts.argmax())]!r} ({counts.max():,}); leave it out."
