"""Laws of scikit-learn's callbacks on our fits, in the protocol of its version 1.9."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from fastkmeans import KMeans

X = np.random.default_rng(643).normal(size=(300, 3))
TABLE = pd.DataFrame(X + 12.0 * np.eye(3)[np.arange(300) % 3], columns=["x", "y", "z"])


@pytest.fixture
def sklearn_callback():
    pytest.importorskip("sklearn", minversion="1.9")
    return pytest.importorskip("sklearn.callback")


class Recorder:
    """A callback of the protocol: keeps what it is told, and may ask for an end after so many iterations."""

    def __init__(self, stop_after=None, fail_after=None):
        self.told, self.scores, self.stop_after, self.fail_after = [], [], stop_after, fail_after

    def setup(self, estimator, context):
        self.told.append(("setup", context))

    def teardown(self, estimator, context):
        self.told.append(("teardown", context))

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.told.append(("end", context))
        if context.task_name == "iteration" and fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, **(metadata or {})))
            if len(self.scores) == self.fail_after:
                raise ZeroDivisionError
        return self.stop_after is not None and len(self.scores) >= self.stop_after


class Propagated(Recorder):
    max_propagation_depth = None


def count(recorder, what, task_name):
    return sum(name == what and context.task_name == task_name for name, context in recorder.told)


PARAMS = [
    {"n_clusters": 4},
    {"n_clusters": 4, "init": "random", "n_init": 3},
    {"n_clusters": 4, "standardize": True},
    {"n_clusters": 4, "metric": "cosine"},
    {"n_clusters": 4, "metric": "manhattan"},
    {"n_clusters": 4, "max_iter": 2},
    {"n_clusters": "auto"},
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_a_callback_is_told_of_every_iteration_with_a_model_that_works(sklearn_callback, params):
    recorder = Recorder()
    watched = KMeans(random_state=9, **params).set_callbacks(recorder)
    assert watched.fit(TABLE) is watched
    alone = KMeans(random_state=9, **params).fit(TABLE)
    np.testing.assert_array_equal(watched.labels_, alone.labels_)
    np.testing.assert_array_equal(watched.cluster_centers_, alone.cluster_centers_)
    assert recorder.told[0][0] == "setup" and recorder.told[-1][0] == "teardown"
    assert count(recorder, "begin", "fit") == count(recorder, "end", "fit") == 1
    assert count(recorder, "begin", "iteration") == count(recorder, "end", "iteration") >= len(recorder.scores)
    assert len(recorder.scores) >= watched.n_iter_
    if params == PARAMS[0]:
        assert len(recorder.scores) == watched.n_iter_
        assert recorder.scores[-1] == pytest.approx(-watched.inertia_)
        assert all(later >= earlier - 1e-9 for earlier, later in zip(recorder.scores, recorder.scores[1:]))


def test_a_callback_ends_the_fit(sklearn_callback):
    kmeans = KMeans(6, init="random", n_init=1, random_state=9, tol=0).set_callbacks(Recorder(stop_after=2)).fit(X)
    assert kmeans.n_iter_ == 2 and kmeans.stop_reason_ == "callback"
    assert kmeans.inertia_ == -kmeans.score(X)


def test_weights_reach_the_callback(sklearn_callback):
    recorder, weights = Recorder(), np.arange(1.0, 301.0)
    kmeans = KMeans(4, random_state=9).set_callbacks(recorder).fit(X, sample_weight=weights)
    assert recorder.scores[-1] == pytest.approx(-kmeans.inertia_)


def test_the_parameter_callback_is_called_beside_it(sklearn_callback):
    seen, recorder = [], Recorder()
    kmeans = KMeans(4, random_state=9, callback=lambda entry: seen.append(entry["iteration"])).set_callbacks(recorder)
    kmeans.fit(X)
    assert seen == list(range(kmeans.n_iter_)) and len(recorder.scores) == kmeans.n_iter_


@pytest.mark.parametrize("spoil", [{"X": X * np.nan}, {"fail_after": 2}], ids=["bad data", "a callback that fails"])
def test_a_fit_that_fails_tears_its_callbacks_down(sklearn_callback, spoil):
    recorder = Recorder(fail_after=spoil.get("fail_after"))
    kmeans = KMeans(4, init="random", n_init=1, random_state=9).set_callbacks(recorder)
    before = set(vars(kmeans))
    with pytest.raises((ValueError, ZeroDivisionError)):
        kmeans.fit(spoil.get("X", X))
    names = [name for name, _ in recorder.told]
    assert names.count("setup") == names.count("teardown")
    assert set(vars(kmeans)) == before


def test_callbacks_come_down_from_pipelines_and_searches(sklearn_callback):
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), KMeans(3, random_state=2)).set_callbacks(recorder).fit(X)
    assert count(recorder, "end", "iteration") >= pipeline[-1].n_iter_
    assert not hasattr(pipeline[-1], "_skl_callbacks") and not hasattr(pipeline[-1], "_parent_callback_ctx")
    recorder = Propagated()
    GridSearchCV(KMeans(random_state=2), {"n_clusters": [2, 3]}, cv=2).set_callbacks(recorder).fit(X)
    assert count(recorder, "end", "iteration") > 4


def test_scikit_learns_own_monitor_follows_a_fit(sklearn_callback):
    from sklearn.metrics import adjusted_rand_score

    y = np.arange(300) % 3
    monitor = sklearn_callback.ScoringMonitor(scoring="adjusted_rand_score")
    kmeans = KMeans(4, random_state=9).set_callbacks(monitor).fit(TABLE, y)
    scores = monitor.get_logs().data_as_pandas["adjusted_rand_score"].tolist()
    # The last score is that of the whole fit.
    assert len(scores) == kmeans.n_iter_ + 1
    assert scores[-1] == scores[-2] == adjusted_rand_score(y, kmeans.labels_)


def test_callbacks_can_be_removed_and_are_checked(sklearn_callback):
    recorder = Recorder()
    KMeans(3, random_state=2).set_callbacks(recorder).set_callbacks().fit(X)
    assert recorder.told == []
    with pytest.raises(TypeError, match="FitCallback protocol"):
        KMeans().set_callbacks(print)


def test_a_clone_takes_the_callbacks_along(sklearn_callback):
    from sklearn.base import clone

    recorder = Recorder()
    kmeans = clone(KMeans(3, random_state=2).set_callbacks(recorder)).fit(X)
    assert len(recorder.scores) == kmeans.n_iter_


def test_without_such_a_scikit_learn_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    with pytest.raises(ImportError, match="scikit-learn 1.9 or later.*parameter callback"):
        KMeans().set_callbacks(Recorder())
