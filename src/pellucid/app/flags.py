"""How the commands read their flags, and the flags that several of them have."""

import io
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from pellucid.errors import did_you_mean

T = TypeVar("T")

# flags that may be left out; their help says what happens then
Place = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
Folder = Annotated[Positional[Path | None], arg(metavar="[DIR]", help_behavior_hint="")]
Model = Annotated[Positional[Path], arg(metavar="MODEL")]
Column = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
Switch = Annotated[bool, arg(help_behavior_hint="")]


def parse(command: Callable[..., T], args: list[str], name: str) -> T:
    """Call a command with its arguments as typed. The parser answers --help; one line reports a wrong argument."""

    @wraps(command)
    def read(*positional: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return positional, named

    config = (OmitArgPrefixes, DisallowNone, FlagCreatePairsOff)
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            positional, named = tyro.cli(read, args=args, prog=f"pellucid {name}", config=config)
    except SystemExit as end:
        if end.code:
            print(f"pellucid: {_in_a_line(errors.getvalue())} See `pellucid {name} --help`.", file=sys.stderr)
        raise
    return command(*positional, **named)


def _in_a_line(box: str) -> str:
    """What the parser says in a box, as sentences: its first part, and the flag that was probably meant."""
    lines = [re.sub(r"^[-─]+$", "", line.strip("╭╮╰╯│|+ ").strip("─ ")) for line in box.splitlines()[1:]]
    parts = [part.split() for part in "\n".join(lines).split("\n\n")]
    first = " ".join(parts[0])
    if match := re.match(r"Error parsing (\S+): .*instantiated from \[(.*?)\]", first):
        kind = "a whole number" if " INT " in first else "a number" if " FLOAT " in first else "of another kind"
        return f"{match[1]} is {match[2]}; it must be {kind}."
    if match := re.match(r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of \((.*)\)", first):
        choices = [each for each in re.findall(r"'([^']*)'", match[3]) if each != "None"]
        hint = did_you_mean(match[1], choices)
        return f"{match[2]} is {match[1]!r}; it must be {' or '.join(sorted(choices))}.{hint}"
    if match := re.match(r"Missing from [^:]*: (\S+)", first):
        return f"{match[1]} is missing."
    if match := re.match(r"Missing value for argument '(\S+)'", first):
        return f"{match[1]} needs a value."
    meant = re.search(r"Perhaps you meant:\s*(--\S+)", "\n".join(lines))
    return first.rstrip(".") + "." + (f" Did you mean {meant[1]}?" if meant else "")
