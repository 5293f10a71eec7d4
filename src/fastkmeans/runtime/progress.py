"""Progress bars, which need tqdm."""

from __future__ import annotations

from typing import Any


def new_bar(total: int | None, description: str, unit: str) -> Any:
    """Return a tqdm bar, or raise the ImportError that says how to install it."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError('progress=True needs tqdm: pip install "fastkmeans-core[progress]"') from error
    return tqdm(total=total, desc=description, unit=unit)
