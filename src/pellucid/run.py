"""One training from a folder or a table of pictures to a model folder: where training and classifier meet.

run = Run(directory, recipe, out)
for event in run:            # stop asking at any event, and the run stops there
    ...
report = run.finish()        # the best weights so far, evaluated and saved
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid import files, told, transfer
from pellucid.classifier.classifier import Classifier
from pellucid.engine import device
from pellucid.errors import ArtefactError, RecipeError
from pellucid.network import standardise, zoo
from pellucid.network.own import own as owns
from pellucid.network.own.own import Own
from pellucid.outcome import Evaluating, Report, Trained, epochs, save
from pellucid.pictures import catalog as catalogs
from pellucid.pictures.decode import Form
from pellucid.pictures.joined import hint, joined
from pellucid.pictures.store import Decoding
from pellucid.place import CHECKPOINTS, find_place
from pellucid.told import Event, Found, Started
from pellucid.training import bring, checkpoint, folds, loop, minutes, replay, targets, weighting
from pellucid.training import recipe as recipes
from pellucid.training.claim import NAME as LOCK
from pellucid.training.claim import Claim
from pellucid.training.data import Comparing, Data, prepare, read_catalog, sample, write_lists
from pellucid.training.features import Extracting
from pellucid.training.folds import Folds, Part
from pellucid.training.loop import State, Step, Task
from pellucid.training.norms import has_batch_norm
from pellucid.training.optimizer import optimizer
from pellucid.training.recipe import Recipe
from pellucid.training.recorder import Recorder
from pellucid.training.resident import hold
from pellucid.training.resolve import resolve, resolve_length
from pellucid.transfer import Basis

if TYPE_CHECKING:
    import torch

FEW = 32  # pictures at a time of which mean and deviation are measured
PROBE_SHARE = 0.02  # of the minutes, for measuring the first steps


class Run:
    """One training. Iterate to train, then `finish()`. Both raise PellucidError of every kind.

    `out` is a new or empty folder, or a function that names one that is not there, and is called again where another
    process takes that first. With `resume`, one where a training was stopped or killed goes on, with the settings it
    began with; where it was killed before its first checkpoint, or never begun, it begins. From the first event, or
    from here where `out` is there, to the end of a complete training or to `close()`, no other process can train into
    `out`.
    `checkpoint_seconds`: how long at least between two checkpoints; 0 for one after every event.
    `part`: which training of a cross-validation it is (folds.py), if it is one.
    `module`: the user's own, of which a copy is trained, where the recipe's model is only its name.
    `named`: the settings of `recipe` that the user named, which known weights do not change.
    """

    def __init__(
        self,
        directory: Path,
        recipe: Recipe,
        out: Path | Callable[[], Path],
        cache: Path,
        resume: bool = False,
        checkpoint_seconds: float = 15.0,
        part: Part | None = None,
        module: torch.nn.Module | None = None,
        named: Collection[str] = (),
    ) -> None:
        self._free, self.out = (None, out) if isinstance(out, Path) else (out, out())
        self.directory, self.cache, self.recipe, self.resume, self.part = directory, cache, recipe, resume, part
        if not (self.out / LOCK).exists() and not (resume and (self.out / CHECKPOINTS).is_dir()):
            find_place(self.out, resume, part)  # what cannot be used stays as it is
        self._claim, self._module = Claim(self.out), module
        self._saved: checkpoint.Checkpoint | None = None
        if self.out.is_dir():  # else it is made when the training begins
            self.take()
        self.checkpoint_seconds = checkpoint_seconds
        self.named = frozenset(named)
        self._ready: Trained | None = None

    def look(self) -> catalogs.Catalog:
        """The pictures by their names. Raises CatalogError, and RecipeError where they are none to cross-validate."""
        place = self.out if self.part is None else self.part.place
        catalog = read_catalog(self.directory, self.recipe, leave_out=place)
        if self.recipe.labels == "several":
            catalog = joined(catalog)
        catalogs.check(catalog)
        if self.part is not None:
            self.part.check(catalog)
        return catalog

    def take(self) -> None:
        """Claim the folder, and look into it once nobody else can change it. Nothing where that is done."""
        if self._claim.held:
            return
        while not self._claim.held:
            try:
                self._claim.take(new=self._free is not None)
            except FileExistsError:
                assert self._free is not None
                self.out = self._free()
                self._claim = Claim(self.out)
        try:
            self._saved = find_place(self.out, self.resume, self.part)
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
    def trained(self) -> Trained:
        """What it works on, and what it has reached so far; there from `Started` on."""
        assert self._ready is not None, "there is nothing trained before Started"
        return self._ready

    @property
    def resumes(self) -> bool:
        """Whether it goes on from a checkpoint; told before the first event."""
        return self._saved is not None

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
        catalog = self.look()
        self.take()  # after the scan: the folder may be made among the pictures
        saved, self._saved = self._saved, None  # its tensors are not needed twice
        classes = len(catalog.classes)
        own = owns.find(self.recipe.model, self._module, classes, self.recipe.seed)
        bring.check_start(own, self.recipe)
        device.check(self.recipe.device)
        basis, recipe, reasons = self._choose(catalog, own, saved)
        named, form = basis.named, basis.form
        shape = (form.channels, form.height, form.width)
        ready = None
        if isinstance(named, Own):  # an error here costs no decoding
            ready = named.ready(shape, classes)
            bring.check_same(saved, ready)
        else:
            named.network.shapes(shape, classes)

        data = yield from prepare(catalog, form, recipe, self.cache, self.part)
        if saved is not None:
            _check_same(saved, data)
        yield told.found(self.directory, data)
        rows = data.rows("train")
        counts = targets.counts(data.labels[rows], len(catalog.classes))
        recipe, more = resolve_length(recipe, len(rows), chooses=bool(len(data.choosing)))
        alike = self.part.alike if self.part is not None else {}
        recipe, weighted = weighting.resolve(recipe, counts, catalog.classes, alike.get("class_weights", "auto"))
        reasons = (*reasons, *more, *(weighted if saved is None else ()))

        import torch

        threads = saved.context["threads"] if saved else alike.get("threads")
        engine = device.choose(recipe.device, recipe.precision, threads)
        torch.manual_seed(recipe.seed)
        if isinstance(named, Own):
            assert ready is not None
            engine = bring.computing(engine, recipe, ready, shape)
            module, network, program = ready.placed(engine.place, engine.device), ready.network, ready.program
        else:
            module, network, program = engine.place(named.network.module(shape, classes)), named.network, None
        assert recipe.batch is not None
        # not there: begun when nothing was fused
        fused = saved.context.get("fused", False) if saved else alike.get("fused")
        once = engine  # of a frozen backbone, forward alone
        if recipe.epochs != 0:
            began_in = saved.context.get("precision", engine.precision) if saved else None
            engine = device.for_steps(engine, module, recipe.precision, began_in)
        engine = device.with_blocks(engine, module, shape, min(recipe.batch, len(rows)), fused)
        scale = basis.standardise or standardise.measure(_batches(data, rows), form.channels)
        augment = recipe.augment
        assert augment != "auto"
        images, where = hold(data.store, len(data.labels), engine)
        reported = 0 if recipe.minutes is None else len(data.rows("val")) + len(data.rows("test")) or len(rows)
        task = Task(
            recipe,
            engine,
            scale,
            augment,
            images,
            data.labels,
            rows,
            data.choosing,
            reported,
            weighting.of(recipe, counts),
            frozen_norms=basis.is_known,
        )
        _check_batch(task, module)
        loop.load(task)
        state = State(module, optimizer(recipe, module), steps=(recipe.epochs or 0) * task.steps_per_epoch)
        if basis.known is not None:
            basis, more = yield from transfer.begin(basis, data, task, state, self.cache, once)
            reasons = (*reasons, *more)
        if saved is not None:
            checkpoint.restore(saved, state)
            if state.seconds_allowed is not None:  # reading the pictures again takes of the time that is left
                state.seconds += time.perf_counter() - began
        elif recipe.minutes is not None:
            before = time.perf_counter() - began
            if before < recipe.minutes * 60:
                state.step_seconds = loop.measure_steps(task, state, recipe.minutes * 60 * PROBE_SHARE)
            left = recipe.minutes * 60 - (time.perf_counter() - began)
            state.seconds_allowed = max(0.0, state.seconds + left)  # a head on known weights has taken of them already
            minutes.replan(task, state)
            reasons = (*reasons, *minutes.too_few(recipe.minutes, state, before))

        context = {
            "asked": self.recipe.as_json(),
            "recipe": recipe.as_json(),
            "reasons": reasons,
            "threads": engine.threads,
            "fused": engine.fused,
            "precision": engine.precision,
            "fingerprint": data.fingerprint,
            "module": ready.digest if ready is not None else None,
            "basis": basis.as_json() if own is None else None,
        }
        keeper = checkpoint.Keeper(self.out / CHECKPOINTS, context, self.checkpoint_seconds)
        self._begin(data, keeper, state)
        recorder = self._recorder(data, task, state) if recipe.replay else None
        limit = int(recipe.megapixels * 1e6)
        classifier = Classifier(
            network, module, catalog.classes, form, scale, 1.0, limit, data.store.ranges, program=program
        )
        resumed_at = state.step if saved is not None else None
        reasons = (*reasons, *hint(data.catalog), *(ready.reasons if ready is not None else ()))
        reasons = (*reasons, *data.store.ranges.sentences, *told.choice(data, recipe), *engine.reasons, *where)
        reasons = (*reasons, *folds.suggestion(data, recipe))
        return Trained(data, task, state, classifier, keeper, reasons, resumed_at, recorder, basis.about)

    def _choose(
        self, catalog: catalogs.Catalog, own: Own | None, saved: checkpoint.Checkpoint | None
    ) -> tuple[Basis, Recipe, tuple[str, ...]]:
        """What the recipe leaves open, chosen from the pictures; in a resumed run it stays as it was chosen."""
        if saved is not None:
            # begun by an earlier Pellucid, it does not say how classes are weighted: they were not
            recipe = recipes.make(**{"class_weights": "none", **saved.context["recipe"]})
            reasons = tuple(saved.context["reasons"])
            if (said := saved.context.get("basis")) is not None:
                return Basis.from_json(said), recipe, reasons
        else:
            looked = sample(catalog, int(self.recipe.megapixels * 1e6))
            if own is None:
                return transfer.choose(self.recipe, looked, self.named, self.cache)
            recipe, reasons = bring.fitted(own, self.recipe, *resolve(self.recipe, own, looked))
        assert recipe.size is not None
        assert recipe.channels is not None
        form = Form(recipe.size, recipe.size, recipe.channels, recipe.fit)
        return Basis(own or zoo.find(recipe.model), form), recipe, reasons

    def _begin(self, data: Data, keeper: checkpoint.Keeper, state: State) -> None:
        """The first files in `out`. The checkpoint comes first: once anything stands there, the run can go on."""
        with files.storage_errors(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        for folder in (self.out, self.out / CHECKPOINTS):
            files.remove_parts(folder)
        keeper.save(state)
        write_lists(data, self.out)

    def _recorder(self, data: Data, task: Task, state: State) -> Recorder:
        paths = data.catalog.pictures.paths
        return Recorder(self.out / replay.FOLDER, task, state, paths, data.catalog.classes)

    def finish(self, crossed: Folds | None = None) -> Generator[Evaluating, None, Report]:
        """Evaluate the best weights so far and save the model folder; yields progress, returns the report.

        `crossed`: what a cross-validation says of this recipe, for the last of its trainings.

        The run itself is left as it is. Of a complete one the checkpoints go at the very end: as long as they
        are there, `resume` finishes what was broken off.
        """
        assert self._ready is not None, "there is nothing to finish before Started"
        self._claim.check()
        report = yield from save(self._ready, self._ready.data.catalog.root, self.out, crossed)
        if report.complete:
            checkpoint.remove(self.out / CHECKPOINTS)
            self.close()
        return report


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
            f"The pictures in {data.catalog.place} have changed since {saved.path} was written, and a resumed run "
            "must see the same ones. Put them back, or train anew with another --out."
        )


def _batches(data: Data, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(rows), FEW):
        yield data.store.batch(rows[start : start + FEW])
