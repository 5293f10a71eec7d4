"""Fits of ascending numbers of clusters over the same samples, each started from the result of the previous number.

The search runs on few rows. A coreset is drawn once: about 16 000 weighted rows, whose inertia is close to that of all
samples for any centers. For each k several starts are tried on it: fresh ones, and the previous centers with one more. The
best goes on over larger sets, and converges on all samples within a few iterations. Up to 16 384 samples are all searched.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .._core.stored import release_freed
from ..engines.contract import Engine
from ..input.parameters import drawing_from
from ..runtime.threads import effective_n_threads
from ..samples import Samples
from ..settings import Settings
from ..stored import StoredSamples
from ..types import AnyArray, Floats, Indices, Labels, Values
from . import coreset
from .breathing import MOST_STARTS, breathe_again, breathes, breathing_centers
from .exchange import exchange_after
from .going import Going
from .loop import Run, run
from .starts import algorithm_of, count_starts, draw_centers, make_engine, source_of

SEARCH_SAMPLES = 16_384
"""Rows of the coreset. With 8192, some inertias of the table workload (1M x 20) were 0.7 % higher, and the iterations over all
samples were four times as many. 32 768 gained nothing."""

ROWS_A_CLUSTER = 64
"""The coreset has at least this many rows per cluster."""

GROWTH = 8
"""Each set on the way to all samples has this many times the rows of the previous set. With 8, sweeps over k = 1 to 10 of the
table workload made 38 to 49 iterations over all samples (three seeds) in 1.7 to 2.0 s of CPU time. With 16 they made 101 to 191
iterations in 2.0 to 2.8 s. With 4 they made 27 iterations and took as long as with 8."""

MOST_DRAWN = 1 << 25
"""The sets on the way have at most so many values, which take 128 MB in float32, unless the first has more. They are in memory
where the samples need not be."""

FRESH_CLUSTERS, FRESH_STARTS, CHAINED_STARTS = 36, 5, 4
"""Starts per k: if n_init is "auto", fresh ones with 36 centers together, at least five; and four from the previous centers. With
few clusters a start is cheap, and a bad optimum is farther from the best one."""

MOST_FRESH_STARTS = 16

TRIAL_ITERATIONS = 4
"""Iterations after which runs are compared; only the best go on. 3 chose worse."""

CARRIED_ITERATIONS = 1
"""The same for runs that go on to a larger set. They have converged on fewer rows. 1, 2, 3 and 6 iterations chose alike at every
k over 5 seeds of the table and flights workloads."""

FINISHED_CLUSTERS, FINISHED_STARTS, MOST_FINISHED_STARTS = 52, 5, 13
"""Starts per k that run to the end: the best ones, with 52 centers together, at least five and at most 13. Over 36 seeds of the
table workload, one of 360 inertias was more than 1.002 times the median of seven fits of scikit-learn (k = 4, by 0.25 %); with
at most eight it was three. At k = 10 the worst of 24 was 1.0016 times the median; with three instead of five, 1.0049."""

LEAST_ROUGH_CLUSTERS, ROUGH_CLUSTERS, ROUGH_ITERATIONS = 10, 32, 4
"""Clusters, at least and at most, and iterations of the rough clustering by which the coreset is drawn. It may be rough, because
weights correct the draw. With four rough clusters, five of 40 searches of the table workload missed the optimum at k = 4 by
0.25 %; with ten, one did."""

SEARCH_TOL = 3.0
"""The search stops at this many times the tolerance: its optimum on few rows is farther than that from the one of all samples."""

AGAIN_CLUSTERS = 40
"""Breaths of a fit take at most as much work as comparing all samples with all centers once, or with 40 if there are fewer: the fewer
clusters there are, the more a wrong one costs. After one breath alone, two of 87 fits of ten blobs (300 000 and 1M x 20) ended with 5 %
more inertia than the others, and now none."""

CARRIED_RUNS = 3
"""Runs that go on to the next larger set, which decides: few rows may rank optima wrongly that differ by some 0.1 %."""

LARGEST_VALUE, FLOAT32_RANGE = 1e4, 1e30
"""Float64 samples are searched in float32 if all values lie within so many standard deviations, and within this range."""

DISTANCES_IN_ROUNDINGS = 1000.0
"""If distances to the centers are no larger, as in groups within groups, a search in float32 is continued in float64."""

START_ITERATIONS, EXCHANGED_AFTER, START_ROUNDS, LEAST_FALL = 4, 3, 10, 2e-3
"""The centers of `start` go through rounds of so many iterations, with an exchange of clusters after three of them, at most ten times
and as long as a round lowers the inertia by 0.2 %. After at most ten rounds, fits of blobs (60 000 to 300 000 samples, 300 to 1000
clusters) ended with 1 to 5 % less inertia than after k-means++ over all samples; after three, with as much."""

START_STEP = 4
"""The first rounds go over every fourth row of the smallest set. On nine sets of 60 000 to 500 000 samples fits ended with 0 to 5 % less
inertia than with rounds over the whole set alone, and 0.3 % more on one; they took 0.6 to 1.1 times as long."""

RUNS_OF_ALL, RUNS_OF_A_LEVEL = 10, 30
"""How many runs share what an algorithm prepares of a set of samples, at least, in a sweep over k = 1 to 10."""

SAME_INERTIA = 1e-4
"""Two runs whose inertias differ by a smaller share count as the same optimum."""


class Fit(NamedTuple):
    """What the chain found for one k.

    means : (n_clusters, n_features) float64, mean of each cluster of the labels (its center if empty); None unless metric is
    "euclidean", and if only one k is fitted. Centers may differ from it by the tolerance and by float32 rounding.
    weights : (n_clusters,), sum of the weights of each cluster; none if only one k is fitted.
    """

    run: Run
    algorithm: str
    means: Floats | None
    weights: AnyArray
    seconds: float


class Chain:
    """Fits of one set of samples for ascending numbers of clusters.

    settings : n_clusters is not read.   most_clusters : the largest number that will be fitted.
    random_state : where to draw from, as the parameter of KMeans.
    n_starts : starts per k, if only one k is fitted; None for a sweep, where the settings tell.
    rows_a_cluster : least number of rows of the search per cluster.   keep : as loop.run, for the iterations over all samples.
    deadline : as loop.run, for all iterations.
    """

    def __init__(
        self, settings: Settings, samples: Samples, most_clusters: int, random_state: Any,
        n_starts: int | None = None, rows_a_cluster: int = ROWS_A_CLUSTER,
        keep: Callable[[Going], None] | None = None,
        deadline: float = inf,
    ):  # fmt: skip
        self._settings = settings
        self._all = samples
        self._random_state = random_state
        self._n_starts = n_starts
        self._keep = keep
        self._deadline = deadline
        self._rows_a_cluster = rows_a_cluster
        # Looked up once: a search makes some 250 engines.
        self._n_threads = effective_n_threads(settings.n_threads)
        self._tol = float(settings.tol * samples.description.variance.mean())
        self._steps_ahead: int | None = None  # expected over all samples, if known
        self._random = np.random.RandomState(self._draw_seed())
        self._origin = self._choose_origin()
        self._drawn: list[tuple[Indices, Floats]] = []  # rows and weights of each level
        self._levels = self._choose_levels(most_clusters)
        self._searched: Run | None = None
        self._last: Run | None = None

    def fit(self, n_clusters: int) -> Fit:
        """Fit the next number of clusters. Its inertia is at most that of the previous number."""
        start = perf_counter()
        promising = self._search(n_clusters)
        if self._is_too_fine(promising[0]):
            self._searched = promising[0]._replace(centers=self._among_all(promising[0].centers))
            self._origin = None
            self._levels = self._drawn_levels()
            promising = self._search(n_clusters)
        centers = self._carried(promising)
        del promising  # with the labels of a level
        if self._n_starts is not None:  # the only fit
            self.forget_rows()
        found, engine, algorithm = self._run(self._all, centers, is_last=True)
        if self._last is not None and found.inertia > self._last.inertia:
            found, engine, algorithm = self._run_on(self._last, n_clusters)
        self._last = found
        means, weights = self._means(found, engine) if self._n_starts is None else (None, np.empty(0))
        return Fit(found, algorithm, means, weights, perf_counter() - start)

    def start(self, n_clusters: int) -> Values:
        """Return initial centers for iterations over all samples, more than the rows of a search: one start, iterated on few rows."""
        found = self._started(n_clusters)
        if self._is_too_fine(found):
            self._origin = None
            self._levels = self._drawn_levels()
            found = self._started(n_clusters)
        return self._among_all(found.centers)

    def _started(self, n_clusters: int) -> Run:
        rows, weights = self._drawn[0]
        few = self._taken(rows[::START_STEP].copy(), weights[::START_STEP].copy())
        found = self._in_rounds(few, self._fresh_centers(few, n_clusters, 1)[0])
        return self._in_rounds(self._levels[0], found.centers)

    def _in_rounds(self, rows: Samples, centers: Values) -> Run:
        """Iterate and exchange clusters by turns, until that gains little."""
        after, inertia = None if exchange_after(self._settings, len(centers)) is None else EXCHANGED_AFTER, inf
        for _ in range(START_ROUNDS):
            found = self._run(rows, centers, max_iter=START_ITERATIONS, exchange_after=after)[0]
            if after is None or not found.inertia < inertia * (1.0 - LEAST_FALL):
                break
            centers, inertia = found.centers, found.inertia
        return found

    def forget_rows(self) -> None:
        """Free the sets of the search, which the caller does not need any more."""
        self._levels, self._drawn = [], []
        if isinstance(self._all, StoredSamples):
            release_freed()

    def _carried(self, promising: list[Run]) -> Values:
        """Run from the best runs of the search over the larger sets; return the centers, in the coordinates of all samples."""
        for rows in self._levels[1:]:
            if len(promising) > 1:
                n_trial = min(CARRIED_ITERATIONS, self._settings.max_iter)
                promising = _lowest([self._run(rows, each.centers, max_iter=n_trial)[0] for each in promising])[:1]
            promising = [self._run(rows, promising[0].centers)[0]]
            self._steps_ahead = _steps_after(promising[0].n_iter)
        centers = promising[0].centers
        return centers if self._levels[0] is self._all else self._among_all(centers)

    def _draw_seed(self) -> int:
        with drawing_from(self._random_state) as random_state:
            return int(random_state.randint(2**31))

    def _choose_origin(self) -> Floats | None:
        """Return what levels subtract from float64 samples before they round to float32; None if they keep the samples' dtype.

        Only the last iterations, over all samples, decide the digits of the result. After the subtraction float32 is enough
        for the search, unless single values are so large that the others would become equal.
        """
        values, description = self._all.values, self._all.description
        if values.dtype != np.float64 or self._settings.metric != "euclidean" or not self._all.has_filters:
            return None
        largest, deviations = description.max_abs + np.abs(description.mean), np.sqrt(description.variance)
        varying = largest[deviations > 0], deviations[deviations > 0]
        if (varying[0] > np.minimum(LARGEST_VALUE * varying[1], FLOAT32_RANGE)).any():
            return None
        return None if (varying[1] < 1.0 / FLOAT32_RANGE).any() else description.mean

    def _is_too_fine(self, found: Run) -> bool:
        """Are the distances of a run on a level so small that float32 keeps few digits of them?"""
        weights = self._levels[0].sample_weight
        if self._origin is None or self._levels[0] is self._all or weights is None:
            return False
        description = self._all.description
        rounding = 2.0**-24 * float((description.max_abs + np.abs(description.mean)).max())
        least = (DISTANCES_IN_ROUNDINGS * rounding) ** 2 * self._all.values.shape[1] * weights.sum()
        return bool(found.inertia < least)

    def _among_all(self, centers: Values) -> Values:
        """Return centers of a level in the coordinates of all samples."""
        return centers if self._origin is None else centers + self._origin

    def _choose_levels(self, most_clusters: int) -> list[Samples]:
        """Return the sets to search and to run on before all samples; all samples alone if they are few."""
        n_samples = len(self._all.values)
        count = count_rows(most_clusters, self._rows_a_cluster)
        # A callable init is called with the user's own samples.
        if n_samples <= count or callable(self._settings.init):
            return [self._all]
        weights = self._all.sample_weight
        if weights is not None:
            weights = weights / weights.max()  # products of the smallest weights underflow
        rough = self._rough_centers(count, most_clusters, weights)
        mass = coreset.importance(self._all, weights, rough, self._settings.n_threads)
        most = min(2 * n_samples / GROWTH, MOST_DRAWN / self._all.values.shape[1])
        while count <= most or not self._drawn:
            rows = coreset.draw(n_samples, mass, count, self._random, self._n_threads)
            self._drawn.append((rows, coreset.weights_of(mass, rows, weights)))
            count *= GROWTH
        return self._drawn_levels()

    def _rough_centers(self, count: int, most_clusters: int, weights: Floats | None) -> Values:
        """Return the centers of a rough clustering of `count` uniform rows: it tells which samples matter."""
        by_weight = None if weights is None else coreset.masses_of(weights)
        rows = coreset.draw(len(self._all.values), by_weight, count, self._random, self._n_threads)
        few = self._taken(rows, None)
        n_rough = min(max(most_clusters, LEAST_ROUGH_CLUSTERS), ROUGH_CLUSTERS)
        return self._among_all(self._run(few, self._fresh_centers(few, n_rough, 1)[0], ROUGH_ITERATIONS)[0].centers)

    def _drawn_levels(self) -> list[Samples]:
        return [self._taken(rows, weights) for rows, weights in self._drawn]

    def _taken(self, rows: Indices, sample_weight: Floats | None) -> Samples:
        return self._all.subset(rows, sample_weight, self._origin, self._settings.n_threads)

    def _fresh_centers(self, rows: Samples, n_clusters: int, count: int) -> list[Values]:
        """Draw initial centers as KMeans.fit would: an int seeds each k anew."""
        with source_of(self._settings, self._random_state) as random_state:
            return [draw_centers(self._settings, rows, n_clusters, random_state, self._n_threads) for _ in range(count)]

    def _run(
        self, rows: Samples, centers: Values, max_iter: int | None = None, loose: float = 1.0, is_last: bool = False,
        exchange_after: int | None = None,
    ) -> tuple[Run, Engine, str]:  # fmt: skip
        """Run from the centers with `loose` times the tolerance.

        is_last : whether verbose and callback hear of it.   exchange_after : see loop.py.
        """
        settings = self._settings
        max_iter = max_iter or settings.max_iter
        n_runs = RUNS_OF_A_LEVEL if rows is not self._all else 1 if self._n_starts is not None else RUNS_OF_ALL
        n_steps = max_iter
        if self._steps_ahead is not None and rows is self._all and isinstance(rows, StoredSamples):
            n_steps = min(max_iter, self._steps_ahead)
        algorithm = algorithm_of(settings, rows, len(centers), n_steps, n_runs)
        engine = make_engine(settings, rows, len(centers), algorithm, self._n_threads)
        if not is_last:
            engine.forget_history()
        found = run(
            engine, centers, max_iter=max_iter, tol=loose * self._tol, exchange_after=exchange_after,
            verbose=bool(settings.verbose) and is_last, callback=settings.callback if is_last else None,
            inertia_tol=settings.inertia_tol if is_last else None, deadline=self._deadline,
            keep=self._keep if is_last else None,
        )  # fmt: skip
        return found, engine, algorithm

    def _search(self, n_clusters: int) -> list[Run]:
        """Try the starts on the smallest set. Return the best runs, lowest inertia first."""
        rows = self._levels[0]
        n_samples, n_features = rows.values.shape
        is_level = rows is not self._all
        is_breathing = rows.has_filters and breathes(self._settings, n_samples, n_features, n_clusters, is_level)
        if is_breathing and self._n_starts is not None:
            return [self._run(rows, self._breathed(rows, n_clusters), loose=SEARCH_TOL)[0]]
        n_fresh = 1 if n_clusters == 1 else self._count_fresh(n_clusters)
        starts = self._fresh_centers(rows, n_clusters, max(n_fresh, MOST_STARTS) if is_breathing else n_fresh)
        to_breathe, starts = iter(starts), starts[:n_fresh]
        if self._searched is not None:
            starts += [self._extended(rows, self._searched, n_clusters) for _ in range(CHAINED_STARTS)]
        n_trial = min(TRIAL_ITERATIONS, self._settings.max_iter)
        loose = 1.0 if rows is self._all else SEARCH_TOL
        trials = [self._run(rows, centers, n_trial, loose)[0] for centers in starts]
        n_finished = min(max(FINISHED_CLUSTERS // n_clusters, FINISHED_STARTS), MOST_FINISHED_STARTS)
        if self._n_starts is not None:
            n_finished = min(n_finished, (n_fresh + 1) // 2)
        best = np.argsort([trial.inertia for trial in trials], kind="stable")[:n_finished].tolist()
        after = exchange_after(self._settings, n_clusters)
        later = self._exchange_later(after, n_trial)
        finished = [
            trials[i] if trials[i].converged and later is None
            else self._run(rows, trials[i].centers, loose=loose, exchange_after=later)[0]
            for i in best
        ]  # fmt: skip
        # The first start is the one of a plain fit. If all samples are searched, the result is at most the plain fit's.
        if rows is self._all and (after is not None or 0 not in best):
            first = starts[0]
            if is_breathing:
                first = breathing_centers(rows, to_breathe.__next__, self._random, self._n_threads)
            finished.append(self._run(rows, first, exchange_after=None if is_breathing else after)[0])
        lowest = _lowest(finished)
        self._searched = lowest[0]
        return lowest

    def _breathed(self, rows: Samples, n_clusters: int) -> Values:
        """Return the centers of the best of several breaths, see AGAIN_CLUSTERS."""
        n_samples, n_features = self._all.values.shape
        with source_of(self._settings, self._random_state) as random_state:

            def draw() -> Values:
                return draw_centers(self._settings, rows, n_clusters, random_state, self._n_threads)

            most_work = n_samples * max(n_clusters, AGAIN_CLUSTERS) * (n_features + 6.0)
            return breathe_again(rows, draw(), draw, self._n_threads, most_work, rows is not self._all)

    def _exchange_later(self, after: int | None, n_trial: int) -> int | None:
        """Return after how many more iterations the best trials exchange clusters; None for never.

        after : the same from the start of a run.   n_trial : iterations of a trial.
        """
        if after is None:
            return None
        if self._n_starts is None:  # in a sweep, only the run like a plain fit exchanges clusters
            return None
        return after - n_trial

    def _count_fresh(self, n_clusters: int) -> int:
        if self._n_starts is not None:
            return self._n_starts
        init, n_init = self._settings.init, self._settings.n_init
        if n_init == "auto" and isinstance(init, str) and init in ("auto", "k-means++"):
            return min(max(FRESH_CLUSTERS // n_clusters, FRESH_STARTS), MOST_FRESH_STARTS)
        return count_starts(self._settings)

    def _extended(self, rows: Samples, found: Run, n_clusters: int) -> Values:
        """Add rows to the centers of a run, each drawn in proportion to its squared distance to the nearest center so far."""
        centers, labels, n_samples = found.centers, found.labels, len(rows.values)
        sq_distances = self._sq_distances(rows, centers, labels)
        shares = rows.sample_weight
        if shares is not None:
            # Weights of at most 1, so that products do not overflow.
            shares = shares / shares.max()
        while len(centers) < n_clusters:
            weighed = sq_distances if shares is None else sq_distances * shares
            by = coreset.masses_of(weighed) if weighed.any() else None if shares is None else coreset.masses_of(shares)
            row = rows.take(coreset.draw(n_samples, by, 1, self._random))
            centers = np.concatenate([centers, row])
            if len(centers) < n_clusters:
                apart = self._sq_distances(rows, row, np.zeros(n_samples, dtype=np.int32))
                np.minimum(sq_distances, apart, out=sq_distances)
        return centers

    def _sq_distances(self, rows: Samples, centers: Values, labels: Labels) -> Floats:
        """Return the squared distance of each sample to the center of its label, (n_samples,)."""
        n_threads = effective_n_threads(self._settings.n_threads, float(len(labels)) * centers.shape[1])
        return rows.own_sq_distances(centers.astype(np.float64), labels, n_threads)

    def _run_on(self, last: Run, n_clusters: int) -> tuple[Run, Engine, str]:
        """Run over all samples from the last centers and some more. The result is never worse than the last."""
        centers = self._extended(self._all, last, n_clusters)
        found, engine, algorithm = self._run(self._all, centers, is_last=True)
        if found.inertia > last.inertia:  # by rounding, because the added centers change almost nothing
            wide = centers.astype(np.float64)
            engine.step(wide)
            found = found._replace(
                centers=centers, labels=engine.labels, n_distinct=engine.n_distinct(), inertia=engine.inertia(wide)
            )
        return found, engine, algorithm

    def _means(self, found: Run, engine: Engine) -> tuple[Floats | None, AnyArray]:
        n_clusters, sample_weight = len(found.centers), self._all.sample_weight
        if self._settings.metric != "euclidean":
            return None, np.bincount(found.labels, weights=sample_weight, minlength=n_clusters)
        sums = engine.sums().sum(axis=1)
        # Sums of ones are exact. Sums of weights may lose a weight that is light compared with the heaviest.
        weights = sums[:, -1]
        if sample_weight is not None:
            weights = np.bincount(found.labels, weights=sample_weight, minlength=n_clusters)
        means, summed = found.centers.astype(np.float64), sums[:, -1] > 0
        means[summed] = sums[summed, :-1] / sums[summed, -1:]
        return means, weights


def _steps_after(n_iter: int) -> int:
    """Return how many steps a run takes over the next larger set, at most, as a rule: half of those over the set before.

    Of 20 000 000 pixels and k=64 27, 8 and 2 steps, k=256 63, 30 and 11, over sets that grow eightfold.
    """
    return max(2, -(-n_iter // 2))


def count_rows(n_clusters: int, rows_a_cluster: int) -> int:
    """Return how many rows are searched."""
    return max(SEARCH_SAMPLES, rows_a_cluster * n_clusters)


def _lowest(runs: list[Run]) -> list[Run]:
    """Return the runs that go on to the next set: lowest inertia first, no two at the same optimum."""
    runs = sorted(runs, key=lambda found: found.inertia)
    chosen = [runs[0]]
    for found in runs[1:]:
        if len(chosen) < CARRIED_RUNS and found.inertia > chosen[-1].inertia * (1 + SAME_INERTIA):
            chosen.append(found)
    return chosen
