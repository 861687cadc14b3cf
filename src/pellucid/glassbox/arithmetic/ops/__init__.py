"""The declarations: one function an op, from the shapes of its arrays to the op as data."""
