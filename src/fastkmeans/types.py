"""Types of arrays, for annotations. They are strings, because numpy.typing takes 1 ms to import, of the 23 ms of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

Values: TypeAlias = "NDArray[np.float32] | NDArray[np.float64]"
"""Samples, and other arrays that keep the dtype of the samples."""

Floats: TypeAlias = "NDArray[np.float64]"

Singles: TypeAlias = "NDArray[np.float32]"

Labels: TypeAlias = "NDArray[np.int32]"

Indices: TypeAlias = "NDArray[np.int64]"
"""Indices or counts of samples or clusters."""

Masses: TypeAlias = "NDArray[np.int64]"
"""Whole numbers: a row is drawn with probability by its mass."""

Mask: TypeAlias = "NDArray[np.bool_]"

Flags: TypeAlias = "NDArray[np.uint8]"
"""1 for each selected cluster, 0 for the others."""

Integers: TypeAlias = "NDArray[np.integer[Any]]"
"""Integers of any width, such as labels that users pass."""

Names: TypeAlias = "NDArray[np.object_]"
"""Names of features, each a str."""

AnyArray: TypeAlias = "NDArray[Any]"
"""An array of any dtype, if users pass it or if the dtype does not matter."""
