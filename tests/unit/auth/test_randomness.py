"""Random bytes come from a reserve: each is given out once, and no child gets its parent's."""

from __future__ import annotations

import os

from tidegate.auth.scram import ScramClient


def nonce() -> bytes:
    return ScramClient("secret").first()


def test_no_bytes_come_twice() -> None:
    """More than one reserve's worth."""
    nonces = [nonce() for _ in range(300)]
    assert len(set(nonces)) == len(nonces)
    assert all(len(each) == len(nonces[0]) for each in nonces)


def test_a_child_of_a_fork_has_others_than_its_parent() -> None:
    nonce()  # the reserve is filled now
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, nonce())
        os._exit(0)
    os.close(writing)
    childs = os.read(reading, 100)
    os.close(reading)
    os.waitpid(child, 0)
    assert len(childs) == len(nonce())
    assert childs not in [nonce() for _ in range(100)]
