"""How near to the arithmetic peak of one core is the assignment step: ``python -m benchmarks.roofline``.

The peak is measured, not looked up: the float32 multiply-adds that one core retires in registers, without
memory traffic. A step that compares n samples of d features with k centers counts as 2 n k d operations.
Packing, the search for the minimum and the cluster sums are overhead.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from . import datasets

N_SAMPLES = 20_000
SHAPES = [(384, 1000), (32, 256), (32, 1000), (64, 256), (64, 1000), (128, 256), (128, 1000)]
N_REPEATS = 7


def _fastest(call: Callable[[], object], n_repeats: int) -> float:
    """Return the least wall seconds of `n_repeats` calls: a peak is approached from below."""
    best = np.inf
    for _ in range(n_repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def fma_peak(seconds: float = 0.05, n_repeats: int = N_REPEATS) -> float:
    """Measure the float32 multiply-adds of one core in the instruction set in use.

    Parameters
    ----------
    seconds : float
        Length of one measurement.
    n_repeats : int
        The best of so many counts.

    Returns
    -------
    float
        GFLOP/s; a multiply-add counts as two operations.
    """
    from fastkmeans._core import runtime

    n_rounds = 1000
    while _fastest(lambda: runtime.fma_spin(n_rounds), 1) < seconds:
        n_rounds *= 2
    return 1e-9 * runtime.fma_spin(n_rounds) / _fastest(lambda: runtime.fma_spin(n_rounds), n_repeats)


def step_seconds(X: np.ndarray, centers: np.ndarray, n_repeats: int = N_REPEATS) -> float:
    """Time one step of the dense engine on one thread.

    The centers repeat, so no label changes after the first step and the sums cost least: the bare assignment.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32, C order.
    centers : ndarray of shape (n_clusters, n_features)
    n_repeats : int

    Returns
    -------
    float
        Seconds.
    """
    from fastkmeans._core.lloyd import LloydState

    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    state = LloydState(X, None, max_abs, 1.0, len(centers), 1)
    centers = np.ascontiguousarray(centers, dtype=np.float64)
    state.step(centers)
    return _fastest(lambda: state.step(centers), n_repeats)


def iteration_seconds(X: np.ndarray, centers: np.ndarray, n_repeats: int = N_REPEATS) -> float:
    """Time one iteration of a real fit on one thread, moving centers included.

    It is the difference of a fit of 20 iterations and a fit of one, so what a fit does once cancels out.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32, C order.
    centers : ndarray of shape (n_clusters, n_features)
        Initial centers.
    n_repeats : int

    Returns
    -------
    float
        Seconds; NaN if the fit converges at once.
    """
    from fastkmeans import KMeans

    def fit(max_iter: int) -> KMeans:
        model = KMeans(len(centers), init=centers, n_init=1, max_iter=max_iter, tol=0, algorithm="lloyd", n_threads=1)
        return model.fit(X)

    n_more = fit(20).n_iter_ - 1
    if n_more < 1:
        return float("nan")
    return (_fastest(lambda: fit(20), n_repeats) - _fastest(lambda: fit(1), n_repeats)) / n_more


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("--samples", type=int, default=N_SAMPLES, metavar="N")
    parser.add_argument("--repeats", type=int, default=N_REPEATS, metavar="N")
    options = parser.parse_args(arguments)

    from fastkmeans._core import runtime

    print(f"instruction set {runtime.isa()}, {options.samples} samples, float32, one thread")
    print(f"GFLOP/s, best of {options.repeats} (fraction of the peak measured just before)\n")
    print("| features | clusters | peak  | one step      | one iteration of a fit |")
    print("|----------|----------|-------|---------------|------------------------|")
    for n_features, n_clusters in SHAPES:
        X = datasets.blobs(options.samples, n_features, n_clusters, 6.0, np.float32, seed=7)
        centers = datasets.initial_centers(X, n_clusters)
        giga_operations = 2e-9 * options.samples * n_clusters * n_features
        peak = fma_peak(n_repeats=options.repeats)
        step = giga_operations / step_seconds(X, centers, options.repeats)
        iteration = giga_operations / iteration_seconds(X, centers, options.repeats)
        print(
            f"| {n_features:8} | {n_clusters:8} | {peak:5.1f} | {step:5.1f} ({step / peak:4.0%})  "
            f"| {iteration:5.1f} ({iteration / peak:4.0%})           |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
