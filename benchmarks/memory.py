"""The peak memory of a training step compared with `pellucid plan`: `python benchmarks/memory.py [--check]`.

Real steps of each network as Pellucid trains it without fused blocks: float32, channels-last, PyTorch's own modules.
The peak is the most bytes that PyTorch's allocator has handed out at one time, from its profiler. Prints the table of
docs/why/plan.md; with --check, fails unless every estimate is between the peak and 10% above it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from pellucid.network import plan as plans
from pellucid.network import zoo
from pellucid.training import recipe as recipes
from pellucid.training.optimizer import optimizer

CLASSES = 10
LONGEST = 70  # letters of a network in the table
CASES = (
    # network, input, batch, optimizer
    ("article", "300x300x3", 32, "adam"),
    ("lenet5", "32x32x1", 128, "sgd"),
    ("compact", "128x128x3", 32, "adamw"),
    ("resnet18", "224x224x3", 16, "adamw"),
    ("resnet18", "64x64x3", 64, "sgd"),
    ("conv(8, 3, padding=1) relu " + "conv(8, 3, padding=1) relu " * 14 + "globalavgpool dense", "48x48x3", 32, "adam"),
    ("conv(256, 3, padding=1) relu conv(256, 3, padding=1) relu globalavgpool dense", "32x32x3", 16, "adamw"),
    (f"{2 * 'conv(32, 3, padding=1) batchnorm relu '}globalavgpool dense", "64x64x3", 64, "adamw"),
    ("conv(16, 5, stride=2) relu flatten dense(64) relu dropout(0.5) dense", "96x96x3", 256, "adam"),
    ("flatten dense(2048) relu dense(2048) relu dense", "64x64x3", 8, "adamw"),
    ("conv(16, 3) silu avgpool(2) conv(32, 3) gelu l2pool(2) flatten dense", "80x80x3", 64, "sgd"),
    (
        "conv(16, 3, padding=1) relu residual(conv(16, 3, padding=1) batchnorm relu conv(16, 3, padding=1) batchnorm) "
        "relu residual(conv(32, 3, stride=2, padding=1) relu conv(32, 3, padding=1) | conv(32, 1, stride=2)) relu "
        "globalavgpool dense",
        "64x64x3",
        32,
        "adamw",
    ),
    ("conv(24, 3) relu maxpool(2) dropout(0.2) flatten dense", "60x60x3", 32, "adam"),
    ("conv(24, 3) maxpool(2) relu flatten dense", "60x60x3", 32, "adam"),
    ("conv(24, 3) relu avgpool(2) flatten dense", "60x60x3", 32, "adam"),
    ("conv(32, 5, dilation=2) sigmoid conv(64, 5, dilation=2) tanh flatten dense", "32x32x1", 8, "adam"),
    ("conv(16, 3) conv(16, 3) globalavgpool dense", "64x64x3", 32, "adam"),
    ("conv(16, 3) tanh residual(conv(16, 3, padding=1)) sigmoid flatten dense", "64x64x3", 32, "adam"),
    ("conv(20, 5) relu maxpool(2) conv(50, 5) relu maxpool(2) flatten dense(500) relu dense", "28x28x1", 1000, "sgd"),
)


def measure(network: str, shape: tuple[int, ...], batch: int, optimizer_name: str) -> int:
    """Bytes at the peak of the third step on pictures of `shape` (C, H, W)."""
    module = zoo.find(network).network.module(shape, CLASSES).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = recipes.make(optimizer=optimizer_name, learning_rate=1e-4)
    steps = optimizer(recipe, module)
    pictures = torch.rand(batch, *shape).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64)

    def step() -> None:
        steps.zero_grad(set_to_none=True)
        F.cross_entropy(module(pictures.clone()), labels).backward()
        steps.step()

    step()
    step()
    steps.zero_grad(set_to_none=True)
    stays = [*module.parameters(), *module.buffers()]
    stays += [value for each in steps.state.values() for value in each.values() if torch.is_tensor(value)]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak + sum(tensor.nbytes for tensor in stays)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if an estimate is not 1.0 to 1.1 times the peak")
    check = parser.parse_args().check
    print("| network | input | batch | optimizer | peak | plan | plan / peak |\n|---|---|---|---|---|---|---|")
    wrong = 0
    for network, size, batch, name in CASES:
        shape, states = plans.parse_input(size), 1 if name == "sgd" else 2
        peak = measure(network, shape, batch, name)
        planned = plans.plan(zoo.find(network).network, shape, CLASSES, batch, states).training_bytes
        wrong += not 1.0 <= planned / peak <= 1.1
        text = network if len(network) <= LONGEST else f"{network[:LONGEST]}…"
        line = f"| `{text.replace('|', chr(92) + '|')}` | {size} | {batch} | {name} | {peak / 1e6:,.1f} MB |"
        print(f"{line} {planned / 1e6:,.1f} MB | {planned / peak:.3f} |", flush=True)
    return int(check and wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
