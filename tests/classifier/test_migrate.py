"""Folders in stored/ that earlier versions wrote: each still opens and gives its original answers.

`format1-first` was written by the first version that wrote any, without ranges, optimizer and known pictures; `format1`
by the last one of that format. They are stored without their plots.
"""

import json
import shutil
from pathlib import Path

import pytest

import pellucid
from pellucid.classifier import card, store
from pellucid.classifier.migrate import FORMAT, migrated
from pellucid.errors import ArtefactError
from pellucid.pictures.decode import Ranges
from pellucid.runs import made_from

STORED = Path(__file__).parent / "stored"
# the original answers for stored/picture.png
LOGITS = {
    "format1-first": (1.4439345598220825, 1.8815733194351196),
    "format1": (1.5709855556488037, 1.7700656652450562),
    "format2": (1.5709855556488037, 1.7700656652450562),
    "format2-program": (0.35807910561561584, 0.37481245398521423),
}


def test_there_is_a_folder_of_each_format() -> None:
    stored = {path.parent.name: json.loads(path.read_text())["format"] for path in STORED.glob("*/config.json")}
    assert set(stored) == set(LOGITS)
    assert set(stored.values()) == set(range(1, FORMAT + 1))
    assert all(name.startswith(f"format{number}") for name, number in stored.items())


@pytest.mark.parametrize("name", LOGITS)
def test_it_opens_and_says_what_it_said(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(STORED / name, tmp_path / name))  # predicting writes into it
    classifier = pellucid.load(folder, trust=name == "format2-program")
    result = classifier.predict(STORED / "picture.png")
    assert result.logits == pytest.approx(LOGITS[name], abs=1e-4)
    assert result.label == "red"
    assert classifier.classes == ("blue", "red")
    streamed = next(pellucid.predict(folder, STORED / "picture.png", trust=True))
    assert streamed.logits == pytest.approx(LOGITS[name], abs=1e-4)


@pytest.mark.parametrize("name", LOGITS)
def test_the_glass_box_opens_it(name: str) -> None:
    trace = pellucid.load(STORED / name, trust=True).explain(STORED / "picture.png", "red")
    assert trace.logits == pytest.approx(LOGITS[name], abs=1e-4)
    layer = trace.nodes[2].name
    assert trace.unit(f"{layer}[1, 2, 3]").difference == pytest.approx(0, abs=1e-5)


def test_what_the_first_format_left_unsaid_is_as_its_version_meant_it() -> None:
    assert store.read(STORED / "format1-first").ranges == Ranges(integer=(0, 65535))
    assert store.read(STORED / "format1").ranges == Ranges()
    assert store.read_optimizer(STORED / "format1-first") is None
    optimizer = store.read_optimizer(STORED / "format1")
    assert optimizer is not None
    assert optimizer.step == 8
    assert "was saved by an older Pellucid" in (made_from.memory(STORED / "format1-first").untold or "")
    assert made_from.memory(STORED / "format1").untold is None


def test_reading_changes_nothing_and_saving_again_writes_the_format_of_today(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(STORED / "format1", tmp_path / "old"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    classifier = pellucid.load(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    store.save(tmp_path / "new", classifier, {})
    assert json.loads((tmp_path / "new" / store.CONFIG).read_text())["format"] == FORMAT
    assert pellucid.load(tmp_path / "new").predict(STORED / "picture.png").logits == pytest.approx(LOGITS["format1"])


@pytest.mark.parametrize("name", LOGITS)
def test_its_card_can_be_written_again(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(STORED / name, tmp_path / name))
    card.write(folder)
    text = (folder / "README.md").read_text()
    assert ("--trust" in text) == (name == "format2-program")
    assert ("`conv(4, 3) relu maxpool(2) flatten dense`" in text) == (name != "format2-program")


def test_of_a_later_format_the_version_is_named_that_is_needed() -> None:
    later = {"format": FORMAT + 1, "versions": {"pellucid": "3.2.1"}}
    with pytest.raises(ArtefactError, match=rf"m/config\.json is of format {FORMAT + 1}; .* 'pellucid>=3\.2\.1'"):
        migrated(later, Path("m/config.json"))
    for versions in ({}, {"versions": None}, {"versions": {"pellucid": 3}}):
        with pytest.raises(ArtefactError, match="A later Pellucid wrote it: install a newer one, or train again"):
            migrated({"format": FORMAT + 1, **versions}, Path("config.json"))


@pytest.mark.parametrize("config", [[], None, {}, {"format": True}, {"format": 1.5}, {"format": -1}])
def test_what_has_no_format_is_refused(config: object) -> None:
    with pytest.raises(ArtefactError, match=f"this Pellucid reads formats 1 to {FORMAT}"):
        migrated(config, Path("config.json"))
