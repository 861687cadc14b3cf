"""A GPU's kernels, on a GPU if there is one, else in Triton's interpreter, number by number.

Triton is not a dependency: PyTorch for CUDA includes it. `make test` installs it if possible, and says so if not.
"""

import os

import numpy as np
import pytest
import torch


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The device that runs the GPU's blocks: a GPU, or the CPU instead."""
    pytest.importorskip("triton", reason="NOT TESTED: the kernels of a GPU; Triton is not installed")
    from pellucid.engine.blocks import gpu as on_gpu

    if torch.cuda.is_available() and "TRITON_INTERPRET" not in os.environ:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # it rounds what is to be compared to 10 bits
        return torch.device("cuda")
    _widen_products(monkeypatch)
    monkeypatch.setattr(on_gpu, "takes", lambda device: True)
    return torch.device("cpu")


def _widen_products(patch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter stores bfloat16 as integers, and would multiply these."""
    import triton.language as tl
    from triton.runtime import interpreter

    plain = interpreter.InterpreterBuilder.create_dot

    def wide(inputs: interpreter.TensorHandle) -> interpreter.TensorHandle:
        if inputs.dtype.scalar != tl.bfloat16:
            return inputs
        return interpreter.TensorHandle((inputs.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    patch.setattr(
        interpreter.InterpreterBuilder,
        "create_dot",
        lambda self, one, other, *rest: plain(self, wide(one), wide(other), *rest),
    )
