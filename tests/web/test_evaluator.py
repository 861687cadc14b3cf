"""The page's evaluator against Python's: every declared op, forward and backward, in a real browser."""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, Terms
from pellucid.glassbox.arithmetic.expression import log, maximum, names
from pellucid.glassbox.arithmetic.ops import (
    attention,
    choosing,
    contractions,
    created,
    extremes,
    filling,
    indexing,
    lengths,
    likelihood,
    losses,
    normalisation,
    optimizers,
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
from pellucid.glassbox.arithmetic.ops import elementwise as e
from pellucid.glassbox.arithmetic.ops import functions as f

PICTURE, ROW, VOLUME, GRID, HEADS = (2, 4, 6, 7), (2, 4, 6), (1, 2, 4, 4, 3), (2, 3, 4), (2, 2, 5, 3)
ADAM = (0.01, 0.9, 0.999, 1e-8, 7)

# every declaration with arguments for its different cases
CASES: dict[Callable[..., Op | None], list[tuple[Any, ...]]] = {
    products.conv: [
        (PICTURE, (6, 4, 3, 3), (6,)),
        (PICTURE, (6, 2, 3, 2), None, (2, 1), (1, 0), (1, 2), 2),
        (PICTURE, (4, 1, 3, 3), (4,), 2, 1, 1, 4),
        (PICTURE, (5, 4, 4, 4), (5,), 1, "same"),
        (PICTURE[1:], (3, 4, 1, 1), (3,)),
        (ROW, (6, 2, 3), (6,), 2, 1, 1, 2),
        (VOLUME, (2, 2, 3, 1, 3), None, 1, "same"),
    ],
    products.conv_transpose: [
        (PICTURE, (4, 3, 3, 2), (6,), 2, 1, 1, 2, 2),
        (PICTURE, (4, 3, 1, 1), (3,)),
        (ROW, (4, 2, 3), None, 2, 1, 1),
        (VOLUME, (2, 2, 2, 1, 2)),
    ],
    products.linear: [((2, 5), (3, 5), (3,)), ((5,), (3, 5)), (GRID, (2, 4), (2,))],
    products.matmul: [((2, 3, 4), (4, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((2, 3, 4), (4,)), ((4,), (4,))],
    attention.scaled_dot_product_attention: [
        (HEADS, HEADS, HEADS),
        (HEADS, HEADS, HEADS, None, 0.0, True, 0.3),
        (HEADS, HEADS, HEADS, (5, 5), 0.0, False, None, False, {"attn_mask": "bool"}),
        (HEADS, HEADS, HEADS, (2, 1, 1, 5)),
        ((1, 4, 5, 3), (1, 2, 5, 3), (1, 2, 5, 3), None, 0.0, False, None, True),
    ],
    contractions.einsum: [
        ("bchw,dc->bdhw", [PICTURE, (3, 4)]),
        ("...ij,...kj", [(2, 3, 4), (2, 5, 4)]),
        ("ii->i", [(4, 4)]),
        ("i,j,k->kji", [(2,), (3,), (4,)]),
    ],
    contractions.bilinear: [((2, 3), (2, 4), (5, 3, 4), (5,))],
    contractions.addbmm: [((3, 4), (2, 3, 5), (2, 5, 4), 0.5, 2)],
    contractions.addmm: [((4,), (3, 5), (5, 4)), ((4,), (3, 5), (5, 4), 0, 2)],
    contractions.addmv: [((3,), (3, 4), (4,))],
    contractions.addr: [((3, 4), (3,), (4,))],
    contractions.baddbmm: [((3, 1), (2, 3, 5), (2, 5, 4))],
    contractions.dot: [((4,), (4,))],
    contractions.inner: [((2, 3, 4), (5, 4))],
    contractions.kron: [((2, 3), (4,))],
    contractions.multi_dot: [([(3,), (3, 4), (4, 2)],)],
    contractions.mv: [((3, 4), (4,))],
    contractions.outer: [((3,), (4,))],
    contractions.tensordot: [((3, 4, 5), (5, 3, 2), [2, 0], [0, 1])],
    contractions.vdot: [((4,), (4,))],
    lengths.vector_norm: [(GRID,), *((GRID, order, 1, True) for order in (0, 1, 3, 1.5, math.inf, -math.inf))],
    lengths.norm: [(GRID, None, [0, 2])],
    lengths.linalg_norm: [(GRID, None, [1, 2]), (GRID, 3, 0)],
    lengths.matrix_norm: [(GRID,)],
    lengths.cosine_similarity: [(GRID, GRID), (GRID, (3, 1))],
    lengths.cdist: [((2, 3, 4), (2, 5, 4)), ((3, 4), (2, 5, 4), 1.0), ((3, 4), (5, 4), 2.5)],
    lengths.pairwise_distance: [(GRID, GRID), (GRID, (4,), 1.0, 1e-6, True)],
    lengths.weight_norm: [(PICTURE, (2, 1, 1, 1)), (PICTURE, (), -1)],
    pooling.max_pool: [(PICTURE, 2), (PICTURE, 3, 2, 1, 1, True), (PICTURE, 2, 1, 0, 2), (ROW, (3,), 2, 1)],
    pooling.avg_pool: [
        (PICTURE, 2),
        (PICTURE, 3, 2, 1, True, False),
        (PICTURE, (3, 2), (), (1, 0), False, True, 5),
        (ROW, (3,), 2, 1),
    ],
    pooling.lp_pool: [(PICTURE, 2, 2), (PICTURE, 2, 2, 1), (PICTURE, 2, 1, 4)],
    pooling.adaptive_avg_pool: [(PICTURE, (4, 3)), (PICTURE, (None, 5)), (ROW, (4,))],
    pooling.adaptive_max_pool: [(PICTURE, (4, 3)), (PICTURE, 4)],
    normalisation.batch_norm: [
        (PICTURE, (4,), (4,), (4,), (4,)),
        (PICTURE, (4,), (4,), None, None, True),
        (PICTURE, None, None, (4,), (4,), True),
        (ROW, None, None, (4,), (4,)),
    ],
    normalisation.standardise: [((1, 3, 4, 5),)],
    normalisation.layer_norm: [(PICTURE, (6, 7), (6, 7), (6, 7)), (GRID, (4,))],
    normalisation.group_norm: [(PICTURE, 2, (4,), (4,)), (PICTURE, 4)],
    normalisation.instance_norm: [(PICTURE, (4,), (4,)), (PICTURE, (4,), (4,), (4,), (4,), False)],
    normalisation.rms_norm: [(PICTURE, (6, 7), (6, 7)), (GRID, (4,), None, 0.1)],
    losses.softmax: [((2, 5),), ((2, 5), -1, 0.7), (GRID, 1)],
    losses.log_softmax: [((2, 5),), (GRID, 0)],
    losses.cross_entropy: [((1, 4), [2]), ((3, 4), [0, 3, 1], 0.1, np.array([1.0, 2, 3, 0.5]))],
    losses.brier: [((1, 4), [2]), ((3, 4), [0, 3, 1])],
    losses.difference: [((1, 4), [2], 1)],
    losses.mse_loss: [((3, 4), (3, 4)), ((3, 4), (3, 4), 2), ((3, 4), (4,), 0)],
    losses.l1_loss: [((3, 4), (3, 4))],
    losses.smooth_l1_loss: [((3, 4), (3, 4), 1, 0.7)],
    losses.huber_loss: [((3, 4), (3, 4), 2, 0.7)],
    losses.kl_div: [((3, 4), (3, 4)), ((3, 4), (3, 4), 2, True)],
    losses.binary_cross_entropy: [((3, 4), (3, 4), (4,))],
    losses.binary_cross_entropy_with_logits: [((3, 4), (3, 4)), ((3, 4), (3, 4), (4,), (3, 1), 2)],
    losses.pointwise: [("error", {"input": (3, 4)}, log(maximum(names("input")[0], 0.3)), 1)],
    likelihood.cross_entropy_loss: [
        ((3, 4), (3,)),
        ((2, 4, 5), (2, 5), (4,), 1, 2, 0.1),
        ((3, 4), (3, 4), (4,), 1, -100, 0.1),
    ],
    likelihood.nll_loss: [
        ((3, 4), (3,)),
        ((3, 4), (3,), (4,)),
        ((2, 4, 5), (2, 5), None, 0, 2),
        ((3, 4), (3,), None, 2),
    ],
    losses.logsumexp: [(GRID, 1), (GRID, [0, 2], True)],
    optimizers.sgd: [(0.1,), (0.1, 0.9), (0.1, 0.9, 0.2, True, 0.01), (0.1, 0.9, 0.0, False, 0.01, True)],
    optimizers.asgd: [(0.01, 1e-4, 0.75, 1e6, 3, 0.009, 1.0, 0.1), (0.01, 1e-4, 0.75, 1, 3, 0.009, 0.5)],
    optimizers.rprop: [(0.5, 1.2, 1e-6, 50.0)],
    optimizers.adam: [ADAM, (*ADAM, 0.05)],
    optimizers.adamw: [ADAM, (*ADAM, 0.05)],
    optimizers.adamax: [ADAM, (*ADAM, 0.05)],
    optimizers.nadam: [(*ADAM[:4], 0.004, 7, 0.3), (*ADAM[:4], 0.004, 1, 1.0, 0.05)],
    optimizers.radam: [ADAM, (*ADAM[:4], 2, 0.05)],
    optimizers.rmsprop: [(0.1, 0.99, 1e-8), (0.1, 0.99, 1e-8, 0.9, 0.01)],
    optimizers.adagrad: [(0.1, 0.01, 1e-10, 4), (0.1, 0.0, 1e-10, 1, 0.05)],
    optimizers.adadelta: [(1.0, 0.9, 1e-6), (1.0, 0.9, 1e-6, 0.05)],
    shaping.copied: [(GRID, (6, 4))],
    shaping.flatten: [(PICTURE, 1), ((), 0)],
    shaping.reshape: [(GRID, (4, 6))],
    shaping.view: [(GRID, (4, 6))],
    shaping.detach: [(GRID,)],
    shaping.dropout: [(GRID, 0.5, False)],
    shaping.permute: [(GRID, [2, 0, 1])],
    shaping.transpose: [(GRID, 0, -1)],
    shaping.concatenate: [([(2, 3, 4), (2, 1, 4)], 1)],
    shaping.slice_of: [(GRID, 2, 1, None, 2), (GRID, 1, -2)],
    shaping.select: [(GRID, 1, -1)],
    shaping.expand: [((3, 1), (2, 3, 4))],
    shaping.movedim: [(GRID, 0, -1), (PICTURE, (0, 1), (-1, 0))],
    shaping.swapaxes: [(GRID, 0, -1)],
    shaping.reversed_axes: [((2, 3),)],
    shaping.stack: [([(2, 3), (2, 3)], 1)],
    shaping.narrow: [(GRID, 1, -2, 2)],
    shaping.unbind: [(GRID, 1, 2)],
    shaping.split: [(GRID, 1, [(2, 1, 4), (2, 2, 4)], 1)],
    shaping.broadcast_tensors: [([(3, 1), (2, 3, 4)], 0, GRID)],
    shaping.meshgrid: [([(3,), (2,)], 1, (3, 2)), ([(3,), (2,)], 0, (2, 3), "xy")],
    padding.pad: [
        (PICTURE, [1, 0, 0, 2]),
        (PICTURE, [-1, 0]),
        (PICTURE, [1, -1, 0, 2], "constant", 0.5),
        (PICTURE, [1, 1], "constant", -np.inf),
        (PICTURE, [1, 2, 3, 1], "reflect"),
        (PICTURE, [1, 2, 3, 1], "circular"),
    ],
    padding.reflection_pad: [(ROW, [2, 1])],
    padding.replication_pad: [(ROW, [2, 1])],
    rearranging.pixel_shuffle: [(PICTURE, 2)],
    rearranging.pixel_unshuffle: [((2, 3, 4, 6), 2)],
    rearranging.channel_shuffle: [(PICTURE, 2)],
    rearranging.unfold: [(PICTURE, -1, 3, 2)],
    rearranging.im2col: [(PICTURE, (3, 2), 1, (1, 0), 2)],
    rearranging.col2im: [((2, 8, 9), (4, 5), 2, 1, 1, 2)],
    rearranging.roll: [(PICTURE, [1, -2], [1, 2]), (GRID, 5)],
    rearranging.flip: [(GRID, [0, -1])],
    rearranging.repeat: [(GRID, [2, 1, 3, 1])],
    rearranging.repeat_each: [(GRID, 3, 1), (GRID, 2)],
    rearranging.tile: [(GRID, [3, 2])],
    rearranging.tril: [(GRID, 1)],
    rearranging.triu: [(GRID, -1)],
    rearranging.diagonal: [(GRID, 1, 1, 2)],
    indexing.index_select: [(GRID, 1, np.array([2, 2, 0]))],
    indexing.index: [
        (PICTURE, [None, np.array([1, 3, 1]), np.array([0, 5, -1])]),
        (PICTURE, [np.array([[1], [0]]), None, np.array([[0, 5, -1]])]),
        (PICTURE, [None, None, np.array([[1, 3], [2, 0]]), np.array([0, 5])]),
    ],
    indexing.gather: [
        (GRID, 1, np.array([[[1, 0, 2], [2, 2, 1]]])),
        (GRID, 1, np.array([[[1] * 4, [2] * 4]] * 2)),
    ],
    indexing.take_along_dim: [(GRID, np.array([[[1]], [[2]]]), 1)],
    indexing.take: [(GRID, np.array([[1, -1], [7, 1]]))],
    indexing.ranked: [(GRID, np.array([[1, 0, 2, 2], [0, 0, 1, 2]]), 0, 1)],
    indexing.repeat_interleave: [(GRID, np.array([1, 0, 2]), 1), (GRID, 2, 1)],
    overwriting.select_scatter: [(GRID, (2, 4), 1, 2)],
    overwriting.slice_scatter: [(GRID, (2, 3, 2), 2, 0, None, 2)],
    overwriting.index_fill: [(GRID, 1, np.array([0, 2]), 0.5)],
    overwriting.index_copy: [(GRID, 1, np.array([2, 0]), (2, 2, 4))],
    overwriting.index_add: [(GRID, 1, np.array([2, 2]), (2, 2, 4), 0.5)],
    overwriting.index_put: [(GRID, [np.array([1]), np.array([2])], (4,)), (GRID, [np.array([1])], (1,), True)],
    overwriting.put: [(GRID, np.array([2, 0, 5]), (3,)), (GRID, np.array([[2], [2]]), (2, 1), True)],
    overwriting.masked_scatter: [(GRID, np.array([True, False, True, False]), (3, 6))],
    overwriting.fill_diagonal: [((3, 3), 0.5), ((4, 3), -1)],
    filling.copy: [(GRID, (3, 1)), (GRID, GRID, {"out": "int64", "src": "float32"})],
    filling.fill: [(GRID, 0.5), (GRID, ()), (GRID, 0.5, {"out": "int64"})],
    filling.overwritten: [(GRID, GRID)],
    overwriting.scatter: [(GRID, 1, np.array([[[0, 2]]]), (2, 2, 2)), (GRID, 1, np.array([[[0, 2]]]), None, 2.5)],
    overwriting.scatter_add: [(GRID, 1, np.array([[[0], [0]]]), (1, 2, 1))],
    choosing.where_of: [(GRID, GRID, (3, 1)), (GRID, 2.5, GRID)],
    choosing.masked_fill: [(GRID, (4,), 0.5), (GRID, (4,), -np.inf)],
    choosing.clamp: [(GRID, -1, 1), (GRID, (4,), (3, 1)), (GRID, None, (3, 1))],
    choosing.clamp_min: [(GRID, 0.1)],
    choosing.clamp_max: [(GRID, 0.1)],
    choosing.sign: [(GRID,)],
    choosing.logical_not: [(GRID,)],
    choosing.bitwise_not: [(GRID, {"out": "bool"})],
    rounding.cast: [(GRID,), (GRID, {"out": "bool"}), (GRID, {"input": "float32", "out": "int64"})],
    **{each: [(GRID,)] for each in (rounding.floor_of, rounding.ceil, rounding.trunc, rounding.round_of)},
    **{each: [(GRID,)] for each in (choosing.isnan, choosing.isinf, choosing.isfinite)},
    **{each: [(GRID,)] for each in (shaping.matrix_transpose, rearranging.fliplr, rearranging.flipud)},
    **{each: [(GRID, 0, [GRID])] for each in (shaping.hsplit, shaping.vsplit, shaping.dsplit)},
    rearranging.rot90: [(GRID, 1, (0, -1)), (GRID, 3), (GRID, 2)],
    rearranging.diag_embed: [(GRID, 1, 0, -1)],
    **{each: [(GRID, (3, 1))] for each in (choosing.maximum_of, choosing.minimum_of, choosing.fmax, choosing.fmin)},
    **{
        each: [(GRID, (3, 1)), (GRID, 0.5)]
        for each in (
            *(choosing.eq, choosing.ne, choosing.gt, choosing.ge, choosing.lt, choosing.le),
            *(choosing.logical_and, choosing.logical_or, choosing.logical_xor),
        )
    },
    **{
        each: [(GRID, (3, 1), {"out": "bool"})]
        for each in (choosing.bitwise_and, choosing.bitwise_or, choosing.bitwise_xor)
    },
    **{each: [(PICTURE, [2, 3]), (GRID,), (GRID, 1, True)] for each in (extremes.amax, extremes.amin)},
    **{each: [(GRID, 1), (GRID,), (GRID, None, False, (4,))] for each in (extremes.max_of, extremes.min_of)},
    **{each: [(GRID, 1), (GRID,)] for each in (extremes.argmax, extremes.argmin, extremes.any_of, extremes.all_of)},
    extremes.aminmax: [(GRID, 0, 1), (GRID, 1, 1)],
    totals.cumsum: [(GRID, 1)],
    totals.var: [(PICTURE, [2, 3]), (GRID, 1, False, 1, True), (GRID, 1, True, 1, False, 1)],
    totals.std: [(PICTURE, [2, 3])],
    created.zeros: [(GRID,)],
    created.ones: [(GRID,)],
    created.full: [(GRID, 0.5), (GRID, -np.inf)],
    created.scalar_tensor: [((), 2.5)],
    created.arange: [((5,), 1, 0.5)],
    created.linspace: [((5,), -1, 2)],
    created.eye: [((3, 4),)],
    resampling.upsample: [
        ("upsample_nearest2d", PICTURE, (2, 4, 9, 4)),
        ("upsample_bilinear2d", PICTURE, (2, 4, 9, 4), False),
        ("upsample_bicubic2d", PICTURE, (2, 4, 18, 9), False, None, None, None, None, None, {"input": "float32"}),
        ("_upsample_bilinear2d_aa", PICTURE, (2, 4, 3, 4), True),
        ("upsample_linear1d", ROW, (2, 4, 11), True),
        ("upsample_trilinear3d", VOLUME, (1, 2, 3, 8, 5), False),
    ],
    shaping.mean: [(PICTURE, (2, 3)), (GRID,), (GRID, -1, True)],
    shaping.total: [(GRID, 1), (GRID, None)],
    e.prelu: [(ROW, (4,)), (ROW, (1,))],
    e.elu: [(GRID, 0.7, 1.1, 0.9)],
    e.gelu: [(GRID,), (GRID, "tanh")],
    e.softplus: [(GRID, 2.0)],
    e.celu: [(GRID, 0.7)],
    e.rrelu: [(GRID,)],
    e.threshold: [(GRID, 0.1, 2.0)],
    e.glu: [(GRID, 2)],
    e.div: [(GRID, (3, 1)), (GRID, 2.5, "floor"), (GRID, 2.5, "trunc")],
    f.power_of: [(GRID, GRID), (GRID, 2.5), (2.0, GRID)],
    f.logit_of: [(GRID, 0.1)],
    f.addcmul_of: [(GRID, GRID, (3, 1), 0.5)],
    f.addcdiv_of: [(GRID, GRID, (3, 1), 0.5)],
    f.lerp_of: [(GRID, GRID, 0.3), (GRID, GRID, (3, 1))],
    **{each: [(GRID, 0.7), (GRID, (3, 1))] for each in (f.fmod_of, f.remainder_of, f.floor_divide_of, f.xlogy_of)},
    **{each: [(GRID, (3, 1))] for each in (f.atan2_of, f.hypot_of, f.logaddexp_of)},
    **{
        each: [(GRID,)]
        for name, each in vars(f).items()
        if name.endswith("_of") and list(inspect.signature(each).parameters) == ["input"]
    },
    e.pow: [(GRID, 2), (GRID, 3), (GRID, 0.5), (GRID, -1.5)],
    e.clamp: [(GRID, -1, 1), (GRID, 0.2), (GRID, None, 0.5)],
    **{each: [(GRID, GRID), (GRID, (3, 1)), (GRID, 2.5)] for each in (e.add, e.sub, e.rsub, e.mul)},
    **{
        each: [(GRID,)]
        for each in (
            *(e.relu, e.leaky_relu, e.selu, e.silu, e.hardswish, e.hardsigmoid, e.hardtanh, e.relu6, e.sigmoid_of),
            *(e.tanh_of, e.mish, e.exp_of, e.log_of, e.sqrt_of, e.abs_of, e.neg, e.reciprocal),
            *(e.hardshrink, e.softshrink, e.log_sigmoid),
        )
    },
}
# arguments of a root or a logarithm
POSITIVE = {e.log_of, e.sqrt_of, e.pow, f.log2_of, f.log10_of, f.log1p_of, f.rsqrt_of, f.power_of, f.xlogy_of}
POSITIVE |= {losses.kl_div}
# between 0 and 1, or above 1
SHARES = {f.asin_of, f.acos_of, f.atanh_of, f.logit_of, losses.binary_cross_entropy}
LARGE = {f.acosh_of}
# against class numbers
CLASSES = {likelihood.nll_loss, likelihood.cross_entropy_loss}
# used by other declarations: their argument is a formula
BUILDERS = {"alone", "joined", "combined", "contraction", "moved"}

JAVASCRIPT = """async (cases) => {
    const { Evaluator } = await import("./arithmetic/evaluator.js");
    const part = ({ formula, columns, values, pick, scale, total, winner }) => ({
        pick, scale, total, winner, values: [...values],
        columns: columns.map(({ name, indices, values, inside }) => ({
            name, values: [...values], inside: [...inside], indices: indices.map((axis) => [...axis]),
        })),
    });
    return cases.map(({ op, arrays, gradient, asked }) => {
        const evaluator = new Evaluator(op, arrays, gradient);
        return asked.map(([name, index]) =>
            (name === "out" ? evaluator.forward(index) : evaluator.backward(name, index)).map(part));
    });
}"""


def drawn(op: Op, declare: Callable[..., Any], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Numbers for every input: positive under a root, whole for classes, 0 or 1 for truth, tied where ties matter."""
    tied = declare.__module__ in (choosing.__name__, extremes.__name__)

    def numbers(name: str) -> np.ndarray:
        shape = op.shapes[name]
        if declare is attention.scaled_dot_product_attention and shape == (5, 5):
            return random.integers(2, size=shape).astype(np.float64)
        if declare in CLASSES and name == "target" and len(shape) < len(op.shapes["input"]):
            return random.integers(4, size=shape).astype(np.float64)
        array = random.standard_normal(shape)
        if declare in SHARES:
            return 1 / (1 + np.exp(-array))
        positive = declare in POSITIVE or "square" in name or name in ("running_var", "deviation")
        array = np.round(array) if tied else array
        return np.abs(array) + (0.1 if positive else 1.1) if positive or declare in LARGE else array

    return {name: numbers(name) for name in op.inputs}


def ops() -> Iterator[tuple[str, Op, Callable[..., Any]]]:
    for declare, cases in CASES.items():
        for arguments in cases:
            op = declare(*arguments)
            assert op is not None, (declare, arguments)
            yield f"{declare.__name__}{arguments}", op, declare


MODULES = (
    *(attention, choosing, contractions, created, e, extremes, f, filling, indexing, lengths, likelihood, losses),
    *(normalisation, optimizers, overwriting, padding, pooling, products, rearranging, resampling, rounding, shaping),
    totals,
)


def test_every_declaration_has_a_case() -> None:
    declared = {
        function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__.startswith(module.__name__) and not name.startswith("_") and name not in BUILDERS
        if "Op" in str(inspect.signature(function).return_annotation)
    }
    assert declared == set(CASES)


def test_the_page_adds_up_what_python_adds_up(modules: Page) -> None:
    random = np.random.default_rng(5)
    cases, expected, titles = [], [], []
    for title, op, declare in ops():
        arrays = drawn(op, declare, random)
        gradient = random.standard_normal(op.shapes[OUT])
        evaluator = Evaluator(op, arrays, gradient)
        requested = [
            (name, [int(random.integers(size)) for size in op.shapes[name]])
            for name in (OUT, *op.inputs)
            for _ in range(2)
        ]
        for name, index in requested:
            result = evaluator.forward(tuple(index)) if name == OUT else evaluator.backward(name, tuple(index))
            expected.append(result)
            titles.append(f"{title}: {name}{index}")
        flat = {name: array.ravel().tolist() for name, array in arrays.items()}
        cases.append({"op": op.as_json(), "arrays": flat, "gradient": gradient.ravel().tolist(), "asked": requested})
    answered = [parts for case in modules.evaluate(JAVASCRIPT, cases) for parts in case]
    for title, parts, terms in zip(titles, answered, expected, strict=True):
        assert len(parts) == len(terms), title
        for part, each in zip(parts, terms, strict=True):
            same(title, part, each)


def test_the_page_limits_an_optimizers_lines_as_python_does(modules: Page) -> None:
    cases, expected = [], []
    for precision, gradient in (("float16", 1e-3), ("float16", 0.01), ("bfloat16", 1e-22), ("float32", 1e-22)):
        op = optimizers.adam(*ADAM[:4], 1, precision=precision)
        arrays = {"weight": 0.5, "gradient": gradient, "mean": 0.0, "mean_square": 0.0}
        evaluator = Evaluator(op, {name: np.array(number) for name, number in arrays.items()})
        expected.append(evaluator.forward(()))
        flat = {name: [number] for name, number in arrays.items()}
        cases.append({"op": op.as_json(), "arrays": flat, "gradient": None, "asked": [[OUT, []]]})
        assert evaluator.value("mean_square_after", ())[0] in (0, 2 * 2.0**-24), "it underflows"
    for (result,), (terms,) in zip(modules.evaluate(JAVASCRIPT, cases), expected, strict=True):
        assert [column["values"] for column in result[0]["columns"]] == [each.values.tolist() for each in terms.columns]
        assert result[0]["total"] == pytest.approx(terms.total, rel=1e-15)


def test_long_tables_travel_as_arrays(modules: Page) -> None:
    """A page replaces the name by the array, and computes the same sums."""
    index = np.random.default_rng(3).integers(0, 5, (5, 4))
    op = indexing.gather((5, 4), 0, index)
    described = op.as_json()
    (stage,) = described["stages"]
    long = stage["maps"]["input"][0][0]["n"]
    stage["maps"]["input"][0][0]["n"] = {"array": "table/0/0"}
    numbers = np.arange(20.0).reshape(5, 4)
    result = modules.evaluate(
        """async ({ op, long, numbers }) => {
            const { Evaluator } = await import("./arithmetic/evaluator.js");
            const { withTables } = await import("./arithmetic/rows.js");
            const data = { "table/0/0": Float64Array.from(long) };
            const filled = await withTables(op, async (array) => ({ data: data[array] }));
            const evaluator = new Evaluator(filled, { input: numbers }, numbers);
            const [{ total }] = evaluator.forward([3, 2]);
            return [total, evaluator.backward("input", [2, 1]).map((part) => part.total)];
        }""",
        {"op": described, "long": long, "numbers": numbers.ravel().tolist()},
    )
    evaluator = Evaluator(op, {"input": numbers}, numbers)
    (terms,) = evaluator.forward((3, 2))
    assert result == [terms.total, [part.total for part in evaluator.backward("input", (2, 1))]]


def same(title: str, part: dict[str, Any], terms: Terms) -> None:
    """The sum, each term and each factor, their places, and the scale of rounding."""
    assert (part["pick"], part["winner"]) == (terms.pick, terms.winner), title
    near(title, [part["total"]], [terms.total], terms.scale)
    near(title, [part["scale"]], [terms.scale], terms.scale)
    near(title, part["values"], terms.values, terms.scale)
    assert [column["name"] for column in part["columns"]] == [column.name for column in terms.columns], title
    for result, column in zip(part["columns"], terms.columns, strict=True):
        assert np.array_equal(np.array(result["indices"]).reshape(column.indices.T.shape), column.indices.T), title
        assert np.array_equal(result["inside"], column.inside), title
        near(title, result["values"], column.values, np.abs(column.values).max(initial=0))


def near(title: str, result: Any, expected: Any, scale: float) -> None:
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12 * scale, err_msg=title)
