"""The optimizer's arithmetic in one step of a weight, as data: the op that the glass box shows for an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.glassbox.trace import optimizing, units
from pellucid.life.updates import group_of

if TYPE_CHECKING:
    from pellucid.life.again import Again
    from pellucid.life.story import Life


def as_json(again: Again, life: Life, step: Mapping[str, Any]) -> dict[str, Any]:
    """{"op": the declaration, "remembered": {its name of each state: the number before the step}} of a large step.

    `step`: as in Life.as_json. Empty if the optimizer's arithmetic has no declaration.
    """
    import torch

    optimizer, name = again.state.optimizer, units.named(life.weight)
    group = {**group_of(optimizer, again.state.module.get_parameter(name)), "lr": step["rate"]}
    state = {name: torch.tensor(number, dtype=torch.float32) for name, number in step["state"].items()}
    first = step["step"] == 1  # SGD keeps no momentum before its first step
    op, remembered, _ = optimizing.described(
        optimizer, group, {} if first else state, torch.tensor(step["before"], dtype=torch.float32)
    )
    if op is None:
        return {}
    return {"op": op.as_json(), "remembered": {name: float(each) for name, each in remembered.items()}}
