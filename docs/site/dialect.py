"""Where GitHub and the generator (Python-Markdown) read the same Markdown differently."""

import re
from collections.abc import Iterator

MARK = re.compile(r"( *)(?:[-*+]|\d+[.)]) +\S")
FENCE = re.compile(r" *(?:```|~~~)")
NESTED = 4
"""Spaces before a list in a list; GitHub takes two as well."""


def differences(text: str) -> Iterator[str]:
    """A sentence for each line of a page that the two read differently."""
    fenced, before = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            if not fenced and line.startswith(" "):
                yield f"line {number}: code in a list; the generator takes it for text. Put it below the list"
            fenced = not fenced
        elif not fenced and (mark := MARK.match(line)):
            if 0 < len(mark[1]) < NESTED:
                yield (
                    f"line {number}: `{line.strip()[:20]}` begins a list on GitHub alone. Indent it by {NESTED} for a "
                    "list in a list, or wrap the text elsewhere"
                )
            elif not mark[1] and before.strip() and not MARK.match(before) and not before.startswith(" "):
                yield f"line {number}: a list needs an empty line before it"
        before = line


def for_the_generator(text: str) -> str:
    """The page with `|` unescaped in code in tables, where the generator would show the backslash."""
    return re.sub(r"^\|.*\|$", _unescaped, text, flags=re.MULTILINE)


def _unescaped(row: re.Match[str]) -> str:
    return re.sub(r"`[^`]+`", lambda code: code[0].replace("\\|", "|"), row[0])
