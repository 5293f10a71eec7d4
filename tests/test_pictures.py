"""Laws of pictures: names bind, neighbours differ for everyone's eyes, nothing covers anything, outliers are told of."""

from __future__ import annotations

import dataclasses
import re
import sys
from itertools import combinations

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from fastkmeans import (
    KMeans,
    NotFittedError,
    cluster,
    elbow,
    plot_centers,
    plot_clusters,
    plot_elbow,
    plot_pairs,
    plot_silhouette,
)
from fastkmeans.errors import ColumnsLeftOutWarning
from fastkmeans.plotting.colors import ALIKE, COLORS, LEAST_CONTRAST, luminance, marks_of_clusters, on_background

PLOTS = {  # name -> a picture of samples and a model
    "clusters": plot_clusters,
    "silhouettes": plot_silhouette,
    "centers": lambda X, model: plot_centers(model, X=X),
    "pairs": plot_pairs,
}


@pytest.fixture(autouse=True)
def no_figure_stays():
    """Where another test has loaded pyplot, it keeps the figures."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def frame(rng):
    """120 rows in three clusters; columns b, a, c."""
    centers = np.array([[0.0, 100.0, 5.0], [10.0, 120.0, 5.0], [20.0, 100.0, 9.0]])
    values = centers[rng.integers(3, size=120)] + rng.normal(size=(120, 3)) * [1.0, 1.0, 0.3]
    return pd.DataFrame(values, columns=["b", "a", "c"])


def figure_of(picture):
    return picture if isinstance(picture, Figure) else picture.figure


def pixels(picture):
    """What a picture looks like."""
    figure = figure_of(picture)
    figure.set_dpi(50)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def samples_of(ax):
    """Offsets and RGB colours of all samples in the picture, whatever their markers."""
    found = [each for each in ax.collections if each.get_label() == "samples"]
    colors = [np.broadcast_to(each.get_facecolors()[:, :3], (len(each.get_offsets()), 3)) for each in found]
    return np.concatenate([each.get_offsets() for each in found]), np.concatenate(colors)


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---------------------------------------------------------------- names bind

TABLES = {"pandas": pd.DataFrame, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


@pytest.mark.parametrize("library", TABLES)
@pytest.mark.parametrize("name", PLOTS)
def test_columns_are_taken_by_name_whatever_their_order_and_their_company(name, library, frame):
    model = KMeans(3, random_state=5).fit(frame)
    expected = pixels(PLOTS[name](frame, model))
    other = frame[["c", "b", "a"]].assign(city="x", labels=model.labels_)
    assert np.array_equal(pixels(PLOTS[name](TABLES[library](other), model)), expected)


@pytest.mark.parametrize("name", PLOTS)
def test_a_column_of_the_fit_that_is_missing_is_named(name, frame):
    model = KMeans(2, random_state=6).fit(frame)
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- a\n"):
        PLOTS[name](frame[["b", "c"]].assign(z=1.0), model)


@pytest.mark.parametrize("name", PLOTS)
def test_an_array_of_other_features_is_refused(name, rng):
    model = KMeans(2, random_state=7).fit(rng.normal(size=(20, 3)))
    with pytest.raises(ValueError, match="X has 4 features"):
        PLOTS[name](rng.normal(size=(20, 4)), model)


@pytest.mark.parametrize("name", ["clusters", "pairs"])
def test_an_array_with_names_is_bound_like_a_table(name, frame):
    model = KMeans(3, random_state=27).fit(frame)
    names = ["c", "b", "a"]
    picture = PLOTS[name](frame[names].to_numpy(), model, feature_names=names)
    assert np.array_equal(pixels(picture), pixels(PLOTS[name](frame, model)))
    assert model.feature_names_in_.tolist() == ["b", "a", "c"]


def test_samples_in_another_order_than_that_of_the_fit_keep_their_clusters(frame):
    model = KMeans(3, random_state=8).fit(frame)
    shuffled = frame.sample(frac=1, random_state=8)
    offsets, colors = samples_of(plot_clusters(shuffled, model, x="b", y="a"))
    expected = dict(zip(map(tuple, frame[["b", "a"]].to_numpy()), model.labels_, strict=True))
    for offset, color in zip(offsets, colors, strict=True):
        assert color == pytest.approx(to_rgb(COLORS[expected[tuple(offset)]]))


@pytest.mark.parametrize("library", TABLES)
@pytest.mark.parametrize("plot", [plot_clusters, plot_silhouette, plot_pairs])
def test_what_cluster_returns_is_drawn_by_its_column_of_labels(plot, library, frame):
    table, centers, model = cluster(TABLES[library](frame), 3, random_state=9)
    by_array = pixels(plot(frame, model.labels_))
    assert np.array_equal(pixels(plot(table)), by_array)
    assert np.array_equal(pixels(plot(table, "labels")), by_array)
    if plot is not plot_silhouette:  # centers by name, too
        assert np.array_equal(pixels(plot(table, "labels", centers)), pixels(plot(frame, model)))
    with pytest.raises(ValueError, match="no column 'groups'"):
        plot(table, "groups")


@pytest.mark.parametrize("library", TABLES)
def test_the_table_of_centers_is_drawn_with_its_sizes(library, frame):
    _, centers, model = cluster(TABLES[library](frame), 3, random_state=10)
    reordered = frame[["c", "a", "b"]]
    assert np.array_equal(pixels(plot_centers(centers, X=reordered)), pixels(plot_centers(model, X=frame)))


@pytest.mark.parametrize("library", TABLES)
def test_text_and_identifiers_are_no_features_without_a_model_either(library, frame):
    labels = KMeans(3, random_state=25).fit_predict(frame)
    expected = pixels(plot_clusters(frame, labels))
    messy = frame.assign(city="x", labels=labels)
    assert np.array_equal(pixels(plot_clusters(TABLES[library](messy))), expected)
    with pytest.warns(ColumnsLeftOutWarning, match="plot_clusters left out 'labels' .*, 'customer_id' "):
        picture = plot_clusters(TABLES[library](messy.assign(customer_id=np.arange(500, 620))), labels)
    assert np.array_equal(pixels(picture), expected)


@pytest.mark.parametrize("how", [True, "robust"])
def test_a_standardizing_model_is_drawn_as_it_measures_and_named_in_the_units_of_the_table(how, frame):
    frame = frame.assign(b=1e3 * frame["b"])
    model = KMeans(3, standardize=how, random_state=26).fit(frame)
    ax = plot_clusters(frame[["c", "b", "a"]], model)
    assert ax.get_xlabel().replace("\n", " ").endswith(" of standardized features")
    standardized = (frame.to_numpy() - model.feature_offset_) / model.feature_scale_
    inner = plot_clusters(
        standardized, model.labels_, (model.cluster_centers_ - model.feature_offset_) / model.feature_scale_
    )
    for one, other in zip(ax.collections, inner.collections, strict=True):
        np.testing.assert_allclose(np.asarray(one.get_offsets()), np.asarray(other.get_offsets()), atol=1e-9)
    units = plot_clusters(frame, model, x="b", y="a")
    assert {tuple(row) for row in samples_of(units)[0]} == {tuple(row) for row in frame[["b", "a"]].to_numpy()}
    assert units.get_xlabel() == "b"
    silhouettes = [patch.get_data().values for patch in plot_silhouette(frame, model).patches]
    expected = [patch.get_data().values for patch in plot_silhouette(standardized, model.labels_).patches]
    assert all(one == pytest.approx(other) for one, other in zip(silhouettes, expected, strict=True))


def test_labels_must_be_given_where_there_is_no_column_of_them(frame):
    with pytest.raises(ValueError, match="labels must be a fitted model, an array or the name of a column; got None"):
        plot_clusters(frame)
    with pytest.raises(ValueError, match="X has no columns with names"):
        plot_silhouette(frame.to_numpy(), "labels")


@pytest.mark.parametrize("name", PLOTS)
def test_a_pipeline_is_drawn_as_its_model_sees_the_samples(name, frame):
    pipeline_of = pytest.importorskip("sklearn.pipeline").make_pipeline
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler().set_output(transform="pandas")
    pipeline = pipeline_of(scaler, KMeans(3, random_state=11)).fit(frame)
    picture = PLOTS[name](frame[["c", "a", "b"]].assign(city="x"), pipeline)
    inner = PLOTS[name](scaler.transform(frame), pipeline[-1])
    for ours, its in zip(figure_of(picture).axes, figure_of(inner).axes, strict=True):
        for one, other in zip(ours.collections, its.collections, strict=True):
            assert np.array_equal(one.get_offsets(), other.get_offsets())
        for one, other in zip(ours.images, its.images, strict=True):
            np.testing.assert_allclose(one.get_array(), other.get_array(), atol=1e-9)
        for one, other in zip(ours.patches, its.patches, strict=True):
            assert np.array_equal(one.get_data().values, other.get_data().values)
    if name not in ("silhouettes", "centers"):
        texts = [text.get_text() for text in figure_of(picture).findobj(matplotlib.text.Text)]
        assert any(text.replace("\n", " ").endswith(" after StandardScaler") for text in texts)


@pytest.mark.filterwarnings("ignore:.*of the total variance")
def test_centers_of_a_pipeline_are_in_units_of_its_input_if_its_steps_can_be_undone(frame):
    pipeline_of = pytest.importorskip("sklearn.pipeline").make_pipeline
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    pipeline = pipeline_of(preprocessing.StandardScaler(), KMeans(3, random_state=13)).fit(frame)
    numbers = frame.groupby(pipeline[-1].labels_).mean().to_numpy().ravel()
    for ax in (plot_centers(pipeline), plot_centers(pipeline, frame), plot_centers(frame, pipeline)):
        texts = [text.get_text().replace(",", "").replace("\N{MINUS SIGN}", "-") for text in ax.texts]
        largest = np.abs(numbers).max()
        np.testing.assert_allclose([float(text) for text in texts], numbers, atol=0.02 * largest)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == list(frame.columns) and ax.get_title() == ""
    one_way = preprocessing.FunctionTransformer(np.arcsinh)
    for step in (preprocessing.Normalizer(), one_way):  # neither can be undone, though the second has the method
        pipeline = pipeline_of(step, KMeans(3, random_state=13)).fit(frame)
        assert plot_centers(pipeline).get_title() == f"scaled features: after {type(step).__name__}"


def test_names_of_pairs_are_wrapped_and_within_the_figure(frame):
    pipeline_of = pytest.importorskip("sklearn.pipeline").make_pipeline
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    long = frame.set_axis(["mean weight of a fully grown bird", "length of its wings", "x"], axis=1)
    figure = plot_pairs(long, pipeline_of(scaler, KMeans(3, random_state=14)).fit(long))
    figure.canvas.draw()
    assert figure.get_suptitle() == "features after StandardScaler"
    names = [axis.label for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) if axis.label.get_text()]
    assert len(names) == 5 and not any("StandardScaler" in name.get_text() for name in names)
    boxes = [name.get_window_extent() for name in names]
    for box in boxes:
        assert (
            figure.bbox.x0 <= box.x0
            and box.x1 <= figure.bbox.x1
            and figure.bbox.y0 <= box.y0
            and box.y1 <= figure.bbox.y1
        )
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_texts_beside_samples_may_be_a_column(frame):
    named = frame.assign(who=[f"row {i}" for i in range(len(frame))])
    model = KMeans(3, random_state=15).fit(frame)
    by_name = plot_clusters(named, model, sample_names="who")
    assert np.array_equal(pixels(by_name), pixels(plot_clusters(named, model, sample_names=named["who"].tolist())))
    assert "row 7" in {text.get_text() for text in by_name.texts}
    with pytest.raises(ValueError, match="name of a column; got 'whom', and X has the columns"):
        plot_clusters(named, model, sample_names="whom")


def test_a_pipeline_of_the_model_alone_is_the_model(frame):
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline(KMeans(3, random_state=12)).fit(frame)
    assert np.array_equal(pixels(plot_clusters(frame, pipeline)), pixels(plot_clusters(frame, pipeline[-1])))


def test_a_pipeline_that_is_not_fitted_is_refused(frame):
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline(KMeans(3))
    with pytest.raises(NotFittedError, match="plot_pairs"):
        plot_pairs(frame, pipeline)


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


def difference(one, other, sight):
    """Distance of two colours in CIE L*a*b*; 2.3 is the smallest that is noticed side by side."""
    seen = []
    for color in (one, other):
        srgb = np.array(to_rgb(color))
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        seen.append(lab(np.clip(np.array(BLIND[sight]) @ linear, 0, 1)))
    return np.linalg.norm(seen[0] - seen[1])


def axes_on(background):
    ax = Figure().add_subplot()
    ax.set_facecolor(background)
    return ax


@pytest.mark.parametrize(("background", "least"), [("white", 17.5), ("black", 12), ("#002b36", 6)])
@pytest.mark.parametrize("sight", BLIND)
def test_the_ten_colours_stay_apart_for_the_colour_blind(sight, background, least):
    colors = on_background(COLORS, axes_on(background))
    assert min(difference(one, other, sight) for one, other in combinations(colors, 2)) >= least


def test_colours_that_are_alike_are_those_that_the_table_lists():
    pairs = combinations(range(len(COLORS)), 2)
    close = [(i, j) for i, j in pairs if min(difference(COLORS[i], COLORS[j], sight) for sight in BLIND) < 30]
    assert close == list(ALIKE)


def triangulated(places):
    return Triangulation(places[:, 0], places[:, 1]).edges


POSITIONS = {  # kind -> (maker of positions, edges between neighbours)
    "random": (lambda rng, n: rng.normal(size=(n, 2)), triangulated),
    "grid": (
        lambda rng, n: rng.permutation(np.stack(np.divmod(np.arange(n), 7), axis=1).astype(float)),
        lambda places: np.argwhere(np.triu(np.abs(places[:, None] - places).sum(axis=2) == 1)),
    ),
    "line": (
        lambda rng, n: np.column_stack([np.arange(n), np.zeros(n)]).astype(float),
        lambda places: np.column_stack([np.arange(len(places) - 1), np.arange(1, len(places))]),
    ),
    "pairs at one place": (
        lambda rng, n: np.repeat(rng.normal(size=(n, 2)), 2, axis=0)[:n],
        lambda places: np.arange(len(places) // 2 * 2).reshape(-1, 2),
    ),
    "all at one place": (lambda rng, n: np.ones((n, 2)), lambda places: [(0, j) for j in range(1, len(places))]),
}


@pytest.mark.parametrize("n_clusters", [11, 12, 40, 300])
@pytest.mark.parametrize("kind", POSITIONS)
def test_neighbours_in_the_plane_differ_for_everyone(kind, n_clusters, rng):
    make, edges = POSITIONS[kind]
    places = make(rng, n_clusters)
    marks = marks_of_clusters(places, axes_on("white"))
    for one, other in np.asarray(edges(places)).tolist():
        for sight in BLIND:
            assert difference(marks[one].color, marks[other].color, sight) > 17.5


def test_clusters_of_one_colour_differ_in_their_markers(rng):
    marks = marks_of_clusters(rng.normal(size=(50, 2)), axes_on("white"))
    assert len(set(marks)) == 50
    assert len({mark.color for mark in marks}) == 10


def test_up_to_ten_clusters_have_the_colours_in_their_order(rng):
    for n_clusters in (1, 5, 10):
        marks = marks_of_clusters(np.full((n_clusters, 2), np.nan), axes_on("white"))
        assert marks == [(color, "o") for color in COLORS[:n_clusters]]


def test_clusters_that_are_not_drawn_take_no_colour_from_others(rng):
    places = rng.normal(size=(30, 2))
    places[::3] = np.nan
    marks = marks_of_clusters(places, axes_on("white"))
    there = np.flatnonzero(np.isfinite(places[:, 0]))
    for one, other in there[triangulated(places[there])].tolist():
        assert marks[one].color != marks[other].color


# ---------------------------------------------------------------- styles

STYLES = ["default", "dark_background", "ggplot", "grayscale", "Solarize_Light2", "fivethirtyeight"]


def contrast(one, other):
    one, other = luminance(to_rgb(one)), luminance(to_rgb(other))
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("name", STYLES)
def test_pictures_take_their_background_and_their_text_from_the_style(name, frame):
    with style.context(name):
        model = KMeans(3, random_state=13).fit(frame)
        for draw in PLOTS.values():
            figure = figure_of(draw(frame, model))
            assert figure.get_facecolor() == matplotlib.colors.to_rgba(matplotlib.rcParams["figure.facecolor"])
            for ax in figure.axes:
                behind = ax.get_facecolor()
                assert behind == matplotlib.colors.to_rgba(matplotlib.rcParams["axes.facecolor"])
                if not ax.images:  # there, cells are behind the numbers
                    for text in ax.texts:
                        outside = text.get_transform() == ax.get_yaxis_transform()
                        assert contrast(text.get_color(), figure.get_facecolor() if outside else behind) > 3
                assert ax.xaxis.label.get_color() == matplotlib.rcParams["axes.labelcolor"]


@pytest.mark.parametrize("background", ["white", "black", "#22303c"])
def test_numbers_beside_stars_can_be_read_on_any_axes(background, frame):
    ax = plot_clusters(frame, KMeans(3, random_state=14).fit(frame), ax=axes_on(background))
    assert all(contrast(text.get_color(), background) >= LEAST_CONTRAST for text in ax.texts)
    assert all(contrast(color, background) >= LEAST_CONTRAST or background == "white" for color in samples_of(ax)[1])


def test_usual_cells_have_the_colour_of_a_dark_background(rng):
    X = rng.normal(size=(200, 3))
    ax = plot_centers([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], X=X - X.mean(axis=0), ax=axes_on("black"))
    image = ax.images[0]
    assert image.to_rgba(np.zeros(1))[0] == pytest.approx([0, 0, 0, 1], abs=0.02)


# ---------------------------------------------------------------- nothing covers anything


def extents(artists, renderer):
    return [artist.get_window_extent(renderer) for artist in artists if artist.get_visible()]


def overlapping(boxes):
    def overlap(one, other):
        return (
            one.x0 < other.x1 - 0.5 and other.x0 < one.x1 - 0.5 and one.y0 < other.y1 - 0.5 and other.y0 < one.y1 - 0.5
        )

    return [pair for pair in combinations(boxes, 2) if overlap(*pair)]


def renderer_of(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


@pytest.mark.parametrize("n_clusters", [2, 12, 40, 200])
@pytest.mark.parametrize("size", [(7.5, 5.2), (2.5, 2.0)])
def test_numbers_of_clusters_never_cover_each_other(n_clusters, size, rng):
    X = rng.normal(size=(5 * n_clusters, 2))
    figure = Figure(figsize=size, layout="constrained")
    ax = plot_clusters(X, np.arange(len(X)) % n_clusters, X[:n_clusters], ax=figure.add_subplot())
    renderer = renderer_of(figure)
    shown = [text for text in ax.texts if text.get_visible()]
    assert overlapping(extents(shown, renderer)) == []
    frame = ax.get_window_extent(renderer)
    for text in shown:
        extent = text.get_window_extent(renderer)
        assert frame.x0 <= extent.x0 and extent.x1 <= frame.x1 and frame.y0 <= extent.y0 and extent.y1 <= frame.y1
    if n_clusters == 2:
        assert len(shown) == 2


def test_names_of_samples_cover_neither_each_other_nor_the_numbers(rng):
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(5, 1, size=(60, 2))])
    model = KMeans(2, random_state=15).fit(X)
    ax = plot_clusters(X, model, sample_names=[f"sample {i}" for i in range(120)])
    shown = [text for text in ax.texts if text.get_visible()]
    assert overlapping(extents(shown, renderer_of(ax.figure))) == []
    shown = [text.get_text() for text in ax.texts if text.get_visible()]
    assert {"0", "1"} <= set(shown)
    assert 10 < len(shown) < 122
    for text in ax.texts[2:]:
        assert text.xy == pytest.approx(X[int(text.get_text().split()[1])])


def test_texts_are_placed_anew_when_the_axes_change(rng):
    X = rng.normal(size=(40, 2))
    ax = plot_clusters(X, np.arange(40) % 20, X[:20])
    renderer = renderer_of(ax.figure)
    few = sum(text.get_visible() for text in ax.texts)
    ax.set_xlim(X[0, 0] - 0.01, X[0, 0] + 0.01)
    ax.set_ylim(X[0, 1] - 0.01, X[0, 1] + 0.01)
    renderer = renderer_of(ax.figure)
    shown = [text.get_text() for text in ax.texts if text.get_visible()]
    assert few > 1
    assert shown == ["0"]
    assert overlapping(extents(ax.texts, renderer)) == []


@pytest.mark.parametrize("n_clusters", [3, 12])
def test_four_pictures_in_one_figure_do_not_overlap(n_clusters, blobs, seed):
    X, _ = blobs(400, 4, n_clusters, np.float64)
    model = KMeans(n_clusters, random_state=seed).fit(X)
    figure = Figure(figsize=(11, 8), layout="constrained")
    grid = figure.subplots(2, 2)
    plot_clusters(
        X, model, ax=grid[0, 0], title="A title that is rather long for a picture as narrow as this one is here"
    )
    plot_silhouette(X, model, ax=grid[0, 1])
    plot_centers(model, X=X, ax=grid[1, 0])
    plot_elbow(elbow(X, 14, random_state=seed), ax=grid[1, 1])
    renderer = renderer_of(figure)
    boxes = [ax.get_tightbbox(renderer) for ax in grid.flat]
    assert overlapping(boxes) == []
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
    for ax in grid.flat:
        for axis in (ax.xaxis, ax.yaxis):
            assert overlapping(extents([tick.label1 for tick in axis.get_major_ticks()], renderer)) == []


@pytest.mark.parametrize("n_samples", [1, 2, 10, 24])
def test_stars_are_below_the_samples_of_small_clusters(n_samples, rng):
    X = rng.normal(size=(n_samples, 2))
    ax = plot_clusters(X, np.arange(n_samples) % 2, X[:2])
    (stars,) = [each for each in ax.collections if each.get_label() == "centers"]
    layers = [each for each in ax.collections if each.get_label() == "samples"]
    assert sum(len(each.get_offsets()) for each in layers) == n_samples
    assert all(each.get_zorder() > stars.get_zorder() for each in layers)


def test_a_small_cluster_among_large_ones_is_above_the_stars(rng):
    X = np.concatenate([rng.normal(size=(500, 2)), [[0.1, 0.1], [0.2, 0.2]]])
    labels = np.repeat([0, 1], [500, 2])
    ax = plot_clusters(X, labels, [X[:500].mean(axis=0), [0.15, 0.15]])
    (stars,) = [each for each in ax.collections if each.get_label() == "centers"]
    above = [each.get_offsets() for each in ax.collections if each.get_zorder() > stars.get_zorder()]
    assert np.array_equal(np.concatenate(above), X[500:])


@pytest.mark.parametrize("shape", [(3, 2), (6, 5), (4, 20), (4, 60), (12, 20)])
def test_numbers_in_cells_and_names_of_features_fit(shape, rng):
    ax = plot_centers(1000 * rng.normal(size=shape))
    renderer = renderer_of(ax.figure)
    assert overlapping(extents(ax.texts, renderer)) == []
    assert len(ax.texts) == (0 if shape[1] == 60 else shape[0] * shape[1])
    names = [tick.label1 for tick in ax.xaxis.get_major_ticks()]
    if names[0].get_rotation() != 45:  # the box around a slanting text is wider than the text
        assert overlapping(extents(names, renderer)) == []


@pytest.mark.parametrize("n_features", [2, 3])
def test_a_long_legend_of_pairs_covers_no_panel(n_features, rng):
    X = rng.normal(size=(240, n_features))
    figure = plot_pairs(X, np.arange(240) % 20)
    renderer = renderer_of(figure)
    boxes = [figure.legends[0].get_window_extent(renderer), *(ax.get_tightbbox(renderer) for ax in figure.axes)]
    assert overlapping(boxes) == []


def test_a_figure_without_a_layout_keeps_the_legend_within_its_axes(rng):
    X = rng.normal(size=(30, 2))
    for n_clusters in (3, 9):
        left, _ = Figure().subplots(1, 2)
        plot_clusters(X, np.arange(30) % n_clusters, ax=left)
        if n_clusters == 9:
            assert left.get_legend() is None
        else:
            renderer = renderer_of(left.figure)
            assert left.get_legend().get_window_extent(renderer).x1 <= left.get_window_extent(renderer).x1


# ---------------------------------------------------------------- outliers


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("n_outliers", [1, 3])
def test_extreme_outliers_lie_outside_and_are_counted(n_features, n_outliers, rng):
    X = rng.normal(size=(300, n_features))
    X[:n_outliers] *= 1e6
    ax = plot_clusters(X, np.arange(300) % 2)
    offsets = samples_of(ax)[0]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    inside = (left <= offsets[:, 0]) & (offsets[:, 0] <= right) & (bottom <= offsets[:, 1]) & (offsets[:, 1] <= top)
    assert (~inside).sum() == n_outliers
    assert right - left < 20
    lies = "1 outlier lies" if n_outliers == 1 else f"{n_outliers} outliers lie"
    assert ax.get_title() == f"{lies} outside of the frame"
    assert n_features < 3 or "without outliers" in ax.get_xlabel()
    renderer = renderer_of(ax.figure)
    for label in (ax.xaxis.label, ax.yaxis.label):
        extent, whole = label.get_window_extent(renderer), ax.figure.bbox
        assert whole.x0 <= extent.x0 and extent.x1 <= whole.x1 and whole.y0 <= extent.y0 and extent.y1 <= whole.y1


def test_a_center_outside_of_the_frame_is_named(rng):
    X = rng.normal(size=(200, 2))
    X[7] = 1e5
    ax = plot_clusters(X, KMeans.from_centers([[1e5, 1e5], [0.0, 0.0]]))
    assert ax.get_title() == "1 outlier and the center of cluster 0 lie outside of the frame"
    assert legend_texts(ax)[:2] == ["cluster 0 (1)", "cluster 1 (199)"]


@pytest.mark.parametrize("kind", ["normal", "uniform", "exponential", "far small cluster", "constant but for one"])
def test_samples_without_extreme_outliers_are_all_inside(kind, rng):
    X = {
        "normal": lambda: rng.normal(size=(5000, 2)),
        "uniform": lambda: rng.uniform(size=(5000, 2)),
        "exponential": lambda: rng.exponential(size=(500, 2)),
        "far small cluster": lambda: np.concatenate([rng.normal(size=(990, 2)), rng.normal(10, 1, size=(10, 2))]),
        "constant but for one": lambda: np.eye(30, 2),
    }[kind]()
    ax = plot_clusters(X, np.zeros(len(X), dtype=int))
    pixels(ax)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    offsets = samples_of(ax)[0]
    assert left <= offsets[:, 0].min() and offsets[:, 0].max() <= right
    assert bottom <= offsets[:, 1].min() and offsets[:, 1].max() <= top
    assert ax.get_title() == ""


@settings(max_examples=60, deadline=None)
@example(X=np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), n_clusters=1)
@given(
    X=arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.floats(-1e9, 1e9, width=32)),
    n_clusters=st.integers(1, 15),
)
def test_whatever_the_samples_those_outside_of_the_frame_are_counted(X, n_clusters):
    ax = plot_clusters(X, np.arange(len(X)) % n_clusters, ax=Figure().add_subplot())
    offsets = samples_of(ax)[0]
    assert len(offsets) == len(X)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    inside = (left <= offsets[:, 0]) & (offsets[:, 0] <= right) & (bottom <= offsets[:, 1]) & (offsets[:, 1] <= top)
    told = re.match(r"(\d+) outlier", ax.get_title().replace("\n", " "))
    assert (~inside).sum() == (0 if told is None else int(told[1]))


@pytest.mark.parametrize("scale", [1e-140, 1e-30, 1e30, 1e140])
@pytest.mark.parametrize("name", PLOTS)
def test_samples_of_any_magnitude_are_drawn(name, scale, frame):
    X = scale * frame.to_numpy()
    centers = scale * np.array([[0.0, 100.0, 5.0], [10.0, 120.0, 5.0], [20.0, 100.0, 9.0]])
    assert pixels(PLOTS[name](X, KMeans.from_centers(centers))).size


# ---------------------------------------------------------------- words of the user's own


def test_names_title_and_features_are_those_that_were_asked_for(frame):
    model = KMeans(3, random_state=16).fit(frame)
    ax = plot_clusters(frame, model, x="c", y=0, names=["low", "middle", "high"], title="Towns")
    sizes = np.bincount(model.labels_)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("c", "b", "Towns")
    assert legend_texts(ax)[:3] == [f"{name} ({size})" for name, size in zip(["low", "middle", "high"], sizes)]
    assert [text.get_text() for text in ax.texts] == ["low", "middle", "high"]
    assert {tuple(row) for row in samples_of(ax)[0]} == {tuple(row) for row in frame[["c", "b"]].to_numpy()}
    alone = plot_clusters(frame, model, x="a")
    assert (alone.get_xlabel(), alone.get_ylabel()) == ("a", "random height")
    silhouettes = plot_silhouette(frame, model, names=["low", "middle", "high"], title="Towns")
    assert silhouettes.get_title().splitlines()[0] == "Towns"
    assert [tick.get_text().split()[0] for tick in silhouettes.get_yticklabels()] == ["low", "middle", "high"]
    centers = plot_centers(model, names=["low", "middle", "high"], title="Towns")
    assert centers.get_title() == "Towns"
    assert [tick.get_text().split()[0] for tick in centers.get_yticklabels()] == ["low", "middle", "high"]


def test_names_of_clusters_stand_in_them_where_there_are_no_stars(frame):
    labels = KMeans(3, random_state=17).fit_predict(frame)
    ax = plot_clusters(frame, labels, x="b", y="a", names=["p", "q", "r"])
    for label, text in enumerate(ax.texts):
        assert text.get_text() == "pqr"[label]
        assert text.xy == pytest.approx(frame.loc[labels == label, ["b", "a"]].median().to_numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": "z"}, "x must be the name of a feature or its number, 0 to 2; got 'z'. The features are 'b', 'a', 'c'"),
        ({"x": 0, "y": 3}, "y must be the name of a feature"),
        ({"y": 1}, "pass x, too"),
        ({"names": ["p"]}, "names must be a list of names for the 3 clusters; got 1 names"),
        ({"names": "pqr"}, "names must be a list of names for the 3 clusters; got 'pqr'"),
        ({"sample_names": ["p"]}, "sample_names must be a list of texts for the 120 samples; got 1"),
    ],
)
def test_words_that_do_not_fit_are_refused(arguments, message, frame):
    with pytest.raises(ValueError, match=re.escape(message)):
        plot_clusters(frame, KMeans(3, random_state=18).fit(frame), **arguments)


# ---------------------------------------------------------------- the elbow


@pytest.fixture(scope="module")
def iris():
    """Two clusters are apart here, and the curve bends at three."""
    rng = np.random.default_rng(19)
    return np.concatenate([rng.normal(center, 0.35, size=(50, 2)) for center in [(0, 0), (4, 3), (5, 4.2)]])


@pytest.fixture(scope="module")
def result(iris):
    return elbow(iris, 8, random_state=19, gap=True)


def test_the_choice_and_the_bend_are_told_apart(result):
    ax = plot_elbow(result)
    bends = sorted({k for k in result.knees.values() if k is not None})
    first, last = ax.get_title().split("; ")
    assert first == f"chosen: k = {result.best_k}"
    assert [int(k) for k in re.findall(r"k = (\d+)", last)] == (
        bends if len(set(result.knees.values())) == 1 else [k for k in result.knees.values() if k is not None]
    )
    ring = next(line for line in ax.lines if line.get_label() == f"chosen: k = {result.best_k}")
    marks = {int(line.get_xdata()[0]): line for line in ax.lines if line.get_label().startswith("bend")}
    assert sorted(marks) == bends
    assert all(line.get_marker() != ring.get_marker() for line in marks.values())
    assert all(line.get_color() != ring.get_color() for line in marks.values())
    named = " ".join(legend_texts(ax))
    assert all(name in named for name, k in result.knees.items() if k is not None)


@pytest.mark.parametrize("k", [range(1, 9), [2, 3, 4, 6, 9, 30, 31], [1, 2, 3, 50, 51, 52, 53, 54, 55, 56], [3]])
def test_ticks_are_numbers_of_clusters_that_were_tried(k, iris):
    ax = plot_elbow(elbow(iris, k, random_state=20))
    renderer = renderer_of(ax.figure)
    ticks = ax.get_xticks().tolist()
    assert set(ticks) <= set(k)
    assert {min(k), max(k)} & set(ticks)
    assert overlapping(extents([tick.label1 for tick in ax.xaxis.get_major_ticks()], renderer)) == []


def test_a_weak_choice_is_called_so(rng):
    result = elbow(
        rng.normal(size=(300, 2)) + np.repeat([[0.0, 0.0], [5.0, 5.0], [9.0, 0.0]], 100, axis=0), random_state=16
    )
    assert "resamples" not in plot_elbow(result).get_title()
    weak = dataclasses.replace(result, confidence=0.614, runner_up=2)
    assert "chosen: k = 3 (in 61 of 100 resamples; next best: k = 2)" in plot_elbow(weak).get_title().replace("\n", " ")


def test_criteria_that_do_not_agree_on_the_bend_are_named(result):
    split = dataclasses.replace(result, knees={"kneedle": 4, "chord": None})
    assert plot_elbow(split).get_title().endswith("; bend by kneedle: k = 4, by chord: none")
    assert "bend: k = 4 (kneedle)" in legend_texts(plot_elbow(split))
    straight = dataclasses.replace(result, knees={"kneedle": None, "chord": None})
    assert plot_elbow(straight).get_title() == f"chosen: k = {result.best_k}; the curve does not bend"
    assert not any("bend" in text for text in legend_texts(plot_elbow(straight)))


def test_samples_without_clusters_have_the_inertia_of_the_gap_statistic(result):
    (curve,) = [line for line in plot_elbow(result).lines if line.get_label().startswith("no clusters")]
    assert curve.get_ydata() == pytest.approx(result.inertia * np.exp(result.gap))
    assert curve.get_label() == "no clusters: uniform samples"


def test_without_the_gap_it_is_the_power_of_k_through_both_ends(iris):
    result = elbow(iris, 8, random_state=21)
    (curve,) = [line for line in plot_elbow(result).lines if line.get_label().startswith("no clusters")]
    assert curve.get_ydata()[[0, -1]] == pytest.approx(result.inertia[[0, -1]])
    slopes = np.diff(np.log(curve.get_ydata())) / np.diff(np.log(result.k))
    assert slopes == pytest.approx(np.full(7, slopes[0]))


METRICS = [
    "inertia", "explained_variance", "calinski_harabasz", "davies_bouldin", "simplified_silhouette", "silhouette",
    "separation", "bic", "gap", "n_iter",
]  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_every_column_can_be_drawn(metric, result):
    ax = plot_elbow(result, metric)
    assert ax.lines[0].get_ydata() == pytest.approx(getattr(result, metric), nan_ok=True)
    chosen = next(line for line in ax.lines if line.get_label() == f"chosen: k = {result.best_k}")
    assert chosen.get_ydata()[0] == getattr(result, metric)[result.k == result.best_k][0]
    if metric != "inertia":
        assert "bends" not in ax.get_title()


def test_the_evidence_stands_side_by_side(result):
    axes = plot_elbow(result, ["inertia", "silhouette", "seconds"])
    assert [ax.get_ylabel().split(" (")[0] for ax in axes] == ["inertia", "mean silhouette", "seconds"]
    assert [bar.get_height() for bar in axes[2].patches] == pytest.approx(result.seconds)
    best = next(line for line in axes[1].lines if line.get_label().startswith("highest"))
    assert best.get_xdata()[0] == result.agreement["silhouette"]
    renderer = renderer_of(axes[0].figure)
    assert overlapping([ax.get_tightbbox(renderer) for ax in axes]) == []
    given = Figure().subplots(1, 2)
    assert plot_elbow(result, ("bic", "gap"), ax=given) == list(given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "gini"}, "metric must be one of 'inertia', .*; got 'gini'"),
        ({"metric": "gap"}, r"call elbow\(X, gap=True\)"),
        ({"metric": []}, "at least one column"),
        ({"metric": ["bic", "inertia"], "ax": [1]}, "one for each of 2 metrics; got 1"),
    ],
)
def test_columns_that_are_not_there_are_refused(arguments, message, iris):
    with pytest.raises(ValueError, match=message):
        plot_elbow(elbow(iris, 3, random_state=22), **arguments)


# ---------------------------------------------------------------- pairs


@pytest.mark.parametrize("n_features", [2, 3, 6])
def test_every_pair_of_features_has_its_plane_and_each_its_histogram(n_features, blobs, seed):
    X, _ = blobs(150, n_features, 3, np.float64)
    model = KMeans(3, random_state=seed).fit(X)
    figure = plot_pairs(X, model)
    planes = [ax for ax in figure.axes if ax.collections]
    histograms = [ax for ax in figure.axes if not ax.collections]
    assert len(planes) == n_features * (n_features - 1) // 2
    assert len(histograms) == n_features
    pairs = [(column, row) for row in range(n_features) for column in range(row)]
    for ax, (column, row) in zip(planes, pairs, strict=True):
        assert {tuple(each) for each in samples_of(ax)[0]} == {tuple(each) for each in X[:, [column, row]]}
        (stars,) = [each for each in ax.collections if each.get_label() == "centers"]
        assert np.array_equal(stars.get_offsets(), model.cluster_centers_[:, [column, row]])
    for ax in histograms:
        assert sum(patch.get_data().values.sum() for patch in ax.patches) == 2 * 150  # filled, and outlined
    assert [text.get_text() for text in figure.legends[0].get_texts()[:3]] == [
        f"cluster {label} ({size})" for label, size in enumerate(np.bincount(model.labels_))
    ]
    renderer = renderer_of(figure)
    assert overlapping([ax.get_tightbbox(renderer) for ax in figure.axes]) == []


def test_of_many_features_those_are_drawn_that_tell_the_clusters_apart(rng):
    labels = rng.integers(3, size=400)
    X = rng.normal(size=(400, 20))
    telling = [1, 4, 9, 11, 16, 18]
    X[:, telling] += 5 * rng.permuted(np.tile([0.0, 1.0, 2.0], (6, 1)), axis=1)[:, labels].T
    figure = plot_pairs(X, labels)
    assert [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()] == [f"feature {f}" for f in telling]
    assert figure.get_suptitle() == "the 6 of 20 features that tell the clusters apart best"
    chosen = plot_pairs(X, labels, features=[3, "feature 0"], title="Two")
    assert [ax.get_xlabel() for ax in chosen.axes if ax.get_xlabel()] == ["feature 3", "feature 0"]
    assert chosen.get_suptitle() == "Two"


def test_pairs_of_many_samples_and_of_outliers_say_so(rng):
    X = rng.normal(size=(20_000, 3))
    X[5] = 1e4
    figure = plot_pairs(X, (X[:, 0] > 0).astype(int) + (X[:, 0] > 100), max_points=1000)
    assert figure.get_suptitle() == "1,000 of 20,000 samples drawn\n1 outlier among these lies outside of the frames"


def test_pairs_can_be_drawn_into_a_part_of_a_figure(rng):
    parts = Figure(figsize=(12, 6), layout="constrained").subfigures(1, 2)
    X = rng.normal(size=(40, 3))
    assert plot_pairs(X, np.arange(40) % 2, figure=parts[1]) is parts[1]
    assert len(parts[1].axes) == 6
    assert len(parts[0].axes) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": [[1.0], [2.0]]}, "2 to 6 different ones; got 1"),
        ({"features": [0, 0]}, "2 to 6 different ones; got 2"),
        ({"features": ["z", 0]}, "features must be the name of a feature or its number, 0 to 2; got 'z'"),
        ({"max_points": 0}, "max_points must be an integer >= 1; got 0"),
    ],
)
def test_pairs_that_cannot_be_drawn_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_pairs(**{"X": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "labels": [0, 1], **arguments})


# ---------------------------------------------------------------- other estimators


def test_scikit_learns_models_are_drawn_too(frame):
    sklearn = pytest.importorskip("sklearn.cluster")
    model = sklearn.KMeans(3, n_init=2, random_state=23).fit(frame)
    for draw in PLOTS.values():
        assert pixels(draw(frame[["c", "a", "b"]], model)).size


def test_drawing_imports_no_scikit_learn(frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    model = KMeans(3, random_state=24).fit(frame)
    for draw in PLOTS.values():
        draw(frame, model)
