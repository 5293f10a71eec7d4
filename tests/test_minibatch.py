"""Laws of MiniBatchKMeans: its steps, its state, and merging."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import reference

from fastkmeans import KMeans, MiniBatchKMeans, NotFittedError
from fastkmeans._core import minibatch
from fastkmeans.fitting.labelling import label
from fastkmeans.fitting.minibatch import EndOfSteps, best_start, step
from fastkmeans.input.matrix import as_matrix
from fastkmeans.rows import prepare
from fastkmeans.samples import count_distinct
from fastkmeans.settings import mini_batch_settings_of

RTOL = {"float32": 1e-6, "float64": 1e-12}


@pytest.fixture(params=["no weights", "weights"])
def weights_of(request, rng):
    return {"no weights": lambda n: None, "weights": lambda n: rng.integers(0, 4, size=n) + 0.5}[request.param]


@pytest.fixture
def batches(blobs, real):
    X, _ = blobs(600, 5, 6, real, std=2.0)
    return np.split(X, [200, 230, 231, 500])


def test_each_step_is_that_of_the_paper(batches, weights_of, real):
    """Steps from given centers, reassignment left out, against the slow twin in float64."""
    init = batches[0][:6]
    model = MiniBatchKMeans(6, init=init, reassignment_ratio=0)
    centers, counts = init.astype(np.float64), np.zeros(6)
    for batch in batches:
        weights = weights_of(len(batch))
        model.partial_fit(batch, sample_weight=weights)
        centers, counts, _ = reference.mini_batch_step(batch, centers, counts, weights)
        np.testing.assert_allclose(model.cluster_centers_, centers, rtol=RTOL[real.name], atol=RTOL[real.name])
        np.testing.assert_array_equal(model.counts_, counts)
        np.testing.assert_array_equal(model.labels_, model.predict(batch))
    assert model.n_steps_ == len(batches)
    assert model.cluster_centers_.dtype == real


def test_a_center_is_the_mean_of_all_rows_it_was_given(batches, real):
    """Also if float32 centers are rounded after each step: the state keeps the means in float64."""
    model = MiniBatchKMeans(6, init=batches[0][:6], reassignment_ratio=0)
    sums, counts = np.zeros((6, 5)), np.zeros(6)
    for batch in batches * 50:
        before = getattr(model, "_running_means", batches[0][:6])
        labels = reference.nearest(batch, before)
        np.add.at(sums, labels, batch.astype(np.float64))
        counts += np.bincount(labels, minlength=6)
        model.partial_fit(batch)
    np.testing.assert_allclose(model.cluster_centers_, (sums / counts[:, None]).astype(real), rtol=2 * RTOL[real.name])


def test_weights_equal_repetition(batches, rng, real):
    """Rows of float32 are summed without rounding; float64 products with whole weights may round once."""
    init = batches[0][:6]
    weighted = MiniBatchKMeans(6, init=init, reassignment_ratio=0)
    repeated = MiniBatchKMeans(6, init=init, reassignment_ratio=0)
    for batch in batches:
        weights = rng.integers(0, 4, size=len(batch))
        weights[0] = 1
        weighted.partial_fit(batch, sample_weight=weights)
        repeated.partial_fit(np.repeat(batch, weights, axis=0))
    np.testing.assert_array_equal(weighted.counts_, repeated.counts_)
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=RTOL[real.name] / 10)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-12)


def test_without_reassignment_and_with_one_cluster_the_center_is_the_mean(blobs, real):
    X, _ = blobs(1000, 3, 4, real, offset=100.0)
    model = MiniBatchKMeans(1)
    for batch in np.array_split(X, 9):
        model.partial_fit(batch)
    np.testing.assert_allclose(model.cluster_centers_[0], X.mean(axis=0, dtype=np.float64), rtol=RTOL[real.name])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("params", [{}, {"tol": 1e-2}, {"max_no_improvement": 3}, {"reassignment_ratio": 0.3}])
def test_with_scikit_learns_seed_it_draws_scikit_learns_batches(params, weighted, blobs, rng, seed):
    """From given centers all draws are those of scikit-learn, so that centers differ by rounding alone."""
    cluster = pytest.importorskip("sklearn.cluster")
    X, _ = blobs(2000, 4, 8, "float64", std=3.0)
    params = {"n_clusters": 9, "init": X[:9], "batch_size": 64, "n_init": 1, "random_state": seed % 1000, **params}
    weights = rng.integers(1, 6, size=2000).astype(float) if weighted else None
    ours = MiniBatchKMeans(**params).fit(X, sample_weight=weights)
    theirs = cluster.MiniBatchKMeans(**params).fit(X, sample_weight=weights)
    assert (ours.n_steps_, ours.n_iter_) == (theirs.n_steps_, theirs.n_iter_)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-8)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)


def test_small_clusters_move_to_rows_of_the_batch(blobs, seed):
    """Centers far from all rows get none, and are put on rows; with ratio 0 they stay."""
    X, _ = blobs(400, 3, 4, "float64")
    init = np.vstack([X[:4], np.full((3, 3), 1e5)])
    moved = MiniBatchKMeans(7, init=init, random_state=seed).partial_fit(X)
    assert (reference.sq_distances(moved.cluster_centers_[4:], X).min(axis=1) == 0).all()
    assert (moved.counts_[4:] == moved.counts_[:4].min()).all()
    stayed = MiniBatchKMeans(7, init=init, random_state=seed, reassignment_ratio=0).partial_fit(X)
    np.testing.assert_array_equal(stayed.cluster_centers_[4:], init[4:])
    assert (stayed.counts_[4:] == 0).all()
    every = MiniBatchKMeans(7, init=init, random_state=seed, reassignment_ratio=1e6).partial_fit(X)
    assert (reference.sq_distances(every.cluster_centers_, X).min(axis=1) == 0).all()


def test_at_most_half_a_batch_is_reassigned(blobs, seed):
    X, _ = blobs(40, 2, 3, "float64")
    init = np.vstack([X[:1], np.full((19, 2), 1e5)])
    model = MiniBatchKMeans(20, init=init, random_state=seed).partial_fit(X).partial_fit(X[:10])
    assert np.isfinite(model.cluster_centers_).all()
    first = MiniBatchKMeans(20, init=init, random_state=seed).partial_fit(X[:20])
    assert (first.cluster_centers_ == 1e5).all(axis=1).sum() == 19 - 10


def test_rows_without_weight_are_not_taken_for_reassignment(seed):
    X = np.vstack([np.zeros((20, 1)), np.full((20, 1), 7.0)])
    weights = np.r_[np.ones(20), np.zeros(20)]
    model = MiniBatchKMeans(3, init=[[0.0], [100.0], [200.0]], random_state=seed).partial_fit(X, sample_weight=weights)
    np.testing.assert_array_equal(model.cluster_centers_, np.zeros((3, 1)))


@pytest.mark.parametrize("n_parts", [2, 5])
def test_merged_models_have_the_means_of_the_rows_of_all(batches, n_parts, real, rng):
    """One batch each from the same centers: the merged model is the one that saw all rows as one batch."""
    X, init = np.concatenate(batches), batches[0][:6]
    order = rng.permutation(len(X))
    models = [
        MiniBatchKMeans(6, init=init, reassignment_ratio=0).partial_fit(X[rows])
        for rows in np.array_split(order, n_parts)
    ]
    merged = models[0]
    for other in models[1:]:
        kept = other.cluster_centers_.copy()
        assert merged.merge(other) is merged
        np.testing.assert_array_equal(other.cluster_centers_, kept)
    whole = MiniBatchKMeans(6, init=init, reassignment_ratio=0).partial_fit(X)
    np.testing.assert_array_equal(merged.counts_, whole.counts_)
    np.testing.assert_allclose(
        merged.cluster_centers_, whole.cluster_centers_, rtol=RTOL[real.name], atol=RTOL[real.name]
    )
    assert merged.n_steps_ == n_parts
    assert not hasattr(merged, "labels_")
    merged.partial_fit(X)


def test_merging_takes_what_only_one_model_has_learnt(real):
    init = np.array([[0.0], [10.0], [500.0]], real)
    left = MiniBatchKMeans(3, init=init, reassignment_ratio=0).partial_fit(np.array([[1.0], [2.0], [3.0]], real))
    right = MiniBatchKMeans(3, init=init, reassignment_ratio=0).partial_fit(np.array([[9.0], [8.0], [7.0]], real))
    left.merge(right)
    np.testing.assert_array_equal(left.cluster_centers_, np.array([[2.0], [8.0], [500.0]], real))
    np.testing.assert_array_equal(left.counts_, [3.0, 3.0, 0.0])


REFUSED = [
    (lambda: KMeans(2).fit([[0.0], [1.0]]), TypeError, "other must be a MiniBatchKMeans; got KMeans"),
    (lambda: MiniBatchKMeans(2), NotFittedError, "not fitted"),
    (lambda: MiniBatchKMeans(3).fit([[0.0], [1.0], [2.0]]), ValueError, "shape \\(2, 1\\)"),
    (lambda: MiniBatchKMeans.from_centers([[5.0], [8.0]]), ValueError, "center 0 has count 0 in both models"),
]


@pytest.mark.parametrize("make, error, message", REFUSED)
def test_models_that_do_not_match_are_refused(make, error, message):
    model = MiniBatchKMeans.from_centers([[0.0], [8.0]])
    with pytest.raises(error, match=message):
        model.merge(make())
    np.testing.assert_array_equal(model.cluster_centers_, [[0.0], [8.0]])


def test_training_goes_on_where_it_stopped(batches, seed, tmp_path, real):
    model = MiniBatchKMeans(6, init=batches[0][:6], random_state=seed).partial_fit(batches[0])
    model.save(tmp_path / "model.npz")
    loaded = MiniBatchKMeans.load(tmp_path / "model.npz")
    for batch in batches[1:]:
        loaded.partial_fit(batch)
        model.partial_fit(batch)
    assert loaded.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()
    assert loaded.n_steps_ == model.n_steps_


def test_centers_put_in_place_by_hand_are_where_the_next_step_begins(batches):
    model = MiniBatchKMeans(6, init=batches[0][:6], reassignment_ratio=0).partial_fit(batches[0])
    model.cluster_centers_ = batches[3][:6].copy()
    expected, _, _ = reference.mini_batch_step(batches[1], batches[3][:6], model.counts_)
    np.testing.assert_allclose(model.partial_fit(batches[1]).cluster_centers_, expected, rtol=1e-5)


def test_a_batch_of_another_dtype_is_taken(batches):
    """scikit-learn refuses float64 after float32."""
    model = MiniBatchKMeans(6, init=batches[0][:6]).partial_fit(batches[0])
    other = np.float64 if batches[0].dtype == np.float32 else np.float32
    model.partial_fit(batches[1].astype(other))
    assert model.cluster_centers_.dtype == batches[0].dtype
    np.testing.assert_array_equal(model.labels_, model.predict(batches[1].astype(other)))


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.ones((5, 4)), "X has 4 features, but MiniBatchKMeans is expecting 5"),
        (np.full((5, 5), np.inf), "infinity"),
    ],
)
def test_a_bad_batch_changes_nothing(batches, bad, message):
    model = MiniBatchKMeans(6, init=batches[0][:6]).partial_fit(batches[0])
    before = model.cluster_centers_.copy(), model.counts_.copy(), model.n_steps_
    with pytest.raises(ValueError, match=message):
        model.partial_fit(bad)
    np.testing.assert_array_equal(model.cluster_centers_, before[0])
    np.testing.assert_array_equal(model.counts_, before[1])
    assert model.n_steps_ == before[2]


def test_an_inertia_that_overflows_is_refused():
    model = MiniBatchKMeans(1, init=[[0.0]], compute_labels=False).partial_fit([[1.0]])
    with pytest.raises(ValueError, match="overflow"):
        model.partial_fit([[1e149]], sample_weight=[1e149])
    assert model.counts_[0] == 1.0


@pytest.mark.parametrize("compute_labels", [True, False])
def test_labels_are_there_if_asked_for(compute_labels, batches, seed):
    X = np.concatenate(batches)
    model = MiniBatchKMeans(6, compute_labels=compute_labels, random_state=seed, batch_size=100).fit(X)
    assert hasattr(model, "labels_") == compute_labels
    exact = reference.inertia(X, model.cluster_centers_)
    assert model.inertia_ == pytest.approx(exact, rel=1e-12 if compute_labels else 0.3)
    assert count_distinct(model.fit_predict(X), 6) > 1


def test_one_step_without_labels_has_an_inertia(batches):
    """scikit-learn multiplies None by a number here."""
    model = MiniBatchKMeans(2, max_iter=1, compute_labels=False, batch_size=10_000).fit(batches[0])
    assert model.n_steps_ == 1
    assert model.inertia_ > 0


def test_no_more_rows_are_drawn_than_max_iter_allows(blobs):
    X, _ = blobs(1000, 2, 3, "float64")
    model = MiniBatchKMeans(3, batch_size=300, max_iter=4, max_no_improvement=None).fit(X)
    assert (model.n_steps_, model.n_iter_) == (4 * 1000 // 300, 4)


def test_steps_end_when_the_average_stops_falling():
    end = EndOfSteps(100, 0.0, 2, 0.5, verbose=0)
    inertias = [9.0, 8.0, 6.0, 8.0, 9.0, 1.0]
    assert [end.reached(i, inertia, 0.0) for i, inertia in enumerate(inertias)] == [False] * 4 + [True, False]
    averages = EndOfSteps(100, 0.0, None, 0.5, verbose=0)
    for i, inertia in enumerate([100.0, 8.0, 6.0, 8.0]):
        averages.reached(i, inertia, 0.0)
    assert averages.average == ((8.0 + 6.0) / 2 + 8.0) / 2  # without the first, whose centers are the initial ones


def test_verbose_says_what_scikit_learn_says(blobs, capsys):
    X, _ = blobs(200, 2, 3, "float64")
    MiniBatchKMeans(3, init="k-means++", batch_size=50, verbose=1, random_state=1, tol=1.0).fit(X)
    said = capsys.readouterr().out
    for words in (
        "Init 1/1 with method k-means++",
        "Inertia for init 1/1: ",
        "Minibatch step 1/400: mean batch inertia: ",
    ):
        assert words in said
    assert ", ewa inertia: " in said
    assert "Converged (small centers change) at step 2/400" in said
    MiniBatchKMeans(2, init=[[0.0], [1e9]], verbose=1).partial_fit([[0.0], [1.0]])
    assert "[MiniBatchKMeans] Reassigning 1 cluster centers." in capsys.readouterr().out


def test_a_given_init_is_started_from_once():
    with pytest.warns(RuntimeWarning, match="performing only one init in MiniBatchKMeans instead of n_init=5"):
        MiniBatchKMeans(2, init=[[0.0], [1.0]], n_init=5).fit([[0.0], [1.0]])


def test_weights_are_requested_from_partial_fit():
    sklearn = pytest.importorskip("sklearn")
    with sklearn.config_context(enable_metadata_routing=True):
        model = MiniBatchKMeans().set_partial_fit_request(sample_weight=True)
        assert model.get_metadata_routing().partial_fit.requests == {"sample_weight": True}


def engine_step(model, batch, weights):
    """Take the step that an engine takes, from the state of a model: centers, counts, labels and inertia after it."""
    settings = mini_batch_settings_of(model)
    matrix = as_matrix(batch)
    samples = prepare(matrix, weights, None, 1)
    random_state = np.random.RandomState()
    random_state.set_state(model._random_state.get_state())
    means, _ = step(model._means(), samples, settings, random_state)
    centers = means.centers.astype(model.cluster_centers_.dtype)
    return centers, means.counts, *label(samples, centers, 1)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(40, 2, 5), (700, 9, 20), (3000, 70, 3)])
def test_a_compiled_step_has_the_bits_of_an_engines(shape, weighted, n_threads, real, rng, seed):
    """Also where values of a feature are so small, or so many zeros, that the grids of sums must be looked at."""
    n_samples, n_features, n_clusters = shape
    X = (rng.normal(size=(8 * n_samples, n_features)) * 10.0 ** rng.integers(-9, 9, size=n_features)).astype(real)
    X[rng.random(X.shape) < 0.3] = 0.0
    model = MiniBatchKMeans(n_clusters, random_state=seed, reassignment_ratio=0.3, n_threads=n_threads)
    model.partial_fit(X[:n_samples])
    for batch in np.array_split(X, 8)[1:]:
        weights = rng.integers(0, 4, size=len(batch)).astype(float) if weighted else None
        centers, counts, labels, inertia = engine_step(model, batch, weights)
        model.partial_fit(batch, sample_weight=weights)
        assert model.cluster_centers_.tobytes() == centers.tobytes()
        assert model.counts_.tobytes() == counts.tobytes()
        assert model.labels_.tobytes() == labels.tobytes()
        assert model.inertia_ == inertia


@pytest.mark.parametrize("largest, smallest", [(1e150, 1.0), (1e30, 1e-30), (1.0, 1e-12)])
def test_a_cluster_far_smaller_than_the_largest_value_has_an_exact_mean(largest, smallest):
    init = np.array([[0.0], [largest]])
    batch = np.array([[1.0 * smallest], [3.0 * smallest], [0.9 * largest]])
    model = MiniBatchKMeans(2, init=init, reassignment_ratio=0).partial_fit(batch)
    np.testing.assert_allclose(model.cluster_centers_.ravel(), [2.0 * smallest, 0.9 * largest], rtol=1e-15)


def test_a_pickled_model_goes_on_with_the_same_random_numbers(batches, seed):
    """Reassignments draw: there are many with such a ratio."""
    model = MiniBatchKMeans(6, init=batches[0][:6], random_state=seed, reassignment_ratio=0.9).partial_fit(batches[0])
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for batch in batches[1:]:
        model.partial_fit(batch)
        for other in others:
            assert other.partial_fit(batch).cluster_centers_.tobytes() == model.cluster_centers_.tobytes()


def test_a_loaded_model_begins_its_random_numbers_anew(batches, seed, tmp_path):
    model = MiniBatchKMeans(6, init=batches[0][:6], random_state=seed, reassignment_ratio=0.9).partial_fit(batches[0])
    model.save(tmp_path / "model.npz")
    loaded = MiniBatchKMeans.load(tmp_path / "model.npz")
    model._random_state = np.random.RandomState(seed)
    for batch in batches[1:]:
        model.partial_fit(batch)
        assert loaded.partial_fit(batch).cluster_centers_.tobytes() == model.cluster_centers_.tobytes()


def test_auto_finds_every_one_of_many_clusters_apart(real):
    """k-means++ misses some of 200 clusters, and those without a row in the first batch are reassigned."""
    rng = np.random.default_rng(40_177)
    corners = 8.0 * np.array(list(np.ndindex(20, 10)), dtype=float)
    X = (np.repeat(corners, 100, axis=0) + rng.normal(size=(20_000, 2))).astype(real)
    least = KMeans(200, init=corners.astype(real)).fit(X).inertia_
    params = {"n_clusters": 200, "batch_size": 512, "max_iter": 2, "max_no_improvement": None}
    auto, plusplus = (
        [MiniBatchKMeans(init=init, random_state=s, **params).fit(X).inertia_ for s in range(5)]
        for init in ("auto", "k-means++")
    )
    assert max(auto) < 1.02 * least
    assert min(plusplus) > 1.2 * least


def test_rows_that_the_search_has_read_count(blobs, rng, seed):
    """With a batch of all rows and no step to speak of, the counts are those of the search, in units of rows."""
    X, _ = blobs(900, 3, 4, "float64", std=0.3)
    weights = rng.uniform(0.1, 50.0, size=900)
    settings = mini_batch_settings_of(MiniBatchKMeans(4, batch_size=300, random_state=seed % 1000))
    means = best_start(settings, prepare(as_matrix(X), weights, None, 1), np.random.RandomState(seed % 1000))
    assert means.counts.sum() == pytest.approx(900)  # 3 batches; 32 rows per cluster are fewer
    assert means.n_seen == 0
    np.testing.assert_allclose(sorted(means.counts), sorted(reference_counts(X, weights, means.centers)), rtol=0.5)


def reference_counts(X, weights, centers):
    """Weights of clusters, in a unit that makes them sum to the number of rows."""
    found = np.bincount(reference.nearest(X, centers), weights, len(centers))
    return found * len(X) / found.sum()


def test_auto_is_plusplus_in_partial_fit(blobs, seed):
    X, _ = blobs(400, 6, 5, "float64")
    auto, plusplus = (MiniBatchKMeans(5, init=init, random_state=seed % 1000) for init in ("auto", "k-means++"))
    np.testing.assert_array_equal(auto.partial_fit(X).cluster_centers_, plusplus.partial_fit(X).cluster_centers_)


def test_batches_are_measured_and_checked_in_one_reading(real, rng):
    limit = float(np.finfo(real).max) / 4.0
    for n_rows, n_features in [
        (1, 1),
        (3, 2),
        (17, 7),
        (40, 31),
        (9, 33),
        (21, 63),
        (5, 64),
        (30, 65),
        (7, 129),
        (4, 300),
    ]:
        X, max_abs = rng.normal(size=(n_rows, n_features)).astype(real), np.empty(n_features)
        assert not minibatch.check_and_measure(X, limit, max_abs)
        np.testing.assert_array_equal(max_abs, np.abs(X).max(axis=0))
        for value in (np.nan, -np.nan, np.inf, -np.inf, np.finfo(real).max):
            spoilt = X.copy()
            spoilt[rng.integers(n_rows), rng.integers(n_features)] = value
            assert minibatch.check_and_measure(spoilt, limit, max_abs), (n_rows, n_features, value)
