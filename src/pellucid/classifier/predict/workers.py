"""Pictures to answers on every core, each core alone with a group of pictures.

Cores that share a group wait for each other after every layer, for long where they also decode (docs/why/log.md). Here
nobody helps anybody: a group is decoded by one thread and answered by one thread, and the answers are put back in
order. What answers is loaded before anything is decoded: an import holds Python's lock, and what decodes beside it
waits for that more than it decodes.
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
    """The answers to what is given, in order, as they are asked for; `decode` and the rest take groups of `size`.

    `load` gives what turns a decoded group into its answers. Groups are cut by their number alone, so that how many
    threads there are changes no answer. A single group is the caller's own work, by what `load_for_one` gives. A group
    a thread is decoded ahead. What is raised by any of them comes out where its answer would.
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
    with ThreadPoolExecutor(workers, thread_name_prefix="answer") as pool:
        decoding: deque[Future[Decoded]] = deque()
        answering: deque[Future[list[Answer]]] = deque()

        def answer(decoded: Future[Decoded]) -> list[Answer]:
            return loaded(decoded.result())

        def begin_answers(waiting: int) -> Iterator[Answer]:
            """Until no more than `waiting` decoded groups have nobody to answer them."""
            while len(decoding) > waiting:
                # it may wait for the decoding, which others began before it: no circle
                answering.append(pool.submit(answer, decoding.popleft()))
                if len(answering) > workers:
                    yield from answering.popleft().result()

        try:
            for group in chain(begun, groups):
                decoding.append(pool.submit(decode, group))
                yield from begin_answers(workers)
            yield from begin_answers(0)
            while answering:
                yield from answering.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group
