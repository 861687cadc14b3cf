"""One picture from a cold command: `pellucid predict` and a typical PyTorch script, in turns.

    python benchmarks/cold.py PICTURE [--repeats N]

The script loads the article's network from its state dict and prints the class of one picture; Pellucid's rows are
three networks of the zoo. All have initial weights and two classes. Each run is a new process, with its files in the
system's cache.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form

SCRIPT = """
import sys
import numpy as np
import torch
from PIL import Image
from torch import nn

model = nn.Sequential(
    nn.Conv2d(3, 10, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(10 * 148 * 148, 2)
)
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
model.eval()
image = Image.open(sys.argv[2]).convert("RGB").resize((300, 300))
x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
with torch.no_grad():
    probabilities = model((x - 0.5) / 0.25).softmax(1)[0]
print(["cat", "dog"][int(probabilities.argmax())], float(probabilities.max()))
"""
ROWS = {"article": (300, 300), "compact": (128, 128), "resnet18": (224, 224)}  # height, width


def save(folder: Path, name: str) -> Path:
    """A model folder of a network from the zoo, with initial weights."""
    (height, width), network = ROWS[name], zoo.find(name).network
    module = network.module((3, height, width), 2).eval()
    scale = Standardise((0.5,) * 3, (0.25,) * 3)
    form = Form(height, width, 3, "stretch")
    store.save(folder / name, Classifier(network, module, ("cat", "dog"), form, scale, 1.0), {})
    if name == "article":
        torch.save(dict(zip(PLAIN, module.state_dict().values(), strict=True)), folder / "model.pt")
    return folder / name


PLAIN = ("0.weight", "0.bias", "4.weight", "4.bias")  # the script's names of the article's weights


def run(command: list[str]) -> float:
    """Wall seconds of the whole process."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("picture")
    arguments.add_argument("--repeats", type=int, default=7)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        torch.manual_seed(1)
        (folder / "script.py").write_text(SCRIPT)
        commands = {
            name: [sys.executable, "-m", "pellucid", "predict", str(save(folder, name)), options.picture]
            for name in ROWS
        }
        commands["PyTorch script"] = [
            sys.executable,
            str(folder / "script.py"),
            str(folder / "model.pt"),
            options.picture,
        ]
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(options.repeats + 1):
            for name, command in commands.items():
                measured = run(command)
                if turn:  # the first of each fills the system's cache
                    taken[name].append(measured)
    peer = statistics.median(taken["PyTorch script"])
    print("| cold command | s, median | from | to | the script takes, times |\n|---|---|---|---|---|")
    for name, walls in taken.items():
        middle = statistics.median(walls)
        print(f"| {name} | {middle:.2f} | {min(walls):.2f} | {max(walls):.2f} | {peer / middle:.1f} |")


if __name__ == "__main__":
    main()
