"""The verbs of this room: life_of, makers. As in api.py, each imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.life.makers import Makers
    from pellucid.life.story import Life


def life_of(
    model: str | Path,
    weight: str,
    *,
    largest: int = 5,
    steps: tuple[int, int] | None = None,
    cache: str | Path | None = None,
) -> Life:
    """Make the training of a model again, and follow one weight from its first value to the saved one.

    `weight`: such as "conv1.weight[3, 0, 2, 2]". `largest`: how many of its largest steps to tell in full. `steps`:
    only from this one to that, counted from 1. `cache`: where decoded pictures are, by default the user's cache. A
    model folder is named, and not a classifier, because a classifier does not know its pictures.

    >>> life = pellucid.life_of("model", "conv1.weight[3, 0, 2, 2]")                    # doctest: +SKIP
    >>> life.first, life.moved, life.last, life.exact                                   # doctest: +SKIP
    (-0.1363, 0.2207, 0.0844, True)
    >>> [(each.path, each.net) for each in life.pushers[:2]]                            # doctest: +SKIP
    [('cat/12.jpg', 0.0123), ('dog/7.jpg', -0.0101)]

    If the training does not end in the saved weights, as on another machine, `exact` is False and `drift` says how far
    apart they are. Raises ArtefactError if the training cannot be made again, such as without its pictures; TraceError
    if there is no such weight; RecipeError if there is no such step.
    """
    from pellucid.classifier.locate import folder_of
    from pellucid.life.again import opened
    from pellucid.life.story import living
    from pellucid.pictures.store import default_cache
    from pellucid.steps import result_of

    again = result_of(opened(folder_of(model), default_cache() if cache is None else Path(cache), [weight]))
    (life,) = result_of(living(again, [weight], largest, steps))
    return life


def makers(model: str | Path, layers: Iterable[str] | None = None, *, cache: str | Path | None = None) -> Makers:
    """Make the training of a model again, and collect the training pictures that made each filter.

    A picture's push on a filter is how far its parts of all gradients moved the filter's weights along the line from
    their first to their last values; positive towards the last. For SGD and RMSprop the pushes of all pictures and
    weight decay add up to the length of that line; for Adam and AdamW the sum is an estimate. `layers`: convolutions
    and dense layers, by default all. `cache`: where decoded pictures are, by default the user's cache.

    >>> makers = pellucid.makers("model", ["conv1"])                                    # doctest: +SKIP
    >>> strongest = makers.layers[0].filters[3].whole.toward[0]                         # doctest: +SKIP
    >>> makers.pictures[strongest.row].path, strongest.push                             # doctest: +SKIP
    ('5/0421.png', 0.138)

    If the training does not end in the saved weights, as on another machine, `drift` says how far apart they are.
    Raises ArtefactError if the training cannot be made again, such as without its pictures; TraceError if there is no
    such layer, no step changed it, or the sums of so many filters and pictures would take more than 1 GB.
    """
    from pellucid.classifier.locate import folder_of
    from pellucid.life.again import opened
    from pellucid.life.filters import collect
    from pellucid.pictures.store import default_cache
    from pellucid.steps import result_of

    again = result_of(opened(folder_of(model), default_cache() if cache is None else Path(cache)))
    return result_of(collect(again, None if layers is None else list(layers)))
