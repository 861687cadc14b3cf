"""Masks of minus infinity, and numbers that underflow: every number before and after them adds up."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

TOKENS, WIDTH = 9, 6


class Masked(nn.Module):
    """Attention over the nine places of a small picture, in one of its common forms."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.embed, self.head = nn.Linear(3, WIDTH), nn.Linear(WIDTH, 4)
        self.temperature = nn.Parameter(torch.tensor(1.5))
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        hidden = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
        self.register_buffer("hidden", hidden)
        self.register_buffer("mask", torch.zeros(TOKENS, TOKENS).masked_fill(hidden, -math.inf))
        self.register_buffer("late", (torch.arange(TOKENS) > 5)[None])

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.flatten(2).transpose(1, 2))
        return self.head(self.attend(x).mean(1))

    def attend(self, x: Tensor) -> Tensor:
        scores = x @ x.transpose(1, 2) * 5
        match self.way:
            case "added":
                return (scores + self.mask).softmax(-1) @ x
            case "filled":
                return scores.masked_fill(self.hidden, -math.inf).softmax(-1) @ x
            case "chosen, then divided":
                scores = torch.where(self.hidden, -math.inf, scores)  # type: ignore[call-overload]
                return (scores / 2.0).softmax(-1) @ x
            case "logarithms":
                return (scores + self.mask).log_softmax(-1).exp() @ x
            case "exponentials by hand":
                powers = (scores + self.mask).exp()
                return powers / powers.sum(-1, keepdim=True) @ x
            case "truth values":
                return F.scaled_dot_product_attention(x, x, x, ~self.hidden)  # type: ignore[operator]
            case "causal":
                return F.scaled_dot_product_attention(x, x, x, is_causal=True)
            case "module":
                return self.attention(x, x, x, attn_mask=self.mask)[0]
            case "module without weights":
                return self.attention(x, x, x, attn_mask=self.hidden, need_weights=False)[0]
            case "module, keys":
                return self.attention(x, x, x, key_padding_mask=self.late)[0]
        raise AssertionError(self.way)


WAYS = [
    *("added", "filled", "chosen, then divided", "logarithms", "exponentials by hand", "truth values", "causal"),
    *("module", "module without weights", "module, keys"),
]


def every_unit(trace: Trace, name: str, most: int = 8) -> list[str]:
    shape = trace.shape(name)
    places = list(np.ndindex(*shape))
    random = np.random.default_rng(1)
    chosen = random.permutation(len(places))[:most]
    return [f"{name}[{', '.join(map(str, places[place]))}]" if shape else name for place in chosen]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("training", [False, True])
def test_what_a_mask_hides_has_no_part(way: str, training: bool) -> None:
    torch.manual_seed(0)
    module = Masked(way).train(training)
    trace = explain(module, torch.randn(3, 3, 3), 1)
    assert [node.name for node in trace.nodes if not node.written] == []
    infinite = 0
    for node in trace.nodes:
        for unit in every_unit(trace, node.name):
            working = trace.unit(unit)
            assert working.complete
            if math.isinf(working.recorded):
                infinite += 1
                assert working.total == working.recorded
            elif not working.external:
                assert math.isfinite(working.bound)
                assert working.bound <= 1e-3 * max(1, abs(working.total))
            if node.name in trace.gradients:
                gradient = trace.gradient(unit)
                assert gradient.complete
                assert math.isfinite(gradient.total)
                assert math.isfinite(gradient.bound)
    fused = way in ("truth values", "causal", "module without weights")
    assert fused or infinite > 0


class Underflow(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.head = nn.Linear(192, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        match self.way:
            case "exp":
                return self.head(torch.exp(-((x * 12) ** 2)))
            case "softmax":
                return self.head((x * 100).softmax(1))
            case "sigmoid":
                return self.head(torch.sigmoid(x * 60))
            case "squares":
                return self.head((x * 1e-22) ** 2 * 1e30)
            case "length":
                return self.head(F.normalize(x * 1e-22, dim=1, eps=1e-30))
            case "product":
                return self.head(x * 1e-30 * (x * 1e-15) * 1e30)
        raise AssertionError(self.way)


@pytest.mark.parametrize("way", ["exp", "softmax", "sigmoid", "squares", "length", "product"])
def test_what_float32_loses_by_underflow_is_not_blamed_on_the_arithmetic(way: str) -> None:
    torch.manual_seed(0)
    trace = explain(Underflow(way).eval(), torch.randn(3, 8, 8), 1)
    lost = 0
    for node in trace.nodes:
        for unit in every_unit(trace, node.name, 40):
            working = trace.unit(unit)
            assert working.complete
            lost += working.recorded == 0 and working.total != 0
            assert node.name not in trace.gradients or trace.gradient(unit).complete
    assert lost > 0 or way not in ("exp", "softmax")
