"""Finding the name in EXECUTE; see places.pyx."""

from tidegate.session.lexis cimport Tokenizer

cdef enum Seeking:
    SEEK_NOTHING
    SEEK_EXPLAINED      # what EXPLAIN explains: behind its options
    SEEK_OPTIONS        # the end of EXPLAIN's options in parentheses
    SEEK_TABLE          # TABLE, behind CREATE
    SEEK_AS             # AS, outside parentheses
    SEEK_EXECUTE        # EXECUTE, behind AS
    SEEK_NAME           # the name, behind EXECUTE


cdef struct Seeker:
    int state           # Seeking
    int depth           # of parentheses


cdef bint seek_name(Seeker *seeker, int kind, int keyword, const Tokenizer *t) noexcept
cdef Py_ssize_t spelled_length(int kind, const unsigned char *word, int n) noexcept
