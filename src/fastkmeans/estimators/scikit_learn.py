"""Fitted models to scikit-learn and back. Only these methods import scikit-learn, when they are called."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..errors import check_is_fitted
from .centers import CentersEstimator

_SHARED_PARAMS = ("init", "n_init", "max_iter", "tol", "verbose", "random_state", "copy_x", "algorithm")
_SHARED_VALUES = ("labels_", "inertia_", "n_iter_", "feature_names_in_")

_THEIR_INITS = {"auto": "k-means++", "random-partition": "random"}
"""Our name of an init -> scikit-learn's name of what is most like it."""


class ScikitLearnModels(CentersEstimator):
    """The methods of a :class:`KMeans` that make scikit-learn's estimator of it, and it of scikit-learn's."""

    def to_sklearn(self) -> Any:
        """Make a fitted :class:`sklearn.cluster.KMeans` with these centers, for tools that ask for that class.

        Parameters that both have are carried over. init="auto" becomes "k-means++", "random-partition" becomes "random",
        and every algorithm but "elkan" becomes "lloyd". These would only matter to another fit.

        Returns
        -------
        kmeans : sklearn.cluster.KMeans
            A fitted estimator with copies of the centers and labels. Its predict rounds more than ours, so that samples
            almost equally near to two centers may get the other label.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model cannot be said with Euclidean distances to cluster_centers_: metric is not "euclidean", or
            features were standardised.
        ImportError
            If scikit-learn is not installed.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> theirs = KMeans.from_centers([[0.0], [9.0]]).to_sklearn()
        >>> type(theirs).__module__.split(".")[0], theirs.predict([[7.0]]).tolist()
        ('sklearn', [1])
        """
        model = self._snapshot()
        check_is_fitted(model, "to_sklearn")
        params = model.get_params()
        if params["metric"] != "euclidean":
            raise ValueError(
                f"metric must be 'euclidean' for to_sklearn, because scikit-learn's KMeans has no other; got "
                f"{params['metric']!r}. Use this estimator itself: it works in scikit-learn's pipelines."
            )
        if vars(model).get("feature_offset_") is not None:
            raise ValueError(
                "standardize must be False for to_sklearn, because scikit-learn's KMeans does not standardise. Use this "
                "estimator itself, or fit a pipeline of StandardScaler and KMeans."
            )
        from sklearn.cluster import KMeans
        from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

        theirs = KMeans(len(model.cluster_centers_), **_their_params(params))
        found = {name: vars(model)[name] for name in _SHARED_VALUES if name in vars(model)}
        found |= {"cluster_centers_": model.cluster_centers_, "n_features_in_": model.n_features_in_}
        for name, value in found.items():
            setattr(theirs, name, _copied(value))
        theirs._n_features_out = len(model.cluster_centers_)
        theirs._n_threads = _openmp_effective_n_threads()  # its predict reads it
        return theirs

    @classmethod
    def from_sklearn(cls, kmeans: Any, **params: Any) -> Self:
        """Make an estimator of a fitted :class:`sklearn.cluster.KMeans`. Its predict is exact from then on.

        Parameters
        ----------
        kmeans : sklearn.cluster.KMeans
            A fitted estimator; a MiniBatchKMeans too, because its predict is the same.
        **params : dict
            Parameters that differ from those of `kmeans`, or that it does not have, such as n_threads.

        Returns
        -------
        kmeans : KMeans
            The parameters that both have, and copies of the centers. `labels_`, `inertia_` and `n_iter_` are those that
            scikit-learn computed: `predict` of the same samples may differ from them where scikit-learn rounded.

        Raises
        ------
        TypeError
            If kmeans is not such an estimator.
        NotFittedError
            If it is not fitted.
        ValueError, TypeError
            If its centers are not finite, or for a parameter that is not one.

        Examples
        --------
        >>> import sklearn.cluster
        >>> from fastkmeans import KMeans
        >>> theirs = sklearn.cluster.KMeans(2, init=[[0.0], [9.0]], n_init=1).fit([[1.0], [2.0], [9.0]])
        >>> ours = KMeans.from_sklearn(theirs)
        >>> ours.cluster_centers_.tolist(), ours.predict([[7.0]]).tolist()
        ([[1.5], [9.0]], [1])
        """
        from sklearn.cluster import KMeans, MiniBatchKMeans

        if not isinstance(kmeans, (KMeans, MiniBatchKMeans)):
            raise TypeError(
                f"kmeans must be a sklearn.cluster.KMeans or MiniBatchKMeans; got {type(kmeans).__name__}. For other models "
                "pass their centers to from_centers."
            )
        check_is_fitted(kmeans, "from_sklearn")
        theirs = kmeans.get_params()
        shared = {name: theirs[name] for name in _SHARED_PARAMS if name in theirs}
        model = cls.from_centers(kmeans.cluster_centers_, **{**shared, **params})
        for name in _SHARED_VALUES:
            if name in vars(kmeans):
                setattr(model, name, _copied(getattr(kmeans, name)))
        return model


def _copied(value: Any) -> Any:
    """Copy an array; make a number of NumPy's one of Python's, as model files need it."""
    if isinstance(value, np.generic):
        return value.item()
    return value.copy() if isinstance(value, np.ndarray) else value


def _their_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of ours that scikit-learn's KMeans has, with values that it takes."""
    shared = {name: params[name] for name in _SHARED_PARAMS}
    if isinstance(shared["init"], str):
        shared["init"] = _THEIR_INITS.get(shared["init"], shared["init"])
    if isinstance(shared["random_state"], np.random.Generator):
        shared["random_state"] = np.random.RandomState(shared["random_state"].bit_generator)
    shared["algorithm"] = "elkan" if shared["algorithm"] == "elkan" else "lloyd"
    return shared
