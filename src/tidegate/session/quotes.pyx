"""What stands between quotes: the half of the lexical scanner that reads literals and quoted identifiers.

Owns '', E'', B'', X'', U&'' with their continuation over lines, "", U&"" and $tag$ $tag$ (manual, section 4.1).
Refuses everything else; see tokens.pyx for the algorithm.

Each function goes on from the byte at `p`, which exists (in_string also does without), and returns the token it completes or T_NONE.
"""

from libc.string cimport memchr, memcpy

from tidegate.session.lexis cimport (
    S_AFTER_STRING, S_AFTER_STRING_COMMENT, S_AFTER_STRING_DASH, S_AMPERSAND, S_BACKSLASH, S_DASH, S_DOLLAR_BODY,
    S_DOLLAR_MATCH, S_DOLLAR_TAG, S_ESCAPE_STRING, S_IDENTIFIER, S_IDENTIFIER_QUOTE, S_PARAM, S_QUOTE, S_START,
    S_STRING, S_WORD, TEXT_BYTES, T_CHAR, T_NONE, T_OPAQUE, T_QUOTED, T_STRING, T_UNICODE, T_WORD, WORD_BYTES,
    Tokenizer, emit_char, fold, is_digit, is_space, open_string, starts_identifier, starts_pair,
)


cdef inline void keep(Tokenizer *t, const unsigned char *source, Py_ssize_t n) noexcept:
    """Appends n bytes to the literal's value, as far as there is room."""
    cdef Py_ssize_t room = TEXT_BYTES - t.text_len
    if n > room:
        n = room
        t.text_cut = True
    memcpy(&t.text[t.text_len], source, n)
    t.text_len += <int>n


cdef int close_string(Tokenizer *t, int next_state) noexcept:
    t.state = next_state
    return T_OPAQUE if t.opaque else T_STRING


cdef int in_string(Tokenizer *t) noexcept:
    cdef const unsigned char *quote = <const unsigned char *>memchr(t.p, c"'", t.end - t.p)
    cdef const unsigned char *stop = t.end if quote == NULL else quote
    keep(t, t.p, stop - t.p)
    t.p = stop
    if quote != NULL:
        t.p += 1
        t.state = S_QUOTE
        if t.p < t.end:
            return in_quote(t)
    return T_NONE


cdef int in_escape_string(Tokenizer *t) noexcept:
    cdef unsigned char c
    while t.p < t.end:
        c = t.p[0]
        t.p += 1
        if t.state == S_BACKSLASH:
            t.skip = c >= 0x80 and starts_pair(t, c)
            t.state = S_ESCAPE_STRING
        elif t.skip:
            t.skip = False
        elif c == c"'":
            t.state = S_QUOTE
            break
        elif c == c'\\':
            t.opaque = True
            t.state = S_BACKSLASH
        elif c >= 0x80:
            t.skip = starts_pair(t, c)
        keep(t, &c, 1)
    return T_NONE


cdef int in_quote(Tokenizer *t) noexcept:
    if t.p[0] == c"'" and not t.bits:
        keep(t, t.p, 1)
        t.p += 1
        t.state = S_ESCAPE_STRING if t.escapes else S_STRING
        return T_NONE
    t.newline = False
    t.state = S_AFTER_STRING
    return in_after_string(t)


cdef int in_after_string(Tokenizer *t) noexcept:
    """'a' <white space or -- comments, with a newline among them> 'b' is one literal, under the first one's rules."""
    cdef unsigned char c
    while t.p < t.end:
        c = t.p[0]
        if c == c"'" and t.newline:
            t.p += 1
            t.state = S_ESCAPE_STRING if t.escapes else S_STRING
            return T_NONE
        if c == c'-':
            t.p += 1
            t.state = S_AFTER_STRING_DASH
            return T_NONE
        if not is_space(c):
            return close_string(t, S_START)
        t.newline = t.newline or c == c'\n' or c == c'\r'
        t.p += 1
    return T_NONE


cdef int in_after_string_dash(Tokenizer *t) noexcept:
    if t.p[0] != c'-':
        return close_string(t, S_DASH)
    t.state = S_AFTER_STRING_COMMENT
    return T_NONE


cdef void open_identifier(Tokenizer *t, bint unicode) noexcept:
    """The identifier's opening quote is the current byte."""
    t.p += 1
    t.unicode = unicode
    t.word_cut = False
    t.word_len = 0
    t.state = S_IDENTIFIER


cdef int in_identifier(Tokenizer *t) noexcept:
    cdef unsigned char c
    while t.p < t.end:
        c = t.p[0]
        if t.state == S_IDENTIFIER_QUOTE:
            if c != c'"':
                t.state = S_START
                return T_UNICODE if t.unicode else T_QUOTED
            t.state = S_IDENTIFIER
        elif c == c'"':
            t.state = S_IDENTIFIER_QUOTE
            t.p += 1
            continue
        t.p += 1
        if t.word_len < WORD_BYTES:
            t.word[t.word_len] = c
            t.word_len += 1
        else:
            t.word_cut = True
    return T_NONE


cdef int in_u_ampersand(Tokenizer *t) noexcept:
    if t.p[0] == c"'":
        open_string(t, False, False, True)
        return T_NONE
    if t.p[0] == c'"':
        open_identifier(t, True)
        return T_NONE
    t.state = S_AMPERSAND
    return T_WORD


cdef int in_dollar(Tokenizer *t) noexcept:
    cdef unsigned char c = t.p[0]
    t.tag_len = 0
    if is_digit(c):
        t.state = S_PARAM
        t.param = 0
    elif starts_identifier(c):
        t.state = S_DOLLAR_TAG
    elif c == c'$':
        t.p += 1
        t.state = S_DOLLAR_BODY
    else:
        return emit_char(t, c'$')
    return T_NONE


cdef int in_dollar_tag(Tokenizer *t) noexcept:
    """Reads up to the second $. Without one, the first was a lone $ and the tag is a word."""
    cdef unsigned char c
    cdef int i
    while t.p < t.end:
        c = t.p[0]
        if t.skip:
            t.skip = False
        elif not (starts_identifier(c) or is_digit(c)):
            break
        elif c >= 0x80:
            t.skip = starts_pair(t, c)
        if t.tag_len < WORD_BYTES:
            t.tag[t.tag_len] = c
            t.tag_len += 1
        else:
            t.tag_cut = True
        t.p += 1
    if t.p == t.end:
        return T_NONE
    if t.p[0] == c'$':
        t.p += 1
        t.state = S_DOLLAR_BODY
        return T_NONE
    for i in range(t.tag_len):
        t.word[i] = fold(t.tag[i])
    t.word_len = t.tag_len
    t.word_cut = False
    emit_char(t, c'$')
    t.state = S_WORD
    return T_CHAR


cdef int in_dollar_body(Tokenizer *t) noexcept:
    cdef const unsigned char *dollar = <const unsigned char *>memchr(t.p, c'$', t.end - t.p)
    if dollar == NULL:
        t.p = t.end
        return T_NONE
    t.p = dollar + 1
    t.matched = 0
    t.state = S_DOLLAR_MATCH
    return T_NONE


cdef int in_dollar_match(Tokenizer *t) noexcept:
    """A tag holds no $, so a $ that comes too early can only be a new start."""
    cdef unsigned char c
    while t.p < t.end:
        c = t.p[0]
        t.p += 1
        if t.matched == t.tag_len and c == c'$':
            t.state = S_START
            return T_OPAQUE
        if t.matched < t.tag_len and c == t.tag[t.matched]:
            t.matched += 1
        elif c == c'$':
            t.matched = 0
        else:
            t.state = S_DOLLAR_BODY
            break
    return T_NONE
