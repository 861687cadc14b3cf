"""KServe's client, unmodified, in a process of its own: its messages have the names of other clients' messages.

    python kserve_asks.py FOLDER ADDRESS RPC FILE MODEL

FOLDER: where KServe is installed. ADDRESS and RPC: where the server answers. FILE: a picture. Prints what it learns.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

folder, address, rpc, file, model = sys.argv[1:]
sys.path.append(folder)

from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig  # noqa: E402


def requests(json: bool) -> dict[str, InferRequest]:
    """A picture in each way in which the client can send one. `json`: files that are not binary are base64."""
    content, image = Path(file).read_bytes(), np.asarray(Image.open(file).convert("RGB"))[None]
    pixels = image.astype(np.float32) / 255
    text = base64.b64encode(content).decode() if json else content
    made = {"BYTES, listed": InferInput("pictures", [1], "BYTES", data=[text])}
    for name, values, binary in (
        ("BYTES, binary", np.array([content], object), True),
        ("FP32, binary", pixels, True),
        ("FP32, listed", pixels, False),
    ):
        made[name] = InferInput("pictures", list(values.shape), name.split(",")[0])
        made[name].set_data_from_numpy(values, binary_data=binary)
    return {name: InferRequest(model, [tensor]) for name, tensor in made.items()}


def row(answer: Any) -> list[float]:
    (output,) = [each for each in answer.outputs if each.name == "probabilities"]
    return [float(each) for each in output.as_numpy().reshape(-1)]


async def over_http(client: InferenceRESTClient, request: InferRequest) -> list[float]:
    return row(await client.infer(address, request, model_name=model))


async def learned() -> dict[str, Any]:
    rest = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    files = requests(True)
    async with rest, InferenceGRPCClient(rpc, retries=0) as remote:
        return {
            "rest": {
                "live": await rest.is_server_live(address),
                "ready": await rest.is_server_ready(address),
                "model ready": await rest.is_model_ready(address, model),
                "other ready": await rest.is_model_ready(address, "other"),
                "answers": {name: await over_http(rest, each) for name, each in files.items()},
            },
            "gRPC": {
                "live": await remote.is_server_live(),
                "ready": await remote.is_server_ready(),
                "model ready": await remote.is_model_ready(model),
                "other ready": await remote.is_model_ready("other"),
                "answers": {name: row(await remote.infer(each)) for name, each in requests(False).items()},
            },
        }


print(json.dumps(asyncio.run(learned())))
