"""Pictures held on a GPU, tried on the CPU: holding them does not change their arithmetic."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from pellucid.engine.device import Engine
from pellucid.training import loop
from pellucid.training.loop import State, Task
from pellucid.training.recorder import Recorder
from pellucid.training.resident import Resident, hold

Begin = Callable[..., tuple[Task, State]]


class Counted:
    """Six pictures of 2x2, and how often each was read."""

    def __init__(self) -> None:
        self.images = np.arange(6 * 2 * 2 * 3, dtype=np.uint8).reshape(6, 2, 2, 3)
        self.read: list[int] = []

    def batch(self, rows: np.ndarray) -> np.ndarray:
        self.read += rows.tolist()
        return self.images[rows]


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """roomy(bytes): as if the device had its own memory, with this much free."""
    return lambda free: monkeypatch.setattr(Engine, "free_bytes", lambda self: free)


def test_each_picture_crosses_over_once_when_it_is_first_asked_for() -> None:
    images = Counted()
    held = Resident(images, 6, Engine("cpu", "float32", 1, ()))
    for rows in ([4, 1, 4], [1, 0], [5, 4, 3, 2, 1, 0], []):
        batch = held.batch(np.array(rows, np.int64))
        assert batch.dtype == torch.uint8
        assert np.array_equal(batch.numpy(), images.images[rows])
    assert images.read == [1, 4, 0, 2, 3, 5]


def test_held_where_twice_as_much_is_free(roomy: Callable[[int | None], None]) -> None:
    images, engine = Counted(), Engine("cuda", "float32", 1, ())
    size = images.images.nbytes
    roomy(None)
    assert hold(images, 6, engine) == (images, ())
    roomy(2 * size - 1)
    assert hold(images, 6, engine)[0] is images
    roomy(2 * size)
    assert isinstance(hold(images, 6, replace(engine, device="cpu"))[0], Resident)
    roomy(10**9)
    thousands = hold(images, 60_000_000, engine)
    assert thousands == (images, ("pictures in main memory: 0.7 GB of pictures, 1.0 GB free on the GPU",))


@pytest.mark.parametrize("augment", ["none", "strong"])
def test_a_training_is_the_same_where_pictures_are_held(begin: Begin, augment: str) -> None:
    (task, state), (other, held) = begin(augment=augment), begin(augment=augment)
    count = len(other.labels)
    with_held = replace(other, images=Resident(other.images, count, other.engine))
    for _ in zip(loop.run(task, state), loop.run(with_held, held), strict=True):
        pass
    assert state.finished
    assert held.finished
    assert held.history[0].validation_loss is not None
    for epoch, same in zip(state.history, held.history, strict=True):
        if augment == "none":
            assert (same.train_loss, same.validation_loss) == (epoch.train_loss, epoch.validation_loss)
        else:  # by the batch's way instead of the kernel's, which rounds otherwise
            assert same.train_loss == pytest.approx(epoch.train_loss, rel=1e-3)


def test_a_replay_shows_pictures_that_are_held(begin: Begin, tmp_path) -> None:
    task, state = begin()
    names = [f"{row}.png" for row in range(len(task.labels))]
    folders = tmp_path / "plain", tmp_path / "held"
    for folder, images in zip(folders, (task.images, Resident(task.images, len(names), task.engine)), strict=True):
        Recorder(folder, replace(task, images=images), state, names, ["bright", "dark"]).note(state)
    there = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert there[0] == there[1]
    assert any(name.startswith("picture-") for name in there[0])
