"""The imports of a command, for processes forked from one that has done them.

Most of a short command's time goes into them: torch, matplotlib, and the needs of torch.export. Nothing here runs a
command or changes its surroundings, and no thread remains, so a forked process starts like a new one. Every forkserver
must preload this module.
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
