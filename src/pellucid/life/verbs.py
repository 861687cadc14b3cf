"""The verbs of this room: life_of, makers, taught, suspects, trained_without.

As in api.py, each imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.classifier.predict.pictures import Source
    from pellucid.life.again import Again
    from pellucid.life.influence import Method, Suspects, Teaching
    from pellucid.life.makers import Makers
    from pellucid.life.material import Material
    from pellucid.life.removed import Removal
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
    if there is no such weight; RecipeError if there is no such step, or `largest` is below 0.
    """
    from pellucid.life.story import living
    from pellucid.steps import result_of

    again = _again(model, cache, [weight])
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
    from pellucid.life.filters import collect
    from pellucid.steps import result_of

    again = _again(model, cache)
    return result_of(collect(again, None if layers is None else list(layers)))


def taught(
    model: str | Path,
    picture: Source,
    label: str | None = None,
    *,
    method: Method = "derivative",
    verify: int = 0,
    cache: str | Path | None = None,
) -> Teaching:
    """Estimate who taught an answer: how much higher its loss would be without each training picture, in nats.

    `label`: the class, by default the most probable one. `method`: "derivative" follows the answer's loss back through
    every step of the training, which is made again; "tracin" (Pruthi et al. 2020) looks at 20 moments of it and is far
    less exact. A head on a frozen backbone has a closed form instead. `verify`: train again without so many of the
    strongest helpers, and without so many of the strongest hurters, and measure the loss. `cache`: as for `train`.

    >>> result = pellucid.taught("model", "digit.png", verify=5)        # doctest: +SKIP
    >>> [(each.path, each.effect) for each in result.helped(3)]         # doctest: +SKIP
    [('0/1229.png', 0.0051), ('0/0980.png', 0.0036), ('0/1177.png', 0.0025)]
    >>> [each.agrees for each in result.verified]                       # doctest: +SKIP
    [True, True]

    Raises CatalogError for a picture that cannot be used, TraceError for an unknown class, RecipeError for an unknown
    method or `verify` below 0, and ArtefactError if the training cannot be made again.
    """
    from pellucid.errors import RecipeError
    from pellucid.life import answer, influence
    from pellucid.steps import result_of

    if verify < 0:
        raise RecipeError(f"verify is {verify}; it must be 0 or more.")
    again = _again(model, cache)
    answered = answer.of(again.material.classifier, picture, label)
    result = result_of(influence.teaching(again, answered, method))
    groups = [some for some in (result.helped(verify), result.hurt(verify)) if some]
    return result_of(influence.verifying(again.material, answered, result, groups))


def suspects(model: str | Path, *, cache: str | Path | None = None) -> Suspects:
    """Rank the training pictures by how suspicious their labels are: how much each alone had to teach its own label.

    >>> [each.path for each in pellucid.suspects("model").every[:10]]   # doctest: +SKIP

    `cache`: as for `train`. Raises ArtefactError if the training cannot be made again.
    """
    from pellucid.life import influence
    from pellucid.steps import result_of

    return result_of(influence.suspecting(_again(model, cache)))


def trained_without(
    model: str | Path, pictures: str | Path | Iterable[str | Path], *, cache: str | Path | None = None
) -> Removal:
    """Train again without some training pictures, and compare: the weights, the answers, the figures.

    All else stays: the order, the random choices, the number of steps. The steps before the first use of one of them
    are the same, bit for bit. `pictures`: paths, as in the model's split.csv or to the files, or to copies of them.

    >>> result = pellucid.trained_without("model", "photos/cat/7.jpg")  # doctest: +SKIP
    >>> result.first, result.comparison.labelled.difference             # doctest: +SKIP
    (21, 0.0)

    `cache`: as for `train`. Raises CatalogError for a picture that the model was not trained on, and ArtefactError if
    the training cannot be made again.
    """
    from pellucid.life import named, removed
    from pellucid.steps import result_of

    material = _material(model, cache)
    names = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    return result_of(removed.removing(material, named.rows(material, names)))


def _again(model: str | Path, cache: str | Path | None, weights: Iterable[str] = ()) -> Again:
    from pellucid.life.again import start
    from pellucid.steps import result_of

    return result_of(start(_material(model, cache, weights)))


def _material(model: str | Path, cache: str | Path | None, weights: Iterable[str] = ()) -> Material:
    from pellucid.classifier.locate import folder_of
    from pellucid.life.again import gathered
    from pellucid.pictures.store import default_cache
    from pellucid.steps import result_of

    return result_of(gathered(folder_of(model), default_cache() if cache is None else Path(cache), weights))
