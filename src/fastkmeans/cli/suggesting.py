"""Commands that messages suggest: with the options that the user gave, so that they can be typed as they are."""

from __future__ import annotations

import argparse
import shlex

from .arguments import make_parser

_SHARED = (
    "columns", "missing", "header", "delimiter", "decimal", "thousands", "encoding",
    "seed", "threads", "n_init", "max_iter", "tol", "init", "metric", "standardize",
)  # fmt: skip
"""What decides which samples are clustered and how: of fit and of elbow the same options."""

_NAMES_OF_SEPARATORS = {"\t": "tab", " ": "space", " \u00a0\u202f": "space", "": "none"}


def suggested_elbow(args: argparse.Namespace, last: int) -> str:
    """Return the elbow command that sweeps up to another k, and draws the curve, over what this command read.

    args : of fit or of elbow.
    """
    picture = args.plot if args.command == "elbow" and args.plot else "elbow.png"
    parts = ["fastkmeans", "elbow", args.table, "--k", f"1:{last}", *_options(args), "--plot", picture]
    return " ".join(shlex.quote(part) for part in parts)


def _options(args: argparse.Namespace) -> list[str]:
    """Return the options that a user gave and that differ from the defaults, as they are typed."""
    defaults = make_parser().parse_args(["elbow", args.table])
    parts: list[str] = []
    for name in _SHARED:
        value = getattr(args, name)
        if value == getattr(defaults, name):
            continue
        option = "--" + name.replace("_", "-")
        if name == "header":
            parts.append(option if value else "--no-header")
        elif name == "standardize":
            parts.append(option if value == "mean" else f"{option}={value}")
        elif name == "columns":
            parts += [option, ",".join(f'"{part}"' if "," in part else part for part in value)]
        else:
            parts += [option, _NAMES_OF_SEPARATORS.get(value, str(value))]
    return parts
