"""Compare fastkmeans with every installed peer: ``python -m benchmarks.compare --help``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from . import Absent, datasets, exact, peers
from .worker import Round, Task, Worker, WorkerError

SETTLE_SECONDS = 0.05  # idle pools spin for some milliseconds after their last task; wait until they sleep
_MB = 1e6


@dataclass
class Outcome:
    """What one peer showed on one workload.

    Attributes
    ----------
    seconds, cores : list of float
        One entry a round.
    n_iter : list of int
    ratios : list of float
        Per round: time per iteration over that of the baseline's run just before it; of whole fits, time over
        time.
    inertia : float or None
        Recomputed in float64 from the last round's centers.
    labels_different, labels_rounding : int or None
        Labels that are not the float64 nearest center, and those of them that rounding explains.
    memory_mb, library_mb : float or None
        Peak above a process that only loads the rows, and the part of it that loading the library takes.
    problem : str or None
        Why there is no result.
    """

    seconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    n_iter: list[int] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    inertia: float | None = None
    labels_different: int | None = None
    labels_rounding: int | None = None
    memory_mb: float | None = None
    library_mb: float | None = None
    problem: str | None = None

    def add(self, timed: Round) -> None:
        """Append one round."""
        self.seconds.append(timed.seconds)
        self.cores.append(timed.cores)
        self.n_iter.append(timed.n_iter)


class Bench:
    """One workload under test: its files, its workers, and the outcome of each peer."""

    def __init__(self, options: argparse.Namespace, task: Task):
        self.options = options
        self.task = task
        self.outcomes = {name: Outcome() for name in options.peers}
        self._workers: dict[str, Worker] = {}

    def _worker(self, name: str) -> Worker:
        place = name if self.options.isolated else "all"
        if place not in self._workers:
            self._workers[place] = Worker(self.task, self.options.wait_policy)
        return self._workers[place]

    def _usable(self) -> list[str]:
        return [name for name, outcome in self.outcomes.items() if outcome.problem is None]

    def _attempt(self, name: str, command: str, *arguments):
        """Ask a worker; a failure is noted on the outcome and the peer is left out from then on."""
        try:
            return self._worker(name).ask(command, *arguments)
        except WorkerError as error:
            self.outcomes[name].problem = str(error)
            return None

    def warm_up(self) -> None:
        """Start every worker and let each peer run once."""
        for name in self.outcomes:
            self._attempt(name, "warm_up", name)

    def _run(self, name: str, number: int) -> Round | None:
        time.sleep(SETTLE_SECONDS)
        timed = self._attempt(name, "run_round", name, number, self.options.min_seconds)
        if timed is not None:
            self.outcomes[name].add(timed)
        return timed

    def run_round(self, number: int) -> None:
        """Run baseline, peer, baseline, next peer ... so that each ratio compares neighbours in time."""
        baseline = self.options.baseline
        others = [name for name in self._usable() if name != baseline]
        with_baseline = baseline in self._usable()
        if with_baseline and not others:
            self._run(baseline, number)
        for name in others:
            own = self._run(baseline, number) if with_baseline else None
            timed = self._run(name, number)
            if own and timed:
                whole_fits = self.task.n_iter is None
                iterations = 1.0 if whole_fits else timed.n_iter / own.n_iter
                self.outcomes[name].ratios.append(timed.seconds / own.seconds / iterations)

    def judge(self, X: np.ndarray) -> None:
        """Recompute the inertia of every result, and count wrong labels if asked to."""
        for name in self._usable():
            fit = self._attempt(name, "result", name)
            if fit is None:
                continue
            outcome = self.outcomes[name]
            outcome.inertia = exact.inertia(X, fit.centers)
            if self.options.check and fit.labels is not None:
                check = exact.check_labels(X, fit.centers, fit.labels)
                outcome.labels_different, outcome.labels_rounding = check

    def weigh(self) -> None:
        """Measure each peer's peak memory in a fresh process that fits once."""
        with _fresh_worker(self.task, self.options.wait_policy) as worker:
            loaded = worker.ask("peak_after_loading")
        if loaded is None:
            return
        for name in self._usable():
            with _fresh_worker(self.task, self.options.wait_policy) as worker:
                try:
                    library = worker.ask("peak_after_library", name)
                    peak = worker.ask("peak_after_fit", name)
                except WorkerError:
                    continue  # its times stand; the memory column stays empty
            self.outcomes[name].library_mb = (library - loaded) / _MB
            self.outcomes[name].memory_mb = (peak - loaded) / _MB

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


@contextmanager
def _fresh_worker(task: Task, wait_policy: str) -> Iterator[Worker]:
    worker = Worker(task, wait_policy)
    try:
        yield worker
    finally:
        worker.close()


def run_workload(options: argparse.Namespace, X: np.ndarray, n_clusters: int) -> dict[str, Outcome]:
    """Run all rounds of all peers on one array.

    Parameters
    ----------
    options : argparse.Namespace
        Of `parse_arguments`.
    X : ndarray of shape (n_samples, n_features)
    n_clusters : int

    Returns
    -------
    dict of str to Outcome
    """
    with tempfile.TemporaryDirectory(prefix="fastkmeans-bench-") as folder:
        rows_file, centers_file = os.path.join(folder, "rows.npy"), os.path.join(folder, "centers.npy")
        np.save(rows_file, X)
        np.save(centers_file, datasets.initial_centers(X, n_clusters, options.seed))
        n_iter = None if options.full_fit else options.iterations
        bench = Bench(options, Task(rows_file, centers_file, n_iter, options.threads))
        try:
            bench.warm_up()
            for number in range(options.rounds):
                bench.run_round(number)
            bench.judge(X)
            bench.close()
            if options.memory:
                bench.weigh()
        finally:
            bench.close()
    return bench.outcomes


# --- the report -----------------------------------------------------------------------------------

_COLUMNS = (
    "peer",
    "seconds",
    "iterations",
    "ratio",
    "min..max",
    "cores",
    "inertia",
    "memory MB",
    "wrong labels",
)


def _seconds(values: list[float]) -> str:
    median = statistics.median(values)
    return f"{median:.3f}" if median >= 0.1 else f"{median * 1e3:.3f}e-3"


def _inertia(outcome: Outcome, baseline: Outcome | None, same_start: bool) -> str:
    if outcome.inertia is None:
        return ""
    if baseline is None or baseline.inertia is None or baseline is outcome:
        return f"{outcome.inertia:.8g}"
    if baseline.inertia == 0:
        return f"{outcome.inertia:.3g}"
    excess = outcome.inertia / baseline.inertia - 1
    return f"{excess:+.1e}" if same_start else f"({excess:+.1e})"


def _memory(outcome: Outcome) -> str:
    if outcome.memory_mb is None or outcome.library_mb is None:
        return ""
    return f"{outcome.memory_mb:.0f} (library {outcome.library_mb:.0f})"


def _wrong_labels(outcome: Outcome) -> str:
    if outcome.labels_different is None:
        return ""
    rounding = f" ({outcome.labels_rounding} by rounding)" if outcome.labels_rounding else ""
    return f"{outcome.labels_different}{rounding}"


def _row(name: str, outcome: Outcome, baseline: Outcome | None, whole_fits: bool) -> tuple[str, ...]:
    if outcome.problem or not outcome.seconds:
        return (name, "none", *[""] * (len(_COLUMNS) - 2))
    ratio = f"{statistics.median(outcome.ratios):.2f}" if outcome.ratios else ""
    spread = f"{min(outcome.ratios):.2f}..{max(outcome.ratios):.2f}" if outcome.ratios else ""
    return (
        name,
        _seconds(outcome.seconds),
        f"{statistics.median(outcome.n_iter):g}",
        ratio,
        spread,
        f"{statistics.median(outcome.cores):.2f}",
        _inertia(outcome, baseline, peers.PEERS[name].same_start or whole_fits),
        _memory(outcome),
        _wrong_labels(outcome),
    )


def as_table(outcomes: dict[str, Outcome], baseline_name: str, whole_fits: bool = False) -> str:
    """Format the outcomes of one workload as a Markdown table.

    Ratios are the peer's time over the baseline's: above 1 the baseline is faster. Inertia is relative to the
    baseline's, in brackets when the peer started from other centers. Why a peer has no result stands below.
    """
    baseline = outcomes.get(baseline_name)
    rows = [_COLUMNS, *(_row(name, outcome, baseline, whole_fits) for name, outcome in outcomes.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    problems = [f"\n{name}: {outcome.problem}" for name, outcome in outcomes.items() if outcome.problem]
    return "\n".join(lines + problems)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _split(values: list[str] | None) -> list[str] | None:
    return None if values is None else [name for value in values for name in value.split(",") if name]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read and check the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--workload", nargs="+", metavar="NAME", help="default: all; see --list")
    default_peers = ", ".join(peers.DEFAULT_PEERS)
    parser.add_argument("--peers", nargs="+", metavar="NAME", help=f"default: {default_peers}")
    parser.add_argument("--baseline", default="fastkmeans", metavar="NAME", help="ratios are relative to it")
    parser.add_argument("--iterations", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=peers.n_threads_available(), metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the initial centers")
    parser.add_argument("--samples", type=int, metavar="N", help="use only the first N rows of each workload")
    parser.add_argument(
        "--min-seconds", type=float, default=0.1, metavar="S", help="repeat a fast fit so long within a round"
    )
    parser.add_argument(
        "--full-fit",
        action="store_true",
        help="time the default fit of each estimator, k-means++ and tolerance included",
    )
    parser.add_argument(
        "--isolated",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a process for each peer; --no-isolated puts all into one",
    )
    parser.add_argument(
        "--wait-policy",
        choices=("library", "passive", "active"),
        help="OMP_WAIT_POLICY for all peers; default: library (unset) when isolated, else passive",
    )
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True, help="measure peak memory")
    parser.add_argument("--check", action="store_true", help="count labels other than the float64 nearest")
    parser.add_argument("--json", metavar="FILE", help="write every measured number to FILE")
    parser.add_argument("--list", action="store_true", help="list workloads and peers, and do nothing else")
    options = parser.parse_args(arguments)

    try:
        options.workload = datasets.select(_split(options.workload))
    except ValueError as error:
        parser.error(str(error))
    options.peers = _split(options.peers) or peers.DEFAULT_PEERS
    for name in (*options.peers, options.baseline):
        if name not in peers.PEERS:
            parser.error(f"peer must be one of {', '.join(peers.PEERS)}; got {name!r}.")
    if options.baseline not in options.peers:
        options.peers = [options.baseline, *options.peers]
    if options.full_fit:
        options.peers = [name for name in options.peers if peers.PEERS[name].full_fit]
    for name in ("iterations", "rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1; got {getattr(options, name)}.")
    if options.wait_policy is None:
        options.wait_policy = "library" if options.isolated else "passive"
    return options


def _list() -> None:
    for name, workload in datasets.WORKLOADS.items():
        print(f"{name:16} k={workload.n_clusters:<5} {workload.about}")
    print()
    for name, peer in peers.PEERS.items():
        print(f"{name:22} {peers.version(name) or 'absent':12} {peer.note}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = parse_arguments(arguments)
    if options.list:
        _list()
        return 0

    versions = {name: peers.version(name) for name in options.peers}
    what = "default fits" if options.full_fit else f"{options.iterations} iterations from given centers"
    print(f"{_processor()}, {options.threads} threads, Python {platform.python_version()}")
    print(f"{what}, {options.rounds} rounds, ratio = time / time of {options.baseline}")
    print(", ".join(f"{name} {installed or 'absent'}" for name, installed in versions.items()))

    report = {
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": versions,
        "options": {key: value for key, value in vars(options).items() if key != "json"},
        "workloads": {},
    }
    for name in options.workload:
        workload = datasets.WORKLOADS[name]
        try:
            X = workload.make()[: options.samples]
        except Absent as reason:
            print(f"\n### {name}: skipped\n{reason}")
            continue
        shape = f"{len(X)} x {X.shape[1]} {X.dtype}"
        print(f"\n### {name}: {shape}, k={workload.n_clusters}\n", flush=True)
        outcomes = run_workload(options, X, workload.n_clusters)
        print(as_table(outcomes, options.baseline, options.full_fit), flush=True)
        report["workloads"][name] = {
            "shape": list(X.shape),
            "dtype": str(X.dtype),
            "n_clusters": workload.n_clusters,
            "peers": {peer: asdict(outcome) for peer, outcome in outcomes.items()},
        }
        if options.json:
            Path(options.json).write_text(json.dumps(report, indent=1))

    print()
    for name in options.peers:
        print(f"- {name}: {peers.PEERS[name].note}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
