"""The criteria for the number of clusters: a few numbers for each k, from one pass over all samples and from some rows."""

from __future__ import annotations

import numpy as np

from .._core import silhouette
from ..fitting.search import Fit
from ..fitting.seeding import random_rows
from ..quality.mean_distances import unit_rows
from ..quality.scatter import davies_bouldin_of
from ..quality.silhouettes import silhouettes_of_labelings
from ..quality.simplified import simplified_silhouette_samples
from ..runtime.threads import effective_n_threads
from ..samples import Samples, scatter_of
from ..types import Floats, Labels, Values

COMPARED_ROWS = 20_000
"""So many rows stand for all samples in silhouette and separation."""

SILHOUETTE_ROWS = 1000
"""The silhouettes of so many rows are averaged: a standard error of about 0.01 in 10 ms for each k."""

SILHOUETTE_OTHERS, OTHERS_A_CLUSTER = 10_000, 100
"""Each of these is held against so many rows, and against so many a cluster: the least of many mean distances is too small
where each is a mean of a few (at 10 rows a cluster, k=1000, the silhouette of a set was 0.036 instead of 0.061)."""

THIN_ROWS = 30
"""A cluster of which fewer rows were drawn is represented by so many evenly spaced ones of all its rows."""

FEW_ROWS = 3.2
"""How much farther apart a cut makes two halves of few rows in many dimensions: by sqrt(1 + FEW_ROWS (d + 1) / (n - 2)); where
one of the two is a few rows of the tail, n - 2 is at most three times what it would be for two like that. With it at most 1
of 20 uniform and of 20 normal sets, of 10 to 300 rows and 1 to 100 features, was given clusters."""

ROWS_OF_A_SUM = 4096
"""Rows that one partial sum runs over, whatever the number of threads."""

ROWS_OF_A_PART = 8 * ROWS_OF_A_SUM
"""Rows that are held against the centers of all fits at a time: 5 MB of 20 features, in the last cache."""

NEIGHBORS = 8
"""Each cluster is held against so many nearest ones; a pair farther apart is hardly the least separated one."""


class Criteria:
    """What is the same for every k: the scatter about the mean, and the rows for silhouettes and separation.

    samples : of a fit.   metric : of KMeans.
    random_state : draws the rows, by weight and each once, where there are more than COMPARED_ROWS.
    most_clusters : the largest number that will be judged.
    """

    def __init__(
        self, samples: Samples, metric: str, random_state: np.random.RandomState, n_threads: int | None,
        most_clusters: int,
    ) -> None:  # fmt: skip
        values, sample_weight, description = samples.values, samples.sample_weight, samples.description
        self._values, self._weights, self._metric, self._n_threads = values, sample_weight, metric, n_threads
        self._total = scatter_of(samples, sample_weight, effective_n_threads(n_threads, values.size))
        self._mean = description.mean
        n_weighing = len(values) if sample_weight is None else np.count_nonzero(sample_weight)
        # Weights that were divided by something are not numbers of copies: then each row counts once, on average.
        total_weight = float(n_weighing) if sample_weight is None else float(sample_weight.sum())
        self._a_weight = max(n_weighing / total_weight, 1.0)
        n_compared = max(COMPARED_ROWS, OTHERS_A_CLUSTER * most_clusters)
        if n_weighing > n_compared and sample_weight is None:
            # A generator draws few of many without a list of all.
            generator = np.random.default_rng(random_state.randint(2**31))
            self._rows = np.sort(generator.choice(len(values), n_compared, replace=False, shuffle=False))
        elif n_weighing > n_compared:
            self._rows = np.sort(random_rows(len(values), sample_weight, n_compared, random_state))
        else:
            self._rows = np.arange(len(values)) if sample_weight is None else np.flatnonzero(sample_weight)
        compared = values[self._rows]
        self._compared = unit_rows(compared) if metric == "cosine" else compared
        variance = self._compared.var(axis=0, dtype=np.float64)
        variance /= variance.max() or 1.0
        self._dimension = float(variance.sum()) ** 2 / float((variance**2).sum() or 1.0)
        n_shown = min(SILHOUETTE_ROWS, len(self._rows))
        self._order = random_state.permutation(len(self._rows))
        self._n_shown = n_shown
        self._unseen = 1.0 - n_shown / n_weighing

    def of(self, fit: Fit) -> dict[str, float]:
        """Return the criteria of a fit by name, NaN where one has no meaning; those of of_all are left NaN."""
        found = dict.fromkeys(
            ("explained_variance", "calinski_harabasz", "davies_bouldin", "simplified_silhouette", "silhouette",
             "silhouette_se", "separation", "bic"), np.nan,
        )  # fmt: skip
        if fit.means is not None:
            found |= self._sums_of_squares(fit, fit.means)
        n_used = np.count_nonzero(fit.weights)
        if n_used > 1:
            found["separation"] = self._separation(fit, fit.run.labels[self._rows])
        return found

    def of_all(self, fits: list[Fit]) -> list[dict[str, float]]:
        """Return the criteria that cost less for all fits at once: silhouettes, and what is measured about centers."""
        pairs = zip(self._silhouettes(fits), self._about_centers(fits), strict=True)
        return [silhouettes | about_centers for silhouettes, about_centers in pairs]

    def _separation(self, fit: Fit, labels: Labels) -> float:
        """Separation from the compared rows, and from more of the clusters that these have few of."""
        n_clusters, compared = len(fit.weights), self._compared
        thin = np.bincount(labels, minlength=n_clusters) < THIN_ROWS
        if len(self._rows) < len(self._values) and thin.any():
            members = []
            for j in np.flatnonzero(thin & (fit.weights > 0)):
                own = fit.run.labels == j
                own = np.flatnonzero(own if self._weights is None else own & (self._weights > 0))
                members.append(own[:: -(-len(own) // THIN_ROWS)])
            rows, kept = np.concatenate([np.empty(0, dtype=np.intp), *members]), ~thin[labels]
            more = self._values[rows] if len(rows) else compared[:0]
            more = unit_rows(more) if self._metric == "cosine" and len(rows) else more
            compared = np.concatenate([compared[kept], more])
            labels = np.concatenate([labels[kept], fit.run.labels[rows]])
        return separation(compared, labels, n_clusters, self._dimension)

    def _sums_of_squares(self, fit: Fit, means: Floats) -> dict[str, float]:
        """Explained variance, Calinski-Harabasz and BIC, from the inertia about the means."""
        used = fit.weights > 0
        sizes, means = self._a_weight * fit.weights[used], means[used]
        n_samples, n_clusters, n_features = float(sizes.sum()), len(sizes), means.shape[1]
        shifts = ((means - fit.run.centers[used].astype(np.float64)) ** 2).sum(axis=1)
        within = max(self._a_weight * fit.run.inertia - float((sizes * shifts).sum()), 0.0)
        mean = (sizes[:, None] * means).sum(axis=0) / n_samples
        total = self._a_weight * self._total - n_samples * float(((mean - self._mean) ** 2).sum())
        between = float((sizes * ((means - mean) ** 2).sum(axis=1)).sum())
        found = {"bic": bayesian_information(within, sizes, n_features)}
        if total > 0:
            found["explained_variance"] = min(max(1.0 - within / total, 0.0), 1.0)
        if 1 < n_clusters < n_samples:
            found["calinski_harabasz"] = (
                between * (n_samples - n_clusters) / (within * (n_clusters - 1)) if within > 0 else 1.0
            )
        return found

    def _about_centers(self, fits: list[Fit]) -> list[dict[str, float]]:
        """Simplified silhouette about the centers, and Davies-Bouldin about the means, of each fit.

        From one reading of the samples: a part of them is held against the centers of all fits while it is in a cache.
        """
        if self._metric != "euclidean":
            return [self._about_other_centers(fit) if np.count_nonzero(fit.weights) > 1 else {} for fit in fits]
        sums = [np.empty((-(-len(self._values) // ROWS_OF_A_SUM), 1 + len(fit.weights))) for fit in fits]
        centers = [fit.run.centers.astype(np.float64) for fit in fits]
        several = ((i, fit) for i, fit in enumerate(fits) if np.count_nonzero(fit.weights) > 1)
        judged = {i: fit.means for i, fit in several if fit.means is not None}
        n_samples, n_features = self._values.shape
        n_threads = effective_n_threads(self._n_threads, float(self._values.size))
        rows = np.arange(min(ROWS_OF_A_PART, n_samples))
        eights = np.empty((len(rows) + 7) // 8 * 8 * n_features)
        for start in range(0, n_samples, ROWS_OF_A_PART):
            part = slice(start, start + ROWS_OF_A_PART)
            part_sums = slice(start // ROWS_OF_A_SUM, -(-min(part.stop, n_samples) // ROWS_OF_A_SUM))
            values, weights = self._values[part], None if self._weights is None else self._weights[part]
            silhouette.lay_eights(values, rows[: len(values)], eights, n_threads)
            for i, means in judged.items():
                silhouette.judge_blocks(
                    values, eights, fits[i].run.labels[part].astype(np.int32, copy=False), weights, centers[i], means,
                    ROWS_OF_A_SUM, sums[i][part_sums], n_threads,
                )  # fmt: skip
        return [self._of_sums(fit, judged[i], sums[i].sum(axis=0)) if i in judged else {} for i, fit in enumerate(fits)]

    def _about_other_centers(self, fit: Fit) -> dict[str, float]:
        samples = simplified_silhouette_samples(
            self._values, fit.run.labels, fit.run.centers.astype(np.float64), metric=self._metric,
            n_threads=self._n_threads,
        )  # fmt: skip
        return {"simplified_silhouette": float(np.average(samples, weights=self._weights))}

    def _of_sums(self, fit: Fit, means: Floats, sums: Floats) -> dict[str, float]:
        """sums : of silhouettes, then of the distances to the mean of each cluster."""
        used = fit.weights > 0
        found = {"simplified_silhouette": float(sums[0] / fit.weights.sum())}
        if np.count_nonzero(used) < self._a_weight * fit.weights.sum():
            spread = sums[1:][used] / fit.weights[used]
            unit = float(spread.max()) or 1.0  # the score knows no unit, but calls what is close to 0 nothing
            found["davies_bouldin"] = davies_bouldin_of(spread / unit, means[used] / unit)
        return found

    def _silhouettes(self, fits: list[Fit]) -> list[dict[str, float]]:
        """Mean and standard error of the silhouettes of some rows, each against some of the compared rows."""
        found: list[dict[str, float]] = [{} for _ in fits]
        counts = [max(SILHOUETTE_OTHERS, OTHERS_A_CLUSTER * len(fit.weights)) for fit in fits]
        for count in sorted(set(counts)):
            places = np.sort(self._order[:count])
            shown = np.searchsorted(places, np.sort(self._order[: self._n_shown]))
            rows, labelings = self._rows[places], {}
            for i in np.flatnonzero(np.equal(counts, count)).tolist():
                codes = consecutive(fits[i].run.labels[rows])
                if 1 <= codes.max() < len(codes) - 1:  # as in scikit-learn: from 2 clusters to one less than samples
                    labelings[i] = codes
            silhouettes = silhouettes_of_labelings(
                self._compared[places], list(labelings.values()), shown, self._metric, self._n_threads
            )
            for i, samples in zip(labelings, silhouettes, strict=True):
                error = samples.std(ddof=1) * np.sqrt(self._unseen / len(samples))
                found[i] = {"silhouette": float(samples.mean()), "silhouette_se": float(error)}
        return found


def consecutive(labels: Labels) -> Labels:
    """Return int32 numbers 0, 1, ... for the labels that occur, in their order."""
    occurs = np.bincount(labels) > 0
    return (np.cumsum(occurs, dtype=np.int32) - np.int32(1))[labels]


def bayesian_information(within: float, sizes: Floats, n_features: int) -> float:
    """Bayesian information criterion of round normal clusters of one variance; the higher the better. NaN if within is 0.

    D. Pelleg and A. Moore, "X-means: extending k-means with efficient estimation of the number of clusters", ICML 2000,
    section 3.2, with the variance estimated for each feature.
    """
    n_samples, n_clusters = float(sizes.sum()), len(sizes)
    if not within > 0 or n_samples <= n_clusters:
        return float("nan")
    variance = within / (n_features * (n_samples - n_clusters))
    likelihood = (
        float((sizes * np.log(sizes / n_samples)).sum())
        - n_samples * n_features / 2 * np.log(2 * np.pi * variance)
        - n_features * (n_samples - n_clusters) / 2
    )
    n_parameters = (n_clusters - 1) + n_clusters * n_features + 1
    return float(likelihood - n_parameters / 2 * np.log(n_samples))


def separation(values: Values, labels: Labels, n_clusters: int, dimension: float) -> float:
    """How far the least separated pair of clusters is apart, on the line through their means.

    The distance of the two means, divided by twice the larger of the standard deviations of the two clusters along
    that line. A cut through one cluster gives 1.3 if it is normal and 1.7 if it is uniform, in any number of
    features, if it has many more rows than dimensions; where they are few, the ratio is lowered by what chance adds.
    0 for two clusters of one sample each, and for an empty cluster; inf where none has any extent.

    dimension : of the samples; features that hardly vary count little.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    if not sizes.all():
        return 0.0
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(sizes)
    clusters = [values[order[end - size : end]].astype(np.float64) for end, size in zip(ends, sizes, strict=True)]
    means = np.array([cluster.mean(axis=0) for cluster in clusters])
    apart = np.array([np.sqrt(((means - mean) ** 2).sum(axis=1)) for mean in means])
    near = np.zeros((n_clusters, n_clusters), dtype=bool)
    near[np.arange(n_clusters)[:, None], np.argsort(apart, axis=1, kind="stable")[:, : NEIGHBORS + 1]] = True
    near |= near.T
    np.fill_diagonal(near, False)
    deviations = np.full((n_clusters, n_clusters), np.nan)
    for j, cluster in enumerate(clusters):
        others = np.flatnonzero(near[j])
        if len(cluster) > 1:
            lines = (means[others] - means[j]) / np.where(apart[j, others] > 0, apart[j, others], 1.0)[:, None]
            along = (cluster - means[j]) @ lines.T
            deviations[j, others] = np.sqrt((along**2).sum(axis=0) / (len(cluster) - 1))
    one, other = np.nonzero(np.triu(near))
    wider = np.fmax(deviations[one, other], deviations[other, one])  # the other's, where one has a single sample
    distance = apart[one, other]
    known = ~np.isnan(wider) & (distance > 0)
    ratios = np.zeros(len(wider))
    smaller = np.minimum(sizes[one], sizes[other])
    freedom = np.maximum(np.minimum(sizes[one] + sizes[other] - 2, 3 * (2 * smaller - 1)), 1)
    chance = np.sqrt(1.0 + FEW_ROWS * (dimension + 1.0) / freedom)
    with np.errstate(divide="ignore"):
        ratios[known] = distance[known] / (2.0 * wider[known] * chance[known])
    return float(ratios.min())
