"""Keep a model that was trained by hand: a new folder, measured and written as at the end of every training."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from pellucid import files
from pellucid.classifier.classifier import Classifier
from pellucid.errors import StorageError, TrainingError
from pellucid.live.session import Session
from pellucid.runs.place import CHECKPOINTS
from pellucid.runs.report import Report
from pellucid.runs.save import save
from pellucid.runs.trained import Trained
from pellucid.steps import result_of
from pellucid.training import data as datasets
from pellucid.training.checkpoint import Keeper
from pellucid.training.loop import State

MOST_NAMES = 10_000


def keep(session: Session, beside: Path) -> Report:
    """Write the network as it is now into a free folder beside `beside`: model-live, model-live-2 and so on.

    The pictures that were watched are its validation pictures: its figures say so, and its temperature is fitted on
    them. The folder appears when it is complete. Raises TrainingError if no step was made or the network's outputs are
    not finite, and StorageError.
    """
    if not session.progress.step:
        raise TrainingError("No step has been made since the network began, so there is nothing new to keep.")
    with files.storage_errors(beside.parent):
        name = _free(beside)
        part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=beside.parent))
    try:
        out = part / name  # the model's name is its folder's
        out.mkdir()
        trained = _trained(session, out)
        datasets.write_lists(trained.data, out)
        report = result_of(save(trained, trained.data.catalog.root, out))
        place = _moved(out, beside)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(report, folder=place)


def _trained(session: Session, out: Path) -> Trained:
    """What the end of a training needs. `session` itself does not change."""
    material, now = session.material, session.progress
    about = material.classifier
    validation, test = material.fractions
    done = [*now.epochs, *([session.epoch_so_far()] if now.now.pictures else [])]
    rows = [replace(each, best=number == len(done)) for number, each in enumerate(done, 1)]
    last = rows[-1].epoch if rows else 1
    recipe = replace(session.recipe, validation=validation, test=test, epochs=last)
    task = replace(session.task, recipe=recipe, validation=material.data.choosing)
    seconds = sum(each.seconds for each in rows)
    state = State(session.state.module, session.state.optimizer, steps=now.step, step=now.step, seconds=seconds)
    state.history = rows
    classifier = Classifier(
        session.network,
        session.state.module,
        about.classes,
        about.form,
        about.standardise,
        1.0,
        about.pixel_limit,
        about.ranges,
    )
    earlier = (f"{now.unlisted:,} earlier changes are not listed",) if now.unlisted else ()
    reasons = (f"trained by hand on the page of {material.model.name}", *earlier, *now.log)
    return Trained(material.data, task, state, classifier, Keeper(out / CHECKPOINTS, {}), reasons, None, by_hand=True)


def _free(beside: Path) -> str:
    stem = f"{beside.name or 'model'}-live"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, MOST_NAMES))
    return next(name for name in names if not os.path.lexists(beside.with_name(name)))


def _moved(out: Path, beside: Path) -> Path:
    """Rename a complete folder to its place, which must still be free."""
    place = beside.with_name(out.name)
    with files.storage_errors(place):
        if os.path.lexists(place):
            raise StorageError(f"{place} was meanwhile written by another program. Keep the model again.")
        for file in out.rglob("*"):
            if file.is_file():
                files.sync(file)
        out.rename(place)
        files.sync(place.parent)
    return place
