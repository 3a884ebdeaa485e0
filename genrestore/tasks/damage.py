"""Find what of a picture is damage: the result is a mask."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genrestore.setting import setting
from genrestore.tasks.task import ImageToImage, enter

if TYPE_CHECKING:
    from torch import Tensor

    from genrestore.tasks.task import Batch


# Of mending an old photo, which is more than this task.
GROW = 2  # pixels by which what was found is widened before it is filled
MILD = 0.5  # strength at which an old photo's grain is taken out


@dataclass(frozen=True)
class Options:
    sensitivity: float = setting(
        0.5, "0 to 1; the higher, the more is found, and wrongly found.", "Sensitivity", within="[0, 1]"
    )


@enter
class Damage(ImageToImage):
    """`forward(image)`: (B, 3, H, W) → (B, 1, H, W), how likely each pixel is damage."""

    name = "damage"
    title = "Find damage"
    wish = "To find damage on prints"
    help = "Propose a mask of dust, scratches, creases, stains and writing."
    done = "damage"
    place = 50
    tab = "inpaint"
    function = "find_damage"
    options = Options
    exact = True
    pipeline = "image-segmentation"
    use = 'mask = genrestore.find_damage("photo.jpg", model="{}")  # (H, W) bool: what to fill'

    def start(self, before: "Tensor", batch: "Batch") -> "Tensor":
        return batch["image"].mean((2, 3), keepdim=True)
