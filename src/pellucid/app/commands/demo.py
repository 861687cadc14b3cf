"""The command `demo`: all of Pellucid in about a minute, on scikit-learn's handwritten digits."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.markup import escape

from pellucid import api, files
from pellucid.app import bars, outputs, progress
from pellucid.app.exits import Exit
from pellucid.app.flags import parse
from pellucid.app.format import printable
from pellucid.classifier.predict.prediction import Prediction
from pellucid.errors import RecipeError
from pellucid.glassbox.page.offline import offline
from pellucid.runs.made_from import remembered

EPOCHS = 12
SHOWN = 8
PAGE = "glass-box.html"


@dataclass(frozen=True)
class Mistake:
    """A picture, its digit, and the predicted digit."""

    path: Path
    label: str
    predicted: str


def demo(out: Path = Path("pellucid-demo")) -> int:
    """Write 1,797 handwritten digits as picture files, train on them, report the result, classify a few.

    Args:
        out: A new folder for the pictures and the model.
    """
    with outputs.new_folder(out):
        return _run(out)


def run(args: list[str]) -> int:
    return parse(demo, args, "demo")


def _run(out: Path) -> int:
    """Write pictures, train, classify a few, open the network. Returns the exit status."""
    console = Console(soft_wrap=True, highlight=False)
    pictures, model, page = out / "digits", out / "model", out / PAGE
    count = write_digits(pictures)
    shown, folder = (escape(shlex.quote(printable(path))) for path in (pictures, model))
    console.print(f"[bold]1. Pictures.[/] {count:,} handwritten digits are now files in {shown}/0 to {shown}/9.\n")
    console.print(f"[bold]2. Training.[/] The same as: pellucid train {shown} --out {folder} --epochs {EPOCHS}")
    with closing(api.start(pictures, model, cache=out / "cache", epochs=EPOCHS)) as training:
        status = progress.watch(training)
    if status:
        return status
    console.print("\n[bold]3. Classifying[/] a few that the model never saw:")
    answers = never_seen(pictures, model)
    for path, answer in answers:
        ranked = "  ".join(f"{label} {share:.1%}" for label, share in answer.top(3))
        path = pictures / path.relative_to(pictures.absolute())  # as short as the user's --out
        console.print(f"   {escape(printable(path))}  is  [bold]{answer.label}[/]   ({ranked})")
    mistake = worst_mistake(model)
    write_page(page, model, [(path, path.parent.name) for path, _ in answers], mistake)
    console.print("\n[bold]4. The glass box:[/] every number behind these answers, forward, backward and updated.")
    if mistake is not None:
        console.print(
            f"   It includes a {mistake.label} from the test pictures that the network mistakes for a "
            f"{mistake.predicted}."
        )
    size = page.stat().st_size / 1e6
    console.print(f"   [bold]{escape(printable(page))}[/]   ({size:,.0f} MB; any browser opens it, also offline)")
    console.print(
        f"\n[bold]Files[/]\n"
        f"   {folder}/README.md        the model card: how good, for which digits, the worst mistakes\n"
        f"   {folder}/config.json      network, classes, preprocessing, recipe; weights in model.safetensors\n"
        f"   {folder}/quarantine.csv   files that could not be used (none here)\n"
        f"\n[bold]Try next[/]\n"
        f"   pellucid predict {folder} {shown}/7 --top 2\n"
        f"   pellucid evaluate {folder}\n"
        f"   pellucid open {folder}   (the same, and drop your own pictures on it)\n"
        f"   pellucid plan article --input 300x300x3\n"
        f"   pellucid train YOUR_PICTURES        (a folder with a folder of pictures for each class)"
    )
    return Exit.OK


def write_digits(folder: Path) -> int:
    """scikit-learn's 1,797 digits of 8x8 pixels as PNG files FOLDER/DIGIT/NUMBER.png; returns how many."""
    if find_spec("sklearn") is None:
        raise RecipeError("The demo needs scikit-learn for its pictures: pip install 'pellucid[demo]'.")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)  # (1797, 64) in 0..16, (1797,)
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    with files.storage_errors(folder):
        for digit in range(10):
            (folder / str(digit)).mkdir(parents=True)
        for number, (image, digit) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(folder / str(digit) / f"{number:04}.png")
    return len(images)


def never_seen(pictures: Path, model: Path) -> list[tuple[Path, Prediction]]:
    """Predictions for the first few test pictures of different digits."""
    chosen: dict[str, Path] = {}
    for path, digit in remembered(model):
        chosen.setdefault(digit, path)
    paths = [chosen[digit] for digit in sorted(chosen)][:SHOWN]
    return list(zip(paths, api.predict(model, paths), strict=True))


def worst_mistake(model: Path) -> Mistake | None:
    """The misclassified test picture of which the network is most certain."""
    pictures = list(remembered(model))
    answers = api.predict(model, [path for path, _ in pictures])
    ranked = [(path, digit, *answer.top(1)[0]) for (path, digit), answer in zip(pictures, answers, strict=True)]
    wrong = [(share, Mistake(path, digit, label)) for path, digit, label, share in ranked if label != digit]
    return max(wrong, key=lambda each: each[0])[1] if wrong else None


def write_page(page: Path, model: Path, pictures: list[tuple[Path, str]], mistake: Mistake | None) -> None:
    """The offline glass box of pictures with known digits, the mistake last."""
    classifier = api.load(model)
    labelled = list(pictures)
    if mistake is not None:
        labelled = [each for each in pictures if each[0] != mistake.path] + [(mistake.path, mistake.label)]
    traces = (classifier.explain(path, digit) for path, digit in labelled)
    counted = bars.counted(traces, lambda: len(labelled), "glass box", watched=False)
    files.write(page, offline(counted, "digits"))
