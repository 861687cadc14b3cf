"""Networks with a name, each a text like any other."""

from dataclasses import dataclass
from difflib import get_close_matches

from pellucid.errors import NetworkError
from pellucid.network import text
from pellucid.network.layers import WORDS
from pellucid.network.network import Network
from pellucid.network.window import Shape


@dataclass(frozen=True)
class Named:
    """A network, with its name and the picture it was made for where it comes from the zoo."""

    name: str | None
    network: Network
    input: Shape | None
    """(channels, height, width); other sizes work too where every window fits. None: made for no size in particular."""


# The article "Architecture of Convolutional Neural Networks (CNNs) demystified" (2017): 760 + 438,082 parameters.
ARTICLE = "conv(10, 5) relu maxpool(2) flatten dense"

# LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B.
# Kept: the sizes and filters of C1 to F6, and tanh after C1, C3, C5 and F6. Not kept: the pools' trained
# coefficient and bias and the tanh after them (ours are plain means); C3 sees all six maps, not the paper's table
# of some of them; tanh is not scaled by 1.7159; the last layer gives scores for cross-entropy, not distances to
# drawn digits. 61,706 parameters; the paper has 60,000.
LENET5 = """
conv(6, 5, init=lecun) tanh avgpool(2)
conv(16, 5, init=lecun) tanh avgpool(2)
conv(120, 5, init=lecun) tanh
flatten dense(84, init=lecun) tanh dense
"""

# He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", table 1, 18 layers, with option B: a
# 1x1 convolution in the shortcut where sizes change. Batch norm follows each convolution, which needs no bias.
RESNET18 = """
conv(64, 7, stride=2, padding=3, bias=false) batchnorm relu maxpool(3, stride=2, padding=1)
2*(residual(conv(64, 3, padding=1, bias=false) batchnorm relu
           conv(64, 3, padding=1, bias=false) batchnorm) relu)
residual(conv(128, 3, stride=2, padding=1, bias=false) batchnorm relu
         conv(128, 3, padding=1, bias=false) batchnorm
         | conv(128, 1, stride=2, bias=false) batchnorm) relu
residual(conv(128, 3, padding=1, bias=false) batchnorm relu
         conv(128, 3, padding=1, bias=false) batchnorm) relu
residual(conv(256, 3, stride=2, padding=1, bias=false) batchnorm relu
         conv(256, 3, padding=1, bias=false) batchnorm
         | conv(256, 1, stride=2, bias=false) batchnorm) relu
residual(conv(256, 3, padding=1, bias=false) batchnorm relu
         conv(256, 3, padding=1, bias=false) batchnorm) relu
residual(conv(512, 3, stride=2, padding=1, bias=false) batchnorm relu
         conv(512, 3, padding=1, bias=false) batchnorm
         | conv(512, 1, stride=2, bias=false) batchnorm) relu
residual(conv(512, 3, padding=1, bias=false) batchnorm relu
         conv(512, 3, padding=1, bias=false) batchnorm) relu
globalavgpool dense
"""

# Ours, chosen by measured accuracy a minute on two CPU cores (docs/why/compact.md): a residual network for any
# picture from 28x28 up. Two small strided convolutions first: the costly ones then work on a sixteenth of the places.
COMPACT = """
conv(16, 3, stride=2, padding=1, bias=false) batchnorm relu
conv(32, 3, stride=2, padding=1, bias=false) batchnorm relu
residual(conv(32, 3, padding=1, bias=false) batchnorm relu
         conv(32, 3, padding=1, bias=false) batchnorm) relu
residual(conv(64, 3, stride=2, padding=1, bias=false) batchnorm relu
         conv(64, 3, padding=1, bias=false) batchnorm
         | conv(64, 1, stride=2, bias=false) batchnorm) relu
residual(conv(128, 3, stride=2, padding=1, bias=false) batchnorm relu
         conv(128, 3, padding=1, bias=false) batchnorm
         | conv(128, 1, stride=2, bias=false) batchnorm) relu
residual(conv(256, 3, stride=2, padding=1, bias=false) batchnorm relu
         conv(256, 3, padding=1, bias=false) batchnorm
         | conv(256, 1, stride=2, bias=false) batchnorm) relu
globalavgpool dense
"""

# Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table 1 (B0), in the Lite
# variant: no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled
# (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). TensorFlow's padding and epsilon,
# which its published weights need. 4,652,008 parameters for 1,000 classes.
_STAGES = (  # repeats, size, stride, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def _efficientnet_lite0() -> str:
    norm = "batchnorm(eps=0.001)"
    parts = [f"conv(32, 3, stride=2, padding=same, bias=false) {norm} relu6"]
    channels = 32
    for repeats, size, first, expansion, filters in _STAGES:
        for number in range(repeats):
            stride, wide = first if number == 0 else 1, channels * expansion
            moved = f"stride={stride}, " if stride > 1 else ""
            expand = f"conv({wide}, 1, bias=false) {norm} relu6 " if expansion > 1 else ""
            block = (
                f"{expand}conv({wide}, {size}, {moved}padding=same, groups={wide}, bias=false) {norm} relu6 "
                f"conv({filters}, 1, bias=false) {norm}"
            )
            parts.append(f"residual({block})" if stride == 1 and channels == filters else block)
            channels = filters
    return "\n".join([*parts, f"conv(1280, 1, bias=false) {norm} relu6", "globalavgpool dense"])


_ZOO: dict[str, tuple[str, Shape | None]] = {
    "article": (ARTICLE, (3, 300, 300)),
    "lenet5": (LENET5, (1, 32, 32)),
    "resnet18": (RESNET18, (3, 224, 224)),
    "compact": (COMPACT, None),
    "efficientnet_lite0": (_efficientnet_lite0(), (3, 224, 224)),
}

NAMES = tuple(_ZOO)


def find(name_or_text: str) -> Named:
    """A network by its name, or from its text. Raises NetworkError with the nearest name and all of them."""
    asked = name_or_text.strip()
    if asked in _ZOO:
        written, input = _ZOO[asked]
        return Named(asked, text.parse(written), input)
    words = asked.replace(",", " ").split()
    if not words or len(words) > 1 or "(" in asked or words[0] in WORDS:
        return Named(None, text.parse(name_or_text), None)
    near = get_close_matches(asked.lower(), NAMES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise NetworkError(
        f"There is no network {asked}.{hint} Names: {', '.join(NAMES)}; or write the layers, {ARTICLE!r}."
    )
