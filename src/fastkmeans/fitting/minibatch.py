"""Mini-batch k-means: each step labels few rows, and moves each center to the mean of all rows it has had so far.

D. Sculley, "Web-scale k-means clustering", WWW 2010, algorithm 1. Starts, reassignment and the end of the steps are
those of scikit-learn, which draws the same batches from the same random_state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..engines.contract import Engine
from ..engines.table import engine_for
from ..errors import warn
from ..input.finite import check_inertia
from ..rows import taken_rows
from ..samples import Samples
from ..settings import MiniBatchSettings
from ..types import Floats, Indices, Values
from .batch import Batch, BatchStep
from .fit import best_run
from .labelling import label
from .starts import count_starts, draw_centers

AUTO_STARTS = {"random": 3, "k-means++": 1, "auto": 1}
"""Starts if n_init="auto", as in scikit-learn: fewer than for KMeans, because random batches level differences of starts."""

SEARCHED_ROWS_A_CLUSTER, SEARCH_ITERATIONS = 32, 10
"""init="auto" fits KMeans to so many rows per cluster, for so many iterations. After 292 batches the mean inertia was then 0.80, 0.97,
0.99 and 0.99 times that of scikit-learn's fits (four sets of 300 000 rows, 5 seeds), and after k-means++ 0.97 to 1.00 times. A fit
took 1.07 to 1.17 times as long. By the given centers alone, 12 rows gained nothing, and 64 gained 0.001 to 0.03 more than 32."""

CLUSTERS_PER_LOOK = 10
"""Clusters are looked at for reassignment whenever so many rows per cluster were seen, as in scikit-learn."""


class RunningMeans(NamedTuple):
    """The state of mini-batch k-means between two steps.

    centers : (n_clusters, n_features) float64. Rounded to the dtype of the samples they are cluster_centers_.
    counts : (n_clusters,) float64: the weight of the rows whose mean each center is.
    n_seen : rows seen since clusters were last looked at for reassignment.
    """

    centers: Floats
    counts: Floats
    n_seen: int


class BatchFit(NamedTuple):
    """How a fit ended.   n_steps : batches.   mean_inertia : of a row, averaged over the last batches."""

    means: RunningMeans
    n_steps: int
    mean_inertia: float


def fit_batches(settings: MiniBatchSettings, samples: Samples, random_state: np.random.RandomState) -> BatchFit:
    """Choose initial centers, then step over drawn batches until the steps end."""
    n_samples, n_features = samples.values.shape
    base = settings.base
    batch_size = min(settings.batch_size, n_samples)
    means = best_start(settings, samples, random_state)
    n_steps = base.max_iter * n_samples // batch_size
    tol = float(base.tol * samples.description.total_variance / n_features)
    end = EndOfSteps(
        n_steps, tol, settings.max_no_improvement, min(1.0, batch_size * 2.0 / (n_samples + 1)), base.verbose
    )
    for i, rows in enumerate(drawn_batches(samples, batch_size, random_state)):
        before = means.centers
        means, inertia = _drawn_step(means, samples, rows, settings, random_state)
        sq_shift = float(((means.centers - before) ** 2).sum()) if tol > 0.0 else 0.0
        if end.reached(i, inertia / batch_size, sq_shift) or i + 1 >= n_steps:
            break
    return BatchFit(means, i + 1, end.average)


def _drawn_step(
    means: RunningMeans,
    samples: Samples,
    rows: Indices,
    settings: MiniBatchSettings,
    random_state: np.random.RandomState,
) -> tuple[RunningMeans, float]:
    """Take a step over drawn rows. They have no weights, because they are drawn by weight."""
    n_threads = settings.base.n_threads
    if type(samples) is Samples:
        batch = Batch(samples.take(rows, n_threads=n_threads), None, samples.description.max_abs)
        stepped = quick_step(means, batch, settings, random_state)
        if stepped is not None:
            return stepped[0], check_inertia(stepped[1].inertia(), 1.0)
    return step(means, samples.subset(rows, None, n_threads=n_threads), settings, random_state)


def quick_step(
    means: RunningMeans, batch: Batch, settings: MiniBatchSettings, random_state: np.random.RandomState
) -> tuple[RunningMeans, BatchStep] | None:
    """As step, for a dense batch; None if an engine must take the step. No random number is then drawn yet."""
    stepped = BatchStep(batch, len(means.centers), settings.base.n_threads)
    found = stepped.move(means.centers, means.counts)
    if found is None:
        return None
    if stepped.may_overflow():
        check_inertia(stepped.inertia(), stepped.largest_weight)
    return _looked_after(means, *found, batch.values, batch.sample_weight, settings, random_state), stepped


def _looked_after(
    means: RunningMeans,
    moved: Floats,
    grown: Floats,
    values: Values,
    sample_weight: Floats | None,
    settings: MiniBatchSettings,
    random_state: np.random.RandomState,
) -> RunningMeans:
    """Return the state after a step, with light clusters reassigned if it is time to look for some.

    means : before the step.   moved, grown : centers and counts after it.   values, sample_weight : of the batch.
    """
    n_seen = means.n_seen + len(values)
    looks = n_seen >= CLUSTERS_PER_LOOK * len(grown) or not means.counts.all()
    if looks and settings.reassignment_ratio > 0:
        reassign(moved, grown, values, sample_weight, settings, random_state)
    return RunningMeans(moved, grown, 0 if looks else n_seen)


def begin(centers: Values) -> RunningMeans:
    """Return the state before the first step: the centers are the mean of nothing yet."""
    return RunningMeans(centers.astype(np.float64), np.zeros(len(centers)), 0)


def step(
    means: RunningMeans, batch: Samples, settings: MiniBatchSettings, random_state: np.random.RandomState
) -> tuple[RunningMeans, float]:
    """Label a batch and move its centers. Return the new state, and the inertia of the batch with the centers before.

    Raises ValueError if the inertia overflows float64.
    """
    centers, counts, _ = means
    n_clusters, base = len(centers), settings.base
    engine: Engine = engine_for(batch, base.metric)(batch, n_clusters, "lloyd", base.n_threads)
    engine.step(centers)
    inertia = check_inertia(engine.inertia(centers), engine.largest_weight)
    gained = np.bincount(engine.labels, weights=batch.sample_weight, minlength=n_clusters).astype(np.float64)
    grown = counts + gained
    moved = moved_means(centers, counts, engine.sums(), gained)
    return _looked_after(means, moved, grown, batch.values, batch.sample_weight, settings, random_state), inertia


def moved_means(centers: Floats, counts: Floats, sums: Floats, gained: Floats) -> Floats:
    """Return the means of what centers had before and what a batch adds.

    counts, gained : (n_clusters,) weights before, and of the batch.   sums : of the batch, as Engine.sums.
    """
    moved = centers.copy()
    fed = gained > 0.0
    total = sums[fed].sum(axis=1)
    own_means = total[:, :-1] / total[:, -1:]
    share = (gained[fed] / (counts[fed] + gained[fed]))[:, None]
    # A center that was the mean of nothing takes the mean of the batch without a rounding.
    moved[fed] = np.where(share < 1.0, centers[fed] + (own_means - centers[fed]) * share, own_means)
    return moved


def reassign(
    centers: Floats,
    counts: Floats,
    values: Values,
    sample_weight: Floats | None,
    settings: MiniBatchSettings,
    random_state: np.random.RandomState,
) -> None:
    """Put clusters whose counts are far below the largest on rows of the batch; change centers and counts in place.

    At most half as many clusters move as the batch has rows. Their counts become the smallest of the others, so that they
    are not reassigned again at once.

    values, sample_weight : of the batch.
    """
    light = counts < settings.reassignment_ratio * counts.max()
    if not light.any():
        return
    rows = rows_with_weight(len(values), sample_weight)
    most = int(0.5 * len(rows))
    if np.count_nonzero(light) > 0.5 * len(rows):
        light[np.argsort(counts, kind="stable")[most:]] = False
    n_light = int(np.count_nonzero(light))
    if n_light == 0:
        return
    drawn = rows[random_state.choice(len(rows), replace=False, size=n_light)]
    if settings.base.verbose:
        print(f"[MiniBatchKMeans] Reassigning {n_light} cluster centers.")
    centers[light] = taken_rows(values, drawn)
    counts[light] = counts[~light].min() if n_light < len(counts) else counts.min()


def drawn_batches(samples: Samples, batch_size: int, random_state: np.random.RandomState) -> Iterator[Indices]:
    """Yield the rows of one batch after the other, each drawn with probability by its weight, with repetition."""
    n_samples, weights = len(samples.values), samples.sample_weight
    if weights is None:
        while True:
            yield (random_state.random_sample(batch_size) * n_samples).astype(np.intp)
    running = (weights / weights.max()).cumsum()  # lest the sum overflow
    running /= running[-1]
    while True:
        yield running.searchsorted(random_state.random_sample(batch_size), side="right")


def rows_with_weight(n_samples: int, sample_weight: Floats | None) -> Indices:
    """Return the numbers of the rows that weigh something: a row without weight counts as one that is not there."""
    return np.arange(n_samples) if sample_weight is None else np.flatnonzero(sample_weight > 0.0)


def init_size_of(settings: MiniBatchSettings, n_samples: int) -> int:
    """Return how many rows initial centers are chosen among; warn if fewer were asked for than there are clusters."""
    n_clusters, size = settings.base.n_clusters, settings.init_size
    if size is None:
        size = 3 * min(settings.batch_size, n_samples)
    elif size < n_clusters:
        warn(
            f"init_size={size} should be larger than n_clusters={n_clusters}. Setting it to "
            "min(3*n_clusters, n_samples)",
            RuntimeWarning,
        )
    return min(size if size >= n_clusters else 3 * n_clusters, n_samples)


def _drawn_subset(samples: Samples, size: int, n_threads: int | None, random_state: np.random.RandomState) -> Samples:
    """Return `size` rows, drawn with repetition, with their weights."""
    weights = samples.sample_weight
    rows = rows_with_weight(len(samples.values), weights)
    rows = rows[random_state.randint(0, len(rows), size)]
    return samples.subset(rows, None if weights is None else weights[rows], n_threads=n_threads)


def first_centers(
    settings: MiniBatchSettings, samples: Samples, init_size: int, random_state: np.random.RandomState
) -> Values:
    """Return initial centers, chosen among init_size rows."""
    base = settings.base
    if init_size < len(samples.values):
        samples = _drawn_subset(samples, init_size, base.n_threads, random_state)
    return draw_centers(base, samples, base.n_clusters, random_state, base.n_threads)


def searched_means(
    settings: MiniBatchSettings, samples: Samples, init_size: int, random_state: np.random.RandomState
) -> RunningMeans:
    """Fit :class:`KMeans` for a short time to init_size rows, or more if clusters are many.

    The centers are the means of these rows, which therefore count. Without counts, each cluster that gets no row of the first batch
    would be reassigned: of 200 clusters apart from one another some 15 are, and the inertia then ended at 1.9 times the least.
    """
    base = settings.base
    size = max(init_size, SEARCHED_ROWS_A_CLUSTER * base.n_clusters)
    if size < len(samples.values):
        samples = _drawn_subset(samples, size, base.n_threads, random_state)
    search = base._replace(max_iter=SEARCH_ITERATIONS, n_init=1, random_state=random_state, verbose=0)
    found, _ = best_run(search, samples)
    counts = np.bincount(found.labels, samples.sample_weight, base.n_clusters).astype(np.float64)
    # Rows of batches are drawn by weight, and count 1 each.
    return RunningMeans(found.centers.astype(np.float64), counts * (len(found.labels) / counts.sum()), 0)


def first_means(
    settings: MiniBatchSettings, samples: Samples, init_size: int, random_state: np.random.RandomState
) -> RunningMeans:
    """Choose initial centers among init_size rows. They are the mean of nothing yet."""
    return begin(first_centers(settings, samples, init_size, random_state))


def best_start(settings: MiniBatchSettings, samples: Samples, random_state: np.random.RandomState) -> RunningMeans:
    """Return that one of n_init starts whose centers have the lowest inertia over drawn rows."""
    base, init_size = settings.base, init_size_of(settings, len(samples.values))
    n_starts = count_starts(base, AUTO_STARTS, "MiniBatchKMeans")
    judges = _drawn_subset(samples, init_size, base.n_threads, random_state)
    choose = searched_means if base.searches else first_means
    best: tuple[float, RunningMeans] | None = None
    for start in range(1, n_starts + 1):
        if base.verbose:
            print(f"Init {start}/{n_starts} with method {base.init}")
        means = choose(settings, samples, init_size, random_state)
        inertia = 0.0
        if n_starts > 1 or base.verbose:
            centers: Values = means.centers.astype(samples.values.dtype)  # type: ignore[assignment]  # float32 or float64
            inertia = label(judges, centers, base.n_threads)[1]
        if base.verbose:
            print(f"Inertia for init {start}/{n_starts}: {inertia}")
        if best is None or inertia < best[0]:
            best = inertia, means
    assert best is not None  # there is at least one start
    return best[1]


class EndOfSteps:
    """Says when steps end: when centers hardly move, or when the inertia of batches no longer falls.

    n_steps : steps at most.   tol : absolute, of the squared shifts of a step; 0 for no such end.
    max_no_improvement : steps without a new lowest average after which steps end, or None.
    share : of the last batch in the average of all before.

    `average` is the exponentially weighted average of the inertias per row. The first batch is left out, because its
    centers are the initial ones.
    """

    def __init__(self, n_steps: int, tol: float, max_no_improvement: int | None, share: float, verbose: int) -> None:
        self._n_steps, self._tol, self._share = n_steps, tol, share
        self._max_no_improvement, self._verbose = max_no_improvement, bool(verbose)
        self._lowest = np.inf
        self._n_since_lowest = 0
        self.average = np.nan

    def reached(self, i: int, inertia: float, sq_shift: float) -> bool:
        """Do the steps end with this one?   i : its number, from 0.   inertia : per row of its batch."""
        shown = f"Minibatch step {i + 1}/{self._n_steps}: mean batch inertia: {inertia}"
        if i == 0:
            self._say(shown)
            self.average = inertia
            return False
        self.average = inertia if i == 1 else self.average * (1 - self._share) + inertia * self._share
        self._say(f"{shown}, ewa inertia: {self.average}")
        if self._tol > 0.0 and sq_shift <= self._tol:
            self._say(f"Converged (small centers change) at step {i + 1}/{self._n_steps}")
            return True
        self._n_since_lowest = 0 if self.average < self._lowest else self._n_since_lowest + 1
        self._lowest = min(self._lowest, self.average)
        if self._max_no_improvement is not None and self._n_since_lowest >= self._max_no_improvement:
            self._say(f"Converged (lack of improvement in inertia) at step {i + 1}/{self._n_steps}")
            return True
        return False

    def _say(self, text: str) -> None:
        if self._verbose:
            print(text)
