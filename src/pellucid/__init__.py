"""Pellucid: an image classifier you can see through.

    import pellucid

    classifier = pellucid.train("photos/", out="model")     # a folder a class -> a model folder
    classifier = pellucid.load("model")
    print(classifier.predict("picture.jpg").label)

The map, from the ground up; each part knows only those above it in this list:

    errors, files   what can go wrong; how files are written
    texts           text of the user's: its encoding, and names that are the same
    runtime         this process on this machine: threads, memory, loops of our own, vectors by hand, warnings
    steps           work that yields how far it is and returns its result
    pictures        a folder or table -> upright images -> a store on disk, twins found, split without a leak
    network         a line of text -> layers that know their sizes, cost and torch module; a module of the user's
    glassbox        every number of a picture's run: what it is made of, forward, backward and updated
    lessons         the 2017 article, lesson by lesson, every number computed
    engine          device, precision; convolution, ReLU and pooling as one step
    training        recipe, loop, checkpoints, evaluation
    classifier      what is saved and loaded; predict/: pictures to predictions; the model card
    keras           a model that Keras saved becomes one of ours
    pretrained      known weights: of a package, a hub, a folder, a model of ours
    runs            one training from a folder of pictures to a model folder; what a model was made from
    api             the verbs, re-exported here
    serving         models for other programs: one handler, the dialects of several clients
    replay, whatif  a training to look back on; changes of a network to try
    app             the command line, and what serves the page (web/)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid import replay, whatif
    from pellucid.api import (
        article,
        cached,
        clear_cache,
        evaluate,
        finish,
        load,
        plan,
        predict,
        probe,
        start,
        train,
    )
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.prediction import Prediction
    from pellucid.errors import PellucidError
    from pellucid.glassbox.arithmetic.loss import Loss
    from pellucid.glassbox.page.offline import offline
    from pellucid.glassbox.trace.recording import explain
    from pellucid.glassbox.trace.trace import Trace
    from pellucid.keras.importing import import_keras
    from pellucid.network.text import parse
    from pellucid.training.recipe import Recipe

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Loss",
    "PellucidError",
    "Prediction",
    "Recipe",
    "Trace",
    "article",
    "cached",
    "clear_cache",
    "evaluate",
    "explain",
    "finish",
    "import_keras",
    "load",
    "offline",
    "parse",
    "plan",
    "predict",
    "probe",
    "replay",
    "start",
    "train",
    "whatif",
]

_MODULES = ("replay", "whatif")
_HOMES = {
    "Classifier": "pellucid.classifier.classifier",
    "Loss": "pellucid.glassbox.arithmetic.loss",
    "PellucidError": "pellucid.errors",
    "Prediction": "pellucid.classifier.predict.prediction",
    "Recipe": "pellucid.training.recipe",
    "Trace": "pellucid.glassbox.trace.trace",
    "explain": "pellucid.glassbox.trace.recording",
    "import_keras": "pellucid.keras.importing",
    "offline": "pellucid.glassbox.page.offline",
    "parse": "pellucid.network.text",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used (PEP 562): `pellucid --help` answers at once."""
    if name not in __all__:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"pellucid.{name}")
    return getattr(import_module(_HOMES.get(name, "pellucid.api")), name)


def __dir__() -> list[str]:
    """The public names too: a notebook completes them before they are imported."""
    return sorted({*globals(), *__all__})
