"""Where the measuring data lie for tests that use them; such tests skip where they are absent."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SHARED = Path(os.environ.get("GENRESTORE_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


def read_rgb(path: Path) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
