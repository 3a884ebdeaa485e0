"""The Models tab."""

from genrestore.ui.tabs.models.tab import build

__all__ = ["build"]
