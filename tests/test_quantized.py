"""Quantized samples: whole numbers never settle a label wrongly, and every step is Lloyd's."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from test_yinyang import ADVERSARIAL, make_state, moved

from fastkmeans._core import runtime
from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.quantized import QuantizedState
from fastkmeans._core.seeding import PlusPlus
from fastkmeans.algorithms.quantizing import QuantizedCopies, choose_bits

HAS_DOT8 = runtime.has_dot8()
BITS = [pytest.param(8, marks=pytest.mark.skipif(not HAS_DOT8, reason="no integer dot products")), 16]


def make_quantized(X, n_clusters, weights=None, n_threads=1, bits=None):
    max_abs = np.abs(X).max(axis=0).astype(np.float64)
    max_weight = 1.0 if weights is None else weights.max()
    copies = QuantizedCopies(X, n_threads)
    return QuantizedState(X, weights, max_abs, max_weight, n_clusters, n_threads, copies, bits)


def check_steps(X, centers, n_steps, *, weights=None, n_threads=1, bits=None):
    """Both states step by step; returns the quantized one and how many samples each step decided in float64."""
    dense = make_state(LloydState, X, len(centers), weights)
    state = make_quantized(X, len(centers), weights, n_threads, bits)
    centers, n_decided = centers.astype(np.float64), []
    for step in range(n_steps):
        assert state.step(centers) == dense.step(centers), step
        np.testing.assert_array_equal(state.clusters.labels, dense.clusters.labels)
        assert state.clusters.sums.tobytes() == dense.clusters.sums.tobytes()
        n_decided.append(state.n_decided)
        centers = moved(state, centers)
    return state, n_decided


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("n_clusters", [1, 2, 15, 130])
@pytest.mark.parametrize("data", ADVERSARIAL)
def test_labels_are_lloyds_on_adversarial_data(data, n_clusters, bits, real, rng):
    X = ADVERSARIAL[data](rng, 1500).astype(real)
    check_steps(X, X[rng.choice(len(X), n_clusters, replace=False)], 5, bits=bits)


@pytest.mark.parametrize("isa", runtime.isas())
def test_every_instruction_set_steps_as_lloyd(isa, blobs, real, rng):
    before = runtime.isa()
    runtime.use_isa(isa)
    try:
        for n_samples, n_features, n_clusters in [(1, 3, 2), (33, 17, 7), (1025, 4, 15), (3000, 21, 40), (900, 64, 31)]:
            X, _ = blobs(n_samples, n_features, min(n_samples, 20), real, std=3.0)
            centers = X[rng.integers(n_samples, size=n_clusters)]
            for bits in (8, 16) if isa == "v4vnni" else (16,):
                check_steps(X, centers, 4, bits=bits)
    finally:
        runtime.use_isa(before)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("n_clusters", range(1, 32))
def test_every_width_of_the_last_panel(n_clusters, bits, blobs, real):
    X, _ = blobs(700, 9, 30, real, std=2.0)
    check_steps(X, X[:n_clusters], 2, bits=bits)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5, 7, 8, 31, 200, 1500])
def test_every_number_of_words(n_features, bits, blobs, real):
    X, _ = blobs(200, n_features, 12, real, std=2.0)
    check_steps(X, X[:12], 2, bits=bits)


@pytest.mark.parametrize("bits", BITS)
def test_ties_go_to_the_lowest_index(bits, rng, real):
    """Rows halfway between two centers, and centers that are there twice."""
    grid = rng.integers(-3, 4, size=(4000, 6)).astype(real)
    centers = np.repeat(grid[:20], 2, axis=0).astype(np.float64)
    state = make_quantized(grid, len(centers), bits=bits)
    state.step(centers)
    np.testing.assert_array_equal(state.clusters.labels, reference.sq_distances(grid, centers).argmin(axis=1))


@pytest.mark.parametrize("bits", BITS)
def test_centers_far_outside_the_samples(bits, rng, real):
    """Beyond what whole numbers hold, Lloyd's step is taken; back among the samples, whole numbers again."""
    X = rng.normal(size=(2000, 10)).astype(real)
    dense, state = make_state(LloydState, X, 30), make_quantized(X, 30, bits=bits)
    for factor in (1.0, 1e4, 1e12, 1.0, 1e-12):
        centers = X[:30].astype(np.float64) * factor
        assert state.step(centers) == dense.step(centers)
        np.testing.assert_array_equal(state.clusters.labels, dense.clusters.labels)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("n_features, n_clusters", [(31, 200), (400, 150), (64, 97)])
def test_samples_with_many_near_centers_are_assigned_together(n_features, n_clusters, bits, rng, real):
    """Far samples make whole numbers so coarse that most centers lie within the gap of most samples."""
    X = rng.standard_t(2, size=(1500, n_features)).astype(real)
    X[rng.integers(len(X), size=20)] *= 300
    _, n_decided = check_steps(X, X[:n_clusters], 4, bits=bits)
    assert bits == 16 or min(n_decided) > len(X) / 4


@pytest.mark.skipif(not HAS_DOT8, reason="no integer dot products")
def test_bits_are_not_chosen_that_leave_most_centers_near(rng):
    X = rng.normal(size=(8000, 400)) * np.where(rng.random(8000) < 0.002, 300.0, 1.0)[:, None]
    assert choose_bits(X[:2000], X[-150:], X.mean(axis=0), True) in (0, 16)


def test_weights_and_threads_change_nothing(blobs, rng, real):
    X, _ = blobs(9000, 20, 40, real, std=4.0)
    weights = rng.uniform(size=len(X))
    counts = [check_steps(X, X[:40], 6, weights=weights, n_threads=n_threads)[1] for n_threads in (1, 2, 5)]
    assert counts[0] == counts[1] == counts[2]


def test_few_samples_need_float64(blobs, real):
    """16 bits settle nearly every label even where clusters overlap: else the filter would not filter."""
    X, _ = blobs(20000, 20, 50, real, std=4.0)
    _, n_decided = check_steps(X, X[:50], 4, bits=16)
    assert max(n_decided) < 0.03 * len(X)


def test_bits_are_chosen_by_what_they_leave_open(blobs, rng):
    """Separated clusters: 8. Overlapping ones: 16. A few outliers far beyond all else: Lloyd's float32."""
    apart, _ = blobs(3000, 32, 200, np.dtype(float), std=0.2)
    overlapping = rng.normal(size=(3000, 20))
    wild = overlapping * 10.0 ** rng.integers(-12, 12, size=(3000, 1))
    chosen = [choose_bits(X[:2000], X[-150:], X.mean(axis=0), True) for X in (apart, overlapping, wild)]
    assert chosen == [8, 16, 0]
    assert choose_bits(apart[:2000], apart[-150:], apart.mean(axis=0), False) == 16


def test_where_bits_do_not_pay_lloyd_steps_follow(rng, real):
    X = (rng.normal(size=(4000, 12)) * 10.0 ** rng.integers(-9, 9, size=(4000, 1))).astype(real)
    state, _ = check_steps(X, X[:20], 6)
    assert state.bits == 0
    assert state.share == 1.0


def test_a_wrong_first_choice_is_corrected(rng, real):
    """8 bits taken for centers far apart; later ones lie close together, and 16 are better."""
    if not HAS_DOT8:
        pytest.skip("no integer dot products")
    X = rng.normal(size=(6000, 24)).astype(real)
    X[:60] *= 40
    dense, state = make_state(LloydState, X, 60), make_quantized(X, 60)
    for centers in [X[:60]] + 4 * [X[60:120] * 0.2]:
        wide = centers.astype(np.float64)
        assert state.step(wide) == dense.step(wide)
        np.testing.assert_array_equal(state.clusters.labels, dense.clusters.labels)
    assert state.bits in (0, 16)


def test_one_cluster_needs_no_copy(blobs, real):
    X, _ = blobs(1000, 16, 8, real)
    state, _ = check_steps(X, X[:1], 2)
    assert state.bits == 0


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("data", ADVERSARIAL)
def test_seeds_do_not_depend_on_what_passes_read(data, bits, real, rng, seed):
    X = ADVERSARIAL[data](rng, 1200).astype(real)
    scale = 2.0 ** min(126, -np.frexp(float(np.abs(X).max()))[1])
    copy = QuantizedCopies(X, 2).rows(bits)
    seeds = np.zeros((2, 150), dtype=np.intp)
    for chosen, rows in zip(seeds, (None, copy), strict=True):
        seeding = PlusPlus(X, None, scale, 5, 2, 7, seed, rows=rows)
        n_chosen = seeding.choose(chosen)
        chosen[n_chosen:] = -1
    np.testing.assert_array_equal(seeds[0], seeds[1])


@pytest.mark.skipif(HAS_DOT8, reason="integer dot products")
def test_eight_bits_are_refused_where_no_instruction_multiplies_them(rng, real):
    X = rng.normal(size=(300, 20)).astype(real)
    with pytest.raises(ValueError, match="bits must be 16"):
        QuantizedCopies(X, 1).rows(8)


@pytest.mark.parametrize("isa", runtime.isas())
def test_seeds_on_every_instruction_set(isa, blobs, real, seed):
    X, _ = blobs(3000, 18, 40, real, std=3.0)
    before, seeds = runtime.isa(), np.empty((2, 80), dtype=np.intp)
    runtime.use_isa(isa)
    try:
        for chosen, bits in zip(seeds, (0, 16), strict=True):
            rows = QuantizedCopies(X, 1).rows(bits) if bits else None
            assert PlusPlus(X, None, 2.0**-5, 6, 1, 7, seed, rows=rows).choose(chosen) == 80
    finally:
        runtime.use_isa(before)
    np.testing.assert_array_equal(seeds[0], seeds[1])


def test_centers_of_another_shape_are_refused(rng):
    state = make_quantized(rng.normal(size=(50, 3)), 4)
    with pytest.raises(ValueError, match=r"centers must have shape \(4, 3\); got \(5, 3\)"):
        state.step(np.zeros((5, 3)))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("spread", [0.0, 1e-3, 0.3, 3.0])
@pytest.mark.parametrize("n_features", [3, 20, 90, 400])
def test_samples_near_the_middle_of_near_centers_are_not_settled_wrongly(n_features, spread, bits, real):
    """Centers near one another amid a wide cloud: the gap that grows with their distance is the smaller one."""
    rng = np.random.default_rng([n_features, int(1e3 * spread), bits, 83_417])
    centers = rng.normal(scale=0.4, size=(23, n_features))
    a, b = rng.integers(23, size=(2, 2500))
    across = rng.normal(size=(2500, n_features))
    apart = centers[a] - centers[b]
    across -= (across * apart).sum(axis=1, keepdims=True) / np.maximum((apart**2).sum(axis=1), 1e-9)[:, None] * apart
    lean = rng.choice([-1, 1], size=(2500, 1)) * 10.0 ** rng.uniform(-9, 0, size=(2500, 1))
    X = ((centers[a] + centers[b]) / 2 + lean * apart + spread * across).astype(real)
    check_steps(X, centers.astype(real), 3, bits=bits)


@pytest.mark.parametrize(("bits", "most"), [(8, 0.5), (16, 0.05)])
def test_overlapping_clouds_of_many_features_are_settled_by_few_bits(bits, most, real):
    if bits == 8 and not HAS_DOT8:
        pytest.skip("no integer dot products")
    X = np.random.default_rng(77_041).normal(size=(20_000, 100)).astype(real)
    _, n_decided = check_steps(X, X[:5], 4, bits=bits)
    assert max(n_decided) < most * len(X)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("bits", BITS)
def test_many_unsettled_samples_are_assigned_together(bits, n_threads, rng, real):
    """Lengths of rows differ so much that whole numbers settle next to none: all are gathered, and the last tile is not full."""
    X = (rng.standard_t(2, size=(3001, 60)) * 10.0 ** rng.uniform(-3, 0, size=(3001, 1))).astype(real)
    weights = rng.uniform(size=len(X))
    _, n_decided = check_steps(X, X[:40], 4, weights=weights, bits=bits, n_threads=n_threads)
    assert min(n_decided) > 0.2 * len(X)
