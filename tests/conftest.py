"""A small data set and a small classifier, trained once and shared by many tests, which change only copies."""

import gc
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from tests.patience import PATIENCE

import pellucid
from pellucid import files
from pellucid.classifier import figures

# These networks are so small that two threads only wait for each other, endlessly on a shared machine. The setting is
# read when torch is first imported, here and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# without a GPU, its kernels are interpreted (tests/gpu); read when Triton is first imported, by PyTorch or by us
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")

# tests started in the background ignore Ctrl-C, and so would every process that they start
signal.signal(signal.SIGINT, signal.default_int_handler)

expect.set_options(timeout=1000 * PATIENCE)  # Playwright's own are five seconds

# the time of an example depends on the machine
settings.register_profile("pellucid", deadline=None)
settings.load_profile("pellucid")

PAINTED = figures.save

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"
CLASSES = {"blue": 2, "red": 0}  # class -> channel that is bright
EACH = 16
WRONG = (3, 7, 11)  # the numbers in each class that show the other colour, so that there are mistakes to report


def _paint(seed: int, channel: int) -> np.ndarray:
    """uint8 (20, 24, 3): noise with one channel brighter than the others, from which the class can be learned."""
    image = np.random.default_rng(seed).integers(0, 160, (20, 24, 3))
    image[..., channel] += 70
    return image.astype(np.uint8)


def pytest_addoption(parser: pytest.Parser) -> None:
    ways = ("chosen", "fused", "plain")
    parser.addoption("--blocks", choices=ways, default="chosen", help="train on one path, where both can be taken")
    parser.addoption("--every", type=int, default=25, help="of the real photographs take each Nth; 1 takes all")
    parser.addoption("--screenshots", type=Path, metavar="FOLDER", help="look at all views of the page, and keep them")


def pytest_report_header(config: pytest.Config) -> list[str]:
    every, folder = config.getoption("--every"), config.getoption("--screenshots")
    some = "ALL" if every == 1 else f"only 1 in {every} of the photographs; --every 1 takes all"
    views = f"ALL, screenshots in {folder}" if folder else "NOT TESTED; --screenshots FOLDER tests and keeps them"
    return [
        f"real pictures, tests/real/test_agreement.py: {some}",
        f"all views of the page in windows of all sizes, tests/web/test_matrix.py: {views}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest at the beginning of each half of the tests.

    Two processes begin with one half each. At the end they take tests from each other, a few at a time, and a module
    that is divided makes its fixtures again: those of tests/web/test_products.py were made three times, 11 s each.
    """

    def of(*places: str) -> list[pytest.Item]:
        return [item for item in items if item.nodeid.startswith(places)]

    first, second = of("tests/test_docs.py", "tests/real/"), of("tests/web/")
    taken = {*first, *second}
    others = [item for item in items if item not in taken]
    half = max(0, len(items) // 2 - len(first))
    items[:] = [*first, *others[:half], *second, *others[half:]]


def pytest_collection_finish() -> None:
    """Leave what the imports made out of all garbage collections: each walked over it, 0.3 s in every sixth test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def blocks(request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of trainings in this process: --blocks fixes each race's winner in advance."""
    way = request.config.getoption("--blocks")
    with pytest.MonkeyPatch.context() as patch:
        if way != "chosen":
            from pellucid.engine.blocks import trial

            patch.setattr(trial, "_race", lambda *_: 9.0 if way == "fused" else 0.5)
            patch.setattr(trial, "SMALLEST_BYTES", 1)
        yield way


@pytest.fixture(scope="session")
def paint() -> Callable[[int, int], np.ndarray]:
    """paint(seed, channel) -> a small picture's image."""
    return _paint


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 16 blue and 16 red pictures, three of each under the wrong label. Tests must not change it."""
    root = tmp_path_factory.mktemp("data") / "photos"
    for name, channel in CLASSES.items():
        (root / name).mkdir(parents=True)
        for number in range(EACH):
            shown = 2 - channel if number in WRONG else channel
            Image.fromarray(_paint(100 * channel + number, shown)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, trained on `photos`. Tests must not change it: see `model`."""
    folder = tmp_path_factory.mktemp("models")
    settings = {"size": 12, "epochs": 8, "batch": 8, "validation": 0.25, "test": 0.25, "learning_rate": 0.01}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", PAINTED)  # whoever asks first may be a module with `undrawn`
        pellucid.train(photos, folder / "model", cache=folder / "cache", model=NETWORK, device="cpu", **settings)
    return folder / "model"


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of pictures with several labels, blue and red, and some with none; with a replay.

    The pictures lie in `photos` beside it. A fifth of the colours is too faint to see. Not to be changed.
    """
    folder = tmp_path_factory.mktemp("tagged")
    generator, rows = np.random.default_rng(3), []
    (folder / "photos").mkdir()
    for number in range(40):
        has = [name for name, channel in CLASSES.items() if (number >> channel // 2) % 2]
        image = generator.integers(0, 120, (16, 16, 3))
        for name in has:
            image[..., 2 - CLASSES[name]] += 90 if generator.random() < 0.8 else 0
        Image.fromarray(image.astype(np.uint8)).save(folder / "photos" / f"{number}.png")
        rows.append(f"{number}.png,{'|'.join(has)}\n")
    (folder / "photos" / "labels.csv").write_text("path,label\n" + "".join(rows))
    settings = {"size": 12, "epochs": 6, "batch": 8, "validation": 0.25, "test": 0.3, "learning_rate": 0.02}
    settings |= {"labels": "several", "augment": "none", "replay": True, "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", PAINTED)
        table, cache = folder / "photos" / "labels.csv", folder / "cache"
        pellucid.train(table, folder / "model", cache=cache, model=NETWORK, **settings)
    return folder / "model"


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """A card's plots are made but not painted, which takes four times as long as a small training.

    For modules that train often and do not look at plots; tests/classifier/test_card.py does.
    """
    content = io.BytesIO()
    Image.new("L", (1, 1)).save(content, "PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", lambda path, figure: files.write(path, content.getvalue()))
        yield


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium, or else Playwright's."""
    chromium = next((path for path in map(shutil.which, CHROMIUMS) if path), None)
    with sync_playwright() as playwright:
        try:
            # a page that wants the camera sees Chromium's test picture, and nobody is asked
            camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
            arguments = ["--no-sandbox", "--disable-gpu", *camera]
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        except PlaywrightError as error:
            pytest.skip(
                "NOT TESTED: the page in a browser. There is no Chromium that starts: `apt-get install chromium` as "
                f"root, or `playwright install chromium` as anybody.\n{error}"
            )
        yield browser
        browser.close()
