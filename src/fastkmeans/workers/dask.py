"""The transport of Dask's workers: tasks go to the workers that hold the parts, one task per worker and call.

What a worker holds has a recipe, so that the scheduler makes it again elsewhere if the worker dies. Nothing is pinned to a worker,
no actor is used, and nothing is scattered, because scattered data and actors are lost with their worker. What tasks share, such
as centers, goes with each of them if it is small. Else it is the result of a task too, so that workers fetch it from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from os import urandom
from pickle import dumps
from time import monotonic
from typing import Any

from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError

from . import kept
from .calls import DISTRIBUTION, Given, Group, Mapped, Merged
from .held import Held, Holding
from .transport import Handle
from .waiting import ON_THE_WAY, Scheduler, SchedulerLostError

FAN_IN = 8
"""So many results are merged by one task, or here: a task that merges the last few would delay each step by a message or two."""

WITHIN_TASKS_BYTES = 1 << 20
"""What tasks share is a part of each of them, if that makes no more bytes. Else it is a task of its own, whose result workers fetch from
each other: that takes two messages more."""

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


class DaskTransport:
    """The workers of a cluster; see Transport. Handles are Held (held.py).

    client : of the cluster.   n_threads : of each worker; None for as many as the worker has.
    """

    def __init__(self, client: Client, n_threads: int | None) -> None:
        self._client, self._n_threads, self._version = client, n_threads, client_version()
        self._scheduler = Scheduler(client)
        self._placed: tuple[float, list[str], list[list[int]]] = (0.0, [], [])  # when, keys, groups
        self._check_versions()

    def _check_versions(self) -> None:
        found = self._scheduler.ask(self._client.run, version_of, DISTRIBUTION, on_error="return")
        missing = [address for address, own in found.items() if isinstance(own, PackageNotFoundError)]
        if missing:
            raise RuntimeError(
                f"{DISTRIBUTION} must be installed on all workers; {', '.join(missing)} lack it. Install "
                f"{DISTRIBUTION}=={self._version} there."
            )
        # A worker that does not answer is dying. Each task looks again.
        other = {address: own for address, own in found.items() if isinstance(own, str) and own != self._version}
        if other:
            listed = ", ".join(f"{address} has {own}" for address, own in other.items())
            raise RuntimeError(
                f"{DISTRIBUTION} must have one version on the client and all workers; the client has {self._version}, {listed}. "
                f"Install {DISTRIBUTION}=={self._version} there."
            )

    def hold(self, read: Callable[[str], list[Any]]) -> list[Handle]:
        """Let workers compute the parts of X, and hold them.   read : see Holding."""
        self._holding = Holding(read, self._scheduler)
        return list(self._holding.parts)

    def map(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Handle]:
        """See Transport."""
        work = [Mapped(task, own, self._n_threads, self._version) for own in arguments]
        return list(self._holding.map(_name_of(task), work, sources))

    def reduce(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]],
        shared: tuple[Any, ...], merge: Callable[[list[Any]], Any],
    ) -> Any:  # fmt: skip
        """See Transport. If workers die too often for the scheduler, the call is made again, MOST_TRIES times."""
        for tries_left in reversed(range(MOST_TRIES)):
            self._wait_for(held for own in sources for held in own)
            graph, keys = self._graph_of(task, sources, arguments, shared, merge)
            found = self._scheduler.submit(graph, keys)
            try:
                if self._scheduler.wait_for(found, partial(self._is_idle, graph)):
                    return merge(self._scheduler.results_of(found))
            except (KilledWorker, FutureCancelledError):
                if not tries_left:
                    raise
            except BaseException:  # Ctrl-C, too: what runs is given up, and the cluster stays usable
                with suppress(SchedulerLostError):
                    self._scheduler.ask(self._client.cancel, found)
                raise
            is_stuck = any(future.status in ON_THE_WAY for future in found)
            self._scheduler.forget(found)
            if is_stuck:
                self._holding.again()
        raise self._stuck()

    def close(self, samples: str) -> None:
        """See Transport."""
        with suppress(SchedulerLostError):
            self._scheduler.ask(self._client.run, kept.forget, samples, on_error="ignore")
            self._holding.release()

    def _wait_for(self, handles: Iterable[Held]) -> None:
        """Wait until workers hold these. Raises LostPartitionError for a part that cannot be made again."""
        held = list(dict.fromkeys(handles))
        for tries_left in reversed(range(MOST_TRIES)):
            is_done = self._scheduler.wait_for([one.future for one in held], partial(self._is_idle, ()))
            lost = [one for one in held if one.future.status == "cancelled"]
            if lost:
                raise LostPartitionError(self._say_lost(lost))
            errors = [one.future.exception() for one in held if one.future.status == "error"]
            if is_done and not errors:
                return
            for error in errors:
                if not isinstance(error, KilledWorker) or not tries_left:
                    raise error
            self._holding.again()
        raise self._stuck()

    def _is_idle(self, graph: Iterable[Any]) -> bool:
        """Is nothing on its way to what this fit waits for, although there are workers?   graph : keys that are waited for."""
        of_x, persisted = self._holding.keys_of_x()
        # What persisted partitions are made of is not known here.
        return not self._scheduler.is_at_work({*graph, *self._holding.keys(), *of_x, *persisted}, not persisted)

    @staticmethod
    def _stuck() -> RuntimeError:
        return RuntimeError(
            f"the scheduler must run the tasks of a fit; it has done nothing for them {MOST_TRIES} times, although there are workers. "
            "Restart the cluster, and fit again."
        )

    def _say_lost(self, lost: list[Held]) -> str:
        numbers = [number for number, part in enumerate(self._holding.parts) if part in lost]
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
        """Return the graph of a call of `reduce`, and the keys of at most FAN_IN results, which are merged here."""
        name, graph = _name_of(task), dict[str, Any]()
        groups = self._groups_of([own[0] for own in sources])
        packed = dumps(shared, protocol=5)
        first: list[str] = []
        if len(packed) * len(groups) > WITHIN_TASKS_BYTES:
            first = [f"{name}-shared"]
            graph[first[0]] = (Given(packed),)
        level = []
        for g, group in enumerate(groups):
            own = [arguments[i] for i in group]
            counts = [len(sources[i]) for i in group]
            work = Group(task, merge, None if first else packed, own, counts, self._n_threads, self._version)
            level.append(f"{name}-group-{g}")
            graph[level[-1]] = (work, *first, *(one.future for i in group for one in sources[i]))
        depth = 0
        while len(level) > FAN_IN:
            above = []
            for m in range(0, len(level), FAN_IN):
                above.append(f"{name}-merge-{depth}-{m}")
                graph[above[-1]] = (Merged(merge), *level[m : m + FAN_IN])
            level, depth = above, depth + 1
        return graph, level

    def _groups_of(self, held: list[Held]) -> list[list[int]]:
        """Return the numbers of the results, grouped by the worker that holds them. One that nobody holds is a group."""
        futures, now = [one.future for one in held], monotonic()
        keys = [future.key for future in futures]
        if self._placed[1] == keys and now - self._placed[0] < PLACED_SECONDS:
            return self._placed[2]
        holders = self._scheduler.ask(self._client.who_has, futures)
        groups: dict[str, list[int]] = {}
        for i, future in enumerate(futures):
            known = holders.get(future.key) or (f"nobody holds {i}",)
            holder = min(known, key=lambda worker: len(groups.get(worker, ())))
            groups.setdefault(holder, []).append(i)
        self._placed = now, keys, list(groups.values())
        return self._placed[2]


def _name_of(task: Callable[..., Any]) -> str:
    """Return a name for the keys of a call, which no other call has."""
    return f"fastkmeans-{task.__name__}-{urandom(8).hex()}"
