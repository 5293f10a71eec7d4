"""Chooses initial centers. The passes of k-means++ over the samples are compiled (kmeans_core/seeding.pyx)."""

from __future__ import annotations

from math import frexp, log
from typing import Any

import numpy as np

from .._core.codes import CodedRows
from .._core.csr import CsrRows
from .._core.quantized import QuantizedRows
from .._core.seeding import DENSE_SHARE, PlusPlus
from .._core.stored import StoredRows
from ..algorithms.copies import Copies
from ..input.parameters import check_init
from ..runtime.parts import ROWS_AT_ONCE, parts_of
from ..runtime.threads import effective_n_threads
from ..samples import Samples
from ..sparse import SparseSamples
from ..stored import StoredSamples
from ..types import AnyArray, Floats, Indices, Values
from .sparse_seeding import choose_rows

# From these sizes on, a quantized copy of the samples saves more in the passes than it costs. On one core of a Zen 4,
# without / with the copy: 12 x 100 (features x clusters) 225 / 260 ms, 20 x 100 1300 / 1150, 64 x 256 1090 / 550, 384 x 1000 1120 / 360.
QUANTIZED_FEATURES = 16
QUANTIZED_CLUSTERS = 48
QUANTIZED_SIZE = 500_000

CODED_FEATURES, CODED_DENSE_SHARE = 65, 0.25
"""From so many features on, the copy holds codes, which have half the bytes of 16-bit numbers. They pay from the step on in which
at most a quarter of all pairs comes closer. On two cores of a Zen 3, quantized / coded: 384 x 256 104 / 78 ms, 384 x 1000
335 / 222, 784 x 100 43 / 30. A share of 0.08 took a tenth longer than 0.25; 0.4 took as long. With fewer features the copy is
quantized, because the fit itself reads quantized rows."""


DENSELY_SEEDED = 1 << 18
"""Sparse samples of at most so many values, zeros included, are made dense for seeding: 2 MB. The seeds are those of dense samples."""


def initial_centers(
    init: Any, samples: Samples, n_clusters: int, random_state: np.random.RandomState, n_threads: int | None,
    manhattan: bool = False,
) -> Values:  # fmt: skip
    """Return (n_clusters, n_features) initial centers in the dtype of the samples, by name, by callable, or as given.

    init : as the parameter of KMeans; "auto" is "k-means++" here.
    """
    sample_weight, (n_samples, n_features) = samples.sample_weight, samples.values.shape
    if callable(init):
        init = init(_shown(samples), n_clusters, random_state=random_state)
    if not isinstance(init, str):
        return check_init(init, n_clusters, n_features, samples.values.dtype)
    if init == "random-partition":
        values = samples.values if isinstance(samples, StoredSamples) else samples.whole().values
        return random_partition(values, sample_weight, n_clusters, random_state)
    if init == "random":
        rows = random_rows(n_samples, sample_weight, n_clusters, random_state)
    else:
        if not isinstance(samples, StoredSamples):
            samples = samples.whole()
        rows = plusplus_rows(samples, n_clusters, random_state, n_threads, manhattan=manhattan)
    return samples.take(rows, n_threads=n_threads)


def _shown(samples: Samples) -> Any:
    """Return the samples as a callable init gets them, which must not write into them."""
    if isinstance(samples, SparseSamples):
        return samples.shown
    shown = samples.whole().values.view()
    shown.flags.writeable = False
    return shown


def random_rows(
    n_samples: int, sample_weight: Floats | None, n_clusters: int, random_state: np.random.RandomState
) -> Indices:
    """Draw n_clusters different rows, one after the other, with probability proportional to weight.

    Each row gets an exponential random time divided by its weight, and the rows with the least times are taken (P. S.
    Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters
    97(5), 2006). Equal weights draw the same rows as no weights.
    """
    waits, rows = np.empty(0), np.empty(0, dtype=np.intp)  # of the first ones so far, in order
    for part in parts_of(n_samples):
        new = random_state.standard_exponential(part.stop - part.start)
        if sample_weight is not None:
            with np.errstate(divide="ignore", over="ignore"):
                new = np.where(sample_weight[part] > 0, new / sample_weight[part], np.inf)
        new_rows = np.flatnonzero(new < (waits[-1] if len(waits) == n_clusters else np.inf))
        waits, rows = np.append(waits, new[new_rows]), np.append(rows, new_rows + part.start)
        if len(waits) > 4 * n_clusters:  # selecting is cheaper than sorting all; times equal to the last one stay
            short = waits <= np.partition(waits, n_clusters - 1)[n_clusters - 1]
            waits, rows = waits[short], rows[short]
        first = np.argsort(waits, kind="stable")[:n_clusters]
        waits, rows = waits[first], rows[first]
    n_drawn = len(rows)
    # Fewer rows with weight than clusters: the other clusters start on copies, and stay empty.
    return np.concatenate([rows, np.resize(rows, n_clusters - n_drawn)])


def first_row(n_samples: int, sample_weight: Floats | None, random_state: np.random.RandomState) -> int:
    """Draw one row with probability proportional to weight."""
    uniform = random_state.random_sample()
    if sample_weight is None:
        return int(uniform * n_samples)
    starts = np.arange(0, n_samples, ROWS_AT_ONCE)
    masses = np.add.reduceat(sample_weight, starts)
    running = masses.cumsum()
    target = uniform * running[-1]
    b = min(int(running.searchsorted(target, side="right")), int(np.flatnonzero(masses)[-1]))
    part = sample_weight[starts[b] : starts[b] + ROWS_AT_ONCE]
    inside = int(part.cumsum().searchsorted(target - (running[b] - masses[b]), side="right"))
    return int(starts[b]) + min(inside, int(np.flatnonzero(part)[-1]))


def random_partition(
    X: Values, sample_weight: Floats | None, n_clusters: int, random_state: np.random.RandomState
) -> Values:
    """Put each row into a random cluster and return the means: step 1 of the textbooks (Forgy 1965; Jain 2010)."""
    weights, sums = np.zeros(n_clusters), np.zeros((n_clusters, X.shape[1]))
    for part in parts_of(len(X)):
        rows = X[part]
        labels = random_state.randint(n_clusters, size=len(rows))
        weight = None if sample_weight is None else sample_weight[part]
        weights += np.bincount(labels, weights=weight, minlength=n_clusters)
        for f in range(X.shape[1]):
            column = rows[:, f].astype(np.float64) if weight is None else rows[:, f] * weight
            sums[:, f] += np.bincount(labels, weights=column, minlength=n_clusters)
    empty = weights <= 0
    weights[empty] = 1.0
    centers: AnyArray = (sums / weights[:, None]).astype(X.dtype)
    if empty.any():
        centers[empty] = X[random_rows(len(X), sample_weight, int(empty.sum()), random_state)]
    return centers


def plusplus_rows(
    samples: Samples,
    n_clusters: int,
    random_state: np.random.RandomState,
    n_threads: int | None,
    n_local_trials: int | None = None,
    manhattan: bool = False,
) -> Indices:
    """Draw rows by greedy k-means++: of a few candidates drawn by D^2, keep the one that lowers the potential most.

    n_local_trials : candidates per step; by default 2 + int(log(n_clusters)), the number of the authors' own program.
    manhattan : use Manhattan distances D, and draw by D instead of D^2: the potential is then what k-medians minimises.
    """
    X, sample_weight = samples.values, samples.sample_weight
    n_samples, n_features = X.shape
    if isinstance(X, CsrRows) and n_samples * n_features <= DENSELY_SEEDED:
        samples = Samples(X.dense(0, n_samples), sample_weight, samples.description)
        X = samples.values
    trials = n_local_trials or 2 + int(log(n_clusters))
    n_threads = effective_n_threads(n_threads, float(n_samples) * n_features * trials)
    rows = np.empty(n_clusters, dtype=np.intp)
    rows[0] = first_row(n_samples, sample_weight, random_state)
    if n_clusters == 1:
        return rows
    if isinstance(X, CsrRows):
        found = choose_rows(X, sample_weight, int(rows[0]), n_clusters, trials, random_state, n_threads)
        rows[: len(found)] = found
        return _with_spare_rows(rows, len(found), n_samples, sample_weight, random_state)
    scale = _power_of_two_below(samples.description.largest, X.dtype)
    random = int(random_state.random_sample() * 2.0**53)
    compact: QuantizedRows | CodedRows | None = None
    dense_share = DENSE_SHARE
    large = n_features >= QUANTIZED_FEATURES and n_clusters >= QUANTIZED_CLUSTERS and X.size >= QUANTIZED_SIZE
    if large and not manhattan:
        dense_share = DENSE_SHARE if n_features < CODED_FEATURES else CODED_DENSE_SHARE
        if not isinstance(X, StoredRows):
            compact = _compact_rows(samples.copies(n_threads), n_features)
        elif n_features >= CODED_FEATURES:  # there is room for codes at most
            compact = samples.copies(n_threads).codes.for_seeding()
    seeding = PlusPlus(
        X,
        sample_weight,
        scale,
        trials,
        n_threads,
        rows[0],
        random,
        rows=compact,
        manhattan=manhattan,
        dense_share=dense_share,
    )
    return _with_spare_rows(rows, 1 + seeding.choose(rows[1:]), n_samples, sample_weight, random_state)


def _with_spare_rows(
    rows: Indices, n_chosen: int, n_samples: int, sample_weight: Floats | None, random_state: np.random.RandomState
) -> Indices:
    """Fill up the seeds if every row is a seed or a copy of a seed: any row will do, each once while there are enough."""
    if n_chosen < len(rows):
        rows[n_chosen:] = _spare_rows(n_samples, sample_weight, rows[:n_chosen], len(rows) - n_chosen, random_state)
    return rows


def _compact_rows(copies: Copies, n_features: int) -> QuantizedRows | CodedRows:
    """Return the copy that passes read instead of the samples. Seeds are the same whichever it is."""
    coded = copies.codes.for_seeding() if n_features >= CODED_FEATURES else None
    return copies.quantized.rows(copies.quantized.least_bits()) if coded is None else coded


def _power_of_two_below(largest: float, dtype: np.dtype[Any]) -> float:
    """Return the power of two that brings `largest` into [1/2, 1), within what the dtype can hold; 1 for 0."""
    limit = 126 if dtype.itemsize == 4 else 1020
    return 2.0 ** min(limit, max(-limit, -frexp(largest)[1])) if largest > 0 else 1.0


def _spare_rows(
    n_samples: int, sample_weight: Floats | None, taken: Indices, count: int, random_state: np.random.RandomState
) -> Indices:
    """Choose rows with weight that are not taken. If there are too few, repeat taken ones."""
    spare = np.ones(n_samples, dtype=bool) if sample_weight is None else sample_weight > 0
    spare[taken] = False
    rows = random_state.permutation(np.flatnonzero(spare))[:count]
    return np.concatenate([rows, np.resize(taken, count - len(rows))]).astype(np.intp)
