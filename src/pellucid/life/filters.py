"""Which training pictures made each filter: one repeat of the training, with every picture's push on every filter.

    again = result_of(opened(model, cache))
    makers = result_of(collect(again))

A filter, with the weights w, moves from its first weights to its last: movement M = w_T - w_0, direction D = M / |M|.
Both ends are known before the repeat: the first from the seed or from known weights, the last from the saved model. The
push of picture i in step s is the length along D of all that its part g of that step's gradient moves:

    push(s, i) = <D, -reach(s) * scale(s) * g(s, i)>       reach and scale: of the optimizer, see scaling.py

Positive: towards where the filter ended; negative: away from it. An update is linear in the parts and in the decay. So
for SGD and RMSprop all pushes and the decay's add up to <D, M> = |M|, the length of the movement; for Adam and AdamW
the sum is an estimate of it, and stands beside it. A push counts in the step of its gradient, though momentum makes
some of its movement in later steps. The idea is that of TracIn (Pruthi et al. 2020, equation 1), with a filter's
movement in place of a loss, and at every step instead of at checkpoints.

A filter's bias and batch norm's numbers are no part of it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.glassbox.trace.frozen_copy import unknown
from pellucid.life import head_makers, parts, pushes
from pellucid.life.again import Again, Made
from pellucid.life.makers import TOP, FilterMakers, LayerMakers, Makers, Shown, Span
from pellucid.life.material import Material
from pellucid.life.pushes import Pushes
from pellucid.life.scaling import Scaling, is_exact

TENTHS = 10
MOST_BYTES = 1_000_000_000


def collect(
    again: Again, layers: Sequence[str] | None = None, count: int = TOP
) -> Generator[tuple[int, int], None, Makers]:
    """Repeat a training that has not begun, and return who made each filter. Yields (steps done, steps in all).

    `layers`: convolutions and dense layers by name; by default all. `count`: most pictures each way, for each filter
    and span. A head that was fitted at once has no steps: the pictures' parts in it are those of its one solution
    (head_makers.py), and the layers before it have no makers.

    Raises TraceError if there is no such layer, no step changed it, or the sums would take more than 1 GB.
    """
    module, material = again.state.module, again.material
    if not again.last:
        return (yield from _fitted(again, layers, count))
    names = chosen(module, layers)
    rows = np.sort(material.train)
    _check_memory(names, module, len(rows))
    rates = [again.rate(step) for step in range(1, again.last + 1)]
    tracks = [_Track(name, again, rates, len(rows)) for name in names]
    ends = {again.last * tenth // TENTHS for tenth in range(1, TENTHS + 1)}
    yield 0, again.last
    with parts.watching(again, names) as watch:
        for made in again.steps():
            runs = watch.take()
            places = np.searchsorted(rows, made.rows)
            for track in tracks:
                track.add(made, runs.get(track.name, []), places)
                if made.step in ends:
                    track.end(made.step, rows, count)
            yield made.step, again.last
    made_layers = tuple(track.result(again.last, rows, count) for track in tracks)
    return _makers(again, made_layers, is_exact(again.state.optimizer))


class _Track:
    """One layer during the repeat. Tensors are in the shape of its weights, arrays of (filters,)."""

    def __init__(self, name: str, again: Again, rates: list[float], pictures: int) -> None:
        layer: Any = again.state.module.get_submodule(name)
        saved = again.material.classifier.module.get_parameter(f"{name}.weight").detach()
        self.name, self.weight = name, layer.weight
        self._scaling = Scaling(again.state.optimizer, layer.weight, rates)
        self._first = layer.weight.detach().clone()
        self._before = self._first.clone()
        self._begin = self._first.clone()
        self._last = saved.to(self._first.device)
        movement = self._last - self._first
        self._straight = _lengths(movement)
        shape = [-1, *[1] * (movement.ndim - 1)]
        self._direction = movement / torch.from_numpy(np.maximum(self._straight, 1e-30)).to(movement).view(shape)
        filters = len(self._first)
        self._whole, self._tenth = Pushes(pictures, filters), Pushes(pictures, filters)
        self._sums = np.zeros((3, filters))  # of the running tenth: pushes, decay, distance
        self._tenths: list[list[Span]] = [[] for _ in range(filters)]
        self._began = 1

    def add(self, made: Made, runs: list[parts.Seen], places: NDArray[np.int64]) -> None:
        """Add the pushes of a step, whose pictures are at `places`."""
        if not runs or self.weight.grad is None:  # a frozen layer
            return
        movement = self._scaling.of(made.step, self._before)
        each = parts.along(runs, self._direction * movement.gradient)
        self._tenth.add(places, each, made.step)
        self._sums[0] += each.sum(0)
        if movement.decay is not None:
            self._sums[1] += _along(self._direction, movement.decay)
        self._sums[2] += _lengths(self.weight.detach() - self._before)
        self._before.copy_(self.weight.detach())

    def end(self, step: int, rows: NDArray[np.int64], count: int) -> None:
        """End a tenth with this step."""
        moved = _along(self._direction, self._before - self._begin).tolist()
        push, decay, distance = self._sums.tolist()
        for at, (toward, away) in enumerate(self._tenth.strongest(rows, count)):
            span = Span(self._began, step, moved[at], push[at], decay[at], distance[at], toward, away)
            self._tenths[at].append(span)
        self._begin.copy_(self._before)
        self._sums[:] = 0
        self._began = step + 1
        self._whole.take(self._tenth)

    def result(self, last: int, rows: NDArray[np.int64], count: int) -> LayerMakers:
        makers = self._whole.strongest(rows, count)
        filters = []
        for filter_, (tenths, straight) in enumerate(zip(self._tenths, self._straight.tolist(), strict=True)):
            push, decay = sum(each.push for each in tenths), sum(each.decay for each in tenths)
            moved, distance = sum(each.moved for each in tenths), sum(each.distance for each in tenths)
            whole = Span(1, last, moved, push, decay, distance, *makers[filter_])
            filters.append(FilterMakers(filter_, straight, whole, tuple(tenths)))
        before, after = (each.float().cpu().numpy() for each in (self._first, self._last))
        return LayerMakers(self.name, before, after, tuple(filters))


def _fitted(again: Again, layers: Sequence[str] | None, count: int) -> Generator[tuple[int, int], None, Makers]:
    """The makers of a head that was fitted at once to frozen features."""
    model, known = again.material.model, again.material.config.get("pretrained")
    if not known:
        raise TraceError(f"{model} was saved before its first step, so no picture has moved a filter.")
    names = chosen(again.state.module, layers)
    frozen = [name for name in names if name != known["layer"]]
    if frozen and layers is not None:
        raise TraceError(
            f"No step changed {frozen[0]}: {model} has the known weights of {known['name']} there. Only its head, "
            f"{known['layer']}, was fitted to the pictures: --layer {known['layer']}."
        )
    layer = yield from head_makers.makers(again, count)
    return _makers(again, (layer,), exact=True)


def _makers(again: Again, layers: tuple[LayerMakers, ...], exact: bool) -> Makers:
    material = again.material
    spans = (span for layer in layers for each in layer.filters for span in (each.whole, *each.tenths))
    rows = np.unique(np.concatenate([side.rows for span in spans for side in (span.toward, span.away)])).tolist()
    return Makers(
        again.last,
        _begins(material),
        material.recipe.optimizer,
        exact,
        again.drift(),
        material.data.catalog.root,
        {row: _shown(material, row) for row in rows},
        layers,
    )


def _begins(material: Material) -> str:
    known = material.config.get("pretrained")
    return f"known weights of {known['name']}" if known else f"random weights, drawn by seed {material.recipe.seed}"


def _shown(material: Material, row: int) -> Shown:
    return Shown(material.data.catalog.pictures[row].path, material.label(row))


def chosen(module: nn.Module, layers: Sequence[str] | None) -> list[str]:
    """The convolutions and dense layers by these names, or all. Raises TraceError if there is none."""
    names = [name for name, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    if layers is not None and not layers:
        raise TraceError(f"No layer is named. There are: {', '.join(names)}.")
    for layer in layers or ():
        if layer not in names:
            raise unknown(layer, names, "convolution or dense layer")
    return names if layers is None else list(dict.fromkeys(layers))


def _check_memory(names: list[str], module: nn.Module, pictures: int) -> None:
    filters = sum(len(module.get_parameter(f"{name}.weight")) for name in names)
    needed = 2 * pushes.BYTES * filters * pictures
    if needed > MOST_BYTES:
        fewer = f"Name fewer layers, such as --layer {names[0]}." if len(names) > 1 else "Name a smaller layer."
        raise TraceError(
            f"The pushes of {pictures:,} pictures on {filters:,} filters take {needed / 1e9:.1f} GB of memory, and at "
            f"most {MOST_BYTES / 1e9:g} GB is used. {fewer}"
        )


def _lengths(weights: Tensor) -> NDArray[np.float64]:
    """(filters, ...) -> (filters,)."""
    lengths: NDArray[np.float64] = np.sqrt(_along(weights, weights))
    return lengths


def _along(direction: Tensor, weights: Tensor) -> NDArray[np.float64]:
    """(filters, ...) and the same -> (filters,)."""
    sums: NDArray[np.float64] = (direction * weights).sum(tuple(range(1, weights.ndim))).double().cpu().numpy()
    return sums
