"""The first packet of a connection: what the client asks for, and how its version is negotiated.

Owns StartupMessage, CancelRequest, SSLRequest and GSSENCRequest (PostgreSQL documentation, "Message Formats"). Refuses
to judge who may log in, and to split the `options` parameter (`options`).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from tidegate.wire.postgres.integers cimport get16, get32, string_end

NEWEST_MINOR = NEWEST

cdef enum:
    NEWEST = 2  # protocol 3.2
    CANCEL_CODE = 80877102
    SSL_CODE = 80877103
    GSSENC_CODE = 80877104
    SMALLEST_CANCEL_KEY = 4  # bytes
    LARGEST_CANCEL_KEY = 256  # bytes, protocol 3.2
    OPTION_PREFIX = 5  # bytes of `_pq_.`


class UnsupportedProtocol(ValueError):
    """A protocol version other than 3.x."""


cdef class Startup:
    """A parsed first packet."""

    cdef bint negotiates(self) noexcept:
        return self.asked_minor > NEWEST or len(self.unknown_options) > 0

    @property
    def must_negotiate(self):
        """Whether NegotiateProtocolVersion is due."""
        return self.negotiates()

    cdef int read_cancel(self, const char* body, Py_ssize_t size) except -1:
        cdef Py_ssize_t key = size - 8
        self.opening = CANCEL
        self.cancel_pid = get32(body + 4) if size >= 8 else 0
        self.cancel_key = b""  # fits nobody's: a cancel request is never answered, not even a malformed one
        if SMALLEST_CANCEL_KEY <= key <= LARGEST_CANCEL_KEY:
            self.cancel_key = PyBytes_FromStringAndSize(body + 8, key)
        return 0

    cdef int read_parameters(self) except -1:
        """name NUL value NUL ... NUL: the list ends with an empty name, after which nothing may follow."""
        cdef const char* body = PyBytes_AS_STRING(self.body)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.body), pos = 4, name, value
        while True:
            name = string_end(body + pos, size - pos)
            if name == 0:
                break
            value = string_end(body + pos + name + 1, size - pos - name - 1) if name > 0 else -1
            if value < 0:
                raise ValueError("invalid startup packet layout: expected terminator as last byte")
            self.keep(body + pos, name, body + pos + name + 1, value)
            pos += name + value + 2
        if pos + 1 != size:
            raise ValueError("invalid startup packet layout: expected terminator as last byte")
        return 0

    cdef int keep(self, const char* name, Py_ssize_t size, const char* value, Py_ssize_t length) except -1:
        """Note a parameter that is no setting; the others stay where they are until `parameters` is asked for."""
        if size == 4 and memcmp(name, b"user", 4) == 0:
            self.user = PyBytes_FromStringAndSize(value, length)
        elif size == 8 and memcmp(name, b"database", 8) == 0:
            self.database = PyBytes_FromStringAndSize(value, length)
        elif size == 7 and memcmp(name, b"options", 7) == 0:
            self.options = PyBytes_FromStringAndSize(value, length)
        elif size == 11 and memcmp(name, b"replication", 11) == 0:
            self.replication = PyBytes_FromStringAndSize(value, length)
        elif size >= OPTION_PREFIX and memcmp(name, b"_pq_.", OPTION_PREFIX) == 0:
            self.unknown_options.append(PyBytes_FromStringAndSize(name, size))
        return 0

    @property
    def parameters(self):
        """Every parameter, user and database included, but for `_pq_.` options; of a name the last value counts."""
        cdef Py_ssize_t end = PyBytes_GET_SIZE(self.body) - 2  # before the last value's NUL and the list's own
        parts = self.body[4:end].split(b"\0") if end > 4 else []
        return {name: value for name, value in zip(parts[0::2], parts[1::2]) if not name.startswith(b"_pq_.")}


cdef Startup read_startup(const char* body, Py_ssize_t size):
    """Read a first packet without its length word.

    Raises UnsupportedProtocol for another major version, ValueError for bytes that are no first packet.
    """
    cdef Startup found = Startup.__new__(Startup)
    cdef unsigned int code
    if size < 4:
        raise ValueError("invalid length of startup packet")
    code = get32(body)
    found.unknown_options = []
    found.body = found.user = found.database = found.options = found.replication = found.cancel_key = b""
    if code == SSL_CODE or code == GSSENC_CODE:
        if size != 4:
            raise ValueError("invalid length of encryption request")
        found.opening = ENCRYPTION
        found.asks_for_tls = code == SSL_CODE
    elif code == CANCEL_CODE:
        found.read_cancel(body, size)
    elif code >> 16 != 3:
        raise UnsupportedProtocol(f"{code >> 16}.{code & 0xFFFF}")
    else:
        found.opening = STARTUP
        found.asked_minor = get16(body + 2)
        # PostgreSQL 17 and older take 3.1 for 3.0; 3.1 was never released, so it is served as 3.0 here, too.
        found.minor = NEWEST if found.asked_minor >= NEWEST else 0
        found.body = PyBytes_FromStringAndSize(body, size)
        found.read_parameters()
    return found


def parse_startup(bytes body not None):
    """The same for bytes."""
    return read_startup(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
