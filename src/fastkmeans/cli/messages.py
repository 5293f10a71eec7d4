"""What the command line says on stderr, in its own words."""

from __future__ import annotations

import re
import sys

_OPTIONS = {  # parameter of the Python functions -> option of the command line
    "n_clusters": "-k",
    "random_state": "--seed",
    "n_threads": "--threads",
    "n_init": "--n-init",
    "max_iter": "--max-iter",
    "tol": "--tol",
    "init": "--init",
    "metric": "--metric",
    "standardize": "--standardize",
}
_PARAMETER = re.compile(
    rf"(?<![\w-])({'|'.join(_OPTIONS)}) (?=must\b)|\b(n_clusters)\b|(?<![\w-])k (?=must\b)|\bk=(?=\d)"
)


def in_options(message: str, k_option: str = "-k") -> str:
    """Return a message of a Python function in the words of the command line, for example -k for n_clusters.

    k_option : what the user types for the number of clusters; the documentation of elbow has --k.
    """

    def option(match: re.Match[str]) -> str:
        if match[2]:
            return k_option
        return f"{k_option if match[1] in (None, 'n_clusters') else _OPTIONS[match[1]]} "

    return _PARAMETER.sub(option, message)


def say_on_stderr(message: str) -> None:
    """Print one line. What a file holds gets into messages, and may hold codes that terminals obey."""
    line = " ".join(message.split())
    print("".join(letter if letter.isprintable() else "?" for letter in line), file=sys.stderr)
