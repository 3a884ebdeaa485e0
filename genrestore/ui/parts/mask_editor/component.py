"""The component: its layout, what handlers get from it and what they tell it."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import numpy as np

from genrestore.errors import ImageError, MaskError, SettingError
from genrestore.pictures import image
from genrestore.pipelines.growth import EDGE, HAND
from genrestore.recipe import RunRecipe
from genrestore.tasks.damage import Options
from genrestore.tasks.inpaint import LARGEST_GROWTH
from genrestore.ui.parts import jobs, toasts
from genrestore.ui.parts.component import component
from genrestore.ui.parts.mask_editor import recent
from genrestore.ui.parts.mask_editor.checks import entries, mask_of, uploaded, url
from genrestore.ui.parts.mask_editor.questions import detail, frame, inspect, mask, preview, select
from genrestore.ui.words import Words

W = Words("mask_editor")
MOST_RECIPE = 256 << 10  # bytes of how a repair was made that the page keeps; large masks are left out of it
UNFIT = "What was repaired so far does not fit this picture; open the photo again."
SCRIPTS = (
    "state",
    "mask",
    "png",
    "growth",
    "opening",
    "view",
    "painting",
    "wand",
    "object",
    "keys",
    "pointers",
    "history",
    "stage",
    "candidates",
    "old_photo",
    "keep",
    "page",
)  # in the order in which they are put together; the last one acts, the others only define


class MaskEditor:
    """`MaskEditor(...)` lays out a gr.HTML; handlers get its value and give it to `MaskEditor.read`.

    The value is {"file": a Gradio file, "mask": data URL, "forbid": data URL or None, "painted": data URL or None, "grow":
    pixels, "w": width, "h": height, "state": what repairs have made of it, "sensitivity": 0 to 1, how
    much is taken for damage, "kind": one of the formats, "run" and "of": the
    names of this question and of what is shown, "sure": whether more than half is meant}, or None while there is no picture.
    What is painted is grown by a margin unless the visitor wants none; the mask is what it grew to. `repair` is set off
    when the picture is to be repaired, `damage` and `clean` when an `old` photo is to be looked at or its grain taken out,
    `resave` when what is repaired already is to be written in another format, `recall` when a result was opened that tells
    how it was made; the editor is their first input, and `asked` or `latest` give it; so do `others`, which asks for other
    fills of a repair, and `take`, which puts one into the picture.
    A handler returns `MaskEditor.answer(value, …)` to a `MaskEditor.ear(elem_id)` of its event, as often as there is something
    to tell; the page drops what answers a question that it no longer asks.

    Not a subclass of gr.HTML, because Gradio writes a .pyi file beside every subclass that it meets.
    """

    def __new__(
        cls,
        *,
        elem_id: str,
        label: Any = None,
        examples: Sequence[Path] = (),
        formats: Sequence[str] = (),
        names: Sequence[Words] = (),
        functions: Sequence[Callable[..., Any]] = (),
        old: bool = False,
    ) -> gr.HTML:
        """The empty editor, inside the layout that is open; `label` names it to screen readers, `names` the formats and, by
        the stems of their files, the examples. Of `functions`, the page asks `stop` to end the work of a name, and
        `outlook` where a repair may fail. `old`: it offers to find damage, as sensitive as the value says, and to mend old
        photos."""
        gr.set_static_paths([*examples, *filter(Path.is_file, map(_marked, examples))])
        return component(
            "parts/mask_editor/editor",
            {
                "examples": list(map(_example, examples)),
                "formats": list(formats),
                "old": old,
                "sensitivity": Options().sensitivity,
                "growth": {"edge": EDGE, "hand": HAND, "most": LARGEST_GROWTH},
            },
            label=label,
            elem_id=elem_id,
            shared=("parts/full_screen", *(f"parts/mask_editor/{name}" for name in SCRIPTS)),
            server_functions=[inspect, frame, preview, detail, mask, select, *functions],
            words=W.by_language(jobs.W, toasts.W, *names),
        )

    @staticmethod
    def ear(elem_id: str) -> gr.HTML:
        """What the answers of one event go to, seen by nobody. Each event has its own: where two answers come to one at a time,
        the page hears but the last."""
        heard = f"{_stage(elem_id)}.answered(props.value.answer)"
        return gr.HTML(
            html_template="<span></span>",
            js_on_load=f'watch("value", () => props.value?.answer && {heard});',
            apply_default_css=False,
            visible="hidden",
        )

    @staticmethod
    def latest(elem_id: str) -> str:
        """JavaScript that waits for the upload and the last stroke before an event is sent; for `repair` see `asked`."""
        return f"async (_, ...others) => [await {_stage(elem_id)}.value(), ...others]"

    @staticmethod
    def asked(elem_id: str, event: str = "repair") -> str:
        """The same for `repair`, whose answers are for what was marked at that moment, for `others` and for `take`."""
        return f"async (_, ...others) => [await {_stage(elem_id)}.asked.{event}(), ...others]"

    @staticmethod
    def again(elem_id: str) -> str:
        """JavaScript that has what is repaired already written anew."""
        return f"() => {_stage(elem_id)}.resave()"

    @staticmethod
    def failed(elem_id: str, event: Literal["repair", "resave", "take"] = "repair") -> str:
        """JavaScript for when no answer will come."""
        return f"() => {_stage(elem_id)}.failed.{event}()"

    @staticmethod
    def file(value: object) -> Path:
        """The picture's file.

        Raises:
            ImageError: the value names none, or one that was not uploaded here.
        """
        return uploaded(entries(value).get("file"))

    @staticmethod
    def photo(value: object) -> image.Picture:
        """The picture as it was opened; its pixels are not to be written to.

        Raises:
            ImageError: as `file`, or it cannot be read.
        """
        return recent.load(MaskEditor.file(value))

    @staticmethod
    def read(value: object) -> tuple[image.Picture, np.ndarray, dict[str, Any]]:
        """The picture; what is to be filled, (H, W) bool of its size, which may be nothing; and how that is said to
        `pipelines.inpaint.repair`: `mask`, what the visitor marked, `grow`, `hole`, what that grew to, and `forbidden`.

        Raises:
            ImageError: no uploaded picture, or one that cannot be read.
            MaskError: no mask, or one that is no PNG, too large, of another size, or not grown from what was marked.
        """
        picture = MaskEditor.photo(value)
        given = entries(value)
        hole = mask_of(given.get("mask"), picture)
        forbidden = None if (url := given.get("forbid")) is None else mask_of(url, picture)
        if (url := given.get("painted")) is None:
            return picture, hole, {"mask": hole, "grow": 0, "hole": None, "forbidden": forbidden}
        painted, grow = mask_of(url, picture), given.get("grow")
        if type(grow) is not int or not 0 < grow <= LARGEST_GROWTH or (painted & ~hole).any():
            raise MaskError("The mask is not what was painted, grown; paint it in the editor.")
        return picture, hole, {"mask": painted, "grow": grow, "hole": hole, "forbidden": forbidden}

    @staticmethod
    def reached(value: object, picture: image.Picture) -> tuple[image.Picture, np.ndarray]:
        """What repairs have made of the picture so far, and where they filled it, (H, W) bool; all else is as in its file.

        Raises:
            ImageError: it is no longer on the server, or does not fit the picture.
            MaskError: as for `read`.
        """
        state = entries(value).get("state")
        if state is None:
            return picture, np.zeros((picture.height, picture.width), bool)
        touched = mask_of(entries(state).get("touched"), picture)
        base = image.load(uploaded(entries(state).get("base"))).pixels
        pixels, count = picture.pixels.copy(), int(touched.sum())
        if base.shape != (*_sheet(count), picture.channels) or base.dtype != pixels.dtype:
            raise ImageError(UNFIT)
        pixels[touched] = base.reshape(-1, picture.channels)[:count]
        return replace(picture, pixels=pixels, recipe=_recipe(entries(state).get("recipe"))), touched

    @staticmethod
    def told_apart(value: object) -> tuple[Hashable, ...]:
        """A key for what `reached` gives of this value.

        Raises:
            ImageError: as `file`.
        """
        state = entries(value).get("state")
        base = None if state is None else uploaded(entries(state).get("base"))
        return recent.stamp(MaskEditor.file(value)), base, str(entries(state).get("touched")) if base else ""

    @staticmethod
    def state(repaired: image.Picture, touched: np.ndarray) -> dict[str, Any]:
        """What the page sends back for `reached`: which pixels were filled, and those without loss, line by line in a PNG, so
        that it costs what was filled, wherever that lies.

        Raises:
            OSError: the disk is full.
        """
        filled = repaired.pixels[touched]
        sheet = np.zeros((*_sheet(len(filled)), repaired.channels), filled.dtype)
        sheet.reshape(-1, repaired.channels)[: len(filled)] = filled
        base = jobs.written(image.Picture(sheet), "base.png")
        told = repaired.recipe.text(MOST_RECIPE) if repaired.recipe else None
        return {
            "base": gr.FileData(path=str(base), orig_name=base.name).model_dump(),
            "touched": url(touched),
            "recipe": told,
        }

    @staticmethod
    def refilled(value: object, now: image.Picture, touched: np.ndarray) -> image.Picture:
        """What was repaired so far, `now`, with another fill of a part of what was filled, `touched`.

        Raises:
            ImageError: the fill is no longer on the server.
            MaskError: it does not fit.
        """
        from genrestore.pipelines.candidates import taken

        fill = entries(entries(value).get("fill"))
        pixels = image.load(uploaded(fill.get("file"))).pixels
        match fill.get("at"):
            case [int(top), int(left)]:
                return taken(now, touched, pixels, mask_of(fill.get("inside"), image.Picture(pixels)), (top, left))
            case _:
                raise ImageError(UNFIT)

    @staticmethod
    def answer(value: object, **facts: Any) -> dict[str, Any]:
        """What a handler tells of the question in `value`.

        Args:
            facts: while it works `fraction` (0 to 1), `text` and `glimpse`; at its end `scene`, what it made of it; of `damage`,
                `marks`, a mask; or
                `problem`, a sentence, with `ask` where the visitor may mean it all the same; or nothing, if it failed. To
                `resave`, `rewritten` with the new parts of that scene, or `unwritten` with the problem, None if it failed.
                To `others`, all `offers` so far, and at last `complete`. To `take`, `taken` with the parts of a scene, or
                `untaken` with the problem.
        """
        asked = entries(value)
        return {"answer": {"run": asked.get("run"), "of": asked.get("of"), **facts}}


def _recipe(text: object) -> RunRecipe | None:
    """How it was made so far, as the page has kept it."""
    try:
        return RunRecipe.parse(text) if isinstance(text, str) else None
    except SettingError:
        return None


def _sheet(count: int) -> tuple[int, int]:
    """(height, width) of the sheet, nearly square, that holds so many pixels."""
    width = math.isqrt(max(count - 1, 0)) + 1
    return -(-count // width), width


def _stage(elem_id: str) -> str:
    return f"document.querySelector('#{elem_id} .mask-editor').editor"


def _example(path: Path) -> dict[str, Any]:
    """What the page is told of an example: its file, and that of a mask to begin with, where there is one."""
    mask = _marked(path)
    known = gr.FileData(path=str(mask)).model_dump() if mask.is_file() else None
    return {"photo": gr.FileData(path=str(path)).model_dump(), "mask": known}


def _marked(example: Path) -> Path:
    return example.with_suffix(".mask.png")
