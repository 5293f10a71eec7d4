"""Laws of estimators/progress.py: a bar ends full, however the fit ended."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastkmeans import KMeans
from fastkmeans.estimators.progress import fit_with_bar

pytest.importorskip("tqdm")

FITS = {
    "converged": {},
    "one iteration": {"max_iter": 1},
    "max_iter": {"max_iter": 3, "tol": 0.0},
    "several starts": {"n_init": 3, "init": "random"},
    "callback": {"callback": lambda entry: True},
    "auto": {"n_clusters": "auto"},
}


@pytest.mark.parametrize("name", FITS)
def test_a_bar_ends_full(name, blobs, seed, capsys):
    X, _ = blobs(200, 2, 3, "float64")
    fit_with_bar(KMeans(**{"n_clusters": 3, "random_state": seed, **FITS[name]}), X)
    last = capsys.readouterr().err.strip().rpartition("\r")[2]
    assert "100%" in last
    done, total = re.search(r"(\d+)/(\d+)", last).groups()
    assert done == total and int(done) >= 1


def test_a_bar_of_a_failed_fit_does_not_claim_to_be_done(capsys):
    def fails(entry):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fit_with_bar(KMeans(2, random_state=5, callback=fails), np.random.default_rng(5).normal(size=(50, 2)))
    assert "100%" not in capsys.readouterr().err
