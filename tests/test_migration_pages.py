"""The pages of docs/ name every parameter of the classes that they compare, and no others."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from fastkmeans import FastKMeans, KMeans
from fastkmeans.surfaces.faiss import Kmeans

DOCS = Path(__file__).resolve().parent.parent / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the repository is not around the tests")


def rows(page):
    """First cells of the table below the heading that begins with "Parameters"."""
    text = (DOCS / page).read_text(encoding="utf-8")
    table = re.search(r"^## Parameters of .*?\n\n(\|.*?)\n\n", text, re.M | re.S)[1]
    return {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def parameters(kind):
    named = inspect.signature(kind).parameters.values()
    return {parameter.name for parameter in named if parameter.kind != parameter.VAR_KEYWORD}


def test_the_page_for_scikit_learn_names_every_parameter():
    theirs = pytest.importorskip("sklearn.cluster").KMeans
    assert parameters(theirs) <= parameters(KMeans) == rows("from-scikit-learn.md")


def test_the_page_for_fastkmeans_names_every_parameter():
    assert rows("from-fastkmeans.md") == parameters(FastKMeans)


def test_the_page_for_faiss_names_every_parameter():
    faiss = pytest.importorskip("faiss")
    theirs = {name for name in dir(faiss.ClusteringParameters()) if name[0] != "_" and name not in ("this", "thisown")}
    assert theirs | parameters(Kmeans) | {"gpu", "progressive_dim_steps"} == rows("from-faiss.md")


@pytest.mark.parametrize("page", [path.name for path in sorted(DOCS.glob("from-*.md"))])
def test_every_file_that_a_page_links_is_there(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links or page == "from-fastkmeans.md"
    assert [link for link in links if not (DOCS / link).exists()] == []
