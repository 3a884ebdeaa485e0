"""The bar that commands show on a terminal while something is made or fetched."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def bar() -> Generator[Callable[[float, str], None] | None, None, None]:
    """A bar for a task's `progress`, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=100, leave=False, bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}") as bar:

        def show(share: float, what: str) -> None:
            bar.set_description_str(what, refresh=False)
            bar.update(100 * share - bar.n)

        yield show
