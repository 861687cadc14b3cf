"""Pellucid: an image classifier you can see through.

    import pellucid

    classifier = pellucid.train("photos/", out="model")     # a folder a class -> a model folder
    classifier = pellucid.load("model")
    print(classifier.predict("picture.jpg").label)

The map, from the ground up; each part knows only those above it in this list:

    errors, files   what can go wrong; how files are written
    texts           text of the user's: its encoding, and names that are the same
    runtime         this process on this machine: threads, memory, loops of our own, vectors by hand, warnings
    pictures        a folder or table -> upright images -> a store on disk, twins found, split without a leak
    network         a line of text -> layers that know their sizes, cost and torch module; a module of the user's
    glassbox        every number of a picture's run: what it is made of, forward, backward and updated
    engine          device, precision; convolution, ReLU and pooling as one step
    training        recipe, loop, checkpoints, evaluation
    classifier      what is saved, loaded and asked; the model card
    keras           a model that Keras saved becomes one of ours
    pretrained      known weights: of a package, a hub, a folder, a model of ours
    predicting      from a model folder to predictions, without importing what they do not need
    describing      predictions with the features of each picture, as Parquet
    kept            which pictures a model was made from
    place           whether a folder can be written, and what stands in it to go on from
    transfer        what a training starts from: random weights, or known ones
    told            what a training tells of its pictures
    run, outcome    one training from a folder of pictures to a model folder; how it ends
    folds           a cross-validation: a training a fold, then one on all pictures
    evaluating      a saved model on a folder, and which of its pictures it has seen
    api             the verbs, re-exported here
    app             the command line, and what serves the page (web/)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.api import article, evaluate, explain, finish, import_keras, load, plan, probe, start, train
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predictor import Prediction
    from pellucid.errors import PellucidError
    from pellucid.glassbox.loss import Loss
    from pellucid.glassbox.trace import Trace
    from pellucid.predicting import predict
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
    "evaluate",
    "explain",
    "finish",
    "import_keras",
    "load",
    "plan",
    "predict",
    "probe",
    "start",
    "train",
]

_HOMES = {
    "Classifier": "pellucid.classifier.classifier",
    "Loss": "pellucid.glassbox.loss",
    "PellucidError": "pellucid.errors",
    "Prediction": "pellucid.classifier.predictor",
    "Recipe": "pellucid.training.recipe",
    "Trace": "pellucid.glassbox.trace",
    "predict": "pellucid.predicting",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used (PEP 562), so that `pellucid --help` answers at once."""
    if name not in __all__:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "pellucid.api")), name)


def __dir__() -> list[str]:
    """The public names too, so that a notebook completes them before they are imported."""
    return sorted({*globals(), *__all__})
