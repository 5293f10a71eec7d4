"""The sweep over the number of clusters: fit each, judge each, and name the one that the samples ask for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..algorithms.table import ALGORITHMS
from ..estimators.kmeans import KMeans, prepare
from ..fitting.search import Chain
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_params, drawing_from
from ..input.tables import frame_from_columns
from ..input.weights import as_weights
from ..metrics.table import METRICS, check_algorithm_for, check_metric
from ..runtime.progress import new_bar
from .criteria import Criteria
from .gap import N_REFERENCES, gap_statistic
from .knees import choose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AUTO_MAX_K = 10
"""The last k that n_clusters="auto" looks at."""

DEFAULT_K = range(1, 11)

COLUMNS = (
    "k", "inertia", "explained_variance", "calinski_harabasz", "davies_bouldin", "simplified_silhouette",
    "silhouette", "silhouette_se", "separation", "bic", "gap", "gap_se", "n_iter", "seconds",
)  # fmt: skip

SHOWN = {  # column -> how print() and the command line show it: heading, format
    "k": ("k", "{:d}"),
    "inertia": ("inertia", "{:.6g}"),
    "explained_variance": ("explained", "{:.3f}"),
    "calinski_harabasz": ("CH", "{:.5g}"),
    "davies_bouldin": ("DB", "{:.3f}"),
    "silhouette": ("silhouette", "{:.3f}"),
    "separation": ("separation", "{:.2f}"),
    "gap": ("gap", "{:.3f}"),
}


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ElbowResult:
    """What :func:`elbow` measured for each k. Iterating gives ``(k, inertia)`` pairs.

    Each column of the table is an attribute, an array of shape (n_fits,) that cannot be written; values that have no
    meaning, such as a silhouette of one cluster, are NaN. Only ``inertia``, ``simplified_silhouette``, ``silhouette``,
    ``separation``, ``n_iter`` and ``seconds`` have one for other metrics than "euclidean".

    Attributes
    ----------
    k : int64
        The numbers of clusters, ascending.
    inertia : float64
        The lowest inertia found, in squared units of X. It never rises with ``k``.
    explained_variance : float64
        Sum of squares between the clusters over the sum of squares about the mean, 0 to 1.
    calinski_harabasz : float64
        Sum of squares between over within, each per degree of freedom; higher is better
        (:func:`calinski_harabasz_score`).
    davies_bouldin : float64
        How much clusters overlap; lower is better (:func:`davies_bouldin_score`).
    simplified_silhouette : float64
        Mean silhouette by distances to centers, -1 to 1 (:func:`simplified_silhouette_score`).
    silhouette : float64
        Mean silhouette of at most 1000 random samples, each against at most 10 000; higher is better, at most 1.
    silhouette_se : float64
        Its standard error as an estimate of the mean over all samples; 0 where it is that mean.
    separation : float64
        The least, over pairs of neighbouring clusters, of the distance of their means divided by twice the larger standard
        deviation along the line between them, and by what chance adds where rows are few; from at most 20 000 samples, or
        100 a cluster. 2 or more is a pair with a valley between.
    bic : float64
        Bayesian information criterion of round normal clusters of one variance; higher is better (X-means: D. Pelleg and
        A. Moore, ICML 2000).
    gap, gap_se : float64
        The gap statistic and its standard error; only with ``gap=True``.
    n_iter : int64
        Iterations over all samples, after the search over few.
    seconds : float64
        Wall-clock time of search and fit.
    best_k : int or None
        The number of clusters that the samples ask for, or None; :func:`elbow` states the rule.
    reason : str
        One sentence: why this ``best_k``, or why there is none.
    knees : dict
        Bend of the inertia curve, by "kneedle" (Satopaa et al. 2011) and by "chord", the point farthest below the
        straight line between the ends of the log-log curve: int or None.
    metric : str
        The metric of the fits.
    agreement : dict
        The k that each criterion names, int or None: "separation" the largest at which all clusters are apart, the others
        where they are best.

    Examples
    --------
    >>> from fastkmeans import elbow
    >>> X = [[0.0], [1.0], [2.0], [20.0], [21.0], [22.0], [40.0], [41.0], [42.0]]
    >>> result = elbow(X, k=5, random_state=3)
    >>> result
    ElbowResult(best_k=3)
    k  inertia  explained      CH     DB  silhouette  separation
    1     2406      0.000
    2      606      0.748  20.792  0.356       0.671        0.99
    3        6      0.998    1200  0.067       0.932        6.20  <- best_k
    4      4.5      0.998  889.44  0.200       0.676        0.39
    5        3      0.999     801  0.279       0.421        0.00
    All clusters are apart at k = 3, which 7 of 8 criteria name.
    >>> result.model(3).labels_.tolist() == result.model(3).predict(X).tolist()
    True
    >>> result.agreement["silhouette"], result.knees["chord"]
    (3, 3)
    """

    k: np.ndarray
    inertia: np.ndarray
    explained_variance: np.ndarray
    calinski_harabasz: np.ndarray
    davies_bouldin: np.ndarray
    simplified_silhouette: np.ndarray
    silhouette: np.ndarray
    silhouette_se: np.ndarray
    separation: np.ndarray
    bic: np.ndarray
    gap: np.ndarray | None
    gap_se: np.ndarray | None
    n_iter: np.ndarray
    seconds: np.ndarray
    best_k: int | None
    reason: str
    knees: dict[str, int | None]
    agreement: dict[str, int | None]
    metric: str = "euclidean"
    _runs: dict[int, Any] = field(default_factory=dict)
    _make_model: Callable[[int, Any], KMeans] | None = None
    _frame: Any = None

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.k.tolist(), self.inertia.tolist(), strict=True)

    def __len__(self) -> int:
        return len(self.k)

    def __repr__(self) -> str:
        return "\n".join([f"ElbowResult(best_k={self.best_k})", *self.table_lines(), self.reason])

    def table_lines(self) -> list[str]:
        """Return the main columns as lines of text, heading first, with best_k marked.

        Returns
        -------
        list of str
            One line more than there are fits; columns without any value are left out.
        """
        columns = []
        for name, (heading, shape) in SHOWN.items():
            values = getattr(self, name)
            if values is not None and not np.isnan(values).all():
                columns.append([heading, *("" if np.isnan(value) else shape.format(value) for value in values)])
        widths = [max(map(len, column)) for column in columns]
        lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
                 for row in zip(*columns, strict=True)]  # fmt: skip
        marks = ["", *("  <- best_k" if k == self.best_k else "" for k in self.k.tolist())]
        return [line + mark for line, mark in zip(lines, marks, strict=True)]

    def model(self, k: int) -> KMeans:
        """Return the fitted estimator for one k, without fitting again.

        Parameters
        ----------
        k : int
            A number of the sweep.

        Returns
        -------
        KMeans
            With cluster_centers_, labels_ and all else that fit sets, of the run that gave this row. A new one each
            time; its labels_ are a copy.

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
        return self._make_model(run)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve with the chosen ``k`` marked; see :func:`fastkmeans.plot_elbow`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ..plotting.elbow import plot_elbow

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

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns of the table by name.

        Returns
        -------
        dict of str to ndarray of shape (n_fits,)
        """
        return {name: getattr(self, name) for name in COLUMNS if getattr(self, name) is not None}


def elbow(
    X: Any,
    k: int | str | Iterable[int] = DEFAULT_K,
    *,
    sample_weight: Any = None,
    n_init: int | str = "auto",
    gap: bool = False,
    random_state: Any = None,
    progress: bool = False,
    **kmeans_params: Any,
) -> ElbowResult:
    """Fit k-means for every ``k``, judge each fit, and name the number of clusters that the samples ask for.

    **The fits.** Each ``k`` starts from what the one before found: its centers and one more, several times drawn far
    from them, beside fresh starts. Above 16 384 samples the starts are tried on a coreset, weighted samples that
    stand for all, and the best one ends on all samples within a few iterations. Inertia never rises
    with ``k``.

    **The rule.** Clusters are apart where each pair of neighbours has a ``separation`` of 2 or more: between their means
    there are at least two standard deviations of each. A cut through one round or even cluster is below 1.9, in any number
    of features (few samples make chance structure, which is taken off), so samples without clusters give None; long tails
    and thin rings may not. Of the ``k`` at which all clusters are
    apart, the largest, and the ones best by chord, silhouette and Calinski-Harabasz, have a vote each; ``best_k`` is the
    one with the most votes, the largest of equals. If that is the last ``k``, there may be more clusters, and
    ``best_k`` is None. ``reason`` says in a sentence what happened.

    Sweep past the number you expect. Far outliers can look like clusters of their own. Features with large units
    dominate the distances: scale them first where that is not meant.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    k : int, str or iterable of int, default=range(1, 11)
        The numbers of clusters to try. ``10`` and ``"1:10"`` both mean 1, 2, ..., 10 (both ends included). By default no
        more than there are samples.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each sample. Silhouette and separation look at samples drawn by weight, where there are more than
        20 000, and count each once.
    n_init : "auto" or int, default="auto"
        Fresh starts for each ``k``, beside the four that go on from the last; of all of them the three to six most
        promising are finished. "auto" is 5 to 16 for the inits "auto" and "k-means++", the more the fewer clusters, else as in :class:`KMeans`.
    gap : bool, default=False
        Whether to compute the gap statistic (R. Tibshirani, G. Walther and T. Hastie 2001), by sweeps over 10 sets of at
        most 20 000 samples that are uniform in the box around X.
    random_state : int, RandomState, Generator or None
        Seeds the starts. An int is used again for each ``k``.
    progress : bool, default=False
        Show a progress bar over ``k``; needs tqdm (``pip install "fastkmeans-core[progress]"``).
    **kmeans_params
        Any other parameter of :class:`KMeans`, for example ``max_iter`` or ``n_threads``. `verbose` and `callback` see the
        iterations over all samples.

    Returns
    -------
    ElbowResult
        With the table as attributes, ``best_k``, ``reason``, ``model(k)``, ``plot()`` and ``to_frame()``. It keeps the
        labels of every k: one byte a sample and k (two or four where k goes beyond 256 or 65 536).

    Raises
    ------
    ValueError
        If a ``k`` is below 1 or above n_samples, or if X or a parameter of KMeans is not valid.
    TypeError
        If ``k`` is not made of whole numbers, or if a parameter is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans import elbow
    >>> corners = np.repeat([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]], 50, axis=0)
    >>> X = corners + np.random.default_rng(5).normal(size=corners.shape)
    >>> result = elbow(X, k=range(1, 9), random_state=5)
    >>> result.best_k
    3
    >>> result.reason
    'All clusters are apart at k = 3, which ... of 8 criteria name.'
    """
    _reject_fixed_choices(kmeans_params)
    model = KMeans(n_init=n_init, random_state=random_state, **kmeans_params)
    check_metric(model.metric)
    check_params(model, algorithms=ALGORITHMS)
    check_algorithm_for(model.metric, model.algorithm)
    params = model.get_params()
    return sweep(model, as_matrix(X), sample_weight, lambda n_samples: _k_values(k, n_samples), params, gap, progress)


def sweep(
    model: KMeans, matrix: Matrix, sample_weight: Any, choose_k: Callable[[int], list[int]], params: dict[str, Any],
    gap: bool = False, progress: bool = False,
) -> ElbowResult:  # fmt: skip
    """Sweep over the numbers of clusters that choose_k names for a number of samples.

    model : with checked parameters, n_clusters excepted, which is not read; nobody else may change it.
    matrix : of as_matrix, not yet checked.   params : of the models that the result makes, n_clusters excepted.
    """
    values, description = prepare(matrix, METRICS[model.metric], model.n_threads)
    weights = as_weights(sample_weight, len(values))
    candidates = choose_k(len(values))
    metric = model.metric
    if gap and metric != "euclidean":
        raise ValueError(f"gap=True compares sums of squares, which metric={metric!r} has not; leave gap out.")
    seen = _bar(len(candidates) + gap * N_REFERENCES) if progress else iter
    with drawing_from(model.random_state) as random_state:
        criteria = Criteria(values, weights, description, metric, random_state, model.n_threads, candidates[-1])
    chain = Chain(model, values, weights, description, candidates[-1], model.random_state)
    label_type = np.min_scalar_type(candidates[-1] - 1)
    rows, fits, runs = [], [], {}
    for n_clusters in seen(candidates):
        fit = chain.fit(n_clusters)
        run = fit.run
        model._warn_of_missing_clusters(run, n_clusters)
        rows.append({"inertia": run.inertia, "n_iter": run.n_iter, "seconds": fit.seconds, **criteria.of(fit)})
        fits.append(fit._replace(run=run._replace(labels=run.labels.astype(label_type))))
        runs[n_clusters] = fits[-1].run, fit.algorithm
    for row, found in zip(rows, criteria.of_all(fits), strict=True):
        row |= found
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["k"] = np.array(candidates, dtype=np.int64)
    if gap:
        weighing = values if weights is None else values[weights > 0]
        total = float(len(values) if weights is None else weights.sum())
        columns["gap"], columns["gap_se"] = gap_statistic(
            model, weighing, candidates, columns["inertia"], total, seen
        )
    columns = {name: columns[name] for name in COLUMNS if name in columns}
    for column in columns.values():
        column.flags.writeable = False
    return ElbowResult(
        **{"gap": None, "gap_se": None, **columns},
        **choose(columns)._asdict(),
        metric=metric,
        _runs=runs,
        _make_model=_Maker(params, matrix.feature_names, values.shape[1]),
        _frame=None if matrix.native is None else frame_from_columns(columns, like=matrix.native),
    )


@dataclass(frozen=True)
class _Maker:
    """Makes a fitted KMeans of a stored run."""

    params: dict[str, Any]
    feature_names: np.ndarray | None
    n_features: int

    def __call__(self, stored: tuple[Any, str]) -> KMeans:
        run, algorithm = stored
        model = KMeans(**{**self.params, "n_clusters": len(run.centers)})
        run = run._replace(
            centers=run.centers.copy(), labels=run.labels.astype(np.int32), history=[dict(step) for step in run.history]
        )
        model._adopt(run, algorithm, self.feature_names, self.n_features)
        return model


def _bar(total: int) -> Callable[[Iterable[int]], Iterator[int]]:
    """Return what wraps loops so that they move one progress bar."""
    bar = new_bar(total, "elbow", "k")

    def seen(items: Iterable[int]) -> Iterator[int]:
        for item in items:
            yield item
            bar.update()
        if bar.n >= bar.total:
            bar.close()

    return seen


def _reject_fixed_choices(kmeans_params: dict[str, Any]) -> None:
    """Refuse the KMeans parameters that cannot stay the same while k changes."""
    if "n_clusters" in kmeans_params:
        raise TypeError("elbow() takes the numbers of clusters as k, not as n_clusters; pass k=range(1, 11).")
    init = kmeans_params.get("init", "auto")
    if not (isinstance(init, str) or callable(init)):
        raise ValueError(
            "init cannot be an array here, because each k needs another number of centers; pass a name such "
            "as 'auto', or a callable."
        )


def _k_values(k: int | str | Iterable[int], n_samples: int) -> list[int]:
    """Return the numbers of clusters to try, ascending and each once."""
    if k is DEFAULT_K:  # nobody asked for more than there are
        k = range(1, min(DEFAULT_K[-1], n_samples) + 1)
    candidates = sorted({_whole_number(value) for value in _expand(k)})
    if not candidates:
        raise ValueError(f"k must hold at least one number of clusters; got {k!r}.")
    if candidates[0] < 1:
        raise ValueError(f"k must hold numbers of clusters >= 1; got {candidates[0]}.")
    if candidates[-1] > n_samples:
        raise ValueError(
            f"k must not go beyond n_samples={n_samples}; got {candidates[-1]}. Pass k={n_samples} or less."
        )
    return candidates


def _expand(k: int | str | Iterable[int]) -> Iterable[Any]:
    if isinstance(k, str):
        first, colon, last = k.partition(":")
        try:
            return range(int(first), int(last) + 1) if colon else range(1, int(k) + 1)
        except ValueError:
            raise ValueError(f"k must look like '1:10' or '10' when it is text; got {k!r}.") from None
    if isinstance(k, Iterable) and getattr(k, "ndim", 1):
        return k
    return range(1, _whole_number(k) + 1)


def _whole_number(value: Any) -> int:
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(
        f"k must be a whole number, a range, a list of whole numbers or text such as '1:10'; got {value!r}."
    )
