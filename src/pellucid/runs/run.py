"""One training from a folder or a table of pictures to a model folder: where training and classifier meet.

run = Run(directory, recipe, out)
for event in run:            # to stop the run, stop iterating at any event
    ...
report = run.finish()        # the best weights so far, evaluated and saved
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import StorageError
from pellucid.pictures import catalog as catalogs
from pellucid.pictures.joined import joined
from pellucid.pictures.store import Decoding
from pellucid.runs.choose import Request
from pellucid.runs.events import DataSummary, Evaluating, RunEvent, Started
from pellucid.runs.place import CHECKPOINTS, find_place
from pellucid.runs.prepare import prepare
from pellucid.runs.report import Report
from pellucid.runs.save import save
from pellucid.runs.trained import Trained, epochs
from pellucid.training import checkpoint, loop
from pellucid.training import recipe as recipes
from pellucid.training.claim import NAME as LOCK
from pellucid.training.claim import Claim
from pellucid.training.data import Comparing, read_catalog
from pellucid.training.features import Extracting
from pellucid.training.folds import FoldPosition, Folds
from pellucid.training.head import Fitting
from pellucid.training.loop import Step
from pellucid.training.recipe import Recipe
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    import torch

    from pellucid.pictures.places import Place


class Run:
    """One training. Iterate to train, then `finish()`. Both raise PellucidError of every kind.

    `out` is a new or empty folder, or a function that returns a free folder name and is called again if another process
    takes that first. With `resume`, a stopped or killed training in `out` continues with its original settings; if it
    was killed before its first checkpoint, or never begun, it begins. No other process can train into `out` from the
    first event, or from here if `out` exists, until a complete training ends or until `close()`. `checkpoint_seconds`:
    the least time between two checkpoints; 0 for one after every event. `part`: which training of a cross-validation it
    is (folds.py), if it is one. `module`: the user's own, of which a copy is trained, if the recipe's model is only its
    name. `named`: the settings of `recipe` that the user named, which known weights do not change. `team`: the
    processes that share this training; all of them iterate, and only the first one writes and finishes.
    """

    def __init__(
        self,
        directory: Place,
        recipe: Recipe,
        out: Path | Callable[[], Path],
        cache: Path,
        resume: bool = False,
        checkpoint_seconds: float = 15.0,
        part: FoldPosition | None = None,
        module: torch.nn.Module | None = None,
        named: Collection[str] = (),
        team: Team = ALONE,
    ) -> None:
        self._free, self.out = (None, out) if isinstance(out, Path) else (out, out())
        self.directory, self.cache, self.recipe, self.resume, self.part = directory, cache, recipe, resume, part
        self.team = team
        if team.leads and not (self.out / LOCK).exists() and not (resume and (self.out / CHECKPOINTS).is_dir()):
            find_place(self.out, resume, part)  # an unusable folder does not change
        self._claim, self._module = Claim(self.out), module
        self._saved: checkpoint.Checkpoint | None = None
        if team.leads and self.out.is_dir():  # else it is created when the training begins
            self.take()
        self.out, self._saved, began_with = team.same((self.out, self._saved, self.recipe))
        if self._saved is not None:
            self.recipe = began_with
        self.checkpoint_seconds = checkpoint_seconds
        self.named = frozenset(named)
        self._ready: Trained | None = None

    def look(self) -> catalogs.Catalog:
        """The pictures by their names. Raises CatalogError, and RecipeError if they cannot be cross-validated."""
        place = self.out if self.part is None else self.part.place
        catalog = read_catalog(self.directory, self.recipe, leave_out=place)
        if self.recipe.labels == "several":
            catalog = joined(catalog)
        catalogs.check(catalog)
        if self.part is not None:
            self.part.check(catalog)
        return catalog

    def take(self) -> None:
        """Claim the folder, and look into it once nobody else can change it. Does nothing if that is done.

        In a team the first process does it for all.
        """
        if self._claim.held or not self.team.leads:
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

    def __iter__(self) -> Iterator[RunEvent]:
        """Events as they happen. A caller that stopped may iterate again, and the run continues."""
        if self._ready is None:
            try:
                self._ready = yield from self._prepare()
            except BaseException:
                self.close()
                raise
            yield self._started(self._ready)
            if self._ready.resumed_at is None:
                yield from self._ready.state.history  # with known weights, the head
        ready = self._ready
        self._check_claim()
        start = time.perf_counter()
        self._record(ready)
        ready.state.seconds += time.perf_counter() - start
        try:
            for event in loop.run(ready.task, ready.state):
                self._check_claim()
                if self.team.leads:
                    ready.keeper.step_done(ready.state)
                if isinstance(event, Step):
                    self._record(ready)
                yield event
        except StorageError:  # a picture that is streamed is gone: the steps so far are sound
            self.save_checkpoint()
            raise
        self._record(ready, last=True)
        self.save_checkpoint()  # if killed from here on, it resumes at the end

    @property
    def trained(self) -> Trained:
        """The data and the progress of the run; available from `Started` on."""
        assert self._ready is not None, "there is nothing trained before Started"
        return self._ready

    @property
    def resumes(self) -> bool:
        """Whether it continues from a checkpoint; known before the first event."""
        return self._saved is not None

    @property
    def worth_finishing(self) -> bool:
        """Whether there are weights worth saving: an epoch is done."""
        return self._ready is not None and bool(self._ready.state.best)

    def save_checkpoint(self) -> None:
        """Save the state of the run, to continue with `resume`. Only between two events, when the state is complete."""
        assert self._ready is not None, "there is nothing to save before Started"
        self._check_claim()
        if self.team.leads:
            self._ready.keeper.save(self._ready.state)

    def close(self) -> None:
        """Release the folder, which another process may then use. The run cannot continue after that."""
        self._claim.release()

    def _check_claim(self) -> None:
        if self.team.leads:
            self._claim.check()

    def _record(self, ready: Trained, last: bool = False) -> None:
        """Record a frame of the replay, if one is due. Its time counts in the training's minutes."""
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

    def _prepare(self) -> Generator[Decoding | Comparing | DataSummary | Extracting | Fitting, None, Trained]:
        began = time.perf_counter()
        catalog = self.look()
        self.take()  # after the scan: the new folder may be among the pictures
        saved, self._saved = self._saved, None  # its tensors are not needed twice
        request = Request(
            self.directory,
            self.out,
            self.recipe,
            self.named,
            self._module,
            self.cache,
            self.part,
            self.checkpoint_seconds,
            began,
            self.team,
        )
        return (yield from prepare(request, catalog, saved))

    def finish(self, crossed: Folds | None = None) -> Generator[Evaluating, None, Report]:
        """Evaluate the best weights so far and save the model folder; yields progress, returns the report.

        `crossed`: the result of a cross-validation of this recipe, for the last of its trainings.

        The run itself does not change. The checkpoints of a complete run are removed at the very end: until then,
        `resume` finishes an interrupted save.
        """
        assert self._ready is not None, "there is nothing to finish before Started"
        self._claim.check()
        report = yield from save(self._ready, self._ready.data.catalog.root, self.out, crossed)
        if report.complete:
            checkpoint.remove(self.out / CHECKPOINTS)
            self.close()
        return report
