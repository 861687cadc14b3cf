"""Near-duplicates: pictures so alike that they must not stand on both sides of a split.

Two steps. A perceptual hash (63 low frequencies of a grey thumbnail) proposes candidates by correlation, each picture
whole, and cut to its inner 95% and 90%, and mirrored, so that crops and borders are met. Then a second look lays
the two thumbnails over each other and lets them be twins only if nothing is left that the copying cannot explain:

* in the same place: brightness may follow one line (gain and offset), and no cell may differ by more than
  recompression does; this alone decides for icons, digits, pages of text and everything with little texture;
* photographs (texture nearly everywhere) may also be cropped, framed, mirrored, or turned grey: one picture is moved
  onto the other by least squares, and the rest must be small against the picture's own contrast.

`docs/why/twins.md` has the measurements behind every number here.
"""

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

GREY = 32  # cells along each side of the grey thumbnail
COLOUR = 8  # cells along each side of the two colour-difference thumbnails
DESCRIPTION = GREY * GREY + 2 * COLOUR * COLOUR + 1  # bytes for each picture

FREQUENCIES = 8  # of the hash, along each side
INNER = (1.0, 0.95, 0.9)  # parts of a picture that are compared with other whole pictures
ALIKE = 0.92  # correlation of two hashes from which on the second look is worth its time
NEAREST = 16  # candidates for each picture and each way of cutting: bounds time where everything looks alike
ROWS = 1024  # pictures at a time: a block of correlations is ROWS x 8 ROWS float32, 32 MiB
LOOKS = 256  # pairs at a time in the second look, about 40 MiB

FLAT = 1.0  # grey levels of deviation: below it there is nothing to correlate
PHOTOGRAPH = 0.6  # share of cells with texture that makes a photograph; handwritten digits reach 0.56
TEXTURE = 6.0  # grey levels between neighbouring cells that count as texture
MOVED = 0.15  # cells; a copy in the same place is fitted to within 0.1, a border of 6 pixels moves by 0.2
COLOURED = 8.0  # largest colour difference of a picture that counts as grey

Floats = NDArray[np.floating]

# ITU-R BT.601 (JFIF): what JPEG, and Pillow's conversion to grey, call brightness and colour difference.
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32)


def describe(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Everything the search needs of a picture: (H, W, 3) uint8 RGB, any H, W >= 1 -> (DESCRIPTION,) uint8.

    A grey thumbnail of 32 x 32 cells and two colour-difference thumbnails (Cb + 128, Cr + 128) of 8 x 8, row by
    row, of the whole picture stretched to a square (a description can be looked at), and min(H, W, 255).
    """
    # The triangle filter keeps the thumbnail smooth, so that it can be moved by part of a cell; reducing_gap
    # averages whole blocks first, which makes it cheap.
    small = Image.fromarray(image).resize((GREY, GREY), Image.Resampling.BILINEAR, reducing_gap=3.0)
    planes = np.asarray(small, dtype=np.float32) @ YCBCR.T  # (32, 32, 3)
    side = GREY // COLOUR
    colour = planes[..., 1:].reshape(COLOUR, side, COLOUR, side, 2).mean(axis=(1, 3)) + 128  # (8, 8, 2)
    size = [min(*image.shape[:2], 255)]
    numbers = np.concatenate([planes[..., 0].ravel(), colour[..., 0].ravel(), colour[..., 1].ravel(), size])
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def pairs(descriptions: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The twins among N pictures: (N, DESCRIPTION) uint8, a memory map too -> (P, 2) int64, i < j, sorted.

    Pictures with the same description are each paired with the first of them only, a picture with its NEAREST at
    most, and pictures that are in one group already are not compared again: `groups` joins the rest. Time grows
    with N * N (a matrix product), memory with N.
    """
    first, same = _identical(descriptions)
    photograph = np.zeros(len(descriptions), dtype=bool)
    for at in range(0, len(first), ROWS):
        photograph[first[at : at + ROWS]] = _photograph(descriptions[first[at : at + ROWS]])
    found = [same]
    joined, before = groups(len(descriptions), same), (1.0, False)
    for i, j, scale, mirrored in _candidates(descriptions, first):
        if (scale, mirrored) != before:  # what is joined by now needs no costlier look
            joined, before = groups(len(descriptions), np.concatenate(found)), (scale, mirrored)
        worth = joined[i] != joined[j]
        if scale != 1 or mirrored:
            worth &= photograph[i] & photograph[j]
        i, j = i[worth], j[worth]
        for at in range(0, len(i), LOOKS):
            m, n = i[at : at + LOOKS], j[at : at + LOOKS]
            kept = _twins(descriptions[m], descriptions[n], photograph[m] & photograph[n], scale, mirrored)
            found.append(np.stack([m, n], axis=1)[kept])
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def groups(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group number of each of `count` pictures, (count,) int64: the smallest index that twins lead to."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for i, j in pairs.tolist():
        a, b = root(i), root(j)
        parent[max(a, b)] = min(a, b)
    return np.array([root(i) for i in range(count)], dtype=np.int64)


def _identical(descriptions: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first picture with each description, (M,), and the others paired with theirs, (P, 2)."""
    seen: dict[bytes, int] = {}
    same = []
    for i in range(len(descriptions)):
        j = seen.setdefault(blake2b(descriptions[i].tobytes(), digest_size=16).digest(), i)
        if j != i:
            same.append((j, i))
    return np.fromiter(seen.values(), np.int64), np.array(same, dtype=np.int64).reshape(-1, 2)


# --- the hash -------------------------------------------------------------------------------------------------------


def _inner(scale: float) -> Floats:
    """(32, 32) matrix that stretches the inner `scale` of a row of cells to the whole row, linearly."""
    at = (np.arange(GREY) - (GREY - 1) / 2) * scale + (GREY - 1) / 2
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(GREY))).astype(np.float32)


def _hash(descriptions: NDArray[np.uint8], scale: float) -> Floats:
    """(N, DESCRIPTION) -> (N, 64): the discrete cosine transform's low frequencies, unit length, without the mean.

    Weighted by the square root of the frequency, against the fall of natural pictures' spectra, or two or three
    of the numbers would decide. Flat pictures get zeros: they are like nothing.
    """
    order = np.arange(FREQUENCIES)
    waves = np.cos(np.pi / GREY * order[:, None] * (np.arange(GREY) + 0.5)).astype(np.float32)
    waves = waves @ _inner(scale) * np.float32(np.sqrt(2 / GREY))  # (8, 32)
    weight = np.hypot(order[:, None], order).astype(np.float32) ** 0.5  # 0 for the mean
    grey = _grey(descriptions)
    numbers = (waves @ grey @ waves.T * weight).reshape(len(grey), -1)
    length = np.linalg.norm(numbers, axis=1, keepdims=True)
    return np.where(grey.std(axis=(1, 2))[:, None] < FLAT, 0, numbers / np.maximum(length, 1e-6))


def _candidates(
    descriptions: NDArray[np.uint8], first: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], float, bool]]:
    """Pairs for the second look: whole pictures i, pictures j cut to their inner `scale`, j mirrored or not."""

    def hashes(scale: float) -> Floats:
        blocks = [_hash(descriptions[first[k : k + ROWS]], scale) for k in range(0, len(first), ROWS)]
        return np.concatenate([np.zeros((0, FREQUENCIES**2), np.float32), *blocks])

    whole = hashes(1.0)
    for scale in INNER:
        keys = whole if scale == 1 else hashes(scale)
        for i, j in _near(whole, keys, once=scale == 1):
            yield first[i], first[j], scale, False
    # A mirror changes the sign of the waves that are odd from left to right.
    for i, j in _near(whole, whole * np.tile(np.array([1, -1], np.float32), FREQUENCIES**2 // 2), once=True):
        yield first[i], first[j], 1.0, True
    flat = np.array([i for i, v in zip(first, whole, strict=True) if not v.any()], dtype=np.int64)
    grey = [float(_grey(descriptions[i : i + 1]).mean()) for i in flat.tolist()]
    flat = flat[np.argsort(grey, kind="stable")]
    for step in range(1, min(NEAREST, len(flat))):  # blank pictures: those of nearly the same grey
        yield flat[:-step], flat[step:], 1.0, False


def _near(whole: Floats, keys: Floats, once: bool) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Row numbers of `whole` and `keys` that correlate by ALIKE or more, never i with itself; `once`: i < j only."""
    for top in range(0, len(whole), ROWS):
        rows, columns, likeness = [], [], []
        for left in range(top if once else 0, len(keys), 8 * ROWS):
            block = whole[top : top + ROWS] @ keys[left : left + 8 * ROWS].T
            r, c = np.divmod(np.flatnonzero(block.ravel() >= ALIKE), block.shape[1])
            apart = (r + top < c + left) if once else (r + top != c + left)
            r, c = r[apart], c[apart]
            likeness.append(block[r, c])
            rows.append(r + top)
            columns.append(c + left)
        r, c, near = np.concatenate(rows), np.concatenate(columns), np.concatenate(likeness)
        order = np.lexsort((c, -near, r))  # each row's best first
        r, c = r[order], c[order]
        kept = np.arange(len(r)) - np.searchsorted(r, r) < NEAREST
        yield r[kept], c[kept]


# --- the second look ------------------------------------------------------------------------------------------------


def _photograph(descriptions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether there is enough texture that moving one picture onto another proves something -> (N,)."""
    textured = (_range(_grey(descriptions)) > TEXTURE).mean(axis=(1, 2)) >= PHOTOGRAPH
    return textured & (descriptions[:, -1] >= GREY)  # of fewer pixels than cells, the cells are guesses


def _twins(
    one: NDArray[np.uint8], two: NDArray[np.uint8], photograph: NDArray[np.bool_], scale: float, mirrored: bool
) -> NDArray[np.bool_]:
    """Whether each of P pairs of descriptions, (P, DESCRIPTION) both, are twins -> (P,)."""
    a, b, p, q = _grey(one), _grey(two), _colour(one), _colour(two)
    if mirrored:
        b, q = b[..., ::-1], q[..., ::-1]
    good = np.zeros(len(a), dtype=bool)
    if scale == 1:
        still = np.flatnonzero(photograph) if mirrored else np.arange(len(a))
        good[still] = _explained(a[still], b[still], p[still], q[still], photograph[still], None)
    rest = np.flatnonzero(photograph & ~good)
    if len(rest):
        start = np.tile(np.array([scale, 0, scale, 0], np.float32), (len(rest), 1))
        place = _register(a[rest].reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)),
                          b[rest].reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)), start, 4)  # fmt: skip
        place = _register(a[rest], b[rest], place * np.array([1, 2, 1, 2], np.float32), 4)
        good[rest] = _explained(a[rest], b[rest], p[rest], q[rest], photograph[rest], place)
    return good


def _explained(
    a: Floats, b: Floats, p: Floats, q: Floats, photograph: NDArray[np.bool_], place: Floats | None
) -> NDArray[np.bool_]:
    """Whether b, moved to `place` (None: where it is), is a up to gain, offset and what copying does -> (P,)."""
    if place is None:
        inside, moved = np.ones(a.shape, dtype=bool), np.zeros(len(a), dtype=bool)
    else:
        b, inside = _move(b, place)
        shift = np.abs(place[:, [0, 2]] - 1) * (GREY - 1) / 2 + np.abs(place[:, [1, 3]])  # cells, at the corners
        moved = shift.max(axis=1) > MOVED
        q, _ = _move(
            q.reshape(-1, COLOUR, COLOUR), np.repeat(place * np.array([1, 0.25, 1, 0.25], np.float32), 2, axis=0)
        )
        q = q.reshape(p.shape)
    darker = _mean(a, inside) <= _mean(b, inside)  # the brighter follows from the darker, not where it was clipped back
    a, b = np.where(darker, a, b), np.where(darker, b, a)
    gain, offset = _line(a, b, inside)
    expected = np.clip(gain * a + offset, 0, 255)
    rest = np.abs(b - expected) * inside
    local = np.minimum(_range(expected), _range(b))  # an error of place shows as a share of the local contrast
    # Brightening clips what was bright, which no line can follow: a photograph brightened as a whole gets the wide
    # tolerance. Words or a logo that differ change the whole too little for that.
    changed = (np.abs(gain - 1) > 0.08) | (np.abs(_mean(b, inside) - _mean(a, inside)) > 8)
    changed &= photograph[:, None, None]
    wide = moved[:, None, None] | changed
    tolerance = np.where(wide, 12 + 0.6 * local, 5 + 0.06 * local)
    unexplained = _mean(rest**2, inside)[:, 0, 0]  # variance, grey levels squared
    variance = _mean((b - _mean(b, inside)) ** 2, inside)[:, 0, 0]
    share = np.where(moved, 0.05, np.where(changed[:, 0, 0], 0.03, 0.02))
    near = unexplained <= share * variance + 0.25
    gain, offset = gain[:, 0, 0], offset[:, 0, 0]
    same = (np.abs(gain - 1) < 0.1) & (np.abs(offset) < 20)
    blank = variance < FLAT**2  # then gain and offset mean nothing, and the brightness itself has to agree
    near |= blank & (np.abs(a - b).max(axis=(1, 2)) <= 4)
    line = np.where(blank, np.abs(a.mean(axis=(1, 2)) - b.mean(axis=(1, 2))) <= 3, (gain > 0.6) & (gain < 1 / 0.6))
    close = (rest <= tolerance).all(axis=(1, 2))
    return near & line & close & inside.any(axis=(1, 2)) & _same_colour(p, q, photograph & same, moved)


def _same_colour(p: Floats, q: Floats, grey_copy: NDArray[np.bool_], moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the colour differences, (P, 2, 8, 8), agree up to saturation; one grey side only where `grey_copy`."""
    p, q = p[..., 1:-1, 1:-1], q[..., 1:-1, 1:-1]  # a border's colour is in the outermost cells
    strength = [np.abs(x).max(axis=(1, 2, 3)) for x in (p, q)]
    grey = np.minimum(*strength) < COLOURED
    ratio = (p * q).sum(axis=(1, 2, 3)) / np.maximum((p * p).sum(axis=(1, 2, 3)), 1)
    rest = np.abs(q - np.clip(ratio, 0.4, 2.5)[:, None, None, None] * p).max(axis=(1, 2, 3))
    close = rest <= np.where(moved, 16, 10) + 0.15 * np.maximum(*strength)
    return np.where(grey, grey_copy | (np.abs(p - q).max(axis=(1, 2, 3)) <= COLOURED), close)


def _register(a: Floats, b: Floats, place: Floats, steps: int) -> Floats:
    """Moves b onto a: (P, n, n) both, `place` (P, 4) to start from -> better `place`.

    Gauss-Newton on the squared difference, brightness line included (Lucas and Kanade 1981): linear in the change
    of place d and in gain and offset, b + grad b . d = gain a + offset.
    """
    n = a.shape[1]
    x = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * (2 / n)  # -1..1
    for _ in range(steps):
        moved, inside = _move(b, place)
        down, right = np.gradient(moved, axis=(1, 2))
        columns = np.stack([-right * x, -right, -down * x[:, None], -down, a, np.ones_like(a)], axis=1)
        columns = (columns * (inside & (np.maximum(a, moved) < 250))[:, None]).reshape(len(a), 6, n * n)
        normal = (columns @ columns.transpose(0, 2, 1)).astype(np.float64)
        # Half a grey level of noise in every gradient: without texture nothing moves, and the matrix stays regular.
        normal += np.diag([n * n / 4] * 4 + [1e-3] * 2)
        change = np.linalg.solve(normal, (columns @ moved.reshape(len(a), -1, 1)).astype(np.float64))[:, :4, 0]
        place = place + np.clip(change, -1.5, 1.5).astype(np.float32) * np.array([2 / n, 1, 2 / n, 1], np.float32)
        limit = np.array([0.19, 0.1 * n, 0.19, 0.1 * n], np.float32)
        centre = np.array([1, 0, 1, 0], np.float32)
        place = np.clip(place, centre - limit, centre + limit)
    return place


def _move(b: Floats, place: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """(P, n, n), read at x' = place[:, 0] x + place[:, 1], y' = place[:, 2] y + place[:, 3], from the centre, in cells.

    Cubic interpolation (Keys 1981, a = -1/2); with it, which of the cells were inside, one cell from any edge.
    """
    n = b.shape[1]
    middle = (n - 1) / 2
    cells = np.arange(n, dtype=np.float32)
    matrices, insides = [], []
    for scale, shift in ((place[:, 2:3], place[:, 3:4]), (place[:, 0:1], place[:, 1:2])):
        at = scale * (cells - middle) + shift + middle  # (P, n)
        d = np.abs(np.clip(at, 0, n - 1)[:, :, None] - cells)
        kernel = np.where(d < 1, (1.5 * d - 2.5) * d * d + 1, ((2.5 - 0.5 * d) * d - 4) * d + 2)
        kernel = np.where(d < 2, kernel, np.float32(0))
        matrices.append(kernel / kernel.sum(axis=2, keepdims=True))
        insides.append((at >= 1) & (at <= n - 2) & (cells >= 1) & (cells <= n - 2))
    return matrices[0] @ b @ matrices[1].transpose(0, 2, 1), insides[0][:, :, None] & insides[1][:, None, :]


def _line(a: Floats, b: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Gain and offset, (P, 1, 1), of the straight line from a to b by least squares, without what was clipped."""
    use = inside & ((np.maximum(a, b) < 250) | (np.minimum(a, b) > 235))
    ma, mb = _mean(a, use), _mean(b, use)
    gain = _mean((a - ma) * (b - mb), use) / np.maximum(_mean((a - ma) ** 2, use), 1e-3)
    return gain, mb - gain * ma


def _mean(x: Floats, use: NDArray[np.bool_]) -> Floats:
    return (x * use).sum(axis=(1, 2), keepdims=True) / np.maximum(use.sum(axis=(1, 2), keepdims=True), 1).astype("f4")


def _range(x: Floats) -> Floats:
    """Largest less smallest of the 3 x 3 cells around each cell, (P, n, n)."""
    around = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge"), (3, 3), axis=(1, 2))
    return around.max(axis=(3, 4)) - around.min(axis=(3, 4))


def _grey(descriptions: NDArray[np.uint8]) -> Floats:
    return descriptions[:, : GREY * GREY].reshape(-1, GREY, GREY).astype(np.float32)


def _colour(descriptions: NDArray[np.uint8]) -> Floats:
    return descriptions[:, GREY * GREY : -1].reshape(-1, 2, COLOUR, COLOUR).astype(np.float32) - 128
