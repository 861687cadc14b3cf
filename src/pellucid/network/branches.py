"""The torch module of a residual layer. Imports torch, so it is imported only where one is built."""

from torch import Tensor, nn


class Branches(nn.Module):
    """Two branches over one input, added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)
