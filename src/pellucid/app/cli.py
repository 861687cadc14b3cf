"""The command line: find a command's file, run it, and report errors. Imports nothing heavy before that."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

from pellucid.app import streams
from pellucid.app.exits import Exit
from pellucid.app.format import printable
from pellucid.errors import PellucidError, did_you_mean

COMMANDS = {  # -> its file in commands/
    "train": "train",
    "teach": "teach",
    "predict": "predict",
    "evaluate": "evaluate",
    "compare": "compare",
    "explain": "explain",
    "open": "open",
    "serve": "serve",
    "filters": "filters",
    "without": "without",
    "readout": "readout",
    "taught": "taught",
    "life": "life",
    "makers": "makers",
    "article": "article",
    "lessons": "lessons",
    "plan": "plan",
    "export": "export",
    "push": "push",
    "pack": "pack",
    "import": "import_keras",
    "cache": "cache",
    "demo": "demo",
}

ANSWERS = {
    "predict",
    "evaluate",
    "compare",
    "explain",
    "without",
    "readout",
    "taught",
    "life",
    "makers",
    "article",
    "plan",
    "cache",
}
"""What these print is their result: where it cannot be written, they have failed. The others make files or a page."""

USAGE = """usage: pellucid COMMAND ...

An image classifier you can see through.

  pellucid train photos/                  train on a folder that holds a folder of pictures for each class
  pellucid train table.csv                train on a table with the columns path and label
  pellucid teach [FOLDER]                 collect pictures, train on them and try it, in the browser
  pellucid predict MODEL picture.jpg      classify pictures, with probabilities; folders and globs too
  pellucid evaluate MODEL [DIR]           measure a model on its own test pictures or on others
  pellucid compare MODEL OTHER [DIR]      two models on the same pictures: who is right, which answers change
  pellucid explain MODEL picture.jpg      follow any number: forward, backward, into the optimizer's step
  pellucid open MODEL [picture.jpg]       the same in the browser, layer by layer
  pellucid serve MODEL ...                answer other programs over HTTP: predictions and explanations
  pellucid filters MODEL                  show what each filter responds to in your pictures
  pellucid without MODEL                  how much accuracy each filter is worth: the network without it
  pellucid taught MODEL picture.jpg       which training pictures taught this answer, and which hurt it
  pellucid readout MODEL                  what each layer knows: the accuracy of a linear readout after it
  pellucid life MODEL WEIGHT              a weight from its start to its end, and the pictures that made it
  pellucid makers MODEL                   who made each filter: the training pictures that pushed it most
  pellucid article                        how a convolutional network works, in numbers small enough to follow
  pellucid lessons                        the same in the browser, step by step; --html FILE for a class
  pellucid plan NETWORK                   sizes, parameters, operations and memory, before any training
  pellucid export MODEL model.onnx        for other programs (.onnx, .xml, .pt2) or a browser (.html)
  pellucid push MODEL OWNER/NAME          upload a model to a hub, where hf://OWNER/NAME opens it
  pellucid import model.keras OUT         turn a Keras model into a model folder
  pellucid pack SOURCE OUT                write pictures into shards: WebDataset tars or Parquet files
  pellucid cache                          show or clear what is stored for the next training
  pellucid demo                           all of it on handwritten digits, in about a minute

`pellucid COMMAND --help` explains each command. Options: --help, --version.
"""


def program() -> int:
    """Entry point of the installed `pellucid`. Returns the exit status, but `predict` ends the process itself."""
    # Python's final garbage collections walk over all of PyTorch's objects; frozen ones are skipped
    atexit.register(gc.freeze)
    status = main()
    if sys.argv[1:2] == ["predict"]:
        _end(status)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command in this process. Returns the exit status. Without `arguments` it takes those of the process."""
    streams.open_all()
    try:
        words = list(sys.argv[1:] if arguments is None else arguments)
        status = _run(words)
        sys.stdout.flush()
        if status == Exit.OK and words[:1] and words[0] in ANSWERS and streams.is_lost():
            return Exit.ERROR  # standard error has the line
        return status
    except PellucidError as error:
        report(error)
        return Exit.ERROR
    except KeyboardInterrupt:
        print("\npellucid: stopped.", file=sys.stderr)
        return Exit.STOPPED
    except BrokenPipeError:
        streams.stop_writing()  # the reader of our output has seen enough (`| head`)
        return Exit.ERROR
    except OSError as error:
        report(error)
        return Exit.ERROR
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "pellucid":
            raise
        print(f"pellucid: a package cannot be imported: {printable(str(error))}. Install it again.", file=sys.stderr)
        return Exit.ERROR


def report(error: PellucidError | OSError) -> None:
    """Print the line of an error."""
    line = _lines(str(error)) if isinstance(error, PellucidError) else f" {printable(str(error))}"
    print(f"pellucid:{line}", file=sys.stderr)


def _end(status: int) -> None:
    """End the process without taking its libraries apart, which takes 10 ms of a cold prediction's processor time.

    All files are closed by now. If standard output or error cannot be flushed, Python's own end reports that.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _lines(message: str) -> str:
    """One line, whatever its names contain. Only a message with a caret has more, and starts below `pellucid:`."""
    lines = message.split("\n")
    if not any(line.strip(" ") == "^" for line in lines):
        return f" {printable(message)}"
    return "\n".join(["", *map(printable, lines)])


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return Exit.OK if args else Exit.USAGE
    if args[0] == "--version":
        from pellucid import __version__

        print(f"pellucid {__version__}")
        return Exit.OK
    if args[0] not in COMMANDS:
        hint = did_you_mean(args[0], COMMANDS)
        print(f"pellucid: there is no command {args[0]!r}.{hint} See `pellucid --help`.", file=sys.stderr)
        return Exit.USAGE
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns if it has no folder for its cache
    with _no_collections():
        command = import_module(f"pellucid.app.commands.{COMMANDS[args[0]]}")
    try:
        return command.run(args[1:])
    except Exception as error:
        if _stopped(error):
            raise KeyboardInterrupt from error
        raise


def _stopped(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused the error. A compiled module that it interrupts while it loads raises an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


@contextmanager
def _no_collections() -> Iterator[None]:
    """Suspend Python's collector: imports make many objects and hardly any garbage. A cold prediction saves 10 ms."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


if __name__ == "__main__":
    sys.exit(main())
