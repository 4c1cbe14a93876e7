"""Where a statement names the prepared statement that it executes.

Owns the grammar of EXECUTE, alone, behind EXPLAIN and behind CREATE TABLE ... AS (gram.y: ExecuteStmt, ExplainStmt), as
far as its name. Refuses what comes behind the name; PREPARE and DEALLOCATE are in directives.pyx.

Algorithm: one state, moved on by each token of a statement that starts with EXECUTE, EXPLAIN or CREATE, until the name
comes or can't come any more. AS is a reserved word: the first one outside parentheses is the one before the query.
"""

from libc.string cimport memcmp

from tidegate.session.keywords cimport K_CREATE, K_EXECUTE, K_LOCAL, K_REPLACE, K_TEMP
from tidegate.session.lexis cimport S_AMPERSAND, T_CHAR, T_QUOTED, T_WORD, Tokenizer


cdef inline bint is_word(int kind, const Tokenizer *t, const char *word, int n) noexcept:
    return kind == T_WORD and t.word_len == n and memcmp(t.word, word, n) == 0


cdef inline bint at_outer_level(Seeker *seeker, int kind, const Tokenizer *t) noexcept:
    """Whether the token is neither a parenthesis nor within."""
    if kind == T_CHAR and t.ch == c'(':
        seeker.depth += 1
    elif kind == T_CHAR and t.ch == c')':
        seeker.depth -= 1
    else:
        return seeker.depth == 0
    return False


cdef int behind_explain(Seeker *seeker, int kind, int keyword, const Tokenizer *t) noexcept:
    if keyword == K_EXECUTE:
        return SEEK_NAME
    if keyword == K_CREATE:
        return SEEK_TABLE
    if kind == T_CHAR and t.ch == c'(':
        seeker.depth = 1
        return SEEK_OPTIONS
    if is_word(kind, t, b"analyze", 7) or is_word(kind, t, b"analyse", 7) or is_word(kind, t, b"verbose", 7):
        return SEEK_EXPLAINED
    return SEEK_NOTHING


cdef bint seek_name(Seeker *seeker, int kind, int keyword, const Tokenizer *t) noexcept:
    """The next token of the statement, behind its first; whether it is the name, and it and its place can be told."""
    cdef int state = seeker.state
    if state == SEEK_EXPLAINED:
        seeker.state = behind_explain(seeker, kind, keyword, t)
    elif state == SEEK_OPTIONS:
        at_outer_level(seeker, kind, t)
        if seeker.depth == 0:
            seeker.state = SEEK_EXPLAINED
    elif state == SEEK_TABLE:
        if is_word(kind, t, b"table", 5):
            seeker.depth = 0
            seeker.state = SEEK_AS
        elif keyword not in (K_TEMP, K_LOCAL, K_REPLACE) and not is_word(kind, t, b"unlogged", 8):
            seeker.state = SEEK_NOTHING
    elif state == SEEK_AS:
        if at_outer_level(seeker, kind, t) and is_word(kind, t, b"as", 2):
            seeker.state = SEEK_EXECUTE
    elif state == SEEK_EXECUTE:
        seeker.state = SEEK_NAME if keyword == K_EXECUTE else SEEK_NOTHING
    elif state == SEEK_NAME:
        seeker.state = SEEK_NOTHING
        # A lone u before & is told only after the &, and not where it ended.
        return (kind == T_WORD or kind == T_QUOTED) and not t.word_cut and t.state != S_AMPERSAND
    return False


cdef Py_ssize_t spelled_length(int kind, const unsigned char *word, int n) noexcept:
    """How many bytes of text a word or quoted identifier of `n` bytes took."""
    cdef Py_ssize_t length = n
    cdef int i
    if kind == T_QUOTED:
        length += 2
        for i in range(n):
            length += word[i] == c'"'
    return length
