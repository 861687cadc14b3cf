"""Networks with a name, each a text like any other."""

from dataclasses import dataclass

from pellucid.errors import NetworkError, did_you_mean
from pellucid.network import published, text
from pellucid.network.layers import WORDS
from pellucid.network.network import Network
from pellucid.network.window import Shape


@dataclass(frozen=True)
class Named:
    """A network, with its name and the picture size that it was made for, if it comes from the zoo."""

    name: str | None
    network: Network
    input: Shape | None
    """(channels, height, width); other sizes work too if every window fits. None: made for no particular size."""


# The article "Architecture of Convolutional Neural Networks (CNNs) demystified" (2017): 760 + 438,082 parameters.
ARTICLE = "conv(10, 5) relu maxpool(2) flatten dense"

# LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B. As in
# the paper: the sizes and filters of C1 to F6, and tanh after C1, C3, C5 and F6. Different: the pools' trained
# coefficient and bias and the tanh after them (ours are plain means); C3 sees all six maps, not the paper's table of
# some of them; tanh is not scaled by 1.7159; the last layer gives scores for cross-entropy, not distances to drawn
# digits. 61,706 parameters; the paper has 60,000.
LENET5 = """
conv(6, 5, init=lecun) tanh avgpool(2)
conv(16, 5, init=lecun) tanh avgpool(2)
conv(120, 5, init=lecun) tanh
flatten dense(84, init=lecun) tanh dense
"""

# Our own network, chosen by measured accuracy per minute on two CPU cores (docs/why/compact.md): a residual network for
# any picture from 28x28 up. Two small strided convolutions come first: the costly ones then work on a sixteenth of the
# places.
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

_ZOO: dict[str, tuple[str, Shape | None]] = {
    "article": (ARTICLE, (3, 300, 300)),
    "lenet5": (LENET5, (1, 32, 32)),
    "compact": (COMPACT, None),
    # the weights of efficientnet_lite0 that need no download are TensorFlow's
    **{name: (published.text(name, name == "efficientnet_lite0"), (3, 224, 224)) for name in published.NAMES},
}

NAMES = tuple(_ZOO)


def find(name_or_text: str) -> Named:
    """A network by its name, or from its text. Raises NetworkError with the nearest name and all of them."""
    name = name_or_text.strip()
    if name in _ZOO:
        written, size = _ZOO[name]
        return Named(name, text.parse(written), size)
    words = name.replace(",", " ").split()
    if not words or len(words) > 1 or "(" in name or words[0] in WORDS:
        return Named(None, text.parse(name_or_text), None)
    hint = did_you_mean(name.lower(), NAMES)
    raise NetworkError(
        f"There is no network {name}.{hint} Names: {', '.join(NAMES)}; or write the layers, {ARTICLE!r}."
    )
