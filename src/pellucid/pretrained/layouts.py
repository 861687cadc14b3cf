"""The tensors of timm's repositories, matched to ours.

timm names a tensor by its place in its module: `layer1.0.conv1.weight` is `residual1.body.conv1.weight` in our state
dict. The layers that learn are in the same order in both, so their names pair up; then each name and each shape is
checked. The tensors of a layer norm, a batch norm and a convolution have the same names in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pellucid.errors import ArtefactError
from pellucid.network import published, residual, text
from pellucid.network.layer import TensorSpecs
from pellucid.network.network import Network
from pellucid.network.window import Shape
from pellucid.texts import listed

COUNTER = "num_batches_tracked"  # of steps that batch norm has seen: no result depends on it
TENSORFLOW, LITE0 = "tf_", "efficientnet_lite0"
NAMED = 3  # tensors of each kind that an error names


class Architecture(NamedTuple):
    """A network and its variant, for a repository's name."""

    name: str
    """Its name in the zoo."""
    tensorflow: bool
    """Whether it has TensorFlow's padding and epsilon."""

    @property
    def called(self) -> str:
        return f"{TENSORFLOW}{self.name}" if self.tensorflow else self.name

    @property
    def network(self) -> Network:
        return text.parse(published.text(self.name, self.tensorflow))


def architecture(called: str) -> Architecture | None:
    """`tf_efficientnet_lite0`, or `resnet18.a1_in1k`, as ours. None if it cannot be read."""
    name = called.partition(".")[0]
    if name in published.NAMES:
        return Architecture(name, False)
    name = name.removeprefix(TENSORFLOW)
    return Architecture(name, True) if name in published.MOBILES else None


def of_zoo(name: str) -> Architecture | None:
    """A network by its name in the zoo, where efficientnet_lite0 is TensorFlow's. None if there are no such weights."""
    if name == LITE0:
        return Architecture(name, True)
    return architecture(name)


def architectures() -> tuple[str, ...]:
    """The repositories' names of the networks that can be read."""
    return (*published.NAMES, *(TENSORFLOW + name for name in published.MOBILES if name != "mobilenetv2_100"))


def pairs(name: str, network: Network, shape: Shape, classes: int) -> dict[str, str]:
    """Our tensors' names, in our order -> theirs. `name`: of the network in the zoo."""
    ours: dict[str, list[str]] = {}
    for tensor in state(network, shape, classes):
        layer, _, part = tensor.rpartition(".")
        ours.setdefault(layer, []).append(part)
    paired = {}
    for (layer, parts), theirs in zip(ours.items(), _layers(name), strict=True):
        for part in parts:
            paired[f"{layer}.{part}"] = theirs if theirs.endswith(".gamma") else f"{theirs}.{part}"
    return paired


def head(name: str) -> str:
    """timm's name of the last layer."""
    *_, last = _layers(name)
    return last


def state(network: Network, shape: Shape, classes: int) -> TensorSpecs:
    """Our tensors: names, dtypes and shapes."""
    return residual.state(network.shapes(shape, classes))


def check(
    shapes: Mapping[str, Shape], paired: Mapping[str, str], expected: TensorSpecs, called: str, source: str
) -> None:
    """Raises ArtefactError if names or shapes are not those of the network; it names the first that differ.

    `shapes`: of the tensors in the file. Extra sides of 1 do not matter, because the numbers have the same order: a 1x1
    convolution and a dense layer. `called`: the network, in words.
    """
    theirs = {name: expected[tensor][1] for tensor, name in paired.items()}
    missing = [name for name in theirs if name not in shapes and not name.endswith(COUNTER)]
    further = [name for name in shapes if name not in theirs]
    others = [
        f"{name} {list(shapes[name])} instead of {list(shape)}"
        for name, shape in theirs.items()
        if name in shapes and _plain(shapes[name]) != _plain(shape)
    ]
    faults = [
        f"{what} {listed(names, NAMED)}"
        for what, names in (("it lacks", missing), ("it adds", further), ("it differs in", others))
        if names
    ]
    if faults:
        raise ArtefactError(f"{source} holds the weights of another network than {called}: {'; '.join(faults)}.")


def _plain(shape: Shape) -> Shape:
    """The shape without trailing sides of 1."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _layers(name: str) -> Iterator[str]:
    """timm's names of the layers that learn, in the order of ours."""
    if name in published.RESNETS:
        yield from _resnet(name)
    elif name in published.CONVNEXTS:
        yield from _convnext(name)
    else:
        yield from _mobile(published.MOBILES[name])


def _resnet(name: str) -> Iterator[str]:
    bottleneck = name in published.BOTTLENECKS
    yield from ("conv1", "bn1")
    for stage, count in enumerate(published.RESNETS[name], 1):
        for block in range(count):
            at = f"layer{stage}.{block}"
            for number in range(1, 4 if bottleneck else 3):
                yield from (f"{at}.conv{number}", f"{at}.bn{number}")
            if block == 0 and (stage > 1 or bottleneck):
                yield from (f"{at}.downsample.0", f"{at}.downsample.1")
    yield "fc"


def _mobile(network: published.Mobile) -> Iterator[str]:
    yield from ("conv_stem", "bn1")
    channels = network.stem
    for stage, blocks in enumerate(network.stages):
        for number, block in enumerate(blocks):
            at, widens = f"blocks.{stage}.{number}", block.wide != channels
            if widens:
                yield from (f"{at}.conv_pw", f"{at}.bn1")
            yield from (f"{at}.conv_dw", f"{at}.bn{2 if widens else 1}")
            if block.squeeze:
                yield from (f"{at}.se.conv_reduce", f"{at}.se.conv_expand")
            yield from (f"{at}.conv_pwl", f"{at}.bn3") if widens else (f"{at}.conv_pw", f"{at}.bn2")
            channels = block.filters
    if network.head:  # the last convolution is another stage, and the dense layer after the mean a convolution
        at = f"blocks.{len(network.stages)}.0"
        yield from (f"{at}.conv", f"{at}.bn1", "conv_head")
    else:
        yield from ("conv_head", "bn2")
    yield "classifier"


def _convnext(name: str) -> Iterator[str]:
    for stage, (blocks, _) in enumerate(published.CONVNEXTS[name]):
        down = ("stem.0", "stem.1") if stage == 0 else (f"stages.{stage}.downsample.0", f"stages.{stage}.downsample.1")
        yield from down
        for block in range(blocks):
            at = f"stages.{stage}.blocks.{block}"
            yield from (f"{at}.conv_dw", f"{at}.norm", f"{at}.mlp.fc1", f"{at}.mlp.fc2", f"{at}.gamma")
    yield from ("head.norm", "head.fc")
