"""Checkpoints: the same bits again, and never worse than the one before."""

import errno
import itertools
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pellucid import files
from pellucid.errors import ArtefactError, StorageError
from pellucid.training import checkpoint, loop
from pellucid.training.loop import State, Task

Begin = Callable[..., tuple[Task, State]]
Numbers = Callable[[State], dict[str, bytes]]
CONTEXT = {"asked": {"epochs": 2}, "threads": 1}


def advance(task: Task, state: State, events: int) -> None:
    for _ in itertools.islice(loop.run(task, state), events):
        pass


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("events", [0, 2, 3, 5])
def test_a_restored_run_goes_on_bit_for_bit(
    begin: Begin, numbers: Numbers, tmp_path: Path, name: str, events: int
) -> None:
    """Stopped before the first step, within an epoch, between its last step and its end, and in the second epoch."""
    task, whole = begin(optimizer=name, epochs=2)
    advance(task, whole, events)
    path = checkpoint.save(tmp_path, whole, CONTEXT)
    stored, strides = numbers(whole), layout(whole)

    _, state = begin(optimizer=name, epochs=2)
    with torch.no_grad():
        for parameter in state.module.parameters():
            parameter.fill_(7.0)  # nothing of what was there may stay
    newest = checkpoint.newest(tmp_path)
    assert newest is not None
    assert (newest.path, newest.context) == (path, CONTEXT)
    checkpoint.restore(newest, state)
    assert numbers(state) == stored
    assert layout(state) == strides
    assert state.module[0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index, union-attr]

    advance(task, whole, 99)
    advance(task, state, 99)
    assert numbers(state) == numbers(whole)
    assert [epoch.validation_loss for epoch in state.history] == [epoch.validation_loss for epoch in whole.history]
    assert (state.step, state.finished, state.history[-1].steps) == (6, True, 6)


def layout(state: State) -> dict[object, object]:
    """Dtype and memory order of every number: another order takes another code path, which rounds differently."""
    tensors: dict[object, torch.Tensor] = {**state.module.state_dict()}
    tensors |= {("best", name): tensor for name, tensor in state.best.items()}
    tensors |= {("best optimizer", name): tensor for name, tensor in state.best_optimizer.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {(index, key): value for key, value in values.items() if value is not None}
    return {name: (tensor.dtype, tensor.stride(), tensor.requires_grad) for name, tensor in tensors.items()}


def test_counters_come_back(begin: Begin, tmp_path: Path) -> None:
    task, state = begin(epochs=2, patience=1)
    advance(task, state, 6)
    state.stopped_early, state.seconds_allowed = True, 12.5
    checkpoint.save(tmp_path, state, CONTEXT)
    _, restored = begin(epochs=2, steps=1)
    newest = checkpoint.newest(tmp_path)
    assert newest is not None
    checkpoint.restore(newest, restored)
    same = set(State.__dataclass_fields__) - {"module", "optimizer", "best", "best_optimizer"}
    assert {name: getattr(restored, name) for name in same} == {name: getattr(state, name) for name in same}
    assert restored.history[0].validation_accuracy is not None
    assert restored.best_step in (3, 6)


def test_all_of_the_state_is_saved() -> None:
    """A field added to State must be added here, too."""
    assert set(State.__dataclass_fields__) == {
        *checkpoint._COUNTERS,
        *("module", "optimizer", "history", "best", "best_optimizer"),
        "exchange",  # made anew: PyTorch's connections between processes
    }


def test_two_are_kept(begin: Begin, tmp_path: Path) -> None:
    task, state = begin(epochs=2)
    for _ in loop.run(task, state):
        checkpoint.save(tmp_path, state, CONTEXT)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000005.safetensors",
        "step-00000006.safetensors",
    ]


@pytest.fixture
def two(begin: Begin, tmp_path: Path) -> tuple[Path, Path]:
    """Two checkpoints, of steps 2 and 3."""
    task, state = begin("flatten dense", epochs=2)
    advance(task, state, 2)
    older = checkpoint.save(tmp_path, state, CONTEXT)
    advance(task, state, 1)
    return older, checkpoint.save(tmp_path, state, CONTEXT)


def assert_the_one_before_loads(older: Path, damaged: Path, what: str) -> None:
    with pytest.raises(ArtefactError) as caught:
        checkpoint.read(damaged)
    assert str(damaged) in str(caught.value), what
    assert "damaged" in str(caught.value), what
    newest = checkpoint.newest(older.parent)
    assert newest is not None, what
    assert newest.path == older, what


def test_a_torn_one_is_not_believed(two: tuple[Path, Path]) -> None:
    older, newer = two
    content = newer.read_bytes()
    for length in (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1):
        newer.write_bytes(content[:length])
        assert_the_one_before_loads(older, newer, f"cut to {length}")
    newer.write_bytes(content + b"\0")
    assert_the_one_before_loads(older, newer, "a byte more")
    newer.write_bytes(bytes(len(content)))
    assert_the_one_before_loads(older, newer, "zeros")


def test_a_flipped_bit_is_noticed_wherever_it_is(two: tuple[Path, Path]) -> None:
    older, newer = two
    content = newer.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    seed = random.randrange(2**32)
    drawn = random.Random(seed)
    places = [*range(12), *drawn.sample(range(12, header), 150), *drawn.sample(range(header, len(content)), 30)]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << drawn.randrange(8)
        newer.write_bytes(flipped)
        try:
            read = checkpoint.read(newer)
        except ArtefactError:
            continue
        # a flip without effect: white space in the header, or the name of an unread key
        newer.write_bytes(content)
        whole = checkpoint.read(newer)
        assert (read.counters, read.history, read.context) == (whole.counters, whole.history, whole.context), (
            f"seed {seed}, byte {place} of a header of {header}"
        )
        assert all(torch.equal(tensor, read.tensors[name]) for name, tensor in whole.tensors.items()), f"seed {seed}"
    newer.write_bytes(content[: header + 3] + bytes([content[header + 3] ^ 1]) + content[header + 4 :])
    assert_the_one_before_loads(older, newer, "a weight's last bit")


def test_where_all_are_damaged_it_says_so(two: tuple[Path, Path]) -> None:
    for path in two:
        path.write_bytes(b"nothing")
    with pytest.raises(ArtefactError, match="No checkpoint can be resumed; train again with another --out") as caught:
        checkpoint.newest(two[0].parent)
    assert all(str(path) in str(caught.value) for path in two)


def test_a_damaged_one_does_not_push_out_good_ones(two: tuple[Path, Path], begin: Begin) -> None:
    older, newer = two
    newer.rename(newer.with_name("step-00000009.safetensors")).write_bytes(b"torn")
    newest = checkpoint.newest(older.parent)
    assert newest is not None
    task, state = begin("flatten dense", epochs=2)
    checkpoint.restore(newest, state)
    for _ in itertools.islice(loop.run(task, state), 4):  # step 3, its epoch, steps 4 and 5
        checkpoint.save(older.parent, state, CONTEXT)
    assert sorted(path.name for path in older.parent.iterdir()) == [
        "step-00000004.safetensors",
        "step-00000005.safetensors",
    ]


def test_nothing_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None
    assert checkpoint.newest(tmp_path / "absent") is None
    (tmp_path / ".step-00000003.safetensors.abcd1234.part").write_bytes(b"torn")
    (tmp_path / "step-x.safetensors").write_bytes(b"not ours")
    assert checkpoint.newest(tmp_path) is None


@pytest.mark.parametrize("where", ["open", "sync"])
def test_a_full_disk_leaves_the_older_ones(
    two: tuple[Path, Path], begin: Begin, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = {path.name: path.read_bytes() for path in two[0].parent.iterdir()}
    task, state = begin("flatten dense", epochs=2)
    advance(task, state, 5)

    def full(path: Path, *mode: str) -> None:
        if mode:
            os.write(descriptor := os.open(path, os.O_WRONLY), b"begun")
            os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*{"open": (Path, "open"), "sync": (files, "sync")}[where], full)
    with pytest.raises(StorageError, match=r"The disk is full: .*step-00000004.* MB free"):
        checkpoint.save(two[0].parent, state, CONTEXT)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in two[0].parent.iterdir()} == before
    assert checkpoint.newest(two[0].parent) is not None


def test_one_of_another_version_or_network_is_refused(two: tuple[Path, Path], begin: Begin) -> None:
    older, newer = two
    _, other = begin("conv(2, 3) flatten dense")
    with pytest.raises(
        ArtefactError, match=r"belongs to another network: .*0\.weight|belongs to another network: .*conv1"
    ):
        checkpoint.restore(checkpoint.read(older), other)
    with safe_open(newer, "pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        body = json.loads(file.metadata()["pellucid"]) | {"version": 99}
    text = json.dumps(body)
    save_file(tensors, newer, {"pellucid": text, "sha256": checkpoint._digest(text, tensors)})
    with pytest.raises(ArtefactError, match="of version 99; this Pellucid reads 2"):
        checkpoint.read(newer)


def test_a_keeper_saves_when_it_is_time(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    saved: list[float] = []

    def slow_save(*_: object) -> None:
        saved.append(clock.now)
        clock.now += 2.0

    monkeypatch.setattr(checkpoint, "time", clock)
    monkeypatch.setattr(checkpoint, "save", slow_save)
    keeper = checkpoint.Keeper(tmp_path, CONTEXT, seconds=15.0)
    _, state = begin()
    while clock.now < 200:
        keeper.step_done(state)
        clock.now += 1.0
    # after 15 s, then (2 s per save, at most 3 % of the time) 60 s after the end of the last
    assert saved == [15.0, 77.0, 139.0]

    saved.clear()
    always = checkpoint.Keeper(tmp_path, CONTEXT, seconds=0)
    for _ in range(3):
        always.step_done(state)
    assert len(saved) == 3


def test_remove(two: tuple[Path, Path]) -> None:
    checkpoint.remove(two[0].parent)
    assert not two[0].parent.exists()
    checkpoint.remove(two[0].parent)
