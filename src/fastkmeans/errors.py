"""Errors and warnings. If scikit-learn is loaded, they are subclasses of scikit-learn's, too."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, cast

_PACKAGE = __name__.partition(".")[0]

_Class = TypeVar("_Class", bound=type)


class NotFittedError(ValueError, AttributeError):
    """Raised by a method that needs a fitted estimator.

    If scikit-learn is loaded, the error is also a ``sklearn.exceptions.NotFittedError``: either class catches it.

    Examples
    --------
    >>> from fastkmeans import KMeans, NotFittedError
    >>> try:
    ...     KMeans().predict([[1.0, 2.0]])
    ... except NotFittedError as error:
    ...     print(error)
    This KMeans is not fitted yet: call fit before predict.
    """

    def __reduce__(self) -> tuple[Callable[[str], NotFittedError], tuple[Any, ...]]:
        # The joint class cannot be imported by name: the process that unpickles makes it again.
        return _not_fitted_error, self.args


class FeatureScaleWarning(UserWarning):
    """Warns that one feature of a table holds more than 90 % of the total variance, so that the others hardly count.

    If the features have different units, standardise them: ``standardize=True``. If they have the same unit, nothing is
    wrong.

    Examples
    --------
    >>> import warnings
    >>> import pandas as pd
    >>> from fastkmeans import FeatureScaleWarning, KMeans
    >>> people = pd.DataFrame({"age": [20, 21, 60, 61], "income": [30_000, 60_000, 30_500, 61_000]})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", FeatureScaleWarning)
    ...     KMeans(2, random_state=1).fit_predict(people).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
    True
    """


class ConvergenceWarning(UserWarning):
    """Warns that a fit found fewer distinct clusters than n_clusters.

    If scikit-learn is loaded, the warning is also a ``sklearn.exceptions.ConvergenceWarning``: either class filters it.

    Examples
    --------
    >>> import warnings
    >>> from fastkmeans import ConvergenceWarning, KMeans
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ConvergenceWarning)
    ...     KMeans(n_clusters=2).fit([[1.0], [1.0]]).inertia_
    0.0
    """


class ColumnsLeftOutWarning(UserWarning):
    """Warns that :func:`cluster` left columns out, or that KMeans was fitted on columns that are best left out, and names them.

    Which columns these are is told in the documentation of :func:`cluster`.

    Examples
    --------
    >>> import warnings
    >>> import pandas as pd
    >>> from fastkmeans import cluster
    >>> from fastkmeans.errors import ColumnsLeftOutWarning
    >>> df = pd.DataFrame({"id": [31, 32, 33], "x": [0.0, 1.0, 8.0]})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ColumnsLeftOutWarning)
    ...     cluster(df, 2, random_state=4).model.feature_names_in_.tolist()
    ['x']
    """


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn. The warning names the line outside this package that called into it.

    If scikit-learn is loaded, a ConvergenceWarning is also scikit-learn's.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, _joint(category), stacklevel=level)


def check_is_fitted(estimator: Any, method: str) -> None:
    """Raise NotFittedError if an estimator with centers is not fitted. The message names the method."""
    if not hasattr(estimator, "cluster_centers_"):
        name = type(estimator).__name__
        raise _not_fitted_error(f"This {name} is not fitted yet: call fit before {method}.")


def _joint(ours: _Class) -> _Class:
    """Return our class, or if scikit-learn is loaded a subclass of our class and of its class of the same name."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), ours.__name__, None)
    return ours if theirs is None else cast(_Class, _join(ours, theirs))


@lru_cache(maxsize=None)
def _join(ours: type, theirs: type) -> type:
    return type(ours.__name__, (ours, theirs), {"__doc__": ours.__doc__, "__module__": ours.__module__})


def _not_fitted_error(message: str) -> NotFittedError:
    return _joint(NotFittedError)(message)
