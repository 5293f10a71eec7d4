"""Set up, demonstrate and test fastkmeans from a checkout. Needs Python >= 3.11 with venv and headers, and a C compiler.

    python3 dev.py demo            make .venv, build, run the elbow and fit commands on a real table
    python3 dev.py test            make .venv, build, run the tests
    python3 dev.py lint            make .venv, build, check style, spelling and types
    python3 dev.py variant NAME    make .venv, build once more with other options, run the tests that these options concern;
                                   NAME: {names}
    python3 dev.py build           make .venv and build only

What follows `test` or `variant NAME` goes on to pytest. Standard library only. Everything goes into .venv and build/ beside
this file; a second call reuses them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
BUILD_TOOLS = ["meson-python>=0.19", "meson>=1.6", "Cython>=3.1,<4", "ninja"]
EXTRAS = {"build": "plot,io", "demo": "plot,io", "test": "plot,io,test", "lint": "plot,io,test,lint"}
EXTRAS["variant"] = EXTRAS["test"]
STAMPED = ["pyproject.toml", "dev.py"]


class Variant(NamedTuple):
    """A build that differs from the one that users get.

    options : options of meson setup.
    tests : the test files that run, and other arguments of pytest.
    preloaded : a library of gcc that is loaded before Python, or "" for none.
    environment : environment variables while the tests run.
    """

    options: list[str]
    tests: list[str]
    preloaded: str = ""
    environment: dict[str, str] = {}


def files(names: str) -> list[str]:
    """Return the paths of test files."""
    return [f"tests/test_{name}.py" for name in names.split()]


# The tests that reach every kernel.
CORE = "containers exactness judge kernels laws prefix quantized seeding tiles yinyang"
VARIANTS = {
    # Cython compares each index with the length of its array.
    "checks": Variant(["-Dchecks=true"], files(f"{CORE} exchange quality sweep threads")),
    "serial": Variant(["-Dopenmp=disabled"], files(f"{CORE} fork interrupt threads")),
    # What other compilers than gcc on Linux get.
    "openmp": Variant(["-Dpool=disabled"], files(f"{CORE} fork interrupt threads")),
    # gcc's checks of memory. Python itself leaks at its exit, and tests ask NumPy for more memory than there is.
    "address": Variant(
        ["-Db_sanitize=address", "-Db_lundef=false"],
        files(CORE),
        preloaded="libasan.so",
        environment={"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"},
    ),
    # gcc's checks of arithmetic, apart: with both kinds of checks at once gcc takes much longer to compile the kernels.
    "undefined": Variant(
        ["-Db_sanitize=undefined", "-Db_lundef=false"],
        files(CORE),
        environment={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"},
    ),
}
__doc__ = __doc__.format(names=", ".join(VARIANTS))


def run(*command: str | Path, **variables: str) -> None:
    """Run a command with the environment's own programs first on the path; stop at its exit code if it fails."""
    environment = dict(os.environ, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}", VIRTUAL_ENV=str(VENV), **variables)
    code = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment).returncode
    if code:
        sys.exit(code)


def set_up(goal: str) -> None:
    """Make the environment and an editable install, unless the files that decide them are as they were."""
    extras = EXTRAS[goal]
    digest = hashlib.sha256(extras.encode())
    for name in STAMPED:
        digest.update((ROOT / name).read_bytes())
    stamp = VENV / f"stamp-{goal}"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    if not (BIN / "pip").exists():
        print("making the environment .venv ...", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
    print("installing the build tools ...", flush=True)
    install = [BIN / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run(*install, *BUILD_TOOLS)
    print(f"building fastkmeans and installing it with its extras [{extras}] ...", flush=True)
    run(*install, "--no-build-isolation", "--config-settings=build-dir=build/dev", "-e", f".[{extras}]")
    stamp.write_text(digest.hexdigest())


def demo() -> None:
    """The main job on a real table: an elbow, then a labelled table and a picture."""
    output = ROOT / "demo-output"
    output.mkdir(exist_ok=True)
    table = ROOT / "examples" / "iris.csv"
    run(BIN / "fastkmeans", "elbow", table, "--k", "1:10", "--plot", output / "elbow.png")
    labelled, clusters = output / "labelled.csv", output / "clusters.png"
    run(BIN / "fastkmeans", "fit", table, "-k", "auto", "--output", labelled, "--plot", clusters)
    print(f"elbow curve:     {output / 'elbow.png'}\nclusters:        {clusters}\nlabelled table:  {labelled}")


def lint() -> None:
    """Check style and spelling, the types of the package, and its stubs against what is compiled."""
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "cython-lint", "--no-pycodestyle", "kmeans_core", "src")
    run(BIN / "codespell")
    run(BIN / "clang-format", "--dry-run", "-Werror", *sorted(ROOT.glob("kmeans_core/**/*.[ch]")))
    run(BIN / "mypy", "--strict", "src/fastkmeans")
    stubtest = [BIN / "python", "-m", "mypy.stubtest", "--mypy-config-file", "pyproject.toml"]
    run(*stubtest, "--ignore-disjoint-bases", "--allowlist", ".ci/stubs_allowlist.txt", "fastkmeans._core")


def variant(name: str, arguments: list[str]) -> None:
    """Build a variant into an environment of its own, and run its tests."""
    chosen = VARIANTS[name]
    folder = ROOT / "build" / f"variant-{name}"
    environment = folder / "venv"
    python = environment / BIN.name / "python"
    if not python.exists():
        venv.create(environment, with_pip=False, clear=True)
        # All packages but fastkmeans are those of .venv. Of a folder that is named in a .pth file Python reads no .pth files,
        # so it does not find the editable install there.
        (site_packages(python) / "packages_of_dev.pth").write_text(f"{site_packages(BIN / 'python')}\n")
    print(f"building fastkmeans with {' '.join(chosen.options)} ...", flush=True)
    settings = [f"--config-settings=setup-args={option}" for option in chosen.options]
    settings.append(f"--config-settings=build-dir={folder / 'meson'}")
    pip = [BIN / "python", "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--no-deps", "--no-build-isolation", "--force-reinstall", *settings, ".")
    variables = dict(chosen.environment)
    if chosen.preloaded:
        variables["LD_PRELOAD"] = answer("gcc", f"-print-file-name={chosen.preloaded}")
    run(python, "-m", "pytest", "-q", *(arguments or chosen.tests), **variables)


def site_packages(python: Path) -> Path:
    """Return the folder into which pip installs packages for a Python."""
    return Path(answer(python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"))


def answer(*command: str | Path) -> str:
    """Return the line that a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    goal = sys.argv[1] if len(sys.argv) > 1 else ""
    if goal not in EXTRAS or (goal == "variant" and (len(sys.argv) < 3 or sys.argv[2] not in VARIANTS)):
        sys.exit(__doc__)
    if sys.version_info < (3, 11):
        sys.exit(f"fastkmeans needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    start = time.perf_counter()
    set_up(goal)
    if goal == "demo":
        demo()
    elif goal == "test":
        run(BIN / "python", "-m", "pytest", *sys.argv[2:])
    elif goal == "variant":
        variant(sys.argv[2], sys.argv[3:])
    elif goal == "lint":
        lint()
    print(f"{goal}: done in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
