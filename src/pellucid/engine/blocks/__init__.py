"""Convolution, ReLU and max pooling as one step, behind one door: describe, choose, run.

Other rooms import this module alone; tests/test_walls.py checks that. README.md says when a block is fused, the gain,
the cost of maintenance, and how to remove it. Behind the door:

    block        describe: which three layers are a block, and its shapes
    trial        choose: both ways raced
    chain        run: a network whose blocks are fused
    first_block  run without torch: a network that is one block and little else
    alone        its block, one picture after the other, from stored code; alone_cpu compiles it
    cpu          a block on the CPU, in parts of a batch; by way_direct (in registers) or way_onednn
    gpu          a block on a GPU

and the kernels: direct_cpu with layout_cpu, kernels_cpu, kernels_gpu.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from pellucid.engine.blocks.block import Block
    from pellucid.engine.blocks.chain import Watch
    from pellucid.network.residual import PlacedLayer
    from pellucid.network.standardise import Standardise, Stored


def describe(module: nn.Module) -> list[Block]:
    """The blocks of a network in order; an empty list where it has none."""
    from pellucid.engine.blocks import block

    return block.blocks(module)


def choose(
    module: nn.Module, shape: tuple[int, ...], batch: int, device: str, threads: int, bfloat16: bool
) -> tuple[bool, str | None]:
    """Whether to fuse the blocks of `module` for batches of pictures (C, H, W), and a sentence with the reason.

    The sentence is None if there is nothing to fuse. No weight, gradient or random number changes. `threads`: those of
    the training; `bfloat16`: whether it computes under autocast.
    """
    from pellucid.engine.blocks import trial

    return trial.choose(module, shape, batch, device, threads, bfloat16)


def run(module: nn.Module, threads: int, watch: Watch | None = None) -> Callable[[Tensor], Tensor]:
    """A function to call instead of `module`: the same computation and parameters, with fused blocks.

    `watch` sees each fused block with its input and its output, and changes nothing.
    """
    from pellucid.engine.blocks import chain

    return chain.forward(module, threads, watch)


def run_stored(
    module: nn.Module, standardise: Standardise, threads: int, watch: Watch | None = None
) -> Callable[[Stored], Tensor]:
    """As `run`, for stored pictures, uint8 (n, H, W, C), not yet standardised."""
    from pellucid.engine.blocks import chain

    return chain.of_stored(module, standardise, threads, watch)


def runs_without_torch(steps: Sequence[PlacedLayer]) -> bool:
    """Whether most of a network's work is in a first block that has a kernel here."""
    from pellucid.engine.blocks import first_block

    return first_block.applies(steps)


def mostly_one_block(steps: Sequence[PlacedLayer]) -> bool:
    """Whether most of a network's work is in a first block, whether or not this processor has a kernel for it."""
    from pellucid.engine.blocks import first_block

    return first_block.fits(steps)


def run_without_torch(
    steps: Sequence[PlacedLayer], weights: Mapping[str, NDArray[Any]], standardise: Standardise
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Prepared images, uint8 (n, H, W, C) -> logits, float32 (n, classes), on the calling thread.

    None unless `runs_without_torch` holds and ONNX Runtime is installed. `weights`: by the state dict's names.
    """
    from pellucid.engine.blocks import first_block

    return first_block.logits(steps, weights, standardise)
