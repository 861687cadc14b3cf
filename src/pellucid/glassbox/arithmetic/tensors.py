"""PyTorch's tensors as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """A tensor on any device, with or without a gradient -> an array; 16-bit numbers become float32, exactly."""
    import torch

    detached = tensor.detach().cpu()
    return (detached.float() if detached.dtype in (torch.bfloat16, torch.float16) else detached).numpy()
