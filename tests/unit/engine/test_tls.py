"""Encrypted streams over socketpairs; at the other end is Python's own TLS."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Files
from tests.unit.engine.ends import Ends, hello
from tidegate.engine.handshakes import Handshakes
from tidegate.engine.loop import Loop
from tidegate.engine.tls_context import TICKET_SECRET_SIZE, TlsContext

WAIT = 10.0  # seconds
BIG = os.urandom(1 << 20)


class Talk:
    """Both ends of one connection: ours in the loop, the other one by the standard library."""

    def __init__(self, ends: Ends, context: ssl.SSLContext, *, server_side: bool, host: str | None = None) -> None:
        self.ends = ends
        self.handshakes = Handshakes(ends.loop)
        ends.handshakes.append(self.handshakes)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side, server_hostname=host)
        self.events: list[object] = []
        self.error = ""
        self.heard = b""

    def turn(self) -> None:
        """Bytes both ways, once."""
        self.ends.owner.events.clear()
        self.ends.loop.run_once()
        self.events += self.ends.owner.events
        if data := self.ends.receive():
            self._incoming.write(data)
        if data := self._outgoing.read():
            self.ends.peer.setblocking(True)
            self.ends.peer.settimeout(0.05)
            while data:
                try:
                    data = data[self.ends.peer.send(data) :]
                except TimeoutError:
                    self.ends.loop.run_once()
                    self.events += self.ends.owner.events
                    self.ends.owner.events.clear()
                except OSError:
                    break
            self.ends.peer.setblocking(False)

    def shake(self) -> list[object]:
        """The handshake, to its end at both sides; what the owner was told."""
        done = False
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            if not done and not self.error:
                try:
                    self.tls.do_handshake()
                    done = True
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    self.error = str(error)
            self.turn()
            told = [event for event in self.events if event == "secured" or event[0] == "insecure"]
            if told and (done or self.error):
                return told
        pytest.fail(f"no end of the handshake: {self.events}")

    def say(self, data: bytes) -> None:
        self.tls.write(data)

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline
            self.turn()
            try:
                self.heard += self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.error = str(error)

    def said(self) -> bytes:
        """What our owner has read."""
        return b"".join(event for event in self.events if isinstance(event, bytes))


def peer_client(files: Files, **settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def accepting(
    ends: Ends, files: Files, context: ssl.SSLContext | None = None, early: bytes = b"", **settings: Any
) -> Talk:
    """We are the server."""
    certificate, key = files.certificate("db.test")
    talk = Talk(ends, context or peer_client(files), server_side=False, host="db.test")
    ends.owner.secure(TlsContext.for_clients(certificate, key, **settings), talk.handshakes, early=early)
    return talk


def going_out(ends: Ends, files: Files, tls: TlsContext, host: str = "db.test") -> Talk:
    """We are the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files.certificate("db.test", "127.0.0.1"))
    talk = Talk(ends, context, server_side=True)
    ends.owner.secure(tls, talk.handshakes, host)
    return talk


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_both_ways(ends: Ends, files: Files, version: ssl.TLSVersion) -> None:
    talk = accepting(ends, files, peer_client(files, minimum_version=version, maximum_version=version))
    assert talk.shake() == ["secured"]
    assert ends.owner.tls[0] == talk.tls.version()
    assert ends.owner.tls[1] == (talk.tls.cipher() or ("",))[0]
    talk.say(b"hello")
    talk.until(lambda: talk.said() == b"hello")
    ends.owner.write_soon(b"how do ")
    ends.owner.write(b"you do")
    talk.until(lambda: talk.heard == b"how do you do")


def test_older_versions_are_refused(ends: Ends, files: Files) -> None:
    context = peer_client(files)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    talk = accepting(ends, files, context)
    (told,) = talk.shake()
    assert told == ("insecure", "unsupported protocol")


def test_much_in_both_directions(ends: Ends, files: Files) -> None:
    talk = accepting(ends, files)
    talk.shake()
    ends.owner.write(BIG)
    ends.owner.write(b"the end")
    talk.until(lambda: len(talk.heard) >= len(BIG) + 7)
    assert talk.heard == BIG + b"the end"
    assert ends.owner.kept == 0
    talk.say(BIG)
    talk.until(lambda: len(talk.said()) >= len(BIG))
    assert talk.said() == BIG


def test_what_was_read_before_is_read_first(ends: Ends, files: Files) -> None:
    """Direct TLS: its first bytes come where a start-up packet is expected."""
    talk = Talk(ends, peer_client(files), server_side=False, host="db.test")
    with pytest.raises(ssl.SSLWantReadError):
        talk.tls.do_handshake()
    early = talk._outgoing.read()
    certificate, key = files.certificate("db.test")
    ends.owner.secure(TlsContext.for_clients(certificate, key), talk.handshakes, early=early)
    assert talk.shake() == ["secured"]


@pytest.mark.parametrize(
    ("offered", "chosen"), [(None, b""), (["postgresql"], b"postgresql"), (["h2", "postgresql"], b"postgresql")]
)
def test_alpn(ends: Ends, files: Files, offered: list[str] | None, chosen: bytes) -> None:
    context = peer_client(files)
    if offered:
        context.set_alpn_protocols(offered)
    talk = accepting(ends, files, context)
    assert talk.shake() == ["secured"]
    assert ends.owner.tls[3] == chosen


def test_other_protocols_are_refused(ends: Ends, files: Files) -> None:
    context = peer_client(files)
    context.set_alpn_protocols(["h2", "http/1.1"])
    talk = accepting(ends, files, context)
    (told,) = talk.shake()
    assert told[0] == "insecure"
    assert "ALPN" in talk.error or "protocol" in talk.error


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_whoever_has_the_secret(files: Files, version: ssl.TLSVersion) -> None:
    secret = os.urandom(TICKET_SECRET_SIZE)
    certificate, key = files.certificate("db.test")
    context = peer_client(files, maximum_version=version)
    session = None
    for turn, ticket_secret in enumerate((secret, secret, os.urandom(TICKET_SECRET_SIZE))):
        ends = Ends()
        talk = Talk(ends, context, server_side=False, host="db.test")
        talk.tls = context.wrap_bio(talk._incoming, talk._outgoing, server_hostname="db.test", session=session)
        ends.owner.secure(TlsContext.for_clients(certificate, key, ticket_secret=ticket_secret), talk.handshakes)
        talk.shake()
        assert ends.owner.tls[2] == (turn == 1)
        ends.owner.write(b"x")
        talk.until(lambda talk=talk: talk.heard == b"x")
        session = talk.tls.session
        ends.close()


def test_the_end_is_told(ends: Ends, files: Files) -> None:
    talk = accepting(ends, files)
    talk.shake()
    ends.owner.write(b"bye")
    ends.owner.end_writing()
    talk.until(lambda: talk.heard.endswith(b"bye") and talk.heard)
    assert talk.tls.read(10) == b""
    talk.say(b"last words")
    talk.tls.unwrap()  # says its own end
    talk.until(lambda: b"" in talk.events)
    assert talk.said() == b"last words"


def test_an_end_without_a_word_is_an_end(ends: Ends, files: Files) -> None:
    talk = accepting(ends, files)
    talk.shake()
    talk.say(b"last words")
    talk.turn()
    ends.peer.close()
    deadline = time.monotonic() + WAIT
    while b"" not in talk.events:
        assert time.monotonic() < deadline
        talk.events += ends.turn()
    assert talk.said() == b"last words"


def test_garbage_is_told_to_be_so(ends: Ends, files: Files) -> None:
    talk = accepting(ends, files)
    ends.peer.send(b"Q\0\0\0\x08\0\0\0\0" * 10)
    deadline = time.monotonic() + WAIT
    told: list[object] = []
    while not any(event[0] == "insecure" for event in told if isinstance(event, tuple)):
        assert time.monotonic() < deadline
        told += ends.turn()
    assert ends.owner.broken
    assert talk.handshakes.steps == 1


def test_garbage_amid_a_session_breaks_it(ends: Ends, files: Files) -> None:
    talk = accepting(ends, files)
    talk.shake()
    ends.peer.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    told: list[object] = []
    deadline = time.monotonic() + WAIT
    while "broken" not in told:
        assert time.monotonic() < deadline
        told += ends.turn()


def test_closing_while_the_thread_computes(files: Files) -> None:
    certificate, key = files.certificate("db.test")
    tls = TlsContext.for_clients(certificate, key)
    loop = Loop()
    handshakes = Handshakes(loop)
    for _ in range(50):
        ends = Ends(loop=loop)
        ends.owner.secure(tls, handshakes, early=hello())
        ends.loop.run_once()
        ends.close()
    deadline = time.monotonic() + WAIT
    while handshakes.steps < 50:
        assert time.monotonic() < deadline
        loop.run_once()
    handshakes.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_comes_with_the_handshakes_end(ends: Ends, files: Files, version: ssl.TLSVersion) -> None:
    """A client need not wait before it speaks."""
    talk = accepting(ends, files, peer_client(files, maximum_version=version))
    deadline = time.monotonic() + WAIT
    while True:
        assert time.monotonic() < deadline
        try:
            talk.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            talk.turn()
    talk.say(b"hello")
    talk.until(lambda: talk.said() == b"hello")


# Whom we trust.


@pytest.mark.parametrize("host", ["db.test", "127.0.0.1"])
def test_a_server_with_the_right_certificate(ends: Ends, files: Files, host: str) -> None:
    talk = going_out(ends, files, TlsContext.for_servers(files.ca, verify=True, check_host=True), host)
    assert talk.shake() == ["secured"]
    ends.owner.write(b"hello")
    talk.until(lambda: talk.heard == b"hello")


@pytest.mark.parametrize("host", ["other.test", "127.0.0.2"])
def test_a_server_with_another_name(ends: Ends, files: Files, host: str) -> None:
    talk = going_out(ends, files, TlsContext.for_servers(files.ca, verify=True, check_host=True), host)
    (told,) = talk.shake()
    assert told[0] == "insecure" and "mismatch" in told[1]


def test_names_do_not_matter_to_verify_ca(ends: Ends, files: Files) -> None:
    talk = going_out(ends, files, TlsContext.for_servers(files.ca, verify=True), "other.test")
    assert talk.shake() == ["secured"]


def test_a_server_that_somebody_else_has_signed(ends: Ends, files: Files, tmp_path: Path) -> None:
    talk = going_out(ends, files, TlsContext.for_servers(Files(tmp_path).ca, verify=True))
    (told,) = talk.shake()
    assert told[0] == "insecure" and "certificate" in told[1]


def test_anybody_without_verification(ends: Ends, files: Files) -> None:
    assert going_out(ends, files, TlsContext.for_servers()).shake() == ["secured"]


@pytest.mark.parametrize("require", [True, False])
@pytest.mark.parametrize("shown", ["none", "right", "foreign"])
def test_certificates_of_clients(ends: Ends, files: Files, tmp_path: Path, require: bool, shown: str) -> None:
    context = peer_client(files)
    if shown != "none":
        context.load_cert_chain(*(files if shown == "right" else Files(tmp_path)).certificate("client.test"))
    talk = accepting(ends, files, context, client_ca=files.ca, require=require)
    (told,) = talk.shake()
    welcome = shown == "right" or (shown == "none" and not require)
    assert (told == "secured") == welcome


# Files.


def test_end_point_is_the_hash_of_the_certificate(files: Files) -> None:
    certificate, key = files.certificate("db.test")
    der = ssl.PEM_cert_to_DER_cert(
        Path(certificate).read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    )
    assert TlsContext.for_clients(certificate, key).end_point == hashlib.sha256(der).digest()


def test_what_is_wrong_with_a_file_is_said(files: Files, tmp_path: Path) -> None:
    certificate, key = files.certificate("db.test")
    _, foreign = Files(tmp_path).certificate("x.test")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for arguments, words in (
        ((str(tmp_path / "nowhere.pem"), key), "no certificate can be read from"),
        ((str(empty), key), "no certificate can be read from"),
        ((certificate, str(empty)), "no private key can be read from"),
        ((certificate, foreign), "does not belong to the certificate|no private key can be read"),
    ):
        with pytest.raises(ValueError, match=words):
            TlsContext.for_clients(*arguments)
    with pytest.raises(ValueError, match="no certificate authority can be read"):
        TlsContext.for_clients(certificate, key, client_ca=str(empty))
