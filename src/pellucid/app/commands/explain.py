"""The command `explain`: trace a picture through a network, to any number."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from tyro.conf import Positional, UseAppendAction, arg

from pellucid import api, files
from pellucid.app import bars, beside_text, explain_text, models, outputs, progress, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import printable
from pellucid.classifier.classifier import Classifier
from pellucid.debugging import beside as seconds
from pellucid.debugging import measured
from pellucid.debugging.variant import checkpoint_at
from pellucid.errors import PictureError, RecipeError
from pellucid.glassbox.page.offline import Pair, paging
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.why.attribution import Method, overlay
from pellucid.hub.reference import name_of
from pellucid.life import stored
from pellucid.pictures.places import place as picture_place
from pellucid.pictures.png import encode as png
from pellucid.runs.truth import Truths
from pellucid.steps import result_of

if TYPE_CHECKING:
    from pellucid.pictures.places import Place as PicturePlace

T = TypeVar("T")


def explain(
    model: Model,
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PICTURE ...", help_behavior_hint="")],
    /,
    label: Annotated[tuple[str, ...], arg(metavar="CLASS", help_behavior_hint=""), UseAppendAction] = (),
    unit: Annotated[tuple[str, ...], arg(metavar="UNIT", help_behavior_hint=""), UseAppendAction] = (),
    backward: Switch = False,
    update: Annotated[tuple[str, ...], arg(metavar="WEIGHT", help_behavior_hint=""), UseAppendAction] = (),
    why_not: Annotated[str | None, arg(metavar="CLASS", help_behavior_hint="")] = None,
    method: Annotated[Method | None, arg(name="map", help_behavior_hint="")] = None,
    layer: Annotated[str | None, arg(metavar="LAYER", help_behavior_hint="")] = None,
    out: Place = None,
    html: Place = None,
    beside: Annotated[str | None, arg(metavar="OTHER", help_behavior_hint="")] = None,
    json: Switch = False,
    trust: Switch = False,
) -> int:
    """Follow a picture through a network, to any number: forward, backward and into the optimizer's step.

    Without options: the classes, and every layer with its shape, range and strongest unit.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        pictures: One picture file or more. Unreadable pictures are reported; the rest continue (exit status 3).
        label: The class that the loss is measured against. Default: the predicted one. Repeat it for several labels.
        unit: The number to work out: LAYER[channel, row, column], counted from 0, such as "conv1[3, 10, 12]".
        backward: The gradient of the loss, of --unit or of every layer.
        update: The optimizer's step for one weight, such as "conv1.weight[3, 0, 2, 2]".
        why_not: Show which units and pixels made the network prefer its prediction over this class. Pictures that are
            predicted as this class are reported; the rest continue (exit status 3).
        method: Write a picture of where the network looked to --out, and print a score of how far to trust it.
        layer: With --map grad_cam: the layer to use. Default: chosen automatically.
        out: The picture that --map or --why-not writes. Default: named after PICTURE, in the current folder.
        html: Also write the page of `pellucid open` as one self-contained file, for all pictures together.
        beside: Compare with a second model, layer by layer, also on the page of --html: a model folder, RUN/checkpoint,
            "int8", "bfloat16", or changes such as "conv1.weight[3, 0, 2, 2] = 0.5; stride 2 in conv1".
        json: Print everything as JSON; for several pictures, as a list.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
    """
    if not pictures:
        print("pellucid explain: PICTURE is missing. See `pellucid explain --help`.", file=sys.stderr)
        return Exit.USAGE
    request = Request(label, unit, backward, update, why_not, method, layer, out, html, beside, json)
    return _explain(models.local(model, trust), tuple(map(picture_place, pictures)), request, trust)


def run(args: list[str]) -> int:
    return parse(explain, args, "explain")


@dataclass(frozen=True)
class Request:
    """The flags of `pellucid explain`: what to explain about a picture."""

    labels: tuple[str, ...]
    units: tuple[str, ...]
    backward: bool
    updates: tuple[str, ...]
    why_not: str | None
    method: Method | None
    layer: str | None
    out: Path | None
    html: Path | None
    beside: str | None
    json: bool

    @property
    def label(self) -> str | None:
        """The class that --map and --why-not are about, the first of several."""
        return self.labels[0] if self.labels else None


@dataclass(frozen=True)
class Places:
    """Where --why-not and --map write their images for one picture."""

    why_not: Path
    map: Path


@dataclass(frozen=True)
class Second:
    """The second model of --beside. `name`: of the first one."""

    name: str
    model: seconds.Other

    def pair(self, trace: Trace, picture: PicturePlace) -> Pair:
        """Both runs of a picture. Raises PictureError, TraceError."""
        run, parting = seconds.beside(trace, self.name, self.model, picture)
        return Pair(trace, run, self.model.name, parting.as_json())


def _explain(model: Path, pictures: tuple[PicturePlace, ...], request: Request, trust: bool) -> Exit:
    """Explain each picture, in order. Without a flag that asks for more, print its path through the network.

    Unusable pictures among several are reported on standard error. Returns the exit status.
    """
    places = [_places(picture, request) for picture in pictures]
    _check(request, places)
    several = len(pictures) > 1
    with progress.waiting("opening the model"):
        classifier = seconds.first(model, trust) if checkpoint_at(model) is not None else api.load(model, trust=trust)
        other = None if request.beside is None else seconds.other(classifier, request.beside, models.local, trust)
        layer = request.layer if request.method == "grad_cam" else None
        classifier.expect(request.labels, request.why_not, request.units, request.updates, layer)
    results: list[dict[str, Any]] = []
    truths = Truths(model, classifier)
    second = None if other is None else Second(name_of(model), other)
    traces = _followed(classifier, list(zip(pictures, places, strict=True)), request, results, truths, second)
    if several:
        rows = not request.json and (request.html is None or _works(request))
        traces = bars.counted(traces, lambda: len(pictures), "pictures", rows)
    usable = (trace for trace in traces if trace is not None)
    if request.html is not None and (first := next(usable, None)) is not None:
        extra: dict[str, Any] = {"offers": ["readout"], "measured": measured.for_page(model)}
        made = stored.read(model).get(stored.MAKERS)
        if made is not None:
            extra = {**extra, "offers": ["readout", "makers"], "makers": {**made, "root": ""}}
        steps = paging(chain([first], usable), name_of(model), extra=extra)
        files.create(request.html, _timed(steps, "writing the page", several))
    for _ in usable:  # run those that no page has read
        pass
    followed = [each for each in results if "error" not in each]
    if not followed:
        raise PictureError(f"None of the {len(pictures)} pictures can be used.")
    alike = [each for each in followed if "error" in (each.get("why_not") or {})]
    if len(alike) == len(followed) and _only_why_not(request):
        raise RecipeError(
            f"--why-not is {request.why_not!r}, which is predicted for each of these pictures already; name another "
            "class."
        )
    size = request.html.stat().st_size if request.html is not None else 0
    if request.json:
        for each in followed if request.html is not None else ():
            each["html"] = {"written": str(request.html), "bytes": size}
        streams.write_json(results if several else results[0])
    elif request.html is not None:
        on = f" on {len(followed)} pictures" if len(followed) > 1 else ""
        print(f"page{on}, for any browser: {printable(request.html)} ({size / 1e6:,.1f} MB)")
    return Exit.OK if len(followed) == len(results) and not alike else Exit.UNUSABLE


def _followed(
    classifier: Classifier,
    pictures: list[tuple[PicturePlace, Places]],
    request: Request,
    results: list[dict[str, Any]],
    truths: Truths,
    second: Second | None,
) -> Iterator[Trace | Pair | None]:
    """Each picture's trace, with that of the second model if there is one; None if the picture is unusable.

    Its answers are printed, and added to `results`.
    """
    several = len(pictures) > 1
    for picture, places in pictures:
        try:
            if not _follows(request, several):
                classifier.prepared(picture)
                results.append(_answer(classifier, picture, None, request, places, several))
                continue
            with _waiting("following the picture through the network", several):
                trace = classifier.explain(picture, request.labels or None)
                trace = trace if request.html is None else replace(trace, truth=truths.of(picture, trace.truth))
                pair = None if second is None else second.pair(trace, picture)
        except PictureError as error:
            if not several:
                raise PictureError(f"{picture}: {error.reason}") from error
            print(f"not used: {printable(picture)}: {printable(error.reason)}", file=sys.stderr)
            results.append({"picture": str(picture), "error": error.reason})
            yield None
            continue
        if several and not request.json and (request.units or request.updates or request.method):
            print(f"{printable(picture)}: {explain_text.called(trace)}")
        answered = _answer(classifier, picture, trace, request, places, several)
        if pair is not None:
            answered["beside"] = {**pair.other.as_json(), **pair.comparison}
            if not request.json:
                beside_text.comparison(pair.trace, pair.other, pair.comparison)
        results.append({**trace.as_json(), **answered} if request.json else {"why_not": answered.get("why_not")})
        yield trace if pair is None else pair


def _answer(
    classifier: Classifier, picture: PicturePlace, trace: Trace | None, request: Request, places: Places, several: bool
) -> dict[str, Any]:
    """The answers about one picture as JSON. Prints them too, unless the output is JSON.

    `trace`: None if the request needs none.
    """
    shown = not request.json
    answered: dict[str, Any] = _workings(trace, request, shown) if trace is not None else {}
    if request.why_not is not None:
        label = request.label or _predicted(classifier, picture, trace)
        if several and label == request.why_not:  # the other pictures may have another prediction
            reason = f"--why-not is {label!r}, which is predicted already"
            print(f"not compared: {printable(picture)}: {printable(reason)}", file=sys.stderr)
            answered["why_not"] = {"error": reason}
        else:
            answered["why_not"] = _why_not(classifier, picture, label, request, places.why_not, several)
    if request.method is not None:
        steps = classifier.attributing(picture, request.label, request.method, request.layer)
        attributed = _timed(steps, "computing the map, and how far to trust it", several)
        _write_map(classifier, picture, attributed.map, places.map)
        answered["map"] = {**attributed.as_json(), "written": str(places.map)}
        if shown:
            explain_text.attribution(attributed, classifier.classes[attributed.target], str(places.map))
    if shown and trace is not None and not _works(request) and request.html is None:
        explain_text.path(trace, request.backward)
    return answered


def _predicted(classifier: Classifier, picture: PicturePlace, trace: Trace | None) -> str:
    """The most probable class, from the trace if there is one."""
    if trace is not None:
        return trace.classes[trace.predicted]
    return classifier.predict(picture).top(1)[0][0]


def _workings(trace: Trace, request: Request, shown: bool) -> dict[str, Any]:
    """The units and weights as JSON. Prints them too if `shown`."""
    answered: dict[str, Any] = {}
    workings = [("units", trace.gradient(unit) if request.backward else trace.unit(unit)) for unit in request.units]
    workings += [("updates", trace.update(weight)) for weight in request.updates]
    for kind, working in workings:
        answered.setdefault(kind, []).append(working.as_json())
        if shown:
            explain_text.working(working)
    return answered


def _follows(request: Request, several: bool) -> bool:
    """Whether the request needs a trace. A map and a difference run by themselves.

    For several pictures, each is listed with its prediction, which is in the trace.
    """
    works = request.units or request.updates or request.beside or not _works(request)
    return bool(several or request.json or request.html or works)


def _works(request: Request) -> bool:
    """Whether the request asks for more than a picture's path and its page."""
    more = request.why_not is not None or request.method or request.beside
    return bool(request.units or request.updates or more)


def _only_why_not(request: Request) -> bool:
    """Whether a picture that is predicted as the other class gets no other answer."""
    more = request.units or request.updates or request.method or request.html or request.beside
    return request.why_not is not None and not more


def _waiting(what: str, several: bool) -> AbstractContextManager[None]:
    """A waiting message as for one picture; for several pictures a bar shows the progress."""
    return nullcontext() if several else progress.waiting(what)


def _timed(steps: Generator[tuple[int, int], None, T], what: str, several: bool) -> T:
    """The result of a generator. A bar shows its time left; for several pictures another bar shows the progress."""
    return result_of(steps) if several else progress.timed(steps, what)


def _places(picture: PicturePlace, request: Request) -> Places:
    return Places(
        request.out or Path(f"{picture.stem}-why-not-{files.safe(request.why_not or '')}.png"),
        request.out or Path(f"{picture.stem}-{request.method}.png"),
    )


def _check(request: Request, places: list[Places]) -> None:
    """Refuse conflicting flags and existing files before anything is computed."""
    if request.why_not is not None and request.why_not == request.label:
        raise RecipeError(f"--why-not is {request.why_not!r}, which --label is already; name another class.")
    if request.layer is not None and request.method is None:
        raise RecipeError("--layer requires --map.")
    if request.out is not None and request.why_not is None and request.method is None:
        raise RecipeError("--out requires --map or --why-not.")
    if request.out is not None and request.why_not is not None and request.method is not None:
        raise RecipeError("--map and --why-not write one picture each, but --out names only one. Remove --out.")
    if request.out is not None and len(places) > 1:
        raise RecipeError(f"--out names one file, but there are {len(places)} pictures. Remove --out.")
    wanted = [each.why_not for each in places if request.why_not is not None]
    wanted += [each.map for each in places if request.method is not None]
    for place, times in Counter(wanted).items():
        outputs.check_free(place)
        if times > 1:
            raise RecipeError(
                f"{place} would be written for {times} pictures of the same name. Explain them one at a time."
            )
    if request.html is not None:
        outputs.check_free(request.html, "--html")


def _why_not(
    classifier: Classifier, picture: PicturePlace, label: str, request: Request, place: Path, several: bool
) -> dict[str, Any]:
    assert request.why_not is not None
    if request.why_not == label:
        raise RecipeError(f"--why-not is {request.why_not!r}, which is predicted already; name another class.")
    steps = classifier.differing(picture, label, request.why_not)
    difference = _timed(steps, "splitting the difference between the classes", several)
    _write_map(classifier, picture, difference.pixels, place)
    if not request.json:
        explain_text.mechanism(difference)
        print(f"picture of the pixels' part: {printable(place)}")
    return {**difference.as_json(), "written": str(place)}


def _write_map(classifier: Classifier, picture: PicturePlace, values: Any, place: Path) -> None:
    files.create(place, png(overlay(outputs.colour(classifier.prepared(picture)), values)))
