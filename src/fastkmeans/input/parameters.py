"""Checks of the constructor parameters: once at the start of fit, so that the layers below can trust them.

Every message names the parameter, the rule and the value got.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import Values
from .finite import check_finite
from .matrix import as_matrix
from .tables import is_table

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

INITS = ("auto", "k-means++", "random", "random-partition")
SEARCHED_INITS = ("auto", "k-means++", "random")
BISECTING_STRATEGIES = ("biggest_inertia", "largest_cluster")

_INT_MAX = 2**31 - 1  # the compiled layer counts in C ints
_SEED_MAX = 2**32 - 1


Check = Callable[[str, Any], None]
"""Takes a parameter's name and value; raises TypeError for a wrong type, ValueError for a value out of range."""


def check_params(params: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Check constructor parameters, without the rules that depend on the data.

    params : by name; not changed.   checks : by name, of the estimator.
    """
    for name, check in checks.items():
        check(name, params[name])


def check_n_clusters(n_clusters: int, n_samples: int) -> None:
    """Raise ValueError if there are fewer samples than clusters."""
    if n_clusters > n_samples:
        raise ValueError(
            f"n_samples={n_samples} should be >= n_clusters={n_clusters}. Ask for fewer clusters, or pass more rows."
        )


def check_init(init: Any, n_clusters: int, n_features: int, dtype: DTypeLike) -> Values:
    """Return given initial centers as a new C-order array of the data's dtype.

    init : array-like of shape (n_clusters, n_features), or what an init callable returned.
    dtype : float32 or float64, that of the data.
    Raises ValueError for a wrong shape, NaN, infinity, or a value that overflows dtype.
    """
    given = as_matrix(init, name="init").values
    check_finite(given, "init")
    for length, expected, of_what in zip(
        given.shape, (n_clusters, n_features), ("number of clusters", "number of features of the data")
    ):
        if length != expected:
            raise ValueError(
                f"The shape of the initial centers {given.shape} does not match the {of_what} {expected}. "
                f"Pass an init of shape ({n_clusters}, {n_features})."
            )
    if given.dtype == dtype:
        return given.copy()
    with np.errstate(over="ignore"):
        centers = np.array(given, dtype=dtype, order="C")
    overflow = ~np.isfinite(centers)
    if overflow.any():
        raise ValueError(
            f"init contains {given[overflow][0]:g}, which overflows {centers.dtype}, the dtype of X. "
            "Rescale the data, or pass X as float64."
        )
    return centers


_spare_states: list[np.random.RandomState] = []  # a new RandomState takes 70 us to gather entropy, seeding one 1 us


class drawing_from:
    """Lend the RandomState of check_random_state to a block, which must not keep it.

    For an integer the block may get a RandomState that another block has returned, seeded anew. Lists pop and append in
    one step, so nested blocks, and blocks in other threads, get different ones. A class, because a generator takes 1 us more, of
    the 55 us of a fit of 300 samples (one core of a Zen 5).
    """

    def __init__(self, random_state: Any) -> None:
        self._is_lent = _is_integer(random_state)
        if not self._is_lent:
            self._state = check_random_state(random_state)
            return
        check_random_state_parameter("random_state", random_state)
        try:
            self._state = _spare_states.pop()
        except IndexError:
            self._state = np.random.RandomState()
        self._state.seed(random_state)

    def __enter__(self) -> np.random.RandomState:
        return self._state

    def __exit__(self, *failure: object) -> None:
        if self._is_lent and len(_spare_states) < 8:
            _spare_states.append(self._state)


def check_random_state(random_state: Any) -> np.random.RandomState:
    """Return a RandomState to draw from.

    random_state : None for NumPy's global one (so that numpy.random.seed governs it), an integer in
        [0, 2**32 - 1] for a new one, a RandomState for itself, a Generator for a RandomState on its stream.
    Raises TypeError or ValueError if it is anything else.
    """
    check_random_state_parameter("random_state", random_state)
    if random_state is None:
        return np.random.mtrand._rand  # the only handle that NumPy gives on its global stream
    if isinstance(random_state, np.random.Generator):
        return np.random.RandomState(random_state.bit_generator)
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _got(value: Any) -> str:
    """Describe a value and its type, in short."""
    return f"got {_shown(value, repr)} ({type(value).__name__})."


def _shown(value: Any, show: Callable[[Any], str] = str) -> str:
    try:
        text = show(value)
    except ValueError:  # Python writes no integers of more than some thousand digits
        return f"an integer of {value.bit_length()} bits"
    return text if len(text) <= 60 else text[:57] + "..."


def check_integer(name: str, value: Any, minimum: int, alternative: str = "") -> None:
    if type(value) is int and minimum <= value <= _INT_MAX:
        return
    rule = f"{name} must be {alternative}an integer >= {minimum}"
    if not _is_integer(value):
        raise TypeError(f"{rule}; {_got(value)}")
    if value < minimum:
        raise ValueError(f"{rule}; got {_shown(value)}.")
    if value > _INT_MAX:
        raise ValueError(f"{rule} and <= {_INT_MAX}; got {_shown(value)}.")


def check_name(name: str, value: Any, known: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(map(repr, known))}; {_got(value)}")
    if value not in known:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, known))}; got {str(value)!r}.{_hint(value, known)}"
        )


def _hint(value: str, known: Iterable[str]) -> str:
    """Suggest the known name nearest to a misspelt one."""
    from difflib import get_close_matches

    near = get_close_matches(value.lower().replace("_", "-"), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def check_n_clusters_or_auto(name: str, value: Any) -> None:
    if not (isinstance(value, str) and value == "auto"):
        check_integer(name, value, 1, "'auto' or ")


def check_count(name: str, value: Any) -> None:
    check_integer(name, value, 1)


def check_n_init(name: str, value: Any) -> None:
    if not (isinstance(value, str) and value == "auto"):
        check_integer(name, value, 1, "'auto' or ")


def check_n_threads(name: str, value: Any) -> None:
    if value is not None:
        check_integer(name, value, 1, "None or ")


def check_verbose(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        check_integer(name, value, 0, "a bool or ")


def check_bool(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; {_got(value)}")


def check_standardize(name: str, value: Any) -> None:
    rule = f"{name} must be True, False or 'robust'"
    if not isinstance(value, (bool, np.bool_, str)):
        raise TypeError(f"{rule}; {_got(value)}")
    if isinstance(value, str) and value != "robust":
        raise ValueError(f"{rule}; got {value!r}.{_hint(value, ['robust'])}")


def check_tol(name: str, value: Any) -> None:
    """Check a number that may be 0, but not negative, infinite or NaN."""
    rule = f"{name} must be a finite number >= 0"
    if not (isinstance(value, (float, np.floating)) or _is_integer(value)):
        raise TypeError(f"{rule}; {_got(value)}")
    try:
        is_right = 0 <= float(value) < inf
    except OverflowError:
        is_right = False
    if not is_right:
        raise ValueError(f"{rule}; got {_shown(value)}.")


def check_tol_or_none(name: str, value: Any) -> None:
    if value is not None:
        check_tol(name, value)


def check_time(name: str, value: Any) -> None:
    """Check a number of seconds above 0, or None."""
    check_tol_or_none(name, value)
    if value is not None and not value > 0:
        raise ValueError(f"{name} must be None or a number of seconds > 0; got {_shown(value)}.")


def check_callback(name: str, value: Any) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be None or a callable; {_got(value)}")


def check_checkpoint(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be None or a path; {_got(value)}")


def check_init_parameter(name: str, value: Any) -> None:
    if isinstance(value, str):
        check_name(name, value, INITS)
    elif not (callable(value) or isinstance(value, (list, tuple)) or _is_array(value) or is_table(value)):
        raise TypeError(
            f"{name} must be one of {', '.join(map(repr, INITS))}, an array (n_clusters, n_features) "
            f"or a callable; {_got(value)}"
        )


def check_batch_init(name: str, value: Any) -> None:
    """As check_init_parameter, without the name of what needs all rows at once."""
    if isinstance(value, str):
        check_name(name, value, SEARCHED_INITS)
    else:
        check_init_parameter(name, value)


def check_pair_init(name: str, value: Any) -> None:
    """As check_init_parameter, where each split needs other centers, so that no array can be given."""
    if isinstance(value, str):
        check_name(name, value, SEARCHED_INITS)
    elif not callable(value):
        raise TypeError(
            f"{name} must be one of {', '.join(map(repr, SEARCHED_INITS))} or a callable, because each split begins with centers of "
            f"its own; {_got(value)}"
        )


def check_bisecting_strategy(name: str, value: Any) -> None:
    check_name(name, value, BISECTING_STRATEGIES)


def check_count_or_none(name: str, value: Any) -> None:
    if value is not None:
        check_integer(name, value, 1, "None or ")


def check_patience(name: str, value: Any) -> None:
    if value is not None:
        check_integer(name, value, 0, "None or ")


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def check_random_state_parameter(name: str, value: Any) -> None:
    rule = f"{name} must be None, an integer from 0 to {_SEED_MAX}, a NumPy RandomState or a NumPy Generator"
    if _is_integer(value):
        if not 0 <= value <= _SEED_MAX:
            raise ValueError(f"{rule}; got {_shown(value)}.")
    elif value is not None and not isinstance(value, (np.random.RandomState, np.random.Generator)):
        raise TypeError(f"{rule}; {_got(value)}")
