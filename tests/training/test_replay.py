"""The replay: it shows the real numbers, changes nothing, continues with a resumed run, and is small."""

import copy
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pellucid.errors import ArtefactError
from pellucid.network import zoo
from pellucid.network.standardise import to_unit
from pellucid.training import loop, recorder, replay
from pellucid.training.loop import State, Step, Task
from pellucid.training.recorder import Recorder

Begin = Callable[..., tuple[Task, State]]
Numbers = Callable[[State], dict[str, bytes]]
CLASSES = ("dark", "bright\udce9")  # a name that is no UTF-8


class Pictures:
    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[rows]


def noise(count: int, side: int, channels: int = 3) -> Pictures:
    return Pictures(np.random.default_rng(5).integers(0, 256, (count, side, side, channels), np.uint8))


def record(folder: Path, task: Task, state: State) -> Recorder:
    return Recorder(folder, task, state, [f"{number}.png" for number in range(len(task.labels))], CLASSES)


def train(task: Task, state: State, made: Recorder, steps: int = 999) -> None:
    """This many steps, each noted, as in a Run."""
    made.note(state)
    for event in loop.run(task, state):
        if isinstance(event, Step):
            made.note(state)
            if event.step == steps:
                return
    made.note(state, last=True)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def whole(begin: Begin, tmp_path: Path) -> Path:
    """The replay of a whole run of six steps."""
    task, state = begin(replay=True)
    train(task, state, record(tmp_path / "whole", task, state))
    return tmp_path / "whole"


# ---- what it shows


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_frame_holds_what_the_network_gives(begin: Begin, tmp_path: Path, loss: str) -> None:
    task, state = begin(replay=True, replay_every=3, loss=loss)
    made = record(tmp_path, task, state)
    train(task, state, made, 3)
    recorded = replay.read(tmp_path)
    assert [frame.step for frame in recorded.frames] == [0, 3]
    assert [frame.epoch for frame in recorded.frames] == [0, 1]
    assert recorded.frames[0].train_loss is None
    assert recorded.frames[1].train_loss == state.epoch_loss / state.epoch_pictures
    frame = recorded.frames[1]

    names = ["conv1", "relu1", "maxpool1", "conv2", "relu2", "dense1"]
    assert [layer.name for layer in recorded.layers] == names
    assert [layer.shape for layer in recorded.layers][:3] == [(4, 8, 8), (4, 8, 8), (4, 4, 4)]
    module = copy.deepcopy(state.module).eval()
    for number, picture in enumerate(recorded.pictures):
        x = task.standardise(to_unit(picture.image[None]))
        values = {}
        for name, part in module.named_children():  # one layer after the other, one picture alone
            x = values[name] = part(x)
            if name in names:
                x.retain_grad()
        label = torch.tensor([CLASSES.index(picture.label)])
        if loss == "mse":
            value = ((x.softmax(1)[0] - torch.eye(2)[label[0]]) ** 2).mean()
        else:
            target = torch.full((2,), 0.05)
            target[label] += 0.9
            value = -(target * x[0].log_softmax(0)).sum()
        value.backward()
        assert frame.loss[number] == pytest.approx(value.item(), abs=1e-6)
        assert frame.logits[number] == pytest.approx(x[0].detach().numpy(), abs=1e-5)
        assert frame.probabilities[number] == pytest.approx(x.softmax(1)[0].detach().numpy(), abs=1e-6)
        for name in names:
            for stored, real in ((frame.outputs[name], values[name]), (frame.gradients[name], values[name].grad)):
                assert real is not None
                near(stored.numbers()[number], real[0].detach().numpy(), stored.scale[number])
                assert np.abs(stored.numbers()[number]).max() > 0
    assert frame.filters.keys() == {"conv1", "conv2"}
    for name, stored in frame.filters.items():
        weight = module.get_parameter(f"{name}.weight").detach()[:, :3].numpy()
        near(stored.numbers(), weight, stored.scale)
        assert stored.numbers().shape == weight.shape


def near(result: NDArray[np.float32], real: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
    """Off by at most half a scale, plus float32's rounding."""
    allowed = scale.reshape(scale.shape + (1,) * (result.ndim - scale.ndim)) / 2
    assert (np.abs(result - real) <= allowed * 1.001 + 1e-6).all()


def test_large_maps_are_averaged_over_areas(begin: Begin, tmp_path: Path) -> None:
    task, state = begin("conv(4, 3, padding=1) relu globalavgpool dense", replay=True)
    task = replace(task, images=noise(26, 56))
    record(tmp_path, task, state).note(state)
    recorded = replay.read(tmp_path)
    assert recorded.layers[0].shape == (4, 56, 56)
    assert recorded.layers[0].stored == (4, 28, 28)
    x = task.standardise(to_unit(recorded.pictures[0].image[None]))
    output = state.module[0](x)[0].detach().numpy()  # type: ignore[index, operator]
    stored = recorded.frames[0].outputs["conv1"]
    near(stored.numbers()[0], output.reshape(4, 28, 2, 28, 2).mean(axis=(2, 4)), stored.scale[0])


def test_the_pictures_are_those_that_the_network_was_given(begin: Begin, tmp_path: Path) -> None:
    for channels in (1, 3):
        task, state = begin("globalavgpool dense", replay=True)
        if channels == 1:
            images = noise(26, 8, 1)
            scale = replace(task.standardise, mean=(0.5,), deviation=(0.25,))
            task = replace(task, images=images, standardise=scale)
            state.module[1] = torch.nn.Linear(1, 2)  # type: ignore[operator]
        record(tmp_path / str(channels), task, state)
        recorded = replay.read(tmp_path / str(channels))
        assert recorded.classes == CLASSES
        assert [picture.label for picture in recorded.pictures] == list(CLASSES)
        for picture in recorded.pictures:
            row = int(picture.path.removesuffix(".png"))
            assert row in task.validation
            assert picture.side == "validation"
            assert np.array_equal(picture.image, task.images.batch(np.array([row]))[0])


def test_one_picture_a_class_of_the_first_four_by_the_seed(begin: Begin) -> None:
    task, _ = begin(train=30, validation=20)
    task = replace(task, labels=np.arange(50) % 6)
    rows = recorder.choose(task)
    assert task.labels[rows].tolist() == [0, 1, 2, 3]
    assert set(rows) <= set(task.validation)
    assert np.array_equal(rows, recorder.choose(task))
    drawn = {tuple(recorder.choose(replace(task, recipe=replace(task.recipe, seed=seed)))) for seed in range(9)}
    assert len(drawn) > 1
    without = replace(task, validation=task.validation[task.labels[task.validation] != 2])
    assert (recorder.choose(without) < 30).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("network", "side"), [("compact", 96), ("lenet5", 32), ("article", 100), ("resnet18", 64), ("flatten dense", 8)]
)
def test_a_frame_is_small_and_has_the_first_convolution_and_the_last_layer(
    begin: Begin, tmp_path: Path, network: str, side: int
) -> None:
    channels = 1 if network == "lenet5" else 3
    task, state = begin("flatten dense", replay=True)
    state.module = zoo.find(network).network.module((channels, side, side), 2)
    scale = replace(task.standardise, mean=(0.5,) * channels, deviation=(0.25,) * channels)
    task = replace(task, images=noise(26, side, channels), standardise=scale, labels=np.arange(26) % 4)
    made = Recorder(tmp_path, task, state, [str(number) for number in range(26)], "abcd")
    task.labels[:] %= 2  # the loss of a network of two classes
    made._labels = made._labels % 2
    made.note(state)
    index = json.loads((tmp_path / "replay.json").read_text())
    assert len(index["pictures"]) == 4
    assert index["frames"][0]["bytes"] < 110_000
    numbers = sum(math.prod(layer["kept"]) for layer in index["layers"])
    assert 2 * 4 * numbers <= recorder.MAP_BYTES
    names = [layer["name"] for layer in index["layers"]]
    assert len(names) <= recorder.LAYERS
    assert names[-1] in ("dense1", "dense2", "tanh4")
    assert network == "flatten dense" or names[0] == "conv1"


# ---- quantised


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=5),
        elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False),
    ),
    st.integers(1, 2),
)
def test_a_quantised_number_is_off_by_half_a_scale(numbers: NDArray[np.float32], leading: int) -> None:
    made = replay.quantise(numbers, leading)
    assert made.scale.shape == numbers.shape[:leading]
    scale = made.scale.reshape(made.scale.shape + (1,) * (numbers.ndim - leading)).astype(np.float64)
    assert (np.abs(made.numbers().astype(np.float64) - numbers) <= scale * 0.5001 + 1e-37).all()


def test_quantised_by_hand() -> None:
    made = replay.quantise(np.array([[254, -100, 1], [0, 0, 0], [np.inf, 1, 2]], np.float32), 1)
    assert made.values.tolist() == [[127, -50, 0], [0, 0, 0], [0, 0, 0]]
    assert made.scale[:2].tolist() == [2, 0]
    assert made.numbers()[0].tolist() == [254, -100, 0]
    assert np.isnan(made.numbers()[2]).all()
    assert np.isnan(replay.quantise(np.array([[1, np.nan]], np.float32), 1).scale).all()


# ---- when


@given(st.integers(1, 10**6))
def test_frames_are_few_denser_at_the_start_and_reach_the_end(steps: int) -> None:
    spacing = 1
    while steps / spacing > 64:
        spacing *= 2
    candidates = {*range(0, steps, spacing), *(1 << power for power in range(20)), steps}
    due = sorted(step for step in candidates if step <= steps and recorder.is_due(step, steps, None))
    assert due[0] == 0
    assert due[-1] == steps
    assert len(due) <= 65 + math.log2(spacing)
    assert len(due) >= min(33, steps + 1)
    gaps = [after - before for before, after in itertools.pairwise(due[:-1])]
    assert gaps == sorted(gaps)
    assert recorder.is_due(spacing * 3 - 1, steps, None) == (spacing == 1 or spacing * 3 - 1 == steps)


def test_every_so_many_steps() -> None:
    assert [step for step in range(11) if recorder.is_due(step, 10, 4)] == [0, 4, 8, 10]


def test_a_plan_that_grows_spaces_the_early_frames(begin: Begin, tmp_path: Path) -> None:
    task, state = begin("flatten dense", replay=True, steps=64)
    made = record(tmp_path, task, state)
    for step in range(65):
        state.step = step
        if step == 40:
            state.steps = 128
        if step == 50:
            state.steps = 90
        made.note(state)
    # from then on every second step, before that the first two and the powers of two
    recorded = replay.read(tmp_path)
    assert [frame.step for frame in recorded.frames] == [0, 1, *range(2, 65, 2)]
    assert recorded.steps == 90
    assert len(list(tmp_path.glob("frame-*"))) == len(recorded.frames)


def test_a_plan_that_ends_where_it_stands_is_noted(begin: Begin, tmp_path: Path) -> None:
    """Of 100 steps every second is recorded; then time is over after step 64, and all of the 64 would have been."""
    task, state = begin("flatten dense", replay=True, steps=100)
    made = record(tmp_path, task, state)
    for step in range(65):
        state.step = step
        made.note(state)
    state.steps = 64
    made.note(state, last=True)
    recorded = replay.read(tmp_path)
    assert recorded.steps == recorded.frames[-1].step == 64
    assert [frame.step for frame in recorded.frames] == [0, 1, *range(2, 65, 2)]


def test_a_run_that_stops_early_ends_with_a_frame(begin: Begin, tmp_path: Path) -> None:
    task, state = begin(replay=True, replay_every=5, epochs=30, patience=1, learning_rate=1e-12)
    train(task, state, record(tmp_path, task, state))
    assert state.stopped_early
    steps = [frame.step for frame in replay.read(tmp_path).frames]
    assert steps[-1] == state.step < 90


# ---- it changes nothing


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_training_is_the_same_bit_for_bit(begin: Begin, numbers: Numbers, tmp_path: Path, name: str) -> None:
    task, without = begin(optimizer=name)
    list(loop.run(task, without))
    task, state = begin(optimizer=name, replay=True, replay_every=1)
    train(task, state, record(tmp_path, task, state))
    assert len(replay.read(tmp_path).frames) == 7
    assert numbers(state) == numbers(without)


def test_a_frame_leaves_everything_as_it_was(begin: Begin, numbers: Numbers, tmp_path: Path) -> None:
    task, state = begin(replay=True)
    for _ in itertools.islice(loop.run(task, state), 2):
        pass
    state.module.train()
    state.module[1].eval()  # type: ignore[index]
    before = numbers(state)
    gradients = [parameter.grad for parameter in state.module.parameters()]
    copies = [gradient.clone() for gradient in gradients if gradient is not None]
    random, modes = torch.get_rng_state(), [part.training for part in state.module.modules()]
    drawn = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    made = record(tmp_path, task, state)
    made.note(state)
    assert made.size.frames == 1
    assert numbers(state) == before
    assert all(parameter.grad is stored for parameter, stored in zip(state.module.parameters(), gradients, strict=True))
    assert all(
        torch.equal(stored, copied) for stored, copied in zip(gradients, copies, strict=True) if stored is not None
    )
    assert torch.equal(torch.get_rng_state(), random)
    assert np.random.get_state()[1].tolist() == drawn  # type: ignore[index, union-attr]
    assert [part.training for part in state.module.modules()] == modes
    assert not any(part._forward_hooks for part in state.module.modules())


# ---- going on


@pytest.mark.parametrize("saved", [0, 2, 3, 6])
def test_a_resumed_run_ends_with_the_same_bytes(begin: Begin, whole: Path, tmp_path: Path, saved: int) -> None:
    """Resumed at step `saved`, after frames of later steps were written."""
    task, state = begin(replay=True)
    train(task, state, record(tmp_path / "one", task, state), min(saved + 2, 6))
    (tmp_path / "one" / ".replay.json.abcd1234.part").write_bytes(b"torn")
    (tmp_path / "one" / "frame-00000099.safetensors").write_bytes(b"written, and killed before the index")

    task, state = begin(replay=True)
    for event in loop.run(task, state) if saved else ():
        if isinstance(event, Step) and event.step == saved:
            break
    made = record(tmp_path / "one", task, state)
    assert [frame.step for frame in replay.read(tmp_path / "one").frames] == list(range(saved + 1))
    train(task, state, made)
    assert content(tmp_path / "one") == content(whole)


@pytest.mark.parametrize("name", ["frame-00000002.safetensors", "replay.json", "picture-1.png"])
def test_killed_while_writing_it_can_be_read(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write = recorder.files.write
    task, state = begin(replay=True)
    made = record(tmp_path, task, state)
    train(task, state, made, 1)

    def killed(path: Path, content: bytes | str) -> None:
        if path.name == name:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(recorder.files, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        train(task, state, record(tmp_path, task, state) if name == "picture-1.png" else made)
    monkeypatch.undo()
    assert [frame.step for frame in replay.read(tmp_path).frames] == [0, 1]


@pytest.mark.parametrize("damage", ["index", "frame", "version", "others"])
def test_a_damaged_replay_does_not_keep_the_training_from_going_on(begin: Begin, whole: Path, damage: str) -> None:
    index = json.loads((whole / "replay.json").read_text())
    if damage == "index":
        (whole / "replay.json").write_text("{")
    elif damage == "frame":
        (whole / "frame-00000001.safetensors").unlink()
    else:
        index |= {"version": 99} if damage == "version" else {"pictures": []}
        (whole / "replay.json").write_text(json.dumps(index))
    task, state = begin(replay=True)
    for event in loop.run(task, state):
        if isinstance(event, Step) and event.step == 2:
            break
    made = record(whole, task, state)
    made.note(state)
    steps = [frame.step for frame in replay.read(whole).frames]
    assert steps == ([0, 2] if damage == "frame" else [2])


# ---- reading what is damaged


def edit(**values: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        index = json.loads((folder / "replay.json").read_text()) | values
        (folder / "replay.json").write_text(json.dumps({key: value for key, value in index.items() if value != "gone"}))

    return damage


def flip(folder: Path) -> None:
    changed = bytearray((folder / "frame-00000002.safetensors").read_bytes())
    changed[-3] ^= 1
    (folder / "frame-00000002.safetensors").write_bytes(changed)


def restated(name: str, data: bytes) -> Callable[[Path], None]:
    """Other content with the right size and hash."""

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(data)
        index = json.loads((folder / "replay.json").read_text())
        for entry in index["frames"] + index["pictures"]:
            if entry["file"] == name:
                entry |= replay.described(data)
        (folder / "replay.json").write_text(json.dumps(index))

    return damage


def outside(folder: Path) -> None:
    index = json.loads((folder / "replay.json").read_text())
    index["frames"][0]["file"] = "../secret"
    (folder / "replay.json").write_text(json.dumps(index))


FRAME = "frame-00000001.safetensors"
DAMAGE = {
    "nothing": (lambda folder: (folder / "replay.json").unlink(), "is not a replay: it has no replay.json"),
    "no JSON": (lambda folder: (folder / "replay.json").write_text("{"), "replay.json is damaged: "),
    "a list": (lambda folder: (folder / "replay.json").write_text("[]"), "is of version 'list'; this Pellucid reads 1"),
    "another version": (edit(version=2), "is of version 2; this Pellucid reads 1"),
    "no layers": (edit(layers="gone"), "replay.json is damaged: it has no 'layers'"),
    "no steps": (edit(steps=None), "replay.json is damaged: "),
    "frames that are none": (edit(frames=[3]), "replay.json is damaged: "),
    "another place": (outside, "replay.json is damaged: '../secret' is not the name of a file in it"),
    "a frame gone": (lambda folder: (folder / FRAME).unlink(), f"{FRAME} is missing"),
    "a frame cut": (lambda folder: (folder / FRAME).write_bytes(b"1"), f"{FRAME} has 1 bytes, but replay.json states"),
    "a bit": (flip, "frame-00000002.safetensors is damaged: it does not have the hash"),
    "no safetensors": (restated(FRAME, b"no frame"), f"{FRAME} is damaged: "),
    "fewer classes": (edit(classes=["one"]), "does not hold what replay.json states of its layers"),
    "no picture": (restated("picture-1.png", b"none"), "picture-1.png is damaged: "),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told(whole: Path, damage: str) -> None:
    do, message = DAMAGE[damage]
    do(whole)
    with pytest.raises(ArtefactError) as caught:
        replay.read(whole)
    assert message in str(caught.value)
    assert str(whole) in str(caught.value)


def test_numbers_that_are_not_finite_are_kept_as_such(begin: Begin, tmp_path: Path) -> None:
    task, state = begin("flatten dense", replay=True)
    with torch.no_grad():
        state.module[1].bias.fill_(float("inf"))  # type: ignore[index, union-attr]
    record(tmp_path, task, state).note(state)
    frame = replay.read(tmp_path).frames[0]
    assert np.isnan(frame.loss).all()
    assert np.isnan(frame.outputs["dense1"].numbers()).all()
