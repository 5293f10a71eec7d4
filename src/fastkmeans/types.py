"""The kinds of arrays that annotations name."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
"""Of samples, or anything else that stays in the type of the samples."""

Floats: TypeAlias = NDArray[np.float64]

Singles: TypeAlias = NDArray[np.float32]

Labels: TypeAlias = NDArray[np.int32]

Indices: TypeAlias = NDArray[np.int64]
"""Of samples or of clusters; their numbers, too."""

Masses: TypeAlias = NDArray[np.int64]
"""Whole numbers: a row is drawn with probability by its mass."""

Mask: TypeAlias = NDArray[np.bool_]

Flags: TypeAlias = NDArray[np.uint8]
"""Of clusters: 1 for those that are meant, 0 for the others."""

Integers: TypeAlias = NDArray[np.integer[Any]]
"""Of any width, such as labels that users pass."""

Names: TypeAlias = NDArray[np.object_]
"""Of features, each a str."""

AnyArray: TypeAlias = NDArray[Any]
"""Of any type: as users pass it, or where the type does not matter."""
