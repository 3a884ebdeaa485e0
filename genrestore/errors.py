"""What can go wrong in a way that a person can mend. Every message is one sentence that says what to do."""

import difflib
from collections.abc import Iterable
from threading import Event


class GenrestoreError(Exception):
    """A mistake in the input or a limit that was reached; shown as one line, exit code 2."""


class ImageError(GenrestoreError):
    """A picture that cannot be read, is too large, or cannot be written as asked."""


class MaskError(GenrestoreError):
    """A mask that does not fit its picture or marks nothing."""


class ModelError(GenrestoreError):
    """A model or weight that does not exist, does not fit the task, or is damaged."""


class SettingError(GenrestoreError):
    """An argument out of its range."""


class TrainingError(GenrestoreError):
    """A training that cannot begin or go on."""


class Cancelled(GenrestoreError):
    """The caller set the `cancel` event; nothing was written."""


def stop_if(cancel: Event | None, sentence: str = "Cancelled; nothing was written.") -> None:
    """Raises:
    Cancelled: `cancel` is set; in this sentence.
    """
    if cancel is not None and cancel.is_set():
        raise Cancelled(sentence)


def nearest(name: str, known: Iterable[str], hint: str) -> str:
    """A sentence for a name that is not in a table: the nearest one there, whatever its case, else `hint`."""
    table = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name[:100].lower(), table, n=1)
    return f"Did you mean {table[near[0]]!r}?" if near else hint


def unknown(
    kind: str, name: str, known: Iterable[str], hint: str, error: type[GenrestoreError] = ModelError
) -> GenrestoreError:
    """The error for a name that is not in a table: offers the nearest one, else `hint`."""
    told = name if len(name) <= 100 else f"{name[:100]}…"
    return error(f"There is no {kind} named {told!r}. {nearest(name, known, hint)}")
