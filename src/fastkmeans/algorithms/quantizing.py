"""How many bits quantized samples have, and what steps over them cost (kernels/quantized.h)."""

from __future__ import annotations

import numpy as np

from .._core.quantized import QuantizedRows, exact_bytes
from .._core.runtime import has_dot8
from .._core.stored import StoredRows, read_as
from ..types import Floats, Values
from .budget import spare_groups, spare_samples

# Rows that tell how large values are; fewer if rows are long: with 2048 rows of 784 features they took a quarter of a seeding.
SIZE_ROWS, SIZE_VALUES = 2048, 1 << 18
TRIAL_PAIRS, TRIAL_VALUES = 1 << 16, 1 << 15
"""Pairs of rows and centers on which 8 and 16 bits are tried, and values of these rows, unless that leaves fewer than 64 rows."""

ROWS_PER_TRIAL_ROW = 32
"""A trial has at most one row in so many, and 64: it takes NumPy and float64. Per row it took 18 times as long as
a step, of 2668 samples with 1157 features and 114 clusters."""

MEANS_ROWS, ROWS_FOR_A_MEAN = 4, 4
"""Times as many rows tell where the centers lie after a step, if that is so many rows per cluster."""

IN_SAMPLE = 1.3
"""By so much the share of open labels is larger among other rows than among those whose means the centers are. On six sets it was
1.0 to 1.6 times as large at the third step."""

LATER_SHARE, LATER_FEATURES = 0.35, 64
"""With at most so many features, the first centers leave more samples open than later ones, on average over 20 steps by this
factor. Of bigk and mid of the benchmarks 0.31 and 0.39 of the samples were open at first, and 0.01 to 0.03 at last."""

SHARE_OF_16 = 0.025
"""16 bits leave about a fortieth of the samples open that 8 bits do."""

TWO_STEP_WORD = 1.45
"""Cost of a word of two products, in multiply-adds of float32, where one instruction multiplies and another adds (Zen 3, AVX2,
12 to 64 features)."""

LEAST_CROWD = 0.02
"""If a smaller share of rows is open, it does not matter how many centers are near them."""

LEAST_SIZE = 1e-140
"""If the largest value is smaller, float64 rounds squares to few digits, and only float64 itself knows which are equal."""

LARGEST_SHARE = 0.9995
"""Share of the values that whole numbers hold; those beyond are cut."""

QUANTILE_VALUES, QUANTILE_ROWS = 1 << 16, 64
"""Values of a few rows that tell it, unless that leaves fewer rows: 33 of so many lie beyond. To look at four times as many took
0.7 of the 17 ms of a fit of 34 145 x 196 samples with 12 clusters (Zen 5)."""

BYTES_BESIDE_NUMBERS = 8
"""What quantized samples keep of a sample beside its whole numbers: two lengths (kernels/quantized.h)."""

ROOM_16 = 16.0
"""With 16 bits there is room for values that are so many times larger."""

BYTE_COST = 0.4
"""Time to read a byte from memory, in vector instructions. Two threads of a Zen 4 took 0.5 to 0.65 cycles per byte to step over 40 to
112 MB with 5 to 8 clusters: less than to multiply takes from 20 clusters on."""

TILE_LOSS = 1.1
"""By so much dearer is a gathered sample than one of a whole block: the last tile is not full."""


def dense_cost(n_features: int, n_clusters: int, item_bytes: int = 4) -> float:
    """Cost of a sample and step of Lloyd's algorithm, in vector instructions per 16 samples.

    A sample is laid out once. A pair costs its multiply-adds, and five instructions for the best two. Meanwhile rows are read.
    item_bytes : of a value as it is stored.
    """
    return max(3.0 * n_features + n_clusters * (n_features + 5.0), BYTE_COST * 16.0 * item_bytes * n_features)


def quantized_cost(
    n_features: int, n_clusters: int, bits: int, undecided: float, dot8: bool, crowded: float = 0.0
) -> float:
    """The same with quantized samples, of which the share `undecided` is decided by its rows.

    Such a sample is scored once more, alone, and decided in float64, or it is assigned by Lloyd's steps together with others
    (kernels/quantized.h). The share `crowded` has so many near centers that it is scored alone first, and then assigned together.
    dot8 : whether there are dot products of bytes.
    """
    words = n_features * bits / 32.0 * (1.0 if dot8 else TWO_STEP_WORD)
    alone = 16.0 * (150.0 + 7.5 * n_features + n_clusters * (words / 12.0 + 1.0))
    assigned = TILE_LOSS * dense_cost(n_features, n_clusters)
    together = assigned + 16.0 * n_features
    bytes_read = 16.0 * (n_features * bits / 8.0 + BYTES_BESIDE_NUMBERS)
    at_best = max(30.0 + n_clusters * (words + 5.0), BYTE_COST * bytes_read)
    return at_best + undecided * min(alone, together) + crowded * assigned


def quantum(rows: Floats, offset: Floats, bits: int, limit: float) -> tuple[float, float]:
    """What one whole number stands for, judged by a few rows, and the largest |x - offset| that it can hold."""
    sizes = (rows - offset).ravel()
    np.abs(sizes, out=sizes)
    most = float(sizes.max())
    # As np.quantile does, which imports numpy.ma: a process that is forked meanwhile would wait for that import for ever.
    place = LARGEST_SHARE * (len(sizes) - 1)
    below, above = int(place), min(int(place) + 1, len(sizes) - 1)
    sizes.partition((below, above))
    largest = float(sizes[below] + (place - below) * (sizes[above] - sizes[below]))
    largest = min(largest * (ROOM_16 if bits == 16 else 1.0), most) or most
    return largest / limit, largest


class Trial:
    """A few rows and centers, on which whole numbers of several sizes are tried.

    rows : (n_rows, n_features), centers : (n_clusters, n_features), offset : (n_features,), float64.
    """

    def __init__(self, rows: Floats, centers: Floats, offset: Floats):
        self._rows, self._centers = rows - offset, centers - offset
        self._scale = float(np.abs(self._rows).max()) or 1.0  # so that no square overflows
        x, y = self._rows / self._scale, self._centers / self._scale
        self._sq_norms = (y**2).sum(axis=1)
        sq_distances = x @ (-2.0 * y.T)
        sq_distances += self._sq_norms
        sq_distances.partition(1, axis=1)
        sq_distances += (x**2).sum(axis=1)[:, None]
        self._sq_distances = sq_distances  # the two smallest of each row come first
        self._own, self._other = np.sqrt(np.maximum(sq_distances[:, :2].T, 0.0))

    def shares(self, limit: float, unit: float) -> tuple[float, float]:
        """Share of the rows whose label whole numbers would leave open, by the bound of kernels/quantized.h, and the share of those
        that would have many centers within their gap.

        limit, unit : of whole numbers.
        """
        if not 0.0 < unit < 1e300:
            return 1.0, 1.0
        x, y = self._rows / unit, self._centers / unit
        row_rest = np.linalg.norm(x - np.clip(np.rint(x), -limit, limit), axis=1)
        center_unit = max(float(np.abs(y).max()) / limit, 1e-30)
        y /= center_unit
        center_rest = center_unit * float(np.linalg.norm(y - np.rint(y), axis=1).max())
        per_unit = self._scale / unit
        own, other = per_unit * self._own, per_unit * self._other
        rest, span = row_rest + center_rest, 2.0 * per_unit * float(np.sqrt(self._sq_norms.max()))
        apart = center_rest * (2.0 * own + center_rest) + row_rest * span
        gap = np.minimum(2.0 * rest * (own + rest), (center_rest + np.sqrt(center_rest**2 + 2.0 * apart)) ** 2 / 2.0)
        is_open = (other**2 - own**2) / 2.0 <= gap
        undecided = float(np.count_nonzero(is_open)) / len(x)
        if undecided < LEAST_CROWD:
            return undecided, 0.0
        most = (own**2 + 2.0 * gap)[is_open, None] / per_unit**2
        n_near = np.count_nonzero(self._sq_distances[is_open] <= most, axis=1)
        return undecided, float(np.count_nonzero(n_near > max(8, len(y) // 12))) / len(x)


def means_after_a_step(rows: Floats, centers: Floats, offset: Floats) -> Floats:
    """The means of the rows that are nearest to each center, by float32; a center without rows stays."""
    x, y = rows - offset, centers - offset
    scale = float(np.abs(x).max()) or 1.0
    x32, y32 = (x / scale).astype(np.float32), (y / scale).astype(np.float32)
    scores = x32 @ -y32.T
    scores += (y32**2).sum(axis=1) / np.float32(2.0)
    labels = scores.argmin(axis=1)
    order = labels.argsort(kind="stable")
    counts = np.bincount(labels, minlength=len(centers))
    owning = np.flatnonzero(counts)
    means = centers.copy()
    firsts = (counts.cumsum() - counts)[owning]
    means[owning] = np.add.reduceat(rows[order], firsts, axis=0) / counts[owning, None]
    return means


def choose_bits(
    rows: Floats, centers: Floats, offset: Floats, dot8: bool, are_bytes: bool = False, item_bytes: int = 4
) -> int:
    """Bits per feature with the least cost, counted on rows; 0 if Lloyd's float32 costs less.

    The share of open labels that counts is that after one step over these rows, unless they are too few for that: where clusters are
    apart, fewer labels are open from then on, and in a cloud with far rows more.

    are_bytes : whether the rows are whole numbers of 8 bits about the offset: nothing is rounded away of them.
    item_bytes : of a value as it is stored.
    """
    n_clusters, n_features = centers.shape
    best, best_cost = 0, 0.9 * dense_cost(n_features, n_clusters, item_bytes)
    later_share = LATER_SHARE if n_features <= LATER_FEATURES else 1.0
    is_enough = len(rows) >= ROWS_FOR_A_MEAN * n_clusters
    where, share = (means_after_a_step(rows, centers, offset), IN_SAMPLE) if is_enough else (centers, later_share)
    few = rows[:: -(-len(rows) // trial_rows(n_features, n_clusters))]
    trial = Trial(few, where, offset)
    for bits in [8, 16] if dot8 else [16]:
        limit = min(127.0 if bits == 8 else 32767.0, float(np.floor(np.sqrt(2.0**29 / n_features))))
        unit = 1.0 if are_bytes else quantum(few, offset, bits, limit)[0]
        undecided, crowded = trial.shares(limit, unit)
        cost = quantized_cost(n_features, n_clusters, bits, share * undecided, dot8, share * crowded)
        if cost < best_cost:
            best, best_cost = bits, cost
    return best


def trial_rows(n_features: int, n_clusters: int) -> int:
    """How many rows tell the share of open labels."""
    return min(max(64, min(TRIAL_PAIRS // n_clusters, TRIAL_VALUES // n_features)), 512)


class QuantizedCopies:
    """The quantized copies of an array, made when they are first asked for: several starts share them.

    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows.   n_threads : int >= 1.
    """

    def __init__(self, X: Values, n_threads: int):
        self.X, self.n_threads = X, n_threads
        self._item_bytes = (X.values if isinstance(X, StoredRows) else X).dtype.itemsize
        self._few: tuple[Floats, Floats] | None = None
        self._copy: QuantizedRows | None = None
        self._bits: dict[int, int] = {}

    def choose_bits(self, centers: Floats) -> int:
        """Bits per feature with which a step from such centers costs least; 0 for Lloyd's float32.

        Starts with as many centers share the answer.
        """
        if len(centers) not in self._bits:
            self._bits[len(centers)] = self._count_bits(centers)
        return self._bits[len(centers)]

    def _count_bits(self, centers: Floats) -> int:
        rows, offset = self._few_rows()
        most = min(MEANS_ROWS * trial_rows(rows.shape[1], len(centers)), max(64, len(self.X) // ROWS_PER_TRIAL_ROW))
        rows = rows[:: -(-len(rows) // most)]
        if np.abs(rows - offset).max() < LEAST_SIZE:
            return 0
        with np.errstate(all="ignore"):
            exact = exact_bytes(self.X, 16)
            wide = np.asarray(centers, dtype=np.float64)
            offset = offset if exact is None else exact[0]
            return choose_bits(rows, wide, offset, has_dot8(), exact is not None, self._item_bytes)

    def share_of_dense(self, n_clusters: int, bits: int, undecided: float, crowded: float = 0.0) -> float:
        """Cost of a step that left the share `undecided` of the samples to float64, as a share of that of Lloyd's step.

        crowded : as for quantized_cost.
        """
        n_features = self.X.shape[1]
        cost = quantized_cost(n_features, n_clusters, bits, undecided, has_dot8(), crowded)
        return cost / dense_cost(n_features, n_clusters, self._item_bytes)

    def prefers_16_bits(self, n_clusters: int, undecided: float, crowded: float = 0.0) -> bool:
        """Would 16 bits cost clearly less than 8 that left these shares of the samples to float64?   See share_of_dense."""
        n_features, dot8 = self.X.shape[1], has_dot8()
        finer = quantized_cost(n_features, n_clusters, 16, SHARE_OF_16 * undecided, dot8)
        return 1.15 * finer < quantized_cost(n_features, n_clusters, 8, undecided, dot8, crowded)

    def most_groups(self) -> int:
        """The most groups of centers to which Yinyang may keep bounds of each sample."""
        return spare_groups(self.X) if isinstance(self.X, StoredRows) else len(self.X)

    def least_bits(self) -> int:
        """The fewest bits that this CPU multiplies, for a filter that may leave many samples open."""
        return 8 if has_dot8() else 16

    def rows(self, bits: int, filled: bool = True, keeps_stored: bool = False) -> QuantizedRows:
        """QuantizedRows of X. One copy is kept: asking for other bits makes it anew.

        filled : False if the caller may fill them.
        keeps_stored : whether whole numbers of StoredRows are kept, as far as there is memory for them.
        """
        if self._copy is None or self._copy.bits != bits:
            self._copy = None  # its memory first
            n_kept = 0
            exact = exact_bytes(self.X, bits)
            if exact is not None:  # nothing is kept of rows that are whole numbers themselves
                offset, largest = exact
            else:
                rows, offset = self._few_rows()
                with np.errstate(all="ignore"):
                    step = min(-(-rows.size // QUANTILE_VALUES), max(1, len(rows) // QUANTILE_ROWS))
                    largest = quantum(rows[::step], offset, bits, 1.0)[1]
                if keeps_stored and isinstance(self.X, StoredRows):
                    n_kept = spare_samples(self.X, self.X.shape[1] * bits // 8 + BYTES_BESIDE_NUMBERS)
            self._copy = QuantizedRows(self.X, offset, largest, bits, self.n_threads, filled=False, n_kept=n_kept)
        if filled and not self._copy.is_filled:
            self._copy.fill()
        return self._copy

    def _few_rows(self) -> tuple[Floats, Floats]:
        """A few rows in float64, and their mean."""
        if self._few is None:
            n_rows = min(SIZE_ROWS, max(64, SIZE_VALUES // self.X.shape[1]))
            rows = self.X[:: -(-len(self.X) // n_rows)].astype(np.float64)
            offset: Floats = rows.mean(axis=0)
            if read_as(self.X).itemsize == 4:
                offset = offset.astype(np.float32).astype(np.float64)
            self._few = rows, offset
        return self._few
