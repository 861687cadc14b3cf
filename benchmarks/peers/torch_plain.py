"""Plain PyTorch, in the style of its tutorials: a Dataset, a DataLoader, a loop. Prints one line of JSON.

python torch_plain.py VERB JSON-OF-ARGUMENTS
"""

import csv
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch_networks import ready

WORKERS = os.cpu_count() or 1


def read(path: Path, side: int) -> Tensor:
    """float32 (3, side, side), 0 to 1, like the output of torchvision's Resize and ToTensor."""
    image = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().div(255)


class Folder(Dataset):
    """A folder with one folder per class."""

    def __init__(self, root: str, side: int) -> None:
        classes = enumerate(sorted(Path(root).iterdir()))
        self.files = [(path, label) for label, folder in classes for path in sorted(folder.iterdir())]
        self.side = side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        return read(path, self.side), label


def step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()


def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += int((model(images).argmax(1) == labels).sum())
            total += len(labels)
    model.train()
    return correct / total


def train(pictures: str, network: str, side: int, batch: int, epochs: int, out: str) -> dict[str, Any]:
    """Files to a saved model; checked on the validation pictures after every epoch."""
    training, validation = (Folder(f"{pictures}/{part}", side) for part in ("train", "val"))
    batches = DataLoader(training, batch_size=batch, shuffle=True, num_workers=WORKERS)
    checks = DataLoader(validation, batch_size=batch, num_workers=WORKERS)
    model = ready(network, side)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    reached = 0.0
    for _ in range(epochs):
        for images, labels in batches:
            step(model, optimizer, images, labels)
        reached = accuracy(model, checks)
    torch.save(model.state_dict(), f"{out}.pt")
    return {"train": len(training), "accuracy": reached, "precision": "float32"}


def rate(pictures: str, network: str, side: int, batch: int, seconds: float) -> dict[str, Any]:
    """Steps on decoded pictures in memory; the first steps do not count."""
    data = Folder(pictures, side)
    images, labels = next(iter(DataLoader(data, batch_size=len(data), shuffle=True)))
    batches = DataLoader(TensorDataset(images, labels), batch_size=batch, shuffle=True, drop_last=True)
    model = ready(network, side)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2):
        step(model, optimizer, images[:batch], labels[:batch])
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for some, targets in batches:
            step(model, optimizer, some, targets)
            steps += 1
            if time.perf_counter() - start >= seconds and steps >= 2:
                break
    return {"images_per_second": steps * batch / (time.perf_counter() - start), "precision": "float32"}


class Files(Dataset):
    def __init__(self, paths: list[Path], side: int) -> None:
        self.paths, self.side = paths, side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return read(self.paths[index], self.side)


def predict(model: str, pictures: str, network: str, side: int, batch: int, out: str) -> dict[str, Any]:
    """Write the probabilities of a picture, or of a folder of pictures, as CSV."""
    paths = sorted(Path(pictures).iterdir()) if Path(pictures).is_dir() else [Path(pictures)]
    trained = ready(network, side).eval()
    trained.load_state_dict(torch.load(f"{model}.pt", weights_only=True))
    workers = WORKERS if len(paths) > batch else 0
    with torch.no_grad(), open(out, "w", newline="") as file:
        writer, answered = csv.writer(file), 0
        for images in DataLoader(Files(paths, side), batch_size=batch, num_workers=workers):
            answers = trained(images).softmax(1).tolist()
            writer.writerows([path.name, *row] for path, row in zip(paths[answered:], answers, strict=False))
            answered += len(answers)
    return {"pictures": answered}


if __name__ == "__main__":
    verb, arguments = sys.argv[1:]
    print(json.dumps({"train": train, "rate": rate, "predict": predict}[verb](**json.loads(arguments))))
