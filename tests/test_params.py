"""Laws of input/parameters.py, and of the parameters that every estimator keeps by the constructor's signature."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest

from fastkmeans import KMeans
from fastkmeans.algorithms.table import ALGORITHMS
from fastkmeans.input.parameters import INITS, check_init, check_n_clusters, check_random_state
from fastkmeans.settings import settings_of

DEFAULTS = KMeans().get_params()


def check(**params):
    settings_of(KMeans(**params))


def generator(seed=3):
    return np.random.default_rng(seed)


GOOD = {
    "n_clusters": [1, 8, np.int32(3), np.uint8(3)],
    "init": [*INITS, np.str_("random"), np.zeros((8, 2)), [[0.0]], pd.DataFrame([[0.0]]), lambda X, k, rs: X],
    "n_init": ["auto", 1, np.int64(10)],
    "max_iter": [1, 300, np.int16(5), 2**31 - 1],
    "tol": [0, 0.0, 1e-4, np.float32(0.1), 1],
    "verbose": [0, 1, 10, True, False, np.True_],
    "random_state": [None, 0, 2**32 - 1, np.int64(5), np.random.RandomState(1), generator()],
    "copy_x": [True, False, np.False_],
    "algorithm": ["auto", *ALGORITHMS, "elkan", "full"],
    "metric": ["euclidean", "manhattan", "cosine"],
    "standardize": [False, True, np.True_, "robust", np.str_("robust")],
    "warm_start": [False, True, np.True_],
    "checkpoint": [None],
    "inertia_tol": [None, 0, 1e-3, np.float32(0.1)],
    "max_time": [None, 1, 0.5, np.float64(3.0)],
    "n_threads": [None, 1, 64, np.int32(2)],
    "callback": [None, print],
}

# parameter, value, error, what the message says beside the parameter's name
BAD = [
    ("n_clusters", 0, ValueError, "integer >= 1; got 0"),
    ("n_clusters", -1, ValueError, "integer >= 1; got -1"),
    ("n_clusters", 2**31, ValueError, "<= 2147483647; got 2147483648"),
    ("n_clusters", 2.5, TypeError, r"integer >= 1; got 2\.5 \(float\)"),
    ("n_clusters", 2.0, TypeError, r"got 2\.0 \(float\)"),
    ("n_clusters", "3", TypeError, r"got '3' \(str\)"),
    ("n_clusters", True, TypeError, r"got True \(bool\)"),
    ("n_clusters", np.True_, TypeError, r"\(bool"),
    ("n_clusters", None, TypeError, "got None"),
    ("n_clusters", np.array([3]), TypeError, r"\(ndarray\)"),
    ("init", "kmeans++", ValueError, r"'random-partition'; got 'kmeans\+\+'\. Did you mean 'k-means\+\+'"),
    ("init", "nonsense", ValueError, r"got 'nonsense'\.$"),
    ("init", None, TypeError, r"an array \(n_clusters, n_features\) or a callable; got None"),
    ("init", 3, TypeError, "callable; got 3"),
    ("init", {"a": 1}, TypeError, r"\(dict\)"),
    ("n_init", 0, ValueError, "'auto' or an integer >= 1; got 0"),
    ("n_init", "many", TypeError, "'auto' or an integer >= 1; got 'many'"),
    ("n_init", 1.0, TypeError, "got 1.0"),
    ("max_iter", 0, ValueError, "integer >= 1; got 0"),
    ("max_iter", 1e3, TypeError, "got 1000.0"),
    ("tol", -1e-9, ValueError, "finite number >= 0; got -1e-09"),
    ("tol", float("nan"), ValueError, "got nan"),
    ("tol", float("inf"), ValueError, "got inf"),
    ("tol", 10**400, ValueError, r"finite number >= 0; got 10{56}\.\.\."),
    ("tol", "small", TypeError, "got 'small'"),
    ("tol", None, TypeError, "got None"),
    ("tol", False, TypeError, "got False"),
    ("verbose", -1, ValueError, "a bool or an integer >= 0; got -1"),
    ("verbose", "yes", TypeError, "got 'yes'"),
    ("random_state", -1, ValueError, "integer from 0 to 4294967295"),
    ("random_state", 2**32, ValueError, "got 4294967296"),
    ("random_state", "abc", TypeError, "NumPy RandomState or a NumPy Generator; got 'abc'"),
    ("random_state", 1.5, TypeError, "got 1.5"),
    ("random_state", True, TypeError, "got True"),
    ("copy_x", 1, TypeError, "True or False; got 1"),
    ("algorithm", "elkann", ValueError, "'auto', 'lloyd', .*; got 'elkann'"),
    ("algorithm", "Yinjang", ValueError, "Did you mean 'yinyang'"),
    ("algorithm", None, TypeError, "got None"),
    ("metric", "chebyshev", ValueError, "one of 'euclidean', 'manhattan', 'cosine'; got 'chebyshev'.*k-medoids"),
    ("metric", None, TypeError, r"got None \(NoneType\)"),
    ("standardize", "yes", ValueError, "True, False or 'robust'; got 'yes'"),
    ("standardize", "Robust", ValueError, "got 'Robust'. Did you mean 'robust'"),
    ("standardize", 1, TypeError, r"got 1 \(int\)"),
    ("standardize", None, TypeError, "got None"),
    ("warm_start", 1, TypeError, "True or False; got 1"),
    ("checkpoint", 1, TypeError, "None or a path; got 1"),
    ("inertia_tol", -1.0, ValueError, r"finite number >= 0; got -1\.0"),
    ("inertia_tol", "small", TypeError, "got 'small'"),
    ("max_time", 0, ValueError, "seconds > 0; got 0"),
    ("max_time", float("inf"), ValueError, "got inf"),
    ("max_time", "1 s", TypeError, "got '1 s'"),
    ("n_threads", 0, ValueError, "None or an integer >= 1; got 0"),
    ("n_threads", -1, ValueError, "got -1"),
    ("n_threads", "two", TypeError, "got 'two'"),
    ("callback", 3, TypeError, "None or a callable; got 3"),
]


def test_every_parameter_has_good_and_bad_examples_here():
    assert set(GOOD) == {name for name, *_ in BAD} == set(DEFAULTS)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in GOOD for value in GOOD[name]])
def test_a_good_value_passes(name, value):
    check(**{name: value})


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD)
def test_a_bad_value_is_named_with_its_rule(name, value, error, message):
    with pytest.raises(error, match=f"^{name} must be .*{message}"):
        check(**{name: value})


@pytest.mark.parametrize("long", ["x" * 10_000, list(range(10_000))], ids=["text", "list"])
def test_a_long_value_does_not_flood_the_message(long):
    with pytest.raises((TypeError, ValueError)) as caught:
        check(n_clusters=long)
    assert len(str(caught.value)) < 200


def test_more_clusters_than_samples_are_refused():
    check_n_clusters(5, 5)
    with pytest.raises(ValueError, match=r"n_samples=4 should be >= n_clusters=5\. Ask for fewer"):
        check_n_clusters(5, 4)


# Initial centers


@pytest.mark.parametrize(
    "init",
    [np.eye(2), np.eye(2, dtype="f4"), np.eye(2, order="F"), [[1, 0], [0, 1]], pd.DataFrame(np.eye(2))],
    ids=["float64", "float32", "F order", "list", "DataFrame"],
)
def test_initial_centers_are_a_copy_in_the_dtype_of_the_data(init, real):
    centers = check_init(init, 2, 2, real)
    assert centers.dtype == real and centers.flags.c_contiguous and centers.flags.writeable
    assert not np.shares_memory(centers, init if isinstance(init, np.ndarray) else np.asarray(init))
    np.testing.assert_array_equal(centers, np.eye(2))


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (np.zeros((3, 2)), r"centers \(3, 2\) does not match the number of clusters 4\. .*shape \(4, 2\)"),
        (np.zeros((4, 3)), r"centers \(4, 3\) does not match the number of features of the data 2\."),
        (np.zeros(4), "Expected 2D array, got 1D array instead: init has shape"),
        (np.full((4, 2), np.nan), "Input init contains NaN"),
        (np.full((4, 2), np.inf), "Input init contains infinity"),
        (np.full((4, 2), 1e39), r"init contains 1e\+39, which overflows float32, the dtype of X"),
        ([["a", "b"]] * 4, "init holds text"),
        ([[1.0, 2.0], [3.0]], "init is ragged: row 1 has 1 values and row 0 has 2"),
    ],
)
def test_bad_initial_centers_are_refused(init, message):
    with pytest.raises(ValueError, match=message):
        check_init(init, 4, 2, np.float32)


# Random state


@pytest.mark.parametrize("seed", [0, 7, np.uint32(7), 2**32 - 1])
def test_an_integer_gives_numpys_stream_of_that_seed(seed):
    drawn = check_random_state(seed).random_sample(5)
    np.testing.assert_array_equal(drawn, np.random.RandomState(seed).random_sample(5))


def test_a_random_state_is_used_itself():
    random_state = np.random.RandomState(0)
    assert check_random_state(random_state) is random_state


def test_a_generator_advances_with_what_is_drawn():
    ours, theirs = generator(), np.random.RandomState(generator().bit_generator)
    np.testing.assert_array_equal(check_random_state(ours).random_sample(5), theirs.random_sample(5))
    assert ours.bit_generator.state != generator().bit_generator.state


def test_none_follows_numpys_global_seed():
    state = np.random.get_state()
    try:
        draws = []
        for _ in range(2):
            np.random.seed(5)
            draws.append(check_random_state(None).random_sample(3))
        np.testing.assert_array_equal(*draws)
    finally:
        np.random.set_state(state)


# The parameters of an estimator


def test_the_constructor_only_stores():
    given = {name: object() for name in DEFAULTS}
    kmeans = KMeans(**given)
    assert vars(kmeans) == given


def test_get_params_follows_the_signature():
    signature = inspect.signature(KMeans)
    assert list(DEFAULTS) == list(signature.parameters)
    assert list(DEFAULTS.values()) == [p.default for p in signature.parameters.values()]


@pytest.mark.parametrize("name", DEFAULTS)
def test_set_params_stores_the_very_object_and_returns_self(name):
    value, kmeans = object(), KMeans()
    assert kmeans.set_params(**{name: value}) is kmeans
    assert kmeans.get_params()[name] is value


def test_set_params_sets_all_or_nothing():
    kmeans = KMeans()
    with pytest.raises(ValueError, match="Invalid parameter 'n_cluster' for estimator KMeans"):
        kmeans.set_params(max_iter=5, n_cluster=3)
    assert kmeans.get_params() == DEFAULTS


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ({}, "KMeans()"),
        ({"n_clusters": 8, "tol": 1e-4}, "KMeans()"),
        ({"n_clusters": 3, "init": "random"}, "KMeans(n_clusters=3, init='random')"),
        ({"copy_x": False, "random_state": 0}, "KMeans(random_state=0, copy_x=False)"),
        ({"init": np.zeros((8, 2))}, "KMeans(init=<array of shape (8, 2)>)"),
    ],
)
def test_repr_shows_what_was_changed(params, shown):
    assert repr(KMeans(**params)) == shown


def test_parameters_survive_pickling():
    kmeans = pickle.loads(pickle.dumps(KMeans(n_clusters=3, init="random")))
    assert kmeans.get_params() == KMeans(n_clusters=3, init="random").get_params()


@pytest.mark.parametrize("name", ["n_clusters", "n_init", "max_iter", "tol", "random_state", "n_threads"])
def test_an_integer_that_python_does_not_write_is_refused_like_any_other(name):
    for value in (10**5000, -(10**5000)):
        with pytest.raises(ValueError, match=f"{name} must be .*; got an integer of 16610 bits"):
            KMeans(**{"n_clusters": 2, name: value}).fit([[1.0], [2.0]])


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
@pytest.mark.parametrize("name", ["elkan", "full"])
def test_algorithms_by_scikit_learns_names_give_lloyds_bits(name, metric, blobs, seed, fingerprint):
    X, _ = blobs(300, 3, 4, "float64")
    model, lloyd = (KMeans(4, algorithm=a, metric=metric, random_state=seed).fit(X) for a in (name, "lloyd"))
    assert fingerprint(model) == fingerprint(lloyd)
    assert model.get_params()["algorithm"] == name
    assert model.algorithm_used_ in ALGORITHMS
