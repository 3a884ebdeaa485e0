"""genrestore: generate, repair and enlarge pictures with small nets, on a laptop.

    import genrestore
    genrestore.inpaint("photo.jpg", "mask.png").save("repaired.jpg")

The names below are looked up on first use, so that `import genrestore` loads no torch.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genrestore.runtime import load
    from genrestore.tasks.damage import find_damage, old_photo
    from genrestore.tasks.inpaint import inpaint
    from genrestore.tasks.restore import restore
    from genrestore.tasks.sample import sample
    from genrestore.tasks.upscale import upscale
    from genrestore.train import train
    from genrestore.weights import models

__version__ = "0.1.0"

_HOME = {
    "sample": "tasks.sample",
    "inpaint": "tasks.inpaint",
    "upscale": "tasks.upscale",
    "restore": "tasks.restore",
    "find_damage": "tasks.damage",
    "old_photo": "tasks.damage",
    "train": "train",
    "models": "weights",
    "load": "runtime",
}

__all__ = [
    "__version__",
    "find_damage",
    "inpaint",
    "load",
    "models",
    "old_photo",
    "restore",
    "sample",
    "train",
    "upscale",
]


def __getattr__(name: str) -> Any:
    """Import the public function `name` from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module 'genrestore' has no attribute {name!r}")
    module = importlib.import_module(f"genrestore.{_HOME[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keeps `genrestore.train` and `genrestore.models` the functions, though modules of these names lie below.

    Importing a module sets it as an attribute of its package; `from genrestore.models import …` does not need that attribute.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
