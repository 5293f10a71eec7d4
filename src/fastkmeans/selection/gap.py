"""The gap statistic: how much lower the inertia is than that of samples without clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..fitting.search import Chain
from ..runtime.threads import effective_n_threads
from ..samples import Samples, describe
from ..settings import Settings
from ..types import Floats, Values

N_REFERENCES = 10
"""Number of sets without clusters."""

REFERENCE_SAMPLES = 20_000
"""Each set has at most this many samples: the inertia per sample hardly depends on the number of samples."""


def gap_statistic(
    settings: Settings, values: Values, candidates: list[int], inertia: Floats, total_weight: float,
    seen: Callable[[Iterable[int]], Iterable[int]],
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the gap for each k, and its standard error.

    settings : n_clusters is not read.   values : samples with weight.   inertia : of each candidate.
    seen : wraps the loop over the references, for a progress bar.

    gap(k) is the mean over the references of log(inertia per sample), minus log(inertia per sample) of the samples. A
    reference is uniform in the box from the least to the largest value of each feature. The standard error is the standard
    deviation of the references' logarithms times sqrt(1 + 1 / N_REFERENCES). Both are NaN if an inertia is 0.
    R. Tibshirani, G. Walther and T. Hastie, "Estimating the number of clusters in a data set via the gap statistic",
    Journal of the Royal Statistical Society B 63(2), 2001, sections 2 to 4.
    """
    settings = settings._replace(verbose=0, callback=None)  # the references are not the user's samples
    n_samples = max(min(len(values), REFERENCE_SAMPLES), candidates[-1])
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    references = np.random.RandomState(0)
    logs = np.empty((N_REFERENCES, len(candidates)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for b in seen(range(N_REFERENCES)):
            reference = low + (high - low) * references.random_sample((n_samples, values.shape[1]))
            description = describe(reference, effective_n_threads(settings.n_threads, reference.size))
            chain = Chain(settings, Samples(reference, None, description), candidates[-1], settings.random_state)
            logs[b] = np.log([chain.fit(n_clusters).run.inertia / n_samples for n_clusters in candidates])
        gap = logs.mean(axis=0) - np.log(inertia / total_weight)
        error = logs.std(axis=0) * np.sqrt(1.0 + 1.0 / N_REFERENCES)
    undefined = ~np.isfinite(gap)
    gap[undefined], error[undefined] = np.nan, np.nan
    return gap, error
