"""The second look at two similar pictures: lay one thumbnail over the other.

They are the same picture only if copying explains every difference:

* in the same place: brightness may follow one line (gain and offset), and no cell may differ by more than
  recompression causes; this alone decides for icons, digits, pages of text and everything with little texture;
* photographs (texture nearly everywhere) may also be cropped, framed, mirrored, or turned grey: one picture is moved
  onto the other by least squares, and the residual must be small against its contrast.

`docs/why/twins.md` has the measurements behind every number here.
"""

import numpy as np
from numpy.typing import NDArray

FLAT = 1.0  # grey levels of deviation: below this, gain and offset mean nothing
PHOTOGRAPH = 0.6  # share of cells with texture in a photograph; handwritten digits reach 0.56
TEXTURE = 6.0  # grey levels between neighbouring cells that count as texture
MOVED = 0.15  # cells; pages with other words fit to within 0.11, a border of 6 pixels moves by 0.2 or more
UNEXPLAINED = 0.05  # of the variance: the most that may remain after moving a picture
COLOURED = 8.0  # largest colour difference in a picture that counts as grey

Floats = NDArray[np.floating]


def is_photograph(grey: Floats, side: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether thumbnails (N, n, n) of pictures whose shorter sides have `side` (N,) pixels have enough texture -> (N,).

    With enough texture, moving one picture onto another proves something. Below one pixel per cell, cells are guesses.
    """
    return ((contrast(grey) > TEXTURE).mean(axis=(1, 2)) >= PHOTOGRAPH) & (side >= grey.shape[1])


def same_picture(
    a: Floats,
    b: Floats,
    p: Floats,
    q: Floats,
    photograph: NDArray[np.bool_],
    scale: float,
    mirrored: bool,
    unexplained: float = UNEXPLAINED,
) -> NDArray[np.bool_]:
    """Whether P pairs of pictures are twins -> (P,).

    a, b: (P, n, n), brightness 0..255; p, q: (P, 2, m, m), colour differences -128..127; photograph (P,): both are.
    scale, mirrored: how to crop and mirror b to match a. unexplained: see UNEXPLAINED.
    """
    if mirrored:
        b, q = b[..., ::-1], q[..., ::-1]
    good = np.zeros(len(a), dtype=bool)
    if scale == 1:
        still = np.flatnonzero(photograph) if mirrored else np.arange(len(a))
        good[still] = explained(a[still], b[still], p[still], q[still], photograph[still], None)
    rest = np.flatnonzero(photograph & ~good)
    if len(rest):
        start = np.tile(np.array([scale, 0, scale, 0], np.float32), (len(rest), 1))
        place = register(half(a[rest]), half(b[rest]), start, 4)
        place = register(a[rest], b[rest], place * np.array([1, 2, 1, 2], np.float32), 4)
        good[rest] = explained(a[rest], b[rest], p[rest], q[rest], photograph[rest], place, unexplained)
    return good


def explained(
    a: Floats,
    b: Floats,
    p: Floats,
    q: Floats,
    photograph: NDArray[np.bool_],
    place: Floats | None,
    most: float = UNEXPLAINED,
) -> NDArray[np.bool_]:
    """Whether b, moved to `place` (None: not moved), equals a up to gain, offset and the effects of copying -> (P,)."""
    if place is None:
        inside, moved = np.ones(a.shape, dtype=bool), np.zeros(len(a), dtype=bool)
    else:
        b, inside = move(b, place)
        shift = np.abs(place[:, [0, 2]] - 1) * (a.shape[1] - 1) / 2 + np.abs(place[:, [1, 3]])  # cells, at the corners
        moved = shift.max(axis=1) > MOVED
        small = q.shape[-1] / a.shape[1]  # the same place, in cells of the colour thumbnails
        shrunk = np.repeat(place * np.array([1, small, 1, small], np.float32), 2, axis=0)
        q, _ = move(q.reshape(-1, *q.shape[2:]), shrunk)
        q = q.reshape(p.shape)
    darker = mean(a, inside) <= mean(b, inside)  # the brighter follows from the darker unless clipping hides it
    a, b = np.where(darker, a, b), np.where(darker, b, a)
    gain, offset = fit_line(a, b, inside)
    expected = np.clip(gain * a + offset, 0, 255)
    rest = np.abs(b - expected) * inside
    # Brightening clips bright parts, which no line can follow: a photograph brightened as a whole gets the wide
    # tolerance. Words or a logo that differ change the whole too little for that.
    changed = (np.abs(gain - 1) > 0.08) | (np.abs(mean(b, inside) - mean(a, inside)) > 8)
    changed = changed[:, 0, 0] & photograph
    unexplained = mean(rest**2, inside)[:, 0, 0]  # variance, grey levels squared
    variance = mean((b - mean(b, inside)) ** 2, inside)[:, 0, 0]
    share = np.where(moved, most, np.where(changed, 0.03, 0.02))
    near = unexplained <= share * variance + 0.25
    gain, offset = gain[:, 0, 0], offset[:, 0, 0]
    same = (np.abs(gain - 1) < 0.1) & (np.abs(offset) < 20)
    blank = variance < FLAT**2  # then gain and offset mean nothing, and the brightness itself must agree
    near |= blank & (np.abs(a - b).max(axis=(1, 2)) <= 4)
    line = np.where(blank, np.abs(a.mean(axis=(1, 2)) - b.mean(axis=(1, 2))) <= 3, (gain > 0.6) & (gain < 1 / 0.6))
    good = near & line & inside.any(axis=(1, 2))
    left = np.flatnonzero(good)  # what follows is costly, and few pairs come this far
    local = np.minimum(
        contrast(expected[left]), contrast(b[left])
    )  # an error of place shows up as a fraction of the contrast
    wide = (moved | changed)[left, None, None]
    close = (rest[left] <= np.where(wide, 12 + 0.6 * local, 5 + 0.06 * local)).all(axis=(1, 2))
    good[left] = close & _same_colour(p[left], q[left], (photograph & same)[left], moved[left])
    return good


def _same_colour(p: Floats, q: Floats, grey_copy: NDArray[np.bool_], moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the colour differences, (P, 2, 8, 8), agree up to saturation; one may be grey only if `grey_copy`."""
    p, q = p[..., 1:-1, 1:-1], q[..., 1:-1, 1:-1]  # the outermost cells have a border's colour
    strength = [np.abs(x).max(axis=(1, 2, 3)) for x in (p, q)]
    grey = np.minimum(*strength) < COLOURED
    ratio = (p * q).sum(axis=(1, 2, 3)) / np.maximum((p * p).sum(axis=(1, 2, 3)), 1)
    rest = np.abs(q - np.clip(ratio, 0.4, 2.5)[:, None, None, None] * p).max(axis=(1, 2, 3))
    close = rest <= np.where(moved, 16, 10) + 0.15 * np.maximum(*strength)
    return np.where(grey, grey_copy | (np.abs(p - q).max(axis=(1, 2, 3)) <= COLOURED), close)


def register(a: Floats, b: Floats, place: Floats, steps: int) -> Floats:
    """Moves b onto a: (P, n, n) both, the initial `place` (P, 4) -> a better `place`.

    Gauss-Newton on the squared difference, brightness line included (Lucas and Kanade 1981): linear in the change
    of place d and in gain and offset, b + grad b . d = gain a + offset.
    """
    n = a.shape[1]
    x = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * (2 / n)  # -1..1
    for _ in range(steps):
        moved, inside = move(b, place)
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


def move(b: Floats, place: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """(P, n, n), read at x' = place[:, 0] x + place[:, 1], y' = place[:, 2] y + place[:, 3], from the centre, in cells.

    Cubic interpolation (Keys 1981, a = -1/2); also returns which cells were inside, one cell from any edge.
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


def fit_line(a: Floats, b: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Gain and offset, (P, 1, 1), of the straight line from a to b by least squares, without clipped values."""
    use = inside & ((np.maximum(a, b) < 250) | (np.minimum(a, b) > 235))
    ma, mb = mean(a, use), mean(b, use)
    gain = mean((a - ma) * (b - mb), use) / np.maximum(mean((a - ma) ** 2, use), 1e-3)
    return gain, mb - gain * ma


def mean(x: Floats, use: NDArray[np.bool_]) -> Floats:
    return (x * use).sum(axis=(1, 2), keepdims=True) / np.maximum(use.sum(axis=(1, 2), keepdims=True), 1).astype("f4")


def half(x: Floats) -> Floats:
    """(P, n, n), n even -> (P, n / 2, n / 2), means of 2 x 2 cells."""
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def contrast(x: Floats) -> Floats:
    """Largest minus smallest of the 3 x 3 cells around each cell, (P, n, n)."""
    around = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    ends = []
    for end in (np.maximum, np.minimum):
        rows = end(end(around[:, :-2], around[:, 1:-1]), around[:, 2:])
        ends.append(end(end(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:]))
    return ends[0] - ends[1]
