"""The Train tab."""

from genrestore.ui.tabs.train.tab import build, limit

__all__ = ["build", "limit"]
