"""Filling without weights: a hole is made of pieces of the same picture."""

from genrestore.fill.exemplar import Filled, Settings, fill
from genrestore.fill.shared import Shared

__all__ = ["Filled", "Settings", "Shared", "fill"]
