"""How much memory a fit may take for samples that are read in place, besides what the centers need."""

from __future__ import annotations

from .._core.stored import StoredRows

SHARE_OF_BYTES, BYTES_A_ROW = 0.25, 16
"""This share of the bytes of the samples, and so many bytes a row, are all that a fit may take."""

SMALL_COPY = 1 << 23
"""A copy of at most so many bytes, 8 MiB, may be made in any case while starts are chosen."""

BYTES_OF_LABELS = 4

BYTES_BESIDE_CODES = 36
"""What the prefix filter keeps of a sample besides one byte a direction: lengths and bounds (codes.pyx, prefix.pyx)."""

SHARE_OF_CODES = 0.96
"""The rest is for the sums of the clusters, and for the rows that tell directions."""

BYTES_BESIDE_BOUNDS, BYTES_OF_BOUND = 8, 4
"""What Yinyang keeps of a sample: its new label and an upper bound, and a bound of each group of centers (yinyang.pyx)."""

BYTES_OF_TILES = 9
"""What the tile filter keeps of a sample besides a copy: its place, its label in tile order, and its share of a tile's box and sums
(tiles.pyx)."""


def spare_bytes(rows: StoredRows) -> float:
    """Return how many bytes a fit may take besides the labels."""
    return SHARE_OF_BYTES * rows.nbytes + (BYTES_A_ROW - BYTES_OF_LABELS) * len(rows)


def spare_directions(rows: StoredRows) -> int:
    """Return how many directions the codes of the prefix filter may have."""
    return max(0, int(SHARE_OF_CODES * spare_bytes(rows) / len(rows)) - BYTES_BESIDE_CODES)


def spare_samples(rows: StoredRows, bytes_a_sample: float) -> int:
    """Return of how many samples so many bytes may be kept."""
    return int(SHARE_OF_CODES * spare_bytes(rows) / bytes_a_sample)


def spare_groups(rows: StoredRows) -> int:
    """Return to how many groups of centers Yinyang may keep bounds; 0 if there is no room for it."""
    return max(0, int(SHARE_OF_CODES * spare_bytes(rows) / len(rows) - BYTES_BESIDE_BOUNDS) // BYTES_OF_BOUND)


def has_room_for_tiles(rows: StoredRows) -> bool:
    """May the tile filter keep a copy of the samples in its order?"""
    return rows.nbytes + BYTES_OF_TILES * len(rows) <= spare_bytes(rows)
