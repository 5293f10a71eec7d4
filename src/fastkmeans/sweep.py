"""The elbow sweep: fit several numbers of clusters and find where the inertia curve bends."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ._input import as_matrix, as_weights, check_finite, frame_from_columns
from .kmeans import KMeans

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIN_KNEE_DISTANCE = 0.07
"""Shortest distance to the chord that counts as a knee. Samples without clusters (normal, uniform, Laplace,
exponential; 1 to 20 features) gave 0.062 at most, 2 to 7 clusters three deviations apart 0.10 at least,
in some 300 draws of each; tests/test_sweep.py repeats a few."""

ZERO_INERTIA = 1e-12
"""An inertia at most this part of the first one is rounding error: every sample lies on a center."""

WARM_START_SAMPLES = 65_536
"""So many samples are searched for the farthest one, which bounds the time and memory of a warm start."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ElbowResult:
    """The inertia curve that :func:`elbow` measured. Iterating gives ``(k, inertia)`` pairs.

    Attributes
    ----------
    k : ndarray of shape (n_fits,), int64
        The numbers of clusters, ascending.
    inertia : ndarray of shape (n_fits,), float64
        The lowest inertia found for each ``k``, in squared units of X. It never rises with ``k``.
    n_iter : ndarray of shape (n_fits,), int64
        Iterations of the fit that gave this inertia.
    seconds : ndarray of shape (n_fits,), float64
        Wall-clock time spent on each ``k``, all starts together.
    best_k : int or None
        The knee of the curve, or None when it has none. :func:`elbow` states the rule.

    Examples
    --------
    >>> from fastkmeans import elbow
    >>> result = elbow([[0.0], [2.0], [20.0], [22.0], [40.0], [42.0]], k=4, random_state=3)
    >>> result.best_k
    3
    >>> for k, inertia in result:
    ...     print(k, round(inertia))
    1 1606
    2 406
    3 6
    4 4
    """

    k: np.ndarray
    inertia: np.ndarray
    n_iter: np.ndarray
    seconds: np.ndarray
    best_k: int | None
    _frame: Any = field(default=None)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.k.tolist(), self.inertia.tolist(), strict=True)

    def __len__(self) -> int:
        return len(self.k)

    def __repr__(self) -> str:
        lines = [f"ElbowResult(best_k={self.best_k})", f"{'k':>6}  {'inertia':>12}"]
        lines += [f"{k:>6}  {inertia:>12.6g}" for k, inertia in self]
        return "\n".join(lines)

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
        from .plot import plot_elbow

        return plot_elbow(self, ax=ax)

    def to_frame(self) -> Any:
        """Return the curve as a table with the columns k, inertia, n_iter and seconds.

        Returns
        -------
        DataFrame or ndarray
            A DataFrame of the library that X came from; a NumPy structured array when X was an array.
        """
        if self._frame is not None:
            return self._frame
        columns = self._columns()
        table = np.empty(len(self), dtype=[(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            table[name] = column
        return table

    def _columns(self) -> dict[str, np.ndarray]:
        return {"k": self.k, "inertia": self.inertia, "n_iter": self.n_iter, "seconds": self.seconds}


def elbow(
    X: Any,
    k: int | str | Iterable[int] = range(1, 11),
    *,
    sample_weight: Any = None,
    n_init: int | str = "auto",
    random_state: Any = None,
    progress: bool = False,
    **kmeans_params: Any,
) -> ElbowResult:
    """Fit k-means for every ``k`` and find the elbow of the inertia curve.

    Each ``k`` is fitted from a fresh start (``KMeans(k, ...)``) and from the centers of the ``k`` before it
    plus the samples farthest from them; the lower inertia is kept. So the curve never rises, and one unlucky
    start does not bend it where the samples do not.

    **The rule.** Put ``log k`` on one axis and ``log inertia`` on the other, both scaled to the range 0..1.
    The knee is the ``k`` farthest below the chord, the straight line from the first ``k`` to the last;
    ``best_k`` is None when that distance, ``1 - x - y``, is under 0.07 everywhere. Logarithms matter: without
    clusters in the samples the inertia falls like a power of ``k``, which is a straight line on these axes
    and has no knee, but looks like an elbow on plain ones. An inertia of zero counts as 1e-12 of the first;
    where only the last ``k`` reaches it, that ``k`` is left out of the search.

    The first and the last ``k`` are never the knee, so sweep past the number you expect. One long, thin
    cluster can look like several, and far outliers like clusters of their own. Features with large units
    dominate the distances: scale them first where that is not meant.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    k : int, str or iterable of int, default=range(1, 11)
        The numbers of clusters to try. ``10`` and ``"1:10"`` both mean 1, 2, ..., 10 (both ends included).
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each sample.
    n_init : "auto" or int, default="auto"
        Fresh starts for each ``k``, as in :class:`KMeans`.
    random_state : int, RandomState, Generator or None
        Seeds the starts. An int is used again for each ``k``.
    progress : bool, default=False
        Show a progress bar over ``k``; needs tqdm (``pip install "fastkmeans-core[progress]"``).
    **kmeans_params
        Any other parameter of :class:`KMeans`, for example ``max_iter`` or ``n_threads``.

    Returns
    -------
    ElbowResult
        With ``k``, ``inertia``, ``best_k``, ``plot()`` and ``to_frame()``.

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
    >>> elbow(X, k=range(1, 9), random_state=5).best_k
    3
    """
    _reject_fixed_choices(kmeans_params)
    matrix = as_matrix(X)
    values = matrix.values
    check_finite(values, "X", matrix.feature_names)
    weights = as_weights(sample_weight, len(values))
    candidates = _k_values(k, len(values))
    params = {"n_init": n_init, "random_state": random_state, **kmeans_params}

    inertia, n_iter, seconds = [], [], []
    model = None
    for n_clusters in _with_bar(candidates) if progress else candidates:
        start = perf_counter()
        previous, model = model, KMeans(n_clusters, **params).fit(values, sample_weight=weights)
        if previous is not None:
            model = _best_of_warm_start(model, previous, values, weights, params)
        # k - 1 centers and any k-th one are never worse than k - 1 centers: what is cut off here is rounding.
        inertia.append(min([model.inertia_, *inertia[-1:]]))
        n_iter.append(model.n_iter_)
        seconds.append(perf_counter() - start)

    columns = {
        "k": np.array(candidates, dtype=np.int64),
        "inertia": np.array(inertia, dtype=np.float64),
        "n_iter": np.array(n_iter, dtype=np.int64),
        "seconds": np.array(seconds, dtype=np.float64),
    }
    for column in columns.values():
        column.flags.writeable = False
    frame = None if matrix.native is None else frame_from_columns(columns, like=matrix.native)
    return ElbowResult(**columns, best_k=_knee(columns["k"], columns["inertia"]), _frame=frame)


def _with_bar(candidates: list[int]) -> Iterable[int]:
    """Iterate behind a progress bar."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError('progress=True needs tqdm: pip install "fastkmeans-core[progress]"') from error
    return tqdm(candidates, desc="elbow", unit="k")


def _knee(k: np.ndarray, inertia: np.ndarray) -> int | None:
    """Return the k farthest below the chord of the log-log curve, or None; :func:`elbow` states the rule."""
    zero = ZERO_INERTIA * inertia[0]
    if len(k) > 2 and inertia[-1] <= zero < inertia[-2]:
        k, inertia = k[:-1], inertia[:-1]
    if len(k) < 3 or inertia[0] <= 0 or inertia[-1] == inertia[0]:
        return None
    x = np.log(k)
    y = np.log(np.maximum(inertia, zero))
    distance = 1 - (x - x[0]) / (x[-1] - x[0]) - (y - y[-1]) / (y[0] - y[-1])
    knee = int(distance.argmax())
    return int(k[knee]) if distance[knee] >= MIN_KNEE_DISTANCE else None


def _best_of_warm_start(
    fresh: KMeans, previous: KMeans, values: np.ndarray, weights: np.ndarray | None, params: dict[str, Any]
) -> KMeans:
    """Return the better of `fresh` and a fit from the centers of `previous` plus the farthest samples."""
    n_clusters = len(fresh.cluster_centers_)
    init = _add_farthest(previous.cluster_centers_, n_clusters, values, previous.labels_, weights)
    if init is None:
        return fresh
    warm_params = {**params, "init": init, "n_init": 1}
    warm = KMeans(n_clusters, **warm_params).fit(values, sample_weight=weights)
    return warm if warm.inertia_ < fresh.inertia_ else fresh


def _add_farthest(
    centers: np.ndarray, n_clusters: int, values: np.ndarray, labels: np.ndarray, weights: np.ndarray | None
) -> np.ndarray | None:
    """Extend `centers` to `n_clusters` rows, each new row the sample farthest from all rows so far.

    Evenly spaced samples of positive weight are searched. None if they all lie on a center already.
    """
    allowed = np.arange(len(values)) if weights is None else np.flatnonzero(weights)
    searched = allowed[:: -(-len(allowed) // WARM_START_SAMPLES)]
    samples = values[searched]
    sq_dist = _sq_distances(samples, centers[labels[searched]])
    for _ in range(n_clusters - len(centers)):
        farthest = int(sq_dist.argmax())
        if sq_dist[farthest] == 0:
            return None
        centers = np.vstack([centers, samples[farthest : farthest + 1]])
        np.minimum(sq_dist, _sq_distances(samples, samples[farthest]), out=sq_dist)
    return centers


def _sq_distances(samples: np.ndarray, centers: np.ndarray) -> np.ndarray:
    difference = np.subtract(samples, centers, dtype=np.float64)
    return np.einsum("if,if->i", difference, difference)


def _reject_fixed_choices(kmeans_params: dict[str, Any]) -> None:
    """Refuse the KMeans parameters that cannot stay the same while k changes."""
    if "n_clusters" in kmeans_params:
        raise TypeError("elbow() takes the numbers of clusters as k, not as n_clusters; pass k=range(1, 11).")
    init = kmeans_params.get("init", "k-means++")
    if not (isinstance(init, str) or callable(init)):
        raise ValueError(
            "init cannot be an array here, because each k needs another number of centers; pass a name such "
            "as 'k-means++', or a callable."
        )


def _k_values(k: int | str | Iterable[int], n_samples: int) -> list[int]:
    """Return the numbers of clusters to try, ascending and each once."""
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
