"""What goes wrong with rows outside memory: one clear error each, which names the place; the estimator stays as it was."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastkmeans import KMeans, elbow, open_rows
from fastkmeans.runtime import memory
from fastkmeans.sources import arrays, cached, reader
from fastkmeans.sources import rows as reading

pl = pytest.importorskip("polars")

X = np.random.default_rng(11).normal(size=(5000, 3))


def readers():
    """How many threads read ahead. Those of other packages, which tests before these have started, come and go."""
    return [thread.name for thread in threading.enumerate()].count("fastkmeans-reader")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(reading, "LOADED_SHARE", 1 << 40)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1)


def save(folder, name, values):
    np.save(folder / name, values)
    return str(folder / name)


def parquet(folder, name, columns):
    pq.write_table(pa.table(columns), folder / name)
    return str(folder / name)


def text(folder, name, contents):
    (folder / name).write_text(contents)
    return str(folder / name)


def each_time(*passes):
    """A function that gives other batches in each pass; the last ones from then on."""
    left = list(passes)
    return lambda: iter(left.pop(0) if len(left) > 1 else left[0])


def with_value(value, row):
    changed = X.copy()
    changed[row, 1] = value
    return changed


FAULTS = {  # name -> (folder) -> what users pass, error, what it says
    # A source that can be read only once.
    "a generator": lambda folder: ((part for part in [X]), TypeError, r"X \(generator\) can be iterated only once"),
    "an iterator": lambda folder: (iter([X]), TypeError, r"X \(list_iterator\) can be iterated only once"),
    "a reader of batches": lambda folder: (
        pa.table({"a": X[:, 0]}).to_reader(), TypeError, r"X \(RecordBatchReader\) can be read only once"),
    "a function that gives one iterator": lambda folder: (
        (lambda used: lambda: used)(iter([X, X])), ValueError, "must give the same rows in every pass|gives no batch|has no rows"),
    # A source that differs between passes. The first pass of batches looks at the first batch only.
    "fewer rows": lambda folder: (
        each_time([X], [X], [X[:-1]]), ValueError, "same rows in every pass.*rows 4096 to 4998 are not what they were"),
    "more rows": lambda folder: (each_time([X], [X], [X, X]), ValueError, "same rows in every pass.*rows 4096 to 5119 are not what they were"),
    "another value": lambda folder: (
        each_time([X], [X], [with_value(0.5, 4321)]), ValueError, "rows 4096 to 4999 are not what they were"),
    "other places": lambda folder: (each_time([X], [X], [X[::-1]]), ValueError, "rows 0 to 1023 are not what they were"),
    "two rows that changed places": lambda folder: (
        each_time([X], [X], [X[np.r_[8, 1:8, 0, 9:5000]]]), ValueError, "rows 0 to 1023 are not what they were"),
    # Batches and files that do not fit together.
    "other types of batches": lambda folder: (
        each_time([X, X.astype(np.float32)]), ValueError, "batch 1 of X .* is read as float32, and the first as float64"),
    "other columns of batches": lambda folder: (
        each_time([X, X[:, :2]]), ValueError, "batch 1 of X .* has 2 columns, and the first has 3"),
    "other names of batches": lambda folder: (
        each_time([pl.DataFrame(X, ["a", "b", "c"]), pl.DataFrame(X, ["a", "b", "d"])]), ValueError,
        "batch 1 of X .* has column names 'a', 'b', 'd', and the first has 'a', 'b', 'c'"),
    "a batch of text": lambda folder: (each_time([X, np.array([["a", "b", "c"]])]), ValueError, "batch 1 of X .* holds text"),
    "a batch that is no table": lambda folder: (each_time([X[0]]), ValueError, r"batch 0 of X .* has shape \(3,\)"),
    "no batch": lambda folder: (each_time([]), ValueError, "gives no batch with rows"),
    "other types of files": lambda folder: (
        [save(folder, "a.npy", X), save(folder, "b.npy", X.astype(np.float32))], ValueError,
        "b.npy is read as float32, and .*a.npy as float64"),
    "other columns of files": lambda folder: (
        [save(folder, "a.npy", X), save(folder, "b.npy", X[:, :2])], ValueError, "b.npy has 2 columns, and .*a.npy has 3"),
    "a missing column": lambda folder: (
        [parquet(folder, "a.parquet", {"x": X[:, 0], "y": X[:, 1]}), parquet(folder, "b.parquet", {"x": X[:, 0]})], ValueError,
        "columns names 'y', which .*b.parquet does not have; it has 'x'"),
    "a column of text": lambda folder: (
        parquet(folder, "a.parquet", {"x": X[:, 0], "city": ["a"] * 5000}), ValueError, r"do not hold numbers: 'city' \(string\)"),
    # Values.
    "NaN": lambda folder: (
        [save(folder, "a.npy", X), save(folder, "b.npy", with_value(np.nan, 1500))], ValueError,
        "NaN. The first is in row 1500 of .*b.npy, column 1"),
    "infinity": lambda folder: (save(folder, "a.npy", with_value(np.inf, 7)), ValueError, "infinity .* row 7 of .*a.npy, column 1"),
    "too large": lambda folder: (save(folder, "a.npy", with_value(1e200, 7)), ValueError, r"1e\+200 in row 7 of .*a.npy, column 1"),
    "NaN in a batch": lambda folder: (
        each_time([X[:100], with_value(np.nan, 1500)]), ValueError, r"NaN.*row 1500 of batch 1 of X .*\(row 1600 in all\)"),
    "a null": lambda folder: (
        parquet(folder, "a.parquet", {"x": [1.0, None, 3.0]}), ValueError, "NaN. The first is in row 1 of .*a.parquet, column 'x'"),
    "an empty field": lambda folder: (
        text(folder, "a.csv", "x,y\n1,2\n3,\n"), ValueError, "NaN. The first is in row 1 of .*a.csv, column 'y'"),
    # Files that cannot be read.
    "no file": lambda folder: (str(folder / "a.npy"), FileNotFoundError, "there is no file .*a.npy"),
    "no match": lambda folder: (str(folder / "*.npy"), ValueError, r"no file matches '.*\*.npy'"),
    "an empty folder": lambda folder: (folder, ValueError, "holds no .parquet file"),
    "another suffix": lambda folder: (text(folder, "a.xlsx", "x"), ValueError, "must end in .npy, .parquet, .csv, .tsv"),
    "a damaged .npy": lambda folder: (text(folder, "a.npy", "x" * 99), ValueError, "a.npy is no .npy file"),
    "a damaged .parquet": lambda folder: (text(folder, "a.parquet", "x" * 99), ValueError, "a.parquet cannot be read"),
    "an empty .csv": lambda folder: (text(folder, "a.csv", ""), ValueError, "a.csv cannot be read"),
    "text after numbers": lambda folder: (
        text(folder, "a.csv", "x\n" + "1\n" * 3_000_000 + "one\n"), ValueError, "a.csv after row .* cannot be read.*one"),
    "one dimension": lambda folder: (save(folder, "a.npy", X[0]), ValueError, r"a.npy has shape \(3,\)"),
    "objects": lambda folder: (save(folder, "a.npy", np.array([[None]])), ValueError, "a.npy is no .npy file that can be read"),
    "a short .npy": lambda folder: (
        (save(folder, "a.npy", X), os.truncate(folder / "a.npy", 1000))[0], ValueError, "a.npy is no .npy file that can be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_error_and_changes_nothing(name, tmp_path):
    source, error, message = FAULTS[name](tmp_path)
    model = KMeans(3, init=X[:3], max_iter=4).fit(X) if name != "a missing column" else KMeans(2, random_state=0).fit(X)
    before = vars(model).copy()
    model.init = "random" if "column" in name or name in {"a null", "an empty field"} else model.init
    before["init"] = model.init
    before_fit = readers()
    with pytest.raises(error, match=message):
        model.fit(source)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is value for key, value in before.items())
    assert readers() == before_fit


# ---------------------------------------------------------------- files that change while they are read


def write_into(path):
    with open(path, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\0" * 8)
    os.utime(path, ns=(1, 1))


CHANGES = {  # what happens to a file between two iterations -> what the error says
    "cut off": (lambda path: os.truncate(path, 50_000), "a file has another size or time"),
    "longer": (lambda path: os.truncate(path, 150_000), "a file has another size or time"),
    "written into": (write_into, "a file has another size or time"),
    "replaced": (lambda path: (os.unlink(path), np.save(path, X)), "a file has another size or time"),
}


@pytest.mark.parametrize("algorithm", ["lloyd", "auto"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_during_a_fit_is_refused(change, algorithm, tmp_path):
    path = save(tmp_path, "a.npy", X)
    happens, message = CHANGES[change]

    def callback(entry):
        if entry["iteration"] == 2:
            happens(path)

    model = KMeans(4, init=X[:4], tol=0, algorithm=algorithm, callback=callback)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=f"a.npy must give the same rows in every pass, .*{message}"):
        model.fit(path)
    assert vars(model) == before


def test_a_file_that_is_cut_off_within_a_pass_is_refused(tmp_path):
    path = save(tmp_path, "a.npy", X)
    rows = open_rows(path)
    blocks = rows.blocks()
    next(blocks)
    os.truncate(path, 30_000)
    with pytest.raises(
        ValueError, match="a.npy ends before row [0-9]+, although it had 5000 rows|another size or time"
    ):
        for _ in range(20):
            next(blocks)


def test_a_file_that_is_gone_is_named(tmp_path):
    path = save(tmp_path, "a.npy", X)
    rows = open_rows(path)
    os.unlink(path)
    with pytest.raises(FileNotFoundError, match="a.npy"):
        KMeans(2).fit(rows)


# ---------------------------------------------------------------- memory and disk


@pytest.mark.parametrize("limit", [0, -5, 1, (64 << 20) - 1, float("nan")])
def test_a_limit_below_the_floor_is_refused(limit):
    with pytest.raises(ValueError, match=r"memory_limit must be at least 67108864 bytes \(64 MiB\)"):
        open_rows([X], memory_limit=limit)


@pytest.mark.parametrize("limit", ["1 GiB", True, [1]])
def test_a_limit_that_is_no_number_is_refused(limit):
    with pytest.raises(TypeError, match="memory_limit must be a number of bytes or None"):
        open_rows([X], memory_limit=limit)


def test_a_limit_below_what_rows_need_is_refused():
    wide = np.zeros((2, 100_000))
    with pytest.raises(
        ValueError, match="memory_limit must be at least 2,457,600,000 bytes for rows of 100000 features"
    ):
        KMeans(2).fit(open_rows([wide], memory_limit=64 << 20))


@pytest.mark.parametrize(
    "params", [{"init": "k-means++"}, {"init": "auto"}, {"init": "random-partition"}, {"init": max}]
)
def test_a_fit_that_needs_all_rows_in_one_array_says_so(params, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LEAST_LIMIT", 1)
    rows = open_rows(save(tmp_path, "a.npy", X), memory_limit=200_000)
    with pytest.raises(ValueError, match="memory_limit must be at least 240,000 bytes for all rows in one array"):
        KMeans(3, **params).fit(rows)


def test_a_folder_for_arrays_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cache_dir must be a folder that exists"):
        open_rows([X], cache_dir=tmp_path / "nowhere")


def test_a_full_disk_is_one_error(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(memory.os, "posix_fallocate", full)
    monkeypatch.setattr(reading, "HELD_SHARE", 1 << 40)
    model = KMeans(2, init=X[:2])
    before = vars(model).copy()
    with pytest.raises(OSError, match="the disk has no room for 20,000 bytes .*cache_dir"):
        model.fit(open_rows([X], cache_dir=tmp_path))
    assert vars(model) == before and list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what does not apply


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"metric": "manhattan"},
            "metric must be 'euclidean' or 'cosine' for samples that do not lie in memory; got 'manhattan'",
        ),
        ({"standardize": True}, "standardize must be False for rows that do not fit memory; got True"),
        ({"standardize": "robust"}, "standardize must be False for rows that do not fit memory; got 'robust'"),
    ],
)
def test_what_needs_all_rows_is_refused_by_name(params, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        KMeans(2, init=X[:2], **params).fit(save(tmp_path, "a.npy", X))


def test_a_gap_is_refused(tmp_path):
    with pytest.raises(ValueError, match="gap must be False for samples that do not lie in memory"):
        elbow(save(tmp_path, "a.npy", X), 3, gap=True)


def test_a_row_of_zeros_has_no_direction(tmp_path):
    values = X.copy()
    values[2345] = 0.0
    with pytest.raises(
        ValueError, match="no direction for metric='cosine' to compare; row 2345 of .*a.npy is all zeros"
    ):
        KMeans(2, init=X[:2], metric="cosine").fit(save(tmp_path, "a.npy", values))


@pytest.mark.parametrize("sample_weight", [np.ones(4999), np.full(5000, -1.0), "w"])
def test_weights_that_do_not_fit_are_refused(sample_weight, tmp_path):
    with pytest.raises(ValueError, match="sample_weight|columns"):
        KMeans(2, init=X[:2]).fit(open_rows(save(tmp_path, "a.npy", X), sample_weight=sample_weight))


# ---------------------------------------------------------------- Ctrl-C


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_ctrl_c_ends_a_fit_and_its_threads():
    """While the user's own function waits for data, too."""
    before_fit = readers()
    asked = []

    def batches():
        asked.append(1)
        for i in range(5):
            if len(asked) > 3 and i == 3:
                os.kill(os.getpid(), signal.SIGINT)
                threading.Event().wait(0.3)
            yield X[i * 1000 : i * 1000 + 1000]

    model = KMeans(3, init=X[:3], tol=0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            model.fit(batches)
    finally:
        signal.signal(signal.SIGINT, before)
    del raised
    gc.collect()
    assert not hasattr(model, "labels_")
    assert readers() == before_fit


# ---------------------------------------------------------------- files stay open no longer than they are read


def open_files():
    return len(os.listdir("/proc/self/fd"))


def test_more_files_than_the_system_allows_are_read_one_after_the_other(rng, tmp_path, monkeypatch):
    X = rng.normal(size=(4000, 5))
    for i in range(8):
        np.save(tmp_path / f"{i}.npy", X[i::8])
    rows = open_rows(str(tmp_path / "*.npy"), memory_limit=64 << 20)
    expected, asked = KMeans(3, random_state=2).fit(rows), []

    def refuse(path, *arguments, **options):
        asked.append(path)
        if len(asked) % 8 == 5:
            raise OSError(errno.EMFILE, "Too many open files", path)
        return open(path, *arguments, **options)

    monkeypatch.setattr(cached, "open", refuse, raising=False)
    before = open_files()
    found = KMeans(3, random_state=2).fit(open_rows(str(tmp_path / "*.npy"), memory_limit=64 << 20))
    assert asked and open_files() == before
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert found.inertia_ == expected.inertia_


class InterruptedBefore(threading.Thread):
    def start(self):
        raise KeyboardInterrupt


class InterruptedAfter(threading.Thread):
    def start(self):
        super().start()
        raise KeyboardInterrupt


@pytest.mark.parametrize("thread", [InterruptedBefore, InterruptedAfter])
@pytest.mark.parametrize("n_files", [1, 3])
def test_an_interrupt_amid_the_start_of_the_reader_leaves_no_file_open(thread, n_files, rng, tmp_path, monkeypatch):
    for i in range(n_files):
        np.save(tmp_path / f"{i}.npy", rng.normal(size=(3000, 4)))
    monkeypatch.setattr(arrays, "read_cached", lambda *arguments: False)
    monkeypatch.setattr(reader, "Thread", thread)
    rows, before = open_rows(str(tmp_path / "*.npy")), open_files()
    with pytest.raises(KeyboardInterrupt):
        list(rows.blocks())
    for running in threading.enumerate():
        if running.name == "fastkmeans-reader":
            running.join(20)
    assert open_files() == before


def test_an_interrupt_while_the_reader_is_waited_for_is_raised_as_it_is(monkeypatch):
    """The reader goes on until its batch is there, and then ends its pass itself."""
    begun, may_go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class Batches:
        def __iter__(self):
            try:
                yield np.zeros((2000, 3))
                begun.set()
                may_go_on.wait(20)
                yield np.zeros((5000, 3))
            finally:
                ended.set()

    class Interrupted(threading.Thread):
        def join(self, timeout=None):
            raise KeyboardInterrupt

    rows = open_rows(Batches())
    monkeypatch.setattr(reader, "Thread", Interrupted)
    ended.clear()  # looking at the first batch has set it
    blocks = reader.read_blocks(rows.source, [np.empty((1024, 3)) for _ in range(3)], 1)
    next(blocks)
    assert begun.wait(20)
    with pytest.raises(KeyboardInterrupt):
        blocks.close()
    may_go_on.set()
    assert ended.wait(20)
