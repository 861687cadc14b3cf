"""The verbs of this room: compare, without, readout. As in api.py, each imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.debugging.comparison import Comparison
    from pellucid.debugging.known import Readout
    from pellucid.debugging.removed import Without
    from pellucid.glassbox.whatif.change import Change


def compare(
    first: str | Path,
    second: str | Path | None = None,
    pictures: str | Path | Iterable[str | Path] = (),
    *,
    precision: str = "float32",
    changes: Iterable[Change] = (),
    trust: bool = False,
) -> Comparison:
    """Compare two models on the same pictures: who is right how often, which answers change, and by how much.

    Each model is a model folder, a file that `export` wrote, or a checkpoint of an unfinished training (RUN/checkpoint,
    or a file in it). `second`: by default the first, which `precision` or `changes` must then alter; both are about the
    second. `precision`: "float32", "int8", or "bfloat16" for rounded weights. `changes`: see pellucid.whatif.

    `pictures`: a labelled folder or table, of which the test side counts if it has sides, or names as for `predict`; by
    default those that the first model kept for its figure. Models with different classes are compared on the classes
    that both know.

    >>> pellucid.compare("model", "other", "photos/").labelled.difference  # doctest: +SKIP
    -0.0125

    Raises ArtefactError, RecipeError if the two cannot be compared, and CatalogError if there is no usable picture.
    """
    from pellucid.debugging import variant
    from pellucid.debugging.comparing import comparing
    from pellucid.steps import result_of

    one, other = variant.pair(first, second, precision, tuple(changes), trust)
    names = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    return result_of(comparing(one, other, names))


def without(
    model: str | Path,
    pictures: str | Path | Iterable[str | Path] = (),
    layers: Iterable[str] | None = None,
    *,
    trust: bool = False,
) -> Without:
    """Measure the accuracy without each filter: with the filter's activations set to zero, for one filter at a time.

    They are zero behind the convolution's batch norm and activation function, if these follow it. `pictures`: as for
    `compare`. `layers`: by default all convolutions; of another layer, its own channels are set to zero.

    >>> layer = pellucid.without("model", layers=["conv1"]).layers[0]    # doctest: +SKIP
    >>> layer.ranked[0].filter, layer.ranked[0].right.second             # doctest: +SKIP
    (3, 0.788)

    `trust`: as for `load`. Raises ArtefactError, CatalogError if there is no usable picture, and TraceError if there is
    no such layer or the network cannot be traced.
    """
    from pellucid.classifier import store
    from pellucid.classifier.locate import folder_of
    from pellucid.debugging import pictures as sources
    from pellucid.debugging.without import Removing

    folder = folder_of(model, trust)
    classifier = store.load(folder, trust=trust)
    names = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    chosen = sources.chosen(folder, names, classifier.classes, classifier.thresholds is not None)
    removing = Removing(classifier, folder, chosen, None if layers is None else list(layers))
    for _ in removing:
        pass
    return removing.result


def readout(model: str | Path, layers: Iterable[str] | None = None, *, trust: bool = False) -> Readout:
    """Measure what each layer knows: the accuracy of a linear readout (logistic regression) after each.

    The readouts are fitted to the model's training pictures; validation pictures choose the penalty, or, without any, a
    fifth of the training pictures; the figures are of test pictures. `layers`: by default all that compute something.

    >>> [(each.layer, each.accuracy) for each in pellucid.readout("model").layers]   # doctest: +SKIP
    [('input', 0.79), ('relu1', 0.91), ('dense1', 0.97)]

    `trust`: as for `load`. Raises ArtefactError if the pictures of the training are gone, and TraceError if there is no
    such layer or the network cannot be traced.
    """
    from pellucid.classifier import store
    from pellucid.classifier.locate import folder_of
    from pellucid.debugging.readout import Readouts

    folder = folder_of(model, trust)
    readouts = Readouts(store.load(folder, trust=trust), folder, None if layers is None else list(layers))
    for _ in readouts:
        pass
    return readouts.result
