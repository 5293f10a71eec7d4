"""The table of engines: class of the samples -> metric -> class of the engine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..samples import Samples
from ..sparse import SparseSamples
from ..stored import StoredSamples
from .local import LocalEngine
from .medians import MediansEngine
from .partitioned import PartitionedEngine, PartitionedSphericalEngine, Parts
from .sparse import SparseEngine, SparseSphericalEngine
from .spherical import SphericalEngine

ENGINES: dict[type, dict[str, Any]] = {
    Samples: {"euclidean": LocalEngine, "manhattan": MediansEngine, "cosine": SphericalEngine},
    StoredSamples: {"euclidean": LocalEngine},
    SparseSamples: {"euclidean": SparseEngine, "cosine": SparseSphericalEngine},
    Parts: {"euclidean": PartitionedEngine, "cosine": PartitionedSphericalEngine},
}

LATE = {"StreamedSamples": ".streamed", "RemoteSamples": "..workers.engine"}
"""Class of samples that few programs have -> the module here whose ENGINES is its row. The first such samples import it."""


def engines_of(held: type) -> dict[str, Any] | None:
    """Return the row of a class of samples, metric -> class of the engine; None if there is none."""
    if held not in ENGINES and held.__name__ in LATE:
        ENGINES[held] = import_module(LATE[held.__name__], __package__).ENGINES
    return ENGINES.get(held)


def engine_for(samples: Samples, metric: str) -> Any:
    """Return the class of engine for samples and a metric.

    Raises TypeError if no engine holds such samples, ValueError if their engines do not know the metric.
    """
    engines = engines_of(type(samples))
    if engines is None:
        raise TypeError(f"no engine holds {type(samples).__name__}; add a row for it to ENGINES in engines/table.py.")
    if metric not in engines:
        known = " or ".join(map(repr, engines))
        raise ValueError(
            f"metric must be {known} for {samples.about}; got {metric!r}. Put them into one dense array first."
        )
    return engines[metric]
