"""Samples as a fit reads them, where features are to be standardised."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.csr import CsrRows
from ..input.matrix import Matrix
from ..input.parameters import check_init
from ..input.sources import is_open
from ..input.weights import as_weights
from ..scaling import Scaling, measure_scaling
from ..settings import Settings


def standardize(settings: Settings, matrix: Matrix, sample_weight: Any) -> tuple[Settings, Matrix, Scaling | None]:
    """Standardise samples and given initial centers, if `settings.standardize` asks for it.

    Returns the settings and the matrix for the fit, and how features were scaled; None if they were not.
    """
    if not settings.standardize:
        return settings, matrix, None
    values, init = matrix.values, settings.init
    if isinstance(values, CsrRows):
        raise ValueError(
            f"standardize must be False for sparse X, whose zeros it would fill; got {settings.standardize!r}. Scale X by "
            "sklearn.preprocessing.MaxAbsScaler, or pass X.toarray()."
        )
    if is_open(values):
        raise ValueError(
            f"standardize must be False for rows that do not fit memory; got {settings.standardize!r}. Standardise them where they "
            "are written, or raise memory_limit."
        )
    weights = as_weights(sample_weight, len(values))
    scaling = measure_scaling(matrix, weights, settings.standardize, settings.n_threads)
    if not (isinstance(init, str) or callable(init) or settings.n_clusters == "auto"):
        centers = check_init(init, settings.n_clusters, values.shape[1], np.float64)
        settings = settings._replace(init=scaling.standardized(centers, np.float64, "init"))
    rows = scaling.standardized(values, values.dtype, "X", matrix.feature_names)
    return settings, matrix._replace(values=rows), scaling
