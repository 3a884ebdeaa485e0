"""What time it is for a run: pauses do not count."""

import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager


class Clock:
    """Seconds of a session, and the marks of what it does now and then."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.paused = 0.0
        self.still = False
        self.marks = {"save": self.begun, "line": self.begun}
        self.longest_save = 0.0
        self.early = 0
        self.counted: deque[tuple[int, float]] = deque(maxlen=200)  # steps, and when they were done

    def seconds(self) -> float:
        return time.monotonic() - self.begun - self.paused

    def since(self, mark: str) -> float:
        return time.monotonic() - self.marks.get(mark, -math.inf)

    def every(self, mark: str, seconds: float) -> bool:
        """Whether as many seconds have passed since this was last true."""
        due = self.since(mark) >= seconds
        if due:
            self.marks[mark] = time.monotonic()
        return due

    def passed(self, moments: tuple[float, ...]) -> bool:
        """Whether one more of the moments lies behind."""
        due = self.early < len(moments) and self.seconds() > moments[self.early]
        self.early += due
        return due

    def saved(self, took: float) -> None:
        self.marks["save"] = time.monotonic()
        self.longest_save = max(self.longest_save, took)

    def count(self, step: int) -> None:
        self.counted.append((step, self.seconds()))

    def rate(self) -> float:
        """Steps a second over the last counted ones."""
        (first, begun), (last, ended) = self.counted[0], self.counted[-1]
        return (last - first) / (ended - begun) if ended > begun else 0.0

    @contextmanager
    def stopped(self) -> Generator[None, None, None]:
        begun, self.still = time.monotonic(), True
        try:
            yield
        finally:
            self.paused += time.monotonic() - begun
            self.still = False
            self.counted.clear()
