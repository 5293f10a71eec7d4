"""What the client asks of the scheduler, and how long it waits for it: never for ever.

The scheduler makes lost results again, and waits for workers as long as it takes. So a wait ends when workers come. It also ends
when the scheduler is gone, because then nobody would answer, and when the scheduler has forgotten what it was asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from distributed import Client, Future, wait
from distributed import TimeoutError as WaitedLong
from distributed.client import FuturesCancelledError
from distributed.comm import CommClosedError

LOOK_SECONDS = 2.0
"""While the client waits, it looks so often whether the scheduler is still there. A task that is sent while the client has no connection
would be waited for in vain."""


ON_THE_WAY = ("pending", "lost")
"""States of futures, as the client knows them."""

AT_WORK = ("processing", "queued", "no-worker")
"""States of tasks, as the scheduler knows them. A task that waits for others is at work if one of them is."""


class SchedulerLostError(ConnectionError):
    """Raised if the scheduler is gone, or has begun anew, and with it all that it knew of a fit."""


class Scheduler:
    """The scheduler that a client was connected to when a fit began."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._begun_as = self._identity()

    def _identity(self) -> tuple[Any, ...]:
        """What differs once the scheduler has forgotten the futures of the client: another connection, or a restart."""
        return self._client.status, self._client.scheduler_comm, self._client.generation

    def check(self) -> None:
        """Raise SchedulerLostError if the scheduler has forgotten what this fit has asked of it."""
        if self._identity() != self._begun_as:
            raise self._lost()

    def _lost(self) -> SchedulerLostError:
        return SchedulerLostError(
            f"the scheduler must live as long as a fit; the client lost it (it is {self._client.status!r} now), or it was restarted. "
            "Connect a new Client, and fit again; KMeans(checkpoint=path) goes on from what a fit has reached."
        )

    def ask(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method of the client that sends a message and waits for the answer."""
        self.check()
        try:
            return question(*args, **kwargs)
        except OSError as error:
            raise self._lost() from error
        except Exception:
            self.check()
            raise

    def compute(self, delayed: list[Any]) -> list[Future]:
        """Ask for the results of tasks of dask.delayed."""
        futures: list[Future] = self.ask(self._client.compute, delayed)
        return futures

    def submit(self, graph: dict[str, Any], keys: list[str]) -> list[Future]:
        """Ask for results of a graph, which has futures where tasks read what workers hold."""
        with warnings.catch_warnings():
            # Rows that are drawn go out with the tasks: some MB, once.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            futures: list[Future] = self.ask(self._client.get, graph, keys, sync=False)
        return futures

    def wait_for(self, futures: Sequence[Future], is_idle: Callable[[], bool]) -> bool:
        """Wait until none of these is on its way: each is finished, or has failed. Return False if that never comes.

        is_idle : says whether the scheduler does nothing for them. If it does nothing at two looks in a row, it never will.
        """
        n_idle = 0
        while n_idle < 2:
            with suppress(WaitedLong):
                # Cancelled ones have the status that says so.
                with suppress(FuturesCancelledError):
                    on_the_way = [future for future in futures if future.status in ON_THE_WAY]
                    if on_the_way:
                        wait(on_the_way, timeout=LOOK_SECONDS)
                if not any(future.status in ON_THE_WAY for future in futures):
                    self.check()
                    return True
            self.check()
            n_idle = n_idle + 1 if is_idle() else 0
        return False

    def results_of(self, futures: Sequence[Future]) -> list[Any]:
        """Return the results of futures that are not on their way. Raises what their tasks raise."""
        try:
            results: list[Any] = self._client.gather(list(futures))
            return results
        except CommClosedError as error:
            raise self._lost() from error
        except Exception:
            self.check()
            raise

    def is_at_work(self, keys: Iterable[Any], is_known: bool) -> bool:
        """Is one of these tasks running or queued, or is there no worker that could run it?

        is_known : whether all tasks that these wait for are among them; else any running task may be one of those.
        """
        if any(state in AT_WORK for state in self._states(keys)):
            return True
        running = self.ask(self._client.processing)
        return not running or (not is_known and any(running.values()))

    def forget(self, futures: Sequence[Future]) -> None:
        """Let the scheduler forget tasks, and wait until it has, but not for long: others may want them, too."""
        keys = [future.key for future in futures]
        for future in futures:
            future.release()
        until = monotonic() + LOOK_SECONDS
        while any(self._states(keys)) and monotonic() < until:
            sleep(0.01)

    def _states(self, keys: Iterable[Any]) -> list[str | None]:
        """Return the states of tasks, as the scheduler knows them; None if it does not."""
        keys = list(keys)
        found = self.ask(self._client.sync, self._client.scheduler.get_task_status, keys=keys)
        return [found[key] for key in keys]

    def run_again(self, keys: Iterable[Any]) -> None:
        """Let the scheduler run those of these tasks again that it has given up: all in one call, because a task must not be retried
        twice."""
        keys = list(keys)
        erred = [key for key, state in zip(keys, self._states(keys), strict=True) if state == "erred"]
        # Client.retry marks the futures after the answer. A task that has run by then would be marked as running for ever.
        for key in erred:
            with suppress(KeyError):  # no future of this client
                self._client.futures[key].retry()
        if erred:
            self.ask(self._client.sync, self._client.scheduler.retry, keys=erred, client=self._client.id)
