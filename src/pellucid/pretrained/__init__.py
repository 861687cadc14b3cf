"""Known weights: where they come from, and what a classifier that starts from them needs."""
