"""The command `demo`: all of Pellucid in about a minute, on scikit-learn's handwritten digits."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pellucid import api, files
from pellucid.app import bars, digits, outputs, progress, teaching
from pellucid.app.exits import Exit
from pellucid.app.flags import parse
from pellucid.app.format import printable, share
from pellucid.app.teaching import Answered
from pellucid.classifier.predict.prediction import Prediction
from pellucid.glassbox.page.offline import paging
from pellucid.runs.made_from import remembered
from pellucid.steps import result_of

EPOCHS = 12
SHOWN = 8
PAGE, TEACHING = "glass-box.html", "teaching.html"


def demo(out: Path = Path("pellucid-demo")) -> int:
    """Write 1,797 handwritten digits as picture files, train two networks on them, and show how good they are and why.

    The first network is small enough to follow every number of it. The second is the one that you would train.

    Args:
        out: A new folder for the pictures and the models.
    """
    digits.check("The demo needs")
    with outputs.new_folder(out):
        return _run(out)


def run(args: list[str]) -> int:
    return parse(demo, args, "demo")


def _run(out: Path) -> int:
    """Write pictures, train, classify a few, open the networks. Returns the exit status."""
    console = Console(soft_wrap=True, highlight=False)
    pictures, model, small = out / "digits", out / "model", out / "teaching"
    count = digits.write(pictures)
    shown, folder, taught = (escape(shlex.quote(printable(path))) for path in (pictures, model, small))
    console.print(f"[bold]1. Pictures.[/] {count:,} handwritten digits are now files in {shown}/0 to {shown}/9.\n")
    console.print("[bold]2. A teaching model,[/] small enough to follow every number of it. The same as:")
    console.print(f"   {teaching.command(shown, taught)}")
    with progress.waiting("training the teaching model"):
        report = teaching.train(pictures, small, out / "cache")
    console.print(f"   {report.reported}: {share(report.metrics[report.reported])}", markup=False)
    lesson = teaching.chosen(teaching.answered(small))
    files.write(out / TEACHING, teaching.page(small, lesson, out / "cache", _beside("The larger network", PAGE)))
    console.print("\n[bold]3. A larger network,[/] as for pictures of your own.", end=" ")
    console.print(f"The same as: pellucid train {shown} --out {folder} --epochs {EPOCHS}")
    with closing(api.start(pictures, model, cache=out / "cache", epochs=EPOCHS)) as training:
        status = progress.watch(training)
    if status:
        return status
    console.print("\n[bold]4. Classifying[/] a few that this network never saw:")
    answers = never_seen(pictures, model)
    for path, answer in answers:
        ranked = "  ".join(f"{label} {part:.1%}" for label, part in answer.top(3))
        path = pictures / path.relative_to(pictures.absolute())  # as short as the user's --out
        console.print(f"   {escape(printable(path))}  is  [bold]{answer.label}[/]   ({ranked})")
    mistake = worst_mistake(model)
    write_page(out / PAGE, model, [(path, path.parent.name) for path, _ in answers], mistake)
    console.print("\n[bold]5. The glass boxes:[/] every number behind the answers, forward, backward and updated.")
    console.print("   Start with the teaching model and the lessons:")
    _name(out / TEACHING, 1, console)
    console.print("   The larger network:")
    _name(out / PAGE, 0, console)
    if mistake is not None:
        console.print(
            f"   It includes a {mistake.label} from the test pictures that the network mistakes for a "
            f"{mistake.predicted}."
        )
    console.print(
        f"\n[bold]Files[/]\n"
        f"   {folder}/README.md        the model card: how good, for which digits, the worst mistakes\n"
        f"   {folder}/config.json      network, classes, preprocessing, recipe; weights in model.safetensors\n"
        f"   {folder}/quarantine.csv   files that could not be used (none here)\n"
        f"   {taught}        the same of the teaching model, with a replay of its training\n"
        f"\n[bold]Try next[/]\n"
        f"   pellucid open {taught}   (the lessons, and the training step by step)\n"
        f"   pellucid predict {folder} {shown}/7 --top 2\n"
        f"   pellucid evaluate {folder}\n"
        f"   pellucid open {folder}   (drop your own pictures on it)\n"
        f"   pellucid plan article --input 300x300x3\n"
        f"   pellucid train YOUR_PICTURES        (a folder with a folder of pictures for each class)"
    )
    return Exit.OK


def _name(page: Path, decimals: int, console: Console) -> None:
    """Print a page's path and its size, with this many decimals of a megabyte."""
    size = page.stat().st_size / 1e6
    name = escape(printable(page))
    console.print(f"   [bold]{name}[/]   ({size:,.{decimals}f} MB; any browser opens it, also offline)")


def _beside(title: str, href: str) -> dict[str, dict[str, str]]:
    """What a page says about the other one in its folder."""
    return {"beside": {"title": title, "href": href}}


def never_seen(pictures: Path, model: Path) -> list[tuple[Path, Prediction]]:
    """Predictions for the first few test pictures of different digits."""
    chosen: dict[str, Path] = {}
    for path, digit in remembered(model):
        chosen.setdefault(digit, Path(str(path)))
    paths = [chosen[digit] for digit in sorted(chosen)][:SHOWN]
    return list(zip(paths, api.predict(model, paths), strict=True))


def worst_mistake(model: Path) -> Answered | None:
    """The misclassified test picture of which the network is most certain."""
    wrong = [each for each in teaching.answered(model) if not each.right]
    return max(wrong, key=lambda each: each.sure, default=None)


def write_page(page: Path, model: Path, pictures: list[tuple[Path, str]], mistake: Answered | None) -> None:
    """The offline glass box of pictures with known digits, the mistake last."""
    classifier = api.load(model)
    labelled = list(pictures)
    if mistake is not None:
        labelled = [each for each in pictures if each[0] != mistake.path] + [(mistake.path, mistake.label)]
    traces = (classifier.explain(path, digit) for path, digit in labelled)
    counted = bars.counted(traces, lambda: len(labelled), "glass box", watched=False)
    files.write(page, result_of(paging(counted, "digits", extra=_beside("The teaching model", TEACHING))))
