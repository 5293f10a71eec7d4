"""How many clusters: what the choice of a sweep is made of, what it names, and what it refuses to name."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkmeans import KMeans, elbow, plot_elbow
from fastkmeans.fitting.loop import Run
from fastkmeans.fitting.search import Fit
from fastkmeans.selection.bends import FIT_DOUBT, STEEPEST, bends
from fastkmeans.selection.choice import choose, enough_bend
from fastkmeans.selection.evidence import Evidence
from fastkmeans.selection.partitions import best_partitions, cheapest_merge

# ---------------------------------------------------------------- bends


@given(power=st.floats(0.05, 3), first=st.integers(1, 4), count=st.integers(3, 40))
def test_a_power_of_k_bends_nowhere(power, first, count):
    k = np.arange(first, first + count)
    found = bends(k, 7.0 * k**-power)
    assert np.isnan(found[[0, -1]]).all()
    # The least step is that to the next k.
    assert (found[1:-1] < 1).all()
    assert (1 / found[1:-1] <= 1 + FIT_DOUBT / (power * np.log1p(1 / k[1:-1])) + 1e-9).all()


@pytest.mark.parametrize("k", [np.arange(1, 60), np.array([1, 2, 4, 8, 16, 32, 64])], ids=len)
@pytest.mark.parametrize("knee", [4, 8, 32])
def test_two_powers_of_k_bend_where_they_meet(k, knee):
    inertia = np.where(k <= knee, k**-1.5, knee**-1.0 * k**-0.5)
    found = bends(k, inertia)
    assert k[np.nanargmax(found)] == knee
    assert np.nanmax(found) == pytest.approx(3.0, rel=0.08)


def test_bends_are_ratios_of_slopes_by_hand():
    k, inertia = np.array([1, 2, 4, 5]), np.array([8.0, 4.0, 3.0, 1.0])
    before = [np.log(2) / np.log(2), np.log(4 / 3) / np.log(2)]
    after = [(np.log(4 / 3) + FIT_DOUBT) / np.log(2), (np.log(3) + FIT_DOUBT) / np.log(5 / 4)]
    assert bends(k, inertia)[1:3] == pytest.approx([before[0] / after[0], before[1] / after[1]])
    both = bends(k, np.stack([inertia, 9 * inertia]))
    assert both[1] == pytest.approx(both[0], nan_ok=True)


def test_a_curve_that_ends_in_zeros_bends_at_the_first_and_equal_samples_nowhere():
    k = np.arange(1, 7)
    found = bends(k, np.array([9.0, 4.0, 0.0, 0.0, 0.0, 0.0]))
    assert k[np.nanargmax(found)] == 3 and 100 < np.nanmax(found) <= STEEPEST
    assert np.isnan(bends(k, np.zeros(6))).all()
    assert np.isnan(bends(np.array([3]), np.array([1.0]))).all()


# ---------------------------------------------------------------- partitions


def fit_of(X, labels, n_clusters, weights):
    means = np.array([np.average(X[labels == j], axis=0, weights=weights[labels == j]) for j in range(n_clusters)])
    inertia = float(weights @ ((X - means[labels]) ** 2).sum(axis=1))
    sizes = np.bincount(labels, weights=weights, minlength=n_clusters)
    run = Run(**{name: None for name in Run._fields})._replace(centers=means, labels=labels, inertia=inertia)
    return Fit(run, "lloyd", means, sizes, 0.0)


def test_the_cheapest_merge_is_the_cheapest_of_all(rng):
    X, weights = rng.normal(size=(60, 3)) + 1e3, rng.integers(1, 4, size=60).astype(float)
    labels = np.r_[np.arange(7), rng.integers(7, size=53)]
    fit = fit_of(X, labels, 7, weights)
    costs = {}
    for one, other in combinations(range(7), 2):
        merged = np.where(labels == other, one, labels)
        merged = np.where(merged > other, merged - 1, merged)
        costs[one, other] = fit_of(X, merged, 6, weights).run.inertia - fit.run.inertia
    one, other, rise = cheapest_merge(fit.means, fit.weights)
    assert (one, other) == min(costs, key=costs.get)
    assert rise == pytest.approx(min(costs.values()))


def test_a_poor_fit_is_replaced_by_a_better_one_with_clusters_merged(rng):
    corners = np.array([[0.0, 0], [9, 0], [0, 9], [9, 9], [30, 30]])
    truth = np.repeat(np.arange(5), 20)
    X, weights = corners[truth] + rng.normal(size=(100, 2)), rng.uniform(0.5, 2.0, size=100)
    poor = np.where(truth == 4, 0, truth)  # the far cluster is in none of its own
    split = np.where((truth == 2) & (np.arange(100) % 2 == 0), 5, truth)
    fits = [fit_of(X, poor, 4, weights), fit_of(X, truth, 5, weights), fit_of(X, split, 6, weights)]
    found = best_partitions(fits)
    assert [partition.fit is fit for partition, fit in zip(found, fits, strict=True)] == [False, True, True]
    labels = found[0].groups[truth]
    assert len(found[0].centers) == 4 and sorted(np.unique(labels)) == [0, 1, 2, 3]
    again = fit_of(X, labels, 4, weights)
    assert again.run.inertia == pytest.approx(found[0].inertia)
    assert again.means == pytest.approx(found[0].centers)
    assert again.weights == pytest.approx(found[0].weights)


# ---------------------------------------------------------------- the choice from a table


def table_of(bend, separation, silhouette=0.7, typical=None, inertia=None):
    """A table for k = 1, 2, ... with these columns, and resamples that all have these bends."""
    k = np.arange(1, len(bend) + 1)
    columns = {"k": k, "inertia": 100.0 / k if inertia is None else np.array(inertia, dtype=float)}
    for name in ("simplified_silhouette", "calinski_harabasz", "davies_bouldin", "bic"):
        columns[name] = np.full(len(k), np.nan)
    columns |= {"bend": np.array(bend, dtype=float), "separation": np.array(separation, dtype=float)}
    columns["silhouette"] = np.r_[np.nan, np.full(len(k) - 1, silhouette)]
    columns["typical_separation"] = columns["separation"] if typical is None else np.array(typical, dtype=float)
    return columns


def evidence_of(columns, **scores):
    """Resamples that all have the bends of the table, and the best k by BIC and by Calinski-Harabasz, if given."""
    found = np.full((2, len(columns["k"])), np.nan)
    for i, name in enumerate(("bic", "calinski_harabasz")):
        if name in scores:
            found[i] = -np.abs(columns["k"] - scores[name])
    return Evidence(columns["bend"], np.tile(columns["bend"], (100, 1)), found, columns["k"])


NAN = float("nan")
CHOICES = {
    "the sharpest bend": (table_of([NAN, 1, 4, 1, NAN], [NAN, 1.5, 3, 1, 1]), 3, "3 clusters, and all of them are apart"),
    "one close pair vetoes nothing": (
        table_of([NAN, 1, 4, 1, NAN], [NAN, 1.5, 1, 1, 1], typical=[NAN, 2, 2, 1, 1]), 3, "some of them overlap",
    ),
    "no bend": (table_of([NAN, 1, 1.2, 1, NAN], [NAN, 1.5, 1.9, 1, 1]), None, "like one cloud"),
    "a bend between arms that overlap": (table_of([NAN, 1, 4, 1, NAN], [NAN, 1, 1.2, 1, 1]), None, "k = 3 as after it, but"),
    "all apart, no sure bend": (table_of([NAN, 1.3, 1.4, 1, NAN], [NAN, 3, 1.4, 1, 1]), 2, "Next best is k = 3"),
    "all apart, but on a ring": (table_of([NAN, 0.5, 0.9, 1, NAN], [NAN, 2.3, 2.2, 1, 1]), None, "like one cloud"),
    "all apart, but on a sphere": (table_of([NAN, 1, 1, 1.3, 1, NAN], [NAN, 1, 1, 2.1, 1, 1], 0.3), None, "one cloud"),
    "groups of clusters": (table_of([NAN, 4, 1, 2.5, 1, NAN], [NAN, 5, 1, 2.5, 1, 1]), 4, "Next best is k = 2: groups"),
    "the last": (table_of([NAN, 1.0, 1.2, NAN], [NAN, 1.0, 1.2, 3.0]), None, "last of the sweep"),
    "one cluster a sample hides nothing": (
        table_of([NAN, 4, 1, NAN], [NAN, 3, 1, 0], inertia=[9, 4, 3, 0]), 2, "2 clusters",
    ),
    "one k": (table_of([NAN], [NAN]), None, "sweep over more"),
    "equal samples": (table_of([NAN, NAN, NAN], [NAN, 0, 0], inertia=[0, 0, 0]), None, "All samples are equal"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOICES)
def test_the_choice_from_a_table_by_hand(case):
    columns, best_k, words = CHOICES[case]
    choice = choose(columns, evidence_of(columns), lambda _: 1.0)
    assert choice.best_k == best_k
    assert words in choice.reason
    assert choice.reason.endswith(".")
    assert (choice.confidence is None) == (best_k is None)


def test_a_bend_must_be_sharper_than_that_of_a_box_and_sure():
    columns = table_of([NAN, 1, 1, 2.1, 1, NAN], [NAN, 1.7, 1.7, 1.7, 1.7, 1.7])
    evidence = evidence_of(columns)
    assert choose(columns, evidence, lambda _: 1.3).best_k == 4
    refused = choose(columns, evidence, lambda _: 2.0)
    assert refused.best_k is None and "evenly spread samples" in refused.reason
    evidence.resampled[:25, 3] = 1.1
    refused = choose(columns, evidence, lambda _: 1.3)
    assert refused.best_k is None and "a few samples decide" in refused.reason


@pytest.mark.parametrize(
    ("scores", "bend", "expected"),
    [
        ({"bic": 4, "calinski_harabasz": 4}, 2.0, 4),
        ({"bic": 4, "calinski_harabasz": 3}, 2.0, 2),
        ({"bic": 4}, 2.0, 2),
        ({"bic": 4, "calinski_harabasz": 4}, 1.6, 2),
        ({"bic": 3, "calinski_harabasz": 5}, 2.0, 2),
        ({"bic": 6, "calinski_harabasz": 6}, 2.0, 2),
    ],
)
def test_scores_that_agree_outvote_a_bend_that_is_not_much_larger(scores, bend, expected):
    columns = table_of([NAN, 3.5, 1, bend, 1, NAN], [NAN, 1.7, 1.7, 1.7, 1.7, 1.7])
    choice = choose(columns, evidence_of(columns, **scores), lambda _: 1.0)
    assert choice.best_k == expected
    if expected == 4:
        assert choice.runner_up == 2 and "BIC" in choice.reason


@pytest.mark.parametrize(("bend", "expected"), [(3.0, 5), (1.7, 4)])
def test_bic_decides_between_neighbours_whose_bends_are_alike(bend, expected):
    columns = table_of([NAN, 1, 1, 3.5, bend, 1, NAN], [NAN, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7])
    assert choose(columns, evidence_of(columns, bic=5, calinski_harabasz=2), lambda _: 1.0).best_k == expected


def test_confidence_is_the_share_of_the_resamples():
    columns = table_of([NAN, 1, 4, 1, NAN], [NAN, 1.6, 3, 1, 1])
    evidence = evidence_of(columns)
    evidence.resampled[:17, 1] = 9.0
    choice = choose(columns, evidence, lambda _: 1.0)
    assert choice.best_k == 3 and choice.runner_up == 2
    assert choice.confidence == pytest.approx(0.83)
    assert "83 of 100" in choice.reason and "Next best is k = 2." in choice.reason


def test_one_cloud_and_its_outliers_are_no_clusters(rng, seed):
    X = rng.normal(size=(300, 3))
    X[5], X[70] = 40, [0, -60, 0]
    assert elbow(X, random_state=seed).best_k is None


def test_fewer_parts_need_a_sharper_bend():
    needed = enough_bend(np.arange(2, 200))
    assert (np.diff(needed) < 0).all() and needed.min() > 1.1


# ---------------------------------------------------------------- samples


def ring(rng, n):
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.c_[np.cos(angle), np.sin(angle)] * (1 + 0.05 * rng.normal(size=(n, 1)))


def banana(rng, n):
    X = rng.normal(size=(n, 2)) * [2.5, 1.0]
    X[:, 1] += 0.3 * X[:, 0] ** 2
    return X


def sphere(rng, n):
    X = rng.normal(size=(n, 5))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


CLOUDS = {
    "a square, which four cells fit": lambda rng, n: rng.uniform(size=(n, 2)),
    "a cube, which eight cells fit": lambda rng, n: rng.uniform(size=(n, 3)),
    "a long box": lambda rng, n: rng.uniform(size=(n, 2)) * [5, 1],
    "normal": lambda rng, n: rng.normal(size=(n, 4)),
    "correlated": lambda rng, n: rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)),
    "heavy tails": lambda rng, n: rng.standard_t(3, size=(n, 3)),
    "lognormal": lambda rng, n: np.exp(rng.normal(size=(n, 2))),
    "exponential": lambda rng, n: rng.exponential(size=(n, 5)),
    "banana": banana,
    "ring": ring,
    "sphere": sphere,
}


@pytest.mark.parametrize("n_samples", [200, 3000])
@pytest.mark.parametrize("kind", CLOUDS)
def test_one_cloud_of_any_shape_has_no_clusters(kind, n_samples, rng, seed):
    found = [elbow(CLOUDS[kind](rng, n_samples), random_state=seed + i).best_k for i in range(4)]
    assert sum(best is not None for best in found) <= 1


@pytest.mark.parametrize("apart", [3.3, 4.0])
def test_overlapping_clusters_are_counted(apart, rng, seed):
    right = 0
    for i in range(10):
        side = 3 + i % 3
        grid = apart * np.stack(np.meshgrid(range(side), range(side)), -1).reshape(-1, 2)
        X = np.repeat(grid, 120, axis=0) + rng.normal(size=(120 * side**2, 2)) * rng.uniform(0.8, 1.0, size=(1, 2))
        right += elbow(X, int(1.5 * side**2) + 1, random_state=seed).best_k == side**2
    assert right >= 9


def test_clusters_in_groups_are_counted_one_by_one(rng, seed):
    centers = np.array([[0, 0], [5, 0], [2.5, 4.3], [40, -8], [40, 0], [40, 8], [48, -4], [48, 4]])
    X = np.concatenate([center + 0.8 * rng.normal(size=(n, 2)) for center, n in zip(centers, [1500] * 3 + [100] * 5)])
    result = elbow(X, 13, random_state=seed)
    assert (result.best_k, result.runner_up) == (8, 2)


def test_the_flowers_have_two_clusters_or_three(seed):
    flowers = pytest.importorskip("sklearn.datasets").load_iris().data
    result = elbow(flowers, random_state=seed)
    assert (result.best_k, result.runner_up) == (2, 3)
    assert "Next best is k = 3" in result.reason


def test_the_elbow_is_shown_where_there_are_no_clusters(rng, seed):
    X = np.c_[rng.integers(4, size=300), rng.uniform(0, 10, size=300)]
    result = elbow(X, random_state=seed)
    knee = result.knees["kneedle"]
    assert result.best_k is None and knee == 3
    (marked,) = [line for line in result.table_lines() if line.endswith("<- kneedle")]
    assert marked.split()[0] == "3"
    assert "like one cloud" in result.reason and "bends at k = 3 (kneedle)" in result.reason
    assert "k = 3" in plot_elbow(result).get_title()
    assert "no best_k, the curve bends at 3" in result._repr_html_()


def test_the_picture_of_a_result_shows_the_evidence(blobs, seed):
    result = elbow(blobs(200, 2, 3, "float64", std=0.3)[0], 7, random_state=seed)
    left, right = result.plot().figure.axes
    assert any(line.get_label().startswith("no clusters") for line in left.lines)
    assert np.array_equal(right.lines[0].get_ydata(), result.silhouette, equal_nan=True)
    assert len(elbow([[0.0], [1.0], [5.0]], [1]).plot().figure.axes) == 1


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
def test_other_metrics_choose_by_the_same_rule(metric, rng, seed):
    directions = rng.normal(size=(4, 6))
    X = (
        10 * np.repeat(directions, 60, axis=0) / np.linalg.norm(directions, axis=1).min()
        + rng.normal(size=(240, 6)) / 3
    )
    result = elbow(X, 9, metric=metric, random_state=seed)
    assert result.best_k == 4 and np.isfinite(result.bend[1:-1]).all()
    assert elbow(rng.normal(size=(400, 4)), 9, metric=metric, random_state=seed).best_k is None


@pytest.mark.parametrize("n_threads", [2, 3])
def test_any_number_of_threads_makes_the_same_choice(n_threads, rng, seed):
    X = rng.normal(size=(900, 3)) + 3 * rng.integers(3, size=(900, 1))
    one, several = (elbow(X, 6, random_state=seed, n_threads=n) for n in (1, n_threads))
    assert (one.best_k, one.runner_up, one.confidence) == (several.best_k, several.runner_up, several.confidence)
    assert one.bend.tobytes() == several.bend.tobytes()


def test_weights_count_in_the_resamples(rng, seed):
    X = np.concatenate([rng.normal(center, 1.0, size=(200, 2)) for center in [(0, 0), (8, 0), (0, 8), (8, 8)]])
    weights = np.repeat([1.0, 1.0, 1.0, 1e-12], 200)
    assert elbow(X, 8, random_state=seed).best_k == 4
    assert elbow(X, 8, sample_weight=weights, random_state=seed).agreement["bend"] == 3


# ---------------------------------------------------------------- n_clusters="auto"


def test_auto_goes_on_beyond_ten(rng, seed):
    corners = 7.0 * np.stack(np.meshgrid(range(5), range(3)), -1).reshape(-1, 2)
    X = np.repeat(corners, 40, axis=0) + rng.normal(size=(600, 2))
    auto = KMeans("auto", random_state=seed).fit(X)
    assert auto.n_clusters_ == auto.sweep_.best_k == 15
    assert auto.sweep_.k.tolist() == list(range(1, 21))
    assert np.array_equal(auto.labels_, auto.predict(X))
    assert auto.inertia_ == auto.sweep_.inertia[14]
    first = elbow(X, random_state=seed)
    assert first.inertia.tobytes() == auto.sweep_.inertia[:10].tobytes()


def test_auto_stops_at_its_limit(rng, seed):
    with pytest.raises(ValueError, match="no clear clusters between k = 1 and 40; pass a number"):
        KMeans("auto", random_state=seed).fit(rng.normal(size=(400, 2)))
