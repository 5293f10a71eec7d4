"""Labels and inertia of samples, where no engine has found them."""

from __future__ import annotations

import numpy as np

from ..input.finite import check_inertia
from ..runtime.threads import assignment_work, effective_n_threads
from ..samples import Samples, weight_unit
from ..types import Labels, Values


def label(samples: Samples, centers: Values, n_threads: int | None) -> tuple[Labels, float]:
    """Return the label of the nearest center of each sample, and the inertia."""
    n_samples, n_features = samples.values.shape
    work = assignment_work(n_samples, n_features, len(centers))
    labels = samples.nearest(centers.astype(np.float64), effective_n_threads(n_threads, work))
    return labels, inertia_of_labels(samples, centers, labels, n_threads)


def inertia_of_labels(samples: Samples, centers: Values, labels: Labels, n_threads: int | None) -> float:
    """Return the sum of weight * squared distance to the center of the label.

    Raises ValueError if it overflows float64.
    """
    unit, largest, weights = weight_unit(samples.sample_weight)
    n_threads = effective_n_threads(n_threads, float(samples.values.size))
    inertia = samples.inertia(centers.astype(np.float64), labels, weights, n_threads)
    return check_inertia(unit * inertia, unit * largest)
