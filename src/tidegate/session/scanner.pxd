"""The scanner of SQL texts; see scanner.pyx."""

from tidegate.session.directives cimport Directive, Head, HeadToken
from tidegate.session.facts cimport Facts
from tidegate.session.findings cimport Findings
from tidegate.session.lexis cimport Tokenizer
from tidegate.session.places cimport Seeker
from tidegate.session.names cimport NameSet

cdef enum:
    OPERATOR_BYTES = 63     # NAMEDATALEN - 1


cdef inline bint is_operator(unsigned char c) noexcept:
    """One of those that operators' names are made of (manual, section 4.1.3)."""
    return c in b"+-*/<>=~!@#%^&|`?"


cdef class Scanner:
    cdef Tokenizer tokenizer
    cdef const unsigned char *chunk
    cdef Py_ssize_t base            # offset of the chunk in the text
    cdef Head head
    cdef Directive directive
    cdef Findings found
    cdef bint busy
    cdef NameSet names              # of the client's database, None if there are none
    cdef unsigned char operators[OPERATOR_BYTES]
    cdef int operators_len          # of a run of operator characters
    # of the statement
    cdef bint started
    cdef int lead                   # its first keyword, K_NONE for any other token
    cdef int attends                # Attention: what more than keywords is read of it
    cdef Seeker seeker
    cdef bint updates               # UPDATE has been seen
    cdef bint uses_code             # an earlier one has made a function, which this one may call
    cdef bint odd_path              # a SET mentions pg_temp, or a literal that may hide it
    cdef int previous               # keyword of the token before this one
    cdef int before                 # and of the one before that
    cdef int call                   # CallState
    cdef str call_name
    cdef int call_param

    cdef void reset(self, bint scs_on, int trail, NameSet names=*) noexcept
    cdef int feed(self, const char *text, Py_ssize_t n) except -1
    cdef Facts finish(self)
    cdef bint names_so_far(self) noexcept

    cdef int token(self, int kind) except -1
    cdef int start_statement(self, int keyword) except -1
    cdef int end_statement(self, Py_ssize_t stop) except -1
    cdef Py_ssize_t offset(self) noexcept
    cdef int attend(self, int kind, int keyword) except -1
    cdef void keep_token(self, int kind, int keyword) noexcept
    cdef int place_in_head(self, const HeadToken *token, Py_ssize_t stop) except -1
    cdef int place_named(self, int kind) except -1
    cdef int keyword_seen(self, int keyword) except -1
    cdef int name_seen(self, int kind) except -1
    cdef int operators_seen(self) except -1
    cdef int hidden_everywhere(self) except -1
    cdef int set_config_token(self, int kind) except -1
    cdef bint is_cast(self, int kind) noexcept
    cdef bint hides_pg_temp(self, int kind) noexcept


cdef Facts scan(const char *text, Py_ssize_t n, bint scs_on, int trail=*, NameSet names=*)
