"""Progress bars, which need tqdm."""

from __future__ import annotations

from typing import Any


def new_bar(total: int | None, description: str, unit: str) -> Any:
    """Return a tqdm bar, or raise the ImportError that says how to install it."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError('progress=True needs tqdm: pip install "fastkmeans-core[progress]"') from error
    return tqdm(total=total, desc=description, unit=unit)


def fit_with_bar(model: Any, X: Any, sample_weight: Any = None) -> Any:
    """Fit a KMeans with a bar that moves with each iteration and shows inertia and changed labels; return it."""
    user = model.callback
    bar = new_bar(None, "fit", "iteration")

    def moves_bar(entry: dict[str, Any]) -> Any:
        # Only now fit has checked max_iter. Of several starts the bar forgets its end once it is passed.
        bar.total = None if model.n_clusters == "auto" else model.max_iter
        bar.set_postfix(inertia=f"{entry['inertia']:.6g}", changed=entry["n_changed"], refresh=False)
        bar.update()
        return user(entry) if user is not None else False

    model.callback = moves_bar
    try:
        return model.fit(X, sample_weight=sample_weight)
    finally:
        model.callback = user
        bar.close()
