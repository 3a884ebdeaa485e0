"""The pictures that visitors work on, decoded once: each pause of a brush and each click on an object asks for one again."""

import threading
from collections import OrderedDict
from pathlib import Path

from genrestore.pictures import image

BYTES = 128 * 2**20  # of the pixels of all that are kept: three photos of 12 megapixels


class Recent:
    """The pictures in files that were last asked for, of all visitors together, up to so many bytes of pixels."""

    def __init__(self, most: int = BYTES) -> None:
        self.most = most
        self.kept: OrderedDict[tuple[str, int, int], image.Picture] = OrderedDict()
        self.lock = threading.Lock()

    def load(self, path: Path) -> image.Picture:
        """The picture in a file as it is now; its pixels are not to be written to, for others may have them too.

        Raises:
            ImageError: as `image.load`.
        """
        try:
            found = path.stat()
        except OSError:
            return image.load(path)  # which tells why
        key = str(path), found.st_mtime_ns, found.st_size
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        picture = image.load(path)
        picture.pixels.flags.writeable = False
        if picture.pixels.nbytes > self.most:
            return picture  # nor may it drive out those of all others
        with self.lock:
            self.kept[key] = picture
            while sum(other.pixels.nbytes for other in self.kept.values()) > self.most:
                self.kept.popitem(last=False)
        return picture


load = Recent().load
