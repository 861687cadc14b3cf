"""Attention: each query takes a weighted average of the values; the weights measure how well its key fits it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import Expression, exp, greater, names, where

QUERY, KEY, VALUE, MASK, SEEN, SCORE, ALLOWED, LARGEST, POWER, TOTAL, SHARE = names(
    "query", "key", "value", "attn_mask", "seen", "score", "allowed", "largest", "power", "total", "share"
)
LOWEST = -1e300
"""Stands for minus infinity, which JSON cannot express: the score of a masked key."""


def scaled_dot_product_attention(
    query: Shape,
    key: Shape,
    value: Shape,
    attn_mask: Shape | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    types: Mapping[str, str] = MappingProxyType({}),
) -> Op | None:
    """out[.., l, v] = sum over s of share[.., l, s] * value[.., s, v], where share is the softmax over the keys s of

        score[.., l, s] = scale * (sum over e of query[.., l, e] * key[.., s, e]) + attn_mask[.., l, s]

    Vaswani et al. 2017, "Attention is all you need", eq. 1. query (..., L, E), key (..., S, E), value (..., S, V), mask
    (..., L, S) broadcast. A boolean mask says which keys are seen, and so does `is_causal`: query l sees the keys up to
    l. A query that sees no key gives 0, as in PyTorch. With `enable_gqa` several query heads share a key's head
    (Ainslie et al. 2023, "GQA", section 2.2). None with dropout, which is drawn and not computed.
    """
    if dropout_p > 0:
        return None
    if len(query) != len(key) or len(key) != len(value):
        return None  # broadcast to more axes, which modules do not do
    queries, keys, size = query[-2], key[-2], query[-1]
    scale = 1 / math.sqrt(size) if scale is None else scale
    lead = [f"b{axis or ''}" for axis in range(len(query) - 2)]
    ranges, own, shared = _heads(lead, query[:-2], key[:-2], enable_gqa)
    pairs = {**ranges, "l": queries, "s": keys}
    whole, row = at(*own, "l", "s"), at(*own, "l")
    scores: Shape = (*query[:-2], queries, keys)
    shapes: dict[str, Shape] = {"query": query, "key": key, "value": value}
    constants: dict[str, NDArray[np.float64]] = {}

    maps = {"score": whole, "query": at(*own, "l", "e"), "key": at(*shared, "s", "e")}
    stages = [Stage("score", {**pairs, "e": size}, maps, QUERY * KEY * scale)]
    shapes["score"] = scores
    fits, hidden = "score", False
    inputs = ("query", "key", "value")
    if attn_mask is not None:
        shapes["attn_mask"] = attn_mask
        inputs = (*inputs, "attn_mask")
        place = _broadcast([*own, Axis((("l", 1),)), Axis((("s", 1),))], attn_mask)
        hidden = True
        if types.get("attn_mask") == "bool":
            fits = "allowed"
            maps = {fits: whole, "score": whole, "attn_mask": place}
            stages.append(Stage(fits, pairs, maps, where(MASK, SCORE, LOWEST)))
        else:
            stages.append(Stage("score", pairs, {"score": whole, "attn_mask": place}, MASK))
    elif is_causal:
        constants["seen"] = np.tril(np.ones((queries, keys)))
        shapes["seen"] = (queries, keys)
        fits, hidden = "allowed", True
        maps = {fits: whole, "score": whole, "seen": at("l", "s")}
        stages.append(Stage(fits, pairs, maps, where(SEEN, SCORE, LOWEST)))
    shapes |= {fits: scores, "largest": scores[:-1], "power": scores, "total": scores[:-1], "share": scores}
    stages += _shares(pairs, names(fits)[0], fits, whole, row, hidden)
    maps = {OUT: at(*own, "l", "v"), "share": whole, "value": at(*shared, "s", "v")}
    out = {**ranges, "l": queries, "v": value[-1], "s": keys}
    stages.append(Stage(OUT, out, maps, SHARE * VALUE))
    shapes[OUT] = (*query[:-1], value[-1])
    return Op("attention", shapes, inputs, tuple(stages), constants)


def _shares(
    pairs: dict[str, int], fit: Expression, fits: str, whole: tuple[Axis, ...], row: tuple[Axis, ...], hidden: bool
) -> list[Stage]:
    """A softmax over the last axis; with `hidden` scores, of the visible ones."""
    power, share = exp(fit - LARGEST), POWER / TOTAL
    if hidden:
        power, share = where(greater(fit, LOWEST), power, 0), where(greater(TOTAL, 0), share, 0)
    return [
        Stage("largest", pairs, {"largest": row, fits: whole}, fit, "max", through=False),
        Stage("power", pairs, {"power": whole, fits: whole, "largest": row}, power),
        Stage("total", pairs, {"total": row, "power": whole}, POWER),
        Stage("share", pairs, {"share": whole, "power": whole, "total": row}, share),
    ]


def _heads(lead: list[str], query: Shape, key: Shape, grouped: bool) -> tuple[dict[str, int], list[Axis], list[Axis]]:
    """Ranges of the axes before the last two; index maps of the queries' and of the keys'."""
    own, shared = list(at(*lead)), list(at(*(0 if size == 1 else name for name, size in zip(lead, key, strict=True))))
    ranges = dict(zip(lead, query, strict=True))
    if grouped and lead and query[-1] != key[-1]:
        head, per = lead[-1], query[-1] // key[-1]
        del ranges[head]
        ranges |= {head: key[-1], "g": per}
        own[-1] = Axis(((head, per), ("g", 1)))
        shared[-1] = Axis(((head, 1),))
    return ranges, own, shared


def _broadcast(axes: list[Axis], shape: Shape) -> tuple[Axis, ...]:
    """The index map of an array with these last axes, some of which may have length 1."""
    last = axes[len(axes) - len(shape) :]
    return tuple(Axis(()) if size == 1 else axis for axis, size in zip(last, shape, strict=True))
