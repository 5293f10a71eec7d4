"""The methods of every fitted estimator with centers: predict, transform, score, save and load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..errors import check_is_fitted
from ..input.finite import check_finite, check_inertia
from ..input.labelled import Treatment
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import Check, check_n_threads
from ..input.sources import weights_or_own
from ..input.weights import as_weights
from ..metrics.table import check_metric
from ..rows import as_measured, check_values, empty_like_rows, inertia_in_units, nearest, pairwise
from ..runtime.threads import effective_n_threads
from ..scaling import Scaling
from ..types import Floats, Labels, Values
from ..workers.reading import is_collection
from .contract import Estimator

if TYPE_CHECKING:
    from .summary import ClusterSummary


class CentersEstimator(Estimator):
    """Base of estimators whose fit finds `cluster_centers_`.

    A subclass has the parameters `metric` and `n_threads`, a `fit` that takes X, y and sample_weight, and
    `_parameter_checks`: parameter name -> check. `_saved_arrays` and `_saved_values` name the fitted attributes that a model
    file keeps; storage/model_parts.py has a rule for each.
    """

    _parameter_checks: ClassVar[dict[str, Check]]
    _saved_arrays: ClassVar[tuple[str, ...]] = (
        "cluster_centers_",
        "labels_",
        "feature_offset_",
        "feature_scale_",
        "_standardized_centers",
    )
    _saved_values: ClassVar[tuple[str, ...]] = (
        "n_clusters_", "inertia_", "n_iter_", "n_features_in_", "history_", "converged_", "stop_reason_",
        "algorithm_used_",
    )  # fmt: skip
    metric: str
    n_threads: int | None
    labels_: Labels
    n_clusters_: int
    n_iter_: int
    feature_offset_: Floats | None = None
    feature_scale_: Floats | None = None
    _standardized_centers: Values | None = None  # what distances are measured to, where features are standardised
    _treatment: Treatment | None = None  # what cluster() did with the table of the fit

    if TYPE_CHECKING:  # a subclass defines these

        def __init__(self, n_clusters: int | str = ..., **params: Any) -> None: ...
        def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self: ...

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Labels:
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

    def predict(self, X: Any) -> Labels:
        """Label each sample with its nearest center.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            New samples, of any float or integer type, or whatever :func:`open_rows` takes. Of a DataFrame that has all columns of fit and others, such as text and
            labels, the columns of fit are taken by name.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int32
            Index of the nearest center, decided in float64; the lowest index among equally near centers.

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
        if is_collection(X):
            from .lazy import predict

            labels: Labels = predict(self, X)
            return labels
        model, _, values, kind = self._checked_samples(X, "predict")
        return model._nearest(values, kind)

    def transform(self, X: Any) -> Any:
        """Compute the distance of each sample to each center.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            New samples, or whatever :func:`open_rows` takes.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Euclidean distances (not squared), Manhattan distances or 1 - cos, by `metric`; float32 if X is, else float64. In
            each row, the first of the smallest distances is the one of the label. With `standardize` the distances are
            those of standardised samples, without unit. A table if :meth:`set_output` chose one.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not valid, if its features are not those of fit, or if X is float32 and a distance overflows float32.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0, 0.0], [3.0, 4.0]]).transform([[0.0, 0.0]])
        array([[0., 5.]])
        """
        if is_collection(X):
            from .lazy import transform

            return transform(self, X)
        model, matrix, values, kind = self._checked_samples(X, "transform")
        centers = model._wide_centers()
        result = empty_like_rows(values, len(centers), matrix.values.dtype)
        if pairwise(values, centers, result, model.n_threads, kind):
            raise ValueError(
                f"X is {result.dtype}, and some of its distances to the centers overflow {result.dtype}; pass "
                "X.astype('float64')."
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
        """Return minus the inertia of X. The higher it is, the closer the samples are to their nearest centers.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Samples, or whatever :func:`open_rows` takes.
        y : ignored
            Accepted for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample.

        Returns
        -------
        score : float
            Minus the sum of weight times squared distance, or times Manhattan distance or 1 - cos, by `metric`. With
            `standardize` the distances are those of standardised samples, without unit.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X or sample_weight is not valid, if the inertia overflows float64, or if the features are not those of fit.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0], [9.0]]).score([[1.0], [9.0]])
        -1.0
        """
        if is_collection(X):
            from .lazy import score

            return score(self, X, sample_weight)
        model, _, values, kind = self._checked_samples(X, "score")
        weights = as_weights(weights_or_own(X, sample_weight), len(values))
        n_threads = effective_n_threads(model.n_threads, float(values.size))
        labels = model._nearest(values, kind)
        inertia = inertia_in_units(values, model._wide_centers(), labels, weights, n_threads, kind)
        return -check_inertia(inertia, 1.0 if weights is None else float(weights.max()))

    def summary(self, X: Any = None) -> ClusterSummary:
        """Say what distinguishes each cluster, for people to read.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), optional
            The samples of fit, or others. Each row belongs to the cluster of its nearest center, and counts once whatever
            its weight was. Without X the summary has sizes and centers only. Of a table with labels, as :func:`cluster` returns
            it, rows without a label are left out, and missing values that cluster(missing="mean") filled are filled again.

        Returns
        -------
        summary : ClusterSummary
            Print it for a sentence per cluster. :meth:`ClusterSummary.to_frame` gives a table.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not valid or its features are not those of fit, or if the model was made of centers and X is missing.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> X = [[1.0], [2.0], [3.0], [30.0]]
        >>> print(KMeans(n_clusters=2, init=[[0.0], [30.0]]).fit(X).summary(X))
        2 clusters, 4 rows, 1 feature; rows by their numbers from 0
        cluster 0: 3 of 4 rows (75 %); feature 0 below average (-0.6 sd, 2)
            typical rows 1, 0, 2
        cluster 1: 1 of 4 rows (25 %); feature 0 much above average (+1.7 sd, 30)
            typical row 3
        In brackets: the distance of the cluster from the average of all rows, in standard deviations (sd), and its center.
        """
        model = self._snapshot()
        check_is_fitted(model, "summary")
        from .summary import summarize

        return summarize(model, X)

    def _repr_html_(self) -> str:
        """The estimator as HTML, for notebooks."""
        from .notebook import estimator_html

        return estimator_html(self)

    @classmethod
    def from_centers(cls, centers: Any, **params: Any) -> Self:
        """Make a fitted estimator from centers, for predict, transform and score.

        Parameters
        ----------
        centers : array-like of shape (n_clusters, n_features)
            The centers; float32 stays float32. For metric="cosine" they are divided by their lengths.
        **params : dict
            Constructor parameters except n_clusters.

        Returns
        -------
        kmeans : KMeans
            Fitted, without labels_ and inertia_.

        Raises
        ------
        ValueError
            If centers are not a finite 2-D array, or if metric is "cosine" and a center is all zeros.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0], [9.0]]).predict([[7.0]])
        array([1], dtype=int32)
        """
        if params.get("standardize"):
            raise ValueError(
                "standardize must be False with from_centers, which has no samples to measure the features by; standardise "
                "centers and samples yourself, or fit with init=centers and max_iter=1."
            )
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
        """Write the fitted estimator to a .npz file of plain arrays and JSON. The file is written completely or not at all.

        Parameters
        ----------
        path : str or path
            File to write; no suffix is added. A callable init, a callback and a random_state that is not a number
            are not saved.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a parameter that was set after fit is not valid, so that :meth:`load` would refuse the file.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0], [9.0]]).save("model.npz")
        >>> KMeans.load("model.npz").predict([[7.0]])
        array([1], dtype=int32)
        """
        model = self._snapshot()
        check_is_fitted(model, "save")
        from ..storage.model_file import write_model

        write_model(model, path)

    @classmethod
    def load(cls, path: Any) -> Self:
        """Read an estimator that :meth:`save` wrote. The file holds numbers and text, and nothing in it is executed.

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
            If the file is not such a model, is damaged, or is not a plain file.
        OSError
            If the file cannot be opened.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans.from_centers([[0.0], [9.0]]).save("model.npz")
        >>> KMeans.load("model.npz").cluster_centers_
        array([[0.],
               [9.]])
        """
        from ..storage.model_file import read_model

        return read_model(cls, path)

    def _checked_samples(self, X: Any, method: str) -> tuple[Self, Matrix, Values, int]:
        """Check the samples of a call after fit.

        Returns a snapshot of this estimator, the samples, their rows as the metric measures them, and the kind of the metric.
        """
        model = self._snapshot()
        check_is_fitted(model, method)
        check_n_threads("n_threads", model.n_threads)
        metric = check_metric(model.metric)
        scaling = model._scaling()
        in_place = metric.prepare_rows is None and scaling is None
        features = getattr(model, "feature_names_in_", None)
        matrix = as_matrix(X, features=features, sparse=True, in_place=in_place, streamed=True)
        model._check_feature_names(matrix.feature_names, matrix.values.shape[1], reset=False)
        check_values(matrix, effective_n_threads(model.n_threads, float(matrix.values.size)))
        values = matrix.values
        # In the dtype of the centers, so that rows of any dtype are rounded like those of fit.
        dtype = model.cluster_centers_.dtype
        if scaling is not None:
            values = scaling.standardized(values, dtype, "X", matrix.feature_names)
        if metric.prepare_rows is not None:
            values = as_measured(values, metric.prepare_rows, dtype, model.n_threads)
        return model, matrix, values, metric.kind

    def _wide_centers(self) -> Floats:
        """The centers that distances are measured to, as the float64 array that the compiled layer reads."""
        centers = self.cluster_centers_ if self._standardized_centers is None else self._standardized_centers
        return np.ascontiguousarray(centers, dtype=np.float64)

    def _scaling(self) -> Scaling | None:
        """How fit standardised the features; None if it did not."""
        if self.feature_offset_ is None or self.feature_scale_ is None:
            return None
        return Scaling(self.feature_offset_, self.feature_scale_)

    def _standardized(self, X: Any) -> Any:
        """The rows of X as fit saw them: standardised, in the type of the centers; X itself if fit did not standardise.

        X : array-like or DataFrame with the features of fit, in their order.
        """
        scaling = self._scaling()
        if scaling is None:
            return X
        matrix = as_matrix(X)
        check_finite(matrix.values, "X", matrix.feature_names)
        return scaling.standardized(matrix.values, self.cluster_centers_.dtype, "X", matrix.feature_names)

    def _nearest(self, values: Values, kind: int) -> Labels:
        """The label of each row, as the metric measures rows."""
        return nearest(values, self._wide_centers(), self.n_threads, kind)

    def _nearest_of(self, values: Values, centers: Values, kind: int) -> Labels:
        """The index of the nearest of some centers for each row."""
        return nearest(values, np.ascontiguousarray(centers, dtype=np.float64), self.n_threads, kind)
