"""Answer pictures on every core: each core works alone on a group of pictures.

Cores that share a group wait for each other after every layer, and longer if they also decode (docs/why/log.md). So
each group has one thread that decodes it and one thread that answers it, and the answers are put back in order. The
answering function is loaded before anything is decoded: an import holds Python's lock and would stall the decoding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

from pellucid.runtime.threads import cores

Item = TypeVar("Item")
Decoded = TypeVar("Decoded")
Answer = TypeVar("Answer")

MOST_WORKERS = 16  # more threads than this wait for Python's lock


def answered(
    items: Iterable[Item],
    size: int,
    decode: Callable[[list[Item]], Decoded],
    load: Callable[[], Callable[[Decoded], list[Answer]]],
    load_for_one: Callable[[], Callable[[Decoded], list[Answer]]],
) -> Iterator[Answer]:
    """Yield the answers to the items, in order, on demand.

    `decode` takes groups of up to `size` items. `load` returns a function from a decoded group to its answers. A single
    group runs on the caller's thread, with the function that `load_for_one` returns. The number of items alone decides
    the groups, so the number of threads does not change an answer. One group per thread is decoded ahead. An exception
    is raised in the place of its answer.
    """
    groups = _groups(items, size)
    begun = list(islice(groups, 2))
    if len(begun) < 2:
        for group in begun:
            decoded = decode(group)
            yield from load_for_one()(decoded)
        return

    workers = min(MOST_WORKERS, cores())
    loaded = load()
    pool, waits = ThreadPoolExecutor(workers, thread_name_prefix="answer"), True
    try:
        decoding: deque[Future[Decoded]] = deque()
        answering: deque[Future[list[Answer]]] = deque()

        def answer(decoded: Future[Decoded]) -> list[Answer]:
            return loaded(decoded.result())

        def begin_answers(waiting: int) -> Iterator[Answer]:
            """Submit decoded groups until at most `waiting` remain without a thread to answer them."""
            while len(decoding) > waiting:
                # it may wait for decoding, but that began earlier, so there is no deadlock
                answering.append(pool.submit(answer, decoding.popleft()))
                if len(answering) > workers:
                    yield from answering.popleft().result()

        for group in chain(begun, groups):
            decoding.append(pool.submit(decode, group))
            yield from begin_answers(workers)
        yield from begin_answers(0)
        while answering:
            yield from answering.popleft().result()
    except KeyboardInterrupt:
        waits = False  # its threads may wait for a silent server
        raise
    finally:
        pool.shutdown(waits, cancel_futures=True)


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group
