"""What `import fastkmeans` brings in: NumPy, and of the package only what every fit needs."""

import subprocess
import sys

import pytest

import fastkmeans

# Rooms and modules that serve some programs only. The first function that needs one of them imports it.
LATE = """
    cli display plotting quality selection sources storage streamed surfaces tables engines.streamed
    estimators.bisecting estimators.elbow estimators.functions estimators.minibatch estimators.notebook estimators.summary
    input.columns input.marks input.numbers
""".split()


@pytest.fixture(scope="module")
def imported():
    """The modules that are there after the import and were not before it."""
    code = (
        "import sys, numpy\nbefore = set(sys.modules)\nimport fastkmeans\nprint(*sorted(set(sys.modules) - before))\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stderr
    return set(child.stdout.split())


def test_it_imports_no_package_but_numpy(imported):
    foreign = {name.partition(".")[0] for name in imported} - {"fastkmeans", "numpy"} - sys.stdlib_module_names
    # Compiled modules make two, and an editable install adds what finds the package.
    ours = {"cython_runtime", "_memoryviews"}
    assert {name for name in foreign - ours if "editable" not in name and not name.startswith("_cython")} == set()


@pytest.mark.parametrize("late", LATE)
def test_it_leaves_out_what_some_programs_need(late, imported):
    begun = f"fastkmeans.{late}"
    assert [name for name in imported if name == begun or name.startswith(f"{begun}.")] == []


def test_every_public_name_is_there_when_asked_for():
    for name in fastkmeans.__all__:
        assert getattr(fastkmeans, name).__name__ == name, name
