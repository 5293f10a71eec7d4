"""Inertia over time, of fits that may stop at any moment: ``python -m benchmarks.curves --help``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import exact, peers

REST_SECONDS = 0.5
"""Threads of a library spin after its work."""


class Point(NamedTuple):
    """What a library has reached.   seconds : since its fit began.   inertia : of all rows."""

    seconds: float
    inertia: float


def own_curve(X: np.ndarray, n_clusters: int, n_threads: int) -> list[Point]:
    """Return a point per iteration of one default fit, and the end."""
    from fastkmeans import KMeans

    points: list[Point] = []
    begin = time.perf_counter()

    def note(entry: dict[str, Any]) -> None:
        points.append(Point(time.perf_counter() - begin, entry["inertia"]))

    model = KMeans(n_clusters, random_state=0, n_threads=n_threads, callback=note).fit(X)
    return [*points, Point(time.perf_counter() - begin, model.inertia_)]


def _faiss(X: np.ndarray, n_clusters: int, budget: int) -> np.ndarray:
    import faiss

    model = faiss.Kmeans(
        X.shape[1], n_clusters, niter=budget, max_points_per_centroid=len(X), min_points_per_centroid=1, seed=1
    )
    model.train(X)
    return model.centroids


def _superkmeans(X: np.ndarray, n_clusters: int, budget: int) -> np.ndarray:
    from superkmeans import SuperKMeans

    return SuperKMeans(n_clusters, X.shape[1], iters=budget).train(X)


def _mini_batches(X: np.ndarray, n_clusters: int, budget: int) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(n_clusters, max_iter=budget, random_state=0).fit(X).cluster_centers_


CONTENDERS: dict[str, tuple[Callable[..., np.ndarray], tuple[int, ...]]] = {
    "faiss": (_faiss, (1, 3, 10, 25)),
    "superkmeans": (_superkmeans, (2, 5, 10, 25)),
    "MiniBatchKMeans of scikit-learn": (_mini_batches, (1, 3, 10, 100)),
}
"""Name -> the library's fit with a budget of iterations, and budgets. Each budget is a fit of its own."""


def peer_curve(X: np.ndarray, n_clusters: int, name: str, n_threads: int) -> Iterator[Point]:
    """Yield a point per budget: the time of that fit, and the inertia of its centers by float64.

    A fit of few rows comes first: importing the library takes part of a second.
    """
    fit, budgets = CONTENDERS[name]
    fit(X[:256], 2, 1)
    peers.limit_pools(n_threads)
    for budget in budgets:
        time.sleep(REST_SECONDS)
        begin = time.perf_counter()
        centers = fit(X, n_clusters, budget)
        yield Point(time.perf_counter() - begin, exact.inertia(X, np.asarray(centers)))


def curves(X: np.ndarray, n_clusters: int, n_threads: int) -> dict[str, list[Point]]:
    """Return the curves of all libraries that are installed.

    X : (n_samples, n_features) float32, C order.
    """
    found = {"fastkmeans": own_curve(X, n_clusters, n_threads)}
    for name in CONTENDERS:
        try:
            found[name] = list(peer_curve(X, n_clusters, name, n_threads))
        except ImportError as error:
            print(f"{name}: {error}")
    return found


def draw(found: dict[str, list[Point]], title: str, path: Path) -> None:
    """Draw curves into a picture."""
    from .pictures import figure_with_axes

    figure, axes = figure_with_axes()
    best = min(point.inertia for points in found.values() for point in points) or 1.0
    for name, points in found.items():
        seconds, inertias = zip(*points)
        above = [100.0 * (inertia / best - 1.0) for inertia in inertias]
        axes.plot(seconds, above, marker="o", markersize=3, label=name, zorder=3 if name == "fastkmeans" else 2)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("inertia above the best, %")
    axes.set_title(title)
    axes.legend()
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("rows", help="a .npy file, read as float32")
    parser.add_argument("-k", "--clusters", type=int, required=True, metavar="N")
    parser.add_argument("--threads", type=int, default=peers.n_threads_available(), metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write every point to FILE")
    parser.add_argument("--picture", metavar="FILE", help="draw the curves, .svg or .png")
    options = parser.parse_args(arguments)
    X = np.ascontiguousarray(np.load(options.rows), dtype=np.float32)
    found = curves(X, options.clusters, options.threads)
    for name, points in found.items():
        print(
            name,
            ", ".join(f"{point.seconds:.2f} s {point.inertia:.6g}" for point in points[:: max(len(points) // 8, 1)]),
        )
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))
    if options.picture:
        draw(found, f"{len(X)} x {X.shape[1]}, {options.clusters} clusters", Path(options.picture))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
