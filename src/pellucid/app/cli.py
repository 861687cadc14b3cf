"""The command line: parses, calls pellucid.api, prints. Nothing heavy is imported before a verb needs it.

Exit status: 0 all well; 1 an error, told in one line; 2 a wrong command line; 3 some pictures could not be used;
130 stopped by Ctrl-C, with everything that was reached saved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from pellucid.errors import PellucidError

USAGE = """usage: pellucid COMMAND ...

An image classifier you can see through.

  pellucid train photos/                  a folder with a folder of pictures for each class -> a model folder
  pellucid predict MODEL picture.jpg      what is in a picture, with probabilities; folders and globs too
  pellucid evaluate MODEL [DIR]           how good it is, on the pictures it kept for that or on others
  pellucid plan NETWORK                   sizes, parameters, operations and memory before anything trains
  pellucid cache                          decoded pictures kept for the next training: show or clear
  pellucid demo                           all of it on handwritten digits, in about a minute

`pellucid COMMAND --help` explains each. Options: --help, --version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `pellucid`. Returns the exit status."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if args else 2
    if args[0] == "--version":
        from pellucid import __version__

        print(f"pellucid {__version__}")
        return 0
    command = _commands().get(args[0])
    if command is None:
        print(f"pellucid: there is no command {args[0]!r}. See `pellucid --help`.", file=sys.stderr)
        return 2
    try:
        return command(args[1:])
    except PellucidError as error:
        print(f"pellucid: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\npellucid: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has seen enough (`| head`); nothing more can be said on it
        sys.stderr.close()
        return 1


def _commands() -> dict[str, Callable[[list[str]], int]]:
    from pellucid.app import commands

    return {
        "train": commands.train,
        "predict": commands.predict,
        "evaluate": commands.evaluate,
        "plan": commands.plan,
        "cache": commands.cache,
        "demo": commands.demo,
    }


if __name__ == "__main__":
    sys.exit(main())
