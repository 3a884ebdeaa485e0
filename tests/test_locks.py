"""Locks that die with their process."""

import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from genrestore import locks
from genrestore.locks import Lock

HOLDER = """
import sys
from pathlib import Path
from genrestore.locks import Lock
lock = Lock(Path(sys.argv[1]), shared=sys.argv[2] == "shared")
print(lock.take(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lock").touch()
    return tmp_path / "lock"


def holder(path: Path, how: str) -> "subprocess.Popen[str]":
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    return process


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_another_process_holds_it_until_it_is_killed(path: Path, how: str) -> None:
    """Nothing has to be cleared away after it."""
    process = holder(path, how)
    try:
        assert not Lock(path).take()
        assert Lock(path, shared=True).take() == (how == "shared")
        assert locks.held(path) is (how == "alone")
    finally:
        process.kill()
        process.wait()
    assert locks.held(path) is False
    assert Lock(path).take()


def test_one_alone_or_several(path: Path) -> None:
    first, second, third = Lock(path, shared=True), Lock(path, shared=True), Lock(path)
    assert first.take() and second.take() and not third.take()
    first.leave()
    assert not third.take()
    del second
    assert third.take() and not first.take() and locks.held(path) is True
    third.leave()
    third.leave()
    assert locks.held(path) is False


def test_it_waits_for_who_only_looks(path: Path) -> None:
    looker = Lock(path, shared=True)
    assert looker.take()
    timer = threading.Timer(0.1, looker.leave)
    timer.start()
    assert Lock(path).take(patience=30)
    timer.join()


def test_of_many_threads_one_holds_it(path: Path) -> None:
    taken: list[int] = []
    start = threading.Barrier(8)
    held: list[Lock] = []

    def wish(k: int) -> None:
        lock = Lock(path)
        start.wait()
        if lock.take():
            taken.append(k)
            held.append(lock)
            time.sleep(0.05)

    threads = [threading.Thread(target=wish, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_a_copy_for_another_process_holds_nothing(path: Path) -> None:
    lock = Lock(path, shared=True)
    assert lock.take()
    copy = pickle.loads(pickle.dumps(lock))
    assert copy.path == path and copy.shared
    copy.leave()
    assert not Lock(path).take()


def test_where_there_is_no_file(tmp_path: Path) -> None:
    assert locks.held(tmp_path / "none") is None
    with pytest.raises(OSError):
        Lock(tmp_path / "none", shared=True).take()
    with locks.alone(tmp_path / "new" / "lock", 0) as mine:
        assert mine and locks.held(tmp_path / "new" / "lock")
        with locks.alone(tmp_path / "new" / "lock", 0) as second:
            assert not second
    assert locks.held(tmp_path / "new" / "lock") is False
