"""Finds the directions along which the prefix filter codes samples, and chooses how many (kernels/prefix.h)."""

from __future__ import annotations

import numpy as np

from .._core.runtime import both
from ..types import AnyArray, Floats, Singles

# Directions are computed from at most DIRECTION_ROWS rows. Numbers of directions are tried on about TRIAL_PAIRS pairs of a row
# and a center, with at most TRIAL_ROWS rows. For digits-100 on Zen 3, twice the rows of either cost 2 of 42 ms and saved nothing.
DIRECTION_ROWS = 2048
TRIAL_PAIRS, TRIAL_ROWS = 1 << 16, 128
TRIAL_CENTERS = 256  # at most; these stand for all centers
# A fit is expected to take this many steps: the cost of the start is divided by it.
EXPECTED_STEPS = 15
# Up to this many features, all eigenvectors of the covariance cost less than a search for the leading ones.
EIGEN_FEATURES = 128
N_DIRECTIONS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192)


def principal_directions(rows: Singles, span: Singles, n_directions: int) -> Singles:
    """Return orthonormal directions in which the rows vary most, approximately in descending order of the variance.

    rows : (n_rows, n_features) float32, centered.   span : what spanning returned for the rows.
    Returns (n_features, n_directions) float32. Any orthonormal directions give exact labels; good ones exclude more centers.
    """
    n_features = rows.shape[1]
    if n_features <= EIGEN_FEATURES:
        vectors: Floats = np.linalg.eigh(span.astype(np.float64))[1]
        return vectors[:, ::-1][:, :n_directions].astype(np.float32)
    basis = orthonormal(span)
    if is_wide(n_features, n_directions):
        # One round finds the span of the directions, but not their order.
        held = rows @ basis.astype(np.float32)
        basis = basis @ np.linalg.eigh((held.T @ held).astype(np.float64))[1][:, ::-1]
    return basis[:, :n_directions].astype(np.float32)


def spanning(rows: Singles, n_directions: int, n_threads: int) -> Singles:
    """Return columns that approximately span the directions in which the rows vary most.

    This is most of the work of finding directions. Up to EIGEN_FEATURES features it is the covariance; beyond, two rounds of
    subspace iteration (one if is_wide) from rows drawn at random, with 8 columns more than directions (N. Halko,
    P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011).

    rows : (n_rows, n_features) float32, centered.
    Returns (n_features, n_columns) float32.
    """
    n_features = rows.shape[1]
    half = len(rows) // 2
    drawn = np.random.default_rng(1).permutation(len(rows))[: min(n_features, n_directions + 8)]
    left, right = np.array_split(rows[drawn].T, 2, axis=1)
    halves: tuple[Singles, Singles]
    if is_wide(n_features, n_directions):
        halves = both(n_threads, lambda: rows.T @ (rows @ left), lambda: rows.T @ (rows @ right))
        return np.hstack(halves)
    covariance: Singles = np.add(
        *both(n_threads, lambda: rows[:half].T @ rows[:half], lambda: rows[half:].T @ rows[half:])
    )
    if n_features <= EIGEN_FEATURES:
        return covariance
    halves = both(n_threads, lambda: covariance @ (covariance @ left), lambda: covariance @ (covariance @ right))
    return np.hstack(halves)


def is_wide(n_features: int, n_directions: int) -> bool:
    """Does the covariance of so many features cost more than it saves?"""
    return n_features > max(EIGEN_FEATURES, 6 * (n_directions + 8))


def orthonormal(span: Singles) -> Floats:
    """Return orthonormal float64 columns with the span of a float32 matrix.

    They are its left singular vectors, in descending order, unless its columns are nearly dependent.
    """
    wide = span.astype(np.float64)
    squares, order = np.linalg.eigh(wide.T @ wide)
    if squares[0] > 1e-10 * squares[-1]:
        basis: Floats = wide @ (order / np.sqrt(squares))[:, ::-1]
        return basis
    # Fewer dimensions than columns: the Gram matrix has no inverse square root.
    return np.linalg.qr(wide)[0]


def skew_of(directions: Singles) -> float:
    """Return by which share the coordinates along some of these directions can be longer than the vector, at most.

    The share is about 1e-12 if the directions are orthonormal.   directions : (n_features, n_directions) float32.
    """
    wide = directions.astype(np.float64)
    return 1.01 * float(np.linalg.norm(wide.T @ wide - np.eye(wide.shape[1]))) + 1e-12


def filter_cost(
    n_directions: int, kept: float, n_samples: int, n_features: int, n_clusters: int, code_features: int, lanes: int
) -> float:
    """Return the cost of a step of the filter for `lanes` samples, in vector instructions.

    kept : number of centers that the codes cannot exclude, without that of the label so far; mean over the samples.

    Each pair costs its dot product and about nine instructions for the test. A float32 score reads one row, without a tile:
    from memory for the label so far, from the cache for the other centers. Coding costs n_directions per feature: of the
    samples once, of the moved centers in each step.
    """
    pairs = n_clusters * (n_directions / code_features + 9.0)
    compared = 8.0 * n_features + 100.0 * lanes + kept * (3.0 * n_features + 150.0 * lanes)
    coded = n_features * n_directions * (1.0 / EXPECTED_STEPS + n_clusters / n_samples)
    return pairs + compared + coded


def dense_cost(n_features: int, n_clusters: int) -> float:
    """Return the same cost for Lloyd's algorithm."""
    return n_clusters * (n_features + 4.0)


class Trial:
    """Some rows and centers, on which numbers of directions are tried.

    rows : (n_rows, n_features) float32, of which some are used; offset is already subtracted, and they are scaled.
    centers : (n_clusters, n_features) float64, before offset, (n_features,), is subtracted and they are scaled.
    """

    def __init__(self, rows: Singles, centers: Floats, offset: Floats, scale: float):
        n_rows = min(max(32, TRIAL_PAIRS // len(centers)), TRIAL_ROWS, len(rows))
        self._rows = rows[:: len(rows) // n_rows][:n_rows]
        self._centers, self._offset, self._scale = centers, offset, scale
        self._least_scores = np.empty(0, dtype=np.float32)

    def _moved(self, centers: Floats) -> Singles:
        return ((centers - self._offset) * self._scale).astype(np.float32)

    @np.errstate(all="ignore")
    def score(self) -> None:
        """Compute the least |c|^2 / 2 - x c of each row x over all centers c."""
        centers = self._moved(self._centers)
        self._least_scores = (0.5 * np.einsum("jf,jf->j", centers, centers) - self._rows @ centers.T).min(axis=1)

    @np.errstate(all="ignore")
    def choose_n_directions(
        self, directions: Singles, n_samples: int, code_features: int, code_limit: int, code_length: int, lanes: int
    ) -> int:
        """Return the number of leading directions with the least cost on the rows of the trial; call `score` first.

        Returns 0 unless that cost is below 85 % of the cost of Lloyd's algorithm.
        directions : (n_features, most directions) float32.
        code_features, code_limit, code_length, lanes : properties of codes on this CPU, see kernels.h.
        """
        n_clusters, n_features = self._centers.shape
        x = _Coded(self._rows, directions, code_limit, code_length)
        y = _Coded(self._moved(self._centers[:: -(-n_clusters // TRIAL_CENTERS)]), directions, code_limit, code_length)
        # A pair is kept if the upper bound of its product reaches the product that the least score needs.
        wanted = 0.5 * y.sq_norms - self._least_scores[:, None]
        products, reached = np.zeros_like(wanted), np.empty_like(wanted)
        best, best_cost = 0, 0.85 * dense_cost(n_features, n_clusters)
        first = 0
        for n_directions in sorted({*N_DIRECTIONS, directions.shape[1]}):
            if n_directions > directions.shape[1]:
                break
            new = slice(first, n_directions)
            first = n_directions
            products += np.matmul(x.coordinates[:, new], y.coordinates[:, new].T, out=reached)
            (n_u, b_u, r_u), (n_v, b_v, r_v) = x.lengths(new), y.lengths(new)
            np.matmul(np.column_stack((n_u, b_u, r_u)), np.column_stack((b_v, n_v, r_v)).T, out=reached)
            reached += products
            kept = np.count_nonzero(reached >= wanted) / wanted.size * n_clusters - 1.0
            cost = filter_cost(n_directions, kept, n_samples, n_features, n_clusters, code_features, lanes)
            if cost < best_cost:
                best, best_cost = n_directions, cost
        return best


class _Coded:
    """Coordinates of vectors along directions, and the lengths that bound the errors of their codes."""

    _sq_kept: Singles
    _largest: Singles

    def __init__(self, vectors: Singles, directions: Singles, code_limit: int, code_length: int):
        self.coordinates = vectors @ directions
        self.sq_norms = np.einsum("if,if->i", vectors, vectors)
        self._code_limit, self._code_length = code_limit, code_length
        self._sq_kept, self._largest = np.zeros((2, len(vectors)), dtype=np.float32)

    def lengths(self, new: slice) -> tuple[Singles, Singles, Singles]:
        """Add directions. Return three lengths of each vector: along all directions so far, of the rounding, of the rest."""
        coordinates = self.coordinates[:, new]
        self._sq_kept += np.einsum("if,if->i", coordinates, coordinates)
        np.maximum(self._largest, np.abs(coordinates).max(axis=1), out=self._largest)
        step: AnyArray = self._largest / self._code_limit if self._code_limit else 0.0 * self._largest
        if self._code_length:  # the largest length of half the coordinates
            step = np.maximum(step, np.sqrt(0.5 * self._sq_kept) / self._code_length)
        # Errors of rounding to whole numbers are uniform: their mean square is a twelfth of a squared step per direction.
        rounded = np.float32(np.sqrt(new.stop / 12)) * step
        rest = np.sqrt(np.maximum(self.sq_norms - self._sq_kept, 0.0) + rounded * rounded)
        return np.sqrt(self._sq_kept), rounded, rest


def most_directions(n_features: int, n_clusters: int) -> int:
    """Return how many directions are worth looking for; few with few clusters, where the filter is a small part of the work."""
    # For 256 clusters of sentence embeddings, no number up to 128 was cheaper than Lloyd's steps; 160 cost half as much.
    return min(n_features, 192 if n_clusters > 128 else 48)


def count_direction_rows(n_samples: int, n_features: int, n_clusters: int) -> int:
    """Return from how many rows to compute directions: they cost a quarter of a step of Lloyd's, within 512 to DIRECTION_ROWS."""
    width = min(n_features, 6 * most_directions(n_features, n_clusters))
    return min(max(n_samples * n_clusters // (4 * width), 512), DIRECTION_ROWS, n_samples)


def is_worth_a_trial(n_samples: int, n_features: int, n_clusters: int) -> bool:
    """Do a few steps save what looking for directions costs?"""
    if n_features < 16 or n_clusters < 16:
        return False
    width = most_directions(n_features, n_clusters)
    n_rows = count_direction_rows(n_samples, n_features, n_clusters)
    return min(6.0 * width, n_features) * n_rows + 30.0 * width * width < 4.0 * n_samples * n_clusters
