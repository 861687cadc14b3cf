"""Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", with a class for all."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def twice(width: int, out: int) -> nn.Sequential:
    """Section 2: two 3x3 convolutions, each with a ReLU."""
    return nn.Sequential(nn.Conv2d(width, out, 3, padding=1), nn.ReLU(), nn.Conv2d(out, out, 3, padding=1), nn.ReLU())


class Up(nn.Module):
    """Section 2: twice the size, half the channels, the encoder's map beside it, two convolutions.

    By the paper's 2x2 up-convolution, or by bilinear interpolation and a 1x1 convolution (Odena et al. 2016,
    "Deconvolution and checkerboard artifacts").
    """

    def __init__(self, width: int, out: int, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        self.up = nn.ConvTranspose2d(width, out, 2, 2) if transposed else nn.Conv2d(width, out, 1)
        self.convs = twice(2 * out, out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        if not self.transposed:
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.convs(torch.cat([skip, self.up(x)], 1))


class UNet(nn.Module):
    """Figure 1 with two levels; the average of the last maps is classified."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = twice(3, 4), twice(4, 6), twice(6, 8)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.up1 = Up(8, 6, transposed), Up(6, 4, transposed)
        self.classes = nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = self.up2(self.bottom(self.pool(second)), second)
        return self.classes(self.up1(x, first)).mean((2, 3))


@pytest.mark.parametrize("transposed", [True, False])
def test_unet(follow, transposed) -> None:
    follow(UNet(transposed), (3, 16, 16)).check()
