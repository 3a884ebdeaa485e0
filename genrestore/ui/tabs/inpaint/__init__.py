"""The Inpaint tab."""

from genrestore.ui.tabs.inpaint.tab import build

__all__ = ["build"]
