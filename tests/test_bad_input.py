"""Promise 6: bad input gets one clear error and leaves the estimator as it was.

Each row of a table is one mistake: its name, the call, the error, and what the message must say, which is the
parameter or the place, the value got and the way out.
"""

from __future__ import annotations

import copy
import datetime
import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkmeans import KMeans, NotFittedError, cluster, elbow, k_means
from fastkmeans.errors import ColumnsLeftOutWarning

GOOD_X = np.random.default_rng(2).normal(size=(12, 2))
GOOD_TABLE = pd.DataFrame(GOOD_X, columns=["height", "width"])

FITS = ("fit", "fit_predict", "fit_transform")
READS = ("predict", "transform", "score")


def snapshot(estimator):
    """Every attribute: the object itself, to compare by identity, and a copy of what is in it."""
    return {name: (value, copy.deepcopy(value)) for name, value in vars(estimator).items()}


def assert_unchanged(estimator, before):
    assert list(vars(estimator)) == list(before)
    for name, (value, content) in before.items():
        assert getattr(estimator, name) is value, name
        if isinstance(value, np.ndarray):
            assert value.dtype == content.dtype and value.tobytes() == content.tobytes(), name
        else:
            assert repr(value) == repr(content), name


def with_value(value, dtype=np.float64):
    X = GOOD_X.astype(dtype)
    X[5, 1] = value
    return X


def columns(**extra):
    return {"height": GOOD_X[:, 0], **extra}


class Sparse:
    """Looks like a scipy sparse matrix."""

    shape, nnz, format = (12, 2), 3, "csr"

    def toarray(self):
        return GOOD_X


class OnGPU:
    def __dlpack__(self, **kwargs):
        raise BufferError("not reached")

    def __dlpack_device__(self):
        return (2, 0)


# ---------------------------------------------------------------- the data: every method refuses it alike

TEXTS = [f"town {i}" for i in range(12)]
DAYS = [datetime.datetime(2020, 1, 1 + i) for i in range(12)]
HOLES = [None, *GOOD_X[1:, 1]]
TEXT_COLUMN = r"X has columns that do not hold numbers: 'city' \(String\)\. Encode them as numbers"
DATE_COLUMN = r"X has columns that do not hold numbers: 'day' \(Date.*\. Encode them as numbers, or select"
HOLE_TO_DROP = r"The table contains NaN\. The first is in row 0, column 'width'; .* 1 of 12\. missing=\"drop\" leaves"
HOLE_IN_COLUMN = r"Input X contains NaN\. The first is in row 0, column 'width'; a null counts as one\. Fill"

BAD_X = {
    "NaN": (with_value(np.nan), ValueError, r"Input X contains NaN\. .*row 5, column 1; .*Fill"),
    "NaN in float32": (with_value(np.nan, np.float32), ValueError, r"Input X contains NaN\. .*row 5, column 1"),
    "infinity": (with_value(np.inf), ValueError, r"X contains infinity or .*'float64'.*row 5, column 1\. Clip"),
    "minus infinity": (with_value(-np.inf), ValueError, r"Input X contains infinity .*row 5, column 1"),
    "infinity in float32": (with_value(np.inf, np.float32), ValueError, r"contains infinity or .*'float32'"),
    "square overflows": (with_value(-2e150), ValueError, r"X contains -2e\+150 in row 5, column 1, .*Rescale X"),
    "largest float64": (with_value(1.7e308), ValueError, r"Input X contains 1\.7e\+308 in row 5, .*Rescale X"),
    "no rows": (np.empty((0, 2)), ValueError, r"0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1 is required"),
    "no columns": (np.empty((12, 0)), ValueError, r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is"),
    "empty list": ([], ValueError, r"Expected 2D array, got 1D array instead: X has shape \(0,\)"),
    "empty table": (pd.DataFrame(), ValueError, r"0 sample\(s\) \(shape=\(0, 0\)\)"),
    "0-D": (np.float64(3), ValueError, "Expected 2D array, got scalar array instead.*Reshape your data"),
    "1-D": (GOOD_X[:, 0], ValueError, r"got 1D array instead: X has shape \(12,\)\. Reshape.*reshape\(-1, 1\)"),
    "3-D": (GOOD_X.reshape(3, 4, 2), ValueError, r"got 3D array instead: .*Reshape.*X\.reshape\(len\(X\), -1\)"),
    "one column of a table": (GOOD_TABLE["width"], ValueError, r"got 1D array .*table\[\['column'\]\]"),
    "ragged list": ([[1.0, 2.0], [3.0]], ValueError, "X is ragged: row 1 has 1 values and row 0 has 2"),
    "row that is no list": ([[1.0, 2.0], 3.0], ValueError, "X is ragged: row 1 has 1 values and row 0 has 2"),
    "list of strings": ([["a", "b"], ["c", "d"]], ValueError, r"X holds text \(dtype <U1\).*encode it as numbers"),
    "numbers in strings": ([["1", "2"], ["3", "4"]], ValueError, "X holds text .*needs numbers"),
    "bytes": (np.array([[b"a", b"b"]]), ValueError, "X holds bytes .*needs numbers"),
    "a path": ("samples.csv", FileNotFoundError, "there is no file samples.csv"),
    "text": ("samples", ValueError, "'samples' must end in .npy, .parquet, .csv"),
    "None": (None, TypeError, "X must be a 2D array-like or a DataFrame; got NoneType"),
    "a dict": ({"a": [1.0]}, TypeError, "X must be a 2D array-like or a DataFrame; got dict"),
    "a generator": ((row for row in GOOD_X), TypeError, r"X \(generator\) can be iterated only once"),
    "complex": (GOOD_X + 1j, ValueError, "Complex data not supported: X has dtype complex128"),
    "dates": (np.full((12, 2), np.datetime64("2020-01-01")), ValueError, r"X holds dates .*needs numbers"),
    "durations": (np.full((12, 2), np.timedelta64(3, "s")), ValueError, r"X holds durations .*needs numbers"),
    "object with text": (np.array([[1, "a"]], object), ValueError, "X has dtype object .*could not convert"),
    "object with dict": (np.array([[1, {}]], object), TypeError, "X has dtype object .*argument must be .*number"),
    "object with None": (with_value(None, object), ValueError, r"Input X contains NaN\. .*row 5, column 1"),
    "integer beyond float64": ([[10**400, 1]], ValueError, "X has dtype object .*too large"),
    "structured": (np.zeros((12, 2), dtype="f8,f8"), ValueError, "X is a structured array .*to_unstructured"),
    "masked values": (np.ma.masked_less(GOOD_X, 0), ValueError, r"X is a masked array .*X\.filled\(0\)"),
    "sparse": (Sparse(), TypeError, r"X must be dense; got a sparse Sparse\. Use X\.toarray\(\)"),
    "on a GPU": (OnGPU(), TypeError, r"X \(OnGPU\) is not in CPU memory .*X\.cpu\(\)"),
    "pandas text": (pd.DataFrame(columns(city=TEXTS)), ValueError, TEXT_COLUMN),
    "polars text": (pl.DataFrame(columns(city=TEXTS)), ValueError, TEXT_COLUMN),
    "pyarrow text": (pa.table(columns(city=TEXTS)), ValueError, TEXT_COLUMN),
    "pandas dates": (pd.DataFrame(columns(day=DAYS)), ValueError, DATE_COLUMN),
    "polars dates": (pl.DataFrame(columns(day=DAYS)), ValueError, DATE_COLUMN),
    "pyarrow dates": (pa.table(columns(day=DAYS)), ValueError, DATE_COLUMN),
    "polars 128-bit integers": (
        pl.DataFrame(columns(count=pl.Series([1] * 12).cast(pl.Int128))),
        ValueError,
        r"column 'count' of X \(Int128\) does not convert to a NumPy array: .*\. Cast it to Float64 first",
    ),
    "one column of 128-bit integers": (
        pl.Series([1] * 12).cast(pl.Int128),
        TypeError,
        r"X \(Series\) does not convert .*\. Cast it to float64 first",
    ),
    "pandas categories": (
        pd.DataFrame(columns(city=pd.Categorical(TEXTS))),
        ValueError,
        r"X has columns that do not hold numbers: 'city' \(Categorical\)",
    ),
    "pandas objects": (
        pd.DataFrame(columns(city=np.array([{}] * 12, dtype=object))),
        TypeError,
        "column 'city' of X has dtype object .*not numbers",
    ),
    "pandas null": (pd.DataFrame(columns(width=HOLES)), ValueError, HOLE_IN_COLUMN),
    "polars null": (pl.DataFrame(columns(width=HOLES)), ValueError, HOLE_IN_COLUMN),
    "pyarrow null": (pa.table(columns(width=HOLES)), ValueError, HOLE_IN_COLUMN),
    "mixed column names": (GOOD_TABLE.set_axis(["a", 1], axis=1), TypeError, "type str and of type int. Rename"),
    "same column names": (GOOD_TABLE.set_axis(["a", "a"], axis=1), ValueError, "X must have unique column names"),
}

BAD_DATA = [pytest.param(*row, id=name) for name, row in BAD_X.items()]


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize(("X", "error", "message"), BAD_DATA)
@pytest.mark.parametrize("fitted", [False, True], ids=["first fit", "second fit"])
def test_a_fit_refuses_bad_data_and_changes_nothing(method, X, error, message, fitted):
    kmeans = KMeans(n_clusters=1, random_state=3)
    if fitted:
        kmeans.fit(GOOD_TABLE)
    before = snapshot(kmeans)
    with pytest.raises(error, match=message):
        getattr(kmeans, method)(X)
    assert_unchanged(kmeans, before)


# Some of the tables have names for their columns, which the fit here had not.
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize(("X", "error", "message"), BAD_DATA)
def test_a_fitted_estimator_refuses_bad_data_and_changes_nothing(method, X, error, message):
    kmeans = KMeans(n_clusters=1, random_state=3).fit(GOOD_X)
    before = snapshot(kmeans)
    with pytest.raises(error, match=message):
        getattr(kmeans, method)(X)
    assert_unchanged(kmeans, before)


# Tables of which one column holds no numbers: elbow leaves that column out, as cluster does.
NOT_NUMBERS = [
    name
    for name, (X, _, message) in BAD_X.items()
    if not isinstance(X, np.ndarray)
    and re.search("do not hold numbers|does not convert to a NumPy|not numbers", message)
]


@pytest.mark.parametrize(("X", "error", "message"), [row for row in BAD_DATA if row.id not in NOT_NUMBERS])
def test_an_elbow_refuses_bad_data(X, error, message):
    with pytest.raises(error, match=message):
        elbow(X, k=[1])


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_an_elbow_leaves_out_columns_that_hold_no_numbers(name):
    X = BAD_X[name][0]
    with pytest.warns(ColumnsLeftOutWarning, match=r"elbow\(\) left out '\w+' \("):
        assert elbow(X, k=[1]).model(1).n_features_in_ == len(getattr(X, "column_names", X.columns)) - 1


# ---------------------------------------------------------------- the weights and the parameters

BAD_WEIGHTS = {
    "too few weights": (np.ones(11), ValueError, "sample_weight .*one weight per sample; got 11 .* for 12"),
    "too many weights": (np.ones(24), ValueError, "sample_weight .*; got 24 weights for 12 samples"),
    "weights in two columns": (np.ones((12, 2)), ValueError, r"sample_weight must be .*1D.*\(12, 2\)"),
    "weights in one column": (np.ones((12, 1)), ValueError, r"sample_weight\.ravel\(\)"),
    "negative weight": ([1] * 11 + [-2], ValueError, "sample_weight must not be negative; got -2 for row 11"),
    "negative weight for all": (-1.0, ValueError, "sample_weight must not be negative; got -1"),
    "all weights zero": (np.zeros(12), ValueError, "sample_weight must contain at least one non-zero number"),
    "zero for all": (0, ValueError, "sample_weight must contain at least one non-zero number; all 12 are 0"),
    "NaN weight": ([np.nan] + [1] * 11, ValueError, "Input sample_weight contains NaN.*row 0"),
    "infinite weight": ([1] * 11 + [np.inf], ValueError, "Input sample_weight contains infinity.*row 11"),
    "weights too far apart": (
        [1e-200, 1e139] + [0.0] * 10,
        ValueError,
        "sample_weight must not span more than 290 .*1e-200 for row 0, and the largest is 1e[+]139",
    ),
    "weights that are text": (["heavy"] * 12, ValueError, "sample_weight holds text .*needs numbers"),
    "128-bit weights": (
        pl.Series([1] * 12).cast(pl.Int128),
        TypeError,
        r"sample_weight \(Series\) does not convert .*\. Cast it to",
    ),
    "complex weights": (np.ones(12) * 1j, ValueError, "Complex data not supported: sample_weight"),
    "weights that are a dict": ({}, TypeError, "sample_weight has dtype object .*not numbers"),
}


class Case(NamedTuple):
    """An estimator of these parameters, fitted to X, raises this."""

    error: type[Exception]
    message: str
    params: dict[str, Any]
    X: np.ndarray


def case(error, message, X=GOOD_X, **params):
    return Case(error, message, params, X)


BAD_PARAMS = {
    "n_clusters=0": case(ValueError, "n_clusters must be 'auto' or an integer >= 1; got 0", n_clusters=0),
    "n_clusters=-1": case(ValueError, "n_clusters must be 'auto' or an integer >= 1; got -1", n_clusters=-1),
    "n_clusters=2.5": case(TypeError, r"n_clusters must be 'auto' or an integer >= 1; got 2\.5", n_clusters=2.5),
    "n_clusters='3'": case(TypeError, r"n_clusters must be 'auto' or an integer >= 1; got '3' \(str\)", n_clusters="3"),
    "n_clusters=True": case(TypeError, r"n_clusters must be .*; got True \(bool\)", n_clusters=True),
    "n_clusters=None": case(TypeError, "n_clusters must be .*; got None", n_clusters=None),
    "more clusters than rows": case(ValueError, "n_samples=12 should be >= n_clusters=13. Ask", n_clusters=13),
    "unknown init": case(ValueError, r"init must be one of 'auto', 'k-means\+\+', .*; got 'kmean'", init="kmean"),
    "init=None": case(TypeError, "init must be one of .* or a callable; got None", init=None),
    "init with a row too many": case(
        ValueError,
        r"initial centers \(3, 2\) does not match the number of clusters 2\. Pass",
        init=np.ones((3, 2)),
    ),
    "init with a column too few": case(
        ValueError,
        r"initial centers \(2, 1\) does not match the number of features of the data 2",
        init=np.ones((2, 1)),
    ),
    "init with one dimension": case(ValueError, "got 1D array instead: init has shape", init=np.ones(2)),
    "init with NaN": case(ValueError, "Input init contains NaN.*row 0, column 1", init=[[0.0, np.nan], [1.0, 1.0]]),
    "init with infinity": case(ValueError, "Input init contains infinity", init=np.full((2, 2), np.inf)),
    "init that is ragged": case(ValueError, "init is ragged: row 1 has 1 values", init=[[1.0, 2.0], [3.0]]),
    "init that is text": case(ValueError, "init holds text", init=[["a", "b"], ["c", "d"]]),
    "init that overflows float32": case(
        ValueError,
        r"init contains 1e\+60, which overflows float32, the dtype of X\. .*pass X as float64",
        X=GOOD_X.astype(np.float32),
        init=np.array([[0.0, 0.0], [1e60, 1.0]]),
    ),
    "init callable with a row too few": case(
        ValueError,
        r"initial centers \(1, 2\) does not match the number of clusters 2",
        init=lambda X, k, random_state: X[:1],
    ),
    "init callable with a column too few": case(
        ValueError,
        r"initial centers \(2, 1\) does not match the number of features",
        init=lambda X, k, random_state: X[:2, :1],
    ),
    "init callable that fails": case(ZeroDivisionError, "division", init=lambda *args, **names: 1 / 0),
    "n_init=0": case(ValueError, "n_init must be 'auto' or an integer >= 1; got 0", n_init=0),
    "n_init='ten'": case(TypeError, "n_init must be 'auto' or an integer >= 1; got 'ten'", n_init="ten"),
    "max_iter=0": case(ValueError, "max_iter must be an integer >= 1; got 0", max_iter=0),
    "max_iter=1.5": case(TypeError, r"max_iter must be an integer >= 1; got 1\.5", max_iter=1.5),
    "tol negative": case(ValueError, r"tol must be a finite number >= 0; got -0\.1", tol=-0.1),
    "tol NaN": case(ValueError, "tol must be a finite number >= 0; got nan", tol=float("nan")),
    "tol=None": case(TypeError, "tol must be a finite number >= 0; got None", tol=None),
    "verbose=-1": case(ValueError, "verbose must be a bool or an integer >= 0; got -1", verbose=-1),
    "random_state='abc'": case(TypeError, "random_state must be None, an integer .*; got 'abc'", random_state="abc"),
    "random_state=-1": case(ValueError, "random_state must be .* from 0 to 4294967295.*; got -1", random_state=-1),
    "copy_x='no'": case(TypeError, "copy_x must be True or False; got 'no'", copy_x="no"),
    "unknown algorithm": case(ValueError, "algorithm must be one of 'auto', .*; got 'loyd'.*'lloyd'", algorithm="loyd"),
    "algorithm=None": case(TypeError, "algorithm must be one of 'auto', .*; got None", algorithm=None),
    "n_threads=0": case(ValueError, "n_threads must be None or an integer >= 1; got 0", n_threads=0),
    "n_threads='two'": case(TypeError, "n_threads must be None or an integer >= 1; got 'two'", n_threads="two"),
    "callback='print'": case(TypeError, "callback must be None or a callable; got 'print'", callback="print"),
}


@pytest.mark.parametrize("fitted", [False, True], ids=["first fit", "second fit"])
@pytest.mark.parametrize("case", BAD_PARAMS.values(), ids=BAD_PARAMS)
def test_a_bad_parameter_is_refused_and_changes_nothing(case, fitted):
    kmeans = KMeans(n_clusters=2, random_state=3)
    if fitted:
        kmeans.fit(GOOD_TABLE)
    kmeans.set_params(**case.params)
    before = snapshot(kmeans)
    with pytest.raises(case.error, match=case.message):
        kmeans.fit(case.X)
    assert_unchanged(kmeans, before)


@pytest.mark.parametrize("method", [*FITS, "score"])
@pytest.mark.parametrize(("sample_weight", "error", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused_and_change_nothing(method, sample_weight, error, message):
    kmeans = KMeans(n_clusters=2, random_state=3).fit(GOOD_X)
    before = snapshot(kmeans)
    with pytest.raises(error, match=message):
        getattr(kmeans, method)(GOOD_X, sample_weight=sample_weight)
    assert_unchanged(kmeans, before)


BAD_SETTINGS = {
    "unknown parameter": (
        lambda kmeans: kmeans.set_params(tol=5.0, n_cluster=3),
        "Invalid parameter 'n_cluster' for estimator KMeans. Valid parameters are: n_clusters, init",
    ),
    "unknown output": (
        lambda kmeans: kmeans.set_output(transform="excel"),
        "transform must be one of 'default', 'pandas', .*; got 'excel'",
    ),
    "other names in": (
        lambda kmeans: kmeans.get_feature_names_out(["depth", "width"]),
        "input_features is not equal to feature_names_in_. Pass None",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_a_bad_setting_is_refused_and_changes_nothing(call, message):
    kmeans = KMeans(n_clusters=2, random_state=3).fit(GOOD_TABLE)
    before = snapshot(kmeans)
    with pytest.raises(ValueError, match=message):
        call(kmeans)
    assert_unchanged(kmeans, before)


# ---------------------------------------------------------------- what a fitted estimator is given

OTHER_NAMES = r"names should match.*\n.*unseen at fit time:\n- depth\n.*now missing:\n- width\n"

BAD_READS = {
    "a column too many": (GOOD_X[:, [0, 1, 1]], "X has 3 features, but KMeans is expecting 2 features as input"),
    "a column too few": (GOOD_X[:, :1], "X has 1 features, but KMeans is expecting 2 features as input"),
    "columns in another order": (GOOD_TABLE[["width", "height"]], "names must be in the same order as .* in fit"),
    "another column": (GOOD_TABLE.rename(columns={"width": "depth"}), OTHER_NAMES),
    "a named column too few": (GOOD_TABLE[["height"]], "seen at fit time, yet now missing:\n- width"),
    "another column, polars": (pl.DataFrame(columns(depth=GOOD_X[:, 1])), OTHER_NAMES),
}


# An array has no names to compare, which is another test's warning.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize(("X", "message"), BAD_READS.values(), ids=BAD_READS)
def test_other_features_than_those_of_fit_are_refused(method, X, message):
    kmeans = KMeans(n_clusters=2, random_state=3).fit(GOOD_TABLE)
    before = snapshot(kmeans)
    with pytest.raises(ValueError, match=message):
        getattr(kmeans, method)(X)
    assert_unchanged(kmeans, before)


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize(
    ("fitted_to", "X", "message"),
    [
        (GOOD_TABLE, GOOD_X, "X does not have valid feature names, but KMeans was fitted with feature names"),
        (GOOD_X, GOOD_TABLE, "X has feature names, but KMeans was fitted without feature names"),
    ],
    ids=["names in fit only", "names in X only"],
)
def test_names_on_one_side_only_are_warned_of_at_the_callers_line(method, fitted_to, X, message):
    kmeans = KMeans(n_clusters=2, random_state=3).fit(fitted_to)
    with pytest.warns(UserWarning, match=message) as warned:
        getattr(kmeans, method)(X)
    assert warned[0].filename == __file__


def test_as_many_input_features_as_in_fit_are_expected():
    with pytest.raises(ValueError, match="should have length equal to n_features_in_=2; got 1"):
        KMeans(n_clusters=2).fit(GOOD_X).get_feature_names_out(["height"])


@pytest.mark.parametrize("method", [*READS, "get_feature_names_out"])
def test_a_method_that_needs_a_fit_says_so(method):
    kmeans = KMeans()
    before = snapshot(kmeans)
    with pytest.raises(NotFittedError, match=f"This KMeans is not fitted yet: call fit before {method}"):
        getattr(kmeans, method)(*[GOOD_X] * (method in READS))
    assert_unchanged(kmeans, before)


# ---------------------------------------------------------------- functions

BAD_CALLS = {
    "k_means return_n_iter": (
        lambda: k_means(GOOD_X, 2, return_n_iter="yes"),
        TypeError,
        r"return_n_iter must be True or False; got 'yes' \(str\)",
    ),
    "elbow k=0": (lambda: elbow(GOOD_X, k=0), ValueError, r"\bk must"),
    "elbow k with 0": (lambda: elbow(GOOD_X, k=[0, 1]), ValueError, r"k must hold .* >= 1; got 0"),
    "elbow k empty": (lambda: elbow(GOOD_X, k=[]), ValueError, r"k must hold at least one .*; got \[\]"),
    "elbow k too large": (lambda: elbow(GOOD_X, k=13), ValueError, "k must not go beyond n_samples=12; got 13"),
    "elbow k of a billion": (
        lambda: elbow(GOOD_X, k=10**9),
        ValueError,
        "must not go beyond n_samples=12; got 1000000000",
    ),
    "elbow range of a billion": (
        lambda: elbow(GOOD_X, k=range(1, 10**9)),
        ValueError,
        "beyond n_samples=12; got 999999999",
    ),
    "elbow k of many digits": (lambda: elbow(GOOD_X, k="1:" + "9" * 30), ValueError, "beyond n_samples=12; got 9{30}"),
    "elbow empty range": (lambda: elbow(GOOD_X, k=range(0)), ValueError, "k must hold at least one"),
    "elbow range from below": (
        lambda: elbow(GOOD_X, k=range(-(10**9), 3)),
        ValueError,
        "clusters >= 1; got -1000000000",
    ),
    "elbow k=2.5": (lambda: elbow(GOOD_X, k=2.5), TypeError, r"k must be a whole number, .*; got 2\.5"),
    "elbow k=True": (lambda: elbow(GOOD_X, k=True), TypeError, "k must be a whole number, .*; got True"),
    "elbow k=None": (lambda: elbow(GOOD_X, k=None), TypeError, "k must be a whole number, .*; got None"),
    "elbow k='few'": (lambda: elbow(GOOD_X, k="few"), ValueError, "k must look like '1:10' .*; got 'few'"),
    "elbow n_clusters": (lambda: elbow(GOOD_X, n_clusters=3), TypeError, "as k, not as n_clusters; pass k="),
    "elbow init": (lambda: elbow(GOOD_X, init=np.ones((2, 2))), ValueError, "init cannot be an array here"),
    "elbow tol": (lambda: elbow(GOOD_X, tol=-1), ValueError, "tol must be a finite number >= 0; got -1"),
    "elbow unknown": (lambda: elbow(GOOD_X, tolerance=1), TypeError, "unexpected .* 'tolerance'"),
    "elbow weights": (lambda: elbow(GOOD_X, sample_weight=[1]), ValueError, "sample_weight .*; got 1 weights"),
    "cluster array": (lambda: cluster(GOOD_X, 2), TypeError, "needs a DataFrame; got ndarray.*use KMeans"),
    "cluster too many": (lambda: cluster(GOOD_TABLE, 13), ValueError, "n_samples=12 should be >= n_clusters=13"),
    "cluster n_clusters": (lambda: cluster(GOOD_TABLE, 0), ValueError, "n_clusters must be .*; got 0"),
    "cluster text": (
        lambda: cluster(GOOD_TABLE.assign(city=TEXTS), 2, columns=["width", "city"]),
        ValueError,
        TEXT_COLUMN,
    ),
    "cluster null": (lambda: cluster(pd.DataFrame(columns(width=HOLES)), 2), ValueError, HOLE_TO_DROP),
    "cluster column": (
        lambda: cluster(GOOD_TABLE, 2, columns=["depth"]),
        ValueError,
        r"columns names 'depth', .*it has 'height', 'width'",
    ),
    "cluster column text": (
        lambda: cluster(GOOD_TABLE, 2, columns="width"),
        TypeError,
        r"columns must be a list .*\['width'\]",
    ),
    "cluster labels": (
        lambda: cluster(GOOD_TABLE.assign(labels=1), 2),
        ValueError,
        "column_name='labels' is already a column",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_is_refused_and_its_table_is_not_changed(call, error, message):
    table = GOOD_TABLE.copy()
    with pytest.raises(error, match=message):
        call()
    pd.testing.assert_frame_equal(GOOD_TABLE, table)
