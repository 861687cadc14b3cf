"""The patches that excite a filter most, as requested by the served page."""

import io
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.patience import PATIENCE

from pellucid import api
from pellucid.app.page import exemplars
from pellucid.app.page.shown import Glass
from pellucid.debugging import labelled
from pellucid.glassbox.page.replies import Refused
from pellucid.runs.made_from import trained_on


def waited(glass: Glass, query: dict[str, str]) -> Any:
    until = time.monotonic() + PATIENCE
    while (answer := json.loads(exemplars.start(glass, query, b"").body))["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    return answer


@pytest.fixture(scope="module")
def glass(trained: Path, photos: Path) -> Iterator[Glass]:
    glass = Glass(api.load(trained), trained, photos / "red" / "1.png")
    yield glass
    glass.finish()


@pytest.fixture
def own(model: Path, photos: Path, tmp_path: Path) -> Path:
    """A model whose pictures, in tmp_path / "photos", a test may damage."""
    shutil.copytree(photos, tmp_path / "photos")
    config = json.loads((model / "config.json").read_text())
    config["data"]["root"] = str(tmp_path / "photos")
    (model / "config.json").write_text(json.dumps(config))
    return model


@pytest.mark.parametrize("channel", [0, 3])
def test_the_patches_are_where_the_filter_gives_most(glass: Glass, trained: Path, channel: int) -> None:
    result = waited(glass, {"layer": "conv1", "channel": str(channel)})
    assert (result["state"], result["seen"], result["there"], result["sees"]) == ("done", 16, 16, [3, 3])
    strongest = {}
    for path in trained_on(trained):
        trace = glass.classifier.explain(path)
        strongest[Path(path).parent.name + Path(path).name] = float(trace.values["conv1"][0, channel].max())
    activations = [each["activation"] for each in result["patches"]]
    assert activations == pytest.approx(sorted(strongest.values(), reverse=True)[:9], abs=1e-4)


def test_a_patch_is_cut_out_of_its_picture(glass: Glass) -> None:
    query = {"layer": "conv1", "channel": "1"}
    best = waited(glass, query)["patches"][0]
    source, box = exemplars._exemplar(glass, {**query, "rank": "0"})
    assert Path(source).name == best["name"]
    top, left, bottom, right = box
    reply = exemplars.patch(glass, {**query, "rank": "0"})
    seen = np.array(Image.open(io.BytesIO(reply.body)))
    assert np.array_equal(seen, glass.classifier.prepared(source)[top:bottom, left:right])
    assert list(box) == best["box"]


def test_a_patch_opens_its_picture(trained: Path, photos: Path) -> None:
    glass = Glass(api.load(trained), trained, photos / "red" / "1.png")
    query = {"layer": "conv1", "channel": "1"}
    best = waited(glass, query)["patches"][2]
    assert json.loads(exemplars.opened(glass, {**query, "rank": "2"}, b"").body) == {"ok": True, "run": 1}
    value = glass.shown.document.trace.values["conv1"][0][tuple(best["unit"])]
    assert value == pytest.approx(best["activation"], abs=1e-5)
    glass.finish()


def test_what_is_not_there_is_refused(glass: Glass) -> None:
    waited(glass, {"layer": "conv1", "channel": "0"})
    with pytest.raises(Refused, match="Layer 'dense1' has no patches"):
        exemplars.start(glass, {"layer": "dense1", "channel": "0"}, b"")
    with pytest.raises(Refused, match="channel is '4'; it must be a number from 0 to 3"):
        exemplars.start(glass, {"layer": "conv1", "channel": "4"}, b"")
    with pytest.raises(Refused, match="rank is '9'; it must be a number from 0 to 8"):
        exemplars.patch(glass, {"layer": "conv1", "channel": "0", "rank": "9"})


def test_only_some_of_many_pictures_are_looked_through(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exemplars, "MOST", 5)
    glass = Glass(api.load(trained), trained, photos / "red" / "1.png")
    result = waited(glass, {"layer": "conv1", "channel": "0"})
    assert (result["seen"], result["there"], len(result["patches"])) == (5, 16, 5)
    glass.finish()


def test_enough_time_is_enough(trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 2.0, 61.0])
    paths = trained_on(trained)
    with monkeypatch.context() as clock:
        clock.setattr(exemplars.time, "monotonic", lambda: next(times))
        taken = list(exemplars._in_time(paths))
    assert taken == paths[:2]


@pytest.mark.parametrize("count", [1, 2, 3, 16, 21, 979])
def test_every_beginning_is_spread_over_the_whole(count: int) -> None:
    order = [int(each) for each in labelled.spread([str(number) for number in range(count)])]
    assert sorted(order) == list(range(count))
    half = sorted(order[: count // 2])
    assert all(b - a <= 4 for a, b in itertools.pairwise(half))


def test_pictures_that_are_gone_are_a_sentence(own: Path, photos: Path, tmp_path: Path) -> None:
    for path in trained_on(own):
        Path(path).unlink()
    glass = Glass(api.load(own), own, photos / "red" / "1.png")
    result = waited(glass, {"layer": "conv1", "channel": "0"})
    assert result == {
        "state": "failed",
        "error": f"None of the training pictures of {own} still exists.",
    }
    with pytest.raises(Refused, match="still exists"):
        exemplars.patch(glass, {"layer": "conv1", "channel": "0", "rank": "0"})
    glass.finish()
    shutil.rmtree(tmp_path / "photos")
    other = Glass(api.load(own), own, photos / "red" / "1.png")
    assert "are gone" in waited(other, {"layer": "conv1", "channel": "0"})["error"]
    other.finish()


def test_a_picture_that_has_gone_meanwhile_is_a_sentence(own: Path, photos: Path) -> None:
    glass = Glass(api.load(own), own, photos / "red" / "1.png")
    query = {"layer": "conv1", "channel": "0"}
    waited(glass, query)
    for path in trained_on(own):
        Path(path).unlink()
    with pytest.raises(Refused, match="can no longer be used: "):
        exemplars.patch(glass, {**query, "rank": "0"})
    with pytest.raises(Refused, match="can no longer be used: "):
        exemplars.opened(glass, {**query, "rank": "0"}, b"")
    glass.finish()
