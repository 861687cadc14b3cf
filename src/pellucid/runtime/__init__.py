"""This process on this machine: helpers for every room above, without pictures or networks.

threads     how many are worth starting, jobs divided among them, PyTorch limited to one
blas        NumPy's matrix products limited to one thread
memory      freed memory kept, or returned to the system
compiled    our own loops, compiled by Numba
vectors     whole vectors in registers, for those loops
quiet       warnings and logs silenced for a while
"""
