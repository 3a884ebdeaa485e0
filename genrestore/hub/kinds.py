"""What a repository holds: a weight of ours, or something that another program wrote."""

from collections.abc import Collection
from typing import Any

from genrestore.errors import ModelError
from genrestore.references import Reference

LIBRARY = "genrestore"
CARD, CONFIG, README, SAMPLE = "card.json", "config.json", "README.md", "sample.webp"


def is_ours(wanted: Reference, files: Collection[str], config: Any) -> bool:
    """Whether genrestore wrote the weight that is asked for.

    Args:
        files: the paths of all that the repository holds.
        config: what its config.json says; None where it has none, or a card beside the weight makes that needless.
    """
    return wanted.beside + CARD in files or (isinstance(config, dict) and config.get("library_name") == LIBRARY)


def community(wanted: Reference, files: Collection[str]) -> ModelError:
    """What to say of a repository that others' programs wrote. Whoever reads such weights begins here."""
    there = ", ".join(sorted(name[:60] for name in files)[:5]) or "nothing"
    return ModelError(f"{wanted} is not a genrestore model: {wanted.beside}{CARD} is missing (it holds {there}).")
