"""The worked examples: every script runs, and its page says what it printed and shows the picture that it makes."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the repository is not around the tests")


def page_of(script):
    return (FOLDER / f"{script}.md").read_text(encoding="utf-8")


def width_and_height(picture):
    return struct.unpack(">II", picture.read_bytes()[16:24])


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_page_says_what_its_script_prints(script, tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "MPLBACKEND": "agg"}
    command = [sys.executable, str(FOLDER / f"{script}.py")]
    child = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stderr
    shown = re.search(rf"```console\n\$ python {script}\.py\n(.*?)```", page_of(script), re.S)[1]
    assert NUMBER.sub("#", child.stdout) == NUMBER.sub("#", shown)
    # Another library for PNG or JPEG changes file sizes and pixels a little.
    given, claimed = ([float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (child.stdout, shown))
    assert given == pytest.approx(claimed, rel=0.05, abs=0.02)
    assert width_and_height(tmp_path / f"{script}.png") == width_and_height(FOLDER / f"{script}.png")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_page_links_its_script_and_its_small_picture_and_is_listed(script):
    assert f"]({script}.py)" in page_of(script)
    assert f"]({script}.png)" in page_of(script)
    assert (FOLDER / f"{script}.png").stat().st_size < 100_000
    assert f"]({script}.md)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_file_of_data_has_its_source_and_licence_named():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    data = [path.name for path in FOLDER.iterdir() if path.suffix in {".csv", ".jpg"}]
    for name in data:
        (paragraph,) = re.findall(rf"^`{name}`: (?:.+\n)+", readme, re.M)
        assert re.search("licen[cs]e", paragraph)


def test_the_examples_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 1_500_000
