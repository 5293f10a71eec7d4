"""Compare fastkmeans with a peer on many random shapes and kinds of data: ``python -m benchmarks.scan --help``.

Each library works in a process of its own, both in turns, with a rest before each fit. Per shape a line says how many times as
long the peer takes. The last lines say how these ratios are distributed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import datasets, exact, peers
from .shapes import Shape, draw_shapes
from .worker import Round, Task, Worker, WorkerError

OURS = "fastkmeans-auto"  # as users call it: the peer "fastkmeans" runs Lloyd's steps alone
REST_SECONDS = 0.25  # threads of a library spin after its work, and a processor that was hot runs slower
SHARES = {"least": 0.0, "a tenth below": 0.1, "a quarter below": 0.25, "median": 0.5}


def scan_shape(shape: Shape, options: argparse.Namespace) -> dict[str, Any]:
    """Run both libraries on one shape.

    Returns
    -------
    dict
        The shape; per library (`OURS` and the peer) the least seconds of a fit (or processor seconds), its iterations and the inertia of its centers; `ratio`, the peer's
        seconds over ours; `inertia_ratio`, our inertia over the peer's.
    """
    X = shape.make()
    found: dict[str, Any] = shape._asdict()
    with tempfile.TemporaryDirectory(prefix="fastkmeans-scan-") as folder:
        rows_file, centers_file = os.path.join(folder, "rows.npy"), os.path.join(folder, "centers.npy")
        np.save(rows_file, X)
        np.save(centers_file, datasets.initial_centers(X, shape.n_clusters, shape.seed))
        task = Task(rows_file, centers_file, None if options.full_fit else options.iterations, options.threads)
        workers = {name: Worker(task, "library") for name in (OURS, options.peer)}
        try:
            for name, fits in _take_turns(workers, options.rounds).items():
                result = workers[name].ask("result", name)
                found[name] = {
                    "seconds": min(fit.seconds * (fit.cores if options.processor_time else 1.0) for fit in fits),
                    "n_iter": fits[-1].n_iter,
                    "inertia": exact.inertia(X, result.centers),
                }
        finally:
            for worker in workers.values():
                worker.close()
    ours, theirs = found[OURS], found[options.peer]
    found["ratio"] = theirs["seconds"] / ours["seconds"]
    found["inertia_ratio"] = ours["inertia"] / theirs["inertia"] if theirs["inertia"] else 1.0
    return found


def _take_turns(workers: dict[str, Worker], n_rounds: int) -> dict[str, list[Round]]:
    rounds: dict[str, list[Round]] = {name: [] for name in workers}
    for name, worker in workers.items():
        worker.ask("warm_up", name)
    for number in range(n_rounds):
        for name, worker in workers.items():
            time.sleep(REST_SECONDS)
            rounds[name].append(worker.ask("run_round", name, number, 0.0))
    return rounds


def line_of(found: dict[str, Any], peer: str) -> str:
    """Return what one shape showed, in a line."""
    return (
        f"{found['n_samples']:8d} x {found['n_features']:<5d} k={found['n_clusters']:<5d} {found['kind']:12} {found['dtype']} "
        f"{found[OURS]['seconds'] * 1e3:9.2f} ms, {peer} {found[peer]['seconds'] * 1e3:9.2f} ms: {found['ratio']:6.2f}, "
        f"inertia {found['inertia_ratio']:.5f}"
    )


def summary_of(results: list[dict[str, Any]]) -> str:
    """Return how the ratios are distributed."""
    ratios = np.array([found["ratio"] for found in results])
    shares = ", ".join(f"{name} {np.quantile(ratios, share):.2f}" for name, share in SHARES.items())
    inertias = np.array([found["inertia_ratio"] for found in results])
    return (
        f"{len(results)} shapes: {shares}; ours over theirs, inertia: median {np.median(inertias):.5f}, "
        f"most {inertias.max():.5f}"
    )


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__.split("\n\n")[0])
    parser.add_argument("--shapes", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed draws other shapes")
    parser.add_argument("--peer", choices=sorted(set(peers.PEERS) - {OURS}), default="scikit-learn")
    parser.add_argument("--iterations", type=int, default=10, metavar="N", help="from the same centers")
    parser.add_argument("--full-fit", action="store_true", help="time default fits in place of iterations")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="the fastest of each library counts")
    parser.add_argument("--threads", type=int, default=peers.n_threads_available(), metavar="N")
    parser.add_argument(
        "--processor-time", action="store_true", help="for busy machines: count what all threads take, with --threads 1"
    )
    parser.add_argument("--json", metavar="FILE", help="write every measured number to FILE")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = parse_arguments(arguments)
    results: list[dict[str, Any]] = []
    for shape in draw_shapes(options.shapes, options.seed):
        try:
            results.append(scan_shape(shape, options))
        except (WorkerError, ValueError) as error:  # or fewer distinct rows than clusters
            print(f"{shape}: {error}", flush=True)
            continue
        print(line_of(results[-1], options.peer), flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(results, indent=1))
    print(summary_of(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
