"""Model files: what save did not write, load refuses in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastkmeans import KMeans


@pytest.fixture
def saved(tmp_path, blobs):
    X, _ = blobs(60, 3, 4, "float64")
    path = tmp_path / "model.npz"
    KMeans(4, random_state=8).fit(X).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    return path, arrays, json.loads(str(arrays.pop("model")))


def centers(change):
    def tamper(arrays, described):
        arrays["cluster_centers_"] = change(arrays["cluster_centers_"])

    return tamper


TAMPERINGS = {
    "other format": lambda arrays, described: described.update(format="x"),
    "no format version": lambda arrays, described: described.pop("format_version"),
    "no parameters": lambda arrays, described: described.pop("params"),
    "unknown parameter": lambda arrays, described: described["params"].update(colour="red"),
    "bad threads": lambda arrays, described: described["params"].update(n_threads=-1),
    "no fitted values": lambda arrays, described: described.pop("fitted"),
    "a method among the values": lambda arrays, described: described["fitted"].update(predict="x"),
    "other number of features": lambda arrays, described: described["fitted"].update(n_features_in_=7),
    "names of other length": lambda arrays, described: described.update(feature_names=["a"]),
    "unknown array": lambda arrays, described: arrays.update(fit=np.zeros(3)),
    "no centers": lambda arrays, described: arrays.pop("cluster_centers_"),
    "one-dimensional centers": centers(np.ravel),
    "empty centers": centers(lambda c: c[:0]),
    "NaN centers": centers(lambda c: c * np.nan),
    "huge centers": centers(lambda c: c * 1e300),
    "complex centers": centers(lambda c: c * 1j),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_model_that_save_did_not_write_is_refused(tampering, saved):
    path, arrays, described = saved
    TAMPERINGS[tampering](arrays, described)
    np.savez(path, model=np.array(json.dumps(described)), **arrays)
    with pytest.raises(ValueError, match="is not a model that KMeans.save wrote, or is damaged"):
        KMeans.load(path)


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
        with pytest.raises(ValueError, match="is not a model"):
            KMeans.load(path)
