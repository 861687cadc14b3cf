"""From pictures to a training that is ready for its first step: what is trained, on what, and its state."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.engine import device
from pellucid.engine.device import Engine
from pellucid.errors import ArtefactError, RecipeError
from pellucid.network import standardise, zoo
from pellucid.network.network import Network
from pellucid.network.own.program import Program
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.joined import hint
from pellucid.pictures.space import free_in
from pellucid.pictures.store import Decoding
from pellucid.runs import events, members, transfer
from pellucid.runs.choose import Chosen, Request, choose, counts, settle
from pellucid.runs.events import DataSummary
from pellucid.runs.place import CHECKPOINTS
from pellucid.runs.trained import Trained
from pellucid.runtime.draws import drawing
from pellucid.training import bring, checkpoint, folds, loop, minutes, replay, weighting
from pellucid.training import data as datasets
from pellucid.training.checkpoint import Checkpoint
from pellucid.training.data import Comparing, Data
from pellucid.training.features import Extracting
from pellucid.training.head import Fitting
from pellucid.training.loop import State, Task
from pellucid.training.norms import has_batch_norm
from pellucid.training.optimizer import optimizer
from pellucid.training.recipe import Recipe
from pellucid.training.recorder import Recorder
from pellucid.training.resident import hold
from pellucid.training.resolve import HEAD_ALONE
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    import torch

FEW = 32  # pictures at a time, to measure mean and deviation
PROBE_SHARE = 0.02  # of the minutes, to measure the first steps


@dataclass(frozen=True)
class Built:
    """The module on its training device. `network` or `program`: its saved form.

    `once`: computes the features of a frozen backbone, with a forward pass only.
    """

    engine: Engine
    once: Engine
    module: torch.nn.Module
    network: Network | None
    program: Program | None


def prepare(
    request: Request, catalog: Catalog, saved: Checkpoint | None
) -> Generator[Decoding | Comparing | DataSummary | Extracting | Fitting, None, Trained]:
    """Everything before the first step; yields progress. `saved`: the checkpoint of a resumed run.

    Raises PellucidError of every kind. `write_first` writes the first files in `request.out`.
    """
    chosen = choose(request, catalog, saved)
    team = request.team
    data = yield from datasets.prepare(catalog, chosen.basis.form, chosen.recipe, request.cache, request.part, team)
    check_same(saved, data)
    yield events.summary(request.directory, data)
    chosen = settle(chosen, data, request, saved)
    built = build(chosen, data, request, saved)
    if not team.alone:
        team.check_same(members.about(chosen, built))
    task, where = make_task(chosen, built, data, saved, team)
    state = State(built.module, optimizer(task.recipe, built.module), steps=_steps(task))
    if chosen.basis.known is not None:
        basis, more = yield from transfer.begin(chosen.basis, data, task, state, request.cache, built.once)
        chosen = replace(chosen, basis=basis, reasons=(*chosen.reasons, *more))
    chosen = replace(chosen, reasons=(*chosen.reasons, *set_clock(task, state, request, saved)))
    classifier = _classifier(chosen, built, data, task)
    keeper = write_first(chosen, built, data, state, request, classifier, task.blocks is not None)
    recorder = None
    if task.recipe.replay and team.leads:
        paths, classes = data.catalog.pictures.paths, data.catalog.classes
        recorder = Recorder(request.out / replay.FOLDER, task, state, paths, classes)
    reasons = (
        *_reasons(chosen, built, data),
        *members.reasons(team, built.engine),
        *where,
        *folds.suggestion(data, task.recipe),
    )
    resumed_at = state.step if saved is not None else None
    return Trained(data, task, state, classifier, keeper, reasons, resumed_at, recorder, chosen.basis.about)


def check_same(saved: Checkpoint | None, data: Data) -> None:
    """Raise ArtefactError if the pictures differ from those that a resumed run began with."""
    if saved is not None and saved.context["fingerprint"] != data.fingerprint:
        raise ArtefactError(
            f"The pictures in {data.catalog.place} have changed since {saved.path} was written, and a resumed run "
            "must see the same ones. Put them back, or train again with another --out."
        )


def build(chosen: Chosen, data: Data, request: Request, saved: Checkpoint | None) -> Built:
    """The module on its device, and the fastest engine for it; a resumed run keeps its engine."""
    recipe, named, own, shape = chosen.recipe, chosen.basis.named, chosen.own, chosen.shape
    threads = saved.context["threads"] if saved else request.alike.get("threads")
    engine = device.choose(recipe.device, recipe.precision, members.threads(request.team, saved, threads))
    members.check_devices(request.team, engine)
    with drawing(recipe.seed, engine.device):
        if own is not None:
            engine = bring.computing(engine, recipe, own, shape)
            module, network, program = own.placed(engine.place, engine.device), own.network, own.program
        else:
            assert isinstance(named, zoo.Named)
            module = engine.place(named.network.module(shape, len(data.catalog.classes)))
            network, program = named.network, None
    assert recipe.batch is not None
    once = engine
    if recipe.epochs != 0:
        began_in = saved.context.get("precision", engine.precision) if saved else None
        ours = saved.context.get("kernels", False) if saved else request.alike.get("kernels")
        engine = device.for_steps(engine, module, recipe.precision, began_in, ours)
    # missing: begun before blocks were fused
    fused = saved.context.get("fused", False) if saved else request.alike.get("fused")
    batch = -(-min(recipe.batch, len(data.rows("train"))) // request.team.world)
    if request.team.leads:  # the trial's winner holds for all
        engine = device.with_blocks(engine, module, shape, batch, fused)
    fused = request.team.same(engine.fused)
    if not request.team.leads:
        engine = device.with_blocks(engine, module, shape, batch, fused)
    return Built(engine, once, module, network, program)


def make_task(
    chosen: Chosen, built: Built, data: Data, saved: Checkpoint | None = None, team: Team = ALONE
) -> tuple[Task, tuple[str, ...]]:
    """The loop's task, and sentences that say where the pictures are held.

    A resumed run keeps its order of pictures.
    """
    recipe, basis, rows = chosen.recipe, chosen.basis, data.rows("train")
    streamed = saved.context.get("streamed", False) if saved is not None else team.same(data.store.streams)
    began = time.perf_counter()
    scale = basis.standardise or team.from_first(lambda: standardise.measure(_batches(data, rows), basis.form.channels))
    augment = recipe.augment
    assert augment != "auto"
    seconds = time.perf_counter() - began if basis.standardise is None else None
    images, where = hold(data.store, len(data.labels), built.engine)
    reported = 0 if recipe.minutes is None else len(data.rows("val")) + len(data.rows("test")) or len(rows)
    task = Task(
        recipe,
        built.engine,
        scale,
        augment,
        images,
        data.labels,
        rows,
        data.choosing,
        reported,
        weighting.of(recipe, counts(data)),
        frozen_norms=basis.is_known,
        team=team,
        blocks=data.store.blocks if streamed else None,
    )
    members.check_shares(task)
    _check_batch(task, built.module)
    loop.load(task)
    return task, (*where, *_streams(data, len(rows), seconds))


def _streams(data: Data, pictures: int, seconds: float | None) -> tuple[str, ...]:
    """A sentence if the pictures are streamed: why, and what it costs. `seconds`: of one pass over `pictures`."""
    store = data.store
    if not store.streams:
        return ()
    size, free = len(store) * int(np.prod(store.form.shape)), free_in(store.folder.parent)
    cost = "" if seconds is None else f", which takes {seconds:,.1f} s for the {pictures:,} to train on"
    return (
        f"each epoch decodes the pictures again{cost}: decoded, they take {size / 1e9:,.2f} GB, and "
        f"{free / 1e9:,.2f} GB are free in {store.folder.parent}; --cache names another place",
    )


def set_clock(task: Task, state: State, request: Request, saved: Checkpoint | None) -> tuple[str, ...]:
    """Restore a resumed run's state; for a new run in minutes, measure its steps and plan the rest.

    Returns a sentence if the minutes are too few.
    """
    if saved is not None:
        checkpoint.restore(saved, state)
        if state.seconds_allowed is not None:  # reading the pictures again takes some of the time left
            state.seconds += task.team.same(time.perf_counter() - request.began)
    elif task.recipe.minutes is not None:
        seconds = task.recipe.minutes * 60
        before = time.perf_counter() - request.began
        before = task.team.same(before)
        if before < seconds:
            state.step_seconds = loop.measure_steps(task, state, seconds * PROBE_SHARE)
        left = task.team.same(seconds - (time.perf_counter() - request.began))
        state.seconds = task.team.same(state.seconds)  # a head on known weights has taken some of them already
        state.seconds_allowed = max(0.0, state.seconds + left)
        minutes.replan(task, state)
        return minutes.too_few(task.recipe.minutes, state, before)
    return ()


def write_first(
    chosen: Chosen,
    built: Built,
    data: Data,
    state: State,
    request: Request,
    classifier: Classifier,
    streamed: bool = False,
) -> checkpoint.Keeper:
    """Write the first files in `out`; in a team the first process does.

    The checkpoint comes first: once any file is there, the run can be resumed.
    """
    place = request.out / CHECKPOINTS
    halves = (0.5,) * len(classifier.classes) if data.catalog.several else None
    described = artefact.description(replace(classifier, thresholds=halves))
    context = {**_context(chosen, built, data, request, streamed), "classifier": described}
    keeper = checkpoint.Keeper(place, context, request.checkpoint_seconds)
    if not request.team.leads:
        return keeper
    with files.storage_errors(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    for folder in (request.out, place):
        files.remove_parts(folder)
    keeper.save(state)
    datasets.write_lists(data, request.out)
    return keeper


def _context(chosen: Chosen, built: Built, data: Data, request: Request, streamed: bool) -> dict[str, Any]:
    """What a checkpoint holds beside the state, for resuming a run."""
    return {
        "asked": request.recipe.as_json(),
        "recipe": chosen.recipe.as_json(),
        "reasons": chosen.reasons,
        "threads": built.engine.threads,
        "fused": built.engine.fused,
        "streamed": streamed,
        "kernels": built.engine.kernels,
        "precision": built.engine.precision,
        "processes": request.team.world,
        "fingerprint": data.fingerprint,
        "module": chosen.own.digest if chosen.own is not None else None,
        "basis": chosen.basis.as_json() if chosen.own is None else None,
    }


def _classifier(chosen: Chosen, built: Built, data: Data, task: Task) -> Classifier:
    """The trained network in the form to save; not yet calibrated."""
    limit, ranges = int(task.recipe.megapixels * 1e6), data.store.ranges
    about = data.catalog.classes, chosen.basis.form, task.standardise, 1.0, limit, ranges
    return Classifier(built.network, built.module, *about, program=built.program)


def _reasons(chosen: Chosen, built: Built, data: Data) -> tuple[str, ...]:
    """A sentence for each choice, in reading order."""
    own = chosen.own.reasons if chosen.own is not None else ()
    return (
        *chosen.reasons,
        *hint(data.catalog),
        *own,
        *data.store.ranges.sentences,
        *_no_choice(data, chosen.recipe),
        *built.engine.reasons,
    )


def _no_choice(data: Data, recipe: Recipe) -> tuple[str, ...]:
    """Why no epoch is chosen, if there is a validation side that cannot make a sound choice."""
    if len(data.choosing) or not (len(data.rows("val")) or recipe.validation):
        return ()
    # from known weights there are epochs only in a run that an earlier Pellucid began
    alone = recipe.pretrained is not None and recipe.epochs == HEAD_ALONE
    stays = "the head alone" if alone else "weights of the last epoch"
    if not len(data.rows("val")):
        few = "the pictures are too few or too similar for a validation"
        return (f"{stays}, and temperature 1: {few}",)
    first, *more = data.lacking["val"]
    lacks = f"{first} and {len(more):,} more of the classes" if more else f"class {first}"
    return (f"{stays}, and temperature 1: validation has no picture of {lacks}",)


def _check_batch(task: Task, module: torch.nn.Module) -> None:
    """Check the batch size: batch norm cannot learn from one picture, because its deviation would be 0."""
    if len(task.train) // task.steps_per_epoch == 1 and has_batch_norm(module) and not task.frozen_norms:
        raise RecipeError(
            f"batch is {task.batch}, but batch norm needs several pictures per step. "
            "Use 2 or more, or a network without batchnorm."
        )


def _steps(task: Task) -> int:
    return (task.recipe.epochs or 0) * task.steps_per_epoch


def _batches(data: Data, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    data.store.coming(rows)
    for start in range(0, len(rows), FEW):
        yield data.store.batch(rows[start : start + FEW])
