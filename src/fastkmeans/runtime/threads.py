"""How many threads to use, asked anew at each call: never stored in a model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from .._core import runtime

# Multiply-adds below which a second thread does not pay for being woken (20 us, against about 50 GFLOP/s a core).
MIN_PARALLEL_WORK = 1 << 19

# Multiply-adds that take as long as what a sample and a center cost beside their features: folding a score into the
# best two.
SCORE_WORK = 10

# More only cost memory, and OpenMP's own library ends the process when it cannot start them. The results are the same
# bits.
MAX_THREADS = max(64, 4 * (os.cpu_count() or 1))

# How old a reading of the quota may be. A reading takes 75 us, and 1.5 ms after a rest: longer than many a fit.
QUOTA_SECONDS = 10.0

_CGROUP_ROOT = "/sys/fs/cgroup"


def effective_n_threads(n_threads: int | None, work: float = float("inf")) -> int:
    """Return the number of threads for a call.

    n_threads : what the caller asked for; None for OMP_NUM_THREADS if set, else the CPUs that this process may
    use by its affinity and its control group's quota.
    work : multiply-adds of the call; little work gets one thread, however many were asked for.
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

    Cores multiply and add twice as fast here as in work that is one pass over the samples.
    """
    return 0.5 * n_samples * n_clusters * (n_features + SCORE_WORK)


def available_cpus() -> int:
    """Return the CPUs that this process may use: its affinity, cut by the quota of its control group (v1 or v2)."""
    cpus = runtime.n_cpus() or os.cpu_count() or 1
    quota = _quota_of_late()
    return cpus if quota is None else max(1, min(cpus, -int(-quota // 1)))


_read_quota: tuple[float, float | None] = (-QUOTA_SECONDS, None)


def _quota_of_late() -> float | None:
    """Return the quota of the control groups, read anew if the last reading is old."""
    global _read_quota
    now = time.monotonic()
    if now - _read_quota[0] >= QUOTA_SECONDS:
        _read_quota = now, cgroup_quota()
    return _read_quota[1]


def cgroup_quota(read: Callable[[str], str] | None = None) -> float | None:
    """Return the CPUs that the control groups of this process grant, None without a quota.

    The tightest quota counts, from the process's own group up to the root.   read : path -> text, "" if there
    is no such file; for tests.
    """
    read = read or _read
    quotas = []
    for line in read("/proc/self/cgroup").splitlines() or ["0::/"]:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for folder in _upwards(group):
            quotas += _quota(read, folder, is_v2=not controllers)
    return min(quotas, default=None)


def _upwards(group: str) -> list[str]:
    """Return a group's folder and those above it; in a container the root is the container's own group."""
    parts = [part for part in group.split("/") if part and part != ".."]
    return ["/".join(["", *parts[:length]]) for length in range(len(parts), -1, -1)]


def _quota(read: Callable[[str], str], folder: str, is_v2: bool) -> list[float]:
    if is_v2:
        limits = read(f"{_CGROUP_ROOT}{folder}/cpu.max").split()
    else:
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        limits = [read(f"{_CGROUP_ROOT}/cpu{folder}/{name}").strip() for name in files]
    try:
        quota, period = float(limits[0]), float(limits[1])
    except (IndexError, ValueError):  # "max", or no such file
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def _read(path: str) -> str:
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
