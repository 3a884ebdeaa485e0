"""What several fills of one hole have in common, made once."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Once(Protocol):
    """Gives what `make` makes, or what was made for the same key before."""

    def __call__(self, key: Hashable, make: Callable[[], T]) -> T: ...


def anew(key: Hashable, make: Callable[[], T]) -> T:
    """An `Once` for who shares nothing: nothing is kept."""
    return make()


class Shared:
    """Keeps what is asked for by a key, for threads too: the first one makes it, and the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Future[Any]] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """An `Once`; what `make` raises is raised to all who ask."""
        with self._lock:
            first = key not in self._made
            made: Future[T] = self._made.setdefault(key, Future())
        if first:
            try:
                made.set_result(make())
            except BaseException as problem:
                made.set_exception(problem)
        return made.result()
