"""The command `lessons`: how a convolutional network works, on a network that is trained for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pellucid import api, files
from pellucid.app import digits, lives, outputs, progress, teaching
from pellucid.app.exits import Exit
from pellucid.app.flags import Place, Switch, parse
from pellucid.app.format import printable, share
from pellucid.app.page import server
from pellucid.app.page.shown import Glass
from pellucid.errors import RecipeError, StorageError
from pellucid.steps import result_of

VIEW = "lessons"
"""The view that the page opens with, by its name in web/views.js."""


def lessons(html: Place = None, port: int = 0, no_browser: Switch = False) -> int:
    """Open the lessons in the browser: how a convolutional network works, in numbers that you can follow.

    You need no model. A small network learns to read scikit-learn's handwritten digits, which takes seconds, and the
    lessons lead through its numbers. Only this machine can reach the page. Ctrl-C or SIGTERM ends it.

    Args:
        html: Write the lessons as one self-contained file instead, for a class. It works without a connection.
        port: The server's port; 0 for any free port.
        no_browser: Print the address and start no browser.
    """
    server.check_port(port)
    if html is not None:
        _check(html, port, no_browser)
    digits.check("A network for the lessons needs")
    with _stopping(), TemporaryDirectory(prefix="pellucid-lessons-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        model = place / "teaching"
        with progress.waiting("training a network for the lessons"):
            digits.write(place / "digits")
            report = teaching.train(place / "digits", model, place / "cache")
        weights = sum(parameter.numel() for parameter in report.classifier.module.parameters())
        accuracy = share(report.metrics[report.reported])
        print(f"A network of {weights:,} weights has learned to read digits. {report.reported}: {accuracy}")
        shown = teaching.chosen(teaching.answered(model))
        if html is None:
            return _serve(model, place / "cache", shown[min(1, len(shown) - 1)], port, not no_browser)
        with progress.waiting("writing the lessons"):
            files.create(html, teaching.page(model, shown, place / "cache", {"opens": VIEW}))
    print(f"lessons, for any browser: {printable(html)} ({html.stat().st_size / 1e6:,.1f} MB)")
    return Exit.OK


@contextmanager
def _stopping() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does, which removes the temporary folder."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may take a signal
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(model: Path, cache: Path, picture: teaching.Answered, port: int, browser: bool) -> int:
    """Show the lessons until Ctrl-C."""
    with progress.waiting("making the training again, for the lives of the weights"):
        inside = result_of(lives.element(model, cache))
    with progress.waiting("following the picture through the network"):
        glass = Glass(api.load(model), model, picture.path, label=picture.label, view=VIEW, lives=inside)
        glass.live.cache = cache
    with server.listening(glass, port) as listening:
        listening.announce("The page of the lessons", browser)
        return server.serve(listening, glass)


def _check(html: Path, port: int, no_browser: bool) -> None:
    """Refuse conflicting flags and an unusable place before the network is trained. Raises PellucidError."""
    if port or no_browser:
        flag = "--port" if port else "--no-browser"
        raise RecipeError(f"--html writes a file, and {flag} is for a page that is served. Leave one of them out.")
    outputs.check_free(html, "--html")
    if not html.absolute().parent.is_dir():
        raise StorageError(f"{html} cannot be written: there is no folder {html.parent}. Make it, or choose another.")


def run(args: list[str]) -> int:
    return parse(lessons, args, "lessons")
