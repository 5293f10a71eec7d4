"""Set up, demonstrate and test fastkmeans from a checkout. Needs Python >= 3.11 with venv and headers, and a C compiler.

    python3 dev.py demo    make .venv, build, run the elbow and fit commands on a real table
    python3 dev.py test    make .venv, build, run the tests
    python3 dev.py lint    make .venv, build, check style and types
    python3 dev.py build   make .venv and build only

Standard library only. Everything goes into .venv and build/ beside this file; a second call reuses them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
BUILD_TOOLS = ["meson-python>=0.19", "meson>=1.6", "Cython>=3.1,<4", "ninja"]
EXTRAS = {"build": "plot,io", "demo": "plot,io", "test": "plot,io,test", "lint": "plot,io,test,lint"}
STAMPED = ["pyproject.toml", "dev.py"]


def run(*command: str | Path) -> None:
    """Run a command with the environment's own programs first on the path; stop at its exit code if it fails."""
    environment = dict(os.environ, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}", VIRTUAL_ENV=str(VENV))
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
    """Check the style of all Python, the types of the package, and its stubs against what is compiled."""
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "mypy", "--strict", "src/fastkmeans")
    stubtest = [BIN / "python", "-m", "mypy.stubtest", "--mypy-config-file", "pyproject.toml"]
    run(*stubtest, "--ignore-disjoint-bases", "--allowlist", ".ci/stubs_allowlist.txt", "fastkmeans._core")


def main() -> None:
    goal = sys.argv[1] if len(sys.argv) > 1 else ""
    if goal not in EXTRAS:
        sys.exit(__doc__)
    if sys.version_info < (3, 11):
        sys.exit(f"fastkmeans needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    start = time.perf_counter()
    set_up(goal)
    if goal == "demo":
        demo()
    elif goal == "test":
        run(BIN / "python", "-m", "pytest", *sys.argv[2:])
    elif goal == "lint":
        lint()
    print(f"{goal}: done in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
