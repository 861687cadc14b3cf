"""The cost of the glass box: the trace of a picture compared with a training step on it, and the working of one number.

    .venv/bin/python benchmarks/glassbox.py [--only article ...]

A step and a trace alternate in one run and the medians are compared, because these machines are shared. Both have one
picture and AdamW; the trace stores every value and gradient, and is verified against the module's own run, forward,
backward and step. The capture of the graph, once per model, is timed separately, and so is a module's whole first
`explain`. A unit's or weight's working is timed with its check, at the worst of many random places; the memory is that
of the trace's arrays.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from pellucid.engine import device
from pellucid.glassbox.trace import exporting
from pellucid.glassbox.trace.recording import explain, record
from pellucid.glassbox.trace.trace import Trace
from pellucid.network import zoo

CASES = {"article": (3, 300, 300), "lenet5": (1, 32, 32), "compact": (3, 96, 96), "resnet18": (3, 224, 224)}
REPEATS = 15
PLACES = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    heads = ("network", "first explain", "graph, once", "training step", "trace", "ratio", "trace's arrays")
    print(f"| {' | '.join((*heads, 'unit, worst', 'weight, worst'))} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in parser.parse_args().only:
        print(measure(name), flush=True)


def measure(name: str) -> str:
    device.choose("cpu")
    torch.manual_seed(0)
    shape = CASES[name]
    module = zoo.find(name).network.module(shape, 2 if name == "article" else 10)
    sample = torch.randn(1, *shape).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(module.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(module(sample), torch.tensor([1])).backward()
        optimizer.step()

    module.eval()  # one picture has no batch statistics
    _, first = timed(lambda: explain(module, sample, 1, optimizer=optimizer))
    graph, once = timed(lambda: exporting.capture(module, sample))
    steps, traces = [], []
    for _ in range(REPEATS):
        steps.append(timed(step)[1])
        trace, seconds = timed(lambda: record(module, graph, sample, 1, optimizer=optimizer))
        traces.append(seconds)
    arrays = [*trace.values.values(), *trace.gradients.values(), *(step.after for step in trace.updates.values())]
    arrays += [array for step in trace.updates.values() for array in step.remembered.values()]
    stored = sum(array.nbytes for array in arrays)
    one, other = float(np.median(steps)), float(np.median(traces))
    unit = worst(trace, [node.name for node in trace.nodes], trace.unit)
    weight = worst(trace, list(trace.parameters), trace.gradient)
    cells = [name, *(f"{t:.2f} s" for t in (first, once)), *(f"{t * 1e3:.1f} ms" for t in (one, other))]
    cells += [f"{other / one:.2f}"]
    cells += [f"{stored / 1e6:.0f} MB", f"{unit * 1e3:.1f} ms", f"{weight * 1e3:.1f} ms"]
    return f"| {' | '.join(cells)} |"


def worst(trace: Trace, names: list[str], work: Callable[[str], object]) -> float:
    """The longest of PLACES workings, each the better of two runs: another program's turn must not count."""
    random = np.random.default_rng(0)
    longest = 0.0
    for _ in range(PLACES):
        name = names[random.integers(len(names))]
        place = f"{name}[{', '.join(str(random.integers(size)) for size in trace.shape(name))}]"
        longest = max(longest, min(timed(partial(work, place))[1] for _ in range(2)))
    return longest


def timed(work: Callable[[], object]) -> tuple:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
