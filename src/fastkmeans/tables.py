"""Cluster the rows of a DataFrame and hand back DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .estimators.kmeans import KMeans
from .estimators.progress import fit_with_bar
from .input.tables import frame_from_columns, frame_with_labels, is_table
from .types import AnyArray


class ClusteredTable(NamedTuple):
    """What :func:`cluster` returns.

    Attributes
    ----------
    table : DataFrame
        The input with one more column, the label of each row (int32).
    centers : DataFrame
        One row a cluster: its label, its size (number of rows) and its center.
    model : KMeans
        The fitted estimator, for ``predict``, ``save`` and the rest.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastkmeans import cluster
    >>> table, centers, model = cluster(pd.DataFrame({"x": [0.0, 1.0, 8.0, 9.0]}), 2, random_state=4)
    >>> sorted(centers["size"])
    [2, 2]
    """

    table: Any
    centers: Any
    model: KMeans


def cluster(
    df: Any,
    n_clusters: int | str,
    *,
    columns: Sequence[str] | None = None,
    column_name: str = "labels",
    sample_weight: Any = None,
    progress: bool = False,
    **kmeans_params: Any,
) -> ClusteredTable:
    """Cluster the rows of a DataFrame and return it with a column of labels.

    Parameters
    ----------
    df : DataFrame of shape (n_samples, n_columns)
        A pandas, polars or pyarrow table. It is not changed.
    n_clusters : int or "auto"
        The number of clusters. "auto" chooses among 1, 2, ..., 10; see :class:`KMeans` and :func:`elbow`.
    columns : sequence of str, optional
        The columns to cluster by; all of them by default. They must be numeric and complete.
    column_name : str, default="labels"
        Name of the column of labels in both tables of the result.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each row.
    progress : bool, default=False
        Show a bar that moves with each iteration; needs tqdm (``pip install "fastkmeans-core[progress]"``).
    **kmeans_params
        Any other parameter of :class:`KMeans`, for example ``random_state``.

    Returns
    -------
    ClusteredTable
        ``(table, centers, model)``; both tables are DataFrames of the same library as `df`.

    Raises
    ------
    TypeError
        If `df` is not a DataFrame.
    ValueError
        If a column is missing, incomplete or not numeric, if `column_name` is taken, or if "auto" finds no elbow.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastkmeans import cluster
    >>> df = pd.DataFrame({"city": list("abcd"), "x": [0.0, 1.0, 8.0, 9.0], "y": [0.0, 0.0, 5.0, 5.0]})
    >>> result = cluster(df, 2, columns=["x", "y"], random_state=4)
    >>> sorted(result.centers["x"])
    [0.5, 8.5]
    >>> list(result.table.columns)
    ['city', 'x', 'y', 'labels']
    """
    if not is_table(df):
        raise TypeError(f"cluster() needs a DataFrame; got {type(df).__name__}. For an array use KMeans(...).fit(X).")
    if not hasattr(df, "shape"):
        raise TypeError(f"cluster() needs a loaded table; got a {type(df).__name__}: collect() it first.")
    features = df if columns is None else _select(df, columns)
    names = _column_names(features)
    _check_new_names(names, _column_names(df), column_name)
    model = KMeans(n_clusters, **kmeans_params)
    fit = partial(fit_with_bar, model) if progress else model.fit
    fit(features, sample_weight=sample_weight)
    sizes = np.bincount(model.labels_, minlength=len(model.cluster_centers_))
    centers: dict[str, AnyArray] = {column_name: np.arange(len(sizes), dtype=np.int32), "size": sizes}
    centers |= dict(zip(names, model.cluster_centers_.T, strict=True))
    return ClusteredTable(
        table=frame_with_labels(df, model.labels_, column=column_name),
        centers=frame_from_columns(centers, like=df),
        model=model,
    )


def _select(df: Any, columns: Sequence[str]) -> Any:
    """Return the table with these columns only, whatever its library."""
    if isinstance(columns, str):
        raise TypeError(f"columns must be a list of names; got the text {columns!r}. Pass [{columns!r}].")
    known = _column_names(df)
    for column in columns:
        if column not in known:
            raise ValueError(f"columns names {column!r}, which the table does not have; it has {known}.")
    # The class is asked, not the table, because a pandas column may itself be called "select".
    return df.select(list(columns)) if hasattr(type(df), "select") else df[list(columns)]


def _column_names(df: Any) -> list[Any]:
    return list(df.column_names if hasattr(type(df), "column_names") else df.columns)


def _check_new_names(features: list[Any], columns: list[Any], column_name: str) -> None:
    if column_name in columns:
        raise ValueError(
            f"column_name={column_name!r} is already a column of the table; pass another or drop that one."
        )
    if "size" in (*features, column_name):
        raise ValueError("The table of centers has a column 'size' of its own; rename yours first.")
