"""Bisecting k-means: its parameters, its fit, and labels through its tree."""

from __future__ import annotations

from typing import Any, Self

from ..fitting.bisecting import Tree, bisect
from ..fitting.labelling import inertia_of_labels
from ..fitting.starts import source_of, warn_of_missing_clusters
from ..input import parameters
from ..input.matrix import as_matrix
from ..input.parameters import check_n_clusters
from ..input.weights import as_weights
from ..metrics.table import METRICS
from ..rows import prepare, some_rows
from ..settings import BisectingSettings, bisecting_settings_of
from ..types import Indices, Labels, Values
from .centers import CentersEstimator


class BisectingKMeans(CentersEstimator):
    """K-means from the top down: all rows are one cluster at first, and one cluster after the other is split in two.

    Clusters form a tree. Labels follow it: at each split a row goes to the nearer of two centers, so that its label need
    not be the nearest center of all.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    init : {"auto", "k-means++", "random"} or callable, default="auto"
        How to choose the two initial centers of each split. "auto" draws as "k-means++" does. It splits clusters of 8192
        rows and more by one row in eight first, and begins on all rows with the centers found there. "random" draws rows at
        random, as scikit-learn does by default. A callable is called with the rows of the cluster,
        ``X, 2, random_state=...``, and returns two centers.
    n_init : int, default=1
        Number of starts of each split. The one with the lowest inertia is kept.
    random_state : int, RandomState, Generator or None, default=None
        Source of the random draws. With an int every fit gives the same result.
    max_iter : int, default=300
        At most so many iterations per start.
    verbose : int, default=0
        If above 0, print the inertia of each iteration, and the centers of each split.
    tol : float, default=1e-4
        A start ends when the squared shifts of its two centers sum to at most tol. As in scikit-learn this is in squared
        units of X, other than in :class:`KMeans`.
    copy_x : bool, default=True
        Accepted for scikit-learn. X is never changed.
    algorithm : str, default="auto"
        As in :class:`KMeans`. All give the same bits.
    bisecting_strategy : {"biggest_inertia", "largest_cluster"}, default="biggest_inertia"
        Which cluster is split next: the one with the largest inertia, or the one whose rows weigh most.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The mean of each cluster, from left to right in the tree; float32 if X was, else float64.
    labels_ : ndarray of shape (n_samples,), int32
        Cluster of each sample, through the tree: what `predict` gives.
    inertia_ : float
        Sum of weight times squared distance to the center of the label: minus what `score` gives.
    n_iter_ : int
        Number of iterations of all splits.
    n_clusters_ : int
        Number of clusters.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of str
        Column names of X; only if X had some.

    See Also
    --------
    KMeans : every label is the nearest center.

    Notes
    -----
    M. Steinbach, G. Karypis and V. Kumar, "A comparison of document clustering techniques", KDD workshop on text mining,
    2000. Each split is a fit of :class:`KMeans` with two clusters. A cluster whose rows are all alike is not split while
    others can be. If none can, the missing clusters are empty copies, and a ConvergenceWarning tells of it.

    A model that :meth:`from_centers` makes has no tree, and labels each row by its nearest center.

    Examples
    --------
    >>> from fastkmeans import BisectingKMeans
    >>> X = [[1.0], [2.0], [10.0], [11.0], [40.0], [41.0]]
    >>> kmeans = BisectingKMeans(n_clusters=3, random_state=0).fit(X)
    >>> sorted(kmeans.cluster_centers_.ravel().tolist())
    [1.5, 10.5, 40.5]
    >>> (kmeans.predict(X) == kmeans.labels_).all()
    np.True_
    """

    metric = "euclidean"
    inertia_: float
    _tree_centers: Values
    _tree_children: Labels

    _saved_arrays = ("cluster_centers_", "labels_", "_tree_centers", "_tree_children")
    _saved_values = ("n_clusters_", "inertia_", "n_iter_", "n_features_in_")

    _parameter_checks = {
        "n_clusters": parameters.check_count,
        "init": parameters.check_pair_init,
        "n_init": parameters.check_count,
        "random_state": parameters.check_random_state_parameter,
        "max_iter": parameters.check_count,
        "verbose": parameters.check_verbose,
        "tol": parameters.check_tol,
        "copy_x": parameters.check_bool,
        "bisecting_strategy": parameters.check_bisecting_strategy,
        "n_threads": parameters.check_n_threads,
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "auto",
        n_init: int = 1,
        random_state: Any = None,
        max_iter: int = 300,
        verbose: int = 0,
        tol: float = 1e-4,
        copy_x: bool = True,
        algorithm: str = "auto",
        bisecting_strategy: str = "biggest_inertia",
        n_threads: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.random_state = random_state
        self.max_iter = max_iter
        self.verbose = verbose
        self.tol = tol
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.bisecting_strategy = bisecting_strategy
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Split X until there are n_clusters clusters.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The samples. A C-ordered float32 or float64 array is used without a copy; the rows of a cluster are copied
            while it is split.
        y : ignored
            There for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample, not negative; a weight of 3 counts as three copies.

        Returns
        -------
        self : BisectingKMeans
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter, X or sample_weight is not valid, or the inertia overflows float64; the estimator is then
            unchanged.

        Examples
        --------
        >>> from fastkmeans import BisectingKMeans
        >>> BisectingKMeans(n_clusters=2, random_state=7).fit([[1.0], [2.0], [9.0]]).inertia_
        0.5
        """
        settings = self._settings()
        n_clusters, n_threads = settings.base.n_clusters, settings.base.n_threads
        matrix = as_matrix(X, sparse=True, in_place=True)
        check_n_clusters(n_clusters, len(matrix.values))
        weights = as_weights(sample_weight, len(matrix.values))
        samples = prepare(matrix, weights, METRICS[settings.base.metric].prepare_rows, n_threads, shown=X)
        with source_of(settings.base, settings.base.random_state) as random_state:
            found = bisect(settings, samples, random_state)
        inertia = inertia_of_labels(samples, found.centers, found.labels, n_threads)
        warn_of_missing_clusters(found.n_distinct, n_clusters)
        fitted: dict[str, Any] = {
            "cluster_centers_": found.centers,
            "labels_": found.labels,
            "inertia_": inertia,
            "n_iter_": found.n_iter,
            "n_clusters_": n_clusters,
            "n_features_in_": found.centers.shape[1],
            "_tree_centers": found.tree.centers,
            "_tree_children": found.tree.children,
        }
        if matrix.feature_names is not None:
            fitted["feature_names_in_"] = matrix.feature_names
        self._take_over(fitted)
        return self

    def _settings(self) -> BisectingSettings:
        return bisecting_settings_of(self)

    def _reads_sparse(self) -> bool:
        return True

    def _nearest(self, values: Values, kind: int) -> Labels:
        """The label of each row, through the tree."""
        if "_tree_children" not in vars(self):
            return super()._nearest(values, kind)

        def choose(rows: Indices | None, centers: Values) -> Labels:
            return self._nearest_of(values if rows is None else some_rows(values, rows), centers, kind)

        return Tree(self._tree_centers, self._tree_children).descend(len(values), choose)
