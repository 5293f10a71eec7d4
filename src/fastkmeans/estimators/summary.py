"""What distinguishes each cluster: its size, its features against those of all rows, and rows to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import distances
from .._core.sums import ClusterSums
from ..display.html import bar, box, note, table
from ..display.words import counted, percent, short_number
from ..input.labelled import labelled_rows
from ..input.tables import frame_from_columns, index_of
from ..runtime.threads import effective_n_threads
from ..samples import describe
from ..types import AnyArray, Floats, Indices, Labels, Values

if TYPE_CHECKING:
    from .centers import CentersEstimator

NAMED_FEATURES = 3
"""At most so many features of a cluster are named in its sentence."""

LEAST_DIFFERENCE = 0.5
"""Standard deviations below which a feature does not distinguish a cluster: half of one is called a medium effect (J. Cohen,
Statistical power analysis for the behavioral sciences, 1988, chapter 2)."""

LARGE_DIFFERENCE = 1.5
"""Standard deviations beyond which a difference is called much: of a normal feature 13 % of all rows lie so far out."""

SHOWN_ROWS = 3
"""Typical rows, and odd rows, per cluster."""

SHOWN_CLUSTERS = 20
"""With more clusters the others are counted, not described."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ClusterSummary:
    """Sizes and centers of clusters, and what distinguishes them; :meth:`KMeans.summary` makes it.

    Printed, it says one sentence per cluster. Notebooks show it as a table.

    Attributes
    ----------
    feature_names : list of str
        Names of the features; "feature 0", "feature 1" and so on if X had none.
    sizes : ndarray of shape (n_clusters,), int64
        Number of rows of each cluster.
    centers : ndarray of shape (n_clusters, n_features)
        `cluster_centers_`, in the units of X.
    means : ndarray of shape (n_clusters, n_features), float64, or None
        Mean of the rows of each cluster, NaN for a cluster without rows. This and the following are None without X.
    differences : ndarray of shape (n_clusters, n_features), float64, or None
        Mean of the cluster minus mean of all rows, in standard deviations of all rows. 0 for a feature without spread.
    typical_rows : list of ndarray of int64, or None
        Per cluster, the numbers of at most three rows nearest to the center, the nearest first.
    odd_rows : list of ndarray of int64, or None
        Per cluster, the numbers of at most three rows farthest from the center, the farthest first. No row is both.
    index : ndarray of shape (n_rows,), object, or None
        The index of X if X is a pandas table: ``index[typical_rows[0]]`` are the names that are printed. Else the
        numbers of the rows are printed, which count from 0.
    notes : tuple of str
        What was left out of X or filled, in words; see :meth:`KMeans.summary`.

    Examples
    --------
    >>> from fastkmeans import KMeans
    >>> X = [[20.0, 1.0], [22.0, 1.0], [24.0, 1.0], [70.0, 1.0], [72.0, 1.0]]
    >>> summary = KMeans(n_clusters=2, init=[X[0], X[3]]).fit(X).summary(X)
    >>> print(summary)
    2 clusters, 5 rows, 2 features; rows by their numbers from 0
    cluster 0: 3 of 5 rows (60 %); feature 0 below average (-0.8 sd, 22)
        typical rows 1, 0, 2
    cluster 1: 2 of 5 rows (40 %); feature 0 above average (+1.2 sd, 71)
        typical rows 3, 4
    In brackets: the distance of the cluster from the average of all rows, in standard deviations (sd), and its center.
    >>> summary.typical_rows[0].tolist()
    [1, 0, 2]
    """

    feature_names: list[str]
    sizes: Indices
    centers: Values
    means: Floats | None = None
    differences: Floats | None = None
    typical_rows: list[Indices] | None = None
    odd_rows: list[Indices] | None = None
    index: AnyArray | None = None
    notes: tuple[str, ...] = ()
    _native: Any = None
    _on_sphere: bool = False

    def sentences(self) -> list[str]:
        """Return one sentence per cluster.

        Returns
        -------
        list of str
            Label, size, and the features that distinguish it: the largest differences from the mean of all rows first,
            each with its distance from that mean in standard deviations (sd), and with the center. Of metric="cosine", whose
            centers have length 1, it is the mean of the rows instead. Without X, the center. :meth:`legend` says so.
        """
        return [self._sentence(label) for label in range(len(self.sizes))]

    def legend(self) -> str:
        """Return what the numbers in the sentences mean, in one sentence.

        Returns
        -------
        str
            "" if the sentences have no numbers in brackets: without X, or of a single cluster.
        """
        if self.differences is None or len(self.sizes) == 1:
            return ""
        value = "the mean of its rows" if self._on_sphere else "its center"
        return (
            "In brackets: the distance of the cluster from the average of all rows, in standard deviations (sd), "
            f"and {value}."
        )

    def __str__(self) -> str:
        lines = [self._heading()]
        for label in range(min(len(self.sizes), SHOWN_CLUSTERS)):
            lines.append(self._sentence(label))
            rows = self._rows(label)
            lines += [f"    {rows}"] if rows else []
        if len(self.sizes) > SHOWN_CLUSTERS:
            lines.append(f"and {counted(len(self.sizes) - SHOWN_CLUSTERS, 'other cluster')}; to_frame() has all")
        lines += [self.legend()] if self.legend() else []
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The summary as a table, for notebooks."""
        shares = self.sizes / max(int(self.sizes.sum()), 1)
        largest = max(float(shares.max()), 1e-300)
        headings = ["cluster", "rows", "share", "what distinguishes it" if self.differences is not None else "center"]
        headings += ["typical rows", "odd rows"] if self.typical_rows is not None else []
        rows = []
        for label, (size, share) in enumerate(zip(self.sizes.tolist(), shares.tolist(), strict=True)):
            cells: list[Any] = [label, f"{size:,}", bar(share / largest, percent(share)), self._traits(label)]
            if self.typical_rows is not None and self.odd_rows is not None:
                cells += [self._listed(self.typical_rows[label]), self._listed(self.odd_rows[label])]
            rows.append(cells)
        shown = table(headings, rows[:SHOWN_CLUSTERS], numbers=(0, 1), n_rows=len(rows))
        return box(self._heading(), shown, note(self.legend()))

    def to_frame(self) -> Any:
        """Return the summary as a table with one row per cluster.

        Returns
        -------
        DataFrame or ndarray
            A DataFrame of the library that X came from; a NumPy structured array if X was an array or was not given.
            Its columns are labels, size, share (of all rows), and the features with their centers. With X there are
            also typical_row and odd_row (numbers of rows from 0, -1 if there is none), and for each feature "NAME (sd)" with its difference.

        Raises
        ------
        ValueError
            If a feature has the name of another column.
        """
        columns: dict[str, AnyArray] = {
            "labels": np.arange(len(self.sizes), dtype=np.int32),
            "size": self.sizes,
            "share": self.sizes / max(int(self.sizes.sum()), 1),
        }
        if self.typical_rows is not None and self.odd_rows is not None:
            columns |= {"typical_row": _first_of(self.typical_rows), "odd_row": _first_of(self.odd_rows)}
        features = list(zip(self.feature_names, self.centers.T, strict=True))
        if self.differences is not None:
            names = [f"{name} (sd)" for name in self.feature_names]
            features += list(zip(names, self.differences.T, strict=True))
        taken = [name for name, _ in features if name in columns]
        if taken:
            raise ValueError(f"the table of a summary has a column {taken[0]!r} of its own; rename yours first.")
        columns |= dict(features)
        if self._native is not None:
            return frame_from_columns(columns, like=self._native)
        frame = np.empty(len(self.sizes), dtype=[(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            frame[name] = column
        return frame

    def _heading(self) -> str:
        n_clusters, n_features = self.centers.shape
        parts = (n_clusters, "cluster"), (int(self.sizes.sum()), "row"), (n_features, "feature")
        said = [", ".join(counted(*part) for part in parts), *self.notes]
        if self.typical_rows is not None:
            said.append("rows by their numbers from 0" if self.index is None else "rows by their index labels")
        return "; ".join(said)

    def _sentence(self, label: int) -> str:
        size, total = int(self.sizes[label]), int(self.sizes.sum())
        traits = ("center: " if self.differences is None else "") + self._traits(label)
        return f"cluster {label}: {size:,} of {counted(total, 'row')} ({percent(size / max(total, 1))})" + (
            f"; {traits}" if traits else ""
        )

    def _traits(self, label: int) -> str:
        """What distinguishes a cluster; its center if that is not known; "" for an empty or a single cluster."""
        if self.differences is None or self.means is None:
            named = [f"{name} {short_number(value)}" for name, value in self._center(label)]
            return ", ".join(named) + (", ..." if len(self.feature_names) > len(named) else "")
        if self.sizes[label] == 0 or len(self.sizes) == 1:
            return ""
        differences = self.differences[label]
        order = np.argsort(-np.abs(differences), kind="stable")
        named = [self._trait(label, f) for f in order[:NAMED_FEATURES] if abs(differences[f]) >= LEAST_DIFFERENCE]
        return ", ".join(
            named or [f"medium {self.feature_names[f]} ({self._value(label, f)})" for f in order[:NAMED_FEATURES]]
        )

    def _center(self, label: int) -> list[tuple[str, float]]:
        return list(zip(self.feature_names, self.centers[label].tolist(), strict=True))[: 2 * NAMED_FEATURES]

    def _trait(self, label: int, f: int) -> str:
        assert self.differences is not None
        difference = self.differences[label, f]
        much = "much " if abs(difference) > LARGE_DIFFERENCE else ""
        where = f"{much}{'above' if difference > 0 else 'below'} average"
        return f"{self.feature_names[f]} {where} ({difference:+.1f} sd, {self._value(label, f)})"

    def _value(self, label: int, f: int) -> str:
        """The center of a cluster, or the mean of its rows where centers are directions."""
        values = self.means if self._on_sphere and self.means is not None else self.centers
        return short_number(float(values[label, f]))

    def _rows(self, label: int) -> str:
        if self.typical_rows is None or self.odd_rows is None:
            return ""
        kinds = ("typical", self.typical_rows[label]), ("odd", self.odd_rows[label])
        return "; ".join(f"{kind} row{'s' * (len(rows) > 1)} {self._listed(rows)}" for kind, rows in kinds if len(rows))

    def _listed(self, rows: Indices) -> str:
        return ", ".join(map(str, (rows if self.index is None else self.index[rows]).tolist()))


def summarize(model: CentersEstimator, X: Any) -> ClusterSummary:
    """Summarise the clusters of a fitted estimator; see :meth:`KMeans.summary`."""
    centers = model.cluster_centers_
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    names = names or [f"feature {f}" for f in range(centers.shape[1])]
    if X is None:
        if not hasattr(model, "labels_"):
            raise ValueError("summary() needs X, because this model was made of centers and knows no rows; pass X.")
        return ClusterSummary(names, np.bincount(np.asarray(model.labels_), minlength=len(centers)), centers)
    rows = labelled_rows(X, model)
    model, matrix, measured, kind = model._checked_samples(rows.table, "summary")
    labels = model._nearest(measured, kind)
    sizes = np.bincount(labels, minlength=len(centers))
    n_threads = effective_n_threads(model.n_threads, float(measured.size))
    description = describe(matrix.values, n_threads)
    # A sum on the grids loses far less than anybody reads; quality/cluster_means.py has sums rounded once, at ten times
    # the cost.
    clusters = ClusterSums(matrix.values, None, description.max_abs, 1.0, len(centers), n_threads)
    clusters.follow(labels)
    with np.errstate(invalid="ignore"):
        means = (clusters.sums[:, 0] + clusters.sums[:, 1])[:, :-1] / sizes[:, None]
    deviation = np.sqrt(description.variance)
    differences = (means - description.mean) / np.where(deviation > 0.0, deviation, np.inf)
    apart = np.empty(len(measured))
    distances.own_sq_distances(measured, model._wide_centers(), labels, apart, n_threads, kind)
    typical, odd = _rows_to_look_at(apart, labels, sizes)
    if rows.kept is not None:
        of_table = np.flatnonzero(rows.kept)
        typical, odd = [of_table[own] for own in typical], [of_table[own] for own in odd]
    index = index_of(X) if matrix.native is not None else None
    on_sphere = model.metric == "cosine"
    return ClusterSummary(
        names, sizes, centers, means, differences, typical, odd, index, rows.notes, matrix.native, on_sphere
    )


def _rows_to_look_at(apart: Floats, labels: Labels, sizes: Indices) -> tuple[list[Indices], list[Indices]]:
    """Return per cluster the rows nearest to the center, and the farthest of the others; of equals the first.

    apart : (n_samples,) any distance to the own center.
    """
    by_cluster = np.argsort(labels.astype(np.min_scalar_type(len(sizes))), kind="stable")
    far, typical, odd = -apart, [], []
    for own in np.split(by_cluster, np.cumsum(sizes)[:-1]):
        nearest = _least(apart, own, SHOWN_ROWS)
        farthest = _least(far, own, 2 * SHOWN_ROWS)
        typical.append(nearest)
        odd.append(farthest[~np.isin(farthest, nearest)][:SHOWN_ROWS])
    return typical, odd


def _least(values: Floats, rows: Indices, count: int) -> Indices:
    """Return the rows with the least values, least first; of equals those that come first."""
    own = values[rows]
    if len(rows) > count:
        few = own <= np.partition(own, count - 1)[count - 1]
        rows, own = rows[few], own[few]
    least: Indices = rows[np.argsort(own, kind="stable")][:count]
    return least


def _first_of(rows: list[Indices]) -> Indices:
    return np.array([own[0] if len(own) else -1 for own in rows], dtype=np.int64)
