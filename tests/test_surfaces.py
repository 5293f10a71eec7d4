"""Laws of other packages' classes over this engine: their names, types and numbers, and exact labels."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import fastkmeans
from fastkmeans import FastKMeans, KMeans
from fastkmeans.surfaces.faiss import Kmeans


@pytest.fixture
def vectors(rng):
    return rng.normal(size=(2000, 7)).astype(np.float32)


def nearest(x, centroids):
    """Labels and squared distances in float64."""
    sq = ((x[:, None].astype(np.float64) - centroids[None].astype(np.float64)) ** 2).sum(axis=2)
    return sq.argmin(axis=1), sq.min(axis=1)


# ---------------------------------------------------------------- PyPI's fastkmeans


def test_the_signature_is_that_of_pypis_fastkmeans():
    """Names, order and defaults as of its version 0.5.0."""
    expected = {
        "niter": 25, "tol": 1e-8, "gpu": True, "seed": 0, "max_points_per_centroid": 1_000_000_000,
        "chunk_size_data": 51_200, "chunk_size_centroids": 10_240, "device": None, "dtype": None,
        "pin_gpu_memory": True, "verbose": False, "nredo": 1, "use_triton": None,
    }  # fmt: skip
    parameters = inspect.signature(FastKMeans).parameters
    assert list(parameters) == ["d", "k", *expected]
    assert {name: parameters[name].default for name in expected} == expected


def test_train_fit_and_predict_give_their_types(vectors):
    kmeans = FastKMeans(d=7, k=20, seed=3)
    assert kmeans.centroids is None
    assert kmeans.train(vectors) is None
    assert kmeans.centroids.shape == (20, 7) and kmeans.centroids.dtype == np.float32
    labels = kmeans.predict(vectors)
    assert type(labels) is np.ndarray and labels.dtype == np.int64
    np.testing.assert_array_equal(labels, nearest(vectors, kmeans.centroids)[0])
    other = FastKMeans(d=7, k=20, seed=3)
    np.testing.assert_array_equal(other.fit_predict(vectors), labels)
    assert other.fit(vectors) is other


def test_it_is_our_kmeans_from_random_rows(vectors):
    ours = KMeans(20, init="random", n_init=1, max_iter=25, tol=0, random_state=5).fit(vectors)
    np.testing.assert_array_equal(FastKMeans(7, 20, seed=5).fit(vectors).centroids, ours.cluster_centers_)


def test_torch_tensors_are_taken_in_place(vectors):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(vectors)
    kmeans = FastKMeans(d=7, k=5, seed=2)
    labels = kmeans.fit_predict(tensor)
    assert type(labels) is np.ndarray and type(kmeans.centroids) is np.ndarray
    np.testing.assert_array_equal(labels, FastKMeans(d=7, k=5, seed=2).fit_predict(vectors))
    np.testing.assert_array_equal(FastKMeans(d=7, k=5, seed=2).fit(tensor.double()).centroids, kmeans.centroids)


def test_a_sample_of_so_many_vectors_is_trained_on(vectors):
    kmeans = FastKMeans(d=7, k=4, max_points_per_centroid=1, niter=1, seed=8).fit(vectors)
    rows = {row.tobytes() for row in vectors}
    assert all(centroid.tobytes() in rows for centroid in kmeans.centroids)
    everything = FastKMeans(d=7, k=4, max_points_per_centroid=None, seed=8).fit(vectors)
    np.testing.assert_array_equal(everything.centroids, FastKMeans(d=7, k=4, seed=8).fit(vectors).centroids)


def test_tol_ends_the_iterations(vectors):
    far = FastKMeans(d=7, k=20, tol=1e9, seed=3).fit(vectors)
    once = FastKMeans(d=7, k=20, niter=1, seed=3).fit(vectors)
    np.testing.assert_array_equal(far.centroids, once.centroids)
    assert not np.array_equal(once.centroids, FastKMeans(d=7, k=20, seed=3).fit(vectors).centroids)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", 0, "mps"])
def test_fast_kmeans_refuses_devices_other_than_the_cpu(device):
    with pytest.raises(ValueError, match="device must be None or 'cpu'"):
        FastKMeans(d=2, k=2, device=device)


def test_fast_kmeans_takes_the_device_that_it_has(vectors):
    torch = pytest.importorskip("torch")
    assert FastKMeans(d=7, k=2, device="cpu").fit(vectors).centroids is not None
    assert FastKMeans(d=7, k=2, device=torch.device("cpu")).fit(vectors).centroids is not None


class OnCuda:
    """A tensor in the memory of a GPU."""

    shape = (4, 7)

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **options):
        raise AssertionError("nobody may read it")


@pytest.mark.parametrize("make", [FastKMeans, Kmeans])
def test_vectors_that_do_not_fit_are_refused(make, vectors):
    with pytest.raises(ValueError, match="must have d=3 columns; got 7"):
        make(3, 2).train(vectors)
    with pytest.raises(ValueError, match="n_samples=4 should be >= n_clusters=5"):
        make(7, 5).train(vectors[:4])
    with pytest.raises(ValueError, match="contains NaN"):
        make(7, 5).train(vectors * np.nan)
    with pytest.raises(TypeError, match="OnCuda.*CUDA"):
        make(7, 2).train(OnCuda())


def test_what_is_not_trained_says_so(vectors):
    with pytest.raises(RuntimeError, match="call train"):
        FastKMeans(7, 2).predict(vectors)
    with pytest.raises(RuntimeError, match="call train"):
        Kmeans(7, 2).assign(vectors)


def test_the_name_is_there_and_its_module_is_not_imported_before():
    assert "FastKMeans" in dir(fastkmeans)
    code = (
        "import sys, fastkmeans; print('fastkmeans.surfaces' in sys.modules)\n"
        "from fastkmeans import FastKMeans; print(FastKMeans.__name__, 'torch' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.split() == ["False", "FastKMeans", "False"], child.stderr
    with pytest.raises(AttributeError, match="no attribute 'FasterKMeans'"):
        fastkmeans.FasterKMeans


# ---------------------------------------------------------------- faiss


@pytest.fixture
def faiss():
    return pytest.importorskip("faiss")


WEIGHTS = [None, np.random.default_rng(12).uniform(0.5, 2.0, size=2000).astype(np.float32)]


@pytest.mark.parametrize("weights", WEIGHTS, ids=["unweighted", "weighted"])
@pytest.mark.parametrize("spherical", [False, True])
def test_from_the_same_centroids_it_goes_faiss_way(faiss, vectors, spherical, weights):
    settings = {"niter": 8, "spherical": spherical}
    init = vectors[:12] / np.linalg.norm(vectors[:12], axis=1, keepdims=True)
    theirs, ours = faiss.Kmeans(7, 12, **settings), Kmeans(7, 12, **settings)
    theirs.train(vectors, weights=weights, init_centroids=init)
    last = ours.train(vectors, weights=weights, init_centroids=init)
    np.testing.assert_allclose(ours.centroids, theirs.centroids, atol=2e-5)
    assert ours.centroids.dtype == np.float32 and last == ours.obj[-1]
    if weights is None:  # faiss leaves the weights out of obj
        np.testing.assert_allclose(ours.obj, theirs.obj, rtol=1e-5)
    found, expected = ours.assign(vectors), theirs.assign(vectors)
    assert [part.dtype for part in found] == [part.dtype for part in expected]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    assert (found[1] == expected[1]).mean() > 0.999
    assert {"obj", "time", "nsplit"} <= ours.iteration_stats[0].keys() <= theirs.iteration_stats[0].keys()


def test_distances_and_labels_are_exact(vectors):
    kmeans = Kmeans(7, 30, niter=5)
    kmeans.train(vectors + np.float32(1e4))
    sq_distances, labels = kmeans.assign(vectors + np.float32(1e4))
    expected = nearest(vectors + np.float32(1e4), kmeans.centroids)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_allclose(sq_distances, expected[1].astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("k", [1, 4, 12])
def test_its_index_is_searched_as_that_of_faiss(faiss, vectors, spherical, k, monkeypatch):
    monkeypatch.setattr("fastkmeans.surfaces.flat_index._DISTANCES_AT_ONCE", 1000)  # several parts
    init = vectors[:12] / np.linalg.norm(vectors[:12], axis=1, keepdims=True)
    ours = Kmeans(7, 12, niter=3, spherical=spherical)
    ours.train(vectors, init_centroids=init)
    theirs = (faiss.IndexFlatIP if spherical else faiss.IndexFlatL2)(7)
    theirs.add(ours.centroids)
    found, expected = ours.index.search(vectors, k), theirs.search(vectors, k)
    assert [part.dtype for part in found] == [part.dtype for part in expected]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    assert (found[1] == expected[1]).mean() > 0.999
    assert (ours.index.d, ours.index.ntotal) == (7, 12)
    np.testing.assert_array_equal(found[1][:, 0], ours.assign(vectors)[1])


@pytest.mark.parametrize("k", [0, 3])
def test_more_neighbours_than_centroids_are_refused(vectors, k):
    kmeans = Kmeans(7, 2)
    with pytest.raises(RuntimeError, match="call train.. before index"):
        kmeans.index
    kmeans.train(vectors)
    with pytest.raises(ValueError, match=f"k must be from 1 to 2, the number of centroids; got {k}"):
        kmeans.index.search(vectors, k)


def test_the_tutorial_of_faiss_runs(rng):
    """The lines of its wiki, page "Faiss building blocks", with the import changed."""
    x, ncentroids, niter, verbose = rng.normal(size=(3000, 10)).astype(np.float32), 16, 20, False
    d = x.shape[1]
    kmeans = Kmeans(d, ncentroids, niter=niter, verbose=verbose)
    kmeans.train(x)
    D, labels = kmeans.index.search(x, 1)
    assert D.shape == labels.shape == (3000, 1)
    assert kmeans.centroids.shape == (16, 10) and (np.diff(kmeans.obj) <= 0).all()


def test_code_that_trains_a_late_interaction_index_runs(vectors):
    """As pylate and fast-plaid call it: a tensor's array in, centroids as a tensor out."""
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(vectors)
    kmeans = FastKMeans(d=tensor.shape[1], k=8, niter=4, gpu=False, verbose=False, seed=42, max_points_per_centroid=256)
    kmeans.train(data=tensor.numpy())
    centroids = torch.nn.functional.normalize(torch.from_numpy(kmeans.centroids), dim=-1)
    assert centroids.shape == (8, 7)


def test_fewer_centroids_than_k_are_completed(vectors):
    kmeans = Kmeans(7, 9, niter=1)
    kmeans.train(vectors, init_centroids=vectors[:4])
    assert kmeans.centroids.shape == (9, 7) and kmeans.obj.shape == (1,)


@pytest.mark.parametrize("spherical", [False, True])
def test_frozen_centroids_stay(vectors, spherical):
    kmeans = Kmeans(7, 5, frozen_centroids=True, spherical=spherical, max_points_per_centroid=None)
    objective = kmeans.train(vectors, init_centroids=vectors[:5])
    expected = vectors[:5] / (np.linalg.norm(vectors[:5], axis=1, keepdims=True) if spherical else 1)
    np.testing.assert_allclose(kmeans.centroids, expected, rtol=1e-6)
    assert objective == pytest.approx(kmeans.assign(vectors)[0].sum(dtype=np.float64), rel=1e-6)
    with pytest.raises(ValueError, match="init_centroids must have k rows.*got 3 for k=5"):
        kmeans.train(vectors, init_centroids=vectors[:3])


def test_whole_centroids(vectors):
    kmeans = Kmeans(7, 5, int_centroids=True)
    kmeans.train(vectors * 100)
    np.testing.assert_array_equal(kmeans.centroids, np.rint(kmeans.centroids))


def test_a_sample_of_256_vectors_per_centroid_is_trained_on(vectors):
    drawn, everything = Kmeans(7, 2, niter=1), Kmeans(7, 2, niter=1, max_points_per_centroid=None)
    assert drawn.train(vectors) < 0.5 * everything.train(vectors)


@pytest.mark.parametrize("init_method", [0, 1, 2])
def test_every_init_method_of_faiss_trains(vectors, init_method):
    kmeans = Kmeans(7, 40, init_method=init_method, nredo=2, seed=4)
    kmeans.train(vectors)
    assert (np.diff(kmeans.obj) <= 1e-9 * kmeans.obj[0]).all()
    kmeans.reset(3)
    assert kmeans.centroids is None and kmeans.k == 3


def test_every_setting_of_faiss_is_known(faiss):
    parameters = faiss.ClusteringParameters()
    names = [name for name in dir(parameters) if name[0] != "_" and name not in ("this", "thisown")]
    Kmeans(7, 2, **{name: getattr(parameters, name) for name in names}, gpu=False)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"gpu": True}, ValueError, "gpu must be 0"),
        ({"progressive_dim_steps": 4}, ValueError, "progressive_dim_steps must be None"),
        ({"early_stop_threshold": 0.1}, ValueError, "early_stop_threshold must be 0.0"),
        ({"init_method": 7}, ValueError, "init_method must be 0, 1 or 2; got 7"),
        ({"spherical": True, "int_centroids": True}, ValueError, "int_centroids must be False with spherical"),
        ({"n_iter": 3}, TypeError, "no setting 'n_iter'"),
    ],
)
def test_settings_that_do_not_map_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        Kmeans(7, 2, **settings)


def test_too_many_centroids_are_refused(vectors):
    with pytest.raises(ValueError, match="init_centroids must have at most k rows; got 5 for k=4"):
        Kmeans(7, 4).train(vectors, init_centroids=vectors[:5])
