"""The columns of a DataFrame that are clustered where nobody chose them, and the warnings that tell of the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ColumnsLeftOutWarning, warn
from .arrays import check_shape
from .columns import describe, describe_marks, feature_columns, list_names, names_of_codes
from .labelled import LABELS
from .tables import select_columns, table_columns


def features_of_table(
    df: Any, caller: str, way_out: str, label_name: str = LABELS, name: str = "the table"
) -> list[Any]:
    """Return the names of the columns that are features; warn of the others, and of features that look like codes.

    caller : what the messages call the function. way_out : what they say to do instead.
    label_name : the name that the column of labels is to have. name : what messages call the table.
    Raises ValueError if no column is a feature.
    """
    check_shape(np.empty(df.shape, dtype=bool), "df")
    columns = table_columns(df, name)
    features = feature_columns(columns, label_name)
    if not features.places:
        raise ValueError(
            f"The table has no column to cluster by; it has {describe(features.left_out)}. {way_out} to choose some of them "
            "all the same, or encode text as numbers first."
        )
    if features.left_out:
        warn(
            f"{caller} left out {describe(features.left_out)}. {way_out} to choose other columns.",
            ColumnsLeftOutWarning,
        )
    codes = names_of_codes(columns, features.places)
    if codes:
        warn(
            f"{caller} took {list_names(codes)} for measures, though such names are often those of codes. {way_out} without them."
        )
    return [columns[place].name for place in features.places]


def warn_of_marks(df: Any, names: list[Any], caller: str) -> None:
    """Warn of columns of text that are read as numbers, such as percents."""
    marks = describe_marks(table_columns(select_columns(df, names), "df"))
    if marks:
        warn(f"{caller} read {marks}.")
