"""Expert ONNX Runtime: OpenCV decodes, each core takes its own groups of pictures, float32 or int8.

python onnxruntime_opencv.py predict|quantise JSON-OF-ARGUMENTS; prints one line of JSON. `model`: an ONNX file from
"images", uint8 (n, side, side, 3), to logits. `quantise` makes an int8 file of it, with the settings that are fastest
here: QDQ, a scale for each filter, min/max of the pictures' maps. OpenCV antialiases by INTER_AREA alone. With
`antialias` false it uses its default, which is faster, but gives the network other pixels than the ones that it was
trained on.
"""

import csv
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def quantise(model: str, pictures: str, side: int, out: str) -> dict[str, int]:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    paths = sorted(Path(pictures).iterdir())
    images = [
        cv2.resize(cv2.imread(str(path)), (side, side), interpolation=cv2.INTER_AREA)[:, :, ::-1] for path in paths
    ]

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.rest, None)
            return None if image is None else {"images": image[None]}

    whole, folded = out + ".whole.onnx", out + ".folded.onnx"
    onnx.save(onnx.load(model), whole)  # with the weights, which lie beside Pellucid's graph
    quant_pre_process(whole, folded, skip_symbolic_shape=True)
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(folded, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, **types)
    return {"pictures": len(images)}


def predict(model: str, pictures: str, side: int, batch: int, out: str, antialias: bool = True) -> dict[str, int]:
    cv2.setNumThreads(0)  # the threads below use the cores
    way = cv2.INTER_AREA if antialias else cv2.INTER_LINEAR
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    paths = sorted(Path(pictures).iterdir()) if Path(pictures).is_dir() else [Path(pictures)]

    def answers(group: list[Path]) -> np.ndarray:
        images = [cv2.resize(cv2.imread(str(path)), (side, side), interpolation=way)[:, :, ::-1] for path in group]
        logits = session.run(None, {"images": np.stack(images)})[0]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    groups = [paths[at : at + batch] for at in range(0, len(paths), batch)]
    with ThreadPoolExecutor(os.cpu_count()) as pool, open(out, "w", newline="") as file:
        for group, rows in zip(groups, pool.map(answers, groups), strict=True):
            csv.writer(file).writerows([path.name, *row] for path, row in zip(group, rows.tolist(), strict=True))
    return {"pictures": len(paths)}


if __name__ == "__main__":
    print(json.dumps({"predict": predict, "quantise": quantise}[sys.argv[1]](**json.loads(sys.argv[2]))))
