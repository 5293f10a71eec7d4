"""The command line: fastkmeans fit | elbow | predict | info.

Every failure is one line on stderr and exit status 2; Ctrl-C is one line and 130. Outputs are checked before
the work and written whole or not at all.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import __version__
from ..estimators.progress import fit_with_bar
from ..storage.whole import whole_file
from ..types import Indices
from .arguments import FAILED, make_parser
from .reading import TABLE_SUFFIXES, TableFile, read_table
from .writing import check_output, write_columns, write_labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..estimators.kmeans import KMeans
    from ..selection.result import ElbowResult

INTERRUPTED = 130
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
COLUMN_SUFFIXES = (".csv", ".parquet")
MODEL_SUFFIXES = (".npz",)
PICTURE_DPI = 144

SHOWN_CLUSTERS = 20
SHOWN_FEATURES = 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; by default those of this process.

    Returns
    -------
    int
        0 for success, 2 for a wrong argument, file or table, 130 for Ctrl-C.

    Examples
    --------
    >>> from fastkmeans.cli.main import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    fastkmeans ...
    0
    """
    try:
        args = make_parser().parse_args(argv)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            COMMANDS[args.command](args)
        for warning in caught:
            _say_on_stderr(f"fastkmeans: warning: {warning.message}")
        sys.stdout.flush()
    except SystemExit as leave:  # how argparse ends --help and wrong arguments
        return int(leave.code or 0)
    except KeyboardInterrupt:
        _say_on_stderr("fastkmeans: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        _say_on_stderr("fastkmeans: error: not enough memory for this table; use fewer --columns or rows.")
        return FAILED
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        _say_on_stderr(f"fastkmeans: error: {named}{error.strerror or error}")
        return FAILED
    except (ValueError, TypeError, ImportError) as error:
        _say_on_stderr(f"fastkmeans: error: {error}")
        return FAILED
    except Exception as error:
        _say_on_stderr(f"fastkmeans: error: {error!r}, which is a fault of fastkmeans: please report it.")
        return FAILED
    return 0


def _say_on_stderr(message: str) -> None:
    """Print one line. What a file holds gets into messages, and may hold codes that terminals obey."""
    line = " ".join(message.split())
    print("".join(letter if letter.isprintable() else "?" for letter in line), file=sys.stderr)


def _kmeans_params(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "init": args.init,
        "n_init": args.n_init,
        "max_iter": args.max_iter,
        "tol": args.tol,
        "metric": args.metric,
        "random_state": args.seed,
        "n_threads": args.threads,
    }


def _fit(args: argparse.Namespace) -> None:
    _check_outputs(args, output=TABLE_SUFFIXES, centers=COLUMN_SUFFIXES, plot=PICTURE_SUFFIXES, save=MODEL_SUFFIXES)
    from ..estimators.kmeans import KMeans

    table = read_table(args.table, args.columns, args.header)
    if args.output:
        _check_label_name(args.label_name, table)
    if args.centers and not {"labels", "size"}.isdisjoint(table.names):
        raise ValueError("--centers writes columns 'labels' and 'size' of its own; rename those of the table.")
    start = perf_counter()
    result: ElbowResult[KMeans] | None = None
    if args.n_clusters == "auto":
        result, model = _sweep_or_error(table, args)
    else:
        model = KMeans(args.n_clusters, **_kmeans_params(args))
        if _wants_bar(args):
            fit_with_bar(model, table.values)
        else:
            model.fit(table.values)
    seconds = perf_counter() - start
    if table.named:
        # Fitted on an array; with the names, predict finds its columns in any order.
        model.feature_names_in_ = np.array(table.names, dtype=object)
    sizes = np.bincount(model.labels_, minlength=model.n_clusters_)
    _write_fit(args, table, model, sizes)
    if not args.quiet:
        _print_fit(table, model, sizes, seconds, [] if result is None else [*result.table_lines(), result.reason])


def _write_fit(args: argparse.Namespace, table: TableFile, model: KMeans, sizes: Indices) -> None:
    if args.output:
        write_labelled(args.output, table, model.labels_, args.label_name)
    if args.centers:
        columns = {"labels": np.arange(len(sizes)), "size": sizes}
        write_columns(args.centers, columns | dict(zip(table.names, model.cluster_centers_.T, strict=True)))
    if args.plot:
        from ..plotting.clusters import plot_clusters

        names = table.names if table.named else None
        ax = plot_clusters(table.values, model.labels_, model.cluster_centers_, feature_names=names)
        _save_picture(ax, args.plot)
    if args.save:
        model.save(args.save)


def _sweep_or_error(table: TableFile, args: argparse.Namespace) -> tuple[ElbowResult[KMeans], KMeans]:
    from ..estimators.elbow import elbow
    from ..estimators.kmeans import AUTO_MAX_K

    last = min(AUTO_MAX_K, len(table.values))
    result = elbow(table.values, last, progress=_wants_bar(args), **_kmeans_params(args))
    if result.best_k is None:
        raise ValueError(
            f"-k auto: no clear elbow between 1 and {last}; give a number. {result.reason} "
            f"The curve: fastkmeans elbow {args.table} --plot elbow.png"
        )
    return result, result.model(result.best_k)


def _wants_bar(args: argparse.Namespace) -> bool:
    """A bar is for a person who watches, and needs tqdm."""
    return not args.quiet and sys.stderr.isatty() and find_spec("tqdm") is not None


def _elbow(args: argparse.Namespace) -> None:
    _check_outputs(args, output=COLUMN_SUFFIXES, plot=PICTURE_SUFFIXES)
    from ..estimators.elbow import elbow

    table = read_table(args.table, args.columns, args.header)
    result = elbow(table.values, args.k, gap=args.gap, progress=_wants_bar(args), **_kmeans_params(args))
    if args.output:
        write_columns(args.output, result.columns())
    if args.plot:
        _save_picture(result.plot(), args.plot)
    if not args.quiet:
        print(_heading(table))
        print("\n".join([*result.table_lines(), result.reason]))
        print("no clear elbow" if result.best_k is None else f"elbow at k = {result.best_k}")


def _predict(args: argparse.Namespace) -> None:
    _check_outputs(args, output=TABLE_SUFFIXES)
    from ..estimators.kmeans import KMeans

    model = KMeans.load(args.model)
    # Columns are matched by name here, so predict gets a plain array and has no names to compare.
    names = model.__dict__.pop("feature_names_in_", None)
    columns = args.columns or (None if names is None or args.table.lower().endswith(".npy") else list(names))
    table = read_table(args.table, columns, args.header)
    _check_label_name(args.label_name, table)
    labels = model.predict(table.values)
    write_labelled(args.output, table, labels, args.label_name)
    if not args.quiet:
        print(_heading(table))
        used, known = len(np.unique(labels)), len(model.cluster_centers_)
        print(f"{used} of {known} clusters used; labels in {args.output}")


def _info(_: argparse.Namespace) -> None:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from .._core import runtime
    from ..runtime.threads import effective_n_threads

    print(f"fastkmeans        {__version__} (distribution fastkmeans-core)")
    print(f"instruction set   {runtime.isa()} (compiled in: {', '.join(runtime.isas())})")
    print(f"threads           {effective_n_threads(None)}")
    print(f"OpenMP            {'yes' if runtime.has_openmp() else 'no'}")
    print(f"Python, NumPy     {platform.python_version()}, {np.__version__}")
    try:
        other = version("fastkmeans")
    except PackageNotFoundError:
        return
    warnings.warn(
        f"the distribution fastkmeans {other}, another project, is installed too and uses the same folder: "
        "pip uninstall fastkmeans fastkmeans-core, then pip install fastkmeans-core.",
        stacklevel=2,
    )


def _check_outputs(args: argparse.Namespace, **suffixes: Sequence[str]) -> None:
    """Refuse, before any work, an output that could not be written or that would overwrite a file in use."""
    in_use = {os.path.realpath(args.table): "TABLE"}
    for name, allowed in suffixes.items():
        path = getattr(args, name)
        if path is None:
            continue
        option = f"--{name}"
        check_output(option, path, allowed)
        target = os.path.realpath(path)
        if target in in_use:
            raise ValueError(f"{option} is the same file as {in_use[target]}: {path}; choose another name.")
        in_use[target] = option
        if name == "plot":
            from ..plotting.parts import require_matplotlib

            require_matplotlib()


def _check_label_name(name: str, table: TableFile) -> None:
    if name in table.all_names:
        raise ValueError(f"{table.path} has a column {name!r} already; choose another --label-name.")
    if not name or set(name) & set(',;\t"\r\n'):
        raise ValueError(f"--label-name must be a plain word; got {name!r}.")


def _save_picture(ax: Axes, path: str) -> None:
    figure = cast("Figure", ax.figure)  # and no part of another: no axes were given
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=PICTURE_DPI)


def _heading(table: TableFile) -> str:
    n_samples, n_features = table.values.shape
    names = ", ".join(table.names[:SHOWN_FEATURES]) + (", ..." if n_features > SHOWN_FEATURES else "")
    return f"{table.path}: {n_samples:,} samples x {n_features} features ({names})"


def _print_fit(table: TableFile, model: KMeans, sizes: Indices, seconds: float, sweep: list[str]) -> None:
    ended = "converged" if model.converged_ else "not converged"
    print(_heading(table))
    for line in sweep:
        print(line)
    print(f"{len(sizes)} clusters, inertia {model.inertia_:.6g}")
    print(f"{ended} after {model.n_iter_} iterations, {seconds:.3g} s")
    names = table.names[:SHOWN_FEATURES]
    widths = [5, 9, *(max(12, len(name)) for name in names)]
    _print_row(["label", "size", *names], widths)
    for label in range(min(len(sizes), SHOWN_CLUSTERS)):
        center = model.cluster_centers_[label, : len(names)]
        _print_row([str(label), f"{sizes[label]:,}", *(f"{value:.5g}" for value in center)], widths)
    if len(sizes) > SHOWN_CLUSTERS:
        print(f"... and {len(sizes) - SHOWN_CLUSTERS} more; --centers FILE writes all")


def _print_row(cells: list[str], widths: list[int]) -> None:
    print("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))


COMMANDS = {"fit": _fit, "elbow": _elbow, "predict": _predict, "info": _info}
