"""The model card: README.md of a model folder and its pictures, made from the JSON and CSV that lie beside it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier import store
from pellucid.errors import PictureError
from pellucid.pictures.decode import decode, read, resize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#8a8a8a"
THUMBNAIL = 160  # pixels
MOST_NAMED = 30  # classes; more labels than that cannot be read on the confusion matrix


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
    files.write(folder / "README.md", text(config, metrics))


def text(config: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The card as Markdown."""
    reported = metrics[metrics["reported"]]
    recipe, data, training = config["recipe"], config["data"], config["training"]
    lines = [
        "---",
        "library_name: pellucid",
        "pipeline_tag: image-classification",
        "---",
        "",
        f"# {', '.join(config['classes'][:8])}{' …' if len(config['classes']) > 8 else ''}: an image classifier",
        "",
        f"**{_headline(reported)}**",
        "",
        _which(metrics),
        "",
    ]
    if not training["complete"]:
        lines += [f"> The training was stopped after {training['epochs']} of {training['epochs_planned']} epochs.", ""]
    lines += [
        "## How good",
        "",
        "| side | used for | pictures | accuracy | 95 % interval | cross-entropy | calibration error |",
        "|---|---|---|---|---|---|---|",
        *[_side_row(metrics[side], side) for side in ("test", "validation") if metrics.get(side)],
        "",
        "| class | pictures | precision | recall | F1 |",
        "|---|---|---|---|---|",
        *[_class_row(item) for item in reported["classes"]],
        "",
        "![confusion matrix](confusion.png)",
        "",
        "![calibration](calibration.png)",
        "",
        f"Probabilities are softmax(logits / {config['temperature']:.3f}), the temperature "
        + (
            "fitted on the validation pictures"
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
        f"`{config['network']}`",
        "",
        f"{data['train']:,} training pictures, {data['validation']:,} for validation, {data['test']:,} for the test, "
        f"brought to {config['input'][2]} x {config['input'][1]} pixels ({config['preprocessing']['fit']}). "
        f"{data['quarantined']:,} files were quarantined ([quarantine.csv](quarantine.csv)); "
        f"{data['twin_pictures']:,} pictures have a near-duplicate, kept on one side ([twins.csv](twins.csv)); "
        f"{data['twins_across_classes']:,} pairs of near-duplicates stand in two classes.",
        "",
        f"{training['epochs']} epochs, {training['steps']:,} steps of {recipe['batch']}, "
        f"{training['seconds'] / 60:.1f} minutes on {training['device']} in {training['precision']}; "
        f"the weights are those of epoch {training['best_epoch']}"
        + (", the best on the validation pictures." if metrics.get("validation") else ".")
        + f" {recipe['optimizer']}, learning rate {recipe['learning_rate']:g}, {recipe['schedule']} schedule, "
        f"augmentation {recipe['augment']}, seed {recipe['seed']}.",
        "",
        "## Use it",
        "",
        "```bash",
        f"pellucid predict {config['name']} picture.jpg",
        "```",
        "",
        "```python",
        "import pellucid",
        "",
        f'classifier = pellucid.load("{config["name"]}")',
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


def write_thumbnail(picture: Path, thumbnail: Path) -> None:
    """Write a JPEG at most 160 pixels wide and high. A picture that is gone meanwhile has none. Raises StorageError."""
    from PIL import Image

    try:
        image = decode(read(picture))
    except PictureError:
        return
    scale = min(1.0, THUMBNAIL / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    content = io.BytesIO()
    Image.fromarray(resize(image, height, width, 3, "stretch")).save(content, "JPEG", quality=85)
    with files.storage_errors(thumbnail):
        thumbnail.parent.mkdir(exist_ok=True)
    files.write(thumbnail, content.getvalue())


def _headline(metrics: dict[str, Any]) -> str:
    low, high = metrics["interval"]
    return (
        f"{metrics['accuracy']:.1%} accuracy on {metrics['pictures']:,} {metrics['side']} pictures "
        f"(95 % interval {low:.1%} to {high:.1%})"
    )


def _which(metrics: dict[str, Any]) -> str:
    if metrics["reported"] == "test":
        return "The test pictures took no part in training or in any choice."
    if metrics["reported"] == "validation":
        return (
            "There is no test side: this figure comes from the validation pictures, on which the best epoch and the "
            "temperature were chosen, and is therefore a little too good."
        )
    return (
        "There is neither a test nor a validation side: this is the accuracy on the training pictures themselves, "
        "no measure of how good it is."
    )


def _side_row(metrics: dict[str, Any], side: str) -> str:
    use = "the reported figure" if side == "test" else "choosing epoch and temperature"
    low, high = metrics["interval"]
    return (
        f"| {side} | {use} | {metrics['pictures']:,} | {metrics['accuracy']:.1%} | {low:.1%} to {high:.1%} "
        f"| {metrics['loss']:.3f} | {metrics['calibration']['error']:.3f} |"
    )


def _class_row(item: dict[str, Any]) -> str:
    share = ["–" if item[key] is None else f"{item[key]:.1%}" for key in ("precision", "recall", "f1")]
    return f"| {_cell(item['name'])} | {item['pictures']:,} | {' | '.join(share)} |"


def _mistakes(metrics: dict[str, Any]) -> list[str]:
    listed = metrics["mistakes"]
    if not listed:
        return ["## The worst mistakes", "", "None.", ""]
    rows = [
        f"| ![]({m['thumbnail']}) | {_cell(m['picture'])} | {_cell(m['label'])}, {m['label_probability']:.1%} "
        f"| {_cell(m['predicted'])}, {m['predicted_probability']:.1%} |"
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


def _cell(words: str) -> str:
    """A name inside a Markdown table."""
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def curves(history: list[dict[str, str]]) -> Figure:
    """Loss and accuracy of training and validation over the epochs."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(9, 3.4)
    epochs = [int(row["epoch"]) for row in history]
    for place, (quantity, label) in enumerate([("loss", "loss"), ("accuracy", "accuracy")]):
        axes = figure.add_subplot(1, 2, place + 1)
        for side, colour in (("train", GREY), ("validation", BLUE)):
            values = [float(row[f"{side}_{quantity}"] or "nan") for row in history]
            if any(value == value for value in values):
                axes.plot(epochs, values, color=colour, label=side, marker="o" if len(epochs) < 3 else None)
        best = [int(row["epoch"]) for row in history if row["best"] == "1"][-1:]
        for epoch in best:
            axes.axvline(epoch, color=ORANGE, linewidth=1, linestyle=":", label="best")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    figure.text(
        0.01, 0.01, "training figures are measured on augmented pictures, while learning", fontsize=7, color=GREY
    )
    return figure


def confusion(metrics: dict[str, Any]) -> Figure:
    """Rows are labels, columns what they were called; each row is coloured by its shares."""
    matrix = metrics["confusion"]
    names = [item["name"] for item in metrics["classes"]]
    count = len(names)
    side = min(max(3.2, 1.6 + 0.42 * count), 12)
    figure = _figure(side + 0.6, side)
    axes = figure.add_subplot()
    shares = [[value / max(sum(row), 1) for value in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("called")
    axes.set_ylabel("is")
    if count <= MOST_NAMED:
        axes.set_xticks(
            range(count),
            [_short(name) for name in names],
            rotation=45 if count > 4 else 0,
            ha="right" if count > 4 else "center",
        )
        axes.set_yticks(range(count), [_short(name) for name in names])
        for y, row in enumerate(matrix):
            for x, value in enumerate(row):
                if value:
                    axes.text(
                        x,
                        y,
                        f"{value}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if shares[y][x] > 0.5 else "black",
                    )
    axes.set_title(f"{metrics['pictures']:,} {metrics['side']} pictures", fontsize=10)
    return figure


def calibration(metrics: dict[str, Any]) -> Figure:
    """Of the pictures called with a probability of about p, how many were right; before and after scaling."""
    figure = _figure(9, 3.6)
    for place, (key, title) in enumerate([("calibration_before", "before"), ("calibration", "after")]):
        axes = figure.add_subplot(1, 2, place + 1)
        bins = [item for item in metrics[key]["bins"] if item["pictures"]]
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
        axes.bar([b["low"] + 0.05 for b in bins], [b["accuracy"] for b in bins], width=0.09, color=BLUE, alpha=0.75)
        axes.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o", color=ORANGE, markersize=4)
        for b in bins:
            axes.text(
                b["low"] + 0.05,
                0.02,
                f"{b['pictures']}",
                ha="center",
                fontsize=7,
                color="white" if b["accuracy"] > 0.1 else "black",
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("probability it gives")
        axes.set_ylabel("share that is right")
        axes.set_title(f"{title} temperature scaling: error {metrics[key]['error']:.3f}", fontsize=10)
    return figure


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


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
