"""Take noise and the blocks of JPEG out of a picture."""

from dataclasses import dataclass

from genrestore.setting import setting
from genrestore.tasks.task import ImageToImage, enter


@dataclass(frozen=True)
class Options:
    strength: float = setting(1.0, "How much of the change is made, 0 to 1.", "Strength", "main", within="[0, 1]")


@enter
class Restore(ImageToImage):
    name = "restore"
    title = "Restore"
    wish = "To restore pictures"
    help = "Take noise and JPEG blocks out of a picture."
    done = "restored"
    place = 30
    options = Options
