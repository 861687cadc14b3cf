"""Changes to a network, and further changes that make one fit."""
