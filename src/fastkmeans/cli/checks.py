"""What is checked before the work: outputs, the name of the labels, the columns that a model needs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ..input.columns import list_names
from ..types import Names
from .messages import say_on_stderr
from .reading import TableFile
from .text_files import STREAM
from .writing import check_output


def check_outputs(args: argparse.Namespace, **suffixes: Sequence[str]) -> None:
    """Refuse, before any work, an output that could not be written or that would overwrite a file in use."""
    in_use = {} if args.table == STREAM else {os.path.realpath(args.table): "TABLE"}
    for name, allowed in suffixes.items():
        path = getattr(args, name)
        if path is None:
            continue
        option = f"--{name}"
        if path == STREAM and name != "output":
            raise ValueError(f"{option} cannot be the standard output; give the name of a file.")
        check_output(option, path, allowed)
        if path == STREAM:
            continue
        target = os.path.realpath(path)
        if target in in_use:
            raise ValueError(f"{option} is the same file as {in_use[target]}: {path}; choose another name.")
        in_use[target] = option
        if name == "plot":
            from ..plotting.parts import require_matplotlib

            require_matplotlib()


def check_label_name(name: str, table: TableFile) -> None:
    if name in table.all_names:
        raise ValueError(f"{table.path} has a column {name!r} already; choose another --label-name.")
    delimiter = "" if table.layout is None else table.layout.delimiter
    if not name or set(name) & {*',;\t"\r\n', delimiter}:
        raise ValueError(f"--label-name must be a plain word; got {name!r}.")


def check_n_features(args: argparse.Namespace, table: TableFile, expected: int, names: Names | None) -> None:
    """Refuse a table with another number of features than the model; say so where columns are taken by their places."""
    if len(table.names) != expected:
        of_model = "" if names is None else f" ({list_names(names.tolist())})"
        raise ValueError(
            f"{args.model} was fitted on {expected} features{of_model}, and {table.path} has {len(table.names)} features "
            f"({list_names(table.names)}); choose {expected} with --columns."
        )
    if names is not None and not table.named and table.layout is not None:
        say_on_stderr(
            f"fastkmeans: note: {table.path} has no header; its columns were taken for {list_names(names.tolist())}"
        )
