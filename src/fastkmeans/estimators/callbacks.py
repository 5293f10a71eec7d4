"""scikit-learn's callbacks, which came with its version 1.9. It is imported only by who sets one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..fitting.starts import n_starts
from ..input.matrix import Matrix
from ..scaling import Scaling
from ..settings import Callback, Settings, Watcher
from ..types import Values
from .contract import Estimator

if TYPE_CHECKING:
    from .kmeans import KMeans

_Model = TypeVar("_Model", bound="KMeans")

Watch = Callable[[Settings, Matrix, Scaling | None], Callback | Watcher]
"""Makes the callback of a fit from its settings, its samples as the fit reads them, and how they were standardised."""


class CallbackSupport(Estimator):
    """The method by which scikit-learn 1.9 and its meta-estimators hand callbacks to an estimator."""

    _skl_callbacks: list[Any]

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set callbacks of scikit-learn's protocol, such as :class:`sklearn.callback.ProgressBar`.

        Parameters
        ----------
        *callbacks : callback instances
            They are told of each iteration of each start. Their `on_fit_task_end` may return True to end the start. None
            at all removes those that were set.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        ImportError
            If scikit-learn is older than 1.9. Use the parameter `callback`, which needs no scikit-learn.
        TypeError
            If a callback does not follow the protocol.
        """
        try:
            from sklearn.callback import CallbackSupportMixin
        except ImportError as error:
            raise ImportError(
                "set_callbacks needs scikit-learn 1.9 or later: install it, or pass a function as the parameter callback, "
                "which needs no scikit-learn."
            ) from error
        CallbackSupportMixin.set_callbacks(self, *callbacks)
        return self


def fit_with_callbacks(model: _Model, X: Any, y: Any, sample_weight: Any) -> _Model:
    """Fit a KMeans and tell its scikit-learn callbacks of it. Their `teardown` is called however the fit ends."""
    from sklearn.callback import with_callbacks

    def fit(model: _Model) -> _Model:
        tasks = _Tasks(model, X, y, sample_weight)
        model._fit(X, sample_weight, tasks.begin)
        tasks.end()
        return model

    fitted: _Model = with_callbacks(fit)(model)
    return fitted


class _Tasks(Watcher):
    """The fit as a tree of tasks, as scikit-learn's callbacks see it: the root, and under it one task per iteration.

    A callback that runs after an iteration cannot know whether another one follows. So the next task begins at once, and
    if no iteration follows it ends empty. scikit-learn's LogisticRegression does the same.
    """

    def __init__(self, model: KMeans, X: Any, y: Any, sample_weight: Any) -> None:
        self._model = model
        self._task: Any = None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"estimator": model, "X": X, "y": y, "metadata": metadata}

    def begin(self, settings: Settings, matrix: Matrix, scaling: Scaling | None) -> Watcher:
        """Begin the root and its first task. The arguments are those of Watch."""
        from sklearn.callback import CallbackSupportMixin

        self._user, self._names, self._scaling = settings.callback, matrix.feature_names, scaling
        # Only of a single start is it known how many iterations there are at most.
        one_start = n_starts(settings.init, settings.n_init) == 1
        self._n_left = settings.max_iter if settings.n_clusters != "auto" and one_start else None
        self._root = CallbackSupportMixin._init_callback_context(self._model, max_subtasks=self._n_left)
        self._root.call_on_fit_task_begin(**self._data)
        self._next()
        return self

    def sees(self, entry: dict[str, Any], centers: Values) -> bool:
        stop = self._task.call_on_fit_task_end(
            **self._data, reconstruction_attributes=lambda: self._attributes(centers)
        )
        self._next()
        return bool(stop) | bool(callable(self._user) and self._user(entry))

    def end(self) -> None:
        """End the root, and the task that was begun for an iteration that did not come."""
        if self._task is not None:
            self._task.call_on_fit_task_end(estimator=self._model)
        self._root.call_on_fit_task_end(**self._data, reconstruction_attributes={})

    def _next(self) -> None:
        self._task = None
        if self._n_left != 0:
            self._n_left = None if self._n_left is None else self._n_left - 1
            self._task = self._root.subcontext(task_name="iteration")
            self._task.call_on_fit_task_begin(**self._data)

    def _attributes(self, centers: Values) -> dict[str, Any]:
        """What an estimator with these centers needs for predict, transform and score."""
        scaling = self._scaling
        return {
            "cluster_centers_": centers.copy() if scaling is None else scaling.in_units(centers),
            "n_clusters_": len(centers),
            "n_features_in_": centers.shape[1],
            "feature_names_in_": self._names,
            "feature_offset_": None if scaling is None else scaling.offset,
            "feature_scale_": None if scaling is None else scaling.scale,
            "_standardized_centers": None if scaling is None else centers.copy(),
        }
