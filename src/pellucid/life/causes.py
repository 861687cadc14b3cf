"""The verbs about cause and effect: taught, suspects, trained_without. Each imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.classifier.predict.pictures import Source
    from pellucid.life.again import Again
    from pellucid.life.influence import Method, Suspects, Teaching
    from pellucid.life.material import Material
    from pellucid.life.removed import Removal


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

    Raises CatalogError for a picture that cannot be used, TraceError for an unknown class, and ArtefactError if the
    training cannot be made again.
    """
    from pellucid.life import answer, influence
    from pellucid.steps import result_of

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


def _again(model: str | Path, cache: str | Path | None) -> Again:
    from pellucid.life.again import start
    from pellucid.steps import result_of

    return result_of(start(_material(model, cache)))


def _material(model: str | Path, cache: str | Path | None) -> Material:
    from pellucid.classifier import store
    from pellucid.classifier.locate import folder_of
    from pellucid.life.material import gather
    from pellucid.pictures.store import default_cache
    from pellucid.steps import result_of

    folder = folder_of(model)
    place = Path(cache) if cache is not None else default_cache()
    return result_of(gather(folder, store.load(folder), place))
