"""Published networks for photographs in 1,000 classes, each text made from the table in its paper.

The parameters match the published weights, which `pretrained/` reads. TensorFlow's variant of a network pads as
TensorFlow does and adds 1e-3 to batch norm's variance; the other variant pads equally on both sides and adds 1e-5.
"""

from collections.abc import Sequence
from typing import NamedTuple

# He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", table 1: the number of blocks per stage.
RESNETS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
BOTTLENECKS = ("resnet50",)


def resnet(blocks: Sequence[int], bottleneck: bool) -> str:
    """With option B: a 1x1 convolution in the shortcut where sizes change. Batch norm replaces the bias.

    A bottleneck has its stride of 2 in the 3x3 convolution, as in weights published since 2016; the paper has it in the
    first 1x1.
    """
    parts = ["conv(64, 7, stride=2, padding=3, bias=false) batchnorm relu maxpool(3, stride=2, padding=1)"]
    channels = 64
    for stage, count in enumerate(blocks):
        filters = 64 * 2**stage
        wide = 4 * filters if bottleneck else filters
        for number in range(count):
            moved = "stride=2, " if stage > 0 and number == 0 else ""
            if bottleneck:
                body = (
                    f"conv({filters}, 1, bias=false) batchnorm relu "
                    f"conv({filters}, 3, {moved}padding=1, bias=false) batchnorm relu "
                    f"conv({wide}, 1, bias=false) batchnorm"
                )
            else:
                body = (
                    f"conv({filters}, 3, {moved}padding=1, bias=false) batchnorm relu "
                    f"conv({filters}, 3, padding=1, bias=false) batchnorm"
                )
            shortcut = f" | conv({wide}, 1, {moved}bias=false) batchnorm" if moved or channels != wide else ""
            parts.append(f"residual({body}{shortcut}) relu")
            channels = wide
    return "\n".join([*parts, "globalavgpool dense"])


class Block(NamedTuple):
    """A row of a mobile network's table: `repeats` blocks, of which the first has `stride`.

    A block widens to `wide` channels, filters each by size x size, gates them through `squeeze` numbers if that is set,
    and narrows to `filters`.
    """

    size: int
    wide: int
    filters: int
    stride: int = 1
    activation: str = "relu6"
    squeeze: int = 0


class Mobile(NamedTuple):
    """A network of such blocks. `plain`: its first block does not widen. `last`, `head`: filters after the blocks."""

    stem: int
    activation: str
    stages: tuple[tuple[Block, ...], ...]
    last: int = 0
    """Filters of a convolution with batch norm before the mean."""
    head: int = 0
    """Outputs of a dense layer after the mean."""


def _stages(channels: int, table: Sequence[tuple[int, int, int, int, int]]) -> tuple[tuple[Block, ...], ...]:
    """Rows (repeats, size, stride, expansion, filters), as in the papers of MobileNetV2 and EfficientNet, as stages."""
    stages = []
    for repeats, size, stride, expansion, filters in table:
        blocks = []
        for number in range(repeats):
            blocks.append(Block(size, channels * expansion, filters, stride if number == 0 else 1))
            channels = filters
        stages.append(tuple(blocks))
    return tuple(stages)


MOBILES = {
    # Sandler, Howard, Zhu, Zhmoginov, Chen 2018, "MobileNetV2: inverted residuals and linear bottlenecks", table 2.
    "mobilenetv2_100": Mobile(
        32,
        "relu6",
        _stages(
            32,
            [
                (1, 3, 1, 1, 16),
                (2, 3, 2, 6, 24),
                (3, 3, 2, 6, 32),
                (4, 3, 2, 6, 64),
                (3, 3, 1, 6, 96),
                (3, 3, 2, 6, 160),
                (1, 3, 1, 6, 320),
            ],
        ),
        last=1280,
    ),
    # Howard et al. 2019, "Searching for MobileNetV3", table 1 (Large). Squeeze-and-excitation goes through a quarter of
    # the widened channels, to the nearest multiple of 8.
    "mobilenetv3_large_100": Mobile(
        16,
        "hardswish",
        (
            (Block(3, 16, 16, 1, "relu"),),
            (Block(3, 64, 24, 2, "relu"), Block(3, 72, 24, 1, "relu")),
            (Block(5, 72, 40, 2, "relu", 24), *[Block(5, 120, 40, 1, "relu", 32)] * 2),
            (
                Block(3, 240, 80, 2, "hardswish"),
                Block(3, 200, 80, 1, "hardswish"),
                *[Block(3, 184, 80, 1, "hardswish")] * 2,
            ),
            (Block(3, 480, 112, 1, "hardswish", 120), Block(3, 672, 112, 1, "hardswish", 168)),
            (Block(5, 672, 160, 2, "hardswish", 168), *[Block(5, 960, 160, 1, "hardswish", 240)] * 2),
        ),
        last=960,
        head=1280,
    ),
    # Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table 1 (B0), in the
    # Lite variant: no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled
    # (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).
    "efficientnet_lite0": Mobile(
        32,
        "relu6",
        _stages(
            32,
            [
                (1, 3, 1, 1, 16),
                (2, 3, 2, 6, 24),
                (2, 5, 2, 6, 40),
                (3, 3, 2, 6, 80),
                (3, 5, 1, 6, 112),
                (4, 5, 2, 6, 192),
                (1, 3, 1, 6, 320),
            ],
        ),
        last=1280,
    ),
}


def mobile(network: Mobile, tensorflow: bool) -> str:
    """The text of MobileNetV2 and its successors."""
    norm = "batchnorm(eps=0.001)" if tensorflow else "batchnorm"

    def padding(size: int) -> str:
        return "same" if tensorflow else str(size // 2)

    parts = [f"conv({network.stem}, 3, stride=2, padding={padding(3)}, bias=false) {norm} {network.activation}"]
    channels = network.stem
    for block in (block for stage in network.stages for block in stage):
        size, wide, filters, stride, activation, squeeze = block
        moved = f"stride={stride}, " if stride > 1 else ""
        layers = [f"conv({wide}, 1, bias=false) {norm} {activation}"] if wide != channels else []
        layers.append(
            f"conv({wide}, {size}, {moved}padding={padding(size)}, groups={wide}, bias=false) {norm} {activation}"
        )
        if squeeze:
            layers.append(f"gate(globalavgpool dense({squeeze}) relu dense({wide}) hardsigmoid)")
        layers.append(f"conv({filters}, 1, bias=false) {norm}")
        written = " ".join(layers)
        parts.append(f"residual({written})" if stride == 1 and channels == filters else written)
        channels = filters
    parts.append(f"conv({network.last}, 1, bias=false) {norm} {network.activation}")
    head = f"dense({network.head}) {network.activation} " if network.head else ""
    return "\n".join([*parts, f"globalavgpool {head}dense"])


# Liu et al. 2022, "A ConvNet for the 2020s", section 3 (ConvNeXt-T): blocks and channels of each stage.
CONVNEXTS = {"convnext_tiny": ((3, 96), (3, 192), (9, 384), (3, 768))}


def convnext(stages: Sequence[tuple[int, int]]) -> str:
    """The two dense layers of a block work at each place, so they are 1x1 convolutions here."""
    parts = []
    for number, (blocks, channels) in enumerate(stages):
        down = f"conv({channels}, 4, stride=4) layernorm" if number == 0 else f"layernorm conv({channels}, 2, stride=2)"
        block = (
            f"residual(conv({channels}, 7, padding=3, groups={channels}) layernorm "
            f"conv({4 * channels}, 1) gelu conv({channels}, 1) scale(1e-6))"
        )
        parts.append(f"{down} {blocks}*{block}")
    return "\n".join([*parts, "globalavgpool layernorm dense"])


NAMES = (*RESNETS, *MOBILES, *CONVNEXTS)


def text(name: str, tensorflow: bool = False) -> str:
    """The text of one of `NAMES`. `tensorflow`: the TensorFlow variant of a mobile network."""
    if name in RESNETS:
        return resnet(RESNETS[name], name in BOTTLENECKS)
    if name in CONVNEXTS:
        return convnext(CONVNEXTS[name])
    return mobile(MOBILES[name], tensorflow)
