"""A user's own nn.Module: what it takes and gives is tried before anything is trained, on a copy."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import NetworkError
from pellucid.network.network import Network
from pellucid.network.own import file, sequential
from pellucid.network.own import program as programs
from pellucid.network.own.program import Program
from pellucid.network.window import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

TRIED = 2  # pictures: as few as batch norm can train on
# pixels a side that are tried where a module does not take the size that the pictures suggest
SIZES = (32, 28, 224, 64, 128, 96, 48, 160, 192, 256, 299, 300, 150, 100, 40, 36, 24, 20, 16, 227, 240, 331, 384)
_FROM_PYTHON = "module:"
CLOSE = 1e-3  # between a module and how it is saved, of the largest output: other kernels round otherwise


@dataclass(frozen=True)
class Ready:
    """A module that can be trained, and how it will be saved."""

    module: nn.Module
    """A copy, on the CPU; where `network` is there, its own module with the weights of the user's."""
    network: Network | None
    """The same as our text."""
    program: Program | None
    """The same as a program, where our text cannot write it."""
    digest: str
    """Of what it computes: equal for a module that is made again."""
    reasons: tuple[str, ...]

    def fault(self, shape: Shape, autocast: Callable[[], AbstractContextManager[object]]) -> str | None:
        """Why a step of training for pictures (C, H, W) does not work within `autocast`; None where it does."""
        import torch

        plain = self.program is not None and self.program.plain
        with torch.random.fork_rng(devices=[]), autocast():
            example = torch.randn(TRIED, *shape)
            error = _try(self.module, example if plain else _channels_last(example), plain).error
        return None if error is None else _said(error)

    def placed(self, place: Callable[[nn.Module], nn.Module], device: str) -> nn.Module:
        """The module where it is trained; `place` moves one that takes channels-last pictures."""
        if self.program is None or not self.program.plain:
            return place(self.module)
        return self.module.to(device)


def label(module: nn.Module) -> str:
    """What a recipe calls a module that came from Python: `module:Net`."""
    return f"{_FROM_PYTHON}{type(_bare(module)).__name__}"


def find(model: str, module: nn.Module | None, classes: int, seed: int) -> Own | None:
    """The user's module that a recipe's `model` stands for; None where that is a network of ours.

    `module`: what came from Python. Otherwise `net.py:build` is run, torch's generator seeded before. Raises
    NetworkError: the file cannot be run, or a module was passed when the training began and is not passed again.
    """
    import torch

    if module is not None:
        return Own(model, _bare(module))
    if model.startswith(_FROM_PYTHON):
        name = model.removeprefix(_FROM_PYTHON)
        raise NetworkError(
            f"This training began with a module from Python, {name}, which is saved only at the end. Pass it again: "
            "pellucid.train(…, model=module, resume=True)."
        )
    named = file.reference(model)
    if named is None:
        return None
    torch.manual_seed(seed)
    return Own(model, _bare(file.make(named, classes)))


def _bare(module: nn.Module) -> nn.Module:
    """Without the wrapper of torch.compile, which cannot be exported; its weights are the module's own."""
    return getattr(module, "_orig_mod", module)


@dataclass(frozen=True)
class Own:
    """A user's module, by the name that the recipe has for it. The module itself is left as it is."""

    name: str
    """`module:Net`, or the file and function that made it."""
    module: nn.Module
    input: None = None
    """The picture that it was made for is not known: see `taken`."""

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    def taken(self, shape: Shape) -> Shape | None:
        """The picture (C, H, W) nearest to what is wanted that the module takes: the same, or another of SIZES.

        Grey pictures are tried where it takes no colours. None where it takes none of these.
        """
        copy = self._copy()
        channels, size = shape[0], shape[1]
        every = dict.fromkeys([(channels, size), (4 - channels, size)])  # grey has 1, colour has 3
        every |= dict.fromkeys((each, side) for each in (channels, 4 - channels) for side in SIZES)
        return next(((each, side, side) for each, side in every if _takes(copy, (each, side, side))), None)

    def ready(self, shape: Shape, classes: int) -> Ready:
        """A copy for pictures (C, H, W), tried forward and backward, and how it is saved.

        Raises NetworkError: it takes no such picture, gives no number a class, learns nothing, or cannot be exported.
        """
        import torch

        copy = self._copy()
        if not any(parameter.requires_grad for parameter in copy.parameters()):
            raise NetworkError(
                f"{self.kind} has nothing to train: it has no weights, or all are frozen (requires_grad is False)."
            )
        _materialise(copy, shape)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            example = torch.randn(TRIED, *shape)
            trial, plain = self._tried(copy, example)
            self._check_outputs(trial, classes)
            self._check_buffers(copy, trial.module)
            example = example if plain else _channels_last(example)
            return self._written(copy, example, trial) or self._exported(copy, example, trial, plain)

    def _copy(self) -> nn.Module:
        import torch

        try:
            with torch.inference_mode(False):
                copy = deepcopy(self.module).to("cpu")
        except Exception as error:  # whatever the module's code raises
            raise NetworkError(f"{self.kind} cannot be copied: {_said(error)}.") from error
        return copy

    def _tried(self, copy: nn.Module, example: Tensor) -> tuple[_Trial, bool]:
        """What the module gives, and whether its pictures have to come in plain order of memory.

        Raises NetworkError where neither order works.
        """
        trial = _try(copy, _channels_last(example), plain=False)
        if trial.error is None:
            return trial, False
        trial = _try(copy, example, plain=True)
        error = trial.error
        if error is None:
            return trial, True
        shape = tuple(example.shape[1:])
        other = self.taken(shape)
        hint = ""
        if other is not None and other != shape:
            size, channels = f"size={other[1]}", f"channels={other[0]}"
            wanted = [*([size] if other[1] != shape[1] else []), *([channels] if other[0] != shape[0] else [])]
            hint = f" It takes {_sized(other)}: give {' and '.join(wanted)}."
        what = "cannot be trained on" if other == shape else "does not take"
        raise NetworkError(f"{self.kind} {what} pictures of {_sized(shape)}: {_said(error)}.{hint}") from error

    def _check_outputs(self, trial: _Trial, classes: int) -> None:
        """One float number a class, in training as in evaluation. Raises NetworkError."""
        for output, while_ in ((trial.trained, " while it trains"), (trial.predicted, "")):
            if not hasattr(output, "shape") or not hasattr(output, "is_floating_point"):
                raise NetworkError(
                    f"{self.kind} returns a {type(output).__name__}{while_}; it must return one tensor, a number for "
                    "each picture and class."
                )
            shape = tuple(output.shape)
            if shape != (TRIED, classes):
                raise NetworkError(self._wrong_shape(shape, classes))
            if not output.is_floating_point():
                kind = str(output.dtype).removeprefix("torch.")
                raise NetworkError(f"{self.kind} returns {kind}; the score of a class is a float.")

    def _check_buffers(self, copy: nn.Module, tried: nn.Module) -> None:
        """Raises NetworkError for numbers that a run has changed, and that neither a checkpoint nor a model keeps."""
        kept, before = copy.state_dict(), dict(copy.named_buffers())
        for name, buffer in tried.named_buffers():
            if name not in kept and not buffer.equal(before[name]):
                raise NetworkError(
                    f"{self.kind} cannot be trained: it changes its buffer {name}, which its state_dict leaves out "
                    "(persistent=False), so it would be lost. Register it as persistent."
                )

    def _wrong_shape(self, shape: tuple[int, ...], classes: int) -> str:
        needed = f"{classes} classes need [{TRIED}, {classes}]"
        given = f"{self.kind} returns {list(shape)} for {TRIED} pictures, and {needed}"
        if len(shape) == 2 and shape[0] == TRIED:
            return f"{given}: it gives {shape[1]:,} numbers a picture. Build it for {classes} classes."
        return f"{given}. Its last layer must give one number per class."

    def _written(self, copy: nn.Module, example: Tensor, trial: _Trial) -> Ready | None:
        """As our text, where that computes the same."""
        import torch

        classes = trial.predicted.shape[1]
        found = sequential.write(copy, classes)
        if found is None:
            return None
        try:
            module = found.network.module(tuple(example.shape[1:]), classes)
            module.load_state_dict(found.state)
        except (NetworkError, RuntimeError):
            return None
        with torch.no_grad():
            if not _agree(module.eval()(example), trial.predicted):
                return None
        text = str(found.network)
        return Ready(module, found.network, None, text, (f"saved as text, {text}",))

    def _exported(self, copy: nn.Module, example: Tensor, trial: _Trial, plain: bool) -> Ready:
        import torch

        self._check_state(copy)
        program, digest = programs.export(deepcopy(copy), example, plain)
        try:
            again = programs.opened(program, {n: t for n, t in copy.state_dict().items() if n not in program.shared})
            with torch.no_grad():
                first, more = again(example[:1]), again(torch.cat([example, example[:1]]))
            wanted = trial.predicted
            same = _agree(first, wanted[:1]) and _agree(more, torch.cat([wanted, wanted[:1]]))
            deepcopy(again)
        except Exception as error:  # whatever torch.export's own modules raise
            raise NetworkError(
                f"{self.kind} cannot be saved: as a program it cannot be run: {_said(error)}."
            ) from error
        if not same:
            raise NetworkError(
                f"{self.kind} cannot be saved: its program and the module give different numbers. In evaluation mode, "
                "its output for a picture must depend on that picture alone, not on chance or on other pictures."
            )
        if plain:
            copy.register_forward_pre_hook(programs.reorder)
        reasons = ["saved as a program beside its weights, which is opened only with --trust"]
        if plain:
            reasons.append("pictures in plain memory order, which is slower: reshape() in place of view() avoids this")
        return Ready(copy, None, program, digest, tuple(reasons))

    def _check_state(self, copy: nn.Module) -> None:
        """Raises NetworkError for a state that is more than tensors: it could not be saved."""
        for name, value in copy.state_dict().items():
            if not hasattr(value, "dtype"):
                raise NetworkError(
                    f"{self.kind} cannot be saved: {name} in its state_dict is a {type(value).__name__}, and only "
                    "tensors are saved."
                )


class _Trial(NamedTuple):
    """What a prediction and then a step of training gave, on a copy, or the error that came."""

    module: nn.Module
    trained: Any
    predicted: Any
    error: Exception | None


def _try(module: nn.Module, example: Tensor, plain: bool) -> _Trial:
    """Evaluation comes first: training may change what it gives."""
    import torch

    copy, trained, predicted = _copied(module, plain), None, None
    try:
        with torch.no_grad():
            predicted = copy.eval()(example)
        trained = copy.train()(example)
        if getattr(trained, "requires_grad", False):
            trained.float().sum().backward()
    except Exception as error:  # whatever the module's code raises
        return _Trial(copy, trained, predicted, error)
    return _Trial(copy, trained, predicted, None)


def _takes(module: nn.Module, shape: Shape) -> bool:
    """Whether a module gives anything for pictures (C, H, W)."""
    import torch

    try:
        with torch.no_grad():
            deepcopy(module).eval()(torch.zeros(TRIED, *shape))
    except Exception:  # whatever the module's code raises
        return False
    return True


def _materialise(module: nn.Module, shape: Shape) -> None:
    """Draw the weights of lazy layers, which learn their sizes from a first picture."""
    import torch
    from torch.nn.parameter import is_lazy

    if any(is_lazy(each) for each in [*module.parameters(), *module.buffers()]):
        with torch.no_grad(), suppress(Exception):  # the trial tells what is wrong
            module.eval()(torch.zeros(TRIED, *shape))


def _agree(found: Tensor, wanted: Tensor) -> bool:
    """Whether two outputs are the same but for rounding."""
    import torch

    if found.shape != wanted.shape:
        return False
    scale = max(1.0, float(wanted.abs().max()))
    return bool(torch.allclose(found.float(), wanted.float(), rtol=0, atol=CLOSE * scale, equal_nan=True))


def _copied(module: nn.Module, plain: bool) -> nn.Module:
    """A copy with its weights in the order in which it is trained."""
    import torch

    copy = deepcopy(module)
    return copy if plain else copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _channels_last(example: Tensor) -> Tensor:
    """In the order of memory in which pictures come from the store, grey ones too."""
    return example.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _said(error: Exception) -> str:
    """The exception, and the line of the user's own code that raised it, without a full stop."""
    import torch

    homes = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(homes)]
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}{f': {first}' if first else ''}{at}"


def _sized(shape: Shape) -> str:
    channels, height, width = shape
    return f"{height}x{width}x{channels}"
