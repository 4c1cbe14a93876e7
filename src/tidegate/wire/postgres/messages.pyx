"""Builders and readers of whole messages.

Owns the layout of messages (PostgreSQL documentation, "Message Formats"). Refuses to keep state between two messages.
All readers are bounds-checked and raise ValueError for bytes that are not what the protocol allows.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from tidegate.errors import PgError
from tidegate.wire.postgres.integers cimport get16, get32, put32, string_end

cdef enum:
    NO_VALUE = 0xFFFFFFFF  # length of NULL

SYNC = b"S\0\0\0\4"
FLUSH = b"H\0\0\0\4"
TERMINATE = b"X\0\0\0\4"
PARSE_COMPLETE = b"1\0\0\0\4"
CLOSE_COMPLETE = b"3\0\0\0\4"
AUTHENTICATION_OK = b"R\0\0\0\x08\0\0\0\0"


cpdef bytes message(int kind, bytes body):
    """A message of one type byte, its length, and a body."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef bytes whole
    cdef char* p
    if size + 4 > LARGEST:
        raise ValueError("message too long")
    whole = PyBytes_FromStringAndSize(NULL, HEADER + size)
    p = PyBytes_AS_STRING(whole)
    p[0] = <char>kind
    put32(p + 1, <uint32_t>(size + 4))
    memcpy(p + HEADER, PyBytes_AS_STRING(body), size)
    return whole


cpdef bytes query(bytes sql):
    """Simple Query."""
    return message(b'Q', sql + b"\0")


cpdef bytes parse(bytes name, bytes sql, bytes types):
    """Parse; `types` is the encoded parameter type list as it stood in the client's message."""
    return message(b'P', name + b"\0" + sql + b"\0" + types)


cpdef bytes bind(bytes portal, bytes statement):
    """Bind without parameters, all results as text."""
    return message(b'B', portal + b"\0" + statement + b"\0\0\0\0\0\0\0")


# Bound to a statement that never exists: the server fails at this place of a batch as if the client had erred.
FAILING_BIND = bind(b"", b"tidegate_no_such_statement")


cpdef bytes close_statement(bytes name):
    """Close of a prepared statement."""
    return message(b'C', b"S" + name + b"\0")


cpdef bytes describe_statement(bytes name):
    """Describe of a prepared statement."""
    return message(b'D', b"S" + name + b"\0")


cpdef bytes command_complete(bytes tag):
    """CommandComplete with its tag."""
    return message(b'C', tag + b"\0")


cpdef bytes ready_for_query(int status):
    """ReadyForQuery; status is one of b'I', b'T', b'E'."""
    return message(b'Z', bytes((status,)))


cpdef bytes parameter_status(bytes name, bytes value):
    """ParameterStatus."""
    return message(b'S', name + b"\0" + value + b"\0")


def backend_key_data(int pid, bytes key):
    """BackendKeyData; the key has 4 bytes in protocol 3.0 and up to 256 in 3.2."""
    return message(b'K', (<uint32_t>pid).to_bytes(4, "big") + key)


def authentication(int kind, bytes payload=b""):
    """An Authentication request of the given kind (0 Ok, 3 cleartext, 5 MD5, 10-12 SASL)."""
    return message(b'R', kind.to_bytes(4, "big") + payload)


def negotiate_protocol_version(int minor, list options):
    """NegotiateProtocolVersion: the newest minor version supported, and the `_pq_.` options not recognized."""
    return message(b'v', (0x30000 | minor).to_bytes(4, "big") + len(options).to_bytes(4, "big")
                   + b"".join([name + b"\0" for name in options]))


def copy_fail(bytes why):
    """CopyFail."""
    return message(b'f', why + b"\0")


def startup(int minor, dict parameters):
    """StartupMessage of protocol 3.`minor`."""
    body = (0x30000 | minor).to_bytes(4, "big")
    for name, value in parameters.items():
        body += name + b"\0" + value + b"\0"
    body += b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body


def cancel_request(int pid, bytes key):
    """CancelRequest."""
    body = (80877102).to_bytes(4, "big") + (<uint32_t>pid).to_bytes(4, "big") + key
    return (len(body) + 4).to_bytes(4, "big") + body


cpdef bytes error_response(object error):
    """ErrorResponse from a PgError."""
    cdef bytes severity = encode_text(error.severity)
    cdef list fields = [b"S", severity, b"\0V", severity, b"\0C", encode_text(str(error.sqlstate)),
                        b"\0M", encode_text(error.message), b"\0"]
    if error.detail:
        fields += [b"D", encode_text(error.detail), b"\0"]
    if error.hint:
        fields += [b"H", encode_text(error.hint), b"\0"]
    fields.append(b"\0")
    return message(b'E', b"".join(fields))


cdef bytes encode_text(str text):
    """Text for an error field: a NUL would end the field early."""
    return text.replace("\0", "").encode("utf-8", "surrogateescape")


cpdef object parse_error(bytes body):
    """The PgError in the body of an ErrorResponse (or NoticeResponse)."""
    cdef dict fields = {}
    cdef const char* p = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body), pos = 0, end
    while pos < size and p[pos] != 0:
        end = string_end(p + pos + 1, size - pos - 1)
        if end < 0:
            raise ValueError("unterminated error field")
        fields[chr(<unsigned char>p[pos])] = body[pos + 1:pos + 1 + end].decode("utf-8", "surrogateescape")
        pos += end + 2
    return PgError(fields.get("M", ""), fields.get("C", "XX000"), fields.get("V", fields.get("S", "ERROR")),
                   fields.get("D", ""), fields.get("H", ""))


cpdef list parse_data_row(bytes body):
    """The columns of a DataRow; None for NULL."""
    cdef const char* p = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body), pos = 2
    cdef unsigned int count
    cdef Py_ssize_t length
    cdef list row = []
    if size < 2:
        raise ValueError("truncated DataRow")
    count = get16(p)
    for _ in range(count):
        if pos + 4 > size:
            raise ValueError("truncated DataRow")
        length = <int>get32(p + pos)
        pos += 4
        if length < 0:
            row.append(None)
            continue
        if pos + length > size:
            raise ValueError("truncated DataRow")
        row.append(body[pos:pos + length])
        pos += length
    return row


cdef bytes bound_value(const char* body, Py_ssize_t size, int number):
    """The value of parameter `number` (from 1) in the beginning of a Bind's body; None: NULL, not there, not yet here."""
    cdef Py_ssize_t pos = 0, end
    cdef unsigned int count, length
    for _ in range(2):  # portal and statement
        end = string_end(body + pos, size - pos)
        if end < 0:
            return None
        pos += end + 1
    if size - pos < 2:
        return None
    pos += 2 + 2 * <Py_ssize_t>get16(body + pos)  # format codes
    if size - pos < 2:
        return None
    count = get16(body + pos)
    pos += 2
    if number < 1 or <unsigned int>number > count:
        return None
    while True:
        if size - pos < 4:
            return None
        length = get32(body + pos)
        pos += 4
        number -= 1
        if length == NO_VALUE:
            length = 0
            if number == 0:
                return None
        if length > <size_t>(size - pos):
            return None
        if number == 0:
            return PyBytes_FromStringAndSize(body + pos, length)
        pos += length


def parse_bound_value(bytes body, int number):
    """bound_value() for Python callers."""
    return bound_value(PyBytes_AS_STRING(body), len(body), number)


cpdef bytes row_shape(bytes body):
    """Of a RowDescription what must not change under a prepared statement: names, types and type modifiers."""
    cdef const char* p = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body), pos = 2, end
    cdef unsigned int count
    cdef list parts = []
    if size < 2:
        raise ValueError("truncated RowDescription")
    count = get16(p)
    for _ in range(count):
        end = string_end(p + pos, size - pos)
        if end < 0 or pos + end + 19 > size:
            raise ValueError("truncated RowDescription")
        # Behind the name: table (4 bytes), column (2), type (4), its size (2), modifier (4), format (2).
        parts.append(body[pos:pos + end + 1] + body[pos + end + 7:pos + end + 11] + body[pos + end + 13:pos + end + 17])
        pos += end + 19
    return b"".join(parts)


def parse_parameter_status(bytes body):
    """(name, value) of a ParameterStatus."""
    parts = body.split(b"\0")
    if len(parts) != 3 or parts[2]:
        raise ValueError("malformed ParameterStatus")
    return parts[0], parts[1]
