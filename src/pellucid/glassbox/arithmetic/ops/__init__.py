"""The declarations: one function per op, from the shapes of its arrays to the op as data."""
