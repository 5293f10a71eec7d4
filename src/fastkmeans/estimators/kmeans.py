"""K-means: its parameters and its fit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from ..fitting.fit import best_run
from ..fitting.starts import from_own_centers, n_starts, warn_of_missing_clusters, warn_of_one_cluster, warn_of_units
from ..input import parameters
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_n_clusters
from ..input.sources import weights_or_own
from ..input.weights import as_weights
from ..metrics.table import METRICS
from ..rows import prepare
from ..settings import Callback, Settings, settings_of
from ..workers.reading import is_collection
from .callbacks import CallbackSupport, Watch, fit_with_callbacks
from .fitted import ModelMaker, fitted_attributes
from .scikit_learn import ScikitLearnModels
from .standardize import standardize

if TYPE_CHECKING:
    from ..selection.result import ElbowResult


class KMeans(CallbackSupport, ScikitLearnModels):
    """Exact k-means clustering: every sample gets the label of its nearest center, compared in float64.

    Five settings matter most:

    - `n_clusters`: how many clusters. Pass "auto" if you do not know.
    - `standardize`: True if the features have different units, such as years and dollars.
    - `random_state`: a number, if the next run is to give the same result.
    - `metric`: "euclidean" for most tables, "cosine" for directions such as text vectors, "manhattan" for medians.
    - `n_threads`: how many threads, if all of them are too many.

    The defaults of the others seldom need a change.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters. "auto" sweeps over 1, 2, ..., 10 (at most n_samples) and takes the `best_k` of the sweep. If
        there is none yet, because more clusters still lower the inertia fast, the sweep goes on to 20, and then to 40. If
        there is none at all, ValueError says why. To sweep over other numbers call :func:`elbow`.
    init : {"auto", "k-means++", "random", "random-partition"}, array-like or callable, default="auto"
        How to choose the initial centers.

        - "k-means++" draws rows that lie far apart. In each step it takes the best of 2 + log(n_clusters) candidates.
        - "auto" draws as "k-means++" does. Once during the iterations it merges clusters that cost little to merge, and
          splits others that gain more. If there are at least 65 536 samples, at least 512 per cluster, and samples x
          features x clusters is at least 2e7, it first searches on a weighted sample of some 16 000 rows, with up to
          five starts; see Notes. From 49 152 samples and 192 per cluster on, one start is searched on 64 rows per cluster.
          Sparse samples are seeded as by "k-means++", and neither searched nor exchanged.
        - "random" draws rows at random.
        - "random-partition" puts each row into a random cluster and takes the means.
        - An array of shape (n_clusters, n_features) holds the initial centers, in the units of X.
        - A callable is called with ``X, n_clusters, random_state=...`` and returns such an array. With `standardize` or
          metric="cosine" it gets the rows as the fit reads them, and returns centers among those.
    n_init : "auto" or int, default="auto"
        Number of starts. The one with the lowest inertia is kept. "auto" is 10 if init is "random", "random-partition"
        or a callable, else 1.
    max_iter : int, default=300
        At most so many iterations per start.
    tol : float, default=1e-4
        A start ends when the centers hardly move: when their squared Euclidean shifts sum to at most tol times the mean
        variance of the features. For metric="cosine" both are measured on rows of length 1. With 0 a start ends when no
        label changes.
    verbose : int, default=0
        If above 0, print the inertia of each iteration.
    random_state : int, RandomState, Generator or None, default=None
        Source of the random draws. With an int every fit gives the same result.
    copy_x : bool, default=True
        Accepted for scikit-learn. X is never changed.
    algorithm : {"auto", "lloyd", "pair", "tiles", "prefix", "quantized", "yinyang", "elkan", "full"}, default="auto"
        All give the same bits, and differ in time and memory. "auto" chooses by the shape of X, n_clusters and
        max_iter. `algorithm_used_` says which one ran.

        - "lloyd" compares every sample with every center. It keeps 4 bytes per sample.
        - "pair" is for two clusters. It keeps 12 bytes per sample.
        - "tiles" is for at most 16 features. It keeps two copies of the rows.
        - "quantized" keeps 16 bytes per sample, and 1 or 2 per value.
        - "yinyang" keeps what "quantized" does, and up to 72 bytes per sample.
        - "prefix" keeps up to 236 bytes per sample (812 on CPUs that cannot multiply bytes).
        - "elkan" and "full" are scikit-learn's names. "elkan" is read as "auto", and "full" as "lloyd".

        Beside samples that are read in place (see :meth:`fit`) there is room for less: "quantized" keeps some samples or none,
        "yinyang" has fewer groups of centers, and "prefix" fewer directions. "auto" chooses what takes at most a quarter of the bytes of X, and 16 bytes a
        row.

        "pair", "tiles", "quantized", "yinyang" and "prefix" skip pairs that a proven bound excludes, or read fewer bytes.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance. It decides what the best center of a cluster is, so that no other distance can be put in its
        place; see Notes.

        - "euclidean": squared Euclidean distances, and means.
        - "manhattan": sums of absolute differences, and the median of each feature (the smallest value up to which at
          least half of the weight lies). k-means++ draws by these distances. `algorithm` must be "auto", "lloyd" or one
          of scikit-learn's names.
        - "cosine": 1 - cos of the angle. Rows are divided by their lengths, which takes a copy of X, and so are means.
          A row of zeros has no direction and raises ValueError.
    standardize : bool or "robust", default=False
        Whether to give all features the same weight. The fit then runs on (x - offset) / scale of each feature, which
        takes a copy of X. `predict`, `transform` and `score` apply offset and scale of the fit.

        - True: offset is the mean and scale the standard deviation (divided by the number of samples).
        - "robust": offset is the median and scale the interquartile range / 1.349, so that outliers have no say. Where
          both quartiles are equal, scale is the standard deviation. The quartiles are values of X, as the medians of
          metric="manhattan" are.

        `sample_weight` counts, so that a weight of 3 equals three copies: exactly for "robust", up to the last digits
        for True. A feature whose values are all alike becomes 0. With metric="cosine" the angles are measured after
        standardising.
    warm_start : bool, default=False
        Whether a fit starts from `cluster_centers_` of the fit before, if there was one, in place of `init`. There is one
        such start. n_clusters and the features must be the same, and n_clusters must be a number.
    n_threads : int or None, default=None
        Number of threads. None takes OMP_NUM_THREADS if that is set, else the CPUs that the process may use (its
        affinity and the quota of its container). The result has the same bits for any number.
    callback : callable or None, default=None
        Called after each iteration with its entry of `history_`. Return True to end this start.
    checkpoint : str, path or None, default=None
        A file that keeps what the fit has reached, written about once a second. If a fit is interrupted, by Ctrl-C or because
        its process dies, a fit of the same samples with the same parameters goes on from there, and ends with the same
        labels, centers and inertia; inertias in `history_` may differ in the last digits. max_iter and n_threads may be other ones. The
        file is deleted when a fit ends. Not with n_clusters="auto".

    inertia_tol : float or None, default=None
        A fit also ends after an iteration that lowers the inertia by at most this share of it. None has no such rule: `tol`
        looks at the centers, which may move for hundreds of iterations that hardly lower the inertia.
    max_time : float or None, default=None
        Seconds after which no iteration begins; the first one of a fit always runs. Choosing the initial centers is not cut short.
        How many iterations there are, and so the result, then depends on the speed of the machine. Not with n_clusters="auto".

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The center of each cluster in the units of X: its mean, or what `metric` has instead. float32 if X was, else
        float64. With `standardize` these are the centers of the fit times scale plus offset.
    labels_ : ndarray of shape (n_samples,), int32
        Index of the nearest center of each sample; the lowest index if several are equally near. This holds for these
        centers also if max_iter or tol ended the fit.
    inertia_ : float
        Sum over the samples of weight times squared distance to the nearest center, in squared units of X. For
        "manhattan" the distance is not squared; for "cosine" it is 1 - cos. With `standardize` distances are those of
        standardised samples, without unit, so that inertias with and without it cannot be compared.
    n_iter_ : int
        Number of iterations over all samples, of the start that was kept.
    history_ : list of dict
        One entry per iteration of that start: iteration, inertia (of the centers that it began with), center_shift (sum
        of squared shifts), n_changed (labels), n_empty (clusters that were empty), algorithm, seconds.
    converged_ : bool
        Whether the start ended because labels or centers stayed.
    stop_reason_ : str
        "labels unchanged", "center shift within tol", "fall of inertia within inertia_tol", "max_iter", "max_time" or "callback".
    algorithm_used_ : str
        The algorithm that ran over all samples. If skipping did not pay, it took steps of Lloyd's; `history_` says in
        which iterations.
    feature_offset_, feature_scale_ : ndarray of shape (n_features,), float64, or None
        How `standardize` scaled each feature; None without it.
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
    cluster : from a DataFrame to a labelled DataFrame.

    Notes
    -----
    The iterations are those of S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information
    Theory 28(2), 1982. The start is k-means++ (D. Arthur and S. Vassilvitskii, SODA 2007). Cluster sums are free of
    rounding, so that the result does not depend on the order of addition. An empty cluster takes the sample that is
    farthest from its center.

    Iterations alone never move a center from one group of samples to another. init="auto" does so once, after eight
    iterations or when they would end, if the metric is Euclidean and there are at least three clusters. It merges some
    clusters and splits as many others, as long as a split saves more inertia than a merge costs (T. Kaukoranta, P.
    Fränti and O. Nevalainen, Optical Engineering 37(10), 1998). Where one start is searched on 64 rows per cluster, it
    does so on these rows, too, as long as that lowers their inertia by 0.2 %.

    The rows that init="auto" searches on are drawn by weight, by squared distance to a rough clustering and by cluster.
    They are weighted so that their inertia stands for that of all (O. Bachem, M. Lucic and A. Krause, 2017). The best
    centers found start iterations over all samples, which end by `tol` or `max_iter`. `n_iter_`, `history_`, `verbose`
    and `callback` count and see only these.

    An iteration finds nearest centers, then best centers. It lowers the inertia only if the best center belongs to the
    metric. The mean minimises squared Euclidean distances and no others. The median minimises Manhattan distances (P.
    S. Bradley, O. L. Mangasarian and W. N. Street, NIPS 1996), and the unit mean cosine distances (I. S. Dhillon and D.
    S. Modha, Machine Learning 42, 2001). For other distances use k-medoids.

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

    Ages in years and incomes in dollars: without `standardize` the incomes would decide alone.

    >>> people = [[20.0, 30e3], [21.0, 50e3], [22.0, 40e3], [60.0, 31e3], [61.0, 51e3], [62.0, 41e3]]
    >>> kmeans = KMeans(n_clusters=2, standardize=True, init=[people[1], people[4]]).fit(people)
    >>> kmeans.labels_
    array([0, 0, 0, 1, 1, 1], dtype=int32)
    >>> [[round(age), round(income)] for age, income in kmeans.cluster_centers_.tolist()]
    [[21, 40000], [61, 41000]]
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
        "standardize": parameters.check_standardize,
        "warm_start": parameters.check_bool,
        "n_threads": parameters.check_n_threads,
        "callback": parameters.check_callback,
        "checkpoint": parameters.check_checkpoint,
        "inertia_tol": parameters.check_tol_or_none,
        "max_time": parameters.check_time,
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
        standardize: bool | str = False,
        warm_start: bool = False,
        n_threads: int | None = None,
        callback: Callback | None = None,
        checkpoint: Any = None,
        inertia_tol: float | None = None,
        max_time: float | None = None,
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
        self.standardize = standardize
        self.warm_start = warm_start
        self.n_threads = n_threads
        self.callback = callback
        self.checkpoint = checkpoint
        self.inertia_tol = inertia_tol
        self.max_time = max_time

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters of X.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            The samples. A C-ordered float32 or float64 array is used without a copy. A larger array of int8, uint8, int16, float16,
            bool or bfloat16 (ml_dtypes), or with other strides, is read in place, some rows at a time. float16 and bfloat16 count as
            float32, integers and bool as float64, and all other types are copied to float64. metric="manhattan" and "cosine",
            standardize and n_clusters="auto" copy what is not C-ordered float32 or float64.
            A sparse matrix of SciPy is never made dense; CSR in float32 or float64 with 32-bit indices is used without a copy.
            Rows that do not fit memory are read in blocks: a .npy, .parquet or .csv file, a list or a pattern of these, a memmap, a
            lazy table, a function that returns batches; see :func:`open_rows`.
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
            If a parameter, X or sample_weight is not valid, the inertia overflows float64, or "auto" finds no number;
            the estimator is then unchanged.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans(n_clusters=2, random_state=7).fit([[1.0], [2.0], [9.0]]).inertia_
        0.5
        """
        if "_skl_callbacks" in self.__dict__:
            return fit_with_callbacks(self, X, y, sample_weight)
        return self._fit(X, sample_weight)

    @property
    def _n_init(self) -> int:
        """Number of starts of a fit. The name is scikit-learn's, whose subclasses and tests read it."""
        return n_starts(self.init, self.n_init)

    def _fit(self, X: Any, sample_weight: Any, watch: Watch | None = None) -> Self:
        """Fit as :meth:`fit` does, by the parameters of this moment.

        watch : makes the callback that this fit calls instead of the user's.
        """
        settings = settings_of(self)
        if settings.max_time is not None and settings.n_clusters == "auto":
            raise ValueError(
                "max_time must be None with n_clusters='auto', which fits many numbers of clusters; pass a number."
            )
        if settings.checkpoint is not None:
            settings = _with_checkpoint(settings)
        if is_collection(X):
            from .lazy import fit_collection

            return fit_collection(self, settings, X, sample_weight, watch)
        in_place = settings.n_clusters != "auto" and settings.metric == "euclidean" and not settings.standardize
        matrix = as_matrix(X, sparse=True, in_place=in_place, streamed=True)
        sample_weight = weights_or_own(X, sample_weight)
        if matrix.feature_names is not None:
            from ..input.columns import warn_of_index

            warn_of_index(matrix.feature_names)
        if self.warm_start:
            settings = from_own_centers(settings, getattr(self, "cluster_centers_", None), matrix.values.shape[1])
        if settings.n_clusters == "auto":
            return self._fit_swept(settings, matrix, sample_weight, watch, X)
        check_n_clusters(settings.n_clusters, len(matrix.values))
        settings, matrix, scaling = standardize(settings, matrix, sample_weight)
        if watch is not None:
            settings = settings._replace(callback=watch(settings, matrix, scaling))
        weights = as_weights(sample_weight, len(matrix.values))
        samples = prepare(matrix, weights, METRICS[settings.metric].prepare_rows, settings.n_threads, shown=X)
        warn_of_units(settings, matrix, samples)
        warn_of_one_cluster(settings)
        found, algorithm = best_run(settings, samples)
        warn_of_missing_clusters(found.n_distinct, settings.n_clusters)
        self._take_over(fitted_attributes(found, algorithm, matrix.feature_names, scaling))
        return self

    def _reads_sparse(self) -> bool:
        return self.metric != "manhattan" and not self.standardize

    def _settings(self) -> Settings:
        return settings_of(self)

    def _fit_swept(self, settings: Settings, matrix: Matrix, sample_weight: Any, watch: Watch | None, X: Any) -> Self:
        """Fit n_clusters="auto": sweep, and take over the fit that is best; raise ValueError where none is.   X : as given."""
        if not (isinstance(settings.init, str) or callable(settings.init)):
            raise ValueError(
                "init cannot be an array with n_clusters='auto', because each number of clusters needs another; pass a "
                "name such as 'auto', or a number for n_clusters."
            )
        from ..selection.candidates import AUTO_LIMIT, DEFAULT_K, k_values
        from ..selection.sweep import sweep

        params = {**self.get_params(), **settings._asdict()}
        settings, matrix, scaling = standardize(settings, matrix, sample_weight)
        if watch is not None:
            settings = settings._replace(callback=watch(settings, matrix, scaling))
        make_model = ModelMaker(KMeans, params, matrix.feature_names, scaling)
        candidates = partial(k_values, DEFAULT_K)
        result = sweep(settings, matrix, sample_weight, candidates, make_model, limit=AUTO_LIMIT, shown=X)
        if result.best_k is None:
            last = int(result.k[-1])
            raise ValueError(
                f"n_clusters='auto' found no clear clusters between k = 1 and {last}; pass a number, or sweep further with "
                f"elbow(X, k=range(1, {min(2 * last, len(matrix.values)) + 1})) and the other parameters of this fit. {result.reason}"
            )
        fitted = vars(result.model(result.best_k))
        found = {name: value for name, value in fitted.items() if name not in params}
        self._take_over({**found, "sweep_": result})
        return self


def _with_checkpoint(settings: Settings) -> Settings:
    """Return settings whose checkpoint is a file that is read and written."""
    if settings.n_clusters == "auto":
        raise ValueError(
            "checkpoint must be None with n_clusters='auto', which fits many numbers of clusters; pass a number."
        )
    from ..storage.checkpoint import CheckpointFile

    return settings._replace(checkpoint=CheckpointFile(settings.checkpoint))
