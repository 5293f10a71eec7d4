"""Cluster the rows of a DataFrame and hand back DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .errors import warn
from .estimators.kmeans import KMeans
from .estimators.progress import fit_with_bar
from .input.features import features_of_table, warn_of_marks
from .input.labelled import Treatment
from .input.matrix import as_matrix
from .input.missing import check_missing, complete
from .input.sources import is_source
from .input.tables import column_names, frame_from_columns, frame_with_labels, is_table, select_columns, table_columns
from .input.weights import as_weights
from .types import AnyArray

_OWN_SIZE = "The table of centers has a column 'size' of its own; rename yours first."


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
    columns: Sequence[str | int] | None = None,
    column_name: str = "labels",
    missing: str = "error",
    sample_weight: Any = None,
    progress: bool = False,
    **kmeans_params: Any,
) -> ClusteredTable:
    """Cluster the rows of a DataFrame and return it with a column of labels.

    Parameters
    ----------
    df : DataFrame of shape (n_samples, n_columns)
        A pandas, polars or pyarrow table. It is not changed. Files, data sets and lazy tables, as :func:`open_rows` takes them, are
        read into a pyarrow table, if that takes at most a third of the free memory that a fit may use.
    n_clusters : int or "auto"
        The number of clusters. "auto" chooses among 1, 2, ..., 10, or goes on to 40; see :class:`KMeans` and :func:`elbow`.
    columns : sequence of str or int, optional
        The columns to cluster by, by name or by place (0 is the first). By default all columns that are features; the Notes
        tell which are not. A warning names these.
    column_name : str, default="labels"
        Name of the column of labels in both tables of the result.
    missing : {"error", "drop", "mean"}, default="error"
        What is done if values are missing in the columns to cluster by. "error" raises ValueError. "drop" leaves these rows out of
        the fit; in `table` their label is null. "mean" takes the mean of the column in place of a missing value; `table` keeps it
        missing. A warning tells how many.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each row.
    progress : bool, default=False
        Show a bar that moves with each iteration; needs tqdm (``pip install "fastkmeans-core[progress]"``).
    **kmeans_params
        Any other parameter of :class:`KMeans`, for example ``random_state``, or ``standardize=True`` if the columns have
        different units.

    Returns
    -------
    ClusteredTable
        ``(table, centers, model)``; both tables are DataFrames of the same library as `df`.

    Raises
    ------
    TypeError
        If `df` is not a DataFrame.
    ValueError
        If a column of `columns` does not exist or is not numeric, if no column is a feature, if values are missing, if `column_name` is
        taken, or if "auto" finds no clear clusters.

    Warns
    -----
    fastkmeans.errors.ColumnsLeftOutWarning
        If columns are left out.
    FeatureScaleWarning
        If one column holds more than 90 % of the total variance, and neither `standardize` nor metric="cosine" is set.

    Notes
    -----
    Without `columns`, these columns are left out:

    - the index of a pandas table, where it became a column, and columns without a name (``""``, ``"Unnamed: 0"``);
    - text, categories, dates and durations; booleans are kept, as 0 and 1, and text whose every value is a number with the same
      mark of percent or of a currency is kept as these numbers, of which a warning tells;
    - columns without any value;
    - labels of an earlier clustering: whole numbers in a column named label, labels, cluster, clusters or `column_name`;
    - identifiers: whole numbers under a name that ends or begins with the word "id";
    - keys: whole numbers under the name index, idx or row, or a name that ends in key, no, nr, num, number or nummer, if no value occurs
      twice in 20 rows or more, or if the values count the rows in any order;
    - row numbers: whole numbers that rise by exactly 1 from row to row in 10 rows or more, if the name is not that of a time such as year;
    - dates written as whole numbers, such as 20240131;
    - whole numbers that are all beyond 2**53, where float64 does not hold every whole number.

    Whether other whole numbers are codes cannot be known. Those under a name such as zip, phone, code, gender or cust_no are
    clustered, and a warning names them.

    Sparse columns of pandas are filled for the fit, which takes as much memory as dense ones; in `table` they stay sparse. For a table
    of sparse columns only, ``KMeans(...).fit(df.sparse.to_coo())`` fills none.

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
    if is_source(df):
        from .sources.whole import whole_table

        df = whole_table(df)
    _check_table(df)
    _check_label_name(df, column_name)
    names = (
        features_of_table(df, "cluster()", "Pass columns=[...]", column_name)
        if columns is None
        else _chosen(df, columns)
    )
    if "size" in names:
        raise ValueError(_OWN_SIZE)
    features, kept, means = select_columns(df, names), None, None
    warn_of_marks(df, names, "cluster()")
    if _has_missing(features):
        matrix = as_matrix(features, name="df")
        samples = complete(matrix.values, np.array(names, dtype=object), missing)
        warn(f"cluster() {samples.summary}.")
        features, kept = frame_from_columns(dict(zip(names, samples.values.T, strict=True)), like=df), samples.kept
        means = samples.means
    else:
        check_missing("missing", missing)
    if kept is not None:
        weights = as_weights(sample_weight, len(kept))
        sample_weight = None if weights is None else weights[kept]
    model = KMeans(n_clusters, **kmeans_params)
    fit = partial(fit_with_bar, model) if progress else model.fit
    fit(features, sample_weight=sample_weight)
    model._treatment = Treatment(column_name, means)
    sizes = np.bincount(model.labels_, minlength=len(model.cluster_centers_))
    centers: dict[str, AnyArray] = {column_name: np.arange(len(sizes), dtype=np.int32), "size": sizes}
    centers |= dict(zip(names, model.cluster_centers_.T, strict=True))
    return ClusteredTable(
        table=frame_with_labels(df, model.labels_, column=column_name, kept=kept),
        centers=frame_from_columns(centers, like=df),
        model=model,
    )


def _has_missing(features: Any) -> bool:
    columns = [column.values for column in table_columns(features, "df") if column.values is not None]
    return any(bool(np.isnan(values).any()) for values in columns if values.dtype.kind == "f")


def _check_table(df: Any) -> None:
    if not is_table(df):
        raise TypeError(f"cluster() needs a DataFrame; got {type(df).__name__}. For an array use KMeans(...).fit(X).")
    if not hasattr(df, "shape"):
        raise TypeError(f"cluster() needs a loaded table; got a {type(df).__name__}: collect() it first.")


def _check_label_name(df: Any, column_name: str) -> None:
    if column_name in column_names(df):
        raise ValueError(
            f"column_name={column_name!r} is already a column of the table; pass another or drop that one."
        )
    if column_name == "size":
        raise ValueError(_OWN_SIZE)


def _chosen(df: Any, columns: Sequence[str | int]) -> list[Any]:
    """Return the names of columns that are given by name or by place."""
    if isinstance(columns, str):
        raise TypeError(f"columns must be a list of names; got the text {columns!r}. Pass [{columns!r}].")
    known = column_names(df)
    names, places = set(known), range(len(known))
    chosen = [
        known[column] if column not in names and isinstance(column, int) and column in places else column
        for column in columns
    ]
    if not chosen:
        raise ValueError(
            "columns must name at least one column; got none. Pass columns=None for all that are features."
        )
    return list(dict.fromkeys(chosen))
