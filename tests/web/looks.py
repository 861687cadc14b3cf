"""What must hold for every view in every window: faults of the drawing, as sentences; and screenshots on sheets."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Page

TILE = 500  # pixels, the width of a screenshot on a sheet
TALLEST = 1500  # of a screenshot on a sheet, whose rest is cut off
ROWS = 3  # of screenshots on a sheet
GAP, LABEL = 8, 16
SERIOUS = ("serious", "critical")

# what each fault would hide from a reader: numbers, the comparison, the subject, a word's end
FAULTS = """(subject) => {
    const faults = [];
    const say = (node) => {
        const name = node.tagName.toLowerCase() + [...node.classList].map((each) => "." + each).join("");
        return `${name} "${node.textContent.trim().replace(/\\s+/g, " ").slice(0, 40)}"`;
    };
    const seen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) {
        const wide = [...document.querySelectorAll("body *")].find(
            (node) => seen(node) && node.getBoundingClientRect().right > root.clientWidth + 1
                && !node.closest(".scroll, .strip, .hidden"));
        faults.push(`the page is ${root.scrollWidth - root.clientWidth} px too wide: ${wide ? say(wide) : ""}`);
    }
    if (document.querySelector(".trouble")) faults.push("trouble: " + document.querySelector(".trouble").textContent);
    for (const line of document.querySelectorAll(".equation .line, .presented")) {
        const tables = [...line.querySelectorAll("table")].map((table) => table.getBoundingClientRect());
        const bottoms = tables.map(({ top, bottom }) => (top + bottom) / 2);
        if (Math.max(...bottoms) - Math.min(...bottoms) > Math.max(...tables.map((each) => each.height)) / 2) {
            faults.push("the equation is on several lines");
        }
        if (tables.some(({ right }) => right > root.clientWidth + 1)) faults.push("the equation leaves the page");
    }
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
        if (!own || !seen(node) || node.closest(".hidden, dialog, [aria-hidden=true], .to-network")) continue;
        const { overflowX, overflowY, textOverflow, display } = getComputedStyle(node);
        if (display === "inline" || display === "contents" || node.closest("select")) continue;
        // what ends with three dots says that it goes on, and has all of it in its title or name
        const whole = node.closest("[title], [aria-label]");
        const dots = textOverflow === "ellipsis" && whole;
        if (overflowX !== "visible" && overflowX !== "auto" && node.scrollWidth > node.clientWidth + 1 && !dots) {
            faults.push(`cut off at its side: ${say(node)}`);
        }
        if (overflowY === "hidden" && node.scrollHeight > node.clientHeight + 4) {
            faults.push(`cut off below: ${say(node)}`);
        }
    }
    const guide = document.querySelector(".guide");
    if (guide && guide.scrollWidth > guide.clientWidth) faults.push("the lesson's panel is cut off at its side");
    const panel = document.querySelector(".guide:not([hidden])")?.getBoundingClientRect();
    const subjects = panel ? [...document.querySelectorAll("main .subject")] : [];
    for (const each of subjects) {
        const box = each.getBoundingClientRect();
        const beside = box.right <= panel.left + 1 || box.bottom <= panel.top + 1 || box.left >= panel.right - 1;
        if (!beside) faults.push(`the lesson's panel covers its subject ${say(each)}`);
    }
    const node = subject && document.querySelector(subject);
    if (subject && !node) faults.push(`${subject} is not there`);
    if (node) {
        const box = node.getBoundingClientRect();
        const before = scrollY;
        if (box.bottom < 0 || box.top > innerHeight) node.scrollIntoView({ block: "center", behavior: "instant" });
        const { left, right, top, bottom } = node.getBoundingClientRect();
        const within = (low, high, most) => (Math.max(0, low) + Math.min(most, high)) / 2;
        const [x, y] = [within(left, right, root.clientWidth), within(top, bottom, innerHeight)];
        const hit = document.elementFromPoint(x, y);
        if (!(right > left) || !(bottom > top)) faults.push(`${say(node)} has no size`);
        else if (hit && !node.contains(hit) && !hit.contains(node)) faults.push(`${say(node)} is behind ${say(hit)}`);
        scrollTo({ top: before, behavior: "instant" });
    }
    return faults;
}"""


def faults(page: Page, subject: str) -> list[str]:
    """What is wrong with the drawing of a view, whose main thing is `subject`, a selector, or ""."""
    return page.evaluate(FAULTS, subject)


def inaccessible(page: Page, axe: str, forced: bool) -> list[str]:
    """The serious findings of axe, each with the first element that has it.

    With `forced` colours not those on contrast: axe takes a button's own background, which the browser replaces.
    """
    found = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"axe: {each['id']}: {each['nodes'][0]['html'][:160]}"
        for each in found
        if each.get("impact") in SERIOUS and not (forced and each["id"] == "color-contrast")
    ]


def sheets(rows: Sequence[tuple[str, Sequence[Path]]], into: Path) -> list[Path]:
    """Write contact sheets: a row for each view, its name and its screenshots from left to right.

    `into`: the files' beginning, to which "-1.png" and so on are added. Returns the files.
    """
    files = []
    for first in range(0, len(rows), ROWS):
        lines = [(name, [tile(path) for path in paths]) for name, paths in rows[first : first + ROWS]]
        width = max(sum(each.width + GAP for each in tiles) for _, tiles in lines)
        heights = [max(each.height for each in tiles) + LABEL + GAP for _, tiles in lines]
        sheet = Image.new("RGB", (width, sum(heights)), "#808080")
        top = 0
        for (name, tiles), height in zip(lines, heights, strict=True):
            ImageDraw.Draw(sheet).text((2, top + 2), name, fill="white")
            left = 0
            for each in tiles:
                sheet.paste(each, (left, top + LABEL))
                left += each.width + GAP
            top += height
        files.append(into.with_name(f"{into.name}-{first // ROWS + 1}.png"))
        sheet.save(files[-1])
    return files


def tile(path: Path) -> Image.Image:
    """A screenshot, as small as on a sheet."""
    with Image.open(path) as shot:
        small = shot.convert("RGB")
    width = min(TILE, small.width)
    small = small.resize((width, round(small.height * width / small.width)), Image.Resampling.LANCZOS)
    return small.crop((0, 0, width, min(TALLEST, small.height)))
