"""Laws of the metrics: each with its own best centers, each as exact and as repeatable as Euclidean k-means."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastkmeans import KMeans, cluster, elbow, k_means, kmeans_plusplus
from fastkmeans._core import medians, runtime
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.cli.main import main
from fastkmeans.engines.medians import lower_median
from fastkmeans.metrics.table import METRICS

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

RTOL = {"float32": 1e-6, "float64": 1e-12}
METRICS_AND_ALGORITHMS = [(name, algorithm) for name, row in METRICS.items() for algorithm in row.algorithms]


@pytest.fixture(params=list(METRICS))
def metric(request):
    return request.param


def assert_centers(actual, expected):
    rtol = RTOL[actual.dtype.name]
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)


def assert_walks_with_the_reference(X, init, metric, weights=None, max_iter=300, algorithm="auto", n_threads=None):
    params = {"init": init, "max_iter": max_iter, "tol": 0, "metric": metric, "algorithm": algorithm}
    model = KMeans(len(init), n_threads=n_threads, **params).fit(X, sample_weight=weights)
    centers, labels, inertia, n_iter = reference.lloyd(X, init, max_iter, weights, metric=metric)
    assert model.n_iter_ == n_iter
    np.testing.assert_array_equal(model.labels_, labels)
    assert_centers(model.cluster_centers_, centers)
    assert model.inertia_ == pytest.approx(inertia, rel=RTOL[X.dtype.name], abs=1e-300)
    return model


# ---------------------------------------------------------------- the slow twin


def test_the_slow_twin_knows_every_metric():
    assert set(reference.METRICS) == set(METRICS)


@pytest.mark.parametrize("max_iter", [1, 2, 3, 300])
@pytest.mark.parametrize("start", ["full clusters", "empty clusters"])
@pytest.mark.parametrize("metric, algorithm", METRICS_AND_ALGORITHMS)
def test_every_metric_walks_with_the_reference(metric, algorithm, start, max_iter, blobs, real):
    X, _ = blobs(900, 6, 9, real, std=4.0)
    init = X[:11] if start == "full clusters" else np.vstack([X[:4], X[:5] * 1000 + 999, X[:2]])
    assert_walks_with_the_reference(X, init, metric, max_iter=max_iter, algorithm=algorithm)


@pytest.mark.parametrize("kind", ["any", "many zeros", "integers", "light and heavy"])
def test_every_metric_walks_with_the_weighted_reference(metric, kind, blobs, real, rng):
    X, _ = blobs(4000, 5, 9, real, std=4.0)
    weights = {
        "any": lambda: rng.uniform(size=4000),
        "many zeros": lambda: rng.uniform(size=4000) * (rng.uniform(size=4000) < 0.3),
        "integers": lambda: rng.integers(0, 5, size=4000).astype(float),
        "light and heavy": lambda: 10.0 ** rng.integers(-8, 8, size=4000),
    }[kind]()
    assert_walks_with_the_reference(X, X[:8], metric, weights)


@pytest.mark.parametrize("n_features, n_clusters", [(1, 1), (1, 5), (2, 8), (3, 40), (20, 10), (70, 30), (150, 12)])
def test_every_shape_walks_with_the_reference(n_features, n_clusters, metric, blobs, real):
    X, _ = blobs(1500, n_features, n_clusters, real, std=5.0)
    if metric == "cosine" and n_features == 1:
        X = np.abs(X) + 1  # one direction, all ties
    assert_walks_with_the_reference(X, X[:n_clusters], metric, max_iter=6)


ROWS = {  # what makes medians hard
    "integers": lambda rng: rng.integers(-3, 4, size=(5000, 6)) + 0.0,
    "duplicates": lambda rng: rng.normal(size=(40, 6))[rng.integers(40, size=5000)],
    "constant features": lambda rng: rng.normal(size=(5000, 6)) * [1, 0, 1, 0, 1, 1] + [0, 7, 0, 0, 0, 0],
    "long tails": lambda rng: rng.standard_cauchy(size=(5000, 6)) ** 3,
    "mostly zeros": lambda rng: rng.normal(size=(5000, 6)) * (rng.uniform(size=(5000, 6)) < 0.2) + 1e-3 * np.eye(6)[0],
    "offset": lambda rng: rng.normal(size=(5000, 6)) + 1e4,
    "lognormal": lambda rng: rng.lognormal(sigma=3.0, size=(5000, 6)),
    "two values": lambda rng: rng.integers(2, size=(5000, 6)) + 1.0,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", ROWS)
def test_medians_of_every_kind_of_rows_walk_with_the_reference(rows, weighted, real, rng):
    X = ROWS[rows](rng).astype(real)
    weights = rng.integers(0, 3, size=len(X)) + 0.0 if weighted else None
    model = assert_walks_with_the_reference(X, X[:7], "manhattan", weights, max_iter=25)
    inertia = [entry["inertia"] for entry in model.history_]
    centers = X[:7]
    for entry in inertia[:6]:  # the history follows the cost from step to step
        assert entry == pytest.approx(
            reference.inertia(X, centers, sample_weight=weights, metric="manhattan"), rel=1e-11
        )
        centers = reference.lloyd(X, centers, 1, weights, metric="manhattan")[0]


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_fits_of_small_integer_matrices_are_exact(data):
    metric, real = data.draw(st.sampled_from(sorted(METRICS))), data.draw(st.sampled_from(["float32", "float64"]))
    n_samples, n_features = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 5))
    X = data.draw(hnp.arrays(real, (n_samples, n_features), elements=st.integers(-4, 4).map(float)))
    if metric == "cosine":
        X[~X.any(axis=1)] = 1.0
    weights = data.draw(hnp.arrays(np.float64, n_samples, elements=st.integers(0, 3).map(float)))
    weights[data.draw(st.integers(0, n_samples - 1))] = 1.0  # all zero is an error
    n_clusters, seed = data.draw(st.integers(1, n_samples)), data.draw(st.integers(0, 2**32 - 1))
    model = KMeans(n_clusters, random_state=seed, tol=0, max_iter=25, metric=metric).fit(X, sample_weight=weights)
    rows = reference.METRICS[metric][2](X)
    np.testing.assert_array_equal(reference.nearest(rows, model.cluster_centers_, metric), model.labels_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.transform(X).argmin(axis=1), model.labels_)
    assert model.inertia_ == -model.score(X, sample_weight=weights)


def test_a_center_is_the_lower_weighted_median():
    X = np.array([[1.0], [2.0], [3.0], [4.0]])
    for weights, expected in [
        ([1, 1, 1, 1], 2),
        ([1, 1, 1, 0], 2),
        ([1, 1, 2, 0], 2),
        ([1, 1, 2.5, 0], 3),
        ([0, 0, 0, 9], 4),
    ]:
        model = KMeans(1, init=[[0.0]], metric="manhattan").fit(X, sample_weight=weights)
        assert model.cluster_centers_ == [[expected]]


def test_a_mean_of_no_length_keeps_its_center():
    X = np.array([[0.6, 0.8], [-0.6, -0.8]])
    model = KMeans(1, init=[[1.0, 0.0]], metric="cosine").fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, [[1.0, 0.0]])


# ---------------------------------------------------------------- every label is the nearest


@pytest.mark.parametrize("isa", runtime.isas())
@pytest.mark.parametrize("n_features", [1, 2, 7, 8, 9, 16, 20, 33, 129, 300])
def test_every_instruction_set_finds_the_nearest_center(isa, n_features, metric, real, rng):
    before = runtime.isa()
    runtime.use_isa(isa)
    try:
        for n_clusters in [1, 2, 5, 13, 14, 15, 29, 60]:
            C = rng.integers(-2, 3, size=(n_clusters, n_features)) + rng.choice([0.0, 0.3]) * rng.normal(
                size=n_features
            )
            C[~C.any(axis=1)] = 1.0
            X = np.vstack([C, C[rng.integers(n_clusters, size=600)] + rng.integers(-1, 2, size=(600, n_features))])
            X[~X.any(axis=1)] = 1.0
            X, C = X.astype(real), C.astype(real)
            model = KMeans.from_centers(C, metric=metric)
            rows = reference.METRICS[metric][2](X)
            np.testing.assert_array_equal(model.predict(X), reference.nearest(rows, model.cluster_centers_, metric))
    finally:
        runtime.use_isa(before)


@pytest.mark.parametrize("n_features", [1, 2, 7, 24, 200])
def test_rows_halfway_between_two_centers_are_decided_in_float64(n_features, metric, real, rng):
    C = rng.normal(size=(37, n_features)).astype(real)
    a, b = rng.integers(37, size=(2, 3000))
    lean = rng.choice([-1, 1], size=3000) * 10.0 ** rng.uniform(-11, -3, size=3000)
    wide = C.astype(np.float64)
    X = ((wide[a] + wide[b]) / 2 + lean[:, None] * (wide[a] - wide[b]) + 1e-9).astype(real)
    model = KMeans.from_centers(C, metric=metric)
    rows = reference.METRICS[metric][2](X)
    np.testing.assert_array_equal(model.predict(X), reference.nearest(rows, model.cluster_centers_, metric))


@pytest.mark.parametrize("spread", ["one magnitude", "by row", "by feature"])
def test_manhattan_labels_of_any_magnitudes_are_exact(spread, real, rng):
    lowest, highest = {"float32": (-38, 36), "float64": (-300, 148)}[real.name]
    for n_features in [1, 3, 8, 33]:
        X, C = rng.normal(size=(200, n_features)), rng.normal(size=(30, n_features))
        if spread == "by row":
            X, C = (A * 10.0 ** rng.uniform(lowest, highest, size=(len(A), 1)) for A in (X, C))
        else:
            unit = 10.0 ** rng.uniform(lowest, highest, size=n_features if spread == "by feature" else 1)
            X, C = X * unit, C * unit
        X, C = X.astype(real), C.astype(real)
        labels = KMeans.from_centers(C, metric="manhattan").predict(X)
        np.testing.assert_array_equal(labels, reference.nearest(X, C, "manhattan"))
        assert_walks_with_the_reference(X, X[:9], "manhattan", max_iter=4)


@pytest.mark.parametrize("n_clusters", [1, 2, 12])
def test_bounds_keep_no_wrong_label_while_centers_jump(n_clusters, real, rng):
    X = rng.normal(size=(5000, 4)).astype(real)
    state = medians.MediansState(X, None, np.abs(X).max(axis=0).astype(np.float64), 1.0, n_clusters, 2)
    centers = X[:n_clusters].astype(np.float64)
    for size in [0, 1e-7, 1e-5, 1e-3, 0.1, 0, 3, 1e-4, 1e-2, 1e-6]:
        centers += rng.normal(scale=1.0, size=centers.shape) * size * (rng.uniform(size=(n_clusters, 1)) < 0.7)
        state.step(centers)
        np.testing.assert_array_equal(state.labels, reference.nearest(X, centers, "manhattan"))
        assert state.cost == pytest.approx(reference.inertia(X, centers, metric="manhattan"), rel=1e-12)


def test_large_fits_keep_exact_labels_and_cost_while_most_rows_stay_unread(real, rng):
    X = (rng.normal(size=(30_000, 8)) + 3 * rng.integers(3, size=(30_000, 1))).astype(real)
    model = KMeans(9, random_state=5, tol=0, metric="manhattan").fit(X)
    assert len(model.history_) > 10
    np.testing.assert_array_equal(model.labels_, reference.nearest(X, model.cluster_centers_, "manhattan"))
    expected = np.stack(
        [np.sort(X[model.labels_ == j], axis=0)[((model.labels_ == j).sum() - 1) // 2] for j in range(9)]
    )
    np.testing.assert_array_equal(model.cluster_centers_, expected)
    assert model.history_[-1]["inertia"] == pytest.approx(model.inertia_, rel=1e-12)


# ---------------------------------------------------------------- a model agrees with itself


@pytest.mark.parametrize("max_iter", [1, 2, 300])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_model_agrees_with_itself(weighted, max_iter, metric, blobs, real, rng):
    X, _ = blobs(2000, 6, 9, real, std=4.0)
    weights = rng.uniform(size=2000) if weighted else None
    model = KMeans(9, init=X[:9], max_iter=max_iter, metric=metric).fit(X, sample_weight=weights)
    for rows in [X, X.astype(np.float64)]:
        np.testing.assert_array_equal(model.predict(rows), model.labels_)
        np.testing.assert_array_equal(model.transform(rows).argmin(axis=1), model.labels_)
        assert model.inertia_ == -model.score(rows, sample_weight=weights)
    assert model.cluster_centers_.dtype == model.transform(X).dtype == real


def test_transform_gives_the_distances_of_the_metric(metric, blobs, real):
    X, _ = blobs(300, 5, 4, real, std=3.0)
    model = KMeans(4, init=X[:4], metric=metric).fit(X)
    wide, C = X.astype(np.float64), model.cluster_centers_.astype(np.float64)
    expected = {
        "euclidean": lambda: np.sqrt(reference.sq_distances(wide, C)),
        "manhattan": lambda: np.abs(wide[:, None, :] - C).sum(axis=2),
        "cosine": lambda: 1 - (wide @ C.T) / np.linalg.norm(wide, axis=1)[:, None] / np.linalg.norm(C, axis=1),
    }[metric]()
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-6, atol=1e-6 if real.itemsize == 4 else 1e-14)


@pytest.mark.parametrize("init", ["k-means++", "random", "random-partition", "given", "callable"])
def test_the_inertia_never_rises(init, metric, blobs, real, seed):
    X, _ = blobs(3000, 6, 12, real, std=4.0)
    init = {"given": X[:10], "callable": lambda X, k, random_state: X[random_state.permutation(len(X))[:k]]}.get(
        init, init
    )
    model = KMeans(10, init=init, n_init=1, random_state=seed, tol=0, metric=metric).fit(X)
    inertia = np.array([entry["inertia"] for entry in model.history_])
    assert len(inertia) > 3
    assert (np.diff(inertia) <= RTOL[real.name] * inertia[1:]).all()
    assert model.converged_ and np.bincount(model.labels_, minlength=10).min() > 0


def test_no_single_center_can_be_improved(metric, blobs, real, rng):
    X, _ = blobs(600, 4, 5, real, std=4.0)
    model = KMeans(5, init=X[:5], tol=0, metric=metric).fit(X)
    rows = reference.METRICS[metric][2](X)
    for _ in range(30):
        other = model.cluster_centers_ + rng.normal(scale=0.05, size=model.cluster_centers_.shape)
        if metric == "cosine":
            other = reference.unit(other)
        assert reference.inertia(rows, other, model.labels_, metric=metric) >= model.inertia_ * (1 - 1e-6)


# ---------------------------------------------------------------- weights, threads, invariances


def test_integer_weights_equal_repeated_rows(metric, blobs, real, rng):
    X, _ = blobs(2500, 5, 7, real, std=3.0)
    copies = rng.integers(1, 4, size=len(X))
    params = {"n_clusters": 7, "init": X[:7], "tol": 0, "metric": metric}
    weighted = KMeans(**params).fit(X, sample_weight=copies)
    repeated = KMeans(**params).fit(np.repeat(X, copies, axis=0))
    assert weighted.n_iter_ == repeated.n_iter_
    np.testing.assert_array_equal(np.repeat(weighted.labels_, copies), repeated.labels_)
    assert_centers(weighted.cluster_centers_, repeated.cluster_centers_)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=RTOL[real.name])


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**33, 2.0**-1000])
def test_scaling_weights_by_a_power_of_two_changes_no_bit(scale, metric, blobs, real, rng, seed):
    X, _ = blobs(700, 5, 6, real, std=3.0)
    weights = rng.uniform(size=700)
    params = {"n_clusters": 6, "random_state": seed, "metric": metric}
    plain, scaled = (KMeans(**params).fit(X, sample_weight=weights * unit) for unit in (1.0, scale))
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)
    np.testing.assert_array_equal(scaled.cluster_centers_, plain.cluster_centers_)
    assert scaled.inertia_ == plain.inertia_ * scale


@pytest.mark.parametrize("light", [1e-3, 1e-12, 1e-24, 1e-40, 1e-100])
def test_light_clusters_get_their_own_center(light, metric, real, rng):
    corners = [(50, 1), (1, 50), (60, 50), (9, -50)]
    X = np.concatenate([rng.normal(corner, 0.5, size=(60, 2)) for corner in corners]).astype(real)
    weights = np.repeat([1.0, 1.0, light, light], 60) * rng.uniform(0.5, 1.5, size=240)
    model = KMeans(4, init=X[::60], tol=0, metric=metric).fit(X, sample_weight=weights)
    _, best, prepare = reference.METRICS[metric]
    expected = [best(prepare(X)[i : i + 60].astype(np.float64), weights[i : i + 60]) for i in range(0, 240, 60)]
    np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-6 if real.itemsize == 4 else 1e-9)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("weighted", [False, True])
def test_any_number_of_threads_gives_the_same_bits(weighted, metric, blobs, real, rng, seed, fingerprint):
    X, _ = blobs(40_000, 7, 9, real, std=4.0)
    weights = rng.uniform(size=len(X)) if weighted else None
    fits = [
        KMeans(9, n_threads=n_threads, random_state=seed, max_iter=40, metric=metric).fit(X, sample_weight=weights)
        for n_threads in (1, 2, 3, 7)
    ]
    assert all(fingerprint(model) == fingerprint(fits[0]) for model in fits)
    told = [[entry["inertia"] for entry in model.history_] for model in fits]
    assert told[1:] == told[:-1]


def test_scaling_the_data_by_a_power_of_two_scales_the_centers(metric, blobs, real):
    X, _ = blobs(900, 6, 9, real, std=4.0)
    plain, scaled = (
        KMeans(9, init=X[:9] * unit, metric=metric).fit(X * unit) for unit in (real.type(1), real.type(1024))
    )
    assert scaled.n_iter_ == plain.n_iter_
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)
    unit = 1 if metric == "cosine" else 1024
    np.testing.assert_array_equal(scaled.cluster_centers_, plain.cluster_centers_ * unit)


def test_the_length_of_a_row_does_not_matter_to_cosine(blobs, real, rng):
    X, _ = blobs(900, 6, 9, real, std=4.0)
    model = KMeans(9, init=X[:9], metric="cosine").fit(X)
    stretched = X * (2.0 ** rng.integers(-60, 60, size=(900, 1))).astype(real)
    np.testing.assert_array_equal(model.predict(stretched), model.labels_)
    np.testing.assert_allclose(np.linalg.norm(model.cluster_centers_, axis=1), 1, rtol=1e-6)


def test_as_many_clusters_as_rows_leave_no_inertia(metric, rng, real, seed):
    X = rng.normal(size=(60, 3)).astype(real)
    model = KMeans(60, n_init=1, random_state=seed, metric=metric).fit(X)
    assert model.inertia_ == pytest.approx(0, abs=60 * float(np.finfo(real).eps) ** 2)
    assert sorted(model.labels_) == list(range(60))


# ---------------------------------------------------------------- seeding


def test_seeds_are_drawn_in_the_distance_of_the_metric(metric, rng, real):
    """Of three rows the second seed is the far one as often as its share of the potential says."""
    X = np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 3.0]], dtype=real)
    terms = reference.METRICS[metric][0](*[reference.METRICS[metric][2](X)] * 2)
    weights = np.array([1e9, 1.0, 1.0])  # the first seed is row 0, all but surely
    drawn = [
        kmeans_plusplus(X, 2, sample_weight=weights, metric=metric, n_local_trials=1, random_state=state)[1][1]
        for state in range(600)
    ]
    share = terms[0, 2] / (terms[0, 1] + terms[0, 2])
    assert np.mean(np.array(drawn) == 2) == pytest.approx(share, abs=4.5 * np.sqrt(share * (1 - share) / 600))


@pytest.mark.parametrize("n_clusters", [3, 20])
def test_seeds_lower_the_potential_like_those_of_the_slow_twin(n_clusters, metric, blobs, real):
    """The mean potential of greedy seedings is that of greedy seedings written in NumPy."""
    X, _ = blobs(400, 3, 8, real, std=2.0)
    pairs, _, prepare = reference.METRICS[metric]
    terms = pairs(prepare(X), prepare(X))

    def slowly(random):
        least = terms[random.integers(400)].copy()
        for _ in range(n_clusters - 1):
            tried = random.choice(400, size=2 + int(np.log(n_clusters)), p=least / least.sum())
            least = min((np.minimum(least, terms[i]) for i in tried), key=np.sum)
        return least.sum()

    ours = [
        terms[kmeans_plusplus(X, n_clusters, metric=metric, random_state=state)[1]].min(axis=0).sum()
        for state in range(60)
    ]
    theirs = [slowly(np.random.default_rng(state)) for state in range(60)]
    error = np.sqrt((np.var(ours) + np.var(theirs)) / 60)
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4.5 * error)


def test_seeds_are_distinct_rows_while_there_are_any(metric, real, rng, seed):
    X = np.repeat(rng.normal(size=(12, 3)), 25, axis=0)[rng.permutation(300)].astype(real)
    centers, indices = kmeans_plusplus(X, 12, metric=metric, random_state=seed)
    assert len(np.unique(centers, axis=0)) == 12
    np.testing.assert_array_equal(centers, X[indices])


# ---------------------------------------------------------------- the other doors


def test_functions_pass_the_metric_on(metric, blobs, real, seed):
    import pandas as pd

    X, _ = blobs(400, 3, 5, real)
    model = KMeans(5, metric=metric, random_state=seed).fit(X)
    centers, labels, inertia = k_means(X, 5, metric=metric, random_state=seed)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    assert inertia == model.inertia_
    labelled = cluster(pd.DataFrame(X, columns=list("abc")), 5, metric=metric, random_state=seed)
    np.testing.assert_array_equal(labelled.table["labels"], model.labels_)


def test_the_elbow_knows_every_metric(metric, rng):
    corners = np.array([(9.0, 0.5), (0.5, 9.0), (-9.0, 0.5)])
    X = np.repeat(corners, 60, axis=0) + rng.normal(scale=0.2, size=(180, 2))
    result = elbow(X, range(1, 8), metric=metric, random_state=3)
    assert result.best_k == 3
    assert (np.diff(result.inertia) <= 0).all()


def test_a_saved_model_keeps_its_metric(metric, blobs, real, tmp_path):
    X, _ = blobs(300, 3, 5, real)
    model = KMeans(5, metric=metric, random_state=2).fit(X)
    model.save(tmp_path / "model.npz")
    other = KMeans.load(tmp_path / "model.npz")
    assert other.metric == metric
    np.testing.assert_array_equal(other.predict(X), model.labels_)
    assert other.score(X) == model.score(X) == -model.inertia_


def test_the_command_line_knows_every_metric(metric, blobs, tmp_path):
    X, _ = blobs(300, 3, 4, "float64")
    np.save(tmp_path / "X.npy", X)
    table, saved = str(tmp_path / "X.npy"), str(tmp_path / "model.npz")
    assert main(["fit", table, "-k", "4", "--metric", metric, "--save", saved, "--quiet"]) == 0
    expected = KMeans(4, metric=metric, random_state=0).fit(X)
    np.testing.assert_array_equal(KMeans.load(saved).labels_, expected.labels_)
    assert main(["predict", table, "--model", saved, "--output", str(tmp_path / "labels.npy"), "--quiet"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected.labels_)
    assert main(["elbow", table, "-k", "1:5", "--metric", metric, "--quiet"]) == 0


def test_from_centers_measures_without_a_fit(metric, real, rng):
    C = rng.normal(size=(6, 3)).astype(real)
    model = KMeans.from_centers(C, metric=metric)
    np.testing.assert_array_equal(model.predict(C), np.arange(6))
    again = KMeans.from_centers(model.cluster_centers_, metric=metric)
    np.testing.assert_array_equal(again.cluster_centers_, model.cluster_centers_)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call",
    [
        lambda X, metric: KMeans(2, metric=metric).fit(X),
        lambda X, metric: KMeans.from_centers(X[:2], metric=metric),
        lambda X, metric: kmeans_plusplus(X, 2, metric=metric),
        lambda X, metric: k_means(X, 2, metric=metric),
    ],
)
def test_an_unknown_metric_is_refused_with_the_reason(call, rng):
    X = rng.normal(size=(20, 2))
    with pytest.raises(ValueError, match="'euclidean', 'manhattan', 'cosine'; got 'chebyshev'.*use k-medoids"):
        call(X, "chebyshev")
    with pytest.raises(TypeError, match="metric must be one of"):
        call(X, np.linalg.norm)


@pytest.mark.parametrize("algorithm", sorted(set(ALGORITHMS) - {"lloyd"}))
def test_an_algorithm_of_means_is_refused_for_medians(algorithm, rng):
    X = rng.normal(size=(20, 2))
    model = KMeans(2, metric="manhattan", algorithm=algorithm)
    with pytest.raises(ValueError, match=f"algorithm='{algorithm}'.*metric='manhattan' moves centers to the median"):
        model.fit(X)
    assert not hasattr(model, "labels_")


def test_a_row_of_zeros_has_no_direction(real, rng):
    X = rng.normal(size=(5000, 3)).astype(real)
    model = KMeans(2, metric="cosine", random_state=1).fit(X)
    X[[1234, 4000]] = 0
    with pytest.raises(ValueError, match="no row of zeros.*row 1234 is all zeros.*use metric='euclidean'"):
        KMeans(2, metric="cosine").fit(X)
    with pytest.raises(ValueError, match="row 1234"):
        model.predict(X)
    with pytest.raises(ValueError, match="centers must have no row of zeros.*row 1 is all zeros"):
        KMeans.from_centers([[1.0, 2.0], [0.0, 0.0]], metric="cosine")


def test_rows_of_extreme_length_have_a_direction():
    X = np.array([[1e-300, 0.0], [0.0, 1e149], [1e-310, 1e-310]])
    model = KMeans.from_centers([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], metric="cosine")
    np.testing.assert_array_equal(model.predict(X), [0, 1, 2])
    assert model.transform(X).diagonal() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad, metric, real, rng):
    X = rng.normal(size=(100, 3)).astype(real)
    X[17, 1] = bad
    with pytest.raises(ValueError, match="X contains"):
        KMeans(2, metric=metric).fit(X)


# ---------------------------------------------------------------- instruction sets


def test_every_instruction_set_gives_the_same_medians(real, rng):
    before, found = runtime.isa(), []
    X = [rng.normal(size=(3000, n_features)).astype(real) for n_features in (1, 3, 17, 70)]
    weights = rng.uniform(size=3000)
    for isa in runtime.isas():
        runtime.use_isa(isa)
        try:
            fits = [
                KMeans(6, init=rows[:6], max_iter=8, tol=0, metric="manhattan").fit(rows, sample_weight=weights)
                for rows in X
            ]
        finally:
            runtime.use_isa(before)
        found.append([model.labels_.tobytes() + model.cluster_centers_.tobytes() for model in fits])
    assert found[1:] == found[:-1]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_median_is_where_half_the_weight_ends(weighted, real, rng):
    for _ in range(200):
        X = rng.integers(-4, 5, size=(int(rng.integers(1, 40)), 3)).astype(real)
        weights = rng.integers(0, 4, size=len(X)).astype(float)
        weights[0] = 1.0
        chosen = rng.random(len(X)) < 0.7
        chosen[0] = True
        found = lower_median(X, chosen, weights[chosen] if weighted else None)
        repeated = np.repeat(X[chosen], weights[chosen].astype(int) if weighted else 1, axis=0)
        np.testing.assert_array_equal(found, np.sort(repeated, axis=0)[(len(repeated) - 1) // 2])
