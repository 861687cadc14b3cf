"""Parse the commands' flags, and the flags that several of them share."""

import io
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from pellucid.errors import did_you_mean
from pellucid.pictures.places import is_written_as_address, on_this_machine

T = TypeVar("T")

# optional flags; their help states the default
Place = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
Source = Annotated[str | None, arg(metavar="PATH", help_behavior_hint="")]  # of pictures: may be an address
Folder = Annotated[Positional[str | None], arg(metavar="[DIR]", help_behavior_hint="")]
Model = Annotated[Positional[Path], arg(metavar="MODEL")]
Column = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
Switch = Annotated[bool, arg(help_behavior_hint="")]

# positional arguments of these commands, and these flags, may be addresses
_READS_ADDRESSES = {"train", "predict", "evaluate", "compare", "explain", "open", "taught", "without", "pack"}
_TAKES_ADDRESSES = {"--pictures", "--picture", "--ray"}

_CONFIG = (OmitArgPrefixes, DisallowNone, FlagCreatePairsOff)


def parse(command: Callable[..., T], args: list[str], name: str) -> T:
    """Call a command with its arguments as typed. The parser answers --help; one line reports a wrong argument.

    Raises StorageError for an address in the place of a file of this machine.
    """

    @wraps(command)
    def read(*positional: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return positional, named

    _check_local(args, name)
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            positional, named = tyro.cli(read, args=args, prog=f"pellucid {name}", config=_CONFIG)
    except SystemExit as end:
        if end.code:
            message = _in_a_line(errors.getvalue())
            if message is None:
                message = _unknown(args, _help(read, name))
            print(f"pellucid: {message} See `pellucid {name} --help`.", file=sys.stderr)
        raise
    return command(*positional, **named)


def _check_local(args: list[str], name: str) -> None:
    """Raise StorageError for an address: what Pellucid writes, and its settings, stay on this machine."""
    flag = ""
    for word in args:
        begun, equals, value = word.partition("=") if word.startswith("--") else (flag, "=", word)
        flag = begun if word.startswith("-") and not equals else ""
        if not equals or not is_written_as_address(value) or value.startswith("hf://"):
            continue
        if begun not in _TAKES_ADDRESSES if begun else name not in _READS_ADDRESSES:
            on_this_machine(value, begun or name)


def _in_a_line(box: str) -> str | None:
    """The parser's boxed message as sentences: its first part, and the flag that was probably meant.

    None if an unknown flag comes before a name: the message then mentions only the name.
    """
    lines = [re.sub(r"^[-─]+$", "", line.strip("╭╮╰╯│|+ ").strip("─ ")) for line in box.splitlines()[1:]]
    parts = [part.split() for part in "\n".join(lines).split("\n\n")]
    first = " ".join(parts[0])
    if match := re.match(r"Error parsing (\S+): .*instantiated from \[(.*?)\]", first):
        kind = "a whole number" if " INT " in first else "a number" if " FLOAT " in first else "of another kind"
        return f"{match[1]} is {match[2]}; it must be {kind}."
    if match := re.match(
        r"Error parsing (\S+): (invalid literal for int|could not convert string to float).*?: ", first
    ):
        kind = "a whole number" if match[2].endswith("int") else "a number"
        return f"{match[1]} is {first[match.end() :]}; it must be {kind}."
    if match := re.match(r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of \((.*)\)", first):
        choices = [each for each in re.findall(r"'([^']*)'", match[3]) if each != "None"]
        hint = did_you_mean(match[1], choices)
        return f"{match[2]} is {match[1]!r}; it must be {' or '.join(sorted(choices))}.{hint}"
    if match := re.match(r"Missing from [^:]*: (\S+)", first):
        return f"{match[1]} is missing."
    if match := re.match(r"Missing value for argument '(-\S+)'", first):
        return f"{match[1]} needs a value."
    if match := re.match(r"Unrecognized options: ([^-].*)", first):
        return f"{match[1]} is one name too many there. Names stand together, before the flags."
    if first.startswith("Missing value for argument"):  # a name, in whose place there is an unknown flag
        return None
    suggestion = re.search(r"Perhaps you meant:\s*(--\S+)", "\n".join(lines))
    return first.rstrip(".") + "." + (f" Did you mean {suggestion[1]}?" if suggestion else "")


def _help(command: Callable[..., Any], name: str) -> str:
    """The text of --help."""
    text = io.StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        tyro.cli(command, args=["--help"], prog=f"pellucid {name}", config=_CONFIG)
    return text.getvalue()


def _unknown(args: list[str], text: str) -> str:
    """The flag that the help text does not contain."""
    known = sorted(set(re.findall(r"--[a-z][a-z-]*[a-z]", text)))
    flags = [word.split("=")[0] for word in args if word.startswith("-")]
    flag = next((each for each in flags if each not in known), flags[0] if flags else "")
    return f"Unrecognized options: {flag}.{did_you_mean(flag, known)}"
