"""A classifier that knows how it was trained: it can explain the step that training would make next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier, Learning
from pellucid.errors import RecipeError
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.training import optimizer as optimizers
from pellucid.training import recipe as recipes

if TYPE_CHECKING:
    import torch


def with_learning(classifier: Classifier, folder: Path) -> Classifier:
    """The classifier, with the loss and the optimizer that its folder names. Raises ArtefactError."""
    config = store.read_config(folder)
    settings, weights = config.get("recipe"), config.get("training", {}).get("class_weights")
    if settings is None:
        return classifier
    try:
        recipe = recipes.make(**settings)
    except (RecipeError, TypeError):  # from a later version: it still predicts
        return classifier

    importance = None if weights is None else tuple(weights)
    if config.get("pretrained", {}).get("frozen"):
        return replace(classifier, learning=_of_head(config, Loss(recipe.loss, importance=importance)))
    loss = Loss(recipe.loss, recipe.label_smoothing, importance=importance)

    def optimizer(module: torch.nn.Module) -> torch.optim.Optimizer:
        state = store.read_optimizer(folder)
        rate, tensors = (state.learning_rate, state.tensors) if state is not None else (recipe.learning_rate, {})
        return optimizers.remembering(recipe, module, rate, tensors)

    return replace(classifier, learning=Learning(loss, optimizer))


def _of_head(config: dict[str, Any], loss: Loss) -> Learning:
    """For a head that was fitted to all pictures at once: the step that gradient descent would make from there."""
    layer, stated = config["pretrained"]["layer"], config["pretrained"]["head"]

    def optimizer(module: torch.nn.Module) -> torch.optim.Optimizer:
        head: Any = module.get_submodule(layer)
        return optimizers.of_head(head, stated["learning_rate"], stated["weight_decay"])

    return Learning(loss, optimizer)
