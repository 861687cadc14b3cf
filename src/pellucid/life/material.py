"""What a finished training is made again from: a model folder's recipe, plan, engine and pictures, all checked."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError, RecipeError
from pellucid.pictures import store as stores
from pellucid.pictures.places import within
from pellucid.pictures.reading import exists
from pellucid.pictures.sides import TRAIN, VAL
from pellucid.pictures.store import Decoding
from pellucid.runs import listed, made_from, planned
from pellucid.runs.planned import Plan
from pellucid.texts import LABELS_BETWEEN
from pellucid.training import recipe as recipes
from pellucid.training import targets
from pellucid.training.data import Data
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

INSTEAD = "only a training whose pictures are on this machine can be made again"


@dataclass(frozen=True)
class Material:
    """A model, and all that its training was made from.

    * config: of the model folder
    * recipe: of the training, settled
    * plan: how many steps it planned at each of its steps
    * last: how many steps had been made at the saved weights
    * data: the pictures of the model's split.csv; its rows are numbered as in `data.catalog.pictures`
    * train, validation: rows, int64, in the order of the training; `validation` is empty if it could choose nothing
    """

    model: Path
    classifier: Classifier
    config: dict[str, Any]
    recipe: Recipe
    plan: Plan
    last: int
    data: Data
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    cache: Path

    def label(self, row: int) -> str:
        """The class of a picture, or its labels with texts.LABELS_BETWEEN between them; "" for none."""
        catalog = self.data.catalog
        return catalog.classes_of(catalog.pictures[row]).replace("\0", LABELS_BETWEEN)


def gather(model: Path, classifier: Classifier, cache: Path) -> Generator[Decoding, None, Material]:
    """Read a model's training, and decode its pictures as far as `cache` does not hold them; yields progress.

    Raises ArtefactError if the training cannot be made again, with the reason: a user's own module, an imported model,
    a picture that is gone or has changed since. Raises StorageError.
    """
    config = artefact.read_config(model)
    recipe = recipe_of(model, config)
    root, rows = made_from.every(model, INSTEAD)
    catalog, digests = listed.catalog(model, classifier, root, rows)
    if not any(row["side"] == TRAIN for row in rows):
        raise ArtefactError(f"{model} lists no picture that it was trained on; {INSTEAD}.")
    limit = int(recipe.megapixels * 1e6)
    store = yield from stores.build(catalog, classifier.form, cache, limit, classifier.ranges)
    pictures = store.catalog.pictures
    at = {path: row for row, path in enumerate(pictures.paths)}
    needed = (TRAIN, VAL) if config.get("pretrained") else (TRAIN,)
    for path in (row["path"] for row in rows if row["side"] in needed):
        _check(model, within(root, path), digests[path], store.digests[at[path]] if path in at else None)
    none = np.zeros((0, 2), np.int64), np.zeros(0, np.int8)
    data = Data(store.catalog, store, targets.of(store.catalog), pictures.sides, *none)
    train, validation = (
        np.array([at[row["path"]] for row in rows if row["side"] == side and row["path"] in at], np.int64)
        for side in (TRAIN, VAL)
    )
    return Material(
        model,
        classifier,
        config,
        recipe,
        planned.read(model, config),
        int(config["optimizer"]["step"]),
        data,
        train,
        validation if len(data.choosing) else validation[:0],
        cache,
    )


def recipe_of(model: Path, config: dict[str, Any]) -> Recipe:
    """The recipe of a training that can be made again. Raises ArtefactError if this one cannot, by its config."""
    settings, training = config.get("recipe"), config.get("training")
    if "imported" in config or settings is None or training is None or "step" not in config.get("optimizer", {}):
        raise ArtefactError(f"{model} does not say how it was trained, so its training cannot be made again.")
    if training.get("by_hand"):
        raise ArtefactError(
            f"{model} was trained by hand on a page, from another model, and does not hold its first weights. Only a "
            "training that ran by its recipe can be made again."
        )
    if config.get("program") is not None:
        raise ArtefactError(
            f"{model} was trained from a Python module, whose first weights it does not hold. Only a network with a "
            "text can be trained again from its start."
        )
    try:
        return recipes.make(**settings)
    except (RecipeError, TypeError) as error:
        raise ArtefactError(f"{model} was trained by a recipe that this Pellucid does not know: {error}") from error


def _check(model: Path, where: Place, stated: str, now: str | None) -> None:
    """Raise ArtefactError if a picture is not the one that the model was trained on. `now`: None if it is unusable."""
    if now == stated:
        return
    if now is not None:
        what = f"has changed since the training of {model}: its SHA-256 was {stated[:12]}…, now it is {now[:12]}…"
    elif exists(where):
        what = f"cannot be read any more; {model} was trained on it, when its SHA-256 was {stated[:12]}…"
    else:
        what = f"is missing; {model} was trained on it (SHA-256 {stated[:12]}…)"
    raise ArtefactError(f"{where} {what}. Put it back: every number of the training depends on every picture.")
