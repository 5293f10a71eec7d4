"""What a fit asks of the workers that hold its samples: two verbs. And the transport of this process.

A transport moves tasks to data, never data to tasks. Tasks are pure functions of what workers hold and of arguments
(files *_tasks.py), so that a transport may run a task again, or twice. Results are merged by functions whose result does not depend
on the order. So another transport needs `map` and `reduce`, and nothing that is about k-means:

- Ray: `map` is a remote function over object references. `reduce` groups the references by node, runs a remote function per
  node, and merges the results in a tree. Lost objects are made again by lineage, as in Dask.
- MPI: each rank runs the tasks of the parts that it holds. `map` keeps results in a table of the rank; sources on another
  rank are sent (only seams have such sources). `reduce` is a gather of one merged result per rank. A dead rank ends the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .running import run_group, using_threads

Handle = Any
"""What stands for a result that a worker holds."""


class Transport(Protocol):
    """Workers, and how tasks reach them. `sources` names for each task the results that it reads, its first arguments."""

    def map(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Handle]:
        """Run task(*sources[i], *arguments[i]) for each i where its first source lies. The results stay there."""

    def reduce(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]],
        shared: tuple[Any, ...], merge: Callable[[list[Any]], Any],
    ) -> Any:  # fmt: skip
        """Run task(*sources[i], *arguments[i], *shared) for each i, merge the results worker by worker, then all; return that.

        merge : results -> one result of the same kind, the same for any order and grouping.
        """

    def close(self, samples: str) -> None:
        """Let workers forget what they keep for some samples.   samples : the name that tasks know them by."""


class InProcess:
    """The transport of this process: what a worker would hold lies in this process's memory.

    n_threads : of each task; None as in KMeans.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = n_threads

    def map(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Handle]:
        """See Transport."""
        with using_threads(self.n_threads):
            return [task(*held, *own) for held, own in zip(sources, arguments, strict=True)]

    def reduce(
        self, task: Callable[..., Any], sources: Sequence[Sequence[Handle]], arguments: Sequence[tuple[Any, ...]],
        shared: tuple[Any, ...], merge: Callable[[list[Any]], Any],
    ) -> Any:  # fmt: skip
        """See Transport."""
        with using_threads(self.n_threads):
            return run_group(task, merge, shared, list(zip(sources, arguments, strict=True)))

    def close(self, samples: str) -> None:
        """See Transport."""
        from .kept import forget

        forget(samples)
