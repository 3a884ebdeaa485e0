"""Every model file beside this one. To ask here is to have loaded them all, so the table is never half full."""

import importlib
import pkgutil
from typing import Any

from genrestore import errors, registry
from genrestore.registry import Preset

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


def build(architecture: str, config: dict[str, Any]) -> Any:
    """A net with fresh weights, from the two facts a weight file's header holds.

    Raises:
        ModelError: no model file defines that architecture, or it has no such settings.
    """
    nets = {preset.architecture: preset for preset in registry.presets.values()}
    if architecture not in nets:
        raise errors.unknown("architecture", architecture, nets, f"This version knows {', '.join(sorted(nets))}.")
    preset = nets[architecture]
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    try:
        return preset.net(type(preset.config)(**fields))
    except TypeError as problem:
        raise errors.ModelError(f"These settings do not fit {architecture}: {problem}.") from problem
