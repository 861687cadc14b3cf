"""The page's cost for a reader: the file's size, the first picture, a key until its number, a layer, sliding, memory.

    .venv/bin/python benchmarks/page.py [--only article ...] [--write]

Trains each network for one epoch on pieces of two photographs (scikit-learn's), and the teaching model as `pellucid
lessons` does. Opens each in a real Chromium, the teaching model and the article's network as files with the network off
and the others served, and times the reader's wait: from the navigation, or from the key's own time stamp, until the
browser draws the frame with the result. In the same windows an empty page, which only counts the keys, shows what the
browser and the machine take for themselves. Memory is that of the page's own process. --write puts the table into
docs/benchmarks.md.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import measuring
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from sklearn.datasets import load_sample_images

import pellucid
from pellucid.app import digits, teaching
from pellucid.app.page.server import listening
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page.offline import offline

PICTURES, SIDE = 24, 320  # per class, and their height and width in pixels
KEYS = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]
PRESSES, SLIDING = 40, 4.0  # keys, seconds
OPENINGS = 5  # of each page, of which the median counts
EMPTY = """<!doctype html><title>empty</title><main><h1>0</h1></main><p class="overview"><canvas></canvas></p>
<script>addEventListener("keydown", () => { document.querySelector("h1").textContent += "1"; });</script>
"""
TABLE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- benchmarks/page.py -->", "<!-- end of benchmarks/page.py -->"

# drawn(there) is the time (performance.now()) after the first frame in which `there()` holds has been drawn: a task
# posted by a frame's callback runs after the drawing
WATCH = """
window.drawn = (there) => new Promise((done) => {
    const look = () => there()
        ? setTimeout(() => done(performance.now())) : requestAnimationFrame(look);
    requestAnimationFrame(look);
});
window.first = new Promise((done) => addEventListener("DOMContentLoaded", () =>
    drawn(() => document.querySelector(".overview canvas")).then(done)));
"""
KEY = """
() => new Promise((done) => {
    const title = document.querySelector("main h1").textContent;
    addEventListener("keydown", (event) => {
        drawn(() => document.querySelector("main h1").textContent !== title).then((now) => done(now - event.timeStamp));
    }, { once: true, capture: true });
})
"""
LAYER = """
(name) => {
    const began = performance.now();
    location.hash = `#/${name}`;
    const title = () => document.querySelector("main h1")?.textContent;
    return drawn(() => title() === name && document.querySelector(".layer-view")).then((now) => now - began);
}
"""
FRAMES = """
(seconds) => new Promise((done) => {
    const frames = [], numbers = new Set();
    const look = (now) => {
        frames.push(now);
        numbers.add(document.querySelector("main h1").textContent);
        if (now - frames[0] < 1000 * seconds) requestAnimationFrame(look);
        else done([(frames.length - 1) / (now - frames[0]) * 1000, numbers.size / seconds]);
    };
    requestAnimationFrame(look);
})
"""


class Case(NamedTuple):
    network: str
    side: int
    layer: str
    """The layer whose numbers the reader walks through."""
    start: str
    """Where the walk begins: the place of a number."""
    far: int
    """Keys until it turns, which must stay within the map."""
    served: bool


TEACHING = "teaching"
CASES = (
    Case(TEACHING, 8, "conv1", "0,2,2", 2, False),
    Case("article", 300, "conv1", "0,20,20", 10, False),
    Case("compact", 96, "conv1", "0,20,20", 10, True),
    Case("resnet18", 224, "conv1", "0,20,20", 10, True),
    Case("efficientnet_lite0", 224, "conv1", "0,20,20", 10, True),
)
GOALS = (
    *(["goal: teaching", "file", "2 MB", "0.5 s"], ["goal: article", "file", "12 MB", "0.5 s"]),
    *(["goal: efficientnet_lite0", "served", "", "2 s"], ["goal: all", "", "", "", "50 ms", "100 ms", "60"]),
)
HEADINGS = (
    *("network", "host", "file", "first picture", "a key until its number, median", "worst"),
    *("frames a second while sliding", "numbers a second", "a layer, median", "worst", "memory"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[case.network for case in CASES])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    lines = [row(HEADINGS), row(["---"] * len(HEADINGS))]
    empty: list[Empty] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        draw(Path(folder) / "pictures")
        for case in CASES:
            if case.network in arguments.only:
                # one browser each, because its page's process must be the only one
                browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
                empty.append(nothing(Path(folder), browser))
                lines.append(row(measure(case, Path(folder), browser)))
                browser.close()
                print(lines[-1], flush=True)
    lines.append(row(["an empty page", "file", "", *Empty(*map(statistics.median, zip(*empty, strict=True))).texts()]))
    print(lines[-1])
    lines += [row([*goal, *[""] * (len(HEADINGS) - len(goal))]) for goal in GOALS]
    if arguments.write:
        about = measuring.machine()
        where = f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB"
        load = f"load average {os.getloadavg()[0]:.1f} at the end"
        write("\n".join([*lines, "", f"{time.strftime('%Y-%m-%d')}, {where}; {load}."]))


def draw(folder: Path) -> None:
    """Pieces of two photographs, one class each."""
    random = np.random.default_rng(0)
    for name, image in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(PICTURES):
            top, left = (random.integers(size - SIDE) for size in image.shape[:2])
            Image.fromarray(image[top : top + SIDE, left : left + SIDE]).save(folder / name / f"{number:02}.png")


class Empty(NamedTuple):
    """What an empty page takes: seconds to its first frame, milliseconds from a key to its frame, frames a second."""

    first: float
    key: float
    worst: float
    frames: float

    def texts(self) -> list[str]:
        cells = [f"{self.first:.2f} s", f"{self.key:.0f} ms", f"{self.worst:.0f} ms", f"{self.frames:.0f}"]
        return [*cells, *[""] * (len(HEADINGS) - 3 - len(cells))]


def nothing(folder: Path, browser: Browser) -> Empty:
    """Measure the empty page."""
    file = folder / "empty.html"
    file.write_text(EMPTY, encoding="ascii")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(WATCH)
    first = opened(page, file.as_uri())
    keys = pressed(page, 1)
    frames, _ = page.evaluate(FRAMES, SLIDING)
    page.close()
    return Empty(first, statistics.median(keys), max(keys), frames)


def opened(page: Page, address: str) -> float:
    """Seconds until the first picture is drawn, the median of several openings."""
    times = []
    for _ in range(OPENINGS):
        page.goto("about:blank")
        page.goto(address)
        times.append(page.evaluate("first") / 1000)
    return statistics.median(times)


def pressed(page: Page, far: int) -> list[float]:
    """Milliseconds from each key until the page has drawn its number; the walk turns after `far` keys."""
    keys = []
    for number in range(PRESSES):
        key = KEYS[number // far % len(KEYS)]
        waiting = page.evaluate_handle(f"({{ done: ({KEY})() }})")
        page.keyboard.press(key)
        keys.append(page.evaluate("(waiting) => waiting.done", waiting))
    return keys


def measure(case: Case, folder: Path, browser: Browser) -> list[str]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(120_000)
    page.add_init_script(WATCH)
    file = folder / f"{case.network}.html"
    if case.network == TEACHING:
        file.write_text(lessons(folder), encoding="ascii")
        page.context.set_offline(True)
        return [case.network, "file", f"{file.stat().st_size / 1e6:.1f} MB", *read(case, page, file.as_uri())]
    model, picture = folder / case.network, folder / "pictures" / "temple" / "00.png"
    settings = {"model": case.network, "size": case.side, "epochs": 1, "augment": "none"}
    classifier = pellucid.train(folder / "pictures", model, cache=folder / "cache", **settings)
    if case.served:
        with serving(classifier, model, picture) as address:
            return [case.network, "served", "", *read(case, page, address)]
    file.write_text(offline(classifier.explain(picture), case.network), encoding="ascii")
    page.context.set_offline(True)
    return [case.network, "file", f"{file.stat().st_size / 1e6:.1f} MB", *read(case, page, file.as_uri())]


def read(case: Case, page: Page, address: str) -> list[str]:
    first = opened(page, address)
    names = page.evaluate("[...document.querySelectorAll('li.layer')].map((item) => item.dataset.name)")
    layers = [page.evaluate(LAYER, name) for name in names if name not in ("loss", "target")]
    page.goto("about:blank")
    page.goto(f"{address}#/{case.layer}/{case.start}")
    page.evaluate("drawn(() => document.querySelector('#value'))")
    keys = pressed(page, case.far)
    page.keyboard.press("Space")
    frames, numbers = page.evaluate(FRAMES, SLIDING)
    page.keyboard.press("Escape")
    times = [statistics.median(keys), max(keys)]
    layer_times = [statistics.median(layers), max(layers)]
    return [
        f"{first:.2f} s",
        *(f"{each:.0f} ms" for each in times),
        f"{frames:.0f}",
        f"{numbers:.0f}",
        *(f"{each:.0f} ms" for each in layer_times),
        f"{renderer() / 1e6:.0f} MB",
    ]


def lessons(folder: Path) -> str:
    """The file of `pellucid lessons --html`, but for its opening view."""
    digits.write(folder / "digits")
    teaching.train(folder / "digits", folder / TEACHING, folder / "cache")
    return teaching.page(folder / TEACHING, teaching.chosen(teaching.answered(folder / TEACHING)), folder / "cache")


@contextmanager
def serving(classifier: pellucid.Classifier, model: Path, picture: Path) -> Iterator[str]:
    glass = Glass(classifier, model, picture)
    with listening(glass) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()
    glass.finish()


def renderer() -> int:
    """Private bytes (proportional set size) of the largest of the browser's page processes."""
    time.sleep(1)
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                rows = (process / "smaps_rollup").read_text().splitlines()
                sizes.append(1024 * int(next(each for each in rows if each.startswith("Pss:")).split()[1]))
        except OSError:
            continue
    return max(sizes)


def chromium() -> str | None:
    """The machine's own Chromium, or else Playwright's."""
    import shutil

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path), None)


def row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def write(table: str) -> None:
    text = TABLE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    TABLE.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
