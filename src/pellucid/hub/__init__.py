"""Repositories on a model hub: their names, reading them, writing them. Only these two import the hub's client."""
