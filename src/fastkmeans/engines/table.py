"""The table of engines: class of the samples -> metric -> class of the engine."""

from __future__ import annotations

from typing import Any

from ..samples import Samples
from ..sparse import SparseSamples
from .local import LocalEngine
from .medians import MediansEngine
from .partitioned import PartitionedEngine, PartitionedSphericalEngine, Parts
from .sparse import SparseEngine, SparseSphericalEngine
from .spherical import SphericalEngine

ENGINES: dict[type, dict[str, Any]] = {
    Samples: {"euclidean": LocalEngine, "manhattan": MediansEngine, "cosine": SphericalEngine},
    SparseSamples: {"euclidean": SparseEngine, "cosine": SparseSphericalEngine},
    Parts: {"euclidean": PartitionedEngine, "cosine": PartitionedSphericalEngine},
}


def engine_for(samples: Samples, metric: str) -> Any:
    """Return the class of engine for samples and a metric.

    Raises TypeError if no engine holds such samples, ValueError if their engines do not know the metric.
    """
    engines = ENGINES.get(type(samples))
    if engines is None:
        raise TypeError(f"no engine holds {type(samples).__name__}; add a row for it to ENGINES in engines/table.py.")
    if metric not in engines:
        known = " or ".join(map(repr, engines))
        raise ValueError(
            f"metric must be {known} for {samples.about}; got {metric!r}. Put them into one dense array first."
        )
    return engines[metric]
