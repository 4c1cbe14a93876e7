"""Server connections whose database host is no longer there: given up in seconds, not when TCP gives them up.

Owns the limit (keepalive, `proxy.address`, has that of idle connections). Refuses to judge a server that is slow, stopped
or does not read (`engine.reach` tells these apart): its statement goes on, as on a direct connection.
"""

from tidegate.proxy.server cimport GONE, Server
from tidegate.engine.reach import sent_in_vain
from tidegate.errors import PgError, Sqlstate

MOST_IN_VAIN = 7  # retransmissions: half a minute or so


def drop_unreachable(servers):
    """Lose each of these servers whose host acknowledges nothing any more. Call it every second or so."""
    cdef Server server
    for each in list(servers):
        server = each
        if server.phase != GONE and server.stream is not None and server.stream.fd >= 0 and (
                sent_in_vain(server.stream.fd) >= MOST_IN_VAIN):
            server.lose(PgError("the database's host acknowledges nothing any more", Sqlstate.CONNECTION_FAILURE))
