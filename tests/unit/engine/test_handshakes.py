"""The thread that computes handshakes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
import trustme

from tests.unit.engine.ends import Ends, hello
from tidegate.engine.handshakes import Handshakes
from tidegate.engine.loop import Loop
from tidegate.engine.tls_context import TlsContext

WAIT = 30.0  # seconds


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def handshakes(loop: Loop) -> Iterator[Handshakes]:
    made = Handshakes(loop)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> TlsContext:
    """Whose handshakes take a millisecond each."""
    made = trustme.CA().issue_cert("db.test", key_type=trustme.KeyType.RSA)
    path = tmp_path_factory.mktemp("handshakes") / "both.pem"
    made.private_key_and_cert_chain_pem.write_to_path(path)
    return TlsContext.for_clients(str(path), str(path))


def begin(count: int, tls: TlsContext, handshakes: Handshakes, loop: Loop) -> list[Ends]:
    """So many clients at once."""
    said = hello()
    made = [Ends(loop=loop) for _ in range(count)]
    for ends in made:
        ends.owner.secure(tls, handshakes, early=said)
    return made


def until_computed(steps: int, handshakes: Handshakes, loop: Loop) -> None:
    deadline = time.monotonic() + WAIT
    while handshakes.steps < steps:
        assert time.monotonic() < deadline, f"{handshakes.steps} steps of {steps}"
        loop.run_once()


def end(ends: list[Ends]) -> None:
    for each in ends:
        each.close()


def test_the_thread_gives_way(handshakes: Handshakes, slow: TlsContext, loop: Loop) -> None:
    made = begin(1, slow, handshakes, loop)
    until_computed(1, handshakes, loop)
    end(made)
    assert handshakes.thread is not None
    number = handshakes.thread.native_id or 0
    assert os.getpriority(os.PRIO_PROCESS, number) > os.getpriority(os.PRIO_PROCESS, 0)


def test_the_thread_offers_its_core_in_the_midst_of_a_step(
    handshakes: Handshakes, slow: TlsContext, loop: Loop
) -> None:
    made = begin(20, slow, handshakes, loop)
    until_computed(20, handshakes, loop)
    end(made)
    assert 20 <= handshakes.offers <= 20 * 15  # behind the signature at least; 15: more states than a step has


def test_many_at_once(handshakes: Handshakes, slow: TlsContext, loop: Loop) -> None:
    made = begin(400, slow, handshakes, loop)
    until_computed(400, handshakes, loop)
    assert all(ends.receive() for ends in made)
    end(made)


def test_stopping_with_handshakes_under_way(slow: TlsContext, loop: Loop) -> None:
    handshakes = Handshakes(loop)
    made = begin(100, slow, handshakes, loop)
    loop.run_once()
    handshakes.stop()
    assert handshakes.thread is None
    end(made)
