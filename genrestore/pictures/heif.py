"""HEIC, decoded in a process of its own.

Its decoders (libheif and libde265) are large, and damaged files make them fall over: here that ends a fresh process, in
which nothing else lives, with a bound on memory and time. This file is its program too, and imports little.
"""

import io
import subprocess
import sys
from typing import Any

from PIL import Image

SECONDS = 60  # of the decoder
MEMORY = 1 << 30  # bytes it may take, and
PIXEL = 24  # bytes more for each pixel


class HeifImage(Image.Image):
    """A picture of `size` (width, height), cut out of so many `pixels`, that is decoded as it is loaded.

    Raises:
        ValueError: by `load`: the file is damaged, is larger than its header says, or takes too much.
    """

    format = "HEIF"

    def __init__(self, data: bytes, size: tuple[int, int], pixels: int) -> None:
        super().__init__()
        self._data, self._mode, self._size, self._pixels = data, "RGB", size, pixels

    def load(self) -> Any:
        if self._data:
            decoded = _decoded(self._data, self._pixels)
            self._data, self._mode, self._size, self.im = b"", decoded.mode, decoded.size, decoded.im
        return super().load()


def _decoded(data: bytes, pixels: int) -> Image.Image:
    command = [sys.executable, "-P", __file__, str(pixels)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=2 * SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError("it takes too long to decode") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() if done.returncode == 1 else []
        raise ValueError(said[-1] if said else "its decoder gave up")
    head, _, samples = done.stdout.partition(b"\n")
    mode, width, height = head.decode("ascii").split()
    return Image.frombytes(mode, (int(width), int(height)), samples)


def main() -> None:
    """Decode standard input, of at most so many pixels: "mode width height", a new line and the samples."""
    pixels = int(sys.argv[1])
    try:
        import resource

        for kind, most in ((resource.RLIMIT_AS, MEMORY + PIXEL * pixels), (resource.RLIMIT_CPU, SECONDS)):
            _, bound = resource.getrlimit(kind)
            wanted = most if bound == resource.RLIM_INFINITY else min(most, bound)
            resource.setrlimit(kind, (wanted, wanted))
    except ModuleNotFoundError:  # Windows has no such bounds
        pass
    try:
        import pi_heif
    except ModuleNotFoundError:  # training needs it for HEIC alone
        sys.exit("it is a HEIC photo, for which pi-heif must be installed")
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    try:
        image = pi_heif.HeifImageFile(io.BytesIO(sys.stdin.buffer.read()))
        if image.width * image.height > pixels:
            raise ValueError("it is larger than its header says")
        image.load()
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except MemoryError:
        sys.exit("it is too large to decode")
    except Exception as problem:
        sys.exit(" ".join(str(problem).split()) or "its header makes no sense")
    sys.stdout.buffer.write(f"{image.mode} {image.width} {image.height}\n".encode() + image.tobytes())


if __name__ == "__main__":
    main()
