"""Checkpoints: what a fit has reached, in a file from which a later fit goes on."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from time import monotonic
from typing import Any

import numpy as np

from ..fitting.going import Going, Keeper, Reached
from ..fitting.loop import Run
from ..samples import Samples
from ..settings import Settings
from .whole import check_plain_file, whole_file

KEPT_SECONDS = 1.0
"""A checkpoint is written at most so often. Writing one takes about a millisecond."""

_FORMAT = "fastkmeans checkpoint"

_PARAMETERS = ("n_clusters", "n_init", "tol", "metric", "standardize")
"""Parameters that must be those of the fit that wrote the checkpoint, beside init and random_state."""

_VALUES = ("n_distinct", "inertia", "n_iter", "history", "converged", "stop_reason")


class CheckpointFile(Keeper):
    """Keeps what a fit has reached in a .npz file of plain arrays and JSON; nothing in it is executed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._belongs_to: dict[str, Any] = {}
        self._written = -np.inf

    def find(self, settings: Settings, samples: Samples) -> Reached | None:
        """See Keeper. Raises ValueError if the file is no checkpoint, or one of another fit."""
        self._belongs_to = _described(settings, samples)
        if not os.path.exists(self._path):
            return None
        check_plain_file(self._path)
        try:
            with np.load(self._path, allow_pickle=False) as file:
                told, arrays = json.loads(str(file["told"])), {name: file[name] for name in file.files}
            belongs_to, reached = told["belongs_to"], _reached(told, arrays)
        except Exception as error:  # zipfile, json and the parser of headers raise many types of errors
            raise ValueError(f"checkpoint must be a file that a fit wrote; {self._path} is none: {error!r}.") from error
        other = [name for name, value in self._belongs_to.items() if belongs_to.get(name) != value]
        if other:
            raise ValueError(
                f"checkpoint must be of the same fit; {self._path} was written with another {' and '.join(other)}. Delete the file, or pass "
                "another path."
            )
        return reached

    def keep(self, reached: Reached) -> None:
        """See Keeper."""
        if monotonic() - self._written < KEPT_SECONDS:
            return
        going, best = reached.going, reached.best
        arrays: dict[str, Any] = {"assigned": going.assigned, "centers": going.centers}
        told = {
            "format": _FORMAT,
            "belongs_to": self._belongs_to,
            "start": reached.start,
            "random_state": _plain(reached.random_state),
            "history": going.history,
            "exchange_after": going.exchange_after,
            "tol": going.tol,
            "best": None if best is None else {name: getattr(best, name) for name in _VALUES},
        }
        if best is not None:
            arrays["best_centers"] = best.centers
        with whole_file(self._path) as temporary, open(temporary, "wb") as file:
            np.savez(file, told=np.array(json.dumps(told)), **arrays)
        self._written = monotonic()

    def end(self) -> None:
        """See Keeper."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)


def _described(settings: Settings, samples: Samples) -> dict[str, Any]:
    """Return what a fit is known by: its parameters, and a digest of what is known of its samples."""
    init, description = settings.init, samples.description
    digest = hashlib.sha256()
    for values in (description.max_abs, description.mean, description.variance):
        digest.update(np.ascontiguousarray(values).tobytes())
    told: dict[str, Any] = {name: getattr(settings, name) for name in _PARAMETERS}
    if isinstance(init, str) or callable(init):
        told["init"] = init if isinstance(init, str) else "a callable"
    else:
        told["init"] = hashlib.sha256(np.ascontiguousarray(init, dtype=np.float64).tobytes()).hexdigest()
    told["random_state"] = settings.random_state if isinstance(settings.random_state, (int, np.integer)) else None
    told["X"] = [*map(int, samples.values.shape), np.dtype(samples.values.dtype).name, digest.hexdigest()]
    told["sample_weight"] = None if samples.sample_weight is None else float(samples.sample_weight.max())
    plain: dict[str, Any] = json.loads(json.dumps(_plain(told)))
    return plain


def _reached(told: dict[str, Any], arrays: dict[str, Any]) -> Reached:
    if told["format"] != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    going = Going(arrays["assigned"], arrays["centers"], told["history"], told["exchange_after"], told["tol"])
    best = None
    if told["best"] is not None:
        best = Run(centers=arrays["best_centers"], labels=None, **told["best"])  # type: ignore[arg-type]
    return Reached(told["start"], told["random_state"], best, going)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
