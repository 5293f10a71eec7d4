"""Which columns of a file the user, or the model, chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..input.columns import Column, Features, describe, feature_columns, list_names


class Choice(NamedTuple):
    """Which columns to use.

    columns : names, or numbers from 1, or ranges of these such as "2:5"; None for those that are features.
    features : the names that a model was fitted on, which bind where the file has names.
    label_name : the name that the column of labels is to have.
    """

    columns: Sequence[str] | None = None
    features: Sequence[str] | None = None
    label_name: str = "labels"


def features_of(columns: list[Column], choice: Choice, path: str) -> Features:
    """Choose the columns that are features; raise ValueError if none is."""
    features = feature_columns(columns, choice.label_name)
    if not features.places:
        raise ValueError(
            f"{path} has no column to cluster by; it has {describe(features.left_out)}. --columns chooses columns of numbers "
            "all the same; text must be encoded as numbers first."
        )
    return features


def chosen_places(choice: Choice, names: list[str], named: bool, path: str) -> list[int] | None:
    """Return the places of the columns that the user or the model names, None if neither does."""
    places_of = {name: place for place, name in enumerate(names)}
    chosen = (
        None
        if choice.columns is None
        else [place for text in choice.columns for place in _places(text, places_of, len(names), path)]
    )
    if choice.features is None or not named:
        return None if chosen is None else list(dict.fromkeys(chosen))
    missing = [name for name in choice.features if name not in places_of]
    if missing:
        raise ValueError(
            f"{path} has no column {list_names(missing)}, which the model was fitted on; it has {list_names(names)}. Rename its columns."
        )
    wanted = [places_of[name] for name in choice.features]
    if chosen is not None and set(chosen) != set(wanted):
        raise ValueError(
            f"--columns must name the columns that the model was fitted on, {list_names(choice.features)}; leave --columns out, and they "
            "are taken by name."
        )
    return wanted


def _places(text: str, places_of: dict[str, int], n_columns: int, path: str) -> list[int]:
    """Return the places that one part of --columns means: a name, a number from 1, or a range of numbers."""
    if text in places_of:
        return [places_of[text]]
    first, colon, last = text.partition(":")
    if first.isdecimal() and (last.isdecimal() or not colon):
        start, stop = int(first), int(last) if colon else int(first)
        if 1 <= start <= stop <= n_columns:
            return list(range(start - 1, stop))
        raise ValueError(f"there is no column {text!r} in {path}; its columns have the numbers 1 to {n_columns}.")
    raise ValueError(f"there is no column {text!r} in {path}; it has {list_names(list(places_of))}.")
