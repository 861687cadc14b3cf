"""The model card: README.md of a model folder and its pictures, made from the JSON and CSV that lie beside it."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier import caveats, matrix, store
from pellucid.classifier.caveats import plain as _plain
from pellucid.errors import PictureError
from pellucid.pictures.decode import ALONE, Ranges, decode, read, resize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#8a8a8a"
TINY = 64  # pixels; what is not half as large is enlarged
THUMBNAIL = 160  # pixels
MOST_NAMED = 60  # classes; more names than that cannot be read on the confusion matrix
WORST = 20  # rows of a table that would else have more than MOST_NAMED
MOST_COUNTED = 30  # classes; more numbers than that cannot be read in its cells


def write(folder: Path) -> None:
    """Write README.md, curves.png, confusion.png and calibration.png into a model folder. Raises StorageError."""
    config = store.read_json(folder / store.CONFIG)
    metrics = store.read_json(folder / store.METRICS)
    with (folder / store.HISTORY).open(encoding="utf-8", newline="") as file:
        history = list(csv.DictReader(file))
    reported = metrics[metrics["reported"]]
    _save(folder / "curves.png", curves(history))
    _save(folder / "confusion.png", confusion(reported))
    _save(folder / "calibration.png", calibration(reported))
    # a file name's byte that is no UTF-8 is written as \\udc80
    files.write(folder / "README.md", text(config, metrics).encode("utf-8", "backslashreplace"))


def text(config: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The card as Markdown."""
    reported = metrics[metrics["reported"]]
    recipe, data, training = config["recipe"], config["data"], config["training"]
    more = f" and {len(config['classes']) - 8:,} more" if len(config["classes"]) > 8 else ""
    lines = [
        "---",
        "library_name: pellucid",
        "pipeline_tag: image-classification",
        "---",
        "",
        f"# {', '.join(map(_plain, config['classes'][:8]))}{more}: an image classifier",
        "",
        f"**{_headline(reported)}**",
        "",
        caveats.which(metrics),
        "",
        *caveats.warnings(metrics, data),
    ]
    if not training["complete"]:
        lines += [f"> The training was stopped after {training['epochs']} of {training['epochs_planned']} epochs.", ""]
    lines += [
        "## How good",
        "",
        "| side | used for | pictures | accuracy | 95% interval | cross-entropy | calibration error |",
        "|---|---|---|---|---|---|---|",
        *[_side_row(metrics, side) for side in ("test", "validation") if metrics.get(side)],
        "",
        *_classes(reported),
        "",
        "![confusion matrix](confusion.png)",
        "",
        "![calibration](calibration.png)",
        "",
        f"Probabilities are softmax(logits / {config['temperature']:.3f}), the temperature "
        + (
            "fitted on the validation pictures"
            if caveats.chosen(metrics)
            else "left at 1: the validation pictures lack a class"
            if metrics.get("validation")
            else "left at 1: there was nothing to fit it on"
        )
        + f". Expected calibration error before: {reported['calibration_before']['error']:.3f}, "
        f"after: {reported['calibration']['error']:.3f}.",
        "",
        *_mistakes(metrics),
        "## How it was trained",
        "",
        "![loss and accuracy over the epochs](curves.png)",
        "",
        "The training figures are taken while it learns, on pictures as they are varied for it"
        + (" (here they are not)" if recipe["augment"] == "none" else "")
        + "; "
        + (
            "the dotted line is the epoch whose weights were kept."
            if caveats.chosen(metrics)
            else "the last weights were kept."
        ),
        "",
        f"`{config['network']}`",
        "",
        f"{data['train']:,} training pictures, {data['validation']:,} for validation, {data['test']:,} for the test, "
        f"brought to {config['input'][2]} x {config['input'][1]} pixels ({config['preprocessing']['fit']}). "
        f"Quarantined files: {data['quarantined']:,} ([quarantine.csv](quarantine.csv))"
        + caveats.in_two(data.get("quarantined_in_two_classes", 0))
        + ". Pictures with a "
        f"near-duplicate, which is kept on the same side: {data['twin_pictures']:,} ([twins.csv](twins.csv)). Pairs of "
        f"copies in two classes, of which one label is probably wrong: {data['twins_across_classes']:,}."
        + caveats.alike(data.get("alike_across_classes", {})),
        "",
        *_ranges(config),
        f"Epochs: {training['epochs']:,}; steps of up to {recipe['batch']} pictures: {training['steps']:,}; "
        f"{training['seconds'] / 60:.1f} minutes on {training['device']} in {training['precision']}; "
        f"the weights are those of epoch {training['best_epoch']}"
        + (", the best on the validation pictures." if caveats.chosen(metrics) else ".")
        + (f" It was {early}." if (early := training.get("early")) else "")
        + f" {recipe['optimizer']}, learning rate {recipe['learning_rate']:g}, {recipe['schedule']} schedule, "
        f"augmentation {recipe['augment']}, seed {recipe['seed']}.",
        "",
        *_optimizer(config),
        "## Use it",
        "",
        "```bash",
        f"pellucid predict {shlex.quote(config['name'])} picture.jpg",
        "```",
        "",
        "```python",
        "import pellucid",
        "",
        f"classifier = pellucid.load({json.dumps(config['name'], ensure_ascii=False)})",
        'print(classifier.predict("picture.jpg"))',
        "```",
        "",
        "It always answers with one of its classes, also when a picture shows something else.",
        "",
        f"Made with Pellucid {config['versions']['pellucid']}, PyTorch {config['versions']['torch']}. "
        f"Data fingerprint `{data['fingerprint'][:16]}`.",
        "",
    ]
    return "\n".join(lines)


def write_thumbnail(picture: Path, thumbnail: Path, ranges: Ranges = ALONE) -> None:
    """Write a JPEG of at most 160 pixels a side, a tiny picture with each pixel a square, so that it can be seen.

    A picture that is gone meanwhile has none. Raises StorageError.
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


def _headline(metrics: dict[str, Any]) -> str:
    low, high = metrics["interval"]
    figure = (
        f"{metrics['accuracy']:.1%} accuracy on {metrics['pictures']:,} {metrics['side']} pictures "
        f"(95% interval {low:.1%} to {high:.1%})"
    )
    if lacking := caveats.lacking(metrics):
        shown = f"no {metrics['side']} picture shows {caveats.few(lacking)}"
        return f"No figure to quote: {shown}. On the other classes: {figure}"
    return figure


def _side_row(metrics: dict[str, Any], side: str) -> str:
    measured = metrics[side]
    use = "choosing epoch and temperature" if caveats.chosen(metrics) else "nothing: it lacks a class"
    if side == "test":
        use = "not to be quoted: it lacks a class" if caveats.lacking(measured) else "the reported figure"
    low, high = measured["interval"]
    return (
        f"| {side} | {use} | {measured['pictures']:,} | {measured['accuracy']:.1%} | {low:.1%} to {high:.1%} "
        f"| {measured['loss']:.3f} | {measured['calibration']['error']:.3f} |"
    )


def _classes(metrics: dict[str, Any]) -> list[str]:
    """A row a class; of more than can be read the worst, and what was most often taken for what."""
    rows = [_class_row(item) for item in metrics["classes"]]
    if len(rows) <= MOST_NAMED:
        return ["| class | pictures | precision | recall | F1 |", "|---|---|---|---|---|", *rows]
    there = [number for number, item in enumerate(metrics["classes"]) if item["pictures"]]
    worst = sorted(there, key=lambda number: (metrics["classes"][number]["recall"], number))[:WORST]
    names = [_plain(item["name"]) for item in metrics["classes"]]
    mistakes = matrix.mistakes(metrics["confusion"])
    lines = [
        f"The {len(worst)} classes of {len(rows):,} that are recognised least often, numbered from 1 in the order of "
        "`classes` in [config.json](config.json); [metrics.json](metrics.json) has all of them.",
        "",
        "| no. | class | pictures | precision | recall | F1 |",
        "|---|---|---|---|---|---|",
        *[f"| {number + 1:,} {rows[number]}" for number in worst],
    ]
    if mistakes:
        lines += [
            "",
            f"Taken for another most often, {min(WORST, len(mistakes))} of {len(mistakes):,} pairs:",
            "",
            "| class | called | times |",
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
    rows = [
        f"| ![]({m['thumbnail']}) | {_plain(m['picture'])} | {_plain(m['label'])}, {m['label_probability']:.1%} "
        f"| {_plain(m['predicted'])}, {m['predicted_probability']:.1%} |"
        for m in listed
    ]
    wrong = metrics[metrics["reported"]]["pictures"] - metrics[metrics["reported"]]["correct"]
    return [
        "## The worst mistakes",
        "",
        f"{len(listed)} of {wrong:,}, the least believed labels first. A wrong label looks the same.",
        "",
        "| | picture | label | called |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _ranges(config: dict[str, Any]) -> list[str]:
    """Of a model that learned from files of more than 8 bits a sample."""
    stated = config["preprocessing"].get("ranges")
    sentences = Ranges.from_json(stated).sentences if stated is not None else ()
    lines = [f"{sentence[0].upper()}{sentence[1:]}. Predictions use the same range." for sentence in sentences]
    return [" ".join(lines), ""] if lines else []


def _optimizer(config: dict[str, Any]) -> list[str]:
    stated = config.get("files", {}).get(store.OPTIMIZER)
    if stated is None:
        return []
    return [
        f"`{store.OPTIMIZER}` ({stated['bytes'] / 1e6:,.1f} MB) is what the optimizer knew at these weights, from "
        "which the update that was next can be computed. Predictions do not need it, and it may be deleted.",
        "",
    ]


def curves(history: list[dict[str, str]]) -> Figure:
    """Loss and accuracy of training and validation over the epochs."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = _figure(9, 3.4)
    epochs = [int(row["epoch"]) for row in history]
    validated = any(row["validation_loss"] for row in history)
    best = [int(row["epoch"]) for row in history if row["best"] == "1"][-1:] if validated else []
    loss, accuracy = figure.subplots(1, 2)
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        for side, colour in (("train", GREY), ("validation", BLUE)) if validated else (("train", GREY),):
            values = [float(row[f"{side}_{quantity}"] or "nan") for row in history]
            axes.plot(epochs, values, color=colour, label=side, marker="o" if len(epochs) < 3 else None)
        for epoch in best:
            axes.axvline(epoch, color=ORANGE, linewidth=1, linestyle=":", label="best")
        axes.set_xlabel("epoch")
        axes.set_title(quantity, fontsize=10)
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _quiet(axes)
    accuracy.set_ylim(0, 1.02)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(*accuracy.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def confusion(metrics: dict[str, Any]) -> Figure:
    """Rows are labels, columns what they were called; each row is coloured by its shares."""
    counts = matrix.rows(metrics["confusion"])
    count = len(counts)
    shown = metrics["classes"] if count <= MOST_NAMED else []
    names = [_short(item["name"], number) for number, item in enumerate(shown, start=1)]
    size = 9 if count <= MOST_COUNTED else 7
    side = min(max(3.4, 1.6 + 0.42 * count), 12) if count <= MOST_NAMED else 7  # more would be noise, and large
    figure = _figure(side + 0.6, side)
    axes = figure.add_subplot()
    shares = [[value / total for value in row] for row, total in ((row, max(sum(row), 1)) for row in counts)]
    place = None if count <= MOST_NAMED else (0.5, count + 0.5, count + 0.5, 0.5)  # numbered from 1, as in the table
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, extent=place)
    if count <= MOST_NAMED:
        upright = max(map(len, names)) * count <= 24
        turned = {} if upright else {"rotation": 90 if count > MOST_COUNTED else 45, "ha": "center"}
        if turned and count <= MOST_COUNTED:
            turned |= {"ha": "right", "rotation_mode": "anchor"}
        # a $ in a name is no formula
        axes.set_xticks(range(count), names, fontsize=size, parse_math=False, **turned)
        axes.set_yticks(range(count), names, fontsize=size, parse_math=False)
    order = "" if count <= MOST_NAMED else " (classes numbered as in the table)"
    axes.set_xlabel(f"called{order}")
    axes.set_ylabel(f"is{order}")
    for y, row in enumerate(counts) if count <= MOST_COUNTED else ():
        for x, value in enumerate(row):
            if value:
                colour = "white" if shares[y][x] > 0.5 else "black"
                axes.text(x, y, f"{value}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_title(f"{metrics['pictures']:,} {metrics['side']} pictures", fontsize=10)
    return figure


def calibration(metrics: dict[str, Any]) -> Figure:
    """Of the pictures called with a probability of about p, how many were right; before and after scaling."""
    panels = [("calibration_before", "before temperature scaling"), ("calibration", "after temperature scaling")]
    if metrics["calibration_before"] == metrics["calibration"]:
        panels = [("calibration", "no temperature scaling")]
    figure = _figure(4.5 * len(panels), 3.6)
    for place, (key, title) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        bins = [item for item in metrics[key]["bins"] if item["pictures"]]
        axes.bar([b["low"] + 0.05 for b in bins], [b["accuracy"] for b in bins], width=0.09, color=BLUE, alpha=0.75)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
        axes.plot(
            [b["confidence"] for b in bins],
            [b["accuracy"] for b in bins],
            "o",
            color=ORANGE,
            markersize=4,
            clip_on=False,
        )
        for b in bins:
            inside = b["accuracy"] > 0.1
            height = 0.02 if inside else b["accuracy"] + 0.03
            axes.text(
                b["low"] + 0.05,
                height,
                f"{b['pictures']:,}",
                ha="center",
                fontsize=7,
                color="white" if inside else "black",
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("probability it gives")
        axes.set_ylabel("share that is right")
        axes.set_title(f"{title}: error {metrics[key]['error']:.3f}", fontsize=10)
        _quiet(axes)
    return figure


def _quiet(axes: Axes) -> None:
    """Only the two axes that carry numbers."""
    axes.spines[["top", "right"]].set_visible(False)


def _figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window and to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(path: Path, figure: Figure) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    files.write(path, content.getvalue())


def _short(name: str, number: int, most: int = 18) -> str:
    """A class's name beside the matrix: cut where it is long, its number in the table where the font lacks a letter."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    shown = " ".join(name.split())
    if not all(ord(character) in known for character in shown):
        return f"no. {number}"
    return shown if len(shown) <= most else shown[: most - 1] + "…"
