"""How sure the bends of a curve are: in random resamples of the rows, and beside samples without clusters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._core.csr import CsrRows
from ..fitting.search import Chain, Fit
from ..metrics.table import METRICS
from ..rows import some_rows
from ..runtime.blas import one_blas_thread
from ..runtime.threads import effective_n_threads
from ..samples import Samples, describe
from ..settings import Settings
from ..types import Floats, Indices, Values
from .bends import bends, spans
from .criteria import Criteria
from .partitions import Partition, best_partitions
from .projections import along

N_RESAMPLES = 100
"""Resamples of the rows: each draws as many rows as there are, with replacement (B. Efron, "Bootstrap methods: another look at the
jackknife", Annals of Statistics 7, 1979). The centers stay those of all rows, so a resample costs no fit."""

BOX_ROWS, BOX_ROWS_A_CLUSTER = 1000, 20
"""Rows of the samples without clusters: at least 1000, and at least 20 per cluster."""

BOX_AXES, AXES_ROWS = 20, 500
"""The box has at most this many axes, found from at most this many rows. Only boxes of few axes have numbers of clusters that fit
them well: four in a square, eight in a cube."""


class Evidence(NamedTuple):
    """What the bends of a sweep are and how they vary.

    bend : (n_fits,) of the best partition of each k, NaN where unknown.   resampled : (N_RESAMPLES, n_fits) in each resample.
    scores : (n_scores, n_fits) other scores of the same partitions, higher is better, NaN where unknown.
    n_sizable : (n_fits,) number of clusters of each fit that are more than a few outliers.
    """

    bend: Floats
    resampled: Floats
    scores: Floats
    n_sizable: Indices


def find_evidence(
    samples: Samples, k: Indices, fits: list[Fit], criteria: Criteria, metric: str, n_threads: int | None
) -> Evidence:
    """Return the bends of a sweep.   fits : one for each k, with labels."""
    rows, row_weights = criteria.rows_to_resample()
    with one_blas_thread():  # the bits of a product depend on the number of threads
        partitions = best_partitions(fits)
        scores = criteria.of_partitions(partitions)
        n_sizable = np.array([criteria.count_sizable(fit) for fit in fits])
        if k[0] > 1 and partitions[0].fit.means is not None:
            k, partitions = np.concatenate([[1], k]), [_all_in_one(partitions[0]), *partitions]
        inertia = np.array([partition.inertia for partition in partitions])
        distances = _own_distances(samples, partitions, rows, metric, n_threads)
        if row_weights is not None:
            distances *= (row_weights / row_weights.max())[:, None]
        counts = np.random.RandomState(0).multinomial(len(rows), np.full(len(rows), 1.0 / len(rows)), size=N_RESAMPLES)
        resampled = counts.astype(np.float64) @ distances
    kept = slice(len(k) - len(fits), None)
    return Evidence(bends(k, inertia)[kept], bends(k, resampled)[:, kept], scores, n_sizable)


def _all_in_one(partition: Partition) -> Partition:
    """Return the partition into one cluster that holds all clusters of another one."""
    mean = np.average(partition.centers, axis=0, weights=partition.weights)[None]
    between = float(partition.weights @ ((partition.centers - mean) ** 2).sum(axis=1))
    weight = np.array([partition.weights.sum()])
    return Partition(partition.fit, np.zeros_like(partition.groups), mean, weight, partition.inertia + between)


def _own_distances(
    samples: Samples, partitions: list[Partition], rows: Indices, metric: str, n_threads: int | None
) -> Floats:
    """Return the term of the inertia of each row in each partition, (len(rows), n_partitions)."""
    few = samples.subset(rows, None, None, n_threads)
    n_threads = effective_n_threads(n_threads, float(len(rows)) * samples.values.shape[1])
    found = np.empty((len(rows), len(partitions)))
    for i, partition in enumerate(partitions):
        labels = partition.groups[partition.fit.run.labels[rows]].astype(np.int32)
        found[:, i] = few.own_sq_distances(partition.centers, labels, n_threads, METRICS[metric].kind)
    return found


def bend_of_box(settings: Settings, values: Values, k: Indices, i: int) -> float:
    """Return the bend at k[i] of samples that are uniform in a box along the principal axes of the values, 1 for too many k.

    The box has their variances. Without clusters four cells still fit a square and eight a cube, and the curve bends there.
    R. Tibshirani, G. Walther and T. Hastie, "Estimating the number of clusters in a data set via the gap statistic",
    Journal of the Royal Statistical Society B 63(2), 2001, section 4 (b).

    settings : of the sweep; n_clusters is not read.   i : not the last.
    """
    if k[0] > 1:
        k, i = np.concatenate([[1], k]), i + 1
    settings = settings._replace(verbose=0, callback=None, init="auto", n_init="auto", max_iter=300)
    draws = np.random.RandomState(0)
    deviations = _principal_deviations(some_rows(values, np.arange(0, len(values), -(-len(values) // AXES_ROWS))))
    n_rows = max(BOX_ROWS, BOX_ROWS_A_CLUSTER * int(k[i]))
    box = draws.uniform(-1.0, 1.0, size=(n_rows, len(deviations))) * deviations
    before, after = spans(k)
    numbers = k[[before[i - 1], i, after[i - 1]]]
    if numbers[-1] > n_rows:
        return 1.0
    description = describe(box, effective_n_threads(settings.n_threads, float(box.size)))
    chain = Chain(settings, Samples(box, None, description), int(numbers[-1]), 0)
    inertia = np.array([chain.fit(int(number)).run.inertia for number in numbers])
    return float(bends(numbers, inertia)[1])


def _principal_deviations(values: Values) -> Floats:
    """Return the deviations along the principal axes that have the largest, the largest being 1."""
    with one_blas_thread():
        products = _products_of_sparse(values) if isinstance(values, CsrRows) else _products(values)
        variances = np.linalg.eigvalsh(products)[::-1][:BOX_AXES]
    deviations: Floats = np.sqrt(variances[variances > 0])
    deviations /= deviations[0]
    return deviations


def _products(values: Values) -> Floats:
    """Return the products of all pairs of features, or of samples if these are fewer, about the mean, in some unit."""
    centered = values.astype(np.float64)
    centered -= centered.mean(axis=0)
    centered /= np.abs(centered).max() or 1.0
    few_features = centered.shape[1] <= len(centered)
    products: Floats = centered.T @ centered if few_features else centered @ centered.T
    return products


def _products_of_sparse(rows: Any) -> Floats:
    """Return the products of all pairs of samples about the mean, in some unit."""
    rows = rows.astype(np.float64)
    unit = float(np.abs(rows.values).max(initial=0.0)) or 1.0
    zero = np.zeros(rows.shape[1])
    products = np.empty((len(rows), len(rows)))
    for i in range(len(rows)):
        products[:, i] = along(rows, zero, rows.dense(i, i + 1) / unit)[:, 0] / unit
    products -= products.mean(axis=0)
    products -= products.mean(axis=1)[:, None]
    return products
