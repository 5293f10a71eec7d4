"""The elbow sweep: what the curve promises, and what the rule for the knee finds and refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fastkmeans
from fastkmeans import ConvergenceWarning, KMeans, elbow
from fastkmeans import sweep as sweep_module


def separated_blobs(rng, n_clusters, n_features, separation, n_samples=500):
    """Normal clusters of deviation 1 whose centers are at least `separation` apart."""
    centers = []
    side = separation * max(1.8 * n_clusters ** (1 / n_features), 2)
    while len(centers) < n_clusters:
        candidate = rng.uniform(0, side, size=n_features)
        if all(np.linalg.norm(candidate - center) > separation for center in centers):
            centers.append(candidate)
    noise = rng.normal(size=(n_samples, n_features))
    return np.array(centers)[rng.integers(n_clusters, size=n_samples)] + noise


def knee_by_hand(k, inertia):
    """The rule of the docstring, one k at a time."""
    best_k, longest = None, 0.07
    for k_i, inertia_i in zip(k, inertia, strict=True):
        x = np.log(k_i / k[0]) / np.log(k[-1] / k[0])
        y = np.log(inertia_i / inertia[-1]) / np.log(inertia[0] / inertia[-1])
        if 1 - x - y >= longest:
            best_k, longest = k_i, 1 - x - y
    return best_k


# ---------------------------------------------------------------- k


ONE_TO_FIVE = {
    "int": 5,
    "NumPy int": np.int64(5),
    "array of no dimension": np.array(5),
    "last as text": "5",
    "range as text": " 1 : 5",
    "range": range(1, 6),
    "list in any order, with repeats": [5, 3, 1, 2, 4, 3],
    "array": np.arange(1, 6),
    "generator": (k for k in (4, 5, 1, 2, 3)),
}


@pytest.mark.parametrize("spelling", ONE_TO_FIVE)
def test_every_spelling_of_one_to_five_is_one_to_five(spelling, rng):
    assert elbow(rng.normal(size=(20, 2)), ONE_TO_FIVE[spelling]).k.tolist() == [1, 2, 3, 4, 5]


def test_k_may_skip_numbers(rng):
    result = elbow(rng.normal(size=(40, 2)), [2, 4, 8, 16])
    assert result.k.tolist() == [2, 4, 8, 16]
    assert (np.diff(result.inertia) < 0).all()


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "at least one number of clusters; got 0"),
        ("5:2", ValueError, "at least one number of clusters; got '5:2'"),
        ([], ValueError, "at least one"),
        ([0, 1], ValueError, ">= 1; got 0"),
        ("-1:3", ValueError, ">= 1; got -1"),
        (21, ValueError, "n_samples=20; got 21. Pass k=20 or less"),
        ("one:ten", ValueError, "'1:10'.*got 'one:ten'"),
        (True, TypeError, "whole number.*got True"),
        (2.5, TypeError, "whole number.*got 2.5"),
        ([1, 2.5], TypeError, "whole number.*got 2.5"),
        (None, TypeError, "whole number.*got None"),
    ],
)
def test_a_wrong_k_is_refused_before_any_fit(k, error, message, rng, monkeypatch):
    monkeypatch.setattr(KMeans, "fit", lambda *_, **__: pytest.fail("fitted"))
    with pytest.raises(error, match=message):
        elbow(rng.normal(size=(20, 2)), k)


def test_parameters_that_cannot_stay_the_same_are_refused(rng):
    X = rng.normal(size=(20, 2))
    with pytest.raises(TypeError, match="as k, not as n_clusters"):
        elbow(X, n_clusters=3)
    with pytest.raises(ValueError, match="init cannot be an array"):
        elbow(X, init=X[:3])
    with pytest.raises(TypeError, match="n_cluster"):
        elbow(X, n_cluster=3)


# ---------------------------------------------------------------- the curve


@pytest.mark.parametrize(
    "params", [{}, {"init": "random", "n_init": 1}, {"init": "random-partition", "max_iter": 1}], ids=repr
)
@pytest.mark.filterwarnings("ignore::fastkmeans.ConvergenceWarning")
def test_inertia_never_rises_with_k(params, real, rng, seed):
    X = rng.integers(6, size=(60, 2)).astype(real)
    result = elbow(X, 60, random_state=seed, **params)
    assert (np.diff(result.inertia) <= 0).all()
    assert result.inertia[-1] == 0


def test_no_inertia_is_above_that_of_a_plain_fit(blobs, real, seed):
    X, _ = blobs(400, 3, 8, real)
    for k, inertia in elbow(X, 12, random_state=seed):
        assert inertia <= KMeans(k, random_state=seed).fit(X).inertia_


def test_the_first_inertia_is_the_scatter_about_the_mean(rng):
    X = rng.normal(size=(50, 4))
    assert elbow(X, 3).inertia[0] == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())


def test_a_warm_start_that_searches_few_samples_keeps_the_laws(rng, seed, monkeypatch):
    monkeypatch.setattr(sweep_module, "WARM_START_SAMPLES", 7)
    X = rng.normal(size=(300, 2))
    assert (np.diff(elbow(X, [1, 2, 5, 9, 30], init="random", random_state=seed).inertia) < 0).all()


def test_the_same_seed_gives_the_same_bits(rng, seed):
    X = rng.normal(size=(200, 3))
    first, second = (elbow(X, random_state=seed) for _ in range(2))
    assert first.inertia.tobytes() == second.inertia.tobytes()
    assert first.n_iter.tolist() == second.n_iter.tolist()


def test_a_generator_may_seed_the_sweep(rng):
    assert len(elbow(rng.normal(size=(30, 2)), 4, random_state=np.random.default_rng(77))) == 4


def test_samples_of_weight_zero_do_not_count(rng, seed):
    X = separated_blobs(rng, 3, 2, 8.0)
    strays = np.vstack([X, rng.uniform(-1e3, 1e3, size=(40, 2))])
    weights = np.r_[np.ones(len(X)), np.zeros(40)]
    result = elbow(strays, 8, sample_weight=weights, random_state=seed)
    assert result.best_k == 3
    assert result.inertia[2] == pytest.approx(KMeans(3, random_state=seed).fit(X).inertia_)


def test_the_samples_are_not_changed(rng):
    X = rng.normal(size=(50, 2))
    before = X.copy()
    X.flags.writeable = False
    elbow(X, 5)
    assert np.array_equal(X, before)


# ---------------------------------------------------------------- the knee


@pytest.mark.parametrize("n_features", [2, 5, 20])
@pytest.mark.parametrize("n_clusters", [2, 3, 4, 5, 7])
def test_the_knee_is_the_number_of_separated_clusters(n_clusters, n_features, rng, seed):
    X = separated_blobs(rng, n_clusters, n_features, 6.0)
    assert elbow(X, 12, random_state=seed).best_k == n_clusters


@pytest.mark.parametrize("n_features", [1, 2, 5, 20])
@pytest.mark.parametrize("law", ["normal", "uniform", "laplace", "exponential"])
def test_samples_without_clusters_have_no_knee(law, n_features, rng, seed):
    X = getattr(rng, law)(size=(500, n_features))
    assert elbow(X, random_state=seed).best_k is None


def test_the_knee_is_the_one_of_the_stated_rule(blobs, seed):
    for std in (0.5, 2.0, 4.0):
        X, _ = blobs(200, 2, 5, np.float64, std=std)
        result = elbow(X, 9, random_state=seed)
        assert result.best_k == knee_by_hand(result.k, result.inertia)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_knee_does_not_depend_on_the_unit(scale, rng, seed):
    X = separated_blobs(rng, 4, 3, 6.0)
    assert elbow(X * scale, random_state=seed).best_k == elbow(X, random_state=seed).best_k == 4


@pytest.mark.filterwarnings("ignore::fastkmeans.ConvergenceWarning")
def test_repeated_samples_have_their_knee_at_the_number_of_distinct_ones(rng, seed):
    X = rng.normal(size=(3, 2))[rng.integers(3, size=90)]
    assert elbow(X, random_state=seed).best_k == 3


def test_one_cluster_a_sample_is_no_knee_and_hides_none(seed):
    X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    assert elbow(X, 6, random_state=seed).best_k == 2


@pytest.mark.filterwarnings("ignore::fastkmeans.ConvergenceWarning")
def test_equal_samples_have_no_knee():
    result = elbow(np.ones((9, 2)), 4)
    assert result.best_k is None
    assert result.inertia.tolist() == [0, 0, 0, 0]


def test_warnings_of_the_fits_are_not_swallowed():
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        elbow(np.ones((9, 2)), 2)


@pytest.mark.parametrize("k", [[3], [2, 3], [3, 4, 5]])
def test_the_ends_of_the_sweep_are_never_the_knee(k, rng, seed):
    assert elbow(separated_blobs(rng, 3, 2, 8.0), k, random_state=seed).best_k is None


# ---------------------------------------------------------------- the result


def test_the_result_iterates_counts_and_prints_itself(rng):
    result = elbow(rng.normal(size=(30, 2)), "2:4")
    assert list(result) == list(zip([2, 3, 4], result.inertia.tolist(), strict=True))
    assert len(result) == 3
    assert repr(result).splitlines()[0] == f"ElbowResult(best_k={result.best_k})"
    assert len(repr(result).splitlines()) == 5
    assert result.seconds.min() > 0
    assert result.n_iter.min() >= 1


def test_the_result_cannot_be_changed_by_accident(rng):
    result = elbow(rng.normal(size=(30, 2)), 3)
    with pytest.raises(ValueError, match="read-only"):
        result.inertia[0] = 0
    with pytest.raises(AttributeError):
        result.best_k = 3


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_dataframe_gives_a_dataframe_of_its_library(library, rng):
    result = elbow(library.DataFrame({"a": rng.normal(size=20), "b": rng.normal(size=20)}), 3)
    frame = result.to_frame()
    assert isinstance(frame, library.DataFrame)
    assert list(frame.columns) == ["k", "inertia", "n_iter", "seconds"]
    assert list(frame["k"]) == [1, 2, 3]
    assert list(frame["inertia"]) == result.inertia.tolist()


def test_an_arrow_table_gives_an_arrow_table(rng):
    frame = elbow(pa.table({"a": rng.normal(size=20)}), 3).to_frame()
    assert isinstance(frame, pa.Table)
    assert frame.column_names == ["k", "inertia", "n_iter", "seconds"]


def test_an_array_gives_a_structured_array(rng):
    frame = elbow(rng.normal(size=(20, 2)), 3).to_frame()
    assert frame.dtype.names == ("k", "inertia", "n_iter", "seconds")
    assert frame["k"].tolist() == [1, 2, 3]


def test_plot_marks_the_knee(rng, seed):
    ax = elbow(separated_blobs(rng, 3, 2, 8.0), random_state=seed).plot()
    assert ax.get_title() == "elbow at k = 3"


def test_the_module_and_the_package_offer_the_same_function():
    assert fastkmeans.elbow is sweep_module.elbow


def test_a_progress_bar_counts_the_numbers_of_clusters(capsys):
    pytest.importorskip("tqdm")
    X = np.random.default_rng(61).normal(size=(60, 2))
    with_bar = elbow(X, k=range(1, 5), random_state=2, progress=True)
    assert "4/4" in capsys.readouterr().err
    np.testing.assert_array_equal(with_bar.inertia, elbow(X, k=range(1, 5), random_state=2).inertia)
    assert capsys.readouterr().err == ""
