"""The lexical scanner; the algorithm is described in tokens.pyx, its types in lexis.pxd."""

from tidegate.session.lexis cimport Tokenizer

cdef void tokenizer_reset(Tokenizer *t, bint scs_on, int trail) noexcept
cdef int next_token(Tokenizer *t) noexcept
