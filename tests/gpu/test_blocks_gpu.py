"""Blocks fused on a GPU against the three modules: maps, winners' gradients, every kind of block, a whole training."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pellucid.engine.blocks import chain, trial
from pellucid.engine.blocks import gpu as on_gpu
from pellucid.engine.blocks.block import Block, steps
from pellucid.engine.device import Engine, with_blocks
from pellucid.network import text
from pellucid.network.standardise import Standardise, to_unit
from pellucid.training import loop
from pellucid.training.loop import State, Task
from pellucid.training.resident import Resident

BOTH = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Case:
    """A block, and whether it is convolved in registers."""

    conv: dict[str, object]
    pool: int
    shape: tuple[int, int, int, int]  # (n, C, H, W)
    flat: bool = False
    grad: bool = False
    direct: bool = True


def conv(channels: int, filters: int, kernel: object, **settings: object) -> dict[str, object]:
    return {"in_channels": channels, "out_channels": filters, "kernel_size": kernel, **settings}


CASES = {
    "as a first block": Case(conv(3, 10, 5), 2, (3, 3, 15, 18)),
    "flattened next, so channel by channel": Case(conv(3, 10, 5), 2, (2, 3, 15, 18), flat=True),
    "padded, with steps, windows of three": Case(conv(1, 6, (3, 5), stride=(2, 1), padding=(1, 2)), 3, (2, 1, 21, 19)),
    "many filters, no bias": Case(conv(3, 32, 3, bias=False), 2, (2, 3, 9, 11)),
    "windows of one": Case(conv(4, 5, 1), 1, (2, 4, 5, 7)),
    "more filters than registers hold": Case(conv(3, 33, 3), 2, (2, 3, 8, 8), direct=False),
    "a deeper block": Case(conv(8, 12, 3, padding=1), 2, (2, 8, 9, 11), grad=True, direct=False),
    "a deeper one with steps, no bias": Case(
        conv(6, 7, 3, stride=2, bias=False), 3, (2, 6, 23, 17), grad=True, direct=False
    ),
    "few channels, but their gradient is asked for": Case(conv(3, 4, 3), 2, (2, 3, 8, 9), grad=True, direct=False),
}


def modules(case: Case, device: torch.device, seed: int = 3) -> nn.Sequential:
    """Filters of whole numbers: every sum is exact in bfloat16 too, and ties are frequent."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Conv2d(**case.conv)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randint(-1, 2, parameter.shape, generator=generator))
    rest = [nn.ReLU(), nn.MaxPool2d(case.pool), *([nn.Flatten()] if case.flat else [])]
    return nn.Sequential(layer, *rest).to(device, memory_format=torch.channels_last)


def fused(module: nn.Sequential) -> Callable[[Tensor], Tensor]:
    return partial(chain.run_block, block_of(module), 1)


def block_of(module: nn.Sequential) -> Block:
    block = steps(module)[0]
    assert isinstance(block, Block)
    return block


def pictures(case: Case, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(-1, 2, case.shape, generator=generator).float().to(device)
    return images.contiguous(memory_format=torch.channels_last).requires_grad_(case.grad)


def there_and_back(way: Callable[[Tensor], Tensor], module: nn.Module, images: Tensor) -> list[Tensor]:
    """The maps, and the gradients of weight, bias and images, for a gradient of whole numbers."""
    leaves = [*module.parameters(), *([images] if images.requires_grad else [])]
    maps = way(images)
    gradient = torch.randint(-2, 3, maps.shape, generator=torch.Generator().manual_seed(7)).to(maps)
    return [maps.detach(), *torch.autograd.grad(maps, leaves, gradient)]


@pytest.mark.parametrize("dtype", BOTH, ids=str)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_maps_and_gradients_are_pytorchs(gpu: torch.device, case: Case, dtype: torch.dtype) -> None:
    module, images = modules(case, gpu), pictures(case, gpu)
    block = block_of(module)
    assert on_gpu.is_direct(block, images) is case.direct
    with torch.autocast(gpu.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        result = there_and_back(fused(module), module, images)
    wanted = there_and_back(block.plain, module, images)
    assert result[0].dtype == dtype
    assert result[0].is_contiguous(memory_format=block.memory)
    for one, other in zip(result, wanted, strict=True):
        assert torch.equal(one.float(), other)
    assert result[0].max() > 0


def test_numbers_that_are_not_whole(gpu: torch.device) -> None:
    for case in (CASES["as a first block"], CASES["a deeper block"]):
        torch.manual_seed(1)
        module = modules(case, gpu)
        for parameter in module.parameters():
            nn.init.normal_(parameter)
        images = torch.randn_like(pictures(case, gpu)).requires_grad_(case.grad)
        result = there_and_back(fused(module), module, images)
        double = modules(case, gpu).double()
        double.load_state_dict(module.state_dict())
        wanted = there_and_back(double, double, images.detach().double().requires_grad_(case.grad))
        for one, other in zip(result, wanted, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["as a first block", "padded, with steps, windows of three"])
def test_stored_bytes_go_straight_in(gpu: torch.device, name: str) -> None:
    case = CASES[name]
    module, depth = modules(case, gpu), case.shape[1]
    scale = Standardise(tuple(0.3 + 0.1 * c for c in range(depth)), tuple(0.2 + 0.1 * c for c in range(depth)))
    count, _, high, wide = case.shape
    pixels = torch.randint(0, 256, (count, high, wide, depth), generator=torch.Generator().manual_seed(9))
    pixels = pixels.to(gpu, torch.uint8)
    calls: list[torch.dtype] = []
    run = on_gpu.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_gpu, "run", lambda *inputs: calls.append(inputs[1].dtype) or run(*inputs))
        result = there_and_back(chain.of_stored(module, scale, threads=1), module, pixels)
    wanted = there_and_back(lambda inputs: module(scale(to_unit(inputs, str(gpu)))), module, pixels)
    assert calls == [torch.uint8]
    for one, other in zip(result, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["as a first block", "a deeper block"])
def test_a_number_that_is_none_stays_one(gpu: torch.device, name: str) -> None:
    case = CASES[name]
    module, images = modules(case, gpu), pictures(case, gpu).detach()
    images[1, 0, 4, 5] = torch.nan
    result, wanted = fused(module)(images), module(images)
    assert wanted.isnan().any()
    assert torch.equal(result.isnan(), wanted.isnan())
    assert torch.equal(result.nan_to_num(-1), wanted.nan_to_num(-1))


def test_more_windows_than_programs(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each program then adds several parts of them, in order."""
    case = CASES["as a first block"]
    module, images = modules(case, gpu), pictures(case, gpu)
    monkeypatch.setattr(on_gpu, "PROGRAMS", 1)
    result, wanted = (there_and_back(way, module, images) for way in (fused(module), module))
    assert all(torch.equal(one, other) for one, other in zip(result, wanted, strict=True))


def test_training_after_predicting(gpu: torch.device) -> None:
    """As in a run that is resumed between an epoch's last step and its validation."""
    case = CASES["flattened next, so channel by channel"]
    module, images = modules(case, gpu), pictures(case, gpu)
    on_gpu._of_taps.cache_clear()
    with torch.inference_mode():
        predicted = fused(module)(images)
    result = there_and_back(fused(module), module, images)
    assert torch.equal(result[0], predicted)


def test_maps_with_more_places_than_32_bits_count_are_pytorchs_own(gpu: torch.device) -> None:
    block = block_of(modules(CASES["as a first block"], gpu))
    assert on_gpu.fits(block, torch.empty(700, 3, 550, 550, device="meta")) is (gpu.type == "cpu")
    assert not on_gpu.fits(block, torch.empty(800, 3, 550, 550, device="meta"))


# ---- the choice

RACE = trial._race  # --blocks has another's outcome in its place
NETWORK = "conv(4, 3) relu maxpool(2) conv(6, 3) relu maxpool(2) flatten dense"


def race(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(trial, "SECONDS", 0)
    places = tuple(trial.described(text.parse(NETWORK).module((3, 16, 16), 2), (3, 16, 16)))
    return RACE.__wrapped__(places, 2, False, gpu)


def test_both_ways_are_held_against_each_other_before_they_race(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert race(gpu, monkeypatch) > 0
    run = on_gpu.run
    monkeypatch.setattr(on_gpu, "run", lambda *inputs: run(*inputs) * 1.2)
    assert math.isnan(race(gpu, monkeypatch))


@pytest.mark.parametrize(
    ("times", "fuses", "reason"),
    [
        (3.14, True, "fused blocks: 3.1 times as fast as PyTorch's modules here"),
        (1.0, False, "blocks not fused: only 1.0 times as fast as PyTorch's modules here"),
        (float("nan"), False, "blocks not fused: their numbers differ from PyTorch's on this machine"),
        (RuntimeError("no\nway"), False, "blocks not fused: they failed on this GPU (RuntimeError: no)"),
    ],
)
def test_the_choice_on_a_gpu_is_told(
    monkeypatch: pytest.MonkeyPatch, times: float | Exception, fuses: bool, reason: str
) -> None:
    def raced(*inputs: object) -> float:
        assert inputs[-1] == torch.device("cuda:1")
        if isinstance(times, Exception):
            raise times
        return times

    monkeypatch.setattr(trial, "_race", raced)
    monkeypatch.setattr(on_gpu, "has_triton", lambda: True)
    engine, module = Engine("cuda:1", "bfloat16", 1, ()), text.parse(NETWORK).module((3, 150, 150), 2)
    monkeypatch.setattr(Engine, "settle", lambda self: None)
    chosen = with_blocks(engine, module, (3, 150, 150), 256)
    assert (chosen.fused, chosen.reasons) == (fuses, (reason,))
    monkeypatch.setattr(on_gpu, "has_triton", lambda: False)
    chosen = with_blocks(engine, module, (3, 150, 150), 256)
    assert (chosen.fused, chosen.reasons) == (False, ("blocks not fused: Triton is not installed",))


# ---- a training


@dataclass(frozen=True)
class Pictures:
    images: Tensor

    def batch(self, rows: Tensor) -> Tensor:
        return self.images.numpy()[rows]


@pytest.mark.parametrize("augment", ["none", "light"])
def test_a_training_of_pictures_held_on_a_gpu(gpu: torch.device, augment: str) -> None:
    from pellucid.training import recipe as recipes
    from pellucid.training.optimizer import optimizer

    def train(plain: bool) -> State:
        torch.manual_seed(0)
        count, generator = 12, torch.Generator().manual_seed(2)
        images = torch.randint(0, 256, (count, 14, 14, 3), generator=generator).to(torch.uint8)
        labels = (torch.arange(count) % 2).numpy()
        recipe = recipes.make(epochs=1, batch=6, augment=augment)
        engine = Engine(str(gpu), "float32", 1, (), fused=not plain)
        module = engine.place(text.parse("conv(4, 3) relu maxpool(2) flatten dense").module((3, 14, 14), 2))
        scale = Standardise((0.5,) * 3, (0.25,) * 3)
        rows = torch.arange(count).numpy()
        task = Task(recipe, engine, scale, recipe.augment, Pictures(images), labels, rows[:8], rows[8:])  # type: ignore[arg-type]
        task = replace(task, images=Resident(task.images, count, engine))
        state = State(module, optimizer(recipe, module), task.steps_per_epoch)
        for _ in loop.run(task, state):
            pass
        return state

    fast, plain = train(plain=False), train(plain=True)
    assert fast.history[0].train_loss == pytest.approx(plain.history[0].train_loss, rel=1e-4)
    assert fast.history[0].validation_loss == pytest.approx(plain.history[0].validation_loss, rel=1e-4)


# ---- what a GPU would be given


def test_kernels_compile_for_gpus_without_one(gpu: torch.device, tmp_path: Path) -> None:
    """To machine code of an A100 and an H100 by Triton's own assembler, and no number leaves the registers."""
    script = Path(__file__).with_name("compile_kernels.py")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    compiled = json.loads(run.stdout)
    assert {entry["capability"] for entry in compiled} == {80, 90}
    assert {entry["kernel"] for entry in compiled} == {"pool_relu", "unpool", "direct", "direct_gradients"}
    for entry in compiled:
        assert entry["spilled"] == 0, entry
        assert entry["shared"] <= 48 << 10, entry  # what every GPU gives a program unasked
