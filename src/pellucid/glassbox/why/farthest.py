"""The receptive fields of units, in one pass: every number is the farthest line of the picture that affects it.

A convolution then takes the largest number of each window, an activation function changes nothing, and an addition
takes the larger of two; everything outside the picture (padding, weights) is minus infinity. Four pictures pass: the
number of each row, of each column, and both counted from the other end. The result is exact and equals that of
receptive.py's sweep, for networks of the operators below. Any other operator is Unknown, and needs the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

NOTHING = -torch.inf

Number = int | Sequence[int]


class Unknown(Exception):
    """An operator that is not supported here."""


def pictures(shape: Sequence[int], device: torch.device) -> Tensor:
    """The input of the pass, (4, C, H, W) for an input (1, C, H, W): rows, columns, and rows and columns backward.

    A unit's last row is its number of the first, its first row minus that of the third.
    """
    _, channels, height, width = shape
    rows = torch.arange(height, dtype=torch.float32).view(1, height, 1).expand(channels, height, width)
    columns = torch.arange(width, dtype=torch.float32).view(1, 1, width).expand(channels, height, width)
    return torch.stack([rows, columns, -rows, -columns]).to(device).as_subclass(_Farthest)


def plain(seen: Tensor) -> Tensor:
    """The numbers of the pass as an ordinary tensor. Raises Unknown if they are not from the pass."""
    if not isinstance(seen, _Farthest):
        raise Unknown("a layer whose numbers do not come from the picture")
    return seen.as_subclass(Tensor)


class _Farthest(Tensor):
    """Numbers of the pass. Any other tensor does not come from the picture."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func in _AS_IT_IS and not any(isinstance(each, torch.dtype) for each in args):
                return _marked(func(*args, **kwargs))
            if func in _UNCHANGED and _only_first(args, kwargs):
                return _marked(args[0].clone())
            if func in _JOINING:
                return _marked(_joined(*args, **kwargs))
            if func in _WRITTEN:
                return _marked(_WRITTEN[func](*args, **kwargs))
        raise Unknown(getattr(func, "__name__", str(func)))


def _marked(result: Any) -> Any:
    return result.as_subclass(_Farthest) if isinstance(result, Tensor) else result


def _only_first(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return isinstance(args[0], _Farthest) and not any(isinstance(a, _Farthest) for a in (*args[1:], *kwargs.values()))


def _joined(first: Any, second: Any, **settings: Any) -> Tensor:
    """An operation on two: the farther of the two, or the one that comes from the picture."""
    if settings:
        raise Unknown(", ".join(settings))
    arrays = [each if isinstance(each, Tensor) else torch.tensor(0.0) for each in (first, second)]
    seen = [isinstance(each, _Farthest) for each in (first, second)]
    wide = torch.broadcast_tensors(*(each.as_subclass(Tensor) for each in arrays))
    if all(seen):
        return torch.maximum(*wide)
    return wide[0 if seen[0] else 1].clone()


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    known = [each if isinstance(each, _Farthest) else torch.full_like(each, NOTHING) for each in tensors]
    return torch.cat([each.as_subclass(Tensor) for each in known], dim)


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Number = 1,
    padding: Number | str = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(weight, _Farthest) or isinstance(bias, _Farthest) or isinstance(padding, str) or input.ndim != 4:
        raise Unknown("conv2d")
    count, channels, height, width = input.shape
    whole = input.as_subclass(Tensor).reshape(count, groups, channels // groups, height, width).amax(2)
    seen = _windows(whole, tuple(weight.shape[2:]), stride, padding, dilation)
    return seen.repeat_interleave(len(weight) // groups, dim=1)


def _max_pool2d(
    input: Tensor,
    kernel_size: Number,
    stride: Number | None = None,
    padding: Number = 0,
    dilation: Number = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if ceil_mode or return_indices or input.ndim != 4:
        raise Unknown("max_pool2d")
    return _windows(input.as_subclass(Tensor), kernel_size, stride or kernel_size, padding, dilation)


def _avg_pool2d(
    input: Tensor,
    kernel_size: Number,
    stride: Number | None = None,
    padding: Number = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    if ceil_mode or input.ndim != 4:
        raise Unknown("avg_pool2d")
    return _windows(input.as_subclass(Tensor), kernel_size, stride or kernel_size, padding, 1)


def _windows(seen: Tensor, size: Number, stride: Number, padding: Number, dilation: Number) -> Tensor:
    """The farthest of each window."""
    around = [_of(padding, axis) for axis in (1, 0) for _ in "<>"]
    return F.max_pool2d(F.pad(seen, around, value=NOTHING), size, stride, 0, dilation)  # type: ignore[arg-type]


def _of(number: Number, axis: int) -> int:
    if isinstance(number, int):
        return number
    return number[axis] if len(number) > 1 else number[0]


def _pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    plain = input.as_subclass(Tensor)
    return F.pad(plain, list(pad), value=NOTHING) if mode == "constant" else F.pad(plain, list(pad), mode)


def _batch_norm(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Batch norm with running statistics acts on each number alone. With the picture's own statistics it does not."""
    training = kwargs.get("training", args[4] if len(args) > 4 else False)
    if training or (kwargs.get("running_mean", args[0] if args else None)) is None:
        raise Unknown("batch_norm")
    return input.as_subclass(Tensor).clone()


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return input.as_subclass(Tensor).clone()  # whether a number is dropped depends on that number alone


def _whole(input: Tensor, output_size: Any) -> Tensor:
    sides = [output_size] if isinstance(output_size, int) else output_size
    if any(side != 1 for side in sides):  # None keeps the length of a side
        raise Unknown("adaptive_avg_pool2d")
    return input.as_subclass(Tensor).amax((-2, -1), keepdim=True)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if isinstance(weight, _Farthest) or isinstance(bias, _Farthest):
        raise Unknown("linear")
    whole = input.as_subclass(Tensor).amax(-1, keepdim=True)
    return whole.repeat_interleave(len(weight), dim=-1)


def _layer_norm(input: Tensor, normalized_shape: Sequence[int], *numbers: Any, **named: Any) -> Tensor:
    if any(isinstance(each, _Farthest) for each in (*numbers, *named.values())):
        raise Unknown("layer_norm")
    over = tuple(range(-len(normalized_shape), 0))
    return input.as_subclass(Tensor).amax(over, keepdim=True).expand(input.shape).clone()


def _mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    dims = [dim] if isinstance(dim, int) else dim
    if not dims or any(each % input.ndim == 0 for each in dims):  # it covers the four pictures of the pass
        raise Unknown("mean")
    return input.as_subclass(Tensor).amax(dim, keepdim)


_AS_IT_IS: set[Any] = {
    # operations that only query the tensor, or move numbers
    *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "requires_grad", "is_nested")),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.is_floating_point, torch.is_floating_point),
    *(Tensor.clone, Tensor.contiguous, Tensor.view, Tensor.reshape, torch.reshape, Tensor.flatten, torch.flatten),
    *(Tensor.permute, torch.permute, Tensor.transpose, torch.transpose, Tensor.squeeze, Tensor.unsqueeze),
}
_UNCHANGED: set[Any] = {
    # element-wise operations
    *(F.relu, torch.relu, Tensor.relu, F.relu6, F.hardtanh, F.silu, F.gelu, F.hardswish, F.hardsigmoid, F.elu),
    *(F.leaky_relu, torch.sigmoid, Tensor.sigmoid, F.sigmoid, torch.tanh, Tensor.tanh, F.tanh, F.softplus, F.mish),
}
_JOINING: set[Any] = {
    *(torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, torch.sub, Tensor.sub, Tensor.__sub__, Tensor.__rsub__),
    *(torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.div, Tensor.div, Tensor.__truediv__),
}
_WRITTEN: dict[Any, Callable[..., Tensor]] = {
    F.conv2d: _conv2d,
    torch.cat: _cat,
    F.linear: _linear,
    F.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
    F.avg_pool2d: _avg_pool2d,
    F.pad: _pad,
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    F.dropout: _dropout,
    F.adaptive_avg_pool2d: _whole,
    torch.mean: _mean,
    Tensor.mean: _mean,
}
