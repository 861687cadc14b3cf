"""The default command on real photographs: ImageNet weights, a head, and its figure."""

import json
from pathlib import Path

import pytest

import pellucid

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "cats_dogs"


@pytest.mark.timeout(900)
def test_cats_and_dogs_by_the_default(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not PHOTOS.is_dir():
        pytest.skip(f"NOT TESTED: known weights on real photographs. {PHOTOS} is not there.")
    photos, all_of_them = PHOTOS, request.config.getoption("--every") == 1
    if not all_of_them:
        photos = tmp_path / "photos"
        for each in sorted(PHOTOS.glob("*/*.jpg"))[::3]:
            (photos / each.parent.name).mkdir(parents=True, exist_ok=True)
            (photos / each.parent.name / each.name).symlink_to(each)
    pellucid.train(photos, tmp_path / "model", cache=tmp_path / "cache")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())

    assert config["recipe"]["pretrained"] == "imagenet"
    assert metrics["reported"] == "test"
    assert metrics["test"]["accuracy"] >= (0.98 if all_of_them else 0.95)
    assert metrics["test"]["calibration"]["error"] < 0.05
    assert "cats, dogs" in (tmp_path / "model" / "README.md").read_text()
    assert pellucid.load(tmp_path / "model").predict(PHOTOS / "dog" / "dog.3001.jpg").label == "dog"
