"""How many threads to use, asked anew at each call: never stored in a model."""

from __future__ import annotations

import os

from ._core import runtime

# Multiply-adds below which a second thread does not pay for being woken (20 us, against about 50 GFLOP/s a core).
MIN_PARALLEL_WORK = 1 << 19

_CGROUP_V2 = "/sys/fs/cgroup/cpu.max"
_CGROUP_V1 = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
_CGROUP_V1_PERIOD = "/sys/fs/cgroup/cpu/cpu.cfs_period_us"


def effective_n_threads(n_threads: int | None, work: float = float("inf")) -> int:
    """Return the number of threads for a call.

    n_threads : what the caller asked for; None for OMP_NUM_THREADS if set, else the CPUs that this process may use by its
    affinity and its control group's quota.
    work : multiply-adds of the call; little work gets one thread, however many were asked for.
    """
    if work < MIN_PARALLEL_WORK or not runtime.has_openmp() or _forked_behind_our_back():
        return 1
    if n_threads is not None:
        return int(n_threads)
    from_environment = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if from_environment.isdigit() and int(from_environment) > 0:
        return int(from_environment)
    return max(1, min(available_cpus(), runtime.openmp_max_threads()))


def available_cpus() -> int:
    """Return the CPUs that this process may use: its affinity, cut by the quota of its control group (v1 or v2)."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    return cpus if quota is None else max(1, min(cpus, -int(-quota // 1)))


def cgroup_quota(read=None) -> float | None:
    """Return the CPUs that the control group grants, None without a quota.   read : path -> text, for tests."""
    read = read or _read
    limits = read(_CGROUP_V2).split()
    if len(limits) != 2:
        limits = [read(_CGROUP_V1).strip(), read(_CGROUP_V1_PERIOD).strip()]
    try:
        quota, period = float(limits[0]), float(limits[1])
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


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
    """Was this process forked by C code, which runs no Python hooks? Then OpenMP's pool would wait for lost threads."""
    return os.getpid() != _pid


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=runtime.openmp_release, after_in_child=_remember_pid)
