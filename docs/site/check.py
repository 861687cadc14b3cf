"""Check a built site as it lies on the disk: python -m docs.site.check build/site

Every link and every picture leads to a file and a section inside it; nothing is loaded from another server; each page
has its Markdown beside it. docs/site/browse.py opens the site in a browser, too.
"""

import sys
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}
"""The tags by which a page loads something, and where they name it."""
ELSEWHERE = {"teaching.html"}
"""Our own page in one file, whose addresses behind # are places in a network."""


@dataclass
class Parts:
    """What matters of an HTML page."""

    names: set[str] = field(default_factory=set)
    """Its elements' ids, to which links may lead."""
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts = Parts()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if name := values.get("id"):
            self.parts.names.add(name)
        if tag == "a" and (target := values.get("href")):
            self.parts.links.append(target)
        if (
            tag in LOADS
            and (target := values.get(LOADS[tag]))
            and values.get("rel") not in ("canonical", "prev", "next")
        ):
            self.parts.loads.append(target)


@cache
def parts(page: Path) -> Parts:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.parts


def faults(site: Path) -> list[str]:
    """A sentence for each fault of the site in a folder."""
    pages = sorted(page for page in site.rglob("*.html") if page.name not in ELSEWHERE)
    results = [] if (site / "llms.txt").is_file() else ["there is no llms.txt"]
    if not pages:
        return ["there is no page"]
    for page in pages:
        name = page.relative_to(site).as_posix()
        if not page.with_suffix(".md").is_file():
            results.append(f"{name} has no Markdown beside it")
        for target in parts(page).loads:
            if urlsplit(target).scheme or target.startswith("//"):
                results.append(f"{name} loads {target[:80]} from elsewhere")
            elif reason := fault(page, target):
                results.append(f"{name} loads {target}: {reason}")
        for target in parts(page).links:
            if not urlsplit(target).scheme and (reason := fault(page, target)):
                results.append(f"{name} links to {target}: {reason}")
    return results


def fault(page: Path, target: str) -> str:
    """Why a target that is relative to a page leads nowhere on the disk; empty if it leads somewhere."""
    address = urlsplit(target)
    place = page.parent / unquote(address.path) if address.path else page
    if not place.is_file():
        return "there is no such file"
    if address.fragment and place.suffix == ".html" and place.name not in ELSEWHERE:
        return "" if unquote(address.fragment) in parts(place).names else f"there is no section #{address.fragment}"
    return ""


if __name__ == "__main__":
    if results := faults(Path(sys.argv[1])):
        sys.exit("\n".join(results))
