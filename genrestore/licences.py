"""Licences of pictures, as people name them."""

from genrestore.errors import TrainingError, nearest

# Licences that can be named in one word: SPDX identifiers, and three for pictures that have none of these.
LICENCES = (
    "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0", "CC-BY-SA-4.0", "CC-BY-SA-3.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0",
    "MIT", "Apache-2.0", "GPL-2.0-or-later", "GPL-3.0-or-later", "OFL-1.1", "Unlicense", "own", "public-domain", "unknown",
)  # fmt: skip
OTHER = "other: "  # leads a licence in words


def licence_told(named: str) -> str:
    """A licence as people read it: what `licence_named` gave, without the word that leads a licence in words."""
    return named.removeprefix(OTHER)


def licence_named(text: str) -> str:
    """The licence as it is written: one of LICENCES whatever its case, or "other: " and words.

    Raises:
        TrainingError: nothing was named, or it is neither.
    """
    text = text.strip()
    for known in LICENCES:
        if text.lower() == known.lower():
            return known
    if text.lower().startswith(OTHER.strip()) and text[len(OTHER.strip()) :].strip():
        return OTHER + text[len(OTHER.strip()) :].strip()
    if not text:
        raise TrainingError(
            "Name the licence of the pictures, for the model's card: own if they are yours, else for example CC-BY-4.0."
        )
    hint = nearest(text, LICENCES, f"Known are {', '.join(LICENCES)}.")
    raise TrainingError(f"There is no licence named {text!r}. {hint} Any other is written 'other: its words'.")
