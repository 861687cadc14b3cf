"""The list of the site's pages, docs/README.md: its sections become the navigation and llms.txt."""

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from docs.site import dialect, links

ROOT = Path(__file__).parents[2]
LIST = "docs/README.md"
ENTRY = re.compile(r"- \[([^\]]+)\]\(([^)#:]+\.md)\): (\S.*)")
HOME = "README.md"
"""Becomes index.html, as every README.md of a folder does."""


class SiteError(Exception):
    """What keeps the site from being built, in a sentence for the one who writes the docs."""


@dataclass(frozen=True)
class Entry:
    """A page on the list."""

    section: str
    title: str
    path: str
    """From the project's root, with slashes. The site has the same folders, so a link means the same in both."""
    summary: str


@dataclass(frozen=True)
class Contents:
    title: str
    about: str
    """What the whole is, as one line."""
    entries: tuple[Entry, ...]

    @property
    def pages(self) -> list[str]:
        """Every page of the site, the list itself included."""
        return [LIST, *(entry.path for entry in self.entries)]


def read(root: Path = ROOT) -> Contents:
    """The list of a project. Raises SiteError on a line that is not `- [Title](page.md): summary`."""
    text = (root / LIST).read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    about = re.search(r"^(?:> .+\n)+", text, re.MULTILINE)
    if title is None or about is None:
        raise SiteError(f"{LIST} needs a title (# ...) and, below it, a sentence about the whole (> ...).")
    return Contents(
        title[1], " ".join(line.removeprefix("> ") for line in about[0].splitlines()), tuple(_entries(text))
    )


def _entries(text: str) -> Iterator[Entry]:
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("- "):
            match = ENTRY.fullmatch(line)
            if match is None or not section:
                raise SiteError(
                    f"{LIST}: `{line}` is not in a section, or not of the form `- [Title](page.md): summary`."
                )
            path = posixpath.normpath(posixpath.join(posixpath.dirname(LIST), match[2]))
            yield Entry(section, match[1], path, match[3])


def unlisted(contents: Contents, root: Path = ROOT) -> list[str]:
    """The pages in docs/ that are not on the list, and those on it that do not exist or stand there twice."""
    there = {path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md") if "vendor" not in path.parts}
    listed = contents.pages
    return [
        *(f"{page} is not on the list in {LIST}" for page in sorted(there - set(listed))),
        *(f"{LIST} lists {page}, which does not exist" for page in listed if not (root / page).is_file()),
        *(f"{LIST} lists {page} twice" for page in sorted(set(listed)) if listed.count(page) > 1),
    ]


def faults(contents: Contents, root: Path = ROOT) -> list[str]:
    """What is wrong with the list of pages, their links, and Markdown that the generator reads differently."""
    return unlisted(contents, root) or [
        *links.broken(contents.pages, root),
        *(
            f"{page}, {difference}"
            for page in contents.pages
            for difference in dialect.differences((root / page).read_text(encoding="utf-8"))
        ),
    ]


def navigation(contents: Contents) -> str:
    """The list as the line of a TOML file: `nav = [...]`."""
    sections = [
        {section: [{entry.title: entry.path} for entry in entries]}
        for section, entries in groupby(contents.entries, lambda entry: entry.section)
    ]
    sections[0][contents.entries[0].section].append({"All pages": LIST})
    return f"nav = {_toml(sections)}"


def description(contents: Contents) -> str:
    """The sentence about the whole, as the line of a TOML file that the generator reads."""
    return f"site_description = {_toml(contents.about)}"


def _toml(value: object) -> str:
    """Lists, dicts and texts in TOML; a text in JSON is one in TOML."""
    match value:
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{json.dumps(key)} = {_toml(item)}' for key, item in value.items())} }}"
    return json.dumps(value)


def llms_txt(contents: Contents) -> str:
    """The list in the format of llmstxt.org, with links from the site's root to the Markdown of each page."""
    parts = [f"# {contents.title}", f"> {contents.about}"]
    for section, entries in groupby(contents.entries, lambda entry: entry.section):
        parts += [f"## {section}", "\n".join(f"- [{each.title}]({each.path}): {each.summary}" for each in entries)]
    return "\n\n".join(parts) + "\n"


def llms_full_txt(contents: Contents, root: Path = ROOT) -> str:
    """Every page's Markdown, one after the other, each below a line with its path."""
    return (
        "\n\n".join(
            f"<!-- {entry.path} -->\n\n{(root / entry.path).read_text(encoding='utf-8').strip()}"
            for entry in contents.entries
        )
        + "\n"
    )
