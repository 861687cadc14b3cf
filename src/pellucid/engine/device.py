"""Device, precision, threads, memory and fused blocks: chosen once, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.engine import blocks
from pellucid.errors import RecipeError
from pellucid.network.standardise import Standardise, to_unit
from pellucid.runtime.memory import give_back_memory, keep_memory
from pellucid.runtime.threads import share_out, share_out_with_torch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pellucid.engine.blocks import Watch
    from pellucid.network.standardise import Stored

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Engine:
    """Where and how the arithmetic runs. `reasons` has one plain sentence per choice."""

    device: str
    precision: Literal["float32", "bfloat16"]
    threads: int
    reasons: tuple[str, ...]
    fused: bool = False  # conv + relu + maxpool as one step (blocks/)
    kernels: bool = False  # our own, for depthwise convolutions (kernels.py)
    watch: Watch | None = None  # sees each fused block with its input and its output; hooks see the other layers

    def autocast(self) -> AbstractContextManager[object]:
        """A context with convolutions and dense layers in `precision`, and reductions such as the loss in float32."""
        import torch

        kind = self.device.split(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16")

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        """Move a module to the device, its filters in channels-last order."""
        import torch

        return module.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def send(self, numbers: NDArray[Any]) -> Tensor:
        """A copy on the device, or the same memory on the CPU. Does not wait for a CUDA device."""
        import torch

        # CUDA copies unpinned memory before it returns, so `numbers` may change afterwards
        return torch.from_numpy(numbers).to(self.device, non_blocking=self.device.startswith("cuda"))

    def free_bytes(self) -> int | None:
        """Free bytes of the device's own memory; None if it has none, or does not report it."""
        if not self.device.startswith("cuda"):
            return None
        import torch

        return torch.cuda.mem_get_info(self.device)[0]

    def settle(self) -> None:
        """Return free memory to the system, once. Lasting memory now lies between freed blocks."""
        if self.device == "cpu":
            give_back_memory()

    def share_out(self, task: Callable[[Any], None], jobs: Sequence[Any]) -> None:
        """Run `task` on every job on all threads, for our own kernels that do not call PyTorch."""
        # fused blocks already have threads
        share = share_out_with_torch if self.fused else share_out
        share(task, jobs, self.threads)

    def forward(self, module: torch.nn.Module) -> Callable[[Tensor], Tensor]:
        """A function to call instead of `module`: the same computation with the same weights, but faster."""
        return self._by_kernels(blocks.run(module, self.threads, self.watch) if self.fused else module)

    def of_stored(self, module: torch.nn.Module, standardise: Standardise) -> Callable[[Stored], Tensor]:
        """As `forward`, for stored pictures, uint8 (n, H, W, C): `module(standardise(to_unit(pixels)))`."""
        if not self.fused:
            run = self._by_kernels(module)
            return lambda pixels: run(standardise(to_unit(pixels, self.device)))
        run = self._by_kernels(blocks.run_stored(module, standardise, self.threads, self.watch))
        if self.device == "cpu":
            return run
        return lambda pixels: run(self.send(pixels) if isinstance(pixels, np.ndarray) else pixels)

    def _by_kernels(self, call: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
        if not self.kernels:
            return call
        from pellucid.engine import kernels

        return kernels.forward(call, self.threads)


def choose(device: str = "auto", precision: Precision = "auto", threads: int | None = None) -> Engine:
    """Choose once for this process; also sets PyTorch's thread count and keeps freed memory for reuse.

    `threads`: None for PyTorch's default. A resumed run passes its original number: sums are split by threads, and
    another number rounds differently. Raises RecipeError for a device that this machine does not have.
    """
    import torch

    reasons = []
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        reasons.append(f"{device}: {'a GPU is available' if device == 'cuda' else 'no GPU is available'}")
    check(device)
    if precision == "auto":
        precision, why = _fast_precision(device)
        reasons.append(f"{precision}: {why}")
    if threads is not None and threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    if device == "cpu":
        keep_memory()
    if device.startswith("cuda"):
        torch.backends.cudnn.deterministic = True  # the same seed, the same weights
    return Engine(device, precision, torch.get_num_threads(), tuple(reasons))


def for_steps(
    engine: Engine,
    module: torch.nn.Module,
    requested: Precision,
    began: Literal["float32", "bfloat16"] | None = None,
    kernels: bool | None = None,
) -> Engine:
    """The engine that trains `module`: on a CPU by our own kernels, for the parts that they can compute.

    If our kernels cannot compute one of its depthwise convolutions, training is in float32, because bfloat16 would
    speed up only the forward pass (docs/why/log.md). An explicit precision (`requested`) does not change. `began` and
    `kernels` are those of a resumed run, which keeps them; None for a new run.
    """
    if engine.device != "cpu":
        return engine
    from pellucid.engine import depthwise
    from pellucid.engine import kernels as own

    parts = own.described(module) if kernels is not False else ()
    if parts:
        engine = replace(engine, kernels=True, reasons=(*engine.reasons, f"kernels of our own: {' and '.join(parts)}"))
    if requested != "auto" or engine.precision == "float32" or began == "bfloat16":
        return engine
    if began is None and not depthwise.is_slow_in_bfloat16(module, engine.kernels):
        return engine
    why = "the backward pass of depthwise convolutions is slower in bfloat16 on a processor"
    return replace(engine, precision="float32", reasons=(*engine.reasons, f"float32 for training steps: {why}"))


def with_blocks(
    engine: Engine, module: torch.nn.Module, shape: tuple[int, ...], batch: int, fused: bool | None = None
) -> Engine:
    """The engine, with fused blocks if a short trial for pictures (C, H, W) shows that they pay, and the reason.

    `fused`: the choice of a resumed run; None for the trial. The two ways agree up to rounding.
    """
    if fused is None:
        bfloat16 = engine.precision == "bfloat16"
        fused, reason = blocks.choose(module, shape, batch, engine.device, engine.threads, bfloat16)
        engine.settle()
    else:
        reason = "fused blocks: as when this run began" if fused else None
    return replace(engine, fused=bool(fused), reasons=(*engine.reasons, *([reason] if reason else [])))


def check(device: str) -> None:
    """Raise RecipeError for a device that this machine does not have."""
    if device in ("auto", "cpu"):
        return
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecipeError(
            f"device is {device!r}, which this machine does not have ({line}). Use auto or cpu."
        ) from error


def _fast_precision(device: str) -> tuple[Literal["float32", "bfloat16"], str]:
    import torch

    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "this GPU multiplies it in hardware"
        return "float32", "this GPU has no bfloat16 in hardware"
    if device == "cpu":
        abilities = torch.cpu.get_capabilities()
        for name in ("amx_bf16", "avx512_bf16"):
            if abilities.get(name):
                return "bfloat16", f"this processor multiplies it in hardware ({name})"
        return "float32", "this processor has no bfloat16 in hardware"
    return "float32", "the precision that every device has"
