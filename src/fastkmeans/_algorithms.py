"""The algorithms: name -> state class and what it is made of. An algorithm is one .pyx file and one row here."""

from __future__ import annotations

from typing import NamedTuple

from ._core.lloyd import LloydState
from ._core.prefix import PrefixState
from ._core.yinyang import YinyangState


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
    # Up to 192 coordinates of one byte (four without integer dot products) and five lengths.
    "prefix": Algorithm(PrefixState, 220, "after Bottesch et al., Speeding up k-means by block vectors, ICML 2016"),
    # Labels twice, an upper bound, and at most 16 lower ones.
    "yinyang": Algorithm(YinyangState, 76, "Ding et al., Yinyang K-Means, ICML 2015; Newling and Fleuret, ICML 2016"),
}


def choose_algorithm(name: str) -> str:
    """Return the algorithm that runs for a name; "auto" leaves the choice to us."""
    return "lloyd" if name == "auto" else name
