"""An optimizer's next step for a parameter, as data: its op, its state, its settings in everyday words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.declaration import Op
from pellucid.glassbox.arithmetic.ops import optimizers
from pellucid.glassbox.arithmetic.tensors import to_numpy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# PyTorch's name of an optimizer's per-weight state -> its name here
REMEMBERED = {
    "momentum_buffer": "momentum",
    "exp_avg": "mean",
    "exp_avg_sq": "mean_square",
    "max_exp_avg_sq": "largest_mean_square",
    "exp_inf": "largest",
    "square_avg": "mean_square",
    "grad_avg": "mean",
    "sum": "sum_of_squares",
    "acc_delta": "mean_square_step",
    "ax": "average",
    "prev": "previous_gradient",
    "step_size": "step_size",
}

# the settings that affect the arithmetic -> their everyday names
SETTINGS = {
    "lr": "learning_rate",
    "lr_decay": "learning_rate_decay",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "dampening": "dampening",
    "betas": "betas",
    "alpha": "alpha",
    "rho": "rho",
    "lambd": "lambd",
    "t0": "t0",
    "etas": "etas",
    "step_sizes": "step_sizes",
    "momentum_decay": "momentum_decay",
    "eps": "epsilon",
    "weight_decay": "weight_decay",
    "decoupled_weight_decay": "decoupled_weight_decay",
    "initial_accumulator_value": "initial_accumulator_value",
    "amsgrad": "amsgrad",
    "centered": "centered",
    "maximize": "maximize",
}

# why the new value of a weight is not a formula of that weight's own numbers. SGD: measured with PyTorch 2.13, where
# steps of up to 4e-3 were off by up to 3.3e-3; in float32 they are right
UNWRITTEN = {
    "Adafactor": "Adafactor keeps means over the rows and columns of a whole array",
    "LBFGS": "LBFGS takes its direction from the gradients of all weights together",
    "Muon": "Muon makes the whole matrix of a step orthogonal",
    "SGD": "PyTorch's fused kernel of SGD in 16 bits on a CPU does not compute SGD's formula",
    "SparseAdam": "SparseAdam changes only the weights whose gradient is stored",
}


def described(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor
) -> tuple[Op | None, dict[str, NDArray[Any]], dict[str, Any]]:
    """(op, state, settings with the number of this step) of the optimizer's next step.

    `group` and `state` are the parameter's before the step; an empty state belongs to the first step. The op is None if
    the optimizer's arithmetic is not supported: `unwritten` says why. The state has arrays of the parameter's shape.
    """
    # None: SGD before its first step
    remembered = {REMEMBERED[k]: to_numpy(v) for k, v in state.items() if k in REMEMBERED and v is not None}
    settings = {words: _plain(group[key]) for key, words in SETTINGS.items() if group.get(key)}
    op = _op(optimizer, group, state, parameter) if _is_pytorchs(optimizer) and parameter.is_floating_point() else None
    if op is not None:
        first = {"sum_of_squares": group.get("initial_accumulator_value", 0.0), "step_size": group["lr"]}
        for name in op.inputs[2:]:
            if name not in remembered:
                remembered[name] = to_numpy(parameter.detach().new_full(parameter.shape, float(first.get(name, 0.0))))
    kind = type(optimizer).__name__
    counted = "step" in state or (op is not None and kind != "SGD")  # SGD counts no steps
    return op, remembered, {**settings, **({"step": int(state.get("step", 0)) + 1} if counted else {})}


def check(optimizer: Any) -> None:
    """Raises TraceError if this is not an optimizer that can make a step."""
    import torch

    if isinstance(optimizer, torch.optim.Optimizer):
        return
    example = "torch.optim.Adam(module.parameters())"
    if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer):
        name = optimizer.__name__
        problem = f"is the class {name}. Create one with the module's parameters: {name}(module.parameters())."
    elif isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        name = type(optimizer).__name__
        problem = f"is a {name}, a learning-rate scheduler. Pass its optimizer: scheduler.optimizer."
    elif isinstance(optimizer, str):
        problem = f"is the text {optimizer!r}. Pass one of PyTorch's optimizers: {example}."
    else:
        problem = f"is a {type(optimizer).__name__}. Pass one of PyTorch's optimizers: {example}."
    raise TraceError(f"The optimizer {problem}")


def unwritten(optimizer: torch.optim.Optimizer) -> str:
    """Why the arithmetic of an optimizer is not supported, as a sentence."""
    kind = type(optimizer).__name__
    reason = UNWRITTEN.get(kind) if _is_pytorchs(optimizer) else f"{kind} is not one of PyTorch's own optimizers"
    return f"{reason or f'The arithmetic of {kind} is not available'}. Only the values are shown."


def _is_pytorchs(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it is PyTorch's: another one may have the same name, and do anything else."""
    return f"{type(optimizer).__module__}.".startswith("torch.optim.")


def _op(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor
) -> Op | None:
    """The declaration with the group's settings, and the state that the whole parameter shares."""
    rate, decay, step = _rate(group), float(group.get("weight_decay", 0.0)), _step(group, state, parameter)
    epsilon = group.get("eps", 0.0)
    beta1, beta2 = map(float, group["betas"]) if "betas" in group else (0.0, 0.0)
    common = {"maximize": bool(group.get("maximize")), "precision": _precision(group, parameter)}
    decoupled = {"decoupled": bool(group.get("decoupled_weight_decay")), **common}
    match type(optimizer).__name__:
        case "SGD" if group.get("fused") and parameter.element_size() == 2 and parameter.device.type == "cpu":
            return None
        case "SGD":
            first = state.get("momentum_buffer") is None
            momentum, dampening = group["momentum"], group["dampening"]
            return optimizers.sgd(rate, momentum, dampening, group["nesterov"], decay, first, **common)
        case "Adam" | "AdamW" as kind:
            make = optimizers.adamw if kind == "AdamW" or group.get("decoupled_weight_decay") else optimizers.adam
            return make(rate, beta1, beta2, epsilon, step, decay, amsgrad=bool(group["amsgrad"]), **common)
        case "Adamax":
            return optimizers.adamax(rate, beta1, beta2, epsilon, step, decay, **common)
        case "NAdam":
            product = state.get("mu_product", _scalar(1.0))
            settings = (rate, beta1, beta2, epsilon, group["momentum_decay"], step, product, decay)
            return optimizers.nadam(*settings, **decoupled)
        case "RAdam":
            return optimizers.radam(rate, beta1, beta2, epsilon, step, decay, **decoupled)
        case "RMSprop":
            settings = (rate, group["alpha"], epsilon, group["momentum"], decay)
            return optimizers.rmsprop(*settings, centered=bool(group["centered"]), **common)
        case "Adagrad":
            return optimizers.adagrad(rate, group["lr_decay"], epsilon, step, decay, **common)
        case "Adadelta":
            return optimizers.adadelta(rate, group["rho"], epsilon, decay, **common)
        case "ASGD":
            eta, mu = state.get("eta", _scalar(float(rate))), state.get("mu", _scalar(1.0))
            settings = (rate, group["lambd"], group["alpha"], group["t0"], step, float(eta), float(mu), decay)
            return optimizers.asgd(*settings, **common)
        case "Rprop":
            return optimizers.rprop(*group["etas"], *group["step_sizes"], **common)
    return None


def _rate(group: Mapping[str, Any]) -> Any:
    """A tensor stays one, because PyTorch's arithmetic with it rounds; fused kernels take its number."""
    rate = group["lr"]
    return rate.detach().squeeze() if hasattr(rate, "detach") and not group.get("fused") else float(rate)


def _step(group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor) -> Any:
    """The number of this step, from 1: a tensor if PyTorch raises to its power on the device."""
    import torch

    count = state.get("step", 0)
    if group.get("fused") or not (group.get("capturable") or group.get("differentiable")):
        return int(count) + 1
    return torch.as_tensor(count, dtype=torch.float32, device=parameter.device) + 1


def _precision(group: Mapping[str, Any], parameter: Tensor) -> str:
    """The dtype of PyTorch's intermediate numbers. A fused kernel computes in 32 bits what it stores in 16."""
    name = _name(parameter)
    return "float32" if group.get("fused") and name in ("float16", "bfloat16") else name


def _scalar(value: float) -> Tensor:
    """A number in PyTorch's form for a whole parameter."""
    import torch

    return torch.tensor(value, dtype=torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32)


def _name(tensor: Tensor) -> str:
    """The name of its dtype: "float32"."""
    return str(tensor.dtype).removeprefix("torch.")


def _plain(setting: Any) -> Any:
    """A rate that is a tensor, as a number."""
    if isinstance(setting, list | tuple):
        return tuple(map(_plain, setting))
    return setting.item() if hasattr(setting, "item") else setting
