"""Pictures: what is in them, and that drawing them leaves no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from fastkmeans import (
    KMeans,
    NotFittedError,
    elbow,
    plot_centers,
    plot_clusters,
    plot_elbow,
    plot_silhouette,
    silhouette_samples,
)
from fastkmeans.plotting.colors import COLORS


@pytest.fixture
def draw(blobs, seed):
    """Maker of a picture of blobs, with what went into it."""

    def make(n_samples, n_features, n_clusters, **arguments):
        X, _ = blobs(n_samples, n_features, n_clusters, np.float64)
        model = KMeans(n_clusters, random_state=seed).fit(X)
        return plot_clusters(X, model.labels_, model.cluster_centers_, **arguments), X, model

    return make


def collection(ax, label):
    (found,) = [each for each in ax.collections if each.get_label() == label]
    return found


def drawn(ax):
    """Offsets and RGB colours of all samples in the picture, whatever their markers."""
    found = [each for each in ax.collections if each.get_label() == "samples"]
    colors = [np.broadcast_to(each.get_facecolors()[:, :3], (len(each.get_offsets()), 3)) for each in found]
    return np.concatenate([each.get_offsets() for each in found]), np.concatenate(colors)


def in_order(rows):
    """Rows sorted, to compare sets of them."""
    rows = np.asarray(rows)
    return rows[np.lexsort(rows.T)]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def is_star(paths):
    star = MarkerStyle("*")
    expected = star.get_path().transformed(star.get_transform())
    return all(np.allclose(path.vertices, expected.vertices) for path in paths)


# ---------------------------------------------------------------- clusters


def test_two_features_are_drawn_as_they_are(draw):
    ax, X, model = draw(120, 2, 3)
    assert np.array_equal(collection(ax, "samples").get_offsets(), X)
    assert np.allclose(collection(ax, "centers").get_offsets(), model.cluster_centers_)
    assert ax.get_title() == ""


def test_centers_are_numbered_stars(draw):
    ax, _, model = draw(120, 2, 3)
    assert is_star(collection(ax, "centers").get_paths())
    assert [(text.get_text(), text.xy) for text in ax.texts] == [
        (str(label), pytest.approx(center)) for label, center in enumerate(model.cluster_centers_)
    ]


def test_samples_of_one_cluster_share_a_colour_of_their_own(draw):
    ax, _, model = draw(120, 2, 3)
    colors = collection(ax, "samples").get_facecolors()[:, :3]
    for label in range(3):
        assert np.allclose(colors[model.labels_ == label], to_rgb(COLORS[label]))


def test_the_legend_names_every_cluster_its_size_and_the_star(draw):
    ax, _, model = draw(120, 2, 3)
    sizes = np.bincount(model.labels_)
    assert legend_texts(ax) == [*(f"cluster {label} ({sizes[label]})" for label in range(3)), "center"]
    assert ax.get_legend().legend_handles[-1].get_marker() == "*"


def test_axes_are_named_after_the_features(rng):
    X = pd.DataFrame({"length (cm)": rng.normal(size=9), "width (cm)": rng.normal(size=9)})
    labels = [0, 1, 2] * 3
    ax = plot_clusters(X, labels)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length (cm)", "width (cm)")
    ax = plot_clusters(X, labels, feature_names=["a", "b"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    ax = plot_clusters(X.to_numpy(), labels)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("feature 0", "feature 1")
    assert legend_texts(ax) == ["cluster 0 (3)", "cluster 1 (3)", "cluster 2 (3)"]


def test_one_feature_is_drawn_along_a_line(draw):
    ax, X, model = draw(90, 1, 3, feature_names=["weight (kg)"])
    assert np.array_equal(collection(ax, "samples").get_offsets()[:, 0], X[:, 0])
    assert np.array_equal(collection(ax, "centers").get_offsets()[:, 1], np.zeros(3))
    assert ax.get_xlabel() == "weight (kg)"
    assert ax.get_yticks().size == 0


def test_more_features_are_projected_on_the_principal_plane(rng):
    spread = np.array([10.0, 5.0, 1.0, 0.1, 0.1])
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    X = (rng.normal(size=(1500, 5)) * spread) @ turn + 100
    ax = plot_clusters(X, np.zeros(1500, dtype=int), X[:1])
    shown = np.asarray(collection(ax, "samples").get_offsets())
    variance = shown.var(axis=0) / X.var(axis=0).sum()
    percent = [f"{100 * share:.0f} %" for share in variance]
    assert ax.get_xlabel() == f"principal axis 1 ({percent[0]} of variance)"
    assert ax.get_ylabel() == f"principal axis 2 ({percent[1]} of variance)"
    # Nothing is stretched: the plane's part of every distance to a sample is kept.
    assert np.allclose(collection(ax, "centers").get_offsets(), shown[:1])
    assert variance.sum() > 0.98


def test_the_plane_of_a_sorted_table_is_that_of_all_its_samples(rng):
    X = rng.normal(size=(6000, 3))
    X[5000:, 2] += 100
    ax = plot_clusters(X, np.zeros(6000, dtype=int))
    assert ax.get_xlabel() == "principal axis 1 (100 % of variance)"


def test_the_picture_does_not_flip_between_calls(rng):
    X, labels = rng.normal(size=(50, 4)), np.zeros(50, dtype=int)
    first, second = (collection(plot_clusters(samples, labels), "samples") for samples in (X, X[::-1]))
    assert np.allclose(first.get_offsets(), second.get_offsets()[::-1])


def test_the_plane_of_few_samples_with_many_features_is_an_orthonormal_one(rng):
    X = rng.normal(size=(12, 40))
    shown = drawn(plot_clusters(X, np.arange(12)))[0]
    spread = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)[:2]
    assert np.linalg.norm(shown, axis=0) == pytest.approx(spread)


@pytest.mark.parametrize("shape", [(1, 3), (2, 5), (3, 1)])
def test_tiny_inputs_are_drawn(shape, rng):
    ax = plot_clusters(rng.normal(size=shape), np.arange(shape[0]))
    assert len(collection(ax, "samples").get_offsets()) == shape[0]


def test_constant_samples_are_drawn():
    ax = plot_clusters(np.ones((5, 3)), np.zeros(5, dtype=int), np.ones((1, 3)))
    assert ax.get_xlabel() == "principal axis 1 (0 % of variance)"


@pytest.mark.parametrize(("n_clusters", "has_legend"), [(12, True), (24, True), (25, False), (201, False)])
def test_a_legend_names_clusters_and_of_more_a_note_says_where_their_numbers_are(n_clusters, has_legend, rng):
    X = rng.normal(size=(3 * n_clusters, 2))
    ax = plot_clusters(X, np.arange(len(X)) % n_clusters, X[:n_clusters])
    assert (ax.get_legend() is not None) == has_legend
    assert is_star(collection(ax, "centers").get_paths())
    note = f"{n_clusters} clusters" + (", their numbers beside their centers" if n_clusters <= 200 else "")
    assert ax.get_title() == ("" if has_legend else note)


def test_a_cluster_without_samples_still_has_its_star_and_its_name():
    ax = plot_clusters([[0.0, 0.0], [1.0, 1.0]], [0, 0], [[0.5, 0.5], [9.0, 9.0]])
    assert legend_texts(ax) == ["cluster 0 (2)", "cluster 1 (0)", "center"]


def test_a_million_samples_are_thinned_out_and_it_is_said(rng):
    X = rng.normal(size=(1_000_000, 2)).astype(np.float32)
    labels = (X[:, 0] > 0).astype(np.int32)
    ax = plot_clusters(X, labels, max_points=20_000)
    assert len(collection(ax, "samples").get_offsets()) == 20_000
    assert ax.get_title() == "20,000 of 1,000,000 samples drawn"
    assert sum(int(text.split("(")[1].strip(")").replace(",", "")) for text in legend_texts(ax)) == 1_000_000


def test_thinning_draws_the_same_rows_with_their_own_labels_each_time(rng):
    X = rng.normal(size=(500, 2))
    labels = (X[:, 0] > 0).astype(int)
    first, second = (collection(plot_clusters(X, labels, max_points=100), "samples") for _ in range(2))
    offsets = np.asarray(first.get_offsets())
    assert np.array_equal(offsets, second.get_offsets())
    colors = np.array([to_rgb(COLORS[int(x > 0)]) for x in offsets[:, 0]])
    assert np.allclose(first.get_facecolors()[:, :3], colors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 1]}, r"shape \(3,\); got shape \(2,\)"),
        ({"labels": [0.0, 1.0, 2.0]}, "whole numbers; got dtype float64"),
        ({"labels": [0, -1, 1]}, "0 or above; got -1"),
        ({"centers": [[1.0, 2.0, 3.0]]}, r"the 2 features of X; got shape \(1, 3\)"),
        ({"feature_names": ["a"]}, "2 features of X; got 1 names"),
        ({"max_points": 0}, "integer >= 1; got 0"),
        ({"X": [[1.0, 2.0], [np.nan, 1.0], [1.0, 1.0]]}, "contains NaN"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_clusters(**{"X": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "labels": [0, 1, 2], **arguments})


def test_a_model_stands_for_its_labels_and_centers(blobs, seed):
    X, _ = blobs(90, 2, 3, np.float64)
    model = KMeans(3, random_state=seed).fit(X)
    assert np.array_equal(collection(plot_clusters(X, model), "centers").get_offsets(), model.cluster_centers_)
    half = plot_clusters(X[::2], model)
    sizes = np.bincount(model.predict(X[::2]), minlength=3)
    assert legend_texts(half) == [*(f"cluster {j} ({sizes[j]})" for j in range(3)), "center"]


def test_a_thinned_picture_keeps_some_of_every_cluster(rng):
    X = rng.normal(size=(50_000, 2))
    labels = np.zeros(50_000, dtype=int)
    labels[:3], X[:3] = 1, 50
    labels[3:103], X[3:103] = 2, -50
    shown = drawn(plot_clusters(X, labels, max_points=1000))[0]
    assert len(shown) == 1000
    assert (shown[:, 0] == 50).sum() == 3
    assert 5 <= (shown[:, 0] == -50).sum() < 30


def test_many_samples_of_a_sorted_table_do_not_cover_each_other(rng):
    X, labels = rng.normal(size=(3000, 2)), np.repeat([0, 1, 2], 1000)
    drawn = collection(plot_clusters(X, labels), "samples")
    colors = drawn.get_facecolors()[:, :3]
    of_last = np.flatnonzero(np.isclose(colors, to_rgb(COLORS[2])).all(axis=1))
    assert len(of_last) == 1000
    assert of_last.mean() == pytest.approx(1500, abs=150)
    assert {tuple(row) for row in drawn.get_offsets().tolist()} == {tuple(row) for row in X.tolist()}


@pytest.mark.parametrize(("n_clusters", "numbered"), [(12, 12), (50, 50), (200, 200), (201, 0)])
def test_stars_are_numbered_while_numbers_can_be_read(n_clusters, numbered, rng):
    X = rng.normal(size=(240, 2))
    ax = plot_clusters(X, np.arange(240) % n_clusters, X[:n_clusters])
    assert [text.get_text() for text in ax.texts] == [str(label) for label in range(numbered)]


def test_long_names_are_shortened_in_the_middle(rng):
    name = "average monthly spending on groceries in the year before (EUR)"
    ax = plot_clusters(pd.DataFrame({name: rng.normal(size=9), "b": range(9)}), [0, 1, 2] * 3)
    assert len(ax.get_xlabel()) <= 30
    assert name.startswith(ax.get_xlabel()[:10])
    assert name.endswith(ax.get_xlabel()[-10:])


# ---------------------------------------------------------------- the silhouettes


def bands(ax):
    """The silhouettes of each band, and its top and bottom."""
    found = [patch.get_data() for patch in ax.patches]
    return [band.values for band in found], [(band.edges[0], band.edges[-1]) for band in found]


def ticks_of(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_a_band_holds_the_sorted_silhouettes_of_its_cluster(metric, blobs, seed):
    X, _ = blobs(200, 3, 4, np.float64)
    labels = KMeans(4, random_state=seed).fit_predict(X)
    expected = silhouette_samples(X, labels, metric=metric)
    ax = plot_silhouette(X, labels, metric=metric)
    for label, band in enumerate(bands(ax)[0]):
        assert np.array_equal(band, np.sort(expected[labels == label])[::-1])
    assert f"({metric})" in ax.get_xlabel()
    assert ax.get_title() == f"mean {expected.mean():.2f} (dashed line)"
    assert ticks_of(ax.yaxis) == [f"cluster {j} ({size})" for j, size in enumerate(np.bincount(labels))]
    means = [f"mean {expected[labels == label].mean():.2f}" for label in range(4)]
    assert [text.get_text() for text in ax.texts] == means


def test_bands_are_stacked_and_as_high_as_their_clusters_are_large(rng):
    labels = np.repeat([0, 1, 2], [20, 30, 50])
    _, edges = bands(plot_silhouette(rng.normal(size=(100, 2)), labels))
    heights = np.array([bottom - top for top, bottom in edges])
    assert heights / heights.sum() == pytest.approx([0.2, 0.3, 0.5], abs=0.03)
    assert all(bottom < top for (_, bottom), (top, _) in zip(edges, edges[1:]))


def test_given_silhouettes_need_no_samples_and_a_model_brings_its_labels(blobs, seed):
    X, _ = blobs(60, 2, 3, np.float64)
    model = KMeans(3, random_state=seed).fit(X)
    given = silhouette_samples(X, model.labels_)
    first, second = plot_silhouette(None, model.labels_, silhouettes=given), plot_silhouette(X, model)
    for one, other in zip(bands(first)[0], bands(second)[0], strict=True):
        assert np.array_equal(one, other)


def test_silhouettes_of_many_samples_are_sampled_and_it_is_said(rng):
    labels = (np.arange(1_000_000) % 100_000 == 0).astype(int) + 2 * (np.arange(1_000_000) % 3 == 1)
    X = (rng.normal(size=(1_000_000, 4)) + 8 * labels[:, None]).astype(np.float32)
    ax = plot_silhouette(X, labels, max_samples=3000)
    sizes = np.bincount(labels)
    assert ticks_of(ax.yaxis) == [f"cluster {label} ({size:,})" for label, size in enumerate(sizes)]
    # Small clusters are drawn whole, and do not count for more than they are in the mean of all.
    drawn = [len(band) for band in bands(ax)[0]]
    assert sum(drawn) == 3000
    assert min(drawn) == min(sizes[sizes > 0])
    means = [band.mean() for band in bands(ax)[0]]
    mean = means @ sizes / sizes.sum()
    assert ax.get_title() == f"mean {mean:.2f} (dashed line)\n3,000 of 1,000,000 samples drawn"


def test_an_empty_and_a_lonely_cluster_keep_their_names(rng):
    labels = np.array([0] * 20 + [3])
    ax = plot_silhouette(rng.normal(size=(21, 2)), labels)
    assert ticks_of(ax.yaxis) == ["cluster 0 (20)", "cluster 1 (0)", "cluster 2 (0)", "cluster 3 (1)"]
    assert len(ax.texts) == 2
    assert len(bands(ax)[0]) == 2


def test_of_many_clusters_evenly_spaced_ones_are_named(rng):
    ax = plot_silhouette(rng.normal(size=(600, 2)), np.arange(600) % 200)
    assert ticks_of(ax.yaxis) == [f"cluster {label} (3)" for label in range(0, 200, 5)]
    assert len(bands(ax)[0]) == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 0, 0, 0]}, "Number of labels is 1"),
        ({"labels": [0, 0, 1]}, r"shape \(4,\); got shape \(3,\)"),
        ({"metric": "chebyshev"}, "metric must be one of"),
        ({"silhouettes": [0.5, 2.0, 0.1, 0.1]}, "from -1 to 1"),
        ({"silhouettes": [[0.5, 0.2, 0.1, 0.1]]}, r"got shape \(1, 4\)"),
        ({"max_samples": 0}, "max_samples must be an integer >= 1; got 0"),
    ],
)
def test_silhouettes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_silhouette(**{"X": [[1.0], [2.0], [8.0], [9.0]], "labels": [0, 0, 1, 1], **arguments})


# ---------------------------------------------------------------- the centers


def cells(ax):
    return np.asarray(ax.images[0].get_array())


def bar_label(ax):
    return ax.child_axes[0].get_ylabel().replace("\n", " ")


def test_cells_show_how_far_centers_are_from_the_mean_of_the_samples(blobs, seed):
    X, _ = blobs(300, 5, 4, np.float64)
    X *= [1, 10, 100, 1000, 1e4]
    model = KMeans(4, random_state=seed).fit(X)
    ax = plot_centers(model, X=X)
    assert cells(ax) == pytest.approx((model.cluster_centers_ - X.mean(axis=0)) / X.std(axis=0))
    assert bar_label(ax) == "standard deviations of the samples from their mean"
    low, high = ax.images[0].get_clim()
    assert low == -high
    sizes = np.bincount(model.labels_)
    assert ticks_of(ax.yaxis) == [f"cluster {label} ({size})" for label, size in enumerate(sizes)]
    assert ticks_of(ax.xaxis) == [f"feature {f}" for f in range(5)]


def test_without_samples_cells_are_compared_with_the_other_centers(rng):
    centers = rng.normal(size=(6, 3))
    ax = plot_centers(centers)
    assert cells(ax) == pytest.approx((centers - centers.mean(axis=0)) / centers.std(axis=0))
    assert bar_label(ax) == "standard deviations of the centers from their mean"
    assert ticks_of(ax.yaxis) == [f"cluster {label}" for label in range(6)]


def test_without_a_scale_cells_are_the_centers(rng):
    centers = rng.normal(size=(4, 3))
    ax = plot_centers(centers, scale=None)
    assert np.array_equal(cells(ax), centers)
    assert bar_label(ax) == "center"


def test_cells_carry_the_centers_with_three_digits_of_their_column():
    ax = plot_centers([[0.0, 12345.678, 0.00012], [1.5, -5.0, 0.0]], sizes=[1200, 3])
    assert [text.get_text() for text in ax.texts] == ["0", "12,346", "0.00012", "1.5", "-5", "0"]
    assert ticks_of(ax.yaxis) == ["cluster 0 (1,200)", "cluster 1 (3)"]


@pytest.mark.parametrize(("shape", "has_numbers"), [((12, 20), True), ((50, 30), False), ((200, 2), False)])
def test_large_tables_of_centers_have_colours_only(shape, has_numbers, rng):
    ax = plot_centers(rng.normal(size=shape))
    assert len(ax.texts) == (shape[0] * shape[1] if has_numbers else 0)
    assert len(ax.get_yticks()) == min(shape[0], 50)
    assert len(ax.get_xticks()) == shape[1]


def test_a_constant_feature_is_neutral_and_one_odd_center_does_not_pale_the_others(rng):
    X = np.column_stack([np.full(2000, 0.1), rng.normal(size=2000)])
    ax = plot_centers([[0.1, 0.0], [0.1, 100.0]], X=X)
    assert np.array_equal(cells(ax)[:, 0], [0, 0])
    assert ax.images[0].get_clim() == (-3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "log"}, "scale must be 'standard' or None; got 'log'"),
        ({"sizes": [1]}, r"each of 2 clusters; got shape \(1,\)"),
        ({"feature_names": ["a"]}, "2 features of X; got 1 names"),
        ({"X": [[1.0], [2.0]]}, r"the 2 features of centers; got shape \(2, 1\)"),
        ({"centers": [[1.0, np.inf]]}, "centers contains infinity"),
    ],
)
def test_centers_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_centers(**{"centers": [[1.0, 2.0], [3.0, 4.0]], **arguments})


def test_a_model_that_is_not_fitted_has_no_centers_to_draw():
    with pytest.raises(NotFittedError):
        plot_centers(KMeans(2))


# ---------------------------------------------------------------- the elbow


def test_the_elbow_is_drawn_marked_and_named(blobs, seed):
    X, _ = blobs(300, 2, 3, np.float64, std=0.2)
    result = elbow(X, 8, random_state=seed)
    ax = plot_elbow(result)
    curve = ax.lines[0]
    assert np.array_equal(curve.get_xdata(), result.k)
    assert np.array_equal(curve.get_ydata(), result.inertia)
    assert curve.get_marker() == "o"
    assert ax.get_title() == "chosen: k = 3; the curve bends at k = 3"
    (ring,) = [line for line in ax.lines if line.get_label() == "chosen: k = 3"]
    assert (*ring.get_xdata(), *ring.get_ydata()) == (3, result.inertia[result.k == 3][0])
    assert ax.get_xlabel() == "number of clusters k"
    assert ax.get_ylabel() == "inertia (sum of squared distances)"
    assert ax.get_ylim()[0] == 0


def test_a_curve_without_elbow_says_so(rng, seed):
    ax = plot_elbow(elbow(rng.normal(size=(300, 2)), random_state=seed))
    assert ax.get_title().startswith("no k chosen: the samples look like one")
    assert not any("chosen" in text for text in legend_texts(ax))


def test_numbers_of_clusters_are_whole_on_the_axis(rng):
    ax = plot_elbow(elbow(rng.normal(size=(50, 2)), 4))
    ax.figure.canvas.draw()
    ticks = ax.get_xticks()
    assert np.array_equal(ticks, ticks.round())


# ---------------------------------------------------------------- no trace


def test_a_given_axes_is_used(draw, rng):
    ax = Figure().add_subplot()
    assert draw(50, 2, 3, ax=ax)[0] is ax
    ax = Figure().add_subplot()
    assert plot_elbow(elbow(rng.normal(size=(50, 2)), 4), ax=ax) is ax
    ax = Figure().add_subplot()
    assert plot_silhouette([[0.0], [1.0], [5.0]], [0, 0, 1], ax=ax) is ax
    ax = Figure().add_subplot()
    assert plot_centers([[0.0], [1.0]], ax=ax) is ax


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_pictures_can_be_saved(draw, suffix, tmp_path):
    ax, _, _ = draw(100, 2, 3)
    assert isinstance(ax.figure.canvas, FigureCanvasAgg)
    ax.figure.savefig(tmp_path / f"picture.{suffix}")
    assert (tmp_path / f"picture.{suffix}").stat().st_size > 5_000


def test_settings_of_matplotlib_are_left_alone(draw, rng):
    before = dict(matplotlib.rcParams)
    _, X, model = draw(100, 5, 13)
    plot_silhouette(X, model)
    plot_centers(model, X=X)
    plot_elbow(elbow(rng.normal(size=(50, 2)), 4))
    assert dict(matplotlib.rcParams) == before


def in_a_fresh_python(code):
    paths = os.pathsep.join(path for path in sys.path if path)
    env = {**os.environ, "PYTHONPATH": paths, "MPLBACKEND": "agg"}
    child = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    return child.stdout.split()


def test_pyplot_is_not_imported_but_used_when_it_is_there():
    draw = "ax = plot_clusters([[0.0, 1.0], [2.0, 3.0]], [0, 1])"
    code = [
        "import sys; from fastkmeans import plot_clusters",
        f"{draw}; print('matplotlib.pyplot' in sys.modules)",
        f"import matplotlib.pyplot as plt; {draw}; print(plt.gcf() is ax.figure)",
    ]
    assert in_a_fresh_python("\n".join(code)) == ["False", "True"]


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastkmeans-core\[plot\]"'):
        plot_clusters([[0.0, 1.0]], [0])


# ---------------------------------------------------------------- colours

# Linear RGB as seen without one kind of cone: Machado, Oliveira, Fernandes, IEEE TVCG 15(6), 2009.
BLIND = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "full sight": np.eye(3).tolist(),
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def lab(linear_rgb):
    """CIE L*a*b* of a linear RGB colour, for the white of sRGB."""
    xyz = np.array(TO_XYZ) @ linear_rgb / np.sum(TO_XYZ, axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", BLIND)
def test_colours_of_clusters_stay_apart_for_the_colour_blind(sight):
    srgb = np.array([to_rgb(color) for color in COLORS])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.clip(np.array(BLIND[sight]) @ color, 0, 1)) for color in linear]
    # 2.3 is the smallest difference that is noticed side by side.
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 5


# ---------------------------------------------------------------- other metrics, other states


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("euclidean", "squared distances"),
        ("manhattan", "absolute differences"),
        ("cosine", "1 - cos"),
    ],
)
def test_the_elbow_says_what_its_inertia_sums(metric, words, rng):
    X = rng.normal(size=(60, 3)) + 5
    assert plot_elbow(elbow(X, 3, metric=metric, random_state=1)).get_ylabel() == f"inertia (sum of {words})"


def test_a_cosine_model_is_drawn_where_it_measures(rng):
    X = (
        np.repeat([[1.0, 0.2], [0.1, 1.0]], 40, axis=0) * rng.uniform(1, 50, size=(80, 1))
        + rng.normal(size=(80, 2)) / 50
    )
    model = KMeans(2, metric="cosine", random_state=3).fit(X)
    ax = plot_clusters(X, model, feature_names=["a", "b"])
    offsets = np.asarray(collection(ax, "samples").get_offsets())
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), 1.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a / length", "b / length")
    cells = plot_centers(model, X=X).images[0].get_array()
    assert (cells > 0).any(axis=1).all() and (cells < 0).any(axis=1).all()


def test_a_sweep_that_ends_too_early_says_so_in_its_picture(rng):
    X = np.array([[0.0, 0], [30, 0], [0, 30], [30, 30]])[rng.integers(4, size=400)] + rng.normal(size=(400, 2))
    result = elbow(X, [2, 3, 4], random_state=2)
    assert result.best_k is None
    assert plot_elbow(result).get_title() == "no k chosen: all clusters still apart at k = 4: sweep further"


def test_what_cannot_be_drawn_is_refused_by_name(rng):
    X = rng.normal(size=(20, 2))
    with pytest.raises(NotFittedError, match="plot_clusters"):
        plot_clusters(X, KMeans(2))
    with pytest.raises(TypeError, match="result must be what elbow"):
        plot_elbow(KMeans(2).fit(X))
    assert list(plot_elbow(elbow(X, [3], random_state=1)).get_xticks()) == [3]
