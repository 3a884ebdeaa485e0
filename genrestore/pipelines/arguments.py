"""Arguments of calls, checked before the work."""

import math
import operator
from typing import Any

from genrestore import tasks
from genrestore.errors import SettingError
from genrestore.setting import checked, options, shortened


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
        raise SettingError(f"{wanted}, not {shortened(value)}.") from None
    if not low <= count <= high:
        raise SettingError(f"{wanted}, not {shortened(count)}.")
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
        raise SettingError(f"{name} must be a number, not {shortened(value)}.")
    return amount


def settled(task: str, **given: Any) -> dict[str, Any]:
    """The options of a task as it declares them.

    Raises:
        SettingError: one is out of its range.
    """
    return checked(options(tasks.find(task).options), given, task)
