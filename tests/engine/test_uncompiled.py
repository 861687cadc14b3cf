"""The optimizers without the compiler's import: PyTorch's own numbers, and no import."""

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch

from pellucid.engine.uncompiled import uncompiled

KINDS: list[tuple[Any, dict[str, Any]]] = [
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.AdamW, {"weight_decay": 0.1, "fused": True}),
    (torch.optim.RMSprop, {"momentum": 0.5}),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_bit_for_bit(kind: Any, settings: dict[str, Any]) -> None:
    torch.manual_seed(3)
    first = torch.nn.Linear(7, 5)
    second = copy.deepcopy(first)
    inputs = torch.randn(4, 7)
    for module, made in ((first, uncompiled(kind)), (second, kind)):
        optimizer = made(module.parameters(), lr=0.01, **settings)
        assert (type(optimizer).__name__, type(optimizer).__module__) == (kind.__name__, kind.__module__)
        for _ in range(3):
            optimizer.zero_grad(set_to_none=True)
            module(inputs).square().sum().backward()
            optimizer.step()
    assert not torch.equal(first.weight, torch.zeros_like(first.weight))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_nothing_is_imported_for_it() -> None:
    code = """
import sys, torch
from pellucid.engine.uncompiled import uncompiled
module = torch.nn.Linear(2, 2)
for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop):
    optimizer = uncompiled(kind)(module.parameters(), lr=0.1)
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
print("torch._dynamo" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
