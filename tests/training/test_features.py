"""Features are computed once: what is taken over, what is not trusted, and the remains of a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.pictures import catalog as catalogs
from pellucid.pictures import store as stores
from pellucid.pictures.decode import Form
from pellucid.pictures.store import Store
from pellucid.steps import result_of
from pellucid.training import features
from pellucid.training.features import BATCH, Backbone, Extracting

COUNT = 20  # pictures a class


class Counted:
    """A backbone that counts the pictures it has seen: the mean of each quarter of each channel."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pixels: Any) -> torch.Tensor:
        self.batches.append(len(pixels))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for label, name in enumerate(("a", "b")):
        (root / name).mkdir(parents=True)
        for number in range(COUNT):
            image = np.random.default_rng(100 * label + number).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(image).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def opened(photos: Path, tmp_path: Path) -> Callable[[], Store]:
    return lambda: last(stores.build(catalogs.scan(photos), Form(8, 8), tmp_path / "cache"))


def last(steps: Generator[Any, None, Any]) -> Any:
    return result_of(steps)


def backbone(forward: Any, **identity: Any) -> Backbone:
    return Backbone("tiny", forward, {"weights": "abc", **identity})


def extracted(store: Store, tmp_path: Path, view: Any = "plain", **identity: Any) -> tuple[np.ndarray, int]:
    """All features, and how many pictures were read for them."""
    forward, rows = Counted(), np.arange(len(store))
    made = last(features.extract(store, rows, backbone(forward, **identity), view, tmp_path / "cache"))
    assert all(count <= BATCH for count in forward.batches)
    return made, sum(forward.batches)


def test_each_picture_is_looked_at_once(opened: Callable[[], Store], tmp_path: Path) -> None:
    store = opened()
    made, seen = extracted(store, tmp_path)
    again, none = extracted(store, tmp_path)

    expected = Counted()(store.batch(np.arange(2 * COUNT))).numpy()
    assert np.array_equal(made, expected)
    assert (seen, none) == (2 * COUNT, 0)
    assert made.dtype == np.float32
    assert made.tobytes() == again.tobytes()


def test_progress_tells_what_is_done_and_what_was_kept(opened: Callable[[], Store], tmp_path: Path) -> None:
    store = opened()
    some = np.arange(10)
    last(features.extract(store, some, backbone(Counted()), "plain", tmp_path / "cache"))
    events = list(features.extract(store, np.arange(40), backbone(Counted()), "plain", tmp_path / "cache"))

    assert [(event.done, event.total) for event in events][:2] == [(10, 40), (40, 40)]
    assert all(event.reused == 10 for event in events)
    assert isinstance(events[0], Extracting)


def test_only_a_changed_file_is_looked_at_again(opened: Callable[[], Store], photos: Path, tmp_path: Path) -> None:
    before, _ = extracted(opened(), tmp_path)
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(photos / "a" / "03.png")
    (photos / "b" / "00.png").unlink()
    (photos / "a" / "05.png").rename(photos / "a" / "zz.png")
    store = opened()
    forward = Counted()
    rows = np.arange(len(store))
    made = last(features.extract(store, rows, backbone(forward), "plain", tmp_path / "cache"))

    assert forward.batches == [1]  # the new picture
    assert np.array_equal(made, Counted()(store.batch(rows)).numpy())
    assert len(made) == len(before) - 1
    (folder,) = (tmp_path / "cache").glob("*.features")
    stored = np.fromfile(folder / features.DIGESTS, np.uint8).reshape(-1, 32)
    assert {digest.tobytes().hex() for digest in stored} == set(store.digests)


@pytest.mark.parametrize("change", [{"weights": "other"}, {"precision": "bfloat16"}])
def test_another_backbone_has_features_of_its_own(
    opened: Callable[[], Store], tmp_path: Path, change: dict[str, str]
) -> None:
    store = opened()
    extracted(store, tmp_path)
    _, seen = extracted(store, tmp_path, **change)

    assert seen == 2 * COUNT
    assert len(list((tmp_path / "cache").glob("*.features"))) == 2


def test_the_mirror_image_is_another_view(opened: Callable[[], Store], tmp_path: Path) -> None:
    store = opened()
    plain, _ = extracted(store, tmp_path)
    mirrored, _ = extracted(store, tmp_path, "mirror")

    turned = Counted()(np.ascontiguousarray(store.batch(np.arange(40))[:, :, ::-1])).numpy()
    assert np.array_equal(mirrored, turned)
    assert not np.array_equal(mirrored, plain)


@pytest.mark.parametrize("name", [features.RAW, features.DIGESTS, features.HEADER])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_what_is_damaged_is_made_anew(opened: Callable[[], Store], tmp_path: Path, name: str, damage: str) -> None:
    store = opened()
    before, _ = extracted(store, tmp_path)
    (folder,) = (tmp_path / "cache").glob("*.features")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content if damage == "changed" else content[:-7])
    after, seen = extracted(store, tmp_path)

    assert seen == 2 * COUNT
    assert after.tobytes() == before.tobytes()


def test_broken_off_it_leaves_nothing_half_written(opened: Callable[[], Store], tmp_path: Path) -> None:
    store = opened()
    steps = features.extract(store, np.arange(40), backbone(Counted()), "plain", tmp_path / "cache")
    next(steps)
    steps.close()

    names = [path.name for path in (tmp_path / "cache").iterdir() if "features" in path.name]
    assert names == []
    assert extracted(store, tmp_path)[1] == 2 * COUNT


def test_stopped_on_the_way_it_keeps_what_it_has_computed(
    opened: Callable[[], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "BATCH", 16)
    store, rows = opened(), np.arange(2 * COUNT)
    forward = Counted()
    steps = features.extract(store, rows, backbone(forward), "plain", tmp_path / "cache")
    next(steps)
    next(steps)
    steps.close()
    made, seen = extracted(store, tmp_path)

    assert sum(forward.batches) == 16
    assert seen == 2 * COUNT - 16
    assert np.array_equal(made, Counted()(store.batch(rows)).numpy())


def test_what_a_kill_left_goes(opened: Callable[[], Store], tmp_path: Path) -> None:
    store = opened()
    extracted(store, tmp_path)
    (folder,) = (tmp_path / "cache").glob("*.features")
    left = folder.with_name(f".{folder.name}.abcd1234.part")
    shutil.copytree(folder, left)
    extracted(store, tmp_path)

    assert not left.exists()
    assert folder.is_dir()


def test_the_cache_lists_them_and_clears_them(opened: Callable[[], Store], photos: Path, tmp_path: Path) -> None:
    store = opened()
    extracted(store, tmp_path)
    (info,) = features.stored(tmp_path / "cache")

    assert (info.root, info.pictures, info.network, info.view) == (photos, 40, "tiny", "plain")
    assert info.form == Form(8, 8)
    assert info.bytes == sum(path.stat().st_size for path in info.folder.iterdir())
    assert features.clear(tmp_path / "cache") == info.bytes
    assert features.stored(tmp_path / "cache") == []
    assert store.folder.is_dir()  # what is not features stays
    assert json.loads((store.folder / "store.json").read_text())["pictures"] == 40
