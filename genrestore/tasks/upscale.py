"""Enlarge a picture by a whole factor."""

from dataclasses import dataclass
from typing import Any

from genrestore.setting import setting
from genrestore.tasks.task import ImageToImage, enter

LARGEST_SCALE = 16  # of a net


@dataclass(frozen=True)
class Options:
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

    def misfit(self, config: dict[str, Any]) -> str:
        scale = config.get("scale")
        if type(scale) is int and 2 <= scale <= LARGEST_SCALE:
            return ""
        return f"the scale of a net that enlarges must be a whole number from 2 to {LARGEST_SCALE}"
