"""What Dask's workers call: tasks, with the threads of the worker."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as version_of
from itertools import islice
from pickle import loads
from typing import Any

from distributed import get_worker

from .running import run_group, using_threads

DISTRIBUTION = "fastkmeans-core"


class Given:
    """A task without sources: returns what it was given."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self) -> Any:
        return self._value


class Group:
    """A task for all members of a group that lie on one worker, and for all results of theirs one result.

    task, merge : of Transport.reduce.   shared : pickled; None if it comes as the first source.
    arguments, counts : of each member, and how many sources it has.
    n_threads : of each task; None for as many as the worker has.   version : of this package, on the client.
    """

    def __init__(
        self, task: Callable[..., Any], merge: Callable[[list[Any]], Any], shared: bytes | None,
        arguments: list[tuple[Any, ...]], counts: list[int], n_threads: int | None, version: str,
    ) -> None:  # fmt: skip
        self._task, self._merge, self._shared, self._arguments, self._counts = task, merge, shared, arguments, counts
        self._n_threads, self._version = n_threads, version

    def __call__(self, *held: Any) -> Any:
        sources = iter(held)
        shared = loads(next(sources) if self._shared is None else self._shared)
        members = [(tuple(islice(sources, n)), own) for n, own in zip(self._counts, self._arguments, strict=True)]
        with _threads_of_worker(self._n_threads, self._version):
            return run_group(self._task, self._merge, shared, members)


class Mapped:
    """A task whose result stays on the worker; the arguments are as for Group."""

    def __init__(
        self, task: Callable[..., Any], arguments: tuple[Any, ...], n_threads: int | None, version: str
    ) -> None:
        self.task, self._arguments, self._n_threads, self._version = task, arguments, n_threads, version

    def __call__(self, *held: Any) -> Any:
        with _threads_of_worker(self._n_threads, self._version):
            return self.task(*held, *self._arguments)


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
