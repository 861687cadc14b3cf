"""The loop: its random numbers, its best weights, its stops, and that stopping changes nothing."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.errors import TrainingError
from pellucid.network.standardise import Standardise
from pellucid.training import checkpoint, forward, loop
from pellucid.training import history as history_of
from pellucid.training.history import Epoch
from pellucid.training.loop import State, Step, Task
from pellucid.training.pace import report_seconds

Begin = Callable[..., tuple[Task, State]]
Numbers = Callable[[State], dict[str, bytes]]


class Clock:
    """Half a second passes at each reading."""

    def __init__(self, tick: float = 0.5) -> None:
        self.now, self.tick = 0.0, tick

    def perf_counter(self) -> float:
        self.now += self.tick
        return self.now


@given(count=st.integers(1, 300), batch=st.integers(1, 40), epoch=st.integers(0, 3), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_picture_once_in_nearly_equal_steps(count: int, batch: int, epoch: int, seed: int) -> None:
    rows = np.arange(100, 100 + count)
    task = SimpleNamespace(train=rows, batch=batch, recipe=SimpleNamespace(seed=seed), blocks=None)
    task.steps_per_epoch = Task.steps_per_epoch.fget(task)  # type: ignore[attr-defined]
    steps = loop.epoch_order(task, epoch)  # type: ignore[arg-type]
    sizes = [len(step) for step in steps]
    assert sorted(np.concatenate(steps)) == list(rows)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= (batch if batch != 2 else 3)
    if batch > 1 and count > 1:
        assert min(sizes) >= 2  # one picture alone breaks batch norm


def test_the_order_depends_on_epoch_and_seed_alone(begin: Begin) -> None:
    task, _ = begin(seed=1)
    again, _ = begin(seed=1)
    other, _ = begin(seed=2)
    first = np.concatenate(loop.epoch_order(task, 0)).tolist()
    assert first == np.concatenate(loop.epoch_order(again, 0)).tolist()
    assert first != np.concatenate(loop.epoch_order(task, 1)).tolist()
    assert first != np.concatenate(loop.epoch_order(other, 0)).tolist()


def test_one_step_worked_by_hand(begin: Begin) -> None:
    settings = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0, "augment": "none"}
    settings |= {"schedule": "onecycle"}
    task, state = begin("flatten dense", train=6, validation=0, epochs=1, learning_rate=0.1, **settings)
    dense = state.module[1]  # type: ignore[index]
    weight, bias = dense.weight.detach().double().numpy().copy(), dense.bias.detach().double().numpy().copy()
    pixels = task.images.batch(task.train).astype(float).transpose(0, 3, 1, 2).reshape(6, -1)
    x, labels = (pixels / 255 - 0.5) / 0.25, task.labels[task.train]
    logits = x @ weight.T + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = (p - np.eye(2)[labels]) / 6

    step, epoch = loop.run(task, state)
    assert isinstance(step, Step)
    assert isinstance(epoch, Epoch)
    # onecycle, step 0 of 1: 0.5 of the way, 2/7 down the half cosine from its top
    rate = 0.1 * 0.5 * (1 + math.cos(math.pi * 2 / 7))
    assert step.learning_rate == pytest.approx(rate)
    assert step.loss == pytest.approx(-np.log(p[np.arange(6), labels]).mean(), abs=1e-5)
    assert step.accuracy == pytest.approx((logits.argmax(axis=1) == labels).mean())
    np.testing.assert_allclose(dense.weight.detach(), weight - rate * gradient.T @ x, atol=1e-5)
    np.testing.assert_allclose(dense.bias.detach(), bias - rate * gradient.sum(axis=0), atol=1e-5)
    assert (epoch.train_loss, epoch.validation_loss, epoch.best) == (step.loss, None, True)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_step_in_parts_is_the_step_of_them_all(begin: Begin, monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    """Fewer pictures at a time, with added gradients: the same step up to rounding."""
    network = "conv(4, 3) relu maxpool(2) flatten dense"
    seen: list[int] = []
    results = []
    for pixels in (forward.PIXELS, 3 * 8 * 8):
        monkeypatch.setattr(forward, "PIXELS", pixels)
        task, state = begin(network, augment="none", batch=20, loss=loss)
        monkeypatch.setattr(type(task.images), "batch", lambda self, rows: seen.append(len(rows)) or self.images[rows])
        report = loop.train_step(task, state, task.train, 0.01)
        gradients = [parameter.grad for parameter in state.module.parameters()]
        results.append((*report, *gradients, *state.module.parameters()))
    assert [count for count in seen if count] == [20, 3, 3, 3, 3, 3, 3, 2]
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(torch.as_tensor(parts), torch.as_tensor(whole), rtol=1e-4, atol=1e-5)


def test_batch_norm_sees_the_whole_batch(begin: Begin, monkeypatch: pytest.MonkeyPatch, numbers: Numbers) -> None:
    results = []
    for pixels in (forward.PIXELS, 1):
        monkeypatch.setattr(forward, "PIXELS", pixels)
        task, state = begin(batch=20)
        loop.train_step(task, state, task.train, 0.01)
        results.append(numbers(state))
    assert results[0] == results[1]


def test_events_come_in_order_and_sums_start_again_with_each_epoch(begin: Begin) -> None:
    task, state = begin(epochs=2)
    events = list(loop.run(task, state))
    assert [type(event) for event in events] == [Step, Step, Step, Epoch] * 2
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6]
    assert [event.epoch for event in events] == [1] * 4 + [2] * 4
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert epochs == state.history
    assert [epoch.steps for epoch in epochs] == [3, 6]
    assert (epochs[1].train_loss, epochs[1].train_accuracy) == (events[6].loss, events[6].accuracy)  # type: ignore[union-attr]
    assert state.finished
    assert list(loop.run(task, state)) == []


def test_it_learns(begin: Begin) -> None:
    task, state = begin(epochs=12, learning_rate=0.01, augment="none")
    for _ in loop.run(task, state):
        pass
    assert state.history[-1].validation_accuracy == 1.0
    assert state.history[-1].train_loss < state.history[0].train_loss


def test_stopping_at_any_event_and_going_on_changes_nothing(begin: Begin, numbers: Numbers) -> None:
    task, whole = begin(epochs=2)
    events = len(list(loop.run(task, whole)))
    assert events == 8
    for stop in range(events):
        task, state = begin(epochs=2)
        steps = loop.run(task, state)
        for _ in itertools.islice(steps, stop):
            pass
        steps.close()  # type: ignore[attr-defined]
        done = [event for event in (*state.history,) if event.best]
        assert len(done) <= 2
        for _ in loop.run(task, state):
            pass
        assert numbers(state) == numbers(whole), f"stopped after event {stop}"
        assert [e.validation_loss for e in state.history] == [e.validation_loss for e in whole.history]
        assert [e.train_loss for e in state.history] == [e.train_loss for e in whole.history]


def test_a_run_whose_last_epoch_is_not_validated_is_not_finished(begin: Begin) -> None:
    task, state = begin(epochs=1)
    for _ in itertools.islice(loop.run(task, state), 3):
        pass
    assert state.step == state.steps
    assert not state.finished
    assert state.best == {}


def test_the_seed_decides_every_bit(begin: Begin, numbers: Numbers) -> None:
    results = []
    for seed in (3, 3, 4):
        task, state = begin(seed=seed)
        torch.manual_seed(seed * 1000)  # whatever happened before must not matter
        for _ in loop.run(task, state):
            torch.rand(1)
        results.append(numbers(state))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_the_weights_of_the_best_epoch_are_kept(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    task, state = begin(epochs=4)
    answers(monkeypatch, task, right=[3, 5, 4, 5])
    seen = []
    for event in loop.run(task, state):
        if isinstance(event, Epoch):
            seen.append({name: tensor.clone() for name, tensor in state.module.state_dict().items()})
    assert [epoch.best for epoch in state.history] == [True, True, False, False]
    assert [epoch.validation_accuracy for epoch in state.history] == pytest.approx([3 / 6, 5 / 6, 4 / 6, 5 / 6])
    assert all(torch.equal(state.best[name], tensor) for name, tensor in seen[1].items())
    assert any(not torch.equal(state.best[name], tensor) for name, tensor in seen[3].items())


def test_it_stops_early_after_so_many_epochs_without_a_better_one(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, state = begin(epochs=20, patience=2)
    answers(monkeypatch, task, right=[3, 5, 4, 6, 5, 5, 6, 6])
    for _ in loop.run(task, state):
        pass
    assert [epoch.best for epoch in state.history] == [True, True, False, True, False, False]
    assert state.stopped_early
    assert state.finished
    assert state.step < state.steps


def answers(monkeypatch: pytest.MonkeyPatch, task: Task, right: list[int]) -> None:
    """Validate as if this many of the six pictures were right, epoch after epoch."""
    labels = task.labels[task.validation]
    answered = iter(right)

    def predict_rows(*_: object) -> np.ndarray:
        called = np.where(np.arange(6) < next(answered), labels, 1 - labels)
        return np.eye(2, dtype=np.float32)[called]

    monkeypatch.setattr(loop, "predict_rows", predict_rows)


@pytest.mark.parametrize(
    ("accuracy", "loss", "best"),
    [(0.8, 0.9, True), (0.7, 0.4, True), (0.7, 0.5, False), (0.7, 0.6, False), (0.6, 0.1, False), (None, None, True)],
)
def test_best_is_more_accurate_or_as_accurate_with_a_smaller_loss(
    accuracy: float | None, loss: float | None, best: bool
) -> None:
    history = [
        Epoch(1, 1, 0, 0, 0.5, 0.7, 0, 0, best=True),
        Epoch(2, 2, 0, 0, 0.2, 0.6, 0, 0, best=False),
    ]
    assert history_of.is_best(history, accuracy, loss) is best
    assert history_of.is_best([], accuracy, loss)


def test_without_validation_a_head_on_known_weights_stays_and_else_the_last_epoch_is_best() -> None:
    head = Epoch(0, 0, 0.5, 0.5, None, None, 0, 0, best=True)
    later = Epoch(1, 4, 0.1, 0.9, None, None, 0, 0, best=True)
    assert not history_of.is_best([head], None, None)
    assert history_of.is_best([later], None, None)
    assert history_of.is_best([], None, None)


@pytest.mark.parametrize(
    ("head", "best"),
    [
        ([], True),  # of many pictures: the mean decides
        ([0.5] * 6, True),  # each picture's loss is smaller
        ([0.14, 0.14, 0.14, 0.14, 0.14, 2.0], False),  # one is much smaller: it may be chance
        ([0.1] * 6, False),
    ],
)
def test_on_few_pictures_the_head_stays_unless_an_epoch_is_surely_better(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, head: list[float], best: bool
) -> None:
    task, state = begin(epochs=1)
    answers(monkeypatch, task, right=[6])
    loss = float(np.mean(head or [2.0]))
    state.history = [Epoch(0, 0, 0.5, 0.5, loss, 0.9, 0, 0, best=True)]
    state.head_losses = head
    (epoch,) = [event for event in loop.run(task, state) if isinstance(event, Epoch)]

    # a logit of 1 for each picture's class
    assert epoch.validation_loss == pytest.approx(math.log1p(math.exp(-1)))
    assert epoch.best is best


def test_the_validation_loss_is_weighted_as_the_classes_are(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    task, state = begin(epochs=1)
    task = replace(task, weights=(3.0, 0.5))
    answers(monkeypatch, task, right=[4])
    (epoch,) = [event for event in loop.run(task, state) if isinstance(event, Epoch)]

    labels = task.labels[task.validation]
    weights = np.where(labels == 0, 3.0, 0.5)
    right = np.arange(6) < 4
    losses = np.where(right, math.log1p(math.exp(-1)), math.log1p(math.e))
    assert 0 < labels.sum() < 6
    assert (begin()[0].by_loss, task.by_loss) == (False, True)
    assert epoch.validation_loss == pytest.approx((weights * losses).sum() / weights.sum())
    assert epoch.validation_accuracy == pytest.approx(4 / 6)


def test_a_loss_that_is_not_finite_stops_with_everything_as_it_was(begin: Begin, numbers: Numbers) -> None:
    task, state = begin(learning_rate=0.02, schedule="onecycle")
    steps = loop.run(task, state)
    for _ in itertools.islice(steps, 2):
        pass
    before = numbers(state)
    object.__setattr__(task, "standardise", Standardise((0.5, 0.5, 0.5), (0.0, 0.25, 0.25)))  # divides by 0
    with pytest.raises(TrainingError) as caught:
        next(steps)
    assert numbers(state) == before  # batch norm's sums, too
    assert state.step == 2
    assert all(parameter.grad is None for parameter in state.module.parameters())
    message = str(caught.value)
    assert "The loss is nan at step 3 of 6" in message
    assert "learning rate 0.0187" in message
    assert "--learning-rate 0.002" in message
    assert "\n" not in message


def test_a_gradient_that_is_not_finite_stops_too(
    begin: Begin, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, state = begin()
    before = numbers(state)
    monkeypatch.setattr(loop.backward, "mean_loss", lambda kind, logits, *_: (logits.sum() * 0).sqrt())  # 0 / sqrt(0)
    with pytest.raises(TrainingError, match=r"The gradient's length is nan at step 1 of 6, with learning rate"):
        next(iter(loop.run(task, state)))
    assert numbers(state) == before


def test_a_validation_loss_that_is_not_finite_makes_no_best_epoch(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, state = begin()
    monkeypatch.setattr(loop, "predict_rows", lambda *_: np.full((6, 2), np.nan, np.float32))
    with pytest.raises(TrainingError, match="The validation loss is nan after step 3 of 6, with learning rate"):
        list(loop.run(task, state))
    assert state.best == {}


def test_measuring_leaves_the_state_as_it_was(begin: Begin, numbers: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    task, state = begin()
    before, strides = numbers(state), [parameter.stride() for parameter in state.module.parameters()]
    monkeypatch.setattr(loop, "time", Clock())
    assert loop.measure_steps(task, state, seconds=3.4) == 0.5
    assert numbers(state) == before
    assert [parameter.stride() for parameter in state.module.parameters()] == strides
    assert (state.step, len(state.optimizer.state)) == (0, 0)
    _, untouched = begin()
    for _ in loop.run(task, state):
        pass
    for _ in loop.run(task, untouched):
        pass
    assert numbers(state) == numbers(untouched)


def test_measuring_takes_two_steps_where_one_takes_longer_than_allowed(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, state = begin()
    calls = []
    monkeypatch.setattr(loop, "time", Clock(tick=100.0))
    monkeypatch.setattr(loop, "train_step", lambda *_, rate: calls.append(rate))
    assert loop.measure_steps(task, state, seconds=1.2) == 100.0
    assert calls == [0.0, 0.0]


@pytest.mark.parametrize("planned", [20, 60, 200])
def test_minutes_follow_the_speed(begin: Begin, monkeypatch: pytest.MonkeyPatch, planned: int) -> None:
    """Each step and each validation takes half a second; 30 seconds are allowed: 15 epochs of 3 + 1."""
    task, state = begin(steps=planned)
    state.seconds_allowed = 30.0
    monkeypatch.setattr(loop, "time", Clock())
    events = list(loop.run(task, state))
    assert state.finished
    assert 28 <= state.seconds <= 32
    assert [event for event in events if isinstance(event, Epoch)] == state.history
    assert isinstance(events[-1], Epoch)
    assert events[-1].steps == state.step == state.steps


def test_time_that_is_up_ends_an_epoch_in_its_middle(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    task, state = begin(train=400, batch=2, steps=10_000)
    state.seconds_allowed = 40.0
    monkeypatch.setattr(loop, "time", Clock())
    events = list(loop.run(task, state))
    assert 76 <= state.step <= 79  # half a second each, and a validation
    assert state.seconds <= 40.0
    assert [type(event) for event in events[-2:]] == [Step, Epoch]
    assert len(state.history) == 1
    assert state.best


class Load:
    """A clock that other programs slow down: a step takes `step(now)` seconds, a picture without gradient a third."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: Callable[[float], float], batch: int) -> None:
        self.now, self.step, self.batch = 0.0, step, batch
        self.longest = 0.0
        monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(loop, "train_step", self.train)
        monkeypatch.setattr(loop, "predict_rows", self.predict)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.longest = max(self.longest, seconds)

    def train(self, task: Task, state: State, rows: NDArray[np.int64], rate: float) -> tuple[float, int]:
        self.pass_by(self.step(self.now))
        return 0.5, len(rows)

    def predict(self, task: Task, module: torch.nn.Module, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        self.pass_by(self.step(self.now) * len(rows) / self.batch / 3)
        return np.zeros((len(rows), 2), np.float32)


@pytest.mark.parametrize(
    ("load", "steady"),
    [
        (lambda now: 0.2, True),
        (lambda now: 0.2 if now < 50 else 0.6, True),  # three times slower midway
        (lambda now: 0.6 if now < 50 else 0.2, True),  # and faster
        (lambda now: 0.6 if now < 10 else 0.2, True),  # the plan was made while others ran
        (lambda now: 2.0 if now < 50 else 0.7, True),  # few steps
        (lambda now: 0.2 if now < 95 else 0.6, False),  # slower at the end
        (lambda now: 0.2 if int(now / 7) % 2 else 0.6, False),  # on and off
    ],
)
@pytest.mark.parametrize("planned", [5, 50_000])
@pytest.mark.parametrize(("train", "validation"), [(120, 6), (40, 40), (400, 80), (120, 0)])
def test_a_changing_load_leaves_the_time_used(
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[float], float],
    steady: bool,
    planned: int,
    train: int,
    validation: int,
) -> None:
    """From 95% to 100% of the time. If it is slower at the end, over by at most a step, a validation and the report.

    That is: by how much longer these take than before.
    """
    task, state = begin(train=train, validation=validation, batch=8, steps=planned)
    task = replace(task, reported=2 * validation)
    clock = Load(monkeypatch, load, batch=8)
    state.seconds_allowed, state.step_seconds = 100.0, load(0.0)
    rates = [event.learning_rate for event in loop.run(task, state) if isinstance(event, Step)]
    alone = min(map(load, range(100)))
    report = load(clock.now) / 8 / 3 * task.reported + (report_seconds(load(clock.now), alone) if task.reported else 0)
    assert state.finished
    assert state.seconds == pytest.approx(clock.now)
    total = state.seconds + report
    assert total >= 95 or 100 - total < load(clock.now)  # a step more would not have fitted
    longer = 0.0 if steady else (0.6 - 0.2) * (1 + (validation + task.reported) / 8 / 3)
    longer += 0.0 if steady or not task.reported else report_seconds(0.6, 0.2) - report_seconds(0.2, 0.2)
    assert total <= 100 + longer + 1e-6
    assert rates[-1] < 0.05 * max(rates)  # the schedule has come to its end


def test_who_iterates_and_checkpoints_take_of_the_time(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    task, state = begin(train=120, batch=8, steps=500)
    clock = Load(monkeypatch, lambda now: 0.2, batch=8)
    state.seconds_allowed, state.step_seconds = 100.0, 0.2
    for _ in loop.run(task, state):
        clock.now += 0.3
    assert 95 <= clock.now <= 100.5
    assert state.seconds == pytest.approx(clock.now, abs=0.3)  # what comes after the last event is not seen


def test_a_resumed_plan_keeps_to_the_time_that_is_left(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same steps at the same rates as without the stop: the checkpoint holds the speed."""

    def load(now: float) -> float:
        return 0.2 if now < 30 else 0.5

    def begun() -> tuple[Task, State, Load]:
        task, state = begin(train=120, validation=12, batch=8, steps=500)
        clock = Load(monkeypatch, load, batch=8)
        state.seconds_allowed, state.step_seconds = 100.0, load(0.0)
        return task, state, clock

    task, whole, _ = begun()
    events = list(loop.run(task, whole))
    task, state, clock = begun()
    first = list(itertools.islice(loop.run(task, state), 170))
    path = checkpoint.save(tmp_path, state, {})
    task, again, later = begun()
    checkpoint.restore(checkpoint.read(path), again)
    later.now = clock.now
    rest = list(loop.run(task, again))
    report = [(event.step, event.steps, event.learning_rate) for event in events if isinstance(event, Step)]
    assert [(e.step, e.steps, e.learning_rate) for e in [*first, *rest] if isinstance(e, Step)] == report
    assert 95 <= again.seconds <= 100
    assert again.seconds == pytest.approx(whole.seconds)


def test_history_as_csv() -> None:
    history = [
        Epoch(1, 3, 0.7, 0.5, None, None, 0.002, 1.25, best=True),
        Epoch(2, 6, 0.6123456789, 0.75, 0.5, 1.0, 1e-5, 1.5, best=False),
    ]
    assert history_of.as_csv(history) == (
        "epoch,steps,train_loss,train_accuracy,validation_loss,validation_accuracy,learning_rate,seconds,best\n"
        "1,3,0.7,0.5,,,0.002,1.25,1\n"
        "2,6,0.612346,0.75,0.5,1,1e-05,1.5,0\n"
    )


def test_rows_are_predicted_alike_in_any_batch(begin: Begin) -> None:
    task, state = begin()
    small, _ = begin(batch=1)
    for _ in loop.run(task, state):
        pass
    together = loop.predict_rows(task, state.module, task.validation)
    alone = loop.predict_rows(small, state.module, task.validation)
    assert together.shape == (6, 2)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_from_the_best_epochs_weights_and_optimizer_the_next_step_is_the_same(begin: Begin, name: str) -> None:
    task, state = begin(optimizer=name, validation=0, epochs=2)
    events = loop.run(task, state)
    next(event for event in events if isinstance(event, loop.Epoch))
    assert (state.step, state.best_step) == (3, 3)
    next(events)  # step 4, which must not reach what was kept

    _, other = begin(optimizer=name, validation=0, epochs=2)
    other.module.load_state_dict(state.best)
    for path, tensor in state.best_optimizer.items():
        parameter, key = path.split("/")
        other.optimizer.state[other.module.get_parameter(parameter)][key] = tensor.clone()
    other.step = state.best_step
    next(loop.run(task, other))
    weights, again = state.module.state_dict(), other.module.state_dict()
    assert [path for path, tensor in weights.items() if not torch.equal(tensor, again[path])] == []
    assert not all(torch.equal(tensor, state.best[path]) for path, tensor in weights.items())


def test_an_optimizer_that_remembers_nothing(begin: Begin) -> None:
    task, state = begin(optimizer="sgd", momentum=0, epochs=1)
    list(loop.run(task, state))
    assert state.best_optimizer == {}
    assert state.best_step == 3
