"""What the lexical scanner's two halves share: its tokens, its state, the classes of bytes.

tokens.pyx holds the algorithm and its description, quotes.pyx what stands between quotes.
"""

cdef enum:
    WORD_BYTES = 63    # NAMEDATALEN - 1: PostgreSQL cuts identifiers here
    TEXT_BYTES = 128   # as much of a string literal as is kept


cdef enum TokenKind:
    T_NONE         # nothing yet: go on
    T_MORE         # the chunk is used up
    T_END          # the text is used up
    T_WORD         # keyword or unquoted identifier, folded to lower case, in `word`
    T_QUOTED       # "quoted identifier", as written, in `word`
    T_UNICODE      # U&"identifier": what it names is not worked out
    T_STRING       # a literal whose value is in `text`, unless `text_cut`
    T_OPAQUE       # a literal whose value is not worked out: B'' X'' U&'' $$ $$, or one with backslash escapes
    T_NUMBER       # digits and dots; an exponent or a hexadecimal tail follows as T_WORD
    T_PARAM        # $1, its number in `param`
    T_CHAR         # one byte of an operator or of punctuation, in `ch`
    T_SEMICOLON


cdef enum TrailBytes:
    # Client encodings in which the second byte of a character may be an ASCII byte, a backslash for one.
    TRAIL_NONE     # all server encodings, UTF8 among them
    TRAIL_ANY      # BIG5, GBK, UHC, GB18030, JOHAB: every byte >= 0x80 starts a pair
    TRAIL_SJIS     # SJIS, SHIFT_JIS_2004: 0xA0-0xDF stand alone


cdef struct Tokenizer:
    const unsigned char *p      # next byte of the chunk
    const unsigned char *end
    int state
    bint final                  # no chunk follows
    bint escape_strings         # standard_conforming_strings is off
    int trail                   # TrailBytes
    bint skip                   # the next byte is the second of a character
    bint tag_cut                # a dollar-quote tag was longer than WORD_BYTES: the rest is a guess
    unsigned char ch
    int depth                   # of nested /* */
    int param
    # the identifier being read
    bint unicode
    bint word_cut
    int word_len
    # the literal being read
    bint escapes                # backslash escapes are on in this literal
    bint bits                   # B'' X'': a doubled quote is not a quote
    bint opaque
    bint newline                # seen since the closing quote: a quote continues the literal
    bint text_cut
    int text_len
    # the dollar quote being read
    int tag_len
    int matched
    unsigned char word[WORD_BYTES + 1]
    unsigned char tag[WORD_BYTES + 1]
    unsigned char text[TEXT_BYTES]


cdef enum State:
    S_START
    S_WORD
    S_NUMBER
    S_PARAM
    S_DASH                 # one - : a second one starts a comment
    S_SLASH                # one / : a * starts a comment
    S_LINE_COMMENT
    S_BLOCK_COMMENT
    S_BLOCK_STAR
    S_BLOCK_SLASH
    S_STRING
    S_ESCAPE_STRING
    S_BACKSLASH
    S_QUOTE                # a quote inside a literal: its end, or the first of two
    S_AFTER_STRING         # white space after a literal, which may continue on the next line
    S_AFTER_STRING_DASH
    S_AFTER_STRING_COMMENT
    S_IDENTIFIER
    S_IDENTIFIER_QUOTE
    S_U_AMPERSAND          # U& : a quote makes it a literal or an identifier
    S_AMPERSAND            # the & of a U& that was neither
    S_DOLLAR
    S_DOLLAR_TAG
    S_DOLLAR_BODY
    S_DOLLAR_MATCH         # a $ in the body: perhaps the closing tag


cdef inline bint is_space(unsigned char c) noexcept:
    return c == c' ' or c == c'\n' or c == c'\t' or c == c'\r' or c == c'\f' or c == c'\v'


cdef inline bint is_digit(unsigned char c) noexcept:
    return c'0' <= c <= c'9'


cdef inline bint starts_identifier(unsigned char c) noexcept:
    return c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c == c'_' or c >= 0x80


cdef inline unsigned char fold(unsigned char c) noexcept:
    return c + 32 if c'A' <= c <= c'Z' else c


cdef inline bint starts_pair(Tokenizer *t, unsigned char c) noexcept:
    """Whether c >= 0x80 takes the next byte with it, whatever that is."""
    if t.trail == TRAIL_NONE:
        return False
    return t.trail == TRAIL_ANY or c < 0xA0 or c > 0xDF


cdef inline void open_string(Tokenizer *t, bint escapes, bint bits, bint opaque) noexcept:
    """The literal's opening quote is the current byte."""
    t.p += 1
    t.escapes = escapes
    t.bits = bits
    t.opaque = opaque
    t.text_cut = False
    t.text_len = 0
    t.state = S_ESCAPE_STRING if escapes else S_STRING


cdef inline int emit_char(Tokenizer *t, unsigned char c) noexcept:
    t.state = S_START
    t.ch = c
    return T_CHAR
