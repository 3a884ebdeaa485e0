"""Enlarge a picture by a whole factor."""

from dataclasses import dataclass

from genrestore.card import Card
from genrestore.setting import setting
from genrestore.tasks.task import ImageToImage, enter

LARGEST_SCALE = 16  # of a net


@dataclass(frozen=True)
class Options:
    scale: float = setting(4.0, "How many times wider and higher.", "Scale", within=f"(1, {LARGEST_SCALE}]")
    width: int | None = setting(None, "Width to reach in pixels, instead of a scale.", "Width", within="[1, ∞)")
    height: int | None = setting(None, "Height to reach in pixels, instead of a scale.", "Height", within="[1, ∞)")
    strength: float = setting(
        0.0, "0 is faithful, 1 invents as much texture as the net can.", "Strength", within="[0, 1]"
    )


@enter
class Upscale(ImageToImage):
    """Its nets' `config.scale` is the factor s: `forward(image)`: (B, 3, H, W) → (B, 3, sH, sW)."""

    name = "upscale"
    title = "Upscale"
    wish = "To enlarge pictures"
    help = "Enlarge a picture."
    done = "enlarged"
    place = 20
    options = Options

    def misfit(self, card: Card) -> str:
        if 2 <= card.scale <= LARGEST_SCALE:
            return ""
        return f"the scale of a net that enlarges must be a whole number from 2 to {LARGEST_SCALE}"
