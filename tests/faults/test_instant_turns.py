"""Clients whose turn ends the moment it comes: they are served by one another's return, and must not nest."""

from __future__ import annotations

from tests.support import messages as m
from tests.support.sides import Side
from tests.support.wire import RawClient

CLIENTS = 1500
TEXT = "SELECT 'instant'"


def test_a_long_queue_of_instant_turns_is_served(fragile: Side) -> None:
    """A Parse of what the server has already is answered by the proxy: lent and given back in one call, 1,500 times."""
    holders = [fragile.login() for _ in range(3)]
    clients: list[RawClient] = [fragile.login() for _ in range(CLIENTS)]
    for holder in holders:
        assert holder.ask(m.query("BEGIN"))[-1].kind == "Z"
        holder.ask(m.parse(TEXT, "known"), m.sync())
    for client in clients:
        client.send(m.parse(TEXT, "mine"), m.message("H"))
    assert clients[0].silent(0.2), "all servers are in use"
    for holder in holders:
        holder.ask(m.query("COMMIT"))
    for client in clients:
        assert client.read().kind == "1"
    for client in clients:
        client.send(m.sync())
    for client in clients:
        assert client.read().kind == "Z"
    for client in (*clients, *holders):
        client.quit()
