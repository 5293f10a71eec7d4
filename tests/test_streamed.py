"""The law of rows that do not fit memory: the bits of an array in memory, whatever the source, its cuts and its blocks."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkmeans
from fastkmeans import KMeans, cluster, elbow, open_rows, streamed
from fastkmeans._core import runtime
from fastkmeans._core.files import CachedRows, read_cached, read_rows
from fastkmeans._core.gaps import GapFinder
from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.screened import ScreenedRows, find_places
from fastkmeans._core.sums import ClusterSums
from fastkmeans.engines import coded_steps
from fastkmeans.engines import streamed as engine
from fastkmeans.engines.gaps import Gaps
from fastkmeans.engines.kept_rows import KeptRows
from fastkmeans.estimators import progress
from fastkmeans.fitting import coarse, search
from fastkmeans.sources import arrays, cached, whole
from fastkmeans.sources import rows as reading

pl = pytest.importorskip("polars")
pd = pytest.importorskip("pandas")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Number of distinct clusters"),
    pytest.mark.filterwarnings("ignore:.*holds .* of the total variance"),
]


class Again:
    """Batches that begin anew each time."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def npy_files(parts, folder):
    for i, part in enumerate(parts):
        np.save(folder / f"part-{i:03d}.npy", part)
    return [folder / f"part-{i:03d}.npy" for i in range(len(parts))]


def table(X):
    return pa.table({f"f{f}": X[:, f] for f in range(X.shape[1])})


def parquet_files(parts, folder):
    paths = []
    for i, part in enumerate(parts):
        paths.append(folder / f"part-{i:03d}.parquet")
        pq.write_table(table(part), paths[-1], row_group_size=700)
    return paths


def csv_files(parts, folder):
    paths = []
    for i, part in enumerate(parts):
        paths.append(folder / f"part-{i:03d}.csv")
        pd.DataFrame(part, columns=[f"f{f}" for f in range(part.shape[1])]).to_csv(paths[-1], index=False)
    return paths


def memmap_of(parts, folder, order="C"):
    X = np.concatenate(parts)
    mapped = np.memmap(folder / "rows.bin", X.dtype, "w+", 24, X.shape, order)
    mapped[:] = X
    mapped.flush()
    return np.memmap(folder / "rows.bin", X.dtype, "r", 24, X.shape, order)


SOURCES = {  # name -> (parts of X, empty folder) -> what users pass. All parts have rows.
    "list of .npy": npy_files,
    "pattern of .npy": lambda parts, folder: npy_files(parts, folder) and str(folder / "part-*.npy"),
    "list of .parquet": parquet_files,
    "folder of .parquet": lambda parts, folder: parquet_files(parts, folder) and folder,
    "memmap": memmap_of,
    "memmap, columns first": lambda parts, folder: memmap_of(parts, folder, "F"),
    "slice of a memmap": lambda parts, folder: memmap_of([parts[0][:1], *parts, parts[0]], folder)[1 : -len(parts[0])],
    "data set": lambda parts, folder: ds.dataset(parquet_files(parts, folder)),
    "table of pyarrow": lambda parts, folder: table(np.concatenate(parts)),
    "LazyFrame": lambda parts, folder: pl.scan_parquet(parquet_files(parts, folder)),
    "DataFrame of pandas": lambda parts, folder: table(np.concatenate(parts)).to_pandas(),
    "iterable of arrays": lambda parts, folder: Again(parts),
    "function": lambda parts, folder: lambda: iter(parts),
    "function that gives DataFrames": lambda parts, folder: lambda: (pl.DataFrame(part) for part in parts),
    "list of arrays": lambda parts, folder: list(parts),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Nothing is read into an array, and blocks have one leaf."""
    monkeypatch.setattr(reading, "LOADED_SHARE", 1 << 40)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1)
    monkeypatch.setattr(engine, "BLOCKS_TOGETHER", 2)


@contextmanager
def nothing_cached(*arguments):
    yield None


def is_never_cached(*arguments):
    return False


def is_cached_at_first():
    """The first three blocks are."""
    left = [True] * 3
    return lambda *arguments: bool(left) and left.pop() and read_cached(*arguments)


class MissingRows(CachedRows):
    """All rows are there, but the second of all questions is answered as if they were not."""

    questions = 0

    @property
    def is_missing(self):
        MissingRows.questions += 1
        return MissingRows.questions == 2


@pytest.fixture(params=["waited for", "missing"])
def slow_files(request, monkeypatch):
    """Files that the system does not have in memory, or no more."""
    if request.param == "waited for":
        monkeypatch.setattr(arrays, "read_cached", is_never_cached)
        monkeypatch.setattr(reading, "cached_rows", nothing_cached)
    else:
        MissingRows.questions = 0
        monkeypatch.setattr(arrays, "read_cached", is_cached_at_first())
        monkeypatch.setattr(cached, "CachedRows", MissingRows)
    return request.param


def cut(rng, X, n_parts):
    ends = np.unique(rng.integers(1, len(X), size=n_parts - 1)) if len(X) > 1 else []
    return [np.ascontiguousarray(part) for part in np.split(X, ends)]


def blobs(rng, n_samples, n_features):
    centers = rng.normal(scale=6.0, size=(7, n_features))
    return centers[rng.integers(7, size=n_samples)] + rng.normal(size=(n_samples, n_features))


def assert_same(found, expected):
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert found.labels_.dtype == expected.labels_.dtype
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert found.cluster_centers_.dtype == expected.cluster_centers_.dtype
    assert found.inertia_ == expected.inertia_
    assert found.n_iter_ == expected.n_iter_ and found.stop_reason_ == expected.stop_reason_


def assert_same_methods(found, rows, expected, X, weights):
    np.testing.assert_array_equal(found.predict(rows), expected.labels_)
    np.testing.assert_array_equal(found.transform(rows), expected.transform(X))
    assert found.score(rows, sample_weight=weights) == expected.score(X, sample_weight=weights)
    assert found.score(rows, sample_weight=weights) == -found.inertia_ or weights is not None


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_every_source_gives_the_bits_of_an_array(name, real, rng, tmp_path):
    X = blobs(rng, 3000, 5).astype(real)
    source = SOURCES[name](cut(rng, X, 4), tmp_path)
    expected = KMeans(6, random_state=3).fit(X)
    rows = open_rows(source)
    assert not rows.fits_memory and rows.shape == X.shape and rows.dtype == X.dtype
    found = KMeans(6, random_state=3).fit(rows)
    assert_same(found, expected)
    assert_same_methods(found, rows, expected, X, None)


DIRECT = [name for name in SOURCES if name not in {"list of arrays", "DataFrame of pandas", "table of pyarrow"}]


@pytest.mark.parametrize("loads", [True, False])
@pytest.mark.parametrize("name", DIRECT)
def test_a_source_is_passed_without_open_rows(name, loads, rng, tmp_path, monkeypatch):
    if loads:
        monkeypatch.undo()
    X = blobs(rng, 2500, 3)
    source = SOURCES[name](cut(rng, X, 3), tmp_path)
    expected = KMeans(4, random_state=2).fit(X)
    found = KMeans(4, random_state=2).fit(source)
    assert_same(found, expected)
    assert_same_methods(found, source, expected, X, None)


def test_csv_files_hold_the_digits_of_float64(rng, tmp_path):
    X = blobs(rng, 1500, 3)
    expected = KMeans(4, random_state=2).fit(X)
    for source in (csv_files(cut(rng, X, 3), tmp_path), str(tmp_path / "*.csv")):
        assert_same(KMeans(4, random_state=2).fit(source), expected)


@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 13))
@settings(deadline=None, max_examples=150)
def test_a_fit_gives_the_bits_of_an_array(seed, n_parts, tmp_path_factory):
    """Cuts, blocks, weights, metrics, types, inits and algorithms at random."""
    rng = np.random.default_rng(seed)
    n_samples, n_features = int(rng.choice([1, 7, 900, 1024, 1025, 3500])), int(rng.choice([1, 2, 5, 9, 40, 70]))
    X = blobs(rng, n_samples, n_features).astype(rng.choice(["float32", "float64"]))
    weights = rng.integers(0, 4, size=n_samples) + (np.arange(n_samples) == 0.0) if rng.random() < 0.4 else None
    n_clusters = int(rng.integers(1, min(n_samples, 9) + 1))
    init = ["auto", "k-means++", "random", "random-partition", X[:n_clusters]][int(rng.integers(5))]
    params = {
        "n_clusters": n_clusters, "init": init, "metric": str(rng.choice(["euclidean", "cosine"])), "random_state": seed,
        "n_init": int(rng.integers(1, 3)) if isinstance(init, str) else 1, "n_threads": int(rng.integers(1, 4)),
        "tol": float(rng.choice([0.0, 1e-4])), "max_iter": int(rng.choice([2, 30])),
        "algorithm": str(rng.choice(["auto", "lloyd", "quantized"])),
    }  # fmt: skip
    name = str(rng.choice(["list of .npy", "function", "memmap", "list of .parquet"]))
    source = SOURCES[name](cut(rng, X, n_parts), tmp_path_factory.mktemp("rows"))
    expected = refusal = None
    try:
        expected = KMeans(**params).fit(X, sample_weight=weights)
    except ValueError as error:  # parts drawn at random may have no weight, and so no direction
        refusal = re.escape(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LOADED_SHARE", 1 << 40)
        patch.setattr(reading, "BLOCK_BYTES", int(rng.choice([1, 1 << 20])))
        rows = open_rows(source, sample_weight=weights)
        if refusal is not None:
            with pytest.raises(ValueError, match=refusal):
                KMeans(**params).fit(rows)
            return
        found = KMeans(**params).fit(rows)
        assert_same(found, expected)
        assert_same_methods(found, rows, expected, X, weights)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_large_fit_gives_the_bits_of_an_array_and_never_gathers_all(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    X = blobs(rng, 4000, 3).astype(rng.choice(["float32", "float64"]))
    weights = rng.uniform(size=len(X)) if rng.random() < 0.5 else None
    params = {"n_clusters": 6, "metric": str(rng.choice(["euclidean", "cosine"])), "random_state": seed}
    source = SOURCES[str(rng.choice(["list of .npy", "function"]))](cut(rng, X, 5), tmp_path_factory.mktemp("rows"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SEARCH_SAMPLES", 64)
        patch.setattr(coarse, "LEAST_WORK", 0)
        for module in (search, coarse):
            patch.setattr(module, "ROWS_A_CLUSTER", 2)
        expected = KMeans(**params).fit(X, sample_weight=weights)
        patch.setattr(reading, "LOADED_SHARE", 1 << 40)
        patch.setattr(reading, "BLOCK_BYTES", 1)
        patch.setattr(reading.StreamedRows, "loaded", None)
        assert_same(KMeans(**params).fit(open_rows(source, sample_weight=weights)), expected)


@pytest.mark.parametrize("raw", ["float16", "uint8", "int8", "int32", "int64", "bool", ">f4", ">f8", ">i2"])
def test_other_types_are_read_as_they_would_be_in_an_array(raw, rng, tmp_path):
    X = (rng.integers(0, 90, size=(2600, 3)) + 1).astype(raw)
    source = npy_files(cut(rng, X, 3), tmp_path)
    rows = open_rows(source)
    assert rows.dtype == ("float32" if raw in {"float16", ">f4"} else "float64")
    assert_same(KMeans(4, random_state=0).fit(rows), KMeans(4, random_state=0).fit(X))
    few = rng.integers(len(X), size=20)
    np.testing.assert_array_equal(rows.take(few), X[few])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_an_elbow_gives_the_table_of_an_array(metric, rng, tmp_path):
    X = blobs(rng, 9000, 3)
    source = npy_files(cut(rng, X, 3), tmp_path)
    expected = elbow(X, 5, random_state=1, metric=metric)
    found = elbow(open_rows(source), 5, random_state=1, metric=metric)
    assert found.best_k == expected.best_k
    for name in ["inertia", "silhouette", "simplified_silhouette", "davies_bouldin", "separation", "bic"]:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert_same(found.model(4), expected.model(4))
    assert_same(KMeans("auto", random_state=1, metric=metric).fit(open_rows(source)), expected.model(found.best_k)) if (
        found.best_k
    ) else None


def test_weights_may_be_a_column(rng, tmp_path):
    X, weights = blobs(rng, 3000, 2), rng.uniform(size=3000)
    pq.write_table(table(X).append_column("w", pa.array(weights)), tmp_path / "rows.parquet")
    rows = open_rows(tmp_path / "rows.parquet", sample_weight="w")
    assert rows.feature_names.tolist() == ["f0", "f1"]
    expected = KMeans(3, random_state=0).fit(X, sample_weight=weights)
    found = KMeans(3, random_state=0).fit(rows)
    assert_same(found, expected)
    assert found.score(rows) == expected.score(X, sample_weight=weights)


def test_columns_are_chosen_by_name_or_place(rng, tmp_path):
    X = blobs(rng, 1500, 3)
    pq.write_table(table(X).append_column("city", pa.array(["a"] * len(X))), tmp_path / "rows.parquet")
    expected = KMeans(3, random_state=0).fit(X[:, [2, 0]])
    for columns in (["f2", "f0"], [2, 0]):
        assert_same(KMeans(3, random_state=0).fit(open_rows(tmp_path / "rows.parquet", columns)), expected)
    model = KMeans(3, random_state=0).fit(table(X).to_pandas()[["f2", "f0"]])
    np.testing.assert_array_equal(model.predict(str(tmp_path / "rows.parquet")), model.labels_)


# ---------------------------------------------------------------- files in the system's memory, and others


@pytest.mark.parametrize("raw", ["float32", "float64", "float16", "int8", "uint8", "int16", "int32", ">f4"])
@pytest.mark.parametrize("weighted", [False, True])
def test_files_that_must_be_waited_for_give_the_same_bits(raw, weighted, rng, tmp_path, slow_files):
    X = (3.0 * blobs(rng, 9000, 5)).astype(raw)
    weights = rng.uniform(0.5, 2.0, size=len(X)) if weighted else None
    source = npy_files(cut(rng, X, 5), tmp_path)
    expected = KMeans(6, init=X[:6], algorithm="lloyd", tol=0).fit(X, sample_weight=weights)
    found = KMeans(6, init=X[:6], algorithm="lloyd", tol=0).fit(open_rows(source), sample_weight=weights)
    assert_same(found, expected)
    np.testing.assert_array_equal(found.predict(open_rows(source)), expected.labels_)
    assert slow_files != "missing" or raw in ("int32", ">f4") or MissingRows.questions > 2


@pytest.mark.parametrize("raw", ["float32", "float64", "float16", "int8", "uint8", "int16"])
def test_steps_read_files_in_the_systems_memory_as_blocks_do(raw, rng, tmp_path, monkeypatch):
    X = (3.0 * blobs(rng, 9000, 5)).astype(raw)
    rows = open_rows(npy_files(cut(rng, X, 9), tmp_path))
    expected = KMeans(6, init=X[:6], algorithm="lloyd", tol=0).fit(X)
    seen = blocks_read(monkeypatch)
    found = KMeans(6, init=X[:6], algorithm="lloyd", tol=0).fit(rows)
    assert_same(found, expected)
    assert found.n_iter_ > 4 and seen["blocks"] <= 4 * 9  # description, inertia, and other passes that are no steps
    monkeypatch.setattr(cached, "MOST_FILES", 8)
    assert_same(KMeans(6, init=X[:6], algorithm="lloyd", tol=0).fit(rows), expected)
    assert seen["blocks"] > 8 * 9


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_step_leaves_rows_that_it_cannot_read_as_they_were(n_threads, rng, tmp_path):
    X = np.ascontiguousarray(blobs(rng, 5000, 3))
    X[:2500].tofile(tmp_path / "rows.bin")
    labels, centers = np.full(5000, -1, dtype=np.int32), X[:4].copy()
    sums = ClusterSums(X[:1000], None, np.abs(X).max(axis=0), 1.0, 4, n_threads, n_grid_samples=5000)
    state = LloydState(clusters=sums)
    file = os.open(tmp_path / "rows.bin", os.O_RDONLY)
    try:
        rows = CachedRows(
            np.array([file, file], dtype=np.int32), np.array([0, 24 * 1000]), np.array([1000, 4000]), 3, X.dtype, X.dtype,
            n_threads,
        )  # fmt: skip
        sums.turn_to(rows, labels, None)
        n_changed = state.step(centers)
    finally:
        os.close(file)
    assert rows.is_missing
    read = labels >= 0
    assert n_changed == read.sum() and not read[2500:].any()
    np.testing.assert_array_equal(labels[read], reference.nearest(X[read], centers))
    expected = np.array([X[labels == j].sum(axis=0) for j in range(4)])
    np.testing.assert_allclose(sums.sums.sum(axis=1)[:, :3], expected, rtol=1e-12, atol=1e-9)


def test_rows_of_files_are_checked_before_they_are_read(tmp_path):
    X = np.zeros((8, 2))
    np.save(tmp_path / "a.npy", X)
    none = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int64)
    with pytest.raises(
        ValueError, match="files, offsets and counts must have one entry per file, and some rows; got 1, 1 and 2"
    ):
        CachedRows(*none, np.array([3, 4]), 2, X.dtype, X.dtype, 1)
    rows = CachedRows(*none, np.array([8]), 2, X.dtype, X.dtype, 1)
    with pytest.raises(ValueError, match="rows must be at least one, among 8; got 3 from 6 on"):
        rows.turn_to(6, 3)
    sums = ClusterSums(X, None, np.ones(2), 1.0, 2, 2)
    with pytest.raises(ValueError, match="X must have memory for 2 threads; got 1"):
        sums.turn_to(rows, np.zeros(8, dtype=np.int32), None)
    sums.turn_to(CachedRows(*none, np.array([8]), 2, X.dtype, X.dtype, 2), np.zeros(8, dtype=np.int32), None)
    with pytest.raises(ValueError, match="rows must lie in memory to be followed"):
        sums.follow(np.zeros(8, dtype=np.int32))


# ---------------------------------------------------------------- codes


def blocks_read(monkeypatch):
    """Count the blocks that passes read, and the single rows."""
    seen = {"blocks": 0, "rows": 0}
    before, single = reading.StreamedRows.blocks, reading.StreamedRows._take_from

    def blocks(self, *arguments):
        for block in before(self, *arguments):
            seen["blocks"] += 1
            yield block

    def take_from(self, rows, *arguments, **more):
        seen["rows"] += len(rows)
        return single(self, rows, *arguments, **more)

    monkeypatch.setattr(reading.StreamedRows, "blocks", blocks)
    monkeypatch.setattr(reading.StreamedRows, "_take_from", take_from)
    return seen


def test_codes_in_memory_leave_few_rows_to_read(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "cached_rows", nothing_cached)  # so that blocks are what a pass reads
    X = blobs(rng, 20_000, 20).astype(np.float32)
    [path] = npy_files([X], tmp_path)
    n_blocks, init = -(-len(X) // 1024), X[:7]
    counts = {}
    for algorithm in ("lloyd", "auto"):
        seen = blocks_read(monkeypatch)
        model = KMeans(7, init=init, tol=0, algorithm=algorithm).fit(open_rows(path))
        assert model.n_iter_ > 4
        counts[algorithm] = seen["blocks"]
        assert {step["algorithm"] for step in model.history_[1:]} == {"lloyd" if algorithm == "lloyd" else "quantized"}
        assert model.algorithm_used_ == ("lloyd" if algorithm == "lloyd" else "quantized")
    assert counts["lloyd"] >= (model.n_iter_ + 2) * n_blocks
    assert counts["auto"] <= 4 * n_blocks  # description, first step, inertia, and a start
    assert seen["rows"] < 2 * len(X)


def reading_now_and_then(answers):
    """read_rows that finds rows in the system's memory only where the answer is True."""
    return lambda *arguments: read_rows(*arguments) if arguments[-1] or next(answers) else 0


@pytest.mark.parametrize("kept_share", [0.0, 0.5, 1e-4])
@pytest.mark.parametrize("waits", ["never", "always", "sometimes"])
@pytest.mark.parametrize("share", [0.0, 2.0])
def test_codes_give_the_same_bits_however_rows_are_read(share, waits, kept_share, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(coded_steps, "SEQUENTIAL_SHARE", share)
    monkeypatch.setattr(coded_steps, "KEPT_ROWS_SHARE", kept_share)
    answers = {"never": [True], "always": [False], "sometimes": [True, False, False, True, True]}[waits]
    monkeypatch.setattr(arrays, "read_rows", reading_now_and_then(itertools.cycle(answers)))
    X = blobs(rng, 9000, 6) * np.r_[9.0, np.full(5, 0.5)]
    init = X[:9]
    source = npy_files(cut(rng, X, 6), tmp_path)
    assert_same(KMeans(9, init=init, tol=0).fit(open_rows(source)), KMeans(9, init=init, tol=0).fit(X))


def store_nothing(*arguments):
    """In place of Gaps.put."""


def test_rows_that_codes_leave_open_are_kept(rng, tmp_path, monkeypatch):
    exact = engine.quantum  # codes too coarse to tell near clusters apart
    monkeypatch.setattr(engine, "quantum", lambda *arguments: (1.0, 64.0 * exact(*arguments)[1]))
    monkeypatch.setattr(Gaps, "put", store_nothing)
    monkeypatch.setattr(coded_steps, "SEQUENTIAL_SHARE", 2.0)
    X = (rng.normal(size=(20_000, 30)) * np.r_[np.full(3, 3.0), np.ones(27)]).astype(np.float32)
    [path] = npy_files([X], tmp_path)
    counts, expected = {}, KMeans(4, init=X[:4], tol=0, max_iter=60).fit(X)
    for share in (0.0, 0.5):
        monkeypatch.setattr(coded_steps, "KEPT_ROWS_SHARE", share)
        seen = blocks_read(monkeypatch)
        assert_same(KMeans(4, init=X[:4], tol=0, max_iter=60).fit(open_rows(path)), expected)
        counts[share] = seen["rows"]
    assert counts[0.5] < 0.2 * counts[0.0]


def test_steps_that_read_most_runs_as_a_whole_give_way_to_passes(rng, tmp_path, monkeypatch):
    exact = engine.quantum
    monkeypatch.setattr(engine, "quantum", lambda *arguments: (1.0, 256.0 * exact(*arguments)[1]))
    monkeypatch.setattr(coded_steps, "KEPT_ROWS_SHARE", 0.0)
    X = rng.normal(size=(20_000, 30)).astype(np.float32)
    [path] = npy_files([X], tmp_path)
    found = KMeans(4, init=X[:4], tol=0, max_iter=14).fit(open_rows(path))
    assert_same(found, KMeans(4, init=X[:4], tol=0, max_iter=14).fit(X))
    steps = [step["algorithm"] for step in found.history_]
    assert [i for i, name in enumerate(steps) if name == "quantized"] == [1, 3, 6, 11]  # rests of 1, 2 and 4 steps


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 49), min_size=1)), max_size=30), st.integers(0, 3000)
)
def test_kept_rows_are_those_that_were_asked_for(calls, most_bytes):
    X = np.arange(200.0).repeat(2).reshape(200, 2)
    kept, n_read = KeptRows(200, most_bytes), 0
    for i, chosen in calls:
        run, places = slice(50 * i, 50 * i + 50), np.array(sorted(chosen))
        asked = []

        def read(of, missing):
            assert of == run and not set(missing.tolist()) - set(places.tolist())  # noqa: B023
            asked.append(missing)  # noqa: B023
            return X[of][missing] if len(missing) % 5 else None

        found = kept.take(run, places, read)
        if asked and len(asked[0]) % 5 == 0:
            assert found is None
        else:
            np.testing.assert_array_equal(found.values[found.at], X[run][places])
            half = np.arange(0, len(places), 2)
            np.testing.assert_array_equal(found.of(half), X[run][places[half]])
        n_read += sum(map(len, asked))
        assert sum(16 * len(of.places) + of.values.nbytes for of in kept._runs.values()) <= most_bytes
        if found is not None and run.start in kept._runs and len(kept._runs[run.start].places) >= len(places):
            kept.take(run, places, lambda of, missing: pytest.fail("rows that are kept were read again"))
    if most_bytes == 0:
        assert n_read == sum(len(chosen) for _, chosen in calls)


def test_codes_need_room_and_a_source_that_has_single_rows(rng, tmp_path, monkeypatch):
    X = blobs(rng, 4000, 4)
    [path] = npy_files([X], tmp_path)
    assert KMeans(3, init=X[:3]).fit(open_rows(path)).algorithm_used_ == "quantized"
    assert KMeans(3, init=X[:3]).fit(open_rows(lambda: iter([X]))).algorithm_used_ == "lloyd"
    monkeypatch.setattr(streamed, "CODED_SHARE", 0.0)
    assert KMeans(3, init=X[:3]).fit(open_rows(path)).algorithm_used_ == "lloyd"


GAP_DATA = {
    "blobs": lambda rng, n, d: blobs(rng, n, d),
    "offset": lambda rng, n, d: rng.normal(size=(n, d)) + 1e8,
    "whole numbers, with ties": lambda rng, n, d: rng.integers(-2, 3, size=(n, d)) + 0.0,
    "tiny": lambda rng, n, d: rng.normal(size=(n, d)) * 1e-120,
    "large": lambda rng, n, d: rng.normal(size=(n, d)) * 1e120,
    "subnormal in float32": lambda rng, n, d: blobs(rng, n, d) * 10.0 ** rng.uniform(-46, -37),
    "of any size": lambda rng, n, d: rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-18, 18, size=(n, 1)),
}


FLOAT64_DATA = {"tiny", "large", "subnormal in float32"}


@pytest.mark.parametrize("name", GAP_DATA)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=80)
def test_a_gap_keeps_no_label_that_changes(name, seed):
    rng = np.random.default_rng(seed)
    n_rows, n_features, n_clusters = 200, int(rng.choice([1, 2, 17])), int(rng.integers(2, 7))
    X = GAP_DATA[name](rng, n_rows, n_features)
    if name not in FLOAT64_DATA:
        X = X.astype(rng.choice(["float32", "float64"]))
    centers = X[rng.integers(n_rows, size=n_clusters)].astype(np.float64)
    gaps = Gaps(np.empty(n_rows, dtype=np.float32), centers)
    labels, found = np.empty(n_rows, dtype=np.int32), np.empty(n_rows)
    rows = rng.permutation(n_rows)
    GapFinder(centers, X.dtype == np.float32, 2).label(X, rows, labels, found)
    np.testing.assert_array_equal(labels, reference.nearest(X[rows], centers))
    gaps.put(rows, labels, found)
    spread = np.abs(X.astype(np.float64) - X.mean(axis=0)).max()
    for _ in range(6):
        centers = centers + rng.normal(size=centers.shape) * spread * 10.0 ** rng.uniform(-17, -0.3)
        gaps.follow(centers)
        kept = gaps.until[rows] > gaps.ways[labels]
        np.testing.assert_array_equal(labels[kept], reference.nearest(X[rows[kept]], centers))


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_places_are_found_among_others(among, places):
    among, places = np.array(sorted(among), dtype=np.intp), np.array(sorted(places), dtype=np.intp)
    found = np.full(len(places), -7)
    n_missing = find_places(among, places, found)
    is_there = np.isin(places, among)
    assert n_missing == np.count_nonzero(~is_there)
    np.testing.assert_array_equal(among[found[is_there]], places[is_there])
    assert (found[~is_there] == -1).all()


def codes_of(X, bits):
    """Codes of rows, with an offset and a size as the engine finds them; None if the rows are too small for codes."""
    offset = X.astype(np.float64).mean(axis=0).astype(X.dtype).astype(np.float64)
    largest = np.abs(X - offset).max()
    if largest < 1e-100:
        return None
    codes = ScreenedRows(*X.shape, X.dtype == np.float32, offset, 0.7 * largest, bits, 2)
    codes.put(X, 0)
    return codes


@pytest.mark.parametrize("name", [name for name in GAP_DATA if name != "tiny"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_screening_lists_the_rows_that_are_needed(name, seed):
    """All others have the label they had, from step to step, while centers come to rest, jump now and then, and some are equal."""
    rng = np.random.default_rng(seed)
    n_rows, n_features, n_clusters = (int(rng.integers(2, most)) for most in (1500, 30, 40))
    X = np.ascontiguousarray(GAP_DATA[name](rng, n_rows, n_features))
    X = X if name in FLOAT64_DATA else X.astype(rng.choice(["float32", "float64"]))
    codes = codes_of(X, int(rng.choice([8, 16])) if runtime.has_dot8() else 16)
    if codes is None:
        return
    centers = X[rng.integers(n_rows, size=n_clusters)].astype(np.float64)
    spread = np.abs(X.astype(np.float64) - X.mean(axis=0)).max()
    gaps = Gaps(np.empty(n_rows, dtype=np.float32), centers)
    before = reference.nearest(X, centers).astype(np.int32)
    places, labels = np.empty(n_rows, dtype=np.intp), np.empty(n_rows, dtype=np.int32)
    for step in range(8):
        size = 10.0 ** (-0.7 * step) if rng.random() < 0.9 else 1.0
        centers = centers + rng.normal(size=centers.shape) * spread * size * 0.1
        gaps.follow(centers)
        if not codes.begin(centers):
            return
        nearest = reference.nearest(X, centers).astype(np.int32)
        n_listed = codes.screen(0, before, gaps.until, gaps.ways, places, labels)
        listed, found = places[:n_listed].copy(), labels[:n_listed].copy()
        assert (np.diff(listed) > 0).all() and not np.any(found == before[listed])
        np.testing.assert_array_equal(found[found >= 0], nearest[listed[found >= 0]])
        left = np.setdiff1d(np.arange(n_rows), listed)
        np.testing.assert_array_equal(before[left], nearest[left])
        before = nearest


@pytest.mark.parametrize("n_clusters", range(2, 34))
def test_a_sample_opposite_to_all_centers_gets_one_of_them(n_clusters):
    """Its whole scores exceed that of places without a center."""
    x = np.full(256, -0.9)
    x[::32] = 1.0
    X, centers = x[:, None].astype(np.float32), np.linspace(-1.0, -0.8, n_clusters)[:, None]
    codes = ScreenedRows(256, 1, True, np.zeros(1), 1.0, 16, 1)
    codes.put(X, 0)
    assert codes.begin(centers)
    before = reference.nearest(X, centers).astype(np.int32)
    before[::32] = 0
    until = np.where(x < 0.0, np.inf, -np.inf).astype(np.float32)  # few samples of a tile are open
    places, labels = np.empty(256, dtype=np.intp), np.empty(256, dtype=np.int32)
    n_listed = codes.screen(0, before, until, np.zeros(n_clusters), places, labels)
    np.testing.assert_array_equal(places[:n_listed], np.arange(0, 256, 32))
    assert set(labels[:n_listed].tolist()) <= {n_clusters - 1, ~(n_clusters - 1)}


@pytest.mark.parametrize("bits", [8, 16])
def test_few_rows_are_screened_again_once_centers_rest(bits, rng):
    """Rows whose codes are spoilt behind the back of the bounds are found out only where bounds leave them open."""
    if bits == 8 and not runtime.has_dot8():
        pytest.skip("no instruction multiplies bytes here")
    groups = rng.normal(scale=6.0, size=(7, 20))
    X = groups[rng.integers(7, size=6000)] + rng.normal(size=(6000, 20))
    centers = groups + 0.1
    codes, gaps = codes_of(X, bits), Gaps(np.empty(6000, dtype=np.float32), centers)
    before = reference.nearest(X, centers).astype(np.int32)
    places, labels = np.empty(6000, dtype=np.intp), np.empty(6000, dtype=np.int32)
    assert codes.begin(centers)
    codes.screen(0, before, gaps.until, gaps.ways, places, labels)
    codes.put(X[::-1].copy(), 0)
    n_listed = codes.screen(0, before, gaps.until, gaps.ways, places, labels)
    assert n_listed < 0.2 * 6000 < np.count_nonzero(before != before[::-1])


def test_gaps_spare_rows_that_codes_leave_open(rng, tmp_path, monkeypatch):
    """Codes too coarse to tell near clusters apart."""
    exact = engine.quantum
    monkeypatch.setattr(engine, "quantum", lambda *arguments: (1.0, 64.0 * exact(*arguments)[1]))
    X = (rng.normal(size=(20_000, 30)) * np.r_[np.full(3, 3.0), np.ones(27)]).astype(np.float32)
    [path] = npy_files([X], tmp_path)
    monkeypatch.setattr(coded_steps, "KEPT_ROWS_SHARE", 0.0)
    monkeypatch.setattr(coded_steps, "SEQUENTIAL_SHARE", 2.0)
    counts = {}
    for put in (Gaps.put, store_nothing):
        monkeypatch.setattr(Gaps, "put", put)
        seen = blocks_read(monkeypatch)
        found = KMeans(4, init=X[:4], tol=0, max_iter=60).fit(open_rows(path))
        counts[put] = seen["rows"]
        assert_same(found, KMeans(4, init=X[:4], tol=0, max_iter=60).fit(X))
    with_gaps, without = counts.values()
    assert with_gaps < 0.5 * without


@pytest.mark.parametrize("n_threads", [1, 2])
def test_passes_keep_to_the_number_of_threads(n_threads, rng, tmp_path, monkeypatch):
    seen = set()

    def count(file, at, out, threads):
        seen.add(threads)
        return read_cached(file, at, out, threads)

    monkeypatch.setattr(arrays, "read_cached", count)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1 << 20)
    X = rng.normal(size=(20_000, 40))
    [path] = npy_files([X], tmp_path)
    rows = open_rows(path)
    model = KMeans(4, init=X[:4], n_threads=n_threads, max_iter=3).fit(rows)
    model.predict(rows), model.transform(rows), model.score(rows)
    assert n_threads in seen <= {1, n_threads}


# ---------------------------------------------------------------- memory


def test_arrays_with_a_number_per_row_lie_on_disk_if_memory_is_short(rng, tmp_path, monkeypatch):
    X = blobs(rng, 30_000, 2)
    [path] = npy_files([X], tmp_path)
    monkeypatch.setattr(reading, "LEAST_LIMIT", 1)
    cache = tmp_path / "cache"
    cache.mkdir()
    expected = KMeans(3, init=X[:3]).fit(X)
    rows = open_rows(path, memory_limit=200_000, cache_dir=cache)
    found = KMeans(3, init=X[:3]).fit(rows)
    assert isinstance(found.labels_, np.memmap) and not isinstance(expected.labels_, np.memmap)
    assert_same(found, expected)
    assert isinstance(found.transform(rows), np.memmap)
    assert list(cache.iterdir()) == []  # the files have no names, and end with the arrays


def test_a_block_has_whole_leaves_within_the_limit():
    rows = open_rows([np.zeros((1, 3))], memory_limit=64 << 20)
    assert rows.block_rows == 1024


def test_the_default_limit_leaves_memory_to_others():
    from fastkmeans.runtime.memory import available_memory

    assert open_rows([np.zeros((1, 3))]).memory_limit <= 0.6 * available_memory() + reading.LEAST_LIMIT


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:  5000 kB\n"}, 5_120_000),
        (
            {
                "/proc/meminfo": "MemAvailable: 5000 kB\n", "/proc/self/cgroup": "0::/a\n",
                "/sys/fs/cgroup/a/memory.max": "max", "/sys/fs/cgroup/memory.max": "2000000",
                "/sys/fs/cgroup/memory.current": "1500000", "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 700000\n",
            }, 1_200_000,
        ),
        (
            {
                "/proc/meminfo": "MemAvailable: 5000 kB\n", "/proc/self/cgroup": "3:cpu:/a\n2:memory:/b\n",
                "/sys/fs/cgroup/memory/b/memory.limit_in_bytes": "900000",
                "/sys/fs/cgroup/memory/b/memory.usage_in_bytes": "300000",
            }, 600_000,
        ),
    ],
)  # fmt: skip
def test_free_memory_is_the_least_of_machine_and_control_groups(files, expected):
    from fastkmeans.runtime.memory import available_memory

    assert available_memory(lambda path: files.get(path, "")) == expected


def test_open_rows_is_public():
    assert fastkmeans.open_rows is open_rows


# ---------------------------------------------------------------- tables and bars


@pytest.mark.parametrize("name", ["list of .parquet", "folder of .parquet", "data set", "LazyFrame"])
def test_cluster_labels_files_that_fit_memory(name, rng, tmp_path, monkeypatch):
    X = blobs(rng, 1500, 3)
    expected = cluster(table(X), 3, random_state=0)
    found = cluster(SOURCES[name](cut(rng, X, 3), tmp_path), 3, random_state=0)
    assert found.table.equals(expected.table)
    assert_same(found.model, expected.model)
    monkeypatch.setattr(whole, "LOADED_SHARE", 1 << 60)
    with pytest.raises(ValueError, match="because cluster.. returns it with labels; label larger tables by"):
        cluster(tmp_path, 3)


def test_a_bar_says_how_many_rows_are_read(rng, tmp_path, monkeypatch):
    bars = {}

    class Bar:
        def __init__(self, total, description, unit):
            self.total, self.n, self.passes = total, 0, 0
            bars[description] = self

        def reset(self):
            self.n, self.passes = 0, self.passes + 1

        def update(self, n=1):
            self.n += n

        def set_postfix(self, **values):
            pass

        def refresh(self):
            pass

        def close(self):
            pass

    monkeypatch.setattr(progress, "new_bar", Bar)
    X = blobs(rng, 3000, 2)
    model = progress.fit_with_bar(KMeans(3, init=X[:3], algorithm="lloyd"), open_rows(npy_files([X], tmp_path)))
    assert bars["fit"].n == model.n_iter_
    read = bars["rows read"]
    assert read.total == read.n == len(X) and read.passes >= model.n_iter_ + 2


@pytest.mark.parametrize("init", ["auto", "random"])
def test_a_fit_keeps_its_limit(init, tmp_path):
    """In a process of its own: what it takes beyond what it had before the fit."""
    code = f"""
import resource, numpy as np
from fastkmeans import KMeans, open_rows
X = np.lib.format.open_memmap("rows.npy", mode="w+", dtype=np.float32, shape=(1_500_000, 16))
del X
with open("rows.npy", "r+b") as file:
    file.seek(128)
    for i in range(15):
        file.write(np.random.default_rng(i).normal(size=(100_000, 16)).astype(np.float32).tobytes())
rows = open_rows("rows.npy", memory_limit=64 << 20)
assert not rows.fits_memory
KMeans(4, random_state=0, max_iter=2).fit(np.random.default_rng(0).normal(size=(30_000, 16)).astype(np.float32))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
KMeans(20, init="{init}", n_init=1, max_iter=4, random_state=0).fit(rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    child = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) * 1024 < 64 << 20
