"""The workloads: arrays made by seeded NumPy code, and a few recorded ones that a folder may provide."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from . import Absent

DATA_VARIABLE = "FASTKMEANS_BENCH_DATA"


@dataclass(frozen=True)
class Workload:
    """One array and the number of clusters looked for in it.

    Attributes
    ----------
    n_clusters : int
    make : callable
        ``make() -> ndarray of shape (n_samples, n_features)``, float32 or float64, C order, the same at every
        call. Raises `Absent` when the array needs a file or a package that is not here.
    about : str
        What the rows are.
    """

    n_clusters: int
    make: Callable[[], np.ndarray]
    about: str


def blobs(
    n_samples: int,
    n_features: int,
    n_blobs: int,
    std: float,
    dtype: type[np.floating],
    seed: int,
) -> np.ndarray:
    """Draw samples from round normal blobs whose means are uniform in ``[-10, 10]``.

    Parameters
    ----------
    n_samples, n_features, n_blobs : int
    std : float
        Standard deviation of every blob in every feature.
    dtype : {np.float32, np.float64}
    seed : int

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In random order: neighbouring rows belong to unrelated blobs.

    Examples
    --------
    >>> blobs(6, 2, n_blobs=3, std=1.0, dtype=np.float32, seed=0).shape
    (6, 2)
    """
    rng = np.random.default_rng(seed)
    means = rng.uniform(-10.0, 10.0, size=(n_blobs, n_features)).astype(dtype)
    X = rng.standard_normal(size=(n_samples, n_features), dtype=dtype)
    X *= dtype(std)
    X += means[rng.integers(n_blobs, size=n_samples)]
    return X


def initial_centers(X: np.ndarray, n_clusters: int, seed: int = 0) -> np.ndarray:
    """Draw random rows of X that differ from one another in value.

    Two equal centers would leave one cluster empty at once, and every library refills an empty cluster by its
    own rule; distinct values keep the iterations of all libraries comparable.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_clusters : int
    seed : int, default=0

    Returns
    -------
    ndarray of shape (n_clusters, n_features)
        A copy, in the dtype of X.

    Raises
    ------
    ValueError
        If X has fewer than `n_clusters` distinct rows.

    Examples
    --------
    >>> initial_centers(np.array([[1.0], [1.0], [1.0], [2.0]]), n_clusters=2).shape
    (2, 1)
    """
    order = np.random.default_rng(seed).permutation(len(X))
    n_drawn = n_clusters
    while True:
        drawn = X[order[:n_drawn]]
        _, first = np.unique(drawn, axis=0, return_index=True)
        if len(first) >= n_clusters:
            return drawn[np.sort(first)[:n_clusters]]
        if n_drawn >= len(X):
            raise ValueError(f"n_clusters={n_clusters} needs as many distinct rows; X has {len(first)}.")
        n_drawn *= 2


def _recorded(file_name: str, key: str | None = None) -> np.ndarray:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise Absent(f"{file_name} is looked for in the folder named by {DATA_VARIABLE}, which is not set.")
    path = Path(folder) / file_name
    if not path.is_file():
        raise Absent(f"{DATA_VARIABLE}={folder} has no file {file_name}.")
    stored = np.load(path)
    array = stored[key] if key else stored
    # Integers and half precision are storage formats here; every library computes on float32 at least.
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float32
    return np.ascontiguousarray(array, dtype=dtype)


def _pixels() -> np.ndarray:
    """Read scikit-learn's sample image china.jpg as colours in [0, 1], float32 (273 280, 3)."""
    try:
        from sklearn.datasets import load_sample_image

        pixels = load_sample_image("china.jpg").reshape(-1, 3).astype(np.float32)
    except ImportError:  # scikit-learn, or the Pillow that it decodes with, is missing
        pixels = _recorded("china.npy")
    pixels /= np.float32(255)
    return pixels


_TABLE = {"n_samples": 1_000_000, "n_features": 20, "n_blobs": 50, "std": 4.0}
_geo = partial(_recorded, "geo.npy")
_flights = partial(_recorded, "flights.npz", key="X")
_digits = partial(_recorded, "mnist5k.npy")
_sentences = partial(_recorded, "sentences12k.npy")

WORKLOADS: dict[str, Workload] = {
    "tutorial": Workload(4, partial(blobs, 300, 2, 4, 1.0, np.float64, seed=1), "four blobs in the plane"),
    "tall": Workload(8, partial(blobs, 5_000_000, 2, 8, 1.0, np.float32, seed=2), "many rows, two features"),
    "pixels-64": Workload(64, _pixels, "colours of china.jpg"),
    "pixels-256": Workload(256, _pixels, "colours of china.jpg"),
    "table": Workload(10, partial(blobs, **_TABLE, dtype=np.float64, seed=3), "blobs, few clusters"),
    "table100": Workload(100, partial(blobs, **_TABLE, dtype=np.float32, seed=3), "overlapping blobs"),
    "mid": Workload(256, partial(blobs, 200_000, 64, 300, 6.0, np.float32, seed=4), "overlapping blobs"),
    "bigk": Workload(1000, partial(blobs, 500_000, 32, 2000, 2.0, np.float32, seed=5), "many clusters"),
    "geo-100": Workload(100, _geo, "latitude and longitude of inhabited places"),
    "geo-1000": Workload(1000, _geo, "latitude and longitude of inhabited places"),
    "flights-100": Workload(100, _flights, "flight records, z-scored"),
    "digits-100": Workload(100, _digits, "handwritten digits, 784 grey values each"),
    "sentences-256": Workload(256, _sentences, "sentence embeddings of unit norm"),
    "sentences-1000": Workload(1000, _sentences, "sentence embeddings of unit norm"),
}


def select(patterns: list[str] | None) -> list[str]:
    """Resolve names given by a user to names of `WORKLOADS`, in table order.

    Parameters
    ----------
    patterns : list of str or None
        Full names, or the part before the hyphen (``pixels`` means both sizes). None means all.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If a pattern matches nothing.

    Examples
    --------
    >>> select(["pixels", "table"])
    ['pixels-64', 'pixels-256', 'table']
    """
    if patterns is None:
        return list(WORKLOADS)
    chosen = set()
    for pattern in patterns:
        matches = {name for name in WORKLOADS if name == pattern or name.startswith(pattern + "-")}
        if not matches:
            raise ValueError(f"workload must be one of {', '.join(WORKLOADS)}; got {pattern!r}.")
        chosen |= matches
    return [name for name in WORKLOADS if name in chosen]
