"""Literals and quoted identifiers; see tokens.pyx for the algorithm, lexis.pxd for the types."""

from tidegate.session.lexis cimport Tokenizer

cdef int close_string(Tokenizer *t, int next_state) noexcept
cdef int in_string(Tokenizer *t) noexcept
cdef int in_escape_string(Tokenizer *t) noexcept
cdef int in_quote(Tokenizer *t) noexcept
cdef int in_after_string(Tokenizer *t) noexcept
cdef int in_after_string_dash(Tokenizer *t) noexcept
cdef void open_identifier(Tokenizer *t, bint unicode) noexcept
cdef int in_identifier(Tokenizer *t) noexcept
cdef int in_u_ampersand(Tokenizer *t) noexcept
cdef int in_dollar(Tokenizer *t) noexcept
cdef int in_dollar_tag(Tokenizer *t) noexcept
cdef int in_dollar_body(Tokenizer *t) noexcept
cdef int in_dollar_match(Tokenizer *t) noexcept
