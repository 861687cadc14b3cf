"""The exported page in Chromium beside `predict`, on real pictures. Needs the data beside the checkout."""

import json
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, expect
from tests.patience import PATIENCE

import pellucid
from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError
from pellucid.exports import browser_runtime
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
if not DATA.is_dir():
    pytest.skip(f"NOT TESTED: the real pictures are missing, {DATA} is no folder", allow_module_level=True)

EVERY = 50  # of the cats and dogs; all of the odd ones. With 1, every picture: four minutes
BOUND = 1e-4
# inks and colour profiles, which browsers convert with a level's difference
NEAR, NEARLY = {"pil_sample_cmyk.jpg", "xmp_tags_orientation.png"}, 0.01
TEXT_BOMB = "png_decompression_dos.png"  # predict refuses the text, browsers do not read it


def test_the_page_answers_as_predict_does(browser: Browser, tmp_path: Path) -> None:
    try:
        browser_runtime.read(browser_runtime.default_cache())
    except ArtefactError as error:
        pytest.skip(f"NOT TESTED: an exported page. {error}")
    torch.manual_seed(0)
    form, network = Form(80, 80, 3, "crop", 0.9, "bicubic"), zoo.find("article").network
    module, scale = network.module((3, 80, 80), 2).eval(), Standardise((0.49, 0.45, 0.42), (0.26, 0.25, 0.26))
    store.save(tmp_path / "model", Classifier(network, module, ("cat", "dog"), form, scale, 0.2), {})
    pictures = sorted((DATA / "cats_dogs").rglob("*.jpg"))[::EVERY]
    pictures += sorted(path for path in (DATA / "odd").rglob("*") if path.is_file())
    pellucid.export(tmp_path / "model", tmp_path / "page.html", format="html", pictures=pictures)

    page = browser.new_page()
    page.context.set_offline(True)
    page.goto((tmp_path / "page.html").as_uri())
    page.set_input_files("#pictures", pictures)
    expect(page.locator(".status")).to_contain_text("classified", timeout=5000 * PATIENCE)
    expect(page.locator(".passed")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save JSON").click()
    answers = json.loads(Path(download.value.path()).read_text())["answers"]
    page.close()

    compared, one_sided = 0, set()
    for path, answer, expected in zip(pictures, answers, pellucid.predict(tmp_path / "model", pictures), strict=True):
        if expected.probabilities is None or "error" in answer:
            if (expected.probabilities is None) != ("error" in answer):
                one_sided.add(path)
            continue
        compared += 1
        worst = max(abs(answer["probabilities"][name] - p) for name, p in expected.probabilities.items())
        assert worst <= (NEARLY if path.name in NEAR else BOUND), path
    assert compared > 60
    assert {path.name for path in one_sided if path.suffix not in (".tif", ".tiff")} == {TEXT_BOMB}
