"""What a collection of Dask is, told without importing Dask."""

from __future__ import annotations

from typing import Any


def is_collection(X: Any) -> bool:
    """Is X an array or a DataFrame of Dask?"""
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(X).__mro__}
    return not names.isdisjoint({("dask", "Array"), ("dask", "DataFrame"), ("dask_expr", "DataFrame")})
