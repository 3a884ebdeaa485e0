"""The Upscale tab: it has a scale or a size to set, and says before what that will take."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from genrestore import tasks
from genrestore.errors import GenrestoreError
from genrestore.pictures import image
from genrestore.ui.parts import chooser, jobs
from genrestore.ui.parts.mask_editor import MaskEditor
from genrestore.ui.tabs import image_to_image
from genrestore.ui.tabs.image_to_image import Seen, seen, told_bytes, told_size
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

SCALES = (2, 3, 4)
SCALE = 4
LARGEST_SIDE = 1 << 16  # pixels that a field is filled with

W = Words("upscale")


class Tab(image_to_image.Tab):
    def lay(self) -> list[Any]:
        scales = [(f"{times}×", times) for times in SCALES]
        return [gr.Radio(scales, value=SCALE, label=W("scale"), elem_id="upscale-scale")]

    def lay_settings(self) -> list[Any]:
        with gr.Row():
            # No bounds: Gradio would refuse in English and leave an old quote; `quoted` says what is wrong.
            width = gr.Number(0, label=W("width"), precision=0, min_width=100, elem_id="upscale-width")
            height = gr.Number(0, label=W("height"), precision=0, min_width=100, elem_id="upscale-height")
        gr.Markdown(W("size_hint"))
        return [width, height]

    def lay_quote(self) -> gr.Markdown:
        return gr.Markdown(image_to_image.W("none"), elem_id="upscale-quote")

    def settings(self, given: Sequence[Any]) -> dict[str, Any]:
        scale, width, height = given
        return {"scale": scale, "width": _whole(width), "height": _whole(height)}

    def again(self, settings: dict[str, Any]) -> list[Any]:
        scale, *size = (settings.get(name) for name in ("scale", "width", "height"))
        sides = [gr.update(value=side if type(side) is int and 0 < side <= LARGEST_SIDE else 0) for side in size]
        return [gr.update(value=int(scale)) if scale in SCALES else gr.skip(), *sides]

    def size(self, seen: Seen, settings: dict[str, Any], model: str) -> tuple[int, int]:
        cost = _cost(seen, settings, model)
        return cost.width, cost.height

    def quoted(self, request: gr.Request, value: object, kind: str, model: str, *given: Any) -> str:
        """The picture or the settings changed: the result's size and what it will take, or why it cannot be."""
        if not chooser.chosen(value):
            return image_to_image.W.text("none", request)
        try:
            found, settings = seen(MaskEditor.file(value)), self.asked(model, given)
            self.plan(found, settings, kind, model)
            cost = _cost(found, settings, model)
        except GenrestoreError as problem:
            return escape(translated(problem, request))
        return W.text(
            "quote",
            request,
            before=told_size(found.width, found.height),
            after=told_size(cost.width, cost.height),
            megapixels=f"{cost.megapixels:.1f}" if cost.megapixels >= 1 else f"{cost.megapixels:.2g}",
            tenthousands=f"{100 * cost.megapixels:,.0f}",
            time=jobs.duration(cost.seconds, request),
            memory=told_bytes(cost.peak_bytes),
        )

    def name(self, source: Path, before: image.Picture, after: image.Picture) -> str:
        """photo.jpg → photo.x4.jpg, or photo.1920x1080.jpg where the result is no whole multiple."""
        times, rest = divmod(after.width, before.width)
        label = f"x{times}" if not rest and after.height == times * before.height else f"{after.width}x{after.height}"
        return image.beside(source, label, image.suffix(after)).name


def build() -> gr.Dropdown:
    """Lay out the tab inside the gr.Tab that is open; returns its list of models."""
    return TAB.build()


TAB = Tab(tasks.find("upscale"))


def _cost(found: Seen, settings: dict[str, Any], model: str) -> Any:
    """The quote of the task.

    Raises:
        GenrestoreError: what is asked for cannot be.
    """
    from genrestore.pipelines import upscale

    size = {"to_width": settings["width"], "to_height": settings["height"]}
    return upscale.quote(found.width, found.height, settings["scale"], model, **size)


def _whole(number: float | None) -> int | None:
    return int(number) if number else None
