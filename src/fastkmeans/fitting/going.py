"""A fit on its way: what it has reached, and who keeps that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..samples import Samples
from ..settings import Settings
from ..types import Floats

if TYPE_CHECKING:
    from .loop import Run


class Going(NamedTuple):
    """A run between two iterations.

    assigned, centers : those of the last step, and those of the next.   history, exchange_after, tol : as loop.run.
    """

    assigned: Floats
    centers: Floats
    history: list[dict[str, Any]]
    exchange_after: int | None
    tol: float


class Reached(NamedTuple):
    """What a fit has reached.

    start : number of the start that is going.   random_state : what the next start draws from.
    best : the best run of the starts before; None if there is none. Its labels may be None.
    """

    start: int
    random_state: dict[str, Any]
    best: Run | None
    going: Going


class Keeper:
    """Keeps what a fit has reached, so that a later fit goes on from there."""

    def find(self, settings: Settings, samples: Samples) -> Reached | None:
        """Return what an earlier fit of the same samples with the same parameters has reached; None if there was none."""
        raise NotImplementedError

    def keep(self, reached: Reached) -> None:
        """Keep what the fit has reached."""
        raise NotImplementedError

    def end(self) -> None:
        """Forget it, because the fit has ended."""
        raise NotImplementedError
