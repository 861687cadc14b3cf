"""What a training in several processes needs beside one: threads for each, and a check that all are alike."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pellucid.engine.device import Engine
from pellucid.errors import RecipeError
from pellucid.runtime.threads import cores
from pellucid.training.checkpoint import Checkpoint
from pellucid.training.team.team import Team

if TYPE_CHECKING:
    from pellucid.runs.choose import Chosen
    from pellucid.runs.prepare import Built
    from pellucid.training.loop import Task


def threads(team: Team, saved: Checkpoint | None, usual: int | None) -> int | None:
    """Threads of this process: in a team its share of the machine's cores. None for PyTorch's default.

    A run that continues keeps its number, `usual`, if as many processes train as before.
    """
    before = 1 if saved is None else saved.context.get("processes", 1)
    if team.alone:
        return usual if before == 1 else None
    if saved is not None and before == team.world and usual is not None:
        return usual
    return max(1, cores() // max(1, team.local_world))


def check_shares(task: Task) -> None:
    """Raise RecipeError if a step has fewer pictures than there are processes."""
    if (least := len(task.train) // task.steps_per_epoch) < task.team.world:
        pictures = f"{least:,} picture{'s' if least > 1 else ''}"
        raise RecipeError(
            f"{task.team.world} processes share each step, but a step has {pictures}. Train in fewer processes, or "
            "with a larger --batch."
        )


def check_devices(team: Team, engine: Engine) -> None:
    """Raise RecipeError if a machine has fewer GPUs than processes that need one."""
    if team.alone or not engine.device.startswith("cuda"):
        return
    import torch

    if engine.device != "cuda":
        raise RecipeError(f"device is {engine.device!r}, one GPU for {team.world} processes. Use --device cuda or cpu.")
    if (there := torch.cuda.device_count()) < team.local_world:
        raise RecipeError(
            f"{team.local_world} processes on this machine, which has {there} GPUs, and each process needs its own. "
            f"Use {there}, or --device cpu."
        )


def reasons(team: Team, engine: Engine) -> tuple[str, ...]:
    """How the team shares the work, as a sentence; none for a process alone."""
    if team.alone:
        return ()
    each = (
        f"{engine.threads} thread{'s' if engine.threads > 1 else ''} each" if engine.device == "cpu" else "a GPU each"
    )
    machines = max(1, team.world // max(1, team.local_world))
    where = f" on {machines} machines" if machines > 1 else ""
    return (f"{team.world} processes{where} share each step, {each}",)


def about(chosen: Chosen, built: Built) -> dict[str, Any]:
    """What all processes of a team must have alike before the first step, by the name in a message."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in built.module.state_dict().items():
        digest.update(
            name.encode() + tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    backbone = chosen.basis.about.get("backbone_digest")
    return {
        **{f"The setting {name}": repr(value) for name, value in chosen.recipe.as_json().items()},
        "The digest of the weights at the start": digest.hexdigest(),
        "The digest of the known weights": backbone,
        "The kind of device": built.engine.device.split(":")[0],
        "The precision": built.engine.precision,
        "The kernels": built.engine.kernels,
    }
