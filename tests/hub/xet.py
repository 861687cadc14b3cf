"""The hub's newer storage (Xet), as far as a small upload needs it: a file of one chunk, out of the body that is sent.

A body (xorb) is a row of chunks: 1 byte version, 3 bytes compressed size, 1 byte scheme, 3 bytes size, the content.
Schemes: 0 as it is, 1 an LZ4 frame, 2 an LZ4 frame of the bytes grouped by their place modulo 4.
"""

from __future__ import annotations

from collections.abc import Iterator

PLAIN, GROUPED = 0, 2


def chunks(body: bytes) -> Iterator[bytes]:
    """The chunks of a body."""
    at = 0
    while at + 8 <= len(body) and body[at] == 0:
        length, size = (int.from_bytes(body[at + first : at + first + 3], "little") for first in (1, 5))
        scheme, content = body[at + 4], body[at + 8 : at + 8 + length]
        at += 8 + length
        chunk = content if scheme == PLAIN else frame(content)
        chunk = ungrouped(chunk) if scheme == GROUPED else chunk
        assert len(chunk) == size
        yield chunk


def ungrouped(data: bytes) -> bytes:
    whole, at = bytearray(len(data)), 0
    for place in range(4):
        count = len(range(place, len(data), 4))
        whole[place::4] = data[at : at + count]
        at += count
    return bytes(whole)


def frame(data: bytes) -> bytes:
    """Decompress an LZ4 frame (github.com/lz4/lz4, doc/lz4_Frame_format.md)."""
    assert data[:4] == b"\x04\x22\x4d\x18"
    flags = data[4]
    at, out = 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1), bytearray()
    while length := int.from_bytes(data[at : at + 4], "little"):
        block = data[at + 4 : at + 4 + (length & 0x7FFFFFFF)]
        at += 4 + len(block) + 4 * (flags >> 4 & 1)
        if length >> 31:
            out += block
        else:
            unpack(block, out)
    return bytes(out)


def unpack(block: bytes, out: bytearray) -> None:
    """Append what a block holds: literal bytes and repeats of earlier ones, in turns."""
    at = 0

    def number(first: int) -> int:
        nonlocal at
        if first == 15:
            while (more := block[at]) == 255:
                first, at = first + 255, at + 1
            first, at = first + more, at + 1
        return first

    while at < len(block):
        token = block[at]
        at += 1
        literal = number(token >> 4)
        out += block[at : at + literal]
        at += literal
        if at >= len(block):
            return
        back = int.from_bytes(block[at : at + 2], "little")
        at += 2
        for _ in range(number(token & 15) + 4):
            out.append(out[-back])
