"""What keeps a client at one server, and for how long.

Owns the suspicion, the look that proves or drops it, and the pin. Refuses to find suspicions (`session.scanner`), to know
what to look for (`session.leftovers`), and settings, which can be carried (`borrowing`).

How it works: a statement that may leave something at its server makes its transaction suspect. When that ends, the
server is asked what is there; what there is pins the session, with the statement's text. A pinned session is looked at
again after a statement that may have removed it, and otherwise when LOOK_AGAIN has passed: with nothing there any more
it is free. Of some reasons nothing can be seen from outside (`PinReason.provable`): they pin at once, and for good.
"""

from tidegate.proxy.client cimport Client
from tidegate.proxy.server cimport Injection, Server
from tidegate.session.candidates import custom_names
from tidegate.session.leftovers import KINDS, LEFTOVERS_SQL, left_behind
from tidegate.session.pins import PinReason

cdef enum:
    SHOWN = 200  # bytes of a statement that a log line shows
    LOOK_AGAIN = 1  # seconds


cdef class Look(Injection):
    cdef int ask(self, Pinning client) except -1:
        """To be called between transactions."""
        self.client = client
        client.looks += 1
        return client.server.inject(LEFTOVERS_SQL, self)

    cdef int finished(self, Server server) except -1:
        cdef Pinning client = self.client
        client.looks -= 1
        if self.error is not None:
            # What is left is unknown: nobody else may get this server.
            client.closes_server = server.tainted = True
            return 0
        found = left_behind(self.table(KINDS, 1)[0])
        if client.server is server:
            return client.proven(found, self.suspected, self.text)
        if found:
            server.tainted = True  # its client has left these behind
        return 0


cdef class Pinning(Client):
    cdef int may_leave(self, object reason, bytes text) except -1:
        """A statement may leave something at the server: it is looked for at the transaction's end, or can't be seen."""
        if not reason.provable:
            return self.pin_down(reason, text)
        if self.pin is not None and self.pin.lasting:
            return 0  # it keeps its server anyhow
        if self.suspected is None:
            self.suspected = reason
        if not self.suspect_text:
            self.suspect_text = text[:SHOWN]
        if reason.anything:
            self.anything = self.reset_touched = True
            if self.touched is None:
                self.touched = set()
            self.touched.update(custom_names(text))
        return 0

    cdef bint may_be_gone(self) except -1:
        """Whether to look again for what the session is pinned for."""
        return self.pin.provable and (self.disturbed or self.context.loop.now - self.looked_at > LOOK_AGAIN)

    cdef int look(self) except -1:
        """Ask what is left here."""
        cdef Look look = Look()
        look.suspected = self.suspected
        look.text = self.suspect_text
        self.suspected = self.suspect_text = None
        self.disturbed = False
        self.looked_at = self.context.loop.now
        self.context.counters.looks += 1
        look.ask(self)
        self.context.to_servers.flush()
        return 0

    cdef int proven(self, tuple found, object suspected, bytes text) except -1:
        """These reasons hold the session at its server, and no others of their kind."""
        if PinReason.LISTEN in found and self.adopt_channels():
            found = tuple([reason for reason in found if reason is not PinReason.LISTEN])
        if not found:
            return self.unpin() if self.pin is not None and self.pin.provable else 0
        if self.pin is not None and (self.pin in found or self.pin.lasting):
            return 0
        self.unpin()
        return self.pin_down(suspected if suspected in found else found[0], text or b"")

    cdef bint adopt_channels(self) except -1:
        """Its server listens unseen: whether somebody else listens for the client from now on."""
        return False

    cdef int unpin(self) except -1:
        """What held the session is gone."""
        self.for_unnamed = False
        if self.pin is not None:
            self.gate.unpinned(self, self.pin)
            self.pin = self.pin_text = None
        return 0

    cdef int pin_down(self, object reason, bytes text) except -1:
        """Keep this server: until a look shows that the reason is gone, or for good."""
        self.for_unnamed = False
        if self.pin is not None and not self.pin.lasting and reason.lasting:
            self.unpin()
        if self.pin is None:
            self.pin = reason
            self.pin_text = text[:SHOWN]
            self.pinned_at = self.context.loop.now
            self.gate.pinned(self, reason, self.pin_text)
        if reason is PinReason.LOAD or reason is PinReason.SETSEED or reason is PinReason.SESSION_FUNCTION:
            self.closes_server = True
        return 0

    cdef bint is_dirty(self) noexcept:
        """Whether something may be left at its server that is not known for certain."""
        return self.pin is not None or self.suspected is not None or self.looks > 0
