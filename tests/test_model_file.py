"""Model files: what save wrote loads as it was, and what save did not write, load refuses in one sentence."""

from __future__ import annotations

import json
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from fastkmeans import BisectingKMeans, KMeans, MiniBatchKMeans, elbow
from fastkmeans.metrics.table import METRICS


@pytest.fixture
def saved(tmp_path, blobs):
    X, _ = blobs(60, 3, 4, "float64")
    path = tmp_path / "model.npz"
    KMeans(4, random_state=8).fit(X).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    return path, arrays, json.loads(str(arrays.pop("model")))


def array(name, change):
    def tamper(arrays, described):
        arrays[name] = change(arrays[name])

    return tamper


def centers(change):
    return array("cluster_centers_", change)


def labels(change):
    return array("labels_", change)


def fitted(**values):
    return lambda arrays, described: described["fitted"].update(values)


def params(**values):
    return lambda arrays, described: described["params"].update(values)


def step(**values):
    return lambda arrays, described: described["fitted"]["history_"][0].update(values)


def with_value(value):
    def change(values):
        values[-1] = value
        return values

    return change


TAMPERINGS = {
    "other format": lambda arrays, described: described.update(format="x"),
    "no format version": lambda arrays, described: described.pop("format_version"),
    "no parameters": lambda arrays, described: described.pop("params"),
    "a long name": lambda arrays, described: described.update(arrays=["x" * 10_000]),
    "many names": lambda arrays, described: described.update(arrays=["x"] * 10_000),
    "many parts": lambda arrays, described: arrays.update({f"x{i}": arrays["labels_"] for i in range(500)}),
    "unknown parameter": lambda arrays, described: described["params"].update(colour="red"),
    "bad threads": lambda arrays, described: described["params"].update(n_threads=-1),
    "no fitted values": lambda arrays, described: described.pop("fitted"),
    "a method among the values": lambda arrays, described: described["fitted"].update(predict="x"),
    "other number of features": lambda arrays, described: described["fitted"].update(n_features_in_=7),
    "names of other length": lambda arrays, described: described.update(feature_names=["a"]),
    "unknown array": lambda arrays, described: arrays.update(fit=np.zeros(3)),
    "no labels where there were some": lambda arrays, described: arrays.pop("labels_"),
    "a list of arrays that is none": lambda arrays, described: described.update(arrays=7),
    "no centers": lambda arrays, described: arrays.pop("cluster_centers_"),
    "one-dimensional centers": centers(np.ravel),
    "empty centers": centers(lambda c: c[:0]),
    "NaN centers": centers(lambda c: c * np.nan),
    "huge centers": centers(lambda c: c * 1e300),
    "complex centers": centers(lambda c: c * 1j),
    "centers that are no unit rows": params(metric="cosine"),
    "labels of text": labels(lambda x: x.astype(str)),
    "labels of NaN": labels(lambda x: x * np.nan),
    "labels of another type": labels(lambda x: x.astype(np.int64)),
    "labels in two dimensions": labels(lambda x: x.reshape(2, -1)),
    "a label below 0": labels(with_value(-7)),
    "a label beyond the centers": labels(with_value(4)),
    "other number of clusters": fitted(n_clusters_=77),
    "number of clusters that is no integer": fitted(n_clusters_=4.0),
    "number of features that is no integer": fitted(n_features_in_=3.0),
    "inertia of text": fitted(inertia_="7"),
    "inertia below 0": fitted(inertia_=-1.0),
    "NaN inertia": fitted(inertia_=np.nan),
    "infinite inertia": fitted(inertia_=np.inf),
    "inertia beyond float64": fitted(inertia_=10**400),
    "iterations below 0": fitted(n_iter_=-1),
    "iterations of text": fitted(n_iter_="3"),
    "a history of other length": fitted(n_iter_=1000),
    "a history of text": fitted(history_="abc"),
    "a history of numbers": fitted(history_=[1, 2]),
    "a history of nothing": fitted(history_=[{"inertia": None}]),
    "another algorithm in the history": step(algorithm="loyd"),
    "another key in the history": step(colour=3),
    "converged like text": fitted(converged_="yes"),
    "another reason to stop": fitted(stop_reason_="tired"),
    "a reason to stop that is a list": fitted(stop_reason_=[]),
    "another algorithm": fitted(algorithm_used_="loyd"),
    "fitted values that are a list": lambda arrays, described: described.update(fitted=[]),
    "names that are a text": lambda arrays, described: described.update(feature_names="abc"),
    "names that are numbers": lambda arrays, described: described.update(feature_names=[1, 2, 3]),
    "a name twice": lambda arrays, described: described.update(feature_names=["a", "b", "a"]),
    "parameters that are a list": lambda arrays, described: described.update(params=[]),
    "a parameter that is a list": params(init=[[1.0, 2.0, 3.0]] * 4),
    "no clusters to ask for": params(n_clusters=0),
    "another init": params(init="best"),
    "a tolerance of text": params(tol="0"),
    "NaN tolerance": params(tol=np.nan),
    "a callback of text": params(callback="print"),
    "another metric": params(metric="hamming"),
    "an algorithm that another metric has": params(metric="manhattan", algorithm="tiles"),
    "init of text": lambda arrays, described: arrays.update(init=np.array([["a"]])),
    "NaN init": lambda arrays, described: arrays.update(init=np.full((4, 3), np.nan)),
    "one-dimensional init": lambda arrays, described: arrays.update(init=np.zeros(4)),
    "format version 0": lambda arrays, described: described.update(format_version=0),
    "format version that is no integer": lambda arrays, described: described.update(format_version=True),
}


def assert_refused(path):
    with pytest.raises(
        ValueError, match=r"model\.npz is not a model that KMeans.save wrote, or is damaged \(.+\); "
    ) as raised:
        KMeans.load(path)
    assert len(str(raised.value)) < 1000 + len(str(path))


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_model_that_save_did_not_write_is_refused(tampering, saved):
    path, arrays, described = saved
    TAMPERINGS[tampering](arrays, described)
    np.savez(path, model=np.array(json.dumps(described)), **arrays)
    assert_refused(path)


@pytest.fixture
def saved_standardized(tmp_path, blobs):
    X, _ = blobs(60, 3, 4, "float64")
    path = tmp_path / "model.npz"
    KMeans(4, standardize=True, random_state=8).fit(X).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    return path, arrays, json.loads(str(arrays.pop("model")))


SCALED_TAMPERINGS = {
    "no offset": lambda arrays, described: (
        arrays.pop("feature_offset_"),
        described["arrays"].remove("feature_offset_"),
    ),
    "no scale": lambda arrays, described: (arrays.pop("feature_scale_"), described["arrays"].remove("feature_scale_")),
    "only a scale": lambda arrays, described: [
        (arrays.pop(name), described["arrays"].remove(name)) for name in ("feature_offset_", "_standardized_centers")
    ],
    "an offset of another length": array("feature_offset_", lambda x: x[:2]),
    "an offset in two dimensions": array("feature_offset_", lambda x: x[None]),
    "an offset of text": array("feature_offset_", lambda x: x.astype(str)),
    "an offset of float32": array("feature_offset_", lambda x: x.astype(np.float32)),
    "NaN offset": array("feature_offset_", with_value(np.nan)),
    "infinite scale": array("feature_scale_", with_value(np.inf)),
    "a scale of 0": array("feature_scale_", with_value(0.0)),
    "a scale below 0": array("feature_scale_", with_value(-1.0)),
    "another scale": array("feature_scale_", lambda x: x * 1.5),
    "another offset": array("feature_offset_", lambda x: x + 1e-3),
    "other centers in units": centers(lambda c: c * 1.001),
    "standardised centers of another type": array("_standardized_centers", lambda c: c.astype(np.float32)),
    "fewer standardised centers": array("_standardized_centers", lambda c: c[:2]),
    "NaN standardised centers": array("_standardized_centers", lambda c: c * np.nan),
    "standardised centers that are no unit rows": params(metric="cosine"),
    "a way of standardising that there is not": params(standardize="sturdy"),
}


@pytest.mark.parametrize("tampering", SCALED_TAMPERINGS)
def test_a_standardised_model_that_save_did_not_write_is_refused(tampering, saved_standardized):
    path, arrays, described = saved_standardized
    SCALED_TAMPERINGS[tampering](arrays, described)
    np.savez(path, model=np.array(json.dumps(described)), **arrays)
    assert_refused(path)


def test_a_file_of_the_first_format_loads(saved, rng):
    path, arrays, described = saved
    now, X = KMeans.load(path), rng.normal(size=(20, 3))
    del described["params"]["standardize"]
    np.savez(path, model=np.array(json.dumps({**described, "format_version": 1})), **arrays)
    before = KMeans.load(path)
    assert contents_of(before) == contents_of(now)
    np.testing.assert_array_equal(before.predict(X), now.predict(X))


def test_a_model_of_a_newer_format_says_so(saved):
    path, arrays, described = saved
    np.savez(path, model=np.array(json.dumps({**described, "format_version": 99})), **arrays)
    with pytest.raises(ValueError, match="newer fastkmeans .*upgrade"):
        KMeans.load(path)


def test_a_damaged_file_is_refused(saved):
    path, _, _ = saved
    content = path.read_bytes()
    for length in [0, 10, len(content) // 2, len(content) - 30]:
        path.write_bytes(content[:length])
        assert_refused(path)


# ---------------------------------------------------------------- the container


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members, compression=zipfile.ZIP_STORED):
    """Write a .npz of these names and contents, with the checksums that belong to them."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members if isinstance(members, list) else members.items():
            archive.writestr(name, content)


def npy(header, values=b"", version=(1, 0)):
    """A .npy member with a header that numpy would not write."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + values


def header(descr="<f8", shape="(4, 3)"):
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".encode()


VALUES = bytes(4 * 3 * 8)
BAD_HEADERS = {
    "negated too often": npy(b"-" * 9_000 + b"1"),
    "nested too deeply": npy(header(shape="(" * 4_000 + ")" * 4_000)),
    "never ending": npy(header(shape="(4, 3")[:-1], VALUES),
    "of bytes that are no text": npy(b"\xff" * 80, version=(2, 0)),
    "longer than the file": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "of another version": npy(header(), VALUES, version=(9, 0)),
    "a length that no machine counts": npy(header(shape="(10**400, 3)".replace("10**400", "9" * 400)), VALUES),
    "a length beside nothing": npy(header(shape=f"({2**70}, 0)")),
    "a length below 0": npy(header(shape="(-4, -3)"), VALUES),
    "more values than follow": npy(header(shape=f"({2**40}, 3)"), VALUES),
    "fewer values than follow": npy(header(shape="(3, 3)"), VALUES),
    "objects": npy(header(descr="|O"), VALUES),
    "no such type": npy(header(descr="<q9"), VALUES),
    "nothing of nothing": npy(header(descr="<U0", shape=f"({2**62}, 3)")),
}


@pytest.mark.parametrize("part", ["cluster_centers_.npy", "labels_.npy", "model.npy"])
@pytest.mark.parametrize("what", BAD_HEADERS)
def test_an_array_with_a_bad_header_is_refused(what, part, saved):
    path, _, _ = saved
    write_members(path, {**members_of(path), part: BAD_HEADERS[what]})
    assert_refused(path)


BAD_TEXTS = {
    "no JSON": "model",
    "nested too deeply": "[" * 100_000,
    "a number of 5000 digits": "1" * 5_000,
    "a number": "1",
    "a list": "[]",
}


@pytest.mark.parametrize("what", BAD_TEXTS)
def test_a_bad_text_is_refused(what, saved):
    path, arrays, _ = saved
    np.savez(path, model=np.array(BAD_TEXTS[what]), **arrays)
    assert_refused(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_parts_are_refused(compression, saved):
    path, _, _ = saved
    write_members(path, members_of(path), compression)
    assert_refused(path)


def test_a_part_that_is_there_twice_is_refused(saved):
    path, _, _ = saved
    members = [*members_of(path).items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_members(path, [*members, members[-1]])
    assert_refused(path)


def in_each_central_entry(path, offset, layout, value):
    """Change one field of the entries in the directory of a zip file, which is what zipfile reads."""
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        struct.pack_into(layout, content, start + offset, value)
        start = content.find(b"PK\x01\x02", start + 1)
    path.write_bytes(content)


BAD_DIRECTORIES = {  # what -> where in an entry, how it is stored, what is put there
    "encrypted": (8, "<H", 1),
    "a compression that nobody has": (10, "<H", 7),
    "more bytes than the file has": (24, "<I", 2**31),
    "a start beyond the file": (42, "<I", 2**31),
    "an extra field that is too long": (30, "<H", 60_000),
    "a version to come": (6, "<H", 999),
}


@pytest.mark.parametrize("what", BAD_DIRECTORIES)
def test_a_bad_directory_is_refused(what, saved):
    path, _, _ = saved
    in_each_central_entry(path, *BAD_DIRECTORIES[what])
    assert_refused(path)


@pytest.mark.parametrize("kind", ["compressed", "announced"])
def test_a_small_file_takes_little_memory(kind, saved):
    path, arrays, described = saved
    labels = np.zeros(30_000_000, dtype=np.int32)
    if kind == "compressed":
        np.savez_compressed(path, model=np.array(json.dumps(described)), **{**arrays, "labels_": labels})
    else:
        write_members(path, {**members_of(path), "labels_.npy": npy(header("<i4", "(30000000,)"), VALUES)})
    del labels
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        assert_refused(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- damage by chance

HOSTILE = [None, True, 0, -7, 77, 10**400, 0.5, -0.0, np.nan, np.inf, "", "abc", [], [1], {}, {"a": 1}, [[]], ["a"] * 3]


def assert_sound(model):
    """Whatever load returns can be used."""
    n_clusters, n_features = model.cluster_centers_.shape
    assert np.isfinite(model.cluster_centers_).all()
    assert (model.n_clusters_, model.n_features_in_) == (n_clusters, n_features)
    assert set(model.predict(np.array(model.cluster_centers_)).tolist()) <= set(range(n_clusters))
    if hasattr(model, "labels_"):
        assert len(np.bincount(model.labels_, minlength=n_clusters)) == n_clusters
    if hasattr(model, "inertia_"):
        assert 0 <= float(model.inertia_) < np.inf
    assert len(getattr(model, "feature_names_in_", range(n_features))) == n_features
    repr(model)


def load_or_refuse(path):
    """The model of a file that may be damaged, or None if it is refused as it should be."""
    try:
        return KMeans.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path} ")
        return None


def contents_of(model):
    """All that a model holds, in a form that compares."""
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else repr(value) for name, value in vars(model).items()
    }


def test_a_file_with_any_byte_changed_is_refused_or_the_same_model(saved, rng):
    path, _, _ = saved
    content, before = path.read_bytes(), contents_of(KMeans.load(path))
    refused = 0
    for place in rng.choice(len(content), size=min(len(content), 1_200), replace=False):
        changed = bytearray(content)
        changed[place] ^= rng.integers(1, 256)
        path.write_bytes(changed)
        model = load_or_refuse(path)
        refused += model is None
        assert model is None or contents_of(model) == before
    assert refused > 600


def test_a_file_cut_or_patched_anywhere_is_refused_or_the_same_model(saved, rng):
    path, _, _ = saved
    content, before = path.read_bytes(), contents_of(KMeans.load(path))
    for _ in range(500):
        start, stop = sorted(rng.integers(0, len(content) + 1, size=2))
        patch = [b"", rng.bytes(20), content[: stop - start], bytes(stop - start)][rng.integers(4)]
        path.write_bytes(content[:start] + patch + content[stop:])
        model = load_or_refuse(path)
        assert model is None or contents_of(model) == before


def test_parts_damaged_under_a_right_checksum_are_refused_or_sound(saved, rng):
    path, _, _ = saved
    members = members_of(path)
    for _ in range(1_000):
        name = str(rng.choice(list(members)))
        content = bytearray(members[name])
        # Most of the damage is done to the header, where it is worst.
        stop = min(len(content), 128) if rng.random() < 0.6 else len(content)
        for place in rng.integers(stop, size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        write_members(path, {**members, name: bytes(content[: len(content) - rng.integers(2) * rng.integers(40)])})
        model = load_or_refuse(path)
        if model is not None:
            assert_sound(model)


def places_in(value):
    """(holder, key) of everything that a JSON value holds, at any depth."""
    for key in value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0):
        yield value, key
        yield from places_in(value[key])


def test_a_text_with_any_value_changed_is_refused_or_sound(saved, rng):
    path, arrays, described = saved
    text = json.dumps({**described, "feature_names": ["a", "b", "c"]})
    for place in range(len(list(places_in(json.loads(text))))):
        for value in rng.choice(np.array([*HOSTILE, ...], dtype=object), size=6, replace=False):
            tampered = json.loads(text)
            holder, key = list(places_in(tampered))[place]
            if value is ...:
                del holder[key]
            else:
                holder[key] = value
            np.savez(path, model=np.array(json.dumps(tampered)), **arrays)
            model = load_or_refuse(path)
            if model is not None:
                model.__dict__.pop("feature_names_in_", None)
                assert_sound(model)


# ---------------------------------------------------------------- what save writes


def assert_kept(model, path):
    model.save(path)
    assert contents_of(KMeans.load(path)) == contents_of(model)


@pytest.mark.parametrize("metric", METRICS)
def test_what_save_writes_loads_as_it_was(metric, real, blobs, tmp_path):
    X, _ = blobs(400, 5, 6, real)
    for algorithm in ("auto", *METRICS[metric].algorithms):
        for stop in ({"max_iter": 2}, {"tol": 0.0}, {"callback": lambda step: True}):
            model = KMeans(6, metric=metric, algorithm=algorithm, random_state=3, **stop).fit(X)
            model.callback = None  # which is not kept
            assert_kept(model, tmp_path / "model.npz")
    assert_kept(KMeans.from_centers(X[:3], metric=metric), tmp_path / "model.npz")
    assert_kept(KMeans(3, metric=metric, init=X[:3], tol=1).fit(X), tmp_path / "model.npz")


def test_extreme_models_load_as_they_were(tmp_path, rng):
    equal = np.ones((50, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_kept(KMeans(3, random_state=4).fit(equal), tmp_path / "model.npz")
        assert_kept(KMeans(3, metric="cosine", random_state=4).fit(equal), tmp_path / "model.npz")
    assert_kept(KMeans(1).fit([[1.0]]), tmp_path / "model.npz")
    assert_kept(KMeans(2, random_state=4).fit(rng.normal(size=(60, 3)) * 1e140), tmp_path / "model.npz")
    opposite = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 5, axis=0)
    assert_kept(KMeans(1, metric="cosine", random_state=4).fit(opposite), tmp_path / "model.npz")


def test_a_model_of_a_sweep_loads_as_it_was(blobs, tmp_path):
    X, _ = blobs(500, 3, 4, "float64")
    assert_kept(elbow(X, 6, random_state=6).model(4), tmp_path / "model.npz")


def test_a_model_from_before_there_were_metrics_loads(saved):
    path, arrays, described = saved
    del described["fitted"]["n_clusters_"], described["params"]["metric"], described["arrays"]
    np.savez(path, model=np.array(json.dumps(described)), **arrays)
    assert KMeans.load(path).n_clusters_ == 4


def test_save_writes_nothing_that_load_would_refuse(saved):
    path, _, _ = saved
    model, before = KMeans.load(path).set_params(tol=-1.0), path.read_bytes()
    with pytest.raises(ValueError, match="this KMeans cannot be saved, .*tol must be a finite number >= 0; got -1.0"):
        model.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_save_never_pickles(saved):
    path, _, _ = saved
    with pytest.raises(ValueError, match="init must be an array of numbers"):
        KMeans.load(path).set_params(init=np.array([[1, None]], dtype=object)).save(path)


# ---------------------------------------------------------------- what other estimators hold besides

FAMILY_DAMAGE = [
    (MiniBatchKMeans, "counts_", lambda counts: -1.0 - counts, "counts_ must be 0 or more"),
    (MiniBatchKMeans, "counts_", lambda counts: counts[1:], "counts_ must be of shape"),
    (MiniBatchKMeans, "counts_", lambda counts: counts.astype(np.float32), "counts_ must be float64"),
    (MiniBatchKMeans, "counts_", lambda counts: None, "counts_ is missing"),
    (MiniBatchKMeans, "_running_means", lambda means: means + 1.0, "_running_means must be cluster_centers_"),
    (MiniBatchKMeans, "_running_means", lambda means: means * np.nan, "_running_means contains NaN"),
    (BisectingKMeans, "_tree_children", lambda children: children[::-1].copy(), "splits that stand before"),
    (
        BisectingKMeans,
        "_tree_children",
        lambda children: 0 * children,
        "each split but the first, and each label, once",
    ),
    (BisectingKMeans, "_tree_children", lambda children: children.astype(np.int64), "_tree_children must be int32"),
    (BisectingKMeans, "_tree_children", lambda children: None, "_tree_children is missing"),
    (BisectingKMeans, "_tree_centers", lambda centers: centers[:-2], "_tree_centers must be of shape"),
    (BisectingKMeans, "_tree_centers", lambda centers: centers.astype(np.float32), "_tree_centers must be float64"),
]


@pytest.mark.parametrize("estimator, name, damage, message", FAMILY_DAMAGE)
def test_a_part_of_another_estimator_that_does_not_fit_is_named(estimator, name, damage, message, tmp_path, rng):
    model = estimator(n_clusters=4, random_state=3).fit(rng.normal(size=(60, 2)))
    model.save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as file:
        parts = dict(file)
    parts[name] = damage(parts[name])
    if parts[name] is None:
        del parts[name]
        described = json.loads(str(parts["model"]))
        described["arrays"].remove(name)
        parts["model"] = np.array(json.dumps(described))
    np.savez(tmp_path / "damaged.npz", **parts)
    with pytest.raises(ValueError, match=message):
        estimator.load(tmp_path / "damaged.npz")
