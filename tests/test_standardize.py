"""Laws of standardize=: the fit runs on standardised rows, users read units, and every promise holds for both."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkmeans import FeatureScaleWarning, KMeans, cluster, elbow, k_means
from fastkmeans.input.matrix import as_matrix
from fastkmeans.metrics.table import METRICS
from fastkmeans.scaling import measure_scaling

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone

UNITS = np.array([1.0, 1000.0, 0.01])


@pytest.fixture(params=[True, "robust"])
def how(request):
    return request.param


@pytest.fixture(params=list(METRICS))
def metric(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["alike", "weighted"])
def weights(request, rng):
    return rng.integers(0, 4, size=400).astype(np.float64) if request.param else None


@pytest.fixture
def X(blobs, real):
    return (blobs(400, 3, 4, "float64")[0] * UNITS + 50 * UNITS).astype(real)


def standardized(X, offset, scale):
    return ((X.astype(np.float64) - offset) / scale).astype(X.dtype)


def test_offset_and_scale_are_the_references(X, weights, how):
    model = KMeans(2, standardize=how, random_state=3, max_iter=2).fit(X, sample_weight=weights)
    offset, scale = reference.scaling(X, weights, how)
    same = np.testing.assert_array_equal if how == "robust" else np.testing.assert_allclose
    tolerance = {} if how == "robust" else {"rtol": 1e-13}
    same(model.feature_offset_, offset, **tolerance)
    same(model.feature_scale_, scale, **tolerance)


def test_the_fit_is_that_of_standardised_rows(X, weights, how, metric, seed, fingerprint):
    model = KMeans(4, standardize=how, metric=metric, random_state=seed).fit(X, sample_weight=weights)
    Z = standardized(X, model.feature_offset_, model.feature_scale_)
    plain = KMeans(4, metric=metric, random_state=seed).fit(Z, sample_weight=weights)
    np.testing.assert_array_equal(model.labels_, plain.labels_)
    assert model.inertia_ == plain.inertia_ and model.n_iter_ == plain.n_iter_
    units = (model.feature_offset_ + model.feature_scale_ * plain.cluster_centers_.astype(np.float64)).astype(X.dtype)
    np.testing.assert_array_equal(model.cluster_centers_, units)
    np.testing.assert_array_equal(model._standardized(X), Z)


def test_the_laws_of_a_fit_hold(X, weights, how, metric, seed):
    model = KMeans(5, standardize=how, metric=metric, random_state=seed).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.transform(X).argmin(axis=1), model.labels_)
    assert model.score(X, sample_weight=weights) == -model.inertia_
    assert model.transform(X).dtype == model.cluster_centers_.dtype == X.dtype


def test_any_number_of_threads_gives_the_same_bits(how, real, rng, fingerprint):
    X = (rng.normal(size=(30_000, 3)) * UNITS).astype(real)
    weights = rng.uniform(0, 3, size=len(X))
    fits = [KMeans(6, standardize=how, random_state=8, n_threads=n).fit(X, sample_weight=weights) for n in (1, 2, 5)]
    assert fingerprint(fits[0]) == fingerprint(fits[1]) == fingerprint(fits[2])
    assert len({model.feature_scale_.tobytes() for model in fits}) == 1


def test_means_of_clusters_come_back_in_units(X, weights, how, seed):
    model = KMeans(4, standardize=how, random_state=seed, tol=0.0).fit(X, sample_weight=weights)
    ones = np.ones(len(X)) if weights is None else weights
    means = [reference.mean(X[own].astype(np.float64), ones[own]) for own in (model.labels_ == np.arange(4)[:, None])]
    tolerance = 1e-5 if X.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=tolerance, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=2, max_size=30),
    unit=st.sampled_from([1e-100, 1e-3, 1.0, 1e6, 1e100]),
)
def test_a_weight_of_3_equals_three_copies(rows, unit):
    values = np.array([[value * unit] for value, _ in rows])
    weights = np.array([weight for _, weight in rows], dtype=np.float64)
    if not weights.any():
        weights[0] = 1.0
    copies = np.repeat(values, weights.astype(int), axis=0)
    robust = [measure_scaling(as_matrix(X), w, "robust", 1) for X, w in ((values, weights), (copies, None))]
    np.testing.assert_array_equal(robust[0].offset, robust[1].offset)
    # Where quartiles are equal, the scale is a standard deviation, which is exact up to its last digits.
    np.testing.assert_allclose(robust[0].scale, robust[1].scale, rtol=1e-14)
    plain = [measure_scaling(as_matrix(X), w, True, 1) for X, w in ((values, weights), (copies, None))]
    np.testing.assert_allclose(plain[0].offset, plain[1].offset, rtol=1e-14, atol=1e-15 * unit)
    np.testing.assert_allclose(plain[0].scale, plain[1].scale, rtol=1e-13)


def test_far_rows_of_weight_0_have_no_say(how, rng):
    X = rng.normal(size=(50, 2))
    far = np.concatenate([X, np.full((5, 2), 1e120)])
    weights = np.concatenate([np.ones(50), np.zeros(5)])
    alone, beside = (measure_scaling(as_matrix(A), w, how, 1) for A, w in ((X, None), (far, weights)))
    np.testing.assert_allclose(beside.offset, alone.offset, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(beside.scale, alone.scale, rtol=1e-13)


def test_scikit_learns_scaler_agrees(rng):
    from sklearn.preprocessing import StandardScaler

    X = rng.normal(size=(500, 3)) * UNITS
    scaler = StandardScaler().fit(X)
    model = KMeans(3, standardize=True, random_state=4).fit(X)
    np.testing.assert_allclose(model.feature_offset_, scaler.mean_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.feature_scale_, scaler.scale_, rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.3, -1e-200, 0.0])
def test_a_feature_without_spread_is_only_centered(value, how, rng, real):
    X = np.column_stack([np.full(77, value), rng.normal(size=77)]).astype(real)
    model = KMeans(2, standardize=how, random_state=5).fit(X, sample_weight=rng.uniform(0.1, 1, size=77))
    assert model.feature_scale_[0] == 1.0
    assert not model._standardized(X)[:, 0].any()


def test_a_feature_that_is_mostly_0_is_not_left_in_its_units(rng):
    """Quartiles that are equal say nothing; the standard deviation does."""
    debts = np.where(rng.random(200) < 0.1, 1e6 * rng.random(200), 0.0)
    X = np.column_stack([debts, rng.normal(size=200)])
    model = KMeans(2, standardize="robust", random_state=6).fit(X)
    np.testing.assert_allclose(model.feature_scale_[0], debts.std(), rtol=1e-12)


def test_outliers_have_no_say_in_robust_scales(rng):
    X = rng.normal(size=(1000, 2))
    X[:5] = 1e9
    model = KMeans(3, standardize="robust", random_state=7).fit(X)
    np.testing.assert_allclose(model.feature_scale_, 1.0, atol=0.15)


def test_what_overflows_is_refused_and_changes_nothing(how):
    model = KMeans(2, standardize="robust", random_state=9)
    X = np.array([[0.0], [0.0], [1e-38], [2e-38], [3e-38], [3e38]], dtype=np.float32)
    with pytest.raises(ValueError, match=r"X \(standardised\) contains infinity"):
        model.fit(X)
    assert "cluster_centers_" not in vars(model)
    fitted = KMeans(2, standardize=how, random_state=9).fit(np.array([[0.0], [1e-38], [2e-38], [3e-38]], np.float32))
    with pytest.raises(ValueError, match=r"X \(standardised\) contains infinity"):
        fitted.predict([[3e38]])


# ---------------------------------------------------------------- initial centers


def test_given_centers_are_in_units(X, how, metric, seed):
    init = X[:4].astype(np.float64)
    model = KMeans(4, standardize=how, metric=metric, init=init, max_iter=5).fit(X)
    Z = standardized(X, model.feature_offset_, model.feature_scale_)
    scaled_init = ((init - model.feature_offset_) / model.feature_scale_).astype(X.dtype)
    plain = KMeans(4, metric=metric, init=scaled_init, max_iter=5).fit(Z)
    np.testing.assert_array_equal(model.labels_, plain.labels_)
    assert model.init is init


def test_a_callable_sees_and_gives_standardised_rows(X, how):
    seen = []

    def first_rows(rows, n_clusters, random_state):
        seen.append(rows.copy())
        return rows[:n_clusters]

    model = KMeans(3, standardize=how, init=first_rows, n_init=1).fit(X)
    np.testing.assert_array_equal(seen[0], model._standardized(X))


@pytest.mark.parametrize(
    ("init", "message"), [([[0.0, 0.0, 0.0]], "number of clusters"), ([[0.0], [1.0]], "number of")]
)
def test_given_centers_of_a_wrong_shape_are_refused(init, message, rng):
    with pytest.raises(ValueError, match=message):
        KMeans(2, standardize=True, init=init).fit(rng.normal(size=(20, 3)))


def test_from_centers_cannot_standardise():
    with pytest.raises(ValueError, match="standardize must be False with from_centers"):
        KMeans.from_centers([[0.0], [1.0]], standardize=True)
    model = KMeans.from_centers([[0.0], [1.0]])
    assert model.feature_offset_ is None and model.feature_scale_ is None
    X = [[3.0]]
    assert model._standardized(X) is X


# ---------------------------------------------------------------- the estimator around it


def test_a_fit_without_it_forgets_what_one_with_it_found(X):
    model = KMeans(3, standardize=True, random_state=2).fit(X)
    model.set_params(standardize=False)
    np.testing.assert_array_equal(model.predict(X), model.labels_)  # still of the fit
    model.fit(X)
    assert model.feature_offset_ is None and model.feature_scale_ is None
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model._standardized(X) is X


def test_clones_and_pickles_keep_what_they_should(X, how):
    model = KMeans(3, standardize=how, random_state=2).fit(X)
    copy = clone(model)
    assert copy.standardize == how and copy.feature_scale_ is None
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.labels_)


def test_a_model_file_keeps_it(X, how, metric, tmp_path):
    model = KMeans(3, standardize=how, metric=metric, random_state=2).fit(X)
    model.save(tmp_path / "model.npz")
    loaded = KMeans.load(tmp_path / "model.npz")
    assert loaded.get_params() == model.get_params()
    for name in ("cluster_centers_", "feature_offset_", "feature_scale_", "_standardized_centers"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    np.testing.assert_array_equal(loaded.predict(X), model.labels_)
    assert loaded.score(X) == model.score(X)


def test_rows_of_another_type_are_rounded_as_those_of_fit_were(how, rng):
    X = (rng.normal(size=(300, 3)) * UNITS).astype(np.float32)
    model = KMeans(4, standardize=how, random_state=2).fit(X)
    np.testing.assert_array_equal(model.predict(X.astype(np.float64)), model.labels_)


def test_sweeps_and_functions_take_it(X, how, seed):
    result = elbow(X, 4, standardize=how, random_state=seed)
    model = result.model(3)
    assert result.standardize == model.standardize == how
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model.inertia_ == result.inertia[2] == -model.score(X)
    centers, labels, inertia = k_means(X, 3, standardize=how, random_state=seed)
    np.testing.assert_array_equal(centers, KMeans(3, standardize=how, random_state=seed).fit(X).cluster_centers_)


def test_auto_sweeps_over_standardised_rows(rng, how):
    centers = np.array([[0, 0], [9, 0], [0, 9]])
    X = (centers[rng.integers(3, size=300)] + rng.normal(size=(300, 2))) * [1.0, 1e4]
    model = KMeans("auto", standardize=how, random_state=2).fit(X)
    assert model.n_clusters_ == 3 and model.sweep_.standardize == how
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_a_labelled_table_has_centers_in_units(how, rng):
    df = pd.DataFrame({"age": rng.normal(50, 9, size=90), "income": rng.normal(5e4, 1e4, size=90)})
    result = cluster(df, 2, standardize=how, random_state=3)
    np.testing.assert_array_equal(result.centers[["age", "income"]], result.model.cluster_centers_)
    assert result.centers["income"].between(2e4, 9e4).all()


def test_standardising_finds_clusters_that_units_hide(rng):
    from sklearn.metrics import adjusted_rand_score

    truth = rng.integers(3, size=600)
    age, years_at_work = np.array([[25, 2], [45, 20], [65, 4]])[truth].T + rng.normal(size=(2, 600))
    X = np.column_stack([age, years_at_work, rng.normal(5e4, 1.5e4, size=600)])

    def agreement(labels):
        return adjusted_rand_score(truth, labels)

    assert agreement(KMeans(3, random_state=1).fit(X).labels_) < 0.1
    assert agreement(KMeans(3, random_state=1, standardize=True).fit(X).labels_) > 0.9


# ---------------------------------------------------------------- the hint


@pytest.fixture
def people(rng):
    return pd.DataFrame({"age": rng.normal(50, 9, size=90), "income": rng.normal(5e4, 1e4, size=90)})


def hints(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught if warning.category is FeatureScaleWarning]


CALLS = {
    "fit": lambda X, **p: KMeans(2, random_state=1, **p).fit(X),
    "several starts": lambda X, **p: KMeans(2, random_state=1, n_init=4, **p).fit(X),
    "elbow": lambda X, **p: elbow(X, 4, random_state=1, **p),
    "cluster": lambda X, **p: cluster(X, 2, random_state=1, **p),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_table_with_one_feature_that_outweighs_the_others_gets_one_hint(name, people):
    (hint,) = hints(lambda: CALLS[name](people))
    share = people.var(ddof=0)["income"] / people.var(ddof=0).sum()
    assert share > 0.999 and "'income' holds over 99.9 % of the total variance" in hint
    assert "the other feature hardly counts" in hint and "standardize=True" in hint


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("quiet", [{"standardize": True}, {"standardize": "robust"}, {"metric": "cosine"}])
def test_no_hint_where_units_do_not_decide(name, quiet, people):
    assert hints(lambda: CALLS[name](people, **quiet)) == []


def test_no_hint_for_arrays_single_features_and_like_units(people, rng):
    alike = pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "b"])
    for X in (
        people.to_numpy(),
        people.set_axis([0, 1], axis=1),
        people[["income"]],
        alike,
        pd.DataFrame({"a": [1.0, 1.0], "b": [2.0, 2.0]}),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", FeatureScaleWarning)
            KMeans(1).fit(X)


def test_a_hint_points_to_the_callers_line(people):
    with pytest.warns(FeatureScaleWarning) as warned:
        KMeans(2).fit(people)
    assert warned[0].filename == __file__
