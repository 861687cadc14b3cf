"""What training by hand starts from: a model folder's network, recipe and pictures, on the sides where they were."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.store import OptimizerState
from pellucid.errors import ArtefactError, RecipeError
from pellucid.network.network import Network
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.sides import TEST, TRAIN, VAL
from pellucid.pictures.store import Decoding
from pellucid.runs import listed, made_from
from pellucid.training import data as datasets
from pellucid.training import recipe as recipes
from pellucid.training.data import Data
from pellucid.training.recipe import Recipe

_INSTEAD = "only a model whose pictures are on this machine can be trained further"


@dataclass(frozen=True)
class Material:
    """A model, and the pictures that it was made from.

    * network: that of `classifier`, in our notation
    * recipe: of the training, settled; its `model` is the network's text
    * data: the pictures that are still unchanged; "val" are those that are measured while the model trains
    * watched: where these stood before: "validation", "test" if there was no validation, or None if there are none
    * gone: pictures of the model that are missing, or changed since
    * importance: factor of each class's pictures in the loss; None without class weights
    * memory: the optimizer's state at the saved weights; None if the folder holds none
    """

    model: Path
    classifier: Classifier
    network: Network
    recipe: Recipe
    data: Data
    watched: str | None
    gone: int
    importance: tuple[float, ...] | None
    memory: OptimizerState | None
    fractions: tuple[float, float]
    """Of the validation and the test pictures, as the recipe of a model made from these sides states them."""


def gather(model: Path, classifier: Classifier, cache: Path) -> Generator[tuple[int, int], None, Material]:
    """Read a model's recipe, and decode its pictures as far as `cache` does not hold them.

    Yields (pictures done, of). `classifier`: the one in the folder `model`. Raises ArtefactError if the network is a
    Python module or started from known weights, or if recipe or pictures are not known; CatalogError, StorageError.
    """
    if classifier.network is None:
        raise ArtefactError(f"{model} is a Python module. Only a network with a text can be changed and trained here.")
    config = artefact.read_config(model)
    if config.get("pretrained"):
        raise ArtefactError(f"{model} started from known weights. Only a network trained from scratch can go on here.")
    recipe = _recipe(model, config, str(classifier.network))
    catalog, digests, watched = _listed(model, classifier)
    steps = datasets.prepare(catalog, classifier.form, recipe, cache)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            data: Data = end.value
            break
        if isinstance(progress, Decoding):
            yield progress.done, progress.total
    data = _unchanged(data, digests)
    if not len(data.rows("train")):
        raise ArtefactError(f"All pictures that {model} was trained on have changed since. {_INSTEAD.capitalize()}.")
    weights = config.get("training", {}).get("class_weights")
    return Material(
        model,
        classifier,
        classifier.network,
        recipe,
        data,
        watched,
        len(digests) - int((data.sides >= 0).sum()),
        None if weights is None else tuple(weights),
        artefact.read_optimizer(model),
        _fractions(config["recipe"], watched),
    )


def _recipe(model: Path, config: dict[str, Any], text: str) -> Recipe:
    """The recipe of a constant learning rate: training by hand has no planned end that a schedule could lead to."""
    settings = config.get("recipe")
    if settings is None:
        raise ArtefactError(f"{model} does not say how it was trained; {_INSTEAD}.")
    steady = {"schedule": "constant", "warmup": 0.0, "lowest_rate": 1.0, "patience": None, "minutes": None}
    alone = {"replay": False, "replay_every": None, "folds": None, "pretrained": None, "from_scratch": False}
    # nothing is split again, and the sides that stand must not be refused
    sides = {"validation": 0.0, "test": 0.0}
    try:
        recipe = recipes.make(**{**settings, **steady, **alone, **sides, "model": text, "epochs": 1})
    except (RecipeError, TypeError) as error:
        raise ArtefactError(f"{model} was trained by a recipe that this Pellucid does not know: {error}") from error
    return replace(recipe, augment="none" if recipe.augment == "auto" else recipe.augment, batch=recipe.batch or 32)


def _fractions(settings: dict[str, Any], watched: str | None) -> tuple[float, float]:
    validation, test = (float(settings.get(side, getattr(Recipe, side))) for side in ("validation", "test"))
    return (test, 0.0) if watched == "test" else (validation, test)


def _listed(model: Path, classifier: Classifier) -> tuple[Catalog, dict[str, str], str | None]:
    """The catalog of split.csv, the SHA-256 of each path, and where the watched pictures stood."""
    root, rows = made_from.every(model, _INSTEAD)
    there = {row["side"] for row in rows}
    watched = VAL if VAL in there else TEST if TEST in there else None
    if TRAIN not in there:
        raise ArtefactError(f"{model} lists no picture that it was trained on; {_INSTEAD}.")
    catalog, digests = listed.catalog(model, classifier, root, rows, {TEST: VAL} if watched == TEST else None)
    return catalog, digests, {VAL: "validation", TEST: "test", None: None}[watched]


def _unchanged(data: Data, digests: dict[str, str]) -> Data:
    """Without the pictures whose files have changed since the training."""
    same = [
        digests[path] == digest for path, digest in zip(data.catalog.pictures.paths, data.store.digests, strict=True)
    ]
    return replace(data, sides=np.where(np.array(same), data.sides, -1).astype(np.int8))
