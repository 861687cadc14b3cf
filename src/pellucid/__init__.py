"""Pellucid: an image classifier you can see through.

    import pellucid

    classifier = pellucid.train("photos/", out="model")     # one folder per class -> a model folder
    classifier = pellucid.load("model")
    print(classifier.predict("picture.jpg").label)

The map, from the ground up; each part knows only those above it in this list:

    errors, files   what can go wrong; how files are written
    texts           the user's text: its encoding, and names that mean the same
    runtime         this process on this machine: threads, memory, compiled loops, explicit vectors, warnings
    steps           work that yields its progress and returns its result
    hub             repositories of files on a model hub: read with a cache, and written
    pictures        a folder, table or shards -> upright images -> a store on disk; twins; a split without leaks
    collecting      pictures that somebody collects by camera, drawing or file, a folder per class
    network         a line of text -> layers that know their sizes, cost and torch module; the user's own module
    glassbox        every number of a picture's run: its terms, forward, backward and in the update
    lessons         the 2017 article, lesson by lesson, with every number computed
    engine          device, precision; convolution, ReLU and pooling as one step
    training        recipe, loop, checkpoints, evaluation
    classifier      the model folder and its card; predict/: pictures to predictions
    exports         a classifier for other programs or a browser, checked on real pictures; a model folder for a hub
    keras           Keras models, converted to Pellucid's
    pretrained      known weights: from a package, a hub, a folder, a Pellucid model
    runs            one training, from a folder of pictures to a model folder; what a model was made from
    live            a trained model changed and trained further by hand, with undo
    debugging       two models beside each other; a model without one of its filters; what each layer knows
    life            a training made again, bit for bit: the life of each weight, and the pictures that made it
    api             the verbs, re-exported here
    serving         models for other programs: one handler, the dialects of several clients
    scale           beyond one process: trainings by several, pictures answered by a cluster
    replay, whatif  a recorded training to look back on; changes to a network
    ray             a classifier for a Ray Data pipeline
    app             the command line, and the server of the page (web/)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid import ray, replay, whatif
    from pellucid.api import (
        article,
        cached,
        clear_cache,
        evaluate,
        export,
        finish,
        load,
        plan,
        predict,
        probe,
        push,
        start,
        train,
    )
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.prediction import Prediction
    from pellucid.debugging.verbs import compare, readout, without
    from pellucid.errors import PellucidError
    from pellucid.glassbox.arithmetic.loss import Loss
    from pellucid.glassbox.page.offline import offline
    from pellucid.glassbox.trace.recording import explain
    from pellucid.glassbox.trace.trace import Trace
    from pellucid.keras.importing import import_keras
    from pellucid.life.verbs import life_of, makers, suspects, taught, trained_without
    from pellucid.network.text import parse
    from pellucid.pictures.shards.verb import pack
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
    "compare",
    "evaluate",
    "explain",
    "export",
    "finish",
    "import_keras",
    "life_of",
    "load",
    "makers",
    "offline",
    "pack",
    "parse",
    "plan",
    "predict",
    "probe",
    "push",
    "ray",
    "readout",
    "replay",
    "start",
    "suspects",
    "taught",
    "train",
    "trained_without",
    "whatif",
    "without",
]

_MODULES = ("ray", "replay", "whatif")
_HOMES = {
    "Classifier": "pellucid.classifier.classifier",
    "Loss": "pellucid.glassbox.arithmetic.loss",
    "PellucidError": "pellucid.errors",
    "Prediction": "pellucid.classifier.predict.prediction",
    "Recipe": "pellucid.training.recipe",
    "Trace": "pellucid.glassbox.trace.trace",
    "compare": "pellucid.debugging.verbs",
    "explain": "pellucid.glassbox.trace.recording",
    "import_keras": "pellucid.keras.importing",
    "life_of": "pellucid.life.verbs",
    "makers": "pellucid.life.verbs",
    "offline": "pellucid.glassbox.page.offline",
    "pack": "pellucid.pictures.shards.verb",
    "parse": "pellucid.network.text",
    "readout": "pellucid.debugging.verbs",
    "suspects": "pellucid.life.verbs",
    "taught": "pellucid.life.verbs",
    "trained_without": "pellucid.life.verbs",
    "without": "pellucid.debugging.verbs",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), because `pellucid --help` must answer at once."""
    if name not in __all__:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"pellucid.{name}")
    return getattr(import_module(_HOMES.get(name, "pellucid.api")), name)


def __dir__() -> list[str]:
    """Include the public names: a notebook completes them before they are imported."""
    return sorted({*globals(), *__all__})
