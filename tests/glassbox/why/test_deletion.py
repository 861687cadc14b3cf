"""The deletion score: curves by hand, the figures of chance, and meaningless maps."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.glassbox.why.deletion import Deletion, deletion


class Sum(nn.Module):
    """Class 0 scores the sum of the picture, class 1 scores 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = x.flatten(1).sum(1)
        return torch.stack([total, torch.zeros_like(total)], 1)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_curve_and_area_by_hand() -> None:
    picture = torch.tensor([[[[2.0, 0.0], [0.0, 0.0]]]])
    score = deletion(Sum(), picture, 0, np.array([[5, 0], [0, -1]], np.float32))
    start = sigmoid(2)
    # 0, 0.2, 0.4 of 4 pixels are none of them; from 0.6 on, the one that counts is gone
    assert score.shares == pytest.approx([step / 20 for step in range(21)])
    assert score.probabilities == pytest.approx([start] * 3 + [0.5] * 18)
    assert score.area == pytest.approx(0.05 * (2 * start + (start + 0.5) / 2 + 17 * 0.5))


def test_temperature_and_target() -> None:
    picture = torch.full((1, 1, 2, 2), 1.0)
    score = deletion(Sum(), picture, 1, np.ones((2, 2), np.float32), temperature=2.0)
    assert score.probabilities[0] == pytest.approx(1 - sigmoid(4 / 2))
    assert score.probabilities[-1] == pytest.approx(0.5)


def test_most_positive_evidence_goes_first_whatever_its_size() -> None:
    picture = torch.tensor([[[[1.0, 2.0], [-3.0, 0.5]]]])
    score = deletion(Sum(), picture, 0, picture[0, 0].numpy())
    expected = [0.5, -1.5, -2.5, -3.0, 0.0]  # the sum after 0 to 4 pixels
    removed = np.rint(np.linspace(0, 1, 21) * 4).astype(int)
    assert score.probabilities == pytest.approx([sigmoid(expected[count]) for count in removed])


def test_every_channel_of_a_pixel_goes() -> None:
    picture = torch.zeros(1, 3, 4, 4)
    picture[0, :, 1, 2] = torch.tensor([1.0, 2.0, 3.0])
    score = deletion(Sum(), picture, 0, picture[0].sum(0).numpy())
    assert score.probabilities[0] == pytest.approx(sigmoid(6))
    assert score.probabilities[1] == pytest.approx(0.5)  # 0.05 of 16 pixels is one


def test_maps_without_meaning_are_seldom_trusted() -> None:
    """Noise, and noise with large spots: scattered random orders would call many of the latter trustworthy."""
    trusted, trusts = 0, []
    for seed in range(6):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(392, 3)).eval()
        picture, random = torch.randn(1, 3, 16, 16), np.random.default_rng(seed)
        for number in range(16):
            spot = 4 if number % 2 else 1
            heat = random.normal(size=(16 // spot, 16 // spot)).astype(np.float32).repeat(spot, 0).repeat(spot, 1)
            score = deletion(module, picture, 1, heat)
            trusted += "can be trusted" in score.verdict
            trusts.append(score.trust / score.random_deviation)
    assert trusted <= 8  # of 96
    assert abs(np.mean(trusts)) < 0.3


def test_a_map_that_is_the_same_everywhere_is_chance() -> None:
    picture = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    for value in (0.0, 2.0):
        score = deletion(Sum(), picture, 0, np.full((6, 6), value, np.float32))
        assert score.trust == pytest.approx(0, abs=1e-12)
        assert "no better than chance" in score.verdict


def test_the_same_each_time() -> None:
    picture = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    heat = picture[0, 0].abs().numpy()
    assert deletion(Sum(), picture, 0, heat) == deletion(Sum(), picture, 0, heat)


@pytest.mark.parametrize(
    ("area", "words"),
    [(0.2, "faster than chance: it can be trusted"), (0.45, "no better than chance"), (0.8, "more slowly than chance")],
)
def test_verdict(area: float, words: str) -> None:
    score = Deletion((0.0, 1.0), (0.9, 0.1), area, 0.5, 0.05)
    assert words in score.verdict
    assert score.trust == pytest.approx(0.5 - area)
    document = score.as_json()
    assert document["verdict"] == score.verdict
    assert document["trust"] == score.trust
    assert document["area"] == area
