"""What a command imports before it does anything, for processes that are forked from one which has imported it.

Most of a short command's time goes into that: torch, matplotlib, and what torch.export wants. Nothing here runs a
command or changes what one would meet, and no thread is left, so that a forked process begins as a new one does.
Whoever starts a forkserver names this module to it as what to preload.
"""

import importlib
import pkgutil

import numba

import pellucid

OTHERS = (
    "captum.attr",
    "h5py",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.ticker",
    "pyarrow.parquet",
    "rich.progress",
    "safetensors.torch",
    "torch._dynamo",
    "torch.export._trace",
    "torch.fx.experimental.proxy_tensor",
)
NOT_HERE = ("pellucid.__main__", "pellucid.engine.blocks.kernels_gpu")  # a program, and what needs Triton

for name in OTHERS:
    importlib.import_module(name)
for module in pkgutil.walk_packages(pellucid.__path__, "pellucid."):
    if module.name not in NOT_HERE:
        importlib.import_module(module.name)
numba.njit(lambda: None)()  # the first loop that is loaded or compiled pays for Numba's own tables
