"""The fused block against PyTorch's modules.

Small whole numbers make every sum exact: ties are then frequent, and the tests compare the forward pass, the winners
and the gradients without a tolerance.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding
from numba.core import caching
from torch import Tensor, nn

from pellucid.engine import blocks
from pellucid.engine.blocks import chain, cpu, kernels_cpu, trial
from pellucid.engine.blocks.block import LARGEST_POOL, Block, steps
from pellucid.engine.blocks.way_direct import Direct
from pellucid.engine.blocks.way_onednn import OneDNN
from pellucid.engine.device import Engine, with_blocks
from pellucid.network import text
from pellucid.network.standardise import Standardise, to_unit
from pellucid.runs.run import Run
from pellucid.runtime.vectors import PAIRS
from pellucid.training import loop
from pellucid.training import recipe as recipes
from pellucid.training.loop import State, Step, Task
from pellucid.training.optimizer import optimizer

DOOR = ("describe", "choose", "run", "run_stored", "runs_without_torch", "run_without_torch")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def whole(generator: torch.Generator, largest: int, *shape: int) -> Tensor:
    return torch.randint(-largest, largest + 1, shape, generator=generator).float()


def block(*conv: int, size: int = 2, bias: bool = True, flat: bool = False) -> nn.Sequential:
    """`conv`: channels, filters, kernel, stride, padding."""
    parts = [nn.Conv2d(*conv, bias=bias), nn.ReLU(), nn.MaxPool2d(size), *([nn.Flatten()] if flat else [])]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def passes(
    run: Callable[[Tensor], Tensor], module: nn.Module, images: Tensor, seed: int = 0, bfloat16: bool = False
) -> list[Tensor]:
    """Output, and the gradients of the input and of every parameter, for a random gradient of the output."""
    images = images.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = run(images)
    gradient = whole(torch.Generator().manual_seed(seed), 3, *output.shape)
    output.backward(gradient.to(output.dtype))
    gradients = [images.grad, *(parameter.grad for parameter in module.parameters())]
    return [output.detach(), *(gradient.clone() for gradient in gradients if gradient is not None)]


def drawn(module: nn.Sequential, seed: int, *shape: int) -> Tensor:
    """Images in channels-last order, and parameters, of small whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(whole(generator, 1, *parameter.shape))
    return whole(generator, 2, *shape).contiguous(memory_format=torch.channels_last)


@st.composite
def cases(draw: st.DrawFn) -> tuple[nn.Sequential, Tensor, int]:
    """A block, its images and a seed; the values go to `largest`."""
    kernel, padding, size = draw(st.integers(1, 5)), draw(st.integers(0, 3)), draw(st.integers(1, 3))
    stride = draw(st.integers(1, 3))
    least = max(1, kernel + stride * (size - 1) - 2 * padding)
    sides = draw(st.integers(least, least + 11)), draw(st.integers(least, least + 11))
    channels, filters, count = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    module = block(
        channels, filters, kernel, stride, padding, size=size, bias=draw(st.booleans()), flat=draw(st.booleans())
    )
    seed = draw(st.integers(0, 1000))
    return module, drawn(module, seed, count, channels, *sides), seed


FIRST_LAYERS = [  # channels, filters, height, width
    (3, 10, 5, 5),
    (3, 32, 3, 3),
    (1, 1, 1, 1),
    (4, 17, 2, 12),
    (1, 7, 6, 2),
]


@st.composite
def first_layers(draw: st.DrawFn) -> tuple[nn.Sequential, Tensor, int]:
    """A block of few channels whose pooled rows fill a vector, as direct convolution requires."""
    channels, filters, height, width = draw(st.sampled_from(FIRST_LAYERS))
    padding, flat = draw(st.integers(0, 3)), draw(st.booleans())
    sides = draw(st.integers(max(1, height + 1 - 2 * padding), 14)), draw(st.integers(31 + width, 75))
    conv = nn.Conv2d(channels, filters, (height, width), padding=(padding, 0), bias=draw(st.booleans()))
    module = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), *([nn.Flatten()] if flat else []))
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seed = draw(st.integers(0, 1000))
    return module, drawn(module, seed, draw(st.integers(1, 3)), channels, *sides), seed


@settings(max_examples=15)  # each compiles kernels, and each run draws others
@given(st.one_of(cases(), first_layers()))
def test_equal_to_pytorch_in_float64(case: tuple[nn.Sequential, Tensor, int]) -> None:
    module, images, seed = case
    assert isinstance(steps(module)[0], Block)
    ours = passes(chain.forward(module, 1), module, images, seed)
    wide = module.double()
    theirs = passes(wide, wide, images.double(), seed)
    module.float()
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one.double(), other)


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [(32, 3), (64, 3), (130, 3), (230, 1), (27, 5), (70, 5), (140, 5)],
    ids=lambda inputs: str(inputs),
)
def test_many_channels_are_gathered_in_as_many_registers_as_there_are(channels: int, kernel: int) -> None:
    module = block(channels, 3, kernel)
    images = drawn(module, channels, 2, channels, kernel + 4, kernel + 6)
    ours = passes(chain.forward(module, 1), module, images)
    wide = module.double()
    theirs = passes(wide, wide, images.double())
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.double(), other)


@pytest.mark.parametrize(("count", "most", "part"), [(6, 24, 6), (25, 24, 5), (48, 24, 24), (29, 24, 1), (3, 2, 1)])
def test_what_stays_in_registers_is_a_part_of_the_whole(count: int, most: int, part: int) -> None:
    assert kernels_cpu._most_of(count, most) == part


@settings(max_examples=10)
@given(st.one_of(cases(), first_layers()))
def test_bfloat16_is_as_exact(case: tuple[nn.Sequential, Tensor, int]) -> None:
    """Weights and bias are summed in float32, and only the input's gradient is rounded.

    Not compared with PyTorch's bfloat16, whose weight gradient is now and then NaN where a map is one or two wide.
    """
    module, images, seed = case
    ours = passes(chain.forward(module, 1), module, images, seed, bfloat16=True)
    wide = module.double()
    theirs = passes(wide, wide, images.double(), seed)
    assert ours[0].dtype == torch.bfloat16
    assert torch.equal(ours[0].double(), theirs[0])
    torch.testing.assert_close(ours[1].double(), theirs[1], rtol=1 / 128, atol=0)
    for one, other in zip(ours[2:], theirs[2:], strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one.double(), other)


def test_bfloat16_rounds_where_pytorch_does() -> None:
    torch.manual_seed(2)
    module, images = nn.Sequential(*block(3, 10, 5), *block(10, 4, 3)), torch.randn(3, 3, 30, 30)
    ours = passes(chain.forward(module, 1), module, images, bfloat16=True)
    theirs = passes(module, module, images, bfloat16=True)
    assert torch.equal(ours[0], theirs[0])
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        assert float((one - other).norm() / other.norm()) < 0.01


def processor_can(*names: str) -> bool:
    return all(binding.get_host_cpu_features().get(name) for name in names)


@pytest.mark.parametrize(("dtype", "needs"), [(torch.float32, []), (torch.bfloat16, ["avx512bf16"])], ids=str)
def test_few_channels_are_convolved_directly(dtype: torch.dtype, needs: list[str]) -> None:
    """If the processor can; more channels, narrow maps and other pools go through oneDNN."""

    def way(module: nn.Sequential, images: Tensor) -> object:
        (step,) = steps(module)[:1]
        assert isinstance(step, Block)
        return type(cpu.way(step, images, dtype))

    wanted = Direct if processor_can(*needs) else OneDNN
    assert way(block(3, 10, 5), torch.rand(1, 3, 40, 40)) is wanted
    assert way(block(3, 17, 5), torch.rand(1, 3, 40, 40)) is (wanted if processor_can("avx512f") else OneDNN)
    assert way(block(4, 10, 5, 1, 2), torch.rand(1, 4, 32, 32)) is wanted
    assert way(block(5, 10, 5), torch.rand(1, 5, 40, 40)) is OneDNN
    assert way(block(3, 10, 5), torch.rand(1, 3, 40, 34)) is OneDNN
    assert way(block(3, 10, 5, 2), torch.rand(1, 3, 90, 90)) is OneDNN
    assert way(block(3, 10, 5, size=3), torch.rand(1, 3, 90, 90)) is OneDNN
    assert way(block(3, 10, 5), torch.rand(1, 3, 40, 40).bfloat16()) is OneDNN


@pytest.mark.parametrize("flat", [False, True])
def test_direct_convolution_rounds_as_little_as_pytorch(flat: bool) -> None:
    torch.manual_seed(6)
    module, images = block(3, 20, 5, 1, 2, flat=flat), torch.randn(2, 3, 44, 50)
    wide = [tensor.double() for tensor in passes(module.double(), module, images.double())]
    module.float()
    for bfloat16, bound in ((False, 1e-6), (True, 0.01)):
        ours, theirs = (passes(run, module, images, 0, bfloat16) for run in (chain.forward(module, 1), module))
        for one, other, true in zip(ours, theirs, wide, strict=True):
            error, allowed = (float((tensor.double() - true).norm() / true.norm()) for tensor in (one, other))
            assert error < max(bound, 1.5 * allowed)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_numbers_that_are_none_stay_so_side_by_side(bfloat16: bool) -> None:
    """As below, in rows that fill a vector, with direct convolution.

    In bfloat16 it takes rows in pairs, and NaN also reaches the row above.
    """
    module = block(1, 1, 1)
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(1)
        module.get_parameter("0.bias").zero_()
    images = torch.randint(-3, 4, (1, 1, 6, 40), generator=torch.Generator().manual_seed(1)).float()
    for at, number in enumerate([float("nan"), float("inf"), -float("inf"), -float("nan"), -0.0, 0.0]):
        images[0, 0, at, 7 * at % 40] = images[0, 0, 2, 33 + at] = number
    images = images.contiguous(memory_format=torch.channels_last)
    ours = passes(chain.forward(module, 1), module, images, 6, bfloat16)
    theirs = passes(module, module, images, 6, bfloat16)
    assert ours[0].isnan().any()
    assert ours[0].isinf().any()
    if bfloat16:
        assert ours[0].isnan()[theirs[0].isnan()].all()
        return
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_numbers_that_are_none_stay_so(bfloat16: bool) -> None:
    """A NaN passes and shows in the loss; infinity wins; a window below zero gives 0 and gets no gradient."""
    module = block(1, 1, 1)
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(1)
        module.get_parameter("0.bias").zero_()
    nan, inf = float("nan"), float("inf")
    images = torch.tensor(
        [
            [1.0, 5, nan, 2, -1, -2, inf, 3],
            [5.0, 2, 9, nan, -9, -inf, 1, inf],
            [0.0, 0, -0.0, 0, 4, 4, -nan, -nan],
            [0.0, -1, -1, -2, 4, 4, 7, -nan],
        ]
    )[None, None].contiguous(memory_format=torch.channels_last)
    images[..., -1, -2] = -nan
    ours = passes(chain.forward(module, 1), module, images, 6, bfloat16)  # none of its gradients is zero
    theirs = passes(module, module, images, 6, bfloat16)
    assert ours[0].isnan().flatten().tolist() == [False, True, False, False, False, False, False, True]
    assert ours[0].isinf().flatten().tolist() == [False] * 3 + [True] + [False] * 4
    assert torch.equal(ours[0], theirs[0]) or torch.allclose(ours[0], theirs[0], equal_nan=True)
    # the same winners: the first five, the first four, the first infinity, the last NaN
    assert torch.equal(ours[1], theirs[1])
    assert ours[1].count_nonzero() == 5
    loss = chain.forward(module, 1)(images).float().sum()
    assert loss.isnan()


def test_no_bit_depends_on_the_threads_or_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "PART_BYTES", 20_000)  # several parts, of which some shares get two
    torch.manual_seed(3)
    module = nn.Sequential(*block(3, 10, 5, 1, 1), *block(10, 7, 3, 2))
    images = torch.randn(19, 3, 21, 43).contiguous(memory_format=torch.channels_last)
    first, again, two = (passes(chain.forward(module, threads), module, images) for threads in (1, 1, 2))
    for one, other, third in zip(first, again, two, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)
    assert not any(tensor.requires_grad for tensor in two)
    plain = passes(module, module, images)
    for one, other in zip(first, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_fork_gets_workers_of_its_own() -> None:
    code = (
        "import os, torch\n"
        "from torch import nn\n"
        "from pellucid.engine.blocks import chain, cpu\n"
        "cpu.PART_BYTES = 1\n"
        "block = chain.forward(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), 2)\n"
        "images = torch.rand(5, 1, 9, 9)\n"
        "before = block(images)\n"
        "child = os.fork()\n"
        "same = torch.equal(block(images), before)\n"
        "if not child: os._exit(0 if same else 1)\n"
        "raise SystemExit(os.waitpid(child, 0)[1] or not same)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.parametrize(
    "parts",
    [
        [nn.Conv2d(2, 4, 3, dilation=2), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(3, stride=2)],
        [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, padding=1)],
        [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d((2, 3))],
        [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)],
        [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2)],
        [nn.Conv2d(2, 4, 3), nn.Tanh(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3), nn.ReLU()],
    ],
    ids=str,
)
def test_other_layers_run_as_they_are(parts: list[nn.Module]) -> None:
    module = nn.Sequential(*parts)
    assert chain.forward(module, 1) is module


def test_what_is_watched_is_not_fused() -> None:
    module = nn.Sequential(*block(1, 2, 3), *block(2, 2, 3))
    seen: list[str] = []
    handle = module[1].register_forward_hook(lambda *_: seen.append("relu"))
    assert [isinstance(step, Block) for step in steps(module)] == [False, False, False, True]
    chain.forward(module, 1)(torch.rand(1, 1, 20, 20))
    assert seen == ["relu"]
    handle.remove()
    assert [isinstance(step, Block) for step in steps(module)] == [True, True]
    module.register_forward_hook(lambda *_: seen.append("all"))
    assert chain.forward(module, 1) is module


def test_other_numbers_go_through_the_modules() -> None:
    module = block(1, 2, 3)
    wide = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(chain.forward(module.double(), 1)(wide), module(wide))
    module.float()
    with pytest.raises(RuntimeError, match="channels"):
        chain.forward(module, 1)(torch.rand(1, 2, 8, 8))
    with pytest.raises(RuntimeError, match="too small"):
        chain.forward(module, 1)(torch.rand(1, 1, 3, 3))
    frozen = block(1, 2, 3).requires_grad_(False)
    assert not chain.forward(frozen, 1)(wide.float()).requires_grad


@pytest.mark.parametrize("threads", [1, 2])
def test_predicting(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(cpu, "PART_BYTES", 1)
    module = nn.Sequential(*block(3, 4, 3), *block(4, 4, 3))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        images = torch.rand(4, 3, 12, 12)
        assert torch.equal(chain.forward(module, threads)(images), module(images))


@pytest.mark.parametrize("threads", [1, 2])
def test_standardised_bit_for_bit(threads: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 9, 13, 3), np.uint8)
    pixels[0].flat[:256] = np.arange(256)
    scale = Standardise((0.4873, 0.4555, 0.41), (0.229, 0.2244, 0.2251))
    ours = cpu.standardised(pixels[:, ::-1], scale, threads)
    assert torch.equal(ours, scale(to_unit(pixels[:, ::-1])))
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_stored_pictures_bit_for_bit(bfloat16: bool, flat: bool) -> None:
    """Bytes that the first block reads itself, through a table, or not: outputs and gradients are the same."""
    module = nn.Sequential(*block(3, 4, 3, 1, 1, flat=flat), *([] if flat else block(4, 5, 3)))
    pixels = np.random.default_rng(2).integers(0, 256, (5, 40, 37, 3), np.uint8)
    pixels[0].flat[:256] = np.arange(256)
    scale = Standardise((0.4873, 0.4555, 0.41), (0.229, 0.2244, 0.2251))
    first = steps(module)[0]
    assert isinstance(first, Block)
    assert (chain.stored_block(first, pixels, scale.table(), 1) is not None) == (PAIRS or not bfloat16)
    results = []
    for stored in (True, False):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            if stored:
                outputs = chain.of_stored(module, scale, 1)(pixels)
            else:
                outputs = chain.forward(module, 1)(cpu.standardised(pixels, scale, 1))
        outputs.float().square().sum().backward()
        results.append([outputs.detach(), *(p.grad for p in module.parameters() if p.grad is not None)])
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    assert len(results[0]) == (3 if flat else 5)


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    pool = kernels_cpu.pool_relu.__wrapped__(2, 32)
    pooled, winners = np.empty((1, 1, 1, 1), np.int32), np.empty((1, 1, 1, 1), np.uint8)
    pool(np.array([1, 3, 2, -7], np.float32).view(np.int32).reshape(1, 2, 2, 1), pooled, winners)
    assert (pooled.view(np.float32).item(), winners.item()) == (3.0, 1)


# ---- the choice

README = Path(blocks.__file__).with_name("README.md")
ENGINE = Path(__file__).parents[3] / "docs" / "why" / "engine.md"


def test_the_page_beside_the_code_says_what_the_code_does() -> None:
    page = README.read_text(encoding="utf-8")
    for message in (
        f"at most {LARGEST_POOL} wide",
        f"take {trial.SMALLEST_BYTES >> 20} MB or more",
        f"a win of {trial.CLEAR} times or more",
        f"at most {cpu.SHARES} threads",
        *(f"`{name}({', '.join(signature(getattr(blocks, name)).parameters)})`" for name in DOOR),
    ):
        assert message in page
    measured = re.findall(r"^\|.*\|(?: [\d,.]+ \|){5}$", page, re.MULTILINE)
    assert len(measured) == 4
    known = ENGINE.read_text(encoding="utf-8")
    assert all(row in known for row in measured)


NETWORK = "conv(4, 3) relu maxpool(2) conv(6, 3) relu maxpool(2) flatten dense"


@pytest.mark.parametrize(
    ("times", "chosen", "reason"),
    [
        (2.14, True, "fused blocks: 2.1 times as fast as PyTorch's modules here"),
        (1.04, False, "blocks not fused: only 1.0 times as fast as PyTorch's modules here"),
    ],
)
def test_the_faster_way_is_chosen_and_told(
    monkeypatch: pytest.MonkeyPatch, times: float, chosen: bool, reason: str
) -> None:
    raced: list[tuple[trial.Place, ...]] = []

    def race(places: tuple[trial.Place, ...], *_: object) -> float:
        raced.append(places)
        return times

    monkeypatch.setattr(trial, "_race", race)
    module = text.parse(NETWORK).module((3, 150, 150), 2)
    result = with_blocks(Engine("cpu", "float32", 1, ("cpu: why",)), module, (3, 150, 150), 256)
    assert (result.fused, result.reasons) == (chosen, ("cpu: why", reason))
    (places,) = raced
    assert [(p.channels, p.height, p.filters, p.first) for p in places] == [(3, 150, 4, True), (4, 74, 6, False)]
    assert [p.bytes for p in places] == [4 * 4 * 148**2, 4 * 6 * 72**2]


def test_no_trial_where_nothing_could_be_won(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_race", None)
    monkeypatch.setattr(trial, "SMALLEST_BYTES", 16 << 20)
    engine = Engine("cpu", "float32", 1, ())
    small = text.parse(NETWORK).module((3, 20, 20), 2)
    assert with_blocks(engine, small, (3, 20, 20), 32) == engine
    without = text.parse("conv(8, 3) batchnorm relu maxpool(2) flatten dense").module((3, 200, 200), 2)
    assert with_blocks(engine, without, (3, 200, 200), 512) == engine
    other = Engine("mps", "float32", 1, ())
    assert with_blocks(other, small, (3, 20, 20), 512) == other
    resumed = with_blocks(engine, small, (3, 200, 200), 512, fused=True)
    assert (resumed.fused, resumed.reasons) == (True, ("fused blocks: as when this run began",))
    assert with_blocks(engine, small, (3, 200, 200), 512, fused=False) == engine
    large = text.parse(NETWORK).module((3, 200, 200), 2)
    many = with_blocks(Engine("cpu", "float32", 17, ()), large, (3, 200, 200), 512)
    assert (many.fused, many.reasons) == (
        False,
        ("blocks not fused: they use at most 16 threads",),
    )


def test_the_trial_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SMALLEST_BYTES", 0)
    monkeypatch.setattr(trial, "SECONDS", 0)
    module = text.parse(NETWORK.replace("flatten", "batchnorm flatten")).module((3, 30, 30), 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random = torch.get_rng_state()
    chosen, reason = blocks.choose(module, (3, 30, 30), 4, "cpu", 1, False)
    assert reason is not None
    assert reason.startswith("fused blocks: " if chosen else "blocks not fused: ")
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


# ---- a training


class Pictures:
    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def batch(self, rows: np.ndarray) -> np.ndarray:
        return self.images[rows]


def train(fused: bool, precision: str, augment: str = "none") -> tuple[list[float], list[float | None], State]:
    """The losses of each step and of each validation, and the end."""
    labels = np.arange(30) % 2
    noise = np.random.default_rng(7).integers(0, 160, (30, 20, 20, 3))
    images = (noise + 90 * labels[:, None, None, None]).astype(np.uint8)
    recipe = recipes.make(epochs=3, batch=8, augment=augment, seed=4)
    assert recipe.augment != "auto"
    torch.manual_seed(4)
    engine = Engine("cpu", precision, 1, (), fused)  # type: ignore[arg-type]
    module = engine.place(text.parse(NETWORK).module((3, 20, 20), 2))
    scale, rows = Standardise((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), np.arange(30)
    task = Task(recipe, engine, scale, recipe.augment, Pictures(images), labels, rows[:24], rows[24:])
    state = State(module, optimizer(recipe, module), 3 * task.steps_per_epoch)
    steps = [event.loss for event in loop.run(task, state) if isinstance(event, Step)]
    return steps, [epoch.validation_loss for epoch in state.history], state


@pytest.mark.parametrize(("precision", "rel"), [("float32", 1e-3), ("bfloat16", 0.05)])
@pytest.mark.parametrize("augment", ["none", "light"])
def test_a_training_goes_the_same_way(precision: str, rel: float, augment: str) -> None:
    ours, theirs = train(True, precision, augment), train(False, precision, augment)
    assert len(ours[0]) == 9
    assert ours[0] == pytest.approx(theirs[0], rel=rel)
    assert ours[1] == pytest.approx(theirs[1], rel=rel)
    assert list(ours[2].module.state_dict()) == list(theirs[2].module.state_dict())
    again = train(True, precision, augment)
    assert again[:2] == ours[:2]
    assert all(
        torch.equal(a, b) for a, b in zip(again[2].module.parameters(), ours[2].module.parameters(), strict=True)
    )


def test_a_resumed_run_stays_with_its_choice(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = [(True, "fused blocks: 9.0 times as fast as PyTorch's modules here")] * 2
    monkeypatch.setattr(trial, "choose", lambda *_: choices.pop())  # for the whole run and the broken one alone
    recipe = recipes.make(model=NETWORK, size=24, epochs=3, batch=8, seed=1)

    def begin(name: str, resume: bool = False) -> Run:
        return Run(photos, recipe, tmp_path / name, tmp_path / "cache", resume, checkpoint_seconds=0.0)

    whole = begin("whole")
    list(whole)
    broken = begin("broken")
    for event in broken:
        if isinstance(event, Step) and event.step == 4:
            break
    again = begin("broken", resume=True)
    list(again)
    assert not choices
    ends = []
    for run in (whole, again):
        assert run._ready is not None
        assert run._ready.task.engine.fused
        ends.append(list(run._ready.state.module.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
