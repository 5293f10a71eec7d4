"""The algorithms: name -> state class and what it is made of. An algorithm is one .pyx file and one row here."""

from __future__ import annotations

from typing import NamedTuple

from ._core.lloyd import LloydState
from ._core.tiles import TilesState
from ._core.prefix import PrefixState


class Algorithm(NamedTuple):
    """A row of the table.

    state : class with step(centers) and move(...), see kmeans_core/lloyd.pyx.
    bytes_per_sample : what the state keeps for each sample.
    source : the paper.
    """

    state: type
    bytes_per_sample: int
    source: str


ALGORITHMS = {
    "lloyd": Algorithm(LloydState, 4, "Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28(2), 1982"),
    # Beside a copy of the row, in its type and once more in float32: three numbers of 4 bytes.
    "tiles": Algorithm(TilesState, 12, "Pelleg and Moore, Accelerating exact k-means algorithms, KDD 1999"),
    # Up to 192 coordinates of one byte (four without integer dot products) and five lengths.
    "prefix": Algorithm(PrefixState, 220, "after Bottesch et al., Speeding up k-means by block vectors, ICML 2016"),
}


def choose_algorithm(name: str) -> str:
    """Return the algorithm that runs for a name; "auto" leaves the choice to us."""
    return "lloyd" if name == "auto" else name
