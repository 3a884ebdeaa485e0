"""Locks on files that die with their process: nothing is left to clear away, whose number ever its successor gets."""

import errno
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PATIENCE = 1.0  # seconds to wait for one who only looks whether a lock is held

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int, shared: bool) -> None:
        if not shared:  # an open file can be neither renamed nor removed there, which is all that sharing is for
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: int, shared: bool) -> None:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                raise
            # a file system without locks, as some of the network: who trains there must see to it alone


class Lock:
    """A lock on a file, held from `take` to `leave`, to the end of the process, or until nothing refers to it.

    Several may hold it `shared`, or one alone; each of them has opened the file on its own, threads too.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self.shared = path, shared
        self._handle = -1

    def take(self, patience: float = 0.0) -> bool:
        """Whether it is held now; tried again for so many seconds.

        Raises:
            OSError: the file cannot be opened.
        """
        deadline = time.monotonic() + patience
        handle = os.open(self.path, os.O_RDONLY if self.shared else os.O_RDWR | os.O_CREAT, 0o600)
        while True:
            try:
                _take(handle, self.shared)
            except OSError:
                if time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
                os.close(handle)
                return False
            self._handle = handle
            return True

    def leave(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def __del__(self) -> None:
        self.leave()

    def __reduce__(self) -> tuple[Any, ...]:  # another process has nothing of this one's
        return Lock, (self.path,), {"shared": self.shared, "_handle": -1}


def held(path: Path) -> bool | None:
    """Whether somebody holds the file's lock alone; None where there is no such file."""
    try:
        look = Lock(path, shared=sys.platform != "win32")
        free = look.take()
    except OSError:
        return None
    look.leave()
    return not free


@contextmanager
def alone(path: Path, patience: float) -> Generator[bool, None, None]:
    """Hold the file's lock within the block; yields whether it could be had in so many seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(path)
    try:
        yield lock.take(patience)
    finally:
        with suppress(OSError):
            lock.leave()
