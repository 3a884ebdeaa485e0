"""Texts as nets take them: bytes of UTF-8."""

import numpy as np

LENGTH = 128  # bytes of a caption that a net gets


def letters(text: str) -> np.ndarray:
    """(128,) uint8: UTF-8 cut at a whole letter, zeros behind."""
    cut = text.encode("utf-8", "replace")[:LENGTH].decode("utf-8", "ignore").encode()
    return np.frombuffer(cut.ljust(LENGTH, b"\0"), np.uint8)
