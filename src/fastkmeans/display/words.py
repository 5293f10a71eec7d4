"""Counts and numbers in words."""

from __future__ import annotations

DIGITS = 4
"""Digits of a number that is shown to be read, not to be computed with."""


def counted(count: int, thing: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "feature"), counted(20000, "feature")
    ('1 feature', '20,000 features')
    """
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def short_number(value: float) -> str:
    """Return a number with four digits, and with commas where it is large.

    Examples
    --------
    >>> [short_number(value) for value in (82300.4, 31.0, 0.0123456, 1234567.8, -2.5e-9)]
    ['82,300', '31', '0.01235', '1,235,000', '-2.5e-09']
    """
    rounded = float(f"{value:.{DIGITS}g}")
    return f"{rounded:,.0f}" if 10 ** (DIGITS - 1) <= abs(rounded) < 1e15 else f"{rounded:.{DIGITS}g}"


def percent(share: float) -> str:
    """Return a share as a percentage, which is 100 % or 0 % only if nothing, or all, is missing.

    Examples
    --------
    >>> [percent(share) for share in (0.3, 0.998, 0.9999, 1.0, 0.0004)]
    ['30 %', '99.8 %', 'over 99.9 %', '100 %', 'under 0.1 %']
    """
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{100 * share:.3g} %"
