"""Pictures of what scans measured: ``python -m benchmarks.pictures OUT.svg LABEL=FILE.json ...``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np


def figure_with_axes() -> tuple[Any, Any]:
    """Return a figure of the size that the README shows, and its axes."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True, which="both", linewidth=0.3)
    return figure, axes


def draw_scans(ratios: dict[str, np.ndarray], peer: str, path: Path) -> None:
    """Draw which share of the shapes has at most a ratio.

    ratios : label -> the peer's seconds over ours, one per shape.   peer : its name.
    """
    figure, axes = figure_with_axes()
    for label, values in ratios.items():
        values = np.sort(values)
        share = 100.0 * np.arange(1, len(values) + 1) / len(values)
        axes.step(values, share, where="post", label=f"{label} ({len(values)} shapes, median {np.median(values):.1f})")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    ticks = [
        tick for tick in (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200) if tick <= 1.2 * max(map(np.max, ratios.values()))
    ]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"time of {peer} / time of fastkmeans")
    axes.set_ylabel("share of the shapes, %")
    axes.legend(loc="lower right")
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("picture", help="the file that is written, .svg or .png")
    parser.add_argument("scans", nargs="+", metavar="LABEL=FILE", help="what `benchmarks.scan --json` wrote")
    parser.add_argument("--peer", default="scikit-learn", help="what the scans compared with")
    options = parser.parse_args(arguments)
    ratios = {}
    for scan in options.scans:
        label, _, file = scan.partition("=")
        ratios[label] = np.array([found["ratio"] for found in json.loads(Path(file).read_text())])
    draw_scans(ratios, options.peer, Path(options.picture))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
