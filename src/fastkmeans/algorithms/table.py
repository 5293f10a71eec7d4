"""The algorithms: name -> state class and what it is made of. An algorithm is one .pyx file and one row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from .._core.lloyd import LloydState
from .._core.prefix import PrefixState
from .._core.quantized import QuantizedState
from .._core.sums import ClusterSums
from .._core.tiles import TilesState
from .._core.yinyang import YinyangState
from ..types import Floats, Labels

_Sums = TypeVar("_Sums", covariant=True)


class Sums(Protocol):
    """What an engine reads of the sums that follow the labels; see ClusterSums in kmeans_core/sums.pyx."""

    @property
    def labels(self) -> Labels: ...
    @property
    def sums(self) -> Floats: ...
    @property
    def grid(self) -> Floats: ...

    def move(
        self, centers: Floats, origin: Floats, moved: Floats, terms: Floats, digits: float = 0.0
    ) -> tuple[float, float, int, int]:
        """Move the centers to the means of the labels; see ClusterSums.move."""


class State(Protocol[_Sums]):
    """What steps, and the sums that follow its labels; see kmeans_core/lloyd.pyx."""

    @property
    def clusters(self) -> _Sums: ...
    @property
    def stepped_by(self) -> str: ...

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed."""


class Algorithm(NamedTuple):
    """A row of the table.

    state : class called with (X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples=0), and with copies
        if the row names some; the first seven go on to ClusterSums. It has `clusters`, a ClusterSums; `stepped_by`, the name of
        what the last step ran; and step(centers), which returns the number of labels that changed. X stays where it is as long as
        the state lives. A filter goes over to Lloyd's steps where it saves nothing.
    bytes_per_sample : what the state keeps for each sample.
    starts_with_blas : whether the first step multiplies matrices in NumPy.
    copies : which copies of the samples the state shares with the seeding and other starts, a name in Copies; "" for none.
    source : the paper.
    """

    state: Callable[..., State[ClusterSums]]
    bytes_per_sample: int
    source: str
    starts_with_blas: bool = False
    copies: str = ""


ALGORITHMS = {
    "lloyd": Algorithm(LloydState, 4, "Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28(2), 1982"),
    # Beside a copy of the row, in its type and once more in float32: three numbers of 4 bytes.
    "tiles": Algorithm(TilesState, 12, "Pelleg and Moore, Accelerating exact k-means algorithms, KDD 1999"),
    # Up to 192 coordinates of one byte (four where no instruction multiplies bytes), five lengths and two bounds.
    "prefix": Algorithm(
        PrefixState,
        236,
        "after Bottesch et al., Speeding up k-means by block vectors, ICML 2016",
        starts_with_blas=True,
        copies="codes",
    ),
    # Labels twice, two lengths, and at most two bytes a feature.
    "quantized": Algorithm(
        QuantizedState,
        16,
        "after Bottesch et al., Speeding up k-means by block vectors, ICML 2016",
        starts_with_blas=True,
        copies="quantized",
    ),
    # Labels three times, an upper bound, at most 16 lower ones, and quantized samples besides (two lengths, two bytes a feature).
    "yinyang": Algorithm(
        YinyangState,
        88,
        "Ding et al., Yinyang K-Means, ICML 2015; Newling and Fleuret, ICML 2016",
        starts_with_blas=True,
        copies="quantized",
    ),
}


# Steps below which no filter pays for its start.
MIN_STEPS = 8


def choose_algorithm(
    name: str, n_samples: int, n_features: int, n_clusters: int, max_iter: int, n_runs: int = 1
) -> str:
    """Return the algorithm that runs for a name; "auto" leaves the choice to us.

    n_runs : over how many runs the start of a filter is spread, where they share it.

    By the shape alone, so that repeated runs agree; within it each filter counts its work and goes over to
    Lloyd's steps where the samples give it nothing. The limits are those below which a filter was slower over 20 steps
    (benchmarks/README.md).
    """
    if name != "auto":
        return name
    if max_iter * n_runs < MIN_STEPS:
        return "lloyd"
    if n_features <= 4 and n_clusters >= 4 and n_samples >= 50_000:
        return "tiles"
    if 8 <= n_features <= 64 and n_clusters >= 100 and n_clusters * n_features >= 1000 and n_samples >= 20_000:
        return "yinyang"
    least = 4 if n_runs == 1 else 2
    if 8 <= n_features <= 64 and n_clusters >= least and float(n_samples) * n_clusters * n_features * n_runs >= 5e7:
        return "quantized"
    if n_features > 64 and n_clusters >= 96 and float(n_samples) * n_clusters * n_features >= 3e8:
        return "prefix"
    return "lloyd"
