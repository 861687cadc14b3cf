"""Compile the kernels for absent GPUs, and print what each takes as JSON. Runs in a process without the interpreter."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from torch import nn
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pellucid.engine.blocks import gpu, kernels_gpu
from pellucid.engine.blocks.block import steps

SIZES = ["total", "high", "wide", "pooled_high", "pooled_wide", "to_picture", "to_filter", "to_row", "to_column"]
POINTERS = {
    "scales": "fp32",
    "shifts": "fp32",
    "bias": "fp32",
    "winners": "u8",
    "weight_sums": "fp32",
    "bias_sums": "fp32",
}


def compiled(name: str, images: str, number: str, constants: dict[str, int], capability: int) -> dict[str, object]:
    kernel = getattr(kernels_gpu, name)
    others = dict.fromkeys(("weight", "pooled", "grad", "maps", "maps_grad"), number) | {"images": images}
    kinds = {key: f"*{kind}" for key, kind in (POINTERS | others).items()} | dict.fromkeys(SIZES, "i32")
    signature = {key: "constexpr" if key in constants else kinds[key] for key in kernel.arg_names}
    # as when it is called: tensors begin at whole vectors, and in channels-last order filters lie side by side
    if "to_filter" in signature:
        constants, signature["to_filter"] = constants | {"to_filter": 1}, "constexpr"
    aligned = [["tt.divisibility", 16]]
    places = [n for n, key in enumerate(kernel.arg_names) if signature[key].startswith("*")]
    source = ASTSource(kernel, signature, constants, {(place,): aligned for place in places})
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_stages": 1})
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    registers, spilled = re.search(r"REG:(\d+) STACK:(\d+)", usage).groups()
    facts = {"registers": int(registers), "spilled": int(spilled), "shared": made.metadata.shared}
    return {"kernel": name, "capability": capability, "images": images, "number": number, **facts}


def constants(*conv: int, **settings: int) -> dict[str, int]:
    module = nn.Sequential(nn.Conv2d(*conv, **settings), nn.ReLU(), nn.MaxPool2d(2))
    block = steps(module)[0]
    assert gpu.is_direct(block, torch.empty(1, conv[0], 64, 64))
    return gpu._constants(block)


results = []
for capability in (80, 90):
    for number, images in (("fp32", "fp32"), ("bf16", "u8")):
        for name in ("pool_relu", "unpool"):
            passing = {"FILTERS": 32, "SIZE": 2, "BLOCK": gpu.NUMBERS}
            results.append(compiled(name, number, number, passing, capability))
        for block in (constants(3, 10, 5), constants(3, 32, 3), constants(1, 8, 3, padding=1), constants(4, 32, 7)):
            for name in ("direct", "direct_gradients"):
                results.append(compiled(name, images, number, block, capability))
json.dump(results, sys.stdout)
