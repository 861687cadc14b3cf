"""What `pellucid explain` and `pellucid filters` do: ask the classifier, print or write what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import api, files
from pellucid.app import glass, screen
from pellucid.app.words import many, printable
from pellucid.errors import ArtefactError, PictureError, StorageError


def run(
    model: Path,
    picture: Path,
    label: str | None,
    units: tuple[str, ...],
    backward: bool,
    updates: tuple[str, ...],
    why_not: str | None,
    method: api.Method | None,
    layer: str | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """One picture explained; the parts that are not asked for are left out, and the path stands for none of them."""
    classifier = api.load(model)
    try:
        trace = classifier.explain(picture, label)
    except PictureError as error:
        raise PictureError(f"{picture}: {error.reason}") from error
    asked: dict[str, Any] = {}
    workings = [("units", trace.gradient(unit) if backward else trace.unit(unit)) for unit in units]
    workings += [("updates", trace.update(weight)) for weight in updates]
    for kind, working in workings:
        asked.setdefault(kind, []).append(working.as_json())
        if not as_json:
            glass.working(working)
    if why_not is not None:
        found = classifier.difference(picture, label or trace.classes[trace.predicted], why_not)
        place = out if out is not None else Path(f"{picture.stem}-why-not-{files.safe(why_not)}.png")
        _write_map(classifier, picture, found.pixels, place)
        asked["why_not"] = {**found.as_json(), "written": str(place)}
        if not as_json:
            glass.mechanism(found)
            print(f"the pixels' part as a picture: {printable(place)}")
    if method is not None:
        attributed = classifier.attribute(picture, label, method, layer)
        place = out if out is not None and why_not is None else Path(f"{picture.stem}-{method}.png")
        _write_map(classifier, picture, attributed.map, place)
        asked["map"] = {**attributed.as_json(), "written": str(place)}
        if not as_json:
            glass.attribution(attributed, trace.classes[attributed.target], str(place))
    if as_json:
        _dump({**trace.as_json(), **asked})
    elif not asked:
        glass.path(trace, backward)
    return 0


def filters(
    model: Path, pictures: tuple[str, ...], out: Path | None, count: int, layers: tuple[str, ...], as_json: bool
) -> int:
    """A picture for each convolution into a new folder."""
    place = out if out is not None else Path(f"{model.resolve().name}-filters")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StorageError(f"{place} is there already, and nothing of yours is overwritten. Choose another --out.")
    classifier = api.load(model)
    sources = list(api.expand(pictures)) if pictures else list(api.trained_on(model))
    if not sources:
        raise ArtefactError(f"No pictures are found for {model}. Name some: pellucid filters {model} photos/")
    steps = classifier.exemplars(sources, count, list(layers) or None)
    found = screen.finished(steps, len(sources), "looking")
    with files.storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    for name, layer in found.items():
        written = place / f"{files.safe(name)}.png"
        files.write(written, api.png(api.sheet(layer, lambda source: _colour(classifier.prepared(source)))))
        sees = f"sees {layer.sees[0]}x{layer.sees[1]} pixels"
        if not as_json:
            print(f"{name}: {many(len(layer.filters), 'filter')}, each unit {sees}: {printable(written)}")
    content = {"model": str(model), "pictures": len(sources), "layers": [each.as_json() for each in found.values()]}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    files.write(place / "filters.json", text.encode("utf-8", "backslashreplace"))
    if as_json:
        _dump(content)
    return 0


def _write_map(classifier: api.Classifier, picture: Path, values: Any, place: Path) -> None:
    if place.is_dir():
        raise StorageError(f"{place} is a folder; --out names the picture to write.")
    files.write(place, api.png(api.overlay(_colour(classifier.prepared(picture)), values)))


def _colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 1) or (H, W, 3) -> (H, W, 3)."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def _dump(content: Any) -> None:
    json.dump(content, sys.stdout, ensure_ascii=False, default=str)
    print()
