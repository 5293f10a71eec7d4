"""Laws of our estimator inside scikit-learn's meta-estimators, in joblib's workers, and of arrays of other libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import fastkmeans
from fastkmeans import KMeans
from fastkmeans.input.matrix import as_matrix

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone, is_classifier, is_clusterer
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

X = np.random.default_rng(653).normal(size=(150, 4))
TABLE = pd.DataFrame(X, columns=list("abcd"))
WEIGHTS = np.arange(1.0, 151.0)


# ---------------------------------------------------------------- what scikit-learn asks an estimator


def test_the_tags_say_what_it_is():
    tags = KMeans().__sklearn_tags__()
    assert is_clusterer(KMeans()) and not is_classifier(KMeans())
    assert tags.requires_fit and not tags.target_tags.required
    assert set(tags.transformer_tags.preserves_dtype) == {"float32", "float64"}
    assert not tags.input_tags.allow_nan


def test_scikit_learn_knows_whether_it_is_fitted():
    kmeans = KMeans(2)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        check_is_fitted(kmeans)
    check_is_fitted(kmeans.fit(X))
    check_is_fitted(KMeans.from_centers(X[:3]))


@pytest.mark.parametrize(
    "init", [X[:3], [[0.0] * 4] * 3, lambda X, k, random_state: X[:k]], ids=["array", "list", "call"]
)
def test_a_clone_has_equal_parameters_of_its_own(init):
    kmeans = KMeans(3, init=init, random_state=np.random.RandomState(3))
    copy = clone(kmeans)
    np.testing.assert_array_equal(copy.fit(X).labels_, kmeans.fit(X).labels_)
    if isinstance(init, np.ndarray):
        assert copy.init is not init


# ---------------------------------------------------------------- meta-estimators


def test_a_pipeline_predicts_transforms_and_scores():
    pipeline = make_pipeline(StandardScaler(), KMeans(3, random_state=1)).fit(TABLE)
    scaled = StandardScaler().fit_transform(TABLE)
    alone = KMeans(3, random_state=1).fit(scaled)
    np.testing.assert_array_equal(pipeline.predict(TABLE), alone.labels_)
    np.testing.assert_array_equal(pipeline.fit_predict(TABLE), alone.labels_)
    np.testing.assert_array_equal(pipeline.transform(TABLE), alone.transform(scaled))
    assert pipeline.score(TABLE) == alone.score(scaled)
    assert pipeline[:-1].get_feature_names_out().tolist() == list("abcd")
    assert pipeline.get_feature_names_out().tolist() == ["kmeans0", "kmeans1", "kmeans2"]
    assert "KMeans" in pipeline._repr_html_()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_finds_the_number_of_clusters(n_jobs):
    pipeline = Pipeline([("scale", StandardScaler()), ("cluster", KMeans(random_state=1))])
    search = GridSearchCV(
        pipeline, {"cluster__n_clusters": [2, 5], "cluster__init": ["auto", "random"]}, cv=3, n_jobs=n_jobs
    )
    search.fit(TABLE)
    # More clusters are always nearer.
    assert search.best_params_["cluster__n_clusters"] == 5
    assert search.best_score_ < 0
    assert search.predict(TABLE).shape == (150,)


def test_cross_validation_scores_unseen_rows():
    scores = cross_val_score(KMeans(3, random_state=1), X, cv=5)
    assert scores.shape == (5,) and (scores < 0).all()


def test_a_feature_union_puts_distances_beside_features():
    union = FeatureUnion([("scaled", StandardScaler()), ("near", KMeans(2, random_state=1))])
    joined = union.set_output(transform="pandas").fit_transform(TABLE)
    assert list(joined.columns)[-2:] == ["near__kmeans0", "near__kmeans1"]
    np.testing.assert_array_equal(joined.iloc[:, -2:], KMeans(2, random_state=1).fit_transform(TABLE))


def test_a_column_transformer_clusters_some_columns():
    table = TABLE.assign(kind=np.where(X[:, 0] > 0, "up", "down"))
    columns = ColumnTransformer([("place", KMeans(3, random_state=1), ["a", "b"]), ("kind", OneHotEncoder(), ["kind"])])
    result = columns.fit_transform(table)
    assert result.shape == (150, 5)
    assert columns.get_feature_names_out().tolist()[:3] == ["place__kmeans0", "place__kmeans1", "place__kmeans2"]
    np.testing.assert_array_equal(np.asarray(result)[:, :3], KMeans(3, random_state=1).fit_transform(table[["a", "b"]]))


def test_weights_are_routed_to_fit_and_score_of_a_search():
    with sklearn.config_context(enable_metadata_routing=True):
        kmeans = KMeans(random_state=1).set_fit_request(sample_weight=True).set_score_request(sample_weight="mass")
        search = GridSearchCV(kmeans, {"n_clusters": [3]}, cv=2)
        plain = search.fit(X, sample_weight=WEIGHTS, mass=np.ones(150)).best_score_
        heavy = search.fit(X, sample_weight=WEIGHTS, mass=np.full(150, 2.0)).best_score_
    assert heavy == pytest.approx(2 * plain)
    alone = KMeans(3, random_state=1).fit(X, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.best_estimator_.cluster_centers_, alone.cluster_centers_)


# ---------------------------------------------------------------- joblib


def fit(seed, n_threads=None):
    return KMeans(5, random_state=seed, n_threads=n_threads).fit(X)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_fits_in_parallel_workers_equal_fits_alone(backend):
    joblib = pytest.importorskip("joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib counts physical cores
        models = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(fit)(seed) for seed in range(4))
    for seed, model in enumerate(models):
        alone = fit(seed)
        np.testing.assert_array_equal(model.labels_, alone.labels_)
        assert model.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()


def test_either_warning_and_error_is_caught_in_workers():
    joblib = pytest.importorskip("joblib")
    for module in (fastkmeans, sklearn.exceptions):
        with pytest.raises(module.NotFittedError):
            joblib.Parallel(n_jobs=2)(joblib.delayed(KMeans(2).predict)(X) for _ in range(2))


# ---------------------------------------------------------------- arrays of other libraries, in CPU memory


class OnlyDLPack:
    """A tensor that offers nothing but DLPack."""

    def __init__(self, array, device=(1, 0)):
        self._array, self._device = array, device

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device


def to_torch(array):
    return pytest.importorskip("torch").from_numpy(array)


def to_array_api_strict(array):
    return pytest.importorskip("array_api_strict").asarray(array)


TENSORS = {"torch": to_torch, "array_api_strict": to_array_api_strict, "dlpack": OnlyDLPack}


@pytest.mark.parametrize("library", TENSORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tensor_in_cpu_memory_is_read_in_place(library, dtype):
    array = X.astype(dtype)
    values = as_matrix(TENSORS[library](array)).values
    assert values.dtype == dtype and np.shares_memory(values, array)


@pytest.mark.parametrize("library", TENSORS)
def test_samples_weights_and_centers_may_be_tensors(library):
    tensor = TENSORS[library]
    model = KMeans(3, init=tensor(X[:3])).fit(tensor(X), sample_weight=tensor(WEIGHTS))
    alone = KMeans(3, init=X[:3]).fit(X, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(model.labels_, alone.labels_)
    np.testing.assert_array_equal(model.predict(tensor(X)), alone.labels_)
    assert type(model.transform(tensor(X))) is np.ndarray


@pytest.mark.parametrize(
    ("device", "name"), [((2, 0), "CUDA"), ((10, 1), "ROCm"), ((8, 0), "Metal"), ((99, 0), "device type 99 of DLPack")]
)
@pytest.mark.parametrize("method", ["fit", "predict"])
def test_a_tensor_in_other_memory_is_refused_by_its_name(device, name, method):
    kmeans = KMeans.from_centers(X[:3])
    with pytest.raises(TypeError, match=rf"X \(OnlyDLPack\) is not in CPU memory but in that of {name}.*X\.cpu\(\)"):
        getattr(kmeans, method)(OnlyDLPack(X, device))


def test_a_tensor_that_numpy_does_not_know_says_what_to_do():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="Cast it to float64 first"):
        KMeans(2).fit(torch.zeros((4, 2), dtype=torch.bfloat16))
