"""The estimator: parameters, fit, predict, transform, score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .._core import distances, samples
from ..algorithms.copies import copies_of
from ..algorithms.table import choose_algorithm
from ..engines.local import Description, describe, inertia_in_units
from ..errors import ConvergenceWarning, check_is_fitted, warn
from ..fitting.coarse import fit_coarsely, is_large
from ..fitting.exchange import merge_after
from ..fitting.loop import Run, run
from ..fitting.seeding import QUANTIZED_SIZE, initial_centers
from ..input.finite import MAGNITUDE_LIMIT, check_finite, check_inertia
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_n_clusters, check_n_threads, check_params, check_random_state, drawing_from
from ..input.weights import as_weights
from ..metrics.table import METRICS, Metric, check_algorithm_for, check_metric
from ..runtime.threads import assignment_work, effective_n_threads
from .contract import Estimator

# Starts of n_init="auto": a random start needs company, a careful or a given one does not (scikit-learn's numbers).
_AUTO_STARTS = {"random": 10, "random-partition": 10, "k-means++": 1, "auto": 1}

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class KMeans(Estimator):
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
        Called after each iteration with its entry of `history_`; a true answer stops the start.

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
        callback: Callable[[dict[str, Any]], Any] | None = None,
    ):
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

    def _fit(self, X: Any, sample_weight: Any, watch: Callable[[Self], Callable] | None = None) -> Self:
        """Fit as :meth:`fit` does, by the parameters of this moment.

        watch : makes the callback that this fit calls instead of the user's, from an estimator with these parameters.
        """
        model = self._snapshot()
        metric = check_metric(model.metric)
        check_params(model, algorithms=METRICS["euclidean"].algorithms)
        check_algorithm_for(model.metric, model.algorithm)
        params = model.get_params() if model.n_clusters == "auto" else {}
        if watch is not None:
            model.callback = watch(model)
        matrix = as_matrix(X)
        if params:
            self._adopt_swept(model._sweep(matrix, sample_weight, params))
            return self
        check_n_clusters(model.n_clusters, len(matrix.values))
        weights = as_weights(sample_weight, len(matrix.values))
        values, description = prepare(matrix, metric, model.n_threads)
        algorithm = "lloyd"
        if len(metric.algorithms) > 1:
            algorithm = choose_algorithm(model.algorithm, *values.shape, model.n_clusters, model.max_iter)
        result, algorithm = model._best_run(values, weights, description, algorithm)
        self._warn_of_missing_clusters(result, model.n_clusters)
        self._adopt(result, algorithm, matrix.feature_names, values.shape[1])
        return self

    def _sweep(self, matrix: Matrix, sample_weight: Any, params: dict[str, Any]) -> Any:
        """Sweep for n_clusters="auto"; raise ValueError where no number is best.   params : of the models that it makes."""
        from ..selection.elbow import AUTO_MAX_K, sweep

        if not (isinstance(self.init, str) or callable(self.init)):
            raise ValueError(
                "init cannot be an array with n_clusters='auto', because each number of clusters needs another; pass a "
                "name such as 'auto', or a number for n_clusters."
            )
        last = min(AUTO_MAX_K, len(matrix.values))
        result = sweep(self, matrix, sample_weight, lambda n_samples: list(range(1, last + 1)), params)
        if result.best_k is None:
            raise ValueError(
                f"n_clusters='auto' found no elbow between 1 and {last}; pass a number, or sweep over others with "
                f"elbow(X, k=...). {result.reason}"
            )
        return result

    def _adopt_swept(self, result: Any) -> None:
        """Take over the fit that a sweep finds best."""
        fitted = vars(result.model(result.best_k))
        self._take_over({**{name: value for name, value in fitted.items() if name.endswith("_")}, "sweep_": result})

    def _best_run(
        self, values: np.ndarray, weights: np.ndarray | None, description: Description, algorithm: str
    ) -> tuple[Run, str]:
        """Run every start and return the one with the lowest inertia, the first of equals, and what ran it."""
        if callable(self.init):  # it may keep what it draws from
            return self._best_of(values, weights, description, algorithm, check_random_state(self.random_state))
        with drawing_from(self.random_state) as random_state:
            return self._best_of(values, weights, description, algorithm, random_state)

    def _best_of(
        self, values, weights, description: Description, algorithm: str, random_state
    ) -> tuple[Run, str]:
        if isinstance(self.init, str) and self.init == "auto" and is_large(
            *values.shape, self.n_clusters, weights
        ):
            best = None
            for _ in range(self._count_starts()):
                fit = fit_coarsely(self, values, weights, description, self.n_clusters, random_state)
                if best is None or fit.run.inertia < best.run.inertia:
                    best = fit
            return best.run, best.algorithm
        metric = METRICS[self.metric]
        tol = float(self.tol * description.total_variance / len(description.variance))
        copies = None
        if algorithm != "lloyd" or values.size >= QUANTIZED_SIZE:  # nobody asks for those of few samples
            copies = copies_of(values, description.max_abs, effective_n_threads(self.n_threads, float(values.size)))
        best = scatter = None
        for _ in range(self._count_starts()):
            centers = initial_centers(
                self.init, values, weights, self.n_clusters, description.max_abs, random_state, self.n_threads,
                copies, metric.seeds_by_manhattan,
            )
            if metric.prepare_centers is not None:
                centers = metric.prepare_centers(centers)
            if self.verbose:
                print("Initialization complete")
            engine = metric.engine(
                values, weights, description, self.n_clusters, algorithm, self.n_threads, copies, scatter
            )
            scatter = engine.scatter
            result = run(
                engine, centers, max_iter=self.max_iter, tol=tol, verbose=bool(self.verbose), callback=self.callback,
                merge_after=merge_after(self, self.n_clusters),
            )  # fmt: skip
            if best is None or result.inertia < best.inertia:
                best = result
        return best, algorithm

    def _count_starts(self) -> int:
        """Return the number of starts; warn if several were asked for from the same given centers."""
        if isinstance(self.init, str):
            return _AUTO_STARTS[self.init] if self.n_init == "auto" else self.n_init
        if callable(self.init):
            return 10 if self.n_init == "auto" else self.n_init
        if self.n_init != "auto" and self.n_init != 1:
            warn(
                "Explicit initial center position passed: performing only one init in KMeans instead of "
                f"n_init={self.n_init}.",
                RuntimeWarning,
            )
        return 1

    def _warn_of_missing_clusters(self, result: Run, n_clusters: int) -> None:
        """Warn of empty clusters; before a fit takes over its result, for warnings may be made errors."""
        if result.n_distinct < n_clusters:
            warn(
                f"Number of distinct clusters ({result.n_distinct}) found smaller than n_clusters ({n_clusters}). "
                "Possibly due to duplicate points in X.",
                ConvergenceWarning,
            )

    def _adopt(self, result: Run, algorithm: str, feature_names: np.ndarray | None, n_features: int) -> None:
        """Take over the result of a fit."""
        fitted = {
            "n_features_in_": n_features,
            "n_clusters_": len(result.centers),
            "cluster_centers_": result.centers,
            "labels_": result.labels,
            "inertia_": result.inertia,
            "n_iter_": result.n_iter,
            "history_": result.history,
            "converged_": result.converged,
            "stop_reason_": result.stop_reason,
            "algorithm_used_": algorithm,
        }
        if feature_names is not None:
            fitted["feature_names_in_"] = feature_names
        self._take_over(fitted)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, and return the labels of X.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int32
            `labels_`.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans(n_clusters=2, init=[[0.0], [9.0]]).fit_predict([[1.0], [2.0], [9.0]])
        array([0, 0, 1], dtype=int32)
        """
        return self.fit(X, sample_weight=sample_weight).labels_

    def predict(self, X: Any) -> np.ndarray:
        """Label each sample with its nearest center.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            New samples, of any float or integer type.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int32
            Index of the float64 nearest center; the lowest of equals.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not valid or its features are not those of fit.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0, 0.0], [9.0, 9.0]]).predict([[8.0, 8.0]])
        array([1], dtype=int32)
        """
        model, _, values, kind = self._checked_samples(X, "predict")
        return model._nearest(values, kind)

    def transform(self, X: Any) -> Any:
        """Compute the distance of each sample to each center.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            New samples.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Euclidean distances (not squared), Manhattan distances or 1 - cos by `metric`, in the float type of X; the
            first smallest of a row is that of its label. A table if :meth:`set_output` asks for one.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not valid, its features are not those of fit, or X is float32 and a distance overflows that.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0, 0.0], [3.0, 4.0]]).transform([[0.0, 0.0]])
        array([[0., 5.]])
        """
        model, matrix, values, kind = self._checked_samples(X, "transform")
        centers = model._wide_centers()
        result = np.empty((len(values), len(centers)), dtype=matrix.values.dtype)
        n_threads = effective_n_threads(model.n_threads, assignment_work(*values.shape, len(centers)))
        if distances.pairwise(values, centers, result, n_threads, kind):
            raise ValueError(
                f"X is {result.dtype}, and some of its distances to the centers overflow that; pass X.astype('float64')."
            )
        return model._as_output(result, matrix.native if matrix.native is not None else X)

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, and return the distance of each sample of X to each center.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            As from :meth:`transform`.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans(n_clusters=1).fit_transform([[0.0], [2.0]])
        array([[1.],
               [1.]])
        """
        return self.fit(X, sample_weight=sample_weight).transform(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the inertia of X: the higher, the closer the samples are to their nearest centers.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Samples.
        y : ignored
            There for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample.

        Returns
        -------
        score : float
            Minus the sum of weight times squared distance (or what `metric` has instead, see inertia_).

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X or sample_weight is not valid, the inertia overflows float64, or the features are not those of fit.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0], [9.0]]).score([[1.0], [9.0]])
        -1.0
        """
        model, _, values, kind = self._checked_samples(X, "score")
        weights = as_weights(sample_weight, len(values))
        n_threads = effective_n_threads(model.n_threads, float(values.size))
        labels = model._nearest(values, kind)
        inertia = inertia_in_units(values, model._wide_centers(), labels, weights, n_threads, kind)
        return -check_inertia(inertia, 1.0 if weights is None else float(weights.max()))

    @classmethod
    def from_centers(cls, centers: Any, **params: Any) -> Self:
        """Make a fitted estimator from centers, for predict, transform and score.

        Parameters
        ----------
        centers : array-like of shape (n_clusters, n_features)
            The centers; float32 stays float32. For metric="cosine" they are divided by their lengths.
        **params : dict
            Constructor parameters, n_clusters excepted.

        Returns
        -------
        kmeans : KMeans
            Fitted, without labels_ and inertia_.

        Raises
        ------
        ValueError
            If centers are not a finite 2-D array.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0], [9.0]]).predict([[7.0]])
        array([1], dtype=int32)
        """
        matrix = as_matrix(centers, name="centers")
        check_finite(matrix.values, "centers", matrix.feature_names)
        model = cls(len(matrix.values), **params)
        metric = check_metric(model.metric)
        values = matrix.values.copy() if metric.prepare_centers is None else metric.prepare_centers(matrix.values)
        model._check_feature_names(matrix.feature_names, matrix.values.shape[1], reset=True)
        model.n_clusters_ = len(matrix.values)
        model.cluster_centers_ = values
        model.n_iter_ = 0
        return model

    def save(self, path: Any) -> None:
        """Write the fitted estimator to a .npz file of plain arrays and JSON, whole or not at all.

        Parameters
        ----------
        path : str or path
            File to write; used as given. A callable init, a callback and a random_state that is not a number
            are not kept.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a parameter that was set after fit is not valid, so that :meth:`load` would refuse the file.
        OSError
            If the file cannot be written.
        """
        from ..storage.model_file import write_model

        check_is_fitted(self, "save")
        write_model(self, path)

    @classmethod
    def load(cls, path: Any) -> Self:
        """Read an estimator that :meth:`save` wrote. Nothing in the file is executed.

        Parameters
        ----------
        path : str or path
            File to read.

        Returns
        -------
        kmeans : KMeans
            The estimator as it was fitted.

        Raises
        ------
        ValueError
            If the file is not such a model, is damaged, or is no plain file.
        OSError
            If the file cannot be opened.
        """
        from ..storage.model_file import read_model

        return read_model(cls, path)

    def _checked_samples(self, X: Any, method: str) -> tuple[Self, Matrix, np.ndarray, int]:
        """Check samples that come after fit.

        Returns this estimator as it is now, the samples, their rows as the metric measures them, and its kind.
        """
        model = self._snapshot()
        check_is_fitted(model, method)
        check_n_threads("n_threads", model.n_threads)
        metric = check_metric(model.metric)
        matrix = as_matrix(X)
        model._check_feature_names(matrix.feature_names, matrix.values.shape[1], reset=False)
        _check_values(matrix, effective_n_threads(model.n_threads, float(matrix.values.size)))
        values = matrix.values
        if metric.prepare_rows is not None:
            # In the type of the centers, so that rows of either type are rounded as those of fit were.
            values = metric.prepare_rows(values, model.cluster_centers_.dtype, "X", model.n_threads)
        return model, matrix, values, metric.kind

    def _wide_centers(self) -> np.ndarray:
        """The stored centers as the float64 array that the compiled layer reads."""
        return np.ascontiguousarray(self.cluster_centers_, dtype=np.float64)

    def _nearest(self, values: np.ndarray, kind: int) -> np.ndarray:
        centers = self._wide_centers()
        labels = np.empty(len(values), dtype=np.int32)
        n_threads = effective_n_threads(self.n_threads, assignment_work(*values.shape, len(centers)))
        distances.nearest(values, centers, labels, n_threads, kind)
        return labels


def _check_values(matrix: Matrix, n_threads: int) -> None:
    """Refuse NaN, infinities, and what float64 cannot square; the compiled pass is for the usual, clean case."""
    values = matrix.values
    limit = _FLOAT32_MAX if values.dtype.itemsize == 4 else MAGNITUDE_LIMIT
    if samples.has_unusable(values, limit, n_threads):
        check_finite(values, "X", matrix.feature_names)


def prepare(matrix: Matrix, metric: Metric, n_threads: int | None) -> tuple[np.ndarray, Description]:
    """Check the values of a table for a fit; return them as the metric measures them, and their description."""
    values = matrix.values
    n_threads = effective_n_threads(n_threads, float(values.size))
    if metric.prepare_rows is not None:
        _check_values(matrix, n_threads)
        values = metric.prepare_rows(values, values.dtype, "X", n_threads)
    description = describe(values, n_threads)
    if not (description.is_finite and description.largest <= MAGNITUDE_LIMIT):
        check_finite(matrix.values, "X", matrix.feature_names)
    return values, description


def k_means(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: Any = None,
    init: Any = "auto",
    n_init: int | str = "auto",
    max_iter: int = 300,
    verbose: int = 0,
    tol: float = 1e-4,
    random_state: Any = None,
    copy_x: bool = True,
    algorithm: str = "auto",
    metric: str = "euclidean",
    return_n_iter: bool = False,
    n_threads: int | None = None,
) -> tuple:
    """Run k-means and return its results, without an estimator.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    n_clusters : int
        Number of clusters.
    sample_weight, init, n_init, max_iter, verbose, tol, random_state, copy_x, algorithm, metric, n_threads
        As in :class:`KMeans`.
    return_n_iter : bool, default=False
        Whether to return the number of iterations too.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        `cluster_centers_`.
    labels : ndarray of shape (n_samples,), int32
        `labels_`.
    inertia : float
        `inertia_`, in squared units of X if metric is "euclidean".
    n_iter : int
        `n_iter_`; only with return_n_iter.

    Raises
    ------
    ValueError, TypeError
        If a parameter, X or sample_weight is not valid.

    Examples
    --------
    >>> from fastkmeans import k_means
    >>> centers, labels, inertia = k_means([[1.0], [2.0], [9.0]], 2, init=[[0.0], [9.0]])
    >>> inertia
    0.5
    """
    model = KMeans(
        n_clusters, init=init, n_init=n_init, max_iter=max_iter, tol=tol, verbose=verbose, random_state=random_state,
        copy_x=copy_x, algorithm=algorithm, metric=metric, n_threads=n_threads,
    ).fit(X, sample_weight=sample_weight)
    results = model.cluster_centers_, model.labels_, model.inertia_
    return (*results, model.n_iter_) if return_n_iter else results
