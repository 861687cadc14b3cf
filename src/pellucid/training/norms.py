"""Batch norm in training: whether a network has it, and whether it uses the running sums of known weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def has_batch_norm(module: torch.nn.Module) -> bool:
    """Whether the output for one picture depends on the others in its batch."""
    return any(map(_is_batch_norm, module.modules()))


def train_mode(module: torch.nn.Module, frozen_norms: bool) -> None:
    """Training mode; with `frozen_norms`, batch norm computes as in prediction, and its sums stay."""
    if not module.training:
        module.train()
    for part in module.modules() if frozen_norms else ():
        if _is_batch_norm(part) and part.training:
            part.eval()


def _is_batch_norm(part: torch.nn.Module) -> bool:
    import torch

    return isinstance(part, torch.nn.modules.batchnorm._BatchNorm)
