"""What a person asks for: pictures in, pictures out. No Gradio and no printing here; page and command line call these."""

import math
import operator
from typing import Any

from genrestore.errors import SettingError

LARGEST_SEED = 2**31 - 1


def whole(name: str, value: Any, low: int, high: int) -> int:
    """The argument `name` as a whole number between `low` and `high`.

    Raises:
        SettingError: it is something else.
    """
    wanted = f"{name} must be a whole number between {low} and {high}"
    given: Any = int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        count = operator.index(given)
    except TypeError:
        raise SettingError(f"{wanted}, not {_told(value)}.") from None
    if not low <= count <= high:
        raise SettingError(f"{wanted}, not {_told(count)}.")
    return count


def number(name: str, value: Any) -> float:
    """The argument `name` as a finite number.

    Raises:
        SettingError: it is something else.
    """
    try:
        amount = float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not math.isfinite(amount):
        raise SettingError(f"{name} must be a number, not {_told(value)}.")
    return amount


def _told(value: object) -> str:
    """The value for a sentence: short, and never so long that Python refuses to write it."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return f"one of {len(str(value)) if abs(value) < 10**4000 else 'thousands of'} digits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
