"""Which declaration belongs to which of PyTorch's operators (torch.ops.aten)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pellucid.glassbox.declaration import Op, Shape
from pellucid.glassbox.ops import (
    attention,
    contractions,
    elementwise,
    functions,
    lengths,
    likelihood,
    losses,
    normalisation,
    pooling,
    products,
    shaping,
)

if TYPE_CHECKING:
    from torch._ops import OpOverload

# A declaration takes what the operator takes, arrays as their shapes, by PyTorch's names (see `bound`);
# arguments that it does not name do not matter to the arithmetic. `out`, where it asks for it, is the output's shape.
# It gives None where its arithmetic is not written for these arguments.
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
    "std": normalisation.std,
    "var": normalisation.var,
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
    "ceil": functions.ceil_of,
    "cos": functions.cos_of,
    "cosh": functions.cosh_of,
    "deg2rad": functions.radians_of,
    "erf": functions.erf_of,
    "erfc": functions.erfc_of,
    "exp2": functions.exp2_of,
    "expm1": functions.expm1_of,
    "floor": functions.floor_of,
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
    "round": functions.round_of,
    "rsqrt": functions.rsqrt_of,
    "sign": functions.sign_of,
    "sin": functions.sin_of,
    "sinc": functions.sinc_of,
    "sinh": functions.sinh_of,
    "square": functions.square_of,
    "tan": functions.tan_of,
    "trunc": functions.trunc_of,
    "xlogy": functions.xlogy_of,
    "clamp": elementwise.clamp,
    "clamp_max": elementwise.clamp_max,
    "clamp_min": elementwise.clamp_min,
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
    "cat": shaping.concatenate,
    "slice": shaping.slice_of,
    "select": shaping.select,
    "expand": shaping.expand,
    "pad": shaping.pad,
    "mean": shaping.mean,
    "sum": shaping.total,
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
    return target._schema.name.split("::")[-1].removesuffix("_")


def bound(target: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The call's arguments by name, defaults filled in, `self` called `input` and `mat2` called `other`."""
    schema = target._schema.arguments
    given = {argument.name: value for argument, value in zip(schema, args, strict=False)} | dict(kwargs)
    values = {a.name: given.get(a.name, a.default_value if a.has_default_value() else None) for a in schema}
    return {{"self": "input", "mat2": "other"}.get(name, name): value for name, value in values.items()}


def declare(name: str, arguments: Mapping[str, Any], out: Shape) -> Op | None:
    """The declaration of a call whose tensors have been replaced by shapes; None where it is not written.

    It is None too where an argument has a meaning that the declaration does not know (rounding, another reduction).
    """
    function = DECLARATIONS.get(name)
    if function is None:
        return None
    known = inspect.signature(function).parameters
    usable = {key: value for key, value in arguments.items() if key in known and value is not None}
    try:
        op = function(**usable, **({"out": out} if "out" in known else {}))
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None  # an argument of a kind that the declaration does not take
    return op if op is not None and op.shapes["out"] == out else None
