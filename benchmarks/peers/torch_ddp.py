"""Plain PyTorch in several processes, as its tutorial on DistributedDataParallel writes it. Prints one line of JSON.

torchrun --standalone --nproc-per-node 2 torch_ddp.py JSON-OF-ARGUMENTS
"""

import json
import os
import sys
import time
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler
from torch_networks import ready
from torch_plain import Folder, step

LEAST = 20  # steps
EVERY = 4  # steps between two looks at the first process's clock


def rate(pictures: str, network: str, side: int, batch: int, seconds: float) -> dict[str, Any]:
    """Steps on decoded pictures in memory; `batch` is that of all processes together; the first steps do not count."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // dist.get_world_size()))
    data = Folder(pictures, side)
    images, labels = next(iter(DataLoader(data, batch_size=len(data))))
    held = TensorDataset(images, labels)
    mine = batch // dist.get_world_size()
    batches = DataLoader(held, batch_size=mine, sampler=DistributedSampler(held, drop_last=True), drop_last=True)
    torch.manual_seed(0)
    model = DistributedDataParallel(ready(network, side))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2):
        step(model, optimizer, images[:mine], labels[:mine])
    steps, start, worked, over = 0, time.perf_counter(), time.process_time(), torch.zeros(1)
    while not over:
        for some, targets in batches:
            step(model, optimizer, some, targets)
            steps += 1
            if steps % EVERY == 0:
                over.fill_(steps >= LEAST and time.perf_counter() - start >= seconds)
                dist.broadcast(over, 0)
                if over:
                    break
    taken, processor = time.perf_counter() - start, torch.tensor(time.process_time() - worked)
    dist.all_reduce(processor)
    return {"images_per_second": steps * batch / taken, "processor_ms": 1000 * float(processor) / (steps * batch)}


if __name__ == "__main__":
    dist.init_process_group("gloo")
    answer = rate(**json.loads(sys.argv[1]))
    if dist.get_rank() == 0:
        print(json.dumps(answer))
    dist.destroy_process_group()
