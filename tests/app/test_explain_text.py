"""`pellucid explain` on a number of any module: one without terms, and the largest of a long list."""

import dataclasses

import pytest
import torch
from torch import nn

from pellucid.app import explain_text
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.trace.recording import explain


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.tril().flatten(2).amax(2))


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.arange(3 * 5 * 6, dtype=torch.float32).reshape(3, 5, 6) - 20


def test_a_number_of_no_terms(image: torch.Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    explain_text.working(explain(Own(), image, 1).unit("tril[0, 1, 4]"))
    printed = capsys.readouterr().out
    assert "it has no terms" in printed
    assert "PyTorch computed  0.0" in printed


def test_the_largest_of_a_list_has_no_running_sum(image: torch.Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    explain_text.working(explain(Own(), image, 1).unit("amax[0]"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "= largest of flatten"
    assert "30 candidates, the largest first:" in lines[2]
    assert [line.split() for line in lines[3:5]] == [
        ["flatten[0,", "28]", "8", "->", "8", "the", "largest"],
        ["flatten[0,", "27]", "7", "->", "7"],
    ]
    assert not any("sum" in line for line in lines)


@pytest.mark.parametrize("training", [True, False])
def test_a_map_says_in_which_mode_it_was_made(training: bool, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.9), nn.Flatten(), nn.Linear(144, 2))
    trace = explain(module.train(training), torch.randn(3, 8, 8), 1)
    attribution = trace.attribute(1)
    assert trace.mode == ("training" if training else "evaluation")
    assert (attribution.mode, attribution.recorded) == ("evaluation", trace.mode)
    assert (attribution.logit == pytest.approx(float(trace.logits[1]), abs=1e-6)) != training
    assert {key: attribution.as_json()[key] for key in ("mode", "recorded")} == {
        "mode": "evaluation",
        "recorded": trace.mode,
    }
    explain_text.attribution(attribution, "bee", "map.png")
    printed = capsys.readouterr().out
    assert "made in evaluation mode" in printed
    assert ("the trace was recorded in training mode" in printed) == training


def test_a_loss_that_does_not_fit_the_probability_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    module, image = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.randn(3, 2, 2)
    trace = explain(module, image, 1, loss=Loss(label_smoothing=0.3), classes=("cat", "dog", "owl"))
    explain_text.path(dataclasses.replace(trace, temperature=2.5), False)
    printed = capsys.readouterr().out
    assert "those of the logits divided by 2.5, the temperature. The loss takes the logits as they are.\n" in printed
    assert "Label smoothing: the loss's target is 0.8 for dog and 0.1 for each other class.\n" in printed
    explain_text.path(explain(module, image, 1), False)
    printed = capsys.readouterr().out
    assert "temperature" not in printed
    assert "smoothing" not in printed
