"""The example photographs, and what the page calls them."""

from pathlib import Path

from genrestore.ui.words import Words

PHOTOS = [Path(__file__).parents[1] / "examples" / f"{name}.jpg" for name in ("dog", "bulb", "guitar", "nyc", "sand")]
W = Words("examples")  # by the stems of the files
MARKS = Words("marks")  # what the masks beside them mark
