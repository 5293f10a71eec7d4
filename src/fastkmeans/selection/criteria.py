"""The criteria for the number of clusters: numbers for each k, from one pass over all samples and from some rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._core import silhouette
from .._core.csr import CsrRows
from ..fitting.search import Fit
from ..fitting.seeding import random_rows
from ..quality.cluster_means import sq_distances_to
from ..quality.mean_distances import unit_rows
from ..quality.scatter import davies_bouldin_of
from ..quality.silhouettes import silhouettes_of_labelings
from ..quality.simplified import simplified_silhouette_samples, simplified_silhouettes_of_sparse
from ..rows import some_rows
from ..runtime.threads import effective_n_threads
from ..samples import Samples, cut_at, scatter_of
from ..types import Floats, Indices, Labels, Values
from .partitions import Partition
from .projections import variance_of
from .separation import separations

COMPARED_ROWS = 20_000
"""Silhouettes and separation read at most this many rows, or OTHERS_A_CLUSTER per cluster if that is more."""

SILHOUETTE_ROWS = 1000
"""The silhouette of a k is the mean over this many rows: a standard error of about 0.01 in 10 ms per k."""

SILHOUETTE_OTHERS, OTHERS_A_CLUSTER = 10_000, 100
"""Each of these rows is compared with this many rows, and with at least this many per cluster. The least of many mean distances
is too small if each is the mean of few: with 10 rows per cluster and k=1000, a silhouette was 0.036 instead of 0.061."""

THIN_ROWS = 30
"""If fewer rows of a cluster were drawn, separation reads at most this many of all its rows instead, evenly spaced."""

RESAMPLED_ROWS, RESAMPLED_A_CLUSTER, RESAMPLED_VALUES = 4000, 100, 4_000_000
"""The choice is tested on at most this many rows: 100 resamples of 10 k take 10 ms. It is tested on 100 rows per cluster if that is more, but
rows times k are limited to 4 million, which take 32 MB."""

SIZABLE_SHARE, SIZABLE_ROWS, LEAST_SIZABLE_ROWS = 0.02, 10, 2
"""A cluster is more than a few outliers if it has 2 % of the rows, or 10 rows, but at least 2. Of 40 sets of 200 rows of Student's t with
three degrees of freedom, five had one sample so far away that it was a cluster of its own, and the others one more."""

ROWS_OF_A_SUM = 4096
"""Rows per partial sum, for any number of threads."""

ROWS_OF_A_PART = 8 * ROWS_OF_A_SUM
"""Rows that are compared with the centers of all fits at a time. With 20 features they take 5 MB, which fits the last cache."""


class Criteria:
    """Computes the criteria. Holds what all k share: the scatter about the mean, and the rows for silhouettes and separation.

    samples : of a fit.   metric : of KMeans.
    random_state : draws the rows, by weight and each once, if there are more samples than rows to compare.
    most_clusters : the largest number of clusters that will be judged.
    """

    def __init__(
        self, samples: Samples, metric: str, random_state: np.random.RandomState, n_threads: int | None,
        most_clusters: int,
    ) -> None:  # fmt: skip
        values, sample_weight, description = samples.values, samples.sample_weight, samples.description
        self._samples, self._weights, self._metric, self._n_threads = samples, sample_weight, metric, n_threads
        self._total = scatter_of(
            samples, sample_weight, effective_n_threads(n_threads, float(values.shape[0]) * values.shape[1])
        )
        self._mean = description.mean
        n_weighing = len(values) if sample_weight is None else np.count_nonzero(sample_weight)
        # Weights with a mean below 1 are not numbers of copies. They are scaled so that each row counts once on average.
        total_weight = float(n_weighing) if sample_weight is None else float(sample_weight.sum())
        self._a_weight = max(n_weighing / total_weight, 1.0)
        n_compared = max(COMPARED_ROWS, OTHERS_A_CLUSTER * most_clusters)
        if n_weighing > n_compared and sample_weight is None:
            # A Generator draws few of many rows without a list of all rows.
            generator = np.random.default_rng(random_state.randint(2**31))
            self._rows = np.sort(generator.choice(len(values), n_compared, replace=False, shuffle=False))
        elif n_weighing > n_compared:
            self._rows = np.sort(random_rows(len(values), sample_weight, n_compared, random_state))
        else:
            self._rows = np.arange(len(values)) if sample_weight is None else np.flatnonzero(sample_weight)
        self._compared = self._taken(self._rows)
        variance = variance_of(self._compared)
        variance /= variance.max() or 1.0
        self._dimension = float(variance.sum()) ** 2 / float((variance**2).sum() or 1.0)
        n_shown = min(SILHOUETTE_ROWS, len(self._rows))
        self._order = random_state.permutation(len(self._rows))
        self._n_shown = n_shown
        self._unseen = 1.0 - n_shown / n_weighing
        per_cluster = min(RESAMPLED_A_CLUSTER * most_clusters, RESAMPLED_VALUES // most_clusters)
        self._resampled = np.sort(self._rows[self._order[: max(RESAMPLED_ROWS, per_cluster)]])
        is_drawn_by_weight = sample_weight is not None and n_weighing > n_compared
        self._resampled_weights = (
            None if is_drawn_by_weight or sample_weight is None else sample_weight[self._resampled]
        )

    def rows_to_resample(self) -> tuple[Indices, Floats | None]:
        """Return the numbers of the rows by which the choice is tested, and their weights, None if they count alike."""
        return self._resampled, self._resampled_weights

    def some_values(self) -> Values:
        """Return the rows that silhouettes and separation are measured on."""
        return self._compared

    def _taken(self, rows: Indices) -> Values:
        """Return some samples as silhouettes and separation read them."""
        values = self._samples.values
        if isinstance(values, CsrRows):
            return some_rows(values, rows)  # of a fit by cosine distances they have length 1
        taken = self._samples.take(rows, n_threads=self._n_threads)
        return unit_rows(taken) if self._metric == "cosine" else taken

    def of(self, fit: Fit) -> dict[str, float]:
        """Return the criteria of a fit by name; NaN for those that are not defined, and for those that of_all computes."""
        found = dict.fromkeys(
            ("explained_variance", "calinski_harabasz", "davies_bouldin", "simplified_silhouette", "silhouette",
             "silhouette_se", "separation", "typical_separation", "bic"), np.nan,
        )  # fmt: skip
        if fit.means is not None:
            found |= self._sums_of_squares(fit, fit.means)
        n_used = np.count_nonzero(fit.weights)
        if n_used > 1:
            apart = self._separations(fit, fit.run.labels[self._rows])
            found |= {"separation": float(apart.min()), "typical_separation": float(np.median(apart))}
        return found

    def of_all(self, fits: list[Fit]) -> list[dict[str, float]]:
        """Return the criteria that cost less for all fits at once: silhouettes, simplified silhouettes, Davies-Bouldin."""
        pairs = zip(self._silhouettes(fits), self._about_centers(fits), strict=True)
        return [silhouettes | about_centers for silhouettes, about_centers in pairs]

    def count_sizable(self, fit: Fit) -> int:
        """Return how many clusters are more than a few outliers."""
        sizes = self._a_weight * fit.weights
        return int(np.count_nonzero(sizes >= max(min(SIZABLE_SHARE * sizes.sum(), SIZABLE_ROWS), LEAST_SIZABLE_ROWS)))

    def of_partitions(self, partitions: list[Partition]) -> Floats:
        """Return BIC and Calinski-Harabasz of partitions, (2, n_partitions); NaN where they are not defined."""
        found = np.full((2, len(partitions)), np.nan)
        for i, partition in enumerate(partitions):
            fit, centers = partition.fit, partition.centers
            if fit.means is not None:
                run = fit.run._replace(centers=centers, inertia=partition.inertia)
                sums = self._sums_of_squares(fit._replace(run=run, weights=partition.weights), centers)
                found[:, i] = sums["bic"], sums.get("calinski_harabasz", np.nan)
        return found

    def _separations(self, fit: Fit, labels: Labels) -> Floats:
        """Return the separation of each cluster of the compared rows, with more rows for the clusters that have few of them."""
        n_clusters, compared = len(fit.weights), self._compared
        thin = np.bincount(labels, minlength=n_clusters) < THIN_ROWS
        if len(self._rows) < len(self._samples.values) and thin.any():
            members = []
            for j in np.flatnonzero(thin & (fit.weights > 0)):
                own = fit.run.labels == j
                own = np.flatnonzero(own if self._weights is None else own & (self._weights > 0))
                members.append(own[:: -(-len(own) // THIN_ROWS)])
            rows = np.concatenate([self._rows[~thin[labels]], *members])
            compared, labels = self._taken(rows), fit.run.labels[rows]
        return separations(compared, labels, n_clusters, self._dimension)

    def _sums_of_squares(self, fit: Fit, means: Floats) -> dict[str, float]:
        """Return explained variance, Calinski-Harabasz and BIC, from the inertia about the means."""
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
        """Return the simplified silhouette (about the centers) and Davies-Bouldin (about the means) of each fit.

        The samples are read once: each part is compared with the centers of all fits while it is in a cache.
        """
        if isinstance(self._samples.values, CsrRows):
            return [self._about_sparse_centers(fit, self._samples.values) for fit in fits]
        if self._metric != "euclidean":
            return [self._about_other_centers(fit) if np.count_nonzero(fit.weights) > 1 else {} for fit in fits]
        n_samples, n_features = self._samples.values.shape
        sums = [np.empty((-(-n_samples // ROWS_OF_A_SUM), 1 + len(fit.weights))) for fit in fits]
        centers = [fit.run.centers.astype(np.float64) for fit in fits]
        several = ((i, fit) for i, fit in enumerate(fits) if np.count_nonzero(fit.weights) > 1)
        judged = {i: fit.means for i, fit in several if fit.means is not None}
        n_threads = effective_n_threads(self._n_threads, float(n_samples) * n_features)
        rows = np.arange(min(ROWS_OF_A_PART, n_samples))
        eights = np.empty((len(rows) + 7) // 8 * 8 * n_features)
        for part, values in self._parts():
            part_sums = slice(part.start // ROWS_OF_A_SUM, -(-part.stop // ROWS_OF_A_SUM))
            weights = None if self._weights is None else self._weights[part]
            silhouette.lay_eights(values, rows[: len(values)], eights, n_threads)
            for i, means in judged.items():
                silhouette.judge_blocks(
                    values, eights, fits[i].run.labels[part].astype(np.int32, copy=False), weights, centers[i], means,
                    ROWS_OF_A_SUM, sums[i][part_sums], n_threads,
                )  # fmt: skip
        return [self._of_sums(fit, judged[i], sums[i].sum(axis=0)) if i in judged else {} for i, fit in enumerate(fits)]

    def _parts(self) -> Iterator[tuple[slice, Values]]:
        """Yield the samples in arrays of at most ROWS_OF_A_PART that begin where a partial sum does."""
        for rows, values in cut_at(self._samples.arrays(), ROWS_OF_A_SUM):
            for start in range(0, len(values), ROWS_OF_A_PART):
                part = values[start : start + ROWS_OF_A_PART]
                yield slice(rows.start + start, rows.start + start + len(part)), part

    def _about_other_centers(self, fit: Fit) -> dict[str, float]:
        centers = fit.run.centers.astype(np.float64)
        samples = np.concatenate([
            simplified_silhouette_samples(
                values, fit.run.labels[rows], centers, metric=self._metric, n_threads=self._n_threads
            )
            for rows, values in self._samples.arrays()
        ])  # fmt: skip
        return {"simplified_silhouette": float(np.average(samples, weights=self._weights))}

    def _about_sparse_centers(self, fit: Fit, rows: CsrRows) -> dict[str, float]:
        if np.count_nonzero(fit.weights) < 2:
            return {}
        weights = np.ones(len(rows)) if self._weights is None else self._weights
        labels, centers = fit.run.labels.astype(np.int32, copy=False), fit.run.centers.astype(np.float64)
        silhouettes = simplified_silhouettes_of_sparse(rows, labels, centers, self._metric, self._n_threads)
        if fit.means is None:
            return {"simplified_silhouette": float(np.average(silhouettes, weights=weights))}
        distances = np.sqrt(sq_distances_to(fit.means, rows, labels, self._n_threads))
        spread = np.bincount(labels, weights * distances, len(fit.weights))
        return self._of_sums(fit, fit.means, np.append((weights * silhouettes).sum(), spread))

    def _of_sums(self, fit: Fit, means: Floats, sums: Floats) -> dict[str, float]:
        """Return the criteria from sums.   sums[0] : of silhouettes.   sums[1:] : of the distances to each cluster's mean."""
        used = fit.weights > 0
        found = {"simplified_silhouette": float(sums[0] / fit.weights.sum())}
        if np.count_nonzero(used) < self._a_weight * fit.weights.sum():
            spread = sums[1:][used] / fit.weights[used]
            unit = (
                float(spread.max()) or 1.0
            )  # davies_bouldin_of returns 0 if distances are nearly 0, so they are scaled first
            found["davies_bouldin"] = davies_bouldin_of(spread / unit, means[used] / unit)
        return found

    def _silhouettes(self, fits: list[Fit]) -> list[dict[str, float]]:
        """Return mean and standard error of the silhouettes of some rows, each compared with some of the compared rows."""
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
                some_rows(self._compared, places), list(labelings.values()), shown, self._metric, self._n_threads
            )
            for i, samples in zip(labelings, silhouettes, strict=True):
                error = samples.std(ddof=1) * np.sqrt(self._unseen / len(samples))
                found[i] = {"silhouette": float(samples.mean()), "silhouette_se": float(error)}
        return found


def consecutive(labels: Labels) -> Labels:
    """Renumber the labels that occur as 0, 1, ... (int32), in ascending order."""
    occurs = np.bincount(labels) > 0
    return (np.cumsum(occurs, dtype=np.int32) - np.int32(1))[labels]


def bayesian_information(within: float, sizes: Floats, n_features: int) -> float:
    """Return the Bayesian information criterion of spherical normal clusters of equal variance. Higher is better.

    NaN if within is 0, or if there are no more samples than clusters.
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
