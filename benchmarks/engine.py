"""The gain from kept memory and from bfloat16: training images/s of the article's network and of compact.

    .venv/bin/python benchmarks/engine.py

Each figure is the better of two processes, because these machines are shared.
"""

import json
import subprocess
import sys

CODE = """
import sys, json
from pellucid.engine import device, probe
from pellucid.network import zoo
keep, precision, name, batch = sys.argv[1:]
if keep == "no":
    device.keep_memory = lambda: None
named = zoo.find(name)
shape = named.input or (3, 128, 128)
probed = probe.measure(named.network, shape, 2, int(batch), device.choose("cpu", precision), 6.0, precision)
print(probed.training_images_per_second)
"""


def main() -> None:
    print("| network | freed memory | precision | training images/s |\n|---|---|---|---|")
    for name, batch in (("article", 128), ("compact", 32)):
        for keep in ("no", "yes"):
            for precision in ("float32", "bfloat16"):
                rates = [run(keep, precision, name, str(batch)) for _ in range(2)]
                print(
                    f"| {name} | {'kept' if keep == 'yes' else 'returned'} | {precision} | {max(rates):,.0f} |",
                    flush=True,
                )


def run(*arguments: str) -> float:
    result = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    return float(json.loads(result.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
