"""Which columns of a table are features, and why the others are not.

Looks at names and values alone, and reads no file, so that one rule holds for DataFrames and for the command line. The rules, the
first that holds decides:

1. A column that pandas' metadata calls an index, or that is named `__index_level_0__` (1, ...), is left out.
2. A column without any value is left out.
3. A column without a name ("", or "Unnamed: 0" as pandas names it) is left out: row numbers and row names are written so.
4. Text, dates, durations and whatever else holds no numbers is left out. Booleans are numbers: 0 and 1.
5. Whole numbers under a name that says label or cluster, or under the name that the labels are to have, are labels of an earlier
   clustering, and left out.
6. Whole numbers that are all dates, as 20240131 is, in 3 rows or more, are left out.
7. Whole numbers are an identifier, and left out, in four cases:

   - The name ends or begins with the word "id": `id`, `customer_id`, `PassengerId`.
   - The name is index, idx or row, or ends in key, no, nr, num, number or nummer, and no value occurs twice. There must be 20 rows or more,
     or the values must be 0 to n-1 or 1 to n, in any order. A name that begins with "number of" is that of a measure.
   - The values rise by exactly 1 from row to row, in 10 rows or more. A time (year, day, t, ...) may do so and is kept.
   - All values are beyond 2**53, where float64 does not hold every whole number.

Everything else is a feature, a column of one value too. Features that may be codes, by their names alone, are named by names_of_codes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ColumnsLeftOutWarning, warn
from ..types import AnyArray, Names
from .marks import in_words

LISTED = 8
"""So many columns are listed in a message."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_UNNAMED = re.compile(r"(Unnamed: \d+(_level_\d+)?)?")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_WHOSE_ID = re.compile(
    r"(row|user|customer|client|member|patient|person|employee|student|order|product|item|session|transaction|account|record|object)id"
)
_ID_WORDS = frozenset({"id", "ids", "uuid", "guid"})
_KEY_NAMES = frozenset({"index", "idx", "row"})
_KEY_ENDINGS = ("key", "no", "num", "nr", "number", "nummer")
_LABEL_NAMES = frozenset({"label", "labels", "cluster", "clusters"})
_CODE_WORDS = frozenset(
    "code codes zip zipcode plz postcode postleitzahl phone telephone telefon tel fax mobile gender sex geschlecht date datum".split()
)
_TIME_WORDS = frozenset(
    {"t", "time", "timestamp", "year", "yr", "quarter", "month", "week", "day", "hour", "minute", "second", "date", "epoch", "jahr"}
)  # fmt: skip

_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
"""Of each month, January at 1."""
_FEW_ROWS = 3
_MANY_ROWS_FOR_KEYS = 20
_MANY_ROWS_FOR_COUNTING = 10
_LARGEST_EXACT = 2.0**53


class Column(NamedTuple):
    """What is known of one column.

    name : text, or whatever pandas has for a name; "" if the file gives none.
    values : (n_samples,) integers, floats or booleans, NaN where a value is missing; None if the column does not hold numbers.
    whole : whether the numbers are written as whole numbers: an integer dtype, or text without a decimal point.
    holds : what a message says that a column without numbers holds, for example "text" or "dates".
    is_index : whether the file says that this was the index of a pandas table.
    mark : the mark of percent or of a currency that every number had in the text; "" for none.
    """

    name: Any
    values: AnyArray | None = None
    whole: bool = False
    holds: str = "text"
    is_index: bool = False
    mark: str = ""


class LeftOut(NamedTuple):
    """A column that is no feature, and the reason."""

    name: Any
    reason: str


class Features(NamedTuple):
    """The columns of a table that are features, by their places in it, and those that are not."""

    places: list[int]
    left_out: list[LeftOut]


def feature_columns(columns: Sequence[Column], label_name: str = "labels") -> Features:
    """Decide which columns of a table are features, by the rules that stand at the head of this file.

    label_name : the name that the column of labels is to have.
    """
    places, left_out = [], []
    for place, column in enumerate(columns):
        reason = _why_left_out(column, label_name)
        if reason is None:
            places.append(place)
        else:
            left_out.append(LeftOut(column.name, reason))
    return Features(places, left_out)


def describe(left_out: Sequence[LeftOut]) -> str:
    """List columns that were left out, each with its reason, for a message."""
    listed = [f"{_shown(column.name)} ({column.reason})" for column in left_out[:LISTED]]
    more = len(left_out) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def names_of_codes(columns: Sequence[Column], places: Sequence[int]) -> list[Any]:
    """Return the names of those features, given by their places, whose whole numbers may be codes, which nothing but the name tells.

    0 and 1 alone are no codes: clustered, they mean the same as true and false.
    """
    return [columns[place].name for place in places if _may_be_codes(columns[place])]


def _may_be_codes(column: Column) -> bool:
    words = [word.lower() for word in _WORDS.findall(column.name)] if isinstance(column.name, str) else []
    if not words or column.values is None or not (words[-1] in _CODE_WORDS or _says_key(words)):
        return False
    known = _known_values(column.values)
    return bool(len(known)) and _all_whole(known) and not bool(np.isin(known, (0, 1)).all())


def describe_marks(columns: Sequence[Column]) -> str:
    """List columns whose numbers had marks, for a note: "'rate' as percent"; "" for none."""
    return ", ".join(f"{_shown(column.name)} as {in_words(column.mark)}" for column in columns if column.mark)


def warn_of_index(names: Names | None) -> None:
    """Warn if samples to fit have columns whose names alone show that they are no features. An estimator reads every column.

    names : Matrix.feature_names.
    """
    wrong = (
        [name for name in names if _PANDAS_INDEX.fullmatch(name) or _UNNAMED.fullmatch(name)]
        if names is not None
        else []
    )
    if wrong:
        warn(
            f"X has {list_names(wrong)}, most likely row numbers that a file kept, and they count as features; drop these columns, or "
            "read the file with index_col=0.",
            ColumnsLeftOutWarning,
        )


def list_names(names: Collection[Any]) -> str:
    """List column names for a message, the first few if there are many."""
    shown = [_shown(name) for _, name in zip(range(LISTED), names, strict=False)]
    return ", ".join(shown) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _shown(name: Any) -> str:
    return "a column without a name" if name == "" else repr(name)


def _why_left_out(column: Column, label_name: str) -> str | None:
    """Return the reason why a column is no feature, or None if it is one."""
    name = column.name if isinstance(column.name, str) else ""
    if column.is_index or _PANDAS_INDEX.fullmatch(name):
        return "the index of a pandas table"
    is_unnamed = isinstance(column.name, str) and _UNNAMED.fullmatch(name)
    if column.values is not None and not is_unnamed and _begins_with_fractions(column.values):
        return None
    known = None if column.values is None else _known_values(column.values)
    if known is not None and not len(known):
        return "no values"
    if is_unnamed:
        return "row numbers or row names" if name == "" else "a column without a name"
    if known is None:
        return column.holds
    if not column.whole and not _all_whole(known):
        return None
    return _why_no_measure(name.strip(), column, known, label_name)


def _why_no_measure(name: str, column: Column, known: AnyArray, label_name: str) -> str | None:
    """Return why whole numbers are labels or identifiers, or None if they may be a measure."""
    if (name.lower() in _LABEL_NAMES or name == label_name) and known.min() >= -1:
        return "labels of an earlier clustering"
    if _are_dates(known):
        return "dates written as whole numbers"
    words = [word.lower() for word in _WORDS.findall(name)] or [""]
    if _ID_WORDS & {words[0], words[-1]} or _WHOSE_ID.fullmatch(words[-1]):
        return "an identifier"
    if _says_key(words) and _are_keys(known):
        return "an identifier: no value occurs twice"
    if column.whole and _rises_by_one(column.values) and not _TIME_WORDS & set(words):
        return "row numbers: they rise by 1 from row to row"
    if column.whole and float(np.abs(known.astype(np.float64)).min()) > _LARGEST_EXACT:
        return "an identifier: whole numbers beyond 2**53"
    return None


def _says_key(words: list[str]) -> bool:
    """Say whether a name is that of a key. Of "casino" and "turkey" the end is no word, but "kundennr" is written as one."""
    alone = len(words) == 1 and words[0] in _KEY_NAMES
    return alone or words[-1] in _KEY_ENDINGS or words[-1].endswith(("nr", "nummer", "number"))


def _known_values(values: AnyArray) -> AnyArray:
    return values[~np.isnan(values)] if values.dtype.kind == "f" else values


def _begins_with_fractions(values: AnyArray) -> bool:
    """Say whether a few values show already that a column is a measure, as they do for most."""
    first = values[:16]
    return first.dtype.kind == "f" and bool(np.any(first != np.floor(first)) and np.all(np.isfinite(first)))


def _all_whole(values: AnyArray) -> bool:
    return values.dtype.kind != "f" or bool(np.all(values == np.floor(values)) and np.all(np.isfinite(values)))


def _are_keys(known: AnyArray) -> bool:
    """Say whether no value occurs twice in many rows, or the values count the rows in any order."""
    ordered = np.unique(known)
    if len(ordered) < len(known) or len(known) < _FEW_ROWS:
        return False
    counts = int(ordered[0]) in (0, 1) and int(ordered[-1]) == int(ordered[0]) + len(known) - 1
    return counts or len(known) >= _MANY_ROWS_FOR_KEYS


def _are_dates(known: AnyArray) -> bool:
    """Say whether whole numbers are dates of 1900 to 2099, written as 20240131. A measure is not, in three rows or more."""
    if len(known) < _FEW_ROWS or known.dtype.kind == "b" or known.min() < 19_000_101 or known.max() > 20_991_231:
        return False
    numbers = known.astype(np.int64)
    month, day = numbers // 100 % 100, numbers % 100
    is_month = (month >= 1) & (month <= 12)
    return bool((is_month & (day >= 1) & (day <= _DAYS[np.where(is_month, month, 0)])).all())


def _rises_by_one(values: AnyArray | None) -> bool:
    if values is None or values.dtype.kind == "b" or len(values) < _MANY_ROWS_FOR_COUNTING:
        return False
    return all(
        bool(np.all(part[1:] > part[:-1]) and np.all(part[1:] - part[:-1] == 1)) for part in (values[:16], values)
    )
