"""How SCRAM's messages are read; scram_syntax.pyx explains it."""

cdef enum:
    MESSAGE_LIMIT = 1024      # bytes; PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH
    NONCE_LIMIT = 256         # characters; drivers send 24 to 44
    PROOF_CHARS = 44          # base64 of 32 bytes

ctypedef struct Cursor:
    const unsigned char *at
    const unsigned char *end

ctypedef struct Span:
    const unsigned char *data
    Py_ssize_t size

cdef int open_message(bytes message, Cursor *cursor) except -1
cdef int skip_comma(Cursor *cursor) except -1
cdef unsigned char next_name(Cursor *cursor) noexcept
cdef Span take(Cursor *cursor, unsigned char name) except *
cdef int skip_extensions(Cursor *cursor, unsigned char last) except -1
cdef int refuse_mandatory_extension(Cursor *cursor) except -1
cdef int check_nonce(Span nonce) except -1
cdef bytes span_bytes(Span span)
cdef bint span_equals(Span span, bytes expected) noexcept
cdef bytes decode_base64(Span span, str what)
cdef int decode_digest(Span span, unsigned char *out, str what) except -1
cdef long iteration_count(Span span) except -1
