"""Compare training steps with our kernels for depthwise convolutions and steps of the same modules without them.

    .venv/bin/python benchmarks/kernels.py [--networks NAME ...] [--rounds N]

It measures the processor time of one thread, because wall time on a shared machine means little. A step is forward,
backward and Adam's fused step, on random pictures. Both versions take turns in one process; the figures are medians.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from pellucid.engine import device, kernels
from pellucid.network import zoo
from pellucid.runtime.memory import keep_memory

NETWORKS = {"efficientnet_lite0": (224, 16), "mobilenetv2_100": (224, 16), "convnext_tiny": (224, 4)}
"""Name -> side in pixels, pictures in a step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    print("| network | precision | modules, ms a step | with our kernels | ratio |\n|---|---|---|---|---|")
    for name in options.networks:
        for precision in ("float32", "bfloat16"):
            plain, ours = raced(name, precision, options.rounds)
            print(f"| {name} | {precision} | {plain:,.0f} | {ours:,.0f} | {plain / ours:.2f} |", flush=True)


def raced(name: str, precision: device.Precision, rounds: int) -> tuple[float, float]:
    """Milliseconds of processor time a step: (without our kernels, with them)."""
    side, batch = NETWORKS[name]
    engine = device.choose("cpu", precision, 1)
    module = engine.place(zoo.find(name).network.module((3, side, side), 2))
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    images = torch.rand(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (batch,))

    def seconds(call: Callable[[Tensor], Tensor]) -> float:
        start = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        with engine.autocast():
            scores = call(images)
        nn.functional.cross_entropy(scores.float(), labels).backward()
        optimizer.step()
        return time.process_time() - start

    ways: tuple[Callable[[Tensor], Tensor], ...] = (module, kernels.forward(module, 1))
    turns = [[seconds(way) for way in ways] for _ in range(rounds + 1)][1:]  # the first pays for memory
    plain, ours = (1000 * median(turn[number] for turn in turns) for number in (0, 1))
    return plain, ours


if __name__ == "__main__":
    main()
