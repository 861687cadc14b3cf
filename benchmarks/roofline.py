"""The fast path step by step: each step's operations and memory traffic, the machine's limit, and the measured speed.

.venv/bin/python benchmarks/roofline.py [--write]

On one thread, in thread time, least of several. The machine's limits are measured here too: multiply-adds of whole
vectors from registers, and copies larger than any cache. --write puts the tables between the marks in
docs/why/speed.md.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fused import NETWORKS, begin
from llvmlite import ir
from measuring import machine
from numba import types
from tables import table, write

from pellucid.engine import device
from pellucid.engine.blocks import cpu, trial
from pellucid.engine.blocks.block import Block, blocks
from pellucid.engine.blocks.trial import Place
from pellucid.engine.blocks.way_direct import Direct
from pellucid.engine.blocks.way_onednn import input_gradient
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.runtime.compiled import compiled
from pellucid.runtime.vectors import FLOATS, LANES, flat, loop, multiply, store_words, words_at, written_out

PAGE, MARK = Path(__file__).parent.parent / "docs" / "why" / "speed.md", "benchmarks/roofline.py"
PICTURES = 8
ROUNDS = 9
TURNS = 1 << 22
CHAINS = 24
COPIED = 256 << 20  # bytes


@dataclass(frozen=True)
class Roof:
    """The limits of one core."""

    float32: float  # operations a second; a multiply-add is two
    bfloat16: float
    bytes: float  # per second, read and written together

    def allows(self, operations: float, moved: float, precision: str) -> float:
        """Least seconds for this work."""
        return max(operations / getattr(self, precision), moved / self.bytes)


@dataclass(frozen=True)
class Work:
    """The work for one picture."""

    name: str
    operations: float
    moved: float  # bytes that no cache saves: input and output
    seconds: float
    precision: str = "float32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    roof = Roof(peak(32), peak(16) if has_pairs() else math.inf, copied())
    parts = [
        f"One core of {machine()['processor']}: {roof.float32 / 1e9:,.0f} GFLOP/s in float32, "
        f"{roof.bfloat16 / 1e9:,.0f} in bfloat16, {roof.bytes / 1e9:,.0f} GB/s copied."
    ]
    for name in NETWORKS:
        for precision in ("bfloat16", "float32") if has_pairs() else ("float32",):
            parts += [f"### {name}, {precision}", report(name, precision, roof)]
    text = "\n\n".join(parts)
    print(text)
    if arguments.write:
        write(PAGE, MARK, text)


def has_pairs() -> bool:
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def report(name: str, precision: str, roof: Roof) -> str:
    works = list(steps(name, precision))
    whole = whole_step(name, precision)
    rest = Work("all else: dense layers, loss, optimizer, Python", 0, 0, whole - sum(step.seconds for step in works))
    rows = []
    for step in [*works, rest, Work("**a training step**", 0, 0, whole)]:
        allowed = roof.allows(step.operations, step.moved, step.precision)
        if step.name.startswith("**"):
            allowed = sum(roof.allows(each.operations, each.moved, each.precision) for each in works)
        bound = "-"
        if step.operations or step.moved:
            by_arithmetic = step.operations / getattr(roof, step.precision) > step.moved / roof.bytes
            bound = "arithmetic" if by_arithmetic else "memory"
        rows.append(
            [
                step.name,
                f"{step.operations / 1e6:,.1f} M" if step.operations else "-",
                f"{step.moved / 1e6:,.2f} MB" if step.moved else "-",
                f"{1e3 * allowed:.3f} ms" if allowed else "-",
                bound,
                f"{1e3 * step.seconds:.3f} ms",
                f"{allowed / step.seconds:.0%}" if allowed else "-",
            ]
        )
    return table(["a picture", "operations", "moved", "allowed", "by", "taken", "reached"], rows)


def steps(name: str, precision: str) -> Iterator[Work]:
    """The steps of one picture's way through the blocks and back."""
    written, side, _ = NETWORKS[name]
    module = zoo.find(written).network.module((3, side, side), 2).to(memory_format=torch.channels_last)
    pairs = zip(blocks(module), trial.described(module, (3, side, side)), strict=True)
    for number, (block, place) in enumerate(pairs, start=1):
        yield from block_steps(f"block {number}", block, place, precision)


def block_steps(name: str, block: Block, place: Place, precision: str) -> Iterator[Work]:
    dtype = torch.float32 if place.first else getattr(torch, precision)
    images = torch.randn(PICTURES, place.channels, place.height, place.width, dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    computed = getattr(torch, precision)
    way: cpu.Way = cpu.way(block, images, computed)
    if isinstance(way, Direct):  # for stored pictures
        way = replace(way, table=Standardise((0.5,) * place.channels, (0.25,) * place.channels).table())
        images = images.mul(255).to(torch.uint8)
    shape = block.pooled_shape(images)
    pooled = torch.empty(shape, dtype=computed, memory_format=block.memory)
    grad = torch.randn(shape).to(computed, memory_format=block.memory)
    winners = np.empty(shape, np.uint8)
    weight = block.conv.weight.detach()
    bias = None if block.conv.bias is None else block.conv.bias.detach()
    products = 2 * math.prod(weight.shape) * math.prod(block.maps_shape(images)[2:])
    incoming, out = images[0].numel() * images.element_size(), pooled[0].numel() * pooled.element_size()
    winning = winners[0].size
    direct = isinstance(way, Direct)
    kind = "direct" if direct else "oneDNN and a pass"
    seconds = each(lambda: way.pool(images, weight, bias, pooled, winners))
    yield Work(f"{name} forward, {kind}", products, incoming + out + winning, seconds, precision)
    sums = way.sums(1, shape[3])
    seconds = each(lambda: way.add(images, grad, winners, sums[0][0], sums[1][0]))
    if direct:
        yield Work(f"{name} weights, direct", products, incoming + out + winning, seconds, precision)
    else:  # only the winners' part, in float32
        alive = float((winners != 255).mean()) * winners[0].size
        gathered = 2 * math.prod(weight.shape[1:]) * alive
        yield Work(f"{name} weights, gathered", gathered, incoming + out + winning, seconds)
    if not place.first:
        maps = block.maps_shape(images)[2:]
        seconds = each(lambda: input_gradient(block.conv, block.size, maps, images, grad, winners))
        yield Work(f"{name} input, oneDNN", products, 2 * incoming + out + winning, seconds, precision)


def whole_step(name: str, precision: str) -> float:
    """Seconds per picture of a whole training step."""
    step = begin(name, replace(device.choose("cpu", precision, threads=1), fused=True))
    return least(step) / NETWORKS[name][2]


def each(task: Callable[[], Any]) -> float:
    """Seconds per picture."""
    with torch.no_grad():
        return least(task) / PICTURES


def least(task: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS + 2):
        start = time.thread_time()
        task()
        times.append(time.thread_time() - start)
    return min(times[2:])


def peak(bits: int) -> float:
    """Operations per second: multiply-adds of whole vectors without waiting."""
    words = np.zeros(LANES, np.uint32)
    seconds = least(lambda: burn(words, TURNS, bits))
    return TURNS * CHAINS * LANES * (2 if bits == 32 else 4) / seconds


def burn(words: np.ndarray, turns: int, bits: int) -> None:
    (_burn_32 if bits == 32 else _burn_16)(words, turns)


@written_out
def _multiply_adds(typing: Any, words: Any, turns: Any, bits: Any) -> Any:
    size = bits.literal_value

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        words, turns, _ = flat(context, build, signature, arguments)
        start = words_at(build, words, turns.type(0))
        different = [ir.Constant(FLOATS, [float(chain)] * LANES) for chain in range(CHAINS)]  # none are merged

        def turn(_: Any, sums: list[Any]) -> list[Any]:
            return [multiply(build, total, start, start, size) for total in sums]

        for total in loop(build, turns, different, turn):
            words_so_far = words_at(build, words, turns.type(0))
            added = build.fadd(total, build.bitcast(words_so_far, FLOATS))
            store_words(build, words, turns.type(0), added)

    return types.void(words, types.intp, bits), generate


@compiled
def _burn_32(words: Any, turns: int) -> None:
    _multiply_adds(words, turns, 32)


@compiled
def _burn_16(words: Any, turns: int) -> None:
    _multiply_adds(words, turns, 16)


def copied() -> float:
    """Bytes per second, read and written, of a copy larger than any cache."""
    source, target = np.ones(COPIED, np.uint8), np.ones(COPIED, np.uint8)
    return 2 * COPIED / least(lambda: np.copyto(target, source))


if __name__ == "__main__":
    main()
