"""The walk through the article: its lessons in order, each computed on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError, did_you_mean
from pellucid.lessons import convolution, cycle, losses, photograph, pooling, sizes
from pellucid.lessons.lesson import Lesson

DRAWN = "a drawn picture (no photograph is available)"

_LESSONS: Mapping[str, Callable[..., Lesson]] = {
    "picture": convolution.picture,
    "one-weight": convolution.one_weight,
    "pair-of-weights": convolution.pair_of_weights,
    "zeros-at-the-sides": convolution.zeros_at_the_sides,
    "two-filters": convolution.two_filters,
    "two-by-two": convolution.two_by_two,
    "six-by-six": convolution.six_by_six,
    "edges-and-blur": photograph.edges_and_blur,
    "stride": convolution.stride,
    "same-padding": convolution.same_padding,
    "depth": convolution.depth,
    "pooling": pooling.pooling,
    "output-size": sizes.output_size,
    "parameters": sizes.parameters,
    "softmax-and-losses": losses.softmax_and_losses,
    "training-forward": cycle.forward,
    "training-error": cycle.error,
    "training-backward": cycle.backward,
    "training-update": cycle.update,
    "training-squared-error": cycle.squared_error,
}

NAMES = tuple(_LESSONS)


def lessons(
    photo: NDArray[np.uint8] | None = None, caption: str = "the photograph in grey", only: str | None = None
) -> tuple[Lesson, ...]:
    """All lessons, or the one with the name `only`.

    `photo` (height, width, 3), each side from 32 to 64 pixels, shows edges and colours, under the heading `caption`;
    without one a picture is drawn. Raises TraceError for a name or a photograph that does not fit.
    """
    if only is not None and only not in _LESSONS:
        hint = did_you_mean(only, NAMES)
        raise TraceError(f"There is no lesson {only!r}.{hint} Lessons: {', '.join(NAMES)}.")
    shown = photograph.channels_first(photo)
    caption_text = DRAWN if photo is None else caption
    shown_on = {"edges-and-blur": (shown, caption_text), "depth": (shown,)}  # the others use the article's numbers
    return tuple(_LESSONS[name](*shown_on.get(name, ())) for name in NAMES if only in (None, name))
