"""What `pellucid explain` and `pellucid filters` do: ask the classifier, print or write what it says."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pellucid import api, files
from pellucid.app import answers, bars, glass, screen, streams
from pellucid.app.words import many, printable
from pellucid.errors import ArtefactError, PictureError, RecipeError, StorageError

UNUSABLE = 3  # exit status
KEPT = 256_000_000  # bytes of decoded pictures that the sheets of filters keep


@dataclass(frozen=True)
class Asked:
    """What is to be explained of a picture, as the flags of `pellucid explain` say it."""

    labels: tuple[str, ...]
    units: tuple[str, ...]
    backward: bool
    updates: tuple[str, ...]
    why_not: str | None
    method: api.Method | None
    layer: str | None
    out: Path | None
    html: Path | None
    json: bool

    @property
    def label(self) -> str | None:
        """The one class that --map and --why-not are about; of several the first."""
        return self.labels[0] if self.labels else None


@dataclass(frozen=True)
class Places:
    """Where the pictures of --why-not and --map are written for one picture, where they are asked for."""

    why_not: Path
    map: Path


def run(model: Path, pictures: tuple[Path, ...], asked: Asked, trust: bool = False) -> int:
    """Each picture explained, in order. What is not asked for is left out, and the path stands for none of it.

    Of several, one that cannot be used is told on standard error, and the others go on. Returns the exit status.
    """
    places = [_places(picture, asked) for picture in pictures]
    _check(asked, places)
    several = len(pictures) > 1
    with screen.waiting("opening the model"):
        classifier = api.load(model, trust=trust)
        layer = asked.layer if asked.method == "grad_cam" else None
        classifier.expect(asked.labels, asked.why_not, asked.units, asked.updates, layer)
    found: list[dict[str, Any]] = []
    traces = _followed(classifier, list(zip(pictures, places, strict=True)), asked, found)
    if several:
        rows = not asked.json and (asked.html is None or _works(asked))
        traces = bars.counted(traces, lambda: len(pictures), "pictures", rows)
    usable = (trace for trace in traces if trace is not None)
    if asked.html is not None and (first := next(usable, None)) is not None:
        with _waiting("writing the page", several):
            files.create(asked.html, api.offline(chain([first], usable), model.resolve().name))
    for _ in usable:  # those that no page has asked for
        pass
    followed = [each for each in found if "error" not in each]
    if not followed:
        raise PictureError(f"None of the {len(pictures)} pictures can be used.")
    size = asked.html.stat().st_size if asked.html is not None else 0
    if asked.json:
        for each in followed if asked.html is not None else ():
            each["html"] = {"written": str(asked.html), "bytes": size}
        streams.write_json(found if several else found[0])
    elif asked.html is not None:
        on = f" on {len(followed)} pictures" if len(followed) > 1 else ""
        print(f"the network{on} as a page, for any browser: {printable(asked.html)} ({size / 1e6:,.1f} MB)")
    return 0 if len(followed) == len(found) else UNUSABLE


def _followed(
    classifier: api.Classifier, pictures: list[tuple[Path, Places]], asked: Asked, found: list[dict[str, Any]]
) -> Iterator[api.Trace | None]:
    """Each picture's trace, None where it cannot be used. What is found out goes to `found`, and is printed."""
    several = len(pictures) > 1
    for picture, places in pictures:
        try:
            if not _follows(asked, several):
                classifier.prepared(picture)
                found.append(_answer(classifier, picture, None, asked, places, several))
                continue
            with _waiting("following the picture through the network", several):
                trace = classifier.explain(picture, asked.labels or None)
        except PictureError as error:
            if not several:
                raise PictureError(f"{picture}: {error.reason}") from error
            print(f"not used: {printable(picture)}: {printable(error.reason)}", file=sys.stderr)
            found.append({"picture": str(picture), "error": error.reason})
            yield None
            continue
        if several and not asked.json and (asked.units or asked.updates or asked.method):
            print(f"{printable(picture)}: {glass.called(trace)}")
        answered = _answer(classifier, picture, trace, asked, places, several)
        found.append({**trace.as_json(), **answered} if asked.json else {})
        yield trace


def _answer(
    classifier: api.Classifier, picture: Path, trace: api.Trace | None, asked: Asked, places: Places, several: bool
) -> dict[str, Any]:
    """What is asked of one picture, printed unless it is asked for as JSON, and as JSON.

    `trace`: None where nothing that is asked needs one.
    """
    shown = not asked.json
    found: dict[str, Any] = _workings(trace, asked, shown) if trace is not None else {}
    if asked.why_not is not None:
        label = asked.label or classifier.predict(picture).top(1)[0][0]
        found["why_not"] = _why_not(classifier, picture, label, asked, places.why_not, several)
    if asked.method is not None:
        with _waiting("looking where it looked, and how far the map can be trusted", several):
            attributed = classifier.attribute(picture, asked.label, asked.method, asked.layer)
        _write_map(classifier, picture, attributed.map, places.map)
        found["map"] = {**attributed.as_json(), "written": str(places.map)}
        if shown:
            glass.attribution(attributed, classifier.classes[attributed.target], str(places.map))
    if shown and trace is not None and not _works(asked) and asked.html is None:
        glass.path(trace, asked.backward)
    return found


def _workings(trace: api.Trace, asked: Asked, shown: bool) -> dict[str, Any]:
    """The units and weights, printed where they are to be shown, and as JSON."""
    found: dict[str, Any] = {}
    workings = [("units", trace.gradient(unit) if asked.backward else trace.unit(unit)) for unit in asked.units]
    workings += [("updates", trace.update(weight)) for weight in asked.updates]
    for kind, working in workings:
        found.setdefault(kind, []).append(working.as_json())
        if shown:
            glass.working(working)
    return found


def _follows(asked: Asked, several: bool) -> bool:
    """Whether what is asked needs a trace. A map and a difference have runs of their own.

    Of several pictures each is named with what it is called, which the trace knows.
    """
    return bool(several or asked.json or asked.html or asked.units or asked.updates or not _works(asked))


def _works(asked: Asked) -> bool:
    """Whether anything is asked of a picture but its path and its page."""
    return bool(asked.units or asked.updates or asked.why_not is not None or asked.method)


def _waiting(what: str, several: bool) -> AbstractContextManager[None]:
    """As on the screen; of several pictures a bar says how far they are."""
    return nullcontext() if several else screen.waiting(what)


def _places(picture: Path, asked: Asked) -> Places:
    return Places(
        asked.out or Path(f"{picture.stem}-why-not-{files.safe(asked.why_not or '')}.png"),
        asked.out or Path(f"{picture.stem}-{asked.method}.png"),
    )


def _check(asked: Asked, places: list[Places]) -> None:
    """Refuse flags that do not go together, and places that are taken, before anything is computed."""
    if asked.layer is not None and asked.method is None:
        raise RecipeError("--layer is for --map; there is no map without it.")
    if asked.out is not None and asked.why_not is None and asked.method is None:
        raise RecipeError("--out is for the picture of --map or --why-not, and neither is asked for.")
    if asked.out is not None and asked.why_not is not None and asked.method is not None:
        raise RecipeError("--map and --why-not write a picture each, and --out names only one. Leave it out.")
    if asked.out is not None and len(places) > 1:
        raise RecipeError(f"--out names one file, and there are {len(places)} pictures. Leave it out.")
    wanted = [each.why_not for each in places if asked.why_not is not None]
    wanted += [each.map for each in places if asked.method is not None]
    for place, times in Counter(wanted).items():
        _check_free(place)
        if times > 1:
            raise RecipeError(f"{place} would be written for {times} pictures of that name. Name them one at a time.")
    if asked.html is not None:
        _check_free(asked.html, "--html")


def _why_not(
    classifier: api.Classifier, picture: Path, label: str, asked: Asked, place: Path, several: bool
) -> dict[str, Any]:
    assert asked.why_not is not None
    if asked.why_not == label:
        said = "--label is" if asked.label else "is predicted"
        raise RecipeError(f"--why-not is {asked.why_not!r}, which {said} already; name another class.")
    with _waiting("taking the difference apart", several):
        found = classifier.difference(picture, label, asked.why_not)
    _write_map(classifier, picture, found.pixels, place)
    if not asked.json:
        glass.mechanism(found)
        print(f"the pixels' part as a picture: {printable(place)}")
    return {**found.as_json(), "written": str(place)}


def filters(
    model: Path,
    pictures: tuple[str, ...],
    out: Path | None,
    count: int,
    layers: tuple[str, ...],
    as_json: bool,
    trust: bool = False,
) -> int:
    """A picture for each convolution into a new folder."""
    place = out if out is not None else Path(f"{model.resolve().name}-filters")
    if place.exists() and not place.is_dir():
        _check_free(place)
    claim = api.Claim(place)
    claim.take()
    try:
        if api.inside(place):
            _refuse(place)
        return _filters(api.load(model, trust=trust), model, pictures, place, count, layers, as_json)
    finally:
        claim.release()


def _filters(
    classifier: api.Classifier,
    model: Path,
    pictures: tuple[str, ...],
    place: Path,
    count: int,
    layers: tuple[str, ...],
    as_json: bool,
) -> int:
    sources = list(answers.told(pictures)) if pictures else api.trained_on(model)
    if not sources:
        raise ArtefactError(f"No pictures are found for {model}. Name some: pellucid filters {model} photos/")
    steps = classifier.exemplars(sources, count, list(layers) or None)
    found, unusable = screen.finished(steps, len(sources), "looking")
    image_of = _once(classifier)
    for name, layer in found.items():
        written = place / f"{files.safe(name)}.png"
        files.write(written, api.png(api.sheet(layer, image_of)))
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
        streams.write_json(content)
    return UNUSABLE if unusable else 0


def _once(classifier: api.Classifier) -> Callable[[str], NDArray[np.uint8]]:
    """A picture as the network gets it, uint8 (H, W, 3). Most layers show the same ones, which are decoded once."""
    each = classifier.form.height * classifier.form.width * 3
    return lru_cache(max(1, KEPT // each))(lambda source: _colour(classifier.prepared(source)))


def _check_free(place: Path, flag: str = "--out") -> None:
    if place.is_dir():
        raise StorageError(f"{place} is a folder; {flag} names the file to write.")
    if place.exists():
        _refuse(place, flag)


def _refuse(place: Path, flag: str = "--out") -> NoReturn:
    raise StorageError(f"{place} is there already, and nothing of yours is overwritten. Choose another {flag}.")


def _write_map(classifier: api.Classifier, picture: Path, values: Any, place: Path) -> None:
    files.create(place, api.png(api.overlay(_colour(classifier.prepared(picture)), values)))


def _colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 1) or (H, W, 3) -> (H, W, 3)."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()
