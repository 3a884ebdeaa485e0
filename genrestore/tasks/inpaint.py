"""Fill what a mask marks from its surroundings."""

from typing import TYPE_CHECKING, Any

from genrestore.tasks.task import ImageToImage, enter, given, made

if TYPE_CHECKING:
    from torch import Tensor

    from genrestore.tasks.task import Batch


EXEMPLAR = "exemplar"  # in place of a net's name: pieces of the picture


@enter
class Inpaint(ImageToImage):
    """`forward(image, mask, **conditions)`: (B, 3, H, W), (B, 1, H, W) with 1 = fill → (B, 3, H, W)."""

    name = "inpaint"
    title = "Inpaint"
    wish = "To repair pictures"
    help = "Repair the white part of a mask, or what was erased; all else stays as it is."
    done = "repaired"
    place = 10
    ways = (EXEMPLAR,)
    source = "compositeWithTrainedAlgorithmicMedia"
    use = 'genrestore.inpaint("photo.jpg", "mask.png", model="{}").save("repaired.png")'

    def example(self, net: Any, size: int) -> "tuple[Tensor, ...]":
        import torch

        mask = torch.zeros(1, 1, size, size)
        mask[..., size // 3 : size // 2, size // 4 : 3 * size // 4] = 1
        return made(size), mask

    def look(self, net: Any, batch: "Batch") -> "tuple[Tensor, Tensor]":
        image, mask = batch["image"], batch["mask"]
        return image * (1 - mask) + 0.5 * mask, net(image, mask, **given(net, batch)).clamp(0, 1)

    def under(self, batch: "Batch") -> "Tensor":
        return batch["mask"]

    def start(self, before: "Tensor", batch: "Batch") -> "Tensor":
        return before
