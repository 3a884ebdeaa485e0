"""A declared value: what it is called, does and takes. Checks, command lines, page and documents read it from here."""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")
ENDLESS = "∞"


@dataclass(frozen=True)
class Setting:
    """What the metadata of a dataclass field holds under "setting".

    Attributes:
        help: one sentence on what it does.
        label: as people call it; "" for what only command lines and files name.
        group: what it is shown with; "" = the page does not show it.
        within: the numbers that it takes, in the usual notation: "[0, 1)", "[1, ∞)"; "" = any.
        choices: the words that it takes, or that each of its words is one of; () = any.
    """

    help: str
    label: str = ""
    group: str = ""
    within: str = ""
    choices: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What it is called and does, and which words it takes, for a command's help."""
        words = f"{self.help[:-1]}: {', '.join(self.choices)}." if self.choices else self.help
        return f"{self.label}: {words}" if self.label else words

    def complaint(self, name: str, value: Any) -> str:
        """Why a value of the right type is refused, in one sentence; "" if it is not."""
        each = value if isinstance(value, tuple) else (value,)
        if self.choices:
            known = ", ".join(self.choices)
            if isinstance(value, tuple):
                unknown = sorted(set(value) - set(self.choices))
                return f"{name} takes {known}, not {unknown[0]!r}." if unknown else ""
            return "" if value in self.choices else f"{name} must be one of {known}, not {value!r}."
        if not self.within or all(self._holds(number) for number in each):
            return ""
        closed, low, high, closed_too = self._interval()
        if each is value:
            return f"{name} must be numbers in {self.within}, not {value}."
        if closed and high == math.inf:
            return f"{name} must be at least {low:g}, not {value}."
        if high == math.inf:
            return f"{name} must be above {low:g}, not {value}."
        if closed and closed_too:
            return f"{name} must lie between {low:.0f} and {high:.0f}, not {value}."
        return f"{name} must lie in {self.within}, not {value}."

    def _interval(self) -> tuple[bool, float, float, bool]:
        """Whether the lower end belongs to it, the ends, and whether the upper one does."""
        parts = INTERVAL.fullmatch(self.within)
        assert parts, f"{self.within} is no interval"
        low, high = (math.inf if end == ENDLESS else float(end) for end in parts.groups()[1:3])
        return parts[1] == "[", low, high, parts[4] == "]"

    def _holds(self, number: float) -> bool:
        closed, low, high, closed_too = self._interval()
        return (low <= number if closed else low < number) and (number <= high if closed_too else number < high)


def setting(usual: Any, help: str, *names: str, within: str = "", choices: tuple[str, ...] = ()) -> Any:
    """A field of a dataclass with its default; `names` are its label and the group that the page shows it in."""
    return dataclasses.field(default=usual, metadata={"setting": Setting(help, *names, within=within, choices=choices)})


def settings(kind: Any) -> dict[str, Setting]:
    """What a dataclass declares, by the names of its fields, in their order."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(kind) if "setting" in field.metadata}
