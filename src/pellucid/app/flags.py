"""How the commands read their flags, and the flags that several of them have."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

T = TypeVar("T")

# flags that may be left out; their help says what happens then
Place = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
Folder = Annotated[Positional[Path | None], arg(metavar="[DIR]", help_behavior_hint="")]
Model = Annotated[Positional[Path], arg(metavar="MODEL")]
Column = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
Switch = Annotated[bool, arg(help_behavior_hint="")]


def parse(command: Callable[..., T], args: list[str], name: str) -> T:
    """Call a command with its arguments as they were typed; the parser itself answers --help and what is wrong."""
    return tyro.cli(
        command, args=args, prog=f"pellucid {name}", config=(OmitArgPrefixes, DisallowNone, FlagCreatePairsOff)
    )
