"""Filling without weights: a hole is made of pieces of the same picture."""

from genrestore.fill.exemplar import Filled, Settings, fill

__all__ = ["Filled", "Settings", "fill"]
