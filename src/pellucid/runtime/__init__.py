"""This process on this machine: helpers for every room above, without pictures or networks.

threads     how many are worth starting, jobs divided among them, PyTorch limited to one
blas        NumPy's matrix products limited to one thread
memory      freed memory kept, or returned to the system
compiled    our own loops, compiled by Numba
vectors     whole vectors in registers, for those loops
quiet       warnings and logs silenced for a while
"""

import os

# ONNX Runtime 1.32 for Linux records its use for Microsoft: at its import it writes an identifier and a database of
# events into the user's cache. It reads this switch at its import; `disable_telemetry_events` comes too late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
