"""A fit that shows a progress bar."""

from __future__ import annotations

from typing import Any

from ..input.matrix import Matrix
from ..input.sources import is_open
from ..runtime.progress import new_bar
from ..scaling import Scaling
from ..settings import Callback, Settings
from .kmeans import KMeans


def fit_with_bar(model: KMeans, X: Any, sample_weight: Any = None) -> KMeans:
    """Fit a KMeans with a bar that moves with each iteration and shows inertia and changed labels; return it.

    If X is open rows (sources/rows.py), a second bar shows how many rows a pass has read, and the seconds that it will still take.
    """
    bar = new_bar(None, "fit", " iter")
    rows_bar: Any = new_bar(len(X), "rows read", " rows") if is_open(X) else None

    def watch(settings: Settings, matrix: Matrix, scaling: Scaling | None) -> Callback:
        user = settings.callback
        # With several starts the total is unknown; tqdm drops it once it is passed.
        bar.total = None if settings.n_clusters == "auto" else settings.max_iter

        def moves_bar(entry: dict[str, Any]) -> Any:
            bar.set_postfix(inertia=f"{entry['inertia']:.6g}", changed=entry["n_changed"], refresh=False)
            bar.update()
            return user(entry) if callable(user) else False

        return moves_bar

    def read(n_new: int, n_read: int) -> None:
        if n_read == n_new:  # a pass begins
            rows_bar.reset()
        rows_bar.update(n_new)

    if rows_bar is not None:
        X.watch = read
    try:
        model._fit(X, sample_weight, watch)
        bar.total = bar.n  # the fit needed no more iterations: the bar ends full
        bar.refresh()
    finally:
        if rows_bar is not None:
            X.watch = None
            rows_bar.close()
        bar.close()
    return model
