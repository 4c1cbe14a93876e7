"""Cancel keys: which client a CancelRequest means, without a table of secrets.

Owns the making and checking of BackendKeyData (PostgreSQL documentation, "Canceling Requests in Progress"). Refuses to
cancel.

The pid that a client sees is made of its worker's number, counted from 1, and its place in that worker (23 bits). So it
is larger than any process id of a database server (on Linux these end at 2^22), and what names it in a statement can be
told from one that names a backend. Each client gets four random bytes, and these are its key in protocol 3.0, as they are PostgreSQL's own. The 32 bytes of protocol
3.2 are a keyed BLAKE2 hash (RFC 7693) of them and the pid: all that is kept of any key is four bytes.
"""

import hashlib

from tidegate.auth.openssl cimport equal_in_constant_time, random_fill
from tidegate.proxy.client cimport Client
from tidegate.wire.postgres.integers cimport put32

cdef enum:
    PLACE_BITS = 23
    PLACES = 1 << PLACE_BITS


cdef class CancelKeys:
    def __init__(self, unsigned int worker, bytes secret not None):
        """`secret`: the cluster's own, 1 to 64 bytes."""
        self.worker = worker
        self.secret = secret
        self.clients = [None]
        self.free = []

    cdef int issue(self, Client client, unsigned int size) except -1:
        """A place, and a key of `size` bytes, for a client that has logged in."""
        if self.free:
            client.ident = self.free.pop()
        else:
            if len(self.clients) >= PLACES:
                raise OverflowError("too many clients for one worker")
            client.ident = <unsigned int>len(self.clients)
            self.clients.append(None)
        self.clients[client.ident] = client
        client.key_size = size
        return random_fill(<unsigned char*>&client.key_seed, sizeof(client.key_seed))

    cdef unsigned int pid_of(self, Client client) noexcept:
        return (self.worker + 1) << PLACE_BITS | client.ident

    cdef int write_key(self, Client client, char* into) except -1:
        """Write the client's key, as many bytes as it was issued with."""
        cdef char about[8]
        cdef bytes digest
        cdef const unsigned char* octets
        cdef int i
        put32(about, self.pid_of(client))
        put32(about + 4, client.key_seed)
        if client.key_size == SHORT_KEY:
            put32(into, client.key_seed)
            return 0
        digest = hashlib.blake2b(about[:8], digest_size=LONG_KEY, key=self.secret).digest()
        octets = digest
        for i in range(LONG_KEY):
            into[i] = octets[i]
        return 0

    cdef int revoke(self, Client client) except -1:
        """The client has left."""
        if self.clients[client.ident] is client:
            self.clients[client.ident] = None
            self.free.append(client.ident)
        return 0

    def pid(self, Client client not None):
        """The process id that this client was told as its own."""
        return self.pid_of(client)

    def client_of(self, unsigned int pid):
        """The client that has this process id, or None."""
        cdef unsigned int place = pid & (PLACES - 1)
        cdef Client client = None
        if place < <unsigned int>len(self.clients):
            client = <Client>self.clients[place]
        return client if client is not None and pid == self.pid_of(client) else None

    def find(self, unsigned int pid, bytes key not None):
        """The client that this pid and key were issued to, if it is still here."""
        cdef char expected[LONG_KEY]
        cdef Client client = self.client_of(pid)
        if client is None or len(key) != client.key_size:
            return None
        self.write_key(client, expected)
        right = equal_in_constant_time(<const unsigned char*>key, <const unsigned char*>expected, client.key_size)
        return client if right else None


def worker_of(pid):
    """The number of the worker whose client has this pid; -1 if it is no client's, but may be a backend's."""
    return (pid >> PLACE_BITS) - 1
