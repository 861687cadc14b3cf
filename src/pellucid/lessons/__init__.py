"""The article of 2017, lesson by lesson, every number computed from declarations. `walk.lessons()` gives them all."""
