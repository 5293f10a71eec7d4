"""What a sweep over the number of clusters found: a table, the number that it names, and a model for each number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..display.curve import curve
from ..display.html import beside, box, note, table
from ..types import AnyArray, Floats, Indices
from .words import FIRM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..fitting.loop import Run

Model = TypeVar("Model")  # the estimator that was swept: KMeans

COLUMNS = (
    "k", "inertia", "explained_variance", "calinski_harabasz", "davies_bouldin", "simplified_silhouette",
    "silhouette", "silhouette_se", "separation", "typical_separation", "bic", "bend", "gap", "gap_se", "n_iter", "seconds",
)  # fmt: skip

SHOWN = {  # column -> how print() and the command line show it: heading, format
    "k": ("k", "{:d}"),
    "inertia": ("inertia", "{:.6g}"),
    "explained_variance": ("explained", "{:.3f}"),
    "calinski_harabasz": ("CH", "{:.5g}"),
    "davies_bouldin": ("DB", "{:.3f}"),
    "silhouette": ("silhouette", "{:.3f}"),
    "separation": ("separation", "{:.2f}"),
    "bend": ("bend", "{:.2f}"),
    "gap": ("gap", "{:.3f}"),
}


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ElbowResult(Generic[Model]):
    """What :func:`elbow` measured for each k. Iterating gives ``(k, inertia)`` pairs.

    Each column of the table is an attribute, a read-only array of shape (n_fits,). A value without meaning, such as the
    silhouette of one cluster, is NaN. With a metric other than "euclidean" only ``inertia``, ``simplified_silhouette``,
    ``silhouette``, the separations, ``bend``, ``n_iter`` and ``seconds`` have a meaning. With ``standardize`` all columns are
    those of standardised samples.

    Attributes
    ----------
    k : int64
        The numbers of clusters, ascending.
    inertia : float64
        The lowest inertia found, in squared units of X (of other metrics and standardised samples: see
        :class:`KMeans`). It never rises with ``k``.
    explained_variance : float64
        Sum of squares between the clusters over the sum of squares about the mean, 0 to 1.
    calinski_harabasz : float64
        Sum of squares between the clusters divided by that within them, each per degree of freedom; higher is better
        (:func:`calinski_harabasz_score`).
    davies_bouldin : float64
        How much clusters overlap; lower is better (:func:`davies_bouldin_score`).
    simplified_silhouette : float64
        Mean silhouette by distances to centers, -1 to 1 (:func:`simplified_silhouette_score`).
    silhouette : float64
        Mean silhouette of at most 1000 random samples, each against at most 10 000; higher is better, at most 1.
    silhouette_se : float64
        Standard error of ``silhouette`` as an estimate of the mean over all samples; 0 if all samples were used.
    separation : float64
        How far the two closest clusters are apart. For a pair of neighbouring clusters it is the distance of their
        means, divided by twice the larger standard deviation along the line between them, and by what chance adds if
        rows are few. The column holds the least of all pairs. It is measured on at most 20 000 samples, or 100 per
        cluster. At 2 or more there is a valley between the clusters of each pair.
    typical_separation : float64
        The same for each cluster and the one that it is least separated from; the median over the clusters.
    bic : float64
        Bayesian information criterion of a mixture of round normal clusters with one variance; higher is better
        (X-means: D. Pelleg and A. Moore, ICML 2000).
    bend : float64
        How many times as steep the inertia falls before this k as after it, both axes logarithmic. It is about 1 without
        clusters, and large at the number of clusters. The slopes reach over 12 % of k on both sides, and at least to the next
        number of the sweep. It is NaN at both ends of the sweep.
    gap, gap_se : float64
        The gap statistic and its standard error; only with ``gap=True``.
    n_iter : int64
        Number of iterations over all samples, after the search on some of them.
    seconds : float64
        Wall-clock time of search and fit.
    best_k : int or None
        The number of clusters by the rule of :func:`elbow`, or None.
    runner_up : int or None
        The second best: the sharpest bend if another k was chosen, else the one at which 80 of 100 resamples bend most. None if
        the curve bends nowhere else in so many of them.
    confidence : float or None
        The share of 100 resamples of the rows that lead to the same ``best_k``, 0 to 1. A resample draws as many rows as there
        are, with replacement. The clusters stay those of the fits. None without ``best_k``.
    reason : str
        In plain words: why this ``best_k``, or why there is none, and where the curve bends.
    knees : dict
        Where the inertia curve has its elbow, int or None, whether there are clusters or not. This is not the k with the largest
        ``bend``. "kneedle" is the method of Satopaa et al. (2011). "chord" is the point farthest below the straight line between
        the ends of the curve with both axes logarithmic.
    metric : str
        The metric of the fits.
    standardize : bool or str
        Whether and how the features were standardised for the fits, as in :class:`KMeans`.
    agreement : dict
        The k that each criterion names, int or None. "bend" names the k with the largest bend, "separation" the largest k at
        which all clusters are apart. The others name the k at which they are best.

    Examples
    --------
    >>> from fastkmeans import elbow
    >>> X = [[0.0], [1.0], [2.0], [20.0], [21.0], [22.0], [40.0], [41.0], [42.0]]
    >>> result = elbow(X, k=5, random_state=3)
    >>> result
    ElbowResult(best_k=3)
    k  inertia  explained      CH     DB  silhouette  separation   bend
    1     2406      0.000
    2      606      0.748  20.792  0.356       0.671        0.99   0.17  <- kneedle
    3        6      0.998    1200  0.067       0.932        6.20  11.30  <- best_k
    4      4.5      0.998  889.44  0.200       0.676        0.39   0.55
    5        3      0.999     801  0.279       0.421        0.00
    There are 3 clusters, and all of them are apart: up to k = 3 the inertia falls ... times as steeply as beyond it...
    >>> result.model(3).labels_.tolist() == result.model(3).predict(X).tolist()
    True
    >>> result.agreement["silhouette"], result.knees["chord"]
    (3, 3)
    """

    k: Indices
    inertia: Floats
    explained_variance: Floats
    calinski_harabasz: Floats
    davies_bouldin: Floats
    simplified_silhouette: Floats
    silhouette: Floats
    silhouette_se: Floats
    separation: Floats
    typical_separation: Floats
    bic: Floats
    bend: Floats
    gap: Floats | None
    gap_se: Floats | None
    n_iter: Indices
    seconds: Floats
    best_k: int | None
    runner_up: int | None
    confidence: float | None
    reason: str
    knees: dict[str, int | None]
    agreement: dict[str, int | None]
    metric: str = "euclidean"
    standardize: bool | str = False
    _runs: dict[int, tuple[Run, str]] = field(default_factory=dict)
    _make_model: Callable[[tuple[Run, str]], Model] | None = None
    _frame: Any = None

    @property
    def is_firm(self) -> bool:
        """Do at least 90 of 100 resamples agree on ``best_k``? False without ``best_k``."""
        return self.confidence is not None and self.confidence >= FIRM

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.k.tolist(), self.inertia.tolist(), strict=True)

    def __len__(self) -> int:
        return len(self.k)

    def __repr__(self) -> str:
        return "\n".join([f"ElbowResult(best_k={self.best_k})", *self.table_lines(), self.reason])

    def table_lines(self) -> list[str]:
        """Return the main columns as lines of text, heading first, with best_k marked, and the elbow by kneedle.

        Returns
        -------
        list of str
            One line more than there are fits; columns without any value are left out.
        """
        columns = self._text_columns()
        widths = [max(map(len, column)) for column in columns]
        lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
                 for row in zip(*columns, strict=True)]  # fmt: skip
        marks = ["", *(self._mark(k) for k in self.k.tolist())]
        return [line + mark for line, mark in zip(lines, marks, strict=True)]

    def _mark(self, k: int) -> str:
        """What follows a row of the table: best_k, or the elbow by kneedle where that is another k."""
        return "  <- best_k" if k == self.best_k else "  <- kneedle" if k == self.knees["kneedle"] else ""

    def _text_columns(self) -> list[list[str]]:
        """The main columns as text, heading first; those without any value are left out."""
        columns = []
        for name, (heading, shape) in SHOWN.items():
            values = getattr(self, name)
            if values is not None and not np.isnan(values).all():
                columns.append([heading, *("" if np.isnan(value) else shape.format(value) for value in values)])
        return columns

    def _repr_html_(self) -> str:
        """The curve and the table, best_k marked in both, for notebooks."""
        headings, *rows = zip(*self._text_columns(), strict=True)
        ks = self.k.tolist()
        marked = ks.index(self.best_k) if self.best_k is not None else None
        knee = self.knees["kneedle"]
        picture = curve(ks, self.inertia.tolist(), chosen=self.best_k, bend=knee, x_name="k", y_name="inertia")
        columns = table(headings, rows, numbers=range(len(headings)), marked=marked)
        state = "no best_k" if self.best_k is None else f"best_k = {self.best_k}"
        state += "" if knee is None else f", the curve bends at {knee} (kneedle)"
        return box("ElbowResult", beside(picture, columns), note(self.reason), state=state)

    def model(self, k: int) -> Model:
        """Return the fitted estimator for one k, without fitting again.

        Parameters
        ----------
        k : int
            A number of the sweep.

        Returns
        -------
        KMeans
            The model of this row of the table, with all that fit sets. Each call makes a new one with copies of the
            arrays.

        Raises
        ------
        ValueError
            If the sweep holds no such k.

        Examples
        --------
        >>> from fastkmeans import elbow
        >>> elbow([[0.0], [2.0], [9.0]], k=2).model(2).inertia_
        2.0
        """
        try:
            run = self._runs[operator.index(k)]
        except (KeyError, TypeError):
            raise ValueError(f"k must be one of {self.k.tolist()}, the numbers of this sweep; got {k!r}.") from None
        assert self._make_model is not None  # there are runs
        return self._make_model(run)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the inertia with the chosen ``k`` marked, and the silhouettes beside it; see :func:`fastkmeans.plot_elbow`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw the inertia alone. By default both are drawn in a new figure, reachable as ``ax.figure`` of the
            result.

        Returns
        -------
        matplotlib.axes.Axes
            The axes of the inertia.
        """
        from ..plotting.elbow import plot_elbow

        if ax is None and np.isfinite(self.silhouette).any():
            return plot_elbow(self, ["inertia", "silhouette"])[0]
        return plot_elbow(self, ax=ax)

    def to_frame(self) -> Any:
        """Return the whole table, one row for each k.

        Returns
        -------
        DataFrame or ndarray
            A DataFrame of the library that X came from; a NumPy structured array when X was an array. The columns are
            those of :class:`ElbowResult`; gap and gap_se only if they were asked for.
        """
        if self._frame is not None:
            return self._frame
        columns = self.columns()
        table = np.empty(len(self), dtype=[(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            table[name] = column
        return table

    def columns(self) -> dict[str, AnyArray]:
        """Return the columns of the table by name.

        Returns
        -------
        dict of str to ndarray of shape (n_fits,)
        """
        return {name: getattr(self, name) for name in COLUMNS if getattr(self, name) is not None}
