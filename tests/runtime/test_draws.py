"""Two threads that train at once each draw what their seed says."""

import threading

import torch

from pellucid.runtime.draws import drawing


def test_threads_do_not_draw_from_each_others_seeds() -> None:
    drawn: dict[int, list[torch.Tensor]] = {}
    started = threading.Barrier(2)

    def draw(seed: int) -> None:
        started.wait()
        with drawing(seed):
            drawn[seed] = []
            for _ in range(200):
                drawn[seed].append(torch.rand(3))
                threading.Event().wait(0.0005)  # the other thread's turn

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, numbers in drawn.items():
        generator = torch.Generator().manual_seed(seed)
        assert all(torch.equal(each, torch.rand(3, generator=generator)) for each in numbers)


def test_a_block_inside_a_block_does_not_wait_for_itself() -> None:
    with drawing(3):
        first = torch.rand(2)
        with drawing(3):
            assert torch.equal(torch.rand(2), first)
