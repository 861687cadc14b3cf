"""One training from pictures to a model folder, and what a model was made from."""
