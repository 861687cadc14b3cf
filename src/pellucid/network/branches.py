"""The torch modules of layers that hold rows. Imports torch, so it is imported only to build one."""

from torch import Tensor, nn

from pellucid.network.placewise import Spread


class Branches(nn.Module):
    """Two branches over one input, added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Gated(nn.Module):
    """The input, (n, C, ...), times the output of the body, (n, C): one factor per channel."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.spread = Spread()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.spread(self.body(x), x)
