"""The exact receptive field of each unit of a convolution, for any network.

No formula of strides and paddings: a picture with NaN in one row goes through the network, and every output that is NaN
has seen that row; zero weights do not hide it, because 0 * NaN is NaN. So branches, dilation, and unforeseen layers
come out right, and a unit that sees the whole picture (squeeze and excitation, attention) gets the whole picture.

That takes one picture for each row and column. Most networks consist of a few operators whose receptive fields are
known; for those, one pass of four pictures gives the same ends (farthest.py). Imports torch, so it is imported only if
boxes are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pellucid.glassbox.why import farthest

BATCH = 16
Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels; the ends are exclusive."""


@dataclass(frozen=True)
class Sight:
    """What the units of one layer see: the first row or column, and the one after the last; equal if nothing."""

    rows: NDArray[np.int64]
    """(channels, height of the output, 2)"""
    columns: NDArray[np.int64]
    """(channels, width of the output, 2)"""

    def box(self, channel: int, row: int, column: int) -> Box:
        """The smallest box of the picture that holds everything that unit (channel, row, column) sees."""
        (top, bottom), (left, right) = self.rows[channel, row].tolist(), self.columns[channel, column].tolist()
        return top, left, bottom, right

    def receptive_field(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what a unit sees, even beyond the edges of the picture, which is height x width.

        Exact if enough of the units' ends are inside the picture. Otherwise the layer sees nearly the whole picture,
        and the result is the largest box within it.
        """
        return _extent(self.rows, height), _extent(self.columns, width)


def sights(copy: nn.Module, names: Sequence[str], shape: Sequence[int]) -> dict[str, Sight]:
    """For each named layer, what its units see of an input (1, C, H, W). `copy`: from frozen_copy.still, in float32.

    For a layer that runs more than once, the first run counts. Four pictures pass through; if the network has an
    operator that farthest.py does not know, H + W pictures pass, a few at a time, with each convolution reduced to one
    channel per group. Memory does not grow with their number.
    """
    try:
        return _at_once(copy, names, shape)
    except Exception:  # farthest.Unknown, or an error of a module that cannot compute with such numbers
        return swept(copy, names, shape)


def swept(copy: nn.Module, names: Sequence[str], shape: Sequence[int]) -> dict[str, Sight]:
    """As `sights`, for any network: a picture with NaN for each row and each column."""
    rows, columns = _sweep(copy, names, shape, 2), _sweep(copy, names, shape, 3)
    return {name: Sight(rows[name], columns[name]) for name in rows}


def _at_once(copy: nn.Module, names: Sequence[str], shape: Sequence[int]) -> dict[str, Sight]:
    """As `sights`, in one pass. Raises farthest.Unknown, or the module's exceptions."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in copy.modules()):
        raise farthest.Unknown("a compiled module, whose operators cannot be watched")
    sights: dict[str, Sight] = {}

    def note(name: str, output: Tensor) -> None:
        last_row, last_column, first_row, first_column = farthest.plain(output)
        rows = _ends(-first_row.amax(2), last_row.amax(2))
        sights[name] = Sight(rows, _ends(-first_column.amax(1), last_column.amax(1)))

    with torch.no_grad():
        first_runs(copy, names, note, farthest.pictures(shape, _device(copy)))
    return sights


def _ends(first: Tensor, last: Tensor) -> NDArray[np.int64]:
    """(channels, places, 2): the first visible place, and the one after the last; 0 and 0 if there is none."""
    ends = torch.stack([first, last + 1], -1)
    return torch.where(ends.isfinite(), ends, 0.0).to(torch.int64).cpu().numpy()


def first_runs(copy: nn.Module, names: Sequence[str], look: Callable[[str, Tensor], None], batch: Tensor) -> None:
    """Run the batch and show `look` the output of each named layer, from its first run.

    Nothing runs after the last of them.
    """
    seen: set[str] = set()

    def hook(name: str, _part: nn.Module, _input: Any, output: Tensor) -> None:
        if name not in seen:
            seen.add(name)
            look(name, output)
        if len(seen) == len(names):
            raise _Seen

    handles = [copy.get_submodule(name).register_forward_hook(partial(hook, name)) for name in names]
    try:
        with suppress(_Seen):
            copy(batch.clone())
    finally:
        for handle in handles:
            handle.remove()


class _Seen(Exception):
    """All requested layers have run."""


def _extent(ends: NDArray[np.int64], side: int) -> int:
    """The most that a unit sees along one axis; ends are (channels, places, 2)."""
    return max(_reach(first, last, side) for first, last in np.unique(ends, axis=0).transpose(0, 2, 1))


def _reach(first: NDArray[np.int64], last: NDArray[np.int64], side: int) -> int:
    """The reach of one channel. Uncut, unit u would begin at first[-1] - stride * (units after it), and end likewise.

    The edges cut off least at the last unit's start and the first unit's end; the stride is the step to their
    neighbours. The result counts only if every end within the picture is where it should be.
    """
    units = np.arange(len(first))
    if len(units) > 1 and first[-1] > 0 and 0 < last[0] < side:
        for stride in (int(first[-1] - first[-2]), int(last[1] - last[0])):
            starts, ends = first[-1] - stride * (units[-1] - units), last[0] + stride * units
            inside = (first == starts)[starts >= 0].all() and (last == ends)[ends <= side].all()
            if stride > 0 and inside and (first >= starts).all() and (last <= ends).all():
                return int(ends[0] - starts[0])
    return int((last - first).max())


def _sweep(copy: nn.Module, names: Sequence[str], shape: Sequence[int], axis: int) -> dict[str, NDArray[np.int64]]:
    """Name -> (channels, places along `axis`, 2): first visible place of the input, and the one after the last."""
    device = _device(copy)
    ends: dict[str, NDArray[np.int64]] = {}
    side, other = shape[axis], 5 - axis

    for start in range(0, side, BATCH):
        count = min(BATCH, side - start)
        probe = torch.zeros(count, *shape[1:], device=device)
        for number in range(count):
            probe[number].select(axis - 1, start + number).fill_(torch.nan)

        def note(name: str, output: Tensor, start: int = start) -> None:
            for place, seen in enumerate(output.isnan().any(other).cpu().numpy(), start):  # (channels, places)
                bounds = ends.setdefault(name, np.zeros((*seen.shape, 2), np.int64))
                bounds[seen & (bounds[..., 1] == 0), 0] = place
                bounds[seen, 1] = place + 1

        with torch.no_grad(), _OneChannel():
            first_runs(copy, names, note, probe)
    return ends


def _device(copy: nn.Module) -> torch.device:
    parameter = next(copy.parameters(), None)
    return parameter.device if parameter is not None else torch.device("cpu")


class _OneChannel(TorchFunctionMode):
    """Convolutions that only pass NaN on: each group adds up a single channel with ones.

    Faster, and exact: fast algorithms (Winograd, FFT) work on tiles, in which NaN would spread to neighbours.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.conv2d:
            return _spread(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _spread(
    sample: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The output of a convolution, (N, filters, height, width): NaN where it sees NaN, 0 elsewhere."""
    count, channels, height, width = sample.shape
    marked = sample.isnan().view(count, groups, channels // groups, height, width).any(2).float()
    ones = torch.ones(groups, 1, *weight.shape[2:], device=sample.device)
    hits = functional.conv2d(marked, ones, None, stride, padding, dilation, groups) > 0.5
    spread = torch.where(hits, torch.nan, 0.0).to(sample.dtype)
    return spread.repeat_interleave(len(weight) // groups, dim=1)
