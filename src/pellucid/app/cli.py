"""The command line: parses, calls pellucid.api, prints. Nothing heavy is imported before a verb needs it.

Exit status: 0 all well; 1 an error, told in one line; 2 a wrong command line; 3 some pictures could not be used;
130 stopped by Ctrl-C, with everything that was reached saved.
"""

from __future__ import annotations

import atexit
import difflib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from pellucid.app import streams
from pellucid.errors import PellucidError

COMMANDS = ("train", "predict", "evaluate", "explain", "open", "filters", "article", "plan", "import", "cache", "demo")

USAGE = """usage: pellucid COMMAND ...

An image classifier you can see through.

  pellucid train photos/                  a folder with a folder of pictures for each class -> a model folder
  pellucid train table.csv                the same from a table with the columns path and label
  pellucid predict MODEL picture.jpg      what is in a picture, with probabilities; folders and globs too
  pellucid evaluate MODEL [DIR]           how good it is, on the pictures it kept for that or on others
  pellucid explain MODEL picture.jpg      follow any number: forward, backward, into the optimizer's step
  pellucid open MODEL [picture.jpg]       the same in the browser: walk through the network, layer by layer
  pellucid filters MODEL                  what each filter looks for, on your pictures
  pellucid article                        how a convolutional network works, in numbers small enough to follow
  pellucid plan NETWORK                   sizes, parameters, operations and memory before anything trains
  pellucid import model.keras OUT         a model that Keras saved -> a model folder, for all of the above
  pellucid cache                          what is kept for the next training: show or clear it
  pellucid demo                           all of it on handwritten digits, in about a minute

`pellucid COMMAND --help` explains each. Options: --help, --version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `pellucid`. Returns the exit status; without `arguments`, for a process that then ends."""
    if arguments is not None:
        return _told(list(arguments))
    status = 1  # of a fault

    def leave() -> None:
        """Out, without taking Python and PyTorch apart first, for nobody: 0.16 s of a training."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    atexit.register(leave)  # the first, so that it comes last
    try:
        status = _told(sys.argv[1:])
    except SystemExit as end:  # a wrong flag, or --help
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    return status


def _told(args: list[str]) -> int:
    """Run a command; what goes wrong is told in a line."""
    streams.open_all()
    try:
        status = _run(args)
        sys.stdout.flush()
        return status
    except PellucidError as error:
        # a caret must stand under its character, so that such a message begins on a line of its own
        print("pellucid:", error, sep="\n" if "\n" in str(error) else " ", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\npellucid: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        streams.stop_writing()  # whoever read our output has seen enough (`| head`)
        return 1
    except OSError as error:
        print(f"pellucid: {error}", file=sys.stderr)
        return 1


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if args else 2
    if args[0] == "--version":
        from pellucid import __version__

        print(f"pellucid {__version__}")
        return 0
    if args[0] not in COMMANDS:
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        print(f"pellucid: there is no command {args[0]!r}.{hint} See `pellucid --help`.", file=sys.stderr)
        return 2
    if args[0] == "predict":
        from pellucid.app import predict

        return predict.predict(args[1:])
    if args[0] == "import":  # no name for a function
        from pellucid.app import importing

        return importing.run(args[1:])
    import logging

    from pellucid.app import commands

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that it has no home for its own cache harms nothing
    return getattr(commands, args[0])(args[1:])


if __name__ == "__main__":
    sys.exit(main())
