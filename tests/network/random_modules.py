"""Modules whose batch norm statistics and biases are random, because the initial ones change nothing."""

import torch

from pellucid.network.layers import Shape
from pellucid.network.network import Network


def with_statistics(network: Network, shape: Shape, classes: int, seed: int, spread: float = 0.1) -> torch.nn.Module:
    """The network's module in evaluation mode. `spread`: the standard deviation of its means and biases."""
    torch.manual_seed(seed)
    module = network.module(shape, classes).eval()
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0, spread)
    return module
