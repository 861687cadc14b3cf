"""The pictures that excite a filter most, and where: each filter's largest activations over a stream of pictures."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.trace.frozen_copy import gradients, still, unknown
from pellucid.glassbox.trace.packed import packed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pellucid.glassbox.why.receptive import Sight

BATCH = 16

Pictures = Iterable[tuple[str, "Tensor"]]


@dataclass(frozen=True)
class Exemplar:
    """One picture at the place where it excites a filter most."""

    source: str
    activation: float
    """The convolution's output there, before any activation function."""
    unit: tuple[int, int, int]
    """Channel, row, column of the layer's output."""
    box: tuple[int, int, int, int]
    """The receptive field: top, left, bottom, right in pixels of the prepared picture; the ends are exclusive."""


@dataclass(frozen=True)
class LayerExemplars:
    """A convolution's filters, and for each the pictures that excite it most, the strongest first."""

    layer: str
    weight: NDArray[np.float32]
    """(filters, input channels of a group, kernel height, kernel width)"""
    sees: tuple[int, int]
    """Height and width of the receptive field, even beyond the picture's edges: see receptive.py."""
    filters: tuple[tuple[Exemplar, ...], ...]

    def as_json(self) -> dict[str, Any]:
        """JSON's types; the weights as in packed.py."""
        return {
            "layer": self.layer,
            "weight": packed(self.weight),
            "sees": list(self.sees),
            "filters": [[_exemplar_as_json(exemplar) for exemplar in row] for row in self.filters],
        }


def find(
    module: nn.Module, pictures: Pictures, count: int = 9, layers: Sequence[str] | None = None
) -> Generator[int, None, dict[str, LayerExemplars]]:
    """Look at all pictures, (name, float32 (1, C, H, W) standardised), all of one size, on the module's device.

    Yields how many have been seen, and returns (`exemplars = yield from find(...)`) the `count` strongest for each
    filter of each nn.Conv2d, or of those in `layers`, in their order of execution. A picture appears at most once per
    filter; of equal activations the earlier picture wins. Non-finite numbers are skipped. For a layer that runs more
    than once, the first run counts. Memory does not grow with the number of pictures. The module is copied and does not
    change.

    Raises TraceError if there is no convolution, no layer with such a name, no picture, or pictures of several sizes.
    """
    from torch import nn

    if count < 1:
        raise TraceError(f"count is {count}; it must be 1 or more.")
    names = [name for name, part in module.named_modules() if name and isinstance(part, nn.Conv2d)]
    if not names:
        raise TraceError("This network has no convolution, so it has no filters to show.")
    for layer in layers or ():
        if layer not in names:
            raise unknown(layer, names, "convolution")
    return _find(module, pictures, count, names if layers is None else list(layers))


def _find(
    module: nn.Module, pictures: Pictures, count: int, names: list[str]
) -> Generator[int, None, dict[str, LayerExemplars]]:
    from pellucid.glassbox.why.receptive import sights

    with gradients():
        copy = still(module)
    best: dict[str, _Best] = {}
    seen, shape = 0, None
    for sources, batch in _batches(pictures):
        if shape not in (None, batch.shape[1:]):
            raise TraceError(
                f"{sources[0]} is {list(batch.shape[1:])} and those before it {list(shape or ())}; all must match."
            )
        shape = batch.shape[1:]
        _look(copy, names, sources, batch, count, best)
        seen += len(sources)
        yield seen
    if shape is None:
        raise TraceError("There is no picture to look at.")
    boxes = sights(copy, list(best), (1, *shape))
    return {name: _layer(copy, name, strongest, boxes[name], (shape[1], shape[2])) for name, strongest in best.items()}


class _Best:
    """The strongest places of each filter so far, in arrays of (filters, count), initially -inf."""

    def __init__(self, filters: int, count: int) -> None:
        self.activation = np.full((filters, count), -np.inf, np.float32)
        self.place = np.zeros((filters, count, 2), np.int64)  # row, column
        self.source = np.full((filters, count), "", object)

    def add(self, sources: Sequence[str], activation: NDArray[np.float32], place: NDArray[np.int64]) -> None:
        """Activation (pictures, filters) and place (pictures, filters, 2) of each picture's strongest unit."""
        count = self.activation.shape[1]
        names = np.broadcast_to(np.array(sources, object), activation.T.shape)
        activations = np.concatenate([self.activation, activation.T], 1)
        places = np.concatenate([self.place, place.transpose(1, 0, 2)], 1)
        order = np.argsort(-activations, axis=1, kind="stable")[:, :count]
        self.activation = np.take_along_axis(activations, order, 1)
        self.place = np.take_along_axis(places, order[..., None], 1)
        self.source = np.take_along_axis(np.concatenate([self.source, names], 1), order, 1)


def _look(
    copy: nn.Module, names: list[str], sources: list[str], batch: Tensor, count: int, best: dict[str, _Best]
) -> None:
    import torch

    from pellucid.glassbox.why.receptive import first_runs

    def note(name: str, output: Tensor) -> None:
        activation, index = output.flatten(2).max(2)  # (pictures, filters)
        if not activation.isfinite().all():  # NaN and infinity count as the largest
            finite = torch.where(output.isfinite(), output, -torch.inf)
            activation, index = finite.flatten(2).max(2)
        place = np.stack(np.divmod(index.cpu().numpy(), output.shape[3]), axis=-1)
        best.setdefault(name, _Best(output.shape[1], count)).add(sources, activation.float().cpu().numpy(), place)

    with torch.inference_mode():
        first_runs(copy, names, note, batch)


def _layer(copy: nn.Module, name: str, best: _Best, sight: Sight, size: tuple[int, int]) -> LayerExemplars:
    weight = copy.get_parameter(f"{name}.weight").detach().float().cpu().numpy()
    filters = tuple(
        tuple(
            Exemplar(source, float(activation), (channel, row, column), sight.box(channel, row, column))
            for source, activation, (row, column) in zip(sources, activations, places.tolist(), strict=True)
            if np.isfinite(activation)
        )
        for channel, (sources, activations, places) in enumerate(
            zip(best.source, best.activation, best.place, strict=True)
        )
    )
    return LayerExemplars(name, weight, sight.receptive_field(*size), filters)


def _batches(pictures: Pictures) -> Iterator[tuple[list[str], Tensor]]:
    """Names and pictures (n, C, H, W), n up to 16 and all of one size."""
    import torch

    names, group = [], []
    for name, picture in pictures:
        if len(group) == BATCH or (group and group[0].shape != picture.shape):
            yield names, torch.cat(group)
            names, group = [], []
        names.append(name)
        group.append(picture)
    if group:
        yield names, torch.cat(group)


def _exemplar_as_json(exemplar: Exemplar) -> dict[str, Any]:
    return {**asdict(exemplar), "unit": list(exemplar.unit), "box": list(exemplar.box)}
