"""Pellucid as a contender: its public commands and Python names, and where a command leaves its figures.

python ours.py rate JSON-OF-ARGUMENTS times training steps and prints one line of JSON.
"""

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NETWORKS = {
    "article": "article",
    "compact": "compact",
    "resnet18": "resnet18",
    "efficientnet_lite0": "efficientnet_lite0",
    "small": "conv(32, 3) relu maxpool(2) conv(32, 3) relu maxpool(2) conv(64, 3) relu maxpool(2) "
    "flatten dense(64) relu dropout(0.5) dense",
    "tiny": "conv(8, 3) relu maxpool(2) flatten dense",
}
# what the peers do: no schedule, no augmentation, cross-entropy as it is
PLAIN = {
    "optimizer": "adam",
    "learning_rate": 0.001,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "label_smoothing": 0.0,
    "augment": "none",
}
WARMING = 3  # steps


def command(verb: str, given: dict[str, Any]) -> list[str]:
    """The command line that does what a peer's `verb` does."""
    if verb == "rate":
        return [sys.executable, __file__, verb, json.dumps(given)]
    pellucid = str(Path(sys.executable).with_name("pellucid"))
    if verb == "predict":
        return [pellucid, "predict", given["model"], given["pictures"], "--format", "csv", "--out", given["out"]]
    settings: dict[str, Any] = {"cache": f"{given['out']}-cache"}
    if verb == "default":
        pass
    elif verb == "minutes":  # its own network and settings, from scratch as the peer
        settings |= {"minutes": given["minutes"], "model": "compact"}
    else:
        settings |= {"model": NETWORKS[given["network"]], "test": 0, **PLAIN}
        settings |= {name: given[name] for name in ("size", "side", "batch", "epochs") if name in given}
        settings["size"] = settings.pop("side")
    flags = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return [pellucid, "train", given["pictures"], "--out", given["out"], *flags]


def answer(verb: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a command that ended well left in its files; nothing for `rate`, which prints it."""
    out = Path(given.get("out", ""))
    if verb == "predict":
        with out.open(newline="") as file:
            return {"pictures": sum(1 for _ in csv.DictReader(file))}
    if verb == "rate":
        return {}
    config = json.loads((out / "config.json").read_text())
    found = {"train": config["data"]["train"], "precision": config["training"]["precision"]}
    if verb in ("default", "minutes"):
        test = json.loads((out / "metrics.json").read_text())["test"]
        return {**found, "test": test["pictures"], "correct": test["correct"], "epochs": config["training"]["epochs"]}
    with (out / "history.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return {**found, "accuracy": float(last["validation_accuracy"])}


def rate(pictures: str, network: str, side: int, batch: int, seconds: float) -> dict[str, Any]:
    """Steps of a real training, everything between two of them included; the first are not counted."""
    import pellucid

    with tempfile.TemporaryDirectory() as folder:
        run: Any = pellucid.start(
            pictures,
            f"{folder}/model",
            cache=f"{folder}/cache",
            model=NETWORKS[network],
            size=side,
            batch=batch,
            epochs=10**6,
            validation=0.0,
            test=0.0,
            **PLAIN,
        )
        steps, start, precision = 0, 0.0, None
        for event in run:
            if type(event).__name__ == "Started":
                # "bfloat16: this processor multiplies it in hardware"
                chosen = [reason.split(":")[0] for reason in event.reasons]
                precision = next((each for each in chosen if each in ("float32", "bfloat16")), None)
            if type(event).__name__ != "Step":
                continue
            steps += 1
            now = time.perf_counter()
            if steps == WARMING:
                start = now
            elif steps >= WARMING + 2 and now - start >= seconds:
                return {"images_per_second": (steps - WARMING) * batch / (now - start), "precision": precision}
    raise AssertionError("a training of a million epochs ended")


if __name__ == "__main__":
    print(json.dumps(rate(**json.loads(sys.argv[2]))))
