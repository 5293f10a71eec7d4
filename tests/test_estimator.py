"""Laws of estimators: scikit-learn's contract as its users meet it, with scikit-learn loaded or not."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import fastkmeans
from fastkmeans import KMeans

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X = np.random.default_rng(6).normal(size=(30, 3))
WEIGHTS = np.arange(30.0) + 1


def not_fitted_error():
    with pytest.raises(fastkmeans.NotFittedError) as caught:
        KMeans().predict(X)
    return caught.value


def test_either_name_catches_a_method_before_fit():
    with pytest.raises(sklearn.exceptions.NotFittedError):
        KMeans().predict(X)
    assert isinstance(not_fitted_error(), fastkmeans.NotFittedError)


def test_a_not_fitted_error_survives_pickling():
    error = not_fitted_error()
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error)


def test_without_scikit_learn_the_error_is_ours_and_nothing_is_imported():
    code = (
        "import sys, fastkmeans\n"
        "try:\n    fastkmeans.KMeans().predict([[1.0]])\n"
        "except fastkmeans.NotFittedError as error:\n    print(type(error) is fastkmeans.NotFittedError)\n"
        "print('sklearn' in sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert child.stdout.split() == ["True", "False"], child.stderr


@pytest.mark.parametrize("module", [fastkmeans, sklearn.exceptions])
def test_either_name_filters_a_convergence_warning(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", module.ConvergenceWarning)
        KMeans(n_clusters=2).fit([[1.0], [1.0]])


def test_a_warning_points_to_the_callers_line():
    with pytest.warns(fastkmeans.ConvergenceWarning) as warned:
        KMeans(n_clusters=2).fit([[1.0], [1.0]])
    assert warned[0].filename == __file__


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_pipelines_output_is_the_table_asked_for(kind):
    table = pd.DataFrame(X, columns=["a", "b", "c"], index=np.arange(30) + 5)
    pipeline = make_pipeline(StandardScaler(), KMeans(n_clusters=4)).set_output(transform=kind)
    output = pipeline.fit_transform(table)
    assert type(output).__module__.partition(".")[0] == kind
    assert list(output.columns) == ["kmeans0", "kmeans1", "kmeans2", "kmeans3"]
    if kind == "pandas":
        assert output.index.tolist() == table.index.tolist()


def test_the_global_output_holds_until_one_is_chosen():
    kmeans = KMeans(n_clusters=2).fit(X)
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(kmeans.transform(X), pd.DataFrame)
        assert isinstance(kmeans.set_output(transform="default").transform(X), np.ndarray)


def test_a_clone_keeps_parameters_output_and_requests_but_no_fit():
    with sklearn.config_context(enable_metadata_routing=True):
        kmeans = KMeans(n_clusters=2).set_output(transform="polars").set_fit_request(sample_weight=True)
        copy = clone(kmeans.fit(X))
        assert repr(copy.get_metadata_routing()) == repr(kmeans.get_metadata_routing())
    assert copy.get_params() == kmeans.get_params()
    assert type(copy.fit_transform(X)).__module__.startswith("polars")
    assert not hasattr(clone(kmeans), "labels_")


def test_requested_weights_are_routed_to_fit():
    with sklearn.config_context(enable_metadata_routing=True):
        kmeans = KMeans(n_clusters=3, random_state=8).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(kmeans).fit(X, sample_weight=WEIGHTS)
    alone = KMeans(n_clusters=3, random_state=8).fit(X, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline[-1].cluster_centers_, alone.cluster_centers_)


@pytest.mark.parametrize("method", ["set_fit_request", "set_score_request"])
def test_requests_need_metadata_routing(method):
    with pytest.raises(RuntimeError, match="enable it with sklearn.set_config"):
        getattr(KMeans(), method)(sample_weight=True)
