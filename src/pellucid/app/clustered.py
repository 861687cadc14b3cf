"""The flag --ray; and `pellucid predict --ray`: the answers of a cluster, as a folder of files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

from pellucid.app import answers, featured
from pellucid.app.exits import Exit
from pellucid.app.format import duration, many, printable
from pellucid.errors import RecipeError
from pellucid.scale.cluster import LOCAL, is_address

FLAG = "--ray"


def with_address(args: Sequence[str]) -> list[str]:
    """The arguments, with the address of this machine where --ray has none: a picture may follow it."""
    result = list[str]()
    for at, word in enumerate(args):
        result.append(word)
        if word == FLAG and (at + 1 == len(args) or not is_address(args[at + 1])):
            result.append(LOCAL)
    return result


def check(address: str) -> None:
    """Raise RecipeError unless it names a cluster."""
    if not is_address(address):
        raise RecipeError(f"{FLAG} {address} names no cluster; it must be auto, HOST:PORT or ray://HOST:PORT.")


def write(
    model: Path,
    pictures: tuple[str, ...],
    address: str,
    out: Path | None,
    form: str | None,
    top: int,
    batch: int,
    features: Path | None,
    trust: bool,
    precision: str,
) -> int:
    """Do the job, or the rest of it, and say what was written. Returns the exit status."""
    from pellucid.app import progress
    from pellucid.scale.predicting import FORMS, Request, predict

    form = form or FORMS[0]
    if out is None:
        raise RecipeError(f"{FLAG} writes many files: name a folder for them with --out.")
    if form not in FORMS:
        raise RecipeError(
            f"--format {form} does not go with {FLAG}; it must be {', '.join(FORMS[:-1])} or {FORMS[-1]}."
        )
    check(address)
    if features is not None:
        featured.check(precision)
        if features.resolve() == out.resolve():
            raise RecipeError(f"--out and --features are both {out}; name two different folders.")
    request = Request(model, pictures, address, out, form, top, batch, features, trust, precision)
    began = monotonic()
    try:
        done = progress.timed(predict(request, _numbered(pictures)), "pictures")
    except KeyboardInterrupt:
        print(
            f"\npellucid: stopped. What is in {printable(out)} is whole; the same command continues.", file=sys.stderr
        )
        return Exit.STOPPED
    if not done.pictures:
        print(f"There is no picture in {', '.join(map(printable, pictures))}.", file=sys.stderr)
    unusable = f", {done.unusable:,} of them unusable" if done.unusable else ""
    before = f" ({done.before:,} {'was' if done.before == 1 else 'were'} there before)" if done.before else ""
    print(
        f"{many(done.pictures, 'picture')}{unusable}: {many(done.parts, 'file')}{before} in {printable(out)}, "
        f"{duration(monotonic() - began)}"
    )
    return Exit.UNUSABLE if done.unusable else Exit.OK


def _numbered(pictures: tuple[str, ...]) -> Iterator[tuple[int, object]]:
    """Each picture with the number of the name that stands for it."""
    for number, name in enumerate(pictures):
        for picture in answers.sources((name,)):
            yield number, picture
