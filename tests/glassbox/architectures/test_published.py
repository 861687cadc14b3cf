"""The zoo's blocks in our own notation, narrow: what MobileNetV3 and ConvNeXt are made of."""

import torch

from pellucid.network.text import parse

MOBILE = """
conv(6, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) hardswish
residual(conv(12, 1, bias=false) batchnorm relu6 conv(12, 5, padding=2, groups=12, bias=false) batchnorm hardswish
         gate(globalavgpool dense(4) relu dense(12) hardsigmoid) conv(6, 1, bias=false) batchnorm)
globalavgpool dense(9) hardswish dense
"""
CONVNEXT = """
conv(6, 4, stride=4) layernorm
residual(conv(6, 7, padding=3, groups=6) layernorm conv(12, 1) gelu conv(6, 1) scale(0.3))
layernorm conv(8, 2, stride=2) globalavgpool layernorm dense
"""


def test_mobilenets_blocks(follow) -> None:
    torch.manual_seed(0)
    follow(parse(MOBILE).module((3, 32, 32), 5), (3, 32, 32)).check()


def test_convnexts_blocks(follow) -> None:
    torch.manual_seed(0)
    follow(parse(CONVNEXT).module((3, 32, 32), 5), (3, 32, 32)).check()
