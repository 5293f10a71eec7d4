"""Laws of MiniBatchKMeans and BisectingKMeans alike: the promises of KMeans, where they make sense."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastkmeans
from fastkmeans import BisectingKMeans, KMeans, MiniBatchKMeans

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

FAMILY = {
    "mini-batch": lambda **params: MiniBatchKMeans(**{"batch_size": 150, "max_iter": 3, **params}),
    "mini-batch, random": lambda **params: MiniBatchKMeans(
        init="random", batch_size=64, max_iter=2, tol=1e-3, **params
    ),
    "bisecting": lambda **params: BisectingKMeans(**params),
    "bisecting, random": lambda **params: BisectingKMeans(init="random", **params),
    "bisecting, k-means++": lambda **params: BisectingKMeans(
        init="k-means++", n_init=2, bisecting_strategy="largest_cluster", **params
    ),
}


@pytest.fixture(params=FAMILY)
def make(request):
    return FAMILY[request.param]


@pytest.fixture(params=["no weights", "weights"])
def weights_of(request, rng):
    """Maker of weights for so many rows; some are 0."""
    return {"no weights": lambda n: None, "weights": lambda n: rng.integers(0, 5, size=n).astype(float)}[request.param]


def test_a_model_agrees_with_itself(make, real, weights_of, blobs, seed):
    X, _ = blobs(700, 5, 6, real, std=3.0)
    weights = weights_of(len(X))
    model = make(n_clusters=7, random_state=seed).fit(X, sample_weight=weights)
    assert model.cluster_centers_.dtype == real
    assert model.labels_.dtype == np.int32
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert model.inertia_ == -model.score(X, sample_weight=weights)
    expected = reference.inertia(X, model.cluster_centers_, model.labels_, weights)
    assert model.inertia_ == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(
        make(n_clusters=7, random_state=seed).fit_predict(X, sample_weight=weights), model.labels_
    )


def test_far_from_the_origin_labels_stay_those_of_the_rows(make, seed):
    """scikit-learn labels half of such rows wrongly (benchmarks of offset data): two groups 0.1 apart, 1e4 away."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=600)
    X = (1e4 + 0.1 * truth[:, None] + rng.normal(scale=0.01, size=(600, 2))).astype(np.float32)
    labels = make(n_clusters=2, random_state=seed).fit(X).predict(X)
    assert max(np.mean(labels == truth), np.mean(labels != truth)) == 1.0


def test_the_same_bits_for_any_number_of_threads(make, real, weights_of, blobs, seed):
    X, _ = blobs(9000, 24, 10, real, std=4.0)
    weights = weights_of(len(X))
    fits = [make(n_clusters=12, random_state=seed, n_threads=n) for n in (1, 2, 3, 7)]
    for fit in fits:
        if isinstance(fit, MiniBatchKMeans):
            fit.set_params(batch_size=5000)  # small batches get one thread
    models = [fit.fit(X, sample_weight=weights) for fit in fits]
    for model in models[1:]:
        assert model.cluster_centers_.tobytes() == models[0].cluster_centers_.tobytes()
        assert model.labels_.tobytes() == models[0].labels_.tobytes()
        assert model.inertia_ == models[0].inertia_


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), "file"])
def test_a_copy_predicts_as_the_model_does(make, copied, real, blobs, seed, tmp_path):
    X, _ = blobs(400, 4, 5, real)
    table = pd.DataFrame(X, columns=list("wxyz"))
    model = make(n_clusters=6, random_state=seed).fit(table)
    if copied == "file":
        model.save(tmp_path / "model.npz")
        other = type(model).load(tmp_path / "model.npz")
    else:
        other = copied(model)
    new = pd.DataFrame(X[::-1] * 1.5, columns=list("wxyz"))
    np.testing.assert_array_equal(other.predict(new), model.predict(new))
    assert other.score(new) == model.score(new)
    assert other.get_params() == model.get_params()
    with pytest.raises(ValueError, match="feature names should match"):
        other.predict(new.rename(columns={"w": "v"}))


def test_a_file_of_another_estimator_is_refused_by_name(make, blobs, tmp_path):
    model = make(n_clusters=3).fit(blobs(60, 2, 3, "float64")[0])
    model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=f"call {type(model).__name__}.load"):
        KMeans.load(tmp_path / "model.npz")


def test_output_is_the_table_asked_for(make, blobs):
    X, _ = blobs(50, 3, 3, "float64")
    model = make(n_clusters=3).set_output(transform="pandas")
    output = model.fit_transform(X)
    assert list(output.columns) == [f"{type(model).__name__.lower()}{j}" for j in range(3)]
    np.testing.assert_allclose(output**2, reference.sq_distances(X, model.cluster_centers_), rtol=1e-12)


def test_centers_alone_make_a_model(make, blobs):
    X, _ = blobs(80, 3, 4, "float32")
    model = type(make()).from_centers(X[:4])
    np.testing.assert_array_equal(model.predict(X), reference.nearest(X, X[:4]))


def test_rows_without_weight_are_as_good_as_absent(make, blobs, seed):
    """Far rows of weight 0 are labelled, and have no say in the centers."""
    X, _ = blobs(300, 3, 4, "float64")
    far = np.vstack([X, X[:50] + 1e6])
    weights = np.r_[np.ones(300), np.zeros(50)]
    model = make(n_clusters=4, random_state=seed).fit(far, sample_weight=weights)
    assert np.abs(model.cluster_centers_).max() < 1e3


BAD = [
    (np.full((9, 2), np.nan), None, ValueError, "NaN"),
    (np.ones((9, 2)), np.full(9, -1.0), ValueError, "must not be negative"),
    (np.ones((9, 2)), np.ones(8), ValueError, "one weight per sample"),
    (np.ones((2, 2)), None, ValueError, "n_samples=2 should be >= n_clusters=3"),
    (np.ones(9), None, ValueError, "2D"),
]


@pytest.mark.parametrize("X, weights, error, message", BAD)
def test_bad_input_raises_and_changes_nothing(make, X, weights, error, message, blobs):
    model = make(n_clusters=3, random_state=5).fit(blobs(90, 2, 3, "float64")[0])
    before = pickle.dumps(model)
    with pytest.raises(error, match=message):
        model.fit(X, sample_weight=weights)
    assert pickle.dumps(model) == before


BAD_PARAMETERS = [
    (MiniBatchKMeans, {"batch_size": 0}, ValueError, "batch_size must be an integer >= 1"),
    (MiniBatchKMeans, {"reassignment_ratio": -0.5}, ValueError, "reassignment_ratio must be a finite number >= 0"),
    (MiniBatchKMeans, {"max_no_improvement": -1}, ValueError, "max_no_improvement must be None or an integer >= 0"),
    (MiniBatchKMeans, {"init_size": 1.5}, TypeError, "init_size must be None or an integer >= 1"),
    (
        MiniBatchKMeans,
        {"init": "random-partition"},
        ValueError,
        "init must be one of 'auto', 'k-means\\+\\+', 'random'",
    ),
    (MiniBatchKMeans, {"compute_labels": 1}, TypeError, "compute_labels must be True or False"),
    (MiniBatchKMeans, {"n_clusters": "auto"}, TypeError, "n_clusters must be an integer >= 1"),
    (BisectingKMeans, {"bisecting_strategy": "largest"}, ValueError, "Did you mean 'largest_cluster'"),
    (BisectingKMeans, {"n_init": "auto"}, TypeError, "n_init must be an integer >= 1"),
    (BisectingKMeans, {"init": [[0.0], [1.0]]}, TypeError, "each split begins with centers of its own"),
    (BisectingKMeans, {"algorithm": "fast"}, ValueError, "algorithm must be one of"),
]


@pytest.mark.parametrize("estimator, params, error, message", BAD_PARAMETERS)
def test_each_parameter_is_checked(estimator, params, error, message):
    with pytest.raises(error, match=message):
        estimator(**{"n_clusters": 2, **params}).fit(np.arange(8.0)[:, None])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(FAMILY)))
def test_any_rows_give_consistent_labels(data, kind):
    """Rows with many ties and copies, of any size: labels are those of predict, and clusters do not mix."""
    real = data.draw(st.sampled_from([np.float32, np.float64]))
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))
    X = data.draw(hnp.arrays(real, shape, elements=st.integers(-3, 3).map(float)))
    scale = data.draw(st.sampled_from([1e-30, 1.0, 1e15]))
    n_clusters = data.draw(st.integers(1, len(X)))
    X = (X * scale).astype(real)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = FAMILY[kind](n_clusters=n_clusters, random_state=data.draw(st.integers(0, 999))).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert model.cluster_centers_.shape == (n_clusters, X.shape[1])
    assert np.isfinite(model.cluster_centers_).all()
    assert np.abs(model.cluster_centers_).max() <= np.abs(X).max()
    assert model.inertia_ == -model.score(X)


def test_models_are_shown_in_notebooks_and_summed_up(make, blobs):
    X, _ = blobs(40, 2, 3, "float64")
    model = make(n_clusters=3, random_state=2).fit(X)
    assert "3 clusters" in model._repr_html_()
    assert len(model.summary(X).sentences()) == 3


def test_the_family_is_public():
    assert {"KMeans", "MiniBatchKMeans", "BisectingKMeans"} <= set(fastkmeans.__all__)
