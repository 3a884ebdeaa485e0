"""The bar of a command that takes its time."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from genrestore import console


@contextmanager
def bar() -> Generator[Callable[[float, str], None], None, None]:
    """A bar for a task's `progress`, on a terminal only."""
    look = "{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}"
    with console.bar(100, leave=False, bar_format=look) as bar:

        def show(share: float, what: str) -> None:
            bar.set_description_str(what, refresh=False)
            bar.update(100 * share - bar.n)

        yield show
