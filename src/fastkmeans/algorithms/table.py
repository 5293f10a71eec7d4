"""The table of algorithms, and the choice of "auto". Each algorithm is one .pyx file and one row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from .._core.lloyd import LloydState
from .._core.pair import PairState
from .._core.prefix import PrefixState
from .._core.quantized import QuantizedState
from .._core.stored import StoredRows
from .._core.sums import ClusterSums
from .._core.tiles import TilesState
from .._core.yinyang import YinyangState
from ..types import Floats, Labels
from .budget import has_room_for_tiles, spare_groups

_Sums = TypeVar("_Sums", covariant=True)


class Sums(Protocol):
    """Sums of the clusters of the current labels: what an engine reads of ClusterSums (kmeans_core/sums.pyx)."""

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
    """An algorithm's state in one run: it labels the samples and updates their sums; see kmeans_core/lloyd.pyx."""

    @property
    def clusters(self) -> _Sums: ...
    @property
    def stepped_by(self) -> str: ...

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed."""


class Algorithm(NamedTuple):
    """A row of the table.

    state : class called with (X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples=0), and with
        `copies` if the row names some. The seven arguments go on to ClusterSums. A state has `clusters`, a ClusterSums;
        `stepped_by`, the algorithm that ran the last step; and step(centers), which returns the number of labels that
        changed. X must not move while the state lives. A filter switches to Lloyd's steps if it saves nothing.
        The nearest center is the one with the smallest float64 distance, summed in the order of NumPy; the lowest index of
        equals. Another order of the sum decides ties otherwise. `all_sq_distances` of kernels.h computes these distances, and
        `assign` decides by them (`decide` in kernels/exact.h). A simple algorithm finds all labels and passes them to
        ClusterSums.follow(labels), which updates the sums and returns how many labels changed.
    source : the paper, which README.md names too.
    uses_blas : whether some steps multiply matrices in NumPy: the first one, and those that try a filter again.
    copies : the field of Copies that the state shares with seeding and other starts; "" for none.
    falls_back : whether the state switches to Lloyd's steps if its filter saves nothing. False for an algorithm without a filter.
    """

    state: Callable[..., State[ClusterSums]]
    source: str
    uses_blas: bool = False
    copies: str = ""
    falls_back: bool = False


ALGORITHMS = {
    "lloyd": Algorithm(
        LloydState, "Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28(2), 1982", falls_back=True
    ),
    "pair": Algorithm(PairState, "after Hamerly, Making k-means even faster, SDM 2010", falls_back=True),
    "tiles": Algorithm(
        TilesState, "Pelleg and Moore, Accelerating exact k-means algorithms, KDD 1999", falls_back=True
    ),
    "prefix": Algorithm(
        PrefixState,
        "after Bottesch et al., Speeding up k-means by block vectors, ICML 2016",
        uses_blas=True,
        copies="codes",
        falls_back=True,
    ),
    "quantized": Algorithm(
        QuantizedState,
        "after Bottesch et al., Speeding up k-means by block vectors, ICML 2016",
        uses_blas=True,
        copies="quantized",
        falls_back=True,
    ),
    "yinyang": Algorithm(
        YinyangState,
        "Ding et al., Yinyang K-Means, ICML 2015; Newling and Fleuret, ICML 2016",
        uses_blas=True,
        copies="quantized",
        falls_back=True,
    ),
}


MEMORY_CLUSTERS = 16
"""A step of Lloyd's with fewer clusters takes about as long as with so many: its time is that of reading. On two threads of a Zen 4
"quantized" then took 0.3 to 0.9 times as long as "lloyd" over 20 iterations with 2 or 3 clusters, of clouds of
68 000 to 300 000 samples with 12 to 154 features, and 0.7 to 1.1 times where clusters were apart and 3 iterations enough."""

SKLEARN_NAMES = {"elkan": "auto", "full": "lloyd"}
"""scikit-learn's name of an algorithm -> the name that runs here. Elkan's algorithm skips pairs by bounds. So do all rows
but "lloyd", and "auto" takes the one that pays. "full" is what scikit-learn called "lloyd" before version 1.1."""


# With fewer steps no filter pays for its start.
MIN_STEPS = 8

# What "pair" keeps of each sample is as long as three float32 values, so that it saves nothing where rows are as short.
LEAST_PAIR_FEATURES = 5


def choose_algorithm(
    name: str, n_samples: int, n_features: int, n_clusters: int, max_iter: int, n_runs: int = 1
) -> str:
    """Return the algorithm to run: `name`, or for "auto" the one that suits the arguments.

    name : of the table, "auto", or one of SKLEARN_NAMES.
    n_runs : number of runs that share the start of a filter.

    The choice reads no samples, so that repeated runs agree. During a run each filter counts its work, and switches to
    Lloyd's steps if it saves nothing. Below the limits here, a filter was slower over 20 steps (benchmarks/README.md).
    """
    name = SKLEARN_NAMES.get(name, name)
    if name != "auto":
        return name
    if max_iter * n_runs < MIN_STEPS:
        return "lloyd"
    if n_clusters == 2 and LEAST_PAIR_FEATURES <= n_features <= 64:
        return "pair"
    if n_features <= 4 and n_clusters >= 4 and n_samples >= 50_000:
        return "tiles"
    if 8 <= n_features <= 64 and n_clusters >= 100 and n_clusters * n_features >= 1000 and n_samples >= 20_000:
        return "yinyang"
    work = float(n_samples) * max(n_clusters, MEMORY_CLUSTERS) * n_features * n_runs
    if 8 <= n_features <= 64 and n_clusters >= (3 if n_runs == 1 else 2) and work >= 5e7:
        return "quantized"
    if n_features > 64 and n_clusters >= 96 and float(n_samples) * n_clusters * n_features >= 3e8:
        return "prefix"
    # A trial reads at least 64 rows, and takes some 18 times as long per row as a step.
    if n_features > 64 and n_clusters >= 2 and n_samples >= 10_000 and work >= 1e8:
        return "quantized"
    if n_features > 64 and n_clusters == 2:
        return "pair"
    return "lloyd"


def choose_in_place(name: str, rows: StoredRows, n_clusters: int, max_iter: int, n_runs: int = 1) -> str:
    """Return the algorithm to run over samples that are read in place, as choose_algorithm does.

    What does not fit the memory that such a fit may take is replaced: "yinyang" by "quantized", "tiles" by "lloyd".
    """
    n_samples, n_features = rows.shape
    chosen = choose_algorithm(name, n_samples, n_features, n_clusters, max_iter, n_runs)
    if chosen == "yinyang" and not spare_groups(rows):
        return "quantized"
    if chosen == "tiles" and not has_room_for_tiles(rows):
        return "lloyd"
    return chosen
