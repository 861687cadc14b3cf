"""What `pellucid explain` and `pellucid filters` do: ask the classifier, print or write what it says."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import api, files
from pellucid.app import glass, screen
from pellucid.app.words import many, printable
from pellucid.errors import ArtefactError, PictureError, RecipeError, StorageError

UNUSABLE = 3  # exit status


@dataclass(frozen=True)
class Asked:
    """What is to be explained of one picture, as the flags of `pellucid explain` say it."""

    label: str | None
    units: tuple[str, ...]
    backward: bool
    updates: tuple[str, ...]
    why_not: str | None
    method: api.Method | None
    layer: str | None
    out: Path | None
    html: Path | None
    json: bool


def run(model: Path, picture: Path, asked: Asked) -> int:
    """One picture explained; the parts that are not asked for are left out, and the path stands for none of them."""
    why_not_to = asked.out or Path(f"{picture.stem}-why-not-{files.safe(asked.why_not or '')}.png")
    map_to = asked.out or Path(f"{picture.stem}-{asked.method}.png")
    _check(asked, why_not_to, map_to)
    with screen.waiting("following the picture through the network"):
        classifier = api.load(model)
        try:
            trace = classifier.explain(picture, asked.label)
        except PictureError as error:
            raise PictureError(f"{picture}: {error.reason}") from error
    shown = not asked.json
    found: dict[str, Any] = {}
    workings = [("units", trace.gradient(unit) if asked.backward else trace.unit(unit)) for unit in asked.units]
    workings += [("updates", trace.update(weight)) for weight in asked.updates]
    for kind, working in workings:
        found.setdefault(kind, []).append(working.as_json())
        if shown:
            glass.working(working)
    label = asked.label or trace.classes[trace.predicted]
    if asked.why_not is not None:
        found["why_not"] = _why_not(classifier, picture, label, asked, why_not_to)
    if asked.method is not None:
        with screen.waiting("looking where it looked"):
            attributed = classifier.attribute(picture, asked.label, asked.method, asked.layer)
        _write_map(classifier, picture, attributed.map, map_to)
        found["map"] = {**attributed.as_json(), "written": str(map_to)}
        if shown:
            glass.attribution(attributed, trace.classes[attributed.target], str(map_to))
    if asked.html is not None:
        files.write(asked.html, api.offline(trace, model.resolve().name))
        size = asked.html.stat().st_size
        found["html"] = {"written": str(asked.html), "bytes": size}
        if shown:
            print(f"the network as a page, for any browser: {printable(asked.html)} ({size / 1e6:,.1f} MB)")
    if asked.json:
        _dump({**trace.as_json(), **found})
    elif not found:
        glass.path(trace, asked.backward)
    return 0


def _check(asked: Asked, why_not_to: Path, map_to: Path) -> None:
    """Refuse flags that do not go together, and places that are taken, before anything is computed."""
    if asked.layer is not None and asked.method is None:
        raise RecipeError("--layer is for --map; there is no map without it.")
    if asked.out is not None and asked.why_not is None and asked.method is None:
        raise RecipeError("--out is for the picture of --map or --why-not, and neither is asked for.")
    if asked.out is not None and asked.why_not is not None and asked.method is not None:
        raise RecipeError("--map and --why-not write a picture each, and --out names only one. Leave it out.")
    if asked.why_not is not None:
        _check_free(why_not_to)
    if asked.method is not None:
        _check_free(map_to)
    if asked.html is not None:
        _check_free(asked.html, "--html")


def _why_not(classifier: api.Classifier, picture: Path, label: str, asked: Asked, place: Path) -> dict[str, Any]:
    assert asked.why_not is not None
    if asked.why_not == label:
        said = "--label is" if asked.label else "is predicted"
        raise RecipeError(f"--why-not is {asked.why_not!r}, which {said} already; name another class.")
    found = classifier.difference(picture, label, asked.why_not)
    _write_map(classifier, picture, found.pixels, place)
    if not asked.json:
        glass.mechanism(found)
        print(f"the pixels' part as a picture: {printable(place)}")
    return {**found.as_json(), "written": str(place)}


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
    found, unusable = screen.finished(steps, len(sources), "looking")
    with files.storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    for name, layer in found.items():
        written = place / f"{files.safe(name)}.png"
        files.write(written, api.png(api.sheet(layer, lambda source: _colour(classifier.prepared(source)))))
        sees = f"sees {layer.sees[0]}x{layer.sees[1]} pixels"
        if not as_json:
            print(f"{name}: {many(len(layer.filters), 'filter')}, each unit {sees}: {printable(written)}")
    for source, reason in unusable:
        print(f"not used: {printable(source)}: {printable(reason)}", file=sys.stderr)
    content = {
        "model": str(model),
        "pictures": len(sources) - len(unusable),
        "unusable": [{"picture": source, "reason": reason} for source, reason in unusable],
        "layers": [each.as_json() for each in found.values()],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    files.write(place / "filters.json", text.encode("utf-8", "backslashreplace"))
    if as_json:
        _dump(content)
    return UNUSABLE if unusable else 0


def _check_free(place: Path, flag: str = "--out") -> None:
    if place.is_dir():
        raise StorageError(f"{place} is a folder; {flag} names the file to write.")
    if place.exists():
        raise StorageError(f"{place} is there already, and nothing of yours is overwritten. Choose another {flag}.")


def _write_map(classifier: api.Classifier, picture: Path, values: Any, place: Path) -> None:
    files.write(place, api.png(api.overlay(_colour(classifier.prepared(picture)), values)))


def _colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 1) or (H, W, 3) -> (H, W, 3)."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def _dump(content: Any) -> None:
    json.dump(content, sys.stdout, ensure_ascii=False, default=str)
    print()
