"""The pictures that a model was made from: those it was trained on, those that chose, those kept from it.

Its split.csv lists them all, with their digests. For those that it has seen, known.safetensors keeps a description to
recognise copies by (pictures/familiar.py): tensors uint8 (n, familiar.COARSE), "train" and "val", in split.csv's order.
"""

from __future__ import annotations

import csv
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import origin
from pellucid.classifier import store as artefact
from pellucid.classifier.caveats import knew
from pellucid.errors import ArtefactError, CatalogError, PellucidError, PictureError
from pellucid.pictures import ahead, familiar
from pellucid.pictures.ahead import Ahead, Begun
from pellucid.pictures.listing import kind_of
from pellucid.pictures.order import sorted_for_reading
from pellucid.pictures.places import is_on_the_web, place, within
from pellucid.pictures.reading import digest_of
from pellucid.pictures.sides import LONG, TEST, TRAIN, VAL

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

Item = TypeVar("Item")

OTHERS = "name a folder of other pictures"
_SEEN = (TRAIN, VAL)


class HeldOut(NamedTuple):
    """A picture that a model kept for its reported figure, and why it cannot be used any more; None if it can."""

    path: Place
    label: str
    reason: str | None


@dataclass(frozen=True)
class Seen:
    """A picture that a model saw while it was made, or a copy of one."""

    picture: str
    """Its path, as requested."""
    side: str
    """ "train": the model was trained on it; "validation": it took part in choosing epoch and temperature."""
    of: str
    """The path of the model's own picture, as in split.csv."""
    same_file: bool
    """The same bytes; otherwise a near-duplicate."""
    model: str | None = None
    """The model that has seen it, if that is not this model but one that its training started from."""


@dataclass(frozen=True)
class Memory:
    """What a model knows about the pictures that it has seen.

    `digests`: SHA-256, hexadecimal, -> (side, path). `copies`: side -> paths and their coarse descriptions, uint8 (n,
    familiar.COARSE). `untold`: what is unknown, and why, as a sentence; None if nothing is.
    """

    digests: dict[str, tuple[str, str]]
    copies: dict[str, tuple[list[str], NDArray[np.uint8]]]
    untold: str | None
    apart: frozenset[str] = frozenset()
    """SHA-256 of the pictures kept apart for the test: even if they look familiar, the model has not seen them."""
    before: tuple[str, Memory] | None = None
    """The Pellucid model that its training started from, and what that one knows."""

    @property
    def started(self) -> Memory | None:
        """What the model that its training started from knows; None if it started from none."""
        return None if self.before is None else self.before[1]

    def recognise(self, paths: list[str], digests: list[str], coarse: NDArray[np.uint8]) -> list[Seen]:
        """Those of M pictures that the model, or one before it, has seen, in their order.

        coarse: uint8 (M, familiar.COARSE). A picture counts as trained on if one of these models was trained on it.
        """
        seen = self._recognised(paths, digests, coarse)
        return [seen[row] for row in sorted(seen)]

    def _recognised(self, paths: list[str], digests: list[str], coarse: NDArray[np.uint8]) -> dict[int, Seen]:
        """The same by row."""
        seen: dict[int, Seen] = {}
        for row, (path, digest) in enumerate(zip(paths, digests, strict=True)):
            if digest in self.digests:
                seen[row] = Seen(path, *self.digests[digest], same_file=True)
        for side, (names, known) in self.copies.items():
            unknown = (row for row in range(len(paths)) if row not in seen and digests[row] not in self.apart)
            rest = np.array(list(unknown), np.int64)
            for row, twin in zip(rest.tolist(), familiar.familiar(known, coarse[rest]).tolist(), strict=True):
                if twin >= 0:
                    seen[row] = Seen(paths[row], side, names[twin], same_file=False)
        if self.before is not None:
            name, memory = self.before
            for row, match in memory._recognised(paths, digests, coarse).items():
                if row not in seen or (match.side == "train" and seen[row].side != "train"):
                    seen[row] = match if match.model is not None else replace(match, model=name)
        return seen


def memory(model: str | Path, after: frozenset[Path] = frozenset()) -> Memory:
    """What a model knows about the pictures that it has seen, including the models that its training started from.

    `after`: folders that lead here and are not read again: two models with equal weights may each name the other.
    Raises ArtefactError if it is not a model folder.
    """
    folder = Path(model)
    config = artefact.read_config(folder)
    own = _own(folder, config)
    started, above = origin.parent(folder, config)
    if started is None or (above is not None and above.resolve() in after):
        return own
    if above is None:
        gone = (
            f"{folder} started from the model {started}, which is no longer where it was, so pictures that {started} "
            "has seen cannot be recognised."
        )
        untold = f"{own.untold} {gone}" if own.untold is not None else gone
        return replace(own, before=(started, Memory({}, {}, gone)), untold=untold)
    known = memory(above, after | {folder.resolve()})
    untold = [] if own.untold is None else [own.untold]
    untold += [] if known.untold is None else [f"{folder} started from {above}: {known.untold}"]
    return replace(own, before=(started, known), untold=" ".join(untold) or None)


def _own(folder: Path, config: dict[str, Any]) -> Memory:
    """What a model knows about the pictures of its own training."""
    again = "so it is unknown which of these pictures the model has seen"
    stated = config.get("files", {})
    if artefact.SPLIT not in stated:
        how = "was imported" if "imported" in config else f"was saved without {artefact.SPLIT}"
        return Memory({}, {}, f"{folder} {how}, {again}.")
    try:
        artefact.check_file(folder, artefact.SPLIT, config)
        with (folder / artefact.SPLIT).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            every = list(csv.DictReader(file))
        rows = [row for row in every if row["side"] in _SEEN]
        apart = frozenset(row["sha256"] for row in every if row["side"] == TEST)
        digests = {row["sha256"]: (LONG[row["side"]], row["path"]) for row in rows}
    except (ArtefactError, OSError, KeyError, csv.Error) as error:
        what = str(error) if isinstance(error, ArtefactError) else f"{folder / artefact.SPLIT} cannot be read: {error}."
        return Memory({}, {}, f"{what.rstrip('.')}; {again}.")
    copies = "so copies of the pictures that it has seen are not recognised, only identical files"
    if artefact.KNOWN not in stated:
        return Memory(digests, {}, f"{folder} was saved by an older Pellucid without {artefact.KNOWN}, {copies}.")
    try:
        artefact.check_file(folder, artefact.KNOWN, config)
        tensors = artefact.read_arrays(folder / artefact.KNOWN)
        names = {side: [row["path"] for row in rows if row["side"] == side] for side in _SEEN}
        stored = {LONG[side]: (names[side], tensors[side]) for side in _SEEN}
        if any(known.shape != (len(paths), familiar.COARSE) for paths, known in stored.values()):
            raise ArtefactError(f"{folder / artefact.KNOWN} does not match the pictures in {artefact.SPLIT}")
    except KeyError as error:
        return Memory(digests, {}, f"{folder / artefact.KNOWN} has no {error}, {copies}.")
    except ArtefactError as error:
        return Memory(digests, {}, f"{str(error).rstrip('.')}; {copies}.")
    return Memory(digests, stored, None, apart)


def evaluated_on(model: str | Path, instead: str = OTHERS) -> tuple[str, Iterator[HeldOut]]:
    """("test" or "validation", its pictures, each checked on demand).

    Raises ArtefactError. `instead`: what the error tells the user to do if the model was trained on all its pictures.
    """
    side, root, rows = _side(Path(model), instead)
    return LONG[side], _checked(root, rows)


def known_before(model: str | Path, side: str) -> str | None:
    """Why the figure on the pictures of `evaluated_on` is none to quote: an earlier model, from which the training
    started, had seen some. None if it had not.
    """
    about = artefact.read_config(Path(model)).get("pretrained", {})
    count = about.get("knew", {}).get(side)
    if not count:
        return None
    return (
        f"No figure to quote: {knew(count, about.get('knew_by', {}).get(side, ()), 'the model that it started from')}."
    )


def remembers(model: str | Path) -> bool:
    """Whether a picture that a model kept for its reported figure still exists; not whether it is unchanged."""
    try:
        _, root, rows = _side(Path(model))
    except (PellucidError, OSError):
        return False
    return any(ahead.present([within(root, row["path"]) for row in rows]))


def remembered(model: str | Path) -> Iterator[tuple[Place, str]]:
    """(path, class) of the pictures that a model kept for its reported figure and that are unchanged.

    Raises ArtefactError, at once.
    """
    _, held_out = evaluated_on(model)
    return ((path, label) for path, label, reason in held_out if reason is None)


def sampled(model: str | Path) -> Iterator[tuple[Place, str]]:
    """As `remembered`, in an order whose every beginning is spread over all of them."""
    _, root, rows = _side(Path(model))
    return ((path, label) for path, label, reason in _checked(root, spread(rows)) if reason is None)


def spread(items: Sequence[Item]) -> list[Item]:
    """All of them, in an order whose every beginning is spread over the whole: steps of the golden section."""
    ranks = (np.arange(len(items)) * ((np.sqrt(5) - 1) / 2) % 1).argsort().argsort()
    return [items[rank] for rank in ranks.tolist()]


def trained_on(model: str | Path, instead: str = "name others") -> list[str]:
    """The pictures that a model was trained on, if they still exist.

    Raises ArtefactError. `instead`: what the error tells the user to do.
    """
    return [str(path) for path, _ in learned_from(model, instead)]


def learned_from(model: str | Path, instead: str = "name others") -> list[tuple[Place, str]]:
    """(path, class) of the pictures that a model was trained on, if they still exist. As `trained_on`."""
    root, rows = _split(Path(model), f"The pictures that {model} was trained on", instead)
    rows = [row for row in rows if row["side"] == TRAIN]
    paths = [within(root, row["path"]) for row in rows]
    there = zip(paths, rows, ahead.present(paths), strict=True)
    return [(path, row["class"]) for path, row, is_there in there if is_there]


def chosen_on(model: str | Path) -> list[tuple[Place, str]]:
    """(path, class) of a model's validation pictures that are unchanged. Raises ArtefactError."""
    root, rows = _split(Path(model), f"The pictures that {model} remembers", "give a folder")
    checked = _checked(root, [row for row in rows if row["side"] == VAL])
    return [(path, label) for path, label, reason in checked if reason is None]


def every(model: str | Path, instead: str = "name others") -> tuple[Place, list[dict[str, str]]]:
    """(their folder, the rows of split.csv) of all pictures that a model was made from, existing or not.

    Raises ArtefactError. `instead`: what the error tells the user to do.
    """
    return _split(Path(model), f"The pictures that {model} was made from", instead)


def labels(model: str | Path) -> dict[str, str]:
    """SHA-256 -> class, or labels with texts.LABELS_BETWEEN between them, of every picture that a model was made from.

    Empty if the model does not list them.
    """
    folder = Path(model)
    try:
        config = artefact.read_config(folder)
        if artefact.SPLIT not in config.get("files", {}):
            return {}
        artefact.check_file(folder, artefact.SPLIT, config)
        with (folder / artefact.SPLIT).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return {row["sha256"]: row["class"] for row in csv.DictReader(file)}
    except (ArtefactError, OSError, KeyError, csv.Error):
        return {}


def _side(model: Path, instead: str = OTHERS) -> tuple[str, Place, list[dict[str, str]]]:
    """(side, folder, rows of split.csv) of the pictures that a model keeps for evaluation, existing or not."""
    root, rows = _split(model, f"The pictures that {model} remembers", "give a folder")
    side = next((side for side in (TEST, VAL) if any(row["side"] == side for row in rows)), None)
    if side is None:
        raise ArtefactError(f"{model} was trained on all its pictures; {instead}.")
    rows = [row for row in rows if row["side"] == side]
    place = {path: at for at, path in enumerate(sorted_for_reading(root, [row["path"] for row in rows]))}
    return side, root, sorted(rows, key=lambda row: place[row["path"]])


def _checked(root: Place, rows: Sequence[dict[str, str]]) -> Iterator[HeldOut]:
    """Each is read and compared with its digest on demand; at an address, a few ahead."""
    with Ahead() as reading:
        waiting: deque[tuple[Place, str | Place | Begun, dict[str, str]]] = deque()
        for row in rows:
            path = within(root, row["path"])
            waiting.append((path, reading.begun(path), row))
            if len(waiting) > reading.window:
                yield _held_out(*waiting.popleft())
        while waiting:
            yield _held_out(*waiting.popleft())


def _held_out(path: Place, picture: str | Place | Begun, row: dict[str, str]) -> HeldOut:
    return HeldOut(path, row["class"], _changed(picture, row["sha256"]))


def _split(model: Path, what: str, instead: str) -> tuple[Place, list[dict[str, str]]]:
    """(the folder, all rows of split.csv). Errors say what is missing and what to do instead."""
    config = artefact.read_config(model)
    if "imported" in config:
        raise ArtefactError(f"{model} was imported, and the pictures that it was made from are not known; {instead}.")
    if artefact.SPLIT not in config.get("files", {}):
        raise ArtefactError(f"{model} does not list the pictures that it was made from; {instead}.")
    artefact.check_file(model, artefact.SPLIT, config)
    try:
        root = place(config["data"]["root"])
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{model} does not say where its pictures are; {instead}.") from error
    try:
        is_gone = not is_on_the_web(root) and kind_of(root) != "folder"
    except CatalogError as error:
        raise ArtefactError(f"{what} cannot be read. {error}") from error
    if is_gone:
        raise ArtefactError(f"{what} are gone: {root} does not exist. {instead[0].upper()}{instead[1:]}.")
    with (model / artefact.SPLIT).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return root, list(csv.DictReader(file))


def _changed(picture: str | Place | Begun, digest: str) -> str | None:
    try:
        if isinstance(picture, Future):
            same = hashlib.sha256(picture.result()[0]).hexdigest() == digest
        else:
            same = digest_of(picture) == digest
    except PictureError as error:  # of an address, or in a shard
        return "no longer there" if error.reason.startswith("not found") else error.reason
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        return "no longer there" if gone else f"cannot be read: {error.strerror}"
    return None if same else "changed since the training"
