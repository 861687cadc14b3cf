"""Device, precision, threads and memory: chosen once, each with its reason."""

from __future__ import annotations

import ctypes
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pellucid.errors import RecipeError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Engine:
    """Where and how the arithmetic runs. `reasons` has one plain sentence a choice."""

    device: str
    precision: Literal["float32", "bfloat16"]
    threads: int
    reasons: tuple[str, ...]

    def autocast(self) -> AbstractContextManager[object]:
        """Convolutions and dense layers in `precision`, everything that sums in float32."""
        import torch

        kind = self.device.split(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16")

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        """Move a module to the device, its filters in channels-last order."""
        import torch

        return module.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def choose(device: str = "auto", precision: Precision = "auto", threads: int | None = None) -> Engine:
    """Choose once for this process; also sets PyTorch's thread count and keeps freed memory for reuse.

    `threads`: None for what PyTorch takes by itself; a resumed run passes the number it began with,
    since sums are split by threads and another number rounds differently.
    Raises RecipeError for a device that this machine does not have.
    """
    import torch

    reasons = []
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        reasons.append(f"{device}: {'a GPU is there' if device == 'cuda' else 'no GPU was found'}")
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
            f"device is {device!r}, which this machine does not offer ({line}). Use auto or cpu."
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


def keep_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the system after every step.

    Large blocks otherwise cost their page faults again in every step; what it brings is in docs/why/engine.md.
    Where the C library has no `mallopt`, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # <malloc.h>
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
    mallopt(mmap_max, 0)
