"""Laws of display/ and of what notebooks show: well-formed HTML that needs nothing from elsewhere, with names escaped."""

from __future__ import annotations

import html.parser
import re
import xml.etree.ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkmeans import KMeans, elbow
from fastkmeans.display.curve import curve
from fastkmeans.display.words import counted, percent, short_number

EVIL = "<script>alert(\"x\")</script> & 'co'"


def parsed(text):
    """The tree of HTML that is XML too, as ours is."""
    return xml.etree.ElementTree.fromstring(text)


def text_of(markup):
    return " ".join(part for part in parsed(markup).itertext() if not part.startswith("\n.fastkmeans"))


@pytest.fixture
def table(rng):
    return pd.DataFrame(rng.normal(size=(60, 2)), columns=["age", EVIL])


def shown(table):
    model = KMeans(3, random_state=4, standardize=True).fit(table)
    return {
        "unfitted": KMeans(3, tol=0.5),
        "defaults": KMeans(),
        "fitted": model,
        "of centers": KMeans.from_centers(table[:3]),
        "many clusters": KMeans(30, random_state=4).fit(table),
        "summary": model.summary(table),
        "summary without rows": model.summary(),
        "sweep": elbow(table, 6, random_state=4),
        "sweep of one k": elbow(table, [2], random_state=4),
        "sweep of cosine": elbow(table, 4, metric="cosine", random_state=4),
        "text init": KMeans(init=EVIL),
    }


SHOWN = list(shown(pd.DataFrame(np.random.default_rng(9).normal(size=(60, 2)), columns=["age", EVIL])))


@pytest.mark.parametrize("name", SHOWN)
def test_html_is_whole_escaped_and_needs_nothing_from_elsewhere(name, table):
    markup = shown(table)[name]._repr_html_()
    tree = parsed(markup)
    assert tree.get("class") == "fastkmeans"
    assert {"script", "link", "img", "iframe"}.isdisjoint(element.tag for element in tree.iter())
    assert not re.search(r"https?:|url\(|@import|src=", markup)
    html.parser.HTMLParser().feed(markup)


@pytest.mark.parametrize("name", ["fitted", "of centers", "summary", "text init"])
def test_names_are_shown_as_they_are(name, table):
    assert "alert" in text_of(shown(table)[name]._repr_html_())


def test_an_estimator_shows_what_was_set_and_what_was_found(table):
    models = shown(table)
    assert "not fitted" in text_of(models["unfitted"]._repr_html_())
    assert "tol 0.5" in text_of(models["unfitted"]._repr_html_())
    assert "all parameters as by default" in text_of(models["defaults"]._repr_html_())
    fitted = models["fitted"]
    said = text_of(fitted._repr_html_())
    assert "not fitted" not in said and "3 clusters, 60 rows, 2 features (standardised), converged after" in said
    for size in np.bincount(fitted.labels_):
        assert f" {size} " in said
    assert "and 20 more" in text_of(models["many clusters"]._repr_html_())


def test_a_sweep_marks_its_choice_in_table_and_curve(blobs):
    X, _ = blobs(150, 2, 3, "float64", std=0.2)
    result = elbow(X, 7, random_state=3)
    assert result.best_k == 3
    tree = parsed(result._repr_html_())
    (marked,) = [row for row in tree.iter("tr") if row.get("class") == "marked"]
    assert "".join(marked.itertext()).startswith("3")
    (dot,) = [circle for circle in tree.iter("circle") if circle.get("class") == "chosen"]
    dots = [float(circle.get("cx")) for circle in tree.iter("circle")]
    assert sorted(dots).index(float(dot.get("cx"))) == 2 and len(dots) == 7
    assert result.reason in text_of(result._repr_html_())


def test_a_sweep_without_choice_marks_none(rng):
    result = elbow(rng.normal(size=(300, 2)), 6, random_state=3)
    assert result.best_k is None
    markup = result._repr_html_()
    assert 'class="marked"' not in markup and 'class="chosen"' not in markup and "no best_k" in markup


@given(
    ys=st.lists(st.floats(0, 1e300), min_size=1, max_size=40),
    first=st.integers(1, 5),
    chosen=st.none() | st.integers(0, 39),
)
def test_a_curve_stays_in_its_picture(ys, first, chosen):
    xs = list(range(first, first + len(ys)))
    drawn = parsed(curve(xs, ys, chosen=None if chosen is None else xs[chosen % len(xs)], x_name="k", y_name="inertia"))
    width, height = float(drawn.get("width")), float(drawn.get("height"))
    places = re.findall(r"([\d.e+-]+),([\d.e+-]+)", drawn.find("path").get("d"))
    assert len(places) == len(ys)
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)
    ticks = [text.text for text in drawn.iter("text") if text.get("text-anchor") == "middle"]
    assert len(set(ticks)) == len(ticks) <= 12


def test_scikit_learn_draws_a_pipeline_that_ends_in_our_estimator(table):
    pytest.importorskip("sklearn", minversion="1.6")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), KMeans(n_clusters=2, random_state=7))
    assert "KMeans" in pipeline._repr_html_()
    assert "KMeans" in pipeline.fit(table)._repr_html_()


@given(st.integers(0, 10**9))
def test_one_is_singular_and_all_others_plural(count):
    assert counted(count, "row") == (f"{count:,} rows" if count != 1 else "1 row")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_short_number_keeps_four_digits(value):
    assert float(short_number(value).replace(",", "")) == float(f"{value:.4g}")


@given(st.floats(0, 1))
def test_a_percentage_is_0_or_100_only_if_it_is(share):
    assert (percent(share) == "0 %") == (share == 0)
    assert (percent(share) == "100 %") == (share == 1)
