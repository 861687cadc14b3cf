"""The page of a model for several labels a picture, in a browser: mistakes by label, and its training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.answering import showing

from pellucid import api, replay
from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass


@pytest.fixture(scope="module")
def server(tagged: Path) -> Iterator[Server]:
    with showing(Glass(api.load(tagged), tagged, tagged.parent / "photos" / "3.png")) as server:
        yield server


def test_from_a_label_to_a_picture_that_misses_it(served: Page, tagged: Path) -> None:
    evaluation = api.evaluate(tagged)
    counts = [(item.pictures - (item.missed or 0), item.missed, item.wrong) for item in evaluation.metrics.classes]
    label, kind = next((n, k) for n in range(2) for k in (1, 2) if counts[n][k])
    served.get_by_role("link", name="Mistakes").click()
    cells = served.locator(".matrix tbody td")
    expect(cells).to_have_text([str(count or "·") for row in counts for count in row])
    expect(served.locator(".say")).to_contain_text(f"{evaluation.metrics.correct} got exactly their labels")

    served.locator(".matrix td[tabindex='0']").focus()
    served.keyboard.press("ArrowUp")
    served.keyboard.press("ArrowLeft")
    served.keyboard.press("ArrowLeft")
    name, ways = evaluation.metrics.classes[label].name, ("right", "missed", "wrong")
    titles = (f"{name}, right", f"{name}, missed", f"Called {name}, but not there")
    expect(served.locator(":focus")).to_have_attribute("data-key", "cell/0,right")
    for _ in range(label):
        served.keyboard.press("ArrowDown")
    for _ in range(kind):
        served.keyboard.press("ArrowRight")
    served.keyboard.press("Enter")
    expect(served.locator("h1")).to_have_text(titles[kind])
    assert served.url.endswith(f"#/~mistakes/{label},{ways[kind]}")
    thumbs = served.locator(".thumbs button")
    expect(thumbs).to_have_count(counts[label][kind] or 0)
    inside = [
        answer
        for answer in evaluation.labelled
        if (label in answer.labels, label in answer.called) == (kind == 1, kind == 2)
    ]
    worst = sorted(inside, key=lambda answer: answer.probabilities[label], reverse=kind == 2)[0]
    expect(thumbs.first).to_contain_text(f"{100 * worst.probabilities[label]:.1f}%")
    has = ", ".join(evaluation.metrics.classes[each].name for each in worst.labels) or "no label"
    expect(thumbs.first).to_contain_text(f"has {has}; called")

    thumbs.first.click()
    expect(served.locator(".what")).to_contain_text(Path(worst.picture).name)
    expect(served.get_by_text(f"against {has}", exact=True).first).to_be_visible()


def test_the_training_shows_a_probability_of_its_own_for_each_label(served: Page, tagged: Path) -> None:
    kept = replay.read(tagged / "replay")
    served.get_by_role("link", name="Training").click()
    served.locator(".wall-of canvas").first.wait_for()
    (odds,) = kept.frames[-1].probabilities[:1].tolist()
    expect(served.locator(".odds li b")).to_have_text([f"{100 * p:.1f}%" for p in odds])
    expect(served.locator(".odds li.true")).to_have_count(len(kept.pictures[0].labels))
    called = [name for name, p in zip(kept.classes, odds, strict=True) if p >= 0.5]
    sentence = served.locator(".say.training > p").filter(has_text="it gave")
    right = "and so was right" if set(called) == set(kept.pictures[0].labels) else "with every threshold at 50%"
    expect(sentence).to_contain_text(right)
    expect(served.locator(".followed figcaption, figcaption").first).to_contain_text(", ".join(kept.pictures[0].labels))
