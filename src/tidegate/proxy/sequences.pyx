"""currval() and lastval(): a client's own values, or error 55000, never another client's.

Owns whose values a server has, and what keeps a client there that may ask for them. Refuses to find such questions in
texts (`session.scanner`) and in functions (`session.catalogue`).

A server session remembers the last value of each sequence that it has advanced. PostgreSQL neither lists these values
nor takes them back; DISCARD SEQUENCES forgets them. So they can't be carried:

- A server knows whose they may be: nobody's, one client's, or several clients'.
- In a database where somebody has ever asked for such a value, they are forgotten when the server passes to another
  client, in the same write as what that one sends. It gets its last server again, if that is idle, and otherwise the one
  that was used longest ago, so that others come back to theirs. Elsewhere nobody pays for this; only who asks for the
  first time, on a server that has others' values, has them forgotten at that moment.
- A client that has asked once keeps its server after a transaction that may have advanced a sequence, until one has
  ended that does neither that nor ask; or until others wait for a server while it has been idle for PATIENCE.
"""

import re

from tidegate.proxy.server cimport Injection, Server
from tidegate.proxy.watching cimport Watching
from tidegate.session.facts cimport READS_SEQUENCES, Facts
from tidegate.session.pins import PinReason

cdef bytes FORGET = b"DISCARD SEQUENCES"

cdef double PATIENCE = 1.0  # seconds

cdef enum:
    SEVERAL = -1  # clients' values; 0: nobody's
    NOTED = 65536  # bytes of a text that are looked through

# Triggers and functions may take a value in statements of these kinds; a SELECT of a function is not among them.
cdef object ADVANCES = re.compile(
    rb"\b(?:insert|update|delete|merge|copy|nextval|setval|call|do|execute)\b", re.IGNORECASE)
cdef object FORGETS = re.compile(rb"\bdiscard\s+(?:all|sequences)\b", re.IGNORECASE)


cdef long long owner(Server server) except? -2:
    """Whose values the server has, as far as it has answered."""
    if server.forgetting is not None and server.forgetting.error is not None:
        server.forgetting = None
        server.sequences_of = SEVERAL
    return server.sequences_of


cdef int forget(Watching client, Server server) except -1:
    """Have the server forget all values, ahead of what the client sends next."""
    server.forgetting = Injection()
    server.slip_in([FORGET], server.forgetting)
    server.sequences_of = client.mark
    return 0


cdef int sequences_pass_to(Watching client, Server server) except -1:
    """The server is lent to this client."""
    if client.mark == 0:
        client.context.marks += 1
        client.mark = client.context.marks
    cdef long long whose = owner(server)
    if whose == client.mark:
        return 0
    if whose == 0:
        server.sequences_of = client.mark
    elif client.catalogue.reads_sequences:
        forget(client, server)
    else:
        server.sequences_of = SEVERAL
    return 0


cdef int read_sequences(Watching client, Facts facts) except -1:
    """A statement is about to run that asks for such values, or may do so: it is code that nobody has read."""
    cdef Server server = client.server
    if facts.flags & READS_SEQUENCES:
        client.catalogue.reads_sequences = client.reads_sequences = client.reads_now = True
    # In a failed transaction nothing is told; but its ROLLBACK may be on its way.
    if (server.status != b'E' or server.queue.count) and owner(server) != client.mark:
        forget(client, server)
    return 0


cdef int note_sequences(Watching client, bytes text) except -1:
    """A statement runs of a client that has asked before."""
    if FORGETS.search(text, 0, NOTED):
        client.keeps_values = client.advances = False
    elif ADVANCES.search(text, 0, NOTED):
        client.advances = True
    return 0


cdef int settle_sequences(Watching client) except -1:
    """A transaction of such a client has ended: does it keep its server?"""
    if client.advances:
        client.keeps_values = True
    elif not client.reads_now:
        client.keeps_values = False
    client.advances = client.reads_now = False
    if client.keeps_values and client.pin is None:
        client.pin_down(PinReason.SEQUENCE_VALUE, b"currval, lastval")
    elif client.pin is PinReason.SEQUENCE_VALUE and not client.keeps_values:
        client.unpin()
    return 0


cdef bint may_give_up(Watching client, double now) except -1:
    """Whether a client that is idle keeps its server for this alone, while others wait."""
    if client.pin is not PinReason.SEQUENCE_VALUE or client.pool.head is None or now - client.active_at < PATIENCE:
        return False
    return not (client.mid_transaction() or client.server is None or client.server.queue.count
                or client.suspected is not None or client.ready_held or client.unsure
                or (client.hearing is not None and client.hearing.busy()))
