"""The command line: fastkmeans fit | elbow | predict | info.

Every failure is one line on stderr, after notes on the table if there are any, and exit status 2; Ctrl-C is one line and 130.
Outputs are checked before the work and written whole or not at all.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import __version__
from ..display.words import counted
from ..estimators.progress import fit_with_bar
from ..input.columns import describe
from ..runtime.threads import effective_n_threads
from ..samples import count_distinct
from ..samples import describe as describe_samples
from ..scaling import warn_of_dominant_feature
from ..storage.whole import whole_file
from ..types import Indices, Labels
from .arguments import FAILED, PREDICT_MISSING, STANDARDIZE, make_parser, spelt_out
from .checks import check_label_name, check_n_features, check_outputs
from .csv_layout import CsvOptions
from .messages import in_options, say_on_stderr
from .reading import TABLE_SUFFIXES, TableFile, read_table
from .streamed import is_streamed, open_table, write_streamed
from .suggesting import suggested_elbow
from .text_files import STREAM
from .writing import write_columns, write_labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..estimators.kmeans import KMeans
    from ..selection.result import ElbowResult

INTERRUPTED = 130
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
COLUMN_SUFFIXES = (".csv", ".tsv", ".parquet")
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
    k_option = "-k"
    try:
        args = make_parser().parse_args(spelt_out(sys.argv[1:] if argv is None else argv))
        k_option = "--k" if args.command == "elbow" else "-k"
        with _warnings_on_stderr(k_option):
            COMMANDS[args.command](args)
        sys.stdout.flush()
    except SystemExit as leave:  # how argparse ends --help and wrong arguments
        return int(leave.code or 0)
    except KeyboardInterrupt:
        say_on_stderr("fastkmeans: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        say_on_stderr("fastkmeans: error: not enough memory for this table; use fewer --columns or rows.")
        return FAILED
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        say_on_stderr(f"fastkmeans: error: {named}{error.strerror or error}")
        return FAILED
    except (ValueError, TypeError, ImportError) as error:
        say_on_stderr(f"fastkmeans: error: {in_options(str(error), k_option)}")
        return FAILED
    except Exception as error:
        say_on_stderr(f"fastkmeans: error: {error!r}, which is a fault of fastkmeans: please report it.")
        return FAILED
    return 0


@contextmanager
def _warnings_on_stderr(k_option: str) -> Iterator[None]:
    """Say the warnings of a block at its end, each once. If it fails, its error says enough."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say_on_stderr(f"fastkmeans: warning: {in_options(message, k_option)}")


def _kmeans_params(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "init": args.init,
        "n_init": args.n_init,
        "max_iter": args.max_iter,
        "tol": args.tol,
        "metric": args.metric,
        "standardize": STANDARDIZE.get(args.standardize, False),
        "random_state": args.seed,
        "n_threads": args.threads,
    }


def _read(args: argparse.Namespace, features: Sequence[str] | None = None) -> TableFile:
    """Read the table, and say what is noteworthy about it.

    features : the names that a model was fitted on.
    """
    args.in_blocks = is_streamed(args)
    if args.in_blocks:
        return open_table(args, None if features is None else list(features))
    options = CsvOptions(args.header, args.delimiter, args.decimal, args.thousands, args.encoding)
    label_name = getattr(args, "label_name", "labels")
    table = read_table(
        args.table, args.columns, options, features=features, label_name=label_name, missing=args.missing
    )
    for note in table.notes:
        say_on_stderr(f"fastkmeans: note: {note}")
    if table.left_out:
        say_on_stderr(f"fastkmeans: note: left out {describe(table.left_out)}; --columns chooses other columns")
    return table


def _fit(args: argparse.Namespace) -> None:
    check_outputs(args, output=TABLE_SUFFIXES, centers=COLUMN_SUFFIXES, plot=PICTURE_SUFFIXES, save=MODEL_SUFFIXES)
    from ..estimators.kmeans import KMeans

    table = _read(args)
    if args.output:
        check_label_name(args.label_name, table)
    if args.centers and not {"labels", "size"}.isdisjoint(table.names):
        raise ValueError("--centers writes columns 'labels' and 'size' of its own; rename those of the table.")
    if args.n_clusters != "auto" and args.n_clusters > len(table.values):
        raise ValueError(
            f"-k {args.n_clusters} asks for more clusters than {table.path} has samples, {len(table.values)}; give a smaller -k."
        )
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
    _warn_of_units(args, table)
    is_in_memory = isinstance(table.values, np.ndarray)
    summary = (
        None if args.quiet or not is_in_memory else replace(model.summary(table.values), feature_names=table.names)
    )
    if table.named:
        # Fitted on an array; with the names, predict finds its columns in any order.
        model.feature_names_in_ = np.array(table.names, dtype=object)
    sizes = np.bincount(model.labels_, minlength=model.n_clusters_)
    _write_fit(args, table, model, sizes)
    with _report(args):
        _print_fit(table, model, sizes, seconds, [] if result is None else [*result.table_lines(), result.reason])
        if summary is not None:
            print("\n".join([*summary.sentences()[:SHOWN_CLUSTERS], *filter(None, [summary.legend()])]))


def _write_fit(args: argparse.Namespace, table: TableFile, model: KMeans, sizes: Indices) -> None:
    if args.output:
        _write_labelled(args, table, model.labels_)
    if args.centers:
        columns = {"labels": np.arange(len(sizes)), "size": sizes}
        write_columns(args.centers, columns | dict(zip(table.names, model.cluster_centers_.T, strict=True)))
    if args.plot:
        from ..plotting.clusters import plot_clusters

        names = table.names if table.named else None
        ax = plot_clusters(table.values, model, feature_names=names)
        _save_picture(ax, args.plot)
    if args.save:
        model.save(args.save)


def _write_labelled(args: argparse.Namespace, table: TableFile, labels: Labels) -> None:
    if args.in_blocks:
        write_streamed(args.output, table, labels, args.label_name)
    else:
        write_labelled(args.output, table, labels, args.label_name)


def _warn_of_units(args: argparse.Namespace, table: TableFile) -> None:
    """Warn of a feature that outweighs all others, as :func:`cluster` does; an array in a .npy file is as its maker scaled it."""
    if not isinstance(table.values, np.ndarray):
        return  # the fit has said so
    if (table.named or table.layout is not None) and not args.standardize and args.metric != "cosine":
        description = describe_samples(table.values, effective_n_threads(args.threads, float(table.values.size)))
        warn_of_dominant_feature(description, table.names, "add --standardize")


def _sweep_or_error(table: TableFile, args: argparse.Namespace) -> tuple[ElbowResult[KMeans], KMeans]:
    from ..estimators.elbow import sweep_from
    from ..selection.candidates import AUTO_LIMIT, DEFAULT_K

    result = sweep_from(
        table.values, DEFAULT_K, AUTO_LIMIT, "error", None, False, _wants_bar(args), _kmeans_params(args)
    )
    if result.best_k is None:
        raise ValueError(
            f"-k auto: no clear clusters between k = 1 and {result.k[-1]}; give a number. {result.reason} "
            f"{_say_how_to_go_on(args, result, table)}"
        )
    return result, result.model(result.best_k)


def _say_how_to_go_on(args: argparse.Namespace, result: ElbowResult[KMeans], table: TableFile) -> str:
    """Suggest a sweep beyond one that found no elbow; "" where there are no more numbers to try."""
    last, most = int(result.k[-1]), len(table.values)
    if not result.inertia[0] > 0 or last >= most:
        return ""
    return f"The curve further on: {suggested_elbow(args, min(2 * last, most))}"


def _say_in_short(result: ElbowResult[KMeans]) -> str:
    """Return both answers in one line: how many clusters there are, and where the curve bends."""
    clusters = "no clear clusters" if result.best_k is None else f"best k = {result.best_k}"
    knee = result.knees["kneedle"]
    return f"{clusters}; {'the curve does not bend' if knee is None else f'the curve bends at k = {knee} (kneedle)'}"


def _wants_bar(args: argparse.Namespace) -> bool:
    """A bar is for a person who watches, and needs tqdm."""
    return not args.quiet and sys.stderr.isatty() and find_spec("tqdm") is not None


def _elbow(args: argparse.Namespace) -> None:
    check_outputs(args, output=COLUMN_SUFFIXES, plot=PICTURE_SUFFIXES)
    from ..estimators.elbow import elbow

    table = _read(args)
    _warn_of_units(args, table)
    result = elbow(table.values, args.k, gap=args.gap, progress=_wants_bar(args), **_kmeans_params(args))
    if args.output:
        write_columns(args.output, result.columns())
    if args.plot:
        _save_picture(result.plot(), args.plot)
    with _report(args):
        print(_heading(table))
        print("\n".join([*result.table_lines(), result.reason]))
        if result.best_k is None and (further := _say_how_to_go_on(args, result, table)):
            print(further)
        print(_say_in_short(result))


def _predict(args: argparse.Namespace) -> None:
    check_outputs(args, output=TABLE_SUFFIXES)
    if args.missing not in PREDICT_MISSING:
        raise ValueError(
            f"--missing {args.missing} is for fit and elbow: the means of new rows are not those of the fit, and the model does not hold "
            "these. --missing drop leaves such rows without a label; or fill them in the file first."
        )
    from ..estimators.kmeans import KMeans

    model = KMeans.load(args.model)
    # Columns are matched by name here, so predict gets a plain array and has no names to compare.
    names = model.__dict__.pop("feature_names_in_", None)
    table = _read(args, None if names is None else names.tolist())
    check_n_features(args, table, model.n_features_in_, names)
    check_label_name(args.label_name, table)
    if args.in_blocks and not isinstance(table.values, np.ndarray):
        table.values.feature_names = None
    labels = model.predict(table.values)
    _write_labelled(args, table, labels)
    with _report(args):
        print(_heading(table))
        known = len(model.cluster_centers_)
        used = count_distinct(labels, known)
        print(f"{used} of {known} clusters used; labels in {args.output}")


def _info(_: argparse.Namespace) -> None:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from .._core import runtime

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


def _save_picture(ax: Axes, path: str) -> None:
    figure = cast("Figure", ax.figure)  # and no part of another: no axes were given
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=PICTURE_DPI)


@contextmanager
def _report(args: argparse.Namespace) -> Iterator[None]:
    """Print what a block prints: nowhere if --quiet, and on stderr if the table goes to the standard output."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        stream = nowhere if args.quiet else sys.stderr if args.output == STREAM else sys.stdout
        with redirect_stdout(stream):
            yield


def _heading(table: TableFile) -> str:
    n_samples, n_features = table.values.shape
    names = ", ".join(table.names[:SHOWN_FEATURES]) + (", ..." if n_features > SHOWN_FEATURES else "")
    return f"{table.path}: {counted(n_samples, 'sample')} x {counted(n_features, 'feature')} ({names})"


def _print_fit(table: TableFile, model: KMeans, sizes: Indices, seconds: float, sweep: list[str]) -> None:
    ended = "converged" if model.converged_ else "not converged"
    print(_heading(table))
    for line in sweep:
        print(line)
    units = " (of standardised features)" if model.feature_scale_ is not None else ""
    print(f"{counted(len(sizes), 'cluster')}, inertia {model.inertia_:.6g}{units}")
    print(f"{ended} after {counted(model.n_iter_, 'iteration')}, {seconds:.3g} s")
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
