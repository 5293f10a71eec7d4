"""Kmeans: the class of faiss by which vector databases are trained, over this engine. faiss is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..estimators.kmeans import KMeans
from ..input.weights import as_weights
from ..types import Floats, Indices, Singles, Values
from .flat_index import FlatIndex
from .vectors import drawn_rows, vectors_of

_INITS = {0: "random", 1: "k-means++", 2: "k-means++"}
"""faiss.ClusteringInitMethod -> init of ours. 2 is AFK-MC2, which approximates k-means++."""

_WITHOUT_EFFECT = frozenset(
    {
        "min_points_per_centroid",
        "update_index",
        "decode_block_size",
        "check_input_data_for_NaNs",
        "use_faster_subsampling",
        "afkmc2_chain_length",
        "use_super_kmeans",
    }
)
"""Settings of faiss that say how it computes. Nothing here depends on them."""

_SWITCHED_OFF = {"gpu": 0, "progressive_dim_steps": None, "early_stop_threshold": 0.0}
"""Settings of faiss that would lead elsewhere -> the value with which they do not."""


class Kmeans:
    """K-means by the names of faiss.Kmeans, exact in every label.

    docs/from-faiss.md compares both parameter by parameter.

    Parameters
    ----------
    d : int
        Number of columns of the vectors.
    k : int
        Number of clusters.
    niter : int, default=25
        At most so many iterations. They end earlier if no label changes.
    nredo : int, default=1
        Number of starts; the best is kept.
    verbose : bool, default=False
        Whether to print the inertia of each iteration.
    spherical : bool, default=False
        Whether centroids have length 1 and vectors go to the centroid with the largest inner product.
    int_centroids : bool, default=False
        Whether to round centroids to whole numbers. This is done once, after the iterations; faiss does it in each. Not
        with `spherical`.
    frozen_centroids : bool, default=False
        Whether `init_centroids` stay as they are. There must be k of them; faiss also takes fewer.
    seed : int, default=1234
        Seeds the random draws.
    max_points_per_centroid : int or None, default=256
        If there are more than k times so many vectors, train on so many drawn at random, as faiss does. None trains on all.
    init_method : {0, 1, 2}, default=0
        ClusteringInitMethod of faiss: 0 draws vectors, 1 and 2 draw by k-means++.
    **others
        Settings of faiss that only say how it computes are accepted. `gpu`, `progressive_dim_steps` and
        `early_stop_threshold` are refused unless they are switched off.

    Attributes
    ----------
    centroids : ndarray of shape (k, d), float32, or None
        The centers; None before :meth:`train`.
    obj : ndarray of shape (n_iterations,), float64, or None
        Per iteration the sum of weight times squared distance to the nearest of the centroids that it began with; of weight
        times inner product if `spherical`. faiss leaves the weights out of it.
    iteration_stats : list of dict, or None
        Per iteration `obj`, `time` (seconds since the start) and `nsplit` (clusters that were empty).

    Raises
    ------
    TypeError
        For a setting that faiss does not have either.
    ValueError
        For a setting that is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans.surfaces.faiss import Kmeans
    >>> vectors = np.array([[1.0], [2.0], [9.0]], dtype=np.float32)
    >>> kmeans = Kmeans(d=1, k=2, niter=10)
    >>> kmeans.train(vectors, init_centroids=np.array([[0.0], [9.0]]))
    0.5
    >>> kmeans.centroids.ravel().tolist()
    [1.5, 9.0]
    >>> sq_distances, labels = kmeans.assign(vectors)
    >>> sq_distances.tolist(), labels.tolist()
    ([0.25, 0.25, 0.0], [0, 0, 1])
    """

    def __init__(
        self,
        d: int,
        k: int,
        *,
        niter: int = 25,
        nredo: int = 1,
        verbose: bool = False,
        spherical: bool = False,
        int_centroids: bool = False,
        frozen_centroids: bool = False,
        seed: int = 1234,
        max_points_per_centroid: int | None = 256,
        init_method: int = 0,
        **others: Any,
    ) -> None:
        _check_others(others)
        if init_method not in _INITS:
            raise ValueError(f"init_method must be 0, 1 or 2; got {init_method!r}.")
        if spherical and int_centroids:
            raise ValueError(
                "int_centroids must be False with spherical, because rounded centroids do not have length 1."
            )
        self.d = d
        self.niter = niter
        self.nredo = nredo
        self.verbose = verbose
        self.spherical = spherical
        self.int_centroids = int_centroids
        self.frozen_centroids = frozen_centroids
        self.seed = seed
        self.max_points_per_centroid = max_points_per_centroid
        self.init_method = init_method
        self.reset(k)

    def reset(self, k: int | None = None) -> None:
        """Forget the centroids.

        Parameters
        ----------
        k : int, optional
            Number of clusters from now on.
        """
        if k is not None:
            self.k = int(k)
        self.centroids: Singles | None = None
        self.obj: Floats | None = None
        self.iteration_stats: list[dict[str, float]] | None = None

    def train(self, x: Any, weights: Any = None, init_centroids: Any = None) -> float:
        """Find the centroids.

        Parameters
        ----------
        x : ndarray or tensor in CPU memory of shape (n, d)
            The vectors. float32 in C order is read in place; other types become float32.
        weights : array-like of shape (n,), optional
            Weight of each vector, not negative.
        init_centroids : array-like of shape (at most k, d), optional
            Centroids to start from. If there are fewer than k, vectors drawn at random follow them.

        Returns
        -------
        final_obj : float
            The last of `obj`.

        Raises
        ------
        TypeError
            If x is a tensor that is not in CPU memory.
        ValueError
            If an array has another shape or is not finite, or for a setting out of range. With `spherical` also if a vector
            is all zeros.
        """
        x = vectors_of(x, self.d, "x")
        rows = drawn_rows(len(x), self.k, self.max_points_per_centroid, self.seed)
        sample_weight = as_weights(weights, len(x))
        x, sample_weight = x[rows], None if sample_weight is None else sample_weight[rows]
        init = (
            None if init_centroids is None else self._completed(vectors_of(init_centroids, self.d, "init_centroids"), x)
        )
        if self.frozen_centroids and init is not None:
            return self._keep(init, x, sample_weight)
        if self.spherical:  # a mean of vectors is a mean of their directions, weighted by their lengths
            lengths = _lengths(x)
            sample_weight = lengths if sample_weight is None else sample_weight * lengths
        model = KMeans(
            self.k,
            init=_INITS[self.init_method] if init is None else init,
            n_init=self.nredo if init is None else 1,
            max_iter=self.niter,
            tol=0.0,
            verbose=self.verbose,
            random_state=self.seed,
            metric="cosine" if self.spherical else "euclidean",
        ).fit(x, sample_weight=sample_weight)
        most = 0.0 if not self.spherical or sample_weight is None else float(sample_weight.sum())
        self.centroids = self._stored(model.cluster_centers_)
        objectives = [most - step["inertia"] if self.spherical else step["inertia"] for step in model.history_]
        seconds = np.cumsum([step["seconds"] for step in model.history_])
        self.obj = np.array(objectives)
        self.iteration_stats = [
            {"obj": objective, "time": float(time), "nsplit": step["n_empty"]}
            for objective, time, step in zip(objectives, seconds, model.history_)
        ]
        return float(self.obj[-1])

    def assign(self, x: Any) -> tuple[Singles, Indices]:
        """Find the nearest centroid of each vector.

        Parameters
        ----------
        x : ndarray or tensor in CPU memory of shape (n, d)
            The vectors.

        Returns
        -------
        D : ndarray of shape (n,), float32
            Squared distance to it; the inner product with it if `spherical`.
        I : ndarray of shape (n,), int64
            Its index, decided in float64; the lowest among equals.

        Raises
        ------
        RuntimeError
            If there are no centroids yet.
        """
        if self.centroids is None:
            raise RuntimeError("Kmeans has no centroids yet: call train() before assign().")
        near, labels = FlatIndex(self.centroids, self.spherical).nearest(vectors_of(x, self.d, "x"))
        return near.astype(np.float32), labels

    @property
    def index(self) -> FlatIndex:
        """The index of the centroids: `index.search(x, 1)` as in faiss' tutorial. RuntimeError before :meth:`train`."""
        if self.centroids is None:
            raise RuntimeError("Kmeans has no centroids yet: call train() before index.")
        return FlatIndex(self.centroids, self.spherical)

    def _completed(self, init: Singles, x: Singles) -> Singles:
        """Return k centroids: the given ones, and vectors drawn at random if these are fewer."""
        n_missing = self.k - len(init)
        if n_missing < 0 or (n_missing and self.frozen_centroids):
            rule = (
                "k rows, because other centroids cannot move beside frozen ones" if n_missing > 0 else "at most k rows"
            )
            raise ValueError(f"init_centroids must have {rule}; got {len(init)} for k={self.k}.")
        return np.concatenate([init, x[np.random.default_rng(self.seed).choice(len(x), n_missing, replace=False)]])

    def _stored(self, centers: Values) -> Singles:
        return np.rint(centers).astype(np.float32) if self.int_centroids else centers.astype(np.float32)

    def _keep(self, init: Singles, x: Singles, sample_weight: Floats | None) -> float:
        """Take over frozen centroids, and their objective."""
        self.centroids = self._stored(init / _lengths(init)[:, None] if self.spherical else init)
        near = FlatIndex(self.centroids, self.spherical).nearest(x)[0]
        objective = float(near.sum() if sample_weight is None else near @ sample_weight)
        self.obj, self.iteration_stats = np.array([objective]), [{"obj": objective, "time": 0.0, "nsplit": 0}]
        return objective


def _lengths(x: Singles) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    return lengths


def _check_others(others: dict[str, Any]) -> None:
    """Raise TypeError for settings that faiss does not know, ValueError for those that cannot be had here."""
    for name, value in others.items():
        if name in _SWITCHED_OFF:
            off = _SWITCHED_OFF[name]
            if value != off:
                raise ValueError(
                    f"{name} must be {off!r}, because Kmeans of fastkmeans has nothing like it; got {value!r}."
                )
        elif name not in _WITHOUT_EFFECT:
            known = ", ".join(sorted({*_SWITCHED_OFF, *_WITHOUT_EFFECT}))
            raise TypeError(f"Kmeans has no setting {name!r}. Beside its own parameters it takes: {known}.")
