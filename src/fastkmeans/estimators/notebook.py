"""Estimators as notebooks show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..display.html import Markup, bar, box, note, table
from ..display.words import counted, percent, short_number

if TYPE_CHECKING:
    from .centers import CentersEstimator

SHOWN_CLUSTERS = 10
SHOWN_FEATURES = 8


def estimator_html(model: CentersEstimator) -> str:
    """Return an estimator as HTML: the parameters that differ from their defaults and, if it is fitted, its clusters."""
    model = model._snapshot()
    name, changed = type(model).__name__, model._changed_params()
    parts = [_parameters(changed)] if changed else [note("all parameters as by default")]
    if "cluster_centers_" not in vars(model):
        return box(name, *parts, state="not fitted")
    return box(name, *parts, note(_how_it_ended(model)), _clusters(model), state="fitted")


def _parameters(changed: dict[str, str]) -> Markup:
    return table(["parameter", "value"], list(changed.items()))


def _how_it_ended(model: CentersEstimator) -> str:
    fitted, (n_clusters, n_features) = vars(model), model.cluster_centers_.shape
    said = [counted(n_clusters, "cluster")]
    if "labels_" in fitted:
        said.append(counted(len(fitted["labels_"]), "row"))
    said.append(counted(n_features, "feature") + (" (standardised)" if model.feature_scale_ is not None else ""))
    if "converged_" in fitted:
        ended = "converged" if fitted["converged_"] else f"stopped by {fitted['stop_reason_']}"
        said.append(f"{ended} after {counted(fitted['n_iter_'], 'iteration')}")
        said.append(f"inertia {short_number(fitted['inertia_'])}")
    return ", ".join(said)


def _clusters(model: CentersEstimator) -> Markup:
    """Label, size and center of each cluster."""
    centers, fitted = model.cluster_centers_, vars(model)
    names = [str(name) for name in fitted.get("feature_names_in_", ())]
    names = (names or [f"feature {f}" for f in range(centers.shape[1])])[:SHOWN_FEATURES]
    labels = fitted.get("labels_")
    labels = labels if isinstance(labels, np.ndarray) else None  # lazy labels are not computed for a picture
    headings = ["cluster", *(["rows", "share"] if labels is not None else []), *names]
    headings += ["..."] if centers.shape[1] > len(names) else []
    sizes = np.bincount(labels, minlength=len(centers)) if labels is not None else None
    rows = []
    for label, center in enumerate(centers[:SHOWN_CLUSTERS].tolist()):
        cells: list[Any] = [label]
        if sizes is not None:
            share = sizes[label] / sizes.sum()
            cells += [f"{sizes[label]:,}", bar(sizes[label] / sizes.max(), percent(share))]
        cells += [short_number(value) for value in center[: len(names)]]
        rows.append(cells + [""] * (len(headings) - len(cells)))
    with_bars = {2} if sizes is not None else set()
    return table(headings, rows, numbers={*range(len(headings))} - with_bars, n_rows=len(centers))
