"""Save and resume a run, bit for bit: killed at any moment, it ends with the same weights as one never stopped.

A checkpoint is one safetensors file. It holds the weights and the optimizer's state, now and at the best epoch; its
header holds the counters and the history as JSON. It is written beside its place and renamed. The previous one stays
until the new one is on the disk, so a torn file or a full disk costs some steps, never the run.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.errors import ArtefactError
from pellucid.training.history import Epoch
from pellucid.training.loop import State

if TYPE_CHECKING:
    import torch

VERSION = 2  # 2: the optimizer's numbers of the best epoch
KEEP = 2

_COUNTERS = (
    "steps",
    "step",
    "seconds",
    "epoch_loss",
    "epoch_correct",
    "epoch_pictures",
    "epoch_seconds",
    "best_step",
    "stopped_early",
    "seconds_allowed",
    "step_seconds",
    "fastest_seconds",
    "validation_steps",
    "head_losses",
    "plan",
)


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file: `context` is what the caller saved beside the state (recipe, threads, fingerprint)."""

    path: Path
    context: dict[str, Any]
    counters: dict[str, Any]
    history: list[Epoch]
    tensors: dict[str, torch.Tensor]


class Keeper:
    """Decides when to save: at most every `seconds`, and in at most 3 % of the time."""

    def __init__(self, folder: Path, context: dict[str, Any], seconds: float = 15.0) -> None:
        self.folder, self.context, self.seconds = folder, context, seconds
        self._cost = 0.0
        self._last = time.monotonic()

    def step_done(self, state: State) -> None:
        """Save if it is due."""
        if time.monotonic() - self._last >= max(self.seconds, self._cost * 30 if self.seconds else 0.0):
            self.save(state)

    def save(self, state: State) -> None:
        start = time.monotonic()
        save(self.folder, state, self.context)
        self._last = time.monotonic()
        self._cost = self._last - start


def save(folder: Path, state: State, context: dict[str, Any]) -> Path:
    """Write `folder/step-00001234.safetensors` and remove all but it and the previous one. Raises StorageError.

    Files of later steps are removed too: they are damaged, because the run resumed from before them.
    """
    from safetensors.torch import save as encode

    tensors = _tensors(state)
    body = {
        "version": VERSION,
        "context": context,
        "counters": {name: getattr(state, name) for name in _COUNTERS},
        "history": [asdict(epoch) for epoch in state.history],
    }
    header = {"pellucid": json.dumps(body), "sha256": _digest(json.dumps(body), tensors)}
    path = folder / f"step-{state.step:08}.safetensors"
    with files.storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
    files.write(path, encode(tensors, header))
    older = [other for other in _paths(folder) if _step(other) <= state.step][:KEEP]
    for other in _paths(folder):
        if other not in older:
            with suppress(OSError):
                other.unlink()
    return path


def remove(folder: Path) -> None:
    """Remove all checkpoints of a run that no longer needs them. Raises StorageError."""
    with files.storage_errors(folder):
        if folder.is_dir():
            shutil.rmtree(folder)


def newest(folder: Path) -> Checkpoint | None:
    """The newest intact checkpoint, or None if there is no checkpoint.

    Raises ArtefactError if there are checkpoints but all are damaged.
    """
    problems = []
    for path in _paths(folder):
        try:
            return read(path)
        except ArtefactError as error:
            problems.append(str(error))
    if problems:
        raise ArtefactError(f"No checkpoint can be resumed; train again with another --out. {' '.join(problems)}")
    return None


def read(path: Path) -> Checkpoint:
    """Read and verify one checkpoint. Raises ArtefactError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            # cloned, because they are views of the mapped file
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
        if header["sha256"] != _digest(header["pellucid"], tensors):
            raise ArtefactError(f"The checkpoint {path} is damaged: its content does not have the checksum it states.")
        body = json.loads(header["pellucid"])
        if body["version"] != VERSION:
            raise ArtefactError(
                f"The checkpoint {path} is of version {body['version']}; this Pellucid reads {VERSION}."
            )
        history = [Epoch(**epoch) for epoch in body["history"]]
        return Checkpoint(path, body["context"], body["counters"], history, tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"The checkpoint {path} is damaged: {error}.") from error


def restore(checkpoint: Checkpoint, state: State) -> None:
    """Load a checkpoint's numbers into `state`, whose module and optimizer were built from the same recipe.

    Raises ArtefactError if the network differs.
    """
    import torch

    module = {name.removeprefix("module/"): t for name, t in checkpoint.tensors.items() if name.startswith("module/")}
    try:
        state.module.load_state_dict(module)
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise ArtefactError(f"The checkpoint {checkpoint.path} belongs to another network: {what}") from error
    _restore_optimizer(checkpoint, state.optimizer)
    targets = state.module.state_dict()
    state.best = {
        name.removeprefix("best/"): torch.empty_like(targets[name.removeprefix("best/")]).copy_(tensor)
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("best/")
    }
    parameters = dict(state.module.named_parameters())
    state.best_optimizer = {}
    for path, tensor in checkpoint.tensors.items():
        if path.startswith("best_optimizer/"):
            _, name, key = path.split("/")
            state.best_optimizer[f"{name}/{key}"] = _in_order_of(parameters[name], tensor)
    for name in _COUNTERS:
        setattr(state, name, checkpoint.counters.get(name, getattr(state, name)))  # older ones lack step_seconds
    state.history = list(checkpoint.history)


def _restore_optimizer(checkpoint: Checkpoint, optimizer: torch.optim.Optimizer) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, tensor in checkpoint.tensors.items():
        if not name.startswith("optimizer/"):
            continue
        _, index, key = name.split("/")
        parameter = parameters[int(index)]
        optimizer.state[parameter][key] = _in_order_of(parameter, tensor)


def _in_order_of(parameter: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """In the parameter's own memory order: another order takes another code path, which rounds differently."""
    import torch

    if tensor.shape != parameter.shape:  # a count of steps
        return tensor
    return torch.empty_like(parameter).copy_(tensor)


def _tensors(state: State) -> dict[str, torch.Tensor]:
    named = {f"module/{name}": tensor for name, tensor in state.module.state_dict().items()}
    named |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    named |= {f"best_optimizer/{name}": tensor for name, tensor in state.best_optimizer.items()}
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    for index, parameter in enumerate(parameters):
        for key, value in state.optimizer.state.get(parameter, {}).items():
            if value is not None:
                named[f"optimizer/{index}/{key}"] = value
    return _apart({name: tensor.detach().cpu().contiguous() for name, tensor in named.items()})


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies without shared memory, as the format requires: a module may use one tensor in several places."""
    seen: set[int] = set()
    paths = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        paths[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return paths


def _digest(header: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        digest.update(f"\0{name}\0{tensors[name].dtype}\0{tuple(tensors[name].shape)}\0".encode())
        digest.update(tensors[name].reshape(-1).numpy().tobytes())
    return digest.hexdigest()


def _paths(folder: Path) -> list[Path]:
    """Checkpoints, newest first."""
    return sorted(_find(folder), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _find(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if re.fullmatch(r"step-\d{8,}\.safetensors", path.name))
