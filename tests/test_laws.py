"""Laws of k-means and of this package's promises: true for every algorithm, dtype and weight."""

from __future__ import annotations

import copy
import io
import pickle
import re
import zipfile

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastkmeans
from fastkmeans import KMeans, k_means, kmeans_plusplus
from fastkmeans.algorithms.table import ALGORITHMS

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

RTOL = {"float32": 1e-6, "float64": 1e-12}  # of centers against the reference


def assert_centers(actual, expected):
    """Equal up to the rounding of the dtype in which ``actual`` is stored."""
    rtol = RTOL[actual.dtype.name]
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)


# ---------------------------------------------------------------- promise 2: a model agrees with itself

SITUATIONS = {
    "converged": {"max_iter": 300},
    "converged to tol": {"max_iter": 300, "tol": 1e-2},
    "one iteration": {"max_iter": 1},
    "two iterations": {"max_iter": 2},
    "three iterations": {"max_iter": 3},
}


@pytest.fixture(params=["full clusters", "empty clusters"])
def start(request, blobs, real):
    """Rows and eleven initial centers; to start empty, five are far from every row and two duplicated."""
    X, _ = blobs(900, 6, 9, real, std=4.0)
    if request.param == "full clusters":
        return X, X[:11]
    return X, np.vstack([X[:4], X[:5] + 1000, X[:2]])


@pytest.fixture(params=SITUATIONS)
def fitted(request, start, algorithm):
    X, init = start
    params = {"tol": 0, **SITUATIONS[request.param]}
    return KMeans(len(init), init=init, algorithm=algorithm, **params).fit(X), X


def test_labels_are_the_predictions_of_the_training_rows(fitted):
    model, X = fitted
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(reference.nearest(X, model.cluster_centers_), model.labels_)


def test_inertia_is_minus_the_score_of_the_training_rows(fitted):
    model, X = fitted
    assert model.inertia_ == pytest.approx(-model.score(X), rel=1e-12, abs=0)
    assert model.inertia_ == pytest.approx(reference.inertia(X, model.cluster_centers_), rel=1e-12, abs=0)


def test_the_smallest_distance_of_transform_is_to_the_own_cluster(fitted):
    model, X = fitted
    np.testing.assert_array_equal(model.transform(X).argmin(axis=1), model.labels_)


def test_a_model_answers_alike_for_either_dtype_of_the_same_rows(fitted):
    model, X = fitted
    wide = X.astype(np.float64)
    np.testing.assert_array_equal(model.predict(wide), model.labels_)
    assert model.inertia_ == pytest.approx(-model.score(wide), rel=1e-12, abs=0)
    np.testing.assert_array_equal(model.transform(wide).argmin(axis=1), model.labels_)


def test_weighted_inertia_is_minus_the_weighted_score(start, algorithm, rng):
    X, init = start
    weights = rng.integers(0, 4, size=len(X)) * 0.37
    for max_iter in [1, 2, 300]:
        model = KMeans(len(init), init=init, max_iter=max_iter, algorithm=algorithm)
        model.fit(X, sample_weight=weights)
        assert model.inertia_ == pytest.approx(-model.score(X, sample_weight=weights), rel=1e-12, abs=0)
        exact = reference.inertia(X, model.cluster_centers_, sample_weight=weights)
        assert model.inertia_ == pytest.approx(exact, rel=1e-12, abs=0)
        np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("real", ["float32", "float64"])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_models_of_small_integer_matrices_agree_with_themselves(real, data):
    n_samples, n_features = data.draw(st.integers(1, 25)), data.draw(st.integers(1, 4))
    X = data.draw(hnp.arrays(real, (n_samples, n_features), elements=st.integers(-2, 2).map(float)))
    weights = data.draw(hnp.arrays(np.float64, n_samples, elements=st.integers(0, 3).map(float)))
    weights[data.draw(st.integers(0, n_samples - 1))] = 1.0  # all zero is an error
    n_clusters = data.draw(st.integers(1, n_samples))
    init = data.draw(hnp.arrays(real, (n_clusters, n_features), elements=st.integers(-3, 3).map(float)))
    max_iter = data.draw(st.integers(1, 12))
    model = KMeans(n_clusters, init=init, max_iter=max_iter, tol=0).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.transform(X).argmin(axis=1), model.labels_)
    assert model.inertia_ == pytest.approx(-model.score(X, sample_weight=weights), rel=1e-12, abs=1e-300)


# ---------------------------------------------------------------- the slow twin


@pytest.mark.parametrize("max_iter", [1, 2, 3, 300])
def test_every_algorithm_walks_with_the_reference(start, max_iter, algorithm):
    X, init = start
    model = KMeans(len(init), init=init, max_iter=max_iter, tol=0, algorithm=algorithm).fit(X)
    centers, labels, inertia, n_iter = reference.lloyd(X, init, max_iter)
    assert model.n_iter_ == n_iter
    np.testing.assert_array_equal(model.labels_, labels)
    assert_centers(model.cluster_centers_, centers)
    assert model.inertia_ == pytest.approx(inertia, rel=RTOL[X.dtype.name])
    assert model.cluster_centers_.dtype == X.dtype
    assert model.labels_.dtype == np.int32


def test_every_algorithm_walks_with_the_weighted_reference(start, algorithm, rng):
    X, init = start
    weights = rng.uniform(size=len(X)) * (rng.uniform(size=len(X)) < 0.7)
    model = KMeans(len(init), init=init, tol=0, algorithm=algorithm).fit(X, sample_weight=weights)
    centers, labels, inertia, n_iter = reference.lloyd(X, init, sample_weight=weights)
    assert model.n_iter_ == n_iter
    np.testing.assert_array_equal(model.labels_, labels)
    assert_centers(model.cluster_centers_, centers)


@pytest.mark.parametrize("n_features, n_clusters", [(1, 5), (2, 8), (3, 40), (12, 20), (50, 70), (150, 12)])
def test_every_shape_walks_with_the_reference(n_features, n_clusters, algorithm, blobs, real):
    X, _ = blobs(1500, n_features, n_clusters, real, std=5.0)
    init = X[:n_clusters]
    model = KMeans(n_clusters, init=init, max_iter=15, tol=0, algorithm=algorithm).fit(X)
    centers, labels, _, n_iter = reference.lloyd(X, init, 15)
    assert model.n_iter_ == n_iter
    np.testing.assert_array_equal(model.labels_, labels)
    assert_centers(model.cluster_centers_, centers)


def test_empty_clusters_take_what_saves_most(algorithm, real):
    X = np.array([[0], [1], [2], [10], [-10], [10]], dtype=real)  # row 4 saves most; then rows 3 and 5
    model = KMeans(3, init=[[0.0], [900.0], [900.0]], max_iter=1, tol=0, algorithm=algorithm).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_.ravel(), np.array([3.25, -10, 10], dtype=real))


def test_no_refill_takes_the_last_row_of_a_cluster(algorithm, real):
    X = np.array([[0], [0], [5]], dtype=real)  # row 2 is far from its center, but alone
    model = KMeans(3, init=[[0.0], [9.0], [99.0]], max_iter=1, tol=0, algorithm=algorithm).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_.ravel(), np.array([0, 5, 99], dtype=real))


def test_clusters_that_start_empty_end_with_rows(algorithm, blobs, real):
    X, _ = blobs(600, 4, 6, real, std=0.1)
    model = KMeans(6, init=np.full((6, 4), 500.0), tol=0, algorithm=algorithm).fit(X)
    assert np.bincount(model.labels_, minlength=6).min() > 0


# ---------------------------------------------------------------- weights


def test_a_weight_of_three_equals_three_copies(start, algorithm):
    X, init = start
    for max_iter in [1, 2, 300]:
        params = {"max_iter": max_iter, "tol": 0, "algorithm": algorithm}
        weighted = KMeans(len(init), init=init, **params).fit(X, sample_weight=np.full(len(X), 3.0))
        single = KMeans(len(init), init=init, **params).fit(X)
        assert weighted.n_iter_ == single.n_iter_
        np.testing.assert_array_equal(weighted.labels_, single.labels_)
        assert_centers(weighted.cluster_centers_, single.cluster_centers_)
        assert weighted.inertia_ == pytest.approx(3 * single.inertia_, rel=RTOL[X.dtype.name])


def test_integer_weights_equal_repeated_rows(algorithm, blobs, real, rng):
    X, _ = blobs(800, 5, 7, real, std=3.0)
    copies = rng.integers(1, 4, size=len(X))
    params = {"n_clusters": 7, "init": X[:7], "tol": 0, "algorithm": algorithm}
    weighted = KMeans(**params).fit(X, sample_weight=copies)
    repeated = KMeans(**params).fit(np.repeat(X, copies, axis=0))
    assert weighted.n_iter_ == repeated.n_iter_
    np.testing.assert_array_equal(np.repeat(weighted.labels_, copies), repeated.labels_)
    assert_centers(weighted.cluster_centers_, repeated.cluster_centers_)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=RTOL[real.name])


@pytest.mark.parametrize("init", ["k-means++", "random", "random-partition", "given"])
@pytest.mark.parametrize("scale", [2.0**-40, 0.5, 2.0**33])
def test_scaling_weights_by_a_power_of_two_changes_no_bit(scale, init, algorithm, blobs, real, rng, seed):
    X, _ = blobs(700, 5, 6, real, std=3.0)
    weights = rng.uniform(size=len(X))
    init = X[:6] if init == "given" else init
    params = {"n_clusters": 6, "init": init, "n_init": 1, "random_state": seed, "algorithm": algorithm}
    plain = KMeans(**params).fit(X, sample_weight=weights)
    scaled = KMeans(**params).fit(X, sample_weight=weights * scale)
    assert scaled.n_iter_ == plain.n_iter_
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)
    np.testing.assert_array_equal(scaled.cluster_centers_, plain.cluster_centers_)
    assert scaled.inertia_ == plain.inertia_ * scale


def test_unit_weights_change_no_bit(algorithm, blobs, real, seed, fingerprint):
    X, _ = blobs(700, 5, 6, real, std=3.0)
    params = {"n_clusters": 6, "random_state": seed, "algorithm": algorithm}
    unweighted = KMeans(**params).fit(X)
    assert fingerprint(KMeans(**params).fit(X, sample_weight=np.ones(700))) == fingerprint(unweighted)


def test_rows_of_zero_weight_never_move_a_center(start, algorithm, rng):
    X, init = start
    ghosts = rng.normal(scale=1e5, size=(200, X.shape[1])).astype(X.dtype)
    order = rng.permutation(len(X) + len(ghosts))
    weights = np.r_[np.ones(len(X)), np.zeros(len(ghosts))][order]
    params = {"n_clusters": len(init), "init": init, "tol": 0, "algorithm": algorithm}
    haunted = KMeans(**params).fit(np.vstack([X, ghosts])[order], sample_weight=weights)
    clean = KMeans(**params).fit(np.vstack([X, ghosts])[order][weights > 0])
    assert haunted.n_iter_ == clean.n_iter_
    np.testing.assert_array_equal(haunted.labels_[weights > 0], clean.labels_)
    assert_centers(haunted.cluster_centers_, clean.cluster_centers_)
    assert haunted.inertia_ == pytest.approx(clean.inertia_, rel=RTOL[X.dtype.name])


def test_sample_weight_is_not_modified(blobs, real, rng):
    X, _ = blobs(200, 3, 4, real)
    weights = rng.uniform(size=200)
    before = weights.copy()
    KMeans(4, random_state=3).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(weights, before)


# ---------------------------------------------------------------- invariances


def test_inertia_in_history_never_rises(start, algorithm):
    X, init = start
    model = KMeans(len(init), init=init, tol=0, algorithm=algorithm).fit(X)
    inertia = np.array([step["inertia"] for step in model.history_])
    assert len(inertia) == model.n_iter_ > 3
    rounding = RTOL[X.dtype.name] * inertia[1:]  # centers are means rounded to the dtype of X
    assert (np.diff(inertia) <= rounding).all()
    assert model.inertia_ <= inertia[-1] * (1 + RTOL[X.dtype.name])


def test_one_cluster_is_the_weighted_mean(algorithm, blobs, real, rng):
    X, _ = blobs(500, 4, 3, real, offset=50.0)
    weights = rng.uniform(size=500)
    model = KMeans(1, random_state=5, algorithm=algorithm).fit(X, sample_weight=weights)
    mean = np.average(X.astype(np.float64), axis=0, weights=weights)
    assert_centers(model.cluster_centers_, mean[None])
    assert not model.labels_.any()


def test_one_huge_row_costs_the_other_clusters_no_precision(algorithm, blobs, real):
    X, _ = blobs(500, 4, 3, real, std=3.0)
    X[137] *= 1e12
    init = X[[137, 1, 2, 3]]
    model = KMeans(4, init=init, tol=0, algorithm=algorithm).fit(X)
    centers, labels, _, n_iter = reference.lloyd(X, init)
    assert model.n_iter_ == n_iter
    np.testing.assert_array_equal(model.labels_, labels)
    assert_centers(model.cluster_centers_, centers)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_as_many_clusters_as_rows_leave_no_inertia(init, algorithm, rng, real, seed):
    X = rng.normal(size=(60, 3)).astype(real)
    model = KMeans(60, init=init, n_init=1, random_state=seed, algorithm=algorithm).fit(X)
    assert model.inertia_ == 0
    assert sorted(model.labels_) == list(range(60))


def test_permuted_features_give_permuted_centers(start, algorithm, rng):
    X, init = start
    order = rng.permutation(X.shape[1])
    params = {"n_clusters": len(init), "tol": 0, "algorithm": algorithm}
    plain = KMeans(init=init, **params).fit(X)
    permuted = KMeans(init=init[:, order], **params).fit(X[:, order])
    assert permuted.n_iter_ == plain.n_iter_
    np.testing.assert_array_equal(permuted.labels_, plain.labels_)
    assert_centers(permuted.cluster_centers_, plain.cluster_centers_[:, order])


def test_permuted_rows_give_permuted_labels(start, algorithm, rng):
    X, init = start
    order = rng.permutation(len(X))
    params = {"n_clusters": len(init), "init": init, "tol": 0, "algorithm": algorithm}
    plain, permuted = KMeans(**params).fit(X), KMeans(**params).fit(X[order])
    np.testing.assert_array_equal(permuted.labels_, plain.labels_[order])
    assert_centers(permuted.cluster_centers_, plain.cluster_centers_)


def test_scaling_the_data_by_a_power_of_two_scales_the_centers(start, algorithm):
    X, init = start
    params = {"n_clusters": len(init), "algorithm": algorithm}
    plain = KMeans(init=init, **params).fit(X)
    scaled = KMeans(init=init * 1024, **params).fit(X * 1024)
    assert scaled.n_iter_ == plain.n_iter_
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)
    np.testing.assert_array_equal(scaled.cluster_centers_, plain.cluster_centers_ * 1024)


# ---------------------------------------------------------------- seeding


@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_plusplus_picks_distinct_rows(weighted, blobs, real, rng, seed):
    X, _ = blobs(300, 4, 10, real)
    weights = rng.uniform(size=300) * (np.arange(300) % 3 > 0) if weighted else None
    centers, indices = kmeans_plusplus(X, 150, sample_weight=weights, random_state=seed)
    np.testing.assert_array_equal(centers, X[indices])
    assert centers.dtype == X.dtype
    assert len(set(indices)) == 150
    if weighted:
        assert (weights[indices] > 0).all()


def test_kmeans_plusplus_takes_every_distinct_row_before_a_copy(real, rng, seed):
    X = np.repeat(rng.normal(size=(12, 3)), 25, axis=0)[rng.permutation(300)].astype(real)
    centers, indices = kmeans_plusplus(X, 12, random_state=seed)
    assert len(np.unique(centers, axis=0)) == 12
    centers, indices = kmeans_plusplus(X, 20, random_state=seed)
    assert len(np.unique(centers, axis=0)) == 12
    np.testing.assert_array_equal(centers, X[indices])


def test_kmeans_plusplus_spreads_its_seeds(blobs, real, seed):
    X, truth = blobs(2000, 3, 8, real, std=0.05)
    _, indices = kmeans_plusplus(X, 8, random_state=seed)
    assert len(set(truth[indices])) == 8


def test_kmeans_plusplus_repeats_itself_and_listens_to_its_seed(blobs, real, seed):
    X, _ = blobs(500, 3, 8, real)
    first = kmeans_plusplus(X, 8, random_state=seed)[1]
    np.testing.assert_array_equal(kmeans_plusplus(X, 8, random_state=seed)[1], first)
    assert any((kmeans_plusplus(X, 8, random_state=other)[1] != first).any() for other in range(3))


def draw_rows(X, n_clusters, random_state):
    return X[random_state.permutation(len(X))[:n_clusters]]


INITS = {
    "k-means++": lambda X: "k-means++",
    "random": lambda X: "random",
    "random-partition": lambda X: "random-partition",
    "array": lambda X: X[:5].astype(np.float64),
    "list": lambda X: X[:5].tolist(),
    "callable": lambda X: draw_rows,
}


@pytest.mark.parametrize("init", INITS)
def test_every_init_leads_to_a_local_optimum(init, algorithm, blobs, real, seed):
    X, _ = blobs(600, 4, 5, real)
    model = KMeans(5, init=INITS[init](X), n_init=1, tol=0, random_state=seed, algorithm=algorithm).fit(X)
    assert model.converged_
    assert np.bincount(model.labels_, minlength=5).min() > 0
    means = np.array([X[model.labels_ == j].mean(axis=0, dtype=np.float64) for j in range(5)])
    assert_centers(model.cluster_centers_, means)


@pytest.mark.parametrize("init", ["k-means++", "random", "random-partition"])
def test_seeding_ignores_rows_of_zero_weight(init, blobs, real, rng, seed):
    X, _ = blobs(400, 3, 4, real)
    weights = (np.arange(400) % 2).astype(float)
    X[::2] += 1e4
    model = KMeans(4, init=init, n_init=3, random_state=seed).fit(X, sample_weight=weights)
    assert (np.abs(model.cluster_centers_) < 100).all()


def test_a_given_init_is_neither_modified_nor_shared(blobs, real):
    X, _ = blobs(200, 3, 4, real)
    init = X[:4].copy()
    model = KMeans(4, init=init).fit(X)
    np.testing.assert_array_equal(init, X[:4])
    assert not np.may_share_memory(model.cluster_centers_, init)


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng, lambda seed: seed])
def test_equal_random_states_give_equal_bits(source, blobs, real, seed, fingerprint):
    X, _ = blobs(500, 4, 12, real, std=3.0)
    fits = [KMeans(12, n_init=2, random_state=source(seed)).fit(X) for _ in range(2)]
    assert fingerprint(fits[0]) == fingerprint(fits[1])


def test_n_init_keeps_the_best_run(blobs, real, seed):
    X, _ = blobs(400, 2, 15, real, std=0.3)
    inertia = [
        [
            KMeans(15, init="random", n_init=n_init, random_state=seed // 2 + i, max_iter=2).fit(X).inertia_
            for n_init in [1, 2, 5, 12]
        ]
        for i in range(4)
    ]
    assert (np.diff(inertia) <= 0).all()
    assert any(of_seed[-1] < of_seed[0] for of_seed in inertia)


# ---------------------------------------------------------------- stopping


def test_max_iter_is_kept(start, algorithm):
    X, init = start
    for max_iter in [1, 2, 3]:
        model = KMeans(len(init), init=init, max_iter=max_iter, tol=0, algorithm=algorithm).fit(X)
        assert model.n_iter_ == len(model.history_) == max_iter
        assert model.converged_ is False


def test_tol_is_relative_to_the_mean_variance_of_the_features(algorithm, blobs, real):
    X, _ = blobs(900, 4, 7, real, std=4.0)
    X[:, 1] *= 10
    before, after = (reference.lloyd(X, X[:7], max_iter)[0].astype(np.float64) for max_iter in (5, 6))
    variance = X.astype(np.float64).var(axis=0).mean()
    for factor in [1.01, 0.99]:  # just above and just below the shift of the sixth iteration
        tol = factor * ((after - before) ** 2).sum() / variance
        model = KMeans(7, init=X[:7], tol=tol, algorithm=algorithm).fit(X)
        assert model.n_iter_ == reference.lloyd(X, X[:7], tol=tol * variance)[3]
        assert model.converged_ is True
        last_shift = model.history_[-1]["center_shift"]
        assert last_shift <= tol * variance or model.history_[-1]["n_changed"] == 0


def test_history_reports_the_shifts_and_changes_of_every_iteration(start, algorithm):
    X, init = start
    params = {"n_clusters": len(init), "init": init, "tol": 0, "algorithm": algorithm}
    history = KMeans(**params).fit(X).history_
    centers, labels = np.asarray(init, np.float64), np.full(len(X), -1)
    for step in history[:4]:
        now = reference.nearest(X, centers)
        assert step["inertia"] == pytest.approx(reference.inertia(X, centers), rel=1e-10)
        assert step["n_changed"] == (now != labels).sum()
        assert step["n_empty"] == len(init) - len(np.unique(now))
        assert step["seconds"] >= 0
        moved = KMeans(max_iter=history.index(step) + 1, **params).fit(X).cluster_centers_.astype(np.float64)
        assert step["center_shift"] == pytest.approx(((moved - centers) ** 2).sum(), rel=1e-6)
        centers, labels = moved, now
    iterations = [step["iteration"] for step in history]
    assert iterations == list(range(iterations[0], iterations[0] + len(history)))


def test_history_tells_what_each_iteration_ran(algorithm, rng, real):
    # Where its filter pays.
    shapes = {"lloyd": (3000, 5, 8), "pair": (3000, 5, 2), "tiles": (60000, 2, 40), "prefix": (6000, 200, 200),
              "quantized": (60000, 20, 60), "yinyang": (20000, 20, 300)}  # fmt: skip
    allowed = {"yinyang": {"yinyang", "quantized"}}.get(algorithm, {algorithm})
    n_samples, n_features, n_clusters = shapes.get(algorithm, shapes["lloyd"])
    scales = 0.9 ** np.arange(n_features)
    X = (rng.normal(size=(40, n_features)) * 5 * scales)[rng.integers(40, size=n_samples)]
    X = (X + rng.normal(size=X.shape) * scales).astype(real)
    params = {"algorithm": algorithm, "tol": 0, "max_iter": 12}
    ran = [step["algorithm"] for step in KMeans(n_clusters, init=X[:n_clusters], **params).fit(X).history_]
    assert algorithm in ran and set(ran) <= allowed


@pytest.mark.parametrize("algorithm", [name for name, row in ALGORITHMS.items() if row.falls_back])
def test_an_algorithm_that_falls_back_takes_lloyds_steps_where_it_saves_nothing(algorithm, rng, real):
    hopeless = rng.normal(size=(900, 40 if algorithm == "tiles" else 1)).astype(real)
    model = KMeans(64, init=hopeless[:64], algorithm=algorithm, tol=0, max_iter=12).fit(hopeless)
    assert {step["algorithm"] for step in model.history_} == {"lloyd"}


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
def test_history_of_other_metrics_tells_of_lloyd(metric, blobs, real):
    X, _ = blobs(400, 6, 5, real)
    assert {step["algorithm"] for step in KMeans(5, metric=metric).fit(X).history_} == {"lloyd"}


def test_every_reason_to_stop_has_its_own_name(algorithm, blobs, real):
    X, _ = blobs(600, 3, 6, real, std=4.0)
    params = {"n_clusters": 6, "init": X[:6], "algorithm": algorithm}
    fits = {
        "strict": KMeans(tol=0, **params),
        "tol": KMeans(tol=0.1, **params),
        "max_iter": KMeans(tol=0, max_iter=2, **params),
        "callback": KMeans(tol=0, callback=lambda step: True, **params),
    }
    reasons = {name: model.fit(X).stop_reason_ for name, model in fits.items()}
    assert all(isinstance(reason, str) and reason for reason in reasons.values())
    assert len(set(reasons.values())) == 4, reasons
    converged = {name: model.converged_ for name, model in fits.items()}
    assert converged == {"strict": True, "tol": True, "max_iter": False, "callback": False}


def test_callback_sees_every_iteration(start, algorithm):
    X, init = start
    seen = []
    model = KMeans(len(init), init=init, tol=0, callback=seen.append, algorithm=algorithm).fit(X)
    assert len(seen) == model.n_iter_
    assert all(isinstance(step, dict) for step in seen)
    for name in ["iteration", "inertia", "center_shift", "n_changed", "n_empty"]:
        assert [step[name] for step in seen] == [step[name] for step in model.history_]


def test_callback_returning_true_stops_the_fit(start, algorithm):
    X, init = start
    seen = []

    def third(step):
        seen.append(step)
        return len(seen) == 3

    model = KMeans(len(init), init=init, tol=0, callback=third, algorithm=algorithm).fit(X)
    assert len(seen) == model.n_iter_ == 3
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model.inertia_ == pytest.approx(-model.score(X), rel=1e-12)


ENDINGS = [(0, "strict convergence"), (0.01, "center shift .* within tolerance")]


@pytest.mark.parametrize("tol, ending", ENDINGS)
def test_verbose_prints_every_iteration(tol, ending, algorithm, blobs, real, capsys):
    X, _ = blobs(600, 3, 6, real, std=4.0)
    model = KMeans(6, init=X[:6], tol=tol, verbose=1, algorithm=algorithm).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Initialization complete"
    for i in range(model.n_iter_):
        assert any(line.startswith(f"Iteration {i}, inertia") for line in lines)
    assert re.search(ending, lines[-1])


def test_a_quiet_fit_prints_nothing(blobs, real, capsys):
    X, _ = blobs(100, 3, 3, real)
    KMeans(3, random_state=1).fit(X)
    assert capsys.readouterr() == ("", "")


def test_auto_names_the_algorithm_that_ran(blobs, real):
    X, _ = blobs(300, 3, 4, real)
    assert KMeans(4, random_state=1).fit(X).algorithm_used_ in ALGORITHMS
    for name in ALGORITHMS:
        assert KMeans(4, random_state=1, algorithm=name).fit(X).algorithm_used_ == name


def test_auto_gives_lloyds_result(start, fingerprint):
    X, init = start
    auto = KMeans(len(init), init=init, tol=0, algorithm="auto").fit(X)
    assert fingerprint(auto) == fingerprint(KMeans(len(init), init=init, tol=0, algorithm="lloyd").fit(X))


def test_every_algorithm_gives_lloyds_bits(start, algorithm, fingerprint):
    X, init = start
    model = KMeans(len(init), init=init, tol=0, algorithm=algorithm).fit(X)
    assert fingerprint(model) == fingerprint(KMeans(len(init), init=init, tol=0, algorithm="lloyd").fit(X))


# ---------------------------------------------------------------- forms of the input


def memmapped(X, folder):
    stored = np.memmap(folder / "X.bin", dtype=X.dtype, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    return np.memmap(folder / "X.bin", dtype=X.dtype, mode="r", shape=X.shape)


def read_only(X, folder):
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X, folder):
    wide = np.full((2 * len(X), 3 * X.shape[1]), np.nan, dtype=X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


LAYOUTS = {
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "strided": strided,
    "reversed": lambda X, folder: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only,
    "memmap": memmapped,
    "column slice": lambda X, folder: np.hstack([X, X])[:, : X.shape[1]],
    "byte-swapped": lambda X, folder: X.astype(X.dtype.newbyteorder()),
    "misaligned": lambda X, folder: np.frombuffer(b"\0" + X.tobytes(), X.dtype, offset=1).reshape(X.shape),
}


@pytest.mark.parametrize("copy_x", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_changes_no_bit(layout, copy_x, blobs, real, seed, fingerprint, tmp_path):
    X, _ = blobs(700, 5, 6, real, std=3.0)
    params = {"n_clusters": 6, "random_state": seed, "copy_x": copy_x}
    plain = KMeans(**params).fit(X.copy())
    other = LAYOUTS[layout](X, tmp_path)
    model = KMeans(**params).fit(other)
    assert fingerprint(model) == fingerprint(plain)
    np.testing.assert_array_equal(model.predict(other), plain.labels_)
    np.testing.assert_array_equal(model.transform(other), plain.transform(X))
    np.testing.assert_array_equal(other, X)  # not modified


CONVERTED = {  # name -> (rows in that form, dtype that they are read as)
    "float16": (lambda rng: rng.normal(size=(300, 4)).astype(np.float16), np.float32),
    "int8": (lambda rng: rng.integers(-100, 100, size=(300, 4)).astype(np.int8), np.float64),
    "uint8": (lambda rng: rng.integers(0, 255, size=(300, 4)).astype(np.uint8), np.float64),
    "int32": (lambda rng: rng.integers(-9999, 9999, size=(300, 4)).astype(np.int32), np.float64),
    "int64": (lambda rng: rng.integers(-(2**40), 2**40, size=(300, 4)), np.float64),
    "bool": (lambda rng: rng.uniform(size=(300, 9)) < 0.5, np.float64),
    "nested list": (lambda rng: rng.normal(size=(300, 4)).tolist(), np.float64),
    "list of rows": (lambda rng: list(rng.normal(size=(300, 4))), np.float64),
    "long double": (lambda rng: rng.normal(size=(300, 4)).astype(np.longdouble), np.float64),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_other_types_equal_their_float_copies(name, rng, seed, fingerprint):
    make, read_as = CONVERTED[name]
    X = make(rng)
    plain = KMeans(5, random_state=seed).fit(np.array(X, dtype=read_as))
    model = KMeans(5, random_state=seed).fit(X)
    assert model.cluster_centers_.dtype == read_as
    assert fingerprint(model) == fingerprint(plain)
    np.testing.assert_array_equal(model.predict(X), plain.labels_)


def test_weights_may_be_a_list_or_integers(blobs, real, rng, seed, fingerprint):
    X, _ = blobs(200, 3, 4, real)
    weights = rng.integers(1, 5, size=200)
    model = KMeans(4, random_state=seed)
    digests = [fingerprint(model.fit(X, sample_weight=w)) for w in (weights * 1.0, weights, weights.tolist())]
    assert digests[0] == digests[1] == digests[2]


# ---------------------------------------------------------------- functions and round trips


def test_k_means_is_the_estimator(blobs, real, rng, seed):
    X, _ = blobs(300, 3, 5, real)
    weights = rng.uniform(size=300)
    model = KMeans(5, random_state=seed).fit(X, sample_weight=weights)
    centers, labels, inertia = k_means(X, 5, sample_weight=weights, random_state=seed)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)
    assert inertia == model.inertia_
    assert k_means(X, 5, sample_weight=weights, random_state=seed, return_n_iter=True)[3] == model.n_iter_


def test_the_shorthands_equal_their_parts(blobs, real, seed):
    X, _ = blobs(300, 3, 5, real)
    model = KMeans(5, random_state=seed).fit(X)
    np.testing.assert_array_equal(KMeans(5, random_state=seed).fit_predict(X), model.labels_)
    np.testing.assert_array_equal(KMeans(5, random_state=seed).fit_transform(X), model.transform(X))


def test_a_second_fit_remembers_nothing_of_the_first(blobs, real, seed, fingerprint):
    X, _ = blobs(500, 3, 5, real)
    Y = X[:300, :2] * 7
    model = KMeans(5, random_state=seed).fit(X)
    assert fingerprint(model.fit(Y)) == fingerprint(KMeans(5, random_state=seed).fit(Y))
    assert model.n_features_in_ == 2


def test_a_fit_from_fitted_centers_stays_there(blobs, real, seed, algorithm):
    X, _ = blobs(500, 3, 5, real, std=3.0)
    model = KMeans(5, random_state=seed, tol=0, algorithm=algorithm).fit(X)
    again = KMeans(5, init=model.cluster_centers_, tol=0, algorithm=algorithm).fit(X)
    np.testing.assert_array_equal(again.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(again.labels_, model.labels_)


def test_a_failed_fit_leaves_the_estimator_as_it_was(blobs, real, seed, fingerprint):
    X, _ = blobs(100, 3, 5, real)
    model = KMeans(5, random_state=seed).fit(X)
    before, digest = dict(vars(model)), fingerprint(model)
    with_nan = X.copy()
    with_nan[17, 1] = np.nan
    for bad in [with_nan, with_nan[:3], X[:3], X[0], np.full((9, 2), np.inf)]:
        with pytest.raises(ValueError):
            model.fit(bad)
    for weights in [np.ones(3), np.full(100, -1.0), np.zeros(100), np.full(100, np.nan)]:
        with pytest.raises(ValueError):
            model.fit(X[:, :2], sample_weight=weights)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert fingerprint(model) == digest


def through_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def through_a_file(model, folder):
    model.save(folder / "model.npz")
    return KMeans.load(folder / "model.npz")


ROUND_TRIPS = {
    "pickle": through_pickle,
    "copy": lambda model, folder: copy.copy(model),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "save and load": through_a_file,
}


@pytest.mark.parametrize("way", ROUND_TRIPS)
def test_a_round_trip_changes_no_bit(way, blobs, real, seed, tmp_path):
    X, _ = blobs(300, 3, 5, real)
    model = KMeans(5, random_state=seed, tol=1e-3, max_iter=50).fit(X)
    other = ROUND_TRIPS[way](model, tmp_path)
    assert type(other) is KMeans
    assert other.get_params() == model.get_params()
    assert other.cluster_centers_.dtype == real
    assert other.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()
    for name in ["inertia_", "n_iter_", "n_features_in_", "converged_", "stop_reason_", "algorithm_used_"]:
        assert getattr(other, name) == getattr(model, name)
    np.testing.assert_array_equal(other.predict(X), model.labels_)
    np.testing.assert_array_equal(other.transform(X), model.transform(X))
    assert other.score(X) == model.score(X)


def test_a_saved_model_holds_plain_arrays_only(blobs, real, tmp_path):
    X, _ = blobs(300, 3, 5, real)
    KMeans(5, init=X[:5], random_state=np.random.RandomState(7)).fit(X).save(tmp_path / "model.npz")
    with zipfile.ZipFile(tmp_path / "model.npz") as archive:
        for member in archive.namelist():
            values = np.lib.format.read_array(io.BytesIO(archive.read(member)), allow_pickle=False)
            assert not values.dtype.hasobject
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.npz"]


def test_a_file_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "model.npz", cluster_centers_=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(ValueError):
        KMeans.load(tmp_path / "model.npz")


def test_from_centers_predicts_without_a_fit(real, rng):
    C = rng.normal(size=(6, 3)).astype(real)
    model = KMeans.from_centers(C)
    assert model.n_clusters == 6
    assert model.n_features_in_ == 3
    assert model.cluster_centers_.dtype == real
    np.testing.assert_array_equal(model.cluster_centers_, C)
    assert not np.may_share_memory(model.cluster_centers_, C)
    np.testing.assert_array_equal(model.predict(C), np.arange(6))
    assert not np.diag(model.transform(C)).any()
    assert model.score(C) == 0


def test_warnings_and_errors_are_scikit_learns_when_it_is_there():
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.raises(exceptions.NotFittedError):
        KMeans().predict([[0.0]])
    with pytest.warns(exceptions.ConvergenceWarning, match=r"distinct clusters \(1\) .* n_clusters \(2\)"):
        KMeans(2, random_state=0).fit([[1.0], [1.0], [1.0]])


def test_unfitted_models_say_so():
    for method in ["predict", "transform", "score"]:
        with pytest.raises(fastkmeans.NotFittedError):
            getattr(KMeans(), method)([[0.0, 1.0]])


# ---------------------------------------------------------------- weights of very different size


@pytest.mark.parametrize("light", [1e-3, 1e-12, 1e-24, 1e-40, 1e-100])
def test_light_clusters_get_their_own_mean(light, algorithm, real, rng):
    corners = [(0, 0), (50, 0), (0, 50), (50, 50)]
    X = np.concatenate([rng.normal(corner, 0.5, size=(60, 2)) for corner in corners]).astype(real)
    weights = np.repeat([1.0, 1.0, light, light], 60) * rng.uniform(0.5, 1.5, size=240)
    model = KMeans(4, init=X[::60], tol=0, algorithm=algorithm).fit(X, sample_weight=weights)
    expected = [
        np.average(X[i : i + 60].astype(np.float64), axis=0, weights=weights[i : i + 60]) for i in range(0, 240, 60)
    ]
    np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-6 if real.itemsize == 4 else 1e-9)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("unit", [1e-300, 1e-308, 1e140])
def test_the_unit_of_the_weights_does_not_matter(unit, algorithm, real, rng):
    X = rng.normal(size=(200, 3)).astype(real)
    params = {"n_clusters": 5, "init": X[:5], "tol": 0, "algorithm": algorithm}
    plain = KMeans(**params).fit(X)
    scaled = KMeans(**params).fit(X, sample_weight=np.full(200, unit))
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)
    assert_centers(scaled.cluster_centers_, plain.cluster_centers_)
    assert scaled.inertia_ / unit == pytest.approx(plain.inertia_, rel=1e-9)


def test_history_tells_the_inertia_of_clusters_far_apart(algorithm, rng):
    X = np.concatenate([rng.normal(at, 1e-4, size=(40, 2)) for at in (-1e6, 0.0, 1e6)])
    model = KMeans(12, init=X[::10], tol=0, algorithm=algorithm).fit(X)
    assert model.history_[-1]["inertia"] == pytest.approx(model.inertia_, rel=1e-6)


# ---------------------------------------------------------------- what may not be trusted


def test_centers_put_in_by_hand_are_checked(blobs):
    X, _ = blobs(50, 4, 3, "float64")
    model = KMeans(3, random_state=4).fit(X)
    model.cluster_centers_ = model.cluster_centers_[:, :1]
    for method in [model.predict, model.transform, model.score]:
        with pytest.raises(ValueError, match=r"centers must have shape \(n_clusters >= 1, 4\); got \(3, 1\)"):
            method(X)


def test_distances_that_overflow_float32_are_refused():
    X = np.array([[3e38, -3e38], [-3e38, 3e38]], dtype=np.float32)
    model = KMeans(2, init=X).fit(X)
    np.testing.assert_array_equal(model.labels_, [0, 1])
    with pytest.raises(ValueError, match="overflow float32; pass X.astype"):
        model.transform(X)
    assert np.isfinite(model.transform(X.astype(np.float64))).all()


def test_a_callable_init_cannot_change_the_samples(blobs):
    X, _ = blobs(50, 2, 3, "float64")

    def spoil(X, n_clusters, random_state):
        X[:] = np.nan

    with pytest.raises(ValueError, match="read-only"):
        KMeans(3, init=spoil).fit(X)
    assert np.isfinite(X).all()
