"""Every library under test behind one interface: prepare outside the clock, then one call inside it.

A peer is one function that prepares a fit and one row in `PEERS`. Preparing imports the library, sets its
threads and casts the rows where its interface accepts float32 only; it returns a call without arguments whose
seconds are what the benchmarks report.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import Absent


class Fit(NamedTuple):
    """What a fit leaves behind.

    centers is (n_clusters, n_features); labels is (n_samples,), or None where the library's fit makes none;
    n_iter counts the iterations that it really ran.
    """

    centers: np.ndarray
    labels: np.ndarray | None
    n_iter: int


class Run(NamedTuple):
    """A timed fit: wall seconds, and seconds of all cores together; their quotient counts the busy cores."""

    fit: Fit
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Peer:
    """One library, or one algorithm of it.

    Attributes
    ----------
    distribution : str
        The name that pip installs it by.
    fit : callable
        ``fit(X, centers, n_iter, n_threads)`` prepares `n_iter` Lloyd iterations from given centers without a
        tolerance; the call that it returns gives a `Fit`.
    note : str
        What keeps its figures from being compared one to one; shown under every table.
    same_start : bool, default=True
        False if the library chooses its initial centers itself.
    default : bool, default=True
        False for a variant that runs only when it is asked for by name.
    full_fit, predict, seed : callable or None
        ``full_fit(X, n_clusters, seed, n_threads)`` prepares the library's default fit, ``predict(X, centers,
        n_threads)`` labels, ``seed(X, n_clusters, seed, n_threads)`` a k-means++ seeding. None: no such call.
    """

    distribution: str
    fit: Callable[..., Callable[[], Fit]]
    note: str
    same_start: bool = True
    default: bool = True
    full_fit: Callable[..., Callable[[], Fit]] | None = None
    predict: Callable[..., Callable[[], np.ndarray]] | None = None
    seed: Callable[..., Callable[[], np.ndarray]] | None = None


def limit_pools(n_threads: int) -> None:
    """Limit the BLAS and OpenMP pools loaded so far, for the rest of this process."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=n_threads)


def _estimator_fit(model: Any, X: np.ndarray) -> Callable[[], Fit]:
    def fit() -> Fit:
        model.fit(X)
        return Fit(model.cluster_centers_, model.labels_, int(model.n_iter_))

    return fit


def _given_start(centers: np.ndarray, n_iter: int) -> dict[str, Any]:
    return {"n_clusters": len(centers), "init": centers, "n_init": 1, "max_iter": n_iter, "tol": 0}


# --- fastkmeans -----------------------------------------------------------------------------------


def _fastkmeans_fit(X, centers, n_iter, n_threads, algorithm):
    from fastkmeans import KMeans

    model = KMeans(**_given_start(centers, n_iter), algorithm=algorithm, n_threads=n_threads)
    return _estimator_fit(model, X)


def _fastkmeans_full_fit(X, n_clusters, seed, n_threads, algorithm):
    from fastkmeans import KMeans

    return _estimator_fit(KMeans(n_clusters, random_state=seed, algorithm=algorithm, n_threads=n_threads), X)


def _fastkmeans_predict(X, centers, n_threads):
    from fastkmeans import KMeans

    model = KMeans(**_given_start(centers, 1), n_threads=n_threads).fit(X)
    return functools.partial(model.predict, X)


def _fastkmeans_seed(X, n_clusters, seed, n_threads):
    from fastkmeans import kmeans_plusplus

    return lambda: kmeans_plusplus(X, n_clusters, random_state=seed, n_threads=n_threads)[0]


# --- scikit-learn ---------------------------------------------------------------------------------


def _sklearn_fit(X, centers, n_iter, n_threads, algorithm):
    from sklearn.cluster import KMeans

    limit_pools(n_threads)
    return _estimator_fit(KMeans(**_given_start(centers, n_iter), algorithm=algorithm), X)


def _sklearn_full_fit(X, n_clusters, seed, n_threads, algorithm):
    from sklearn.cluster import KMeans

    limit_pools(n_threads)
    return _estimator_fit(KMeans(n_clusters, random_state=seed, algorithm=algorithm), X)


def _sklearn_predict(X, centers, n_threads):
    from sklearn.cluster import KMeans

    limit_pools(n_threads)
    model = KMeans(**_given_start(centers, 1)).fit(X)
    return functools.partial(model.predict, X)


def _sklearn_seed(X, n_clusters, seed, n_threads):
    from sklearn.cluster import kmeans_plusplus

    limit_pools(n_threads)
    return lambda: kmeans_plusplus(X, n_clusters, random_state=seed)[0]


# --- scikit-learn-intelex -------------------------------------------------------------------------


def _sklearnex_fit(X, centers, n_iter, n_threads):
    from sklearnex.cluster import KMeans

    limit_pools(n_threads)
    return _estimator_fit(KMeans(**_given_start(centers, n_iter), n_jobs=n_threads), X)


def _sklearnex_full_fit(X, n_clusters, seed, n_threads):
    from sklearnex.cluster import KMeans

    limit_pools(n_threads)
    return _estimator_fit(KMeans(n_clusters, random_state=seed, n_jobs=n_threads), X)


def _sklearnex_predict(X, centers, n_threads):
    from sklearnex.cluster import KMeans

    limit_pools(n_threads)
    model = KMeans(**_given_start(centers, 1), n_jobs=n_threads).fit(X)
    return functools.partial(model.predict, X)


# --- faiss ----------------------------------------------------------------------------------------


def _faiss_kmeans(n_features, n_clusters, n_samples, n_iter, n_threads, **more):
    import faiss

    faiss.omp_set_num_threads(n_threads)
    # Its defaults sample 256 rows a cluster and warn below 39; here every library reads every row.
    limits = {"max_points_per_centroid": n_samples, "min_points_per_centroid": 1}
    return faiss.Kmeans(n_features, n_clusters, niter=n_iter, nredo=1, **limits, **more)


def _faiss_fit(X, centers, n_iter, n_threads):
    rows, start = np.ascontiguousarray(X, np.float32), np.ascontiguousarray(centers, np.float32)
    kmeans = _faiss_kmeans(X.shape[1], len(centers), len(X), n_iter, n_threads)

    def fit() -> Fit:
        kmeans.train(rows, init_centroids=start)
        return Fit(kmeans.centroids, None, len(kmeans.iteration_stats))

    return fit


def _faiss_predict(X, centers, n_threads):
    import faiss

    faiss.omp_set_num_threads(n_threads)
    rows = np.ascontiguousarray(X, np.float32)
    index = faiss.IndexFlatL2(X.shape[1])
    index.add(np.ascontiguousarray(centers, np.float32))
    return lambda: index.search(rows, 1)[1].ravel()


def _faiss_seed(X, n_clusters, seed, n_threads):
    import faiss

    rows = np.ascontiguousarray(X, np.float32)
    method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    kmeans = _faiss_kmeans(X.shape[1], n_clusters, len(X), 0, n_threads, init_method=method, seed=seed)

    def seeding() -> np.ndarray:
        kmeans.train(rows)
        return kmeans.centroids

    return seeding


# --- superkmeans ----------------------------------------------------------------------------------


def _superkmeans(n_clusters, n_features, n_samples, n_iter, n_threads):
    from superkmeans import SuperKMeans

    return SuperKMeans(
        n_clusters,
        n_features,
        hierarchical=False,
        iters=n_iter,
        sampling_fraction=1.0,
        max_points_per_cluster=n_samples,
        early_termination=False,
        tol=0.0,
        n_threads=n_threads,
    )


def _superkmeans_fit(X, centers, n_iter, n_threads):
    rows = np.ascontiguousarray(X, np.float32)
    create = functools.partial(_superkmeans, len(centers), X.shape[1], len(X), n_iter, n_threads)
    create()
    limit_pools(n_threads)

    def fit() -> Fit:
        model = create()  # a model trains once, so creating it belongs to the fit
        return Fit(model.train(rows), None, len(model.iteration_stats))

    return fit


def _superkmeans_predict(X, centers, n_threads):
    rows, targets = np.ascontiguousarray(X, np.float32), np.ascontiguousarray(centers, np.float32)
    model = _superkmeans(len(centers), X.shape[1], len(X), 1, n_threads)
    limit_pools(n_threads)
    model.train(rows)
    return functools.partial(model.assign, rows, targets)


# --- mlpack ---------------------------------------------------------------------------------------


def _mlpack_fit(X, centers, n_iter, n_threads, algorithm):
    import mlpack

    rows, start = np.ascontiguousarray(X, np.float64), np.ascontiguousarray(centers, np.float64)
    limit_pools(n_threads)

    def fit() -> Fit:
        given = start.copy()  # where mlpack moves them, and what its answer may point into
        found = mlpack.kmeans(
            input_=rows, clusters=len(start), initial_centroids=given, max_iterations=n_iter, algorithm=algorithm,
            allow_empty_clusters=True, labels_only=True,
        )  # fmt: skip
        return Fit(found["centroid"].copy(), None, n_iter)

    return fit


# --- NumPy ----------------------------------------------------------------------------------------

_SCORES_PER_CHUNK = 2**20


def _numpy_labels(X: np.ndarray, centers: np.ndarray, labels: np.ndarray) -> None:
    """Label the rows, a chunk at a time: one matrix product and one argmin."""
    centers = centers.astype(X.dtype, copy=False)
    half_sq_norm = 0.5 * np.einsum("jf,jf->j", centers, centers)
    n_rows = max(16, _SCORES_PER_CHUNK // len(centers))
    for start in range(0, len(X), n_rows):
        scores = X[start : start + n_rows] @ centers.T
        np.subtract(half_sq_norm, scores, out=scores)
        scores.argmin(axis=1, out=labels[start : start + n_rows])


def _numpy_means(X: np.ndarray, centers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Move each center to the mean of its rows; an empty cluster keeps its center."""
    weights = np.bincount(labels, minlength=len(centers))
    moved = centers.copy()
    filled = weights > 0
    for f in range(X.shape[1]):
        sums = np.bincount(labels, weights=X[:, f], minlength=len(centers))
        moved[filled, f] = sums[filled] / weights[filled]
    return moved


def _numpy_fit(X, centers, n_iter, n_threads):
    limit_pools(n_threads)

    def fit() -> Fit:
        moved = centers.astype(np.float64)
        labels = np.full(len(X), -1, dtype=np.intp)
        before = np.empty_like(labels)
        for iteration in range(1, n_iter + 1):
            before[:] = labels
            _numpy_labels(X, moved, labels)
            if np.array_equal(labels, before):
                return Fit(moved, labels, iteration)
            moved = _numpy_means(X, moved, labels)
        _numpy_labels(X, moved, labels)
        return Fit(moved, labels, n_iter)

    return fit


def _numpy_predict(X, centers, n_threads):
    limit_pools(n_threads)
    labels = np.empty(len(X), dtype=np.intp)

    def predict() -> np.ndarray:
        _numpy_labels(X, centers, labels)
        return labels

    return predict


# --- the table ------------------------------------------------------------------------------------

PEERS: dict[str, Peer] = {
    "fastkmeans": Peer(
        "fastkmeans-core",
        functools.partial(_fastkmeans_fit, algorithm="lloyd"),
        note='algorithm="lloyd"; the fit includes the labels of the final centers',
        full_fit=functools.partial(_fastkmeans_full_fit, algorithm="lloyd"),
        predict=_fastkmeans_predict,
        seed=_fastkmeans_seed,
    ),
    "fastkmeans-auto": Peer(
        "fastkmeans-core",
        functools.partial(_fastkmeans_fit, algorithm="auto"),
        note='algorithm="auto"',
        default=False,
        full_fit=functools.partial(_fastkmeans_full_fit, algorithm="auto"),
    ),
    "scikit-learn": Peer(
        "scikit-learn",
        functools.partial(_sklearn_fit, algorithm="lloyd"),
        note="the fit includes its centered copy of the rows and the labels of the final centers",
        full_fit=functools.partial(_sklearn_full_fit, algorithm="lloyd"),
        predict=_sklearn_predict,
        seed=_sklearn_seed,
    ),
    "scikit-learn-elkan": Peer(
        "scikit-learn",
        functools.partial(_sklearn_fit, algorithm="elkan"),
        note="keeps n_samples x n_clusters bounds in memory",
        default=False,
        full_fit=functools.partial(_sklearn_full_fit, algorithm="elkan"),
    ),
    "scikit-learn-intelex": Peer(
        "scikit-learn-intelex",
        _sklearnex_fit,
        note="called as sklearnex.cluster.KMeans; the fit includes its copy of the rows and the labels",
        full_fit=_sklearnex_full_fit,
        predict=_sklearnex_predict,
    ),
    "faiss": Peer(
        "faiss-cpu",
        _faiss_fit,
        note="float32 only, cast outside the time; the fit makes no labels; stops when its objective repeats",
        predict=_faiss_predict,
        seed=_faiss_seed,
    ),
    "superkmeans": Peer(
        "superkmeans",
        _superkmeans_fit,
        note="float32 only, cast outside the time; the fit makes no labels; takes no initial centers, so it "
        "starts from random rows of its own and its inertia is that of another start; prunes approximately "
        "from 128 features on",
        same_start=False,
        predict=_superkmeans_predict,
    ),
    "mlpack": Peer(
        "mlpack",
        functools.partial(_mlpack_fit, algorithm="naive"),
        note="float64 only, cast outside the time; tells no number of iterations; its labels, before the last move, are not compared",
    ),
    "mlpack-hamerly": Peer(
        "mlpack",
        functools.partial(_mlpack_fit, algorithm="hamerly"),
        note="as mlpack",
        default=False,
    ),
    "mlpack-dualtree": Peer(
        "mlpack",
        functools.partial(_mlpack_fit, algorithm="dualtree"),
        note="as mlpack; builds a tree of the rows in each fit",
        default=False,
    ),
    "numpy": Peer(
        "numpy",
        _numpy_fit,
        note="chunked matrix product, argmin and bincount: the reference to beat first",
        predict=_numpy_predict,
    ),
}

DEFAULT_PEERS = [name for name, peer in PEERS.items() if peer.default]


def n_threads_available() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version(name: str) -> str | None:
    """Return the installed version of a peer, or None if it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        return installed_version(PEERS[name].distribution)
    except PackageNotFoundError:
        return None


def prepare(name: str, task: str, *arguments: Any) -> Callable[[], Any]:
    """Prepare one call of a peer.

    Parameters
    ----------
    name : str
        A row of `PEERS`.
    task : {"fit", "full_fit", "predict", "seed"}
    *arguments
        Those of the attribute of that name of `Peer`.

    Returns
    -------
    callable
        Takes no argument and may be called again and again.

    Raises
    ------
    Absent
        If the library is not installed or has no such task.
    """
    adapter = getattr(PEERS[name], task)
    if adapter is None:
        raise Absent(f"{name} has no {task}.")
    try:
        return adapter(*arguments)
    except ImportError as error:
        raise Absent(f"{name} cannot be imported: {error}") from error


def clock(call: Callable[[], Fit]) -> Run:
    """Run a prepared fit once and time it.

    Returns
    -------
    Run
    """
    cpu, wall = time.process_time(), time.perf_counter()
    fit = call()
    seconds = time.perf_counter() - wall
    return Run(fit, seconds, time.process_time() - cpu)


def run(name: str, X: np.ndarray, centers: np.ndarray, n_iter: int, n_threads: int) -> Run:
    """Run and time `n_iter` Lloyd iterations of one peer from given centers, without a tolerance.

    Parameters
    ----------
    name : str
        A row of `PEERS`.
    X : ndarray of shape (n_samples, n_features)
        float32 or float64, C order.
    centers : ndarray of shape (n_clusters, n_features)
        Initial centers, in the dtype of X.
    n_iter, n_threads : int

    Returns
    -------
    Run
        Its ``fit.n_iter`` is below `n_iter` if the library saw that nothing changes any more.

    Raises
    ------
    Absent
        If the library is not installed.
    """
    return clock(prepare(name, "fit", X, centers, n_iter, n_threads))
