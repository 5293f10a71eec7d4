"""The rules of the house, as tests: who may say what, who may import whom, and that every example runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastkmeans
from fastkmeans.algorithms.table import ALGORITHMS, SKLEARN_NAMES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "fastkmeans"
CORE = ROOT / "kmeans_core"
CODE = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h"}

needs_sources = pytest.mark.skipif(not CORE.is_dir(), reason="the repository is not around the tests")


def sources(*folders, suffixes=CODE):
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes)


def lines_with(pattern, paths, allowed=()):
    """'file:line: text' of every line that matches the pattern, outside the allowed files."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        if path.relative_to(ROOT).as_posix() not in allowed
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]


# ---------------------------------------------------------------- who may say what


def imported_roots(path):
    """First parts of the names of all modules that a Python file imports, anywhere in it."""
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add(node.module.split(".")[0])
    return roots


FRAMES = {  # library -> files that may import it
    "pandas": {"input/tables.py"},
    "polars": {"input/tables.py"},
    "narwhals": {"input/tables.py"},
    "dask": {"workers/collections.py"},
    "distributed": {
        "workers/calls.py",
        "workers/collections.py",
        "workers/dask.py",
        "workers/waiting.py",
    },
    # In the folder cli it parses and writes files.
    "pyarrow": {
        "input/tables.py",
        "sources/arrow.py",
        "cli/csv_numbers.py",
        "cli/csv_table.py",
        "cli/reading.py",
        "cli/streamed.py",
        "cli/writing.py",
    },
}


@needs_sources
@pytest.mark.parametrize("library", FRAMES)
def test_only_input_imports_a_dataframe_library(library):
    said = {
        path.relative_to(PACKAGE).as_posix()
        for path in sources(PACKAGE, suffixes={".py"})
        if library in imported_roots(path)
    }
    assert said <= FRAMES[library]
    assert lines_with(rf"\bimport {library}\b", sources(CORE)) == []


RULES = {  # rule -> (pattern, folders, files that may say it)
    "only *.pyx says prange": (r"\bprange\b", [PACKAGE, CORE], "*.pyx"),
    # A region of threads/gomp.c has one loop and no barrier that orders what is read: the shape of prange.
    "nobody opens a region but by prange": (r"\bparallel\s*\(", [PACKAGE, CORE], ""),
    "only threads/ starts threads, waits and asks OpenMP": (
        r"pthread_|futex|omp\.h|#\s*pragma\s+omp|\bomp_\w+\s*\(",
        [PACKAGE, CORE],
        "threads/*",
    ),
    "only vec.h says __AVX": (r"__(AVX|SSE|FMA__|ARM_NEON)", [PACKAGE, CORE], "vec.h"),
    "only vec.h holds intrinsics": (r"\b_mm\d*_\w+\(|immintrin\.h|arm_neon\.h", [PACKAGE, CORE], "vec.h"),
    "only dispatch.c asks the CPU": (r"cpuid|__builtin_cpu_|xgetbv|getauxval", [PACKAGE, CORE], "dispatch.c"),
    "kernels take no memory": (r"\b(m|c|re|aligned_)alloc\s*\(|\bfree\s*\(", [CORE / "kernels"], ""),
    "kernels know no Python": (r"Python\.h|\bPyObject\b", [CORE / "kernels"], ""),
}


@needs_sources
@pytest.mark.parametrize("rule", RULES)
def test_each_word_stays_in_its_file(rule):
    pattern, folders, allowed = RULES[rule]
    paths = [path for path in sources(*folders) if not (allowed and path.match(allowed))]
    assert lines_with(pattern, paths) == []


@needs_sources
def test_one_thing_has_one_name():
    banned = r"(?i)\b(centroids?|points|codebook)\b|\b(TODO|FIXME|XXX)\b"
    said = lines_with(banned, sources(PACKAGE, CORE))
    # surfaces/ speaks as the packages do whose classes it stands for.
    said = [line for line in said if not line.startswith("src/fastkmeans/surfaces/")]
    # scikit-learn's warning and verbose words, which its users filter by, and a unit of matplotlib's.
    foreign = ["duplicate points in X", '"offset points"', "New centroids from bisection"]
    assert [line for line in said if not any(phrase in line for phrase in foreign)] == []


@needs_sources
def test_no_line_of_the_core_is_wider_than_120_columns():
    """What ruff holds Python to; clang-format leaves comments as they are, and nothing formats Cython."""
    assert lines_with(r"^.{121}", sources(CORE)) == []


@needs_sources
def test_no_file_mentions_a_place_on_one_machine():
    paths = sources(PACKAGE, CORE, *(ROOT / name for name in ["tests", "benchmarks", "examples", "docs"]))
    paths += [path for path in ROOT.iterdir() if path.suffix in {".md", ".py", ".toml", ".build"}]
    assert lines_with(r"(?<![\w.:])/(home|work|root|Users|mnt|shared)/", paths) == []


# ---------------------------------------------------------------- who may import whom

# Arrows point down this list: a folder may import its own row and the rows below, late imports included, never above.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"__init__"},
    {"tables", "surfaces"},
    {"estimators"},
    {"selection"},
    {"plotting", "storage"},
    {"quality"},
    {"fitting"},
    {"settings"},
    {"metrics"},
    {"engines", "workers"},
    {"scaling"},
    {"rows"},
    {"sparse", "stored", "streamed"},
    {"samples"},
    {"drawing"},
    {"algorithms"},
    {"input", "sources"},
    {"runtime"},
    {"errors"},
    {"_core"},
    {"display", "types"},
]


def layer_of(name):
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def layers_imported_by(path):
    """Folders and modules right under the package that a file imports; imports for type checkers do not count."""
    depth = len(path.relative_to(PACKAGE).parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unread = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in unread:
            module = [part for part in (node.module or "").split(".") if part]
            if node.level == depth or (node.level == 0 and module[:1] == ["fastkmeans"]):
                inner = module if node.level else module[1:]
                found |= {inner[0]} if inner else {alias.name for alias in node.names if alias.name != "__version__"}
    return found


def own_layer(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@needs_sources
def test_every_module_stands_in_a_layer():
    named = [name for layer in LAYERS for name in layer]
    assert len(named) == len(set(named))
    assert {own_layer(path) for path in sources(PACKAGE, suffixes={".py"})} == set(named)


@needs_sources
def test_imports_point_one_way():
    wrong = []
    for path in sources(PACKAGE, suffixes={".py"}):
        own = own_layer(path)
        for other in layers_imported_by(path):
            if layer_of(other) < layer_of(own):
                wrong.append(f"{path.relative_to(ROOT)} imports {other}")
    assert wrong == []


@needs_sources
def test_the_compiled_layer_imports_itself_alone():
    assert lines_with(r"^\s*(from|import) fastkmeans\b(?!\._core)", sources(CORE)) == []


@needs_sources
def test_the_cache_of_no_folder_is_installed():
    folders = {path.parent.name for path in sources(PACKAGE, suffixes={".py"})} - {PACKAGE.name}
    assert set(re.findall(r"'(\w+)'", (PACKAGE / "meson.build").read_text().partition("]")[0])) == folders


@needs_sources
def test_contributing_shows_every_file():
    """The tree at its head has one line per file, in folders, and no line of a file that is gone."""
    tree = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    shown, folders = set(), {}
    for line in tree.strip().splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        if name.endswith("/"):
            folders[depth] = name
        else:
            shown.add("".join(folders[level] for level in range(depth)) + name)
    there = {path for path in sources(PACKAGE, CORE) if path.parent != PACKAGE / "_core"}
    there -= {path for path in there if path.name == "__init__.py" and path.parent != PACKAGE}
    assert shown == {path.relative_to(ROOT).as_posix() for path in there}


OPTIONAL = set("pandas polars pyarrow narwhals matplotlib tqdm scipy sklearn joblib threadpoolctl".split())


def in_a_fresh_python(code):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    return child.stdout.split()


def test_importing_fastkmeans_imports_numpy_and_little_else():
    heavy = OPTIONAL | {"argparse", "asyncio", "unittest"}
    loaded = in_a_fresh_python("import fastkmeans, sys; print(*{name.split('.')[0] for name in sys.modules})")
    before = in_a_fresh_python("import numpy, sys; print(*{name.split('.')[0] for name in sys.modules})")
    assert (set(loaded) - set(before)) & heavy == set()


def test_fitting_an_array_imports_no_optional_library():
    loaded = in_a_fresh_python(
        "import fastkmeans, sys; m = fastkmeans.KMeans(2).fit([[0.0], [1.0], [5.0]]); m.predict([[2.0]]);"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    assert set(loaded) & OPTIONAL == set()


# ---------------------------------------------------------------- what is public

PUBLIC = [name for name in fastkmeans.__all__ if name != "__version__"]


def is_exception(name):
    value = getattr(fastkmeans, name)
    return isinstance(value, type) and issubclass(value, BaseException)


def test_the_public_names_are_these():
    assert set(PUBLIC) == {
        "KMeans",
        "MiniBatchKMeans",
        "BisectingKMeans",
        "k_means",
        "kmeans_plusplus",
        "elbow",
        "open_rows",
        "ElbowResult",
        "FastKMeans",
        "cluster",
        "ClusterSummary",
        "ClusteredTable",
        "plot_clusters",
        "plot_elbow",
        "plot_pairs",
        "plot_centers",
        "plot_silhouette",
        "silhouette_samples",
        "silhouette_score",
        "simplified_silhouette_samples",
        "simplified_silhouette_score",
        "calinski_harabasz_score",
        "davies_bouldin_score",
        "within_cluster_variation",
        "ConvergenceWarning",
        "FeatureScaleWarning",
        "NotFittedError",
    }
    assert set(PUBLIC) <= set(dir(fastkmeans))


@pytest.mark.parametrize("name", [name for name in PUBLIC if not is_exception(name)])
def test_public_names_have_numpydoc_docstrings_with_an_example(name):
    value = getattr(fastkmeans, name)
    text = inspect.getdoc(value) or ""
    assert re.match(r"[A-Z].+[.\n]", text), "starts with a sentence"
    assert re.search(r"^Examples\n-{8}\n(.*\n)*?\s*>>> ", text, re.M), "has an Examples section for doctest"
    if not isinstance(value, type):
        assert re.search(r"^Returns\n-{7}$", text, re.M)


def public_callables():
    """Public functions, classes and methods of ours by the name that users write, exceptions left out."""
    for name in PUBLIC:
        value = getattr(fastkmeans, name)
        if not is_exception(name):
            yield name, value
            if isinstance(value, type):
                for key, item in inspect.getmembers(value, callable):
                    if key[0] != "_" and str(getattr(item, "__module__", "")).startswith("fastkmeans"):
                        yield f"{name}.{key}", item


CALLABLES = dict(public_callables())


def described_parameters(value):
    """Names that the Parameters section of a docstring describes; None without the section."""
    section = re.search(r"^Parameters\n-{10}\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", inspect.getdoc(value) or "", re.M | re.S)
    if section is None:
        return None
    heads = re.findall(r"^\S.*$", section[1], re.M)
    return [name.lstrip("*") for head in heads for name in head.partition(" : ")[0].split(", ")]


@pytest.mark.parametrize("name", CALLABLES)
def test_the_parameters_described_are_those_of_the_signature(name):
    value, described = CALLABLES[name], described_parameters(CALLABLES[name])
    taken = [parameter for parameter in inspect.signature(value).parameters if parameter != "self"]
    if described is None and isinstance(value, type):
        return  # users do not make such an object; its docstring lists attributes
    assert sorted(described or []) == sorted(taken)


@pytest.mark.parametrize("name", [name for name in PUBLIC if is_exception(name)])
def test_public_exceptions_say_when_they_are_raised(name):
    assert len(inspect.getdoc(getattr(fastkmeans, name))) > 20


METHODS = [name for name, _ in inspect.getmembers(fastkmeans.KMeans, callable) if not name.startswith("_")]
IN_FULL = set("fit predict transform fit_predict fit_transform score save load from_centers summary".split())


@pytest.mark.parametrize("name", METHODS)
def test_every_public_method_of_kmeans_is_documented(name):
    text = inspect.getdoc(getattr(fastkmeans.KMeans, name)) or ""
    assert re.match(r"[A-Z].+[.\n]", text)
    if name in IN_FULL:
        assert re.search(r"^Parameters\n-{10}$", text, re.M)
        assert name == "save" or re.search(r"^Returns\n-{7}$", text, re.M)


@needs_sources
def test_the_version_is_written_once_and_read_everywhere():
    with open(ROOT / "pyproject.toml", "rb") as stream:
        assert fastkmeans.__version__ == tomllib.load(stream)["project"]["version"]


@needs_sources
def test_stubs_and_typing_marker_are_there():
    assert (PACKAGE / "py.typed").exists()
    for stub in sources(PACKAGE, suffixes={".pyi"}):
        parts = stub.relative_to(PACKAGE.parent).with_suffix("").parts
        module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            # A class with an underscore only describes an argument: no such class exists at run time.
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert hasattr(module, node.name), f"{stub.name} declares {node.name}"


@needs_sources
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_readme_names_the_paper_of_each_algorithm(name):
    papers = re.findall(r"^- (`.*?): (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert [paper for names, paper in papers if f'`"{name}"`' in names] == [ALGORITHMS[name].source]


@needs_sources
def test_the_readme_has_a_row_for_each_algorithm():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| algorithm | chosen for |")[2].partition("\n\n")[0]
    assert set(re.findall(r'^\| `"(\w+)"` \|', table, re.M)) == set(ALGORITHMS)


def test_the_docstring_of_kmeans_names_each_algorithm():
    names = re.search(r'^algorithm : \{"auto", (.*?)\}', inspect.getdoc(fastkmeans.KMeans), re.M)[1]
    assert {name.strip('"') for name in names.split(", ")} == ALGORITHMS.keys() | SKLEARN_NAMES.keys()


@needs_sources
def test_the_variants_of_dev_py_name_test_files_that_are_there():
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    named = {name for variant in dev.VARIANTS.values() for name in variant.tests}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@needs_sources
def test_pre_commit_runs_the_versions_of_dev_py():
    with open(ROOT / "pyproject.toml", "rb") as stream:
        lint = tomllib.load(stream)["project"]["optional-dependencies"]["lint"]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = re.findall(r'additional_dependencies: \["(.*?)"\]', hooks)
    assert pinned
    assert set(pinned) <= set(lint)


# ---------------------------------------------------------------- examples

MODULES = ["fastkmeans"] + [
    found.name
    for found in pkgutil.walk_packages(fastkmeans.__path__, "fastkmeans.")
    if not found.name.endswith("__main__")
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Examples may write files: here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name, empty_folder):
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


def python_blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


@needs_sources
@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_the_pages_run(page, empty_folder):
    """Blocks run in order and share their names; a block with prompts must also print what it shows."""
    names = {"__name__": "page"}
    blocks = python_blocks(ROOT / page)
    assert blocks
    for i, block in enumerate(blocks):
        if ">>>" in block:
            example = doctest.DocTestParser().get_doctest(block, names, f"{page} block {i}", page, 0)
            runner = doctest.DocTestRunner(optionflags=FLAGS)
            runner.run(example, clear_globs=False)
            names.update(example.globs)
            assert runner.summarize().failed == 0
        else:
            exec(compile(block, f"{page} block {i}", "exec"), names)
