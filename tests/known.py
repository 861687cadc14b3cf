"""Known weights small enough for many trainings: random filters and a batch norm with statistics."""

import numpy as np
import torch
from torch import nn

from pellucid.network import text
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form
from pellucid.pretrained.known import Known

NETWORK = (
    "conv(8, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) relu6 conv(12, 3) relu globalavgpool dense"
)
SIDE = 24


def tiny(name: str = "imagenet", cache: object = None, model: object = None, classes: tuple[str, ...] = ()) -> Known:
    """The same weights each time; called like pretrained.find.find."""
    network = text.parse(NETWORK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = network.module((3, SIDE, SIDE), max(2, len(classes)))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                nn.init.uniform_(part.running_mean, -0.2, 0.2)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
    tensors = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    form = Form(SIDE, SIDE, 3, "crop", 0.875, "bicubic")
    scale = Standardise((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert all(isinstance(array, np.ndarray) for array in tensors.values())
    return Known("tiny", f"made by a test as {name}", network, tensors, form, scale, "nothing but noise", classes)
