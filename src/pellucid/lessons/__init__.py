"""The 2017 article, lesson by lesson, every number computed from declarations. `walk.lessons()` returns them all."""
