"""Benchmarks of fastkmeans: history with asv, claims with ``python -m benchmarks.compare``. See README.md."""


class Absent(NotImplementedError):
    """A peer or an array that is not on this machine; asv shows such a benchmark as n/a."""
