"""The transport of Dask's workers: tasks go to the workers that hold the parts, one task per worker and call.

What a worker holds has a recipe, so that the scheduler makes it again elsewhere if the worker dies. Nothing is pinned to a worker,
no actor is used, and nothing is scattered, because scattered data and actors are lost with their worker. What tasks share, such
as centers, is the result of a task too, so that workers fetch it from each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from itertools import islice
from os import urandom
from time import monotonic
from typing import Any

from distributed import Client, Future, KilledWorker, get_worker, wait
from distributed.client import FutureCancelledError, FuturesCancelledError

from . import kept
from .tasks import run_group, using_threads
from .transport import Handle

DISTRIBUTION = "fastkmeans-core"

FAN_IN = 8
"""So many results are merged by one task."""

MOST_TRIES = 5
"""A task is given up when it has been running on so many times four workers that died (distributed.scheduler.allowed-failures
is 3)."""

PLACED_SECONDS = 1.0
"""The scheduler is asked anew where parts lie if its last answer is older. Until then a part that has moved is fetched."""


class LostPartitionError(RuntimeError):
    """Raised if partitions of X are lost and cannot be made again, because they have no recipe."""


def client_version() -> str:
    """Return the version of this package in this process."""
    return version_of(DISTRIBUTION)


class Given:
    """A task without sources: returns what it was given."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self) -> Any:
        return self._value


class Group:
    """A task for all members of a group that lie on one worker, and for all results of theirs one result.

    task, merge : of Transport.reduce.   arguments, counts : of each member, and how many sources it has.
    n_threads : of each task; None for as many as the worker has.   version : of this package, on the client.
    """

    def __init__(
        self, task: Callable[..., Any], merge: Callable[[list[Any]], Any], arguments: list[tuple[Any, ...]],
        counts: list[int], n_threads: int | None, version: str,
    ) -> None:  # fmt: skip
        self._task, self._merge, self._arguments, self._counts = task, merge, arguments, counts
        self._n_threads, self._version = n_threads, version

    def __call__(self, shared: tuple[Any, ...], *held: Any) -> Any:
        sources = iter(held)
        members = [(tuple(islice(sources, n)), own) for n, own in zip(self._counts, self._arguments, strict=True)]
        with _threads_of_worker(self._n_threads, self._version):
            return run_group(self._task, self._merge, shared, members)


class Mapped:
    """A task whose result stays on the worker; the arguments are as for Group."""

    def __init__(
        self, task: Callable[..., Any], arguments: tuple[Any, ...], n_threads: int | None, version: str
    ) -> None:
        self._task, self._arguments, self._n_threads, self._version = task, arguments, n_threads, version

    def __call__(self, *held: Any) -> Any:
        with _threads_of_worker(self._n_threads, self._version):
            return self._task(*held, *self._arguments)


class Merged:
    """Merges results of groups."""

    def __init__(self, merge: Callable[[list[Any]], Any]) -> None:
        self._merge = merge

    def __call__(self, *found: Any) -> Any:
        return self._merge(list(found))


def _threads_of_worker(n_threads: int | None, version: str) -> Any:
    """Return a context in which tasks use the threads of this worker. Raises RuntimeError if it runs another version.

    Dask's nanny sets OMP_NUM_THREADS to 1, because it runs as many tasks at a time as a worker has threads. A step is one task.
    """
    worker = get_worker()
    own = version_of(DISTRIBUTION)
    if own != version:
        raise RuntimeError(
            f"{DISTRIBUTION} must have one version on the client and all workers; worker {worker.address} has {own}, and the client "
            f"{version}. Install {DISTRIBUTION}=={version} there."
        )
    return using_threads(worker.state.nthreads if n_threads is None else n_threads)


class DaskTransport:
    """The workers of a cluster; see Transport. Handles are futures.

    client : of the cluster.   n_threads : of each worker; None for as many as the worker has.
    """

    def __init__(self, client: Client, n_threads: int | None) -> None:
        self._client, self._n_threads, self._version = client, n_threads, client_version()
        self._numbers: dict[str, int] = {}  # key of a part of X -> its number
        self._placed: tuple[float, list[str], list[list[int]]] = (0.0, [], [])  # when, keys, groups
        self._check_versions()

    def _check_versions(self) -> None:
        found = self._client.run(version_of, DISTRIBUTION, on_error="return")
        missing = [address for address, own in found.items() if isinstance(own, PackageNotFoundError)]
        if missing:
            raise RuntimeError(
                f"{DISTRIBUTION} must be installed on all workers; {', '.join(missing)} lack it. Install "
                f"{DISTRIBUTION}=={self._version} there."
            )
        other = {address: own for address, own in found.items() if own != self._version}
        if other:
            listed = ", ".join(f"{address} has {own}" for address, own in other.items())
            raise RuntimeError(
                f"{DISTRIBUTION} must have one version on the client and all workers; the client has {self._version}, {listed}. "
                f"Install {DISTRIBUTION}=={self._version} there."
            )

    def hold(self, delayed: Sequence[Any]) -> list[Handle]:
        """Let workers compute the parts of X, and hold them.   delayed : of dask.delayed, in order."""
        futures: list[Future] = self._client.compute(list(delayed))
        self._numbers |= {future.key: number for number, future in enumerate(futures)}
        return futures

    def map(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Handle]:
        """See Transport."""
        name = _name_of(task)
        graph = {
            f"{name}-{i}": (Mapped(task, own, self._n_threads, self._version), *held)
            for i, (held, own) in enumerate(zip(sources, arguments, strict=True))
        }
        return self._submit(graph, list(graph))

    def reduce(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]],
        shared: tuple[Any, ...], merge: Callable[[list[Any]], Any],
    ) -> Any:  # fmt: skip
        """See Transport. If workers die too often for the scheduler, the call is made again, MOST_TRIES times."""
        for tries_left in reversed(range(MOST_TRIES)):
            self._wait_for(held for own in sources for held in own)
            (result,) = self._submit(*self._graph_of(task, sources, arguments, shared, merge))
            try:
                return result.result()
            except (KilledWorker, FutureCancelledError):
                if not tries_left:
                    raise
            except BaseException:  # Ctrl-C, too: what runs is given up, and the cluster stays usable
                result.cancel()
                raise

    def close(self, samples: str) -> None:
        """See Transport."""
        if self._client.status == "running":
            self._client.run(kept.forget, samples, on_error="ignore")

    def _wait_for(self, handles: Iterable[Handle]) -> None:
        """Wait until workers hold these. Raises LostPartitionError for a part that cannot be made again."""
        futures = list({future.key: future for future in handles}.values())
        for tries_left in reversed(range(MOST_TRIES)):
            with suppress(FuturesCancelledError):  # told below, with numbers of partitions
                wait(futures)
            failed = [future for future in futures if future.status != "finished"]
            if not failed:
                return
            lost = [future for future in failed if future.status == "cancelled"]
            if lost:
                raise LostPartitionError(self._say_lost(lost))
            erred = [future for future in failed if future.status == "error"]
            for future in erred:
                error = future.exception()
                if not isinstance(error, KilledWorker) or not tries_left:
                    raise error
            self._retry(erred)

    def _retry(self, erred: list[Future]) -> None:
        """Let the scheduler run tasks again that it has given up: all in one call, because a task must not be retried twice."""
        try:
            self._client.retry(erred)
        except KeyError:  # distributed 2026.8.0 looks up all tasks that are run again, and a client knows only its own
            for future in erred:
                self._client.futures[future.key].retry()

    def _say_lost(self, lost: list[Future]) -> str:
        numbers = sorted(self._numbers[future.key] for future in lost if future.key in self._numbers)
        which = (
            f"partition{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))} of X"
            if numbers
            else "what was made of X"
        )
        return (
            f"X must have partitions that can be made again; {which} went with a worker that was lost. Data that were "
            "scattered have no recipe: read them on the workers, for example by dask.dataframe.read_parquet, or scatter them anew."
        )

    def _graph_of(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]],
        shared: tuple[Any, ...], merge: Callable[[list[Any]], Any],
    ) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
        """Return the graph of a call of `reduce`, and the key of its result in a list."""
        name = _name_of(task)
        graph: dict[str, Any] = {f"{name}-shared": (Given(shared),)}
        level = []
        for g, group in enumerate(self._groups_of([own[0] for own in sources])):
            own = [arguments[i] for i in group]
            counts = [len(sources[i]) for i in group]
            work = Group(task, merge, own, counts, self._n_threads, self._version)
            level.append(f"{name}-group-{g}")
            graph[level[-1]] = (work, f"{name}-shared", *(held for i in group for held in sources[i]))
        depth = 0
        while len(level) > 1:
            above = []
            for first in range(0, len(level), FAN_IN):
                above.append(f"{name}-merge-{depth}-{first}")
                graph[above[-1]] = (Merged(merge), *level[first : first + FAN_IN])
            level, depth = above, depth + 1
        return graph, level

    def _groups_of(self, futures: list[Future]) -> list[list[int]]:
        """Return the numbers of the futures, grouped by the worker that holds them. One that nobody holds is a group."""
        keys, now = [future.key for future in futures], monotonic()
        if self._placed[1] == keys and now - self._placed[0] < PLACED_SECONDS:
            return self._placed[2]
        holders = self._client.who_has(futures)
        groups: dict[str, list[int]] = {}
        for i, future in enumerate(futures):
            known = holders.get(future.key) or (f"nobody holds {i}",)
            holder = min(known, key=lambda worker: len(groups.get(worker, ())))
            groups.setdefault(holder, []).append(i)
        self._placed = now, keys, list(groups.values())
        return self._placed[2]

    def _submit(self, graph: dict[str, Any], keys: list[str]) -> list[Future]:
        with warnings.catch_warnings():
            # Rows that are drawn go out with the tasks: some MB, once.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            futures: list[Future] = self._client.get(graph, keys, sync=False)
        return futures


def _name_of(task: Callable[..., Any]) -> str:
    """Return a name for the keys of a call, which no other call has."""
    return f"fastkmeans-{task.__name__}-{urandom(8).hex()}"
