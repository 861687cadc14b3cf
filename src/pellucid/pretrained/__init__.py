"""Weights that somebody trained before: where they come from, and what a classifier that starts from them needs."""
