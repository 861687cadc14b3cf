"""A user's own nn.Module: a copy is tried forward and backward before anything is trained."""

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

TRIED = 2  # pictures: the fewest that batch norm can train on
# pixels a side to try if a module does not take the size that the pictures suggest
SIZES = (32, 28, 224, 64, 128, 96, 48, 160, 192, 256, 299, 300, 150, 100, 40, 36, 24, 20, 16, 227, 240, 331, 384)
_FROM_PYTHON = "module:"
CLOSE = 1e-3  # of the largest output, between a module and its saved form: other kernels round differently


@dataclass(frozen=True)
class Ready:
    """A module that can be trained, and its saved form."""

    module: nn.Module
    """A copy, on the CPU; with `network`, its module with the user's weights."""
    network: Network | None
    """The module as our text."""
    program: Program | None
    """The module as a program, if our text cannot write it."""
    digest: str
    """Digest of the computation: equal for a module that is made again."""
    reasons: tuple[str, ...]

    def fault(self, shape: Shape, autocast: Callable[[], AbstractContextManager[object]]) -> str | None:
        """Why a training step for pictures (C, H, W) fails within `autocast`; None if it works."""
        import torch

        plain = self.program is not None and self.program.plain
        with torch.random.fork_rng(devices=[]), autocast():
            example = torch.randn(TRIED, *shape)
            error = _try(self.module, example if plain else _channels_last(example), plain).error
        return None if error is None else _error_line(error)

    def placed(self, place: Callable[[nn.Module], nn.Module], device: str) -> nn.Module:
        """The module on the training device; `place` moves one that takes channels-last pictures."""
        if self.program is None or not self.program.plain:
            return place(self.module)
        return self.module.to(device)


def label(module: nn.Module) -> str:
    """A recipe's name for a module that came from Python: `module:Net`."""
    return f"{_FROM_PYTHON}{type(_bare(module)).__name__}"


def find(model: str, module: nn.Module | None, classes: int, seed: int) -> Own | None:
    """The user's module that a recipe's `model` stands for; None for a network of ours.

    `module`: the one that came from Python. Otherwise `net.py:build` is run, after seeding torch's generator. Raises
    NetworkError if the file cannot be run, or if a module was passed at the start of the training and is missing now.
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
    """The module without the wrapper of torch.compile, which cannot be exported; the weights are the same."""
    return getattr(module, "_orig_mod", module)


@dataclass(frozen=True)
class Own:
    """A user's module, by its name in the recipe. The module itself does not change."""

    name: str
    """`module:Net`, or the file and function that made it."""
    module: nn.Module
    input: None = None
    """Unknown for a user's module: see `taken`."""

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    def taken(self, shape: Shape) -> Shape | None:
        """The input (C, H, W) nearest to the wanted one that the module takes: the same, or another of SIZES.

        Grey pictures are tried if it takes no colours. None if it takes none of these.
        """
        copy = self._copy()
        channels, size = shape[0], shape[1]
        every = dict.fromkeys([(channels, size), (4 - channels, size)])  # grey has 1 channel, colour has 3
        every |= dict.fromkeys((each, side) for each in (channels, 4 - channels) for side in SIZES)
        return next(((each, side, side) for each, side in every if _takes(copy, (each, side, side))), None)

    def ready(self, shape: Shape, classes: int) -> Ready:
        """A copy for pictures (C, H, W), tried forward and backward, with its saved form.

        Raises NetworkError if it takes no such picture, does not return one number per class, learns nothing, or cannot
        be exported.
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
            raise NetworkError(f"{self.kind} cannot be copied: {_error_line(error)}.") from error
        return copy

    def _tried(self, copy: nn.Module, example: Tensor) -> tuple[_Trial, bool]:
        """The module's outputs, and whether its pictures must be in plain memory order.

        Raises NetworkError if neither order works.
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
        raise NetworkError(f"{self.kind} {what} pictures of {_sized(shape)}: {_error_line(error)}.{hint}") from error

    def _check_outputs(self, trial: _Trial, classes: int) -> None:
        """Require one float per class, in training and in evaluation. Raises NetworkError."""
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
        """Raises NetworkError if a run has changed numbers that neither a checkpoint nor a model folder stores."""
        state, before = copy.state_dict(), dict(copy.named_buffers())
        for name, buffer in tried.named_buffers():
            if name not in state and not buffer.equal(before[name]):
                raise NetworkError(
                    f"{self.kind} cannot be trained: it changes its buffer {name}, which its state_dict leaves out "
                    "(persistent=False), so it would be lost. Register it as persistent."
                )

    def _wrong_shape(self, shape: tuple[int, ...], classes: int) -> str:
        needed = f"{classes} classes need [{TRIED}, {classes}]"
        problem = f"{self.kind} returns {list(shape)} for {TRIED} pictures, and {needed}"
        if len(shape) == 2 and shape[0] == TRIED:
            return f"{problem}: it gives {shape[1]:,} numbers a picture. Build it for {classes} classes."
        return f"{problem}. Its last layer must give one number per class."

    def _written(self, copy: nn.Module, example: Tensor, trial: _Trial) -> Ready | None:
        """The module as our text, if that computes the same."""
        import torch

        classes = trial.predicted.shape[1]
        rewritten = sequential.write(copy, classes)
        if rewritten is None:
            return None
        try:
            module = rewritten.network.module(tuple(example.shape[1:]), classes)
            module.load_state_dict(rewritten.state)
        except (NetworkError, RuntimeError):
            return None
        with torch.no_grad():
            if not _agree(module.eval()(example), trial.predicted):
                return None
        text = str(rewritten.network)
        return Ready(module, rewritten.network, None, text, (f"saved as text, {text}",))

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
                f"{self.kind} cannot be saved: as a program it cannot be run: {_error_line(error)}."
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
        """Raises NetworkError if the state is more than tensors: it could not be saved."""
        for name, value in copy.state_dict().items():
            if not hasattr(value, "dtype"):
                raise NetworkError(
                    f"{self.kind} cannot be saved: {name} in its state_dict is a {type(value).__name__}, and only "
                    "tensors are saved."
                )


class _Trial(NamedTuple):
    """The outputs of a prediction and then of a training step, on a copy, or the error."""

    module: nn.Module
    trained: Any
    predicted: Any
    error: Exception | None


def _try(module: nn.Module, example: Tensor, plain: bool) -> _Trial:
    """Evaluate first: training may change the outputs."""
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
    """Whether a module returns anything for pictures (C, H, W)."""
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
        with torch.no_grad(), suppress(Exception):  # the trial reports the error
            module.eval()(torch.zeros(TRIED, *shape))


def _agree(actual: Tensor, wanted: Tensor) -> bool:
    """Whether two outputs are the same up to rounding."""
    import torch

    if actual.shape != wanted.shape:
        return False
    scale = max(1.0, float(wanted.abs().max()))
    return bool(torch.allclose(actual.float(), wanted.float(), rtol=0, atol=CLOSE * scale, equal_nan=True))


def _copied(module: nn.Module, plain: bool) -> nn.Module:
    """A copy with its weights in the memory order of training."""
    import torch

    copy = deepcopy(module)
    return copy if plain else copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _channels_last(example: Tensor) -> Tensor:
    """In the memory order of pictures from the store, grey ones too."""
    return example.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _error_line(error: Exception) -> str:
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
