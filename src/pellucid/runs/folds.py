"""A cross-validation from a folder of pictures to a model folder: one training per fold, then one on all pictures.

Each training is a Run in its own folder, OUT/folds/1 and so on, with its own checkpoints, and the last one is the Run
of OUT itself. A finished fold is one file with its answers; OUT/folds is removed at the very end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.errors import ArtefactError, RecipeError, TrainingError
from pellucid.pictures.split import SIDES
from pellucid.pictures.store import Decoding
from pellucid.runs.events import DataSummary, Evaluating, Event, FoldBegun, FoldDone, FoldStep, Started
from pellucid.runs.fold import ANSWERS, Answers, figures, read_answers
from pellucid.runs.judge import judge
from pellucid.runs.place import CHECKPOINTS
from pellucid.runs.report import Report
from pellucid.runs.run import Run
from pellucid.runs.trained import Trained
from pellucid.steps import result_of
from pellucid.training import checkpoint
from pellucid.training import recipe as recipes
from pellucid.training.data import Comparing
from pellucid.training.folds import FOLDER, PLAN, Fold, FoldPosition, begun, fingerprint, pooled
from pellucid.training.loop import Step
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

LEAST = 0.01  # minutes of a training


class CrossValidation:
    """All trainings of a cross-validation, watched, stopped, resumed and finished as one Run; see there.

    `recipe.folds` is their number without the last one. Each takes an equal share of what is left of `recipe.minutes`;
    only the last records a replay. `more`: further arguments of Run, for all of them.
    """

    def __init__(
        self,
        directory: Place,
        recipe: Recipe,
        out: Path | Callable[[], Path],
        cache: Path,
        resume: bool = False,
        checkpoint_seconds: float = 15.0,
        **more: Any,
    ) -> None:
        self.directory, self.cache, self.checkpoint_seconds, self._more = directory, cache, checkpoint_seconds, more
        self.recipe = recipe
        self._plan: dict[str, Any] = {}
        if resume and isinstance(out, Path) and begun(out):
            self._resume(out)
        assert self.recipe.folds is not None, "a recipe without folds is a Run's"
        self.count: int = self.recipe.folds
        if self.recipe.minutes is not None and self.recipe.minutes / (self.count + 1) < LEAST:
            raise RecipeError(
                f"minutes is {self.recipe.minutes:g}; {self.count} folds and the last training need {LEAST} each, "
                f"{LEAST * (self.count + 1):.2f} together."
            )
        part = self._part(0, out)
        self._last = Run(directory, self.recipe, out, cache, resume, checkpoint_seconds, part=part, **self._more)
        self._last.part = self._part(0, self.out)
        self._run: Run | None = None
        self._done: dict[int, Fold] = {}
        self._announced = self._read = False
        self._spent: list[float] = []  # seconds of each finished training
        self._clock = 0.0  # start of the current training, if it began in this process

    # ---- as a run

    @property
    def out(self) -> Path:
        return self._last.out

    @property
    def resumes(self) -> bool:
        """Whether it continues with folds that were begun; known before the first event."""
        return bool(self._plan) or self._last.resumes

    @property
    def worth_finishing(self) -> bool:
        """Whether all folds and one epoch of the last training are done."""
        return self._last.worth_finishing

    def __iter__(self) -> Iterator[Event]:
        """Events as they happen: the first training's preparation, and FoldBegun, FoldStep, Epoch of every training."""
        try:
            if not self._read:
                self._take()
            for number in range(1, self.count + 1):
                if number not in self._done:
                    yield from self._fold(number)
            yield from self._on_all()
        except BaseException:
            if not self._announced:
                self._leave()
            raise

    def save_checkpoint(self) -> None:
        """Save the state of the current training, to continue with `resume`. Only between two events."""
        if self._run is not None:
            self._run.save_checkpoint()

    def finish(self) -> Generator[Evaluating, None, Report]:
        """Evaluate the last training and save the model folder, with the result of the folds; see Run.finish."""
        data = self._last.trained.data
        answers = [read_answers(self._place(number)) for number in range(1, self.count + 1)]
        rows, logits = [each.rows for each in answers], [each.logits for each in answers]
        crossed = pooled([each.fold for each in answers], rows, logits, data.labels, data.groups, data.catalog.classes)
        report = yield from self._last.finish(crossed)
        if report.complete:
            with files.storage_errors(self.out / FOLDER):
                shutil.rmtree(self.out / FOLDER)
            self.close()
        return report

    def close(self) -> None:
        """Release the folder, which another process may then use. It cannot continue after that."""
        if self._run is not None:
            self._run.close()
        self._last.close()

    def _leave(self) -> None:
        """Close a training that could not begin. Nothing of the first one stays, unless it can be resumed."""
        if self._run is not None:
            self._run.close()
        folder = self.out / FOLDER
        if self._read and begun(self.out) and not [*folder.glob(f"*/{CHECKPOINTS}"), *folder.glob(f"*/{ANSWERS}")]:
            shutil.rmtree(folder, ignore_errors=True)
        self._last.close()

    # ---- one training after the other

    def _resume(self, out: Path) -> None:
        self._plan = artefact.read_json(out / FOLDER / PLAN)
        try:
            self.recipe = recipes.make(**self._plan["asked"])
            self._more["named"] = frozenset(self._plan.get("named", self._more.get("named", ())))
            if self.recipe.folds is None:
                raise ValueError("it does not belong to a cross-validation")
        except (KeyError, TypeError, ValueError, RecipeError) as error:
            path = out / FOLDER / PLAN
            raise ArtefactError(f"{path} is damaged: {error}. Train again with another --out.") from error
        if (out / artefact.CONFIG).is_file() and not (out / CHECKPOINTS).is_dir():  # killed at the very end
            shutil.rmtree(out / FOLDER, ignore_errors=True)

    def _take(self) -> None:
        """Claim the folder once the pictures are listed, and read which folds are done."""
        self._last.look()
        self._last.take()
        for number in range(1, self.count + 1):
            if (self._place(number) / ANSWERS).is_file():
                answers = read_answers(self._place(number))
                self._done[number] = answers.fold
                self._spent.append(answers.spent)
        self._read = True

    def _fold(self, number: int) -> Iterator[Event]:
        """Train on all folds but one and test on that one; its answers are then in one file."""
        if self._run is None:
            self._clock = time.monotonic()
            recipe = replace(self.recipe, minutes=self._minutes(), replay=False, replay_every=None)
            place, part = self._place(number), self._part(number, self.out)
            seconds = self.checkpoint_seconds
            self._run = Run(self.directory, recipe, place, self.cache, True, seconds, part=part, **self._more)
        run = self._run
        try:
            yield from self._events(run, number)
            judged = result_of(judge(run.trained))
        except TrainingError as error:
            raise TrainingError(f"Fold {number} of {self.count}: {error}") from error
        fold, place = figures(number, run.trained, judged), self._place(number)
        self._spent.append(time.monotonic() - self._clock)
        Answers(fold, self._spent[-1], run.trained.data.rows("test"), judged.logits["test"]).write(place)
        run.close()
        checkpoint.remove(place / CHECKPOINTS)
        self._run = None
        self._done[number] = fold
        yield FoldDone(fold, self.count)

    def _on_all(self) -> Iterator[Event]:
        """The last training, whose model is saved."""
        if self._run is None:
            self._run, self._clock = self._last, time.monotonic()
            self._last.part = self._part(0, self.out)
            if checkpoint.newest(self.out / CHECKPOINTS) is None:  # else it continues with its original settings
                self._last.recipe = replace(self.recipe, minutes=self._minutes())
        yield from self._events(self._last, 0)

    def _events(self, run: Run, number: int) -> Iterator[Event]:
        """The events of a training, as part of the whole."""
        for event in run:
            if isinstance(event, Decoding | Comparing):
                if not self._announced:
                    yield event
            elif isinstance(event, DataSummary):
                if not self._announced:
                    self._note()
                    every = sum(event.pictures)
                    yield replace(event, train=every, validation=0, test=every, lacking={}, folds=self.count)
            elif isinstance(event, Started):
                if "alike" not in self._plan:
                    self._note(alike=_alike(run.trained))
                if event.resumed_at is not None:  # the time before it was stopped
                    self._clock -= run.trained.state.seconds
                if not self._announced:
                    self._announced = True
                    yield event
                    yield from (FoldDone(fold, self.count) for fold in self._done.values())
                data = run.trained.data
                sizes = (len(data.rows(side)) for side in SIDES)
                yield FoldBegun(number, self.count, *sizes, lacking=data.lacking)
            elif isinstance(event, Step):
                yield self._step(event, number)
            else:
                yield event

    def _step(self, step: Step, number: int) -> FoldStep:
        before = len(self._done)
        after = self.count - before
        if self.recipe.minutes is not None:
            left = self.recipe.minutes * 60 - sum(self._spent) - (time.monotonic() - self._clock)
        else:
            this = time.monotonic() - self._clock + step.seconds_left
            left = step.seconds_left + after * (sum(self._spent) / len(self._spent) if self._spent else this)
        values = {**asdict(step), "seconds_left": max(0.0, left)}
        done, total = before * step.steps + step.step, (self.count + 1) * step.steps
        return FoldStep(**values, fold=number, folds=self.count, done=done, total=total)

    def _note(self, **more: Any) -> None:
        """Write the plan: the request, and the first training's choices for all."""
        named = sorted(self._more.get("named", ()))  # known weights do not change these, in later folds either
        self._plan |= {"asked": self.recipe.as_json(), "named": named, **more}
        folder = self.out / FOLDER
        with files.storage_errors(folder):
            folder.mkdir(exist_ok=True)
        artefact.write_json(folder / PLAN, self._plan)

    def _minutes(self) -> float | None:
        """The next training's share of the minutes left."""
        if self.recipe.minutes is None:
            return None
        left = self.recipe.minutes - sum(self._spent) / 60
        return max(LEAST, left / (self.count + 1 - len(self._done)))

    def _part(self, number: int, out: Path | Callable[[], Path]) -> FoldPosition:
        place = out if isinstance(out, Path) else Path()
        return FoldPosition(number, self.count, place, self._plan.get("alike", {}))

    def _place(self, number: int) -> Path:
        return self.out / FOLDER / str(number)


def _alike(trained: Trained) -> dict[str, Any]:
    """The common choices of all trainings, from the first; see FoldPosition."""
    context = trained.keeper.context
    return {
        "threads": context["threads"],
        "fused": context["fused"],
        "kernels": context.get("kernels", False),
        "fingerprint": trained.data.store.fingerprint,
        "groups": fingerprint(trained.data.groups),
        "class_weights": trained.task.recipe.class_weights,
    }
