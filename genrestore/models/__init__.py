"""Every model file beside this one. To ask here is to have loaded them all, so the table is never half full."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrestore import errors, registry
from genrestore.registry import Adopted, Preset

LARGEST = 65_536  # of a number in a config

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def names(task: str | None = None) -> list[str]:
    """Names of the presets, of one task or all, sorted."""
    return sorted(name for name, preset in registry.presets.items() if task in (None, preset.task))


def find(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ModelError: there is none; the message offers the nearest name.
    """
    if name not in registry.presets:
        raise errors.unknown("preset", name, registry.presets, f"Presets are {', '.join(names())}.")
    return registry.presets[name]


def build(
    architecture: str, config: dict[str, Any], state: Callable[[], dict[str, Any]] = dict, folder: Path | None = None
) -> Any:
    """A net with fresh weights, from the two facts a weight file's header holds; of its tensors, where it has no preset, or
    of what lies in `folder`, where it is of several files.

    Raises:
        ModelError: no model file defines that architecture, or it has no such settings.
    """
    nets = {preset.architecture: preset for preset in registry.presets.values()} | registry.adopted
    if architecture not in nets:
        raise errors.unknown("architecture", architecture, nets, f"This version knows {', '.join(sorted(nets))}.")
    entry = nets[architecture]
    usual = {field.name: getattr(entry.config, field.name) for field in dataclasses.fields(entry.config)}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    for key, value in values.items():
        if key in usual and not _alike(value, usual[key]):
            raise errors.ModelError(f"These settings do not fit {architecture}: {key} = {repr(value)[:40]}.")
    try:
        made = type(entry.config)(**values)
        if isinstance(entry, Preset):
            return entry.net(made)
        return entry.net.of_folder(made, folder) if folder is not None else entry.net.of_state(made, state())
    except (TypeError, ValueError, IndexError, ArithmeticError, RuntimeError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise errors.ModelError(f"These settings do not fit {architecture}: {reason}.") from problem


def _alike(value: Any, usual: Any) -> bool:
    """Whether a setting is of the type of the usual one, and of a size that a net can have."""
    if isinstance(usual, tuple):
        return isinstance(value, tuple) and 0 < len(value) <= 64 and all(_alike(item, usual[0]) for item in value)
    if type(usual) is float:
        return type(value) in (int, float) and abs(value) <= LARGEST
    return type(value) is type(usual) and (type(usual) is not int or 0 <= value <= LARGEST)


def adopted(architecture: str) -> Adopted | None:
    """How a net is made that others trained; None of those that are trained here."""
    return registry.adopted.get(architecture)


def tasks_of(architecture: str) -> set[str]:
    """The tasks whose presets build that net."""
    trained = {preset.task for preset in registry.presets.values() if preset.architecture == architecture}
    return trained.union(registry.adopted[architecture].tasks if architecture in registry.adopted else ())
