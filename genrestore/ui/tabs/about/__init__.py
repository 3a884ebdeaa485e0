"""The About tab."""

from genrestore.ui.tabs.about.tab import build

__all__ = ["build"]
