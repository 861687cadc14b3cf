"""Which declaration belongs to which of PyTorch's operators (torch.ops.aten)."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.glassbox.declaration import Op, Shape
from pellucid.glassbox.ops import (
    attention,
    choosing,
    contractions,
    created,
    elementwise,
    extremes,
    functions,
    indexing,
    lengths,
    likelihood,
    losses,
    normalisation,
    overwriting,
    padding,
    pooling,
    products,
    rearranging,
    resampling,
    rounding,
    shaping,
    totals,
)

if TYPE_CHECKING:
    from torch._ops import OpOverload

# A declaration takes what the operator takes, arrays as their shapes, by PyTorch's names (see `bound`);
# arguments that it does not name do not matter to the arithmetic. It gives None where its arithmetic is not written for
# these arguments. By these names it may ask for more: `out`, the output's shape; `types` of the arrays, "float32";
# `operator`, PyTorch's name; the run's `device`; of several results `piece`, which one is meant (without it the first),
# and `pieces`, their shapes. An argument of the type Indices comes as its numbers; `result1` is the second result.
DECLARATIONS: Mapping[str, Callable[..., Op | None]] = {
    "conv1d": products.conv,
    "conv2d": products.conv,
    "conv3d": products.conv,
    "conv_transpose1d": products.conv_transpose,
    "conv_transpose2d": products.conv_transpose,
    "conv_transpose3d": products.conv_transpose,
    "linear": products.linear,
    "matmul": products.matmul,
    "mm": products.matmul,
    "bmm": products.matmul,
    "addbmm": contractions.addbmm,
    "addmm": contractions.addmm,
    "addmv": contractions.addmv,
    "addr": contractions.addr,
    "baddbmm": contractions.baddbmm,
    "bilinear": contractions.bilinear,
    "dot": contractions.dot,
    "einsum": contractions.einsum,
    "inner": contractions.inner,
    "kron": contractions.kron,
    "linalg_multi_dot": contractions.multi_dot,
    "mv": contractions.mv,
    "outer": contractions.outer,
    "tensordot": contractions.tensordot,
    "vdot": contractions.vdot,
    "scaled_dot_product_attention": attention.scaled_dot_product_attention,
    "max_pool1d": pooling.max_pool,
    "max_pool2d": pooling.max_pool,
    "max_pool3d": pooling.max_pool,
    "max_pool2d_with_indices": pooling.max_pool,
    "max_pool3d_with_indices": pooling.max_pool,
    "avg_pool1d": pooling.avg_pool,
    "avg_pool2d": pooling.avg_pool,
    "avg_pool3d": pooling.avg_pool,
    "adaptive_avg_pool1d": pooling.adaptive_avg_pool,
    "adaptive_avg_pool2d": pooling.adaptive_avg_pool,
    "adaptive_avg_pool3d": pooling.adaptive_avg_pool,
    "adaptive_max_pool1d": pooling.adaptive_max_pool,
    "adaptive_max_pool2d": pooling.adaptive_max_pool,
    "adaptive_max_pool3d": pooling.adaptive_max_pool,
    "batch_norm": normalisation.batch_norm,
    "layer_norm": normalisation.layer_norm,
    "group_norm": normalisation.group_norm,
    "instance_norm": normalisation.instance_norm,
    "rms_norm": normalisation.rms_norm,
    "_weight_norm": lengths.weight_norm,
    "cdist": lengths.cdist,
    "cosine_similarity": lengths.cosine_similarity,
    "linalg_matrix_norm": lengths.matrix_norm,
    "linalg_norm": lengths.linalg_norm,
    "linalg_vector_norm": lengths.vector_norm,
    "norm": lengths.norm,
    "pairwise_distance": lengths.pairwise_distance,
    "relu": elementwise.relu,
    "leaky_relu": elementwise.leaky_relu,
    "prelu": elementwise.prelu,
    "elu": elementwise.elu,
    "selu": elementwise.selu,
    "celu": elementwise.celu,
    "glu": elementwise.glu,
    "hardshrink": elementwise.hardshrink,
    "log_sigmoid": elementwise.log_sigmoid,
    "rrelu": elementwise.rrelu,
    "softshrink": elementwise.softshrink,
    "threshold": elementwise.threshold,
    "gelu": elementwise.gelu,
    "silu": elementwise.silu,
    "hardswish": elementwise.hardswish,
    "hardsigmoid": elementwise.hardsigmoid,
    "hardtanh": elementwise.hardtanh,
    "relu6": elementwise.relu6,
    "sigmoid": elementwise.sigmoid_of,
    "tanh": elementwise.tanh_of,
    "softplus": elementwise.softplus,
    "mish": elementwise.mish,
    "exp": elementwise.exp_of,
    "log": elementwise.log_of,
    "sqrt": elementwise.sqrt_of,
    "abs": elementwise.abs_of,
    "neg": elementwise.neg,
    "pow": functions.power_of,
    "float_power": functions.power_of,
    "acos": functions.acos_of,
    "acosh": functions.acosh_of,
    "addcdiv": functions.addcdiv_of,
    "addcmul": functions.addcmul_of,
    "asin": functions.asin_of,
    "asinh": functions.asinh_of,
    "atan": functions.atan_of,
    "atan2": functions.atan2_of,
    "atanh": functions.atanh_of,
    "cos": functions.cos_of,
    "cosh": functions.cosh_of,
    "deg2rad": functions.radians_of,
    "erf": functions.erf_of,
    "erfc": functions.erfc_of,
    "exp2": functions.exp2_of,
    "expm1": functions.expm1_of,
    "floor_divide": functions.floor_divide_of,
    "fmod": functions.fmod_of,
    "frac": functions.frac_of,
    "hypot": functions.hypot_of,
    "lerp": functions.lerp_of,
    "log10": functions.log10_of,
    "log1p": functions.log1p_of,
    "log2": functions.log2_of,
    "logaddexp": functions.logaddexp_of,
    "logit": functions.logit_of,
    "positive": functions.positive_of,
    "rad2deg": functions.degrees_of,
    "remainder": functions.remainder_of,
    "rsqrt": functions.rsqrt_of,
    "sin": functions.sin_of,
    "sinc": functions.sinc_of,
    "sinh": functions.sinh_of,
    "square": functions.square_of,
    "tan": functions.tan_of,
    "xlogy": functions.xlogy_of,
    "add": elementwise.add,
    "sub": elementwise.sub,
    "rsub": elementwise.rsub,
    "reciprocal": elementwise.reciprocal,
    "mul": elementwise.mul,
    "div": elementwise.div,
    "true_divide": elementwise.div,
    "multiply": elementwise.mul,
    "divide": elementwise.div,
    "subtract": elementwise.sub,
    "flatten": shaping.flatten,
    "view": shaping.view,
    "reshape": shaping.reshape,
    "unflatten": shaping.reshape,
    "view_as": shaping.reshape,
    "reshape_as": shaping.reshape,
    "_unsafe_view": shaping.reshape,
    "ravel": shaping.reshape,
    "atleast_1d": shaping.reshape,
    "atleast_2d": shaping.reshape,
    "atleast_3d": shaping.reshape,
    "unsqueeze": shaping.reshape,
    "squeeze": shaping.reshape,
    "contiguous": shaping.reshape,
    "clone": shaping.reshape,
    "alias": shaping.reshape,
    "detach": shaping.detach,
    "lift_fresh_copy": shaping.reshape,
    "lp_pool2d": pooling.lp_pool,
    "dropout": shaping.dropout,
    "feature_dropout": shaping.dropout,
    "permute": shaping.permute,
    "transpose": shaping.transpose,
    "swapdims": shaping.transpose,
    "swapaxes": shaping.swapaxes,
    "movedim": shaping.movedim,
    "moveaxis": shaping.movedim,
    "t": shaping.reversed_axes,
    "numpy_T": shaping.reversed_axes,
    "mT": shaping.matrix_transpose,
    "mH": shaping.matrix_transpose,
    "adjoint": shaping.matrix_transpose,
    "cat": shaping.concatenate,
    "concat": shaping.concatenate,
    "concatenate": shaping.concatenate,
    "stack": shaping.stack,
    "slice": shaping.slice_of,
    "narrow": shaping.narrow,
    "select": shaping.select,
    "unbind": shaping.unbind,
    "chunk": shaping.split,
    "split": shaping.split,
    "split_with_sizes": shaping.split,
    "tensor_split": shaping.split,
    "hsplit": shaping.hsplit,
    "vsplit": shaping.vsplit,
    "dsplit": shaping.dsplit,
    "unsafe_chunk": shaping.split,
    "unsafe_split": shaping.split,
    "expand": shaping.expand,
    "expand_as": shaping.expand,
    "broadcast_to": shaping.expand,
    "broadcast_tensors": shaping.broadcast_tensors,
    "meshgrid": shaping.meshgrid,
    "pad": padding.pad,
    "constant_pad_nd": padding.pad,
    "reflection_pad1d": padding.reflection_pad,
    "reflection_pad2d": padding.reflection_pad,
    "reflection_pad3d": padding.reflection_pad,
    "replication_pad1d": padding.replication_pad,
    "replication_pad2d": padding.replication_pad,
    "replication_pad3d": padding.replication_pad,
    "pixel_shuffle": rearranging.pixel_shuffle,
    "pixel_unshuffle": rearranging.pixel_unshuffle,
    "channel_shuffle": rearranging.channel_shuffle,
    "unfold": rearranging.unfold,
    "im2col": rearranging.im2col,
    "col2im": rearranging.col2im,
    "roll": rearranging.roll,
    "flip": rearranging.flip,
    "fliplr": rearranging.fliplr,
    "flipud": rearranging.flipud,
    "rot90": rearranging.rot90,
    "repeat": rearranging.repeat,
    "tile": rearranging.tile,
    "tril": rearranging.tril,
    "triu": rearranging.triu,
    "diagonal": rearranging.diagonal,
    "diag_embed": rearranging.diag_embed,
    "repeat_interleave": indexing.repeat_interleave,
    "index": indexing.index,
    "index_select": indexing.index_select,
    "gather": indexing.gather,
    "take_along_dim": indexing.take_along_dim,
    "take": indexing.take,
    "topk": indexing.ranked,
    "sort": indexing.ranked,
    "kthvalue": indexing.ranked,
    "median": indexing.ranked,
    "cummax": indexing.ranked,
    "cummin": indexing.ranked,
    "select_scatter": overwriting.select_scatter,
    "slice_scatter": overwriting.slice_scatter,
    "index_fill": overwriting.index_fill,
    "index_copy": overwriting.index_copy,
    "index_add": overwriting.index_add,
    "index_put": overwriting.index_put,
    "scatter": overwriting.scatter,
    "scatter_add": overwriting.scatter_add,
    "upsample_nearest1d": resampling.upsample,
    "upsample_nearest2d": resampling.upsample,
    "upsample_nearest3d": resampling.upsample,
    "_upsample_nearest_exact1d": resampling.upsample,
    "_upsample_nearest_exact2d": resampling.upsample,
    "_upsample_nearest_exact3d": resampling.upsample,
    "upsample_linear1d": resampling.upsample,
    "upsample_bilinear2d": resampling.upsample,
    "upsample_trilinear3d": resampling.upsample,
    "upsample_bicubic2d": resampling.upsample,
    "_upsample_bilinear2d_aa": resampling.upsample,
    "_upsample_bicubic2d_aa": resampling.upsample,
    "where": choosing.where_of,
    "masked_fill": choosing.masked_fill,
    "maximum": choosing.maximum_of,
    "minimum": choosing.minimum_of,
    "fmax": choosing.fmax,
    "fmin": choosing.fmin,
    "clamp": choosing.clamp,
    "clip": choosing.clamp,
    "clamp_min": choosing.clamp_min,
    "clamp_max": choosing.clamp_max,
    "sign": choosing.sign,
    "sgn": choosing.sign,
    "eq": choosing.eq,
    "ne": choosing.ne,
    "gt": choosing.gt,
    "ge": choosing.ge,
    "lt": choosing.lt,
    "le": choosing.le,
    "logical_and": choosing.logical_and,
    "logical_or": choosing.logical_or,
    "logical_xor": choosing.logical_xor,
    "logical_not": choosing.logical_not,
    "bitwise_and": choosing.bitwise_and,
    "__and__": choosing.bitwise_and,
    "bitwise_or": choosing.bitwise_or,
    "__or__": choosing.bitwise_or,
    "bitwise_xor": choosing.bitwise_xor,
    "__xor__": choosing.bitwise_xor,
    "bitwise_not": choosing.bitwise_not,
    "isnan": choosing.isnan,
    "isinf": choosing.isinf,
    "isfinite": choosing.isfinite,
    "floor": rounding.floor_of,
    "ceil": rounding.ceil,
    "trunc": rounding.trunc,
    "fix": rounding.trunc,
    "round": rounding.round_of,
    "to": rounding.cast,
    "type_as": rounding.cast,
    "_to_copy": rounding.cast,
    "amax": extremes.amax,
    "amin": extremes.amin,
    "aminmax": extremes.aminmax,
    "max": extremes.max_of,
    "min": extremes.min_of,
    "argmax": extremes.argmax,
    "argmin": extremes.argmin,
    "any": extremes.any_of,
    "all": extremes.all_of,
    "mean": shaping.mean,
    "sum": shaping.total,
    "cumsum": totals.cumsum,
    "var": totals.var,
    "std": totals.std,
    "var_mean": totals.var,
    "std_mean": totals.std,
    "zeros": created.zeros,
    "zeros_like": created.zeros,
    "new_zeros": created.zeros,
    "ones": created.ones,
    "ones_like": created.ones,
    "new_ones": created.ones,
    "full": created.full,
    "full_like": created.full,
    "new_full": created.full,
    "scalar_tensor": created.scalar_tensor,
    "arange": created.arange,
    "eye": created.eye,
    "softmax": losses.softmax,
    "log_softmax": losses.log_softmax,
    "mse_loss": losses.mse_loss,
    "binary_cross_entropy": losses.binary_cross_entropy,
    "binary_cross_entropy_with_logits": losses.binary_cross_entropy_with_logits,
    "huber_loss": losses.huber_loss,
    "kl_div": losses.kl_div,
    "l1_loss": losses.l1_loss,
    "logsumexp": losses.logsumexp,
    "cross_entropy_loss": likelihood.cross_entropy_loss,
    "nll_loss": likelihood.nll_loss,
    "nll_loss_nd": likelihood.nll_loss,
    "smooth_l1_loss": losses.smooth_l1_loss,
}


def name_of(target: OpOverload) -> str:
    """`conv2d` of aten.conv2d.default; of an operator that changes its input in place, the one that does not."""
    name = target._schema.name.split("::")[-1]
    return name if name.endswith("__") else name.removesuffix("_")  # __and__ is what & becomes


def bound(target: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The call's arguments by name, defaults filled in, `self` called `input` and `mat2` called `other`."""
    schema = target._schema.arguments
    given = {argument.name: value for argument, value in zip(schema, args, strict=False)} | dict(kwargs)
    values = {a.name: given.get(a.name, a.default_value if a.has_default_value() else None) for a in schema}
    return {{"self": "input", "mat2": "other"}.get(name, name): value for name, value in values.items()}


def declare(name: str, arguments: Mapping[str, Any], out: Shape, arrays: Mapping[str, Any] | None = None) -> Op | None:
    """The declaration of a call whose tensors have been replaced by shapes; None where it is not written.

    It is None too where an argument has a meaning that the declaration does not know (rounding, another reduction).
    `arrays`: the same arguments with their tensors, and the result as "out"; without them an op that depends on the
    numbers of an array, or on its type, is not written.
    """
    function = DECLARATIONS.get(name)
    if function is None:
        return None
    arrays = arrays or {}
    types = {local: str(each.dtype).removeprefix("torch.") for local, each in arrays.items() if hasattr(each, "dtype")}
    known = inspect.signature(function).parameters
    more = {**arrays, **arguments, "out": out, "types": types, "operator": name}
    if "out" in arrays:
        more["device"] = str(arrays["out"].device)
    usable = {key: more[key] for key in known if more.get(key) is not None}
    numbers = [key for key in usable if "Indices" in str(known[key].annotation) and not isinstance(usable[key], int)]
    if arguments.get("piece") and "piece" not in known:
        return None  # what stands behind the first result is not what the declaration makes
    try:
        op = function(**{**usable, **{key: _numbers(arrays[key]) for key in numbers}})
    except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError):
        return None  # an argument of a kind that the declaration does not take
    if op is None or op.shapes["out"] != out or (types.get("out") == "bool" and not _of_truths(op)):
        return None
    return op


def _numbers(value: Any) -> Any:
    """Tensors as arrays, also in lists; None and whole numbers as they are."""
    if isinstance(value, list | tuple):
        return [_numbers(each) for each in value]
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _of_truths(op: Op) -> bool:
    """Whether arrays of 1 and 0 become one of 1 and 0; true + true is true in PyTorch, and 2 here."""
    for stage in op.stages:
        names = list(stage.term.names())
        for corner in itertools.product((0.0, 1.0), repeat=len(names)):
            values = {name: np.asarray(value) for name, value in zip(names, corner, strict=True)}
            if stage.term.evaluate(values) not in (0, 1):
                return False
        if stage.pick == "sum" and prod(stage.ranges.values()) > prod(op.shapes[stage.out]):
            return False
    return True
