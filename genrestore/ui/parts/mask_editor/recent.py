"""What was read or worked out for visitors' pictures, kept for a while: each pause of a brush, each click on an object and each
move of a slider asks for the same again."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from genrestore.pictures import image

BYTES = 128 * 2**20  # of the pixels of all pictures that are kept: three photos of 12 megapixels

T = TypeVar("T")
Stamp = tuple[str, int, int]  # of a file as it is now


def stamp(path: Path) -> Stamp:
    """What tells a file's content from another one's.

    Raises:
        OSError: it cannot be looked at.
    """
    found = path.stat()
    return str(path), found.st_mtime_ns, found.st_size


class Recent(Generic[T]):
    """What was last asked for, by all visitors together, up to so many bytes."""

    def __init__(self, most: int, size: Callable[[T], int]) -> None:
        self.most, self.size = most, size
        self.kept: OrderedDict[Hashable, T] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave for this key, or gives now; not to be written to, for others may have it too."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        made = make()
        if self.size(made) > self.most:
            return made  # nor may it drive out those of all others
        with self.lock:
            self.kept[key] = made
            while sum(map(self.size, self.kept.values())) > self.most:
                self.kept.popitem(last=False)
        return made


pictures: Recent[image.Picture] = Recent(BYTES, lambda picture: picture.pixels.nbytes)


def load(path: Path) -> image.Picture:
    """The picture in a file as it is now; its pixels are not to be written to.

    Raises:
        ImageError: as `image.load`.
    """

    def read() -> image.Picture:
        picture = image.load(path)
        picture.pixels.flags.writeable = False
        return picture

    try:
        key = stamp(path)
    except OSError:
        return read()  # which tells why
    return pictures.get(key, read)
