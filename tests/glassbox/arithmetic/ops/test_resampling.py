"""Maps of another size: by hand, against PyTorch in both precisions, and by differences."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import resampling

MANY = settings(max_examples=40, deadline=None)
PLACES = ("1d", "2d", "3d")
MODES = {
    "nearest": [f"upsample_nearest{places}" for places in PLACES],
    "nearest-exact": [f"_upsample_nearest_exact{places}" for places in PLACES],
    "linear": ["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"],
    "bicubic": ["", "upsample_bicubic2d", ""],
}
WORDS = {"linear": ["linear", "bilinear", "trilinear"]}


def row(operator: str, numbers: list[float], size: int, align_corners: bool | None = None) -> np.ndarray:
    op = resampling.upsample(operator, (1, 1, len(numbers)), (1, 1, size), align_corners)
    return everything(op, {"input": np.array([[numbers]])})[0, 0]


def test_by_hand() -> None:
    assert row("upsample_nearest1d", [1, 5], 4).tolist() == [1, 1, 5, 5]
    assert row("upsample_linear1d", [0, 8], 4, False).tolist() == [0, 2, 6, 8]
    assert row("upsample_linear1d", [0, 6], 4, True) == pytest.approx([0, 2, 4, 6], abs=1e-6)


def test_the_cubic_by_hand() -> None:
    # at distances 1.25, 0.25, 0.75 and 1.75, with A = -3/4
    near = [1.25 * d**3 - 2.25 * d**2 + 1 for d in (0.25, 0.75)]
    far = [-0.75 * (d**3 - 5 * d**2 + 8 * d - 4) for d in (1.25, 1.75)]
    op = resampling.upsample("upsample_bicubic2d", (1, 1, 8, 1), (1, 1, 16, 1), False)
    (terms,) = Evaluator(op, {"input": np.ones((1, 1, 8, 1))}).forward((0, 0, 7, 0))
    assert terms.columns[0].indices[:, 2].tolist() == [2, 3, 4, 5]
    assert terms.values == pytest.approx([far[0], near[0], near[1], far[1]], abs=1e-6)


def test_the_formula_says_which_weights() -> None:
    op = resampling.upsample("upsample_bilinear2d", (1, 3, 4, 4), (1, 3, 8, 4), False)
    assert str(op.stages[0].term) == "input * weight_y"
    assert op.constants["weight_y"].shape == (8, 2)
    assert str(resampling.upsample("upsample_nearest2d", (1, 3, 4, 4), (1, 3, 8, 8)).stages[0].term) == "input"


def test_a_large_map_takes_no_long_json() -> None:
    for operator, corners in (("upsample_nearest2d", None), ("upsample_bilinear2d", False)):
        op = resampling.upsample(operator, (1, 64, 112, 112), (1, 64, 224, 224), corners)
        assert len(json.dumps(op.as_json())) < 25_000


@MANY
@given(st.integers(0, 2), st.sampled_from(list(MODES)), st.booleans(), st.data())
def test_sizes_and_factors_agree_with_pytorch(oracle, last, mode, align, data) -> None:
    last = 1 if mode == "bicubic" else last
    sizes = tuple(data.draw(st.integers(1, 6)) for _ in range(last + 1))
    shape = (2, 3, *sizes)
    corners = None if mode.startswith("nearest") else align
    options: dict[str, object] = {"mode": WORDS.get(mode, [mode] * 3)[last]}
    if corners is not None:
        options["align_corners"] = corners
    factors = None
    if data.draw(st.booleans()):
        options["size"] = tuple(data.draw(st.integers(1, 9)) for _ in sizes)
    else:
        factors = options["scale_factor"] = tuple(
            data.draw(st.sampled_from([1.0, 1.3, 1.5, 2.0, 2.7, 3.0])) for _ in sizes
        )

    def function(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, **options)  # type: ignore[arg-type]

    out = tuple(function(torch.zeros(shape)).shape)
    for precision in ("float64", "float32"):
        op = resampling.upsample(MODES[mode][last], shape, out, corners, factors, types={"input": precision})
        if op is None:  # PyTorch's own gradient is not that of its forward: the sum of what goes back tells
            assert factors is not None
            assert not linear(function, shape)
            continue
        agrees(op, function, getattr(torch, precision))


def linear(function: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> bool:
    """Whether the gradient belongs to the forward pass: <f(x), y> equals <x, gradient of y>."""
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(1))
    out = function(x)
    y = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(out, x, y)
    return bool(torch.isclose((out * y).sum(), (x * gradient).sum(), atol=1e-6))


@MANY
@given(st.sampled_from(["bilinear", "bicubic"]), st.booleans(), st.data())
def test_antialiasing_agrees_with_pytorch(mode, align, data) -> None:
    shape = (1, 2, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    out = (1, 2, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    op = resampling.upsample(f"_upsample_{mode}2d_aa", shape, out, align)
    if 1 in (*shape[2:], *out[2:]):  # PyTorch's own weights are wrong there
        assert op is None
        return
    assert op is not None

    def function(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, out[2:], mode=mode, align_corners=align, antialias=True)

    agrees(op, function, torch.float32)
    x = torch.tensor(np.random.default_rng(5).standard_normal(shape), dtype=torch.float32)
    evaluator, made = Evaluator(op, {"input": x.numpy()}), function(x)
    for index in np.ndindex(*out):  # against a bound that knows no weights
        assert evaluator.value(OUT, index)[0] == pytest.approx(made[index].item(), abs=1e-5)


def agrees(op: Op, function: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype) -> None:
    """On maps that are mostly zeros, as after a ReLU: each single weight must be right, not only their sum."""
    random = np.random.default_rng(3)
    numbers = random.standard_normal(op.shapes["input"]) * (random.random(op.shapes["input"]) < 0.3)
    x = torch.tensor(numbers, dtype=dtype, requires_grad=True)
    out = function(x)
    sparse = torch.tensor(random.standard_normal(out.shape) * (random.random(out.shape) < 0.3), dtype=dtype)
    (gradient,) = torch.autograd.grad(out, x, sparse)
    evaluator = Evaluator(op, {"input": x.detach().numpy()}, sparse.numpy())
    bound = 8 * torch.finfo(dtype).eps / 2  # working.ROUNDING units of rounding
    for _ in range(12):
        index = tuple(int(random.integers(size)) for size in out.shape)
        value, scale = evaluator.value(OUT, index)
        assert value == pytest.approx(out[index].item(), rel=0, abs=bound * scale)
        index = tuple(int(random.integers(size)) for size in x.shape)
        value, scale = evaluator.gradient_of("input", index)
        assert value == pytest.approx(gradient[index].item(), rel=0, abs=bound * scale)


@pytest.mark.parametrize(
    "op",
    [
        resampling.upsample("upsample_nearest2d", (1, 2, 3, 2), (1, 2, 4, 5)),
        resampling.upsample("upsample_bilinear2d", (1, 2, 3, 2), (1, 2, 4, 5), True),
        resampling.upsample("_upsample_bicubic2d_aa", (1, 1, 6, 2), (1, 1, 3, 4), False),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
