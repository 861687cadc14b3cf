"""The request for a run, and the choices from the pictures that it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.engine import device
from pellucid.network import zoo
from pellucid.network.own import own as owns
from pellucid.network.own.own import Own, Ready
from pellucid.network.window import Shape
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.decode import Form
from pellucid.runs import transfer
from pellucid.runs.transfer import Basis
from pellucid.training import bring, targets, weighting
from pellucid.training import data as datasets
from pellucid.training import recipe as recipes
from pellucid.training.checkpoint import Checkpoint
from pellucid.training.data import Data
from pellucid.training.folds import FoldPosition
from pellucid.training.recipe import Recipe
from pellucid.training.resolve import resolve, resolve_length
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    import torch

    from pellucid.pictures.places import Place


@dataclass(frozen=True)
class Request:
    """The request for a run; see Run, which has the same names. `began`: its start, by time.perf_counter."""

    directory: Place
    out: Path
    recipe: Recipe
    named: frozenset[str]
    module: torch.nn.Module | None
    cache: Path
    part: FoldPosition | None
    checkpoint_seconds: float
    began: float
    team: Team = ALONE

    @property
    def alike(self) -> Mapping[str, Any]:
        """The choices of a cross-validation's first training for all; see FoldPosition."""
        return self.part.alike if self.part is not None else {}


@dataclass(frozen=True)
class Chosen:
    """What to train, and how: the recipe as far as it is settled, with a sentence for each choice.

    `own`: the user's module, copied and checked, if the network is one.
    """

    basis: Basis
    recipe: Recipe
    reasons: tuple[str, ...]
    own: Ready | None = None

    @property
    def shape(self) -> Shape:
        """(C, H, W) of the network's input."""
        form = self.basis.form
        return form.channels, form.height, form.width


def choose(request: Request, catalog: Catalog, saved: Checkpoint | None) -> Chosen:
    """Choose the network, its input and the recipe except its length and class weights, without decoding pictures.

    A resumed run keeps its choices.
    """
    wanted, classes = request.recipe, len(catalog.classes)
    own = owns.find(wanted.model, request.module, classes, wanted.seed)
    bring.check_start(own, wanted)
    device.check(wanted.device)
    chosen = _chosen_again(own, saved) if saved is not None else _chosen_first(request, catalog, own)
    named = chosen.basis.named
    if isinstance(named, Own):
        ready = named.ready(chosen.shape, classes)
        bring.check_same(saved, ready)
        return replace(chosen, own=ready)
    named.network.shapes(chosen.shape, classes)  # raises NetworkError if they do not fit
    return chosen


def _chosen_again(own: Own | None, saved: Checkpoint) -> Chosen:
    # a checkpoint of an earlier Pellucid does not state class weights: there were none
    recipe = recipes.make(**{"class_weights": "none", **saved.context["recipe"]})
    reasons = tuple(saved.context["reasons"])
    if (basis := saved.context.get("basis")) is not None:
        return Chosen(Basis.from_json(basis), recipe, reasons)
    return Chosen(_from_scratch(own, recipe), recipe, reasons)


def _chosen_first(request: Request, catalog: Catalog, own: Own | None) -> Chosen:
    wanted = request.recipe
    sample = datasets.sample(catalog, int(wanted.megapixels * 1e6))
    if own is None:
        return Chosen(*transfer.choose(wanted, sample, request.named, request.cache))
    recipe, reasons = bring.fitted(own, wanted, *resolve(wanted, own, sample))
    return Chosen(_from_scratch(own, recipe), recipe, reasons)


def _from_scratch(own: Own | None, recipe: Recipe) -> Basis:
    assert recipe.size is not None
    assert recipe.channels is not None
    form = Form(recipe.size, recipe.size, recipe.channels, recipe.fit)
    return Basis(own or zoo.find(recipe.model), form)


def settle(chosen: Chosen, data: Data, request: Request, saved: Checkpoint | None) -> Chosen:
    """Settle the rest of the recipe: batch, epochs, class weights. A resumed run has settled its length."""
    recipe, more = chosen.recipe, ()
    if saved is None:
        recipe, more = resolve_length(recipe, len(data.rows("train")), chooses=bool(len(data.choosing)))
    usual = request.alike.get("class_weights", "auto")
    recipe, weighted = weighting.resolve(recipe, counts(data), data.catalog.classes, usual)
    return replace(chosen, recipe=recipe, reasons=(*chosen.reasons, *more, *(weighted if saved is None else ())))


def counts(data: Data) -> list[int]:
    """The number of training pictures of each class."""
    return targets.counts(data.labels[data.rows("train")], len(data.catalog.classes))
