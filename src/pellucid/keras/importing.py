"""The verb that turns a file that Keras saved into a model folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, RecipeError
from pellucid.keras import archive, card, graph, reading
from pellucid.keras.reading import Line, Read
from pellucid.keras.settings import LARGEST_SIDE
from pellucid.network import residual, text
from pellucid.network.plan import plan
from pellucid.pictures.decode import PIXEL_LIMIT, Form
from pellucid.texts import composed

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

BYTES = (0.0, 255.0)  # the input of a model that scales its pixels itself


@dataclass(frozen=True)
class Imported:
    """The result of an import: a Keras model as a model folder.

    * source: the file; keras: the version that saved it, or "unknown"
    * layers: each layer of the file, and what it became
    * notes: further remarks, a sentence each
    * parameters: how many numbers the network learns
    """

    folder: Path
    classifier: Classifier
    source: Path
    keras: str
    layers: tuple[Line, ...]
    notes: tuple[str, ...]
    parameters: int

    def as_json(self) -> dict[str, Any]:
        """The fields for JSON, with the classifier as its network, input, classes and preprocessing."""
        form, standardise, network = self.classifier.form, self.classifier.standardise, self.classifier.network
        assert network is not None, "what is imported has a text"
        return {
            "model": str(self.folder),
            "source": str(self.source),
            "keras": self.keras,
            "network": text.write(network),
            "parameters": self.parameters,
            "input": [form.channels, form.height, form.width],
            "classes": list(self.classifier.classes),
            "preprocessing": {
                "fit": form.fit,
                "mean": list(standardise.mean),
                "deviation": list(standardise.deviation),
            },
            "layers": [{"name": each.name, "kind": each.kind, "became": each.became} for each in self.layers],
            "notes": list(self.notes),
        }


def import_keras(
    path: str | Path,
    out: str | Path,
    *,
    classes: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    pixels: tuple[float, float] = BYTES,
) -> Imported:
    """Read a model that Keras saved (.keras, or .h5 with the whole model) and write it to `out` as a model folder.

    This needs h5py (`pip install 'pellucid[keras]'`) but not Keras, and runs nothing from the file. The model is a
    Sequential or a functional one whose layers form a row, with Add of two branches as in a residual network.

    * out: a new folder
    * classes: their names, in the order of the model's outputs; for one sigmoid unit, the meanings of 0 and 1
    * size: height and width of the pictures, for a model that leaves them open
    * pixels: the model's input for 0 and 255; (0, 1) if they were divided by 255 outside the model

    Raises NetworkError for a layer that is not supported, ArtefactError if the file is damaged or `out` is in the way,
    RecipeError for a wrong argument, StorageError.
    """
    source, folder = Path(path), Path(out)
    _check_free(folder)
    low, high = _range(pixels)
    with archive.opened(source) as opened:
        read = reading.read(graph.row(opened), _size(size), low, high)
        version = opened.version
    names = _classes(classes, read.classes)
    channels, height, width = read.shape
    form = Form(height, width, cast(Any, channels), read.pixels.fit, filter="plain")
    expected = residual.state(read.network.shapes(read.shape, read.classes))
    weights = {name: read.weights[name] for name in expected}  # in the order of the file
    saved = Saved(read.network, weights, names, form, read.pixels.standardise(), 1.0, PIXEL_LIMIT)
    classifier = saved.classifier()
    notes = (*read.notes, *_notes(read, classes is None, (low, high)))
    planned = plan(read.network, read.shape, read.classes)
    imported = Imported(folder, classifier, source, version, read.lines, notes, planned.parameters)
    with files.storage_errors(folder), files.replacing_folder(folder) as place:
        about = {
            "name": folder.name,
            "imported": {
                "from": f"Keras {version}",
                "file": source.name,
                "sha256": files.sha256(source),
                "layers": imported.as_json()["layers"],
                "notes": list(notes),
            },
        }
        artefact.save(place, classifier, about)
        card.write(place)
        _check_free(folder)  # something may have appeared meanwhile; it stays
    return imported


def _check_free(folder: Path) -> None:
    with files.storage_errors(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "is not empty" if folder.is_dir() else "is a file"
            raise ArtefactError(f"{folder} {what}, and nothing of yours is overwritten. Choose another folder.")


def _classes(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Raises RecipeError unless there is one name per class, all different."""
    if names is None:
        return tuple(f"class {number}" for number in range(count))
    if isinstance(names, str) or not all(isinstance(name, str) and name.strip() for name in names):
        raise RecipeError(f"classes is {names!r}; it must be a list of names, none of them empty.")
    plain = tuple(composed(name.strip()) for name in names)
    if len(plain) != count:
        raise RecipeError(f"The model distinguishes {count} classes, but classes has {len(plain)}: {', '.join(plain)}.")
    if twice := next((name for name in plain if plain.count(name) > 1), None):
        raise RecipeError(f"classes lists {twice!r} twice.")
    return plain


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width. Raises RecipeError."""
    if size is None:
        return None
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2 or not all(isinstance(side, int) and 1 <= side <= LARGEST_SIDE for side in both):
        raise RecipeError(f"size is {size!r}; it must be one or two whole numbers from 1 to {LARGEST_SIDE:,}.")
    return both[0], both[1]


def _range(pixels: tuple[float, float]) -> tuple[float, float]:
    """Raises RecipeError unless the second number is above the first."""
    low, high = map(float, pixels)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RecipeError(f"pixels is {low:g}..{high:g}; the first number must be below the second, such as 0..1.")
    return low, high


def _notes(read: Read, unnamed: bool, pixels: tuple[float, float]) -> list[str]:
    """What the file cannot say and the user needs to know."""
    notes = []
    if read.pixels.scaled and pixels != BYTES:
        notes.append(
            f"The model scales its pixels itself, from {pixels[0]:g}..{pixels[1]:g} as --pixels states, not 0..255."
        )
    elif not read.pixels.scaled and pixels == BYTES:
        notes.append(
            "No layer of the model scales its pixels, so it sees 0..255. If it was trained on pixels / 255, import it "
            "again with --pixels 0..1."
        )
    if unnamed:
        names = "what 0 and what 1 meant" if read.classes == 2 else f"the {read.classes} names, in order"
        notes.append(f"A Keras file holds no class names. Give {names}: --classes cat,dog.")
    size = f"{read.shape[1]}x{read.shape[2]}"
    notes.append(
        f"Pictures are resized to {size} as image_dataset_from_directory does it, bilinear without antialiasing. A "
        "model that learned from pictures resized in another way sees different pixels here."
    )
    return notes
