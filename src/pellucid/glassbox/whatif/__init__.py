"""Changes of a network, and what would make one fit."""
