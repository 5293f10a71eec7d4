"""Fits of collections of Dask, and lazy results of fitted estimators: one partition of a result per partition of X."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import check_is_fitted
from ..fitting.fit import best_run
from ..fitting.starts import from_own_centers, warn_of_missing_clusters, warn_of_one_cluster, warn_of_units
from ..input.columns import warn_of_index
from ..input.finite import check_inertia
from ..input.matrix import Matrix, as_matrix
from ..input.parameters import check_n_clusters, check_n_threads
from ..metrics.table import METRICS, check_metric
from ..samples import weight_unit
from ..scaling import Scaling
from ..settings import Settings
from ..types import AnyArray, Values
from ..workers.collections import (
    Blocks,
    PartReader,
    all_lengths,
    blocks_of_weights,
    check_weights,
    from_partitions,
    hold,
    read_collection,
)
from ..workers.label_tasks import LabelsRef
from ..workers.labels import RemoteLabels
from ..workers.samples import RemoteSamples
from .callbacks import Watch
from .fitted import fitted_attributes

if TYPE_CHECKING:
    from .centers import CentersEstimator
    from .kmeans import KMeans

_Model = TypeVar("_Model", bound="CentersEstimator")
_KMeans = TypeVar("_KMeans", bound="KMeans")

_NOT_OF_CENTERS = ("labels_", "history_", "sweep_", "feature_names_in_", "_skl_callbacks", "_treatment")
"""Attributes that nobody needs to compare samples with centers. Some are large, and some cannot travel."""


def fit_collection(model: _KMeans, settings: Settings, X: Any, sample_weight: Any, watch: Watch | None) -> _KMeans:
    """Fit a KMeans to a collection.   watch : as KMeans._fit."""
    _refuse(settings)
    blocks = read_collection(X)
    warn_of_index(blocks.feature_names)
    if model.warm_start:
        settings = from_own_centers(settings, getattr(model, "cluster_centers_", None), blocks.n_features)
    samples = _samples_of(blocks, sample_weight, _Prepare(None, settings.metric, blocks.dtype), settings.n_threads)
    try:
        check_n_clusters(settings.n_clusters, len(samples.values))
        no_rows: AnyArray = np.empty((0, blocks.n_features), dtype=blocks.dtype)
        matrix = Matrix(no_rows, blocks.feature_names, None)
        if watch is not None:
            settings = settings._replace(callback=watch(settings, matrix, None))
        warn_of_units(settings, matrix, samples)
        warn_of_one_cluster(settings)
        found, algorithm = best_run(settings, samples)
    finally:
        samples.close()
    warn_of_missing_clusters(found.n_distinct, settings.n_clusters)
    fitted = fitted_attributes(found, algorithm, blocks.feature_names, None)
    lengths = all_lengths(samples.parted, len(blocks.delayed))
    fitted["labels_"] = _lazy_labels(_bare(model, fitted), blocks, lengths)
    model._take_over(fitted)
    return model


def _refuse(settings: Settings) -> None:
    """Raise ValueError for parameters that collections do not know."""
    if settings.metric == "manhattan":
        raise ValueError(
            "metric must be 'euclidean' or 'cosine' for a collection of Dask, because medians of parts do not add up; got "
            "'manhattan'. Pass X.compute() if it fits into memory."
        )
    if callable(settings.init):
        raise ValueError(
            "init must be a name or an array for a collection of Dask, because a callable reads all samples; got "
            f"{settings.init!r}. Call it on some rows, and pass the centers."
        )
    if settings.standardize:
        raise ValueError(
            f"standardize must be False for a collection of Dask; got {settings.standardize!r}. Pass (X - X.mean(0)) / X.std(0)."
        )
    if settings.n_clusters == "auto":
        raise ValueError("n_clusters must be a number for a collection of Dask; got 'auto'. Sweep by elbow(X).")


@dataclass(frozen=True)
class _Prepare:
    """Rows as they are measured, by what a metric and a fit make of them.   dtype : of the result."""

    scaling: Scaling | None
    metric: str
    dtype: Any

    def __call__(self, values: Values) -> Values:
        if self.scaling is not None:
            values = self.scaling.standardized(values, self.dtype)
        prepare_rows = METRICS[self.metric].prepare_rows
        return values if prepare_rows is None else prepare_rows(values, self.dtype, "X", 1)


def _samples_of(
    blocks: Blocks, sample_weight: Any, prepare: _Prepare, n_threads: int | None, described: bool = True
) -> RemoteSamples:
    """Return the samples, on workers."""
    weights = blocks_of_weights(sample_weight, blocks)
    is_same = prepare.scaling is None and METRICS[prepare.metric].prepare_rows is None
    made = blocks.dtype if is_same else prepare.dtype
    transport, parts = hold(blocks, weights, PartReader(blocks, None if is_same else prepare, made), n_threads)
    samples = RemoteSamples(transport, parts, blocks.n_features, made, weights is not None, described)
    if weights is not None:
        check_weights(samples.sample_weight)
    return samples


def predict(model: CentersEstimator, X: Any) -> Any:
    """Return the labels of a collection: a lazy array, int32."""
    model, blocks = _checked(model, X, "predict")
    return _lazy_labels(_bare(model), blocks)


def transform(model: CentersEstimator, X: Any) -> Any:
    """Return the distances of a collection to each center: a lazy array."""
    model, blocks = _checked(model, X, "transform")
    n_clusters = len(model.cluster_centers_)
    of_partition = _OfPartition(_bare(model).transform, (n_clusters,), blocks.dtype, blocks.dtype)
    return from_partitions(blocks, of_partition, n_clusters, blocks.dtype)


def score(model: CentersEstimator, X: Any, sample_weight: Any) -> float:
    """Return minus the inertia of a collection: a number, as scikit-learn's contract asks, and so computed at once."""
    model, blocks = _checked(model, X, "score")
    metric = check_metric(model.metric)
    prepare = _Prepare(model._scaling(), model.metric, model.cluster_centers_.dtype)
    samples = _samples_of(blocks, sample_weight, prepare, model.n_threads, described=False)
    try:
        unit, largest, weights = weight_unit(samples.sample_weight)
        centers = model._wide_centers()
        labels = RemoteLabels(samples.parted, LabelsRef(centers, kind=metric.kind))
        inertia = samples.inertia(centers, labels, weights, 1, metric.kind)
        return -check_inertia(unit * inertia, unit * largest)
    finally:
        samples.close()


def gathered(X: Any, sample_weight: Any, what: str) -> tuple[Any, Any]:
    """Return samples and weights in this process: a DataFrame if X is one, else an array.

    what : what needs them.   Raises ValueError if they are too large.
    """
    blocks = read_collection(X)
    samples = _samples_of(blocks, sample_weight, _Prepare(None, "euclidean", blocks.dtype), None, described=False)
    try:
        whole = samples.whole(what)
    finally:
        samples.close()
    values: Any = whole.values
    if blocks.feature_names is not None:
        values = type(X._meta)(values, columns=list(blocks.feature_names))
    return values, whole.sample_weight


def _checked(model: _Model, X: Any, method: str) -> tuple[_Model, Blocks]:
    """Return a snapshot of a fitted estimator, and the partitions of X, whose features are those of the fit."""
    model = model._snapshot()
    check_is_fitted(model, method)
    check_n_threads("n_threads", model.n_threads)
    blocks = read_collection(X, getattr(model, "feature_names_in_", None))
    model._check_feature_names(blocks.feature_names, blocks.n_features, reset=False)
    return model, blocks


def _bare(model: _Model, fitted: dict[str, Any] | None = None) -> _Model:
    """Return a copy of an estimator that only knows its centers.   fitted : attributes to set."""
    bare = model._snapshot()
    attributes = vars(bare)
    attributes.update(fitted or {})
    for name in _NOT_OF_CENTERS:
        attributes.pop(name, None)
    # As many tasks run at a time as a worker has threads.
    attributes |= {"n_threads": 1, "_sklearn_output_config": {"transform": "default"}}
    attributes |= {name: None for name in ("callback", "random_state", "init") if name in attributes}
    return bare


def _lazy_labels(bare: CentersEstimator, blocks: Blocks, lengths: tuple[int, ...] | None = None) -> Any:
    of_partition = _OfPartition(bare.predict, (), np.int32, blocks.dtype)
    return from_partitions(blocks, of_partition, None, np.int32, lengths)


@dataclass(frozen=True)
class _OfPartition:
    """What a method of an estimator gives for one partition.

    shape, dtype : of the result for one sample.   read_as : type of the samples.
    """

    method: Callable[[Values], AnyArray]
    shape: tuple[int, ...]
    dtype: Any
    read_as: Any

    def __call__(self, partition: Any, number: int) -> AnyArray:
        if not len(partition):
            return np.empty((0, *self.shape), dtype=self.dtype)
        try:
            return self.method(as_matrix(partition, dtype=self.read_as).values)
        except ValueError as error:
            raise ValueError(f"Partition {number} of X, whose rows are counted from 0: {error}") from None
