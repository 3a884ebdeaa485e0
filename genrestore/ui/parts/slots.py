"""Fields whose meaning is known only once a model is chosen: laid out ahead and unseen, then named, filled and shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from genrestore.setting import Option
from genrestore.ui.words.sentences import translated

ROOM = {"text": 2, "number": 4, "switch": 2}  # of each kind
COUNT = sum(ROOM.values())
KIND = {"int": "number", "float": "number", "str": "text", "bool": "switch"}


def laid(name: str) -> list[Any]:
    """The components, inside the layout that is open; handlers take and give their values in this order."""

    def made(kind: str, k: int) -> Any:
        common: dict[str, Any] = {"visible": False, "elem_id": f"{name}-{kind}-{k}"}
        if kind == "number":
            return gr.Number(None, min_width=150, **common)
        return gr.Textbox("", min_width=240, **common) if kind == "text" else gr.Checkbox(False, **common)

    return [made(kind, k) for kind, count in ROOM.items() for k in range(count)]


def shown(options: Sequence[Option], values: Mapping[str, Any] | None = None) -> list[Any]:
    """What makes the fields ask for these options, with the values that they have already."""
    updates: list[Any] = []
    for kind, places in _places(options).items():
        for one in places:
            if one is None:
                updates.append(gr.update(visible=False))
                continue
            value = (values or {}).get(one.name, one.usual)
            words = f" ({', '.join(one.setting.choices)})" if one.setting.choices else ""
            named: dict[str, Any] = {"label": translated(one.setting.label or one.name), "visible": True}
            if kind == "number":
                named["precision"] = 0 if one.kind == "int" else None
            updates.append(gr.update(value=value, info=translated(one.setting.help) + words, **named))
    return updates


def read(options: Sequence[Option], given: Sequence[Any]) -> dict[str, Any]:
    """What the fields say of these options; one that is empty is left to its usual value.

    Raises:
        SettingError: a value is out of its range.
    """
    places = [one for places in _places(options).values() for one in places]
    return {
        one.name: one.value(value) for one, value in zip(places, given, strict=True) if one and value not in (None, "")
    }


def _places(options: Sequence[Option]) -> dict[str, list[Option | None]]:
    """The option of each field by kinds, None of those that are not needed."""
    found: dict[str, list[Option | None]] = {}
    for kind, count in ROOM.items():
        fitting = [one for one in options if KIND[one.kind] == kind][:count]
        found[kind] = [*fitting, *[None] * (count - len(fitting))]
    return found
