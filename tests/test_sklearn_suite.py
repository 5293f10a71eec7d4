"""Promise 4: scikit-learn's own k-means tests and estimator checks, run on our classes.

The test modules of the installed scikit-learn are imported a second time. In them our names stand for those of
``sklearn.cluster`` that we have, and their tests are collected here under their own names. Cases of estimators that we lack,
and of sparse input as long as our tags do not promise it, are taken out by value. Whole tests that cannot apply are
named in NOT_OURS, with the reason.
"""

from __future__ import annotations

import importlib.util
import warnings
from unittest import mock

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")

import sklearn.cluster
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import fastkmeans

SWAPPED = sorted(set(fastkmeans.__all__) & set(sklearn.cluster.__all__))
MODULES = ["sklearn.cluster.tests.test_k_means"]
if "BisectingKMeans" in SWAPPED:
    MODULES.append("sklearn.cluster.tests.test_bisect_k_means")
TAKES_SPARSE = fastkmeans.KMeans().__sklearn_tags__().input_tags.sparse

PRIVATE = "calls a private helper of scikit-learn, and nothing of ours"
INIT_CENTROIDS = "calls the private method _init_centroids; test_laws.py has the law"
MINI_BATCH = "tests MiniBatchKMeans alone"
SPARSE = "tests sparse input alone"

NOT_OURS = {
    "test_euclidean_distance": PRIVATE,
    "test_inertia": PRIVATE,
    "test_is_same_clustering": PRIVATE,
    "test_minibatch_update_consistency": PRIVATE,
    "test_relocate_empty_clusters": PRIVATE,
    "test_sample_weight_init": INIT_CENTROIDS,
    "test_sample_weight_zero": INIT_CENTROIDS,
}

if "MiniBatchKMeans" in SWAPPED:
    NOT_OURS |= {
        "test_minibatch_kmeans_init_size": "reads the private attribute _init_size; test_minibatch.py has the law",
        "test_minibatch_reassign": "calls the private function _mini_batch_step; test_minibatch.py has the law",
    }
else:
    NOT_OURS |= {
        "test_minibatch_declared_convergence": MINI_BATCH,
        "test_minibatch_iter_steps": MINI_BATCH,
        "test_minibatch_kmeans_init_size": MINI_BATCH,
        "test_minibatch_kmeans_partial_fit_init": MINI_BATCH,
        "test_minibatch_kmeans_verbose": MINI_BATCH,
        "test_minibatch_kmeans_warning_init_size": MINI_BATCH,
        "test_minibatch_reassign": MINI_BATCH,
        "test_minibatch_sensible_reassign": MINI_BATCH,
        "test_minibatch_with_many_reassignments": MINI_BATCH,
    }

if not TAKES_SPARSE:
    NOT_OURS |= {"test_dense_sparse": SPARSE, "test_predict_dense_sparse": SPARSE, "test_sparse": SPARSE}

# scikit-learn expects its own KMeans to fail these too.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "repeated rows draw other seeds; see test_laws.py",
}
if TAKES_SPARSE:
    EXPECTED_FAILURES["check_sample_weight_equivalence_on_sparse_data"] = "repeated rows draw other seeds"


def their_tests():
    """The tests of fresh copies of scikit-learn's test modules, in which our names stand for theirs."""
    tests = {}
    for name in MODULES:
        spec = importlib.util.find_spec(name)
        if spec is None:
            pytest.skip("this scikit-learn came without its tests", allow_module_level=True)
        module = importlib.util.module_from_spec(spec)
        with mock.patch.multiple(sklearn.cluster, **{ours: getattr(fastkmeans, ours) for ours in SWAPPED}):
            spec.loader.exec_module(module)
        found = {key: value for key, value in vars(module).items() if key.startswith("test_")}
        assert not tests.keys() & found.keys()
        tests |= found
    return tests


def is_foreign(value):
    """Is this parameter an estimator that is not ours, or sparse while we take nothing sparse?"""
    if isinstance(value, (tuple, list)):
        return any(is_foreign(part) for part in value)
    kind = value if isinstance(value, type) else type(value)
    is_sparse = "sparse" in kind.__module__
    return (is_sparse and not TAKES_SPARSE) or (
        kind.__module__.startswith("sklearn.cluster.") and isinstance(value, type)
    )


def without_foreign_cases(mark):
    """The same parametrisation, less its foreign cases and their ids."""
    names, values = mark.args
    keep = [i for i, value in enumerate(values) if not is_foreign(value)]
    ids = mark.kwargs.get("ids")
    ids = [ids[i] for i in keep] if isinstance(ids, (list, tuple)) else ids
    return pytest.mark.parametrize(names, [values[i] for i in keep], ids=ids).mark


def collect():
    """Name -> test function of theirs, with the cases that apply to us."""
    found = {}
    for name, test in their_tests().items():
        if name not in NOT_OURS:
            marks = getattr(test, "pytestmark", [])
            test.pytestmark = [without_foreign_cases(m) if m.name == "parametrize" else m for m in marks]
            found[name] = test
    return found


THEIRS = collect()
globals().update(THEIRS)


@pytest.fixture(params=[42, 7])
def global_random_seed(request):
    return request.param


@pytest.fixture(params=[np.float32, np.float64])
def global_dtype(request):
    return request.param


def test_their_tests_were_collected_and_no_case_was_lost():
    assert len(THEIRS) > 25
    for name, test in THEIRS.items():
        for mark in test.pytestmark if hasattr(test, "pytestmark") else []:
            assert mark.name != "parametrize" or mark.args[1], f"{name} has no case left: name it in NOT_OURS"


# That is promise 4: the contract without the import.
NO_BASE_CLASS = r"Estimator \w+ does not inherit from"

ESTIMATORS = [
    fastkmeans.KMeans(n_clusters=3, max_iter=5, n_init=2),
    fastkmeans.KMeans(n_clusters=2, init="random", n_init=1, random_state=11),
    fastkmeans.KMeans(n_clusters=3, standardize=True, random_state=5),
    fastkmeans.KMeans(n_clusters=2, standardize="robust", random_state=5),
]
if "MiniBatchKMeans" in SWAPPED:
    ESTIMATORS += [
        fastkmeans.MiniBatchKMeans(n_clusters=2, max_iter=5, n_init=1),
        fastkmeans.MiniBatchKMeans(n_clusters=3, batch_size=10, random_state=4, compute_labels=False),
    ]
if "BisectingKMeans" in SWAPPED:
    ESTIMATORS += [
        fastkmeans.BisectingKMeans(n_clusters=2, max_iter=5),
        fastkmeans.BisectingKMeans(n_clusters=3, bisecting_strategy="largest_cluster", random_state=9),
    ]

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", NO_BASE_CLASS)
    mark = parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
    # A list, because scikit-learn 1.6 passes a generator, which pytest no longer likes.
    names, cases = mark.args
    every_check = pytest.mark.parametrize(names, list(cases), **mark.kwargs)


@every_check
def test_estimator_check(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings(f"ignore:{NO_BASE_CLASS}")
def test_check_estimator_passes_as_users_call_it():
    model = fastkmeans.KMeans(n_clusters=3, max_iter=5, n_init=2)
    check_estimator(model, expected_failed_checks=EXPECTED_FAILURES, on_skip=None)


def test_a_pipeline_a_grid_search_and_a_clone_accept_our_estimator():
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = np.random.default_rng(91).normal(size=(120, 3))
    model = make_pipeline(StandardScaler(), fastkmeans.KMeans(3, random_state=4))
    search = GridSearchCV(model, {"kmeans__n_clusters": [2, 3, 4]}, cv=3).fit(X)
    assert search.best_params_["kmeans__n_clusters"] in (2, 3, 4)
    fitted = search.best_estimator_[-1]
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "labels_")
