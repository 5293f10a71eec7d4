"""scikit-learn's estimator contract without importing scikit-learn, which takes more than a second.

Only methods that scikit-learn itself calls (tags, metadata routing) import it. By then it is loaded anyway.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import check_is_fitted, warn
from ..input.tables import OUTPUT_KINDS, frame_for_output
from ..types import Names, Values
from ..workers.reading import is_collection

_AT_TIMES = (  # fitted attributes that not every fit sets
    "feature_names_in_",
    "labels_",
    "inertia_",
    "_random_state",
    "sweep_",
    "feature_offset_",
    "feature_scale_",
    "_standardized_centers",
    "_treatment",
)
UNCHANGED = "$UNCHANGED$"  # scikit-learn's default in set_*_request: leave this request as it is


class Estimator:
    """Base of the estimators: parameters by the constructor's signature, feature names, output, tags.

    A subclass stores its constructor's arguments unchanged under their own names. Its fit works on a _snapshot of itself,
    and calls _take_over with the fitted attributes, cluster_centers_ among them, after everything that can fail.
    """

    cluster_centers_: Values
    n_features_in_: int
    feature_names_in_: Names

    _saved_arrays: ClassVar[tuple[str, ...]] = ()
    _saved_values: ClassVar[tuple[str, ...]] = ()
    _routed: ClassVar[tuple[str, ...]] = ("fit", "score")  # methods that metadata routing may pass sample_weight to

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor parameters.

        Parameters
        ----------
        deep : bool, default=True
            Accepted for scikit-learn. It changes nothing, because no parameter is an estimator.

        Returns
        -------
        params : dict
            Parameter names and their values.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans(n_clusters=3).get_params()["n_clusters"]
        3
        """
        return {name: getattr(self, name) for name in _defaults(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Set constructor parameters. Names are checked before any is set; values are checked by fit.

        Parameters
        ----------
        **params : dict
            Parameter names and their new values.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        ValueError
            If there is no parameter of that name.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans().set_params(n_clusters=5, random_state=0)
        KMeans(n_clusters=5, random_state=0)
        """
        known = list(_defaults(type(self)))
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. "
                    f"Valid parameters are: {', '.join(known)}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what transform and fit_transform return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars", "pyarrow"}, default=None
            "default" is a NumPy array. The others are a table of that library with the columns
            `get_feature_names_out()`. None leaves the choice as it is. Until a choice is made, scikit-learn's
            global `transform_output` applies if scikit-learn is loaded.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        ValueError
            If transform is not one of these.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> kmeans = KMeans(n_clusters=2, random_state=0).set_output(transform="pandas")
        >>> kmeans.fit_transform([[0.0], [0.0], [3.0]]).shape
        (3, 2)
        """
        if transform is None:
            return self
        if transform not in OUTPUT_KINDS:
            kinds = ", ".join(map(repr, OUTPUT_KINDS))
            raise ValueError(f"transform must be one of {kinds}; got {transform!r}.")
        # The name is scikit-learn's: its clone() carries the attribute over.
        self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: Any = None) -> Names:
        """Return the names of the columns that transform returns: "kmeans0", "kmeans1", and so on.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only compared with the feature names of fit.

        Returns
        -------
        names : ndarray of shape (n_clusters,), dtype object
            The class name in lower case and the index of the cluster.

        Raises
        ------
        ValueError
            If input_features are not those of fit, or if their number differs.

        Examples
        --------
        >>> from fastkmeans import KMeans
        >>> KMeans(n_clusters=2).fit([[0.0], [3.0]]).get_feature_names_out().tolist()
        ['kmeans0', 'kmeans1']
        """
        check_is_fitted(self, "get_feature_names_out")
        if input_features is not None:
            given = np.asarray(input_features, dtype=object)
            fitted = getattr(self, "feature_names_in_", None)
            if fitted is not None and not np.array_equal(fitted, given):
                raise ValueError("input_features is not equal to feature_names_in_. Pass None to use those.")
            if len(given) != self.n_features_in_:
                raise ValueError(
                    f"input_features should have length equal to n_features_in_={self.n_features_in_}; "
                    f"got {len(given)}."
                )
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{j}" for j in range(len(self.cluster_centers_))], dtype=object)

    def get_metadata_routing(self) -> Any:
        """Return the requests of this estimator to scikit-learn's metadata routing.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRequest
            Whether fit, score and, if there is one, partial_fit request sample_weight.
        """
        if hasattr(self, "_metadata_request"):
            return self._metadata_request
        from sklearn.utils.metadata_routing import MetadataRequest

        requests = MetadataRequest(owner=type(self).__name__)
        for method in self._routed:
            getattr(requests, method).add_request(param="sample_weight", alias=None)
        return requests

    def set_fit_request(self, *, sample_weight: bool | str | None = UNCHANGED) -> Self:
        """Ask scikit-learn's metadata routing to pass sample_weight to fit.

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
        return self._set_request("fit", sample_weight)

    def set_score_request(self, *, sample_weight: bool | str | None = UNCHANGED) -> Self:
        """Ask scikit-learn's metadata routing to pass sample_weight to score.

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
        return self._set_request("score", sample_weight)

    def __repr__(self) -> str:
        changed = (f"{name}={value}" for name, value in self._changed_params().items())
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return "cluster_centers_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="clusterer",
            input_tags=InputTags(sparse=self._reads_sparse()),
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
        )

    def _reads_sparse(self) -> bool:
        """Say whether fit accepts SciPy's sparse matrices, with the parameters as they are."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes for pickle and copy: those of one moment, even if another thread fits.

        Lazy labels of a collection of Dask are left out, because they bring the samples with them.
        """
        state = self.__dict__.copy()
        if is_collection(state.get("labels_")):
            del state["labels_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over attributes of a pickle or copy. Parameters that an older version did not have get their defaults."""
        self.__dict__.update({**_defaults(type(self)), **state})

    def _changed_params(self) -> dict[str, str]:
        """The parameters that differ from their defaults, by name, each as a short text."""
        return {
            name: _short_repr(getattr(self, name))
            for name, default in _defaults(type(self)).items()
            if not _is_default(getattr(self, name), default)
        }

    def _settings(self) -> Any:
        """The parameters as they are now, checked; a subclass returns its own settings."""
        raise NotImplementedError

    def _snapshot(self) -> Self:
        """Return a copy of this estimator as it is now, for one call.

        The copy is needed because a callback, or another thread, may change this estimator during the call.
        """
        snapshot = type(self).__new__(type(self))
        snapshot.__dict__ = self.__dict__.copy()
        return snapshot

    def _take_over(self, fitted: dict[str, Any]) -> None:
        """Set all fitted attributes in one step, so that other threads and an interrupt never see those of two fits."""
        attributes = self.__dict__
        attributes.update(fitted)
        for name in _AT_TIMES:
            if name not in fitted:
                attributes.pop(name, None)

    def _check_feature_names(self, names: Names | None, n_features: int, reset: bool) -> None:
        """Store the features of fit (reset), or compare the features of a later call with them.

        names : Matrix.feature_names.
        Raises ValueError if the names or their number differ. Warns if only fit or only the later call has names.
        """
        if reset:
            self.n_features_in_ = n_features
            if names is not None:
                self.feature_names_in_ = names
            else:
                vars(self).pop("feature_names_in_", None)
            return
        fitted, this = getattr(self, "feature_names_in_", None), type(self).__name__
        if fitted is not None and names is not None:
            _compare_names(fitted, names)
        elif fitted is not None:
            warn(f"X does not have valid feature names, but {this} was fitted with feature names")
        elif names is not None:
            warn(f"X has feature names, but {this} was fitted without feature names")
        if n_features != self.n_features_in_:
            expected = f"{self.n_features_in_} features as input. Pass the columns of fit."
            raise ValueError(f"X has {n_features} features, but {this} is expecting {expected}")

    def _as_output(self, values: Values, like: Any) -> Any:
        """Return the result of transform in the container that set_output chose.

        like : Matrix.native of the samples.
        """
        kind = getattr(self, "_sklearn_output_config", {}).get("transform") or _global_output_kind()
        if kind == "default":
            return values
        return frame_for_output(values, self.get_feature_names_out(), kind, like)

    def _set_request(self, method: str, sample_weight: bool | str | None) -> Self:
        from sklearn import get_config

        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                f"set_{method}_request has an effect only under metadata routing: enable it with "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        requests = self.get_metadata_routing()
        if sample_weight != UNCHANGED:
            getattr(requests, method).add_request(param="sample_weight", alias=sample_weight)
        self._metadata_request = requests
        return self


def _read_signature(cls: Any) -> dict[str, Any]:
    """Return the constructor's parameters and their defaults, in the order of the signature."""
    from inspect import signature

    return {name: p.default for name, p in signature(cls.__init__).parameters.items() if name != "self"}


_defaults: Callable[[type], dict[str, Any]] = lru_cache(maxsize=None)(_read_signature)


def _is_default(value: Any, default: Any) -> bool:
    # The types are compared first, because comparing an array with a string is elementwise.
    return value is default or (type(value) is type(default) and bool(value == default))


def _short_repr(value: Any) -> str:
    """Return the repr of a value; for an array, only its shape."""
    return f"<array of shape {value.shape}>" if isinstance(value, np.ndarray) else repr(value)


def _global_output_kind() -> str:
    get_config = getattr(sys.modules.get("sklearn"), "get_config", None)
    return "default" if get_config is None else get_config()["transform_output"]


def _compare_names(fitted: Names, names: Names) -> None:
    """Raise ValueError, which lists the differences, unless both are the same names in the same order."""
    if np.array_equal(fitted, names):
        return
    message = "The feature names should match those that were passed during fit.\n"
    unseen, missing = sorted(set(names) - set(fitted)), sorted(set(fitted) - set(names))
    if unseen:
        message += "Feature names unseen at fit time:\n" + _listed(unseen)
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
    if not unseen and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message + "Select the columns as X[list(estimator.feature_names_in_)].")


def _listed(names: list[str]) -> str:
    shown = [f"- {name}\n" for name in names[:5]]
    return "".join(shown) + ("- ...\n" if len(names) > 5 else "")
