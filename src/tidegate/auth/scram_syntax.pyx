"""The syntax of SCRAM's messages (RFC 5802 section 7): a cursor over bytes from the network.

Owns the checks of form. Refuses keys, proofs and the order of messages (`scram`).

A cursor points into a bytes object that its user keeps alive; every step is checked against the end.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.limits cimport INT_MAX
from libc.string cimport memchr, memcmp

from tidegate.auth.openssl cimport DIGEST_BYTES, base64_decode

from tidegate.auth.scram_errors import ScramMalformed

MAX_MESSAGE_BYTES = MESSAGE_LIMIT
MAX_NONCE_BYTES = NONCE_LIMIT


cdef int open_message(bytes message, Cursor *cursor) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
    if size == 0:
        raise ScramMalformed("The message is empty.")
    if size > MESSAGE_LIMIT:
        raise ScramMalformed(f"The message is longer than {MAX_MESSAGE_BYTES} bytes.")
    cursor.at = <const unsigned char *> PyBytes_AS_STRING(message)
    cursor.end = cursor.at + size
    if memchr(cursor.at, 0, size) is not NULL:
        raise ScramMalformed("The message contains a zero byte.")
    return 0


cdef int skip_comma(Cursor *cursor) except -1:
    if cursor.at == cursor.end or cursor.at[0] != c',':
        raise ScramMalformed("A comma is missing.")
    cursor.at += 1
    return 0


cdef unsigned char next_name(Cursor *cursor) noexcept:
    """The name of the attribute that comes next, 0 if none does."""
    if cursor.end - cursor.at >= 2 and cursor.at[1] == c'=':
        return cursor.at[0]
    return 0


cdef Span take(Cursor *cursor, unsigned char name) except *:
    """Read attribute `name=value`; the value ends before a comma or at the end of the message."""
    cdef Span value
    cdef const unsigned char *comma
    if next_name(cursor) != name:
        raise ScramMalformed(f"Attribute \"{chr(name)}\" is missing.")
    cursor.at += 2
    comma = <const unsigned char *> memchr(cursor.at, c',', cursor.end - cursor.at)
    value.data = cursor.at
    cursor.at = cursor.end if comma is NULL else comma
    value.size = cursor.at - value.data
    return value


cdef int skip_extensions(Cursor *cursor, unsigned char last) except -1:
    """Pass over optional extensions, up to the comma before attribute `last` or, for 0, to the end of the message."""
    cdef Cursor ahead
    cdef unsigned char name
    while cursor.at != cursor.end:
        ahead = cursor[0]
        skip_comma(&ahead)
        name = next_name(&ahead)
        if last and name == last:
            return 0
        if not (c'a' <= name <= c'z' or c'A' <= name <= c'Z'):
            raise ScramMalformed("An extension is malformed.")
        take(&ahead, name)
        cursor[0] = ahead
    return 0


cdef int refuse_mandatory_extension(Cursor *cursor) except -1:
    if next_name(cursor) == c'm':
        raise ScramMalformed("A mandatory extension is not supported.")
    return 0


cdef int check_nonce(Span nonce) except -1:
    """RFC 5802 section 7: one or more printable characters other than the comma."""
    cdef Py_ssize_t i
    if nonce.size == 0 or nonce.size > NONCE_LIMIT:
        raise ScramMalformed(f"The nonce is empty or longer than {MAX_NONCE_BYTES} characters.")
    for i in range(nonce.size):
        if not 0x21 <= nonce.data[i] <= 0x7E:
            raise ScramMalformed("The nonce contains a non-printable character.")
    return 0


cdef bytes span_bytes(Span span):
    return PyBytes_FromStringAndSize(<const char *> span.data, span.size)


cdef bint span_equals(Span span, bytes expected) noexcept:
    return (span.size == PyBytes_GET_SIZE(expected)
            and memcmp(span.data, PyBytes_AS_STRING(expected), span.size) == 0)


cdef bytes decode_base64(Span span, str what):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, span.size)
    cdef Py_ssize_t size = base64_decode(span.data, span.size, <unsigned char *> PyBytes_AS_STRING(out), span.size)
    if size <= 0:
        raise ScramMalformed(f"The {what} is not valid base64.")
    return out[:size]


cdef int decode_digest(Span span, unsigned char *out, str what) except -1:
    if span.size != PROOF_CHARS or base64_decode(span.data, span.size, out, DIGEST_BYTES) != DIGEST_BYTES:
        raise ScramMalformed(f"The {what} is malformed.")
    return 0


cdef long iteration_count(Span span) except -1:
    """A positive decimal number without leading zeros that fits an int."""
    cdef long count = 0
    cdef Py_ssize_t i
    if not 1 <= span.size <= 10 or span.data[0] == c'0':
        raise ScramMalformed("The iteration count is malformed.")
    for i in range(span.size):
        if not c'0' <= span.data[i] <= c'9':
            raise ScramMalformed("The iteration count is malformed.")
        count = count * 10 + (span.data[i] - c'0')
    if count > INT_MAX:
        raise ScramMalformed("The iteration count is malformed.")
    return count
