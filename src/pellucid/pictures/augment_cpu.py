"""Augmentation on the CPU in one pass over each picture: it is sampled, coloured and standardised within the cache.

augment.py draws the random numbers and defines their effect; this is the same arithmetic without its dozen intermediate
batches. A pixel is packed into one word, because processors gather words. Results are stored by channel until they are
coloured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.runtime.compiled import compiled


@compiled
def augmented(
    pixels: Any, maps: Any, reflected: bool, colours: Any, luma: Any, mean: Any, deviation: Any, images: Any
) -> None:
    """Apply each picture's map and colours: uint8 (n, H, W, C) -> float32 of that shape, standardised.

    * maps       float32 (n, 2, 3), from a result's coordinates to the picture's, both -1..1
    * reflected  fill the outside with the picture's reflection; else with its border
    * colours    float32 (n, 3): brightness, contrast and saturation; the last for three channels alone
    * luma       float32 (3,), of red, green and blue; mean, deviation  float32 (C,), of values in 0..1

    C is 1 or 3.
    """
    count, high, wide, channels = pixels.shape
    words = np.empty(high * wide, np.uint32)
    planes = np.empty((3, high * wide), np.float32)
    place, share = np.empty((4, wide), np.int32), np.empty((4, wide), np.float32)
    sums = np.empty(wide, np.float32)
    for n in range(count):
        _pack(pixels[n].reshape(-1), channels, words)
        sums[:] = 0
        for y in range(high):
            _neighbours(maps[n], y, high, wide, reflected, place, share)
            _sample(words, place, share, channels, planes[:, y * wide : (y + 1) * wide], sums)
        total = np.float64(0)
        for x in range(wide):
            total += sums[x]
        brightness, contrast, saturation = colours[n]
        grey = np.float32(total / (high * wide * channels))
        offset, scale = brightness * (np.float32(1) - contrast) * grey, brightness * contrast
        image = images[n].reshape(-1)
        if channels == 3:
            _colour(planes, offset, scale, saturation, luma, mean, deviation, image)
        else:
            for i in range(high * wide):
                image[i] = (_within(offset + planes[0, i] * scale) - mean[0]) / deviation[0]


@compiled
def _pack(pixels: Any, channels: int, words: Any) -> None:
    for i in range(len(words)):
        word = np.uint32(pixels[channels * i])
        if channels == 3:
            word |= np.uint32(pixels[3 * i + 1]) << np.uint32(8) | np.uint32(pixels[3 * i + 2]) << np.uint32(16)
        words[i] = word


@compiled
def _neighbours(theta: Any, y: int, high: int, wide: int, reflected: bool, place: Any, share: Any) -> None:
    """For a row of results: the places of the four neighbours of each in the picture, and their weights over 255."""
    half, one, zero, unit = np.float32(0.5), np.float32(1), np.float32(0), np.float32(1) / np.float32(255)
    columns, rows = np.float32(wide), np.float32(high)
    right, bottom, line = columns - one, rows - one, np.int32(wide)
    down = np.float32(2 * y + 1) / rows - one
    from_left, from_top = theta[0, 1] * down + theta[0, 2], theta[1, 1] * down + theta[1, 2]
    at, at_right, at_below, at_both = place[0], place[1], place[2], place[3]
    here, beside, below, both = share[0], share[1], share[2], share[3]
    for x in range(wide):
        across = np.float32(2 * x + 1) / columns - one
        column = ((theta[0, 0] * across + from_left + one) * columns - one) * half
        row = ((theta[1, 0] * across + from_top + one) * rows - one) * half
        if reflected:
            column, row = _reflected(column, columns), _reflected(row, rows)
        column, row = min(max(column, zero), right), min(max(row, zero), bottom)
        left, top = np.floor(column), np.floor(row)
        p, q = column - left, row - top
        first = np.int32(top) * line + np.int32(left)
        step, fall = np.int32(1 if left < right else 0), np.int32(line if top < bottom else 0)
        at[x], at_right[x], at_below[x], at_both[x] = first, first + step, first + fall, first + fall + step
        here[x], beside[x] = (one - p) * (one - q) * unit, p * (one - q) * unit
        below[x], both[x] = (one - p) * q * unit, p * q * unit


@compiled
def _reflected(place: Any, span: Any) -> Any:
    """A place on the line, reflected at -0.5 and span - 0.5 until it lies between them."""
    half, two = np.float32(0.5), np.float32(2)
    distance = abs(place + half)
    turns = np.floor(distance / span)
    rest = distance - turns * span
    odd = turns > two * np.floor(turns * half)
    return (span - rest if odd else rest) - half


@compiled
def _sample(words: Any, place: Any, share: Any, channels: int, planes: Any, sums: Any) -> None:
    """A row of results, each the weighted mean of its four neighbours, and its contribution to the sums."""
    at, at_right, at_below, at_both = place[0], place[1], place[2], place[3]
    here, beside, below, both = share[0], share[1], share[2], share[3]
    red, green, blue = planes[0], planes[1], planes[2]
    for x in range(len(sums)):
        words_here = words[at[x]], words[at_right[x]], words[at_below[x]], words[at_both[x]]
        shares = here[x], beside[x], below[x], both[x]
        red[x] = _mean(words_here, shares, 0)
        sums[x] += red[x]
        if channels == 3:
            green[x], blue[x] = _mean(words_here, shares, 8), _mean(words_here, shares, 16)
            sums[x] += green[x] + blue[x]


@compiled
def _mean(words: Any, shares: Any, shift: int) -> Any:
    """Weighted mean of the byte at `shift` bits in four words."""
    total = np.float32(0)
    for k in range(4):
        total += np.float32(np.int32(words[k] >> np.uint32(shift) & np.uint32(255))) * shares[k]
    return total


@compiled
def _colour(
    planes: Any, offset: Any, scale: Any, saturation: Any, luma: Any, mean: Any, deviation: Any, image: Any
) -> None:
    red, green, blue = planes[0], planes[1], planes[2]
    for i in range(len(red)):
        grey = red[i] * luma[0] + green[i] * luma[1] + blue[i] * luma[2]
        r = _within(offset + (grey + saturation * (red[i] - grey)) * scale)
        g = _within(offset + (grey + saturation * (green[i] - grey)) * scale)
        b = _within(offset + (grey + saturation * (blue[i] - grey)) * scale)
        image[3 * i] = (r - mean[0]) / deviation[0]
        image[3 * i + 1] = (g - mean[1]) / deviation[1]
        image[3 * i + 2] = (b - mean[2]) / deviation[2]


@compiled
def _within(value: Any) -> Any:
    return min(max(value, np.float32(0)), np.float32(1))
