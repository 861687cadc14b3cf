"""Measure `pellucid serve` and LitServe, used as in its documentation, in turns.

    python benchmarks/served.py --litserve PYTHON [--seconds 10] [--turns 2]

PYTHON belongs to an environment with litserve, torch and Pillow. Both serve `compact` at 128x128 with the same weights.
16 clients send JPEG files of 446x374, each the next one as soon as it has an answer. A row shows requests a second and
the server's processor time for each request, which depends less on other programs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import load
import torch
from clients import head

CLIENTS = 16
START = 120  # seconds for a server to listen
WARM = 4  # seconds before the measurement

SCRIPT = """
import io, sys
import litserve, numpy, torch
from PIL import Image

class Compact(litserve.LitAPI):
    def setup(self, device):
        torch.set_num_threads(int(sys.argv[3]))
        self.model = torch.jit.load(sys.argv[4]).eval()

    def decode_request(self, request):
        image = Image.open(io.BytesIO(request["content"].file.read())).convert("RGB").resize((128, 128))
        return torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float().div_(255).sub_(0.5).div_(0.25)

    def batch(self, inputs):
        return torch.stack(inputs).contiguous(memory_format=torch.channels_last)

    def predict(self, batch):
        with torch.inference_mode():
            return self.model(batch).softmax(1)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"probabilities": output.tolist()}

if __name__ == "__main__":
    api = Compact(max_batch_size=16, batch_timeout=0.003)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(sys.argv[2]))
    server.run(port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, generate_client_file=False)
"""


def raw(content: bytes) -> bytes:
    """A request with the picture as its body."""
    return f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def form(content: bytes) -> bytes:
    """A request with the picture as a file of a form, as LitServe takes it."""
    part = b'--edge\r\nContent-Disposition: form-data; name="content"; filename="a.jpg"\r\n\r\n'
    body = part + content + b"\r\n--edge--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=edge"
    return f"POST /predict HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def answered(port: int, requests: Sequence[bytes], seconds: float) -> int:
    """The number of answered requests. Raises AssertionError if a status is not 200."""
    until, count = time.monotonic() + seconds, 0

    async def client(number: int) -> None:
        nonlocal count
        choice = random.Random(number)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            writer.write(choice.choice(requests))
            status, headers = await head(reader)
            await reader.readexactly(int(headers["content-length"]))
            assert status == 200, status
            count += 1
        writer.close()

    await asyncio.gather(*map(client, range(CLIENTS)))
    return count


def family(process: int) -> list[int]:
    """The ids of a process and of all its descendants."""
    below = []
    for thread in os.listdir(f"/proc/{process}/task"):
        children = Path(f"/proc/{process}/task/{thread}/children").read_text().split()
        below += [each for child in children for each in family(int(child))]
    return [process, *below]


def processor(process: int) -> float:
    """Seconds of processor time of a process and all its descendants."""
    ticks = 0
    for each in family(process):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(name: str, process: int, port: int, requests: Sequence[bytes], seconds: float) -> None:
    asyncio.run(answered(port, requests, WARM))
    before, began = processor(process), time.monotonic()
    count = asyncio.run(answered(port, requests, seconds))
    took, used = time.monotonic() - began, processor(process) - before
    print(f"{name:24} {count / took:7.0f} requests/s {1e3 * used / count:7.2f} ms of processor time each", flush=True)


def pellucid(model: Path, workers: int, contents: Sequence[bytes], seconds: float) -> None:
    with load.server(model, workers, model.parent / "log") as (process, port):
        measure(f"Pellucid, {workers} process(es)", process.pid, port, [raw(each) for each in contents], seconds)


def litserve(python: str, folder: Path, workers: int, contents: Sequence[bytes], seconds: float) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = max(1, (os.cpu_count() or 1) // workers)
    command = [python, str(folder / "peer.py"), str(port), str(workers), str(threads), str(folder / "model.pt")]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + START
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit("LitServe did not start.")
                time.sleep(0.2)
            measure(f"LitServe, {workers} process(es)", process.pid, port, [form(each) for each in contents], seconds)
        finally:
            for each in reversed(family(process.pid)):
                os.kill(each, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litserve", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    contents = load.pictures(None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = load.compact(folder / "model")
        from pellucid.classifier import store

        module = store.load(model).module
        torch.jit.save(torch.jit.trace(module, torch.zeros(1, 3, 128, 128)), str(folder / "model.pt"))
        (folder / "peer.py").write_text(SCRIPT)
        for _ in range(options.turns):
            for workers in sorted({1, os.cpu_count() or 1}):
                pellucid(model, workers, contents, options.seconds)
                litserve(options.litserve, folder, workers, contents, options.seconds)


if __name__ == "__main__":
    main()
