"""A labelled table that is read again: rows without a label are left out, and missing values are filled as they were for the fit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..types import Floats, Mask
from .matrix import as_matrix
from .tables import column_names, frame_from_columns, is_table, missing_in, select_columns, take_rows

LABELS = "labels"
"""The column in which cluster() writes its labels."""


class Treatment(NamedTuple):
    """What cluster() did with a table, which a model keeps for pictures and summaries of the labelled table.

    label_name : the column of labels.
    means : (n_features,), what stands for missing values; None unless missing values were filled.
    """

    label_name: str = LABELS
    means: Floats | None = None


class LabelledRows(NamedTuple):
    """The rows of a table that a picture or a summary is of.

    table : X as it was passed, or the rows of it that have a label, without missing values where their means are known.
    kept : (n_rows,), which rows of X these are; None if all.
    notes : what was left out or filled, in words.
    """

    table: Any
    kept: Mask | None = None
    notes: tuple[str, ...] = ()


def labelled_rows(X: Any, model: Any = None, label_name: str | None = None) -> LabelledRows:
    """Return the rows of a table that have a label; anything but a table comes back as it is.

    model : may have the Treatment of its fit, as `_treatment`.
    label_name : the column of labels; by default that of the model, else LABELS. A table without it keeps all rows.
    Raises ValueError if no row has a label.
    """
    if not is_table(X):
        return LabelledRows(X)
    treatment: Treatment = getattr(model, "_treatment", None) or Treatment()  # estimators of other libraries have none
    name, kept, notes = label_name or treatment.label_name, None, []
    if name in column_names(X):
        absent = missing_in(X, name)
        if absent.all():
            raise ValueError(f"column {name!r} of X has no label in any row; pass the table that cluster() returned.")
        if absent.any():
            kept = ~absent
            X = take_rows(X, kept)
            notes.append(f"{int(absent.sum()):,} of {len(absent):,} rows left out, which have no label")
    if treatment.means is not None:
        X, n_filled = _filled(X, list(model.feature_names_in_), treatment.means)
        notes += [f"{n_filled:,} missing values filled with the means of the fit"] if n_filled else []
    return LabelledRows(X, kept, tuple(notes))


def _filled(X: Any, names: list[Any], means: Floats) -> tuple[Any, int]:
    """Return the features of a table with means in place of missing values, and how many; X as it is if none is missing."""
    if not set(names) <= set(column_names(X)):
        return X, 0  # whoever reads it says what is wrong
    values = as_matrix(select_columns(X, names)).values
    absent = np.isnan(values)
    if not absent.any():
        return X, 0
    values = np.where(absent, means.astype(values.dtype), values)
    return frame_from_columns(dict(zip(names, values.T, strict=True)), like=X), int(absent.sum())
