"""K-means: its parameters and its fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..fitting.fit import best_run
from ..fitting.loop import Run
from ..fitting.starts import warn_of_missing_clusters
from ..input import parameters
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_n_clusters
from ..input.weights import as_weights
from ..metrics.table import METRICS
from ..samples import prepare
from ..selection.result import ElbowResult
from ..selection.sweep import sweep
from ..settings import Callback, Settings, settings_of
from ..types import Names
from .centers import CentersEstimator

AUTO_MAX_K = 10
"""The last k that n_clusters="auto" looks at."""


class KMeans(CentersEstimator):
    """K-means clustering, exact: every label is the float64 nearest center.

    With `metric` also k-medians (Manhattan distances) and spherical k-means (cosine distances).

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters to form. "auto" takes the `best_k` of a sweep over 1, 2, ..., 10 (n_samples if fewer), and raises
        ValueError where there is none; for other numbers call :func:`elbow` and its result's ``model(k)``.
    init : {"auto", "k-means++", "random", "random-partition"}, array-like or callable, default="auto"
        The initial centers. "k-means++" draws rows far apart (greedy: the best of 2 + log(n_clusters) candidates a
        step). "auto" starts alike, and once merges clusters that cost little to merge and splits as many that gain more;
        from 65 536 samples on (or 512 n_clusters, if more) it searches coarse to fine: up to five such starts on a weighted sample
        of about 16 000, and the best of them as the start on all, see Notes. "random" takes random rows, "random-partition"
        puts each row into a random cluster and takes the means; an array of shape (n_clusters, n_features) is used as it is; a callable is called with
        ``X, n_clusters, random_state=...`` and returns such an array.
    n_init : "auto" or int, default="auto"
        Number of starts, of which the one with the lowest inertia is kept. "auto" is 10 for "random",
        "random-partition" and a callable, 1 for "auto", "k-means++" and an array.
    max_iter : int, default=300
        Iterations of one start at most.
    tol : float, default=1e-4
        The fit stops when the squared (Euclidean) shifts of the centers sum to at most tol times the mean variance of
        the features, for every metric; for "cosine" both are those of the normalised rows. With 0 it goes on until no
        label changes.
    verbose : int, default=0
        If above 0, print the inertia of each iteration.
    random_state : int, RandomState, Generator or None, default=None
        Where the starts are drawn from; an int makes every fit alike.
    copy_x : bool, default=True
        Accepted for scikit-learn; X is never changed either way.
    algorithm : {"auto", "lloyd", "tiles", "prefix", "quantized", "yinyang"}, default="auto"
        All give the same bits; "auto" chooses by the shape of X, n_clusters and max_iter, and `algorithm_used_` tells
        which ran. "lloyd" compares every sample with every center and keeps 4 bytes a sample. The others skip pairs
        that a proven bound excludes, or read less, and keep more: "tiles" (up to 16 features) two copies of the rows,
        "quantized" 16 bytes a sample and 1 or 2 a feature, "yinyang" up to 72 besides, "prefix" up to 236 (812 on CPUs that cannot multiply bytes).
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance, and with it the best center. "euclidean": squared distances, means. "manhattan": sums of absolute
        differences, and medians of each feature (the smallest value up to which at least half the weight of the cluster
        lies); k-means++ draws by the distance itself; only `algorithm` "auto" and "lloyd". "cosine": 1 - cos of the
        angle; rows are divided by their lengths (a copy; a row of zeros is an error), and so are means. Other distances
        need other centers, see Notes.
    n_threads : int or None, default=None
        Threads to use; None for OMP_NUM_THREADS if set, else the CPUs that the process may use (affinity and container
        quota). The results have the same bits for any number.
    callback : callable or None, default=None
        Called after each iteration with its entry of `history_`. Return True to end this start.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Mean of each cluster (median, unit mean: see metric), float32 if X was, else float64. When max_iter or tol stopped the fit, labels and
        inertia are those of these centers all the same.
    labels_ : ndarray of shape (n_samples,), int32
        Nearest center of each sample of fit; the lowest index of equals.
    inertia_ : float
        Sum over the samples of weight times squared distance to the nearest center, in squared units of X; for
        "manhattan" times distance, in units of X; for "cosine" times 1 - cos.
    n_iter_ : int
        Iterations over all samples of the start that was kept.
    history_ : list of dict
        One entry an iteration of that start: iteration, inertia (of the centers it began with), center_shift
        (sum of squared shifts), n_changed (labels), n_empty (clusters that were empty), algorithm, seconds.
    converged_ : bool
        Whether the start ended by itself.
    stop_reason_ : str
        "labels unchanged", "center shift within tol", "max_iter" or "callback".
    algorithm_used_ : str
        The algorithm that ran. Where its filter did not pay, it took steps of another, see algorithm in `history_`.
    n_clusters_ : int
        Number of clusters: n_clusters, or what "auto" chose.
    sweep_ : ElbowResult
        The sweep of "auto"; only then.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of str
        Column names of X; only if X had some.

    See Also
    --------
    elbow : choose n_clusters.
    cluster : the same from a DataFrame to a labelled DataFrame.

    Notes
    -----
    Lloyd's algorithm (S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2),
    1982), started by k-means++ (D. Arthur and S. Vassilvitskii, SODA 2007). Cluster sums are free of
    rounding, so results do not depend on the order of addition. An empty cluster takes the sample farthest
    from its center.

    Iterations never move a center from one group of samples to another. init="auto" does, after eight of them or before they
    would end (Euclidean, n_clusters >= 3): pairs of clusters are merged and others split, as long as the splits save more than
    the merges cost, so that the inertia falls on. With the same random_state
    the iterations before are those of init="k-means++" (T. Kaukoranta, P. Fränti and O. Nevalainen, Optical Engineering
    37(10), 1998).

    What init="auto" searches on are rows drawn by weight, by squared distance to a rough clustering and by cluster, weighted so
    that their inertia stands for that of all (O. Bachem, M. Lucic and A. Krause, 2017). The end is a fit like any
    other: iterations over all samples until `tol` or `max_iter`, which alone `n_iter_`, `history_`, `verbose` and `callback` see.

    Each step, nearest centers and best centers, lowers the inertia only if the best center is that of the metric: the
    mean minimises squared Euclidean distances and no others, so an arbitrary distance cannot be put in its place. The
    median minimises Manhattan distances (P. S. Bradley, O. L. Mangasarian and W. N. Street, NIPS 1996), the unit
    mean cosine ones (I. S. Dhillon and D. S. Modha, Machine Learning 42, 2001). For others use k-medoids.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans import KMeans
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> kmeans = KMeans(n_clusters=2, init=X[[0, 3]]).fit(X)
    >>> kmeans.labels_
    array([0, 0, 0, 1, 1, 1], dtype=int32)
    >>> kmeans.predict([[0.0, 0.0], [12.0, 3.0]])
    array([0, 1], dtype=int32)
    >>> kmeans.cluster_centers_
    array([[ 1.,  2.],
           [10.,  2.]])
    """

    inertia_: float
    history_: list[dict[str, Any]]
    converged_: bool
    stop_reason_: str
    algorithm_used_: str
    sweep_: ElbowResult[KMeans]

    _parameter_checks = {
        "n_clusters": parameters.check_n_clusters_or_auto,
        "init": parameters.check_init_parameter,
        "n_init": parameters.check_n_init,
        "max_iter": parameters.check_count,
        "tol": parameters.check_tol,
        "verbose": parameters.check_verbose,
        "random_state": parameters.check_random_state_parameter,
        "copy_x": parameters.check_bool,
        "n_threads": parameters.check_n_threads,
        "callback": parameters.check_callback,
    }

    def __init__(
        self,
        n_clusters: int | str = 8,
        *,
        init: Any = "auto",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: Any = None,
        copy_x: bool = True,
        algorithm: str = "auto",
        metric: str = "euclidean",
        n_threads: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.metric = metric
        self.n_threads = n_threads
        self.callback = callback

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The samples. A C-ordered float32 or float64 array is used without a copy; other types become float64.
        y : ignored
            There for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample, not negative; a weight of 3 counts as three copies.

        Returns
        -------
        self : KMeans
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter, X or sample_weight is not valid, the inertia overflows float64, or "auto" finds no number; the
            estimator is then unchanged.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans(n_clusters=2, random_state=7).fit([[1.0], [2.0], [9.0]]).inertia_
        0.5
        """
        return self._fit(X, sample_weight)

    def _fit(self, X: Any, sample_weight: Any, watch: Callable[[Settings], Callback] | None = None) -> Self:
        """Fit as :meth:`fit` does, by the parameters of this moment.

        watch : makes the callback that this fit calls instead of the user's, from its settings.
        """
        settings = of_user = settings_of(self)
        if watch is not None:
            settings = settings._replace(callback=watch(settings))
        matrix = as_matrix(X)
        if settings.n_clusters == "auto":
            return self._fit_swept(settings, matrix, sample_weight, {**self.get_params(), **of_user._asdict()})
        check_n_clusters(settings.n_clusters, len(matrix.values))
        weights = as_weights(sample_weight, len(matrix.values))
        samples = prepare(matrix, weights, METRICS[settings.metric].prepare_rows, settings.n_threads)
        found, algorithm = best_run(settings, samples)
        warn_of_missing_clusters(found, settings.n_clusters)
        self._take_over(fitted_attributes(found, algorithm, matrix.feature_names, samples.values.shape[1]))
        return self

    def _fit_swept(self, settings: Settings, matrix: Matrix, sample_weight: Any, params: dict[str, Any]) -> Self:
        """Fit n_clusters="auto": sweep, and take over the fit that is best; raise ValueError where none is.

        params : of the models of the sweep.
        """
        if not (isinstance(settings.init, str) or callable(settings.init)):
            raise ValueError(
                "init cannot be an array with n_clusters='auto', because each number of clusters needs another; pass a "
                "name such as 'auto', or a number for n_clusters."
            )
        last = min(AUTO_MAX_K, len(matrix.values))
        make_model = ModelMaker(params, matrix.feature_names, matrix.values.shape[1])
        result = sweep(settings, matrix, sample_weight, lambda n_samples: list(range(1, last + 1)), make_model)
        if result.best_k is None:
            raise ValueError(
                f"n_clusters='auto' found no elbow between 1 and {last}; pass a number, or sweep over others with "
                f"elbow(X, k=...). {result.reason}"
            )
        fitted = vars(result.model(result.best_k))
        self._take_over({**{name: value for name, value in fitted.items() if name.endswith("_")}, "sweep_": result})
        return self


def fitted_attributes(found: Run, algorithm: str, feature_names: Names | None, n_features: int) -> dict[str, Any]:
    """Return what an estimator has after a fit."""
    fitted: dict[str, Any] = {
        "n_features_in_": n_features,
        "n_clusters_": len(found.centers),
        "cluster_centers_": found.centers,
        "labels_": found.labels,
        "inertia_": found.inertia,
        "n_iter_": found.n_iter,
        "history_": found.history,
        "converged_": found.converged,
        "stop_reason_": found.stop_reason,
        "algorithm_used_": algorithm,
    }
    if feature_names is not None:
        fitted["feature_names_in_"] = feature_names
    return fitted


@dataclass(frozen=True)
class ModelMaker:
    """Makes a fitted KMeans of a run and the name of its algorithm.

    params : of the models, n_clusters excepted.
    """

    params: dict[str, Any]
    feature_names: Names | None
    n_features: int

    def __call__(self, stored: tuple[Run, str]) -> KMeans:
        run, algorithm = stored
        model = KMeans(**{**self.params, "n_clusters": len(run.centers)})
        run = run._replace(
            centers=run.centers.copy(), labels=run.labels.astype(np.int32), history=[dict(step) for step in run.history]
        )
        model._take_over(fitted_attributes(run, algorithm, self.feature_names, self.n_features))
        return model
