"""How asv times calls that take up to seconds."""

from __future__ import annotations


class SlowCalls:
    """Attributes of an asv class: one call a sample of the clock and a few samples, in one process."""

    number = 1
    repeat = (3, 5, 20.0)
    rounds = 1
    warmup_time = 0.0
    timeout = 600.0
