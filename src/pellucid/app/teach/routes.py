"""The map from the requests of the page of `pellucid teach` to the functions that answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import quote

from pellucid.app.page.pictures import whole
from pellucid.app.teach.studio import DAMAGED, Studio, described
from pellucid.classifier.store import METRICS, read_json
from pellucid.collecting import packing
from pellucid.collecting.collection import KINDS, Kind
from pellucid.errors import ArtefactError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.runs.save import THUMBNAILS


def state(studio: Studio, _query: Query, _body: bytes = b"") -> Reply:
    """Everything that the page shows."""
    return replies.as_json(studio.state())


def begins(studio: Studio, _query: Query, _body: bytes) -> Reply:
    """What a training would begin with, and why. It writes the table."""
    return replies.as_json(studio.begins())


def news(studio: Studio, _query: Query, _body: bytes = b"") -> Reply:
    """How far the training is."""
    return replies.as_json(studio.news.as_json())


def thumbnail(studio: Studio, query: Query) -> Reply:
    """A small picture of the picture ?name= of ?class=."""
    return Reply("image/jpeg", packing.thumbnail(studio.collection.path(_of(query, "class"), _of(query, "name"))))


def mistake(studio: Studio, query: Query) -> Reply:
    """The thumbnail of the mistake ?number= of the newest model, counted from 0."""
    model = studio.model
    if model is None:
        raise ArtefactError("There is no trained network yet. Train one first.")
    try:
        mistakes = read_json(model / METRICS)["mistakes"]
        shown = PurePosixPath(mistakes[whole(query, "number", len(mistakes))]["thumbnail"]).name
    except DAMAGED as error:
        raise ArtefactError(f"{model} cannot be read: {error}. Train again.") from error
    try:
        return Reply("image/jpeg", (model / THUMBNAILS / shown).read_bytes())
    except OSError as error:
        raise ArtefactError(f"{model / shown} cannot be read: {error.strerror}.") from error


def pictures(studio: Studio, _query: Query) -> Reply:
    """The pictures, a folder per class, as a ZIP file."""
    return _download(packing.packed(studio.collection.pictures, "pictures"), "pictures.zip")


def model(studio: Studio, _query: Query) -> Reply:
    """The newest model folder as a ZIP file."""
    newest = studio.model
    if newest is None:
        raise ArtefactError("There is no trained network yet. Train one first.")
    return _download(packing.packed(newest, newest.name), f"{newest.name}.zip")


def add_class(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Make a class; ?name= is optional."""
    name = studio.collection.add_class(query.get("name", ""))
    return replies.as_json({**studio.state(), "name": name})


def rename(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Rename ?class= to ?name=."""
    name = studio.collection.rename(_of(query, "class"), query.get("name", ""))
    return replies.as_json({**studio.state(), "name": name})


def remove_class(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Move ?class= out of the set."""
    removed = studio.collection.remove_class(_of(query, "class"))
    return replies.as_json({**studio.state(), "removed_name": removed})


def add(studio: Studio, query: Query, body: bytes) -> Reply:
    """Keep a picture of ?class=, which came by ?kind=."""
    kinds: dict[str, Kind] = {each: each for each in KINDS}
    kind = kinds.get(query.get("kind", ""))
    if kind is None:
        raise Refused(HTTPStatus.BAD_REQUEST, f"kind is {query.get('kind')!r}; it must be one of {', '.join(KINDS)}.")
    name = _of(query, "class")
    added = studio.collection.add(name, body, kind)
    return replies.as_json({"class": described(studio.collection.the(name)), "picture": added.name})


def remove(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Move the picture ?name= of ?class= out of the set."""
    name = _of(query, "class")
    removed = studio.collection.remove(name, _of(query, "name"))
    return replies.as_json({"class": described(studio.collection.the(name)), "removed_name": removed})


def put_back(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Put the removed picture ?name= of ?class= back, or without a name the class; by their names when removed.

    ?called=: the name that the class had. ?to=: the class of the picture, if it was renamed since.
    """
    studio.collection.put_back(_of(query, "class"), query.get("name"), query.get("called"), query.get("to"))
    return replies.as_json(studio.state())


def train(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Begin a training."""
    studio.train()
    return news(studio, query)


def stop(studio: Studio, query: Query, _body: bytes) -> Reply:
    """Stop the training."""
    studio.stop()
    return news(studio, query)


def answer(studio: Studio, _query: Query, body: bytes) -> Reply:
    """The newest model's answer to a picture."""
    return replies.as_json(studio.answer(body))


def opened(studio: Studio, _query: Query, body: bytes) -> Reply:
    """Open the glass box on the picture that is sent; without one, on one that was held back."""
    studio.open(body or None)
    return replies.as_json({"ok": True})


def _of(query: Query, key: str) -> str:
    if key not in query:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The request names no {key}.")
    return query[key]


def _download(pieces: Iterator[bytes], name: str) -> Reply:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Reply("application/zip", headers=headers, pieces=pieces)


AT = "/api/teach"
GET: dict[str, Callable[[Studio, Query], Reply]] = {
    AT: state,
    f"{AT}/training": news,
    f"{AT}/thumbnail": thumbnail,
    f"{AT}/mistake": mistake,
    f"{AT}/pictures.zip": pictures,
    f"{AT}/model.zip": model,
}
POST: dict[str, Callable[[Studio, Query, bytes], Reply]] = {
    f"{AT}/class": add_class,
    f"{AT}/class/rename": rename,
    f"{AT}/class/remove": remove_class,
    f"{AT}/picture": add,
    f"{AT}/picture/remove": remove,
    f"{AT}/back": put_back,
    f"{AT}/begins": begins,
    f"{AT}/train": train,
    f"{AT}/stop": stop,
    f"{AT}/answer": answer,
    f"{AT}/open": opened,
}
"""Each must name this start of the server, so no other site's request has an effect."""
