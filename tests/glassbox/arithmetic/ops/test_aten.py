"""Every operator with a declaration, as torch.export produces it: declared, and in agreement with PyTorch."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator
from pellucid.glassbox.arithmetic.ops import aten
from pellucid.glassbox.trace import changes

PICTURE, ROW, VOLUME = (2, 4, 6, 6), (2, 4, 6), (2, 4, 4, 4, 4)

# operator -> the code that produces it, the shapes of its arrays
CALLS: dict[str, tuple[Callable, tuple]] = {
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, 2, 1, 1, 2), (ROW, (6, 2, 3), (6,))),
    "conv2d": (lambda x, w: F.conv2d(x, w, None, (2, 1), "valid", (1, 2)), (PICTURE, (3, 4, 3, 2))),
    "conv3d": (lambda x, w: F.conv3d(x, w, padding="same"), (VOLUME, (2, 4, 3, 1, 3))),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, None, 2, 1, 1), (ROW, (4, 2, 3))),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, 2, 2),
        (PICTURE, (4, 3, 3, 2), (6,)),
    ),
    "conv_transpose3d": (lambda x, w: F.conv_transpose3d(x, w), (VOLUME, (4, 2, 2, 1, 2))),
    "linear": (F.linear, ((2, 5), (3, 5), (3,))),
    "matmul": (torch.matmul, ((2, 3, 4), (4, 2))),
    "mm": (torch.mm, ((3, 4), (4, 2))),
    "bmm": (torch.bmm, ((2, 3, 4), (2, 4, 2))),
    "addbmm": (lambda a, b, c: torch.addbmm(a, b, c, beta=0.5, alpha=2), ((3, 4), (2, 3, 5), (2, 5, 4))),
    "addmm": (lambda a, b, c: torch.addmm(a, b, c, beta=0.5, alpha=2), ((4,), (3, 5), (5, 4))),
    "addmv": (lambda a, b, c: torch.addmv(a, b, c, beta=0.5, alpha=2), ((3,), (3, 4), (4,))),
    "addr": (lambda a, b, c: torch.addr(a, b, c, beta=0.5, alpha=2), ((3, 4), (3,), (4,))),
    "baddbmm": (lambda a, b, c: torch.baddbmm(a, b, c, beta=0.5, alpha=2), ((3, 4), (2, 3, 5), (2, 5, 4))),
    "bilinear": (F.bilinear, ((2, 3), (2, 4), (5, 3, 4), (5,))),
    "dot": (torch.dot, ((4,), (4,))),
    "einsum": (lambda x, y: torch.einsum("bchw,dc->bdhw", x, y), (PICTURE, (3, 4))),
    "inner": (torch.inner, ((2, 3, 4), (5, 4))),
    "kron": (torch.kron, ((2, 3), (3, 2))),
    "linalg_multi_dot": (lambda a, b, c: torch.linalg.multi_dot([a, b, c]), ((2, 3), (3, 4), (4, 2))),
    "mv": (torch.mv, ((3, 4), (4,))),
    "outer": (torch.outer, ((3,), (4,))),
    "tensordot": (lambda a, b: torch.tensordot(a, b, ([2, 0], [0, 1])), ((3, 4, 5), (5, 3, 2))),
    "vdot": (torch.vdot, ((4,), (4,))),
    "scaled_dot_product_attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.7),
        ((2, 2, 5, 4), (2, 2, 5, 4), (2, 2, 5, 3)),
    ),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1), (ROW,)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1, 1, True), (PICTURE,)),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), (VOLUME,)),
    "max_pool2d_with_indices": (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], (PICTURE,)),
    "max_pool3d_with_indices": (lambda x: F.max_pool3d(x, 2, return_indices=True)[0], (VOLUME,)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), (ROW,)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (3, 2), None, (1, 0), divisor_override=5), (PICTURE,)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2, 1), (VOLUME,)),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 4), (ROW,)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (None, 4)), (PICTURE,)),
    "adaptive_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, (2, 1, 3)), (VOLUME,)),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 4), (ROW,)),
    "adaptive_max_pool3d": (lambda x: F.adaptive_max_pool3d(x, (2, 1, 3)), (VOLUME,)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 4)[0], (PICTURE,)),
    "lp_pool2d": (lambda x: F.lp_pool2d(x, 2, 2), (PICTURE,)),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (PICTURE, (4,), (4,))),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6, 6), w, b), (PICTURE, (6, 6), (6, 6))),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), (PICTURE, (4,), (4,))),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, None, None, w, b), (PICTURE, (4,), (4,))),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6, 6), w), (PICTURE, (6, 6))),
    "_weight_norm": (lambda v, g: torch._weight_norm(v, g, 0), (PICTURE, (2, 1, 1, 1))),
    "cdist": (torch.cdist, ((2, 3, 4), (2, 5, 4))),
    "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y, 1), (PICTURE, PICTURE)),
    "linalg_matrix_norm": (torch.linalg.matrix_norm, (PICTURE,)),
    "linalg_norm": (lambda x: torch.linalg.norm(x, dim=(2, 3)), (PICTURE,)),
    "linalg_vector_norm": (lambda x: torch.linalg.vector_norm(x, 3, (1, 2), keepdim=True), (PICTURE,)),
    "norm": (lambda x: torch.ops.aten.norm.ScalarOpt_dim(x, 2.5, [1], True), (PICTURE,)),
    "pairwise_distance": (F.pairwise_distance, (ROW, ROW)),
    "relu": (F.relu, (ROW,)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), (ROW,)),
    "prelu": (F.prelu, (ROW, (4,))),
    "elu": (lambda x: F.elu(x, 0.7), (ROW,)),
    "selu": (F.selu, (ROW,)),
    "celu": (lambda x: F.celu(x, 0.7), (ROW,)),
    "glu": (lambda x: F.glu(x, 1), (ROW,)),
    "hardshrink": (F.hardshrink, (ROW,)),
    "log_sigmoid": (F.logsigmoid, (ROW,)),
    "rrelu": (F.rrelu, (ROW,)),
    "softshrink": (F.softshrink, (ROW,)),
    "threshold": (lambda x: F.threshold(x, 0.1, 2.0), (ROW,)),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), (ROW,)),
    "silu": (F.silu, (ROW,)),
    "hardswish": (F.hardswish, (ROW,)),
    "hardsigmoid": (F.hardsigmoid, (ROW,)),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 0.7), (ROW,)),
    "relu6": (F.relu6, (ROW,)),
    "sigmoid": (torch.sigmoid, (ROW,)),
    "tanh": (torch.tanh, (ROW,)),
    "softplus": (lambda x: F.softplus(x, 2, 0.5), (ROW,)),
    "mish": (F.mish, (ROW,)),
    "exp": (torch.exp, (ROW,)),
    "log": (lambda x: torch.exp(x).log(), (ROW,)),
    "sqrt": (lambda x: torch.exp(x).sqrt(), (ROW,)),
    "abs": (torch.abs, (ROW,)),
    "neg": (lambda x: -x, (ROW,)),
    "pow": (lambda x: x**3, (ROW,)),
    "asinh": (torch.asinh, (ROW,)),
    "atan": (torch.atan, (ROW,)),
    "cos": (torch.cos, (ROW,)),
    "cosh": (torch.cosh, (ROW,)),
    "deg2rad": (torch.deg2rad, (ROW,)),
    "erf": (torch.erf, (ROW,)),
    "erfc": (torch.erfc, (ROW,)),
    "exp2": (torch.exp2, (ROW,)),
    "expm1": (torch.expm1, (ROW,)),
    "frac": (torch.frac, (ROW,)),
    "positive": (torch.positive, (ROW,)),
    "rad2deg": (torch.rad2deg, (ROW,)),
    "sin": (torch.sin, (ROW,)),
    "sinc": (torch.sinc, (ROW,)),
    "sinh": (torch.sinh, (ROW,)),
    "square": (torch.square, (ROW,)),
    "tan": (torch.tan, (ROW,)),
    "acos": (lambda x: torch.acos(torch.tanh(x)), (ROW,)),
    "asin": (lambda x: torch.asin(torch.tanh(x)), (ROW,)),
    "atanh": (lambda x: torch.atanh(torch.tanh(x)), (ROW,)),
    "acosh": (lambda x: torch.acosh(torch.exp(x) + 1), (ROW,)),
    "log10": (lambda x: torch.log10(torch.exp(x)), (ROW,)),
    "log1p": (lambda x: torch.log1p(torch.exp(x)), (ROW,)),
    "log2": (lambda x: torch.log2(torch.exp(x)), (ROW,)),
    "rsqrt": (lambda x: torch.rsqrt(torch.exp(x)), (ROW,)),
    "atan2": (torch.atan2, (ROW, (4, 1))),
    "hypot": (torch.hypot, (ROW, (4, 1))),
    "logaddexp": (torch.logaddexp, (ROW, (4, 1))),
    "addcdiv": (lambda x, y, z: torch.addcdiv(x, y, torch.exp(z), value=0.5), (ROW, (6,), (4, 1))),
    "addcmul": (lambda x, y, z: torch.addcmul(x, y, z, value=0.5), (ROW, (6,), (4, 1))),
    "float_power": (lambda x: torch.float_power(torch.exp(x), 1.5), (ROW,)),
    "floor_divide": (lambda x: x.detach() // 0.7, (ROW,)),
    "fmod": (lambda x: torch.fmod(x, 0.7), (ROW,)),
    "remainder": (lambda x: x % 0.7, (ROW,)),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3), (ROW, (4, 1))),
    "logit": (lambda x: torch.logit(torch.sigmoid(x), 0.1), (ROW,)),
    "xlogy": (lambda x, y: torch.xlogy(x, torch.exp(y)), (ROW, (4, 1))),
    "true_divide": (lambda x: torch.true_divide(x, 3), (ROW,)),
    "multiply": (torch.multiply, (ROW, ROW)),
    "divide": (lambda x: torch.divide(x, 3, rounding_mode="trunc"), (ROW,)),
    "subtract": (torch.subtract, (ROW, ROW)),
    "clamp": (lambda x: x.clamp(min=0.1), (ROW,)),
    "add": (lambda x, y: torch.add(x, y, alpha=2), (ROW, (4, 1))),
    "sub": (lambda x, y: x - y, (ROW, (6,))),
    "rsub": (lambda x: 1 - x, (ROW,)),
    "reciprocal": (lambda x: 1 / torch.exp(x), (ROW,)),
    "mul": (lambda x, y: x * y, (ROW, (2, 1, 1))),
    "div": (lambda x, y: x / torch.exp(y), (ROW, ROW)),
    "flatten": (lambda x: x.flatten(1), (PICTURE,)),
    "view": (lambda x: x.view(2, -1), (PICTURE,)),
    "reshape": (lambda x: x.reshape(4, -1), (PICTURE,)),
    "unsqueeze": (lambda x: x.unsqueeze(1), (ROW,)),
    "squeeze": (lambda x: x.squeeze(1), ((2, 1, 3),)),
    "contiguous": (lambda x: torch.ops.aten.contiguous(x), (ROW,)),
    "clone": (torch.clone, (ROW,)),
    "alias": (lambda x: torch.ops.aten.alias(x), (ROW,)),
    "detach": (torch.detach, (ROW,)),
    "lift_fresh_copy": (lambda x: x * torch.tensor(2.0, dtype=torch.float64), (ROW,)),
    "dropout": (lambda x: F.dropout(x, 0.5, False), (ROW,)),
    "feature_dropout": (lambda x: F.dropout2d(x, 0.5, False), (PICTURE,)),
    "permute": (lambda x: x.permute(0, 2, 3, 1), (PICTURE,)),
    "transpose": (lambda x: x.transpose(1, -1), (PICTURE,)),
    "cat": (lambda x, y: torch.cat([x, y], 1), (ROW, (2, 3, 6))),
    "slice": (lambda x: x[:, 1::2], (PICTURE,)),
    "select": (lambda x: x[:, -1], (PICTURE,)),
    "expand": (lambda x: x.expand(5, 2, -1, 3), ((2, 4, 1),)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), (PICTURE,)),
    "mean": (lambda x: x.mean((2, 3)), (PICTURE,)),
    "sum": (lambda x: x.sum(1, True), (PICTURE,)),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), (PICTURE,)),
    "atleast_1d": (lambda x: torch.atleast_1d(x.sum()), (ROW,)),
    "atleast_2d": (lambda x: torch.atleast_2d(x), ((3,),)),
    "atleast_3d": (lambda x: torch.atleast_3d(x), ((3, 2),)),
    "view_as": (lambda x, y: x.view_as(y), (ROW, (2, 24))),
    "reshape_as": (lambda x, y: x.reshape_as(y), (ROW, (2, 24))),
    "_unsafe_view": (lambda x: torch.ops.aten._unsafe_view(x, [4, 12]), (ROW,)),
    "ravel": (torch.ravel, (ROW,)),
    "swapdims": (lambda x: x.swapdims(0, -1), (ROW,)),
    "swapaxes": (lambda x: x.swapaxes(0, -1), (ROW,)),
    "movedim": (lambda x: x.movedim((0, 1), (-1, 0)), (PICTURE,)),
    "moveaxis": (lambda x: x.moveaxis(1, -1), (PICTURE,)),
    "t": (lambda x: x.t(), ((2, 3),)),
    "mT": (lambda x: x.mT, (PICTURE,)),
    "mH": (lambda x: x.mH, (PICTURE,)),
    "adjoint": (lambda x: x.adjoint(), (PICTURE,)),
    "matrix_H": (lambda x: x.H, ((2, 3),)),
    "numpy_T": (lambda x: x.T, ((2, 3),)),
    "concat": (lambda x, y: torch.concat([x, y], 1), (ROW, (2, 3, 6))),
    "concatenate": (lambda x, y: torch.concatenate([x, y], 1), (ROW, (2, 3, 6))),
    "stack": (lambda x, y: torch.stack([x, y], -1), (ROW, ROW)),
    "narrow": (lambda x: x.narrow(1, 1, 2), (PICTURE,)),
    "unbind": (lambda x: x.unbind(1)[0], (PICTURE,)),
    "chunk": (lambda x: x.chunk(3, 1)[0], (PICTURE,)),
    "split": (lambda x: x.split(3, -1)[0], (PICTURE,)),
    "split_with_sizes": (lambda x: x.split([1, 3], 1)[0], (PICTURE,)),
    "tensor_split": (lambda x: x.tensor_split(4, -1)[0], (PICTURE,)),
    "hsplit": (lambda x: x.hsplit(2)[0], (PICTURE,)),
    "vsplit": (lambda x: x.vsplit(2)[0], (PICTURE,)),
    "dsplit": (lambda x: x.dsplit(3)[0], (PICTURE,)),
    "unsafe_chunk": (lambda x: torch.unsafe_chunk(x, 2, 1)[0], (PICTURE,)),
    "unsafe_split": (lambda x: torch.unsafe_split(x, 3, 1)[0], (PICTURE,)),
    "expand_as": (lambda x, y: x.expand_as(y), ((4, 1), ROW)),
    "broadcast_to": (lambda x: x.broadcast_to(2, 4, 6), ((4, 1),)),
    "broadcast_tensors": (lambda x, y: torch.broadcast_tensors(x, y)[0], ((4, 1), ROW)),
    "meshgrid": (lambda x, y: torch.meshgrid(x, y, indexing="xy")[0], ((3,), (2,))),
    "constant_pad_nd": (lambda x: torch.constant_pad_nd(x, (1, 2, -1, 1), 0.5), (PICTURE,)),
    "reflection_pad1d": (lambda x: torch.ops.aten.reflection_pad1d(x, [2, 1]), (ROW,)),
    "reflection_pad2d": (lambda x: torch.ops.aten.reflection_pad2d(x, [2, 1, 0, 3]), (PICTURE,)),
    "reflection_pad3d": (lambda x: torch.ops.aten.reflection_pad3d(x, [2, 1, 0, 3, 1, 1]), (VOLUME,)),
    "replication_pad1d": (lambda x: torch.ops.aten.replication_pad1d(x, [2, 1]), (ROW,)),
    "replication_pad2d": (lambda x: torch.ops.aten.replication_pad2d(x, [2, 1, 0, 3]), (PICTURE,)),
    "replication_pad3d": (lambda x: torch.ops.aten.replication_pad3d(x, [2, 1, 0, 3, 1, 1]), (VOLUME,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (PICTURE,)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 3), (PICTURE,)),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), (PICTURE,)),
    "unfold": (lambda x: x.unfold(-1, 3, 2), (PICTURE,)),
    "im2col": (lambda x: F.unfold(x, (3, 2), 1, (1, 0), 2), (PICTURE,)),
    "col2im": (lambda x: F.fold(x, (4, 5), (2, 2), 1, 1, 2), ((2, 8, 9),)),
    "roll": (lambda x: x.roll((1, -2), (1, 2)), (PICTURE,)),
    "flip": (lambda x: x.flip(1, -1), (PICTURE,)),
    "fliplr": (torch.fliplr, (ROW,)),
    "flipud": (torch.flipud, (ROW,)),
    "rot90": (lambda x: x.rot90(1, (2, 3)), (PICTURE,)),
    "repeat": (lambda x: x.repeat(2, 1, 3, 1), (ROW,)),
    "tile": (lambda x: x.tile(3, 2), (ROW,)),
    "tril": (lambda x: x.tril(1), (PICTURE,)),
    "triu": (lambda x: x.triu(-1), (ROW,)),
    "diagonal": (lambda x: x.diagonal(1, 1, -1), (PICTURE,)),
    "diag_embed": (lambda x: torch.diag_embed(x, 1), (ROW,)),
    "repeat_interleave": (lambda x: x.repeat_interleave(3, 1), (PICTURE,)),
    "index": (lambda x: x[:, torch.tensor([1, 3, 1]), torch.tensor([0, 5, -1])], (PICTURE,)),
    "index_select": (lambda x: x.index_select(1, torch.tensor([2, 2, 0])), (PICTURE,)),
    "gather": (lambda x: x.gather(1, torch.tensor([[[1, 0, 2], [3, 3, 1]]])), (ROW,)),
    "take_along_dim": (lambda x: x.take_along_dim(torch.tensor([[[1], [3]]]), 1), (ROW,)),
    "take": (lambda x: x.take(torch.tensor([[1, -1], [7, 1]])), (ROW,)),
    "topk": (lambda x: x.topk(2, 1)[0], (PICTURE,)),
    "sort": (lambda x: x.sort(2, descending=True)[0], (PICTURE,)),
    "kthvalue": (lambda x: x.kthvalue(2, 1)[0], (PICTURE,)),
    "median": (lambda x: x.median(-1)[0], (PICTURE,)),
    "cummax": (lambda x: x.cummax(1)[0], (PICTURE,)),
    "cummin": (lambda x: x.cummin(1)[0], (PICTURE,)),
    "select_scatter": (lambda x, y: x.select_scatter(y, 1, 2), (ROW, (2, 6))),
    "slice_scatter": (lambda x, y: x.slice_scatter(y, 2, 1, 5, 2), (ROW, (2, 4, 2))),
    "index_fill": (lambda x: x.index_fill(1, torch.tensor([0, 2]), 0.5), (ROW,)),
    "index_copy": (lambda x, y: x.index_copy(1, torch.tensor([3, 0]), y), (ROW, (2, 2, 6))),
    "index_add": (lambda x, y: x.index_add(1, torch.tensor([3, 3]), y), (ROW, (2, 2, 6))),
    "index_put": (lambda x, y: x.index_put((torch.tensor([1]), torch.tensor([3])), y), (ROW, (6,))),
    "put": (lambda x, y: x.put(torch.tensor([3, 0, 7]), y), (ROW, (3,))),
    "masked_scatter": (lambda x, y: x.masked_scatter(torch.arange(6) > 2, y), (ROW, ROW)),
    "fill_diagonal": (lambda x: (x.detach() * 2).fill_diagonal_(0.5), ((4, 3),)),
    "copy": (lambda x, y: (x * 2).copy_(y), (ROW, (4, 1))),
    "fill": (lambda x, y: (x * 2).fill_(y), (ROW, ())),
    "zero": (lambda x: (x * 2).zero_(), (ROW,)),
    "overwritten": (changes.overwritten, (ROW, ROW)),
    "scatter": (lambda x, y: x.scatter(1, torch.tensor([[[0, 2], [1, 3]]]), y), (ROW, (1, 2, 2))),
    "scatter_add": (lambda x, y: x.scatter_add(1, torch.tensor([[[0, 2], [0, 3]]]), y), (ROW, (1, 2, 2))),
    "upsample_nearest1d": (lambda x: F.interpolate(x, scale_factor=1.7), (ROW,)),
    "upsample_nearest2d": (lambda x: F.interpolate(x, (4, 9)), (PICTURE,)),
    "upsample_nearest3d": (lambda x: F.interpolate(x, scale_factor=(2, 1, 0.5)), (VOLUME,)),
    "_upsample_nearest_exact1d": (lambda x: F.interpolate(x, 4, mode="nearest-exact"), (ROW,)),
    "_upsample_nearest_exact2d": (lambda x: F.interpolate(x, (4, 9), mode="nearest-exact"), (PICTURE,)),
    "_upsample_nearest_exact3d": (lambda x: F.interpolate(x, 5, mode="nearest-exact"), (VOLUME,)),
    "upsample_linear1d": (lambda x: F.interpolate(x, scale_factor=1.5, mode="linear"), (ROW,)),
    "upsample_bilinear2d": (lambda x: F.interpolate(x, (9, 4), mode="bilinear", align_corners=True), (PICTURE,)),
    "upsample_trilinear3d": (lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), (VOLUME,)),
    "upsample_bicubic2d": (lambda x: F.interpolate(x, (9, 4), mode="bicubic"), (PICTURE,)),
    "_upsample_bilinear2d_aa": (lambda x: F.interpolate(x, (3, 4), mode="bilinear", antialias=True), (PICTURE,)),
    "_upsample_bicubic2d_aa": (lambda x: F.interpolate(x, (3, 9), mode="bicubic", antialias=True), (PICTURE,)),
    "where": (lambda x, y: torch.where(x > 0, x, y), (ROW, (4, 1))),
    "masked_fill": (lambda x: x.masked_fill(x > 0.5, 2.0), (ROW,)),
    "maximum": (torch.maximum, (ROW, (4, 1))),
    "minimum": (torch.minimum, (ROW, (4, 1))),
    "fmax": (torch.fmax, (ROW, (4, 1))),
    "fmin": (torch.fmin, (ROW, (4, 1))),
    "clip": (lambda x: x.clip(-0.1, 0.2), (ROW,)),
    "clamp_min": (lambda x: x.clamp_min(0.1), (ROW,)),
    "clamp_max": (lambda x, y: x.clamp_max(y), (ROW, (6,))),
    "sign": (torch.sign, (ROW,)),
    "sgn": (torch.sgn, (ROW,)),
    "eq": (lambda x: x == 0.5, (ROW,)),
    "ne": (lambda x, y: x != y, (ROW, (6,))),
    "gt": (lambda x, y: x > y, (ROW, (6,))),
    "ge": (lambda x: x >= 0.1, (ROW,)),
    "lt": (lambda x: x < 0.1, (ROW,)),
    "le": (lambda x, y: x <= y, (ROW, (6,))),
    "logical_and": (lambda x, y: torch.logical_and(x > 0, y), (ROW, (6,))),
    "logical_or": (lambda x, y: torch.logical_or(x > 0, y > 0), (ROW, (6,))),
    "logical_xor": (lambda x, y: torch.logical_xor(x > 0, y > 0), (ROW, (6,))),
    "logical_not": (lambda x: torch.logical_not(x > 0), (ROW,)),
    "bitwise_and": (lambda x: torch.bitwise_and(x > 0, x < 1), (ROW,)),
    "bitwise_or": (lambda x: torch.bitwise_or(x > 1, x < 0), (ROW,)),
    "bitwise_xor": (lambda x: torch.bitwise_xor(x > 0, x < 1), (ROW,)),
    "bitwise_not": (lambda x: ~(x > 0), (ROW,)),
    "__and__": (lambda x: (x > 0) & (x < 1), (ROW,)),
    "__or__": (lambda x: (x > 1) | (x < 0), (ROW,)),
    "__xor__": (lambda x: (x > 0) ^ (x < 1), (ROW,)),
    "isnan": (lambda x: (x.relu() / x.relu()).isnan(), (ROW,)),
    "isinf": (lambda x: (1 / x.relu()).isinf(), (ROW,)),
    "isfinite": (lambda x: (1 / x.relu()).isfinite(), (ROW,)),
    "floor": (torch.floor, (ROW,)),
    "ceil": (torch.ceil, (ROW,)),
    "trunc": (torch.trunc, (ROW,)),
    "fix": (torch.fix, (ROW,)),
    "round": (torch.round, (ROW,)),
    "to": (lambda x: x.to(torch.int64), (ROW,)),
    "type_as": (lambda x, y: x.type_as(y), (ROW, ROW)),
    "_to_copy": (lambda x: torch.ops.aten._to_copy(x, dtype=torch.float64), (ROW,)),
    "amax": (lambda x: x.amax((2, 3)), (PICTURE,)),
    "amin": (lambda x: x.amin((0, -1), True), (PICTURE,)),
    "aminmax": (lambda x: torch.aminmax(x, dim=1)[0], (PICTURE,)),
    "max": (lambda x: x.max(), (PICTURE,)),
    "min": (lambda x, y: torch.min(x, y), (ROW, (6,))),
    "argmax": (lambda x: x.argmax(1), (PICTURE,)),
    "argmin": (lambda x: x.argmin(), (PICTURE,)),
    "any": (lambda x: (x > 1).any(1), (PICTURE,)),
    "all": (lambda x: (x > -1).all(-1, True), (PICTURE,)),
    "cumsum": (lambda x: x.cumsum(1), (PICTURE,)),
    "var": (lambda x: x.var((2, 3)), (PICTURE,)),
    "std": (lambda x: x.std(1, correction=0, keepdim=True), (PICTURE,)),
    "var_mean": (lambda x: torch.var_mean(x, (2, 3))[0], (PICTURE,)),
    "std_mean": (lambda x: torch.std_mean(x, 1)[0], (PICTURE,)),
    "zeros": (lambda x: x + torch.zeros(4, 1, dtype=torch.float64), (ROW,)),
    "zeros_like": (lambda x: torch.zeros_like(x), (ROW,)),
    "new_zeros": (lambda x: x.new_zeros(2, 3), (ROW,)),
    "ones": (lambda x: x + torch.ones(4, 1, dtype=torch.float64), (ROW,)),
    "ones_like": (lambda x: torch.ones_like(x), (ROW,)),
    "new_ones": (lambda x: x.new_ones(2, 3), (ROW,)),
    "full": (lambda x: x + torch.full((4, 1), 0.5, dtype=torch.float64), (ROW,)),
    "full_like": (lambda x: torch.full_like(x, 0.5), (ROW,)),
    "new_full": (lambda x: x.new_full((2, 3), -float("inf")), (ROW,)),
    "scalar_tensor": (lambda x: torch.scalar_tensor(2.0, dtype=torch.float64) + x, (ROW,)),
    "arange": (lambda x: x + torch.arange(1, 4, 0.5, dtype=torch.float64), (ROW,)),
    "linspace": (lambda x: x + torch.linspace(-1, 2, 6, dtype=torch.float64), (ROW,)),
    "eye": (lambda x: x @ torch.eye(6, 3, dtype=torch.float64), (ROW,)),
    "softmax": (lambda x: x.softmax(1), (ROW,)),
    "log_softmax": (lambda x: F.log_softmax(x, -1), (ROW,)),
    "mse_loss": (lambda x, y: torch.ops.aten.mse_loss(x, y), (ROW, ROW)),
    "binary_cross_entropy": (lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid()), (ROW, ROW)),
    "binary_cross_entropy_with_logits": (
        lambda x, y, w, p: F.binary_cross_entropy_with_logits(x, y.sigmoid(), w.detach(), pos_weight=p.detach()),
        (ROW, ROW, (6,), (4, 1)),
    ),
    "huber_loss": (lambda x, y: torch.ops.aten.huber_loss(x, y, 2, 0.7), (ROW, ROW)),
    "kl_div": (lambda x, y: F.kl_div(x, y.softmax(1), reduction="sum"), (ROW, ROW)),
    "l1_loss": (lambda x, y: torch.ops.aten.l1_loss(x, y), (ROW, ROW)),
    "logsumexp": (lambda x: x.logsumexp((0, 2), True), (ROW,)),
    "cross_entropy_loss": (lambda x: F.cross_entropy(x, torch.tensor([3, 0]), label_smoothing=0.1), ((2, 4),)),
    "nll_loss": (lambda x: torch.ops.aten.nll_loss(x, torch.tensor([3, 0])), ((2, 4),)),
    "nll_loss_nd": (lambda x: F.nll_loss(x, torch.tensor([3, 0])), ((2, 4),)),
    "smooth_l1_loss": (lambda x, y: torch.ops.aten.smooth_l1_loss(x, y, 1, 0.7), (ROW, ROW)),
}
LARGE = {"hardswish", "hardsigmoid", "celu"}  # a float32's 1/6 or 1/0.7 in PyTorch, see test_elementwise.py


class Code(nn.Module):
    def __init__(self, code: Callable) -> None:
        super().__init__()
        self.code = code

    def forward(self, *arrays: Tensor) -> Tensor:
        return self.code(*arrays)


def exported(code: Callable, *shapes: tuple[int, ...]) -> tuple[fx.GraphModule, list[Tensor]]:
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    whole = code if isinstance(code, nn.Module) else Code(code)
    module = torch.export.export(whole, tuple(tensors)).module()
    assert isinstance(module, fx.GraphModule)
    return module, tensors


class Calls(fx.Interpreter):
    """Runs a graph, and records every call with its arguments and its result."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.calls: list[tuple[Any, dict[str, Any], Any]] = []

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        result = super().call_function(target, args, kwargs)
        if hasattr(target, "_schema"):
            self.calls.append((target, aten.bound(target, args, kwargs), result))
        return result


def shapes_of(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape)
    return [shapes_of(each) for each in value] if isinstance(value, list | tuple) else value


def declared(code: Callable, *shapes: tuple[int, ...]) -> Iterator[tuple[str, Op | None, dict[str, Tensor], Tensor]]:
    """(operator, its declaration, the arrays by their names in it, PyTorch's result) of every call in some code."""
    module, tensors = exported(code, *shapes)
    interpreter = Calls(module)
    interpreter.run(*tensors)
    for target, arguments, result in interpreter.calls:
        if result is not None:  # some only look at an array
            yield from pieces(aten.name_of(target), arguments, result)


def pieces(
    name: str, arguments: dict[str, Any], result: Any, every: bool = False
) -> Iterator[tuple[str, Op | None, dict[str, Tensor], Tensor]]:
    """A call's result with its declaration; of several results the first, or every one."""
    several = {f"{k}{n}": each for k, v in arguments.items() if isinstance(v, list) for n, each in enumerate(v)}
    arrays = {key: value for key, value in (arguments | several).items() if isinstance(value, Tensor)}
    shapes = {key: shapes_of(value) for key, value in arguments.items()}
    if isinstance(result, Tensor):
        yield name, aten.declare(name, shapes, tuple(result.shape), {**arguments, OUT: result}), arrays, result
        return
    results = {f"result{number}": each for number, each in enumerate(result)}
    for piece, out in enumerate(result if every else result[:1]):
        more = {"piece": piece, "pieces": [tuple(each.shape) for each in result]}
        inputs = {**arguments, **results, OUT: out}
        yield name, aten.declare(name, shapes | more, tuple(out.shape), inputs), arrays, out


def operator(name: str, code: Callable, *shapes: tuple[int, ...]) -> tuple[Op | None, dict[str, Tensor], Tensor]:
    (result,) = [call[1:] for call in declared(code, *shapes) if call[0] == name]
    return result


def check(op: Op | None, arrays: dict[str, Tensor], out: Tensor, tolerance: float = 1e-11) -> None:
    assert op is not None
    assert set(op.inputs) <= set(arrays)
    wanted = [name for name in op.inputs if arrays[name].requires_grad] if out.requires_grad else []
    gradient = torch.randn(out.shape, dtype=torch.float64)
    result = torch.autograd.grad(out, [arrays[n] for n in wanted], gradient, retain_graph=True) if wanted else ()
    numbers = {name: arrays[name].detach().numpy() for name in op.inputs}
    evaluator = Evaluator(op, numbers, gradient.numpy())
    for index in picked(out.shape):
        value, scale = evaluator.value(OUT, index)
        assert value == pytest.approx(
            float(out[index].item()), rel=0, abs=tolerance * scale if np.isfinite(scale) else 0
        )
    for name, expected in zip(wanted, result, strict=True):
        for index in picked(expected.shape):
            value, scale = evaluator.gradient_of(name, index)
            assert value == pytest.approx(expected[index].item(), rel=0, abs=tolerance * scale)


def picked(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    random = np.random.default_rng(5)
    for _ in range(4):
        yield tuple(int(random.integers(size)) for size in shape)


def test_every_operator_is_exercised_here() -> None:
    assert set(CALLS) == set(aten.DECLARATIONS)


# lp_pool2d is eight operators when exported, contiguous none, overwritten is ours: separate tests below call them
@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("lp_pool2d", "contiguous", "overwritten")])
def test_an_exported_operator_is_declared_and_agrees(name: str) -> None:
    code, shapes = CALLS[name]
    op, arrays, out = operator(name, code, *shapes)
    check(op, arrays, out, 1e-7 if name in LARGE else 1e-11)
    assert op is not None
    json.dumps(op.as_json(), allow_nan=False)


def test_those_that_are_not_exported_as_they_are() -> None:
    x = torch.randn(PICTURE, dtype=torch.float64, requires_grad=True)
    pool = aten.declare("lp_pool2d", {"input": PICTURE, "norm_type": 2.0, "kernel_size": [2, 2]}, (2, 4, 3, 3))
    check(pool, {"input": x}, F.lp_pool2d(x, 2, 2))
    same = aten.declare("contiguous", {"input": PICTURE, "memory_format": torch.contiguous_format}, PICTURE)
    check(same, {"input": x}, x.contiguous() * 1)
    y = torch.randn(PICTURE, dtype=torch.float64)
    unseen = aten.declare("overwritten", {"input": PICTURE, "value": PICTURE}, PICTURE)
    check(unseen, {"input": x, "value": y}, changes.overwritten(x, y))


AT = torch.ops.aten


@pytest.mark.parametrize(
    ("target", "arguments", "written"),
    [
        (AT.unbind.int, (1,), 4),
        (AT.split.Tensor, (4, -1), 2),
        (AT.split_with_sizes.default, ([1, 2, 1], 1), 3),
        (AT.chunk.default, (3, 1), 2),
        (AT.tensor_split.sections, (4, -1), 4),
        (AT.aminmax.default, (), 2),
        (AT.var_mean.correction, ([2, 3],), 2),
        (AT.max.dim, (1,), 2),
        (AT.min.dim, (-1, True), 2),
        (AT.topk.default, (2, 1), 1),  # where they were is not worked out
        (AT.sort.default, (2,), 1),
        (AT.max_pool2d_with_indices.default, ([2, 2],), 1),
    ],
    ids=str,
)
def test_every_piece_of_several_results(target: Any, arguments: tuple[Any, ...], written: int) -> None:
    x = torch.randn(PICTURE, dtype=torch.float64, requires_grad=True)
    bound = aten.bound(target, (x, *arguments), {})
    result = list(pieces(aten.name_of(target), bound, target(x, *arguments), every=True))
    for _, op, arrays, out in result[:written]:
        check(op, arrays, out)
    assert [op for _, op, _, _ in result[written:]] == [None] * (len(result) - written)


def test_what_follows_from_its_name() -> None:
    assert aten.name_of(torch.ops.aten.relu_.default) == "relu"
    assert aten.name_of(torch.ops.aten.max_pool2d.default) == "max_pool2d"
    arguments = aten.bound(torch.ops.aten.avg_pool2d.default, ("x", [2, 2]), {"ceil_mode": True})
    assert arguments == {
        "input": "x",
        "kernel_size": [2, 2],
        "stride": [],
        "padding": [0, 0],
        "ceil_mode": True,
        "count_include_pad": True,
        "divisor_override": None,
    }
    assert aten.bound(torch.ops.aten.mm.default, ("x", "y"), {}) == {"input": "x", "other": "y"}


@pytest.mark.parametrize(
    "code",
    [
        lambda x: x + 1,
        lambda x: 1 + x,
        lambda x: 1 - x,
        lambda x: x * 0,
        lambda x: x / 3,
        lambda x: 2.5 / x,
        lambda x: x**2,
        lambda x: x**0,
        lambda x: x * torch.tensor(3.0, dtype=torch.float64),
        lambda x: torch.tensor(3.0, dtype=torch.float64) - x,
        lambda x: x.mean(),
        lambda x: x.sum(),
        lambda x: x.mean() + 1,
        lambda x: torch.relu(x.sum()),
        lambda x: x.sum().flatten(),
        lambda x: x[0, 0, 0].softmax(0),
        lambda x: x[1:, ..., 2],
    ],
)
def test_numbers_and_arrays_mix(code: Callable) -> None:
    calls = list(declared(code, PICTURE))
    assert calls
    for name, op, arrays, out in calls:
        if name != "detach_":
            check(op, arrays, out)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bitwise_and", lambda x: torch.bitwise_and(x.int(), 3)),
        ("add", lambda x: (x > 0) + (x > 1)),
        ("dropout", lambda x: F.dropout(x, 0.5, True)),
        ("feature_dropout", lambda x: F.dropout2d(x, 0.5, True)),
        ("rrelu", lambda x: F.rrelu(x, training=True)),
        ("scaled_dot_product_attention", lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)),
        ("linalg_matrix_norm", lambda x: torch.linalg.matrix_norm(x, "nuc")),
        ("linalg_norm", lambda x: torch.linalg.norm(x, 2, (2, 3))),
        ("cdist", lambda x: torch.cdist(x, x, p=float("inf"))),
        ("argsort", torch.argsort),
        ("lgamma", torch.lgamma),
    ],
)
def test_what_is_not_written_is_none(name: str, code: Callable) -> None:
    assert operator(name, code, PICTURE)[0] is None


def test_an_operator_that_changes_its_input_is_the_one_that_does_not() -> None:
    op, arrays, out = operator("relu", lambda x: F.relu_(x * 2), PICTURE)
    assert op is not None
    assert op.kind == "ReLU"
    assert op.shapes[OUT] == out.shape == arrays["input"].shape


def test_a_sum_of_squared_errors_is_not_taken_for_their_mean() -> None:
    op, arrays, out = operator("mse_loss", lambda x, y: torch.ops.aten.mse_loss(x, y, 2), ROW, ROW)
    check(op, arrays, out)


def test_running_statistics_are_inputs() -> None:
    ((name, op, arrays, out),) = declared(nn.BatchNorm2d(4, dtype=torch.float64).eval(), PICTURE)
    assert name == "batch_norm"
    check(op, {key: value.detach() for key, value in arrays.items()}, out.detach())
    assert op is not None
    assert op.inputs == ("input", "weight", "bias", "running_mean", "running_var")
