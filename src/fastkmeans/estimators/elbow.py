"""The function that chooses the number of clusters."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from .._core.csr import CsrRows
from ..errors import warn
from ..input.features import features_of_table, warn_of_marks
from ..input.matrix import Matrix, as_matrix
from ..input.missing import check_missing, complete
from ..input.sources import weights_or_own
from ..input.tables import is_table, select_columns
from ..input.weights import as_weights
from ..selection.candidates import DEFAULT_K, k_values
from ..selection.result import ElbowResult
from ..selection.sweep import sweep
from ..settings import settings_of
from ..types import Mask
from ..workers.reading import is_collection
from .fitted import ModelMaker
from .kmeans import KMeans
from .standardize import standardize


def elbow(
    X: Any,
    k: int | str | Iterable[int] = DEFAULT_K,
    *,
    missing: str = "error",
    sample_weight: Any = None,
    n_init: int | str = "auto",
    gap: bool = False,
    random_state: Any = None,
    progress: bool = False,
    **kmeans_params: Any,
) -> ElbowResult[KMeans]:
    """Fit k-means for every ``k``, judge each fit, and name the number of clusters that the samples ask for.

    **The fits.** Each ``k`` has two kinds of starts. Some take the centers that the ``k`` before found and add one
    more, drawn far from them. Others are fresh. Above 16 384 samples all starts are tried on a coreset, which is a
    weighted sample that stands for all. The best start then runs on all samples for a few iterations. Inertia never
    rises with ``k``.

    **The rule.** Without clusters the inertia falls like a power of k: with both axes logarithmic it is a straight line, as
    steep after a k as before it. With clusters it falls fast until each has a center of its own, and slowly from there on.
    ``bend`` is the slope before a k over the slope after it. Candidates are the k whose clusters are apart on the whole: half
    of the clusters have a separation of at least 1.5 from the nearest one (``typical_separation``). ``best_k`` is the
    candidate with the largest bend, if two things show that its clusters are real.

    - The bend is sure. In 80 of 100 random resamples of the rows it is at least 1.15 + 1 / sqrt(k), which clouds without
      clusters seldom reach.
    - The bend is sharper than that of samples that are uniform in a box along the principal axes.

    A k at which *all* clusters are apart (a ``separation`` of at least 2) is taken instead if it is larger and the curve
    bends there, too: then clusters come in groups. It is also taken if no bend is sure, and the silhouette is at least 0.5. If all
    clusters are still apart at the last k, there may be more clusters, and ``best_k`` is None. So it is for samples without
    clusters, whatever their shape: ``reason`` says why. ``confidence`` is the share of the resamples that agree, and
    ``runner_up`` is the second best k.

    **The elbow method's own answer** is in ``knees``, whether clusters are real or not: "kneedle" is where the curve bends on
    linear axes. Table, picture and ``reason`` show it beside ``best_k``.

    Sweep past the number that you expect, by half of it at least. Far outliers can look like clusters of their own. If the
    features have different units, pass ``standardize=True``: otherwise the feature with the largest numbers decides alone.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples, or whatever :func:`open_rows` takes. A sparse matrix is never made dense. Of a DataFrame the columns are taken
        that :func:`cluster` takes; a warning names the others. A collection of Dask is gathered in this process, if it takes at most
        1 GiB, because the criteria look at all samples.
    k : int, str or iterable of int, default=range(1, 11)
        The numbers of clusters to try. ``10`` and ``"1:10"`` both mean 1, 2, ..., 10 (both ends included). By default
        no more than there are samples.
    missing : {"error", "drop", "mean"}, default="error"
        What is done if values are missing, as in :func:`cluster`: an error, samples left out, or the mean of the feature in
        place of the value. A warning tells how many.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each sample. Silhouette and separation count each sample once. If there are more than 20 000 samples,
        they look at some that are drawn by weight.
    n_init : "auto" or int, default="auto"
        Number of fresh starts per ``k``, beside the four that go on from the ``k`` before. The three to six most
        promising of all starts are finished. "auto" is 16 for few clusters and down to 5 for many, if init is "auto" or
        "k-means++", else as in :class:`KMeans`.
    gap : bool, default=False
        Whether to compute the gap statistic (R. Tibshirani, G. Walther and T. Hastie 2001), by sweeps over 10 sets of
        at most 20 000 samples that are uniform in the box around X.
    random_state : int, RandomState, Generator or None
        Seeds the starts. An int is used again for each ``k``.
    progress : bool, default=False
        Show a progress bar over ``k``; needs tqdm (``pip install "fastkmeans-core[progress]"``).
    **kmeans_params
        Any other parameter of :class:`KMeans`, for example ``standardize``, ``metric`` or ``n_threads``. With
        ``standardize`` all columns of the result are those of standardised samples. `verbose` and `callback` see the
        iterations over all samples only.

    Returns
    -------
    ElbowResult
        With the table as attributes, ``best_k``, ``reason``, ``model(k)``, ``plot()`` and ``to_frame()``. It keeps the
        labels of every k, which take one byte per sample and k (two above 256 clusters, four above 65 536).

    Raises
    ------
    ValueError
        If a ``k`` is below 1 or above n_samples, or if X or a parameter of KMeans is not valid.
    TypeError
        If ``k`` is not made of whole numbers, or if a parameter is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans import elbow
    >>> corners = np.repeat([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]], 50, axis=0)
    >>> X = corners + np.random.default_rng(5).normal(size=corners.shape)
    >>> result = elbow(X, k=range(1, 9), random_state=5)
    >>> result.best_k
    3
    >>> result.reason
    'There are 3 clusters, and all of them are apart: ... of 100 random resamples of the rows agree.'
    """
    parameters = {"n_init": n_init, "random_state": random_state, **kmeans_params}
    return sweep_from(X, k, 0, missing, sample_weight, gap, progress, parameters)


def sweep_from(
    X: Any, k: int | str | Iterable[int], limit: int, missing: str, sample_weight: Any, gap: bool, progress: bool,
    kmeans_params: dict[str, Any],
) -> ElbowResult[KMeans]:  # fmt: skip
    """Sweep as :func:`elbow` does, and on to `limit` where that names no number; see AUTO_LIMIT."""
    _reject_fixed_choices(kmeans_params)
    if is_collection(X):
        from .lazy import gathered

        X, sample_weight = gathered(X, sample_weight, "elbow()")
    model = KMeans(**kmeans_params)
    settings = settings_of(model)
    matrix, kept = _read(X, missing)
    sample_weight = weights_or_own(X, sample_weight)
    if kept is not None:
        weights = as_weights(sample_weight, len(kept))
        sample_weight = None if weights is None else weights[kept]
    settings, matrix, scaling = standardize(settings, matrix, sample_weight)
    make_model = ModelMaker(KMeans, model.get_params(), matrix.feature_names, scaling)
    candidates = partial(k_values, k)
    return sweep(settings, matrix, sample_weight, candidates, make_model, gap, progress, limit, X)


def _read(X: Any, missing: str) -> tuple[Matrix, Mask | None]:
    """Return the samples, and which rows of X they are; None if all."""
    if is_table(X) and hasattr(X, "shape"):
        features = features_of_table(X, "elbow()", "Pass a table of chosen columns", name="X")
        warn_of_marks(X, features, "elbow()")
        X = select_columns(X, features)
    check_missing("missing", missing)
    matrix = as_matrix(X, sparse=True, streamed=missing == "error")
    if missing != "error" and isinstance(matrix.values, CsrRows):
        raise ValueError(
            f"missing must be 'error' for sparse X, whose values that are not stored are 0; got {missing!r}. Fill in what is "
            "missing before, for example by sklearn.impute.SimpleImputer."
        )
    if missing == "error":  # the sweep checks all values
        return matrix, None
    names, n_features = matrix.feature_names, matrix.values.shape[1]
    found = complete(matrix.values, names if names is not None else np.arange(n_features).astype(object), missing)
    if found.summary:
        warn(f"elbow() {found.summary}.")
    return matrix._replace(values=found.values), found.kept


def _reject_fixed_choices(kmeans_params: dict[str, Any]) -> None:
    """Refuse the KMeans parameters that cannot stay the same while k changes."""
    if "n_clusters" in kmeans_params:
        raise TypeError("elbow() takes the numbers of clusters as k, not as n_clusters; pass k=range(1, 11).")
    for name in ("checkpoint", "max_time"):
        if kmeans_params.get(name) is not None:
            raise ValueError(f"{name} must be None for elbow(), which fits many numbers of clusters; leave it out.")
    init = kmeans_params.get("init", "auto")
    if not (isinstance(init, str) or callable(init)):
        raise ValueError(
            "init cannot be an array here, because each k needs another number of centers; pass a name such "
            "as 'auto', or a callable."
        )
