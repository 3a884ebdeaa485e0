"""Pictures from latent vectors, and the directions in which a latent space changes most."""

import threading
import weakref
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image

from genrestore import runtime
from genrestore.errors import SettingError
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture
from genrestore.pipelines import made
from genrestore.pipelines.arguments import settled, whole
from genrestore.tasks.sample import MOST
from genrestore.tasks.task import LARGEST_SEED

LARGEST_TIMES, LARGEST_SIDE = 4096, 4096  # of an enlarged picture: the factor, and pixels a side
PROBES = 4  # places of the latent space at which `directions` looks
PROBE_STEP = 0.5  # how far it moves there, in standard deviations of z


def sample(
    model: str = "auto",
    n: int = 1,
    seed: int = 0,
    *,
    latent: Sequence[Any] | np.ndarray | None = None,
    truncation: float = 1.0,
    **conditions: Any,
) -> list[Image.Image]:
    """Draw `n` pictures. Picture k of seed s is the first picture of seed s + k, whatever else is drawn with it.

    Args:
        model: a reference (`genrestore.load`) of a model of task "sample".
        n: 1 to 256. With `latent`, its rows decide.
        seed: 0 to 2³¹ − 1.
        latent: (Z,) or (n, Z) numbers to decode instead of random ones; taken as they are, without truncation.
        truncation: factor on the random z, 0 to 2: smaller is more typical, larger more varied.
            Brock, Donahue & Simonyan, ICLR 2019, arXiv:1809.11096 (who redraw instead of scaling).
        conditions: what the net takes besides, such as a text, see `runtime.Model.under`.

    Raises:
        SettingError: an argument is out of its range.
        ModelError: there is no such model.
    """
    if latent is None:
        seeds(n, seed)  # refused before the net is loaded
    chosen = runtime.load(model, task="sample").under(**conditions)
    vectors = _random(chosen, n, seed, truncation) if latent is None else _given(chosen, latent)
    # One at a time: oneDNN rounds differently for other batch sizes, and equal seeds must give equal pixels.
    return [_picture(chosen, vector) for vector in vectors]


def signed(
    image: Image.Image,
    model: str,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    latent: Sequence[float] | None = None,
    times: int = 1,
    smooth: bool = False,
    told: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> Picture:
    """A drawn picture with its recipe, `times` as large.

    Args:
        latent: what it was drawn of, where that is not the seed's alone.
        told: the conditions.
        more: what else the recipe should tell; nothing follows it.
    """
    settings = {
        "truncation": truncation,
        "latent": None if latent is None else [float(value) for value in latent],
        **more,
    }
    if times > 1:
        settings |= {"times": times, "smooth": smooth}
    large = pictures.load(enlarged(image, times, smooth=smooth))
    return made.signed(large, None, "sample", model, {**settings, "told": dict(told) or None}, seed=seed)


def enlarged(image: Image.Image, times: int, *, smooth: bool) -> Image.Image:
    """A small picture for large screens: each pixel a square, or smoothed."""
    if times == 1:
        return image
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return image.resize((image.width * times, image.height * times), how)


def made_of(model: str, seed: int, settings: Mapping[str, Any]) -> Picture:
    """A picture drawn as a recipe says, with its recipe.

    Raises:
        SettingError: a setting makes no sense.
    """
    told, times = settings.get("told") or {}, whole("times", settings.get("times", 1), 1, LARGEST_TIMES)
    latent, truncation = settings.get("latent"), settings.get("truncation", 1.0)
    if not isinstance(told, dict) or {"model", "n", "seed", "latent", "truncation"} & told.keys():
        raise SettingError("The recipe's conditions make no sense; it cannot be followed.")
    drawn = sample(model, 1, seed, latent=latent, truncation=truncation, **told)[0]
    if max(drawn.size) * times > LARGEST_SIDE:
        raise SettingError(f"times must be small enough for {LARGEST_SIDE} pixels a side, not {times}.")
    kept = {name: settings[name] for name in ("a", "raw") if name in settings}
    smooth = settings.get("smooth") is True
    return signed(
        drawn, model, seed=seed, truncation=truncation, latent=latent, times=times, smooth=smooth, told=told, **kept
    )


def seeds(n: int, seed: int) -> range:
    """The seeds of `n` pictures from `seed` on.

    Raises:
        SettingError: n is not between 1 and 256, or a seed not between 0 and 2³¹ − 1.
    """
    count, first = whole("n", n, 1, MOST), whole("seed", seed, 0, LARGEST_SEED)
    return range(first, whole("the last seed", first + count - 1, 0, LARGEST_SEED) + 1)


def _random(chosen: runtime.Model, n: int, seed: int, truncation: float) -> np.ndarray:
    factor = settled("sample", truncation=truncation)["truncation"]
    return np.stack([factor * _draw(chosen, each) for each in seeds(n, seed)])


def _draw(chosen: runtime.Model, seed: int) -> np.ndarray:
    seed = whole("seed", seed, 0, LARGEST_SEED)
    return torch.randn(chosen.net.latent, generator=torch.Generator().manual_seed(seed)).numpy()


def _given(chosen: runtime.Model, latent: Sequence[Any] | np.ndarray) -> np.ndarray:
    try:
        vectors = np.atleast_2d(np.array(latent, dtype=np.float32))
    except (TypeError, ValueError):
        raise SettingError("latent must be rows of numbers.") from None
    if vectors.ndim != 2 or vectors.shape[1] != chosen.net.latent:
        raise SettingError(
            f"latent must have {chosen.net.latent} numbers a picture for {chosen.card.name}, not shape {vectors.shape}."
        )
    if not 1 <= len(vectors) <= MOST:
        raise SettingError(f"latent must hold between 1 and {MOST} rows, not {len(vectors)}.")
    if not np.isfinite(vectors).all():
        raise SettingError("latent must hold finite numbers only.")
    return vectors


def _picture(chosen: runtime.Model, vector: np.ndarray) -> Image.Image:
    pixels = chosen.decode(torch.from_numpy(vector)[None].float())[0]  # (C, H, W)
    samples = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def latent(model: str = "auto", seed: int = 0) -> np.ndarray:
    """The z of a seed: (Z,) float32, standard normal, before truncation."""
    return _draw(runtime.load(model, task="sample"), seed)


def size(model: str = "auto") -> tuple[int, int, int]:
    """Width and height of the model's pictures, and the length Z of its latent vector."""
    chosen = runtime.load(model, task="sample")
    width, height = _picture(chosen, np.zeros(chosen.net.latent, dtype=np.float32)).size
    return width, height, chosen.net.latent


def directions(model: str = "auto", count: int = 8) -> np.ndarray:
    """(count, Z) unit vectors along which the picture changes most, strongest first; orthogonal to each other.

    They are the first eigenvectors of the mean of JᵀJ, J the change of the pixels with z, by finite differences at a few
    random places; after Ramesh, Choi & LeCun, "A spectral regularizer for unsupervised disentanglement", 2018,
    arXiv:1812.01161.

    Raises:
        SettingError: count is not between 1 and Z.
    """
    chosen = runtime.load(model, task="sample")
    count = whole("count", count, 1, chosen.net.latent)
    with _finding:  # the first two who ask must not both compute
        if chosen not in _known:
            _known[chosen] = _principal(chosen)
        return _known[chosen][:count]


_finding = threading.Lock()
# by a weak key, so that no net stays loaded for this
_known: "weakref.WeakKeyDictionary[runtime.Model, np.ndarray]" = weakref.WeakKeyDictionary()


def _principal(chosen: runtime.Model) -> np.ndarray:
    """All Z of them."""
    length = chosen.net.latent
    total = torch.zeros(length, length)
    for place in range(PROBES):
        centre = torch.from_numpy(_draw(chosen, place))
        moved = torch.cat([centre[None], centre + PROBE_STEP * torch.eye(length)])
        pictures = chosen.decode(moved).flatten(1)
        change = pictures[1:] - pictures[:1]  # (Z, pixels)
        total += change @ change.T
    rows = torch.linalg.eigh(total).eigenvectors.T.flip(0)
    # An eigenvector's sign is arbitrary: let the largest component be positive, so that every machine agrees.
    signs = torch.gather(rows, 1, rows.abs().argmax(1, keepdim=True)).sign()
    return (rows * signs).numpy()
