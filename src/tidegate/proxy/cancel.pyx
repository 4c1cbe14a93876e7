"""Cancel requests: from a client's, by whichever worker it came, to the database server that works for that client.

Owns the short connections on which CancelRequests travel. Refuses to guess: a request goes to the server that runs the
statement of the very client whose key it carries, or nowhere. A server is not lent to anyone else before the database
has closed the cancel connection, since until then the signal may still be on its way; one whose cancel connection ends
in any other way, or does not end within server_login_timeout, is never lent again.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from tidegate.engine.stream cimport BROKEN, WOULD_BLOCK
from tidegate.proxy.context cimport Context
from tidegate.proxy.outgoing cimport Outgoing
from tidegate.proxy.relay cimport Relay
from tidegate.proxy.server cimport Server
from tidegate.errors import CloseReason
from tidegate.proxy.keys import worker_of
from tidegate.wire.postgres import messages

START = 0.05  # seconds in which a server is taken to have begun with what it was sent
PATIENCE = 10.0  # seconds for another worker to say that it has dealt with a cancel request


cdef class CancelConnection(Outgoing):
    """One CancelRequest to the database.

    PostgreSQL sends the signal before it closes the connection (ProcessCancelRequest in postmaster.c, or
    backend_startup.c), so only the end that was read says that none will come any more.
    """
    cdef object target
    cdef Server server
    cdef object done  # called once at the end, or None
    cdef bytes request
    cdef bint sent
    cdef bint ended

    def __init__(self, Context context, target, Server server, done):
        self.context = context
        self.encryption = target.encryption
        self.target = target
        self.server = server
        self.done = done
        self.request = messages.cancel_request(server.pid, server.key)
        server.cancels += 1
        context.loop.call_later(target.config.server_login_timeout, self.give_up)

    cdef int established(self, bytes end_point) except -1:
        self.sent = True
        # In its order: the query that it is about may not have left yet.
        return self.stream.write_soon(PyBytes_AS_STRING(self.request), PyBytes_GET_SIZE(self.request))

    cdef int unreached(self, str words) except -1:
        self.give_up()
        return 0

    cdef int readable(self) except -1:
        cdef char byte[64]
        cdef Py_ssize_t got
        while self.stream.may_read:
            got = self.stream.read(byte, sizeof(byte))
            if got > 0 and self.asking:
                self.answered(byte, got)
                break  # what follows is the handshake's, or the end's
            if got == 0:
                self.end()
                break
            if got == BROKEN:
                self.give_up()
                break
            if got == WOULD_BLOCK:
                break
        return 0

    cdef int failed(self, object error) except -1:
        self.give_up()
        return 0

    def give_up(self):
        """Wait no longer. What was sent may still be read: then whatever the server does by that time is cancelled."""
        if self.sent and not self.ended:
            self.server.tainted = True
        self.end()

    def end(self):
        """The database has dealt with the request, or `give_up` has seen to the server."""
        cdef object done = self.done
        if self.ended:
            return
        self.ended = True
        self.done = None
        if self.stream is not None:
            self.stream.close()
        self.target.cancel_ended(self.server)
        if done is not None:
            done()


class Cancels:
    """Cancel requests of one worker's clients, and those that are for another worker's."""

    def __init__(self, worker):
        self.worker = worker
        self._asked = {}
        self._serial = 0

    def request(self, client, pid, key):
        """A client sent a CancelRequest; its connection is closed when the request has been dealt with."""
        owner = worker_of(pid)
        done = _closer(client)
        if owner == self.worker.index:
            self.deal(pid, key, done)
        elif 0 <= owner < self.worker.workers:
            self._serial += 1
            self._asked[self._serial] = done
            self.worker.tell(owner, {"cancel": pid, "key": key.hex(), "serial": self._serial,
                                     "from": self.worker.index})
            self.worker.loop.call_later(PATIENCE, self._forgetter(self._serial))
        else:
            done()

    def deal(self, pid, key, done):
        """Cancel what this worker's client of that key is doing; `done` is called at the end, whatever it was."""
        client = self.worker.cancel_keys.find(pid, key)
        return done() if client is None else self.cancel_client(client, done)

    def cancel_client(self, Relay client, done):
        """Cancel what a client is doing; `done` is called at the end, or is None."""
        cdef Server server = client.current_server
        if server is not None:
            if client.clearance is not None and not client.clearance.granted:
                client.clearance.cancelled()
            elif server.queue.count or server.tunnel:  # of what goes through a tunnel nobody counts the replies
                early = client.served_at + START - self.worker.loop.now
                if early > 0:
                    # The statement has waited for the server until now. A signal that comes before it is of no effect.
                    self.worker.loop.call_later(early, lambda: self.cancel_client(client, done))
                else:
                    self.send(client.door, server, done)
                return None
        else:
            client.cancel_waiting()
        return None if done is None else done()

    def send(self, target, Server server, done):
        """Have the database cancel what a server runs."""
        target.address.connect(CancelConnection(self.worker.context, target, server, done))

    def told(self, message):
        """Another worker passed a request on, or answers one of ours."""
        if "cancel" in message:
            answer = {"serial": message["serial"]}
            self.deal(message["cancel"], bytes.fromhex(message["key"]),
                      lambda: self.worker.tell(message["from"], answer))
        else:
            self._forgetter(message["serial"])()

    def _forgetter(self, serial):
        def forget():
            done = self._asked.pop(serial, None)
            if done is not None:
                done()
        return forget


def _closer(Relay client):
    def close():
        client.leave(CloseReason.CANCEL_REQUEST)
    return close
