"""What every session of a worker shares: the loop, two staging buffers, registries, counters.

Owns the gathering of small pieces into one write. Refuses to know what the pieces are.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tidegate.engine.handshakes cimport Handshakes
from tidegate.engine.loop cimport Loop
from tidegate.engine.stream cimport Stream
from tidegate.session.statements cimport Statements
from tidegate.proxy.journal import Journal
from tidegate.session.settings import Interned

cdef enum:
    STAGE_SIZE = 65536  # bytes
    DIRECT = 16384  # bytes from which a copy into the stage costs more than a second write


cdef class Stage:
    """Holds bytes for one stream at a time; whoever ends its turn flushes."""

    def __cinit__(self):
        self.buffer = <char*>malloc(STAGE_SIZE)
        if self.buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.buffer)

    cdef int put(self, Stream stream, const char* data, size_t size) except -1:
        """Append to what goes to a stream; other streams' bytes are written first."""
        if self.stream is not stream:
            self.flush()
            self.stream = stream
        if self.size + size > STAGE_SIZE or size >= DIRECT:
            if self.size:
                self.stream.write(self.buffer, self.size)
                self.size = 0
            if size >= DIRECT:
                return stream.write(data, size)
        memcpy(self.buffer + self.size, data, size)
        self.size += size
        return 0

    cdef int flush(self) except -1:
        """Write what has been gathered; it leaves at the end of the turn."""
        cdef Stream stream = self.stream
        cdef size_t size = self.size
        self.stream = None
        self.size = 0
        if size:
            stream.write_soon(self.buffer, size)
        return 0


    def flush_all(self):
        """flush() for Python callers."""
        self.flush()


cdef class Counters:
    """Plain numbers; whoever sees an event counts it."""

    def as_dict(self):
        """Name -> number."""
        return {name: getattr(self, name) for name in dir(type(self)) if name[0] != "_" and name != "as_dict"}


cdef class Context:
    def __init__(self, config):
        self.loop = Loop()
        self.handshakes = Handshakes(self.loop)
        self.to_clients = Stage()
        self.to_servers = Stage()
        self.statements = Statements()
        self.interned = Interned()
        self.nothing = self.interned.nothing
        self.counters = Counters()
        self.journal = Journal(self.loop)
        self.config = config
