"""The Sample tab: sliders over a latent space and a picture that follows the hand.

All that defines a picture is one small JSON state. The browser keeps it (`live.js`) and sends it with each question:
`{"model": "vae-clothing", "seed": 7, "truncation": 0.8, "a": [0, 1.5], "raw": {"3": -0.4}}` stands for the latent
z = truncation · latent(model, seed) + Σ aᵢ · directionᵢ, in which `raw` then replaces single components.
"""

import base64
import dataclasses
import functools
import io
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
import numpy as np
from gradio.context import LocalContext
from PIL import Image

import genrestore
from genrestore import errors, weights
from genrestore.card import Card, name_of
from genrestore.errors import GenrestoreError, ModelError, SettingError
from genrestore.setting import Option, checked
from genrestore.ui.parts import more, picker, recipes
from genrestore.ui.parts.component import component
from genrestore.ui.parts.mask_editor.checks import uploaded
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

SEEDS = 2**31  # first seed that does not exist
SEED = 0  # where none is given
WIDEST = 2.0  # largest truncation
REACH = 4.0  # how far a slider goes to each side, in standard deviations of the latent
DIRECTIONS = 16  # principal directions that have a slider
LARGEST = 4096  # pixels a side of an enlarged download
HELD = 4096  # components of z that one state may hold
BARE = 128 * 128  # pixels up to which a picture travels unpacked: 64 KB of text
STRIP = 32  # pictures in one strip
AT_ONCE = 2  # pictures made at the same time; each takes one core
PATIENCE = 20  # seconds a visitor waits for a picture

W = Words("sample")


def _one_core() -> None:
    """What each painter begins with; torch is loaded only then."""
    from genrestore import runtime

    runtime.one_core()


_painters = ThreadPoolExecutor(AT_ONCE, "painter", _one_core)
_strips = threading.BoundedSemaphore(1)  # one strip at a time, so that thumbnails never fill the painters' queue


@dataclass(frozen=True)
class State:
    """All that defines one picture."""

    model: str
    seed: int = SEED
    truncation: float = 1.0
    a: tuple[float, ...] = ()  # one number for each principal direction, strongest first
    raw: tuple[tuple[int, float], ...] = ()  # (index, value) of the components of z that are held
    told: tuple[tuple[str, Any], ...] = ()  # (name, value) of the model's conditions, such as a text

    @classmethod
    def from_json(cls, data: object) -> "State":
        """The state a browser sent, with every value checked.

        Raises:
            SettingError: it is not such a state, or a number is out of its range.
            ModelError: no weight of the task "sample" has that name.
        """
        if not isinstance(data, dict):
            raise SettingError("Send one JSON object with model, seed, truncation, a, raw and told.")
        given = cast(dict[str, Any], data)
        if extra := set(given) - {field.name for field in dataclasses.fields(cls)}:
            raise SettingError(
                f"A picture has no setting {_short(min(extra))}; use model, seed, truncation, a, raw, told."
            )
        a, raw = given.get("a", []), given.get("raw", {})
        if not isinstance(a, list) or len(a := cast(list[Any], a)) > DIRECTIONS:
            raise SettingError(f"a must be a list of at most {DIRECTIONS} numbers.")
        if not isinstance(raw, dict) or len(raw := cast(dict[str, Any], raw)) > HELD:
            raise SettingError(f'raw must be an object of at most {HELD} numbers such as {{"3": -0.4}}.')
        told = given.get("told", {})
        if not isinstance(told, dict):
            raise SettingError("told must be an object of names and values.")
        card = _card(given.get("model"))
        return cls(
            model=card.name,
            seed=_seed(given.get("seed", SEED)),
            truncation=_number("truncation", given.get("truncation", 1.0), 0.0, WIDEST),
            a=tuple(_number("a", value, -REACH, REACH) for value in a),
            raw=tuple((_index(key), _number("raw", value, -REACH, REACH)) for key, value in raw.items()),
            told=tuple(sorted(checked(card.inputs, cast(dict[str, Any], told), card.name).items())),
        )

    def z(self) -> np.ndarray:
        """The latent vector, float32 of shape (Z,).

        Raises:
            SettingError: `a` or `raw` has more numbers than the latent.
        """
        from genrestore.pipelines.sample import directions, latent

        z = np.float32(self.truncation) * latent(self.model, self.seed)
        if any(self.a):
            z = z + np.asarray(self.a, np.float32) @ directions(self.model, len(self.a))
        for index, value in self.raw:
            if index >= len(z):
                raise SettingError(f"raw has the index {index}; {self.model} has the dimensions 0 to {len(z) - 1}.")
            z[index] = value
        return z.astype(np.float32)


def _card(name: object) -> Card:
    """The card of that name. Paths and Hub references are refused: a visitor must not choose what is read."""
    if isinstance(name, str) and name_of(
        name
    ):  # without a look at each model, which cost a slider more than its picture
        with suppress(ModelError):
            return weights.resolve(name, "sample")
    cards = {card.name: card for card in genrestore.list_models("sample")}
    if not isinstance(name, str) or name not in cards:
        raise errors.unknown("model", _short(name), cards, f"Models are {', '.join(cards) or 'not trained yet'}.")
    return cards[name]


def _seed(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < SEEDS:
        raise SettingError(f"seed must be a whole number from 0 to {SEEDS - 1}, not {_short(value)}.")
    return value


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:  # NaN fails too
        raise SettingError(f"{name} must be a number from {low:g} to {high:g}, not {_short(value)}.")
    return float(value)


def _index(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) < 8):
        raise SettingError(f"raw has the index {_short(key)}; use whole numbers from 0.")
    return int(key)


def _short(value: object) -> str:
    """A value for a message; what is not a plain one may be endless, so only its kind is named."""
    return str(value)[:40] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def _answered(question: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """A server function whose error becomes `{"problem": sentence}`, with "busy" where another try is worth it."""

    @functools.wraps(question)
    def answer(data: Any) -> dict[str, Any]:
        try:
            return question(data)
        except GenrestoreError as problem:
            return {"problem": translated(problem)}
        except TimeoutError:
            return {"problem": translated("The server is busy; try again in a moment."), "busy": True}

    return answer


def _paint(state: State) -> tuple[Image.Image, np.ndarray]:
    """The picture of a state and its latent (Z,), made when a painter is free.

    Raises:
        GenrestoreError: a setting does not fit the model, or the model cannot be loaded.
        TimeoutError: no painter was free for too long.
    """

    def work() -> tuple[Image.Image, np.ndarray]:
        z = state.z()
        return genrestore.sample(state.model, latent=z, **dict(state.told))[0], z

    painting = _painters.submit(work)
    try:
        return painting.result(PATIENCE)
    except TimeoutError:
        painting.cancel()
        raise


def _url(image: Image.Image, kind: str, **options: Any) -> str:
    """The picture as a data URL: nothing is written to the disk."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@_answered
def catalogue(_: Any) -> dict[str, Any]:
    """The models one can sample from; those whose first picture was chosen by eye come first."""
    cards = sorted(picker.offered("sample"), key=lambda card: card.first == 0)
    facts = zip(cards, picker.titles(cards), strict=True)
    return {
        "models": [
            {
                "name": card.name,
                "title": title,
                "about": translated(card.intended),
                "seed": card.first,
                "inputs": [_input(one) for one in card.inputs],
            }
            for card, title in facts
        ]
    }


def _input(one: Option) -> dict[str, Any]:
    """A condition for the browser, in the visitor's language."""
    low, high = (end if math.isfinite(end) else None for end in one.setting.bounds)
    words = {"label": translated(one.setting.label or one.name), "help": translated(one.setting.help)}
    choices = list(one.setting.choices)
    return {
        "name": one.name,
        "kind": one.kind,
        "usual": one.usual,
        "low": low,
        "high": high,
        "choices": choices,
        **words,
    }


@_answered
def picture(data: Any) -> dict[str, Any]:
    """The picture of a state, without loss, and its latent. A small picture comes as bare pixels, a larger one as WebP."""
    image, z = _paint(State.from_json(data))
    # As one text, since FastAPI looks at each number of a list by itself, which took as long as the picture.
    latent = {"z": ",".join(f"{value:.4g}" for value in z)}
    if image.width * image.height > BARE:
        return {"picture": _url(image, "WEBP", lossless=True, method=0, quality=0)} | latent
    pixels = base64.b64encode(image.convert("RGB").tobytes()).decode()
    return {"pixels": pixels, "width": image.width, "height": image.height} | latent


@_answered
def strip(data: Any) -> dict[str, Any]:
    """The pictures of some states of one model, one below the other, for thumbnails."""
    if not isinstance(data, list) or not 0 < len(given := cast(list[Any], data)) <= STRIP:
        raise SettingError(f"Send a list of 1 to {STRIP} states.")
    states = [State.from_json(entry) for entry in given]
    if len({state.model for state in states}) > 1:
        raise SettingError("All pictures of one strip must come from one model.")
    with _strips:
        images = [_paint(state)[0] for state in states]
    width, height = images[0].size
    sheet = Image.new("RGB", (width, height * len(images)))
    for place, image in enumerate(images):
        sheet.paste(image, (0, place * height))
    return {"picture": _url(sheet, "WEBP", quality=90, method=0)}


@_answered
def download(data: Any) -> dict[str, Any]:
    """The PNG of a state at the net's own size; its text chunk `genrestore` says how to make it again."""
    return _file(State.from_json(data), 1, smooth=False)


@_answered
def enlarged(data: Any) -> dict[str, Any]:
    """The same for `data["state"]`, `data["times"]` as large: in squares, or smoothed where `data["smooth"]` is true."""
    if not isinstance(data, dict):
        raise SettingError("Send one JSON object with state, times and smooth.")
    given = cast(dict[str, Any], data)
    times = given.get("times")
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= LARGEST:
        raise SettingError(f"times must be a whole number from 1 to {LARGEST}, not {_short(times)}.")
    return _file(State.from_json(given.get("state")), times, smooth=given.get("smooth") is True)


def _file(state: State, times: int, *, smooth: bool) -> dict[str, Any]:
    """{"name", "url"} of a PNG."""
    from genrestore.pictures import image as pictures
    from genrestore.pipelines.sample import signed

    image, z = _paint(state)
    size = image.width * times, image.height * times
    if max(size) > LARGEST:
        raise SettingError(f"{size[0]}×{size[1]} is too large; at most {LARGEST} pixels a side are made here.")
    made = signed(
        image,
        state.model,
        seed=state.seed,
        truncation=state.truncation,
        latent=z.tolist(),
        times=times,
        smooth=smooth,
        told=dict(state.told),
        a=list(state.a),
        raw={str(index): value for index, value in state.raw},
    )
    data = base64.b64encode(pictures.encode(made, format="PNG")).decode()
    label = f"-x{times}" if times > 1 else ""
    return {"name": f"{state.model}-{state.seed}{label}.png", "url": f"data:image/png;base64,{data}"}


@_answered
def recall(data: Any) -> dict[str, Any]:
    """The state of a result that was dropped here: {"state"}; or on which tab it was made."""
    from genrestore.pictures import image as pictures

    request = LocalContext.request.get(None)
    recipe = pictures.recipe(uploaded(data))
    if recipe is None:
        return {"problem": recipes.W.text("drop", request)}
    if recipe.task != "sample":
        return {"problem": recipes.elsewhere(recipe, request)}
    name = recipes.model(recipe)
    if name is None:
        return {"problem": recipes.W.text("model", request)}
    told = {key: recipe.settings[key] for key in ("truncation", "a", "raw", "told") if key in recipe.settings}
    state = State.from_json({"model": name, "seed": recipe.seed, **told})
    return {"state": {**dataclasses.asdict(state), "raw": dict(state.raw), "told": dict(state.told)}}


def png(state: dict[str, Any]) -> tuple[str, bytes]:
    """Name and bytes of the file that `download` gives.

    Raises:
        SettingError: as `State.from_json`.
        TimeoutError: no painter was free for too long.
    """
    file = _file(State.from_json(state), 1, smooth=False)
    return file["name"], base64.b64decode(file["url"].partition(",")[2])


def build() -> gr.HTML:
    """Lay out the tab inside the gr.Tab that is open; returns what takes {"model": name} as its value and shows that model."""
    live = component(
        "tabs/sample/live",
        shared=("parts/controls",),
        server_functions=[catalogue, picture, strip, download, enlarged, recall],
        elem_id="live",
        words=W.by_language(),
        seeds=SEEDS,
        largest=LARGEST,
        widest=WIDEST,
        reach=REACH,
        directions=DIRECTIONS,
    )
    more.more("sample", live)
    return live
