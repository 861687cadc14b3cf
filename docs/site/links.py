"""The links of the Markdown pages: each leads to a page, a section or a picture, on GitHub and on the site."""

import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

LINK = re.compile(r"\]\(([^)\s]+)(?:\s+[\"'][^)]*)?\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#* *$", re.MULTILINE)
FENCED = re.compile(r"^(```|~~~).*?^\1[`~]*$", re.MULTILINE | re.DOTALL)
BUILT = {"docs/teaching.html"}
"""What docs/site/build.py makes beside the pages."""


def links(text: str) -> list[str]:
    """The targets of a page's links and pictures, outside code, without those to other sites."""
    return [
        target
        for target in LINK.findall(re.sub(r"`[^`\n]+`", "", FENCED.sub("", text)))
        if not re.match(r"[a-z]+:", target)
    ]


def anchors(text: str) -> set[str]:
    """The names of a page's sections that GitHub and the generator both derive from its headings."""
    titles = HEADING.findall(FENCED.sub("", text))
    return set(_numbered(map(_on_github, titles), "-")) & set(_numbered(map(_on_the_site, titles), "_"))


def _plain(title: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").replace("*", "")


def _on_github(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", _plain(title).lower()).replace(" ", "-")


def _on_the_site(title: str) -> str:
    """As slugify of Python-Markdown's table of contents."""
    letters = normalize("NFKD", _plain(title)).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", letters).strip().lower())


def _numbered(names: Iterator[str], joint: str) -> Iterator[str]:
    """The second section of a name is name-1 on GitHub and name_1 on the site."""
    seen: dict[str, int] = {}
    for name in names:
        yield f"{name}{joint}{seen[name]}" if name in seen else name
        seen[name] = seen.get(name, 0) + 1


def broken(pages: list[str], root: Path) -> list[str]:
    """A sentence for each link that leads nowhere, or to something that the site does not have.

    `pages`: paths from `root`.
    """
    texts = {page: (root / page).read_text(encoding="utf-8") for page in pages}
    sections = {page: anchors(text) for page, text in texts.items()}
    return [
        f"{page} links to {target}: {reason}"
        for page, text in texts.items()
        for target in links(text)
        if (reason := _fault(page, target, sections, root))
    ]


def _fault(page: str, target: str, sections: dict[str, set[str]], root: Path) -> str:
    path, _, anchor = target.partition("#")
    place = (root / page).parent / path if path else root / page
    try:
        name = place.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return "it lies outside of the project"
    if name in BUILT:
        return ""
    if not place.is_file():
        return "there is no such file"
    if name in sections:
        return f"there is no section #{anchor}" if anchor and anchor not in sections[name] else ""
    if name.endswith(".md"):
        return "that page is not on the site"
    return "" if name.startswith("docs/images/") else "only pages and docs/images/ are on the site"
