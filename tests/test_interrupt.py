"""Promise 6: Ctrl-C returns promptly and leaves the estimator as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastkmeans import KMeans

PROMPT = 5.0  # seconds; the fits below would run for minutes

SCRIPT = """
import signal
import sys
import numpy as np
from fastkmeans import KMeans

def say(word):
    print(word, flush=True)

# A child of nohup, of a shell's background job or of some CI runners is born ignoring SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
phase = sys.argv[1]
X = np.random.default_rng(5).normal(size=(200000, 16)).astype(np.float32)
model = KMeans(4, max_iter=2, random_state=3).fit(X)
if phase == "iterations":
    model.set_params(n_clusters=300, init=X[:300], tol=0, callback=lambda step: say("running"))
    model.set_params(max_iter=10**6)
else:
    model.set_params(n_clusters=20000)
before = dict(vars(model))
if phase == "seeding":
    say("running")
try:
    model.fit(X)
except KeyboardInterrupt:
    same = vars(model).keys() == before.keys() and all(vars(model)[name] is before[name] for name in before)
    say("interrupted" if same else "changed")
"""


def stop(step):
    raise KeyboardInterrupt


def test_an_interrupted_fit_leaves_the_estimator_as_it_was(algorithm, blobs, real, fingerprint):
    X, _ = blobs(400, 3, 4, real)
    model = KMeans(4, random_state=6, algorithm=algorithm).fit(X)
    digest = fingerprint(model)
    model.set_params(callback=stop, n_clusters=3)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :2])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert fingerprint(model) == digest
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_an_interrupted_first_fit_leaves_no_fitted_attribute(blobs, real):
    X, _ = blobs(400, 3, 4, real)
    model = KMeans(4, random_state=6, callback=stop)
    before = set(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert set(vars(model)) == before


def test_errors_of_a_callback_reach_the_caller(blobs, real):
    X, _ = blobs(400, 3, 4, real)
    with pytest.raises(ZeroDivisionError):
        KMeans(4, random_state=6, callback=lambda step: 1 / 0).fit(X)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("phase", ["seeding", "iterations"])
def test_ctrl_c_stops_a_long_fit_promptly(phase):
    with subprocess.Popen([sys.executable, "-c", SCRIPT, phase], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "running\n"
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            sent = time.monotonic()
            out, _ = child.communicate(timeout=60)
            took = time.monotonic() - sent
        finally:
            child.kill()
    assert out.split()[-1:] == ["interrupted"]
    assert child.returncode == 0
    assert took < PROMPT
