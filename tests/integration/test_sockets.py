"""Listening sockets and what the kernel makes of them; the supervisor's end of a control channel."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.tidegate import wait_until
from tidegate.config.addresses import TcpAddress, UnixAddress
from tidegate.errors import ConfigError
from tidegate.proxy.boot import Listener
from tidegate.proxy.child_channel import Channel
from tidegate.proxy.control import Configure, Configured, Decoder, Message, Stats, encode
from tidegate.proxy.sockets import STARTING, Bound, backlog, bind_unix, open_bound, remove_abandoned

SETTING = '[[proxy]] "main": listen'


def close(bounds: list[Bound]) -> None:
    for bound in bounds:
        bound.close()


def test_accepted_sockets_have_the_listeners_options() -> None:
    (bound,) = open_bound(TcpAddress("127.0.0.1", 0), 2, SETTING)
    address = bound.sockets[0].getsockname()
    assert [one.getsockname() for one in bound.sockets] == [address] * 2
    assert str(bound.address) == f"127.0.0.1:{address[1]}"
    assert bound.socket_for(1) is bound.sockets[1]
    clients = [socket.create_connection(address) for _ in range(30)]
    accepted = []
    for listener in bound.sockets:
        assert not listener.getblocking()
        assert not listener.get_inheritable()
        while True:
            try:
                accepted.append(listener.accept()[0])
            except BlockingIOError:
                break
    assert len(accepted) == 30
    for one in accepted:
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for one in [*clients, *accepted]:
        one.close()
    close([bound])


def test_ipv6_leaves_the_port_to_ipv4() -> None:
    with socket.socket() as taken:  # no SO_REUSEPORT: a dual-stack socket could not share it
        taken.bind(("127.0.0.1", 0))
        close(open_bound(TcpAddress("::", taken.getsockname()[1]), 1, SETTING))


def test_backlog_is_what_the_kernel_takes() -> None:
    kernel = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert backlog() == min(4096, kernel)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (TcpAddress("192.0.2.1", 0), "it is no address of this machine"),
        (TcpAddress("no-such-host.invalid", 0), "the host name is not known"),
        (UnixAddress("/nonexistent/.s.PGSQL.5432"), "the folder does not exist"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(address: TcpAddress | UnixAddress, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_bound(address, 1, SETTING)
    assert str(caught.value).startswith(f'{SETTING}: cannot listen on "{address}": {said}')


def test_a_socket_file_of_the_dead_is_replaced_and_one_of_the_living_is_not(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
        with pytest.raises(ConfigError, match="in use by another process"):
            open_bound(UnixAddress(str(path)), 1, SETTING)
    bounds = open_bound(UnixAddress(str(path)), 3, SETTING)
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    assert len(bounds[0].sockets) == 1
    assert bounds[0].socket_for(2) is bounds[0].sockets[0]
    close(bounds)
    assert not path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.5432"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="in use"):
        open_bound(UnixAddress(str(path)), 1, SETTING)
    assert path.read_text() == "precious"


def test_another_ones_socket_file_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.5432"
    bounds = open_bound(UnixAddress(str(path)), 1, SETTING)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(path))
        close(bounds)
        assert path.exists()


def test_nothing_stays_open_after_a_failure() -> None:
    before = os.listdir("/proc/self/fd")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError):
        open_bound(TcpAddress("127.0.0.1", taken.getsockname()[1]), 4, SETTING)
    assert os.listdir("/proc/self/fd") == before


# The control channel


def test_messages_larger_than_the_sockets_buffer_arrive_in_order_with_their_descriptors() -> None:
    big = Configured(round=0, error="x" * 3_000_000)
    read_end, write_end = os.pipe()

    def message(number: int) -> Configure:
        listener = Listener(proxy="p", address="a", unix=False, fd=write_end)
        return Configure(
            round=number,
            config={"x": "y" * 500_000},
            targets={},
            proxies={},
            mock_keys={},
            aws_keys={},
            removed=(),
            added=(listener,),
            ended=(),
        )

    def receive(end: socket.socket) -> list[Message]:
        decoder = Decoder()
        found: list[Message] = []
        while len(found) < 4:
            data, fds, _, _ = socket.recv_fds(end, 65536, 250)
            found += decoder.feed(data, fds)
        return found

    async def exchange() -> list[Message]:
        ours, theirs = socket.socketpair()
        with theirs:
            channel = Channel(ours, lambda _: None, lambda _: None)
            for one in (big, message(1), message(2), Stats(round=3)):
                channel.send(one)
            found = await asyncio.to_thread(receive, theirs)
            channel.close()
        return found

    first, one, two, last = asyncio.run(exchange())
    assert (first, last) == (big, Stats(round=3))
    assert isinstance(one, Configure)
    assert isinstance(two, Configure)
    received = [one.added[0].fd, two.added[0].fd]
    assert len({write_end, *received}) == 3
    for fd in received:
        os.write(fd, b"!")
    assert os.read(read_end, 10) == b"!!"
    for fd in (read_end, write_end, *received):
        os.close(fd)


@pytest.mark.parametrize(("sent", "problem"), [(b"", ""), (b"nonsense\n", "not a message: b'nonsense'")])
def test_the_end_of_a_channel_is_told_once(sent: bytes, problem: str) -> None:
    async def end() -> tuple[list[Message], list[str]]:
        ours, theirs = socket.socketpair()
        messages: list[Message] = []
        ends: list[str] = []
        channel = Channel(ours, messages.append, ends.append)
        theirs.sendall(encode(Stats(round=1))[0] + sent)
        theirs.close()
        while not ends:
            await asyncio.sleep(0)
        channel.send(Stats(round=2))
        channel.close()
        return messages, ends

    messages, ends = asyncio.run(end())
    assert len(ends) == 1
    assert ends[0].startswith(problem)
    assert messages == ([] if sent else [Stats(round=1)])


def test_close_takes_in_what_had_arrived() -> None:
    async def close_late() -> list[Message]:
        ours, theirs = socket.socketpair()
        messages: list[Message] = []
        channel = Channel(ours, messages.append, lambda problem: messages.append(Configured(round=0, error=problem)))
        theirs.sendall(encode(Stats(round=1))[0])
        theirs.close()
        channel.close()
        return messages

    assert asyncio.run(close_late()) == [Stats(round=1)]


def test_socket_files_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    """And nothing else: neither what somebody listens on, nor what is bound by somebody who starts."""
    kept = []
    for name in ("gone", "young", "live", "other.txt"):
        made, _ = bind_unix(str(tmp_path / name), 0o600)
        if name == "live":
            made.listen()
            kept.append(made)
        else:
            made.close()
        if name != "young":
            os.utime(tmp_path / name, times=(0, time.time() - STARTING - 1))
    (tmp_path / "file").write_text("")
    os.utime(tmp_path / "file", times=(0, 0))
    (tmp_path / "link").symlink_to(tmp_path / "live")
    os.utime(tmp_path / "link", times=(0, 0), follow_symlinks=False)
    remove_abandoned([str(tmp_path / "[!o]*"), str(tmp_path / "none" / "*")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "live", "other.txt", "young"]
    kept[0].close()


def test_the_control_socket_of_a_killed_process_goes_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever that serves: the same data folder would have taken the same name, but may never be started again."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with Stack() as killed:
        (left,) = tmp_path.iterdir()
        killed.kill()
    os.utime(left, times=(0, time.time() - STARTING - 1))
    with Stack() as stack:
        wait_until(lambda: not left.exists(), "the socket is gone", 10)
        assert len(list(tmp_path.iterdir())) == 1
        assert stack.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_socket_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = bind_unix(str(tmp_path / "gone"), 0o600)
    made.close()
    os.utime(tmp_path / "gone", times=(0, 0))
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    remove_abandoned([str(tmp_path / "*")])
    assert (tmp_path / "gone").exists()
