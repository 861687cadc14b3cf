"""Writes the replay of a training (replay.py) beside it, without changing one bit of it.

A frame is a forward and a backward pass of a few pictures in evaluation mode: it draws no random number and changes no
weight, no sum of batch norm and no `.grad`. The index is rewritten after each frame, so it never names a missing file.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import ArtefactError
from pellucid.network.loss import mean_loss
from pellucid.network.standardise import to_unit
from pellucid.texts import LABELS_BETWEEN
from pellucid.training import replay
from pellucid.training.loop import State, Task
from pellucid.training.replay import INDEX, VERSION, Layer, quantise

if TYPE_CHECKING:
    import torch

PICTURES = 4
FRAMES = 64  # evenly spaced, at most; there are some more among the first steps
LAYERS = 12
UNITS = 64
FILTERS, INPUTS = 16, 3
FILTER_BYTES = 4096  # per layer
MAP_BYTES = 1 << 16  # per frame: outputs and gradients together
CHANNELS_AND_SIDES = ((16, 28), (16, 20), (8, 20), (8, 14), (4, 14), (4, 7))  # the first that fits MAP_BYTES


@dataclass(frozen=True)
class Size:
    """The disk space of a replay."""

    frames: int
    bytes: int


def choose(task: Task) -> NDArray[np.int64]:
    """Rows of the pictures to follow: one of each of the first four classes, drawn by the seed.

    From the validation pictures, or from the training pictures if a class has none of them. With several
    labels, a picture stands for one of its labels; a label whose pictures all stand for others has none.
    """
    generator = np.random.default_rng((task.recipe.seed, 2))
    several = task.labels.ndim == 2
    there = np.flatnonzero(task.labels[task.train].any(axis=0)) if several else np.unique(task.labels[task.train])
    chosen: list[int] = []
    for label in there[:PICTURES]:
        has = task.labels[:, label] if several else task.labels == label
        sides = [side[has[side] & ~np.isin(side, chosen)] for side in (task.validation, task.train)]
        if some := [side for side in sides if len(side)]:
            chosen.append(int(generator.choice(some[0])))
    return np.array(chosen, np.int64)


def is_due(step: int, steps: int, every: int | None) -> bool:
    """Whether to keep a frame after `step` of `steps` steps: always for the first and the last, else for every n-th.

    By default there are 32 to 64 over the run, or one per step if there are fewer steps, and before the second of them
    the powers of two. Their spacing is itself a power of two: if the plan changes, one plan's frames are among the
    other's.
    """
    if step in (0, steps):
        return True
    if every is not None:
        return step % every == 0
    spacing = 1 << max(0, math.ceil(math.log2(max(1, steps) / FRAMES)))
    return step % spacing == 0 or (step < spacing and step & (step - 1) == 0)


class Recorder:
    """Adds frames to the replay in `folder`. A resumed run continues after the frames up to its step."""

    def __init__(self, folder: Path, task: Task, state: State, paths: Sequence[str], classes: Sequence[str]) -> None:
        """`paths` of all pictures by row, as in split.csv. Raises StorageError."""
        self.folder, self.task = folder, task
        rows = choose(task)
        images = task.images.batch(rows)
        self._images = images if isinstance(images, np.ndarray) else images.cpu().numpy()
        self._labels = task.labels[rows]
        self._layers = followed(state.module, self._input())
        with files.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        files.remove_parts(folder)
        sides = ["validation" if row in task.validation else "train" for row in rows]
        several = self._labels.ndim == 2
        names = [[classes[int(at)] for at in (np.flatnonzero(own) if several else [own])] for own in self._labels]
        self._index: dict[str, Any] = {
            "version": VERSION,
            **({"several": True} if several else {}),
            "classes": list(classes),
            "pictures": [
                {"file": f"picture-{number}.png", "path": paths[row], "class": LABELS_BETWEEN.join(own), "side": side}
                | ({"labels": own} if several else {})
                for number, (row, own, side) in enumerate(zip(rows, names, sides, strict=True), start=1)
            ],
            "layers": [layer.as_json() for layer in self._layers],
            "steps_per_epoch": task.steps_per_epoch,
            "steps": state.steps,
            "frames": [],
        }
        for image, entry in zip(self._images, self._index["pictures"], strict=True):
            content = _png(image)
            entry |= {"channels": image.shape[2], **replay.described(content)}
            files.write(folder / entry["file"], content)
        self._index["frames"] = self._earlier(state.step)
        self._write_index()

    @property
    def size(self) -> Size:
        """The disk space of the replay."""
        with files.storage_errors(self.folder):
            return Size(len(self._index["frames"]), sum(path.stat().st_size for path in self.folder.iterdir()))

    def note(self, state: State, last: bool = False) -> None:
        """Add a frame, if one is due (or the training has ended) and does not exist yet. Raises StorageError."""
        frames, every = self._index["frames"], self.task.recipe.replay_every
        if not (last or is_due(state.step, state.steps, every)):
            return
        there = [frame for frame in frames if frame["step"] == state.step]
        if there and self._index["steps"] == state.steps:
            return
        # a longer plan has a larger spacing: drop the early frames in between
        earlier = [frame for frame in frames if is_due(frame["step"], state.steps, every) and frame not in there]
        self._index |= {"steps": state.steps, "frames": [*earlier, *(there or [self._add(state)])]}
        self._write_index()

    def _add(self, state: State) -> dict[str, Any]:
        """Write a frame; returns its entry in the index."""
        content, losses = self._look(state)
        name = f"frame-{state.step:08}.safetensors"
        seen = state.epoch_loss / state.epoch_pictures if state.epoch_pictures else None
        files.write(self.folder / name, content)
        return {
            "step": state.step,
            "epoch": state.step / self.task.steps_per_epoch,
            "train_loss": state.history[-1].train_loss if seen is None and state.history else seen,
            "loss": [files.finite(loss) for loss in losses],
            "file": name,
            **replay.described(content),
        }

    def _earlier(self, step: int) -> list[dict[str, Any]]:
        """The frames of a resumed run. Damaged frames, or those of other pictures, are dropped."""
        with suppress(ArtefactError, KeyError, TypeError):
            index = replay.read_index(self.folder)
            same = all(index[key] == json.loads(json.dumps(self._index[key])) for key in ("pictures", "layers"))
            frames = [frame for frame in index["frames"] if frame["step"] <= step] if same else []
            return [frame for frame in frames if _stands(self.folder / frame["file"], frame["bytes"])]
        return []

    def _write_index(self) -> None:
        """Write replay.json, then remove the frames that it does not name."""
        files.write(self.folder / INDEX, json.dumps(self._index, allow_nan=False) + "\n")
        named = {frame["file"] for frame in self._index["frames"]}
        with files.storage_errors(self.folder):
            for path in self.folder.glob("frame-*.safetensors"):
                if path.name not in named:
                    path.unlink()

    def _input(self) -> torch.Tensor:
        return self.task.standardise(to_unit(self._images, self.task.engine.device))

    def _look(self, state: State) -> tuple[bytes, list[float]]:
        """A frame as safetensors, and the loss of each picture."""
        import torch
        from safetensors.numpy import save as encode

        labels = torch.from_numpy(self._labels).to(self.task.engine.device)
        # then each layer's output has a gradient, even before the first weights
        images = self._input().requires_grad_()
        with torch.enable_grad(), watched(state.module, {layer.name for layer in self._layers}) as seen:
            logits = state.module(images).float()
            recipe, weights = self.task.recipe, self.task.weights
            pairs = [(logits[n : n + 1], labels[n : n + 1]) for n in range(len(labels))]
            losses = [mean_loss(recipe.loss, *pair, recipe.label_smoothing, weights) for pair in pairs]
            outputs = [seen[layer.name] for layer in self._layers]
            # in evaluation mode pictures do not interact: the sum's gradient is that of each picture's own loss
            gradients = torch.autograd.grad(torch.stack(losses).sum(), outputs, allow_unused=True)
        tensors: dict[str, NDArray[Any]] = {"logits": logits.detach().cpu().numpy()}
        for layer, output, gradient in zip(self._layers, outputs, gradients, strict=True):
            leading = 2 if len(layer.stored) == 3 else 1
            arrays = {"output": output, "gradient": torch.zeros_like(output) if gradient is None else gradient}
            for kind, numbers in arrays.items():
                _put(tensors, f"{layer.name}/{kind}", reduced(numbers.detach(), layer.stored), leading)
            if layer.weight is not None:
                filters, inputs = layer.weight[:2]
                weight = state.module.get_parameter(f"{layer.name}.weight").detach()
                _put(tensors, f"{layer.name}/weight", weight[:filters, :inputs], 1)
        return encode(tensors), [loss.item() for loss in losses]


def followed(module: torch.nn.Module, images: torch.Tensor) -> tuple[Layer, ...]:
    """The layers to record, in their order of execution, and how much of each, within a frame's size."""
    import torch

    with torch.no_grad(), watched(module) as seen:
        module(images)
    parts = dict(module.named_modules())
    names = [name for name, output in seen.items() if output.ndim in (2, 4)]
    if len(names) > LAYERS:  # skip the activations, which only transform the layer before them
        names = [name for name in names if type(parts[name]).__module__ != "torch.nn.modules.activation"]
    if len(names) > LAYERS:
        first = next((i for i, name in enumerate(names) if isinstance(parts[name], torch.nn.Conv2d)), 0)
        places = np.linspace(first, len(names) - 1, min(LAYERS, len(names) - first))
        names = [names[place] for place in np.rint(places).astype(int)]
    shapes = [tuple(seen[name].shape[1:]) for name in names]
    options = [[_stored_shape(shape, *limits) for shape in shapes] for limits in CHANNELS_AND_SIDES]
    fitting = (shapes_of for shapes_of in options if 2 * len(images) * sum(map(math.prod, shapes_of)) <= MAP_BYTES)
    stored = next(fitting, options[-1])
    return tuple(
        Layer(name, type(parts[name]).__name__, shape, part, _stored_weight(parts[name]))
        for name, shape, part in zip(names, shapes, stored, strict=True)
    )


def _stored_shape(shape: tuple[int, ...], channels: int, side: int) -> tuple[int, ...]:
    if len(shape) == 1:
        return (min(shape[0], UNITS),)
    return min(shape[0], channels), min(shape[1], side), min(shape[2], side)


def _stored_weight(part: torch.nn.Module) -> tuple[int, ...] | None:
    import torch

    if not isinstance(part, torch.nn.Conv2d):
        return None
    filters, inputs, height, width = part.weight.shape
    inputs = min(inputs, INPUTS)
    return min(filters, FILTERS, max(1, FILTER_BYTES // (inputs * height * width))), inputs, height, width


@contextmanager
def watched(module: torch.nn.Module, names: set[str] | None = None) -> Iterator[dict[str, torch.Tensor]]:
    """The module in evaluation mode; the outputs of its innermost layers (or those named) go into the dict.

    Without dropout and normalisation, which train and predict by different rules, and without mere reshapes. For a
    layer that runs several times: its first output. Hooks and modes are restored afterwards.
    """
    import torch
    from torch import nn

    left_out = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase, nn.Flatten, nn.Identity)
    seen: dict[str, torch.Tensor] = {}
    modes = [(part, part.training) for part in module.modules()]
    hooks = []
    try:
        for name, part in module.named_modules():
            innermost = not any(part.children()) and not isinstance(part, left_out)
            if name in names if names is not None else innermost:

                def keep(part: nn.Module, inputs: object, output: object, name: str = name) -> None:
                    if isinstance(output, torch.Tensor):
                        seen.setdefault(name, output)

                hooks.append(part.register_forward_hook(keep))
        module.eval()
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        for part, mode in modes:
            part.training = mode


def reduced(numbers: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """(P, C, H, W) -> (P, *shape), means over areas; (P, U) -> its first units."""
    import torch.nn.functional as F

    first = numbers[:, : shape[0]].float()
    return F.adaptive_avg_pool2d(first, (shape[1], shape[2])) if len(shape) == 3 else first


def _put(tensors: dict[str, NDArray[Any]], name: str, numbers: torch.Tensor, leading: int) -> None:
    made = quantise(numbers.float().contiguous().cpu().numpy(), leading)
    tensors[name] = np.ascontiguousarray(made.values)
    tensors[f"{name}/scale"] = np.ascontiguousarray(made.scale)


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image if image.shape[2] == 3 else image[..., 0]).save(content, "PNG")
    return content.getvalue()


def _stands(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
