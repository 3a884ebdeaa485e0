"""A declared value: what it is called, does and takes. Checks, command lines, page and documents read it from here."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from genrestore.errors import SettingError

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
    def described(self) -> str:
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

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of `within`, infinite where there is none."""
        return self._interval()[1:3] if self.within else (-math.inf, math.inf)

    @property
    def limits(self) -> dict[str, float]:
        """The same, and whether the ends belong to it, as JSON Schema says it."""
        if not self.within:
            return {}
        closed, low, high, closed_too = self._interval()
        ends = {"minimum" if closed else "exclusiveMinimum": low, "maximum" if closed_too else "exclusiveMaximum": high}
        return {name: int(end) if end.is_integer() else end for name, end in ends.items() if math.isfinite(end)}

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


# --- values with their names, for what is called by name -------------------------------------------------------------

KINDS = {"int": int, "float": float, "str": str, "bool": bool}  # what an option's value can be
NAMED = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}  # what JSON calls them
WANTED = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
SEVERAL = {"float": "numbers between commas", "str": "words between commas"}  # of options whose default is a tuple
COUNTED = 1 << 63  # to which nothing can count


@dataclass(frozen=True)
class Nothing:
    """Declares no value."""


@dataclass(frozen=True)
class Option:
    """A declared value with its name and default, as plain data: what a call takes, or a net that a card describes.

    Attributes:
        kind: one of KINDS; of each part, where the default is a tuple.
        usual: what holds where nobody says anything; None where that is for the net to find out.
    """

    name: str
    kind: str
    usual: Any
    setting: Setting

    def value(self, given: Any) -> Any:
        """A value or its text, in the option's type.

        Raises:
            SettingError: it is none that the option takes.
        """
        if given is None and self.usual is None:
            return None
        several = isinstance(self.usual, tuple)
        value = (_all_typed if several else _typed)(given, KINDS[self.kind])
        if value is None:
            raise SettingError(
                f"{self.name} must be {(SEVERAL if several else WANTED)[self.kind]}, not {shortened(given)}."
            )
        if complaint := self.setting.complaint(self.name, value):
            raise SettingError(complaint)
        return value

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "usual": self.usual, **dataclasses.asdict(self.setting)}

    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema says it."""
        one: dict[str, Any] = {"type": NAMED[self.kind], **self.setting.limits}
        if self.setting.choices:
            one["enum"] = list(self.setting.choices)
        if isinstance(self.usual, tuple):
            one = {"type": "array", "items": one}
        told = {"anyOf": [one, {"type": "null"}]} if self.usual is None else one
        return {**told, "description": self.setting.help}

    @classmethod
    def from_json(cls, data: Any) -> "Option":
        """Raises:
        ValueError: that is none.
        """
        given = data if isinstance(data, dict) else {}
        name, kind, words = given.get("name"), given.get("kind"), given.get("choices", [])
        if not (isinstance(name, str) and name.isidentifier() and isinstance(kind, str) and kind in KINDS):
            raise ValueError(f"{str(data)[:40]} is no option")
        if not isinstance(words, list | tuple):
            raise ValueError(f"the choices of {name[:40]} are no list")
        texts = {key: str(data.get(key, ""))[:500] for key in ("help", "label", "group", "within")}
        texts = {key: "".join(c if c.isprintable() else " " for c in text) for key, text in texts.items()}
        choices = tuple(str(word)[:100] for word in words if isinstance(word, str))
        if texts["within"] and not INTERVAL.fullmatch(texts["within"]):
            raise ValueError(f"{texts['within'][:40]} is no interval")
        option = cls(name, kind, data.get("usual"), Setting(**texts, choices=choices))
        low, high = option.setting.bounds  # raises where an end is no number
        if not low <= high:
            raise ValueError(f"{texts['within'][:40]} is no interval")
        try:
            option.value(option.usual)
        except SettingError as problem:
            raise ValueError(str(problem)) from None
        return option


def _typed(given: Any, kind: type) -> Any:
    """A value or its text in that type, or None."""
    try:
        if isinstance(given, bool) or kind is bool:
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            told = words.get(given.lower()) if isinstance(given, str) else given
            return told if isinstance(told, bool) and kind is bool else None
        if kind is str:
            return given if isinstance(given, str) else None
        number = kind(given.replace(",", "") if isinstance(given, str) and kind is int else given)
        if isinstance(given, str) or number == given:
            return number if math.isfinite(number) and abs(number) < (COUNTED if kind is int else 1e300) else None
    except (TypeError, ValueError, OverflowError):
        pass
    return None


def _all_typed(given: Any, kind: type) -> tuple[Any, ...] | None:
    """A list or a text with commas, each part in that type, or None."""
    parts = [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else given
    values = tuple(_typed(part, kind) for part in parts) if isinstance(parts, list | tuple) else (None,)
    return None if None in values else values


def options(kind: Any) -> tuple[Option, ...]:
    """What a dataclass of settings declares, with names and defaults."""
    found: list[Option] = []
    types = {field.name: get_args(field.type) or (field.type,) for field in dataclasses.fields(kind)}
    usual = {field.name: field.default for field in dataclasses.fields(kind)}
    for name, declared in settings(kind).items():
        of: list[Any] = [one for one in types[name] if one is not type(None)]
        found.append(Option(name, of[0].__name__, usual[name], declared))
    return tuple(found)


def conditions(net: Any) -> tuple[Option, ...]:
    """What a call of the net takes beside its picture or latent vector: its `Conditions`, each of which has a default."""
    return options(getattr(net, "Conditions", Nothing))


def checked(known: Sequence[Option], given: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """What was given, in the types of the options; what was not is left out.

    Raises:
        SettingError: there is no such option, or it does not take that; `whose` it is, for the sentence.
    """
    by_name = {one.name: one for one in known}
    for name in given:
        if name not in by_name:
            takes = f"it takes {', '.join(by_name)}" if by_name else "it takes nothing of that kind"
            raise SettingError(f"{whose} takes no {name}; {takes}.")
    return {name: by_name[name].value(value) for name, value in given.items()}


def named(pairs: Sequence[str], example: str) -> dict[str, str]:
    """["lr=1e-3"] → {"lr": "1e-3"}, a hyphen in a name being an underscore.

    Raises:
        SettingError: a pair has no equals sign; `example` shows one.
    """
    for pair in pairs:
        if "=" not in pair:
            raise SettingError(f"Write a setting as NAME=VALUE, for example {example}, not {pair!r}.")
    return {name.strip().replace("-", "_"): value.strip() for name, value in (pair.split("=", 1) for pair in pairs)}


def shortened(value: object) -> str:
    """The value for a sentence: short, and never so long that Python refuses to write it."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return f"one of {len(str(value)) if abs(value) < 10**4000 else 'thousands of'} digits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
