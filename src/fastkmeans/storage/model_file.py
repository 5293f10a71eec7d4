"""Models as .npz files of plain arrays. All else is one JSON text in the file. Pickle is never used."""

from __future__ import annotations

import json
import os
import zipfile
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import numpy as np

from ..types import AnyArray
from .model_parts import rebuild
from .npy import read_array
from .whole import check_plain_file, whole_file

if TYPE_CHECKING:
    from ..estimators.contract import Estimator

_Model = TypeVar("_Model", bound="Estimator")

_FORMAT = "fastkmeans-model"
_FORMAT_VERSION = 2  # of 2: features may be standardised


def write_model(model: Estimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator; see KMeans.save."""
    fitted = vars(model)
    arrays = {name: fitted[name] for name in model._saved_arrays if isinstance(fitted.get(name), np.ndarray)}
    params = {}
    for name, value in model.get_params().items():
        if name == "init" and not isinstance(value, str) and not callable(value):
            arrays["init"] = np.asarray(value)
        elif value is None or isinstance(value, (bool, int, float, str, np.bool_, np.number)):
            params[name] = value.item() if isinstance(value, np.generic) else value
    names = fitted.get("feature_names_in_")
    described = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "estimator": type(model).__name__,
        "params": params,
        "fitted": {name: fitted[name] for name in model._saved_values if name in fitted},
        "feature_names": None if names is None else list(names),
        "arrays": list(arrays),
    }
    try:
        rebuild(type(model), described, arrays)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"this {type(model).__name__} cannot be saved, because load would refuse it: {error}"
        ) from error
    with whole_file(str(path)) as temporary, open(temporary, "wb") as file:
        np.savez(file, model=np.array(json.dumps(described)), **arrays)


def read_model(cls: type[_Model], path: str | os.PathLike[str]) -> _Model:
    """Read an estimator that write_model wrote; see KMeans.load. Raises ValueError for any other file."""
    check_plain_file(path)
    with open(path, "rb") as file:
        try:
            described, arrays = _read_parts(file)
            version = described["format_version"]
            if described["format"] != _FORMAT or type(version) is not int or version < 1:
                raise ValueError(f"its format is not {_FORMAT!r}, version 1 or later.")
            kind = described.get("estimator", cls.__name__)  # older files hold a KMeans
            if kind != cls.__name__:
                raise ValueError(f"it holds a {kind}: call {kind}.load.")
            if version <= _FORMAT_VERSION:
                return rebuild(cls, described, arrays)
        except MemoryError:
            raise
        except Exception as error:  # zipfile, json and the parser of headers raise many types of errors
            reason = str(error).rstrip(".") if isinstance(error, (ValueError, TypeError)) else repr(error)
            raise ValueError(
                f"{path} is not a model that {cls.__name__}.save wrote, or is damaged ({reason}); save the model again."
            ) from error
    raise ValueError(
        f"{path} was written by a newer fastkmeans (model format {version}; this one reads up to "
        f"{_FORMAT_VERSION}); upgrade fastkmeans-core."
    )


def _read_parts(file: BinaryIO) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Return the parsed JSON text, and the arrays by name. They take no more memory than the file."""
    with zipfile.ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        sizes = [member.file_size for member in archive.infolist()]
        if len(members) < len(sizes):
            raise ValueError("it has two parts of one name.")
        # save does not compress, so parts that claim to be larger than the file are false.
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("a part is compressed.")
        if sum(sizes) > os.fstat(file.fileno()).st_size:
            raise ValueError(f"its parts claim {sum(sizes)} bytes, which is more than the file has.")
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as part:
                arrays[name] = read_array(cast(BufferedIOBase, part), member.file_size)
    return json.loads(str(arrays.pop("model"))), arrays
