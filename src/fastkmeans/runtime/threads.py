"""How many threads a call uses. Each call finds the number again; no model stores it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from .._core import runtime

# With fewer multiply-adds a second thread does not pay: waking it takes 20 us, and a core does about 50 GFLOP/s.
MIN_PARALLEL_WORK = 1 << 19

# Comparing a score with the best two takes as long as this many multiply-adds.
SCORE_WORK = 10

# More threads only cost memory, and OpenMP's library ends the process if it cannot start them. Results have the same bits
# for any number.
MAX_THREADS = max(64, 4 * (os.cpu_count() or 1))

# How old a reading of the quota may be. Reading takes 75 us, or 1.5 ms after a pause, which is longer than many fits.
QUOTA_SECONDS = 10.0

CGROUP_ROOT = "/sys/fs/cgroup"


def effective_n_threads(n_threads: int | None, work: float = float("inf")) -> int:
    """Return the number of threads for a call.

    n_threads : the number that the caller asked for. None: OMP_NUM_THREADS if it is set, else the number of CPUs that
    affinity and control group allow this process.
    work : multiply-adds of the call. Below MIN_PARALLEL_WORK it gets one thread, whatever n_threads is.
    """
    if work < MIN_PARALLEL_WORK or not runtime.has_openmp() or _forked_behind_our_back():
        return 1
    if n_threads is not None:
        return min(int(n_threads), MAX_THREADS)
    from_environment = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if from_environment.isdecimal() and int(from_environment) > 0:
        return min(int(from_environment), MAX_THREADS)
    return max(1, min(available_cpus(), runtime.openmp_max_threads()))


def assignment_work(n_samples: int, n_features: int, n_clusters: int) -> float:
    """Return the work of comparing all samples with all centers, for effective_n_threads.

    It is halved, because cores multiply and add twice as fast here as in a single pass over the samples.
    """
    return 0.5 * n_samples * n_clusters * (n_features + SCORE_WORK)


def available_cpus() -> int:
    """Return how many CPUs this process may use, by its affinity and the quota of its control group (v1 or v2)."""
    cpus = runtime.n_cpus() or os.cpu_count() or 1
    quota = _quota_of_late()
    return cpus if quota is None else max(1, min(cpus, -int(-quota // 1)))


_read_quota: tuple[float, float | None] = (-QUOTA_SECONDS, None)


def _quota_of_late() -> float | None:
    """Return the quota of the control groups. It is read again if the last reading is old."""
    global _read_quota
    now = time.monotonic()
    if now - _read_quota[0] >= QUOTA_SECONDS:
        _read_quota = now, cgroup_quota()
    return _read_quota[1]


def cgroup_quota(read: Callable[[str], str] | None = None) -> float | None:
    """Return the number of CPUs that the control groups of this process grant; None without a quota.

    The smallest quota counts, from the process's own group up to the root.   read : path -> text, "" if there
    is no such file; for tests.
    """
    read = read or read_text
    quotas = []
    for line in read("/proc/self/cgroup").splitlines() or ["0::/"]:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for folder in groups_upwards(group):
            quotas += _quota(read, folder, is_v2=not controllers)
    return min(quotas, default=None)


def groups_upwards(group: str) -> list[str]:
    """Return the folder of a group and all folders above it. In a container the root is the container's own group."""
    parts = [part for part in group.split("/") if part and part != ".."]
    return ["/".join(["", *parts[:length]]) for length in range(len(parts), -1, -1)]


def _quota(read: Callable[[str], str], folder: str, is_v2: bool) -> list[float]:
    if is_v2:
        limits = read(f"{CGROUP_ROOT}{folder}/cpu.max").split()
    else:
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        limits = [read(f"{CGROUP_ROOT}/cpu{folder}/{name}").strip() for name in files]
    try:
        quota, period = float(limits[0]), float(limits[1])
    except (IndexError, ValueError):  # "max", or no such file
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def read_text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


_pid = os.getpid()


def _remember_pid() -> None:
    global _pid
    _pid = os.getpid()


def _forked_behind_our_back() -> bool:
    """Was this process forked by C code, which runs no Python hooks?

    Then OpenMP's own pool would wait for lost threads.
    """
    return os.getpid() != _pid and not runtime.has_pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=runtime.openmp_release, after_in_child=_remember_pid)
