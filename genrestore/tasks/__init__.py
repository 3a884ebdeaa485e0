"""What can be asked of a net: one file a task, and nothing else knows their names. Loads no torch until a net is looked at."""

import importlib
import pkgutil

from genrestore import errors
from genrestore.tasks import task
from genrestore.tasks.task import Task

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def names() -> list[str]:
    """Of all tasks, in the order in which people are shown them."""
    return [one.name for one in sorted(task.entered.values(), key=lambda one: (one.place, one.name))]


def find(name: str) -> Task:
    """The task of that name.

    Raises:
        SettingError: there is none.
    """
    if name not in task.entered:
        raise errors.unknown("task", name, task.entered, f"Tasks are {', '.join(names())}.", errors.SettingError)
    return task.entered[name]
