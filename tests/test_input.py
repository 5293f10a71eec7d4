"""Laws of the folder input: what comes in as a row matrix, and what goes out as the caller's kind of table."""

from __future__ import annotations

import sys
from decimal import Decimal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkmeans.input.finite import MAGNITUDE_LIMIT, check_finite, find_unusable
from fastkmeans.input.matrix import as_matrix
from fastkmeans.input.tables import frame_for_output, frame_from_columns, frame_with_labels, is_table
from fastkmeans.input.weights import as_weights

TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.fixture(params=TABLES)
def make_table(request):
    return TABLES[request.param]


def samples(n_samples=7, n_features=3, dtype=np.float64):
    return np.random.default_rng(0).normal(size=(n_samples, n_features)).astype(dtype)


def unaligned(array):
    raw = np.empty(array.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def swapped(array):
    return array.astype(array.dtype.newbyteorder())


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


class OnlyDLPack:
    """A tensor that offers nothing but DLPack, as if on some device."""

    def __init__(self, array, device=(1, 0)):
        self._array, self._device = array, device

    def __dlpack__(self, **kwargs):
        return self._array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self._device


class ArrayLike:
    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


# Arrays


@pytest.mark.parametrize("dress", [lambda X: X, read_only, ArrayLike, OnlyDLPack], ids=lambda f: f.__name__)
def test_a_c_order_float_array_is_not_copied(real, dress):
    X = dress(samples(dtype=real))
    values, feature_names, native = as_matrix(X)
    assert np.shares_memory(values, X if isinstance(X, np.ndarray) else X._array)
    assert values.dtype == real
    assert feature_names is None and native is None


def test_a_memory_map_is_not_copied(real, tmp_path):
    np.save(tmp_path / "X.npy", samples(dtype=real))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    values = as_matrix(X).values
    assert type(values) is np.ndarray
    assert np.shares_memory(values, X)


@pytest.mark.parametrize(
    "lay_out",
    [np.asfortranarray, lambda X: X[::2], lambda X: X[:, ::-1], unaligned, swapped],
    ids=["fortran", "every second row", "reversed columns", "unaligned", "swapped bytes"],
)
def test_any_layout_gives_the_same_values_in_c_order(real, lay_out):
    X = lay_out(samples(dtype=real))
    values = as_matrix(X).values
    assert values.flags.c_contiguous and values.flags.aligned
    assert values.dtype == np.dtype(real) and values.dtype.isnative
    np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.longdouble, np.float64),
        (np.int8, np.float64),
        (np.int64, np.float64),
        (np.uint64, np.float64),
        (np.bool_, np.float64),
        (object, np.float64),
    ],
)
def test_every_numeric_dtype_has_its_float(given, expected):
    X = np.array([[0, 1], [1, 1]]).astype(given)
    values = as_matrix(X).values
    assert values.dtype == expected
    np.testing.assert_array_equal(values, [[0, 1], [1, 1]])


@pytest.mark.parametrize("given", [np.float32, np.float64, np.int32])
def test_an_asked_for_dtype_is_given(real, given):
    assert as_matrix(samples().astype(given), dtype=real).values.dtype == real


@pytest.mark.parametrize(
    "X",
    [[[1, 2], [3, 4]], ((1, 2), (3, 4)), [np.array([1, 2]), [3, 4.0]], [[Decimal(1), 2], [3, 4]]],
    ids=["lists", "tuples", "arrays", "Decimal"],
)
def test_nested_sequences_are_rows(X):
    np.testing.assert_array_equal(as_matrix(X).values, [[1.0, 2.0], [3.0, 4.0]])


def test_a_masked_array_without_masked_values_is_an_array():
    X = np.ma.masked_array([[1.0, 2.0]], mask=False)
    np.testing.assert_array_equal(as_matrix(X).values, [[1.0, 2.0]])


@pytest.mark.parametrize("lay_out", [np.ascontiguousarray, np.asfortranarray, np.ndarray.tolist])
def test_arrays_and_lists_do_without_narwhals(lay_out, monkeypatch):
    X = lay_out(samples())
    for module in [name for name in sys.modules if name.partition(".")[0] == "narwhals"] + ["narwhals"]:
        monkeypatch.setitem(sys.modules, module, None)
    np.testing.assert_array_equal(as_matrix(X).values, samples())


def test_a_tensor_on_another_device_is_refused():
    with pytest.raises(TypeError, match=r"X \(OnlyDLPack\) is not in CPU memory .*X\.cpu\(\)"):
        as_matrix(OnlyDLPack(samples(), device=(2, 0)))


@pytest.mark.parametrize("what", ["init", "sample_weight"])
def test_messages_call_the_argument_by_its_name(what):
    with pytest.raises(ValueError, match=f"{what} has shape"):
        as_matrix([1.0, 2.0], name=what)


# Tables


@pytest.mark.parametrize("n_samples", [1, 4096, 4097])
def test_a_table_holds_the_values_of_the_array(make_table, n_samples):
    X = samples(n_samples, 3)
    table = make_table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    matrix = as_matrix(table)
    np.testing.assert_array_equal(matrix.values, X)
    assert matrix.values.flags.c_contiguous
    assert matrix.feature_names.dtype == object
    assert matrix.feature_names.tolist() == ["a", "b", "c"]
    assert matrix.native is table


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((np.float32, np.float32), np.float32),
        ((np.float32, np.float64), np.float64),
        ((np.float32, np.int8), np.float64),
        ((np.int64, np.bool_), np.float64),
    ],
)
def test_a_table_is_float32_only_if_all_columns_are(make_table, dtypes, expected):
    table = make_table({str(f): np.ones(3).astype(dtype) for f, dtype in enumerate(dtypes)})
    values = as_matrix(table).values
    assert values.dtype == expected
    np.testing.assert_array_equal(values, np.ones((3, 2)))


NULLABLE_COLUMNS = {
    "pandas float": pd.DataFrame({"a": [1.0, None]}),
    "pandas object": pd.DataFrame({"a": np.array([1, None], dtype=object)}),
    "pandas Int64": pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    "pandas boolean": pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}),
    "pandas arrow": pd.DataFrame({"a": pd.array([1, None], dtype="int64[pyarrow]")}),
    "polars int": pl.DataFrame({"a": [1, None]}),
    "polars bool": pl.DataFrame({"a": [True, None]}),
    "polars decimal": pl.DataFrame({"a": [Decimal(1), None]}),
    "pyarrow int": pa.table({"a": [1, None]}),
    "pyarrow bool": pa.table({"a": [True, None]}),
}


@pytest.mark.parametrize("table", NULLABLE_COLUMNS.values(), ids=NULLABLE_COLUMNS)
def test_a_null_is_nan_and_its_column_is_named(table):
    values, feature_names, _ = as_matrix(table)
    np.testing.assert_array_equal(values, [[1.0], [np.nan]])
    with pytest.raises(ValueError, match=r"Input X contains NaN\. .*row 1, column 'a'"):
        check_finite(values, "X", feature_names)


def test_sparse_pandas_columns_are_filled():
    table = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 0.0, 1.0])})
    np.testing.assert_array_equal(as_matrix(table).values, [[0.0], [0.0], [1.0]])


def test_numbered_columns_are_no_feature_names():
    assert as_matrix(pd.DataFrame(samples())).feature_names is None


def test_numbers_among_the_column_names_are_refused():
    with pytest.raises(TypeError, match=r"type str and of type int.*X\.columns\.astype\(str\)"):
        as_matrix(pd.DataFrame([[1.0, 2.0]], columns=["a", 1]))


def test_repeated_column_names_are_refused():
    with pytest.raises(ValueError, match="X must have unique column names: rename"):
        as_matrix(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (pd.DataFrame({"a": [1]}), True),
        (pl.DataFrame({"a": [1]}), True),
        (pl.LazyFrame({"a": [1]}), True),
        (pa.table({"a": [1]}), True),
        (nw.from_native(pd.DataFrame({"a": [1]})), True),
        (pd.Series([1]), False),
        (pl.Series([1]), False),
        (pa.array([1]), False),
        (np.ones((2, 2)), False),
        ([[1]], False),
        (None, False),
    ],
    ids=lambda X: type(X).__name__,
)
def test_a_table_is_told_from_what_is_none(X, expected):
    assert is_table(X) is expected


@pytest.mark.parametrize("make_series", [pd.Series, pl.Series, pa.array], ids=["pandas", "polars", "pyarrow"])
def test_one_column_of_a_table_is_not_a_table(make_series):
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array instead: .*table\[\['column'\]\]"):
        as_matrix(make_series([1.0, 2.0]))


# Finite values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 1, 65_535, 65_536, 99_999])
def test_the_first_unusable_value_is_found(real, bad, index):
    values = np.ones((50_000, 2), dtype=real)
    values.flat[[index, 99_999]] = bad
    assert find_unusable(values) == index


@pytest.mark.parametrize(
    ("value", "real", "usable"),
    [
        (MAGNITUDE_LIMIT, np.float64, True),
        (-MAGNITUDE_LIMIT, np.float64, True),
        (1.01 * MAGNITUDE_LIMIT, np.float64, False),
        (-1.7e308, np.float64, False),
        (3.4e38, np.float32, True),
        (1e-320, np.float64, True),
    ],
)
def test_a_value_is_usable_while_its_square_is_finite(value, real, usable):
    values = np.full((3, 2), value, dtype=real)
    assert find_unusable(values) == (-1 if usable else 0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, r"Input X contains NaN\. The first is in row 2, column 1; .*Fill it in"),
        (np.inf, r"Input X contains infinity or .* for dtype\('float64'\)\. .*row 2, column 1\. Clip it"),
        (1e200, r"Input X contains 1e\+200 in row 2, column 1, .*limit is 1e\+150\. Rescale X"),
    ],
)
def test_the_message_names_the_place_and_the_way_out(bad, message):
    X = samples()
    X[2, 1] = bad
    with pytest.raises(ValueError, match=message):
        check_finite(X)


def test_another_search_can_be_plugged_in():
    check_finite(np.array([[np.nan]]), find=lambda values: -1)
    with pytest.raises(ValueError, match="row 0, column 1"):
        check_finite(np.array([[0.0, np.nan]]), find=lambda values: 1)


def test_what_overflows_in_a_conversion_is_called_too_large():
    values = as_matrix([[1e300]], dtype=np.float32).values
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\)"):
        check_finite(values)


# Weights


@pytest.mark.parametrize("hold", [list, tuple, np.float32, pd.Series, pl.Series, pa.array])
def test_weights_are_float64_whatever_holds_them(hold):
    weights = as_weights(hold([1, 2, 0]), 3)
    assert weights.dtype == np.float64 and weights.flags.c_contiguous
    np.testing.assert_array_equal(weights, [1.0, 2.0, 0.0])


@pytest.mark.parametrize("weight", [3, 0.5, np.float32(2), np.array(4)], ids=repr)
def test_one_weight_is_given_to_every_sample(weight):
    np.testing.assert_array_equal(as_weights(weight, 4), np.full(4, float(weight)))


def test_no_weights_stay_none():
    assert as_weights(None, 3) is None


def test_float64_weights_are_not_copied():
    weights = np.ones(3)
    assert np.shares_memory(as_weights(weights, 3), weights)


def test_strided_weights_are_made_contiguous():
    assert as_weights(np.ones((3, 2))[:, 0], 3).flags.c_contiguous


# Results


def column(table, name):
    return np.asarray(table[name])


def test_labels_become_the_last_column_of_the_same_kind_of_table(make_table):
    table = make_table({"b": [1.0, 2.0], "a": ["x", "y"]})
    labelled = frame_with_labels(table, np.array([1, 0], dtype=np.int32), column="cluster")
    assert type(labelled) is type(table)
    names = labelled.column_names if isinstance(labelled, pa.Table) else labelled.columns
    assert list(names) == ["b", "a", "cluster"]
    assert column(labelled, "cluster").dtype == np.int32
    assert column(labelled, "cluster").tolist() == [1, 0]
    assert table.shape == (2, 2)


def test_labels_keep_the_index():
    table = pd.DataFrame({"a": [1.0, 2.0]}, index=[9, 4])
    labelled = frame_with_labels(table, np.array([1, 0], dtype=np.int32))
    assert labelled.index.tolist() == [9, 4]
    assert labelled["labels"].tolist() == [1, 0]


def test_a_narwhals_frame_stays_one():
    frame = nw.from_native(pd.DataFrame({"a": [1.0, 2.0]}))
    assert as_matrix(frame).values.tolist() == [[1.0], [2.0]]
    assert isinstance(frame_with_labels(frame, np.array([1, 0])), nw.DataFrame)
    assert isinstance(frame_from_columns({"a": np.ones(2)}, like=frame), nw.DataFrame)


def test_labels_do_not_overwrite_a_column(make_table):
    with pytest.raises(ValueError, match="already has a column 'labels': name the new one otherwise"):
        frame_with_labels(make_table({"labels": [1.0]}), np.zeros(1, dtype=np.int32))


def test_columns_become_the_same_kind_of_table(make_table):
    like = make_table({"a": [1.0, 2.0]})
    table = frame_from_columns({"k": np.arange(3), "inertia": np.array([2.5, 1.0, 0.0])}, like=like)
    assert type(table) is type(like)
    assert column(table, "k").tolist() == [0, 1, 2]
    assert column(table, "inertia").tolist() == [2.5, 1.0, 0.0]


@pytest.mark.parametrize("kind", TABLES)
def test_output_takes_the_kind_asked_for(kind, real):
    values = samples(4, 2, dtype=real)
    table = frame_for_output(values, np.array(["u", "v"], dtype=object), kind)
    assert type(table).__module__.partition(".")[0] == kind
    assert column(table, "v").dtype == real
    np.testing.assert_array_equal(column(table, "v"), values[:, 1])


def test_output_keeps_the_index_of_what_was_transformed():
    like = pd.DataFrame({"a": [1.0, 2.0]}, index=["p", "q"])
    names = np.array(["u"], dtype=object)
    values = np.ones((2, 1))
    assert frame_for_output(values, names, "pandas", like).index.tolist() == ["p", "q"]
    assert frame_for_output(values, names, "polars", like).shape == (2, 1)
    assert frame_for_output(values, names, "pandas", pl.DataFrame({"a": [1, 2]})).index.tolist() == [0, 1]
    assert frame_for_output(values, names, "pandas", values).index.tolist() == [0, 1]
