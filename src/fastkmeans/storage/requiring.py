"""How the parts of a model file are asked for."""

from __future__ import annotations

import reprlib
from typing import Any


def part(parts: dict[str, Any], name: str) -> Any:
    """Return a part. Raises ValueError, naming it, if it is missing."""
    if name not in parts:
        raise ValueError(f"{name} is missing.")
    return parts[name]


def require(holds: bool, name: str, rule: str, *value: Any) -> None:
    """Raise ValueError, naming the part, its rule and its value, unless the rule holds."""
    if not holds:
        shown = ", ".join(map(reprlib.repr, value[:8])) + (", ..." if len(value) > 8 else "")
        raise ValueError(f"{name} must be {rule}; got {shown}.")
