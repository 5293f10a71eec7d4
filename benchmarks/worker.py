"""A process of its own for each peer, told by pipe to run a round.

Several thread pools in one process disturb each other: the idle threads of one library spin on the cores that
the next one needs. A worker holds one library, and only one worker is busy at a time.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from . import peers

POOL_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Round(NamedTuple):
    """Medians over the runs of one round: seconds of a run, busy cores, iterations run."""

    seconds: float
    cores: float
    n_iter: int


class Task(NamedTuple):
    """What every peer is asked to do: files of the rows and of the initial centers, iterations and threads.

    With n_iter None the task is the library's own default fit: its seeding, its tolerance, the round's number
    as random seed.
    """

    rows_file: str
    centers_file: str
    n_iter: int | None
    n_threads: int


class WorkerError(RuntimeError):
    """A worker failed or ended; the message says how."""


def peak_bytes() -> int | None:
    """Return the largest resident size that this process has had, or None where the system does not tell.

    Linux keeps it per address space in /proc. Its getrusage also counts the parent's pages from before exec;
    it serves elsewhere only.
    """
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Bench:
    """The worker's side: arrays, prepared fits, and the last result of each peer."""

    def __init__(self, task: Task):
        self.task = task
        self.rows = np.load(task.rows_file)
        self.centers = np.load(task.centers_file)
        self.prepared: dict[str, Callable[[], peers.Fit]] = {}
        self.last: dict[str, peers.Fit] = {}

    def _prepare(self, peer: str, seed: int) -> Callable[[], peers.Fit]:
        n_iter, n_threads = self.task.n_iter, self.task.n_threads
        if n_iter is None:
            return peers.prepare(peer, "full_fit", self.rows, len(self.centers), seed, n_threads)
        if peer not in self.prepared:
            self.prepared[peer] = peers.prepare(peer, "fit", self.rows, self.centers, n_iter, n_threads)
        return self.prepared[peer]

    def warm_up(self, peer: str) -> None:
        """Pay for imports, thread pools and first touches before the clock runs."""
        peers.prepare(peer, "fit", self.rows, self.centers, 1, self.task.n_threads)()
        self._prepare(peer, seed=0)

    def run_round(self, peer: str, number: int, min_seconds: float) -> Round:
        """Repeat the fit until `min_seconds` are spent, at least once."""
        fit = self._prepare(peer, seed=number)
        runs: list[tuple[float, float]] = []
        while not runs or sum(seconds for seconds, _ in runs) < min_seconds:
            run = peers.clock(fit)
            runs.append((run.seconds, run.cpu_seconds))
        self.last[peer] = run.fit
        seconds = statistics.median(seconds for seconds, _ in runs)
        cores = sum(cpu_seconds for _, cpu_seconds in runs) / sum(seconds for seconds, _ in runs)
        return Round(seconds, cores, run.fit.n_iter)

    def result(self, peer: str) -> peers.Fit:
        return self.last[peer]

    def peak_after_loading(self) -> int | None:
        return peak_bytes()

    def peak_after_library(self, peer: str) -> int | None:
        """Return the peak once the library is loaded and has worked on a handful of rows."""
        n_rows = min(len(self.rows), 256)
        few = np.ascontiguousarray(self.rows[:n_rows])
        peers.prepare(peer, "fit", few, few[:2].copy(), 1, self.task.n_threads)()
        return peak_bytes()

    def peak_after_fit(self, peer: str) -> int | None:
        """Return the peak once a fit is done; two iterations hold as much memory as twenty."""
        if self.task.n_iter is None:
            self._prepare(peer, seed=0)()
        else:
            n_iter = min(2, self.task.n_iter)
            peers.prepare(peer, "fit", self.rows, self.centers, n_iter, self.task.n_threads)()
        return peak_bytes()


def _serve(connection: Connection, task: Task) -> None:
    warnings.simplefilter("ignore")  # peers warn about each other's choices, e.g. clusters that stay empty
    bench = _Bench(task)
    while True:
        command, arguments = connection.recv()
        if command == "stop":
            return
        try:
            connection.send((True, getattr(bench, command)(*arguments)))
        except Exception as error:
            # The class of a third-party exception may not survive the pipe; its text does.
            absent = isinstance(error, peers.Absent)
            connection.send((False, str(error) if absent else f"{type(error).__name__}: {error}"))


class Worker:
    """The caller's side of one worker process.

    Parameters
    ----------
    task : Task
    wait_policy : {"library", "passive", "active"}
        OMP_WAIT_POLICY of the process; "library" leaves it unset.

    Examples
    --------
    ``worker.ask("run_round", "numpy", 0, 0.1)`` runs the method of that name in the other process.
    """

    def __init__(self, task: Task, wait_policy: str):
        # A child takes its environment at the start, before any library reads it.
        environment = dict.fromkeys(POOL_VARIABLES, str(task.n_threads))
        if wait_policy != "library":
            environment["OMP_WAIT_POLICY"] = wait_policy
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, task), daemon=True)
        before = {name: os.environ.get(name) for name in (*environment, "OMP_WAIT_POLICY")}
        os.environ.pop("OMP_WAIT_POLICY", None)
        os.environ.update(environment)
        try:
            self._process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
        theirs.close()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Run one method of the bench in the worker and return its result.

        Raises
        ------
        WorkerError
            If the method raised, or the process ended.
        """
        try:
            self._connection.send((command, arguments))
            succeeded, answer = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(5)
            raise WorkerError(f"the process ended with exit code {self._process.exitcode}") from error
        if not succeeded:
            raise WorkerError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        try:
            self._connection.send(("stop", ()))
        except (BrokenPipeError, ConnectionResetError):
            pass
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
        self._connection.close()
