"""genrestore: generate, repair and enlarge pictures with small nets, on a laptop.

    import genrestore
    genrestore.inpaint("photo.jpg", "mask.png").save("repaired.jpg")

The names below are looked up on first use, so that `import genrestore` loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genrestore.community.convert import add_model
    from genrestore.hub.pull import pull
    from genrestore.hub.push import push
    from genrestore.hub.shelf import remove_model, verify_model
    from genrestore.pipelines.damage import find_damage, old_photo
    from genrestore.pipelines.inpaint import inpaint
    from genrestore.pipelines.replay import replay
    from genrestore.pipelines.restore import restore
    from genrestore.pipelines.sample import sample
    from genrestore.pipelines.upscale import upscale
    from genrestore.runtime import load
    from genrestore.training.train import train
    from genrestore.weights import list_models

__version__ = "0.1.0"

_HOME = {
    "add_model": "community.convert",
    "sample": "pipelines.sample",
    "inpaint": "pipelines.inpaint",
    "upscale": "pipelines.upscale",
    "restore": "pipelines.restore",
    "find_damage": "pipelines.damage",
    "old_photo": "pipelines.damage",
    "replay": "pipelines.replay",
    "train": "training.train",
    "list_models": "weights",
    "load": "runtime",
    "pull": "hub.pull",
    "push": "hub.push",
    "verify_model": "hub.shelf",
    "remove_model": "hub.shelf",
}

__all__ = [
    "__version__",
    "add_model",
    "find_damage",
    "inpaint",
    "list_models",
    "load",
    "old_photo",
    "pull",
    "push",
    "remove_model",
    "replay",
    "restore",
    "sample",
    "train",
    "upscale",
    "verify_model",
]


def __getattr__(name: str) -> Any:
    """Import the public function `name` from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module 'genrestore' has no attribute {name!r}")
    module = importlib.import_module(f"genrestore.{_HOME[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
