"""The model card of an imported model: its origin, and that its accuracy has not been measured here."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from pellucid import files
from pellucid.classifier import store
from pellucid.classifier.caveats import plain
from pellucid.texts import listed

NAMED = 8  # classes in the title


def write(folder: Path) -> None:
    """Write README.md into a model folder, from its config.json. Raises StorageError."""
    files.write(folder / "README.md", text(store.read_json(folder / store.CONFIG)).encode("utf-8", "backslashreplace"))


def text(config: dict[str, Any]) -> str:
    """The card as Markdown."""
    imported, classes, name = config["imported"], config["classes"], config["name"]
    prepared = config["preprocessing"]
    channels, height, width = config["input"]
    both = zip(prepared["mean"], prepared["deviation"], strict=True)
    numbers = ", ".join(f"({mean:.4g}, {deviation:.4g})" for mean, deviation in both)
    layers = [[plain(each[key]) for key in ("name", "kind", "became")] for each in imported["layers"]]
    lines = [
        "---",
        "library_name: pellucid",
        "pipeline_tag: image-classification",
        "---",
        "",
        f"# {listed([plain(name) for name in classes], NAMED)}: an image classifier",
        "",
        f"**Imported from {plain(imported['from'])}. Its accuracy is not known here.**",
        "",
        "Which pictures it was trained on is not known either. Measure it on pictures that it has not seen:",
        "",
        "```bash",
        f"pellucid evaluate {shlex.quote(name)} photos/",
        "```",
        "",
        "## What it is",
        "",
        f"`{config['network']}`",
        "",
        f"It takes {'RGB' if channels == 3 else 'grey'} pictures, resized to {width} x {height} pixels "
        f"({prepared['fit']}, {prepared['filter']}). A pixel in 0..1 becomes (pixel - mean) / deviation; mean and "
        "deviation of each channel: "
        f"{numbers}. Probabilities are softmax(scores).",
        "",
        *[f"- {plain(note)}" for note in imported["notes"]],
        "",
        "## How its layers were converted",
        "",
        f"File: {plain(imported['file'])}, SHA-256 `{imported['sha256']}`.",
        "",
        "| layer | kind | became |",
        "|---|---|---|",
        *[f"| {' | '.join(cells)} |" for cells in layers],
        "",
        "## Use it",
        "",
        "```bash",
        f"pellucid predict {shlex.quote(name)} picture.jpg",
        f"pellucid open {shlex.quote(name)} picture.jpg",
        "```",
        "",
        "```python",
        "import pellucid",
        "",
        f"classifier = pellucid.load({json.dumps(name, ensure_ascii=False)})",
        'print(classifier.predict("picture.jpg"))',
        "```",
        "",
        "It always answers with one of its classes, even if a picture shows something else.",
        "",
        f"Made with Pellucid {config['versions']['pellucid']}, PyTorch {config['versions']['torch']}.",
        "",
    ]
    return "\n".join(lines)
