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
from time import perf_counter
from typing import Any, NoReturn

import numpy as np

from . import __version__
from ._files import TABLE_SUFFIXES, TableFile, check_output, read_table, whole_file, write_columns, write_labelled

FAILED = 2
INTERRUPTED = 130

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
COLUMN_SUFFIXES = (".csv", ".parquet")
PICTURE_DPI = 144

AUTO_MAX_K = 10
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
    >>> from fastkmeans.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    fastkmeans ...
    0
    """
    try:
        args = _parser().parse_args(argv)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            args.run(args)
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
    return 0


def _say_on_stderr(message: str) -> None:
    print(" ".join(message.split()), file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"fastkmeans: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastkmeans", description="Exact k-means clustering of a table, fast.")
    parser.add_argument("--version", action="version", version=f"fastkmeans {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="cluster the rows of a table")
    _add_table(fit)
    fit.add_argument("-k", "--n-clusters", required=True, type=_number_or_auto, metavar="K", help="number of clusters, or auto")
    fit.add_argument("--output", metavar="FILE", help="the table with a column of labels (.csv, .parquet; .npy: labels)")
    fit.add_argument("--label-name", default="labels", metavar="NAME", help="name of that column (default: labels)")
    fit.add_argument("--centers", metavar="FILE", help="label, size and center of each cluster (.csv, .parquet)")
    fit.add_argument("--plot", metavar="FILE", help="a picture of the clusters (.png, .svg, .pdf)")
    fit.add_argument("--save", metavar="FILE", help="the model, for fastkmeans predict (.npz)")
    _add_kmeans(fit)
    fit.set_defaults(run=_fit)

    elbow = commands.add_parser("elbow", help="try several numbers of clusters")
    _add_table(elbow)
    elbow.add_argument("-k", "--k", default="1:10", metavar="FIRST:LAST", help="numbers to try (default: 1:10)")
    elbow.add_argument("--output", metavar="FILE", help="the curve as a table (.csv, .parquet)")
    elbow.add_argument("--plot", metavar="FILE", help="a picture of the curve (.png, .svg, .pdf)")
    _add_kmeans(elbow)
    elbow.set_defaults(run=_elbow)

    predict = commands.add_parser("predict", help="label the rows of a table with a saved model")
    _add_table(predict)
    predict.add_argument("--model", required=True, metavar="FILE", help="what fastkmeans fit --save wrote (.npz)")
    predict.add_argument("--output", required=True, metavar="FILE", help="as for fit (.csv, .parquet, .npy)")
    predict.add_argument("--label-name", default="labels", metavar="NAME", help="name of the column (default: labels)")
    predict.add_argument("--quiet", action="store_true", help="print nothing")
    predict.set_defaults(run=_predict)

    info = commands.add_parser("info", help="version, instruction set and threads of this installation")
    info.set_defaults(run=_info)
    return parser


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="a .csv, .parquet or .npy file, one sample per row")
    parser.add_argument("--columns", type=_names, metavar="A,B,...", help="the columns to use (default: all)")
    parser.add_argument(
        "--header", action=argparse.BooleanOptionalAction, help="whether a .csv starts with names (default: look)"
    )


def _add_kmeans(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random starts (default: 0)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to use (default: all this process may use)")
    parser.add_argument("--n-init", type=_number_or_auto, default="auto", metavar="N", help="starts to choose the best of")
    parser.add_argument("--max-iter", type=int, default=300, metavar="N", help="most iterations (default: 300)")
    parser.add_argument("--tol", type=float, default=1e-4, metavar="X", help="stop when centers move less (default: 1e-4)")
    parser.add_argument(
        "--init", default="k-means++", choices=("k-means++", "random", "random-partition"), help="how to start"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def _number_or_auto(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number or auto; got {text!r}") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _kmeans_params(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "init": args.init,
        "n_init": args.n_init,
        "max_iter": args.max_iter,
        "tol": args.tol,
        "random_state": args.seed,
        "n_threads": args.threads,
    }


def _fit(args: argparse.Namespace) -> None:
    _check_outputs(args, output=TABLE_SUFFIXES, centers=COLUMN_SUFFIXES, plot=PICTURE_SUFFIXES, save=(".npz",))
    from .kmeans import KMeans

    table = read_table(args.table, args.columns, args.header)
    if args.output:
        _check_label_name(args.label_name, table)
    n_clusters = args.n_clusters
    if n_clusters == "auto":
        n_clusters = _choose_k(table, args)
    start = perf_counter()
    model = KMeans(n_clusters, **_kmeans_params(args)).fit(table.values)
    seconds = perf_counter() - start
    if table.named:
        # Fitted on an array; with the names, predict finds its columns in any order.
        model.feature_names_in_ = np.array(table.names, dtype=object)
    sizes = np.bincount(model.labels_, minlength=n_clusters)
    _write_fit(args, table, model, sizes)
    if not args.quiet:
        _print_fit(table, model, sizes, seconds)


def _write_fit(args: argparse.Namespace, table: TableFile, model: Any, sizes: np.ndarray) -> None:
    if args.output:
        write_labelled(args.output, table, model.labels_, args.label_name)
    if args.centers:
        columns = {"labels": np.arange(len(sizes)), "size": sizes}
        write_columns(args.centers, columns | dict(zip(table.names, model.cluster_centers_.T, strict=True)))
    if args.plot:
        from .plot import plot_clusters

        names = table.names if table.named else None
        _save_picture(plot_clusters(table.values, model.labels_, model.cluster_centers_, feature_names=names), args.plot)
    if args.save:
        with whole_file(args.save) as temporary:
            model.save(temporary)


def _choose_k(table: TableFile, args: argparse.Namespace) -> int:
    from .sweep import elbow

    last = min(AUTO_MAX_K, len(table.values))
    best_k = elbow(table.values, last, **_kmeans_params(args)).best_k
    if best_k is None:
        raise ValueError(
            f"-k auto: no clear elbow between 1 and {last}; give a number. "
            f"The curve: fastkmeans elbow {args.table} --plot elbow.png"
        )
    return best_k


def _elbow(args: argparse.Namespace) -> None:
    _check_outputs(args, output=COLUMN_SUFFIXES, plot=PICTURE_SUFFIXES)
    from .sweep import elbow

    table = read_table(args.table, args.columns, args.header)
    result = elbow(table.values, args.k, **_kmeans_params(args))
    if args.output:
        curve = {"k": result.k, "inertia": result.inertia, "n_iter": result.n_iter, "seconds": result.seconds}
        write_columns(args.output, curve)
    if args.plot:
        _save_picture(result.plot(), args.plot)
    if not args.quiet:
        print(_heading(table))
        for k, inertia in result:
            print(f"{k:>6}  {inertia:>14.6g}{'  <- elbow' if k == result.best_k else ''}")
        print("no clear elbow" if result.best_k is None else f"elbow at k = {result.best_k}")


def _predict(args: argparse.Namespace) -> None:
    _check_outputs(args, output=TABLE_SUFFIXES)
    model = _load_model(args.model)
    # Columns are matched by name here, so predict gets a plain array and has no names to compare.
    names = model.__dict__.pop("feature_names_in_", None)
    columns = args.columns or (None if names is None or args.table.lower().endswith(".npy") else list(names))
    table = read_table(args.table, columns, args.header)
    _check_label_name(args.label_name, table)
    labels = model.predict(table.values)
    write_labelled(args.output, table, labels, args.label_name)
    if not args.quiet:
        print(_heading(table))
        print(f"{len(np.unique(labels))} of {len(model.cluster_centers_)} clusters used; labels in {args.output}")


def _load_model(path: str) -> Any:
    from zipfile import is_zipfile

    from .kmeans import KMeans

    with open(path, "rb") as file:  # a missing file is another mistake than a wrong one
        is_npz = is_zipfile(file)
    try:
        if is_npz:
            return KMeans.load(path)
    except (KeyError, TypeError) as error:
        raise ValueError(f"--model: {path} lacks what a fastkmeans model holds: {error}.") from error
    raise ValueError(f"--model: {path} is not a model that fastkmeans saved (.npz).")


def _info(_: argparse.Namespace) -> None:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from ._core import runtime
    from ._threads import effective_n_threads

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
    """Refuse, before any work, an output that could not be written or that would overwrite another file in use."""
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
            from .plot import require_matplotlib

            require_matplotlib()


def _check_label_name(name: str, table: TableFile) -> None:
    if name in table.all_names:
        raise ValueError(f"{table.path} has a column {name!r} already; choose another --label-name.")
    if not name or set(name) & set(',;\t"\r\n'):
        raise ValueError(f"--label-name must be a plain word; got {name!r}.")


def _save_picture(ax: Any, path: str) -> None:
    with whole_file(path) as temporary:
        ax.figure.savefig(temporary, dpi=PICTURE_DPI)


def _heading(table: TableFile) -> str:
    n_samples, n_features = table.values.shape
    names = ", ".join(table.names[:SHOWN_FEATURES]) + (", ..." if n_features > SHOWN_FEATURES else "")
    return f"{table.path}: {n_samples:,} samples x {n_features} features ({names})"


def _print_fit(table: TableFile, model: Any, sizes: np.ndarray, seconds: float) -> None:
    print(_heading(table))
    ended = "converged" if model.converged_ else "not converged"
    n_clusters = len(sizes)
    print(f"{n_clusters} clusters, inertia {model.inertia_:.6g}, {model.n_iter_} iterations, {ended}, {seconds:.3g} s")
    shown = table.names[:SHOWN_FEATURES]
    widths = [max(12, len(name)) for name in shown]
    print("  ".join(["label", f"{'size':>9}", *(f"{name:>{width}}" for name, width in zip(shown, widths, strict=True))]))
    for label in range(min(n_clusters, SHOWN_CLUSTERS)):
        center = model.cluster_centers_[label, : len(shown)]
        numbers = (f"{value:>{width}.5g}" for value, width in zip(center, widths, strict=True))
        print("  ".join([f"{label:>5}", f"{sizes[label]:>9,}", *numbers]))
    if n_clusters > SHOWN_CLUSTERS:
        print(f"... and {n_clusters - SHOWN_CLUSTERS} more; --centers FILE writes all")
