"""Tables and models that are damaged, hostile, or no plain files: one clear error, here and on the command line."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastkmeans import KMeans
from fastkmeans.cli import csv_layout
from fastkmeans.cli.main import main
from fastkmeans.cli.reading import read_table


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["with pyarrow", "without pyarrow"])
def reader(request, monkeypatch):
    """Run a test with pyarrow and as if it were not installed."""
    if request.param == "without pyarrow":
        monkeypatch.setitem(sys.modules, "pyarrow", None)


def table_or_refusal(path):
    """What a table that may be damaged gives: its values and names, or the message that refuses it."""
    try:
        table = read_table(path)
    except ValueError as error:
        assert path in str(error)
        return str(error)
    assert np.isfinite(table.values).all()
    assert table.values.shape[1] == len(table.names) > 0 < len(table.values)
    return table.values.tolist(), table.names


def with_and_without_pyarrow(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        without = table_or_refusal(path)
    return table_or_refusal(path), without


def damaged(content, rng):
    """The content with some bytes changed, cut out, repeated or put in between."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        start, stop = sorted(rng.integers(0, len(content) + 1, size=2))
        if rng.random() < 0.7:
            start, stop = start % 128, start % 128 + 1  # headers come first
        patch = [b"", rng.bytes(1), rng.bytes(9), content[start:stop] * 2, bytes(stop - start)][rng.integers(5)]
        content[start:stop] = patch
    return bytes(content)


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("kind", ["npy", "csv", "parquet"])
def test_a_table_damaged_anywhere_is_refused_or_read(kind, rng, monkeypatch):
    X = rng.normal(size=(40, 3))
    if kind == "npy":
        np.save("t.npy", X)
    elif kind == "csv":
        Path("t.csv").write_text("a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in X.tolist()))
    else:
        pa.parquet.write_table(pa.table({"a": X[:, 0], "b": np.arange(40)}), "t.parquet")
    path = f"t.{kind}"
    content = Path(path).read_bytes()
    refused = 0
    for _ in range(600):
        Path(path).write_bytes(damaged(content, rng))
        refused += isinstance(table_or_refusal(path), str)
    assert 100 < refused < 600


def npy(header):
    header = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(96)


def header(descr="'<f8'", shape="(4, 3)"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


BAD_NPY = {
    "negated too often": npy("-" * 9_000 + "1"),
    "nested too deeply": npy(header(shape="(" * 4_000 + ")" * 4_000)),
    "never ending": npy(header()[:-2]),
    "a length that no machine counts": npy(header(shape=f"({'9' * 400}, 3)")),
    "a length beside nothing": npy(header(shape=f"({2**70}, 0)")),
    "more values than follow": npy(header(shape=f"({2**40}, 3)")),
    "a product that wraps": npy(header(shape=f"({2**32}, {2**32})")),
    "a length below 0": npy(header(shape="(-4, -3)")),
    "a length that is no number": npy(header(shape="(4, '3')")),
    "one type in another": npy(header(descr="('<f8', (2**40,))")),
    "no such type": npy(header(descr="'<q9'")),
    "objects": npy(header(descr="'|O'")),
    "a header beyond the file": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "another version": b"\x93NUMPY\x09\x00" + npy(header())[8:],
    "an archive": b"PK\x03\x04" + bytes(30),
    "a pickle": b"\x80\x04N.",
    "nothing": b"",
}


@pytest.mark.parametrize("what", BAD_NPY)
def test_a_bad_npy_file_is_one_line(what, capsys):
    Path("t.npy").write_bytes(BAD_NPY[what])
    with pytest.raises(ValueError, match=r"t\.npy is not a plain \.npy array: .+; write it with numpy\.save\."):
        read_table("t.npy")
    assert_one_line(capsys, ["fit", "t.npy", "-k", "1"])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<i2", "|b1", "<f2", "<u8"])
def test_plain_npy_files_are_read_as_numpy_reads_them(order, dtype, rng):
    X = rng.integers(0, 2, size=(7, 3)).astype(dtype, order=order)
    np.save("t.npy", X)
    Path("t.npy").write_bytes(Path("t.npy").read_bytes() + b"what follows is not read")
    np.testing.assert_array_equal(read_table("t.npy").values, X.astype(float))


NO_NUMBERS = ["1_0", "1__0", "_1", "1e1_0", "\u0661\u0662", "\uff11", "\u0967.5", "1\u0660", "\U0001d7cf"]
NO_NUMBERS += ["0x10", "1e", "1d3", "--1"]
NUMBERS = ["1", "+1", "-1.5", ".5", "5.", "1e-3", "1E+3", " 1", "1 ", "\t1", "\xa01\u2003", "007", '"1"']


@pytest.mark.parametrize("field", NO_NUMBERS)
def test_only_ascii_digits_are_numbers(field, reader):
    Path("t.csv").write_text(f"a,b\n1,2\n3,{field}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="t.csv, line 3: column 'b' holds '.*', which is not a finite number"):
        read_table("t.csv")
    Path("t.csv").write_text(f"{field}\n3\n", encoding="utf-8")
    assert read_table("t.csv").names == [field]


@pytest.mark.parametrize("field", NUMBERS)
def test_numbers_stay_numbers(field, reader):
    Path("t.csv").write_text(f"a,b\n1,2\n3,{field}\n", encoding="utf-8")
    assert read_table("t.csv").values[1, 1] == float(field.strip('"'))


SCRAPS = [*"0179.+-eE_;,\t \n\r\"'xa\0\\", "\r\n", "\ufeff", "\u0661", "\xa0", "nan", "inf", '""', '"1"', "1,2\n"]
SCRAPS += [
    "NA",
    "-",
    "?",
    "True",
    "false",
    "-nan",
    "1,234",
    "1.234,5",
    "1'000",
    "1 000",
    "  ",
    "|",
    "1;2\n",
    "1.5\t2\n",
]
FIRST_LINES = ["", "a,b\n", "a,b\n1,2\n", '"a\nx";b\n1;2\n', "\na\n"]


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.sampled_from(FIRST_LINES), scraps=st.lists(st.sampled_from(SCRAPS), max_size=12))
def test_with_and_without_pyarrow_a_csv_file_gives_the_same(first, scraps):
    Path("t.csv").write_bytes((first + "".join(scraps)).encode())
    with_pyarrow, without = with_and_without_pyarrow("t.csv")
    assert with_pyarrow == without


@pytest.mark.parametrize("field", ['"1"2', '""3', '"1" ', ' "1"', '1"2"', '"1', '"'])
def test_a_quote_within_a_field_is_read_alike(field):
    Path("t.csv").write_text(f'"a",b\n1,2\n3,{field}\n4,5\n')
    with_pyarrow, without = with_and_without_pyarrow("t.csv")
    assert with_pyarrow == without
    assert isinstance(with_pyarrow, str)


class CountedName(str):
    """A column name that counts how often it is compared with another one."""

    n_comparisons = 0

    def __eq__(self, other):
        CountedName.n_comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__

    def strip(self, *_):
        return self


@pytest.mark.parametrize("chosen", [False, True], ids=["all columns", "chosen columns"])
def test_comparisons_of_names_grow_with_the_columns_and_not_their_squares(chosen, reader, monkeypatch):
    n_columns = 1_500
    records = csv_layout.records

    def counted_records(*arguments):
        return (record._replace(fields=[*map(CountedName, record.fields)]) for record in records(*arguments))

    monkeypatch.setattr(csv_layout, "records", counted_records)
    names = [f"column{f}" for f in range(n_columns)]
    records_of_text = [names, ["1"] * n_columns, ["x"] * n_columns]
    Path("t.csv").write_text("\n".join(map(",".join, records_of_text)))
    monkeypatch.setattr(CountedName, "n_comparisons", 0)
    with pytest.raises(ValueError, match="line 3: column 'column0' holds 'x'"):
        read_table("t.csv", names if chosen else None)
    assert CountedName.n_comparisons < 20 * n_columns


def test_many_columns_are_read(reader):
    n_columns = 100_000
    names = (f"column{f}" for f in range(n_columns))
    Path("t.csv").write_text(",".join(names) + "\n" + ",".join(map(str, range(n_columns))))
    table = read_table("t.csv")
    assert (len(table.names), table.names[-1]) == (n_columns, "column99999")
    assert np.array_equal(table.values, np.arange(n_columns)[None])


# ---------------------------------------------------------------- what is no plain file


def assert_one_line(capsys, arguments):
    status = main(arguments)
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("fastkmeans: error: ")
    assert err.count("\n") == 1
    return err


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)


def make_link_to_a_device(path):
    os.symlink(os.devnull, path)


@pytest.mark.skipif(os.name == "nt", reason="no such files")
@pytest.mark.parametrize("make", [make_pipe, make_socket, make_link_to_a_device, os.mkdir])
@pytest.mark.parametrize("name", ["t.csv", "t.npy", "t.parquet", "m.npz"])
def test_what_is_no_plain_file_is_refused_at_once(name, make):
    make(name)
    np.save("x.npy", np.zeros((3, 1)))
    predict = ["predict", "x.npy", "--model", name, "--output", "out.csv"]
    # In a process of its own, because whoever reads from a pipe waits.
    child = subprocess.run(
        [sys.executable, "-m", "fastkmeans", *(predict if name == "m.npz" else ["fit", name, "-k", "1"])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    what = f"{name} is a pipe, a socket or a device, not a plain file; write"
    if make is os.mkdir:
        what = f"{name}: Is a directory" if name == "m.npz" else f"the folder {name} holds no .parquet file"
    assert child.returncode == 2
    assert child.stderr.startswith(f"fastkmeans: error: {what}")
    assert child.stderr.count("\n") == 1


def test_python_callers_get_an_error_of_the_system_where_there_is_one():
    os.mkdir("folder.npz")
    with pytest.raises(IsADirectoryError):
        KMeans.load("folder.npz")
    with pytest.raises(FileNotFoundError):
        KMeans.load("nothing.npz")


# ---------------------------------------------------------------- models, on the command line


def bad_models(path):
    """Write one bad model after another over a good one, and name each."""
    KMeans(2, random_state=0).fit([[0.0], [1.0], [5.0]]).save(path)
    content = Path(path).read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    text = str(arrays.pop("model"))
    yield "cut"
    Path(path).write_bytes(content[: len(content) // 2])
    yield "text nested too deeply"
    np.savez(path, model=np.array("[" * 100_000), **arrays)
    yield "number beyond float64"
    np.savez(path, model=np.array(text.replace('"inertia_": 0.5', f'"inertia_": 1{"0" * 400}')), **arrays)
    for what in ("negated too often", "never ending", "a length that no machine counts", "more values than follow"):
        yield what
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.npy", BAD_NPY[what])
    for field, value in ((8, 1), (10, 7)):
        yield f"field {field} of the directory"
        Path(path).write_bytes(content)
        changed = bytearray(content)
        struct.pack_into("<H", changed, content.find(b"PK\x01\x02") + field, value)
        Path(path).write_bytes(changed)
    yield "labels of text"
    np.savez(path, model=np.array(text), **{**arrays, "labels_": np.array(["a"])})
    yield "names in a text"
    np.savez(path, model=np.array(json.dumps({**json.loads(text), "feature_names": "x"})), **arrays)
    yield ""


def test_a_bad_model_is_one_line(capsys):
    np.save("x.npy", np.zeros((3, 1)))
    models = bad_models("m.npz")
    what = next(models)
    while what:
        following = next(models)
        message = assert_one_line(capsys, ["predict", "x.npy", "--model", "m.npz", "--output", "out.csv"])
        assert "m.npz is not a model that KMeans.save wrote, or is damaged" in message, what
        assert not Path("out.csv").exists()
        what = following


def test_what_a_file_holds_gives_a_terminal_no_orders(capsys):
    Path("t.csv").write_bytes(b"a\x1b[31m,b\xc2\x9b\n1,2\n")
    assert "no column 'z' in t.csv; it has 'a\\x1b[31m', 'b\\x9b'." in assert_one_line(
        capsys, ["fit", "t.csv", "-k", "1", "--columns", "z"]
    )


def test_a_fault_of_ours_is_one_line(capsys, monkeypatch):
    np.save("x.npy", np.zeros((3, 1)))

    def fail(*_, **__):
        raise KeyError("colour")

    monkeypatch.setattr(KMeans, "fit", fail)
    message = assert_one_line(capsys, ["fit", "x.npy", "-k", "1"])
    assert "KeyError('colour'), which is a fault of fastkmeans: please report it" in message
