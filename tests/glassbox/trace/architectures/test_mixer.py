"""Tolstikhin et al. 2021, "MLP-Mixer: an all-MLP architecture for vision"."""

from torch import Tensor, nn


def perceptron(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Mixer(nn.Module):
    """Section 2, eq. 1: tokens are mixed for each channel, then channels for each token."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1, self.across = nn.LayerNorm(width), perceptron(tokens, 2 * tokens)
        self.norm2, self.within = nn.LayerNorm(width), perceptron(width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm2(x))


class MlpMixer(nn.Module):
    """Figure 1: patches, mixer layers, a layer norm, the average of the tokens, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.layers = nn.Sequential(Mixer(9, 12), Mixer(9, 12))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.layers(x)).mean(1))


def test_mlp_mixer(follow) -> None:
    follow(MlpMixer(), (3, 24, 24)).check()
