"""A fit that shows a progress bar."""

from __future__ import annotations

from typing import Any

from ..input.matrix import Matrix
from ..runtime.progress import new_bar
from ..scaling import Scaling
from ..settings import Callback, Settings
from .kmeans import KMeans


def fit_with_bar(model: KMeans, X: Any, sample_weight: Any = None) -> KMeans:
    """Fit a KMeans with a bar that moves with each iteration and shows inertia and changed labels; return it."""
    bar = new_bar(None, "fit", " iter")

    def watch(settings: Settings, matrix: Matrix, scaling: Scaling | None) -> Callback:
        user = settings.callback
        # With several starts the total is unknown; tqdm drops it once it is passed.
        bar.total = None if settings.n_clusters == "auto" else settings.max_iter

        def moves_bar(entry: dict[str, Any]) -> Any:
            bar.set_postfix(inertia=f"{entry['inertia']:.6g}", changed=entry["n_changed"], refresh=False)
            bar.update()
            return user(entry) if callable(user) else False

        return moves_bar

    try:
        model._fit(X, sample_weight, watch)
        bar.total = bar.n  # the fit needed no more iterations: the bar ends full
        bar.refresh()
    finally:
        bar.close()
    return model
