"""What an estimator has after a fit, and estimators made of the fits of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fitting.loop import Run
from ..scaling import Scaling
from ..types import Names

if TYPE_CHECKING:
    from .kmeans import KMeans


def fitted_attributes(
    found: Run, algorithm: str, feature_names: Names | None, scaling: Scaling | None
) -> dict[str, Any]:
    """Return the attributes that a fit sets.

    scaling : how the samples of the run were standardised; None if they were not.
    """
    fitted: dict[str, Any] = {
        "n_features_in_": found.centers.shape[1],
        "n_clusters_": len(found.centers),
        "cluster_centers_": found.centers if scaling is None else scaling.in_units(found.centers),
        "labels_": found.labels,
        "inertia_": found.inertia,
        "n_iter_": found.n_iter,
        "history_": found.history,
        "converged_": found.converged,
        "stop_reason_": found.stop_reason,
        "algorithm_used_": algorithm,
    }
    if scaling is not None:
        fitted |= {
            "feature_offset_": scaling.offset.copy(),
            "feature_scale_": scaling.scale.copy(),
            "_standardized_centers": found.centers,
        }
    if feature_names is not None:
        fitted["feature_names_in_"] = feature_names
    return fitted


class ModelMaker:
    """Makes a fitted estimator of a run and the name of its algorithm.

    estimator : its class.   params : of the estimators, n_clusters excepted.   scaling : see fitted_attributes.
    """

    def __init__(
        self,
        estimator: Callable[..., KMeans],
        params: dict[str, Any],
        feature_names: Names | None,
        scaling: Scaling | None,
    ):
        self.estimator, self.params, self.feature_names, self.scaling = estimator, params, feature_names, scaling

    def __call__(self, stored: tuple[Run, str]) -> KMeans:
        run, algorithm = stored
        model = self.estimator(**{**self.params, "n_clusters": len(run.centers)})
        run = run._replace(
            centers=run.centers.copy(), labels=run.labels.astype(np.int32), history=[dict(step) for step in run.history]
        )
        model._take_over(fitted_attributes(run, algorithm, self.feature_names, self.scaling))
        return model
