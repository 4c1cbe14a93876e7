"""The scanner of SQL texts; see scanner.pyx."""

from tidegate.session.directives cimport Directive, Head, HeadToken
from tidegate.session.facts cimport Facts
from tidegate.session.findings cimport Findings
from tidegate.session.lexis cimport Tokenizer
from tidegate.session.places cimport Seeker

cdef class Scanner:
    cdef Tokenizer tokenizer
    cdef const unsigned char *chunk
    cdef Py_ssize_t base            # offset of the chunk in the text
    cdef Head head
    cdef Directive directive
    cdef Findings found
    cdef bint busy
    # of the statement
    cdef bint started
    cdef int lead                   # its first keyword, K_NONE for any other token
    cdef int attends                # Attention: what more than keywords is read of it
    cdef Seeker seeker
    cdef bint updates               # UPDATE has been seen
    cdef bint odd_path              # a SET mentions pg_temp, or a literal that may hide it
    cdef int previous               # keyword of the token before this one
    cdef int before                 # and of the one before that
    cdef int call                   # CallState
    cdef str call_name

    cdef void reset(self, bint scs_on, int trail) noexcept
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
    cdef int set_config_token(self, int kind) except -1
    cdef bint hides_pg_temp(self, int kind) noexcept


cdef Facts scan(const char *text, Py_ssize_t n, bint scs_on, int trail=*)
