"""What these surfaces share: vectors as they come in, and a sample of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..types import Singles


def vectors_of(x: Any, d: int, name: str) -> Singles:
    """Return vectors as a float32 array of shape (n, d), in the memory of x if that is such an array or tensor.

    Raises TypeError for a tensor that is not in CPU memory, ValueError for another shape or values that are not finite.
    """
    values = as_matrix(x, name=name, dtype=np.float32).values
    if values.shape[1] != d:
        raise ValueError(f"{name} must have d={d} columns; got {values.shape[1]}. Pass the d of your vectors.")
    check_finite(values, name)
    return values.astype(np.float32, copy=False)


def drawn_rows(n: int, k: int, max_points_per_centroid: int | None, seed: int) -> Any:
    """Return the numbers of rows to train on: all, as a slice, or the most for k centroids, drawn at random and sorted."""
    if max_points_per_centroid is None or n <= k * max_points_per_centroid:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n, int(k * max_points_per_centroid), replace=False))
