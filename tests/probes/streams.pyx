"""Streams and their owners as Python objects: tests/unit/engine/test_stream.py."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from tidegate.engine.loop cimport Loop
from tidegate.engine.handshakes cimport Handshakes
from tidegate.engine.stream cimport BROKEN, WOULD_BLOCK, Stream, StreamOwner, attach
from tidegate.engine.tls cimport TlsStream, secure
from tidegate.engine.tls_context cimport TlsContext


cdef class Owner(StreamOwner):
    """Writes down what it is told; `on` has callables by the name of an event, called before that."""
    cdef Stream stream
    cdef public list events
    cdef public dict on
    cdef public bint reads

    def __init__(self, Loop loop, int fd, bint connecting=False):
        self.events = []
        self.on = {}
        self.reads = True
        self.stream = attach(loop, fd, self, connecting)

    cdef int told(self, object event) except -1:
        name = event[0] if isinstance(event, tuple) else event
        self.events.append(event)
        if name in self.on:
            self.on[name]()
        return 0

    cdef int readable(self) except -1:
        self.told("readable")
        while self.reads and self.stream is not None and self.stream.may_read:
            data = self.read()
            if data is None:
                break
            self.events.append(data)
            if not isinstance(data, bytes) or not data:
                break
        return 0

    cdef int drained(self) except -1:
        return self.told("drained")

    cdef int hung_up(self) except -1:
        return self.told("hung up")

    cdef int connected(self, int error) except -1:
        return self.told(("connected", error))

    cdef int secured(self) except -1:
        return self.told("secured")

    cdef int insecure(self, str words) except -1:
        return self.told(("insecure", words))

    cdef int failed(self, object error) except -1:
        return self.told(("failed", str(error)))

    def read(self, int size=4096):
        """Bytes; None if there are none now; "broken"."""
        cdef bytes space = PyBytes_FromStringAndSize(NULL, size)
        cdef Py_ssize_t got = self.stream.read(PyBytes_AS_STRING(space), size)
        if got == WOULD_BLOCK:
            return None
        return "broken" if got == BROKEN else space[:got]

    def write(self, bytes data):
        self.stream.write(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def write_soon(self, bytes data):
        self.stream.write_soon(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    @property
    def keeps_buffers(self):
        return (<TlsStream>self.stream).keeper.placed

    def settle(self):
        self.stream.settle()

    def end_writing(self):
        self.stream.end_writing()

    def close(self):
        self.stream.close()

    def secure(self, TlsContext tls, Handshakes handshakes, str host="", bytes early=b""):
        """Encrypted from here on."""
        self.stream = secure(
            self.stream, tls, handshakes, host, PyBytes_AS_STRING(early), PyBytes_GET_SIZE(early))

    @property
    def tls(self):
        """(version, cipher, resumed, protocol)"""
        cdef TlsStream stream = <TlsStream?>self.stream
        return stream.version, stream.cipher, stream.resumed, stream.protocol

    @property
    def fd(self):
        return self.stream.fd

    @property
    def kept(self):
        """Bytes that the kernel did not take yet."""
        return self.stream.out_len

    @property
    def has_buffer(self):
        return self.stream.out != NULL

    @property
    def broken(self):
        return bool(self.stream.broken)
