"""This process on this machine: what every room above may use, and what knows no picture and no network.

threads     how many are worth starting, jobs shared out among them, PyTorch held to one
blas        NumPy's matrix products held to one thread
memory      freed memory kept, or given back
compiled    loops of our own, compiled by Numba
vectors     whole vectors in registers, for those loops
quiet       warnings and logs put aside
"""
