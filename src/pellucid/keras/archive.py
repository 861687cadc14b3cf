"""Open a file that Keras saved: the JSON that describes the model, and its stored arrays by their place.

`.keras` (Keras 3, and late Keras 2) is a zip of config.json, metadata.json and model.weights.h5. `.h5` (Keras 2, and
optionally Keras 3) is an HDF5 file with that JSON in its attribute model_config, and the weights in the group
model_weights. The first bytes of a file tell the two apart. Nothing in a file is run. A file may come from anybody, so
sizes are checked before memory is allocated, and an HDF5 link or array that leads to another file is refused.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, PellucidError, StorageError

if TYPE_CHECKING:
    import h5py

ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MOST_TEXT = 64 << 20  # bytes of JSON
MOST_WEIGHTS = 4 << 30  # bytes of all weights
MOST_OBJECTS = 200_000  # groups and arrays in an HDF5 file
UNPACKED = 100  # times the packed size: real numbers never compress so well
PIECE = 1 << 20


@dataclass(frozen=True)
class Stored:
    """An array in the file, not yet read. `name`: its last name there, "kernel" or "0"."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[np.float32]]
    """float32 in its shape. Raises ArtefactError if it is damaged or not numeric."""


@dataclass(frozen=True)
class Archive:
    """The contents of a file.

    * config: the model's JSON, with class_name and config
    * version: of the Keras that saved it, or "unknown"
    * layout: "keras" (a zip) or "h5" (one HDF5 file); the places of the arrays differ
    * arrays: group, "layers/conv2d/vars" or "conv2d/conv2d" -> name, "0" or "kernel:0" -> array
    * names: for "keras", (folder of groups, a layer's name) -> its group, if the file has names; for "h5", a layer's
      group -> its arrays in order
    """

    config: dict[str, Any]
    version: str
    layout: str
    arrays: dict[str, dict[str, Stored]]
    names: dict[Any, Any]


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a file; its arrays can be read until the context ends. Raises ArtefactError that names the fault."""
    try:
        if path.is_dir():
            saved = " It is a SavedModel of TensorFlow." if (path / "saved_model.pb").exists() else ""
            raise ArtefactError(f"{path} is a folder.{saved} Save the model in Keras with model.save('model.keras').")
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    if start.startswith(ZIP):
        with _zipped(path) as archive:
            yield archive
    elif start == HDF5:
        with _hdf5(path, path) as file:
            yield _from_hdf5(path, file)
    else:
        what = "is empty" if not start else "is neither a .keras file (a zip) nor an HDF5 file (.h5)"
        raise ArtefactError(f"{path} {what}. Save the model in Keras with model.save('model.keras').")


@contextmanager
def _zipped(path: Path) -> Iterator[Archive]:
    with tempfile.TemporaryFile() as weights:
        try:
            with zipfile.ZipFile(path) as archive:
                config = _json(path, CONFIG, _member(archive, path, CONFIG))
                about = _json(path, METADATA, _member(archive, path, METADATA)) if _has(archive, METADATA) else {}
                _unpack(archive, path, weights)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise ArtefactError(f"{path} is damaged: {_sentence(error)}. Copy it again, or save it again.") from error
        except OSError as error:
            raise StorageError(f"The weights in {path} could not be unpacked: {error.strerror or error}.") from error
        with _hdf5(path, weights) as file:
            groups = _groups(path, file)
            arrays = {place: stored for place, (_, stored) in groups.items() if stored}
            with _damage(path):
                named = {place: group.attrs.get("name") for place, (group, _) in groups.items()}
                names = {
                    (place.rsplit("/", 2)[0], _text(name)): place.rsplit("/", 1)[0]
                    for place, name in named.items()
                    if name is not None and place.count("/") >= 2
                }
            yield Archive(config, str(about.get("keras_version", "unknown")), "keras", arrays, names)


def _from_hdf5(path: Path, file: h5py.File) -> Archive:
    with _damage(path):
        if "model_config" not in file.attrs:
            weights = "layers" in file or "layer_names" in file.attrs
            what = "holds weights but no network" if weights else "holds no model"
            raise ArtefactError(f"{path} {what}. Save the whole model in Keras, with model.save('model.keras').")
        config = _json(path, "model_config", _text(file.attrs["model_config"]).encode())
        version = _text(file.attrs.get("keras_version", "unknown"))
        group = file.get("model_weights")
        if group is None:
            raise ArtefactError(f"{path} has no weights (model_weights). Save the whole model with model.save.")
        groups = _groups(path, group)
        arrays = {place: stored for place, (_, stored) in groups.items() if stored}
        names = {
            layer: [f"{layer}/{name}" for name in _list(inside, "weight_names")]
            for layer, (inside, _) in groups.items()
            if "/" not in layer
        }
    return Archive(config, version, "h5", arrays, names)


def _groups(path: Path, group: Any) -> dict[str, tuple[Any, dict[str, Stored]]]:
    """Place of each group -> itself, and the arrays in it by their names."""
    groups: dict[str, tuple[Any, dict[str, Stored]]] = {}
    for place, each in _walk(path, group):
        if hasattr(each, "shape"):
            above, _, name = place.rpartition("/")
            groups.setdefault(above, (group, {}))[1][name] = _stored(path, place, each)
        else:
            groups[place] = each, {}
    return groups


def _walk(path: Path, group: Any) -> Iterator[tuple[str, Any]]:
    """(place, group or array) of everything below a group. Raises ArtefactError if a link leads out of the file."""
    import h5py

    waiting, count = [("", group)], 0
    while waiting:
        above, inside = waiting.pop()
        with _damage(path):
            for name in inside:
                place = f"{above}{name}".replace("\\", "/")  # Keras 2 wrote some backslashes
                count += 1
                if count > MOST_OBJECTS or place.count("/") > 100:
                    raise ArtefactError(f"{path} holds more groups and arrays than a Keras model can have.")
                if not isinstance(inside.get(name, getlink=True), h5py.HardLink):
                    raise ArtefactError(f"{path}: {place} is a link and holds no weights itself. It is not followed.")
                each = inside[name]
                if isinstance(each, h5py.Group):
                    waiting.append((f"{place}/", each))
                yield place, each  # a group before its contents


def _stored(path: Path, place: str, dataset: Any) -> Stored:
    with _damage(path):
        shape = dataset.shape
        return Stored(place.rsplit("/", 1)[-1], tuple(shape or ()), lambda: _numbers(path, place, dataset))


def _numbers(path: Path, place: str, dataset: Any) -> NDArray[np.float32]:
    with _damage(path):
        if dataset.external or dataset.is_virtual:
            raise ArtefactError(f"{path}: the numbers of {place} are in another file, which is not read.")
        if dataset.dtype.kind != "f":
            kind = "bfloat16" if dataset.dtype.kind == "V" and dataset.dtype.itemsize == 2 else str(dataset.dtype)
            raise ArtefactError(
                f"{path}: {place} holds {kind}; supported are float16, float32 and float64. "
                "Save the model in float32, unquantised."
            )
        if prod(dataset.shape) * 4 > MOST_WEIGHTS:
            raise ArtefactError(f"{path}: {place} would be {prod(dataset.shape) * 4 / 1e9:,.1f} GB; it is not read.")
        return np.ascontiguousarray(dataset[()], dtype=np.float32)


@contextmanager
def _hdf5(path: Path, content: Path | IO[bytes]) -> Iterator[h5py.File]:
    try:
        import h5py
    except ImportError as error:
        raise PellucidError("Reading Keras files needs h5py: pip install 'pellucid[keras]'.") from error
    with _damage(path):
        file = h5py.File(content, "r")
    with file:
        yield file


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn h5py's errors for a truncated or altered file into an ArtefactError."""
    try:
        yield
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, UnicodeError) as error:
        raise ArtefactError(f"{path} is damaged: {_sentence(error)}. Copy it again, or save it again.") from error


def _has(archive: zipfile.ZipFile, name: str) -> bool:
    return name in archive.namelist()


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    if not _has(archive, name):
        raise ArtefactError(f"{path} is a zip without {name}, so it is not a saved Keras model.")
    with archive.open(name) as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ArtefactError(f"{path}: {name} has more than {MOST_TEXT / 1e6:,.0f} MB, which no model needs.")
    return content


def _unpack(archive: zipfile.ZipFile, path: Path, target: IO[bytes]) -> None:
    if not _has(archive, WEIGHTS):
        raise ArtefactError(f"{path} has no weights ({WEIGHTS}). Save the model in Keras with model.save.")
    about = archive.getinfo(WEIGHTS)
    most = min(MOST_WEIGHTS, max(MOST_TEXT, UNPACKED * about.compress_size))
    if about.file_size > most:
        packed = f"{about.compress_size / 1e6:,.1f} MB packed, {about.file_size / 1e6:,.1f} MB unpacked"
        raise ArtefactError(
            f"{path}: {WEIGHTS} has {packed}. Real weights do not compress so well, so it is not unpacked."
        )
    done = 0
    with archive.open(about) as file:
        while piece := file.read(PIECE):
            done += len(piece)
            if done > most:
                raise ArtefactError(f"{path}: {WEIGHTS} is larger than it states, and it is not unpacked.")
            target.write(piece)
    target.seek(0)


def _json(path: Path, name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is damaged: its {name} is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ArtefactError(f"{path} is damaged: its {name} is not a JSON object.")
    return value


def _list(group: Any, name: str) -> list[str]:
    """An attribute that is a list of names; a long list is cut into name0, name1, …"""
    if name in group.attrs:
        return [_text(each) for each in group.attrs[name]]
    pieces, number = [], 0
    while f"{name}{number}" in group.attrs:
        pieces += [_text(each) for each in group.attrs[f"{name}{number}"]]
        number += 1
    return pieces


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _sentence(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return " ".join(text.split()).rstrip(".")[:200]
