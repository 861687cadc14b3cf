"""Optimizers and losses against numbers computed without PyTorch."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.errors import NetworkError
from pellucid.network.loss import mean_loss
from pellucid.training.optimizer import of_head, optimizer
from pellucid.training.recipe import Recipe

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
LABELS = np.array([0, 2])


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def measured(recipe: Recipe) -> float:
    return mean_loss(recipe.loss, torch.tensor(LOGITS), torch.tensor(LABELS), recipe.label_smoothing).item()


def test_cross_entropy_by_hand() -> None:
    # -2 + log(e^2 + 1 + e^-1) and log 3
    expected = (-2 + math.log(math.e**2 + 1 + 1 / math.e) + math.log(3)) / 2
    assert measured(Recipe(label_smoothing=0.0)) == pytest.approx(expected)


def test_label_smoothing_spreads_its_share_over_all_classes() -> None:
    target = 0.7 * np.eye(3)[LABELS] + 0.3 / 3
    expected = -(target * np.log(softmax(LOGITS))).sum(axis=1).mean()
    assert measured(Recipe(label_smoothing=0.3)) == pytest.approx(expected)


def test_mean_squared_error_of_the_probabilities() -> None:
    expected = ((softmax(LOGITS) - np.eye(3)[LABELS]) ** 2).mean()
    assert measured(Recipe(loss="mse")) == pytest.approx(expected)
    assert measured(Recipe(loss="mse", label_smoothing=0.5)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_only_filters_and_matrices_decay(name: Any) -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    made = optimizer(Recipe(optimizer=name, weight_decay=0.3), module)
    decayed, free = made.param_groups
    assert decayed["weight_decay"] == 0.3
    assert free["weight_decay"] == 0.0
    assert {id(p) for p in decayed["params"]} == {id(module[0].weight), id(module[3].weight)}
    assert sorted(tuple(p.shape) for p in free["params"]) == [(2,), (2,), (2,), (2,)]


def test_lower_layers_get_a_smaller_share_of_the_rate() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    groups = optimizer(Recipe(lowest_rate=0.01), module).param_groups
    factors = {id(p): group["factor"] for group in groups for p in group["params"]}

    assert len(factors) == len(list(module.parameters()))
    for layer, factor in ((0, 0.01), (2, 0.1), (4, 1.0)):
        assert [factors[id(p)] for p in module[layer].parameters()] == pytest.approx([factor] * 2)
    assert {group["factor"] for group in optimizer(Recipe(), module).param_groups} == {1.0}


def test_gradient_descent_on_a_head_alone() -> None:
    head = nn.Linear(1, 1)
    nn.init.constant_(head.weight, 2.0)
    nn.init.constant_(head.bias, 3.0)
    made = of_head(head, 0.1, 0.5)
    head(torch.tensor([[4.0]])).sum().backward()
    made.step()

    assert head.weight.item() == pytest.approx(2 - 0.1 * (4 + 0.5 * 2))
    assert head.bias.item() == pytest.approx(3 - 0.1)  # which does not decay


def after_two_steps(recipe: Recipe, gradients: tuple[float, float]) -> float:
    """A weight that starts at 1, after these gradients."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.ones_(module.weight)
    made = optimizer(recipe, module)
    for gradient in gradients:
        module.weight.grad = torch.full((1, 1), gradient)
        made.step()
    return module.weight.item()


def test_sgd_with_nesterov_momentum_by_hand() -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.0)
    # velocity 2, then 0.5*2 + 4 = 5; each step goes along gradient + 0.5 velocity: 3, then 6.5
    assert after_two_steps(recipe, (2.0, 4.0)) == pytest.approx(1 - 0.3 - 0.65)
    plain = Recipe(optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0)
    assert after_two_steps(plain, (2.0, 4.0)) == pytest.approx(1 - 0.2 - 0.4)


def test_weight_decay_is_part_of_sgds_gradient() -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.5)
    first = 1 - 0.1 * (2 + 0.5 * 1)
    assert after_two_steps(recipe, (2.0, 4.0)) == pytest.approx(first - 0.1 * (4 + 0.5 * first))


@pytest.mark.parametrize(("name", "decay"), [("adam", 0.0), ("adamw", 0.5)])
def test_adam_by_hand(name: Any, decay: float) -> None:
    recipe = Recipe(optimizer=name, learning_rate=0.1, momentum=0.5, weight_decay=decay)
    weight, mean, square = 1.0, 0.0, 0.0
    for step, gradient in enumerate((2.0, 4.0), start=1):
        weight *= 1 - 0.1 * decay  # decoupled
        mean = 0.5 * mean + 0.5 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weight -= 0.1 * (mean / (1 - 0.5**step)) / (math.sqrt(square / (1 - 0.999**step)) + 1e-8)
    assert after_two_steps(recipe, (2.0, 4.0)) == pytest.approx(weight)


def test_rmsprop_by_hand() -> None:
    recipe = Recipe(optimizer="rmsprop", learning_rate=0.1, momentum=0.5, weight_decay=0.0)
    weight, square, velocity = 1.0, 0.0, 0.0
    for gradient in (2.0, 4.0):
        square = 0.99 * square + 0.01 * gradient**2
        velocity = 0.5 * velocity + gradient / (math.sqrt(square) + 1e-8)
        weight -= 0.1 * velocity
    assert after_two_steps(recipe, (2.0, 4.0)) == pytest.approx(weight)


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(NetworkError, match="no weights to train"):
        optimizer(Recipe(), nn.Sequential(nn.Flatten()))
