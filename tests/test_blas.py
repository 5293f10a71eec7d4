"""NumPy's OpenBLAS has one thread while any block asks for it, and the number of before when the last one ends."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans.runtime.blas import _openblas, one_blas_thread

pytestmark = pytest.mark.skipif(_openblas() is None, reason="NumPy came with another BLAS")

BEFORE = 3


@pytest.fixture
def n_blas_threads():
    """Ask OpenBLAS for its number of threads, which is BEFORE when the test begins."""
    get_n_threads, set_n_threads = _openblas()
    before = get_n_threads()
    set_n_threads(BEFORE)
    yield get_n_threads
    set_n_threads(before)


def test_a_block_has_one_thread_and_restores_the_number_of_before(n_blas_threads):
    with one_blas_thread():
        assert n_blas_threads() == 1
    assert n_blas_threads() == BEFORE


def test_blocks_that_overlap_restore_the_number_when_the_last_one_ends(n_blas_threads):
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert n_blas_threads() == 1
    second.__exit__(None, None, None)
    assert n_blas_threads() == BEFORE


def test_an_exception_ends_a_block(n_blas_threads):
    with pytest.raises(KeyboardInterrupt):
        with one_blas_thread(), one_blas_thread():
            raise KeyboardInterrupt
    assert n_blas_threads() == BEFORE


def test_a_number_that_was_chosen_within_a_block_stays(n_blas_threads):
    with one_blas_thread():
        _openblas()[1](2)
    assert n_blas_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_amid_a_block_has_the_number_of_before(n_blas_threads):
    inside, leave = threading.Event(), threading.Event()

    def block():
        with one_blas_thread():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=block)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if not child:
        with one_blas_thread():
            within = n_blas_threads()
        os._exit(0 if (within, n_blas_threads()) == (1, BEFORE) else 1)
    status = os.waitpid(child, 0)[1]
    assert n_blas_threads() == 1
    leave.set()
    thread.join()
    assert n_blas_threads() == BEFORE
    assert status == 0


def test_concurrent_fits_leave_the_number_as_it_was(n_blas_threads, rng):
    X = rng.normal(size=(600, 96)).astype(np.float32)

    def fit():
        for _ in range(8):
            KMeans(24, init=X[:24], algorithm="prefix", max_iter=1, n_threads=1).fit(X)

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert n_blas_threads() == BEFORE
