"""A team's parts: shares, batch norm over all processes, the exchange of gradients, equal decisions."""

import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from tests.training.team.members import in_team
from tests.training.team.test_equal import task_of
from torch import nn

from pellucid.errors import ArtefactError, TrainingError
from pellucid.training import checkpoint, forward, loop
from pellucid.training.loop import NotFinite
from pellucid.training.optimizer import optimizer
from pellucid.training.team import joining
from pellucid.training.team.meeting import ANNOUNCED, fresh
from pellucid.training.team.team import ALONE, Lost, Team

SHARES = (5, 2)  # pictures of each process


@given(count=st.integers(0, 60), world=st.integers(1, 9), seed=st.integers(0, 9))
def test_shares_are_all_pictures_once_and_nearly_equal(count: int, world: int, seed: int) -> None:
    there = np.random.default_rng(seed).random(count) < 0.7
    shares = [Team(rank, world).share(there) for rank in range(world)]
    assert (np.sum(shares, axis=0, dtype=int) == there).all()
    sizes = [int(share.sum()) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_alone_nothing_is_exchanged() -> None:
    value = object()
    assert ALONE.same(value) is value
    assert ALONE.totals(1.5, 2) == (1.5, 2)
    assert ALONE.each(3) == [3]
    assert ALONE.part(7) == slice(0, 7)


# ---- batch norm


def _maps() -> torch.Tensor:
    return torch.randn(sum(SHARES), 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 3 + 7


def _norm(momentum: float | None, affine: bool = True) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(3, momentum=momentum, affine=affine).double()
    if affine:
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, -1.5, 2.0]))
            norm.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    return norm


def _normalise(norm: nn.BatchNorm2d, maps: torch.Tensor, start: int) -> dict[str, Any]:
    """Two passes, the second of a loss whose slopes differ from picture to picture."""
    norm(maps * 2)
    maps = maps.clone().requires_grad_()
    result = norm(maps)
    slopes = torch.arange(start, start + result.numel(), dtype=torch.float64).sin().view_as(result)
    (result * slopes).sum().backward()
    assert maps.grad is not None
    sums = {name: buffer.numpy() for name, buffer in norm.named_buffers()}
    slopes_of = {name: each.grad.numpy() for name, each in norm.named_parameters() if each.grad is not None}
    return {"result": result.detach().numpy(), "slope": maps.grad.numpy(), "sums": sums, "weights": slopes_of}


def _share_of_norm(team: Team, momentum: float | None, affine: bool) -> dict[str, Any]:
    from pellucid.training.team import norms

    start = sum(SHARES[: team.rank])
    norm = _norm(momentum, affine)
    with norms.together(norm):
        share = _normalise(norm, _maps()[start : start + SHARES[team.rank]], start * 3 * 4 * 5)
    assert "forward" not in vars(norm)
    return share


@pytest.mark.parametrize(("momentum", "affine"), [(0.1, True), (None, False)])
def test_batch_norm_of_unequal_shares_is_that_of_all_pictures(momentum: float | None, affine: bool) -> None:
    shares = in_team(2, _share_of_norm, momentum, affine)
    whole = _normalise(_norm(momentum, affine), _maps(), 0)
    for name in ("result", "slope"):
        np.testing.assert_allclose(np.concatenate([share[name] for share in shares]), whole[name], rtol=0, atol=1e-12)
    for share in shares:
        for name, value in whole["sums"].items():
            np.testing.assert_allclose(share["sums"][name], value, rtol=1e-12)
    for name, value in whole["weights"].items():
        np.testing.assert_allclose(sum(share["weights"][name] for share in shares), value, rtol=1e-11)


def _central_difference(team: Team) -> tuple[float, float]:
    """The slope of the sum over both processes of a loss, by one number of the first process: worked and measured."""
    from pellucid.training.team import norms

    start = sum(SHARES[: team.rank])
    own = _maps()[start : start + SHARES[team.rank]]
    norm = _norm(0.1)

    def loss(maps: torch.Tensor) -> torch.Tensor:
        with norms.together(norm):
            return (norm(maps).sin() * (1 + team.rank)).sum()

    leaf = own.clone().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad is not None
    away, values = 1e-5, []
    for sign in (1, -1):
        moved = own.clone()
        if team.leads:
            moved[1, 2, 3, 1] += sign * away
        values.append(team.totals(float(loss(moved)), 0)[0])
    return float(leaf.grad[1, 2, 3, 1]), (values[0] - values[1]) / (2 * away)


def test_its_gradient_is_that_of_central_differences() -> None:
    worked, measured = in_team(2, _central_difference)[0]
    assert worked == pytest.approx(measured, rel=1e-6)
    assert abs(worked) > 1e-4


def _of_rows(team: Team) -> tuple[torch.dtype, np.ndarray, np.ndarray]:
    """Rows in bfloat16, normalised by BatchNorm1d in float32: the result's type, its numbers, the running variance.

    Arrays, because a tensor goes to another process by a connection back, which ends with the process.
    """
    from pellucid.training.team import norms

    norm = nn.BatchNorm1d(4)
    rows = torch.arange(40, dtype=torch.bfloat16).view(10, 4).sin()
    with norms.together(norm):
        result = norm(rows[team.part(10)]).detach()
    assert norm.running_var is not None
    return result.dtype, result.float().numpy(), norm.running_var.numpy()


def test_batch_norm_of_rows_in_bfloat16() -> None:
    shares = in_team(3, _of_rows)
    expected, variance = _of_rows_alone()
    assert {kind for kind, _, _ in shares} == {torch.bfloat16}
    np.testing.assert_allclose(np.concatenate([share for _, share, _ in shares]), expected, rtol=0.016, atol=1e-5)
    for _, _, each in shares:
        np.testing.assert_allclose(each, variance, rtol=1e-5)


def _of_rows_alone() -> tuple[np.ndarray, np.ndarray]:
    norm = nn.BatchNorm1d(4)
    result = norm(torch.arange(40, dtype=torch.bfloat16).view(10, 4).sin()).detach()
    assert norm.running_var is not None
    return result.float().numpy(), norm.running_var.numpy()


# ---- steps


class Spare(nn.Module):
    """A module with a parameter that no step uses."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.ones(3))
        self.rest = nn.Sequential(nn.Flatten(), nn.Linear(8 * 8 * 3, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.rest(images)


def _in_parts(team: Team) -> dict[str, np.ndarray]:
    """An epoch whose steps go through the network in parts, by a module with a spare parameter."""
    from pellucid.training.loop import State

    forward.PIXELS = 8 * 8 * 8 // team.world
    task, _ = task_of(team, wide=False, augment="none")
    torch.manual_seed(5)
    module = Spare().double()
    module.rest.insert(0, _Doubled())
    state = State(module, optimizer(task.recipe, module), task.steps_per_epoch)
    assert len(forward.parts(task, module, task.train[:24])) == 3
    for _ in loop.run(task, state):
        pass
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


class _Doubled(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.double()


def test_parts_of_a_step_add_up_and_a_spare_parameter_stays() -> None:
    (one,), two = in_team(1, _in_parts), in_team(2, _in_parts)
    for weights in two:
        assert (weights["spare"] == 1).all()
        for name, value in one.items():
            np.testing.assert_allclose(weights[name], value, rtol=0, atol=1e-12)


class Fickle(Spare):
    """Uses its spare parameter in the first steps alone."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(images) + (self.spare if self.calls <= 3 else 0)


def _fickle(team: Team) -> str:
    from pellucid.training.loop import State

    task, _ = task_of(team, wide=False, augment="none", epochs=3)
    module = Fickle()
    try:
        for _ in loop.run(task, State(module, optimizer(task.recipe, module), 3 * task.steps_per_epoch)):
            pass
    except TrainingError as error:
        return str(error)
    return ""


def test_a_module_that_changes_its_parameters_is_named() -> None:
    errors = in_team(2, _fickle)
    assert all(text.startswith("The module uses other parameters in one step than in another") for text in errors)


def _diverging(team: Team) -> tuple[str, bool]:
    """A loss that is not finite in the last process alone; whether the weights stayed."""
    from pellucid.training import backward

    task, state = task_of(team, wide=False)
    plain = backward.mean_loss
    if not team.leads:
        backward.mean_loss = lambda *a: plain(*a) * float("nan")
    before = {name: tensor.clone() for name, tensor in state.module.state_dict().items()}
    try:
        for _ in loop.run(task, state):
            pass
    except NotFinite as error:
        return error.what, all(torch.equal(before[name], tensor) for name, tensor in state.module.state_dict().items())
    return "", False


def test_all_processes_refuse_a_step_that_one_cannot_make() -> None:
    assert in_team(2, _diverging) == [("The loss is nan", True)] * 2


def _waited(team: Team) -> int:
    """How often PyTorch's threads still held an exchange when the wait for it was over."""
    made: list[torch.Tensor] = []
    plain = torch.zeros
    torch.zeros = lambda *shape: made.append(plain(*shape)) or made[-1]  # type: ignore[assignment,func-returns-value]
    held = 0
    for _ in range(100):
        team.wait()
        (tensor,) = made
        made.clear()
        held += sys.getrefcount(tensor) > 2  # the name here, and the argument
    return held


def test_after_a_wait_no_thread_holds_the_exchange() -> None:
    """A process that ends while one does so hangs: without the second look, some of 100 on a busy machine."""
    assert in_team(2, _waited) == [0, 0]


def _read_in_parts(team: Team) -> tuple[list[int], list[int]]:
    """The rows that an epoch in parts announces, and those that it then reads, without those of the trial."""
    from pellucid.training import backward

    forward.PIXELS = 8 * 8 * 8 // team.world
    task, state = task_of(team, wide=False, augment="none")
    state.module = Spare()
    state.optimizer = optimizer(task.recipe, state.module)
    if not team.alone:
        state.exchange = backward.exchange(task, state, task.train[:24], 0)
    announced: list[int] = []
    read: list[int] = []
    pictures, plain = type(task.images), type(task.images).batch
    pictures.coming = lambda _, rows: announced.extend(rows.tolist())  # type: ignore[attr-defined]
    pictures.batch = lambda self, rows: read.extend(rows.tolist()) or plain(self, rows)  # type: ignore
    for event in loop.run(task, state):
        if isinstance(event, loop.Step) and event.step == task.steps_per_epoch:
            break
    return announced, read


def test_a_team_reads_what_it_announces() -> None:
    """A set that is streamed decodes ahead along the announced rows."""
    for world in (1, 2):
        shares = in_team(world, _read_in_parts)
        assert all(announced == read for announced, read in shares)
        assert sorted(row for _, read in shares for row in read) == list(range(47))


def _clocks(team: Team) -> tuple[float, float | None, int]:
    from pellucid.runs import prepare

    task, state = task_of(team, wide=False, epochs=None, minutes=0.02)
    state.seconds = 10.0 * team.rank  # as if this process had taken longer for the features and the head
    about = SimpleNamespace(began=time.perf_counter() - team.rank)
    prepare.set_clock(task, state, about, None)  # type: ignore[arg-type]
    return state.seconds, state.seconds_allowed, state.steps


def test_all_processes_plan_the_same_steps_in_minutes() -> None:
    first, second = in_team(2, _clocks)
    assert first == second
    assert first[0] == 0
    assert first[2] > 1


def _left_alone(team: Team) -> str:
    """What the first process meets in its first step, when the other has ended after the trial of the exchange."""
    from pellucid.training import backward

    task, state = task_of(team, wide=False)
    state.exchange = backward.exchange(task, state, task.train[:24], 0)
    if not team.leads:
        return "ended"
    try:
        loop.train_step(task, state, task.train[:24], 0.0)
    except Lost:
        return "lost"
    return "trained alone"


def test_a_process_that_ends_before_the_first_step_is_lost_to_the_other() -> None:
    assert in_team(2, _left_alone) == ["lost", "ended"]


def _in_minutes(team: Team) -> tuple[int, int, list[list[int]]]:
    task, state = task_of(team, wide=False, epochs=None, minutes=0.01)
    state.seconds_allowed, state.steps = 1.0, 4
    if not team.leads:
        state.seconds = 100.0  # its own clock would end the training
    for _ in loop.run(task, state):
        pass
    assert state.seconds < 50
    return state.step, state.steps, state.plan


def test_in_minutes_the_first_process_s_clock_decides() -> None:
    first, second = in_team(2, _in_minutes)
    assert first == second
    assert first[0] >= 1


def _stopping(team: Team) -> tuple[int, bool]:
    task, state = task_of(team, wide=False, epochs=5)
    for event in loop.run(task, state):
        team.wish.stop = team.rank == 1 and state.step >= 3
        if team.wish.agreed and isinstance(event, loop.Step):
            break
    return state.step, team.wish.agreed


def test_a_wish_to_stop_stops_all_after_the_same_step() -> None:
    assert in_team(2, _stopping) == [(4, True)] * 2


def _validated(team: Team) -> tuple[int, np.ndarray]:
    task, state = task_of(team, wide=False)
    seen: list[int] = []
    plain = type(task.images).batch
    task.images.__class__.batch = lambda self, rows: seen.extend(rows.tolist()) or plain(self, rows)  # type: ignore
    logits = loop.predict_rows(task, state.module, task.validation)
    return len(seen), logits


def test_validation_sees_each_picture_once() -> None:
    ((all_of_them, expected),), shared = in_team(1, _validated), in_team(3, _validated)
    assert sum(count for count, _ in shared) == all_of_them == 11
    for _, logits in shared:
        np.testing.assert_allclose(logits, expected, atol=1e-6)


def _interrupted(team: Team, folder: Path, begins: bool) -> dict[str, bytes]:
    """Two steps and a checkpoint, then two more; or those two alone, from the checkpoint, in new processes."""
    task, state = task_of(team, wide=False, epochs=2)
    if not begins:
        saved = checkpoint.newest(folder)
        assert saved is not None
        checkpoint.restore(saved, state)
        assert state.step == 2
    for event in loop.run(task, state):
        if begins and state.step == 2 and isinstance(event, loop.Step) and team.leads:
            checkpoint.save(folder, state, {})
    return {name: tensor.numpy().tobytes() for name, tensor in state.module.state_dict().items()}


def test_processes_that_start_again_come_to_the_same_bits(tmp_path: Path) -> None:
    """With three, whose sums depend on how PyTorch groups the gradients."""
    whole, again = in_team(3, _interrupted, tmp_path, True), in_team(3, _interrupted, tmp_path, False)
    assert whole == again
    assert whole[0] == whole[2]


# ---- joining


def _checked(team: Team) -> str:
    try:
        team.check_same({"PyTorch's version": "2.13" if team.rank < 2 else "2.12"})
    except ArtefactError as error:
        return str(error)
    return ""


def test_a_process_that_differs_is_named_in_all() -> None:
    errors = in_team(3, _checked)
    assert len(set(errors)) == 1
    assert "PyTorch's version is 2.12 in process 2 (" in errors[0]
    assert "and 2.13 in process 0 (" in errors[0]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"RANK": "two"}, "RANK to 'two'; it must be a whole number"),
        ({"RANK": "2"}, "RANK to 2 and WORLD_SIZE to 2; RANK must be below"),
    ],
)
def test_a_launcher_s_mistake_is_named(environment: dict[str, str], says: str) -> None:
    about = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", **environment}
    with pytest.raises(TrainingError, match=says):
        joining.described(about)


def test_without_a_launcher_a_process_is_alone() -> None:
    assert joining.described({"RANK": "1", "WORLD_SIZE": "2"}) is ALONE
    assert math.isfinite(joining.JOINING)


def test_a_start_takes_no_address_of_an_earlier_one() -> None:
    """Three processes meet twice in one store, the last of them late; torchrun keeps its store over restarts."""
    store, places = dist.HashStore(), []
    for _ in range(2):

        def meet(rank: int) -> bytes:
            time.sleep(0.1 * rank)
            own = fresh(store, rank, 3, 30)
            own.set(str(rank), f"{rank}")
            return own.get("2")

        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(meet, range(3))) == [b"2"] * 3
        places.append(store.get(ANNOUNCED))
    assert places[0] != places[1]


def test_who_has_not_come_is_named() -> None:
    store = dist.HashStore()
    with pytest.raises(RuntimeError, match="not there: processes 1, 2"):
        fresh(store, 0, 3, 0.1)
    with pytest.raises(RuntimeError, match="not there: process 0"):
        fresh(store, 1, 3, 0.1)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.training.team.members import free_port

    about = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in about.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=r"2 processes did not meet at 127\.0\.0\.1:\d+ \(.*; at most 1 s\)"):
        joining.join(joining.described(), seconds=1)
