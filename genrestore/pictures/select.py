"""Select an object from a line drawn roughly round it, or from a point on it.

Rother, Kolmogorov & Blake, "GrabCut: interactive foreground extraction using iterated graph cuts", SIGGRAPH 2004: mixtures of
Gaussians learn the colours of object and background from a first guess, a cut finds the best outline for them, and both are
repeated. Changed: the cut is the convex one over a field in [0, 1] (Chan, Esedoglu & Nikolova, SIAM J. Appl. Math. 2006),
found by the primal-dual method of Chambolle & Pock (J. Math. Imaging Vis. 2011), which needs numpy alone; what lies deep
inside the line is likelier to be the object; a shrunken picture is cut, and then a larger one near the outline.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from genrestore.errors import MaskError

COARSE, FINE = 192, 640  # pixels of the longer side of what is cut at first, and near the outline
PROBE = 96  # the same of what is tried round a point
MARGIN = 0.15  # how much is seen round a line, as a part of its longer side: it shows what the background is like
LEAST_MARGIN = 16  # pixels
COMPONENTS = 5  # of a mixture, as in the paper
SAMPLES = 8000  # pixels that a mixture learns from
ROUNDS, PROBE_ROUNDS = 4, 2  # of learning and cutting
STEPS, FINE_STEPS = 150, 60  # of a cut
OUTLINE = 50.0  # price of a pixel of outline where all is even, in the unit of log-likelihoods; the paper's γ
LEAST_PRICE = 0.04  # part of it that remains at the sharpest edge
SURE = 20.0  # log-likelihoods are held within this: one odd pixel must not decide
DEEP, SHALLOW = 6.0, 0.7  # how much is added deep inside a line, and the depth from 0 to 1 at which nothing is
DEPTH = 0.3  # radius over which the depth rises, as a part of the guess's own
BAND = 6  # pixels of the coarse picture near whose outline the fine one is cut
SLIGHTEST = 0.04  # part of a first guess below which what was found is no object
REACHES = (0.05, 0.08, 0.13, 0.2, 0.3)  # radii that are tried round a point, as parts of the picture's shorter side
LIMIT = 1.6  # times such a radius: how far what it finds may reach
AGAIN = 8  # times that it is looked for from each of them, at most: as long as the outline gets sharper
# What is so many times as large must have an outline so much sharper: a ball, not who holds it.
LARGER, CLEARLY = 1.5, 0.85
ALIKE = 0.05  # part of a radius by which a circle must differ from the one before
WIDER = 1.15  # times the radius of what was found: where it is looked for again
DEAREST = 0.9  # price of an outline, as a part of the highest, above which there are no edges

Colours = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]  # top, left, bottom, right


class Selected(NamedTuple):
    """An object of a picture."""

    mask: Bools  # (h, w) of the box
    box: Box


def select(pixels: Colours, outline: Sequence[tuple[float, float]]) -> Selected:
    """The object in a picture (H, W, 3) inside a line through points (x, y), or that a single point touches.

    Where no edges are found inside a line, the object is all that it goes round.

    Raises:
        MaskError: the line goes round nothing, or no object is found at the point.
    """
    height, width = pixels.shape[:2]
    points = np.asarray(outline, np.float32).clip(0, np.array([width, height], np.float32))
    if len(points) < 3:
        x, y = points[0].tolist()
        return _touched(pixels, min(x, width - 1), min(y, height - 1))
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    margin = max(LEAST_MARGIN, MARGIN * max(right - left, bottom - top))
    box = _box(left - margin, top - margin, right + margin, bottom + margin, pixels)
    drawn = Image.new("1", (box[3] - box[1], box[2] - box[0]))
    ImageDraw.Draw(drawn).polygon([(x - box[1], y - box[0]) for x, y in points.tolist()], fill=1)
    guess = np.array(drawn)
    if min(right - left, bottom - top) < 1:
        raise MaskError("The line goes round nothing; draw it round an object.")
    found = _object(pixels[box[0] : box[2], box[1] : box[3]], guess, guess)
    return Selected(guess if found is None else found, box)


class _Probe(NamedTuple):
    """What was found round a point, in a box that is seen shrunken."""

    price: float  # of its outline
    mask: Bools
    allowed: Bools
    box: Box

    @property
    def shrunk(self) -> float:
        """Pixels of the picture to one of the mask."""
        return (self.box[3] - self.box[1]) / self.mask.shape[1]

    @property
    def area(self) -> float:
        """Of the object, in pixels of the picture."""
        return float(self.mask.sum()) * self.shrunk**2


def _touched(pixels: Colours, x: float, y: float) -> Selected:
    """The object at a point: of all that is found within several distances of it, and then again and again round the middle of
    what was found, which is how it gets from the object's rim to all of it, what has the sharpest outline."""
    height, width = pixels.shape[:2]
    least = _contrast(*_steps(_seen(_shrunk(pixels, 2 * PROBE))))  # noise is no edge where the picture has sharper ones
    best: _Probe | None = None
    for part in REACHES:
        centre, radius = (x, y), max(2.0, part * min(height, width))
        price, before = np.inf, np.full(3, np.inf)
        for again in range(AGAIN):
            circle = np.array([*centre, radius])
            if np.abs(circle - before).max() < ALIKE * radius:
                break
            before = circle
            probe = _probe(pixels, (x, y), centre, radius, least)
            if probe is None or (again > 1 and probe.price >= price):
                break
            price = probe.price
            if best is None or price < best.price * (1 if probe.area < LARGER * best.area else CLEARLY):
                best = probe
            rows, columns = np.nonzero(probe.mask)
            shrunk = probe.shrunk
            centre = probe.box[1] + float(columns.mean()) * shrunk, probe.box[0] + float(rows.mean()) * shrunk
            radius = WIDER * shrunk * float(len(rows) / np.pi) ** 0.5
    if best is None or best.price > DEAREST:
        raise MaskError("No object was found there; draw a line roughly round it.")
    top, left, bottom, right = best.box
    size = (bottom - top, right - left)
    guess = _resized(best.mask, size)
    found = _object(pixels[top:bottom, left:right], guess, _resized(best.allowed, size))
    return Selected(guess if found is None else found, best.box)


def _probe(
    pixels: Colours, point: tuple[float, float], centre: tuple[float, float], radius: float, least: float
) -> _Probe | None:
    """The object at a point, looked for within a radius of a centre; None if there is none."""
    (x, y), reach = centre, LIMIT * radius + LEAST_MARGIN
    box = _box(x - reach, y - reach, x + reach, y + reach, pixels)
    seen = _shrunk(pixels[box[0] : box[2], box[1] : box[3]], PROBE)
    shrunk = seen.shape[1] / (box[3] - box[1])
    rows, columns = np.ogrid[: seen.shape[0], : seen.shape[1]]
    away = np.hypot(columns - (x - box[1]) * shrunk, rows - (y - box[0]) * shrunk) / (radius * shrunk)
    level = _Level(seen, away <= LIMIT, least)
    found = level.cut(away <= 1, PROBE_ROUNDS)
    row, column = int((point[1] - box[0]) * shrunk), int((point[0] - box[1]) * shrunk)
    if found is None or not (0 <= row < len(found) and 0 <= column < found.shape[1] and found[row, column]):
        return None
    mask = _reached(_spot(row, column, found.shape), found)
    return _Probe(level.price(mask), mask, level.allowed, box)


def _object(crop: Colours, guess: Bools, allowed: Bools) -> Bools | None:
    """The object in a crop (h, w, 3), near a first guess of it and inside what is allowed; None where there is none."""
    small = _shrunk(crop, COARSE)
    coarse = _Level(small, _resized(allowed, small.shape[:2]))
    mask = coarse.cut(_resized(guess, small.shape[:2]))
    if mask is None or coarse.price(mask) > DEAREST:
        return None
    outside = _reached(_frame(mask.shape), np.pad(~mask, 1, constant_values=True))
    mask = ~outside[1:-1, 1:-1]  # what it encloses is part of it
    large = _shrunk(crop, FINE)
    if large.shape == small.shape:
        return mask
    fine = _Level(large, _resized(allowed, large.shape[:2]))
    field = fine.refined(mask, coarse)
    return np.asarray(Image.fromarray(field).resize((crop.shape[1], crop.shape[0]), Image.Resampling.BICUBIC)) > 0.5


class _Level:
    """A picture at one size, with the prices of an outline in it, and what it has learnt of an object."""

    def __init__(self, pixels: Colours, allowed: Bools, least: float = 0.0) -> None:
        self.seen = _seen(pixels)
        self.allowed = allowed
        down, across = _steps(self.seen)
        scale = 2 * max(1e-6, least, _contrast(down, across))
        self.down, self.across = (
            np.float32(OUTLINE) * (LEAST_PRICE + (1 - LEAST_PRICE) * np.exp(-part / np.float32(scale)))
            for part in (down, across)
        )
        self.inner: _Mixture | None = None
        self.outer: _Mixture | None = None
        self.depth = np.zeros(allowed.shape, np.float32)

    def cut(self, guess: Bools, rounds: int = ROUNDS) -> Bools | None:
        """The object that is near a guess; None if there is none, or nothing round it."""
        guess = guess & self.allowed
        if not guess.any() or self.allowed.all():
            return None
        radius = max(2, round(DEPTH * float(guess.sum() / np.pi) ** 0.5))
        self.depth = (DEEP * (_blurred(guess, radius) - SHALLOW)).astype(np.float32)
        mask = guess
        for _ in range(rounds):
            self.inner, self.outer = _Mixture(self.seen[mask]), _Mixture(self.seen[~mask])
            costs: Floats = self.costs(self.inner, self.outer) - self.depth
            mask = self.solved(costs, (costs < 0) * self.allowed, np.zeros_like(costs), self.allowed, STEPS) > 0.5
            if mask.sum() < SLIGHTEST * guess.sum():
                return None
        return mask

    def refined(self, mask: Bools, coarse: "_Level") -> Floats:
        """What a smaller level found, cut anew near its outline: a field, above 0.5 in the object."""
        assert coarse.inner is not None and coarse.outer is not None
        size = self.allowed.shape
        start = _resized(mask, size)
        edges = start ^ np.asarray(Image.fromarray(start).filter(ImageFilter.MaxFilter(3)))
        near = _blurred(edges, round(BAND * max(size) / COARSE)) > 0
        depth = np.asarray(Image.fromarray(coarse.depth).resize(size[::-1], Image.Resampling.BILINEAR))
        costs = self.costs(coarse.inner, coarse.outer) - depth
        return self.solved(costs, start, start & ~near, np.where(near, self.allowed, start), FINE_STEPS)

    def costs(self, inner: "_Mixture", outer: "_Mixture") -> Floats:
        """(h, w): how much likelier a colour is outside than inside, within ±SURE."""
        flat = self.seen.reshape(-1, 3)
        return (outer(flat).max(0) - inner(flat).max(0)).clip(-SURE, SURE).reshape(self.allowed.shape)

    def solved(
        self,
        costs: Floats,
        start: npt.NDArray[np.generic],
        least: npt.NDArray[np.generic],
        most: npt.NDArray[np.generic],
        steps: int,
    ) -> Floats:
        """The field between `least` and `most` for which Σ costs · field + Σ prices · |∇ field| is lowest."""
        low, high = least.astype(np.float32), most.astype(np.float32)
        field = start.astype(np.float32)
        ahead = field.copy()
        down, across = np.zeros_like(field), np.zeros_like(field)
        rows, columns = np.pad(1 / self.down, ((0, 1), (0, 0))), np.pad(1 / self.across, ((0, 0), (0, 1)))
        step = np.float32(8**-0.5)
        for _ in range(steps):
            down[:-1] += step * (ahead[1:] - ahead[:-1])
            across[:, :-1] += step * (ahead[:, 1:] - ahead[:, :-1])
            over = np.sqrt(np.maximum(1, (down * rows) ** 2 + (across * columns) ** 2))
            down /= over
            across /= over
            change = down + across - costs
            change[1:] -= down[:-1]
            change[:, 1:] -= across[:, :-1]
            before, field = field, (field + step * change).clip(low, high)
            ahead = 2 * field - before
        return field

    def price(self, mask: Bools) -> float:
        """Of a mask's outline for each of its pixels, from 0 to 1; where it ends for it must, it is dearest."""
        down, across = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
        free = self.allowed
        rows = np.where(free[1:] & free[:-1], self.down, OUTLINE)[down]
        columns = np.where(free[:, 1:] & free[:, :-1], self.across, OUTLINE)[across]
        prices = np.concatenate([rows, columns])
        return float(prices.mean()) / OUTLINE if len(prices) else 1.0


class _Mixture:
    """Gaussians fitted to colours (n, 3), each to those that are likeliest under it, as in the paper."""

    def __init__(self, colours: Floats) -> None:
        samples = colours[:: max(1, len(colours) // SAMPLES)].astype(np.float64)
        label = _split(samples)
        for _ in range(ROUNDS):
            parts = [samples[label == k] for k in range(COMPONENTS)]
            self._fit([part for part in parts if len(part) > 3] or [samples], len(samples))
            label = self(samples.astype(np.float32)).argmax(0)

    def _fit(self, parts: list[npt.NDArray[np.float64]], count: int) -> None:
        spreads = np.stack([_spread(part) for part in parts]) + 2e-4 * np.eye(3)  # a flat colour spreads as noise does
        roots = np.linalg.inv(np.linalg.cholesky(spreads))
        self.means = [part.mean(0).astype(np.float32) for part in parts]
        self.roots = [root.T.astype(np.float32) for root in roots]
        self.levels = [
            np.log(len(part) / count) + np.log(np.diag(root)).sum() for part, root in zip(parts, roots, strict=True)
        ]

    def __call__(self, colours: Floats) -> Floats:
        """(k, n): the log-likelihood of each colour (n, 3) under each Gaussian, but for a constant."""
        scores = np.empty((len(self.means), len(colours)), np.float32)
        for k, (mean, root, level) in enumerate(zip(self.means, self.roots, self.levels, strict=True)):
            white = (colours - mean) @ root
            scores[k] = np.float32(level) - np.einsum("ij,ij->i", white, white) / 2
        return scores


def _split(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Labels of a first division: the widest part is split across its longest axis, again and again."""
    label = np.zeros(len(samples), np.intp)
    for k in range(1, COMPONENTS):
        parts = [samples[label == j] for j in range(k)]
        widest = int(
            np.argmax([np.linalg.eigvalsh(_spread(part))[-1] * len(part) if len(part) else -1 for part in parts])
        )
        axis = np.linalg.eigh(_spread(parts[widest]))[1][:, -1]
        label[np.flatnonzero(label == widest)[(parts[widest] - parts[widest].mean(0)) @ axis > 0]] = k
    return label


def _spread(colours: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The covariance (3, 3) of colours (n, 3)."""
    centred = colours - colours.mean(0)
    return centred.T @ centred / max(1, len(colours) - 1)


# ---- pictures and masks ----


def _seen(pixels: Colours) -> Floats:
    """(h, w, 3): brightness and two opponent colours."""
    red, green, blue = np.moveaxis(pixels.astype(np.float32) / 255, 2, 0)
    return np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], 2)


def _steps(seen: Floats) -> tuple[Floats, Floats]:
    """Squared differences of each pixel (h, w, 3) and the one below it, and of each and the one beside it."""
    return ((seen[1:] - seen[:-1]) ** 2).sum(2), ((seen[:, 1:] - seen[:, :-1]) ** 2).sum(2)


def _contrast(down: Floats, across: Floats) -> float:
    """The mean of all squared differences."""
    return float(down.sum() + across.sum()) / max(1, down.size + across.size)


def _box(left: float, top: float, right: float, bottom: float, pixels: Colours) -> Box:
    height, width = pixels.shape[:2]
    return max(0, int(top)), max(0, int(left)), min(height, int(bottom) + 1), min(width, int(right) + 1)


def _shrunk(pixels: Colours, longest: int) -> Colours:
    height, width = pixels.shape[:2]
    factor = min(1, longest / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX, reducing_gap=2.0))


def _resized(mask: Bools, size: tuple[int, ...]) -> Bools:
    grey = Image.fromarray(np.uint8(255) * mask).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(grey) > 127


def _blurred(mask: Bools, radius: int) -> Floats:
    """(h, w) in [0, 1]: blurred by a box twice."""
    grey = Image.fromarray(np.uint8(255) * mask)
    for _ in range(2):
        grey = grey.filter(ImageFilter.BoxBlur(radius))
    return np.asarray(grey).astype(np.float32) / np.float32(255)


def _reached(start: Bools, within: Bools) -> Bools:
    """What of `within` is connected to the start."""
    reached, count = start & within, -1
    while count != (count := int(reached.sum())):
        reached[1:] |= reached[:-1]
        reached[:-1] |= reached[1:]
        reached[:, 1:] |= reached[:, :-1]
        reached[:, :-1] |= reached[:, 1:]
        reached &= within
    return reached


def _spot(row: int, column: int, size: tuple[int, ...]) -> Bools:
    spot = np.zeros(size, np.bool_)
    spot[row, column] = True
    return spot


def _frame(size: tuple[int, ...]) -> Bools:
    """The border that lies round an array of a size."""
    return np.pad(np.zeros(size, np.bool_), 1, constant_values=True)
