"""Fixtures over the package's tables, and the data that several test files share."""

from __future__ import annotations

import hashlib
import sys
import zlib

import numpy as np
import pytest

from fastkmeans._core import runtime
from fastkmeans.algorithms.table import ALGORITHMS


@pytest.fixture
def seed(request):
    """A seed of its own for every test and parameter, the same in every run: never a lucky 0, 1 or 42."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


@pytest.fixture(params=runtime.isas())
def isa(request):
    """Run the test under each instruction set, and give the one in use back."""
    before = runtime.isa()
    runtime.use_isa(request.param)
    yield request.param
    runtime.use_isa(before)


@pytest.fixture(params=["float32", "float64"])
def real(request):
    return np.dtype(request.param)


@pytest.fixture(params=list(ALGORITHMS))
def algorithm(request):
    return request.param


@pytest.fixture
def blobs(rng):
    """Maker of (X, truth): normal clusters of deviation ``std``, their centers in a box of side 20."""

    def make(n_samples, n_features, n_clusters, real, *, std=1.0, offset=0.0):
        centers = rng.uniform(-10, 10, size=(n_clusters, n_features))
        truth = rng.integers(n_clusters, size=n_samples)
        truth[:n_clusters] = np.arange(n_clusters)
        X = centers[truth] + rng.normal(scale=std, size=(n_samples, n_features)) + offset
        return X.astype(real), truth

    return make


@pytest.fixture
def fingerprint():
    """Maker of a short, printable digest of a fit: equal digests mean equal bits."""

    def digest(model):
        def sha(values):
            return hashlib.sha1(np.ascontiguousarray(values).tobytes()).hexdigest()[:12]

        return {
            "labels": sha(model.labels_),
            "centers": sha(model.cluster_centers_),
            "inertia": float(model.inertia_).hex(),
            "n_iter": model.n_iter_,
        }

    return digest


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """pyplot keeps what it has opened, and warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
