"""Pellucid as a contender: its public commands and Python names, and the files with a command's figures.

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
# as the peers do: no schedule, no augmentation, plain cross-entropy
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


def command(verb: str, inputs: dict[str, Any]) -> list[str]:
    """The command line equivalent to a peer's `verb`."""
    if verb == "rate":
        return [sys.executable, __file__, verb, json.dumps(inputs)]
    pellucid = str(Path(sys.executable).with_name("pellucid"))
    if verb == "predict":
        flags = ["--precision", inputs["precision"]] if "precision" in inputs else []
        return [
            *(pellucid, "predict", inputs["model"], inputs["pictures"]),
            *("--format", "csv", "--out", inputs["out"], *flags),
        ]
    settings: dict[str, Any] = {"cache": f"{inputs['out']}-cache"}
    if verb == "default":
        pass
    elif verb == "minutes":  # its own network and settings, from scratch like the peer
        settings |= {"minutes": inputs["minutes"], "model": "compact"}
    else:
        settings |= {"model": NETWORKS[inputs["network"]], "test": 0, **PLAIN}
        settings |= {name: inputs[name] for name in ("size", "side", "batch", "epochs") if name in inputs}
        settings["size"] = settings.pop("side")
    flags = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return [pellucid, "train", inputs["pictures"], "--out", inputs["out"], *flags]


def answer(verb: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The figures in a successful command's files; empty for `rate`, which prints them."""
    out = Path(settings.get("out", ""))
    if verb == "predict":
        with out.open(newline="") as file:
            return {"pictures": sum(1 for _ in csv.DictReader(file))}
    if verb == "rate":
        return {}
    config = json.loads((out / "config.json").read_text())
    facts = {"train": config["data"]["train"], "precision": config["training"]["precision"]}
    if verb in ("default", "minutes"):
        test = json.loads((out / "metrics.json").read_text())["test"]
        return {**facts, "test": test["pictures"], "correct": test["correct"], "epochs": config["training"]["epochs"]}
    with (out / "history.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return {**facts, "accuracy": float(last["validation_accuracy"])}


def rate(pictures: str, network: str, side: int, batch: int, seconds: float) -> dict[str, Any]:
    """Steps of a real training, with everything between them; the first steps do not count."""
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
