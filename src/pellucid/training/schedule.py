"""The learning rate of every step, as a plain function of the progress."""

import math

from pellucid.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step `step` (counted from 0) of `steps`.

    Warm-up is linear. `cosine` falls to 0 along half a cosine (Loshchilov & Hutter 2017, eq. 5, one period); `onecycle`
    also rises along one, from 1/25 of the largest rate over 30 % of the steps or the warm-up if that is longer (Smith &
    Topin 2018). 0 if there are no steps.
    """
    if steps == 0:
        return 0.0
    done = (step + 0.5) / steps  # the middle of the step: neither end has a rate of 0
    top = recipe.learning_rate
    if recipe.schedule == "onecycle":
        rise = max(0.3, recipe.warmup)
        if done < rise:
            return top * (0.04 + 0.96 * _half_cosine(1 - done / rise))
        return top * _half_cosine((done - rise) / (1 - rise)) if rise < 1 else top
    if done < recipe.warmup:
        return top * done / recipe.warmup
    if recipe.schedule == "cosine" and recipe.warmup < 1:
        return top * _half_cosine((done - recipe.warmup) / (1 - recipe.warmup))
    return top


def _half_cosine(share: float) -> float:
    """1 at 0, 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * share))
