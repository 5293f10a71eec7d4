"""What a picture is of: samples and labels, bound to a model by the names of its features."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ..engines.spherical import unit_rows
from ..errors import ColumnsLeftOutWarning, check_is_fitted, warn
from ..input.columns import describe, feature_columns
from ..input.finite import check_finite
from ..input.labelled import LABELS, LabelledRows, labelled_rows
from ..input.matrix import as_matrix
from ..input.tables import column_names, is_table, select_columns, table_columns
from ..types import AnyArray, Floats, Integers, Mask, Values
from .parts import check_names


class Subject(NamedTuple):
    """Samples, as a picture shows them.

    rows : what the model was given in its fit, of these samples: a table, an array, or what a Pipeline makes of them.
    values : (n_samples, n_features), the same as numbers.
    names : of the features.
    model : the estimator that has the centers; None if labels alone were given.
    after : the steps of a Pipeline that came before the model, in words; "" for none.
    kept : which rows of the table that was passed these are; None if all.
    notes : what was left out or filled, in words.
    """

    rows: Any
    values: Values
    names: list[str]
    model: Any
    after: str
    kept: Mask | None = None
    notes: tuple[str, ...] = ()

    def measured(self, rows: Values) -> Floats:
        """Return rows of these features as the model measures distances between them."""
        wide: Floats = rows.astype(np.float64)
        if self.rescales:
            wide = np.asarray(self.model._standardized(wide), dtype=np.float64)
        return unit_rows(wide, np.float64).astype(np.float64) if self.on_sphere else wide

    @property
    def rescales(self) -> bool:
        """Does the model measure features by another scale than theirs?"""
        return getattr(self.model, "feature_scale_", None) is not None  # estimators of other libraries have none

    @property
    def on_sphere(self) -> bool:
        """Does the model divide rows by their lengths?"""
        return getattr(self.model, "metric", "") == "cosine"

    @property
    def unit(self) -> str:
        """What is to be added to the names of features that are drawn."""
        return self.after + (" / length" if self.on_sphere else "")


def is_model(value: Any) -> bool:
    """Is it an estimator or a Pipeline, fitted or not, rather than labels or centers?"""
    return hasattr(value, "fit") and hasattr(value, "predict")


def estimator_of(model: Any, method: str) -> Any:
    """Return the fitted estimator at the end of a Pipeline, or the model itself.

    Raises NotFittedError, naming the method, if it is not fitted.
    """
    estimator = model.steps[-1][1] if hasattr(model, "steps") else model
    check_is_fitted(estimator, method)
    return estimator


def read_subject(X: Any, model: Any, feature_names: Sequence[str] | None, method: str) -> Subject:
    """Read the samples of a picture.

    model : a fitted estimator, a fitted Pipeline, or None for none. If it knows the names of its features, and X is a
        table, the columns are taken by these names, and others are left alone. Without a model, the columns of a table
        are those that cluster() would take.
    Raises ValueError if a column of the fit is missing, NotFittedError if the model is not fitted.
    """
    if model is None:
        X = features_of(X, method) if is_table(X) else X
        matrix = as_matrix(X)
        check_finite(matrix.values, "X", matrix.feature_names)
        names = feature_names if feature_names is not None else matrix.feature_names
        return Subject(X, matrix.values, check_names(names, matrix.values.shape[1]), None, "")
    estimator = estimator_of(model, method)
    if _names_its_columns(X, feature_names, model):
        # An array whose columns are named is bound like a table, and asked of the model without names.
        order = [list(feature_names or ()).index(name) for name in model.feature_names_in_]
        X, feature_names, model = as_matrix(X).values[:, order], list(model.feature_names_in_), copy(model)
        del model.feature_names_in_
        estimator = model
    rows = columns_of_fit(X, model)
    if len(getattr(model, "steps", ())) > 1:
        rows = model[:-1].transform(rows)
    names, after = names_of_features(model)
    matrix = as_matrix(rows)
    check_finite(matrix.values, "X", matrix.feature_names)
    n_features = matrix.values.shape[1]
    if n_features != estimator.cluster_centers_.shape[1]:
        raise ValueError(
            f"X has {n_features} features, but the model was fitted with {estimator.cluster_centers_.shape[1]}. "
            "Pass the columns of fit."
        )
    for found in (feature_names, names, matrix.feature_names):
        if found is not None:
            break
    return Subject(rows, matrix.values, check_names(found, n_features), estimator, after)


def _names_its_columns(X: Any, feature_names: Sequence[str] | None, model: Any) -> bool:
    """Are feature_names those of the fit, in any order, for an array that has none of its own?"""
    names = vars(model).get("feature_names_in_")  # a Pipeline's are not its own
    if names is None or feature_names is None or is_table(X):
        return False
    return sorted(map(str, feature_names)) == sorted(names) and as_matrix(X).values.shape[1] == len(names)


def columns_of_fit(X: Any, model: Any) -> Any:
    """Return the columns of a table that the model was fitted on, in its order; anything without names as it is."""
    names = getattr(model, "feature_names_in_", None)
    if names is None or not is_table(X):
        return X
    missing = [name for name in names if name not in set(column_names(X))]
    if missing:  # in scikit-learn's words
        listed = "".join(f"- {name}\n" for name in missing[:5]) + ("- ...\n" if len(missing) > 5 else "")
        raise ValueError(
            "The feature names should match those that were passed during fit.\n"
            f"Feature names seen at fit time, yet now missing:\n{listed}Pass a table that has these columns."
        )
    return select_columns(X, list(names))


def labels_and_rest(X: Any, labels: Any) -> tuple[LabelledRows, Any]:
    """Return the rows of X that have a label, and the labels, taken from X where they are one of its columns.

    labels : None for the column that cluster() writes, the name of another, a model, or anything else.
    """
    if is_model(labels):
        return labelled_rows(X, labels), labels
    if not (labels is None or isinstance(labels, str)):
        return LabelledRows(X), labels
    name = LABELS if labels is None else labels
    names = column_names(X) if is_table(X) else []
    if name not in names:
        raise ValueError(
            f"labels must be a fitted model, an array or the name of a column; got {labels!r}, and X has "
            f"{'no columns with names' if not names else f'no column {name!r}'}."
        )
    rows = labelled_rows(X, None, name)
    found = np.asarray(rows.table[name])
    if rows.kept is not None and found.dtype.kind in ("f", "O"):  # what holds a null is often no column of integers
        whole = found.astype(np.float64)
        found = whole.astype(np.int64) if (whole == np.floor(whole)).all() else found
    return rows._replace(table=select_columns(rows.table, [other for other in names if other != name])), found


def features_of(table: Any, method: str) -> Any:
    """Return the columns of a table that cluster() would take; warn if others hold numbers, for these might be meant.

    method : what the message calls the picture.
    """
    columns = table_columns(table, "X")
    features = feature_columns(columns, LABELS)
    if not features.places:
        return table  # whoever reads it says what is wrong
    numbers = {column.name for column in columns if column.values is not None}
    left_out = [column for column in features.left_out if column.name in numbers]
    if left_out:
        warn(f"{method} left out {describe(left_out)}. Pass an array to draw all columns.", ColumnsLeftOutWarning)
    return select_columns(table, [columns[place].name for place in features.places])


def labels_of(subject: Subject) -> Integers:
    """Return what the model says of the samples.

    The labels of its fit are not asked: they are those of other samples, or of the same in another order, without a word.
    """
    has_names = hasattr(subject.model, "feature_names_in_")
    labels = subject.model.predict(subject.rows if has_names else subject.values)
    return check_labels(labels, len(subject.values))


def check_labels(labels: Any, n_samples: int) -> Integers:
    """Return labels as an int array of shape (n_samples,). Raises ValueError if they are none, or negative."""
    array: AnyArray = np.asarray(labels)
    if array.shape != (n_samples,):
        raise ValueError(
            f"labels must hold one label per sample, shape ({n_samples},); got shape {array.shape}. "
            "Pass the labels_ of a model fitted on this X, or model.predict(X)."
        )
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be whole numbers; got dtype {array.dtype}. Pass a model's labels_, and leave samples without a "
            "label out of X."
        )
    if array.min() < 0:
        raise ValueError(f"labels must be 0 or above; got {array.min()}. Leave such samples out of X.")
    return array


def names_of_features(model: Any) -> tuple[Any, str]:
    """Return the names of the features of a model, or None, and the steps of a Pipeline before it in words."""
    if len(getattr(model, "steps", ())) < 2:
        return getattr(model, "feature_names_in_", None), ""
    steps = [step for _, step in model.steps[:-1] if step is not None and step != "passthrough"]
    after = f" after {', '.join(type(step).__name__ for step in steps)}" if steps else ""
    try:
        return model[:-1].get_feature_names_out(), after
    except (AttributeError, ValueError):  # a step may have no names to give
        return None, after
