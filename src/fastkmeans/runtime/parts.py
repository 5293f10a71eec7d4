"""Samples part by part, so that no temporary is as long as the data."""

from __future__ import annotations

from collections.abc import Iterator

ROWS_AT_ONCE = 65_536


def parts_of(n_samples: int) -> Iterator[slice]:
    """Yield slices of ROWS_AT_ONCE samples, the last one shorter."""
    for start in range(0, n_samples, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, n_samples))
