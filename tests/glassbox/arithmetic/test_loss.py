"""The loss of a trace is the loss that training uses."""

import pytest
import torch

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.network.loss import mean_loss
from pellucid.training import recipe as recipes


@pytest.mark.parametrize("settings", [{"loss": "cross_entropy"}, {"loss": "mse"}, {"label_smoothing": 0.0}])
def test_it_is_that_of_the_training(settings: dict) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 5), torch.tensor([4, 0, 2])
    recipe = recipes.make(**settings)
    ours = Loss(recipe.loss, recipe.label_smoothing)
    assert torch.equal(ours.of(logits, labels), mean_loss(recipe.loss, logits, labels, recipe.label_smoothing))


def test_a_label_of_no_weight_has_no_loss() -> None:
    Loss(weights=(1.0, 0.0)).check(2, label=0)
    with pytest.raises(TraceError, match=r"The weight of class 1, the label, is 0\.0; it must be above 0"):
        Loss(weights=(1.0, 0.0)).check(2, label=1)
