"""Digests of more than a thousand fits, to show that a refactoring changes no bit of any.

    python tests/fingerprints.py write FILE     before
    python tests/fingerprints.py compare FILE   after; names the fits that differ, and ends with 1 if any does

Results depend on neither threads nor instruction set: each fit runs with one of either, in turn, and so checks that too.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np

from fastkmeans import KMeans, elbow, kmeans_plusplus
from fastkmeans._core import runtime
from fastkmeans.metrics.table import METRICS

SHAPES = {  # name -> (n_samples, n_features, n_clusters)
    "few": (60, 2, 3),
    "plane": (5000, 2, 40),
    "small": (700, 9, 12),
    "middle": (4100, 20, 30),
    "wide": (1500, 100, 60),
}

DATA = ["blobs", "offset", "copies"]
WEIGHTS = ["none", "uniform", "any size"]
INITS = ["rows", "auto", "k-means++"]
ALGORITHMS = {name: ["auto", *METRICS[name].algorithms] for name in METRICS}


def make(shape: str, data: str, real: str, seed: int) -> tuple[np.ndarray, int]:
    """Samples and a number of clusters."""
    n_samples, n_features, n_clusters = SHAPES[shape]
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=5.0, size=(n_clusters, n_features))
    X = centers[rng.integers(n_clusters, size=n_samples)] + rng.normal(size=(n_samples, n_features))
    if data == "offset":
        X += 1e4
    if data == "copies":  # of few rows, so that clusters become empty
        X = X[rng.integers(n_clusters + 5, size=n_samples)]
    return X.astype(real), n_clusters


def make_weights(name: str, n_samples: int, seed: int) -> np.ndarray | None:
    rng = np.random.default_rng(seed + 1)
    if name == "none":
        return None
    return rng.uniform(0.1, 2.0, size=n_samples) if name == "uniform" else 10.0 ** rng.uniform(-30, 3, size=n_samples)


def digest(*results: Any) -> str:
    parts = hashlib.sha256()
    for result in results:
        parts.update(np.ascontiguousarray(result).tobytes())
    return parts.hexdigest()[:20]


def fits() -> Iterator[tuple[str, str]]:
    """Name and digest of each."""
    n_threads, isa = cycle([1, 2, 3]), cycle(runtime.isas())
    cases = product(METRICS, SHAPES, DATA, ["float32", "float64"], WEIGHTS)
    inits = cycle(INITS)
    for seed, (metric, shape, data, real, weighting) in enumerate(cases):
        X, n_clusters = make(shape, data, real, seed)
        weights = make_weights(weighting, len(X), seed)
        init = next(inits)
        for algorithm in ALGORITHMS[metric]:
            runtime.use_isa(next(isa))
            model = KMeans(
                n_clusters, init=X[:n_clusters] if init == "rows" else init, n_init=1 + seed % 2, max_iter=12, tol=0,
                random_state=seed, metric=metric, algorithm=algorithm, n_threads=next(n_threads),
            ).fit(X, sample_weight=weights)  # fmt: skip
            trail = [(entry["inertia"], entry["center_shift"], entry["n_changed"]) for entry in model.history_]
            yield (
                "/".join([metric, shape, data, real, weighting, init, algorithm]),
                digest(
                    model.labels_, model.cluster_centers_, model.inertia_, model.n_iter_, trail, model.predict(X[::-1])
                ),
            )


def others() -> Iterator[tuple[str, str]]:
    """Sweeps, and seeding by itself."""
    for seed, (shape, real) in enumerate(product(["few", "plane", "small"], ["float32", "float64"])):
        X, n_clusters = make(shape, "blobs", real, 1000 + seed)
        found = elbow(X, k=range(1, 9), random_state=seed)
        yield f"elbow/{shape}/{real}", digest(found.inertia, found.model(5).labels_, found.model(5).cluster_centers_)
        yield f"seeding/{shape}/{real}", digest(*kmeans_plusplus(X, n_clusters, random_state=seed))


def main(action: str, path: str) -> int:
    warnings.simplefilter("ignore")
    found = {**dict(fits()), **dict(others())}
    if action == "write":
        Path(path).write_text(json.dumps(found, indent=0), encoding="utf-8")
        print(f"{len(found)} digests written.")
        return 0
    before = json.loads(Path(path).read_text(encoding="utf-8"))
    differ = [name for name in before.keys() | found.keys() if before.get(name) != found.get(name)]
    print(*sorted(differ), f"{len(found)} digests, {len(differ)} differ.", sep="\n")
    return int(bool(differ))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "compare"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
