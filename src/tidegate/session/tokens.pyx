"""Cuts SQL text into tokens exactly where PostgreSQL does.

Owns the lexical rules of PostgreSQL's scan.l (manual, section 4.1 "Lexical Structure"): comments that nest, the kinds
of string literals and how they continue over lines, quoted and U& identifiers, dollar quotes, where `--` and `/*`
inside a run of operator characters start a comment. Refuses to know any statement: that is scanner.pyx.

Algorithm: a byte-driven state machine that can stop after any byte, so that a text of any size is read as it streams
by. It allocates nothing: one word of 63 bytes and the first 128 bytes of a literal are kept, longer ones are marked as
cut. `next_token` runs until a token is complete; a token that needs to see the byte after it stays open at the end of
a chunk. To end a text, feed one newline with `final` set: it closes words, numbers and operators like any white space.
What is unterminated then (a string, a comment) yields no token; the server refuses such a text as a whole.
"""

from tidegate.session.lexis cimport (
    S_AFTER_STRING, S_AFTER_STRING_COMMENT, S_AFTER_STRING_DASH, S_AMPERSAND, S_BACKSLASH, S_BLOCK_COMMENT,
    S_BLOCK_SLASH, S_BLOCK_STAR, S_DASH, S_DOLLAR, S_DOLLAR_BODY, S_DOLLAR_TAG, S_ESCAPE_STRING, S_IDENTIFIER,
    S_IDENTIFIER_QUOTE, S_LINE_COMMENT, S_NUMBER, S_PARAM, S_QUOTE, S_SLASH, S_START, S_STRING, S_U_AMPERSAND,
    S_WORD, T_END, T_MORE, T_NONE, T_NUMBER, T_PARAM, T_SEMICOLON, T_WORD, WORD_BYTES, Tokenizer, emit_char, fold,
    is_digit, is_space, open_string, starts_identifier, starts_pair,
)
from tidegate.session.quotes cimport (
    close_string, in_after_string, in_after_string_dash, in_dollar, in_dollar_body, in_dollar_match,
    in_dollar_tag, in_escape_string, in_identifier, in_quote, in_string, in_u_ampersand, open_identifier,
)

cdef enum:
    SPACE = 1
    START = 2              # may start an identifier
    IDENT = 4              # may continue one
    DIGIT = 8
    MOST_PARAMS = 65535    # of a Bind

cdef unsigned char CLASS[256]
cdef unsigned char FOLD[256]


cdef void build_tables() noexcept:
    cdef int c
    for c in range(256):
        FOLD[c] = fold(c)
        CLASS[c] = SPACE * is_space(c) | START * starts_identifier(c) | DIGIT * is_digit(c)
        if CLASS[c] & (START | DIGIT) or c == c'$':
            CLASS[c] |= IDENT


build_tables()


cdef void tokenizer_reset(Tokenizer *t, bint scs_on, int trail) noexcept:
    """Prepares for a new text. scs_on: standard_conforming_strings; trail: TrailBytes of the client encoding."""
    t.p = t.end = NULL
    t.state = S_START
    t.final = t.skip = t.tag_cut = False
    t.escape_strings = not scs_on
    t.trail = trail


cdef inline int in_word(Tokenizer *t) noexcept:
    cdef const unsigned char *p = t.p
    cdef int n = t.word_len
    cdef unsigned char c
    while p < t.end:
        c = p[0]
        if t.skip:
            t.skip = False
        elif not CLASS[c] & IDENT:
            break
        elif c >= 0x80:
            t.skip = starts_pair(t, c)
        if n < WORD_BYTES:
            t.word[n] = FOLD[c]
            n += 1
        else:
            t.word_cut = True
        p += 1
    t.p = p
    t.word_len = n
    if p == t.end:
        return T_NONE
    t.state = S_START
    return after_letter(t) if n == 1 else T_WORD


cdef int after_letter(Tokenizer *t) noexcept:
    """A word of one letter ended: E'' B'' X'' U&'' U&"" start with one. N'' is the word n and a plain literal."""
    cdef unsigned char letter = t.word[0]
    if t.p[0] == c"'":
        if letter == c'e':
            open_string(t, True, False, False)
            return T_NONE
        if letter == c'b' or letter == c'x':
            open_string(t, False, True, True)
            return T_NONE
    elif t.p[0] == c'&' and letter == c'u':
        t.p += 1
        t.state = S_U_AMPERSAND
        return T_NONE
    return T_WORD


cdef inline int in_start(Tokenizer *t) noexcept:
    cdef unsigned char c
    while t.p < t.end and CLASS[t.p[0]] & SPACE:
        t.p += 1
    if t.p == t.end:
        return T_NONE
    c = t.p[0]
    if CLASS[c] & START:
        t.word_cut = False
        t.word_len = 0
        t.state = S_WORD
        return in_word(t)
    if c == c"'":
        open_string(t, t.escape_strings, False, False)
        return T_NONE if t.escapes else in_string(t)
    if c == c'"':
        open_identifier(t, False)
        return T_NONE
    t.p += 1
    if CLASS[c] & DIGIT:
        t.state = S_NUMBER
        return in_number(t)
    if c == c'-':
        t.state = S_DASH
    elif c == c'/':
        t.state = S_SLASH
    elif c == c'$':
        t.state = S_DOLLAR
    elif c == c';':
        return T_SEMICOLON
    else:
        return emit_char(t, c)
    return T_NONE


cdef inline int in_number(Tokenizer *t) noexcept:
    cdef bint dots = t.state == S_NUMBER
    while t.p < t.end and (CLASS[t.p[0]] & DIGIT or (dots and t.p[0] == c'.')):
        if t.state == S_PARAM and t.param <= MOST_PARAMS:
            t.param = 10 * t.param + (t.p[0] - c'0')
        t.p += 1
    if t.p == t.end:
        return T_NONE
    t.state = S_START
    return T_NUMBER if dots else T_PARAM


cdef int in_comment_start(Tokenizer *t) noexcept:
    if t.state == S_DASH:
        if t.p[0] != c'-':
            return emit_char(t, c'-')
        t.state = S_LINE_COMMENT
    else:
        if t.p[0] != c'*':
            return emit_char(t, c'/')
        t.depth = 1
        t.state = S_BLOCK_COMMENT
    t.p += 1
    return T_NONE


cdef int in_line_comment(Tokenizer *t, int next_state) noexcept:
    """Stops before the line's end: S_AFTER_STRING wants to see it."""
    while t.p < t.end:
        if t.p[0] == c'\n' or t.p[0] == c'\r':
            t.state = next_state
            break
        t.p += 1
    return T_NONE


cdef int in_block_comment(Tokenizer *t) noexcept:
    """The two bytes of an opening or closing mark belong to it alone: the slash of /*/ does not close."""
    cdef unsigned char c
    while t.p < t.end:
        c = t.p[0]
        t.p += 1
        if t.state == S_BLOCK_STAR and c == c'/':
            t.depth -= 1
            t.state = S_BLOCK_COMMENT if t.depth else S_START
            if not t.depth:
                break
        elif t.state == S_BLOCK_SLASH and c == c'*':
            t.depth += 1
            t.state = S_BLOCK_COMMENT
        else:
            t.state = S_BLOCK_STAR if c == c'*' else S_BLOCK_SLASH if c == c'/' else S_BLOCK_COMMENT
    return T_NONE


cdef int at_end(Tokenizer *t) noexcept:
    if not t.final:
        return T_MORE
    if t.state == S_AFTER_STRING or t.state == S_AFTER_STRING_COMMENT:
        return close_string(t, S_START)
    return T_END


cdef int next_token(Tokenizer *t) noexcept:
    """Reads on to the next token: its kind, T_MORE when the chunk is used up, T_END when the text is."""
    cdef int kind = T_NONE
    cdef int state
    while kind == T_NONE:
        if t.p == t.end:
            return at_end(t)
        state = t.state
        if state == S_START:
            kind = in_start(t)
        elif state == S_WORD:
            kind = in_word(t)
        elif state == S_NUMBER or state == S_PARAM:
            kind = in_number(t)
        elif state == S_DASH or state == S_SLASH:
            kind = in_comment_start(t)
        elif state == S_LINE_COMMENT:
            kind = in_line_comment(t, S_START)
        elif state == S_BLOCK_COMMENT or state == S_BLOCK_STAR or state == S_BLOCK_SLASH:
            kind = in_block_comment(t)
        elif state == S_STRING:
            kind = in_string(t)
        elif state == S_ESCAPE_STRING or state == S_BACKSLASH:
            kind = in_escape_string(t)
        elif state == S_QUOTE:
            kind = in_quote(t)
        elif state == S_AFTER_STRING:
            kind = in_after_string(t)
        elif state == S_AFTER_STRING_DASH:
            kind = in_after_string_dash(t)
        elif state == S_AFTER_STRING_COMMENT:
            kind = in_line_comment(t, S_AFTER_STRING)
        elif state == S_IDENTIFIER or state == S_IDENTIFIER_QUOTE:
            kind = in_identifier(t)
        elif state == S_U_AMPERSAND:
            kind = in_u_ampersand(t)
        elif state == S_AMPERSAND:
            kind = emit_char(t, c'&')
        elif state == S_DOLLAR:
            kind = in_dollar(t)
        elif state == S_DOLLAR_TAG:
            kind = in_dollar_tag(t)
        elif state == S_DOLLAR_BODY:
            kind = in_dollar_body(t)
        else:
            kind = in_dollar_match(t)
    return kind
