"""Expert PyTorch: channels-last, bfloat16, kept memory, OpenCV; with torch.compile or without.

python torch_tuned.py VERB JSON-OF-ARGUMENTS, as torch_plain.py; prints one line of JSON.
"""

import csv
import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch_networks import ready

WORKERS = os.cpu_count() or 1
ABILITIES = torch.cpu.get_capabilities()
MULTIPLIES = any(ABILITIES.get(name) for name in ("amx_bf16", "avx512_bf16"))
FLOAT32 = ("efficientnet_lite0",)  # depthwise convolutions: a step takes 1.04 s of a core in float32, 1.37 in bfloat16

Call = Callable[[Tensor], Tensor]


def precision(network: str) -> str:
    """The faster one."""
    return "bfloat16" if MULTIPLIES and network not in FLOAT32 else "float32"


def keep_memory() -> None:
    """Keep freed blocks instead of returning them to the system after each step (glibc)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        for parameter, value in ((-1, 2**31 - 1), (-2, 64 << 20), (-4, 0)):  # trim threshold, top pad, mmap max
            mallopt(parameter, value)


def read(path: Path, side: int) -> Tensor:
    """uint8 (3, side, side), a view of channels-last memory."""
    cv2.setNumThreads(0)  # the loader's processes use the cores
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(cv2.resize(image, (side, side))).permute(2, 0, 1)


def placed(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last).float().div_(255)


def begin(network: str, side: int, compiled: bool) -> tuple[nn.Module, Call]:
    """The module, and what to call: pictures float32 -> scores float32."""
    keep_memory()
    model = ready(network, side).to(memory_format=torch.channels_last)
    run = torch.compile(model) if compiled else model
    fast = precision(network) == "bfloat16"

    def call(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            return run(images).float()

    return model, call


def forward(call: Call, images: Tensor) -> Tensor:
    return call(placed(images))


def step(call: Call, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(forward(call, images), labels).backward()
    optimizer.step()


def accuracy(model: nn.Module, call: Call, batches: DataLoader) -> float:
    model.eval()
    correct = total = 0
    with torch.inference_mode():
        for images, labels in batches:
            correct += int((forward(call, images).argmax(1) == labels).sum())
            total += len(labels)
    model.train()
    return correct / total


class Folder(Dataset):
    """A folder with one folder per class; pictures stay bytes until their batch goes through the network."""

    def __init__(self, root: str, side: int) -> None:
        classes = enumerate(sorted(Path(root).iterdir()))
        self.files = [(path, label) for label, folder in classes for path in sorted(folder.iterdir())]
        self.side = side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        return read(path, self.side), label


def train(
    pictures: str, network: str, side: int, batch: int, epochs: int, out: str, compiled: bool = True
) -> dict[str, Any]:
    training, validation = Folder(f"{pictures}/train", side), Folder(f"{pictures}/val", side)
    batches = DataLoader(training, batch_size=batch, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    checks = DataLoader(validation, batch_size=batch, num_workers=WORKERS, persistent_workers=True)
    model, call = begin(network, side, compiled)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    reached = 0.0
    for _ in range(epochs):
        for images, labels in batches:
            step(call, optimizer, images, labels)
        reached = accuracy(model, call, checks)
    torch.save(model.state_dict(), f"{out}.pt")
    return {"train": len(training), "accuracy": reached, "precision": precision(network)}


def rate(pictures: str, network: str, side: int, batch: int, seconds: float, compiled: bool = True) -> dict[str, Any]:
    data = Folder(pictures, side)
    images, labels = next(iter(DataLoader(data, batch_size=len(data), shuffle=True)))
    images = images.contiguous(memory_format=torch.channels_last)
    model, call = begin(network, side, compiled)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    steps, start = -3, 0.0  # the first three compile and do not count
    while steps < 2 or time.perf_counter() - start < seconds:
        if steps == 0:
            start = time.perf_counter()
        rows = torch.randint(len(images), (batch,))
        step(call, optimizer, images[rows], labels[rows])
        steps += 1
    return {"images_per_second": steps * batch / (time.perf_counter() - start), "precision": precision(network)}


class Files(Dataset):
    def __init__(self, paths: list[Path], side: int) -> None:
        self.paths, self.side = paths, side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return read(self.paths[index], self.side)


def predict(
    model: str, pictures: str, network: str, side: int, batch: int, out: str, compiled: bool = True
) -> dict[str, Any]:
    """Compiled only if there are enough pictures to pay for it."""
    paths = sorted(Path(pictures).iterdir()) if Path(pictures).is_dir() else [Path(pictures)]
    many = len(paths) > 4 * batch
    trained, call = begin(network, side, compiled and many)
    trained.load_state_dict(torch.load(f"{model}.pt", weights_only=True))
    trained.eval()
    with torch.inference_mode(), open(out, "w", newline="") as file:
        writer, answered = csv.writer(file), 0
        for images in DataLoader(Files(paths, side), batch_size=batch, num_workers=WORKERS if many else 0):
            answers = forward(call, images).softmax(1).tolist()
            writer.writerows([path.name, *row] for path, row in zip(paths[answered:], answers, strict=False))
            answered += len(answers)
    return {"pictures": answered}


if __name__ == "__main__":
    verb, arguments = sys.argv[1:]
    print(json.dumps({"train": train, "rate": rate, "predict": predict}[verb](**json.loads(arguments))))
