"""Results that workers hold, and how to ask for them once more when the scheduler has given them up.

A scheduler makes results again that went with a worker. It gives a task up when too many workers died while they ran it. What was
made of that task may then be neither there nor on its way, and Client.retry does not mend that. So everything is asked for
by new names, which the scheduler has no past of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from os import urandom
from typing import Any
from weakref import WeakSet

from .waiting import Scheduler


class Recipe:
    """How a result is made.

    work : called with the results of the sources; None for a part of X.   name : its key begins with; no other result has it.
    """

    __slots__ = ("work", "sources", "name", "key")

    def __init__(self, work: Callable[..., Any] | None, sources: tuple[Recipe, ...], name: str) -> None:
        self.work, self.sources, self.name = work, sources, name
        self.key: Any = None


class Held:
    """A result that workers hold, as long as this object lives."""

    __slots__ = ("recipe", "future", "__weakref__")

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.future: Any = None


class Holding:
    """All results that workers hold for one transport.

    read : name -> tasks that read the parts of X, in order, with keys that begin with the name.
    """

    def __init__(self, read: Callable[[str], list[Any]], scheduler: Scheduler) -> None:
        self._read, self._scheduler = read, scheduler
        self._mapped: WeakSet[Held] = WeakSet()
        self._n_lives = 0
        self.parts: list[Held] = []
        self._ask_for_parts()

    def map(self, name: str, work: Iterable[Callable[..., Any]], sources: Iterable[Iterable[Held]]) -> list[Held]:
        """Ask for results.   work : of each, called with the results of its sources."""
        held = [
            Held(Recipe(own, tuple(source.recipe for source in of), f"{name}-{i}"))
            for i, (own, of) in enumerate(zip(work, sources, strict=True))
        ]
        self._ask_for(held)
        self._mapped.update(held)
        return held

    def again(self) -> None:
        """Ask for everything by new names."""
        mapped = list(self._mapped)
        # A task that was given up is known, and stays given up, until nothing that depends on it is wanted.
        self.release()
        self._scheduler.run_again(set().union(*self.keys_of_x()))
        self._n_lives += 1
        self._ask_for_parts()
        self._ask_for(mapped)

    def release(self) -> None:
        """Let workers forget all results. Ask for nothing after that but for everything again."""
        self._scheduler.forget([one.future for one in (*self.parts, *self._mapped)])

    def _ask_for_parts(self) -> None:
        delayed = self._read(f"fastkmeans-read-{urandom(8).hex()}")
        self.tasks_of_parts = delayed
        self.parts = self.parts or [Held(Recipe(None, (), "")) for _ in delayed]
        for part, future in zip(self.parts, self._scheduler.compute(delayed), strict=True):
            part.future, part.recipe.key = future, future.key

    def _ask_for(self, mapped: list[Held]) -> None:
        """Submit tasks for results, and for what they are made of where nobody holds that any more."""
        live = {one.recipe: one.future for one in (*self.parts, *self._mapped)}
        for one in mapped:
            live.pop(one.recipe, None)
        graph: dict[str, Any] = {}

        def asked(recipe: Recipe) -> Any:
            if recipe in live:
                return live[recipe]
            if recipe.key not in graph:
                recipe.key = f"{recipe.name}-{self._n_lives}"
                graph[recipe.key] = (recipe.work, *map(asked, recipe.sources))
            return recipe.key

        keys = [asked(one.recipe) for one in mapped]
        if keys:
            for one, future in zip(mapped, self._scheduler.submit(graph, keys), strict=True):
                one.future = future

    def keys_of_x(self) -> tuple[set[Any], set[Any]]:
        """Return the keys of the tasks that read the parts of X, and those of what the user holds that these read."""
        own: set[Any] = set()
        read: set[Any] = set()
        for part in self.tasks_of_parts:
            for key, task in part.__dask_graph__().items():
                own.add(key)
                read.update(getattr(task, "dependencies", ()))
        return own, read - own

    def keys(self) -> Iterator[Any]:
        """Yield the keys of all results, and of what they are made of."""
        waiting = [one.recipe for one in (*self.parts, *self._mapped)]
        seen = set(waiting)
        while waiting:
            recipe = waiting.pop()
            yield recipe.key
            waiting += [source for source in recipe.sources if source not in seen]
            seen.update(recipe.sources)
