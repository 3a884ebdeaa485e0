"""What both command lines of training take, `genrestore train` and `python -m genrestore.training`. Loads no torch."""

from pathlib import Path
from typing import NamedTuple

from genrestore.recipe import TrainRecipe
from genrestore.setting import KINDS, options


class Option(NamedTuple):
    """An option; `preset` is the one argument without a name."""

    kind: type  # bool is a switch, list may be given more than once
    help: str
    usual: str = ""  # what holds where it is not given, for the help
    short: str = ""

    def flags(self, name: str) -> list[str]:
        return [f"--{name.replace('_', '-')}", *([self.short] if self.short else [])]


# Fields of the recipe that have an option of their own, and what holds where it is not given.
FIELDS = {
    "steps": "the recipe's", "minutes": "no limit", "batch": "the recipe's", "lr": "the recipe's", "seed": "the recipe's",
    "holdout": "none", "precision": "the recipe's", "leave_out": "none",
}  # fmt: skip
_fields = {one.name: one for one in options(TrainRecipe)}

OPTIONS = {
    "preset": Option(str, "What to train, such as span-x4; a wrong name lists them all."),
    "data": Option(str, "Folder of pictures, .zip, .npy, .npz, or torchvision:NAME@ROOT."),
    "licence": Option(str, "Of the pictures: own, CC0-1.0, CC-BY-4.0 …, or 'other: words'."),
    "out": Option(Path, "Folder of the run; its name becomes the model's.", "among your runs", "-o"),
    **{
        name: Option(KINDS[_fields[name].kind], _fields[name].setting.described, usual)
        for name, usual in FIELDS.items()
    },
    "folds": Option(int, "Train so many times, each time with another part kept aside.", "none"),
    "set": Option(list, "Any other field of the recipe."),
    "resume": Option(bool, "Go on with the run in --out."),
    "recipe": Option(Path, "JSON file with a recipe, instead of a preset."),
    "reproduce": Option(Path, "Weight whose recipe is run again, instead of a preset."),
    "check": Option(bool, "Only look at the pictures and say what is wrong."),
    "dry_run": Option(bool, "Only try a few steps and say how long it will take."),
    "json": Option(bool, "What --dry-run says, for programs."),
    "threads": Option(int, "Processor threads to use.", "all"),
    "log": Option(str, "What follows the run, such as terminal,tensorboard; a wrong name lists them all.", "terminal"),
}
