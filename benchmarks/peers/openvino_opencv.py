"""Expert OpenVINO: OpenCV decodes, each core takes its own groups of pictures and its own stream, float32 or int8.

python openvino_opencv.py predict|quantise JSON-OF-ARGUMENTS; prints one line of JSON. `model`: an ONNX file from
"images", uint8 (n, side, side, 3), to logits, or what `quantise` made of it with NNCF: an .xml file. The performance
preset is the faster of NNCF's two. OpenCV antialiases by INTER_AREA alone. With `antialias` false it uses its default,
which is faster, but gives the network other pixels than the ones that it was trained on.
"""

import csv
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import cv2
import numpy as np
import openvino


def quantise(model: str, pictures: str, side: int, out: str) -> dict[str, int]:
    import nncf

    paths = sorted(Path(pictures).iterdir())
    images = [
        cv2.resize(cv2.imread(str(path)), (side, side), interpolation=cv2.INTER_AREA)[:, :, ::-1] for path in paths
    ]
    # MatMul: OpenVINO refuses the article's dense layer, a matrix times a column, in int8
    ignored = nncf.IgnoredScope(types=["MatMul"], validate=False) if side == 300 else None
    data = nncf.Dataset([np.ascontiguousarray(image[None]) for image in images])
    preset, count = nncf.QuantizationPreset.PERFORMANCE, len(images)
    network = openvino.Core().read_model(model)
    made = nncf.quantize(network, data, preset=preset, subset_size=count, ignored_scope=ignored)
    openvino.save_model(made, out, compress_to_fp16=False)
    return {"pictures": len(images)}


def predict(model: str, pictures: str, side: int, batch: int, out: str, antialias: bool = True) -> dict[str, int]:
    cv2.setNumThreads(0)  # the threads below use the cores
    way = cv2.INTER_AREA if antialias else cv2.INTER_LINEAR
    paths = sorted(Path(pictures).iterdir()) if Path(pictures).is_dir() else [Path(pictures)]
    groups = [paths[at : at + batch] for at in range(0, len(paths), batch)]
    cores = max(1, min(os.cpu_count() or 1, len(groups)))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores}
    compiled, own = openvino.Core().compile_model(model, "CPU", settings), local()

    def answers(group: list[Path]) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        images = [cv2.resize(cv2.imread(str(path)), (side, side), interpolation=way)[:, :, ::-1] for path in group]
        logits = own.request.infer([np.stack(images)])[0]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    with ThreadPoolExecutor(cores) as pool, open(out, "w", newline="") as file:
        for group, rows in zip(groups, pool.map(answers, groups), strict=True):
            csv.writer(file).writerows([path.name, *row] for path, row in zip(group, rows.tolist(), strict=True))
    return {"pictures": len(paths)}


if __name__ == "__main__":
    print(json.dumps({"predict": predict, "quantise": quantise}[sys.argv[1]](**json.loads(sys.argv[2]))))
