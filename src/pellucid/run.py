"""One training from a folder of pictures to a model folder: where training and classifier meet.

run = Run(directory, recipe, out)
for event in run:            # stop asking at any event, and the run stops there
    ...
report = run.finish()        # the best weights so far, evaluated and saved
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid import files, transfer
from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.engine import device
from pellucid.errors import ArtefactError, RecipeError
from pellucid.network import standardise, zoo
from pellucid.outcome import Evaluating, Report, Trained, epochs, save
from pellucid.pictures import catalog as catalogs
from pellucid.pictures.decode import Form
from pellucid.pictures.store import Decoding
from pellucid.training import checkpoint, loop, minutes, replay
from pellucid.training import recipe as recipes
from pellucid.training.claim import NAME as LOCK
from pellucid.training.claim import Claim, inside
from pellucid.training.data import Comparing, Data, prepare, sample, write_lists
from pellucid.training.features import Extracting
from pellucid.training.loop import Epoch, State, Step, Task
from pellucid.training.norms import has_batch_norm
from pellucid.training.optimizer import optimizer
from pellucid.training.recipe import Recipe
from pellucid.training.recorder import Recorder
from pellucid.training.resident import hold
from pellucid.training.resolve import resolve_length
from pellucid.transfer import Basis

if TYPE_CHECKING:
    import torch

CHECKPOINTS = "checkpoint"  # folder
FEW = 32  # pictures at a time of which mean and deviation are measured
PROBE_SHARE = 0.02  # of the minutes, for measuring the first steps


@dataclass(frozen=True)
class Found:
    """What the folder holds and how it was split. Comes once, before the first step."""

    directory: Path
    classes: tuple[str, ...]
    pictures: tuple[int, ...]  # for each class
    quarantine: tuple[catalogs.Quarantined, ...]
    ignored: int
    left_out: tuple[catalogs.Quarantined, ...]
    classes_alike: tuple[tuple[str, ...], ...]
    twin_pictures: int
    twin_pairs: int
    twins_across_classes: tuple[tuple[str, str], ...]
    """Copies in two classes: one of the two labels is probably wrong."""
    train: int
    validation: int
    test: int
    alike_across_classes: dict[str, int] = field(default_factory=dict)
    """Of the other twins in two classes, how many are mirror images, differ in a part, were not looked at closely."""
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The classes of which a side, "train", "val" or "test", has no picture."""
    swallowed: tuple[tuple[str, int, int], ...] = ()
    """Classes of which most pictures are twins of one another: name, how many, of how many."""


@dataclass(frozen=True)
class Started:
    """How it will be trained: the recipe with nothing left open, and a sentence for each choice. Comes once."""

    recipe: Recipe
    reasons: tuple[str, ...]
    parameters: int
    epochs: int
    steps: int
    resumed_at: int | None  # step


Event = Decoding | Comparing | Found | Extracting | Started | Step | Epoch


class Run:
    """One training. Iterate to train, then `finish()`. Both raise PellucidError of every kind.

    `out` is a new or empty folder, or a function that names one that is not there, and is called again where another
    process takes that first. With `resume`, one where a training was stopped or killed goes on, with the settings it
    began with; where it was killed before its first checkpoint, or never begun, it begins. From the first event, or
    from here where `out` is there, to the end of a complete training or to `close()`, no other process can train into
    `out`.
    `checkpoint_seconds`: how long at least between two checkpoints; 0 for one after every event. `named`: the settings
    of `recipe` that the user named, which known weights do not change.
    """

    def __init__(
        self,
        directory: Path,
        recipe: Recipe,
        out: Path | Callable[[], Path],
        cache: Path,
        resume: bool = False,
        checkpoint_seconds: float = 15.0,
        named: Collection[str] = (),
    ) -> None:
        self._free, self.out = (None, out) if isinstance(out, Path) else (out, out())
        self.directory, self.cache, self.recipe, self.resume = directory, cache, recipe, resume
        if not (self.out / LOCK).exists() and not (resume and (self.out / CHECKPOINTS).is_dir()):
            _find_place(self.out, resume)  # what cannot be used stays as it is
        self._claim = Claim(self.out)
        self._saved: checkpoint.Checkpoint | None = None
        if self.out.is_dir():  # else it is made when the training begins
            self._take()
        self.checkpoint_seconds = checkpoint_seconds
        self.named = frozenset(named)
        self._ready: Trained | None = None

    def _take(self) -> None:
        """Claim the folder, and look into it once nobody else can change it."""
        while True:
            try:
                self._claim.take(new=self._free is not None)
                break
            except FileExistsError:
                assert self._free is not None
                self.out = self._free()
                self._claim = Claim(self.out)
        try:
            self._saved = _find_place(self.out, self.resume)
        except BaseException:
            self.close()
            raise
        if self._saved is not None:
            self.recipe = recipes.make(**self._saved.context["asked"])

    def __iter__(self) -> Iterator[Event]:
        """Events as they happen. Who stopped asking and asks again goes on where the run stands."""
        if self._ready is None:
            try:
                self._ready = yield from self._prepare()
            except BaseException:
                self.close()
                raise
            yield self._started(self._ready)
            if self._ready.resumed_at is None:
                yield from self._ready.state.history  # of known weights, the head
        ready = self._ready
        self._claim.check()
        start = time.perf_counter()
        self._record(ready)
        ready.state.seconds += time.perf_counter() - start
        for event in loop.run(ready.task, ready.state):
            self._claim.check()
            ready.keeper.step_done(ready.state)
            if isinstance(event, Step):
                self._record(ready)
            yield event
        self._claim.check()
        self._record(ready, last=True)
        ready.keeper.save(ready.state)  # killed from here on, it resumes at the end

    @property
    def worth_finishing(self) -> bool:
        """Whether there are weights worth saving: an epoch is done."""
        return self._ready is not None and bool(self._ready.state.best)

    def save_checkpoint(self) -> None:
        """Save where the run stands, to go on with `resume`. Only between two events: the state is whole there."""
        assert self._ready is not None, "there is nothing to save before Started"
        self._claim.check()
        self._ready.keeper.save(self._ready.state)

    def close(self) -> None:
        """Let go of the folder, which another process may then use. The run cannot go on after that."""
        self._claim.release()

    def _record(self, ready: Trained, last: bool = False) -> None:
        """A frame of the replay, where one is kept and due. Its time is the training's, and counts in its minutes."""
        if ready.recorder is not None:
            ready.recorder.note(ready.state, last)

    def _started(self, ready: Trained) -> Started:
        return Started(
            ready.task.recipe,
            ready.reasons,
            sum(parameter.numel() for parameter in ready.state.module.parameters()),
            epochs(ready.state.steps, ready.task),
            ready.state.steps,
            ready.resumed_at,
        )

    def _prepare(self) -> Generator[Decoding | Comparing | Found | Extracting, None, Trained]:
        began = time.perf_counter()
        catalog = catalogs.scan(self.directory, leave_out=self.out)
        if not self._claim.held:  # after the scan: the folder may be made among the pictures
            self._take()
        saved, self._saved = self._saved, None  # its tensors are not needed twice
        catalogs.check(catalog)
        device.check(self.recipe.device)
        basis, recipe, reasons = self._choose(catalog, saved)
        named, form = basis.named, basis.form
        shape = (form.channels, form.height, form.width)
        named.network.shapes(shape, len(catalog.classes))  # an error here costs no decoding

        data = yield from prepare(catalog, form, recipe, self.cache)
        if saved is not None:
            _check_same(saved, data)
        yield _found(self.directory, data)
        rows = data.rows("train")
        recipe, more = resolve_length(recipe, len(rows))
        reasons = (*reasons, *more)

        import torch

        engine = device.choose(recipe.device, recipe.precision, saved.context["threads"] if saved else None)
        torch.manual_seed(recipe.seed)
        module = engine.place(named.network.module(shape, len(catalog.classes)))
        assert recipe.batch is not None
        fused = saved.context.get("fused", False) if saved else None  # not there: begun when nothing was fused
        engine = device.with_blocks(engine, module, shape, min(recipe.batch, len(rows)), fused)
        scale = basis.standardise or standardise.measure(_batches(data, rows), form.channels)
        augment = recipe.augment
        assert augment != "auto"
        images, where = hold(data.store, len(data.labels), engine)
        reported = 0 if recipe.minutes is None else len(data.rows("val")) + len(data.rows("test")) or len(rows)
        task = Task(recipe, engine, scale, augment, images, data.labels, rows, data.choosing, reported)
        task = replace(task, frozen_norms=basis.is_known)
        _check_batch(task, module)
        loop.load(task)
        state = State(module, optimizer(recipe, module), steps=(recipe.epochs or 0) * task.steps_per_epoch)
        if basis.known is not None:
            basis, more = yield from transfer.begin(basis, data, task, state, self.cache)
            reasons = (*reasons, *more)
        if saved is not None:
            checkpoint.restore(saved, state)
            if state.seconds_allowed is not None:  # reading the pictures again takes of the time that is left
                state.seconds += time.perf_counter() - began
        elif recipe.minutes is not None:
            state.step_seconds = loop.measure_steps(task, state, recipe.minutes * 60 * PROBE_SHARE)
            left = recipe.minutes * 60 - (time.perf_counter() - began)
            state.seconds_allowed = max(0.0, state.seconds + left)  # a head on known weights has taken of them already
            minutes.replan(task, state)

        context = {
            "asked": self.recipe.as_json(),
            "recipe": recipe.as_json(),
            "reasons": reasons,
            "threads": engine.threads,
            "fused": engine.fused,
            "fingerprint": data.fingerprint,
            "basis": basis.as_json(),
        }
        keeper = checkpoint.Keeper(self.out / CHECKPOINTS, context, self.checkpoint_seconds)
        self._begin(data, keeper, state)
        recorder = self._recorder(data, task, state) if recipe.replay else None
        limit = int(recipe.megapixels * 1e6)
        classifier = Classifier(named.network, module, catalog.classes, form, scale, 1.0, limit, data.store.ranges)
        resumed_at = state.step if saved is not None else None
        reasons = (*reasons, *data.store.ranges.sentences, *_choice(data, recipe), *engine.reasons, *where)
        return Trained(data, task, state, classifier, keeper, reasons, resumed_at, recorder, basis.about)

    def _choose(
        self, catalog: catalogs.Catalog, saved: checkpoint.Checkpoint | None
    ) -> tuple[Basis, Recipe, tuple[str, ...]]:
        """What the recipe leaves open, chosen from the pictures; in a resumed run it stays as it was chosen."""
        if saved is None:
            looked = sample(catalog, int(self.recipe.megapixels * 1e6))
            return transfer.choose(self.recipe, looked, self.named, self.cache)
        recipe, reasons = recipes.make(**saved.context["recipe"]), tuple(saved.context["reasons"])
        if (said := saved.context.get("basis")) is not None:
            return Basis.from_json(said), recipe, reasons
        assert recipe.size is not None  # begun by an earlier Pellucid, from scratch
        assert recipe.channels is not None
        form = Form(recipe.size, recipe.size, recipe.channels, recipe.fit)
        return Basis(zoo.find(recipe.model), form), recipe, reasons

    def _begin(self, data: Data, keeper: checkpoint.Keeper, state: State) -> None:
        """The first files in `out`. The checkpoint comes first: once anything stands there, the run can go on."""
        with files.storage_errors(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        for folder in (self.out, self.out / CHECKPOINTS):
            files.remove_parts(folder)
        keeper.save(state)
        write_lists(data, self.out)

    def _recorder(self, data: Data, task: Task, state: State) -> Recorder:
        paths = [picture.path for picture in data.catalog.pictures]
        return Recorder(self.out / replay.FOLDER, task, state, paths, data.catalog.classes)

    def finish(self) -> Generator[Evaluating, None, Report]:
        """Evaluate the best weights so far and save the model folder; yields progress, returns the report.

        The run itself is left as it is. Of a complete one the checkpoints go at the very end: as long as they
        are there, `resume` finishes what was broken off.
        """
        assert self._ready is not None, "there is nothing to finish before Started"
        self._claim.check()
        report = yield from save(self._ready, self.directory, self.out)
        if report.complete:
            checkpoint.remove(self.out / CHECKPOINTS)
            self.close()
        return report


def _find_place(out: Path, resume: bool) -> checkpoint.Checkpoint | None:
    """Check that `out` can be used; the checkpoint to go on from, if there is one to be.

    Raises ArtefactError, and StorageError where the folder may not be read.
    """
    with files.storage_errors(out):
        if out.exists() and not out.is_dir():
            raise ArtefactError(f"{out} is a file; choose another --out.")
        if resume and (saved := checkpoint.newest(out / CHECKPOINTS)) is not None:
            return saved
        if not out.is_dir() or _untouched(out):
            return None
    if resume and (out / artefact.CONFIG).exists():
        if artefact.read_config(out).get("training", {}).get("complete"):
            raise ArtefactError(f"The training in {out} is complete; there is nothing to resume.")
        raise ArtefactError(f"{out} has no checkpoint to resume from. Train anew with another --out.")
    if resume:
        raise ArtefactError(f"There is no training in {out} to resume, and it holds other files. Check --out.")
    raise ArtefactError(
        f"{out} is not empty, and nothing of yours is overwritten. Choose another --out"
        + (", or go on with --resume." if (out / CHECKPOINTS).is_dir() else ".")
    )


def _untouched(out: Path) -> bool:
    """Whether a folder is empty, but for what a run leaves that was killed before its first checkpoint stood."""
    checkpoints = out / CHECKPOINTS
    begun = list(checkpoints.iterdir()) if checkpoints.is_dir() else []
    rest = [path for path in inside(out) if path != checkpoints]
    return all(map(files.is_part, [*rest, *begun]))


def _check_batch(task: Task, module: torch.nn.Module) -> None:
    """Batch norm cannot learn from one picture: its deviation would be 0."""
    if len(task.train) // task.steps_per_epoch == 1 and has_batch_norm(module) and not task.frozen_norms:
        raise RecipeError(
            f"batch is {task.batch}, and a step of one picture leaves batch norm nothing to compare. "
            "Use 2 or more, or a network without batchnorm."
        )


def _check_same(saved: checkpoint.Checkpoint, data: Data) -> None:
    if saved.context["fingerprint"] != data.fingerprint:
        raise ArtefactError(
            f"The pictures in {data.catalog.root} have changed since {saved.path} was written, and a resumed run "
            "must see the same ones. Put them back, or train anew with another --out."
        )


def _found(directory: Path, data: Data) -> Found:
    return Found(
        directory,
        data.catalog.classes,
        tuple(np.bincount(data.labels[data.sides >= 0], minlength=len(data.catalog.classes)).tolist()),
        data.quarantine,
        data.catalog.ignored,
        data.catalog.left_out,
        data.catalog.alike,
        data.twin_pictures,
        len(data.twins),
        tuple(data.twins_across_classes),
        *(len(data.rows(side)) for side in ("train", "val", "test")),
        alike_across_classes=data.alike_across_classes,
        lacking=data.lacking,
        swallowed=tuple((data.catalog.classes[each.label], each.alike, each.pictures) for each in data.swallowed),
    )


def _choice(data: Data, recipe: Recipe) -> tuple[str, ...]:
    """Why no epoch is chosen, where validation was asked for and could not choose a sound one."""
    if len(data.choosing) or not (len(data.rows("val")) or recipe.validation):
        return ()
    if not len(data.rows("val")):
        few = "the pictures are too few, or too much alike, to leave a validation"
        return (f"weights of the last epoch, and temperature 1: {few}",)
    first, *more = data.lacking["val"]
    lacks = f"{first} and {len(more):,} more of the classes" if more else f"class {first}"
    return (f"weights of the last epoch, and temperature 1: validation has no picture of {lacks}, and chooses nothing",)


def _batches(data: Data, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(rows), FEW):
        yield data.store.batch(rows[start : start + FEW])
