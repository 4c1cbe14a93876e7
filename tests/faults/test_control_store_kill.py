"""The control plane's store under kill -9 and on a full disk: what was told as committed is there, as a whole.

A child makes numbered transactions, each of several records, and says each number once its commit is over. It is killed
at any moment; then the file is opened again. What is checked is the store alone: no HTTP, no services.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from tidegate.control.store.store import Record, Store

KILLS = 100
RECORDS = 4
"""In each transaction."""
SEED = 20260101
MAX_WAIT = 0.06
"""Seconds from a child's first commit to its end, at most."""


class Part(Record):
    kind: ClassVar[str] = "part"
    number: int
    part: int
    text: str

    @property
    def key(self) -> str:
        return f"{self.number:08d}/{self.part}"


def commit_for_ever(path: Path, first: int, say: Callable[[int], None]) -> None:
    """Transactions from number `first` on, of different sizes."""
    store = Store(path)
    for number in range(first, 1 << 30):
        with store.transaction() as transaction:
            table = transaction.table(Part)
            for part in range(RECORDS):
                table.put(Part(number=number, part=part, text="x" * (number % 7 * 400)))
        say(number)


def whole_numbers(path: Path) -> list[int]:
    """The transactions that are in the file; an AssertionError if one of them is there in part."""
    store = Store(path)
    with store.transaction() as transaction:
        assert transaction.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = Counter(record.number for record in transaction.table(Part).all())
    store.close()
    assert set(counts.values()) <= {RECORDS}, "a transaction is there in part"
    return sorted(counts)


def child(path: Path, first: int) -> tuple[int, int]:
    """A process that commits; its number, and a descriptor to read from what it says."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            commit_for_ever(path, first, lambda number: os.write(writable, number.to_bytes(4, "big")) and None)
        finally:
            os._exit(1)
    os.close(writable)
    return pid, readable


def all_of(descriptor: int) -> bytes:
    data = b""
    while piece := os.read(descriptor, 65536):
        data += piece
    os.close(descriptor)
    return data


def test_what_was_told_as_committed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    chance = random.Random(SEED)
    told: list[int] = []
    untold = 0
    for _ in range(KILLS):
        pid, readable = child(path, told[-1] + 2 if told else 0)
        begun = os.read(readable, 4)
        assert len(begun) == 4, "the child ended by itself"
        time.sleep(chance.random() * MAX_WAIT)
        os.kill(pid, signal.SIGKILL)
        data = begun + all_of(readable)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        told += [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]
        there = whole_numbers(path)
        assert set(told) <= set(there)
        # One more may have been committed in each child's life, between its commit and its telling.
        untold = len(set(there) - set(told))
        assert untold <= KILLS
    print(f"{KILLS} kills, {len(told)} transactions told, {untold} committed but not told")
    assert len(told) > KILLS


FULL_DISK = """
import resource, signal, sqlite3, sys
from pathlib import Path
from tests.faults.test_control_store_kill import Part
from tidegate.control.store.store import Store

path, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

store = Store(path)
failures, told = 0, []
for number in range(4000):
    try:
        with store.transaction() as transaction:
            for part in range(4):
                transaction.table(Part).put(Part(number=number, part=part, text="x" * 3000))
    except sqlite3.OperationalError as error:
        failures += 1
        if failures == 5:
            break
    else:
        told.append(number)
assert failures == 5, "the disk was never full"
with store.transaction() as transaction:
    seen = {record.number for record in transaction.table(Part).all()}
assert seen == set(told), "what could not be written is seen, or what was is not"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with store.transaction() as transaction:
    for part in range(4):
        transaction.table(Part).put(Part(number=9999, part=part, text=""))
told.append(9999)
print(" ".join(str(number) for number in told))
"""


@pytest.mark.parametrize("limit", [200_000, 1_000_000])
def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path, limit: int) -> None:
    """The limit of a file's size stands for the disk's; once there is room again, the store goes on."""
    path = tmp_path / "state.db"
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(limit)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root}:{root / 'src'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = [int(number) for number in ended.stdout.split()]
    assert len(told) > 5
    assert whole_numbers(path) == told
