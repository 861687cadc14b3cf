"""The model card: README.md of a model folder and its pictures, made from the JSON and CSV beside it."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier import caveats, crossed, figures, labels, matrix, origin, store
from pellucid.classifier.caveats import plain as _plain
from pellucid.classifier.figures import MOST_NAMED
from pellucid.errors import PictureError
from pellucid.pictures.decode import ALONE, Ranges, decode, resize
from pellucid.pictures.reading import read
from pellucid.texts import listed

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

TINY = 64  # pixels; a picture below half of this is enlarged
THUMBNAIL = 160  # pixels
LONG = 1500  # characters of a network's text; a longer one is folded away
WORST = 20  # rows of a table that would otherwise have more than MOST_NAMED


def write(folder: Path) -> None:
    """Write README.md, curves.png, confusion.png and calibration.png into a model folder. Raises StorageError."""
    config = store.read_json(folder / store.CONFIG)
    metrics = store.read_json(folder / store.METRICS)
    with (folder / store.HISTORY).open(encoding="utf-8", newline="") as file:
        history = list(csv.DictReader(file))
    reported = metrics[metrics["reported"]]
    if config["training"]["epochs"]:
        figures.save(folder / "curves.png", figures.curves(history))
    if not reported.get("several"):
        figures.save(folder / "confusion.png", figures.confusion(reported))
    figures.save(folder / "calibration.png", figures.calibration(reported))
    # a byte of a file name that is not UTF-8 is written as \\udc80
    files.write(folder / "README.md", text(config, metrics).encode("utf-8", "backslashreplace"))


def text(config: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The card as Markdown."""
    lines = [
        *_opening(config, metrics),
        *_how_good(config, metrics),
        *_mistakes(metrics),
        *_how_trained(config, metrics),
        *_use(config, metrics),
    ]
    return "\n".join(lines)


def _opening(config: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    training = config["training"]
    lines = [
        "---",
        "library_name: pellucid",
        "pipeline_tag: image-classification",
        "---",
        "",
        f"# {listed([_plain(name) for name in config['classes']], 8)}: an image classifier",
        "",
        f"**{_headline(metrics)}**",
        "",
        caveats.which(metrics),
        "",
        *caveats.warnings(metrics, config["data"]),
    ]
    if not training["complete"]:
        lines += [f"> The training was stopped after {training['epochs']} of {training['epochs_planned']} epochs.", ""]
    return lines


def _how_good(config: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    reported = metrics[metrics["reported"]]
    where = " in the folds" if metrics["reported"] == "folds" else ""
    return [
        "## How good",
        "",
        *labels.heading(reported),
        *([crossed.row(metrics["folds"], labels.beside(metrics["folds"]))] if metrics.get("folds") else []),
        *[_side_row(metrics, side) for side in ("test", "validation") if metrics.get(side)],
        "",
        *(crossed.table(metrics["folds"]) if metrics.get("folds") else []),
        *labels.explained(reported),
        "",
        *(labels.classes(reported) if reported.get("several") else _classes(reported)),
        "",
        "![calibration](calibration.png)",
        "",
        f"Probabilities are {labels.squashing(reported)}(logits / {config['temperature']:.3f}), the temperature "
        + (
            "fitted on the validation pictures"
            if caveats.chosen(metrics)
            else "left at 1: the validation pictures lack a class"
            if metrics.get("validation")
            else "left at 1: there were no pictures to fit it on"
        )
        + f". Expected calibration error{where} before: {reported['calibration_before']['error']:.3f}, "
        f"after: {reported['calibration']['error']:.3f}.",
        "",
    ]


def _how_trained(config: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    data = config["data"]
    return [
        "## How it was trained",
        "",
        *origin.lines(config),
        *_curves(config, metrics),
        *_network(config),
        "",
        f"{data['train']:,} training pictures, {data['validation']:,} for validation, "
        + ("all of them tested in the folds, " if metrics.get("folds") else f"{data['test']:,} for the test, ")
        + f"resized to {config['input'][2]} x {config['input'][1]} pixels ({config['preprocessing']['fit']}). "
        f"Quarantined files: {data['quarantined']:,} ([quarantine.csv](quarantine.csv))"
        + caveats.in_two(data.get("quarantined_in_two_classes", 0))
        + ". Pictures with a "
        f"near-duplicate (kept on the same side): {data['twin_pictures']:,} ([twins.csv](twins.csv)). Pairs of "
        f"copies in two classes (one label is probably wrong): {data['twins_across_classes']:,}."
        + caveats.alike(data.get("alike_across_classes", {}))
        + _table(data),
        "",
        *_ranges(config),
        _steps(config, metrics) + labels.weighted(config),
        "",
        *_optimizer(config),
    ]


def _use(config: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    trust = ", trust=True" if config.get("program") else ""
    return [
        "## Use it",
        "",
        "```bash",
        f"pellucid predict {shlex.quote(config['name'])} picture.jpg{' --trust' if trust else ''}",
        "```",
        "",
        "```python",
        "import pellucid",
        "",
        f"classifier = pellucid.load({json.dumps(config['name'], ensure_ascii=False)}{trust})",
        'print(classifier.predict("picture.jpg"))',
        "```",
        "",
        labels.answers(metrics[metrics["reported"]]),
        "",
        f"Made with Pellucid {config['versions']['pellucid']}, PyTorch {config['versions']['torch']}. "
        f"Data fingerprint `{config['data']['fingerprint'][:16]}`.",
        "",
    ]


def write_thumbnail(picture: Place, thumbnail: Path, ranges: Ranges = ALONE) -> None:
    """Write a JPEG of at most 160 pixels a side; each pixel of a tiny picture becomes a visible square.

    Nothing is written if the picture can no longer be read. Raises StorageError.
    """
    from PIL import Image

    try:
        image = decode(read(picture), ranges=ranges)
    except PictureError:
        return
    image = image.repeat(enlarged := max(1, TINY // max(image.shape[:2])), axis=0).repeat(enlarged, axis=1)
    scale = min(1.0, THUMBNAIL / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    content = io.BytesIO()
    Image.fromarray(resize(image, height, width, 3, "stretch")).save(content, "JPEG", quality=85)
    with files.storage_errors(thumbnail):
        thumbnail.parent.mkdir(exist_ok=True)
    files.write(thumbnail, content.getvalue())


def _headline(every: dict[str, Any]) -> str:
    if every.get("knew"):
        return f"No figure to quote: {caveats.knew(every['knew'], every.get('knew_by', ()))}. {_figure(every)}"
    return _figure(every)


def _figure(every: dict[str, Any]) -> str:
    if every["reported"] == "folds":
        return crossed.headline(every["folds"], not every.get("knew"))
    metrics = every[every["reported"]]
    low, high = metrics["interval"]
    figure = (
        f"{metrics['accuracy']:.1%} {labels.accuracy(metrics)} {metrics['pictures']:,} {metrics['side']} pictures "
        f"(95% interval {low:.1%} to {high:.1%})"
    )
    if lacking := caveats.lacking(metrics):
        shown = f"no {metrics['side']} picture shows {caveats.few(lacking)}"
        return f"No figure to quote: {shown}. On the other classes: {figure}"
    return figure


def _side_row(metrics: dict[str, Any], side: str) -> str:
    measured = metrics[side]
    use = f"choosing {labels.chosen(measured)}" if caveats.chosen(metrics) else "nothing: it lacks a class"
    if side == "test":
        use = "not to be quoted: it lacks a class" if caveats.lacking(measured) else "the reported figure"
    low, high = measured["interval"]
    return (
        f"| {side} | {use} | {measured['pictures']:,} | {measured['accuracy']:.1%} | {low:.1%} to {high:.1%} "
        f"| {labels.beside(measured)} | {measured['loss']:.3f} | {measured['calibration']['error']:.3f} |"
    )


def _classes(metrics: dict[str, Any]) -> list[str]:
    """A row per class; if there are too many to read, the worst, and the most frequent confusions."""
    rows = [_class_row(item) for item in metrics["classes"]]
    if len(rows) <= MOST_NAMED:
        return ["| class | pictures | precision | recall | F1 |", "|---|---|---|---|---|", *rows]
    there = [number for number, item in enumerate(metrics["classes"]) if item["pictures"]]
    worst = sorted(there, key=lambda number: (metrics["classes"][number]["recall"], number))[:WORST]
    names = [_plain(item["name"]) for item in metrics["classes"]]
    mistakes = matrix.mistakes(metrics["confusion"])
    lines = [
        f"Of {len(rows):,} classes, the {len(worst)} with the lowest recall, numbered from 1 in the order of "
        "`classes` in [config.json](config.json); [metrics.json](metrics.json) has all of them.",
        "",
        "| no. | class | pictures | precision | recall | F1 |",
        "|---|---|---|---|---|---|",
        *[f"| {number + 1:,} {rows[number]}" for number in worst],
    ]
    if mistakes:
        lines += [
            "",
            f"The most frequent confusions, {min(WORST, len(mistakes))} of {len(mistakes):,} pairs:",
            "",
            "| class | predicted | times |",
            "|---|---|---|",
            *[f"| {names[true]} | {names[called]} | {count:,} |" for count, true, called in mistakes[:WORST]],
        ]
    return lines


def _class_row(item: dict[str, Any]) -> str:
    share = ["–" if item[key] is None else f"{item[key]:.1%}" for key in ("precision", "recall", "f1")]
    return f"| {_plain(item['name'])} | {item['pictures']:,} | {' | '.join(share)} |"


def _mistakes(metrics: dict[str, Any]) -> list[str]:
    listed = metrics["mistakes"]
    if not listed:
        return ["## The worst mistakes", "", "None.", ""]
    if metrics[metrics["reported"]].get("several"):
        return labels.mistakes(metrics)
    rows = [
        f"| ![]({m['thumbnail']}) | {_plain(m['picture'])} | {_plain(m['label'])}, {m['label_probability']:.1%} "
        f"| {_plain(m['predicted'])}, {m['predicted_probability']:.1%} |"
        for m in listed
    ]
    wrong = metrics[metrics["reported"]]["pictures"] - metrics[metrics["reported"]]["correct"]
    return [
        "## The worst mistakes",
        "",
        f"{len(listed)} of {wrong:,}, the least probable labels first. A wrong label in the data looks the same.",
        "",
        "| | picture | label | predicted |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _ranges(config: dict[str, Any]) -> list[str]:
    """The line about files with more than 8 bits a sample, for a model that learned from such files."""
    stated = config["preprocessing"].get("ranges")
    sentences = Ranges.from_json(stated).sentences if stated is not None else ()
    lines = [f"{sentence[0].upper()}{sentence[1:]}. Predictions use the same range." for sentence in sentences]
    return [" ".join(lines), ""] if lines else []


def _table(data: dict[str, Any]) -> str:
    """Which table listed the pictures, and its groups."""
    if data.get("table") is None:
        return ""
    groups = f" Its {data['groups']:,} groups stay on one side each." if data.get("groups") else ""
    return f" The table {_plain(Path(data['table']).name)} lists the pictures.{groups}"


def _network(config: dict[str, Any]) -> list[str]:
    program = config.get("program")
    if program is None:
        written = f"`{config['network']}`"
        if len(written) <= LONG:
            return [written]
        return ["<details><summary>The network, layer by layer</summary>", "", written, "", "</details>"]
    return [
        f"The network is its maker's own PyTorch module, {_plain(program['name'])} "
        f"({_plain(config['recipe']['model'])}), saved as a program in `{store.PROGRAM}`. Opening it may run code "
        "from that file, so it needs `--trust`, or `trust=True` in Python. Use it only if you trust "
        "whoever made this folder."
    ]


def _curves(config: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    """The plot of the epochs and its caption; empty if there was no epoch."""
    if not config["training"]["epochs"]:
        return []
    pictures = "the pictures as they are" if config["recipe"]["augment"] == "none" else "augmented pictures"
    best = "the dotted line is the epoch whose weights were kept"
    choice = best if caveats.chosen(metrics) else "the weights of the last epoch were kept"
    return [
        "![loss and accuracy over the epochs](curves.png)",
        "",
        f"The training figures are measured during each epoch, on {pictures}; {choice}.",
        "",
    ]


def _steps(config: dict[str, Any], metrics: dict[str, Any]) -> str:
    """How long the training took and on what machine, and the settings of its steps, if there were any."""
    recipe, training = config["recipe"], config["training"]
    took = f"{training['seconds'] / 60:.1f} minutes on {training['device']} in {training['precision']}"
    if not training["epochs"]:
        return f"{took}; seed {recipe['seed']}."
    best = ", the best on the validation pictures." if caveats.chosen(metrics) else "."
    early = f" It was {training['early']}." if training.get("early") else ""
    return (
        f"Epochs: {training['epochs']:,}; steps of up to {recipe['batch']} pictures: {training['steps']:,}; {took}; "
        f"the weights are those of {_epoch(config)}{best}{early} {recipe['optimizer']}, learning rate "
        f"{recipe['learning_rate']:g}, {recipe['schedule']} schedule, augmentation {recipe['augment']}, seed "
        f"{recipe['seed']}."
    )


def _epoch(config: dict[str, Any]) -> str:
    best = config["training"]["best_epoch"]
    return "epoch 0, before the first step: the head alone" if origin.is_head(config) else f"epoch {best}"


def _optimizer(config: dict[str, Any]) -> list[str]:
    stated = config.get("files", {}).get(store.OPTIMIZER)
    if stated is None or origin.is_head(config):
        return []
    return [
        f"`{store.OPTIMIZER}` ({stated['bytes'] / 1e6:,.1f} MB) holds the optimizer's state at these weights, from "
        "which the next update can be computed. Predictions do not need it, and you may delete it.",
        "",
    ]
