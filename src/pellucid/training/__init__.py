"""From a recipe to weights, one step at a time."""
