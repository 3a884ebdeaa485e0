"""The Sample tab."""

from genrestore.ui.tabs.sample.tab import build

__all__ = ["build"]
