"""FastKMeans: the class of the package that PyPI lists as fastkmeans, over this engine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..estimators.kmeans import KMeans
from ..types import Indices, Singles
from .vectors import drawn_rows, vectors_of


class FastKMeans:
    """K-means by the names of PyPI's fastkmeans 0.5, computed on the CPU and exact.

    Code that was written for that package runs with it. docs/from-fastkmeans.md compares both parameter by parameter.

    Parameters
    ----------
    d : int
        Number of columns of the vectors.
    k : int
        Number of clusters.
    niter : int, default=25
        At most so many iterations.
    tol : float, default=1e-8
        The iterations end when the lengths of all centroid shifts surely sum to less than this, or when no label changes.
    gpu : bool, default=True
        Accepted. The CPU computes in any case.
    seed : int, default=0
        Seeds the random draws. Nothing else is seeded: PyPI's fastkmeans also seeds torch and NumPy for the whole process.
    max_points_per_centroid : int or None, default=1_000_000_000
        If there are more than k times so many vectors, train on so many drawn at random. None trains on all.
    chunk_size_data, chunk_size_centroids : int
        Accepted. There are no chunks to size.
    device : None, "cpu" or torch.device, default=None
        Where to compute: only the CPU.
    dtype : torch.dtype or None, default=None
        Accepted. Distances are decided in float64, and vectors are kept as float32.
    pin_gpu_memory : bool, default=True
        Accepted.
    verbose : bool, default=False
        Whether to print the inertia of each iteration.
    nredo : int, default=1
        Number of starts; the best is kept.
    use_triton : bool or None, default=None
        Accepted.

    Attributes
    ----------
    centroids : ndarray of shape (k, d), float32, or None
        The centers; None before :meth:`train`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans import FastKMeans
    >>> vectors = np.array([[1.0], [2.0], [9.0]], dtype=np.float32)
    >>> kmeans = FastKMeans(d=1, k=3).fit(vectors)
    >>> sorted(kmeans.centroids.ravel().tolist())
    [1.0, 2.0, 9.0]
    >>> kmeans.predict(vectors).dtype
    dtype('int64')
    """

    def __init__(
        self,
        d: int,
        k: int,
        niter: int = 25,
        tol: float = 1e-8,
        gpu: bool = True,
        seed: int = 0,
        max_points_per_centroid: int | None = 1_000_000_000,
        chunk_size_data: int = 51_200,
        chunk_size_centroids: int = 10_240,
        device: Any = None,
        dtype: Any = None,
        pin_gpu_memory: bool = True,
        verbose: bool = False,
        nredo: int = 1,
        use_triton: bool | None = None,
    ) -> None:
        if device is not None and not str(device).startswith("cpu"):
            raise ValueError(
                f"device must be None or 'cpu', because this FastKMeans computes on the CPU; got {device!r}."
            )
        self.d = d
        self.k = k
        self.niter = niter
        self.tol = tol
        self.gpu = gpu
        self.seed = seed
        self.max_points_per_centroid = max_points_per_centroid
        self.chunk_size_data = chunk_size_data
        self.chunk_size_centroids = chunk_size_centroids
        self.device = device
        self.dtype = dtype
        self.pin_gpu_memory = pin_gpu_memory
        self.verbose = verbose
        self.nredo = nredo
        self.use_triton = use_triton
        self.centroids: Singles | None = None

    def train(self, data: Any) -> None:
        """Find the centroids.

        Parameters
        ----------
        data : ndarray or tensor in CPU memory of shape (n, d)
            The vectors. float32 in C order is read in place; other types become float32.

        Raises
        ------
        TypeError
            If data is a tensor that is not in CPU memory.
        ValueError
            If data is not of that shape, not finite, or has fewer than k rows; or for a parameter out of range.
        """
        vectors = vectors_of(data, self.d, "data")
        # Lengths sum to at most the square root of k times the sum of their squares.
        model = KMeans(
            self.k,
            init="random",
            n_init=self.nredo,
            max_iter=self.niter,
            tol=0.0,
            verbose=self.verbose,
            random_state=self.seed,
            callback=lambda entry: bool(self.k * entry["center_shift"] < self.tol**2),
        )
        rows = drawn_rows(len(vectors), self.k, self.max_points_per_centroid, self.seed)
        self.centroids = model.fit(vectors[rows]).cluster_centers_.astype(np.float32)

    def fit(self, data: Any) -> Self:
        """Do what :meth:`train` does, and return the object.

        Parameters
        ----------
        data : ndarray or tensor in CPU memory of shape (n, d)
            The vectors.

        Returns
        -------
        self : FastKMeans
            The object, trained.
        """
        self.train(data)
        return self

    def predict(self, data: Any) -> Indices:
        """Label each vector with its nearest centroid.

        Parameters
        ----------
        data : ndarray or tensor in CPU memory of shape (n, d)
            The vectors.

        Returns
        -------
        labels : ndarray of shape (n,), int64
            Index of the nearest centroid, decided in float64; the lowest index among equals.

        Raises
        ------
        RuntimeError
            If there are no centroids yet.
        """
        if self.centroids is None:
            raise RuntimeError("FastKMeans has no centroids yet: call train() or fit() before predict().")
        return KMeans.from_centers(self.centroids).predict(vectors_of(data, self.d, "data")).astype(np.int64)

    def fit_predict(self, data: Any) -> Indices:
        """Do :meth:`train` and :meth:`predict` with the same vectors.

        Parameters
        ----------
        data : ndarray or tensor in CPU memory of shape (n, d)
            The vectors.

        Returns
        -------
        labels : ndarray of shape (n,), int64
            Index of the nearest centroid of each.
        """
        return self.fit(data).predict(data)
