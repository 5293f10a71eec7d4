"""Files and lazy tables read whole, with the columns that are not clustered, if memory allows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ..input.sources import is_open, is_path
from .arrow import import_pyarrow, whole_batches
from .rows import LOADED_SHARE, default_limit
from .table import files_of


def whole_table(X: Any) -> Any:
    """Return files, a data set, or a lazy table as a pyarrow table.

    Raises ValueError if it takes more than a third of the default memory limit, TypeError if X is nothing of the kind.
    """
    pyarrow = import_pyarrow("a table that is not loaded")
    most, n_bytes, batches = default_limit() // LOADED_SHARE, 0, []
    for batch in _batches_of(X):
        n_bytes += batch.nbytes
        if n_bytes > most:
            raise ValueError(
                f"df must take at most {most:,} bytes, the third of the default memory limit, because cluster() returns it with labels; "
                "label larger tables by `fastkmeans fit TABLE -k K --output FILE`, or by KMeans(K).fit(open_rows(...))."
            )
        batches.append(batch)
    if not batches:
        raise ValueError("df has no rows; pass at least one.")
    return pyarrow.Table.from_batches(batches)


def _batches_of(X: Any) -> Iterator[Any]:
    """Yield the batches of a source, with all of its columns."""
    pyarrow = import_pyarrow("a table that is not loaded")
    paths = [X] if is_path(X) else X if isinstance(X, (list, tuple)) else []
    if paths:
        for path in paths:
            for file in files_of(os.fspath(path)):
                if file.endswith(".npy"):
                    raise TypeError(f"cluster() needs tables; got {file}. For an array use KMeans(...).fit(X).")
                yield from whole_batches(file)[1]
    elif hasattr(X, "to_batches"):
        yield from X.to_batches()
    elif hasattr(X, "collect_batches"):
        for frame in X.collect_batches(maintain_order=True):
            yield from pyarrow.table(frame).to_batches()
    elif not is_open(X) and not hasattr(X, "__next__") and (callable(X) or hasattr(X, "__iter__")):
        for frame in X() if callable(X) else X:
            yield from pyarrow.table(frame).to_batches()
    else:
        raise TypeError(
            f"cluster() needs a DataFrame, files or batches of tables; got {type(X).__name__}. For an array use KMeans(...).fit(X)."
        )
