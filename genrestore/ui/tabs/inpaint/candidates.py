"""Other fills of what a repair made of pieces, which the page offers under its stage; and where they disagree."""

import base64
import io
import threading
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from genrestore.pictures import image
from genrestore.ui.parts import jobs, mask_editor
from genrestore.ui.words import Words

PARTS = 4  # that are looked at, the largest first
MARGIN = 0.4  # of a part's longer side: what a thumbnail shows round it
THUMBNAIL = 192  # pixels of its longer side
HEAT = (255, 176, 0)  # of what was guessed
PLAIN, CERTAIN = 0.03, 0.25  # how far fills must be apart to be shown as guesses at all, and as fully so

W = Words("candidates")


class Candidates(jobs.Job):
    """The other fills of a repair, made one after the other while the page looks.

    Args:
        cancel: stops it.
        now: what was repaired.
        repaired: what came out.
        mask: as `repair` was given it, with the other `settings`.
    """

    def __init__(
        self,
        cancel: threading.Event,
        now: image.Picture,
        repaired: image.Picture,
        mask: np.ndarray,
        **settings: Any,
    ) -> None:
        super().__init__(cancel)
        self.now, self.repaired, self.mask, self.settings = now, repaired, mask, settings
        self.hole: np.ndarray = mask if settings["hole"] is None else settings["hole"]
        self.found: list[dict[str, Any]] = []  # what the page is to be told

    def work(self) -> None:
        from genrestore.pipelines import candidates
        from genrestore.pipelines.inpaint import planned

        known = {name: self.settings[name] for name in ("model", "forbidden", "strategy")}
        parts = [part for part in planned(self.now, self.hole, **known) if part.copied]
        parts = sorted(parts, key=lambda part: -int(part.pixels.sum()))[:PARTS]
        shown, *further = candidates.KINDS
        for k, part in enumerate(parts):
            fills = [candidates.Candidate(shown, self.repaired.pixels[candidates.box_slice(part.box)], None)]
            self.found.append(self._offer(k, part, fills[0]))
            for fill in candidates.candidates(
                self.now, self.mask, part, kinds=further, cancel=self.cancel, **self.settings
            ):
                if any(np.array_equal(fill.pixels[part.pixels], other.pixels[part.pixels]) for other in fills):
                    continue  # such as a polished one of pieces that were polished at once
                fills.append(fill)
                self.found.append(self._offer(k, part, fill))
            self.found.append({"part": k, "at": part.box[:2], "guesses": _heat(candidates.guesses(part, fills))})

    def _offer(self, k: int, part: Any, fill: Any) -> dict[str, Any]:
        top, left, bottom, right = part.box
        file = jobs.written(image.Picture(np.ascontiguousarray(fill.pixels)), "fill.png")
        return {
            "part": k,
            "kind": fill.kind,
            "thumbnail": self._thumbnail(part, fill),
            "fill": {
                "file": gr.FileData(path=str(file), orig_name=file.name).model_dump(),
                "inside": mask_editor.url(part.pixels & self.hole[top:bottom, left:right]),
                "at": (top, left),
            },
        }

    def _thumbnail(self, part: Any, fill: Any) -> str:
        """The part with its surroundings, a JPEG in a data URL."""
        top, left, bottom, right = part.box
        margin = round(MARGIN * max(bottom - top, right - left))
        first = max(0, top - margin), max(0, left - margin)
        pixels = self.repaired.pixels[first[0] : bottom + margin, first[1] : right + margin].copy()
        pixels[top - first[0] :, left - first[1] :][: bottom - top, : right - left][part.pixels] = fill.pixels[
            part.pixels
        ]
        small = Image.fromarray(self.repaired.with_pixels(pixels).rgb8())
        small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        small.save(data, "JPEG", quality=88)
        return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def _heat(guesses: np.ndarray) -> str:
    """Guesses (h, w; 0 to 1) as a colour to lay over them: a PNG in a data URL, the clearer the less was guessed."""
    strength = np.clip((guesses - PLAIN) / (CERTAIN - PLAIN), 0, 1)
    pixels = np.empty((*guesses.shape, 4), np.uint8)
    pixels[..., :3] = HEAT
    pixels[..., 3] = np.round(200 * strength)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
