"""The index that faiss.Kmeans keeps of its centroids, as far as programs search it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import distances
from ..estimators.kmeans import KMeans
from ..metrics.table import METRICS
from ..runtime.threads import effective_n_threads
from ..types import Floats, Indices, Singles
from .vectors import vectors_of

_DISTANCES_AT_ONCE = 1 << 20
"""Distances that a search for several centroids holds: 8 MB."""


class FlatIndex:
    """Exact search among centroids: what IndexFlatL2 and IndexFlatIP of faiss do.

    Parameters
    ----------
    centroids : ndarray of shape (k, d), float32
        The centroids; of length 1 if `spherical`.
    spherical : bool
        Whether the largest inner product is searched for, in place of the smallest squared distance.
    """

    def __init__(self, centroids: Singles, spherical: bool) -> None:
        self.d = centroids.shape[1]
        self.ntotal = len(centroids)
        self._centroids = centroids
        self._spherical = spherical
        self._model = KMeans.from_centers(centroids, metric="cosine" if spherical else "euclidean")

    def search(self, x: Any, k: int) -> tuple[Singles, Indices]:
        """Find the k nearest centroids of each vector.

        Parameters
        ----------
        x : ndarray or tensor in CPU memory of shape (n, d)
            The vectors.
        k : int
            How many; at most `ntotal`.

        Returns
        -------
        D : ndarray of shape (n, k), float32
            Squared distances, smallest first; inner products, largest first, if `spherical`.
        I : ndarray of shape (n, k), int64
            Indices of these centroids, the lowest first among equals.

        Raises
        ------
        ValueError
            If x has another number of columns or is not finite, or if k is not from 1 to `ntotal`.
        """
        if not 1 <= k <= self.ntotal:
            raise ValueError(f"k must be from 1 to {self.ntotal}, the number of centroids; got {k}.")
        vectors = vectors_of(x, self.d, "x")
        if k == 1:
            near, labels = self.nearest(vectors)
            return near.astype(np.float32)[:, None], labels[:, None]
        found = np.empty((len(vectors), k), dtype=np.int64)
        measured = np.empty((len(vectors), k), dtype=np.float32)
        n_rows = max(1, _DISTANCES_AT_ONCE // self.ntotal)
        for start in range(0, len(vectors), n_rows):
            rows = slice(start, start + n_rows)
            every = self._model.transform(vectors[rows].astype(np.float64))
            found[rows] = np.argsort(every, axis=1, kind="stable")[:, :k]
            if self._spherical:
                measured[rows] = np.einsum("ij,ikj->ik", vectors[rows], self._centroids[found[rows]], dtype=np.float64)
            else:
                measured[rows] = np.take_along_axis(every, found[rows], axis=1) ** 2
        return measured, found

    def nearest(self, vectors: Singles) -> tuple[Floats, Indices]:
        """Return squared distances, or inner products if spherical, to the nearest centroids, and their indices, both (n,)."""
        labels = self._model.predict(vectors)
        if self._spherical:
            near: Floats = np.einsum("ij,ij->i", vectors, self._centroids[labels], dtype=np.float64)
        else:
            near = np.empty(len(vectors))
            n_threads = effective_n_threads(None, float(vectors.size))
            centers = self._centroids.astype(np.float64)
            distances.own_sq_distances(vectors, centers, labels, near, n_threads, METRICS["euclidean"].kind)
        return near, labels.astype(np.int64)
