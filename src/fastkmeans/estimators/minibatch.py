"""Mini-batch k-means: its parameters, its fit, and its fit batch by batch."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from .._core.minibatch import rounds_to
from ..errors import check_is_fitted
from ..fitting.batch import measured
from ..fitting.labelling import label
from ..fitting.minibatch import (
    AUTO_STARTS,
    RunningMeans,
    begin,
    first_centers,
    fit_batches,
    init_size_of,
    quick_step,
    step,
)
from ..fitting.starts import n_starts, source_of
from ..input import parameters
from ..input.finite import check_inertia
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_n_clusters, check_random_state
from ..input.weights import as_weights
from ..metrics.table import METRICS
from ..rows import prepare
from ..samples import Samples
from ..settings import MiniBatchSettings, mini_batch_settings_of
from ..types import Floats, Labels
from .centers import CentersEstimator
from .contract import UNCHANGED


class MiniBatchKMeans(CentersEstimator):
    """K-means by small batches: for more rows than a fit of all should read, and for rows that come bit by bit.

    Each step labels a batch of rows and moves each center to the mean of all rows that it was ever given. The clusters are
    a little worse than those of :class:`KMeans`, which reads all rows in each iteration. Labels are exact: every row gets
    its nearest center.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    init : {"auto", "k-means++", "random"}, array-like or callable, default="auto"
        How to choose the initial centers among `init_size` rows, as in :class:`KMeans`. "auto" fits :class:`KMeans` to them, or to
        32 rows per cluster if these are more, and counts these rows as the first that the centers are the means of. In
        `partial_fit`, "auto" is "k-means++".
    max_iter : int, default=100
        At most so many times the number of rows are drawn.
    batch_size : int, default=1024
        Rows of a batch. `fit` draws them with repetition, by weight.
    verbose : int, default=0
        If above 0, print the inertia of each batch.
    compute_labels : bool, default=True
        Whether `labels_` and `inertia_` are computed, which takes a pass over all rows.
    random_state : int, RandomState, Generator or None, default=None
        Source of the random draws. With an int every fit gives the same result.
    tol : float, default=0.0
        `fit` ends when the squared shifts of the centers in a step sum to at most tol times the mean variance of the
        features. 0 never ends it.
    max_no_improvement : int or None, default=10
        `fit` ends when the average inertia of batches has not fallen to a new lowest value for so many batches. None never
        ends it.
    init_size : int or None, default=None
        Rows that the initial centers are chosen among. None is 3 batch_size, or 3 n_clusters if that is less than
        n_clusters.
    n_init : "auto" or int, default="auto"
        Number of starts. The one with the lowest inertia over drawn rows is kept, before the first step. "auto" is 3 if
        init is "random" or a callable, else 1.
    reassignment_ratio : float, default=0.01
        A cluster whose count is below this share of the largest is put on a row of the batch. 0 leaves all where they are.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The centers, float32 if X was, else float64.
    counts_ : ndarray of shape (n_clusters,), float64
        The weight of the rows whose mean each center is. Reassigned clusters have the smallest count of the others.
    labels_ : ndarray of shape (n_samples,), int32
        Index of the nearest center of each row: of `fit`, or of the last batch of `partial_fit`. Only with
        `compute_labels`.
    inertia_ : float
        Sum of weight times squared distance to the nearest center, over the rows of `labels_`. Without
        `compute_labels`, `fit` estimates it by the average inertia of batches.
    n_iter_ : int
        How often the number of rows was drawn, rounded up.
    n_steps_ : int
        Number of batches.
    n_clusters_ : int
        Number of clusters.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of str
        Column names of X; only if X had some.

    See Also
    --------
    KMeans : reads all rows in each iteration.

    Notes
    -----
    The steps are those of D. Sculley, "Web-scale k-means clustering", WWW 2010, algorithm 1. Starts, reassignment and the
    end of the steps are those of scikit-learn. With the same `init` array and the same integer `random_state`, the same
    batches are drawn as there.

    The means are kept in float64, also if X is float32. So a row counts the same whether it comes first or after a billion
    others.

    With an integer `random_state`, a model that was pickled or copied goes on with the random numbers that the original would
    draw next. A model that was saved to a file and loaded draws those of `random_state` from the first one on.

    Examples
    --------
    >>> from fastkmeans import MiniBatchKMeans
    >>> X = [[1.0], [2.0], [3.0], [30.0], [31.0], [32.0]]
    >>> MiniBatchKMeans(n_clusters=2, batch_size=4, random_state=3).fit(X).labels_.tolist() in ([0] * 3 + [1] * 3, [1] * 3 + [0] * 3)
    True

    Batch by batch, from given centers:

    >>> kmeans = MiniBatchKMeans(n_clusters=2, init=[[0.0], [30.0]])
    >>> for batch in ([[1.0], [32.0]], [[3.0], [34.0]]):
    ...     kmeans = kmeans.partial_fit(batch)
    >>> kmeans.cluster_centers_.tolist(), kmeans.counts_.tolist()
    ([[2.0], [33.0]], [2.0, 2.0])
    """

    metric = "euclidean"
    counts_: Floats
    inertia_: float
    n_steps_: int
    _running_means: Floats
    _n_seen: int

    _saved_arrays = ("cluster_centers_", "labels_", "counts_", "_running_means")
    _saved_values = ("n_clusters_", "inertia_", "n_iter_", "n_steps_", "n_features_in_", "_n_seen")
    _routed = ("fit", "partial_fit", "score")

    _parameter_checks = {
        "n_clusters": parameters.check_count,
        "init": parameters.check_batch_init,
        "max_iter": parameters.check_count,
        "batch_size": parameters.check_count,
        "verbose": parameters.check_verbose,
        "compute_labels": parameters.check_bool,
        "random_state": parameters.check_random_state_parameter,
        "tol": parameters.check_tol,
        "max_no_improvement": parameters.check_patience,
        "init_size": parameters.check_count_or_none,
        "n_init": parameters.check_n_init,
        "reassignment_ratio": parameters.check_tol,
        "n_threads": parameters.check_n_threads,
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "auto",
        max_iter: int = 100,
        batch_size: int = 1024,
        verbose: int = 0,
        compute_labels: bool = True,
        random_state: Any = None,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        init_size: int | None = None,
        n_init: int | str = "auto",
        reassignment_ratio: float = 0.01,
        n_threads: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.compute_labels = compute_labels
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find clusters by batches that are drawn from X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The samples.
        y : ignored
            There for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample, not negative: rows are drawn with probability by weight.

        Returns
        -------
        self : MiniBatchKMeans
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter, X or sample_weight is not valid; the estimator is then unchanged.

        Examples
        --------
        >>> from fastkmeans import MiniBatchKMeans
        >>> MiniBatchKMeans(n_clusters=1, random_state=1).fit([[2.0], [2.0]]).cluster_centers_
        array([[2.]])
        """
        settings = mini_batch_settings_of(self)
        matrix = as_matrix(X, sparse=True, in_place=True)
        check_n_clusters(settings.base.n_clusters, len(matrix.values))
        samples = _samples_of(matrix, as_weights(sample_weight, len(matrix.values)), settings)
        with source_of(settings.base, settings.base.random_state) as random_state:
            found = fit_batches(settings, samples, random_state)
        n_samples, weights = len(samples.values), samples.sample_weight
        n_drawn = found.n_steps * min(settings.batch_size, n_samples)
        fitted = _fitted(settings, samples, found.means, samples.values.dtype)
        fitted.setdefault("inertia_", found.mean_inertia * (n_samples if weights is None else float(weights.sum())))
        fitted |= {"n_steps_": found.n_steps, "n_iter_": -(-n_drawn // n_samples)}
        if matrix.feature_names is not None:
            fitted["feature_names_in_"] = matrix.feature_names
        self._take_over(fitted)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Labels:
        """Fit, and return the labels of X, also without `compute_labels`.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int32
            Index of the nearest center of each row.

        Examples
        --------
        >>> from fastkmeans import MiniBatchKMeans
        >>> MiniBatchKMeans(n_clusters=1).fit_predict([[1.0], [2.0]])
        array([0, 0], dtype=int32)
        """
        fitted = self.fit(X, sample_weight=sample_weight)
        labels: Labels | None = vars(fitted).get("labels_")
        return fitted.predict(X) if labels is None else labels

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Take one step, with X as the batch. The first call chooses the initial centers among the rows of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The batch.
        y : ignored
            There for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, not negative; a weight of 3 counts as three copies.

        Returns
        -------
        self : MiniBatchKMeans
            The estimator after the step.

        Raises
        ------
        ValueError, TypeError
            If a parameter, X or sample_weight is not valid; the estimator is then unchanged.

        Examples
        --------
        >>> from fastkmeans import MiniBatchKMeans
        >>> kmeans = MiniBatchKMeans(n_clusters=1, init=[[0.0]]).partial_fit([[1.0]]).partial_fit([[3.0], [5.0]])
        >>> kmeans.cluster_centers_, kmeans.n_steps_
        (array([[3.]]), 2)
        """
        settings, model = mini_batch_settings_of(self), self._snapshot()
        matrix, is_first = as_matrix(X, sparse=True, in_place=True), not model.__sklearn_is_fitted__()
        model._check_feature_names(matrix.feature_names, matrix.values.shape[1], reset=is_first)
        if is_first:
            check_n_clusters(settings.base.n_clusters, len(matrix.values))
        values, weights = matrix.values, as_weights(sample_weight, len(matrix.values))
        batch = measured(values, weights) if isinstance(values, np.ndarray) else None
        random_state = vars(model).get("_random_state") or check_random_state(settings.base.random_state)
        samples: Samples | None = None
        if is_first or batch is None:  # what is wrong with the values is told here, too
            samples = _samples_of(matrix, weights, settings)
            if is_first:
                size = init_size_of(settings, len(values))
                model.cluster_centers_ = first_centers(settings, samples, size, random_state)
        means, dtype = model._means(), model.cluster_centers_.dtype
        stepped = None if batch is None else quick_step(means, batch, settings, random_state)
        if stepped is None:
            samples = samples or _samples_of(matrix, weights, settings)
            means, _ = step(means, samples, settings, random_state)
            fitted = _fitted(settings, samples, means, dtype)
        else:
            means, taken = stepped
            fitted = _attributes_of(means, dtype)
            if settings.compute_labels:
                labels, inertia = taken.relabel(fitted["cluster_centers_"].astype(np.float64))
                fitted |= {"labels_": labels, "inertia_": check_inertia(inertia, taken.largest_weight)}
        fitted |= {name: vars(model).get(name, 0) + 1 for name in ("n_steps_", "n_iter_")}
        if isinstance(settings.base.random_state, (int, np.integer)):  # all other sources keep their own place
            fitted["_random_state"] = random_state
        if "feature_names_in_" in vars(model):
            fitted["feature_names_in_"] = model.feature_names_in_
        self._take_over(fitted)
        return self

    def merge(self, other: MiniBatchKMeans) -> Self:
        """Take in what another model has learnt: each center becomes the mean of the rows of both.

        Both models must have been trained by :meth:`partial_fit` from the same initial centers, on different rows, so that
        cluster j means the same in both. A center with count n and mean c, and another with m and d, become one with count
        n + m and mean (n c + m d) / (n + m). That is exactly the mean of all rows that either model gave to the cluster. A
        center with count 0 has learnt nothing, and takes the other's place.

        A single model that saw all batches would have labelled later ones by centers that had moved further, so that its
        centers differ from the merged ones. Reassigned clusters do not have exact counts; train with
        ``reassignment_ratio=0`` to have none.

        Parameters
        ----------
        other : MiniBatchKMeans
            The other model. It is not changed.

        Returns
        -------
        self : MiniBatchKMeans
            This model, merged. It has no `labels_` and no `inertia_`.

        Raises
        ------
        NotFittedError
            If a model is not fitted.
        TypeError
            If other is not a MiniBatchKMeans.
        ValueError
            If the models have different shapes or features, or if both have a center of count 0 that differs.

        Examples
        --------
        >>> from fastkmeans import MiniBatchKMeans
        >>> start = [[0.0], [9.0]]
        >>> monday = MiniBatchKMeans(2, init=start).partial_fit([[1.0], [9.0]])
        >>> tuesday = MiniBatchKMeans(2, init=start).partial_fit([[3.0], [6.0], [9.0]])
        >>> monday.merge(tuesday).cluster_centers_.tolist(), monday.counts_.tolist()
        ([[2.0], [8.0]], [2.0, 3.0])
        """
        if not isinstance(other, MiniBatchKMeans):
            raise TypeError(f"other must be a MiniBatchKMeans; got {type(other).__name__}.")
        model, theirs = self._snapshot(), other._snapshot()
        check_is_fitted(model, "merge")
        check_is_fitted(theirs, "merge")
        if model.cluster_centers_.shape != theirs.cluster_centers_.shape:
            raise ValueError(
                f"other must have cluster_centers_ of shape {model.cluster_centers_.shape}, like this model; got "
                f"{theirs.cluster_centers_.shape}. Train both from the same initial centers."
            )
        model._check_feature_names(vars(theirs).get("feature_names_in_"), theirs.n_features_in_, reset=False)
        means = _merged(model._means(), theirs._means())
        fitted = _attributes_of(means, model.cluster_centers_.dtype)
        for name in ("n_steps_", "n_iter_"):
            fitted[name] = vars(model).get(name, 0) + vars(theirs).get(name, 0)
        for name in ("feature_names_in_", "_random_state"):
            if name in vars(model):
                fitted[name] = vars(model)[name]
        self._take_over(fitted)
        return self

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = UNCHANGED) -> Self:
        """Ask scikit-learn's metadata routing to pass sample_weight to partial_fit.

        Parameters
        ----------
        sample_weight : bool, str or None
            True passes it, False does not, None makes passing it an error, a string is the name it goes by.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        RuntimeError
            If metadata routing is not enabled.
        """
        return self._set_request("partial_fit", sample_weight)

    @property
    def _n_init(self) -> int:
        """Number of starts of a fit. The name is scikit-learn's, whose subclasses and tests read it."""
        return n_starts(self.init, self.n_init, AUTO_STARTS)

    def _reads_sparse(self) -> bool:
        return True

    def _settings(self) -> MiniBatchSettings:
        return mini_batch_settings_of(self)

    def _means(self) -> RunningMeans:
        """The state that the next step begins with."""
        centers, fitted = self.cluster_centers_, vars(self)
        running, counts = fitted.get("_running_means"), fitted.get("counts_")
        if running is None or counts is None:
            return begin(centers)
        if not rounds_to(running, centers):  # the user has put other centers in their place
            running = centers.astype(np.float64)
        return RunningMeans(running, counts, fitted.get("_n_seen", 0))


def _samples_of(matrix: Matrix, sample_weight: Floats | None, settings: MiniBatchSettings) -> Samples:
    """Return the checked samples of a fit or a step.   sample_weight : already checked."""
    return prepare(matrix, sample_weight, METRICS[settings.base.metric].prepare_rows, settings.base.n_threads)


def _attributes_of(means: RunningMeans, dtype: DTypeLike) -> dict[str, Any]:
    """Return the fitted attributes that follow from the state.   dtype : of the centers."""
    return {
        "cluster_centers_": means.centers.astype(dtype),
        "counts_": means.counts,
        "_running_means": means.centers,
        "_n_seen": means.n_seen,
        "n_clusters_": len(means.centers),
        "n_features_in_": means.centers.shape[1],
    }


def _fitted(settings: MiniBatchSettings, samples: Samples, means: RunningMeans, dtype: DTypeLike) -> dict[str, Any]:
    """Return these attributes and, with compute_labels, labels and inertia of the samples."""
    fitted = _attributes_of(means, dtype)
    if settings.compute_labels:
        labels, inertia = label(samples, fitted["cluster_centers_"], settings.base.n_threads)
        fitted |= {"labels_": labels, "inertia_": inertia}
    return fitted


def _merged(first: RunningMeans, second: RunningMeans) -> RunningMeans:
    """Return the state whose means are those of the rows of both."""
    counts = first.counts + second.counts
    untouched = counts == 0.0
    apart = untouched & (first.centers != second.centers).any(axis=1)
    if apart.any():
        raise ValueError(
            f"other must come from the same initial centers; center {int(apart.argmax())} has count 0 in both models, and "
            "differs. Train both with the same array as init."
        )
    share = np.divide(second.counts, counts, out=np.zeros_like(counts), where=~untouched)[:, None]
    moved = first.centers + (second.centers - first.centers) * share
    return RunningMeans(np.where(share < 1.0, moved, second.centers), counts, first.n_seen + second.n_seen)
